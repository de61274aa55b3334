package ingest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// largeFile is the size from which on a file's memory is given back before the
// next is read.
const largeFile = 8 << 20

// readFiles reads inputs that are one document each, and archives of such.
func readFiles(ctx context.Context, r *run, first int) error {
	type job struct {
		index int
		entry *entry // of an archive
	}
	type result struct {
		index int
		item  item
		err   error // after which the run cannot go on
	}
	return ordered(ctx, r.cfg.Jobs, underway,
		func(ctx context.Context, give func(job, int64) error) error {
			for i := first; i < len(r.inputs); i++ {
				var err error
				if in := r.inputs[i]; r.cfg.Kind == KindBooks && r.isArchive(ctx, in) {
					number := int64(0)
					err = r.entries(ctx, in, func(e entry) error {
						e.bad.record = number
						number++
						return give(job{i, &e}, int64(len(e.data)))
					})
				} else {
					err = give(job{index: i}, r.costOf(in))
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
		func(j job) (res result) {
			res.index = j.index
			from := time.Now()
			defer func() {
				res.item.took = time.Since(from)
			}()
			defer func() {
				if p := recover(); p != nil {
					res.item = item{cause: causePanic, detail: fmt.Sprint(p)}
				}
			}()
			if j.entry != nil {
				if res.item = j.entry.bad; res.item.cause == "" {
					record := res.item.record
					res.item = r.book(nil, j.entry.name, j.entry.data)
					res.item.source.bytes = int64(len(j.entry.data))
					res.item.record = record
				}
				return res
			}
			in := r.inputs[j.index]
			if r.costOf(in) > largeFile {
				// What the last large one left counts for more than the pause.
				runtime.GC()
			}
			data, repairs, cause, err := r.readFile(ctx, in)
			switch {
			case isFar(err):
				res.err = fmt.Errorf("reading %s: %w", in.where(), err)
			case err != nil:
				res.item = item{cause: cause, detail: err.Error()}
			case r.cfg.Kind == KindBooks:
				res.item = r.book(in, in.name, data)
			default:
				res.item = textItem(in.name, data)
			}
			res.item.source.bytes = int64(len(data))
			res.item.repairs = append(res.item.repairs, repairs...)
			return res
		},
		func(res result) error {
			if err := ctx.Err(); err != nil {
				return err // what was read may be cut short by it
			}
			if res.err != nil {
				return res.err
			}
			return r.take(res.index, res.item)
		},
	)
}

// isArchive tells an archive of files by its head.
func (r *run) isArchive(ctx context.Context, in *input) bool {
	f, err := r.places.open(ctx, in)
	if err != nil {
		return false // reading it will tell
	}
	defer f.close()
	content, err := decompress(f.from(0), 1, nil)
	if err != nil {
		return false
	}
	defer content.Close()
	head := make([]byte, tarHead)
	n, _ := io.ReadFull(content, head)
	return isZip(head[:n]) || isTar(head[:n])
}

// costOf estimates how many bytes the content of an input has.
func (r *run) costOf(in *input) int64 {
	size := in.size
	if suffixes.MatchString(in.name) {
		size *= 4
	}
	return min(size, r.cfg.MaxRecordBytes)
}

// readFile reads the whole of an input's content. When that cannot be done it
// returns the cause.
func (r *run) readFile(ctx context.Context, in *input) (data []byte, repairs []Count, cause string, err error) {
	f, err := r.places.open(ctx, in)
	if err != nil {
		return nil, nil, causeUnreadable, err
	}
	defer f.close()
	content, err := decompress(&metered{ctx, f.from(0), r.cfg.Meter}, 1, nil)
	if err != nil {
		return nil, nil, causeDamaged, err
	}
	defer content.Close()
	var buf bytes.Buffer
	buf.Grow(int(min(in.size, r.cfg.MaxRecordBytes)) + bytes.MinRead)
	n, err := io.Copy(&buf, io.LimitReader(content, r.cfg.MaxRecordBytes+1))
	switch {
	case isFar(err):
		return nil, nil, "", err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, causeTruncated, fmt.Errorf("after %d bytes: %w", n, err)
	case err != nil && isInput(err):
		return nil, nil, causeUnreadable, err
	case err != nil:
		return nil, nil, causeDamaged, fmt.Errorf("after %d bytes: %w", n, err)
	case n > r.cfg.MaxRecordBytes:
		return nil, nil, causeTooLarge, fmt.Errorf("it has more than %d bytes", r.cfg.MaxRecordBytes)
	}
	if garbage(content) {
		repairs = append(repairs, Count{Name: causeGarbage, Count: 1})
	}
	return buf.Bytes(), repairs, "", nil
}

// book reads a book in plain text, HTML or EPUB. What the catalogue of Project
// Gutenberg says of it, in a file beside it, counts for more than its header.
func (r *run) book(in *input, name string, data []byte) item {
	var b books.Book
	switch {
	case books.IsEPUB(data) || strings.EqualFold(filepath.Ext(suffixes.ReplaceAllString(name, "")), ".epub"):
		var err error
		b, err = books.ParseEPUB(data, r.cfg.MaxRecordBytes, r.cfg.Books)
		switch {
		case errors.Is(err, books.ErrEncrypted):
			return item{cause: "encrypted book", detail: err.Error()}
		case errors.Is(err, books.ErrTooLarge):
			return item{cause: causeTooLarge, detail: err.Error()}
		case err != nil:
			return item{cause: "unreadable EPUB", detail: err.Error()}
		}
		b.Language = shortLanguage(b.Language)
	case books.IsHTML(data):
		var err error
		if b, err = books.ParseHTML(data); err != nil {
			return item{cause: "page that cannot be parsed", detail: err.Error()}
		}
		b.Language = shortLanguage(b.Language)
	default:
		b = books.ParseText(data)
	}
	if m := catalogued(in); m != nil {
		b.Title, b.Author = cmp.Or(m.Title, b.Title), cmp.Or(m.Author, b.Author)
		b.Language = cmp.Or(shortLanguage(m.Language), b.Language)
	}
	return bookItem(name, b)
}

// maxCatalogue bounds an entry of the catalogue.
const maxCatalogue = 1 << 20

// catalogued reads the entry of Project Gutenberg's catalogue that lies beside a
// book, as "pg1342.rdf" beside "1342-0.txt", or nil.
func catalogued(in *input) *books.Metadata {
	if in == nil || in.far != nil || in.shown != "" {
		return nil
	}
	path := in.path
	number := gutenbergNumber.FindString(filepath.Base(path))
	if number == "" {
		return nil
	}
	for _, name := range [...]string{"pg" + number + ".rdf", number + ".rdf"} {
		f, err := os.Open(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			continue
		}
		data, err := io.ReadAll(io.LimitReader(f, maxCatalogue))
		f.Close()
		if err != nil {
			continue
		}
		if m, err := books.ParseRDF(data); err == nil {
			return m
		}
	}
	return nil
}

var gutenbergNumber = regexp.MustCompile(`[0-9]{1,7}`)

func bookItem(name string, b books.Book) item {
	it := item{key: name, encoding: b.Encoding, repairs: []Count{{Name: repairControls, Count: int64(b.Dropped)}, {Name: repairUTF8, Count: int64(b.Replaced)}}}
	if b.Title == "" {
		b.Title = stem(name)
	}
	it.left = []Count{{Name: "front matter", Count: int64(b.FrontMatter)}, {Name: "notes", Count: int64(b.Notes)}}
	d := &Document{Title: b.Title, Author: b.Author, Language: b.Language, Text: b.Text}
	for _, at := range b.Chapters {
		d.Chapters = append(d.Chapters, int32(at))
	}
	return it.document(d)
}

func textItem(name string, data []byte) item {
	text, encoding, replaced := books.Decode(data)
	text, dropped := cleanText(text)
	it := item{key: name, encoding: encoding, source: source{bytes: int64(len(data)), digits: wiki.Digits(text)}, repairs: []Count{{Name: repairControls, Count: int64(dropped)}, {Name: repairUTF8, Count: int64(replaced)}}}
	return it.document(&Document{Title: stem(name), Text: text})
}

// document completes an item with its document, or with the cause that there is
// none.
func (it item) document(d *Document) item {
	text := strings.TrimLeftFunc(d.Text, unicode.IsSpace)
	for i := range d.Chapters {
		d.Chapters[i] = max(0, d.Chapters[i]-int32(len(d.Text)-len(text)))
	}
	d.Text = strings.TrimRightFunc(text, unicode.IsSpace)
	if d.Text == "" {
		it.cause, it.detail, it.quiet = causeEmpty, d.Title, true
		return it
	}
	for _, s := range [...]*string{&d.Title, &d.Author, &d.URL, &d.Language, &d.Revision, &d.Date} {
		*s = cleanLine(*s)
	}
	it.doc = d
	return it
}

// stem is the name of a file without its directory and its suffixes.
func stem(name string) string {
	base := suffixes.ReplaceAllString(filepath.Base(filepath.FromSlash(name)), "")
	return strings.TrimSuffix(base, filepath.Ext(base))
}

// cleanLine makes s valid UTF-8 on one line.
func cleanLine(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError }) < 0 {
		return s
	}
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
}

// cleanText makes every line end "\n" and leaves out control characters other
// than tabs. The text is valid UTF-8.
func cleanText(text string) (clean string, dropped int) {
	if strings.IndexFunc(text, isUnwanted) < 0 {
		return text, 0
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	clean = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\f' || r == '\v':
			return '\n'
		case r == 0xfeff:
			return -1
		case isUnwanted(r):
			dropped++
			return -1
		}
		return r
	}, text)
	return clean, dropped
}

func isUnwanted(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff }

// validText returns data as UTF-8 with U+FFFD for each byte that is part of no
// character, and how many there were.
func validText(data []byte) (text string, replaced int) {
	if utf8.Valid(data) {
		return string(data), 0
	}
	var out strings.Builder
	out.Grow(len(data) + 16)
	for len(data) > 0 {
		r, size := utf8.DecodeRune(data)
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		out.WriteRune(r)
		data = data[size:]
	}
	return out.String(), replaced
}
