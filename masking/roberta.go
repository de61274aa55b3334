package masking

import "github.com/tributary-ml/tributary/mixer"

// roberta frames a window of full sentences with the begin and end tokens, with
// the end token between documents too, and predicts the share of its tokens: the
// exact number, rounded up or down at random so that the mean is exact, and at
// least one. Random tokens are never special ones.
type roberta struct{ masker }

func (o *roberta) Layout() mixer.Layout { return o.layout(mixer.Full) }

func (o *roberta) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	for i := range samples {
		s := &samples[i]
		b := w.batch
		b.Tokens = append(b.Tokens, o.cls)
		b.Tokens = appendDocuments(b.Tokens, s, o.sep)
		b.Tokens = append(b.Tokens, o.sep)

		_, key := w.draws(s)
		draw := key.Stream()
		w.candidates()
		count := int(o.options.Share*float64(len(w.places)) + draw.Float64())
		switch {
		case o.options.WholeWords:
			w.chooseGrams(w.bound(count), &draw, single)
		case o.options.Bernoulli:
			w.chooseEach(&draw)
		default:
			w.chooseAny(w.bound(count), &draw)
		}
		w.hide(&draw, w.ordinaryToken(&draw))
		w.seal(s, s.Spans)
	}
	w.oneSegment()
	return w.batch
}

// appendDocuments appends a sample's tokens with a separator between documents.
func appendDocuments(dst []int32, s *mixer.Sample, sep int32) []int32 {
	from := int32(0)
	for i, span := range s.Spans {
		if i > 0 {
			dst = append(dst, sep)
		}
		to := from + span.End - span.Start
		dst = append(dst, s.Tokens[from:to]...)
		from = to
	}
	return dst
}
