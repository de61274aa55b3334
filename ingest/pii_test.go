package ingest_test

import (
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// TestReplacedPersonalData: what is replaced is counted with a place, what is measured is
// the text as it is kept, and a source is made one way or the other.
func TestReplacedPersonalData(t *testing.T) {
	raw := lay(t, map[string][]byte{"a.jsonl": []byte(`{"text":"Write to jane@corp.example or joe@corp.example from 8.8.8.8."}
{"text":"Nothing is in here."}
{"text":"Call +49 30 901820 and pay with 4111 1111 1111 1111, not as jane@corp.example."}
`)})
	in := filepath.Join(raw, "a.jsonl")
	plain := t.TempDir()
	report := run(t, ingest.Config{Data: plain, Inputs: []string{in}})
	if docs := texts(t, plain, "jsonl"); !strings.Contains(docs[0].Text, "8.8.8.8") || docs[0].Emails != 2 || len(report.Totals.Repairs) != 0 {
		t.Errorf("without being asked: %+v, %+v", docs[0], report.Totals.Repairs)
	}
	var want []*ingest.Document
	for _, jobs := range []int{1, 5} {
		data := t.TempDir()
		report := run(t, ingest.Config{Data: data, Inputs: []string{in}, Jobs: jobs, ReplacePII: true})
		for name, n := range map[string]int64{"email": 3, "ip": 1, "phone": 1, "card": 1, "key": 0} {
			if got := counted(report.Totals.Repairs, "personal data replaced: "+name); got != n {
				t.Errorf("%s: %d replaced, want %d", name, got, n)
			}
		}
		if at := report.Totals.Repairs[0].Example; at == nil || at.File != "a.jsonl" || strings.Contains(at.Detail, "@") {
			t.Errorf("the first was at %+v", at)
		}
		docs := texts(t, data, "jsonl")
		for _, text := range []string{"jane@", "joe@", "8.8.8.8", "901820", "4111"} {
			for _, d := range docs {
				if strings.Contains(d.Text, text) {
					t.Errorf("%q is still in %q", text, d.Text)
				}
			}
		}
		if d := docs[0]; d.Emails != 0 || d.IPs != 0 || d.Bytes != int64(len(d.Text)) || docs[1].Text != "Nothing is in here." {
			t.Errorf("signals of another text: %+v", d)
		}
		for i, d := range docs {
			if want != nil && !reflect.DeepEqual(want[i], d) {
				t.Errorf("document %d depends on the workers", i)
			}
		}
		want = docs
	}
	if _, err := ingest.Run(t.Context(), ingest.Config{Data: plain, Inputs: []string{in}, ReplacePII: true}); err == nil {
		t.Error("a source that was made without replacing goes on with it")
	}
}
