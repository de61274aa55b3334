package ingest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/tributary-ml/tributary/ingest/books"
)

// Limits on archives of books, beside that on each of them.
const (
	maxArchiveEntries = 1 << 20
	// maxNesting is how deep archives may lie in archives.
	maxNesting = 2
)

// isZip tells a zip archive that is no EPUB.
func isZip(head []byte) bool {
	return bytes.HasPrefix(head, []byte("PK\x03\x04")) && !books.IsEPUB(head)
}

func isTar(head []byte) bool { return len(head) >= 262 && string(head[257:262]) == "ustar" }

// archivedName returns the name of the first file of an archive, as far as its
// head tells, or "".
func archivedName(head []byte) string {
	switch {
	case isZip(head) && len(head) > 30:
		n := int(head[26]) | int(head[27])<<8
		return string(head[30:min(len(head), 30+n)])
	case isTar(head):
		name, _, _ := strings.Cut(string(head[:100]), "\x00")
		return name
	}
	return ""
}

// entry is a file of an archive, or the item that stands for one that cannot be
// read.
type entry struct {
	name string
	data []byte
	bad  item
}

// bookName reports whether a file of an archive may be a book, by its name.
func bookName(name string) bool {
	switch strings.ToLower(path.Ext(suffixes.ReplaceAllString(name, ""))) {
	case ".txt", ".text", ".htm", ".html", ".xhtml", ".epub":
		return true
	}
	return false
}

// entries reads the books in an archive in their order. Their names are used to
// name them and for nothing else, so that none leads out of anywhere. Each is
// bounded as a file would be.
func (r *run) entries(ctx context.Context, in *input, give func(entry) error) error {
	f, err := r.places.open(ctx, in)
	if err != nil {
		if isFar(err) {
			return err
		}
		return give(entry{bad: item{cause: causeUnreadable, detail: err.Error()}})
	}
	defer f.close()
	content, err := decompress(&metered{ctx, f.from(0), r.cfg.Meter}, 1, nil)
	if err != nil {
		return give(entry{bad: item{cause: causeDamaged, detail: err.Error()}})
	}
	defer content.Close()
	head := make([]byte, tarHead)
	n, err := io.ReadFull(content, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return give(entry{bad: item{cause: causeTruncated, detail: err.Error()}})
	}
	head = head[:n]
	if isZip(head) {
		z, err := zip.NewReader(f, in.size)
		if err != nil {
			return give(entry{bad: item{cause: causeDamaged, detail: err.Error()}})
		}
		return r.zipped(ctx, z, "", 1, give)
	}
	return r.tarred(ctx, tar.NewReader(io.MultiReader(bytes.NewReader(head), content)), "", 1, give)
}

// tarHead is how much of an archive tells that it is one.
const tarHead = 512

func (r *run) zipped(ctx context.Context, z *zip.Reader, prefix string, depth int, give func(entry) error) error {
	for i, f := range z.File {
		if err := ctx.Err(); err != nil {
			return err
		}
		if i >= maxArchiveEntries {
			return give(entry{name: prefix, bad: item{cause: causeTooLarge, detail: fmt.Sprintf("it has more than %d files", maxArchiveEntries)}})
		}
		if f.FileInfo().IsDir() {
			continue
		}
		err := r.member(ctx, prefix+f.Name, depth, func() (io.ReadCloser, error) { return f.Open() }, give)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *run) tarred(ctx context.Context, t *tar.Reader, prefix string, depth int, give func(entry) error) error {
	for range maxArchiveEntries {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := t.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return give(entry{name: prefix, bad: item{cause: causeDamaged, detail: err.Error(), damage: true}})
		}
		if h.Typeflag != tar.TypeReg {
			continue // links lead to files that are not of the archive
		}
		err = r.member(ctx, prefix+h.Name, depth, func() (io.ReadCloser, error) { return io.NopCloser(t), nil }, give)
		if err != nil {
			return err
		}
	}
	return give(entry{name: prefix, bad: item{cause: causeTooLarge, detail: fmt.Sprintf("it has more than %d files", maxArchiveEntries)}})
}

// member reads one file of an archive, or the files of an archive in it.
func (r *run) member(ctx context.Context, name string, depth int, open func() (io.ReadCloser, error), give func(entry) error) error {
	inner := strings.EqualFold(path.Ext(name), ".zip") && depth < maxNesting
	if !bookName(name) && !inner {
		return give(entry{name: name, bad: item{cause: causeOtherFile, detail: name, quiet: true}})
	}
	data, err := r.unfold(open)
	switch {
	case errors.Is(err, errTooLarge):
		return give(entry{name: name, bad: item{cause: causeTooLarge, detail: name + ": " + err.Error()}})
	case err != nil:
		return give(entry{name: name, bad: item{cause: causeDamaged, detail: name + ": " + err.Error()}})
	case inner:
		z, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return give(entry{name: name, bad: item{cause: causeDamaged, detail: name + ": " + err.Error()}})
		}
		return r.zipped(ctx, z, name+"/", depth+1, give)
	}
	return give(entry{name: name, data: data})
}

var errTooLarge = errors.New("it unpacks to more than the limit")

// unfold reads a file of an archive, which may itself be packed.
func (r *run) unfold(open func() (io.ReadCloser, error)) ([]byte, error) {
	f, err := open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := decompress(f, 1, nil)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	data, err := io.ReadAll(io.LimitReader(content, r.cfg.MaxRecordBytes+1))
	if int64(len(data)) > r.cfg.MaxRecordBytes {
		return nil, errTooLarge
	}
	return data, err
}
