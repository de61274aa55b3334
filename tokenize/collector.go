package tokenize

import (
	"runtime"
	"runtime/metrics"
)

// collector keeps the heap near what is in use while a lot of it comes and goes.
// Left alone, the runtime lets it grow to twice that (see GOGC), which it cannot be
// told otherwise for one piece of work.
type collector struct {
	samples []metrics.Sample
}

const (
	heapObjects = "/memory/classes/heap/objects:bytes"
	heapLive    = "/gc/heap/live:bytes"
	// slack is what may wait to be collected, beside a fifth of what is in use.
	slack = 8 << 20
)

func newCollector() *collector {
	return &collector{[]metrics.Sample{{Name: heapObjects}, {Name: heapLive}}}
}

// look collects what is no longer in use, if that is much.
func (c *collector) look() {
	metrics.Read(c.samples)
	for _, s := range c.samples {
		if s.Value.Kind() != metrics.KindUint64 {
			return
		}
	}
	if live := c.samples[1].Value.Uint64(); c.samples[0].Value.Uint64() > live+live/5+slack {
		runtime.GC()
	}
}
