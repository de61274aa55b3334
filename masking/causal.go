package masking

import "github.com/tributary-ml/tributary/mixer"

// causal predicts the next token from those before it (gpt), the one before from
// those after it (rtl), or both in two sequences of one text (elmo). Positions see
// themselves and what lies before them in their direction.
//
// By default windows are full to the last token, with the end token between
// documents, and are one text. Options.Packing has windows end with documents, or
// hold whole documents that fit beside each other; Options.Isolate makes each
// document of a window a sequence, so that none sees another and positions begin
// anew.
type causal struct {
	masker
	forward, backward bool
}

func (o *causal) Layout() mixer.Layout { return o.layout(mixer.Packed) }

func (o *causal) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	tokens := cap(b.Tokens)
	if o.forward && o.backward {
		tokens *= 2
	}
	b.Tokens = room(w.old.Tokens, tokens)
	b.Ranks, b.Predict, b.Labels = room(w.old.Ranks, tokens), room(w.old.Predict, tokens), room(w.old.Labels, tokens)
	for i := range samples {
		s := &samples[i]
		if o.forward {
			w.texts(s, func(_ int, from, n int32) {
				ranks := extend(&b.Ranks, int(n))
				for place := range ranks {
					ranks[place] = int32(place)
				}
				w.next(from, from+n)
			})
		}
		if o.backward {
			w.texts(s, func(_ int, from, n int32) {
				ranks := extend(&b.Ranks, int(n))
				for place := range ranks {
					ranks[place] = n - 1 - int32(place)
				}
				w.count(from+1, from+n)
				b.Labels = append(b.Labels, b.Tokens[from:from+n-1]...)
			})
		}
	}
	w.oneSegment()
	return b
}

// extend makes a list n longer and returns the new part.
func extend(list *[]int32, n int) []int32 {
	at := len(*list)
	if cap(*list)-at >= n {
		*list = (*list)[:at+n]
	} else {
		*list = append(*list, make([]int32, n)...)
	}
	return (*list)[at:]
}

// texts appends a sample's text, unframed, as one sequence, or as one for each
// document, and calls build with the number of each, where it begins and its
// length.
func (w *work) texts(s *mixer.Sample, build func(i int, from, n int32)) {
	b := w.batch
	from := int32(len(b.Tokens))
	if !w.isolates(w.layout(mixer.Packed)) {
		b.Tokens = appendDocuments(b.Tokens, s, w.sep)
		if w.options.Packing == PackDocuments && len(s.Tokens) < w.options.SeqLen {
			b.Tokens = append(b.Tokens, w.sep)
		}
		build(0, from, int32(len(b.Tokens))-from)
		w.seal(s, s.Spans)
		return
	}
	at := int32(0)
	for i, span := range s.Spans {
		n := span.End - span.Start
		b.Tokens = append(b.Tokens, s.Tokens[at:at+n]...)
		at += n
		// A document that goes on in another window has no end here.
		if last := i == len(s.Spans)-1; !last || w.options.Packing != PackContiguous && int(n) < w.options.SeqLen {
			if int(n) < w.options.SeqLen {
				b.Tokens = append(b.Tokens, w.sep)
				n++
			}
		}
		build(i, from, n)
		w.seal(s, s.Spans[i:i+1:i+1])
		from += n
	}
}

// count appends the positions [from, to) to those that are predicted.
func (w *work) count(from, to int32) {
	for i := range extend(&w.batch.Predict, int(max(0, to-from))) {
		w.batch.Predict[len(w.batch.Predict)-int(to-from)+i] = from + int32(i)
	}
}

// next asks at each position but the last for the next token.
func (w *work) next(from, end int32) {
	b := w.batch
	w.count(from, end-1)
	b.Labels = append(b.Labels, b.Tokens[from+1:end]...)
}

// prefix is a language model whose beginning is seen whole (the prefix language
// model of Raffel et al., "T5", 2020, section 3.2.1): the prefix has a uniformly
// random length, all its positions see each other, and what comes after it is
// predicted from left to right.
type prefix struct{ masker }

func (o *prefix) Layout() mixer.Layout { return o.layout(mixer.Packed) }

func (o *prefix) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		w.texts(s, func(i int, from, n int32) {
			length := int32(1)
			if n > 2 {
				length += int32(key.IntN(uint64(i), int(n-1)))
			}
			ranks := extend(&b.Ranks, int(n))
			for place := range ranks {
				ranks[place] = max(0, int32(place)-length+1)
			}
			w.next(from+length-1, from+n)
		})
	}
	w.oneSegment()
	return b
}
