package bzip2

import (
	"bytes"
	stdlib "compress/bzip2"
	"io"
	"testing"
)

// BenchmarkReader decodes the same streams by the standard library and by the
// Reader on one and two goroutines.
func BenchmarkReader(b *testing.B) {
	text := corpora()["text"]
	data := append(append(append([]byte(nil), text...), text...), text...)
	packed := pack(b, 9, data)
	for _, c := range []struct {
		name string
		open func(io.Reader) io.Reader
	}{
		{"stdlib", stdlib.NewReader},
		{"jobs=1", func(r io.Reader) io.Reader { return NewReader(r, Options{Jobs: 1}) }},
		{"jobs=2", func(r io.Reader) io.Reader { return NewReader(r, Options{Jobs: 2}) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				r := c.open(bytes.NewReader(packed))
				if n, err := io.Copy(io.Discard, r); err != nil || n != int64(len(data)) {
					b.Fatal(n, err)
				}
				if c, ok := r.(io.Closer); ok {
					if err := c.Close(); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkWriter(b *testing.B) {
	data := corpora()["text"]
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		w := NewWriter(io.Discard, 9)
		if _, err := w.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
