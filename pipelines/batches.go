package pipelines

import (
	"context"
	"errors"
	"fmt"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/tokenize"
)

// The defaults of a stream of batches.
const (
	DefaultObjective       = "bert"
	DefaultSeqLen          = 128
	DefaultBatchSize       = 32
	DefaultHeldoutFraction = 0.01
)

// BatchConfig says which batches a run trains on. All fields but Data, Jobs and
// Ahead decide their content.
type BatchConfig struct {
	// Data is the data root, Tokenizer the name of a tokenizer under it; the only
	// one there when empty.
	Data, Tokenizer string
	Mix             mixer.Mix
	// Objective is one of masking.Objectives.
	Objective string
	Seed      uint64
	// SeqLen is the longest sequence in tokens, BatchSize the sequences of a step
	// over all ranks.
	SeqLen, BatchSize int
	// HeldoutFraction of the documents is never trained on; Split says which part
	// is read.
	HeldoutFraction float64
	Split           mixer.Split
	Jobs            int
	// Ahead is how many batches are built before they are asked for.
	Ahead int
}

// Batches is an open stream with what it reads.
type Batches struct {
	*masking.Stream
	// Tokenizer is the tokenizer of the shards and TokenizerName its name.
	Tokenizer     *tokenize.Tokenizer
	TokenizerName string
}

// Close stops the stream and closes the shards.
func (b *Batches) Close() error {
	b.Stream.Close()
	return b.Mixer().Close()
}

// OpenBatches opens the shards of a mix and the stream of batches over them.
func OpenBatches(ctx context.Context, cfg BatchConfig) (*Batches, error) {
	name := cfg.Tokenizer
	if name == "" {
		have, err := Tokenizers(cfg.Data)
		if err != nil {
			return nil, err
		}
		switch len(have) {
		case 0:
			return nil, fmt.Errorf("%s has no tokenizer: run 'corpus shard' first", cfg.Data)
		case 1:
			name = have[0]
		default:
			return nil, fmt.Errorf("%s has %d tokenizers: choose one of %v", cfg.Data, len(have), have)
		}
	}
	t, err := OpenTokenizer(cfg.Data, name)
	if err != nil {
		return nil, err
	}
	objective, err := masking.NewObjective(cfg.Objective, t, masking.Options{Seed: cfg.Seed, SeqLen: cfg.SeqLen})
	if err != nil {
		return nil, err
	}
	m, err := mixer.Open(ctx, mixer.Options{
		Data: cfg.Data, Tokenizer: name, Mix: cfg.Mix, Seed: cfg.Seed, SeqLen: objective.SeqLen(), BatchSize: cfg.BatchSize,
		Layout: objective.Layout(), Split: cfg.Split, HeldoutFraction: cfg.HeldoutFraction, Jobs: cfg.Jobs,
	})
	if err != nil {
		return nil, err
	}
	s, err := masking.NewStream(m, objective, cfg.Ahead)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &Batches{Stream: s, Tokenizer: t, TokenizerName: name}, nil
}
