package mixer

import (
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"slices"
	"sync"
)

// one is the share of a task that has the whole stream: shares are fixed-point
// numbers with 63 bits after the point and add up to exactly one.
const one = uint64(1) << 63

// turns says whose turn sample i of the mixed stream is. Every prefix holds
// every share to within one sample: the count of task k among the first i
// samples is i*w_k rounded up or down.
//
// Within that rule job m of task k (its m-th sample, from 0) has the window from
// floor(m/w_k) to ceil((m+1)/w_k), as in the proportionate-fair scheduling of
// Baruah, Cohen, Plaxton and Varvel (Algorithmica 15, 1996), and on one machine
// earliest deadline first meets every deadline that can be met. What is added
// here is a seek: the stream is cut into periods, and the counts at a period's
// start are found without any period before the last one.
//
//   - early(T) is a state at T from which all later deadlines can be met: every
//     count is rounded down, and of the jobs whose window spans T those with the
//     earliest deadlines are taken as done. Some valid schedule exists, its state
//     at T takes as many of these jobs, and none takes fewer late ones than this.
//   - The counts at the start T of a period are what earliest deadline first
//     reaches at T when it sets out from early at the start of the period before.
//     From there too all later deadlines can be met, and the jobs counted as done
//     fit between the two starts, because that run has done them there.
//   - In the period itself jobs run earliest deadline first in their windows cut
//     to the period. No interval holds more jobs than slots: one that touches
//     neither end is as in the uncut problem, one that touches the start is as
//     above, one that touches the end is what the run that fixed the end's counts
//     did, and the whole period holds as many jobs as slots. A period is no
//     shorter than any window, so counts never run backwards.
type turns struct {
	shares []uint64
	length uint64 // of a period

	mu     sync.Mutex
	recent []*period // the last few that were used, latest first
}

// period is the choice of tasks for one period.
type period struct {
	number uint64
	counts []uint64 // of every task when the period starts
	task   []int32  // whose turn each slot is
	before []int32  // how often that task had its turn earlier in the period
}

const (
	minPeriod = 1 << 12
	maxPeriod = 1 << 22
)

// newTurns returns the turns for the given rates of samples, which need not add
// up to one. Every rate must be positive.
func newTurns(rates []*big.Float) (*turns, error) {
	shares, err := fixedShares(rates)
	if err != nil {
		return nil, err
	}
	t := &turns{shares: shares, length: minPeriod}
	for t.length < 2*maxPeriod && t.length < one/slices.Min(shares)+1 {
		t.length *= 2
	}
	if t.length > maxPeriod {
		least := slices.Min(shares)
		return nil, &shareError{slices.Index(shares, least), fmt.Sprintf("one sample in %d, and may get one in %d at the least", one/least, maxPeriod)}
	}
	return t, nil
}

// shareError means that the share of a task cannot be kept to within one sample.
type shareError struct {
	task   int
	reason string
}

func (e *shareError) Error() string {
	return fmt.Sprintf("the share of task %d is too small: it would get %s", e.task, e.reason)
}

// ratePrecision is that of rates in bits: enough for shares of 63 bits to come
// out the same however the rates are scaled.
const ratePrecision = 256

// fixedShares normalises the rates to fixed-point shares that add up to one, by
// largest remainder.
func fixedShares(rates []*big.Float) ([]uint64, error) {
	sum := new(big.Float).SetPrec(ratePrecision)
	for _, r := range rates {
		if r.Sign() <= 0 || r.IsInf() {
			return nil, errors.New("a rate of samples that is not positive and finite")
		}
		sum.Add(sum, r)
	}
	type part struct {
		task int
		rest *big.Float
	}
	shares := make([]uint64, len(rates))
	parts := make([]part, len(rates))
	left := one
	for i, r := range rates {
		exact := new(big.Float).SetPrec(ratePrecision).Quo(r, sum)
		exact.SetMantExp(exact, 63)
		shares[i], _ = exact.Uint64()
		parts[i] = part{i, exact.Sub(exact, new(big.Float).SetUint64(shares[i]))}
		left -= shares[i]
	}
	slices.SortStableFunc(parts, func(a, b part) int { return b.rest.Cmp(a.rest) })
	for _, p := range parts[:left] {
		shares[p.task]++
	}
	for i, s := range shares {
		if s == 0 {
			return nil, &shareError{i, "less than one sample in 2^63"}
		}
	}
	return shares, nil
}

// at returns whose turn sample i is and how many turns that task had before.
func (t *turns) at(i uint64) (task int, before uint64) {
	if len(t.shares) == 1 {
		return 0, i
	}
	p := t.period(i / t.length)
	slot := i % t.length
	k := p.task[slot]
	return int(k), p.counts[k] + uint64(p.before[slot])
}

// counts returns how many of the first n samples each task has.
func (t *turns) counts(n uint64) []uint64 {
	if len(t.shares) == 1 {
		return []uint64{n}
	}
	p := t.period(n / t.length)
	counts := slices.Clone(p.counts)
	for _, k := range p.task[:n%t.length] {
		counts[k]++
	}
	return counts
}

// period returns a period from the recent ones, or works it out.
func (t *turns) period(number uint64) *period {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, p := range t.recent {
		if p.number == number {
			copy(t.recent[1:i+1], t.recent[:i])
			t.recent[0] = p
			return p
		}
	}
	p := &period{number: number, counts: t.start(number), task: make([]int32, t.length), before: make([]int32, t.length)}
	counts := slices.Clone(p.counts)
	t.run(number*t.length, counts, t.start(number+1), p.task)
	for i := range counts {
		counts[i] = 0
	}
	for slot, k := range p.task {
		p.before[slot] = int32(counts[k])
		counts[k]++
	}
	if len(t.recent) < 4 {
		t.recent = append(t.recent, nil)
	}
	copy(t.recent[1:], t.recent)
	t.recent[0] = p
	return p
}

// start returns the counts of all tasks at the start of a period.
func (t *turns) start(number uint64) []uint64 {
	if number == 0 {
		return make([]uint64, len(t.shares))
	}
	at := (number - 1) * t.length
	counts := t.early(at)
	t.run(at, counts, nil, nil)
	return counts
}

// early returns the counts rounded down at sample i, with one more for as many
// tasks as it takes to make i: those whose next deadline comes first.
func (t *turns) early(i uint64) []uint64 {
	type open struct {
		task     int
		deadline uint64
	}
	counts := make([]uint64, len(t.shares))
	var spanning []open
	left := i
	for k, w := range t.shares {
		hi, lo := bits.Mul64(i, w)
		counts[k] = hi<<1 | lo>>63
		left -= counts[k]
		if lo<<1 != 0 {
			spanning = append(spanning, open{k, deadline(counts[k], w)})
		}
	}
	slices.SortFunc(spanning, func(a, b open) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), cmp.Compare(a.task, b.task))
	})
	for _, o := range spanning[:left] {
		counts[o.task]++
	}
	return counts
}

// release and deadline bound the window of a task's job m.
func release(m, share uint64) uint64 {
	q, _ := bits.Div64(m>>1, m<<63, share)
	return q
}

func deadline(m, share uint64) uint64 {
	q, rest := bits.Div64((m+1)>>1, (m+1)<<63, share)
	if rest != 0 {
		q++
	}
	return q
}

// run plays one period from sample at, earliest deadline first, and advances
// counts. With end, tasks run only up to those counts and deadlines are cut to
// the period. The tasks are written to out unless it is nil.
func (t *turns) run(at uint64, counts, end []uint64, out []int32) {
	// due[s] lists the tasks whose next job is released in slot s, linked by next.
	due := make([]int32, t.length)
	next := make([]int32, len(counts))
	await := func(k int, earliest uint64) {
		if end != nil && counts[k] == end[k] {
			return
		}
		slot := max(release(counts[k], t.shares[k]), at+earliest) - at
		if slot < t.length {
			next[k], due[slot] = due[slot], int32(k)+1
		}
	}
	for k := range counts {
		await(k, 0)
	}
	var ready deadlines
	for slot := range t.length {
		for k := due[slot]; k != 0; k = next[k-1] {
			d := deadline(counts[k-1], t.shares[k-1]) - at
			if end != nil {
				d = min(d, t.length)
			}
			ready.push(d<<32 | uint64(k-1))
		}
		// There is always a job: the shares add up to one, so that at least slot+1
		// jobs have been released.
		k := int(uint32(ready.pop()))
		counts[k]++
		if out != nil {
			out[slot] = int32(k)
		}
		await(k, slot+1)
	}
}

// deadlines is a binary heap of deadline<<32 | task, least first.
type deadlines []uint64

func (h *deadlines) push(v uint64) {
	*h = append(*h, v)
	s := *h
	i := len(s) - 1
	for i > 0 && v < s[(i-1)/2] {
		s[i] = s[(i-1)/2]
		i = (i - 1) / 2
	}
	s[i] = v
}

func (h *deadlines) pop() uint64 {
	s := *h
	top, v := s[0], s[len(s)-1]
	s = s[:len(s)-1]
	*h = s
	if len(s) == 0 {
		return top
	}
	i := 0
	for {
		c := 2*i + 1
		if c >= len(s) {
			break
		}
		if c+1 < len(s) && s[c+1] < s[c] {
			c++
		}
		if v <= s[c] {
			break
		}
		s[i] = s[c]
		i = c
	}
	s[i] = v
	return top
}
