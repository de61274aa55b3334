package mixer

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

// noticed writes a source whose texts repeat notices of each other, and a tokenizer.
func noticed(t *testing.T) (dir string, texts map[string]string) {
	t.Helper()
	dir = t.TempDir()
	texts = map[string]string{}
	r := rand.New(rand.NewPCG(1, 2))
	sentence := func(n int) string {
		var words []string
		for range n {
			words = append(words, string([]byte{byte('a' + r.IntN(26)), byte('a' + r.IntN(26)), byte('a' + r.IntN(26))}))
		}
		return strings.Join(words, " ") + ". "
	}
	var notices []string
	for range 3 {
		notices = append(notices, sentence(12)+sentence(30)+sentence(20))
	}
	w, err := ingest.NewWriter(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 120 {
		var parts []string
		for p := range 1 + i%4 {
			parts = append(parts, sentence(5+i%7)+sentence(3+p))
			if i%3 > 0 {
				parts = append(parts, notices[(i+p)%3])
			}
		}
		if i%10 == 9 { // in the midst of a sentence, where only bytes repeat
			parts = append(parts, "Zum Beispiel "+notices[0][:150]+" für äußere Zwecke.")
		}
		d := ingest.Document{File: "dump", Record: int64(i), Text: strings.Join(parts, "\n\n")}
		if err := w.Add(&d); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	for d, err := range ingest.Documents(context.Background(), dir, "web") {
		if err != nil {
			t.Fatal(err)
		}
		texts[d.ID] = d.Text
	}
	var all iter.Seq2[string, error] = func(yield func(string, error) bool) {
		for _, text := range texts {
			if !yield(text, nil) {
				return
			}
		}
	}
	tok, err := tokenize.TrainWordPiece(context.Background(), all, tokenize.TrainOptions{VocabSize: 300})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Save(filepath.Join(dir, "tokenizers", "wp")); err != nil {
		t.Fatal(err)
	}
	return dir, texts
}

func shardWeb(t *testing.T, dir string) {
	t.Helper()
	if _, err := shards.Build(context.Background(), shards.Config{Data: dir, Tokenizer: "wp"}); err != nil {
		t.Fatal(err)
	}
}

func markWeb(t *testing.T, dir string) {
	t.Helper()
	cfg := dedup.Config{Data: dir}
	if _, err := dedup.Paragraph(context.Background(), cfg, 5); err != nil {
		t.Fatal(err)
	}
	if _, err := dedup.Substring(context.Background(), cfg, dedup.SubstringOptions{Length: 100}); err != nil {
		t.Fatal(err)
	}
}

// reference is what is left of a document: all tokens, and which of them stay.
type reference struct {
	tokens []int32
	stays  []bool
}

func references(t *testing.T, dir string, texts map[string]string, rules func(string) bool) map[string]reference {
	t.Helper()
	tok, err := tokenize.Open(filepath.Join(dir, "tokenizers", "wp"))
	if err != nil {
		t.Fatal(err)
	}
	enc := tok.NewEncoder()
	cuts := map[string]dedup.Cut{}
	for c, err := range dedup.Cuts(context.Background(), dir, "web", rules, t.TempDir(), 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		cuts[c.ID] = c
	}
	out := map[string]reference{}
	for id, text := range texts {
		var r reference
		from := 0
		for _, to := range ingest.SentenceEnds(text, nil) {
			var e tokenize.Encoding
			if err := enc.EncodeOffsets(&e, text[from:to]); err != nil {
				t.Fatal(err)
			}
			for i, token := range e.IDs {
				stays := true
				for at := from + e.Spans[i].Start; at < from+e.Spans[i].End; at++ {
					for _, s := range cuts[id].Spans {
						stays = stays && !(int64(at) >= s.Start && int64(at) < s.End)
					}
				}
				r.tokens, r.stays = append(r.tokens, token), append(r.stays, stays)
			}
			from = to
		}
		out[id] = r
	}
	return out
}

func openWeb(t *testing.T, dir, mix, cut string, layout Layout) (*Mixer, error) {
	t.Helper()
	o := openOptions(dir, mix)
	o.Tokenizer, o.HeldoutFraction, o.Layout = "wp", 0, layout
	var err error
	if o.Cut, err = ParseCut(cut); err != nil {
		t.Fatal(err)
	}
	m, err := Open(context.Background(), o)
	if err == nil {
		t.Cleanup(func() {
			if err := m.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return m, err
}

// epochOf reads one pass and checks that it holds every token that stays once, and
// no other, at the places it says.
func epochOf(t *testing.T, m *Mixer, want map[string]reference) string {
	t.Helper()
	seen := map[string][]bool{}
	for id, r := range want {
		seen[id] = make([]bool, len(r.tokens))
	}
	var b strings.Builder
	windows := m.Tasks()[0].Census.Windows
	read, err := m.Samples(context.Background(), 0, 0, 1)
	for step := int64(0); int64(len(read)) > 0 && read[0].Index < windows; {
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range read {
			if s.Index >= windows {
				break
			}
			var tokens []int32
			for _, span := range s.Whole(s.Spans) {
				r := want[span.Doc]
				tokens = append(tokens, r.tokens[span.Start:span.End]...)
				for i := span.Start; i < span.End; i++ {
					if seen[span.Doc][i] || !r.stays[i] {
						t.Fatalf("%v: token %d of %s was cut or comes twice", m.Options().Layout, i, span.Doc)
					}
					seen[span.Doc][i] = true
				}
			}
			if !slices.Equal(tokens, s.Tokens) {
				t.Fatalf("%v: the spans %v of sample %d hold %v, the sample %v", m.Options().Layout, s.Whole(s.Spans), s.Index, tokens, s.Tokens)
			}
			fmt.Fprintln(&b, s.Tokens, s.Ends, s.Spans)
		}
		step++
		read, err = m.Samples(context.Background(), step, 0, 1)
	}
	for id, r := range want {
		for i, stays := range r.stays {
			if stays && !seen[id][i] {
				t.Fatalf("%v: token %d of %s is missing", m.Options().Layout, i, id)
			}
		}
	}
	return b.String()
}

func TestMarkedSpansAreCut(t *testing.T) {
	dir, texts := noticed(t)
	markWeb(t, dir)
	shardWeb(t, dir)
	for _, c := range []struct {
		mix, cut string
		rules    []string
	}{
		{"web", "", []string{"paragraph", "substring"}},
		{"web", "none", nil},
		{"web", "paragraph", []string{"paragraph"}},
		{`web[cut("substring")]`, "paragraph", []string{"substring"}},
		{`web[cut() && length > 0]`, "", nil},
		{`web[cut("substring", "paragraph")]`, "none", []string{"substring", "paragraph"}},
	} {
		want := references(t, dir, texts, func(rule string) bool { return slices.Contains(c.rules, rule) })
		cut := int64(0)
		for _, r := range want {
			left := int64(0)
			for _, stays := range r.stays {
				if !stays {
					left++
				}
			}
			if left < int64(len(r.stays)) {
				cut += left
			}
		}
		if (len(c.rules) > 0) != (cut > 500) {
			t.Fatalf("%v cut %d tokens", c, cut)
		}
		for _, layout := range []Layout{Pairs, Full, Packed, Documents, BestFit, Sentences, Halves} {
			m, err := openWeb(t, dir, c.mix, c.cut, layout)
			if err != nil {
				t.Fatal(err)
			}
			epochOf(t, m, want)
			if got := m.Tasks()[0].Census.Cut; got != cut {
				t.Errorf("%v in layout %v: %d tokens were cut, want %d", c, layout, got, cut)
			}
		}
	}
	for _, c := range []struct{ mix, cut, want string }{
		{"web", "paragraf", `there is no rule "paragraf"; did you mean "paragraph"?`},
		{`web[cut("substrin")]`, "", `there is no rule "substrin"; did you mean "substring"?`},
		{`web[cut(file)]`, "", "names of rules in quotation marks"},
	} {
		if _, err := openWeb(t, dir, c.mix, c.cut, Packed); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// TestCutsDoNotDependOnWhenTheMarksCame: before the shards, after them, or after them
// and then written into them.
func TestCutsDoNotDependOnWhenTheMarksCame(t *testing.T) {
	before, texts := noticed(t)
	markWeb(t, before)
	shardWeb(t, before)
	after, _ := noticed(t)
	shardWeb(t, after)
	m, err := openWeb(t, after, "web", "", Packed)
	if err != nil {
		t.Fatal(err)
	}
	if m.Tasks()[0].Census.Cut != 0 {
		t.Error("without marks something is cut")
	}
	markWeb(t, after)
	all := func(string) bool { return true }
	read := func(dir string) string {
		m, err := openWeb(t, dir, "web", "", Packed)
		if err != nil {
			t.Fatal(err)
		}
		return epochOf(t, m, references(t, dir, texts, all))
	}
	want := read(before)
	if read(after) != want {
		t.Error("marks that are newer than the shards cut otherwise")
	}
	// What was found is kept: the documents are not needed again.
	documents := filepath.Join(after, "web", "documents")
	if err := os.Rename(documents, documents+"-away"); err != nil {
		t.Fatal(err)
	}
	if read(after) != want {
		t.Error("kept cuts differ")
	}
	// A kept file that is not whole is not believed.
	kept, err := filepath.Glob(filepath.Join(after, ".cache", "cuts", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatal(kept, err)
	}
	raw, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept[0], raw[:len(raw)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openWeb(t, after, "web", "", Packed); err == nil || !strings.Contains(err.Error(), "corpus shard web") {
		t.Errorf("without documents and with a damaged cache: %v", err)
	}
	if err := os.Rename(documents+"-away", documents); err != nil {
		t.Fatal(err)
	}
	if read(after) != want {
		t.Error("cuts that were found again differ")
	}
	shardWeb(t, after)
	if read(after) != want {
		t.Error("cuts that were written into the shards differ")
	}
	digest := func(dir string) string {
		m, err := shards.ReadManifest(dir, "web", "wp")
		if err != nil {
			t.Fatal(err)
		}
		return m.Digest()
	}
	if digest(before) != digest(after) {
		t.Error("refreshed shards are not those built from the start")
	}
}

// TestUsesNameTheWholeDocumentsTokens: what is traced forward is what a sample holds.
func TestUsesNameTheWholeDocumentsTokens(t *testing.T) {
	dir, texts := noticed(t)
	markWeb(t, dir)
	shardWeb(t, dir)
	var ids []string
	for id := range texts {
		ids = append(ids, id)
	}
	for _, layout := range []Layout{Packed, BestFit, Full} {
		m, err := openWeb(t, dir, "web", "", layout)
		if err != nil {
			t.Fatal(err)
		}
		uses, err := m.Uses(context.Background(), "web", ids, 0, 5)
		if err != nil {
			t.Fatal(err)
		}
		var got, want []string
		for _, u := range uses {
			got = append(got, fmt.Sprint(u.Index, u.Span))
		}
		for step := range int64(5) {
			for _, s := range samples(t, m, step, 0, 1) {
				for _, span := range s.Whole(s.Spans) {
					want = append(want, fmt.Sprint(s.Index, span))
				}
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%v: used %v, want %v", layout, got, want)
		}
	}
}
