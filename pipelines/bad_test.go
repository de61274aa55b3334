package pipelines

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
)

// digestOf is the digest of the first steps of a stream.
func digestOf(t *testing.T, cfg BatchConfig) masking.Digest {
	t.Helper()
	b, err := OpenBatches(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var sum masking.Digest
	for step := range int64(5) {
		batch, err := b.Batch(context.Background(), step, 0, 1)
		if err != nil {
			t.Fatal(err)
		}
		sum.Add(batch.Digest())
	}
	return sum
}

// What cannot be trained on is told before anything runs, and says what is wrong.
func TestBadStreamsAreClearErrors(t *testing.T) {
	data := servedRoot(t)
	ctx := context.Background()
	component := func(name, where string, weight float64) mixer.Component {
		return mixer.Component{Name: name, Where: where, Weight: weight}
	}
	for _, c := range []struct {
		name   string
		change func(*BatchConfig)
		want   string
	}{
		{"negative weight", func(c *BatchConfig) { c.Mix[0].Weight = -1 }, "the weight of books is -1"},
		{"weights of zero", func(c *BatchConfig) { c.Mix[0].Weight, c.Mix[1].Weight = 0, 0 }, "the weight of books is 0"},
		{"weight that is no number", func(c *BatchConfig) { c.Mix[0].Weight = math.NaN() }, "must be finite"},
		{"infinite weight", func(c *BatchConfig) { c.Mix[1].Weight = math.Inf(1) }, "the weight of wiki is +Inf"},
		{"weight of a later stage", func(c *BatchConfig) {
			c.Stages = []mixer.Stage{{From: 9, Mix: mixer.Mix{component("wiki", "", math.Inf(-1))}}}
		}, "the stage from step 9: mix: the weight of wiki is -Inf"},
		{"no source", func(c *BatchConfig) { c.Mix = nil }, "names no source"},
		{"empty after its predicate", func(c *BatchConfig) { c.Mix[1].Where = "words < 0" }, "wiki[words < 0] is empty: of its"},
		{"empty in a later stage", func(c *BatchConfig) {
			c.Stages = []mixer.Stage{{From: 9, Mix: mixer.Mix{component("books", "words < 0", 1)}}}
		}, "books[words < 0] is empty"},
		{"column that is not there", func(c *BatchConfig) { c.Mix[1].Where = "wrods > 3" }, `did you mean "words"?`},
		{"source that is not there", func(c *BatchConfig) { c.Mix[1].Name = "wikki" }, `did you mean "wiki"?`},
		{"objective that is not there", func(c *BatchConfig) { c.Objective = "brt" }, `did you mean "bert"?`},
		{"labels that are not there", func(c *BatchConfig) { c.Objective = "classify" }, "books"},
		{"tokenizer that is not there", func(c *BatchConfig) { c.Tokenizer = "wq" }, "wq"},
		{"one of two tokenizers", func(c *BatchConfig) { c.Tokenizer = "" }, "choose one of"},
	} {
		cfg := servedConfig(t, data, "bert")
		c.change(&cfg)
		b, err := OpenBatches(ctx, cfg)
		if err == nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
}

// Sequences longer than a model's and vocabularies that are not a model's are told
// before training.
func TestModelsThatDoNotFitAreClearErrors(t *testing.T) {
	data := servedRoot(t)
	dir := t.TempDir()
	train := func(change func(*TrainConfig)) error {
		cfg := TrainConfig{Data: data, Runs: filepath.Join(dir, "runs"), Tokenizer: "wp", TrainSection: DefaultTrainSection(), Log: slog.New(slog.DiscardHandler)}
		cfg.Model, cfg.Steps, cfg.SeqLen, cfg.Batch, cfg.Mix = "bert-tiny", 1, 32, 2, []MixTask{{Task: "wiki", Weight: 1, Objective: "bert"}}
		cfg.EvalBatches = 1
		change(&cfg)
		_, err := Train(context.Background(), cfg)
		return err
	}
	config := func(name string, vocabulary, positions int) string {
		path := filepath.Join(dir, name)
		text := fmt.Sprintf(`{"model_type": "bert", "architectures": ["BertForPreTraining"], "vocab_size": %d, "hidden_size": 32, "num_hidden_layers": 1,
"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": %d, "type_vocab_size": 2, "hidden_act": "gelu"}`, vocabulary, positions)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := train(func(c *TrainConfig) { c.Run, c.Model = "small", config("config.json", 800, 48) }); err != nil {
		t.Fatal(err)
	}
	small := filepath.Join(dir, "runs", "small", "model")
	if _, err := TrainTokenizer(context.Background(), TokenizerConfig{Data: data, Name: "other", VocabSize: 690, Cased: true, Sources: []string{"books"}, Sentinels: 100}); err != nil {
		t.Fatal(err)
	}
	if _, err := Shard(context.Background(), ShardConfig{Data: data, Sources: []string{"wiki"}, Tokenizer: "other"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*TrainConfig)
		want   string
	}{
		{"longer sequences", func(c *TrainConfig) { c.Model, c.SeqLen = config("a.json", 800, 48), 49 }, "it has 48 positions, sequences have up to 49 tokens"},
		{"sequences that get longer", func(c *TrainConfig) {
			c.Model, c.Stream.Lengths = config("a.json", 800, 48), []string{"5=64"}
		}, "it has 48 positions, sequences have up to 64 tokens"},
		{"longer than the model to begin from", func(c *TrainConfig) { c.Init, c.SeqLen = small, 60 }, "it has 48 positions, sequences have up to 60 tokens"},
		{"a smaller vocabulary", func(c *TrainConfig) { c.Model = config("b.json", 699, 48) }, "its vocab_size is 699, the tokenizer has 700 tokens"},
		{"another tokenizer", func(c *TrainConfig) { c.Init, c.Tokenizer = small, "other" }, "its tokenizer is not the shards'"},
	} {
		if err := train(func(cfg *TrainConfig) { cfg.Run = "x"; c.change(cfg) }); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", c.name, err, c.want)
		}
	}
	// Shards whose tokens the tokenizer does not know, as it was replaced.
	cfg := servedConfig(t, data, "bert")
	from, to := filepath.Join(data, "tokenizers", "wp30k"), filepath.Join(data, "tokenizers", "wp")
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
	b, err := OpenBatches(context.Background(), cfg)
	if err == nil {
		_, err = b.Batch(context.Background(), 0, 0, 1)
		b.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "tokenizer") && !strings.Contains(err.Error(), "vocabulary") {
		t.Errorf("a tokenizer that is not the shards': %v", err)
	}
}

// Shards that go missing or change under a stream end it with their name, or are left
// out when that was asked for; what the clock says of files changes nothing.
func TestShardsThatGoAndClocksThatDiffer(t *testing.T) {
	data := servedRoot(t)
	ctx := context.Background()
	cfg := servedConfig(t, data, "bert")
	want := digestOf(t, cfg)
	err := filepath.WalkDir(data, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := time.Unix(int64(len(path))*1e8, 0) // from 1970 to far ahead of now
		return os.Chtimes(path, at, at)
	})
	if err != nil {
		t.Fatal(err)
	}
	if digestOf(t, cfg) != want {
		t.Error("the times of files change the batches")
	}
	if err := os.RemoveAll(filepath.Join(data, ".cache")); err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Rename(data, moved); err != nil {
		t.Fatal(err)
	}
	cfg.Data = moved
	if digestOf(t, cfg) != want {
		t.Error("where the data lies changes the batches")
	}

	part := filepath.Join(moved, "wiki", "shards", "wp", "part-00000.parquet")
	whole, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	// Damaged before it is first read, and replaced by others of its size.
	for name, damaged := range map[string][]byte{"cut short": whole[:len(whole)/2], "zeros": make([]byte, len(whole)), "empty": nil} {
		if err := os.WriteFile(part, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := OpenBatches(ctx, cfg)
		for step := int64(0); err == nil && step < 20; step++ {
			_, err = b.Batch(ctx, step, 0, 1)
		}
		if b != nil {
			b.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "part-00000.parquet") {
			t.Errorf("a shard that is %s: %v", name, err)
		}
	}
	if err := os.Remove(part); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBatches(ctx, cfg); err == nil || !strings.Contains(err.Error(), "part-00000.parquet") {
		t.Errorf("a shard that is missing: %v", err)
	}
	var log bytes.Buffer
	cfg.AllowMissing, cfg.Log = true, slog.New(slog.NewTextHandler(&log, nil))
	_, err = OpenBatches(ctx, cfg)
	var empty *mixer.EmptyError
	if !errors.As(err, &empty) {
		t.Errorf("a source of which all shards are missing: %v", err)
	}
	if err := os.WriteFile(part, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.AllowMissing = false
	if digestOf(t, cfg) != want {
		t.Error("the shard that came back gives other batches")
	}
}
