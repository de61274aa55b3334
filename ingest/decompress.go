package ingest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/bzip2"
)

// maxZstdWindow is what zstd --long=27 needs.
const maxZstdWindow = 128 << 20

// errOtherPacking says that a file is packed in a way that is not read.
var errOtherPacking = errors.New("it is packed with xz or 7z; unpack it, or give its content to standard input: xz -dc FILE | corpus ingest -")

// decompress returns the content of r, unpacked when it begins like gzip, bzip2
// or zstd. damaged is called for each part of a bzip2 file that cannot be
// unpacked and is left out; nil makes damage an error. Closing the result does
// not close r.
func decompress(r io.Reader, jobs int, damaged func(*bzip2.DamageError)) (io.ReadCloser, error) {
	return decompressWith(r, bzip2.Options{Jobs: jobs, Damaged: damaged})
}

func decompressWith(r io.Reader, opts bzip2.Options) (io.ReadCloser, error) {
	buf := bufio.NewReaderSize(r, 256<<10)
	head, err := buf.Peek(6)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")), bytes.HasPrefix(head, []byte("7z\xbc\xaf\x27\x1c")):
		return nil, errOtherPacking
	case bytes.HasPrefix(head, []byte("\x1f\x8b")):
		z, err := gzip.NewReader(buf)
		if err != nil {
			return nil, fmt.Errorf("gzip: %w", err)
		}
		z.Multistream(false)
		return &gunzip{Reader: z, src: buf}, nil
	case bytes.HasPrefix(head, []byte("BZh")):
		return bzip2.NewReader(buf, opts), nil
	case bytes.HasPrefix(head, []byte("\x28\xb5\x2f\xfd")):
		z, err := zstd.NewReader(buf, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, fmt.Errorf("zstd: %w", err)
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(buf), nil
}

// gunzip unpacks the members of a gzip file. What follows the last is left out, as gzip
// itself does, and told of.
type gunzip struct {
	*gzip.Reader
	src *bufio.Reader
	// garbage says that something that is no member, nor zeros, follows the last.
	garbage bool
	ended   bool
}

func (g *gunzip) Read(p []byte) (int, error) {
	for !g.ended {
		n, err := g.Reader.Read(p)
		if n > 0 || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) {
				err = nil // of the member
			}
			return n, err
		}
		head, err := g.src.Peek(2)
		switch {
		case len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b:
			if err := g.Reset(g.src); err != nil {
				return 0, fmt.Errorf("gzip: %w", err)
			}
			g.Multistream(false)
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return 0, err
		}
		g.ended = true
		g.garbage = len(bytes.Trim(head, "\x00")) > 0
	}
	return 0, io.EOF
}

// causeGarbage is what follows the end of a gzip file.
const causeGarbage = "bytes behind the end of a gzip file left out"

// garbage reports whether something was left out behind the end of a content.
func garbage(content io.Reader) bool {
	g, ok := content.(*gunzip)
	return ok && g.garbage
}
