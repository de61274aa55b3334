package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/tokenize"
	"github.com/tributary-ml/tributary/trainer"
)

// EvalConfig says which model to measure on what.
type EvalConfig struct {
	// Model is a model directory.
	Model string
	// Stream says which batches are read; its objective is the model family's when
	// it is empty. Every component of the mix is measured by itself.
	Stream BatchConfig
	// Batches is how many batches of a component are read; 0 means one pass over it.
	Batches int64
	Meter   *progress.Meter
	Log     *slog.Logger
}

// EvalReport is how well a model tells what it did not see.
type EvalReport struct {
	Model     string `json:"model"`
	Objective string `json:"objective"`
	// All sums up the sources, weighted by their predictions.
	All     EvalFigures   `json:"all"`
	Sources []EvalFigures `json:"sources"`
}

// EvalFigures are the figures of one component of a mix.
type EvalFigures struct {
	Source string `json:"source,omitempty"`
	trainer.Figures
	// Perplexity is the exponential of the token loss.
	Perplexity float64 `json:"perplexity"`
	Sequences  int64   `json:"sequences"`
}

// Write prints the report as a table.
func (r *EvalReport) Write(w io.Writer) {
	fmt.Fprintf(w, "%s, objective %s\n%-24s %12s %10s %10s %10s\n", r.Model, r.Objective, "source", "predictions", "loss", "perplexity", "accuracy")
	for _, f := range append(r.Sources[:len(r.Sources):len(r.Sources)], r.All) {
		name := f.Source
		if name == "" {
			name = "all"
		}
		fmt.Fprintf(w, "%-24s %12d %10.4f %10.3f %9.2f %%\n", name, f.Targets, f.TokenLoss, f.Perplexity, 100*f.TokenAccuracy)
		if f.Pairs > 0 {
			fmt.Fprintf(w, "%-24s %12d %10.4f %10s %9.2f %%\n", "  sentence pairs", f.Pairs, f.PairLoss, "", 100*f.PairAccuracy)
		}
	}
}

// Eval measures the model of a directory on each component of a mix.
func Eval(ctx context.Context, cfg EvalConfig) (*EvalReport, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	loaded, err := trainer.Load(cfg.Model, model.Options{Jobs: cfg.Stream.Jobs})
	if err != nil {
		return nil, err
	}
	defer loaded.Model.Close()
	if len(loaded.Missing) > 0 {
		cfg.Log.Warn("the model lacks tensors, which have random values now", "model", cfg.Model, "missing", loaded.Missing)
	}
	shape := loaded.Model.Config()
	if cfg.Stream.Objective == "" {
		cfg.Stream.Objective = ObjectiveOf(shape.ModelType)
	}
	cfg.Stream.SeqLen = min(cfg.Stream.SeqLen, shape.MaxLength())
	r := &EvalReport{Model: filepath.Clean(cfg.Model), Objective: cfg.Stream.Objective}
	var all trainer.Sums
	for _, component := range cfg.Stream.Mix {
		sums, sequences, err := cfg.component(ctx, loaded, component)
		if err != nil {
			return nil, fmt.Errorf("evaluating %s on %s: %w", cfg.Model, component.Label(), err)
		}
		r.Sources = append(r.Sources, evalFigures(component.Label(), sums, sequences))
		all.Add(sums)
		r.All.Sequences += sequences
	}
	r.All = evalFigures("", all, r.All.Sequences)
	return r, nil
}

func evalFigures(source string, s trainer.Sums, sequences int64) EvalFigures {
	f := EvalFigures{Source: source, Figures: s.Figures(1), Sequences: sequences}
	f.Perplexity = math.Exp(f.TokenLoss)
	return f
}

// component measures the model on one component.
func (cfg *EvalConfig) component(ctx context.Context, loaded *trainer.Loaded, c mixer.Component) (trainer.Sums, int64, error) {
	var sums trainer.Sums
	var sequences int64
	stream := cfg.Stream
	c.Weight = 1
	stream.Mix = mixer.Mix{c}
	stream.Ahead = 2
	batches, err := OpenBatches(ctx, stream)
	if err != nil {
		return sums, 0, err
	}
	defer batches.Close()
	if err := cfg.checkTokenizer(loaded.Tokenizer, batches.Tokenizer, shapeOf(loaded)); err != nil {
		return sums, 0, err
	}
	// One pass ends within the batch that holds the last window.
	windows := batches.Mixer().Tasks()[0].Census.Windows
	n := (windows + int64(stream.BatchSize) - 1) / int64(stream.BatchSize)
	if cfg.Batches > 0 {
		n = min(n, cfg.Batches)
	}
	cfg.Meter.Begin("evaluating "+c.Label(), "batches", n, 0)
	for step := range n {
		b, err := batches.Batch(ctx, step, 0, 1)
		if err != nil {
			return sums, 0, err
		}
		b = trainer.Keep(b, func(seq int) bool { return b.Origins[seq].Epoch == 0 })
		loss, err := loaded.Model.Evaluate(b)
		if errors.Is(err, model.ErrNoTargets) {
			continue
		}
		if err != nil {
			return sums, 0, objectiveHint(err, stream.Objective, shapeOf(loaded).ModelType)
		}
		sums.Add(trainer.Sums{Loss: loss})
		sequences += int64(b.Sequences())
		cfg.Meter.Add(1)
	}
	if sums.Tokens+sums.Pairs == 0 {
		return sums, 0, model.ErrNoTargets
	}
	if x := sums.TokenSum + sums.PairSum; math.IsNaN(x) || math.IsInf(x, 0) {
		return sums, 0, fmt.Errorf("the loss is %v: %w", x, trainer.ErrNotFinite)
	}
	return sums, sequences, nil
}

func shapeOf(l *trainer.Loaded) model.Config { return l.Model.Config() }

func (cfg *EvalConfig) checkTokenizer(models, shards *tokenize.Tokenizer, shape model.Config) error {
	switch {
	case models == nil && shards.VocabSize() > shape.VocabSize:
		return fmt.Errorf("the model embeds %d tokens, the shards' tokenizer has %d", shape.VocabSize, shards.VocabSize())
	case models != nil && models.Digest() != shards.Digest():
		if err := sameVocabulary(models, shards); err != nil {
			return fmt.Errorf("the model's tokenizer is not the shards': %w", err)
		}
	}
	return nil
}

// objectiveHint adds to the error of a batch that a model cannot take which
// objective it could.
func objectiveHint(err error, objective, family string) error {
	var b *model.BatchError
	if errors.As(err, &b) && (b.Field == "PairLabels" || b.Field == "TwoStream" || b.Field == "TargetBounds" || b.Field == "Segments") {
		return fmt.Errorf("objective %s does not fit a %s (its own is %s): %w", objective, family, ObjectiveOf(family), err)
	}
	return err
}

// ImportReport says what became of a foreign model directory.
type ImportReport struct {
	From       string `json:"from"`
	Dir        string `json:"dir"`
	ModelType  string `json:"model_type"`
	Parameters int64  `json:"parameters"`
	// Missing lists tensors that have initial values now, Unexpected those of the
	// old directory that have no place.
	Missing    []string `json:"missing"`
	Unexpected []string `json:"unexpected"`
	Digest     string   `json:"digest"`
}

// Import checks a model directory of Hugging Face and writes it to dir as a run
// would export it: every tensor in float32 under its full name, with a manifest.
func Import(ctx context.Context, from, dir string, shardBytes int64, jobs int) (*ImportReport, error) {
	loaded, err := trainer.Load(from, model.Options{Seed: 1, Jobs: jobs})
	if err != nil {
		return nil, fmt.Errorf("importing: %w", err)
	}
	defer loaded.Model.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if loaded.Tokenizer == nil {
		return nil, fmt.Errorf("importing %s: it has no tokenizer.json", from)
	}
	r := &ImportReport{From: from, Dir: dir, ModelType: shapeOf(loaded).ModelType, Missing: loaded.Missing, Unexpected: loaded.Unexpected}
	for _, p := range loaded.Model.Params() {
		r.Parameters += int64(p.Size())
	}
	err = trainer.Export(dir, trainer.Exported{
		Name: filepath.Base(filepath.Clean(from)), Model: loaded.Model, Tokenizer: loaded.Tokenizer, ShardBytes: shardBytes,
	})
	if err != nil {
		return nil, err
	}
	r.Digest, err = manifestDigest(dir)
	return r, err
}

// checkFirst returns an error unless the model can take the first batch.
func checkFirst(ctx context.Context, m *model.Model, b *masking.Stream) error {
	first, err := b.Batch(ctx, 0, 0, 1)
	if err != nil {
		return err
	}
	return objectiveHint(m.Check(first), b.Objective().Name(), m.Config().ModelType)
}
