package pipelines

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/shards"
)

// judgedRun is an experiment with rules, run again and again.
type judgedRun struct {
	t   *testing.T
	dir string
}

// run runs the experiment with the given rules of source web and returns what became of
// its stages.
func (j *judgedRun) run(rules string) map[string]StageReport {
	j.t.Helper()
	cfg, err := Parse("x.yaml", fmt.Appendf(nil, `
data: %s/data
sample: {dir: %s/raw, scale: 0.1}
sources:
  web: {ingest: {kind: web, from: [%s/raw/crawl.warc.wet.gz]}%s}
dedup: {exact: {}}
tokenizer: {type: wordpiece, vocab_size: 300}
`, j.dir, j.dir, j.dir, rules), nil)
	if err != nil {
		j.t.Fatal(err)
	}
	r, err := Run(context.Background(), "x.yaml", cfg, Options{Jobs: 2, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		j.t.Fatal(err)
	}
	out := map[string]StageReport{}
	for _, s := range r.Stages {
		out[s.Name] = s
	}
	return out
}

// documents counts the documents that a mix of source web reads.
func (j *judgedRun) documents(where string) int64 {
	j.t.Helper()
	mix, err := mixer.ParseMix("web" + where)
	if err != nil {
		j.t.Fatal(err)
	}
	m, err := mixer.Open(context.Background(), mixer.Options{
		Data: filepath.Join(j.dir, "data"), Tokenizer: DefaultTokenizer, Mix: mix, Seed: 1, SeqLen: 32, BatchSize: 4, Layout: mixer.Packed,
	})
	if err != nil {
		j.t.Fatal(err)
	}
	c := m.Tasks()[0].Census
	if err := m.Close(); err != nil {
		j.t.Fatal(err)
	}
	return c.Documents - c.Marked
}

// TestRulesFromDumpToMix goes from a crawl to a mix with predicates on signals and
// marks. Rules and thresholds come and go; nothing is ingested or tokenised again.
func TestRulesFromDumpToMix(t *testing.T) {
	j := &judgedRun{t, t.TempDir()}
	data := filepath.Join(j.dir, "data")
	own := filepath.Join(j.dir, "own.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(own, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	j.run("")
	var words []int64
	for d, err := range ingest.Documents(context.Background(), data, "web") {
		if err != nil {
			t.Fatal(err)
		}
		words = append(words, d.Words)
	}
	unmarked := j.documents("")
	// The rules are against documents with few words: below is how many there are.
	below := func(limit int64) (n int64) {
		for _, w := range words {
			if w < limit {
				n++
			}
		}
		return n
	}
	if below(300) == 0 || below(400) == below(300) || below(400) == int64(len(words)) {
		t.Fatalf("the sample does not test this: %v", words)
	}
	tokens := func() (key, digest string) {
		t.Helper()
		m, err := shards.ReadManifest(data, "web", DefaultTokenizer)
		if err != nil {
			t.Fatal(err)
		}
		return m.Generations[0].Texts, m.TokenizerDigest
	}
	texts, tokenizer := tokens()
	for _, step := range []struct {
		name, file, rules string
		first, limit      int64 // of the first rule, and of all
	}{
		{"a rule", "few: {few_words: words < 300}", ", rules: [own.yaml]", 300, 300},
		{"another threshold", "few: {few_words: words < 400}", ", rules: [own.yaml]", 400, 400},
		{"a rule of another name", "fewer: {few_words: words < 300}", ", rules: [own.yaml]", 300, 300},
		{"two rules", "fewer: {few_words: words < 300}\nother: {few_words: words < 400}", ", rules: [own.yaml, mc4]", 300, 400},
		{"no rule", "", "", 0, 0},
	} {
		write(step.file)
		stages := j.run(strings.ReplaceAll(step.rules, "own.yaml", own))
		for _, done := range []string{"sample", "ingest web", "dedup", "tokenizer"} {
			if s := stages[done]; s.State != Skipped {
				t.Errorf("%s: stage %s is %s: %s", step.name, done, s.State, s.Reason)
			}
		}
		if s := stages["rules web"]; s.State != Ran {
			t.Errorf("%s: the rules are %s", step.name, s.State)
		}
		var laid shards.Report
		if err := json.Unmarshal(stages["shards"].Figures, &laid); err != nil || !laid.Sources[0].Refreshed {
			t.Errorf("%s: the shards were not refreshed: %+v, %v", step.name, laid, err)
		}
		if a, b := tokens(); a != texts || b != tokenizer {
			t.Errorf("%s: the texts or the tokenizer are others", step.name)
		}
		want := int64(0)
		for d, err := range Unmarked(context.Background(), data, "web") {
			if err != nil {
				t.Fatal(err)
			}
			if d.Words >= step.limit && (!strings.Contains(step.rules, "mc4") || d.LongLines >= 3) {
				want++
			}
		}
		if got := j.documents(""); got != want {
			t.Errorf("%s: the mix reads %d documents, want %d", step.name, got, want)
		}
		if step.limit == 0 {
			break
		}
		// Predicates choose otherwise: all documents by a signal, and those of a rule.
		for where, want := range map[string]int64{
			`[kept || !kept]`:                             int64(len(words)),
			`[(kept || !kept) && words < 400]`:            below(400),
			`[(kept || !kept) && compressibility > 0]`:    int64(len(words)),
			`[!marked("exact")]`:                          unmarked,
			`[marked("` + ruleOf(step.file) + `")]`:       below(step.first),
			`[words >= 400 && lines > 0 && !marked("x")]`: -1,
		} {
			if want < 0 {
				mix, err := mixer.ParseMix("web" + where)
				if err != nil {
					t.Fatal(err)
				}
				_, err = mixer.Open(context.Background(), mixer.Options{Data: data, Tokenizer: DefaultTokenizer, Mix: mix, SeqLen: 32, BatchSize: 4, Layout: mixer.Packed})
				if err == nil || !strings.Contains(err.Error(), `there is no rule "x"`) {
					t.Errorf("%s: %v", where, err)
				}
				continue
			}
			if got := j.documents(where); got != want {
				t.Errorf("%s: the mix %s reads %d documents, want %d", step.name, where, got, want)
			}
		}
		if s := j.run(strings.ReplaceAll(step.rules, "own.yaml", own))["rules web"]; s.State != Skipped {
			t.Errorf("%s: a second time the rules are %s: %s", step.name, s.State, s.Reason)
		}
	}
	if left, err := dedup.Rules(data, "web"); err != nil || len(left) != 1 || left[0].Rule != "exact" {
		t.Errorf("left are %+v, %v", left, err)
	}
}

// ruleOf is the name of the first rule of a file.
func ruleOf(file string) string {
	name, _, _ := strings.Cut(file, ":")
	return name
}
