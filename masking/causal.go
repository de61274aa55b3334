package masking

import "github.com/tributary-ml/tributary/mixer"

// causal predicts the next token from those before it (gpt), the one before from
// those after it (rtl), or both in two sequences of one window (elmo). Windows are
// full to the last token, with the end token between documents. Positions see
// themselves and what lies before them in their direction.
type causal struct {
	masker
	forward, backward bool
}

func (o *causal) Layout() mixer.Layout { return mixer.Packed }

func (o *causal) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	for i := range samples {
		s := &samples[i]
		if o.forward {
			from, n := w.packed(s)
			for place := range n {
				b.Ranks = append(b.Ranks, place)
			}
			w.next(from, from+n)
			w.seal(s, s.Spans)
		}
		if o.backward {
			from, n := w.packed(s)
			for place := range n {
				b.Ranks = append(b.Ranks, n-1-place)
			}
			for at := from + 1; at < from+n; at++ {
				b.Predict = append(b.Predict, at)
				b.Labels = append(b.Labels, b.Tokens[at-1])
			}
			w.seal(s, s.Spans)
		}
	}
	b.Segments = make([]uint8, len(b.Tokens))
	return b
}

// packed appends a sample's text, unframed, and returns where it begins and its
// length.
func (w *work) packed(s *mixer.Sample) (from, n int32) {
	b := w.batch
	from = int32(len(b.Tokens))
	b.Tokens = appendDocuments(b.Tokens, s, w.sep)
	return from, int32(len(b.Tokens)) - from
}

// next asks at each position up to end for the next token.
func (w *work) next(from, end int32) {
	b := w.batch
	for at := from; at+1 < end; at++ {
		b.Predict = append(b.Predict, at)
		b.Labels = append(b.Labels, b.Tokens[at+1])
	}
}

// prefix is a language model whose beginning is seen whole (the prefix language
// model of Raffel et al., "T5", 2020, section 3.2.1): the prefix has a uniformly
// random length, all its positions see each other, and what comes after it is
// predicted from left to right.
type prefix struct{ masker }

func (o *prefix) Layout() mixer.Layout { return mixer.Packed }

func (o *prefix) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		from, n := w.packed(s)
		length := int32(1)
		if n > 2 {
			length += int32(key.IntN(0, int(n-1)))
		}
		for place := range n {
			b.Ranks = append(b.Ranks, max(0, place-length+1))
		}
		w.next(from+length-1, from+n)
		w.seal(s, s.Spans)
	}
	b.Segments = make([]uint8, len(b.Tokens))
	return b
}
