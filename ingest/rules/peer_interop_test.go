//go:build interop

package rules

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/ingest/webpage"
)

// peer runs datatrove's filters over texts with our words and sentences.
func peer(t *testing.T, mode string, texts []string) []byte {
	t.Helper()
	find := exec.Command("sh", filepath.Join("..", "..", "interop", "ingest", "python.sh"), "quality")
	find.Stderr = os.Stderr
	python, err := find.Output()
	if err != nil {
		t.Fatalf("the peer cannot be installed: %v", err)
	}
	var in bytes.Buffer
	enc := json.NewEncoder(&in)
	m := signals.NewMeter()
	for _, text := range texts {
		sentences := map[string]int64{}
		for line := range strings.SplitSeq(text, "\n") {
			trimmed := strings.TrimFunc(line, unicode.IsSpace)
			sentences[citation.ReplaceAllString(trimmed, "")] = m.Measure(line, "").Sentences
		}
		if err := enc.Encode(map[string]any{"text": text, "words": signals.Tokens(text), "sentences": sentences}); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(strings.TrimSpace(string(python)), filepath.Join("..", "..", "interop", "ingest", "quality_peer.py"), mode)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the peer failed: %v", err)
	}
	return out
}

var citation = regexp.MustCompile(`\[\d*]|\[edit]|\[citation needed]`)

// theirs are the names that datatrove has for our reasons.
var theirs = map[string]string{
	"short": "gopher_short_doc", "long": "gopher_long_doc", "short_words": "gopher_below_avg_threshold", "long_words": "gopher_above_avg_threshold",
	"hashes": "gopher_too_many_hashes", "ellipses": "gopher_too_many_ellipsis", "bullets": "gopher_too_many_bullets",
	"trailing_ellipses": "gopher_too_many_end_ellipsis", "few_letters": "gopher_below_alpha_threshold", "few_stop_words": "gopher_enough_stop_words",

	"dup_paragraphs": "dup_para_frac", "dup_paragraph_chars": "dup_para_char_frac", "dup_lines": "dup_line_frac", "dup_line_chars": "dup_line_char_frac",
	"top_2gram": "top_2_gram", "top_3gram": "top_3_gram", "top_4gram": "top_4_gram",
	"dup_5gram": "duplicated_5_n_grams", "dup_6gram": "duplicated_6_n_grams", "dup_7gram": "duplicated_7_n_grams",
	"dup_8gram": "duplicated_8_n_grams", "dup_9gram": "duplicated_9_n_grams", "dup_10gram": "duplicated_10_n_grams",

	"unended_lines": "line_punct_ratio", "short_lines": "short_line_ratio", "dup_chars": "char_dup_ratio", "line_breaks": "list_ratio",

	"lorem_ipsum": "lorem_ipsum", "curly_bracket": "curly_bracket", "few_sentences": "too_few_sentences",
}

// left is what C4 leaves of a text, given the lines to cut.
func left(text string, cuts []Finding) string {
	var kept []string
	at := 0
	for line := range strings.SplitSeq(text, "\n") {
		cut := false
		for _, f := range cuts {
			cut = cut || f.Start == int64(at)
		}
		at += len(line) + 1
		if trimmed := strings.TrimFunc(line, unicode.IsSpace); !cut && trimmed != "" {
			kept = append(kept, citation.ReplaceAllString(trimmed, ""))
		}
	}
	return strings.TrimFunc(strings.Join(kept, "\n"), unicode.IsSpace)
}

// madeTexts are texts in which the rules have much to find.
func madeTexts() []string {
	random := rand.New(rand.NewPCG(1, 2))
	fragments := []string{
		"the ", "of ", "and ", "with ", "to be ", "have ", "cat ", "house ", "river ", "12 ", "3.14 ", "# ", "... ", "… ", ", ", ". ", "! ", "? ", "\n", "\n", "\n\n", "- ", "• ",
		"lorem ipsum ", "JavaScript ", "terms of use ", "Privacy Policy ", "use cookies ", "{", "[1]", "[edit]", "\"", "'", "(x) ", "don't ", "naïve ", "Größe ", "日本語です。", "привет ",
		"It is so that the cat is of the house.\n", "One two three four five.\n", "There is a river in the valley and it is long.\n", "And so on and on...\n", "Read more\n", "Home\n",
	}
	var texts []string
	for range 1500 {
		// A few fragments, so that texts repeat themselves more or less.
		some := make([]string, 1+random.IntN(12))
		for i := range some {
			some[i] = fragments[random.IntN(len(fragments))]
		}
		var b strings.Builder
		if random.IntN(2) == 0 {
			b.WriteString(plain(random.IntN(30)))
		}
		for range random.IntN(150) {
			b.WriteString(some[random.IntN(len(some))])
		}
		if b.Len() > 0 && strings.TrimSpace(b.String()) != "" {
			texts = append(texts, b.String())
		}
	}
	// And texts at the thresholds: k of n lines or words.
	for k := range 40 {
		rest := plain(40)[len(plain(k)):]
		texts = append(texts,
			plain(k)+strings.ReplaceAll(rest, ".\n", "\n"), plain(k)+strings.ReplaceAll(rest, ".\n", "...\n"), plain(k)+strings.ReplaceAll(rest, "The", "- The"),
			plain(20)+strings.Repeat("Yes\n", k+1), plain(20)+strings.Repeat("\n\nYes", k+1), plain(20)+strings.Repeat("#", k+1), plain(20)+strings.Repeat(" 12345", k+1),
			plain(k+1)+plain(20-k/2), plain(10)+strings.Repeat("so on ", k+1), strings.ReplaceAll(plain(30), "of", "\nof")+strings.Repeat("\n", k)+"x")
	}
	for k := range 16 {
		// A part of the text again, on one line; a paragraph again; long words.
		joined := func(n int) string { return strings.ReplaceAll(plain(n), "\n", " ") }
		texts = append(texts, joined(100)+joined(12+k), plain(3)+"\n"+plain(3+k)+"\n"+plain(20)+"\n"+plain(3+k)+"\nx\n\ny\n\nz", "the of "+strings.Repeat("internationalisation ", 40+k))
	}
	return texts
}

// realTexts are pages, articles and parts of books of the real data.
func realTexts(t *testing.T, root string) []string {
	t.Helper()
	var texts []string
	read := func(pattern string, most int) {
		paths, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		for _, path := range paths[:min(len(paths), most)] {
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			z, err := gzip.NewReader(f)
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(z)
			f.Close()
			if err != nil {
				t.Fatal(err)
			}
			all := strings.ReplaceAll(strings.ToValidUTF8(string(data), "\ufffd"), "\r\n", "\n")
			for len(all) > 0 {
				end := min(len(all), 4000)
				if i := strings.Index(all[end:], "\n\n"); i >= 0 {
					end += i
				} else {
					end = len(all)
				}
				if part := strings.TrimSpace(all[:end]); part != "" {
					texts = append(texts, part)
				}
				all = all[end:]
			}
		}
	}
	read("books/gutenberg/*.txt.gz", 12)
	read("lm/enwiki-extracted/*.txt.gz", 3)
	for _, name := range []string{"article-extraction-benchmark.tar", "trafilatura-eval.tar.zst", "mozilla-readability.tar.zst"} {
		texts = append(texts, pages(t, filepath.Join(root, "web", "html-gold", name))...)
	}
	return texts
}

// pages are the main texts of the pages in an archive.
func pages(t *testing.T, path string) (texts []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewReader(f, zstd.WithDecoderMaxWindow(1<<27))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		in = z
	}
	for archive := tar.NewReader(in); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return texts
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(h.Name, ".html") || strings.Contains(h.Name, "expected") {
			continue
		}
		var page io.Reader = archive
		if strings.HasSuffix(h.Name, ".gz") {
			if page, err = gzip.NewReader(archive); err != nil {
				t.Fatal(err)
			}
		}
		data, err := io.ReadAll(page)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := webpage.Extract(data, ""); err == nil && strings.TrimSpace(r.Text) != "" {
			texts = append(texts, r.Text)
		}
	}
}

// TestAgainstDatatrove: on the same text, cut into the same words and sentences, every
// rule decides as datatrove's filter does and for the same reason, and C4 leaves the
// same lines.
func TestAgainstDatatrove(t *testing.T) {
	texts := madeTexts()
	if root := os.Getenv("TRIBUTARY_DATA"); root != "" {
		texts = append(texts, realTexts(t, root)...)
	}
	lines := bufio.NewScanner(bytes.NewReader(peer(t, "judge", texts)))
	lines.Buffer(nil, 64<<20)
	m := signals.NewMeter()
	dropped, wrong := map[string]int{}, 0
	for i, text := range texts {
		var peer map[string]string
		if !lines.Scan() {
			t.Fatalf("the peer judged %d texts of %d: %v", i, len(texts), lines.Err())
		}
		if err := json.Unmarshal(lines.Bytes(), &peer); err != nil {
			t.Fatal(err)
		}
		s := m.Measure(text, "en")
		for _, r := range choose(t, "gopher-quality", "gopher-repetition", "fineweb", "c4") {
			found, err := r.NewJudge().Judge(&s, text)
			if err != nil {
				t.Fatal(err)
			}
			ours := map[string]bool{}
			var cuts []Finding
			first := ""
			for _, f := range found {
				if f.Start >= 0 {
					cuts = append(cuts, f)
					continue
				}
				ours[theirs[f.Reason]] = true
				if first == "" {
					first = theirs[f.Reason]
				}
			}
			their := peer[r.Name]
			if r.Name == "c4" {
				// It tells of the first line that is amiss, we of all causes.
				first = their
				if !ours[their] {
					first = strings.Join(slices.Sorted(maps.Keys(ours)), " ")
				}
			}
			if first != their {
				if wrong++; wrong <= 10 {
					t.Errorf("text %d, %s: %q, theirs %q: %.300q", i, r.Name, first, their, text)
				}
			}
			if their != "" {
				dropped[r.Name+" "+their]++
			} else if r.Name == "c4" && left(text, cuts) != peer["c4_text"] {
				if wrong++; wrong <= 10 {
					t.Errorf("text %d: of %.300q C4 leaves %.300q, theirs %.300q", i, text, left(text, cuts), peer["c4_text"])
				}
			}
		}
	}
	for _, r := range choose(t, "gopher-quality", "gopher-repetition", "fineweb", "c4") {
		for _, c := range r.Conditions {
			if n := dropped[r.Name+" "+theirs[c.Reason]]; n == 0 && c.Reason != "long" {
				t.Errorf("%s: no text fails for %s first", r.Name, c.Reason)
			}
		}
	}
	t.Logf("%d texts, %d decisions differ; dropped: %v", len(texts), wrong, dropped)
}

// TestSpeedAgainstDatatrove measures all signals of Gopher, C4 and FineWeb in one pass,
// with the rules, against datatrove's filters, when TRIBUTARY_SPEED is set. Both run on
// one core and are measured by processor time.
func TestSpeedAgainstDatatrove(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if os.Getenv("TRIBUTARY_SPEED") == "" || root == "" {
		return
	}
	all := realTexts(t, root)
	random := rand.New(rand.NewPCG(3, 4))
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var sample []string
	var size int
	for _, text := range all {
		if size < 1<<20 {
			sample = append(sample, text)
			size += len(text)
		}
	}
	var result struct {
		Bytes, Texts int
		Own, Given   float64
	}
	if err := json.Unmarshal(peer(t, "time", sample), &result); err != nil {
		t.Fatal(err)
	}
	m := signals.NewMeter()
	var judges []*Judge
	for _, r := range choose(t, "gopher", "fineweb", "c4") {
		judges = append(judges, r.NewJudge())
	}
	var signalsOnly, withRules []float64
	for range 5 {
		for _, judged := range []bool{false, true} {
			began := processorTime()
			for range 5 {
				for _, text := range sample {
					s := m.Measure(text, "en")
					for _, j := range judges {
						if !judged {
							break
						}
						if _, err := j.Judge(&s, text); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			took := (processorTime() - began).Seconds() / 5
			if judged {
				withRules = append(withRules, took)
			} else {
				signalsOnly = append(signalsOnly, took)
			}
		}
	}
	ours, rules := median(signalsOnly), median(withRules)
	mb := float64(result.Bytes) / 1e6
	t.Logf("%d texts, %.2f MB: signals %.1f MB/cpu-s, signals and rules %.1f; datatrove %.3f with its own words, %.3f with words that are given: %.0f and %.0f times as fast",
		result.Texts, mb, mb/ours, mb/rules, mb/result.Own, mb/result.Given, result.Own/rules, result.Given/rules)
	if result.Own/rules < 40 {
		t.Errorf("%.1f times as fast as datatrove; the goal is 40", result.Own/rules)
	}
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
