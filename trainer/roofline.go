package trainer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/model/kernel"
)

// ProfileFile is the name of a profile in a run's directory.
const ProfileFile = "profile.json"

// Roofline is what a machine was measured to do at most, on all workers of a pool
// (Williams et al. 2009).
type Roofline struct {
	// FLOPS is floating-point operations a second (kernel.Peak), and Bandwidth bytes
	// a second to and from memory.
	FLOPS     float64 `json:"flops"`
	Bandwidth float64 `json:"bandwidth"`
}

// MeasureRoofline takes about the given time; precision is that of the products.
func MeasureRoofline(pool *kernel.Pool, precision kernel.Precision, d time.Duration) Roofline {
	r := Roofline{FLOPS: kernel.Peak(pool, precision, d/2)}
	// Copies of more than the caches hold: a read and a write each.
	const piece = 1 << 20
	from, to := make([]float32, 8*piece), make([]float32, 8*piece)
	for first, until := true, time.Now().Add(d/2); first || time.Now().Before(until); first = false {
		at := time.Now()
		pool.For(len(from)/piece, func(i int) { copy(to[i*piece:(i+1)*piece], from[i*piece:(i+1)*piece]) })
		r.Bandwidth = max(r.Bandwidth, 8*float64(len(from))/time.Since(at).Seconds())
	}
	return r
}

// Profile is where a run's time went.
type Profile struct {
	Roofline Roofline `json:"roofline"`
	// Seconds is the time from the first step to the last, of which the operations
	// take a part.
	Seconds float64         `json:"seconds"`
	Ops     []kernel.OpTime `json:"ops"`
}

// WriteText prints a table of the operations against the roofline. An operation
// can do no more a second than the lower of the two bounds, at its ratio of
// arithmetic to bytes; "of roof" is what it did of that.
func (p *Profile) WriteText(w io.Writer) {
	fmt.Fprintf(w, "peak %.1f GFLOP/s, %.1f GB/s; %.1f s in all\n", p.Roofline.FLOPS/1e9, p.Roofline.Bandwidth/1e9, p.Seconds)
	fmt.Fprintf(w, "%-28s %10s %9s %7s %10s %9s %8s\n", "operation", "calls", "s", "share", "GFLOP/s", "GB/s", "of roof")
	var sum kernel.OpTime
	line := func(o kernel.OpTime) {
		fmt.Fprintf(w, "%-28s %10d %9.2f %6.1f%%", o.Op, o.Calls, o.Seconds, 100*o.Seconds/max(p.Seconds, 1e-9))
		for _, x := range []float64{o.FLOP, o.Bytes} {
			if x > 0 {
				fmt.Fprintf(w, " %10.1f", x/1e9/max(o.Seconds, 1e-9))
			} else {
				fmt.Fprintf(w, " %10s", "")
			}
		}
		if roof := p.roof(o); roof > 0 {
			fmt.Fprintf(w, " %6.1f%%", 100*roof/max(o.Seconds, 1e-9))
		}
		fmt.Fprintln(w)
	}
	for _, o := range p.Ops {
		line(o)
		sum.Calls += o.Calls
		sum.Seconds += o.Seconds
		sum.FLOP += o.FLOP
	}
	sum.Op = "all operations"
	line(sum)
}

// roof returns the least time an operation could take.
func (p *Profile) roof(o kernel.OpTime) float64 {
	var t float64
	if p.Roofline.FLOPS > 0 {
		t = o.FLOP / p.Roofline.FLOPS
	}
	if p.Roofline.Bandwidth > 0 {
		t = max(t, o.Bytes/p.Roofline.Bandwidth)
	}
	return t
}

// ReadProfile reads the profile of the run in dir.
func ReadProfile(dir string) (*Profile, error) {
	path := filepath.Join(dir, ProfileFile)
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	p := new(Profile)
	if err := json.Unmarshal(data, p); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return p, nil
}

// save writes the profile into a run's directory.
func (p *Profile) save(dir string) error {
	slices.SortFunc(p.Ops, func(a, b kernel.OpTime) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Op, b.Op))
	})
	data, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the profile: %w", err)
	}
	_, err = store.WriteFile(filepath.Join(dir, ProfileFile), append(data, '\n'))
	return err
}
