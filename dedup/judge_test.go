package dedup

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/rules"
)

func chosenRules(t testing.TB, words ...string) []*rules.Rule {
	t.Helper()
	chosen, err := rules.Choose(words...)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

func judgeAll(t testing.TB, cfg Config, words ...string) []*Report {
	t.Helper()
	var out []*Report
	for _, rule := range chosenRules(t, words...) {
		r, err := Judge(context.Background(), cfg, rule)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

// judgedDocuments are texts of which it is known what rules are against.
func judgedDocuments() []ingest.Document {
	good := "The cat and the dog have gone with a friend. "
	texts := []string{
		strings.Repeat("Words. ", 3), // 0: short
		"# # # the of",               // 1: short and more
		good + "It is so. It is not. It was. It will be.\nNo mark here\nUse JavaScript now.", // 2: c4 cuts two lines
		good + "{", // 3: c4: a line without a mark; too few sentences
	}
	docs := make([]ingest.Document, len(texts))
	for i, text := range texts {
		docs[i] = ingest.Document{ID: ingest.NewID("web", "f", string(rune('a'+i))), Source: "web", File: "f", Record: int64(i), Text: text}
	}
	return docs
}

func TestJudge(t *testing.T) {
	dir := t.TempDir()
	docs := judgedDocuments()
	writeJudged(t, dir, docs)
	cfg := Config{Data: dir, Jobs: 3}
	reports := judgeAll(t, cfg, "gopher-quality", "c4")

	type found struct {
		rule, kind string
		record     int64
		value      float64
		text       string
	}
	var got []found
	for m, err := range Marks(context.Background(), dir, "web") {
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(docs, func(d ingest.Document) bool { return d.ID == m.ID })
		f := found{m.Rule, m.Kind, docs[i].Record, m.Value, ""}
		if !m.Whole() {
			f.text = docs[i].Text[m.Start:m.End]
		}
		if m.Source != "web" || m.Kept != "" || m.Score != 0 || m.KeptStart != -1 || m.KeptEnd != -1 || m.Reason == "" {
			t.Errorf("mark %+v", m)
		}
		got = append(got, f)
	}
	slices.SortFunc(got, func(a, b found) int {
		return strings.Compare(a.rule+string(rune('0'+a.record))+a.kind, b.rule+string(rune('0'+b.record))+b.kind)
	})
	want := []found{
		{"c4", "few_sentences", 0, 3, ""},
		{"c4", "few_sentences", 1, 0, ""}, {"c4", "no_terminal_mark", 1, 1, "# # # the of"},
		{"c4", "javascript", 2, 1, "Use JavaScript now."}, {"c4", "no_terminal_mark", 2, 1, "No mark here"},
		{"c4", "few_sentences", 3, 0, ""}, {"c4", "no_terminal_mark", 3, 1, docs[3].Text},
		{"gopher-quality", "few_stop_words", 0, 0, ""}, {"gopher-quality", "few_letters", 0, 0.5, ""}, {"gopher-quality", "short", 0, 3, ""},
		{"gopher-quality", "few_letters", 1, 0.4, ""}, {"gopher-quality", "hashes", 1, 0.6, ""}, {"gopher-quality", "short", 1, 2, ""}, {"gopher-quality", "short_words", 1, 2.5, ""},
		{"gopher-quality", "short", 2, 27, ""},
		{"gopher-quality", "short", 3, 10, ""},
	}
	slices.SortFunc(want, func(a, b found) int {
		return strings.Compare(a.rule+string(rune('0'+a.record))+a.kind, b.rule+string(rune('0'+b.record))+b.kind)
	})
	if !slices.Equal(got, want) {
		t.Errorf("marks\n%+v, want\n%+v", got, want)
	}
	quality, c4 := reports[0].Sources[0], reports[1].Sources[0]
	if quality.Documents != 4 || quality.LeftOut != 4 || quality.Marked != 4 || c4.LeftOut != 3 || c4.Marked != 4 {
		t.Errorf("quality %+v, c4 %+v", quality, c4)
	}
	if !slices.Equal(c4.Reasons, []ReasonCount{{"few_sentences", 3, 0}, {"javascript", 0, 1}, {"no_terminal_mark", 0, 3}}) {
		t.Errorf("reasons %+v", c4.Reasons)
	}
	whole := int64(len(docs[0].Text) + len(docs[1].Text) + len(docs[3].Text))
	if c4.MarkedBytes != whole+int64(len("No mark here")+len("Use JavaScript now.")) {
		t.Errorf("%d bytes marked", c4.MarkedBytes)
	}
	// Again it is known; the report is the same.
	again := judgeAll(t, cfg, "gopher-quality", "c4")
	if !again[0].Skipped || !slices.Equal(again[1].Sources[0].Reasons, c4.Reasons) || again[1].Sources[0].LeftOut != 3 {
		t.Errorf("again: %+v", again)
	}
	cut := map[string]int{}
	for c, err := range Cuts(context.Background(), dir, "web", func(string) bool { return true }, t.TempDir(), 1<<20) {
		if err != nil {
			t.Fatal(err)
		}
		cut[c.ID] = len(c.Spans)
	}
	if len(cut) != 4 || cut[docs[2].ID] != 0 { // short for gopher
		t.Errorf("cuts %v", cut)
	}
}

// writeJudged writes documents as source web.
func writeJudged(t testing.TB, dir string, docs []ingest.Document) {
	t.Helper()
	w, err := ingest.NewWriter(dir, "web")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range docs {
		if err := w.Add(&docs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

// TestJudgedMarksComeAndGo: changing a rule replaces its marks, withdrawing them leaves
// those of the others, and none of it depends on the number of workers.
func TestJudgedMarksComeAndGo(t *testing.T) {
	dir := t.TempDir()
	var docs []ingest.Document
	for i := range 700 {
		docs = append(docs, ingest.Document{File: "f", Record: int64(i), Text: strings.Repeat("word of the day\n", i%60+1)})
	}
	writeJudged(t, dir, docs)
	own := filepath.Join(t.TempDir(), "own.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func() string {
		t.Helper()
		k, err := MarksKey(dir, "web")
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	if _, err := Exact(context.Background(), Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	exact := key()
	write("own: {few: words < 41}")
	if r := judgeAll(t, Config{Data: dir, Jobs: 1}, own)[0]; r.Sources[0].LeftOut != 120 { // 10 of each 60
		t.Errorf("%+v", r.Sources[0])
	}
	first := key()
	write("own: {few: words < 81}")
	if r := judgeAll(t, Config{Data: dir, Jobs: 5, MemoryBytes: 1}, own)[0]; r.Skipped || r.Sources[0].LeftOut != 240 {
		t.Errorf("%+v", r.Sources[0])
	}
	write("own: {few: words < 41}")
	if judgeAll(t, Config{Data: dir, Jobs: 7, MemoryBytes: 1}, own); key() != first {
		t.Error("the marks depend on workers or memory, or on what was there before")
	}
	stats, err := Rules(dir, "web")
	if err != nil || len(stats) != 2 || stats[0].Judged || !stats[1].Judged || stats[1].LeftOut != 120 {
		t.Errorf("%+v, %v", stats, err)
	}
	judged := func(r RuleStats) bool { return r.Judged }
	alone, err := RulesKey(dir, "web", judged)
	if err != nil || alone == "" || alone == key() {
		t.Errorf("key %s, %v", alone, err)
	}
	if gone, err := Withdraw(dir, "web", judged); err != nil || !slices.Equal(gone, []string{"own"}) || key() != exact {
		t.Errorf("withdrawn: %q, %v", gone, err)
	}
	if gone, err := Withdraw(dir, "web", judged); err != nil || gone != nil {
		t.Errorf("withdrawn again: %q, %v", gone, err)
	}
	if k, err := RulesKey(dir, "web", judged); err != nil || k != "" {
		t.Errorf("key of none: %q, %v", k, err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "web", "marks", "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("files %q, %v", files, err)
	}
}
