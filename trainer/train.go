package trainer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"runtime/metrics"
	"slices"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
)

// Result is what a run came to.
type Result struct {
	// State is where the run stands, with its last training and held-out figures.
	State State
	// Done says that all steps were made; the run was interrupted otherwise.
	Done bool
	// ResumedAt is the step this process went on from, 0 when it began anew, and
	// Checkpoint the directory of the last checkpoint.
	ResumedAt  int64
	Checkpoint string
	// Timing covers this process.
	Timing Timing
}

// ErrInterrupted says that the run was stopped by its context. A checkpoint was
// written; the same run goes on from it.
var ErrInterrupted = errors.New("interrupted; the same command goes on from here")

// NotFiniteError says that too many steps in a row were skipped.
type NotFiniteError struct {
	// Step is the last of them and Skips their number; 0 when it is an evaluation
	// that was not finite.
	Step  int64
	Skips int
	// Reason says what was not finite.
	Reason string
}

func (e *NotFiniteError) Error() string {
	times := ""
	if e.Skips > 0 {
		times = fmt.Sprintf(", %d steps in a row", e.Skips)
	}
	return fmt.Sprintf("step %d: %s%s: the run has diverged; lower the learning rate, warm up for longer or clip the gradient harder, "+
		"and start again or go on from an older checkpoint", e.Step, e.Reason, times)
}

// run is the state of one call of Run.
type run struct {
	cfg     *Config
	model   Model
	params  []*model.Param
	opt     *optimizer
	budget  *budget // nil for a run of a number of steps
	train   Batches
	heldout Batches     // nil when nothing is held out
	held    *heldoutSet // read when it is first needed
	state   *State
	journal *journal
	dropout counter.Key
	log     *slog.Logger

	saver         *checkpointer
	checkpointed  int64     // the step of the last checkpoint, -1 when there is none
	checkpointAt  time.Time // when it was begun
	began, lineAt time.Time
	waited        time.Duration // since lineAt
	tokens        int64         // since lineAt
	allWaited     time.Duration
	allTokens     int64
	flop, allFLOP float64 // since lineAt, and in all
}

// Run trains the model to cfg.Steps steps, going on from the latest checkpoint
// in cfg.Dir when there is one; the weights it ends with do not depend on how
// often it was stopped. The held-out batches may be nil.
//
// When ctx ends, Run writes a checkpoint and returns what it has with an error
// that is ErrInterrupted and ctx's. Other errors are *MismatchError,
// *NotFiniteError, those of the batches and the model, and those of writing.
func Run(ctx context.Context, cfg Config, m Model, train, heldout Batches) (*Result, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("training: %w", err)
	}
	r := &run{
		cfg: &cfg, model: m, params: m.Params(), train: train, heldout: heldout, log: cfg.Log, checkpointed: -1,
		dropout: counter.NewKey(cfg.Seed, "trainer/dropout"),
	}
	if r.log == nil {
		r.log = slog.Default()
	}
	r.opt = newOptimizer(cfg.Optimizer, cfg.EMA, m.Pool(), r.params)
	r.saver = &checkpointer{dir: cfg.Dir, keep: cfg.Checkpoint, params: r.params, opt: r.opt}
	if err := r.resume(); err != nil {
		return nil, err
	}
	resumed := r.state.Step
	j, err := openJournal(cfg.Dir, r.state)
	if err != nil {
		return nil, err
	}
	j.observe = cfg.Observe
	r.journal = j
	if cfg.Budget > 0 {
		if r.budget, err = openBudget(cfg.Dir, cfg.Budget, resumed, r.state.Fraction, time.Now); err != nil {
			return nil, errors.Join(err, j.close())
		}
	}
	if cfg.Profile {
		m.Pool().StartProfile()
	}
	err = r.all(ctx)
	if ops := m.Pool().StopProfile(); cfg.Profile {
		p := Profile{Roofline: cfg.Roofline, Seconds: time.Since(r.began).Seconds(), Ops: ops}
		err = errors.Join(err, p.save(cfg.Dir))
	}
	if r.budget != nil {
		err = errors.Join(err, r.budget.close())
	}
	if werr := r.saver.wait(); err == nil || errors.Is(err, ErrInterrupted) && werr != nil {
		err = werr
	}
	if cerr := j.close(); err == nil {
		err = cerr
	}
	if err == nil && cfg.Plot && r.state.Step > resumed {
		// A run without its picture is still a run.
		if perr := PlotLoss(cfg.Dir); perr != nil {
			r.log.Warn("the losses were not plotted", "error", perr)
		}
	}
	res := &Result{
		State: *r.state, Done: r.done(), ResumedAt: resumed, Checkpoint: r.saver.path,
		Timing: r.timing(r.allTokens, r.allWaited, r.allFLOP, r.began),
	}
	// What is exported is what was evaluated.
	r.opt.swap()
	return res, err
}

// done reports whether the run has come to its end.
func (r *run) done() bool {
	if r.budget != nil {
		return r.state.Fraction >= 1
	}
	return r.state.Step == r.cfg.Steps
}

// resume loads the latest checkpoint or begins anew.
func (r *run) resume() error {
	s, path, err := readCheckpoint(r.cfg, r.params, r.opt, func(err error) {
		r.log.Warn("a checkpoint is damaged; taking the one before it", "error", err)
	})
	if err != nil {
		return err
	}
	if s == nil {
		s = &State{SourceTokens: map[string]int64{}}
	} else {
		r.saver.path, r.checkpointed = path, s.Step
		r.log.Info("going on from a checkpoint", "path", path, "step", s.Step)
	}
	// What differs was allowed to.
	s.Lineage, s.Recipe = r.cfg.Lineage, r.cfg.recipe()
	r.state = s
	return nil
}

// all makes the steps that are left, with the evaluations and checkpoints due.
func (r *run) all(ctx context.Context) error {
	s, c := r.state, r.cfg
	if r.budget == nil && s.Step > c.Steps {
		return fmt.Errorf("training: the checkpoint %s is beyond the run's %d steps", r.saver.path, c.Steps)
	}
	r.began = time.Now()
	r.lineAt, r.checkpointAt = r.began, r.began
	c.Meter.Begin("training", "steps", c.Steps, s.Step)
	if r.done() {
		return nil
	}
	if err := r.prepare(ctx); err != nil {
		return r.stopped(ctx, err)
	}
	r.lineAt = time.Now()
	for {
		if err := ctx.Err(); err != nil {
			return r.stopped(ctx, err)
		}
		if r.budget != nil {
			var err error
			if s.Fraction, err = r.budget.at(s.Step); err != nil {
				return err
			}
		}
		if r.done() {
			return r.finish(ctx)
		}
		at := time.Now()
		// A batch that rollbacks passed over is not read again.
		b, err := r.train.Batch(ctx, s.Step+s.Shift)
		if err != nil {
			return r.stopped(ctx, fmt.Errorf("reading batch %d: %w", s.Step+s.Shift, err))
		}
		r.waited += time.Since(at)
		if err := r.step(b); err != nil {
			return err
		}
		c.Meter.Add(1)
		if err := r.due(ctx); err != nil {
			return err
		}
	}
}

// finish writes the last line, evaluation and checkpoint.
func (r *run) finish(ctx context.Context) error {
	s, c := r.state, r.cfg
	if err := r.line(r.lr(max(0, s.Step-1))); err != nil {
		return err
	}
	if r.heldout != nil && (s.Heldout == nil || s.Heldout.Step != s.Step) {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
	}
	if c.Budget > 0 {
		// The checkpoint must say that the budget is spent.
		r.checkpointed = -1
	}
	return r.write()
}

// lr returns the learning rate of a step.
func (r *run) lr(step int64) float64 {
	c := r.cfg
	switch {
	case r.budget == nil:
		return c.Optimizer.LR * c.Schedule.Factor(step, c.Steps)
	case c.Schedule.Kind == OneCycle:
		return c.Optimizer.LR * oneCycle(r.budget.told[step], oneCyclePeak, 1)
	}
	return c.Optimizer.LR
}

// stopped writes a checkpoint when err is the context's end.
func (r *run) stopped(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	if err := r.write(); err != nil {
		return err
	}
	of := fmt.Sprint(r.cfg.Steps)
	if r.budget != nil {
		of = r.cfg.Budget.String()
	}
	return fmt.Errorf("step %d of %s: %w (%w)", r.state.Step, of, ErrInterrupted, context.Cause(ctx))
}

// prepare measures the baseline and the untrained model at the start of a run.
func (r *run) prepare(ctx context.Context) error {
	c, s := r.cfg, r.state
	if c.Evaluation.Batches == 0 {
		r.heldout = nil
	}
	if r.heldout == nil || s.Step > 0 || s.Heldout != nil {
		return nil
	}
	var err error
	if r.held, err = readHeldout(ctx, r.heldout, c.Evaluation.Batches, c.MicroBatch); err != nil {
		return err
	}
	var b *Baseline
	if c.VocabSize > 0 {
		batches := c.Steps
		if r.budget != nil {
			batches = baselineBatches
		}
		if b, err = baseline(ctx, r.train, batches, r.held, c.VocabSize, c.Specials); err != nil {
			return err
		}
		if err := r.journal.write(&Line{Kind: "baseline", Baseline: b}, time.Now()); err != nil {
			return err
		}
	}
	s.Baseline = b
	return r.evaluate(ctx)
}

// evaluate measures the held-out losses and writes them down.
func (r *run) evaluate(ctx context.Context) error {
	if r.held == nil {
		// An evaluation that is due is made even when the run is being stopped: what
		// the metrics say must not depend on when that was.
		var err error
		r.held, err = readHeldout(context.WithoutCancel(ctx), r.heldout, r.cfg.Evaluation.Batches, r.cfg.MicroBatch)
		if err != nil {
			return err
		}
	}
	r.opt.swap()
	h, err := r.held.evaluate(r.model, r.state.Step, r.cfg.PairWeight)
	r.opt.swap()
	if err != nil {
		return err
	}
	if l := h.All.Loss; math.IsNaN(l) || math.IsInf(l, 0) {
		return &NotFiniteError{Step: h.Step, Reason: fmt.Sprintf("the held-out loss is %v", l)}
	}
	r.state.Heldout = h
	if best := r.state.Best; best == nil || h.All.Loss < best.Loss {
		r.state.Best = &Best{h.Step, h.All.Loss}
	}
	now := time.Now()
	for _, f := range h.Sources {
		if f.Source == "" {
			continue
		}
		if err := r.journal.write(&Line{Kind: "heldout", Step: h.Step, Source: f.Source, Figures: &f.Figures}, now); err != nil {
			return err
		}
	}
	r.log.Info("held-out", "step", h.Step, "token_loss", h.All.TokenLoss, "token_accuracy", h.All.TokenAccuracy)
	return r.journal.write(&Line{Kind: "heldout", Step: h.Step, Figures: &h.All}, now)
}

// step trains on one batch.
func (r *run) step(b *masking.Batch) error {
	s, c := r.state, r.cfg
	if len(b.Predict) == 0 && len(b.PairLabels) == 0 {
		return fmt.Errorf("step %d: %w", s.Step, model.ErrNoTargets)
	}
	// The counts of the whole step come first: a mean over micro-batches of
	// unequal counts must not be a mean of their means.
	var scales model.Scales
	if n := len(b.Predict); n > 0 {
		scales.Token = float32(1 / float64(n))
	}
	if n := len(b.PairLabels); n > 0 {
		scales.Pair = float32(c.PairWeight / float64(n))
	}
	r.model.ZeroGrad()
	key := r.dropout.Sub(uint64(s.Step + s.Shift))
	var loss model.Loss
	tasks := map[string]model.Loss{}
	for i, micro := range split(b, c.MicroBatch) {
		if len(micro.Predict) == 0 && len(micro.PairLabels) == 0 {
			continue
		}
		l, err := r.model.Gradients(micro, scales, key.Sub(uint64(i)))
		if err != nil {
			return fmt.Errorf("step %d, micro-batch %d: %w", s.Step, i, err)
		}
		addLoss(&loss, l)
		r.byTask(tasks, micro)
		if m, ok := r.model.(flops); ok {
			r.flop += m.FLOP(micro)
		}
	}
	norm := r.opt.norm()
	lr := r.lr(s.Step)
	r.count(b)
	reason := notFinite(loss, norm)
	if reason == "" {
		reason = r.spike(norm)
	}
	if reason != "" {
		return r.skip(b, reason)
	}
	s.Updates++
	s.SkippedInRow = 0
	r.opt.step(lr, norm, s.Updates)
	w := &s.Window
	w.Steps++
	addLoss(&w.Loss, loss)
	for name, l := range tasks {
		if w.Sources == nil {
			w.Sources = map[string]model.Loss{}
		}
		sum := w.Sources[name]
		addLoss(&sum, l)
		w.Sources[name] = sum
	}
	w.NormSum += norm
	w.NormMax = max(w.NormMax, norm)
	s.Step++
	if s.Step%c.LogEvery == 0 || s.Step == c.Steps {
		return r.line(lr)
	}
	return nil
}

// flops and tokenLosses are what a Model may tell beside its losses, as
// *model.Model does.
type (
	flops interface {
		FLOP(b *masking.Batch) float64
	}
	tokenLosses interface {
		// TokenLosses returns the loss of each predicted position of the last batch and
		// whether its label was the most probable token.
		TokenLosses() (losses []float32, hits []bool)
	}
)

// byTask adds the token losses of the batch the model has just seen to those of its
// sources.
func (r *run) byTask(tasks map[string]model.Loss, b *masking.Batch) {
	m, ok := r.model.(tokenLosses)
	if !ok || len(b.Origins) == 0 {
		return
	}
	losses, hits := m.TokenLosses()
	if len(losses) != len(b.Predict) {
		return // a batch of pairs alone
	}
	next := 0
	for i := range b.Sequences() {
		name := source(b, i)
		l := tasks[name]
		for ; next < len(b.Predict) && b.Predict[next] < b.SeqBounds[i+1]; next++ {
			l.Tokens++
			l.TokenSum += float64(losses[next])
			if hits[next] {
				l.TokenHits++
			}
		}
		tasks[name] = l
	}
}

// count adds a batch to the totals.
func (r *run) count(b *masking.Batch) {
	s := r.state
	s.Sequences += int64(b.Sequences())
	s.Tokens += int64(len(b.Tokens))
	s.Targets += int64(len(b.Predict))
	for i := range b.Sequences() {
		if name := source(b, i); name != "" {
			s.SourceTokens[name] += int64(b.SeqBounds[i+1] - b.SeqBounds[i])
		}
	}
	r.tokens += int64(len(b.Tokens))
}

// line writes the window's means and begins the next window.
func (r *run) line(lr float64) error {
	s := r.state
	if s.Window.Steps == 0 {
		return nil
	}
	f := figures(s.Window.Loss, r.cfg.PairWeight)
	timing := r.timing(r.tokens, r.waited, r.flop, r.lineAt)
	now := time.Now()
	if len(s.Window.Sources) > 1 {
		for _, name := range slices.Sorted(maps.Keys(s.Window.Sources)) {
			task := figures(s.Window.Sources[name], 0)
			if err := r.journal.write(&Line{Kind: "train", Step: s.Step, Source: name, Figures: &task}, now); err != nil {
				return err
			}
		}
	}
	err := r.journal.write(&Line{
		Kind: "train", Step: s.Step, Figures: &f, Timing: &timing,
		Progress: &Progress{
			LR: lr, GradNorm: s.Window.NormSum / float64(s.Window.Steps), GradNormMax: s.Window.NormMax, WeightNorm: r.opt.weightNorm(),
			SequencesSeen: s.Sequences, TokensSeen: s.Tokens, Skipped: s.Skipped, SourceTokens: maps.Clone(s.SourceTokens),
		},
	}, now)
	s.Train, s.Window = &f, window{}
	r.allTokens, r.allWaited, r.allFLOP = r.allTokens+r.tokens, r.allWaited+r.waited, r.allFLOP+r.flop
	r.tokens, r.waited, r.flop, r.lineAt = 0, 0, 0, now
	note := fmt.Sprintf("loss %.3f, accuracy %.1f %%, lr %.2g, %.0f tokens/s", f.Loss, 100*f.TokenAccuracy, lr, timing.TokensPerSecond)
	if h := s.Heldout; h != nil && h.Step > 0 {
		note += fmt.Sprintf(", held-out %.3f", h.All.TokenLoss)
	}
	r.cfg.Meter.Note(note)
	return err
}

func (r *run) timing(tokens int64, waited time.Duration, flop float64, since time.Time) Timing {
	memory := []metrics.Sample{{Name: "/memory/classes/total:bytes"}}
	metrics.Read(memory)
	t := Timing{Seconds: time.Since(r.began).Seconds(), ResidentBytes: residentBytes()}
	if memory[0].Value.Kind() == metrics.KindUint64 {
		t.MemoryBytes = memory[0].Value.Uint64()
	}
	if d := time.Since(since).Seconds(); d > 0 && tokens > 0 {
		t.TokensPerSecond = float64(tokens) / d
		t.WaitShare = waited.Seconds() / d
		if peak := r.cfg.Roofline.FLOPS; peak > 0 {
			t.MFU = flop / d / peak
		}
	}
	return t
}

// due makes the evaluation and the checkpoint that are due after a step that is not
// the last.
func (r *run) due(ctx context.Context) error {
	s, c := r.state, r.cfg
	if r.budget == nil && s.Step == c.Steps {
		return nil // finish does all of it
	}
	at := time.Now()
	if r.heldout != nil && c.Evaluation.Every > 0 && s.Step%c.Evaluation.Every == 0 {
		if err := r.evaluate(ctx); err != nil {
			return err
		}
	}
	if c.Checkpoint.Every > 0 && s.Step%c.Checkpoint.Every == 0 ||
		c.Checkpoint.Interval > 0 && time.Since(r.checkpointAt) >= c.Checkpoint.Interval ||
		c.Checkpoint.KeepBest && s.Best != nil && s.Best.Step == s.Step {
		if err := r.write(); err != nil {
			return err
		}
	}
	// The tokens per second are the training's.
	r.lineAt = r.lineAt.Add(time.Since(at))
	return nil
}

// write begins the checkpoint of the present step.
func (r *run) write() error {
	s := r.state
	if r.checkpointed == s.Step {
		return nil
	}
	if r.budget != nil {
		if err := r.budget.sync(); err != nil {
			return fmt.Errorf("writing the record of the time budget: %w", err)
		}
	}
	s.MetricsBytes, s.EventsBytes = r.journal.size, r.journal.events.Size()
	if err := r.saver.begin(s); err != nil {
		return err
	}
	r.checkpointed, r.checkpointAt = s.Step, time.Now()
	return nil
}
