package mixer

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Stage is a mix that takes over at a step. Components of the mix before it that
// it names again, by their labels, go on where they were, whatever their weights:
// none of their samples is repeated or skipped.
type Stage struct {
	// From is the first step of the stage.
	From int64
	// Mix takes over; nil leaves the mix as it is.
	Mix Mix
	// Over is how many steps the shares take from those before to the new ones; 0
	// for at once. Curve is how they go.
	Over  int64
	Curve Curve
	// SeqLen is the longest sequence from here on; 0 leaves it as it is. Components
	// then go on at the group of blocks they were at, as far into it as they were.
	SeqLen int
}

// Curve is the way of a change that takes a while.
type Curve int

const (
	// Linear goes evenly.
	Linear Curve = iota
	// Cosine goes slowly at both ends: 1/2 - cos(pi t)/2.
	Cosine
)

// rungs is how many constant parts a change that takes a while is made of at
// most: each holds its shares to within one sample.
const rungs = 64

// ParseStage reads a stage as it is written on a command line: the step at which
// a mix takes over, or the steps during which it does, with a curve.
//
//	1000=books:1,wiki:3
//	1000..2000=books:1,wiki:3
//	1000..2000 cosine=books:1,wiki:3
func ParseStage(text string) (Stage, error) {
	var s Stage
	when, mix, ok := strings.Cut(text, "=")
	if !ok {
		return s, fmt.Errorf("stage %q: want STEP=MIX, FROM..TO=MIX or FROM..TO cosine=MIX", text)
	}
	span, curve, named := strings.Cut(strings.TrimSpace(when), " ")
	switch strings.TrimSpace(curve) {
	case "", "linear":
	case "cosine":
		s.Curve = Cosine
	default:
		return s, fmt.Errorf("stage %q: there is no curve %q; there are linear and cosine", text, curve)
	}
	from, to, long := strings.Cut(span, "..")
	var err error
	if s.From, err = strconv.ParseInt(from, 10, 64); err != nil {
		return s, fmt.Errorf("stage %q: %q is no step", text, from)
	}
	if long {
		end, err := strconv.ParseInt(to, 10, 64)
		if err != nil || end <= s.From {
			return s, fmt.Errorf("stage %q: %q is no step after %d", text, to, s.From)
		}
		s.Over = end - s.From
	} else if named {
		return s, fmt.Errorf("stage %q: a curve needs the steps FROM..TO", text)
	}
	if s.Mix, err = ParseMix(mix); err != nil {
		return s, fmt.Errorf("stage %q: %w", text, err)
	}
	return s, nil
}

// checkStages says what is wrong with the stages after the first mix.
func checkStages(stages []Stage) error {
	least := int64(1)
	for _, s := range stages {
		switch {
		case s.From < least || s.From >= maxStep || s.Over < 0 || s.Over >= maxStep:
			return fmt.Errorf("a stage from step %d over %d steps, which may begin at step %d at the earliest: stages must ascend, and none may begin before the change before it is over", s.From, s.Over, least)
		case s.Curve < Linear || s.Curve > Cosine:
			return fmt.Errorf("the stage from step %d: Curve(%d) is no curve", s.From, s.Curve)
		case s.SeqLen != 0 && (s.SeqLen < minSeqLen || s.SeqLen > maxSeqLen):
			return fmt.Errorf("the stage from step %d: sequence length %d is not between %d and %d tokens", s.From, s.SeqLen, minSeqLen, maxSeqLen)
		case s.Mix != nil || s.SeqLen == 0 || s.Over > 0:
			if err := s.Mix.Check(); err != nil {
				return fmt.Errorf("the stage from step %d: %w", s.From, err)
			}
		}
		least = s.From + max(s.Over, 1)
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

// lengths lists the sequence lengths of all stages, each once, the first first.
func (o *Options) lengths() []int {
	all := []int{o.SeqLen}
	for _, s := range o.Stages {
		if s.SeqLen != 0 && !slices.Contains(all, s.SeqLen) {
			all = append(all, s.SeqLen)
		}
	}
	return all
}

// share is a component with its share of the tokens or samples.
type share struct {
	Component
	share float64
}

// rung is a run of steps with constant shares.
type rung struct {
	step   int64
	seqLen int
	shares []share // in the order of labels
}

// stage is a part of the stream with constant shares.
type stage struct {
	from, to uint64 // samples
	rung     *rung
	turns    *turns
	sources  []*source // by turn
	before   []uint64  // by turn: the samples the source has had when the stage begins
}

// pace says which samples the steps from step on hold: step k begins at sample
// first + (k-step)*per/2^paceBits.
type pace struct {
	step  int64
	first uint64
	per   uint64
}

const (
	paceBits = 16
	// maxStep bounds steps so that no number of a sample overflows.
	maxStep = 1 << 36
)

func (p pace) sample(step int64) uint64 {
	hi, lo := bits.Mul64(uint64(step-p.step), p.per)
	return p.first + (hi<<(64-paceBits) | lo>>paceBits)
}

// ladder turns the stages into rungs.
func (m *Mixer) ladder() ([]rung, error) {
	o := m.options
	var out []rung
	seqLen := o.SeqLen
	add := func(step int64, shares []share) {
		out = append(out, rung{step: step, seqLen: seqLen, shares: shares})
	}
	now := m.shares(o.Mix)
	add(0, now)
	for _, s := range o.Stages {
		if s.SeqLen != 0 {
			seqLen = s.SeqLen
		}
		if s.Mix == nil {
			add(s.From, now)
			continue
		}
		next := m.shares(s.Mix)
		n := min(s.Over, rungs)
		for r := range n {
			t := (float64(r) + 0.5) / float64(n)
			if s.Curve == Cosine {
				t = steady(0.5 - 0.5*math.Cos(math.Pi*t))
			}
			hi, lo := bits.Mul64(uint64(s.Over), uint64(r))
			at, _ := bits.Div64(hi, lo, uint64(n))
			add(s.From+int64(at), blend(now, next, t))
		}
		add(s.From+s.Over, next)
		now = next
	}
	return out, nil
}

// shares are the shares of a mix in the order of labels: ties between tasks are
// broken in it, so that the order in which a mix is written does not matter.
func (m *Mixer) shares(mix Mix) []share {
	parts := m.options.Weighting.shares(mix, func(c Component) int64 {
		census := m.source(c.Label(), m.options.SeqLen).census
		if m.options.Weighting.Samples {
			return census.Windows
		}
		return census.Tokens
	})
	out := make([]share, len(mix))
	for i, c := range mix {
		out[i] = share{c, parts[i]}
	}
	slices.SortFunc(out, func(a, b share) int { return cmp.Compare(a.Label(), b.Label()) })
	return out
}

// blend mixes two lists of shares in the order of labels.
func blend(a, b []share, t float64) []share {
	var out []share
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case j == len(b) || i < len(a) && a[i].Label() < b[j].Label():
			out = append(out, share{a[i].Component, a[i].share * (1 - t)})
			i++
		case i == len(a) || b[j].Label() < a[i].Label():
			out = append(out, share{b[j].Component, b[j].share * t})
			j++
		default:
			out = append(out, share{b[j].Component, steady(a[i].share*(1-t)) + steady(b[j].share*t)})
			i++
			j++
		}
	}
	return out
}

// ErrEnd means that a step lies after the end of the stream.
var ErrEnd = errors.New("the stream has ended")

// EndError says what ended the stream.
type EndError struct {
	// Step is the step that was asked for; Steps are given.
	Step, Steps int64
	// Label is the component that was read as often as it may be.
	Label string
}

func (e *EndError) Error() string {
	return fmt.Sprintf("step %d of a stream that ends after %d steps, when %s has been read as often as it may be", e.Step, e.Steps, e.Label)
}

// Is makes every EndError an ErrEnd.
func (e *EndError) Is(target error) bool { return target == ErrEnd }

// lay works out the stages.
func (m *Mixer) lay() error {
	ladder, err := m.ladder()
	if err != nil {
		return err
	}
	l := layer{Mixer: m, had: map[*source]uint64{}, latest: map[string]*source{}}
	m.stages, m.paces, m.end, m.last = nil, nil, 1<<63, ""
	for i := range ladder {
		if err := l.lay(&ladder[i], i+1 < len(ladder), ladder[min(i+1, len(ladder)-1)].step); err != nil {
			return err
		}
	}
	return nil
}

// layer is what lay knows of the stream so far.
type layer struct {
	*Mixer
	had    map[*source]uint64 // the samples given
	latest map[string]*source // by label: the last source, whose SeqLen was another maybe
}

// lay adds the stages of a rung: one, and another each time that a component
// comes to its end.
func (l *layer) lay(r *rung, more bool, next int64) error {
	m := l.Mixer
	var shares []share
	var sources []*source
	for _, s := range r.shares {
		source := m.source(s.Label(), r.seqLen)
		if last := l.latest[s.Label()]; last != nil && last != source {
			l.had[source] = carry(last, l.had[last], source)
		}
		l.latest[s.Label()] = source
		shares, sources = append(shares, s), append(sources, source)
	}
	// The pace is that of all components, the ended ones too: steps must not depend
	// on when they end.
	per := uint64(m.options.BatchSize) << paceBits
	if m.options.BatchTokens > 0 {
		per = budgetPace(m.options, shares, sources)
	}
	from := uint64(0)
	if n := len(m.paces); n > 0 {
		from = m.paces[n-1].sample(r.step)
	}
	m.paces = append(m.paces, pace{r.step, from, per})
	to := uint64(1) << 63
	if more {
		to = m.paces[len(m.paces)-1].sample(next)
	}
	for from < to && from < m.end {
		for i := 0; i < len(shares); {
			if s := sources[i]; shares[i].Passes > 0 && l.had[s] >= s.limit(shares[i].Passes) {
				m.last = s.Label()
				if m.options.AtEnd == Stop {
					m.end = from
					return nil
				}
				shares, sources = slices.Delete(shares, i, i+1), slices.Delete(sources, i, i+1)
				continue
			}
			i++
		}
		if len(shares) == 0 {
			if more { // another source comes in later
				return fmt.Errorf("the mix of step %d: all of its sources have been read as often as they may be before step %d", r.step, next)
			}
			m.end = from
			return nil
		}
		st := stage{from: from, to: to, rung: r, sources: slices.Clone(sources)}
		var rates []*big.Float
		for i, s := range sources {
			st.before = append(st.before, l.had[s])
			rates = append(rates, s.rate(shares[i].share, m.options.Weighting.Samples))
		}
		var err error
		if st.turns, err = newTurns(rates); err != nil {
			var small *shareError
			if errors.As(err, &small) {
				return fmt.Errorf("the mix of step %d: the share of %s is too small: it would get %s", r.step, sources[small.task].Label(), small.reason)
			}
			labels := make([]string, len(sources))
			for i, s := range sources {
				labels[i] = s.Label()
			}
			return fmt.Errorf("the mix of step %d (%s): %w", r.step, strings.Join(labels, ", "), err)
		}
		for turn, s := range sources {
			if shares[turn].Passes == 0 {
				continue
			}
			if i, ok := st.turns.find(turn, s.limit(shares[turn].Passes)-l.had[s], st.to-from); ok {
				st.to = min(st.to, from+i)
			}
		}
		if st.to > from && (more || st.to < to) {
			for turn, n := range st.turns.counts(st.to - from) {
				l.had[sources[turn]] += n
			}
		}
		if st.to > from {
			m.stages = append(m.stages, st)
		}
		from = st.to
	}
	return nil
}

// limit is the number of samples in the given number of passes.
func (s *source) limit(passes int64) uint64 { return uint64(passes) * uint64(s.census.Windows) }

// carry returns how many samples of next stand for n of last, which is the same
// component in windows of another length: as many passes, groups of blocks, and as
// large a part of the last group.
func carry(last *source, n uint64, next *source) uint64 {
	old := last.epoch(n / uint64(last.census.Windows))
	e := next.epoch(old.number)
	at := n % uint64(last.census.Windows)
	g := sort.Search(len(old.starts)-1, func(g int) bool { return old.starts[g+1] > at })
	had, all := at-old.starts[g], old.starts[g+1]-old.starts[g]
	hi, lo := bits.Mul64(had, e.starts[g+1]-e.starts[g])
	part, rest := bits.Div64(hi, lo, all)
	if rest > 0 {
		part++
	}
	return old.number*uint64(next.census.Windows) + e.starts[g] + part
}

// budgetPace is the number of samples a step has on average for it to have
// BatchTokens tokens, special tokens included.
func budgetPace(o Options, shares []share, sources []*source) uint64 {
	samples, tokens := 0.0, 0.0
	for i, s := range sources {
		mean := float64(s.census.Tokens) / float64(s.census.Windows)
		rate := shares[i].share
		if !o.Weighting.Samples {
			rate /= mean
		}
		samples += rate
		tokens += rate * (mean + float64(s.reader.layout.specials()))
	}
	per := steady(float64(o.BatchTokens) * samples / tokens)
	return max(1<<paceBits, uint64(min(per, 1<<24)*(1<<paceBits)))
}

// rate is the rate of samples of a source that has a share of the tokens or the
// samples, in arithmetic that no machine's floating point changes.
func (s *source) rate(share float64, samples bool) *big.Float {
	r := new(big.Float).SetPrec(ratePrecision).SetFloat64(share)
	if samples {
		return r
	}
	r.Mul(r, new(big.Float).SetInt64(s.census.Windows))
	return r.Quo(r, new(big.Float).SetInt64(s.census.Tokens))
}

// at returns whose sample i of the stream is and how many that source had before.
func (m *Mixer) at(i uint64) (s *source, before uint64) {
	st := m.stage(i)
	turn, n := st.turns.at(i - st.from)
	return st.sources[turn], st.before[turn] + n
}

// stage returns the stage that sample i belongs to.
func (m *Mixer) stage(i uint64) *stage {
	return &m.stages[sort.Search(len(m.stages)-1, func(s int) bool { return m.stages[s+1].from > i })]
}

// first returns the first sample of a step.
func (m *Mixer) first(step int64) uint64 {
	p := sort.Search(len(m.paces)-1, func(p int) bool { return m.paces[p+1].step > step })
	return m.paces[p].sample(step)
}

// First returns the number of a step's first sample in the stream.
func (m *Mixer) First(step int64) int64 { return int64(m.first(step)) }

// step returns the step that sample i belongs to.
func (m *Mixer) step(i uint64) int64 {
	p := sort.Search(len(m.paces)-1, func(p int) bool { return m.paces[p+1].first > i })
	hi, lo := bits.Mul64(i-m.paces[p].first, 1<<paceBits)
	q, _ := bits.Div64(hi, lo, m.paces[p].per)
	step := m.paces[p].step + int64(q)
	for m.first(step) > i {
		step--
	}
	for m.first(step+1) <= i {
		step++
	}
	return step
}

// SeqLen returns the longest sequence of a step.
func (m *Mixer) SeqLen(step int64) int { return m.stage(m.first(max(step, 0))).rung.seqLen }

// Steps returns how many whole steps the stream has; ok is false when it has no
// end.
func (m *Mixer) Steps() (steps int64, ok bool) {
	if m.end == 1<<63 {
		return 0, false
	}
	if m.end == 0 {
		return 0, true
	}
	step := m.step(m.end - 1)
	if m.first(step+1) <= m.end {
		step++
	}
	return step, true
}

// Task describes a component of an open mix.
type Task struct {
	Component
	// TokenShare is the share of the stream's tokens the component gets, and
	// SampleShare that of its samples: the token share over the component's mean
	// window, normalised. Both are 0 where the component has no part in the stream.
	TokenShare, SampleShare float64
	Census                  Census
}

// Tasks describes the components as they are at step 0: those of the first mix in
// its order, and then those that later stages bring in.
func (m *Mixer) Tasks() []Task { return m.TasksAt(0) }

// TasksAt describes the components as they are at a step. Their Weight is that of
// the mix, or 0 when they have no part in it.
func (m *Mixer) TasksAt(step int64) []Task {
	st := m.stage(m.first(max(step, 0)))
	tasks := make([]Task, len(m.sources))
	for i, s := range m.sources {
		tasks[i] = Task{Component: s.Component, Census: m.source(s.Label(), st.rung.seqLen).census}
		tasks[i].Weight = 0
	}
	sum := 0.0
	for turn, s := range st.sources {
		t := &tasks[s.task]
		t.SampleShare = float64(st.turns.shares[turn]) / float64(one)
		t.TokenShare = t.SampleShare * float64(s.census.Tokens) / float64(s.census.Windows)
		sum += t.TokenShare
		i := slices.IndexFunc(st.rung.shares, func(x share) bool { return x.Label() == s.Label() })
		t.Weight = st.rung.shares[i].Weight
	}
	for i := range tasks {
		tasks[i].TokenShare /= sum
	}
	return tasks
}
