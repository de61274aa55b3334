package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/ingest/store"
)

const experiment = `
data: data
sample: {dir: raw, scale: 0.05}
sources:
  wiki:  {ingest: {from: [raw/wiki.xml.bz2]}}
  books: {ingest: {from: [raw/books]}}
dedup: {exact: {}, url: {}, minhash: {threshold: 0.8}}
tokenizer: {name: wp, vocab_size: 600}
train:
  run: first
  model: bert-tiny
  mix: [{task: wiki, weight: 0.6}, {task: books, weight: 0.4}]
  steps: 3
  batch: 4
  seq_len: 32
  heldout: 0.2
  eval_batches: 1
fill: ["the sailor mends the [MASK]."]
`

// pretrain runs the command in the current directory.
func pretrain(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = cli.Run(context.Background(), &cli.Env{Out: &o, Err: &e, Width: 80}, command, append(args, "--quiet"))
	return code, o.String(), e.String()
}

func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := pretrain(t, args...)
	if code != 0 {
		t.Fatalf("pretrain %q: exit %d\n%s", args, code, errs)
	}
	return out
}

func TestWayFromYAMLToModel(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("x.yaml", []byte(experiment), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := must(t, "run", "x.yaml", "--plan"); !strings.Contains(out, "to run") {
		t.Errorf("a plan says %s", out)
	}
	first := must(t, "run", "x.yaml")
	if !strings.Contains(first, "the sailor mends the [") {
		t.Errorf("no mask was filled:\n%s", first)
	}
	if again := must(t, "run", "x.yaml"); strings.Count(again, "skipped  ") < 8 {
		t.Errorf("the second time it says\n%s", again)
	}
	before, err := store.ReadManifest("runs/first/model")
	if err != nil {
		t.Fatal(err)
	}
	must(t, "export", "runs/first", "--to", "exported")
	after, err := store.ReadManifest("exported")
	if err != nil || after.Digest() != before.Digest() {
		t.Errorf("the export of the last checkpoint differs from the run's own (%v)", err)
	}
	if out := must(t, "fill", "a [MASK] b", "--model", "exported", "--json"); !json.Valid([]byte(out)) {
		t.Errorf("fill says %q", out)
	}

	mix := []string{"batches", "--mix", "books:0.3,wiki:0.7", "--seq-len", "32", "--steps", "2:5", "--digest"}
	want := must(t, append(mix, "--jobs", "1")...)
	if got := must(t, append(mix, "--jobs", "3")...); got != want || len(want) != 65 {
		t.Errorf("digest %q with three jobs, %q with one", got, want)
	}
	if got := must(t, append(mix, "--ranks", "2", "--rank", "1")...); got == want {
		t.Error("a rank's digest is that of the whole")
	}
	if code, _, errs := pretrain(t, "batches", "--mix", "boks:1"); code != 1 || !strings.Contains(errs, `did you mean "books"?`) {
		t.Errorf("an unknown source: exit %d, %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join("runs", "first", "report.json")); err != nil {
		t.Error(err)
	}
}

func TestWrongUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "--mix is missing"},
		{[]string{"batchs"}, 2, `did you mean "batches"?`},
		{[]string{"--mix", "wiki:lots"}, 2, "no number"},
		{[]string{"--mix", "wiki:1", "--model", "bert-tinny"}, 2, "did you mean bert-tiny?"},
		{[]string{"--mix", "wiki:1", "--objective", "brt"}, 2, "brt"},
		{[]string{"--mix", "wiki:1", "--precision", "fp8"}, 2, "fp8"},
		{[]string{"--mix", "wiki:1", "--step", "3"}, 2, "--steps"},
		{[]string{"batches", "--mix", "wiki:1", "--steps", "5:2"}, 2, "5:2"},
		{[]string{"batches", "--mix", "wiki:1", "--ranks", "2", "--rank", "2"}, 2, "--rank 2"},
		{[]string{"fill", "no mask", "--model", "x"}, 2, "[MASK]"},
		{[]string{"export"}, 2, "missing the run's directory"},
		{[]string{"export", "absent"}, 1, "absent"},
		{[]string{"--mix", "wiki:1"}, 1, "tokenizer"},
	} {
		if code, _, errs := pretrain(t, c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("pretrain %q: exit %d, %q; want %d and %q", c.args, code, errs, c.code, c.says)
		}
	}
}
