package pipelines

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const whole = `data: d
sources:
  wiki: {ingest: {kind: wiki, from: [w.xml]}}
  books: {ingest: {from: books}}
dedup: {exact: , minhash: {threshold: 0.8, verify: true}}
tokenizer: {name: wp, vocab_size: 4_000, lowercase: false}
shards: {size: 1.5MiB}
train:
  model: bert-tiny
  mix:
    - {task: books, weight: 0.3}
    - {task: wiki, weight: 1, objective: bert}
  steps: 20
  lr: 1e-3
  checkpoint_interval: 90s
fill: ["a [MASK] b"]
`

func TestWholeFileIsRead(t *testing.T) {
	cfg, err := Parse("x.yaml", []byte(whole), nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Data != "d" || cfg.Runs != "runs" || len(cfg.Sources) != 2 || cfg.Sources[0].Name != "wiki" || cfg.Sources[1].Ingest.From[0] != "books" {
		t.Errorf("got %+v", cfg)
	}
	if cfg.Dedup == nil || cfg.Dedup.Exact == nil || cfg.Dedup.ExactRaw != nil || cfg.Dedup.MinHash == nil {
		t.Errorf("dedup is %+v", cfg.Dedup)
	}
	if o, err := cfg.Dedup.MinHash.options(); err != nil || o.Threshold != 0.8 || o.NGram != 5 || o.Bands < 1 {
		t.Errorf("the options of MinHash are %+v, %v", o, err)
	}
	if cfg.Tokenizer != (TokenizerSection{Name: "wp", Type: "wordpiece", VocabSize: 4000, MinFrequency: 2}) {
		t.Errorf("tokenizer is %+v", cfg.Tokenizer)
	}
	if cfg.Shards.Size != 3<<19 {
		t.Errorf("shards are %+v", cfg.Shards)
	}
	tr := cfg.Train
	if tr.Model != "bert-tiny" || tr.Steps != 20 || tr.LR != 1e-3 || tr.Batch != DefaultBatchSize || time.Duration(tr.CheckpointTime) != 90*time.Second {
		t.Errorf("train is %+v", tr)
	}
	if mix, err := tr.mix(); err != nil || mix.String() != "books:0.3,wiki:1" {
		t.Errorf("mix is %v, %v", mix, err)
	}
}

// TestProblemsNameFileLineAndColumn compares whole messages: they are what a user
// works with.
func TestProblemsNameFileLineAndColumn(t *testing.T) {
	source := "sources: {wiki: {ingest: {kind: wiki, from: [w.xml]}}}\n"
	for _, c := range []struct{ name, yaml, want string }{
		{"unknown key", "souces: {}\n" + source, `x.yaml:1:1: unknown key "souces"; did you mean "sources"?`},
		{"unknown key below", source + "tokenizer: {name: a, vocabsize: 100}\n", `x.yaml:2:22: tokenizer: unknown key "vocabsize"; did you mean "vocab_size"?`},
		{"unlike any key", source + "shards: {zzzzzzzzzz: 1}\n", `x.yaml:2:10: shards: unknown key "zzzzzzzzzz"; known here: size, memory`},
		{"weight", source + "train: {mix: [{task: wiki, weight: lots}]}\n", `x.yaml:2:36: train.mix.0.weight: want a number, found the text "lots"`},
		{"weight of a list", source + "train: {mix: [{task: wiki, weight: [1]}]}\n", `x.yaml:2:36: train.mix.0.weight: want a number, found a list`},
		{"weight not a number", source + "train: {mix: [{task: wiki, weight: .nan}]}\n", `x.yaml:2:36: train.mix.0.weight: want a number, found the number .nan`},
		{"weight of 0", source + "train: {mix: [{task: wiki, weight: 0}]}\n", `x.yaml:2:36: train.mix.0.weight: want a number above 0`},
		{"fraction for a whole number", source + "train: {steps: 1.5, mix: [{task: wiki}]}\n", `x.yaml:2:16: train.steps: want a whole number, found the number 1.5`},
		{"number for a text", source + "tokenizer: {name: 30}\n", `x.yaml:2:19: tokenizer.name: want text, found the number 30`},
		{"text for a truth value", source + "tokenizer: {lowercase: often}\n", `x.yaml:2:24: tokenizer.lowercase: want true or false, found the text "often"`},
		{"size", source + "shards: {size: huge}\n", `x.yaml:2:16: shards.size: "huge" is no size: want a number with KiB, MiB, GiB, KB, MB or GB`},
		{"time", source + "train: {checkpoint_interval: soon, mix: [{task: wiki}]}\n", `x.yaml:2:30: train.checkpoint_interval: "soon" is no length of time: want one like 90s, 10m or 1h30m`},
		{"kind", "sources: {wiki: {ingest: {kind: wikki, from: [w.xml]}}}\n", `x.yaml:1:33: sources.wiki.ingest.kind: unknown "wikki"; did you mean "wiki"?`},
		{"task", source + "train: {mix: [{task: wikki}]}\n", `x.yaml:2:22: train.mix.0.task: unknown "wikki"; did you mean "wiki"?`},
		{"model", source + "train: {model: bert-tinny, mix: [{task: wiki}]}\n", `x.yaml:2:16: train.model: there is no model "bert-tinny"; did you mean bert-tiny?`},
		{"precision", source + "train: {precision: bf61, mix: [{task: wiki}]}\n", `x.yaml:2:20: train.precision: unknown "bf61"; did you mean "bf16"?`},
		{"objective", source + "train: {mix: [{task: wiki, objective: brt}]}\n", `x.yaml:2:39: train.mix.0.objective: unknown "brt"; did you mean "bert"?`},
		{"threshold", source + "dedup: {minhash: {threshold: 1.5}}\n", `x.yaml:2:30: dedup.minhash.threshold: want a number above 0 and at most 1`},
		{"repeats", source + "dedup: {substring: {bytes: 3}}\n", `x.yaml:2:28: dedup.substring.bytes: want between 8 and 65536`},
		{"no tasks", source + "dedup: {decontaminate: {ngram: 8}}\n", `x.yaml:2:24: dedup.decontaminate: name the files of the evaluation sets under against`},
		{"unverified", source + "dedup: {minhash: {verify: false}}\n", `x.yaml:2:27: dedup.minhash.verify: marks are always verified against the document that stays; leave it out`},
		{"no sources", "data: d\n", `x.yaml:1:1: sources: name at least one source`},
		{"nothing to ingest", "sources: {wiki: {}}\n", `x.yaml:1:17: sources.wiki: missing 'ingest' with the files it comes from`},
		{"list for keys", "sources: [wiki]\n", `x.yaml:1:10: sources: want names, each with keys and values, found a list`},
		{"repeated key", source + "data: a\ndata: b\n", `x.yaml:3:1: key "data" stands here already, on line 2`},
		{"fill without train", source + "fill: ['[MASK]']\n", `x.yaml:2:7: fill: there is no 'train', so nothing that could fill masks`},
		{"empty", "", `x.yaml: the file is empty`},
		{"two documents", source + "---\n" + source, "x.yaml:"},
		{"broken", "sources: {wiki: [\n", "x.yaml:2:1: "},
	} {
		_, err := Parse("x.yaml", []byte(c.yaml), nil)
		var wrong *ConfigError
		if !errors.As(err, &wrong) {
			t.Errorf("%s: got %v", c.name, err)
			continue
		}
		if got := err.Error(); got != c.want && !(strings.HasSuffix(c.want, " ") || strings.HasSuffix(c.want, ":")) || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	_, err := Parse("x.yaml", []byte("dta: d\nsources:\n  wiki: {ingets: {from: [a]}}\ntrain: {steps: many, modle: x}\n"), nil)
	want := `x.yaml:1:1: unknown key "dta"; did you mean "data"?
x.yaml:3:10: sources.wiki: unknown key "ingets"; did you mean "ingest"?
x.yaml:4:16: train.steps: want a whole number, found the text "many"
x.yaml:4:22: train: unknown key "modle"; did you mean "model"?`
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestSettings(t *testing.T) {
	cfg, err := Parse("x.yaml", []byte(whole), []string{
		"train.steps=7", "train.mix.0.weight=0.5", "sources.wiki.ingest.from=[a, b]", "train.eval_every=3", "dedup.exact_raw={}", "tokenizer.name=other", "data=/tmp/x y",
	})
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Train.Steps != 7 || cfg.Train.Mix[0].Weight != 0.5 || len(cfg.Sources[0].Ingest.From) != 2 || cfg.Train.EvalEvery != 3 || cfg.Dedup.ExactRaw == nil || cfg.Tokenizer.Name != "other" || cfg.Data != "/tmp/x y" {
		t.Errorf("got %+v", cfg)
	}
	for setting, want := range map[string]string{
		"train.stepz=7":          `--set train.stepz=7: train: unknown key "stepz"; did you mean "steps"?`,
		"train.steps=x":          `--set train.steps=x: train.steps: want a whole number, found the text "x"`,
		"train.mix.9.weight=1":   `--set train.mix.9.weight=1: "9" is no element of a list of 2`,
		"train":                  `--set train: want key=value, such as train.steps=100`,
		"train.steps.more=1":     `--set train.steps.more=1: "more" lies below the number 20`,
		"train.mix.0.weight=1e9": "",
	} {
		_, err := Parse("x.yaml", []byte(whole), []string{setting})
		if want == "" {
			if err != nil {
				t.Errorf("%s: %v", setting, err)
			}
			continue
		}
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestExamplesAreRight(t *testing.T) {
	files, err := filepath.Glob("../examples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if _, err := Load(file, nil); err != nil {
			t.Error(err)
		}
	}
}

func TestLoadRefusesHugeAndMissingFiles(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "absent.yaml"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file gives %v", err)
	}
	huge := filepath.Join(t.TempDir(), "huge.yaml")
	if err := os.WriteFile(huge, make([]byte, maxConfig+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(huge, nil); err == nil {
		t.Error("a huge file was read")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole), "train.steps=1")
	f.Add([]byte("a: &a [*a]\nsources: *a\n"), "sources.0=1")
	f.Add([]byte("sources: &s {w: *s}\ndedup: ~\n"), "dedup.exact=")
	f.Fuzz(func(t *testing.T, data []byte, setting string) {
		cfg, err := Parse("x.yaml", data, []string{setting})
		if (cfg == nil) == (err == nil) {
			t.Fatalf("got %v and %v", cfg, err)
		}
		var wrong *ConfigError
		if err != nil && (!errors.As(err, &wrong) || len(wrong.Problems) == 0) {
			t.Fatalf("error %v of type %T", err, err)
		}
	})
}
