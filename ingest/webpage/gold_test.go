package webpage

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/text/unicode/norm"
)

// untar reads an archive of labelled pages.
func untar(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<30))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	}
	files := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(tr)
		if err != nil {
			t.Fatal(err)
		}
		if name, ok := strings.CutSuffix(h.Name, ".gz"); ok {
			z, err := gzip.NewReader(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			if data, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
			h.Name = name
		}
		files[h.Name] = data
	}
}

// shingles counts the runs of four words, as the article extraction benchmark
// does.
func shingles(text string) map[string]int {
	tokens := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
	out := map[string]int{}
	n := 4
	if len(tokens) > 0 && len(tokens) < n {
		n = len(tokens)
	}
	for i := 0; i+n <= len(tokens); i++ {
		out[strings.Join(tokens[i:i+n], " ")]++
	}
	return out
}

// goldSet is a set of pages of which people marked the text.
type goldSet struct {
	name  string
	pages map[string][]byte
	// score compares the texts that were taken out of the pages.
	score func(texts map[string]string) (f1, precision, recall float64)
}

// labelled reads the sets below a directory of data.
func labelled(t *testing.T, root string) []goldSet {
	t.Helper()
	dir := filepath.Join(root, "web", "html-gold")
	files := untar(t, filepath.Join(dir, "article-extraction-benchmark.tar"))
	var bodies map[string]struct{ ArticleBody string }
	if err := json.Unmarshal(files["ground-truth.json"], &bodies); err != nil {
		t.Fatal(err)
	}
	articles := goldSet{name: "article extraction benchmark", pages: map[string][]byte{}}
	want := map[string]string{}
	for id, w := range bodies {
		articles.pages[id+".html"], want[id+".html"] = files["html/"+id+".html"], w.ArticleBody
	}
	articles.score = func(texts map[string]string) (f1, p, r float64) { return shingleScore(want, texts) }

	files = untar(t, filepath.Join(dir, "trafilatura-eval.tar.zst"))
	var marked map[string]struct {
		File          string
		With, Without []string
	}
	if err := json.Unmarshal(files["evaldata.json"], &marked); err != nil {
		t.Fatal(err)
	}
	segments := goldSet{name: "trafilatura's segments", pages: map[string][]byte{}}
	for _, w := range marked {
		segments.pages[strings.ReplaceAll(w.File, "/", "_")] = files["html/"+w.File]
	}
	segments.score = func(texts map[string]string) (f1, p, r float64) {
		var tp, fn, fp float64
		for _, w := range marked {
			text := norm.NFC.String(collapse(texts[strings.ReplaceAll(w.File, "/", "_")]))
			for _, s := range w.With {
				if strings.Contains(text, norm.NFC.String(collapse(s))) {
					tp++
				} else {
					fn++
				}
			}
			for _, s := range w.Without {
				if strings.Contains(text, norm.NFC.String(collapse(s))) {
					fp++
				}
			}
		}
		return 2 * tp / (2*tp + fp + fn), tp / (tp + fp), tp / (tp + fn)
	}

	files = untar(t, filepath.Join(dir, "mozilla-readability.tar.zst"))
	reader := goldSet{name: "Mozilla's reader view", pages: map[string][]byte{}}
	views := map[string]string{}
	for name, data := range files {
		id, ok := strings.CutSuffix(name, "/expected.html")
		if !ok {
			continue
		}
		view, err := Whole(data, "text/html; charset=utf-8")
		if err != nil {
			t.Fatal(err)
		}
		reader.pages[id+".html"], views[id+".html"] = files[id+"/source.html"], view.Text
	}
	reader.score = func(texts map[string]string) (f1, p, r float64) { return shingleScore(views, texts) }
	return []goldSet{articles, segments, reader}
}

// shingleScore is that of the article extraction benchmark: precision and recall
// of runs of four words, averaged over the pages.
func shingleScore(want, got map[string]string) (f1, precision, recall float64) {
	for name, w := range want {
		a, b := shingles(w), shingles(got[name])
		tp, fp, fn := 0.0, 0.0, 0.0
		for s, n := range a {
			m := min(n, b[s])
			tp += float64(m)
			fn += float64(n - m)
		}
		for s, n := range b {
			fp += float64(max(0, n-a[s]))
		}
		p, r := 1.0, 1.0
		if fp > 0 || tp > 0 {
			p = tp / (tp + fp)
		}
		if fn > 0 || tp > 0 {
			r = tp / (tp + fn)
		}
		precision += p
		recall += r
	}
	n := float64(len(want))
	precision, recall = precision/n, recall/n
	return 2 * precision * recall / (precision + recall), precision, recall
}

// extractAll returns the texts of a set's pages and the processor time it took.
func (g *goldSet) extractAll(t *testing.T) (map[string]string, time.Duration) {
	t.Helper()
	texts := map[string]string{}
	best := time.Duration(1 << 62)
	for range 3 {
		start := processorTime(t)
		for name, page := range g.pages {
			p, err := Extract(page, "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			texts[name] = p.Text
		}
		best = min(best, processorTime(t)-start)
	}
	return texts, best
}

func processorTime(t testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestLabelledPages holds the extraction to what it reaches on pages whose text
// people marked.
func TestLabelledPages(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		t.Log("TRIBUTARY_DATA names no directory of labelled pages")
		return
	}
	for i, g := range labelled(t, root) {
		texts, took := g.extractAll(t)
		f1, p, r := g.score(texts)
		t.Logf("%s: %d pages, F1 %.4f, precision %.4f, recall %.4f, %.0f pages per second of processor time", g.name, len(g.pages), f1, p, r, float64(len(g.pages))/took.Seconds())
		if least := [...]float64{0.965, 0.93, 0.93}[i]; f1 < least {
			t.Errorf("%s: F1 %.4f, it was over %.2f", g.name, f1, least)
		}
	}
}
