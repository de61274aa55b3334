package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
)

func mustRun(t *testing.T, c Config) *Result {
	t.Helper()
	res, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{seed: 1, pairs: true}, &fakeBatches{seed: 2, pairs: true})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func TestRunLearnsAndTells(t *testing.T) {
	c := fakeConfig(t.TempDir(), 200)
	c.Meter = new(progress.Meter)
	res := mustRun(t, c)
	s := &res.State
	if !res.Done || s.Step != 200 || s.Updates != 200 {
		t.Errorf("result %+v", res)
	}
	if s.Heldout.All.TokenLoss >= s.Baseline.LabelEntropy || s.Heldout.All.TokenAccuracy < 0.5 {
		t.Errorf("held-out %+v is not below the baseline %+v", s.Heldout.All, *s.Baseline)
	}
	if len(s.Heldout.Sources) != 2 || s.Heldout.Sources[0].Source != "books" ||
		s.Heldout.Sources[0].Targets+s.Heldout.Sources[1].Targets != s.Heldout.All.Targets {
		t.Errorf("held-out by source: %+v", s.Heldout)
	}
	if s.SourceTokens["books"]+s.SourceTokens["wiki"] != s.Tokens {
		t.Errorf("tokens by source %v, in all %d", s.SourceTokens, s.Tokens)
	}
	if snap := c.Meter.Snapshot(); snap.Done != 200 || !strings.Contains(snap.Note, "held-out") {
		t.Errorf("the meter says %+v", snap)
	}
	// Going on from the end is nothing to do, and the same result.
	m := newFakeModel(t)
	again, err := Run(t.Context(), c, m, &fakeBatches{seed: 1, pairs: true}, nil)
	if err != nil || m.steps != 0 || !again.Done || again.State.Heldout.All != s.Heldout.All {
		t.Errorf("a finished run: %d steps, %+v (%v)", m.steps, again, err)
	}
}

// TestStoppedRunEndsWithTheSameBytes stops a run at random steps, each time with
// a new process's state, and compares weights, moments and metrics with those of
// a run that was never stopped.
func TestStoppedRunEndsWithTheSameBytes(t *testing.T) {
	whole := fakeConfig(t.TempDir(), 40)
	mustRun(t, whole)
	want := outcome(t, whole.Dir)
	rng := rand.New(rand.NewPCG(3, 4))
	for trial := range 8 {
		c := fakeConfig(t.TempDir(), 40)
		stops := 0
		for {
			m := newFakeModel(t)
			ctx, cancel := context.WithCancel(t.Context())
			train := &stopping{fakeBatches: &fakeBatches{seed: 1, pairs: true}, after: 1 + rng.IntN(60), cancel: cancel}
			res, err := Run(ctx, c, m, train, &fakeBatches{seed: 2, pairs: true})
			cancel()
			if err == nil {
				if !res.Done {
					t.Fatalf("trial %d: no error and not done", trial)
				}
				break
			}
			if !errors.Is(err, ErrInterrupted) || !errors.Is(err, context.Canceled) {
				t.Fatalf("trial %d: %v", trial, err)
			}
			stops++
		}
		if got := outcome(t, c.Dir); got != want {
			t.Fatalf("trial %d: stopped %d times, the run ended otherwise", trial, stops)
		}
	}
}

// stopping cancels its context after some batches, those that the baseline reads
// among them.
type stopping struct {
	*fakeBatches
	after  int
	cancel func()
}

func (s *stopping) Batch(ctx context.Context, step int64) (*masking.Batch, error) {
	if s.after--; s.after <= 0 {
		s.cancel()
	}
	return s.fakeBatches.Batch(ctx, step)
}

const childVariable = "TRIBUTARY_TEST_KILLED_RUN"

// TestKilledRunEndsWithTheSameBytes kills a training process at random moments,
// 50 times and more, until one comes to the end.
func TestKilledRunEndsWithTheSameBytes(t *testing.T) {
	config := func(dir string) Config {
		c := fakeConfig(dir, 200)
		c.Checkpoint.Every = 2
		return c
	}
	if dir := os.Getenv(childVariable); dir != "" {
		m := newFakeModel(t)
		m.delay = time.Millisecond / 4
		if _, err := Run(t.Context(), config(dir), m, &fakeBatches{seed: 1}, &fakeBatches{seed: 2}); err != nil {
			t.Fatal(err)
		}
		return
	}
	whole := config(t.TempDir())
	whole.Checkpoint.Every = 0
	if _, err := Run(t.Context(), whole, newFakeModel(t), &fakeBatches{seed: 1}, &fakeBatches{seed: 2}); err != nil {
		t.Fatal(err)
	}
	want := outcome(t, whole.Dir)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	kills := 0
	for {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledRunEndsWithTheSameBytes$")
		cmd.Env = append(os.Environ(), childVariable+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- cmd.Wait() }()
		limit := time.Duration(10+rng.IntN(50)) * time.Millisecond
		if kills >= 50 {
			limit = time.Minute
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("the training failed: %v", err)
			}
			if kills < 20 {
				t.Logf("the run was done after %d kills", kills)
			}
			if got := outcome(t, dir); got != want {
				t.Fatalf("killed %d times, the run ended otherwise", kills)
			}
			t.Logf("killed %d times", kills)
			return
		case <-time.After(limit):
			if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			if err := <-done; err == nil {
				t.Log("the training ended before it was killed")
			}
			kills++
		}
	}
}

func TestAccumulationIsWeightedByTokens(t *testing.T) {
	gradient := func(micro int) ([]float32, float64) {
		c := fakeConfig(t.TempDir(), 1)
		c.MicroBatch = micro
		m := &undropped{newFakeModel(t)}
		r := &run{
			cfg: &c, model: m, params: m.params, state: &State{SourceTokens: map[string]int64{}},
			opt: newOptimizer(c.Optimizer, 0, m.Pool(), m.params), log: c.Log,
		}
		var err error
		if r.journal, err = openJournal(c.Dir, r.state); err != nil {
			t.Fatal(err)
		}
		defer r.journal.close()
		b, err := (&fakeBatches{seed: 1, pairs: true}).Batch(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.step(b); err != nil {
			t.Fatal(err)
		}
		var all []float32
		for _, p := range m.params {
			all = append(all, p.Grad...)
		}
		return all, r.state.Train.Loss
	}
	want, wantLoss := gradient(0)
	for _, micro := range []int{1, 2, 4, 5, 6, 100} {
		got, loss := gradient(micro)
		if math.Abs(loss-wantLoss) > 1e-12 {
			t.Errorf("micro-batches of %d: loss %v, want %v", micro, loss, wantLoss)
		}
		for i := range got {
			if math.Abs(float64(got[i]-want[i])) > 1e-6 {
				t.Fatalf("micro-batches of %d: gradient %d is %v, want %v", micro, i, got[i], want[i])
			}
		}
	}
}

// undropped is a fakeModel without dropout, whose gradients do not depend on the
// key.
type undropped struct{ *fakeModel }

func (m *undropped) Gradients(b *masking.Batch, s model.Scales, _ counter.Key) (model.Loss, error) {
	return m.run(b, s, 1), nil
}

func TestNotFiniteStepsAreSkippedAndCounted(t *testing.T) {
	c := fakeConfig(t.TempDir(), 30)
	m := newFakeModel(t)
	m.poison = func(b *masking.Batch) bool { return b.Step == 4 || b.Step == 11 || b.Step == 12 }
	res, err := Run(t.Context(), c, m, &fakeBatches{seed: 1}, &fakeBatches{seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if s := res.State; s.Step != 30 || s.Skipped != 3 || s.Updates != 27 {
		t.Errorf("state %+v", s)
	}
	lines, err := ReadMetrics(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var skipped []int64
	for _, l := range lines {
		if l.Kind == "skip" {
			skipped = append(skipped, l.Step)
			if !strings.Contains(l.Reason, "NaN") || len(l.Documents) == 0 {
				t.Errorf("line %+v", l)
			}
		}
	}
	if !slices.Equal(skipped, []int64{4, 11, 12}) {
		t.Errorf("skipped steps %v", skipped)
	}
	for _, p := range m.params {
		for _, x := range p.Data {
			if x != x {
				t.Fatalf("%s holds a NaN", p.Name)
			}
		}
	}
}

func TestSpikesAreSkipped(t *testing.T) {
	c := fakeConfig(t.TempDir(), 150)
	c.Optimizer.Spike = 8
	m := newFakeModel(t)
	m.blow = func(b *masking.Batch) bool { return b.Step == 50 || b.Step == 120 }
	res, err := Run(t.Context(), c, m, &fakeBatches{seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// Before there is a running mean, nothing is a spike.
	if s := res.State; s.Skipped != 1 || s.Updates != 149 {
		t.Errorf("state %+v", s)
	}
	lines, err := ReadMetrics(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if i := slices.IndexFunc(lines, func(l Line) bool { return l.Kind == "skip" }); i < 0 || lines[i].Step != 120 || !strings.Contains(lines[i].Reason, "running mean") {
		t.Errorf("line %d of the metrics", i)
	}
}

func TestDivergedRunGivesUp(t *testing.T) {
	c := fakeConfig(t.TempDir(), 30)
	c.MaxSkips = 4
	m := newFakeModel(t)
	m.poison = func(b *masking.Batch) bool { return b.Step >= 9 }
	_, err := Run(t.Context(), c, m, &fakeBatches{seed: 1}, nil)
	var diverged *NotFiniteError
	// It goes back to step 5 twice, and meets bad batches whatever it passes over.
	if !errors.As(err, &diverged) || diverged.Step != 8 || diverged.Skips != 4 || !strings.Contains(err.Error(), "learning rate") {
		t.Errorf("error %v", err)
	}
}

func TestBatchWithoutTargetsIsRefused(t *testing.T) {
	c := fakeConfig(t.TempDir(), 3)
	_, err := Run(t.Context(), c, newFakeModel(t), emptyBatches{}, nil)
	if !errors.Is(err, model.ErrNoTargets) || !strings.Contains(err.Error(), "step 0") {
		t.Errorf("error %v", err)
	}
}

type emptyBatches struct{}

func (emptyBatches) Batch(context.Context, int64) (*masking.Batch, error) {
	return &masking.Batch{Tokens: []int32{1}, Segments: []uint8{0}, SeqBounds: []int32{0, 1}}, nil
}

func TestCheckpointOfAnotherRunIsRefused(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, fakeConfig(dir, 20))
	for field, change := range map[string]func(*Config){
		"model":       func(c *Config) { c.Lineage.Model = []byte(`{"a":2}`) },
		"tokenizer":   func(c *Config) { c.Lineage.TokenizerDigest = "e" },
		"precision":   func(c *Config) { c.Lineage.Precision = "bf16" },
		"mix":         func(c *Config) { c.Lineage.Mix = "books:1" },
		"objective":   func(c *Config) { c.Lineage.Objective = "roberta" },
		"data":        func(c *Config) { c.Lineage.Data = map[string]string{"wiki": "x"} },
		"batch":       func(c *Config) { c.Lineage.Sequences = 9 },
		"steps":       func(c *Config) { c.Steps = 25 },
		"seed":        func(c *Config) { c.Seed = 8 },
		"micro-batch": func(c *Config) { c.MicroBatch = 3 },
		"optimizer":   func(c *Config) { c.Optimizer.LR = 1 },
		"schedule":    func(c *Config) { c.Schedule.Kind = Cosine },
		"evaluation":  func(c *Config) { c.Evaluation.Every = 9 },
	} {
		c := fakeConfig(dir, 20)
		change(&c)
		_, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{seed: 1, pairs: true}, nil)
		var mismatch *MismatchError
		if !errors.As(err, &mismatch) || len(mismatch.Differences) != 1 || mismatch.Differences[0].Field != field {
			t.Errorf("another %s: %v", field, err)
			continue
		}
		if !slices.Contains(changeable, field) {
			continue
		}
		c.AllowChange = []string{field}
		if _, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{seed: 1, pairs: true}, nil); err != nil {
			t.Errorf("another %s, allowed: %v", field, err)
		}
		dir = t.TempDir()
		mustRun(t, fakeConfig(dir, 20))
	}
	// White space in the model's configuration makes no difference.
	c := fakeConfig(dir, 20)
	c.Lineage.Model = []byte("{\n\"a\":1}")
	if _, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{seed: 1, pairs: true}, nil); err != nil {
		t.Error(err)
	}
}

func TestDamagedCheckpointIsPassedOver(t *testing.T) {
	c := fakeConfig(t.TempDir(), 20)
	mustRun(t, c)
	want := outcome(t, c.Dir)
	for name, damage := range map[string]func(path string) error{
		"a flipped bit": func(path string) error {
			file := filepath.Join(path, momentsFile)
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			data[len(data)/2] ^= 1
			return os.WriteFile(file, data, 0o644)
		},
		"cut weights": func(path string) error { return os.Truncate(filepath.Join(path, weightsFile), 100) },
		"no manifest": func(path string) error { return os.Remove(filepath.Join(path, store.ManifestName)) },
		"no state":    func(path string) error { return os.Remove(filepath.Join(path, stateFile)) },
	} {
		names, err := checkpoints(checkpointDir(c.Dir))
		if err != nil || len(names) != 2 {
			t.Fatalf("checkpoints %v (%v)", names, err)
		}
		if err := damage(filepath.Join(checkpointDir(c.Dir), names[0])); err != nil {
			t.Fatal(err)
		}
		res := mustRun(t, c)
		if res.ResumedAt != 15 {
			t.Errorf("%s: went on from step %d, not from 15", name, res.ResumedAt)
		}
		if got := outcome(t, c.Dir); got != want {
			t.Errorf("%s: the run ended otherwise", name)
		}
	}
	for _, name := range []string{"step-000000020", "step-000000015"} {
		if err := os.Truncate(filepath.Join(checkpointDir(c.Dir), name, stateFile), 3); err != nil {
			t.Fatal(err)
		}
	}
	var damaged *store.DamagedError
	_, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{seed: 1, pairs: true}, nil)
	if !errors.As(err, &damaged) || !strings.Contains(err.Error(), "no checkpoint") {
		t.Errorf("all damaged: %v", err)
	}
}

// rewrite changes a checkpoint and its manifest, as a program that writes bad
// checkpoints would.
func rewrite(t *testing.T, c Config, change func(m *fakeModel)) {
	t.Helper()
	m := newFakeModel(t)
	change(m)
	s := &State{Step: 5, Updates: 5, Lineage: c.Lineage, Recipe: c.recipe()}
	if _, err := writeCheckpoint(c.Dir, s, m.params, newOptimizer(c.Optimizer, 0, m.pool, m.params), Checkpointing{Keep: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestCheckpointMustFitTheModel(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *fakeModel)
		want   string
	}{
		"a NaN":           {func(m *fakeModel) { m.params[1].Data[3] = float32(math.NaN()) }, "not finite"},
		"an infinity":     {func(m *fakeModel) { m.params[0].Data[0] = float32(math.Inf(1)) }, "not finite"},
		"another shape":   {func(m *fakeModel) { m.params[1].Shape = []int{1, fakeVocab} }, "shape"},
		"another name":    {func(m *fakeModel) { m.params[1].Name = "x" }, `"scores.bias" is missing`},
		"too many":        {func(m *fakeModel) { m.params = append(m.params, &model.Param{Name: "more", Shape: []int{0}}) }, "4 tensors"},
		"one is missing":  {func(m *fakeModel) { m.params = m.params[:2] }, `"pair.bias" is missing`},
		"nothing changed": {func(*fakeModel) {}, ""},
	} {
		cfg := fakeConfig(t.TempDir(), 6)
		rewrite(t, cfg, c.change)
		_, err := Run(t.Context(), cfg, newFakeModel(t), &fakeBatches{seed: 1}, nil)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBadConfigsAreRefused(t *testing.T) {
	nan := math.NaN()
	for name, change := range map[string]func(*Config){
		"no directory":   func(c *Config) { c.Dir = "" },
		"no steps":       func(c *Config) { c.Steps = 0 },
		"a NaN rate":     func(c *Config) { c.Optimizer.LR = nan },
		"a rate of 0":    func(c *Config) { c.Optimizer.LR = 0 },
		"infinite decay": func(c *Config) { c.Optimizer.Decay = math.Inf(1) },
		"beta 1":         func(c *Config) { c.Optimizer.Beta2 = 1 },
		"epsilon 0":      func(c *Config) { c.Optimizer.Epsilon = 0 },
		"clip NaN":       func(c *Config) { c.Optimizer.Clip = nan },
		"a small spike":  func(c *Config) { c.Optimizer.Spike = 0.5 },
		"pair weight":    func(c *Config) { c.PairWeight = -1 },
		"no schedule":    func(c *Config) { c.Schedule.Kind = "square" },
		"long warm-up":   func(c *Config) { c.Schedule.Warmup = c.Steps + 1 },
		"keep nothing":   func(c *Config) { c.Checkpoint.Keep = 0 },
		"a wrong change": func(c *Config) { c.AllowChange = []string{"model"} },
		"an optimiser":   func(c *Config) { c.Optimizer.Kind = "adam" },
		"steps, budget":  func(c *Config) { c.Budget = time.Second },
		"linear, budget": func(c *Config) { c.Budget, c.Steps = time.Second, 0 },
		"a mean of 1":    func(c *Config) { c.EMA = 1 },
		"infinite rate":  func(c *Config) { c.Optimizer.LR = math.Inf(1) },
		"a precision":    func(c *Config) { c.Lineage.Precision = "fp8" },
		"a wrong model":  func(c *Config) { c.Lineage.Model = []byte("{") },
	} {
		c := fakeConfig(t.TempDir(), 10)
		change(&c)
		if _, err := Run(t.Context(), c, newFakeModel(t), &fakeBatches{}, nil); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOldCheckpointsAreRemoved(t *testing.T) {
	c := fakeConfig(t.TempDir(), 33)
	c.Checkpoint.Keep = 3
	mustRun(t, c)
	names, err := checkpoints(checkpointDir(c.Dir))
	if want := "[step-000000033 step-000000030 step-000000025]"; err != nil || fmt.Sprint(names) != want {
		t.Errorf("kept %v, want %s (%v)", names, want, err)
	}
}

// valley is a fakeModel whose held-out loss is lowest after 32 steps.
type valley struct{ *fakeModel }

func (m *valley) Evaluate(b *masking.Batch) (model.Loss, error) {
	l, err := m.fakeModel.Evaluate(b)
	l.TokenSum *= 1 + math.Abs(float64(m.steps)/3-32)
	return l, err
}

func TestCheckpointsAreKeptByRule(t *testing.T) {
	c := fakeConfig(t.TempDir(), 63)
	c.Checkpoint = Checkpointing{Every: 5, Keep: 1, KeepEvery: 20, KeepBest: true}
	res, err := Run(t.Context(), c, &valley{newFakeModel(t)}, &fakeBatches{seed: 1}, &fakeBatches{seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	best := res.State.Best
	lowest := math.Inf(1)
	lines, err := ReadMetrics(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		if l.Kind == "heldout" && l.Source == "" {
			lowest = min(lowest, l.Loss)
		}
	}
	if best.Loss != lowest || best.Step != 32 {
		t.Fatalf("the best is %+v, the lowest loss %v", best, lowest)
	}
	names, err := checkpoints(checkpointDir(c.Dir))
	want := []string{"step-000000063", "step-000000060", "step-000000040", "step-000000020", fmt.Sprintf("step-%09d", best.Step)}
	slices.Sort(want)
	slices.Sort(names)
	if err != nil || !slices.Equal(names, want) {
		t.Errorf("kept %v, want %v (%v)", names, want, err)
	}
}
