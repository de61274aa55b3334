package mixer

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"sort"
)

// Stage is a mix that takes over at a step. Components of the mix before it that
// it names again, by their labels, go on where they were, whatever their weights:
// none of their samples is repeated or skipped.
type Stage struct {
	// From is the first step of the stage.
	From int64
	Mix  Mix
}

// checkStages says what is wrong with the stages after the first mix.
func checkStages(stages []Stage, batchSize int) error {
	last := int64(0)
	for _, s := range stages {
		if s.From <= last || s.From > (1<<62)/int64(batchSize) {
			return fmt.Errorf("a stage from step %d after one from step %d: stages must ascend, from step 1 on", s.From, last)
		}
		last = s.From
		if err := s.Mix.Check(); err != nil {
			return fmt.Errorf("the stage from step %d: %w", s.From, err)
		}
	}
	return nil
}

// components lists the components of all stages, each once.
func (o *Options) components() []Component {
	all := slices.Clone([]Component(o.Mix))
	for _, s := range o.Stages {
		for _, c := range s.Mix {
			if !slices.ContainsFunc(all, func(a Component) bool { return a.Label() == c.Label() }) {
				all = append(all, c)
			}
		}
	}
	return all
}

// stage is a part of the stream with one mix.
type stage struct {
	from, to uint64 // samples
	mix      Mix
	turns    *turns
	tasks    []int    // by turn: the task
	before   []uint64 // by turn: the samples the task has had when the stage begins
}

// lay works out the stages.
func (m *Mixer) lay() error {
	had := make([]uint64, len(m.sources))
	stages := append([]Stage{{0, m.options.Mix}}, m.options.Stages...)
	for i, s := range stages {
		st := stage{from: uint64(s.From) * uint64(m.options.BatchSize), to: 1 << 63, mix: s.Mix}
		if i+1 < len(stages) {
			st.to = uint64(stages[i+1].From) * uint64(m.options.BatchSize)
		}
		// Ties between tasks are broken in the order of their labels, so that the
		// order in which a mix is written does not matter.
		mix := slices.Clone(s.Mix)
		slices.SortFunc(mix, func(a, b Component) int { return cmp.Compare(a.Label(), b.Label()) })
		var rates []*big.Float
		for _, c := range mix {
			task := slices.IndexFunc(m.sources, func(s *source) bool { return s.Label() == c.Label() })
			st.tasks = append(st.tasks, task)
			st.before = append(st.before, had[task])
			rates = append(rates, m.sources[task].rate(c.Weight))
		}
		var err error
		if st.turns, err = newTurns(rates); err != nil {
			return fmt.Errorf("mix %s: %w", s.Mix, err)
		}
		if i+1 < len(stages) {
			for turn, n := range st.turns.counts(st.to - st.from) {
				had[st.tasks[turn]] += n
			}
		}
		m.stages = append(m.stages, st)
	}
	return nil
}

// rate is the rate of samples of a source that has a weight in tokens, in
// arithmetic that no machine's floating point changes.
func (s *source) rate(weight float64) *big.Float {
	r := new(big.Float).SetPrec(ratePrecision).SetFloat64(weight)
	r.Mul(r, new(big.Float).SetInt64(s.census.Windows))
	return r.Quo(r, new(big.Float).SetInt64(s.census.Tokens))
}

// at returns whose sample i of the stream is and how many that task had before.
func (m *Mixer) at(i uint64) (task int, before uint64) {
	s := m.stage(i)
	turn, n := s.turns.at(i - s.from)
	return s.tasks[turn], s.before[turn] + n
}

// stage returns the stage that sample i belongs to.
func (m *Mixer) stage(i uint64) *stage {
	return &m.stages[sort.Search(len(m.stages)-1, func(s int) bool { return m.stages[s+1].from > i })]
}

// Task describes a component of an open mix.
type Task struct {
	Component
	// TokenShare is the share of the stream's tokens the component gets, and
	// SampleShare that of its samples: the token share over the component's mean
	// window, normalised. Both are 0 in a stage that leaves the component out.
	TokenShare, SampleShare float64
	Census                  Census
}

// Tasks describes the components as they are at step 0: those of the first mix in
// its order, and then those that later stages bring in.
func (m *Mixer) Tasks() []Task { return m.TasksAt(0) }

// TasksAt describes the components as they are at a step.
func (m *Mixer) TasksAt(step int64) []Task {
	s := m.stage(uint64(max(step, 0)) * uint64(m.options.BatchSize))
	tasks := make([]Task, len(m.sources))
	for i, source := range m.sources {
		tasks[i] = Task{Component: source.Component, Census: source.census}
		tasks[i].Weight = 0
	}
	sum := 0.0
	for _, c := range s.mix {
		sum += c.Weight
	}
	for turn, task := range s.tasks {
		i := slices.IndexFunc(s.mix, func(c Component) bool { return c.Label() == tasks[task].Label() })
		tasks[task].Weight = s.mix[i].Weight
		tasks[task].TokenShare = s.mix[i].Weight / sum
		tasks[task].SampleShare = float64(s.turns.shares[turn]) / float64(one)
	}
	return tasks
}
