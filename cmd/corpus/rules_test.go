package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
)

// rulesOutput is what corpus rules and corpus ingest say of rules.
type rulesOutput struct {
	Rules   []dedup.Report `json:"rules"`
	Dropped []droppedRules `json:"dropped"`
}

func decodeRules(t *testing.T, out string) rulesOutput {
	t.Helper()
	var r rulesOutput
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	return r
}

func TestRules(t *testing.T) {
	dir := t.TempDir()
	must(t, dir, "sample", "raw", "--scale", "0.1", "--quiet")
	in := decodeRules(t, must(t, dir, "ingest", "raw/crawl.warc.wet.gz", "raw/books", "--rules", "gopher,c4", "--json", "--quiet"))
	if len(in.Rules) != 4 || in.Rules[0].Rule != "gopher" || in.Rules[1].Rule != "c4" || len(in.Rules[1].Sources) != 1 || len(in.Rules[1].Sources[0].Reasons) == 0 {
		t.Fatalf("ingest says %+v", in)
	}
	again := decodeRules(t, must(t, dir, "rules", "web", "--use", "gopher,c4", "--json", "--quiet"))
	if len(again.Rules) != 2 || !again.Rules[0].Skipped || !again.Rules[1].Skipped {
		t.Errorf("again: %+v", again)
	}
	writeFile(t, dir, "own.yaml", "tidy: {like: gopher, few_stop_words: off, big: {when: words > 10, value: chars}}\n")
	r := decodeRules(t, must(t, dir, "rules", "--use", "own.yaml", "--drop", "gopher", "--json", "--quiet"))
	if len(r.Dropped) != 2 || len(r.Rules) != 1 || len(r.Rules[0].Sources) != 2 {
		t.Fatalf("own rules: %+v", r)
	}
	for _, s := range r.Rules[0].Sources {
		if s.LeftOut != s.Documents || s.Documents == 0 {
			t.Errorf("%+v", s)
		}
	}
	found := decodeRules(t, must(t, dir, "rules", "--json", "--quiet"))
	if len(found.Rules) != 2 || found.Rules[0].Rule != "c4" || found.Rules[1].Rule != "tidy" || len(found.Rules[1].Sources) != 2 {
		t.Errorf("found: %+v", found)
	}
	if out := must(t, dir, "rules", "--quiet"); !strings.Contains(out, "no_terminal_mark") || !strings.Contains(out, "tidy") {
		t.Errorf("in words:\n%s", out)
	}
	if out := must(t, dir, "rules", "--show", "--quiet"); !strings.Contains(out, "few_stop_words: stop_tokens < 2") {
		t.Errorf("shown:\n%s", out)
	}
	writeFile(t, dir, "again.yaml", must(t, dir, "rules", "--show", "--use", "gopher,c4", "--quiet"))
	if shown := must(t, dir, "rules", "--show", "--use", "again.yaml", "--quiet"); !strings.Contains(shown, "curly_bracket: c4_curly > 0") {
		t.Errorf("shown again:\n%s", shown)
	}
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{2, `did you mean "gopher"?`, []string{"rules", "--use", "gofer"}},
		{2, `did you mean "gopher"?`, []string{"ingest", "raw/books", "--rules", "gofer"}},
		{2, "own2.yaml", []string{"rules", "--use", "own2.yaml"}},
		{1, `did you mean "tidy"?`, []string{"rules", "--drop", "tidi"}},
		{1, "ingest it first", []string{"rules", "none", "--use", "c4"}},
	} {
		if code, _, errs := corpus(t, dir, append(c.args, "--quiet")...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("corpus %q: exit %d, %s", c.args, code, errs)
		}
	}
}
