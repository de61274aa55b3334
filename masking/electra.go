package masking

import (
	"fmt"
	"slices"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// electra lays the slots that a generator fills (Clark et al., "ELECTRA", 2020,
// and the release's data builder). The text is one segment with probability 0.1,
// else two of nearly equal length; no label goes with them. As many positions as
// the share asks for are drawn with replacement; a position drawn twice is one
// slot. A slot shows the mask token with probability 0.85, else the token itself.
// Labels are the original tokens: whether a token that the generator samples is
// real is known only then.
type electra struct{ masker }

func (o *electra) Layout() mixer.Layout { return mixer.Pairs }

func (o *electra) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.Segments = room(w.old.Segments, cap(b.Tokens))
	for i := range samples {
		s := &samples[i]
		pairKey, maskKey := w.draws(s)
		cut, end := o.segments(s, pairKey.Stream())
		b.Tokens = append(b.Tokens, w.cls)
		b.Tokens = append(b.Tokens, s.Tokens[:cut]...)
		b.Tokens = append(b.Tokens, w.sep)
		b.Segments = append(b.Segments, make([]uint8, cut+2)...)
		if cut < end {
			b.Tokens = append(b.Tokens, s.Tokens[cut:end]...)
			b.Tokens = append(b.Tokens, w.sep)
			b.Segments = append(b.Segments, w.ones(end-cut+1)...)
		}
		draw := maskKey.Stream()
		w.candidates()
		slots := w.exactly(len(b.Tokens) - int(w.from))
		slots = max(1, min(slots, int((o.options.Share+0.005)*float64(o.options.SeqLen))))
		for range slots {
			if len(w.places) > 0 {
				w.choose(w.places[draw.IntN(len(w.places))])
			}
		}
		w.hide(&draw, w.ordinaryToken(&draw))
		span := s.Spans[0]
		span.End = span.Start + int32(end)
		w.seal(s, []Span{span})
	}
	return b
}

// segments returns where the first segment ends and where the second does; they
// are equal when there is one.
func (o *electra) segments(s *mixer.Sample, draw counter.Stream) (cut, end int) {
	target := o.options.SeqLen
	if draw.Float64() < o.options.Short {
		target = 5 + draw.IntN(o.options.SeqLen-4)
	}
	first := (target - 3) / 2
	if draw.Float64() < 0.1 {
		first = o.options.SeqLen
	}
	for _, to := range s.Ends {
		// A sentence goes to the first segment while it fits or, once, by coin.
		if cut == end && (end == 0 || int(to) < first || end < first && draw.Float64() < 0.5) {
			cut = int(to)
		}
		if end = int(to); end >= target-3 {
			break
		}
	}
	return cut, end
}

// Discriminate makes what a discriminator trains on of a batch and the tokens that
// a generator sampled at its predicted positions: the original text with the sampled
// tokens in it, and for every position whether the token there is another than the
// original (class 1) or not. A sampled token that is the original counts as real.
func Discriminate(b *Batch, sampled []int32) (*Batch, error) {
	if len(sampled) != len(b.Predict) || len(b.Labels) != len(b.Predict) {
		return nil, fmt.Errorf("%d sampled tokens for %d predicted positions with %d labels", len(sampled), len(b.Predict), len(b.Labels))
	}
	d := *b
	d.released = nil
	d.Tokens = slices.Clone(b.Tokens)
	d.Predict = make([]int32, len(b.Tokens))
	d.Labels = make([]int32, len(b.Tokens))
	d.Classes = 2
	for i := range d.Predict {
		d.Predict[i] = int32(i)
	}
	for i, at := range b.Predict {
		d.Tokens[at] = sampled[i]
		if sampled[i] != b.Labels[i] {
			d.Labels[at] = 1
		}
	}
	return &d, nil
}
