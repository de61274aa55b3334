package bzip2

import (
	"bytes"
	stdlib "compress/bzip2"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// processorTime is what the process has used; a shared machine does not change it
// as it does the time by the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// dumpText is the content of real dumps below TRIBUTARY_DATA, or made text.
func dumpText(b *testing.B) []byte {
	dir := os.Getenv("TRIBUTARY_DATA")
	if dir == "" {
		text := corpora()["text"]
		return append(append(append([]byte(nil), text...), text...), text...)
	}
	var all []byte
	for _, name := range []string{"enwiki-latest-pages-articles1-shortened.xml.bz2", "viwiki-20230501-truncated-100k-lines.xml.bz2"} {
		f, err := os.Open(filepath.Join(dir, "mediawiki", "dumps", name))
		if err != nil {
			b.Fatal(err)
		}
		data, err := io.ReadAll(stdlib.NewReader(f))
		if err = errors.Join(err, f.Close()); err != nil {
			b.Fatal(err)
		}
		all = append(all, data...)
	}
	return all
}

// BenchmarkReader decodes the same streams by the standard library and by the
// Reader on one and two goroutines.
func BenchmarkReader(b *testing.B) {
	data := dumpText(b)
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
			begin := processorTime(b)
			defer func() {
				b.ReportMetric(float64(len(data))*float64(b.N)/1e6/(processorTime(b)-begin).Seconds(), "MB/cpu-s")
			}()
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
