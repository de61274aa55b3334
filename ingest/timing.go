package ingest

import (
	"path/filepath"
	"runtime/metrics"
	"sync"
	"time"
)

// TimingName is the name of the file, beside the report, of what a run took. Unlike
// the report it differs from run to run.
const TimingName = "timing.json"

// Timing is what a run took.
type Timing struct {
	// Seconds by the clock, of which CheckSeconds went by before the first input was
	// read, while the inputs were checked.
	Seconds      float64 `json:"seconds"`
	CheckSeconds float64 `json:"check_seconds"`
	// ProcessorSeconds were spent by all processors, 0 where that cannot be told.
	ProcessorSeconds float64 `json:"processor_seconds"`
	// PeakMemory is the most memory that the program held, in bytes.
	PeakMemory int64 `json:"peak_memory"`
	// DiskBytes is what the source's documents take.
	DiskBytes int64 `json:"disk_bytes"`
	// InputBytes were read; fewer than there are when the run went on with another.
	InputBytes int64 `json:"input_bytes"`
	Jobs       int   `json:"jobs"`
	// Resumed says that the run went on where another was stopped.
	Resumed bool `json:"resumed,omitempty"`
	// Slowest are, for each input, the record that took the longest to make a document
	// of.
	Slowest []Slowest `json:"slowest,omitempty"`
	// Plan is what was predicted, when the same run was planned before.
	Plan *Plan `json:"plan,omitempty"`
}

// Slowest is a record that took long.
type Slowest struct {
	Place
	Seconds float64 `json:"seconds"`
	// Bytes are those of its text, 0 when it gave none.
	Bytes int64 `json:"bytes"`
}

// ReadTiming reads what the last run of a source took.
func ReadTiming(dataDir, source string) (*Timing, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	t := new(Timing)
	if err := readJSON(filepath.Join(DocumentsDir(dataDir, source), TimingName), maxReport, t); err != nil {
		return nil, err
	}
	return t, nil
}

// watch follows how much memory the program holds.
type watch struct {
	stop chan struct{}
	wg   sync.WaitGroup
	once sync.Once
	peak int64
	from time.Time
	used float64 // processor seconds before
}

func newWatch() *watch {
	w := &watch{stop: make(chan struct{}), from: time.Now(), used: processorSeconds()}
	w.wg.Go(func() {
		samples := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			metrics.Read(samples)
			w.peak = max(w.peak, int64(samples[0].Value.Uint64()-samples[1].Value.Uint64()))
			select {
			case <-tick.C:
			case <-w.stop:
				return
			}
		}
	})
	return w
}

// end returns the seconds since the beginning and the peak.
func (w *watch) end() (seconds float64, peak int64) {
	w.once.Do(func() { close(w.stop) })
	w.wg.Wait()
	return time.Since(w.from).Seconds(), w.peak
}

// slow keeps the slowest record of an input.
func (r *run) slow(i int, it *item, place *Place) {
	for len(r.slowest) <= i {
		r.slowest = append(r.slowest, Slowest{})
	}
	s := &r.slowest[i]
	if took := it.took.Seconds(); took > s.Seconds {
		*s = Slowest{Place: *place, Seconds: took}
		s.Detail = shortened(s.Detail)
		if it.doc != nil {
			s.Bytes = int64(len(it.doc.Text))
		}
	}
}

// timing writes what the run took.
func (r *run) timing() error {
	t := &Timing{CheckSeconds: r.checked, Jobs: r.cfg.Jobs, Resumed: r.resumed}
	t.Seconds, t.PeakMemory = r.watch.end()
	t.ProcessorSeconds = processorSeconds() - r.watch.used
	for _, f := range r.parts.files {
		t.DiskBytes += f.Bytes
	}
	for i, in := range r.inputs {
		if i >= r.from.Input {
			t.InputBytes += in.size
		}
	}
	for _, s := range r.slowest {
		if s.File != "" {
			t.Slowest = append(t.Slowest, s)
		}
	}
	if p := r.planned(); p != nil {
		t.Plan = p
	}
	r.report.Timing = t
	return writeJSON(filepath.Join(r.dir, TimingName), t)
}
