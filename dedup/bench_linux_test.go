package dedup

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest"
)

// processorTime is what the process has used so far, of all cores.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// realTexts returns some 12 MB of books.
func realTexts(b *testing.B) (texts []string, size int) {
	data := realData(b)
	if data == "" {
		return nil, 0
	}
	paths, err := filepath.Glob(filepath.Join(data, "books", "*", "*.txt.gz"))
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range paths {
		text := strings.ToValidUTF8(readGzip(b, p), "?")
		texts = append(texts, text)
		if size += len(text); size > 12_000_000 {
			break
		}
	}
	return texts, size
}

// The plain form of signing: words by fields, one hash a shingle of joined words,
// one function after another.
func plainSignature(sig []uint32, p permutations, text string, n int) {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	for i := 0; i+n <= len(words); i++ {
		x := uint32(xxh3.HashString(strings.Join(words[i:i+n], " ")) >> 32)
		for j := range sig {
			sig[j] = min(sig[j], p.a[j]*x+p.b[j])
		}
	}
}

// BenchmarkBooks signs real books with 112 functions over word 5-grams. cpu-MB/s
// is text per second of processor time, which a busy machine does not change much.
func BenchmarkBooks(b *testing.B) {
	texts, size := realTexts(b)
	if texts == nil {
		return
	}
	p := newPermutations(112, 1)
	sig := make([]uint32, 112)
	s := newShingler(5)
	chunk := make([]uint64, 0, 1<<10)
	for _, c := range []struct {
		name string
		sign func(text string)
	}{
		{"vector", func(text string) {
			s.hashWords(text)
			s.each(chunk, func(c []uint64) { p.update(sig, c) })
		}},
		{"scalar", func(text string) {
			s.hashWords(text)
			s.each(chunk, func(c []uint64) { p.updateReference(sig, c) })
		}},
		{"plain", func(text string) { plainSignature(sig, p, text, 5) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			began := processorTime()
			for b.Loop() {
				for _, text := range texts {
					resetSignature(sig)
					c.sign(text)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/1e6/(processorTime()-began).Seconds(), "cpu-MB/s")
		})
	}
}

// BenchmarkRules runs whole rules, documents in to marks out, over real books cut
// into documents of some 4 kB.
func BenchmarkRules(b *testing.B) {
	texts, size := realTexts(b)
	if texts == nil {
		return
	}
	dir := b.TempDir()
	var docs []ingest.Document
	for i, text := range texts {
		for at := 0; at < len(text); at += 4096 {
			docs = append(docs, ingest.Document{Record: int64(i<<20 + at>>12), File: "books", Text: strings.ToValidUTF8(text[at:min(at+4096, len(text))], "?")})
		}
	}
	writeDocuments(b, dir, "books", docs...)
	o := options(b, "fineweb")
	for _, c := range []struct {
		name string
		rule func(context.Context, Config) (*Report, error)
	}{
		{"exact", Exact},
		{"minhash", func(ctx context.Context, c Config) (*Report, error) { return MinHash(ctx, c, o) }},
		{"paragraph", func(ctx context.Context, c Config) (*Report, error) { return Paragraph(ctx, c, 5) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			began := processorTime()
			for b.Loop() {
				if err := os.RemoveAll(marksDir(dir, "books")); err != nil {
					b.Fatal(err)
				}
				r, err := c.rule(context.Background(), Config{Data: dir})
				if err != nil || r.Skipped {
					b.Fatal(r, err)
				}
			}
			b.ReportMetric(float64(size)*float64(b.N)/1e6/(processorTime()-began).Seconds(), "cpu-MB/s")
		})
	}
}
