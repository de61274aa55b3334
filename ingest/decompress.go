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
		return z, nil
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
