package dedup

import (
	"context"
	"encoding/json"
	"fmt"
	"index/suffixarray"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest"
)

// reference marks the bytes that repeat, by the standard library's suffix array
// (SA-IS): of every window of length bytes all places are looked up. docs are in
// the order of preference.
func reference(docs []string, length int, all bool) [][]bool {
	var text []byte
	var starts []int
	for _, d := range docs {
		starts = append(starts, len(text))
		text = append(append(text, d...), 0)
	}
	index := suffixarray.New(text)
	out := make([][]bool, len(docs))
	for i, d := range docs {
		out[i] = make([]bool, len(d))
		for j := 0; j+length <= len(d); j++ {
			at := starts[i] + j
			for _, other := range index.Lookup([]byte(d[j:j+length]), -1) {
				sameDoc := other >= starts[i] && other < starts[i]+len(d)
				if other != at && (!sameDoc || other-at >= length || at-other >= length) && (all || other < at) {
					for k := range length {
						out[i][j+k] = true
					}
					break
				}
			}
		}
	}
	return out
}

// preferred returns documents in the order of preference of one source: words,
// then id.
func preferred(docs []ingest.Document) []ingest.Document {
	docs = slices.Clone(docs)
	slices.SortStableFunc(docs, func(a, b ingest.Document) int {
		if x, y := len(strings.Fields(a.Text)), len(strings.Fields(b.Text)); x != y {
			return y - x
		}
		return strings.Compare(a.ID, b.ID)
	})
	return docs
}

type fatal interface {
	Fatalf(format string, args ...any)
	Fatal(args ...any)
}

func checkSubstring(t fatal, tb testing.TB, docs []ingest.Document, opt SubstringOptions) (marked int) {
	dir := tb.TempDir()
	w, err := ingest.NewWriter(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range docs {
		d := docs[i]
		if err := w.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := Substring(context.Background(), Config{Data: dir, Jobs: 2}, opt); err != nil {
		t.Fatal(err)
	}
	docs = preferred(docs)
	texts := make([]string, len(docs))
	number := map[string]int{}
	for i, d := range docs {
		texts[i], number[d.ID] = d.Text, i
	}
	want := reference(texts, opt.Length, opt.All)
	got := make([][]bool, len(docs))
	for i := range docs {
		got[i] = make([]bool, len(texts[i]))
	}
	for m, err := range Marks(context.Background(), dir, "web") {
		if err != nil {
			t.Fatal(err)
		}
		text, kept := texts[number[m.ID]], texts[number[m.Kept]]
		if text[m.Start:m.End] != kept[m.KeptStart:m.KeptEnd] {
			t.Fatalf("%s[%d:%d] is not %s[%d:%d]", m.ID, m.Start, m.End, m.Kept, m.KeptStart, m.KeptEnd)
		}
		if !wordEdge([]byte(text), int(m.Start)) || !wordEdge([]byte(text), int(m.End)) || !utf8.ValidString(text[m.Start:m.End]) {
			t.Fatalf("%s[%d:%d] cuts a word or a character of %q", m.ID, m.Start, m.End, text)
		}
		if !opt.All && (number[m.Kept] > number[m.ID] || m.Kept == m.ID && m.KeptStart >= m.Start) {
			t.Fatalf("%s[%d:%d] repeats %s[%d:%d], which comes later", m.ID, m.Start, m.End, m.Kept, m.KeptStart, m.KeptEnd)
		}
		marked++
		for k := m.Start; k < m.End; k++ {
			if got[number[m.ID]][k] {
				t.Fatalf("byte %d of %s is marked twice", k, m.ID)
			}
			got[number[m.ID]][k] = true
		}
	}
	for i, d := range docs {
		// Of a run of repeated bytes the parts of words at its ends may be left, and
		// where two repeats meet a word that neither holds whole.
		text := []byte(texts[i])
		for from := 0; from < len(text); from++ {
			if got[i][from] && !want[i][from] {
				t.Fatalf("byte %d of %s is marked and does not repeat: %q", from, d.ID, text)
			}
			if !want[i][from] || got[i][from] {
				continue
			}
			a, b := from, from+1
			for !wordEdge(text, a) {
				a--
			}
			for !wordEdge(text, b) {
				b++
			}
			whole := true // the word lies in one repeated window
			for k := a; k < b; k++ {
				whole = whole && want[i][k]
			}
			if whole && windowed(texts, i, a, b, opt) {
				t.Fatalf("byte %d of %s, in the word %q, repeats and is not marked: %q", from, d.ID, text[a:b], text)
			}
		}
	}
	return marked
}

// windowed reports whether text[a:b] of a document lies in one window that repeats.
func windowed(texts []string, i, a, b int, opt SubstringOptions) bool {
	single := []string{}
	single = append(single, texts[:i+1]...)
	if opt.All {
		single = texts
	}
	for j := max(0, b-opt.Length); j <= a && j+opt.Length <= len(texts[i]); j++ {
		window := texts[i][j : j+opt.Length]
		for k, other := range single {
			for from := 0; ; from++ {
				at := strings.Index(other[from:], window)
				if at < 0 {
					break
				}
				from += at
				if k != i || from+opt.Length <= j || opt.All && from >= j+opt.Length {
					return true
				}
			}
		}
	}
	return false
}

// Whatever the texts, what is marked is what a suffix array finds.
func TestSubstringIsWhatASuffixArrayFinds(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		pieces := rapid.SliceOfN(rapid.StringMatching(`[ab]{0,3}( [a-c.é東]{1,9}){0,6}`), 1, 5).Draw(rt, "pieces")
		n := rapid.IntRange(1, 6).Draw(rt, "documents")
		var docs []ingest.Document
		for i := range n {
			picks := rapid.SliceOfN(rapid.IntRange(0, len(pieces)-1), 0, 8).Draw(rt, "picks")
			var b strings.Builder
			for _, p := range picks {
				b.WriteString(pieces[p])
			}
			b.WriteString(rapid.SampledFrom([]string{"", " end", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "ab ab ab ab ab ab ab ab ab"}).Draw(rt, "end"))
			docs = append(docs, doc(fmt.Sprintf("d%02d", i), b.String()+"."))
		}
		checkSubstring(rt, t, docs, SubstringOptions{Length: rapid.IntRange(8, 24).Draw(rt, "length"), All: rapid.Bool().Draw(rt, "all")})
	})
}

// boilerplate makes documents with a common notice, each in its own surroundings.
func boilerplate(n int, seed uint64) []ingest.Document {
	rng := rand.New(rand.NewPCG(seed, 3))
	words := func(n int) string {
		var b strings.Builder
		for range n {
			fmt.Fprintf(&b, "w%x ", rng.IntN(1<<20))
		}
		return b.String()
	}
	notice := words(60)
	var docs []ingest.Document
	for i := range n {
		docs = append(docs, doc(fmt.Sprintf("d%05d", i), words(20+rng.IntN(40))+notice+words(20)))
	}
	return docs
}

// A notice in many surroundings goes the way of many places.
func TestSubstringOfBoilerplate(t *testing.T) {
	for _, all := range []bool{false, true} {
		docs := boilerplate(60, 1)
		want := len(docs) - 1
		if all {
			want++
		}
		if marked := checkSubstring(t, t, docs, SubstringOptions{Length: 100, All: all}); marked < want || marked > want+2 {
			// Now and then a longer repeat begins by chance before the notice.
			t.Errorf("all %v: %d marks, want %d", all, marked, want)
		}
	}
}

func substringRule(opt SubstringOptions) func(context.Context, Config) (*Report, error) {
	return func(ctx context.Context, cfg Config) (*Report, error) { return Substring(ctx, cfg, opt) }
}

func TestSubstringMarksDependOnTheInputAlone(t *testing.T) {
	docs := append(boilerplate(300, 2), planted(60, []float64{0.7, 1}, 5)...)
	for _, opt := range []SubstringOptions{{Length: 64}, {Length: 64, All: true}, {Length: 20, Tokens: wordTokens}} {
		want := marksDigest(t, docs, Config{Jobs: 1}, substringRule(opt))
		reversed := slices.Clone(docs)
		slices.Reverse(reversed[:len(docs)/2])
		slices.Reverse(reversed[len(docs)/2:])
		for _, cfg := range []Config{{Jobs: 3}, {Jobs: 2, MemoryBytes: 1}} {
			if marksDigest(t, reversed, cfg, substringRule(opt)) != want {
				t.Errorf("%+v: workers, order or memory change the marks", opt)
			}
		}
	}
}

// wordTokens are fields, numbered by their bytes.
func wordTokens() (func([]Token, string) ([]Token, error), error) {
	return func(dst []Token, text string) ([]Token, error) {
		for from, to := range fields(text) {
			id := int32(0)
			for _, c := range []byte(text[from:to]) {
				id = id*257 + int32(c)
			}
			dst = append(dst, Token{id & 0x7fffffff, from, to})
		}
		return dst, nil
	}, nil
}

func TestSubstringOfTokens(t *testing.T) {
	dir := t.TempDir()
	docs := boilerplate(10, 4)
	for i := range docs {
		docs[i].Text = strings.ReplaceAll(docs[i].Text, " ", strings.Repeat(" ", 1+i%3)) // tokens do not see it
	}
	writeDocuments(t, dir, "web", docs...)
	r, err := Substring(context.Background(), Config{Data: dir}, SubstringOptions{Tokens: wordTokens, TokensOf: "fields"})
	if err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for _, d := range docs {
		text[d.ID] = d.Text
	}
	marks := marksOf(t, dir, "web")
	for _, m := range marks {
		a, b := strings.Fields(text[m.ID][m.Start:m.End]), strings.Fields(text[m.Kept][m.KeptStart:m.KeptEnd])
		if !slices.Equal(a, b) || len(a) != 60 {
			t.Errorf("%d tokens %v are %v", len(a), a, b)
		}
	}
	var f SubstringFigures
	if err := json.Unmarshal(r.Figures, &f); err != nil || len(marks) != 9 || f.Spans != 9 || f.Length != 50 || r.Groups != 1 {
		t.Errorf("%d marks, figures %s (%v)", len(marks), r.Figures, err)
	}
	if _, err := Substring(context.Background(), Config{Data: dir}, SubstringOptions{Length: 3}); err == nil {
		t.Error("repeats of three bytes were accepted")
	}
	if _, err := Substring(context.Background(), Config{Data: dir}, SubstringOptions{Tokens: func() (func([]Token, string) ([]Token, error), error) {
		return func([]Token, string) ([]Token, error) { return []Token{{1, 5, 1 << 40}}, nil }, nil
	}}); err == nil || !strings.Contains(err.Error(), "a token covers") {
		t.Errorf("a token beyond its text: %v", err)
	}
}

// A text of one repeated word keeps one stretch of it.
func TestSubstringOfARepeatedWord(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", doc("long", strings.Repeat("word ", 40_000)), doc("one", strings.Repeat("x", 100_000)), doc("marks", strings.Repeat("!? ", 5000)))
	if _, err := Substring(context.Background(), Config{Data: dir}, SubstringOptions{Length: 200}); err != nil {
		t.Fatal(err)
	}
	left := map[string]int64{"long": 200_000, "one": 100_000, "marks": 15_000}
	for _, m := range marksOf(t, dir, "web") {
		left[m.ID] -= m.End - m.Start
	}
	// "one" has no edge of a word but its ends: what remains of a cut at one end.
	if left["long"] < 200 || left["long"] > 210 || left["marks"] < 200 || left["marks"] > 210 || left["one"] != 100_000 {
		t.Errorf("left %v bytes", left)
	}
}
