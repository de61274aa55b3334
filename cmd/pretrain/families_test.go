package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// TestGPT2FromShardsToText trains a GPT-2 from the command line, measures it, lets
// it write, and goes on from its export and from an import of it.
func TestGPT2FromShardsToText(t *testing.T) {
	t.Chdir(t.TempDir())
	corpus := strings.Replace(experiment[:strings.Index(experiment, "train:")], "dedup: {exact: {}, url: {}, minhash: {threshold: 0.8}}\n", "", 1)
	if err := os.WriteFile("x.yaml", []byte(corpus), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, "run", "x.yaml")
	common := []string{"--mix", "wiki:0.6,books:0.4", "--heldout", "0.2", "--eval-batches", "1", "--seq-len", "32", "--batch", "4", "--lr", "1e-3"}
	train := func(more ...string) string { return must(t, append(more, common...)...) }
	if out := train("--model", "gpt2-tiny", "--run", "gpt", "--plan"); !strings.Contains(out, "activations") {
		t.Errorf("the plan says %s", out)
	}
	if _, err := os.Stat("runs/gpt"); err == nil {
		t.Error("a plan left a run")
	}
	out := train("--model", "gpt2-tiny", "--run", "gpt", "--steps", "8", "--profile", "--batch-ramp", "2:4", "--length-ramp", "16:4",
		"--ema", "0.5", "--checkpoint-every", "2", "--keep-best", "--listen", "127.0.0.1:0")
	for _, want := range []string{"8 steps", "perplexity", "linear forward"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	first := must(t, "generate", "the sailor", "--model", "runs/gpt/model", "--tokens", "12", "--seed", "3", "--top-k", "20")
	if again := must(t, "generate", "the sailor", "--model", "runs/gpt/model", "--tokens", "12", "--seed", "3", "--top-k", "20"); again != first || !strings.HasPrefix(first, "the sailor") {
		t.Errorf("it wrote %q, then %q", first, again)
	}
	var eval struct {
		All     struct{ Perplexity float64 }
		Sources []struct{ Targets int }
	}
	report := must(t, "eval", "--model", "runs/gpt/model", "--mix", "wiki:1,books:1", "--seq-len", "32", "--split", "all", "--json")
	if err := json.Unmarshal([]byte(report), &eval); err != nil || len(eval.Sources) != 2 || !(eval.All.Perplexity > 1) {
		t.Errorf("eval says %s (%v)", report, err)
	}
	must(t, "import", "runs/gpt/model", "--to", "imported", "--max-shard", "1MiB")
	if _, err := os.Stat("imported/model.safetensors.index.json"); err != nil {
		t.Error(err)
	}
	imported := must(t, "eval", "--model", "imported", "--mix", "wiki:1,books:1", "--seq-len", "32", "--split", "all", "--json")
	if a, b := strings.Replace(imported, "imported", "", 1), strings.Replace(report, "runs/gpt/model", "", 1); a != b {
		t.Errorf("imported it measures\n%s, before\n%s", a, b)
	}
	train("--init", "imported", "--run", "more", "--steps", "2", "--optimizer", "muon")
	// A time budget ends a run, too.
	if out := train("--model", "gpt2-tiny", "--run", "timed", "--budget", "200ms"); !strings.Contains(out, "model in") {
		t.Errorf("a run of 200 ms says\n%s", out)
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{append([]string{"--init", "imported", "--model", "gpt2"}, common...), 2, "leave --model out"},
		{append([]string{"--init", "imported", "--run", "bad", "--objective", "bert"}, common...), 1, "objective bert does not fit a gpt2"},
		{append([]string{"--model", "gpt2-tiny", "--budget", "1m", "--steps", "5"}, common...), 2, "one of them"},
		{append([]string{"--model", "gpt2-tiny", "--batch-ramp", "3:4"}, common...), 1, "multiple"},
		{append([]string{"--model", "gpt2-tiny", "--listen", "0.0.0.0:0"}, common...), 1, "no token"},
		{append([]string{"--init", "absent"}, common...), 1, "absent"},
		{[]string{"generate", "a", "--model", "imported", "--top-p", "2"}, 2, "--top-p"},
		{[]string{"generate", "a", "--model", "imported", "--temperature", "-1"}, 2, "--temperature"},
		{[]string{"eval", "--mix", "wiki:1"}, 2, "--model is missing"},
		{[]string{"import", "absent", "--to", "x"}, 1, "absent"},
	} {
		if code, _, errs := pretrain(t, c.args...); code != c.code || !strings.Contains(errs, c.says) {
			t.Errorf("pretrain %q: exit %d, %q; want %d and %q", c.args, code, errs, c.code, c.says)
		}
	}
}
