package kernel

import (
	"cmp"
	"slices"
	"time"
)

// OpTime says how much of a pool's time an operation took.
type OpTime struct {
	Op    string
	Calls int64
	// Seconds is the wall time and FLOP the floating-point operations of the
	// products among the calls, zero for operations that move memory.
	Seconds, FLOP float64
	// Bytes is what the operation must at least read and write.
	Bytes float64
}

// profile collects the times of operations by name.
type profile struct {
	clock func() time.Duration
	times map[string]*OpTime
	start time.Duration
}

// StartProfile begins to time the pool's operations, from nothing.
func (p *Pool) StartProfile() {
	begin := time.Now()
	p.profile = &profile{clock: func() time.Duration { return time.Since(begin) }, times: map[string]*OpTime{}}
}

// StopProfile ends the timing and returns what was measured, the longest first.
// It returns nil when no profile was started.
func (p *Pool) StopProfile() []OpTime {
	if p.profile == nil {
		return nil
	}
	var all []OpTime
	for _, t := range p.profile.times {
		all = append(all, *t)
	}
	p.profile = nil
	slices.SortFunc(all, func(a, b OpTime) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Op, b.Op))
	})
	return all
}

// begin notes when an operation starts. Operations do not nest.
func (p *Pool) begin() {
	if p.profile != nil {
		p.profile.start = p.profile.clock()
	}
}

// end notes the operation that began last.
func (p *Pool) end(op string, flop, bytes float64) {
	f := p.profile
	if f == nil {
		return
	}
	t := f.times[op]
	if t == nil {
		t = &OpTime{Op: op}
		f.times[op] = t
	}
	t.Calls++
	t.Seconds += (f.clock() - f.start).Seconds()
	t.FLOP += flop
	t.Bytes += bytes
}
