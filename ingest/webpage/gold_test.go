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
	"testing"
	"time"
	"unicode"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
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

// TestLabelledPages measures the extraction on pages whose text people marked.
func TestLabelledPages(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		t.Log("TRIBUTARY_DATA names no directory of labelled pages")
		return
	}
	dir := filepath.Join(root, "web", "html-gold")

	files := untar(t, filepath.Join(dir, "article-extraction-benchmark.tar"))
	var truth map[string]struct{ ArticleBody string }
	if err := json.Unmarshal(files["ground-truth.json"], &truth); err != nil {
		t.Fatal(err)
	}
	var precision, recall float64
	var spent time.Duration
	size, pages := 0, 0
	for id, want := range truth {
		page := files["html/"+id+".html"]
		start := time.Now()
		got, err := Extract(page, "")
		spent += time.Since(start)
		size += len(page)
		if err != nil {
			t.Fatal(err)
		}
		a, b := shingles(want.ArticleBody), shingles(got.Text)
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
		if sum := tp + fp + fn; sum > 0 {
			tp, fp, fn = tp/sum, fp/sum, fn/sum
		}
		if fp > 0 || tp > 0 {
			p = tp / (tp + fp)
		}
		if fn > 0 || tp > 0 {
			r = tp / (tp + fn)
		}
		if tp == 0 && fp > 0 {
			p = 0
		}
		precision += p
		recall += r
		pages++
		if 2*p*r < 0.8*(p+r) {
			t.Logf("%.60s: precision %.3f recall %.3f", id, p, r)
		}
	}
	p, r := precision/float64(pages), recall/float64(pages)
	t.Logf("article extraction benchmark: %d pages, F1 %.4f, precision %.4f, recall %.4f, %.0f pages/s, %.1f MB/s",
		pages, 2*p*r/(p+r), p, r, float64(pages)/spent.Seconds(), float64(size)/1e6/spent.Seconds())

	files = untar(t, filepath.Join(dir, "trafilatura-eval.tar.zst"))
	var segments map[string]struct {
		File          string
		With, Without []string
	}
	if err := json.Unmarshal(files["evaldata.json"], &segments); err != nil {
		t.Fatal(err)
	}
	var tp, fn, fp, tn float64
	for url, want := range segments {
		page, ok := files["html/"+want.File]
		if !ok {
			t.Logf("%s: no page %s", url, want.File)
			continue
		}
		got, err := Extract(page, "")
		if err != nil {
			t.Fatal(err)
		}
		text := collapse(got.Text)
		for _, s := range want.With {
			if strings.Contains(text, collapse(s)) {
				tp++
			} else {
				fn++
				t.Logf("lost   %-50.50s %.70q", want.File, s)
			}
		}
		for _, s := range want.Without {
			if strings.Contains(text, collapse(s)) {
				fp++
				t.Logf("kept   %-50.50s %.70q", want.File, s)
			} else {
				tn++
			}
		}
	}
	t.Logf("segments: F1 %.4f, precision %.4f, recall %.4f, accuracy %.4f", 2*tp/(2*tp+fp+fn), tp/(tp+fp), tp/(tp+fn), (tp+tn)/(tp+tn+fp+fn))
}
