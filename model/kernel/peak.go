package kernel

import "time"

// peakDepth is the depth of the products that Peak times: their operands stay in
// the first-level cache.
const peakDepth = 128

// peakTile returns a run of the set's micro-kernel for products of the given
// precision on operands of its own, and how many floating-point operations it takes.
func peakTile(o *ops, precision Precision) (run func(), flop float64) {
	t := &tile{
		a: make([]float32, o.mr*peakDepth), ars: peakDepth, acs: 1, group: o.mr * peakDepth,
		b: make([]float32, peakDepth*o.nr), ldb: o.nr,
		c: make([]float32, o.mr*o.nr), ldc: o.nr, rows: o.mr, cols: o.nr, k: peakDepth, add: true,
	}
	flop = 2 * peakDepth * float64(o.mr*o.nr)
	if precision == BF16 && o.blockPairs != nil {
		return func() { o.blockPairs(t) }, 2 * flop
	}
	return func() { o.block(t) }, flop
}

// Peak measures, in about the given time, the floating-point operations a second
// that the pool's workers reach together when the micro-kernel of products runs in
// the first-level caches and nothing is packed or stored: no step of that precision
// can do more.
func Peak(p *Pool, precision Precision, d time.Duration) float64 {
	const round = 5e8
	runs := make([]func(), p.Jobs())
	var flop float64
	for i := range runs {
		runs[i], flop = peakTile(p.ops, precision)
	}
	n := int(round / flop)
	if p.set == Reference {
		n /= 50 // it is that much slower
	}
	best := 0.0
	for first, until := true, time.Now().Add(d); first || time.Now().Before(until); first = false {
		at := time.Now()
		p.For(len(runs), func(i int) {
			for range n {
				runs[i]()
			}
		})
		best = max(best, flop*float64(n*len(runs))/time.Since(at).Seconds())
	}
	return best
}
