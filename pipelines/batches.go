package pipelines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/shards/mirror"
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
	// Objective is one of masking.Objectives or a point of the grid.
	Objective string
	Seed      uint64
	// SeqLen is the longest sequence in tokens, BatchSize the samples of a step
	// over all ranks; BatchTokens stands in its place when it is not 0.
	SeqLen, BatchSize int
	BatchTokens       int64
	// Weighting, AtEnd and Stages are as in mixer.Options; a stage's SeqLen is that
	// of the objective. Curricula split sources by signals.
	Weighting mixer.Weighting
	AtEnd     mixer.AtEnd
	Stages    []mixer.Stage
	Curricula []mixer.Curriculum
	// Cut says which marked spans are left out of texts. Labelled texts are never cut:
	// their labels are of the whole.
	Cut mixer.CutRules
	// Options are knobs of the objective; Seed, SeqLen and Frequencies are filled in.
	Options masking.Options
	// HeldoutFraction of the documents is never trained on; Split says which part
	// is read.
	HeldoutFraction float64
	Split           mixer.Split
	// AllowMissing has the documents of missing shards left out, with a warning.
	AllowMissing bool
	// Lineages are those of shards.OpenOptions: what a run that goes on began with.
	Lineages map[string]string
	// Cache is the directory in which a data root that lies far away is kept and
	// CacheBytes the budget of its shards (see mirror.Options).
	Cache      string
	CacheBytes int64
	Log        *slog.Logger
	mirror     *mirror.Mirror
	Jobs       int
	// Ahead is how many batches are built before they are asked for.
	Ahead int
}

// Batches is an open stream with what it reads.
type Batches struct {
	*masking.Stream
	// Tokenizer is the tokenizer of the shards and TokenizerName its name.
	Tokenizer     *tokenize.Tokenizer
	TokenizerName string
	// Labels are those of a labelled objective; nil for others.
	Labels *Labels
	// Data is the data root on this machine.
	Data string
}

// OpenSet opens the shards of a source of the stream.
func (b *Batches) OpenSet(ctx context.Context, source string) (*shards.Set, error) {
	return shards.OpenWith(ctx, b.Data, source, b.TokenizerName, b.Mixer().Options().Shards)
}

// Close stops the stream and closes the shards.
func (b *Batches) Close() error {
	b.Stream.Close()
	return b.Mixer().Close()
}

// localise gives a data root that lies far away a directory here. Streams that are
// opened with the configuration then share it.
func (c *BatchConfig) localise(ctx context.Context) error {
	if !remote.IsRemote(c.Data) {
		if local, ok := remote.Path(c.Data); ok {
			c.Data = local
		}
		return nil
	}
	m, err := mirror.Open(c.Data, mirror.Options{Dir: c.Cache, Budget: c.CacheBytes, Log: c.Log})
	if err != nil {
		return err
	}
	if c.Tokenizer, err = m.Prepare(ctx, c.Tokenizer, c.sources()); err != nil {
		return err
	}
	c.Data, c.mirror = m.Dir(), m
	return nil
}

// sources names the sources of all mixes of the configuration.
func (c BatchConfig) sources() []string {
	var list []string
	add := func(m mixer.Mix) {
		for _, part := range m {
			if !slices.Contains(list, part.Name) {
				list = append(list, part.Name)
			}
		}
	}
	add(c.Mix)
	for _, s := range c.Stages {
		add(s.Mix)
	}
	return list
}

// OpenBatches opens the shards of a mix and the stream of batches over them.
func OpenBatches(ctx context.Context, cfg BatchConfig) (*Batches, error) {
	if err := cfg.localise(ctx); err != nil {
		return nil, err
	}
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
	options := cfg.Options
	options.Seed, options.SeqLen = cfg.Seed, cfg.SeqLen
	if masking.NeedsFrequencies(cfg.Objective) {
		options.Frequencies = new(masking.Frequencies) // until the mix is open
	}
	var labels *Labels
	if slices.Contains(masking.LabelledObjectives(), cfg.Objective) && options.Labels == nil {
		if labels, err = OpenLabels(ctx, cfg.Data, cfg.sources(), cfg.Objective, t); err != nil {
			return nil, err
		}
		options.Labels = labels
	}
	objective, err := masking.NewObjective(cfg.Objective, t, options)
	if err != nil {
		return nil, err
	}
	read := mixer.Options{
		Data: cfg.Data, Tokenizer: name, Mix: cfg.Mix, Weighting: cfg.Weighting, AtEnd: cfg.AtEnd, Stages: slices.Clone(cfg.Stages),
		Seed: cfg.Seed, SeqLen: objective.SeqLen(), BatchSize: cfg.BatchSize, BatchTokens: cfg.BatchTokens,
		Layout: objective.Layout(), Cut: cfg.Cut, Split: cfg.Split, HeldoutFraction: cfg.HeldoutFraction, VocabSize: t.VocabSize(), Jobs: cfg.Jobs,
		Shards: shards.OpenOptions{AllowMissing: cfg.AllowMissing, Lineages: cfg.Lineages},
	}
	if cfg.mirror != nil {
		read.Shards.Fetcher = cfg.mirror
	}
	if read.Layout == mixer.Whole {
		read.Cut = mixer.NoCut()
	}
	var lengths []int
	for i := range read.Stages {
		stage := &read.Stages[i]
		if stage.SeqLen == 0 {
			continue
		}
		lengths = append(lengths, stage.SeqLen)
		options.SeqLen = stage.SeqLen
		longer, err := masking.NewObjective(cfg.Objective, t, options)
		if err != nil {
			return nil, err
		}
		stage.SeqLen = longer.SeqLen()
	}
	if err := read.Unfold(cfg.Curricula); err != nil {
		return nil, err
	}
	m, err := mixer.Open(ctx, read)
	if err != nil {
		return nil, err
	}
	if log := cfg.Log; log != nil {
		for source, files := range m.Missing() {
			log.Warn("the documents of missing shards are left out", "source", source, "shards", files)
		}
	}
	if options.Frequencies != nil {
		if options.Frequencies, err = m.Frequencies(ctx, t.VocabSize()); err != nil {
			return nil, errors.Join(err, m.Close())
		}
	}
	var objectives []masking.Objective
	for _, length := range append([]int{cfg.SeqLen}, lengths...) {
		options.SeqLen = length
		o, err := masking.NewObjective(cfg.Objective, t, options)
		if err != nil {
			return nil, errors.Join(err, m.Close())
		}
		objectives = append(objectives, o)
	}
	s, err := masking.NewStream(m, objectives[0], cfg.Ahead, objectives[1:]...)
	if err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return &Batches{Stream: s, Tokenizer: t, TokenizerName: name, Labels: labels, Data: cfg.Data}, nil
}
