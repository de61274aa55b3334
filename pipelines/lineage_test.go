package pipelines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/trainer"
)

// A run that is stopped goes on with the documents it began with when others were
// appended meanwhile, takes the new ones when that is allowed by name, and stops when
// the old ones have changed.
func TestARunGoesOnWithWhatItBeganWith(t *testing.T) {
	ctx := context.Background()
	train := func(data string, steps int64, allow ...string) (*TrainReport, error) {
		cfg := TrainConfig{Data: data, Runs: filepath.Join(data, "runs"), Tokenizer: "wp", TrainSection: DefaultTrainSection(), Log: slog.New(slog.DiscardHandler)}
		cfg.Model = filepath.Join(data, "config.json")
		cfg.Run, cfg.Steps, cfg.SeqLen, cfg.Batch, cfg.EvalBatches = "one", steps, 32, 8, 1
		cfg.Mix = []MixTask{{Task: "wiki", Weight: 1, Objective: "roberta"}}
		cfg.AllowChange = append(allow, "steps", "schedule")
		text := `{"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 800, "hidden_size": 32, "num_hidden_layers": 1,
"num_attention_heads": 2, "intermediate_size": 64, "max_position_embeddings": 48, "type_vocab_size": 2, "hidden_act": "gelu"}`
		if err := os.WriteFile(cfg.Model, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Train(ctx, cfg)
	}
	must := func(r *TrainReport, err error) *TrainReport {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	// rewrite writes the documents of wiki anew, changed, with more after them.
	rewrite := func(data string, change func(*ingest.Document), more int) {
		t.Helper()
		var docs []*ingest.Document
		for d, err := range ingest.Documents(ctx, data, "wiki") {
			if err != nil {
				t.Fatal(err)
			}
			change(d)
			docs = append(docs, d)
		}
		for i := range more {
			docs = append(docs, &ingest.Document{File: "more", Record: int64(i), Text: fmt.Sprintf("Document %d came when the run had begun. It has two sentences.", i)})
		}
		w, err := ingest.NewWriter(data, "wiki")
		if err != nil {
			t.Fatal(err)
		}
		defer w.Abort()
		for _, d := range docs {
			if err := w.Add(d); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		if _, err := Shard(ctx, ShardConfig{Data: data, Sources: []string{"wiki"}, Tokenizer: "wp"}); err != nil {
			t.Fatal(err)
		}
	}
	same := func(*ingest.Document) {}

	alone, grown := servedRoot(t), servedRoot(t)
	must(train(alone, 3))
	want := must(train(alone, 6))
	must(train(grown, 3))
	rewrite(grown, same, 200)
	if got := must(train(grown, 6)); got.ResumedAt != 3 || got.Digest != want.Digest {
		t.Errorf("after documents came the run went on from step %d to %s, without them to %s", got.ResumedAt, got.Digest, want.Digest)
	}
	rewrite(grown, same, 300)
	if got := must(train(grown, 9)); got.ResumedAt != 6 {
		t.Errorf("after still more documents the run went on from step %d", got.ResumedAt)
	}
	if got := must(train(grown, 12, "data")); got.ResumedAt != 9 {
		t.Errorf("with the new documents the run went on from step %d", got.ResumedAt)
	}
	rewrite(grown, func(d *ingest.Document) { d.Text += " Changed." }, 0)
	var mismatch *trainer.MismatchError
	if _, err := train(grown, 15); !errors.As(err, &mismatch) || len(mismatch.Differences) != 1 || mismatch.Differences[0].Field != "data" {
		t.Errorf("with other texts the run says %v", err)
	}
}
