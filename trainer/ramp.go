package trainer

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"github.com/tributary-ml/tributary/masking"
)

// Ramp says how the batches of a run grow to their size.
type Ramp struct {
	// BatchFrom is the number of sequences of the first steps; it rises to the run's
	// in steps of as many over BatchSteps steps. 0 means no ramp. The run's number must
	// be a multiple of it.
	BatchFrom  int
	BatchSteps int64
	// LengthFrom is the length of the first steps' sequences; it is doubled at even
	// intervals until it is the run's after LengthSteps steps. 0 means no ramp.
	LengthFrom  int
	LengthSteps int64
}

// String is the ramp as a run's lineage has it; "" when there is none.
func (r Ramp) String() string {
	s := ""
	if r.BatchFrom > 0 {
		s = fmt.Sprintf("batch from %d over %d steps", r.BatchFrom, r.BatchSteps)
	}
	if r.LengthFrom > 0 {
		if s != "" {
			s += ", "
		}
		s += fmt.Sprintf("length from %d over %d steps", r.LengthFrom, r.LengthSteps)
	}
	return s
}

// Check returns an error unless a run of the given batches can have the ramp.
func (r Ramp) Check(sequences, length int) error {
	switch {
	case r.BatchFrom < 0 || r.BatchSteps < 0 || r.LengthFrom < 0 || r.LengthSteps < 0:
		return fmt.Errorf("the ramp %+v: %w: nothing in it is below 0", r, ErrConfig)
	case r.BatchFrom > 0 && (sequences%r.BatchFrom != 0 || r.BatchSteps < 1):
		return fmt.Errorf("batches that grow from %d to %d sequences over %d steps: %w: the last must be a multiple of the first, and the steps at least 1",
			r.BatchFrom, sequences, r.BatchSteps, ErrConfig)
	case r.LengthFrom > 0 && (r.LengthFrom > length || r.LengthFrom < 8 || r.LengthSteps < 1):
		return fmt.Errorf("sequences that grow from %d to %d tokens over %d steps: %w: want from 8 up to the last, and at least 1 step",
			r.LengthFrom, length, r.LengthSteps, ErrConfig)
	}
	return nil
}

// Lengths returns the lengths of the sequences, in order: the stream of each is to
// be opened with batches of Unit sequences.
func (r Ramp) Lengths(length int) []int {
	if r.LengthFrom == 0 {
		return []int{length}
	}
	var out []int
	for n := r.LengthFrom; n < length; n *= 2 {
		out = append(out, n)
	}
	return append(out, length)
}

// Unit returns how many sequences a batch of the streams that Ramped reads has, when
// the run's batches grow to the given number.
func (r Ramp) Unit(sequences int) int {
	if r.BatchFrom == 0 {
		return sequences
	}
	return r.BatchFrom
}

// units returns how many of the streams' batches make that of a step.
func (r Ramp) units(step int64, sequences int) int64 {
	if r.BatchFrom == 0 {
		return 1
	}
	all := int64(sequences / r.BatchFrom)
	if step >= r.BatchSteps {
		return all
	}
	// Even shares of the steps for 1, 2, ... all-1 of them.
	return min(all, 1+step*(all-1)/r.BatchSteps)
}

// stage returns the index in Lengths of a step's sequences.
func (r Ramp) stage(step int64, stages int) int {
	if stages == 1 || step >= r.LengthSteps {
		return stages - 1
	}
	return int(step * int64(stages-1) / r.LengthSteps)
}

// Ramped gives batches that grow. The batch of a step is a pure function of the step
// and the streams: no sequence of a stream is read twice before all are, and a
// longer stage goes on where about as many tokens of its stream have been passed as
// the shorter ones read.
type Ramped struct {
	ramp      Ramp
	streams   []Ranked
	lengths   []int
	sequences int
	// first holds, at each step at which the number of units or the stage changes, the
	// stream's batch it begins with.
	changes []change
}

type change struct {
	step  int64
	first int64 // the batch of the stage's stream
	units int64
	stage int
}

// NewRamped returns the batches that a ramp makes of the streams of its Lengths. The
// ramp must have passed Check.
func NewRamped(r Ramp, streams []Ranked, sequences, length int) *Ramped {
	b := &Ramped{ramp: r, streams: streams, lengths: r.Lengths(length), sequences: sequences}
	// Where something changes: found by looking at the bounds of the ramps' shares.
	steps := []int64{0}
	units := int64(sequences / max(1, r.Unit(sequences)))
	for k := int64(1); k < units; k++ {
		// The first step with more than k units.
		steps = append(steps, (k*r.BatchSteps+units-2)/(units-1))
	}
	for k := 1; k < len(b.lengths); k++ {
		n := int64(len(b.lengths) - 1)
		steps = append(steps, (int64(k)*r.LengthSteps+n-1)/n)
	}
	slices.Sort(steps)
	var tokens int64 // read before the change, in units of one token of every sequence of a unit
	for i, step := range slices.Compact(steps) {
		c := change{step: step, units: r.units(step, sequences), stage: r.stage(step, len(b.lengths))}
		if i > 0 {
			before := b.changes[i-1]
			tokens += (step - before.step) * before.units * int64(b.lengths[before.stage])
			c.first = before.first + (step-before.step)*before.units
			if c.stage != before.stage {
				c.first = (tokens + int64(b.lengths[c.stage]) - 1) / int64(b.lengths[c.stage])
			}
		}
		b.changes = append(b.changes, c)
	}
	return b
}

// Batch returns a step's batch.
func (b *Ramped) Batch(ctx context.Context, step int64) (*masking.Batch, error) {
	c := &b.changes[sort.Search(len(b.changes), func(i int) bool { return b.changes[i].step > step })-1]
	first := c.first + (step-c.step)*c.units
	var whole *masking.Batch
	for i := range c.units {
		part, err := b.streams[c.stage].Batch(ctx, first+i, 0, 1)
		if err != nil {
			return nil, err
		}
		if whole == nil {
			// The part is the stream's: nothing is written to it.
			copied := *part
			if whole = &copied; c.units > 1 {
				whole = Keep(part, func(int) bool { return true })
			}
			continue
		}
		appendBatch(whole, part)
	}
	whole.Step = step
	return whole, nil
}

// appendBatch appends the sequences of b to a.
func appendBatch(a, b *masking.Batch) {
	shift := int32(len(a.Tokens))
	a.Tokens = append(a.Tokens, b.Tokens...)
	a.Segments = append(a.Segments, b.Segments...)
	a.Ranks = append(a.Ranks, b.Ranks...)
	a.Labels = append(a.Labels, b.Labels...)
	a.PairLabels = append(a.PairLabels, b.PairLabels...)
	a.Origins = append(a.Origins, b.Origins...)
	for _, p := range b.Predict {
		a.Predict = append(a.Predict, p+shift)
	}
	for _, bound := range b.SeqBounds[1:] {
		a.SeqBounds = append(a.SeqBounds, bound+shift)
	}
}
