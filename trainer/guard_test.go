package trainer

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/masking"
)

// TestRunGoesBackPastBadBatches poisons a stretch of batches. The run must go back
// to a checkpoint from before them, read on after them, and end with the same
// bytes when it is stopped in between.
func TestRunGoesBackPastBadBatches(t *testing.T) {
	train := func(dir string, after int) (*Result, *fakeBatches, error) {
		c := fakeConfig(dir, 30)
		c.MaxSkips, c.Checkpoint.Keep = 3, 4
		m := newFakeModel(t)
		m.poison = func(b *masking.Batch) bool { return b.Step >= 12 && b.Step <= 16 }
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		b := &stopping{fakeBatches: &fakeBatches{seed: 1, pairs: true}, after: after, cancel: cancel}
		res, err := Run(ctx, c, m, b, &fakeBatches{seed: 2, pairs: true})
		return res, b.fakeBatches, err
	}
	whole := t.TempDir()
	res, asked, err := train(whole, 1000)
	if err != nil {
		t.Fatal(err)
	}
	// Batches 12, 13, 14 are skipped; it goes back to step 10 and on with batch 15,
	// 15 and 16 are skipped, and 17 is not.
	s := res.State
	if s.Step != 30 || s.Rollbacks != 1 || s.Shift != 5 || s.Skipped != 5 || s.Updates != 28 {
		t.Errorf("state %+v", s)
	}
	// Those before the run are the baseline's.
	steps := asked.asked[30:]
	if want := []int64{11, 12, 13, 14, 15, 16, 17}; !slices.Equal(steps[11:18], want) || steps[len(steps)-1] != 34 {
		t.Errorf("batches %v", steps)
	}
	lines, err := ReadMetrics(whole)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(lines, func(l Line) bool { return l.Kind == "rollback" })
	if i < 0 || lines[i].Step != 14 || *lines[i].To != 10 {
		t.Fatalf("no line says it: %+v", lines)
	}
	if l := lines[i-1]; l.Kind != "skip" || *l.Batch != 14 || len(l.Documents) == 0 {
		t.Errorf("the skip before it: %+v", l)
	}
	for _, after := range []int{42, 44, 46, 49} { // the baseline asks for the first 30
		parts := t.TempDir()
		if _, _, err := train(parts, after); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		if _, _, err := train(parts, 1000); err != nil {
			t.Fatal(err)
		}
		if outcome(t, parts) != outcome(t, whole) {
			t.Errorf("stopped after %d batches the run ended otherwise", after)
		}
	}
}

// clockBudget is a clock that a test moves.
type fakeClock struct{ at time.Time }

func (c *fakeClock) now() time.Time { return c.at }

func TestBudgetGoesByItsRecord(t *testing.T) {
	dir := t.TempDir()
	clock := &fakeClock{time.Unix(0, 0)}
	open := func(step int64, fraction float64) *budget {
		t.Helper()
		b, err := openBudget(dir, 10*time.Second, step, fraction, clock.now)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	var told []float64
	b := open(0, 0)
	for step := range int64(4) {
		f, err := b.at(step)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, f)
		clock.at = clock.at.Add(time.Second)
	}
	if want := []float64{0, 0.1, 0.2, 0.3}; !slices.Equal(told, want) {
		t.Fatalf("told %v, want %v", told, want)
	}
	b.close()
	// A kill in the middle of a line; time passes while nobody trains.
	path := filepath.Join(dir, BudgetFile)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"step":4,"fra`); err != nil {
		t.Fatal(err)
	}
	f.Close()
	clock.at = clock.at.Add(time.Hour)
	b = open(2, 0.2)
	for step := int64(2); step < 6; step++ {
		f, err := b.at(step)
		if err != nil {
			t.Fatal(err)
		}
		if want := []float64{0.2, 0.3, 0.3, 0.4}[step-2]; math.Abs(f-want) > 1e-12 {
			t.Errorf("step %d: %v, want %v", step, f, want)
		}
		clock.at = clock.at.Add(time.Second)
	}
	b.close()
	// Lines that the machine lost are taken from the checkpoint.
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	b = open(3, 0.25)
	if f, err := b.at(2); err != nil || f != 0.25 {
		t.Errorf("a lost line: %v, %v", f, err)
	}
	b.close()
	for _, bad := range []string{"[]\n", `{"step":1,"fraction":0}` + "\n", `{"step":0,"fraction":0.5}` + "\n" + `{"step":1,"fraction":0.4}` + "\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openBudget(dir, time.Second, 0, 0, clock.now); err == nil {
			t.Errorf("the record %q was taken", bad)
		}
	}
}

// TestBudgetRunRepeatsFromItsRecord trains for a time, and again in another
// directory by the record alone, stopped in between.
func TestBudgetRunRepeatsFromItsRecord(t *testing.T) {
	config := func() Config {
		c := fakeConfig(t.TempDir(), 1)
		c.Steps, c.Budget, c.Schedule = 0, 300*time.Millisecond, Schedule{Kind: OneCycle}
		return c
	}
	first := config()
	m := newFakeModel(t)
	m.delay = 10 * time.Millisecond
	began := time.Now()
	res, err := Run(t.Context(), first, m, &fakeBatches{seed: 1}, &fakeBatches{seed: 2})
	if err != nil {
		t.Fatal(err)
	}
	if d := time.Since(began); !res.Done || res.State.Step < 3 || d < first.Budget {
		t.Fatalf("%d steps in %v, done: %t", res.State.Step, d, res.Done)
	}
	record, err := os.ReadFile(filepath.Join(first.Dir, BudgetFile))
	if err != nil {
		t.Fatal(err)
	}
	again := config()
	if err := os.WriteFile(filepath.Join(again.Dir, BudgetFile), record, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The baseline reads batches first.
	stop := &stopping{fakeBatches: &fakeBatches{seed: 1}, after: baselineBatches + 2, cancel: cancel}
	if _, err := Run(ctx, again, newFakeModel(t), stop, &fakeBatches{seed: 2}); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), again, newFakeModel(t), &fakeBatches{seed: 1}, &fakeBatches{seed: 2}); err != nil {
		t.Fatal(err)
	}
	if outcome(t, first.Dir) != outcome(t, again.Dir) {
		t.Error("the record gives another run")
	}
	// It is done, and goes on with nothing.
	m = newFakeModel(t)
	if res, err := Run(t.Context(), again, m, &fakeBatches{seed: 1}, nil); err != nil || !res.Done || m.steps > 0 {
		t.Errorf("a finished run made %d steps: %v", m.steps, err)
	}
}

// ranked gives sequences of a length that know their number in the stream.
type ranked struct{ sequences, length int }

func (r ranked) Batch(_ context.Context, step int64, _, _ int) (*masking.Batch, error) {
	b := &masking.Batch{Step: step, SeqBounds: []int32{0}}
	for i := range r.sequences {
		for j := range r.length {
			b.Tokens = append(b.Tokens, int32(j))
			b.Segments = append(b.Segments, 0)
		}
		b.Predict = append(b.Predict, int32(len(b.Tokens)-1))
		b.Labels = append(b.Labels, 7)
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		b.Origins = append(b.Origins, masking.Origin{Index: step*int64(r.sequences) + int64(i)})
	}
	return b, nil
}

// TestRampedBatchesGrow checks for any ramp that batches and lengths only grow, to
// the run's; that no sequence of a stream is read twice; and that a longer stream
// begins where as many tokens were read.
func TestRampedBatchesGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		unit := rapid.IntRange(1, 4).Draw(t, "unit")
		sequences := unit * rapid.IntRange(1, 6).Draw(t, "multiple")
		length := rapid.IntRange(8, 70).Draw(t, "length")
		r := Ramp{}
		if rapid.Bool().Draw(t, "batch") {
			r.BatchFrom, r.BatchSteps = unit, rapid.Int64Range(1, 40).Draw(t, "batch steps")
		}
		if rapid.Bool().Draw(t, "lengths") {
			r.LengthFrom, r.LengthSteps = rapid.IntRange(8, length).Draw(t, "from"), rapid.Int64Range(1, 40).Draw(t, "length steps")
		}
		if err := r.Check(sequences, length); err != nil {
			t.Fatal(err)
		}
		var streams []Ranked
		for _, n := range r.Lengths(length) {
			streams = append(streams, ranked{r.Unit(sequences), n})
		}
		b := NewRamped(r, streams, sequences, length)
		lastSequences, lastLength, next, tokens := 0, 0, int64(0), int64(0)
		for step := range int64(50) {
			got, err := b.Batch(context.Background(), step)
			if err != nil {
				t.Fatal(err)
			}
			n, l := got.Sequences(), int(got.SeqBounds[1])
			if got.Step != step || n < lastSequences || l < lastLength || len(got.Predict) != n || len(got.Origins) != n {
				t.Fatalf("step %d: %d sequences of %d after %d of %d", step, n, l, lastSequences, lastLength)
			}
			if l != lastLength && step > 0 {
				if at := got.Origins[0].Index * int64(l); at < tokens || at > tokens+int64(l*r.Unit(sequences)) {
					t.Fatalf("step %d: the stream of %d begins at token %d, %d were read", step, l, at, tokens)
				}
				next = got.Origins[0].Index
			}
			for i := range n {
				if got.Origins[i].Index != next || int(got.SeqBounds[i+1]) != (i+1)*l || got.Predict[i] != got.SeqBounds[i+1]-1 {
					t.Fatalf("step %d, sequence %d: number %d, want %d", step, i, got.Origins[i].Index, next)
				}
				next++
			}
			tokens += int64(len(got.Tokens))
			lastSequences, lastLength = n, l
		}
		if lastSequences != sequences || lastLength != length {
			t.Fatalf("it ends at %d sequences of %d, want %d of %d", lastSequences, lastLength, sequences, length)
		}
	})
}

func TestBadRampsAreRefused(t *testing.T) {
	for _, r := range []Ramp{
		{BatchFrom: 3, BatchSteps: 5}, {BatchFrom: 4}, {BatchFrom: -1}, {LengthFrom: 65, LengthSteps: 5}, {LengthFrom: 4, LengthSteps: 5}, {LengthFrom: 16},
	} {
		if err := r.Check(8, 64); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", r, err)
		}
	}
}

func TestOneCycleIsPyTorchs(t *testing.T) {
	// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=11), its defaults.
	want := []float64{
		0.040000000000000036, 0.4223411137347358, 0.9602614247226174, 0.9797465678213015, 0.8844757247686303, 0.7260870492975283,
		0.5305827080875998, 0.3300580289872949, 0.15743251279950787, 0.041045543206290856, 4e-06,
	}
	for step, w := range want {
		if got := (Schedule{Kind: OneCycle}).Factor(int64(step), 11); math.Abs(got-w) > 1e-9 {
			t.Errorf("step %d: %v, want %v", step, got, w)
		}
	}
}
