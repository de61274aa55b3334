package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// writeSource lays documents down as a source of the data root in dir.
func writeSource(t *testing.T, dir, source string, texts ...string) {
	t.Helper()
	w, err := ingest.NewWriter(filepath.Join(dir, "data"), source)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i, text := range texts {
		if err := w.Add(&ingest.Document{File: source, Record: int64(i), ID: ingest.NewID(source, source, string(rune('a'+i))), Text: text}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func firstID(t *testing.T, dir, source string) string {
	t.Helper()
	for d, err := range ingest.Documents(context.Background(), filepath.Join(dir, "data"), source) {
		if err != nil {
			t.Fatal(err)
		}
		return d.ID
	}
	t.Fatalf("%s has no documents", source)
	return ""
}

func TestDecontaminateCommand(t *testing.T) {
	dir := t.TempDir()
	const question = "Which river flows through the town in which the author of the long poem about winter was born?"
	writeSource(t, dir, "web", "An essay. "+question+" Nobody knows.", "Something else altogether.")
	if err := os.WriteFile(filepath.Join(dir, "quiz.jsonl"), []byte(`{"id": "q1", "question": "`+question+`", "answer": "None"}
{"id": "q2", "question": "What is the name of the tallest mountain that nobody has climbed in winter so far?"}
`), 0o600); err != nil {
		t.Fatal(err)
	}
	out := must(t, dir, "decontaminate", "--against", "quiz.jsonl", "--field", "question")
	for _, want := range []string{"1 of 2 task items are in 1 documents", "quiz  q1", "1.00"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	var report struct {
		Skipped bool `json:"skipped"`
		Figures struct {
			Found []struct{ Task, ID string } `json:"found"`
		} `json:"figures"`
	}
	out = must(t, dir, "decontaminate", "web", "--against", "quiz.jsonl", "--field", "question", "--json")
	if err := json.Unmarshal([]byte(out), &report); err != nil || !report.Skipped || len(report.Figures.Found) != 1 {
		t.Errorf("the second run says %s (%v)", out, err)
	}
	if out := must(t, dir, "explain", firstID(t, dir, "web")); !strings.Contains(out, "rule decontaminate, item") || !strings.Contains(out, question) {
		t.Errorf("explain says\n%s", out)
	}
	for _, args := range [][]string{{"decontaminate"}, {"decontaminate", "--against", "absent.jsonl"}, {"decontaminate", "--against", "quiz.jsonl", "--ngram", "0x"}} {
		if code, _, errs := corpus(t, dir, args...); code == 0 || errs == "" {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestSubstringCommand(t *testing.T) {
	dir := t.TempDir()
	notice := strings.Repeat("This notice stands below every page of the site and says nothing about it at all. ", 3)
	writeSource(t, dir, "web", "One page of the site. "+notice+"Its end.", "Another one, which is a little longer than that. "+notice)
	if out := must(t, dir, "dedup", "--substring", "--memory", "16MiB"); !strings.Contains(out, "substring: 1 documents marked") {
		t.Errorf("dedup says\n%s", out)
	}
	out := must(t, dir, "explain", firstID(t, dir, "web"))
	if !strings.Contains(out, "| kept, bytes 47 to ") {
		t.Errorf("explain says\n%s", out)
	}
	must(t, dir, "tokenizer", "train", "--type", "wordpiece", "--vocab-size", "300", "--name", "wp")
	if out := must(t, dir, "dedup", "--substring=tokens:40", "--tokenizer", "wp", "--keep-one=false"); !strings.Contains(out, "substring: 2 documents marked") {
		t.Errorf("by tokens, dedup says\n%s", out)
	}
	for _, args := range [][]string{{"--substring=words:3"}, {"--substring=tokens:40"}, {"--substring=bytes:x"}} {
		if code, _, errs := corpus(t, dir, append([]string{"dedup"}, args...)...); code != 2 {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestDedupReport(t *testing.T) {
	dir := t.TempDir()
	notice := strings.Repeat("This notice stands below every page of the site and says nothing about it at all. ", 3)
	writeSource(t, dir, "web", "One page.\n\n"+notice, "Another page.\n\n"+notice, "A page.\n\nNothing.")
	out := must(t, dir, "dedup", "--minhash=threshold:0.5", "--index", "--paragraph", "--paragraph-bloom", "1000", "--bloom-rate", "0.001", "--report", "report.html")
	if !strings.Contains(out, "minhash: 1 documents marked") || !strings.Contains(out, "paragraph-bloom: 1 documents marked") {
		t.Errorf("dedup says\n%s", out)
	}
	b, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil || !strings.Contains(string(b), "Rule minhash") || !strings.Contains(string(b), "<svg") {
		t.Errorf("the report (%v)\n%.300s", err, b)
	}
	if code, _, errs := corpus(t, dir, "dedup", "--paragraph-bloom", "1000000000000"); code != 2 || !strings.Contains(errs, "more than") {
		t.Errorf("a filter that does not fit: exit %d, %q", code, errs)
	}
}
