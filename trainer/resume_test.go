package trainer

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
)

// TestBERTResumesToTheSameBytesOnAnyJobs trains a BERT with dropout, stopped
// twice and gone on with on another number of workers each time.
func TestBERTResumesToTheSameBytesOnAnyJobs(t *testing.T) {
	train := func(dir string, jobs []int, stops []int) {
		t.Helper()
		for i, j := range jobs {
			c := model.BERT(2, 64, 130)
			c.NumAttentionHeads, c.MaxPositionEmbeddings = 2, 32
			// The seed is of no matter once there is a checkpoint.
			m, err := model.New(c, model.Options{Seed: uint64(min(i, 1)), Jobs: j})
			if err != nil {
				t.Fatal(err)
			}
			cfg := fakeConfig(dir, 12)
			cfg.Evaluation = Evaluation{Every: 4, Batches: 2}
			cfg.VocabSize = 0
			ctx, cancel := context.WithCancel(t.Context())
			after := 1000
			if i < len(stops) {
				after = stops[i]
			}
			b := &stopping{fakeBatches: &fakeBatches{seed: 1, pairs: true}, after: after, cancel: cancel}
			res, err := Run(ctx, cfg, m, b, &fakeBatches{seed: 2, pairs: true})
			cancel()
			m.Close()
			if last := i == len(jobs)-1; last != (err == nil) || last != res.Done {
				t.Fatalf("part %d: %v", i, err)
			}
		}
	}
	whole, parts := t.TempDir(), t.TempDir()
	train(whole, []int{1}, nil)
	train(parts, []int{2, 1, 3}, []int{4, 5})
	if outcome(t, whole) != outcome(t, parts) {
		t.Error("the run that was stopped ended otherwise")
	}
	for _, f := range []string{weightsFile, momentsFile} {
		name := filepath.Join("checkpoints", "step-000000012", f)
		a, err := os.ReadFile(filepath.Join(whole, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(parts, name))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs (%v)", name, err)
		}
	}
}

// wide returns a batch of 32 sequences of 128 tokens, 15 % of them predicted.
func wide(vocab int) *masking.Batch {
	rng := rand.New(rand.NewPCG(1, 2))
	b := &masking.Batch{SeqBounds: []int32{0}}
	for range 32 {
		for i := range 128 {
			if i%7 == 3 {
				b.Predict = append(b.Predict, int32(len(b.Tokens)))
				b.Labels = append(b.Labels, rng.Int32N(int32(vocab)))
			}
			b.Tokens = append(b.Tokens, rng.Int32N(int32(vocab)))
			b.Segments = append(b.Segments, uint8(i/64))
		}
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		b.PairLabels = append(b.PairLabels, rng.Int32N(2))
	}
	return b
}

type constant struct{ b *masking.Batch }

func (c constant) Batch(context.Context, int64) (*masking.Batch, error) { return c.b, nil }

// BenchmarkResume measures, for a BERT-mini, what going on from a checkpoint
// costs, beside one training step and the loading of the weights alone.
func BenchmarkResume(b *testing.B) {
	c, err := model.Preset("bert-mini", 30522)
	if err != nil {
		b.Fatal(err)
	}
	m, err := model.New(c, model.Options{Seed: 1})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	cfg := fakeConfig(b.TempDir(), 2)
	cfg.VocabSize, cfg.MicroBatch, cfg.Evaluation.Batches = 0, 0, 0
	batches := constant{wide(c.VocabSize)}
	if _, err := Run(b.Context(), cfg, m, batches, nil); err != nil {
		b.Fatal(err)
	}
	opt := newOptimizer(cfg.Optimizer, 0, m.Pool(), m.Params())
	path := filepath.Join(checkpointDir(cfg.Dir), fmt.Sprintf("%s%09d", checkpointPrefix, 2))
	b.Run("step", func(b *testing.B) {
		j, err := openJournal(b.TempDir(), &State{})
		if err != nil {
			b.Fatal(err)
		}
		defer j.close()
		r := &run{cfg: &cfg, model: m, params: m.Params(), opt: opt, state: &State{SourceTokens: map[string]int64{}}, journal: j, log: cfg.Log}
		for b.Loop() {
			if err := r.step(batches.b); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("weights", func(b *testing.B) {
		for b.Loop() {
			if err := readWeights(filepath.Join(path, weightsFile), m.Params()); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("resume", func(b *testing.B) {
		for b.Loop() {
			s, _, err := readCheckpoint(&cfg, m.Params(), opt, func(err error) { b.Error(err) })
			if err != nil || s == nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if _, err := writeCheckpoint(cfg.Dir, &State{Step: 2, Lineage: cfg.Lineage, Recipe: cfg.recipe()}, m.Params(), opt, Checkpointing{Keep: 1}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
