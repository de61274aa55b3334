// Package trainer runs a pre-training: optimiser steps over a stream of batches,
// held-out evaluation, metrics, checkpoints from which a stopped run goes on to
// the same bytes, and the export of the trained model in the layout that
// Hugging Face transformers opens.
package trainer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// Model is what a run trains: *model.Model, or anything with parameters and
// losses.
type Model interface {
	// Params returns the parameters in a fixed order.
	Params() []*model.Param
	// Gradients adds the gradient of the scaled sums of the batch's losses to the
	// parameters' Grad. The same arguments give the same bits.
	Gradients(b *masking.Batch, s model.Scales, dropout counter.Key) (model.Loss, error)
	// Evaluate returns the losses without dropout.
	Evaluate(b *masking.Batch) (model.Loss, error)
	ZeroGrad()
	Pool() *kernel.Pool
}

// Batches gives the batch of each optimiser step. The batch is a pure function
// of the step: asking again, or out of order, gives the same.
type Batches interface {
	Batch(ctx context.Context, step int64) (*masking.Batch, error)
}

// Ranked gives each rank its share of a step's batch, as masking.Stream does.
type Ranked interface {
	Batch(ctx context.Context, step int64, rank, ranks int) (*masking.Batch, error)
}

// Whole returns the batches of a ranked stream as one rank alone sees them.
func Whole(r Ranked) Batches { return whole{r} }

type whole struct{ Ranked }

func (w whole) Batch(ctx context.Context, step int64) (*masking.Batch, error) {
	return w.Ranked.Batch(ctx, step, 0, 1)
}

// Optimizer says how weights are stepped, with the constants of its kind: see
// DefaultOptimizer. Decay is not applied to biases and LayerNorm parameters.
type Optimizer struct {
	// Kind is one of Optimizers.
	Kind    string  `json:"kind"`
	LR      float64 `json:"lr"`
	Beta1   float64 `json:"beta1"`
	Beta2   float64 `json:"beta2"`
	Epsilon float64 `json:"epsilon"`
	Decay   float64 `json:"decay"`
	// Clip bounds the global norm of the gradient; 0 means no bound.
	Clip float64 `json:"clip"`
	// Spike skips a step whose gradient's norm is more than Spike times its running
	// mean; 0 means no step.
	Spike float64 `json:"spike,omitempty"`
}

// Evaluation says when and on what held-out losses are measured.
type Evaluation struct {
	// Every is the number of steps from one evaluation to the next; 0 means only
	// at the start and the end.
	Every int64 `json:"every"`
	// Batches is how many held-out batches are read: those of steps 0 to Batches-1
	// of the held-out stream, the same ones every time.
	Batches int64 `json:"batches"`
}

// Checkpointing says when checkpoints are written and which are kept. It has no
// influence on the weights.
type Checkpointing struct {
	// Every is a number of steps and Interval a time; a checkpoint is written when
	// either has passed, at the end and when the run is interrupted. 0: never.
	Every    int64
	Interval time.Duration
	// Keep is how many of the latest are kept. Those of every KeepEvery steps are
	// kept, too, when it is not 0, and with KeepBest that of the lowest held-out loss,
	// which is then written whenever it falls.
	Keep      int
	KeepEvery int64
	KeepBest  bool
}

// Lineage names what a run is made of. A checkpoint goes on only under the
// lineage it was written under.
type Lineage struct {
	// Model is the model's configuration, as its config.json has it.
	Model json.RawMessage `json:"model,omitempty"`
	// Init is the digest of the weights it began from, when they were not drawn.
	Init string `json:"init,omitempty"`
	// Tokenizer is the tokenizer's name and TokenizerDigest its digest.
	Tokenizer       string `json:"tokenizer,omitempty"`
	TokenizerDigest string `json:"tokenizer_digest,omitempty"`
	// Mix and Objective are as the user gave them.
	Mix       string `json:"mix,omitempty"`
	Objective string `json:"objective,omitempty"`
	// Data maps each source to the digest of its shards and marks.
	Data map[string]string `json:"data,omitempty"`
	// Sequences is the number of sequences in a step's batch and Length the bound
	// on their tokens. Ramp says how they grow to that, if they do.
	Sequences int    `json:"sequences,omitempty"`
	Length    int    `json:"length,omitempty"`
	Ramp      string `json:"ramp,omitempty"`
	// Precision is that of the model's products, as kernel.ParsePrecision reads it;
	// empty for fp32. Weights are of float32 in any case, so a run may go on in
	// another when that is allowed.
	Precision string `json:"precision,omitempty"`
}

// Config describes a run. Default gives one with BERT's constants.
type Config struct {
	// Dir is the run's directory, runs/<name>.
	Dir string
	// Seed keys the dropout masks.
	Seed uint64
	// Steps is the number of optimiser steps; 0 with a Budget.
	Steps int64
	// Budget, unless 0, is the wall-clock time the run takes, all stops left out, under
	// the schedule OneCycle or Constant. How much of it each step found spent is
	// written to BudgetFile, and a run that finds it there goes by it: the record
	// decides the weights, not the clock.
	Budget time.Duration
	// MicroBatch is how many of a batch's sequences go through the model at once;
	// their gradients add up to the batch's. 0 means all.
	MicroBatch int
	// PairWeight is the factor of the mean sentence-pair loss beside the mean
	// token loss. BERT's is 1.
	PairWeight float64
	Optimizer  Optimizer
	// EMA, unless 0, is the decay of a running mean of the weights, which is what is
	// evaluated and exported then.
	EMA        float64
	Schedule   Schedule
	Evaluation Evaluation
	Checkpoint Checkpointing
	// LogEvery is how many steps a line of the metrics covers.
	LogEvery int64
	// MaxSkips is how many steps in a row may be skipped, for losses or gradients
	// that are not finite or for spikes. After that the run goes back to the last
	// checkpoint from before them and on with the batches after them, MaxRollbacks
	// times at most; then it gives up. Only checkpoints of every Checkpoint.Every steps
	// count, when there are such, so that where it goes back to does not depend on the
	// clock.
	MaxSkips, MaxRollbacks int
	// VocabSize and Specials (the ids that are never predicted) are for the unigram
	// baseline. It is left out when VocabSize is 0.
	VocabSize int
	Specials  []int32
	// Plot asks for PlotFiles when the run is done.
	Plot bool
	// Profile times every operation and writes ProfileFile when the run ends.
	Profile bool
	// Roofline is what the machine can do at most (MeasureRoofline), for the metrics'
	// MFU and the profile; the zero value leaves MFU out.
	Roofline Roofline

	Lineage Lineage
	// AllowChange names what may differ from the checkpoint the run goes on from:
	// "mix", "objective", "data", "batch", "steps", "schedule", "optimizer", "seed",
	// "micro-batch", "precision", "evaluation". A change of the model or the tokenizer is never
	// allowed.
	AllowChange []string

	// Observe, when it is not nil, is given every line of the metrics as it is
	// written, before Run goes on.
	Observe func(*Line)
	Meter   *progress.Meter
	Log     *slog.Logger
}

// Default returns a Config with the constants BERT was trained with (Devlin et
// al. 2019, appendix A.2, and its published optimiser) for a run of the given
// number of steps, the first hundredth of which warm up.
func Default(dir string, steps int64) Config {
	return Config{
		Dir: dir, Steps: steps, PairWeight: 1,
		Optimizer:  DefaultOptimizer(BERT, 1e-4),
		Schedule:   Schedule{Kind: Linear, Warmup: steps / 100},
		Evaluation: Evaluation{Every: max(1, steps/20), Batches: 8},
		Checkpoint: Checkpointing{Interval: 5 * time.Minute, Keep: 2},
		LogEvery:   10, MaxSkips: 20, MaxRollbacks: 2, Plot: true,
	}
}

// ErrConfig is wrapped by every error about a Config's values.
var ErrConfig = errors.New("not a run that can be made")

// check returns an error unless every value of the configuration is in its
// range.
func (c *Config) check() error {
	bad := func(field, problem string, args ...any) error {
		return fmt.Errorf("%s: %w: %s", field, ErrConfig, fmt.Sprintf(problem, args...))
	}
	o := c.Optimizer
	switch {
	case c.Dir == "":
		return bad("Dir", "it is empty")
	case c.Budget < 0 || c.Budget > 0 && c.Steps != 0:
		return bad("Budget", "%v and %d steps: one of them ends the run", c.Budget, c.Steps)
	case c.Budget == 0 && c.Steps < 1:
		return bad("Steps", "%d steps", c.Steps)
	case c.Budget > 0 && (c.Schedule != Schedule{Kind: OneCycle} && c.Schedule != Schedule{Kind: Constant}):
		return bad("Schedule", "%s with a budget of time: it must be %s or %s, without warm-up", c.Schedule.Kind, OneCycle, Constant)
	case c.MicroBatch < 0:
		return bad("MicroBatch", "%d sequences", c.MicroBatch)
	case c.LogEvery < 1:
		return bad("LogEvery", "%d steps", c.LogEvery)
	case c.MaxSkips < 1 || c.MaxRollbacks < 0:
		return bad("MaxSkips", "%d steps and %d rollbacks", c.MaxSkips, c.MaxRollbacks)
	case !(c.EMA >= 0 && c.EMA < 1):
		return bad("EMA", "%v is not in [0, 1)", c.EMA)
	case !knownOptimizer(o.Kind):
		return bad("Optimizer.Kind", "%q is none of %q", o.Kind, Optimizers())
	case c.Evaluation.Every < 0 || c.Evaluation.Batches < 0:
		return bad("Evaluation", "every %d steps on %d batches", c.Evaluation.Every, c.Evaluation.Batches)
	case c.Checkpoint.Every < 0 || c.Checkpoint.Interval < 0 || c.Checkpoint.Keep < 1 || c.Checkpoint.KeepEvery < 0:
		return bad("Checkpoint", "every %d steps or %v, keeping %d", c.Checkpoint.Every, c.Checkpoint.Interval, c.Checkpoint.Keep)
	case !(c.PairWeight >= 0) || math.IsInf(c.PairWeight, 0):
		return bad("PairWeight", "%v", c.PairWeight)
	case !(o.LR > 0) || math.IsInf(o.LR, 0):
		return bad("Optimizer.LR", "the learning rate %v is not a finite number above 0", o.LR)
	case !(o.Beta1 >= 0 && o.Beta1 < 1 && o.Beta2 >= 0 && o.Beta2 < 1):
		return bad("Optimizer", "the betas %v and %v are not in [0, 1)", o.Beta1, o.Beta2)
	case !(o.Epsilon > 0) || math.IsInf(o.Epsilon, 0):
		return bad("Optimizer.Epsilon", "%v", o.Epsilon)
	case !(o.Decay >= 0) || math.IsInf(o.Decay, 0):
		return bad("Optimizer.Decay", "%v", o.Decay)
	case !(o.Clip >= 0) || math.IsInf(o.Clip, 0):
		return bad("Optimizer.Clip", "%v", o.Clip)
	case !(o.Spike == 0 || o.Spike > 1) || math.IsInf(o.Spike, 0):
		return bad("Optimizer.Spike", "%v is neither 0 nor above 1", o.Spike)
	}
	if _, err := kernel.ParsePrecision(c.Lineage.Precision); err != nil {
		return bad("Lineage.Precision", "%v", err)
	}
	if len(c.Lineage.Model) > 0 && !json.Valid(c.Lineage.Model) {
		return bad("Lineage.Model", "it is not JSON")
	}
	for _, name := range c.AllowChange {
		if !slices.Contains(changeable, name) {
			return bad("AllowChange", "%q is none of %q", name, changeable)
		}
	}
	if c.Budget > 0 {
		return nil
	}
	return c.Schedule.check(c.Steps)
}

// changeable lists what Config.AllowChange may name.
var changeable = []string{
	"mix", "objective", "data", "batch", "steps", "schedule", "optimizer", "seed", "micro-batch", "precision", "evaluation",
}

// recipe is the part of a Config, beside the lineage, that decides the weights
// and the metrics.
type recipe struct {
	Seed       uint64     `json:"seed"`
	Steps      int64      `json:"steps"`
	MicroBatch int        `json:"micro_batch"`
	PairWeight float64    `json:"pair_weight"`
	Optimizer  Optimizer  `json:"optimizer"`
	Schedule   Schedule   `json:"schedule"`
	Evaluation Evaluation `json:"evaluation"`
	LogEvery   int64      `json:"log_every"`
	// Budget is in nanoseconds.
	Budget       time.Duration `json:"budget,omitempty"`
	EMA          float64       `json:"ema,omitempty"`
	MaxSkips     int           `json:"max_skips"`
	MaxRollbacks int           `json:"max_rollbacks"`
}

func (c *Config) recipe() recipe {
	return recipe{
		c.Seed, c.Steps, c.MicroBatch, c.PairWeight, c.Optimizer, c.Schedule, c.Evaluation, c.LogEvery,
		c.Budget, c.EMA, c.MaxSkips, c.MaxRollbacks,
	}
}

// MismatchError says that a checkpoint was written by another run.
type MismatchError struct {
	// Checkpoint is the checkpoint's directory.
	Checkpoint string
	// Differences lists what differs.
	Differences []Difference
}

// Difference is one thing in which a checkpoint differs from the run that would
// go on from it.
type Difference struct {
	// Field is a name for Config.AllowChange, or "model" or "tokenizer".
	Field string
	// Checkpoint and Run are the two values, shortened.
	Checkpoint, Run string
}

func (e *MismatchError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "the checkpoint %s was written by another run:", e.Checkpoint)
	allowed := true
	for _, d := range e.Differences {
		fmt.Fprintf(&b, " its %s is %s, this run's %s;", d.Field, d.Checkpoint, d.Run)
		allowed = allowed && slices.Contains(changeable, d.Field)
	}
	if allowed {
		b.WriteString(" allow the change by name to go on from it, or give the run another name")
	} else {
		b.WriteString(" give the run another name, or delete the old one")
	}
	return b.String()
}

// differences lists what differs between a checkpoint's and this run's lineage
// and recipe, less what may.
func (c *Config) differences(s *State) []Difference {
	var out []Difference
	compare := func(field string, then, now any) {
		if reflect.DeepEqual(then, now) || slices.Contains(c.AllowChange, field) {
			return
		}
		out = append(out, Difference{field, brief(then), brief(now)})
	}
	a, b := s.Lineage, c.Lineage
	compare("model", compact(a.Model), compact(b.Model))
	compare("initial weights", a.Init, b.Init)
	compare("tokenizer", [2]string{a.Tokenizer, a.TokenizerDigest}, [2]string{b.Tokenizer, b.TokenizerDigest})
	compare("precision", cmp.Or(a.Precision, "fp32"), cmp.Or(b.Precision, "fp32"))
	compare("mix", a.Mix, b.Mix)
	compare("objective", a.Objective, b.Objective)
	compare("batch", []any{a.Sequences, a.Length, a.Ramp}, []any{b.Sequences, b.Length, b.Ramp})
	if len(a.Data)+len(b.Data) > 0 {
		compare("data", a.Data, b.Data)
	}
	then, now := s.Recipe, c.recipe()
	compare("steps", [2]int64{then.Steps, int64(then.Budget)}, [2]int64{now.Steps, int64(now.Budget)})
	compare("seed", then.Seed, now.Seed)
	compare("micro-batch", then.MicroBatch, now.MicroBatch)
	compare("schedule", then.Schedule, now.Schedule)
	// What the optimiser remembers is of its kind.
	compare("optimizer's kind", [2]any{then.Optimizer.Kind, then.EMA > 0}, [2]any{now.Optimizer.Kind, now.EMA > 0})
	compare("optimizer", []any{then.Optimizer, then.PairWeight, then.EMA, then.MaxSkips, then.MaxRollbacks},
		[]any{now.Optimizer, now.PairWeight, now.EMA, now.MaxSkips, now.MaxRollbacks})
	compare("evaluation", [2]any{then.Evaluation, then.LogEvery}, [2]any{now.Evaluation, now.LogEvery})
	return out
}

// compact returns JSON without its white space, so that layout makes no
// difference.
func compact(raw json.RawMessage) string {
	var v any
	if json.Unmarshal(raw, &v) != nil {
		return string(raw)
	}
	b, err := json.Marshal(v)
	if err != nil {
		return string(raw)
	}
	return string(b)
}

func brief(v any) string {
	b, err := json.Marshal(v)
	s := string(b)
	if err != nil {
		s = fmt.Sprint(v)
	}
	if len(s) > 200 {
		s = s[:197] + "..."
	}
	return s
}
