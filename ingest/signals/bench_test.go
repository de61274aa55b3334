package signals

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// realTexts reads the books of the real data, cut into documents of some 4 KB; none
// when TRIBUTARY_DATA is not set.
func realTexts(tb testing.TB) (texts []string, bytes int64) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		return nil, 0
	}
	paths, err := filepath.Glob(filepath.Join(root, "books/gutenberg/*.txt.gz"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, path := range paths[:min(len(paths), 8)] {
		f, err := os.Open(path)
		if err != nil {
			tb.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			tb.Fatal(err)
		}
		data, err := io.ReadAll(z)
		if err != nil {
			tb.Fatal(err)
		}
		f.Close()
		all := strings.ReplaceAll(strings.ToValidUTF8(string(data), "\ufffd"), "\r\n", "\n")
		for len(all) > 0 {
			end := min(len(all), 4000)
			if i := strings.Index(all[end:], "\n\n"); i >= 0 {
				end += i
			} else {
				end = len(all)
			}
			if t := strings.TrimSpace(all[:end]); t != "" {
				texts = append(texts, t)
				bytes += int64(len(t))
			}
			all = all[end:]
		}
	}
	return texts, bytes
}

// processorTime is what this process has used: the machine may be busy with others.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkMeasure(b *testing.B) {
	texts, bytes := realTexts(b)
	if texts == nil {
		texts = []string{strings.Repeat("The quick brown fox, it is said, jumps over 12 lazy dogs. ", 80)}
		bytes = int64(len(texts[0]))
	}
	m := NewMeter()
	b.SetBytes(bytes)
	b.ReportAllocs()
	before := processorTime()
	for b.Loop() {
		for _, t := range texts {
			m.Measure(t, "en")
		}
	}
	b.ReportMetric(float64(bytes)*float64(b.N)/1e6/(processorTime()-before).Seconds(), "MB/cpu-s")
}
