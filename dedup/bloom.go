package dedup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest"
)

// RuleParagraphBloom is the name of ParagraphBloom's rule.
const RuleParagraphBloom = "paragraph-bloom"

// BloomOptions says how ParagraphBloom looks for paragraphs.
type BloomOptions struct {
	// MinWords is the number of words from which on a paragraph counts.
	MinWords int `json:"min_words"`
	// Bits is the size of the filter: a power of two, from 2^16 to 2^43.
	Bits uint64 `json:"bits"`
	// Hashes is the number of bits that a paragraph sets, 1 to 32.
	Hashes int `json:"hashes"`
	// Seed keys the hash functions.
	Seed uint64 `json:"seed"`
}

// BloomFigures are what a run of ParagraphBloom counted.
type BloomFigures struct {
	BloomOptions
	Paragraphs int64 `json:"paragraphs"`
	// Distinct is the number of paragraphs that were new to the filter.
	Distinct int64 `json:"distinct"`
	// FalsePositiveRate is the chance that a paragraph that was never seen is
	// marked, at the end, when the filter is fullest: the share of set bits to the
	// power of Hashes. MeanRate is the mean of that chance over all paragraphs looked
	// up, so that MeanRate x Distinct is how many marks to expect to be wrong.
	FalsePositiveRate float64 `json:"false_positive_rate"`
	MeanRate          float64 `json:"mean_rate"`
}

// BloomFor returns the options for so many paragraphs and a false-positive rate,
// with a filter no larger than memory bytes: the number of bits is the least power
// of two at or above n log2(e) log2(1/rate), the number of hashes the best for it
// (Bloom 1970; Broder and Mitzenmacher 2004, section 2.1).
func BloomFor(paragraphs int64, rate float64, memory int64) (BloomOptions, error) {
	if paragraphs < 1 || !(rate > 0 && rate < 1) {
		return BloomOptions{}, fmt.Errorf("a Bloom filter for %d paragraphs with a false-positive rate of %g: want a number above 0 and a rate between 0 and 1", paragraphs, rate)
	}
	want := float64(paragraphs) * math.Log2E * math.Log2(1/rate)
	o := BloomOptions{MinWords: 5, Bits: 1 << 16, Seed: 1}
	for float64(o.Bits) < want {
		o.Bits *= 2
	}
	if o.Bits/8 > uint64(memory) {
		return BloomOptions{}, fmt.Errorf("a Bloom filter for %d paragraphs with a false-positive rate of %g takes %d bytes, which is more than the %d allowed", paragraphs, rate, o.Bits/8, memory)
	}
	o.Hashes = min(32, max(1, int(math.Round(float64(o.Bits)/float64(paragraphs)*math.Ln2))))
	return o, nil
}

// ParagraphBloom is Paragraph for corpora of which not even a record a paragraph
// fits on disk: a Bloom filter says whether a paragraph was seen before. Paragraphs
// are compared in the normal form of Exact. It is the only rule that proves
// nothing: a mark may be wrong, at the rate that the report states, and names no
// place that stays; and the one rule for which the order of the documents counts
// in place of their preference: source by source in the order of Config.Sources,
// each in the order of its files. The marks depend on that order and the options
// only, not on the workers or the memory.
func ParagraphBloom(ctx context.Context, cfg Config, opt BloomOptions) (*Report, error) {
	report, err := paragraphBloom(ctx, cfg, opt)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", RuleParagraphBloom, err)
	}
	return report, nil
}

// bloom is a filter.
type bloom struct {
	words  []uint64
	mask   uint64
	hashes int
	seed   uint64
	set    uint64 // bits that are set
}

func newBloom(o BloomOptions) (*bloom, error) {
	if o.Bits < 1<<16 || o.Bits > 1<<43 || bits.OnesCount64(o.Bits) != 1 {
		return nil, fmt.Errorf("a Bloom filter of %d bits: want a power of two from 2^16 to 2^43", o.Bits)
	}
	if o.Hashes < 1 || o.Hashes > 32 {
		return nil, fmt.Errorf("a Bloom filter of %d hashes: want 1 to 32", o.Hashes)
	}
	return &bloom{words: make([]uint64, o.Bits/64), mask: o.Bits - 1, hashes: o.Hashes, seed: o.Seed}, nil
}

// add adds a key and reports whether it seemed to be there.
func (b *bloom) add(key digest) (had bool) {
	had = true
	for i := range b.places(key) {
		if bit := uint64(1) << (i % 64); b.words[i/64]&bit == 0 {
			b.words[i/64] |= bit
			b.set++
			had = false
		}
	}
	return had
}

// has reports whether a key seems to be there.
func (b *bloom) has(key digest) bool {
	for i := range b.places(key) {
		if b.words[i/64]>>(i%64)&1 == 0 {
			return false
		}
	}
	return true
}

// places are those of double hashing (Kirsch and Mitzenmacher 2006).
func (b *bloom) places(key digest) func(yield func(uint64) bool) {
	return func(yield func(uint64) bool) {
		h := xxh3.Hash128Seed(key[:], b.seed)
		at, step := h.Lo, h.Hi|1
		for range b.hashes {
			if !yield(at & b.mask) {
				return
			}
			at += step
		}
	}
}

// rate is the chance that a key that was never added seems to be there.
func (b *bloom) rate() float64 {
	return math.Pow(float64(b.set)/float64(b.mask+1), float64(b.hashes))
}

func paragraphBloom(ctx context.Context, cfg Config, opt BloomOptions) (_ *Report, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	opt.MinWords = max(opt.MinWords, 1)
	filter, err := newBloom(opt)
	if err != nil {
		return nil, err
	}
	run, done, err := cfg.beginRule(RuleParagraphBloom, struct {
		BloomOptions
		Version string `json:"version"`
	}{opt, "paragraph-bloom/1"})
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	f := BloomFigures{BloomOptions: opt}
	rates := 0.0
	h := newTextHasher()
	// One after the other: which of two equal paragraphs is the first must not
	// depend on who is faster.
	for i, source := range cfg.Sources {
		for d, err := range ingest.Texts(ctx, cfg.Data, source) {
			if err != nil {
				return nil, err
			}
			run.report.Sources[i].Documents++
			err := eachUnit(d.Text, "\n\n", opt.MinWords, func(from, to int) error {
				f.Paragraphs++
				rate := filter.rate()
				rates += rate
				if !filter.add(h.normalised(d.Text[from:to])) {
					f.Distinct++
					return nil
				}
				return run.add(i, &Mark{
					ID: d.ID, Source: source, Rule: RuleParagraphBloom, Kind: "paragraph", Score: 1 - rate,
					Start: int64(from), End: int64(to), KeptStart: -1, KeptEnd: -1,
					Reason: fmt.Sprintf("a Bloom filter has seen the paragraph before, or is wrong, of which the chance was %.2g", rate),
				}, int64(to-from))
			})
			if err != nil {
				return nil, err
			}
			cfg.Meter.Add(1)
		}
	}
	f.FalsePositiveRate = filter.rate()
	if f.Paragraphs > 0 {
		f.MeanRate = rates / float64(f.Paragraphs)
	}
	if run.report.Figures, err = json.Marshal(f); err != nil {
		return nil, fmt.Errorf("encoding the figures: %w", err)
	}
	return run.finish(ctx)
}
