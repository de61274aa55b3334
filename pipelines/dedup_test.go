package pipelines

import "testing"

func TestEveryRuleOfAnExperiment(t *testing.T) {
	cfg, err := Parse("x.yaml", []byte(`
sources: {wiki: {ingest: {from: [a]}}}
dedup:
  exact: {}
  paragraph: {min_words: 4}
  line: {}
  substring: {bytes: 100, all: true}
  decontaminate: {against: [quiz.jsonl], fields: [question], ngram: 8}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	d := cfg.Dedup
	if d.Paragraph == nil || d.Paragraph.MinWords != 4 || d.Line == nil || d.Substring == nil || !d.Substring.All || d.Decontaminate.NGram != 8 {
		t.Errorf("dedup is %+v", d)
	}
	if rules, err := d.rules(); err != nil || len(rules) != 5 {
		t.Errorf("%d rules (%v), want 5", len(rules), err)
	}
}
