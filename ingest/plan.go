package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/tributary-ml/tributary/ingest/store"
)

// planName is the name of the file, beside where the report will be, that a plan waits
// in for its run.
const planName = "plan.json"

// Plan is what ingesting is predicted to take, from a sample of the inputs.
type Plan struct {
	// Key tells the work that is planned from other work.
	Key    string `json:"key"`
	Source string `json:"source"`
	Kind   string `json:"kind"`
	Jobs   int    `json:"jobs"`
	Files  int    `json:"files"`
	// InputBytes are to be read, SampleBytes were, in SampleSeconds.
	InputBytes    int64   `json:"input_bytes"`
	SampleBytes   int64   `json:"sample_bytes"`
	SampleSeconds float64 `json:"sample_seconds"`
	// What is predicted: seconds by the clock and of all processors, the most memory the program will hold,
	// what the documents will take on disk, and their number and text.
	Seconds          float64 `json:"seconds"`
	ProcessorSeconds float64 `json:"processor_seconds"`
	PeakMemory       int64   `json:"peak_memory"`
	DiskBytes        int64   `json:"disk_bytes"`
	Documents        int64   `json:"documents"`
	TextBytes        int64   `json:"text_bytes"`
}

const (
	// usualSample bytes of the inputs are read for a plan, from samplePlaces places.
	usualSample  = 24 << 20
	samplePlaces = 8
	// sampleFiles is how many files are read where each is a document.
	sampleFiles = 64
)

// MakePlan predicts what Run would take, and leaves the prediction where Run finds it,
// so that it can say how right it was. It reads pieces from all over the inputs where
// their formats allow to begin in the midst of them, and the beginnings of the others.
func MakePlan(ctx context.Context, cfg Config) (*Plan, error) {
	split, err := Split(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if len(split) > 1 {
		return nil, fmt.Errorf("the inputs are of several kinds; plan each kind by itself")
	}
	cfg = split[0].completed()
	if err := CheckSource(cfg.Source); err != nil {
		return nil, err
	}
	p, err := newRun(cfg).plan(ctx)
	if err != nil {
		return nil, fmt.Errorf("planning to ingest %s: %w", cfg.Source, err)
	}
	return p, nil
}

// plan runs over a sample.
func (r *run) plan(ctx context.Context) (*Plan, error) {
	all, err := r.places.expand(ctx, r.cfg.Inputs, r.cfg.Kind, r.cfg.guessed)
	if err != nil {
		return nil, err
	}
	known := map[string]string{}
	if m, err := store.ReadManifest(r.dir); err == nil && !r.cfg.Replace {
		known = m.Inputs
	}
	all = slices.DeleteFunc(all, func(in *input) bool { _, have := known[in.name]; return in.ignored != "" || have })
	p := &Plan{Key: planKey(&r.options, all), Source: r.cfg.Source, Kind: r.cfg.Kind, Jobs: r.cfg.Jobs, Files: len(all)}
	for _, in := range all {
		p.InputBytes += in.size
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the source's directory: %w", err)
	}
	dir, err := os.MkdirTemp(r.dir, ".plan-*")
	if err != nil {
		return nil, fmt.Errorf("making a directory for the sample: %w", err)
	}
	defer os.RemoveAll(dir)

	s := newRun(r.cfg)
	s.dir, s.cfg.Log, s.places = dir, slog.New(slog.DiscardHandler), r.places
	if s.inputs, err = r.sample(ctx, all); err != nil {
		return nil, err
	}
	for _, in := range s.inputs {
		p.SampleBytes += in.size
	}
	if p.SampleBytes == 0 {
		return p, r.keep(p)
	}
	checked, used := time.Now(), processorSeconds()
	for _, in := range s.inputs {
		if in.digest, err = s.places.digest(ctx, in, nil); err != nil {
			return nil, fmt.Errorf("reading input %s: %w", in.where(), err)
		}
	}
	check := time.Since(checked).Seconds()
	if s.inputs[0].far != nil {
		check = 0 // what is far away is not read to be checked
	}
	runtime.GC()
	s.watch = newWatch()
	defer s.watch.end()
	if err := s.prepare(nil); err != nil {
		return nil, err
	}
	defer s.parts.abort()
	if err := s.read(ctx); err != nil {
		return nil, err
	}
	if err := s.parts.finish(); err != nil {
		return nil, err
	}
	seconds, peak := s.watch.end()
	s.report.sum()
	share := float64(p.InputBytes) / float64(p.SampleBytes)
	p.SampleSeconds = seconds + check
	p.Seconds = share * (seconds + check)
	p.ProcessorSeconds = share * (processorSeconds() - used)
	p.PeakMemory = peak
	for _, f := range s.parts.files {
		p.DiskBytes += int64(share * float64(f.Bytes))
	}
	p.Documents = int64(share * float64(s.report.Totals.Documents))
	p.TextBytes = int64(share * float64(s.report.Totals.Bytes))
	return p, r.keep(p)
}

// keep leaves a plan for its run.
func (r *run) keep(p *Plan) error { return writeJSON(filepath.Join(r.dir, planName), p) }

// planned returns the plan of this run, nil when there is none.
func (r *run) planned() *Plan {
	p := new(Plan)
	if readJSON(filepath.Join(r.dir, planName), 1<<20, p) != nil || p.Key != planKey(&r.options, r.inputs) {
		return nil
	}
	return p
}

func planKey(o *options, inputs []*input) string {
	parts := []any{"plan", *o}
	for _, in := range inputs {
		parts = append(parts, in.name, in.size)
	}
	return store.Key(parts...)
}

// piece is a stretch of a file.
type piece struct{ from, to int64 }

// sample chooses what of the inputs is read.
func (r *run) sample(ctx context.Context, all []*input) ([]*input, error) {
	if r.cfg.Kind == KindBooks || r.cfg.Kind == KindText {
		var chosen []*input
		step := max(1, float64(len(all))/sampleFiles)
		for at := step / 2; int(at) < len(all); at += step {
			chosen = append(chosen, all[int(at)])
		}
		return chosen, nil
	}
	total := int64(0)
	for _, in := range all {
		total += in.size
	}
	bytes := r.cfg.sample
	if bytes == 0 {
		bytes = usualSample
	}
	if total <= bytes {
		return all, nil
	}
	// The places lie evenly in all inputs, laid end to end.
	places := make(map[*input][]int64)
	var order []*input
	base, k := int64(0), int64(0)
	for _, in := range all {
		for ; k < samplePlaces && (2*k+1)*total/(2*samplePlaces) < base+in.size; k++ {
			if places[in] == nil {
				order = append(order, in)
			}
			places[in] = append(places[in], (2*k+1)*total/(2*samplePlaces)-base)
		}
		base += in.size
	}
	for i, in := range order {
		one := *in
		inside, err := r.splits(ctx, in)
		if err != nil {
			return nil, err
		}
		length := int64(len(places[in])) * bytes / samplePlaces
		switch {
		case r.cfg.Kind == KindParquet:
			one.share = min(1, float64(length)/float64(in.size))
			one.whole, one.size = in.size, int64(one.share*float64(in.size))
		case !inside:
			one.pieces = []piece{{0, min(in.size, length)}}
		default:
			one.pieces = []piece{{0, min(in.size, bytes/100)}} // what a file says of itself
			for _, at := range places[in] {
				from := max(at, one.pieces[len(one.pieces)-1].to)
				if to := min(in.size, from+bytes/samplePlaces); to > from {
					one.pieces = append(one.pieces, piece{from, to})
				}
			}
		}
		if one.pieces != nil {
			one.whole, one.size = in.size, 0
			for _, p := range one.pieces {
				one.size += p.to - p.from
			}
		}
		order[i] = &one
	}
	return order, nil
}

// splits reports whether reading can begin in the midst of an input.
func (r *run) splits(ctx context.Context, in *input) (bool, error) {
	f, err := r.places.open(ctx, in)
	if err != nil {
		return false, err
	}
	defer f.close()
	var head [4]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	switch r.cfg.Kind {
	case KindWeb:
		return true, nil
	case KindWiki, KindJSONL:
		return !packed(head[:n]) || string(head[:3]) == "BZh", nil
	}
	return false, nil
}

// spliced shows pieces of a file as one.
type spliced struct {
	r      io.ReaderAt
	pieces []piece
}

// ReadAt implements io.ReaderAt.
func (s *spliced) ReadAt(p []byte, off int64) (n int, err error) {
	for _, piece := range s.pieces {
		length := piece.to - piece.from
		if off >= length {
			off -= length
			continue
		}
		k, err := s.r.ReadAt(p[n:n+int(min(int64(len(p)-n), length-off))], piece.from+off)
		n += k
		if err != nil && !errors.Is(err, io.EOF) || n == len(p) {
			return n, err
		}
		off = 0
	}
	return n, io.EOF
}
