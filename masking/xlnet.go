package masking

import (
	"fmt"
	"math"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// xlnet predicts spans of words in a random order of factorisation (Yang et al.,
// "XLNet", 2019, sections 2.2 and 2.3; partial prediction with K = 6). Runs of one
// to five words, n with a chance in proportion to 1/n, are predicted in a context of
// six times as many words each, a uniformly random part of it before the run; single
// tokens make up what lacks to a sixth of the tokens. Nothing is hidden: what is
// predicted and the special tokens have ranks in a random order, and all else has
// a rank below theirs and is seen by all.
//
// A sequence has two halves, each with its predictions and its order. The first,
// of Options.Reuse tokens, is running text, which a model with a memory keeps for
// the next sequence; it does not see the second, which sees all of it. The second
// is two segments A sep B sep cls: with probability one half, B is what follows A,
// else it comes from a random other document. No label goes with that. With a
// negative Reuse a sequence is one text, sep cls, of full sentences.
//
// The release's data tool draws one order for all blocks of a row and takes spans
// of pieces where spans of words are meant; here each sequence has its own order
// and spans are of words.
type xlnet struct{ masker }

const xlnetContext = 6

var xlnetGrams = newLengths(5, func(n int) float64 { return 1 / float64(n) })

func newXLNet(m masker, _ Vocabulary) (Objective, error) {
	if m.options.Reuse == 0 {
		m.options.Reuse = m.options.SeqLen / 2
	}
	if m.options.Reuse > m.options.SeqLen-3 {
		return nil, fmt.Errorf("a first half of %d tokens in sequences of %d", m.options.Reuse, m.options.SeqLen)
	}
	return &xlnet{m}, nil
}

func (o *xlnet) Layout() mixer.Layout {
	if o.options.Reuse < 0 {
		return mixer.Full
	}
	return mixer.Halves
}

func (o *xlnet) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.TwoStream = true
	b.Ranks = room(w.old.Ranks, cap(b.Tokens))
	b.Segments = room(w.old.Segments, cap(b.Tokens))
	for i := range samples {
		s := &samples[i]
		pairs, key := w.draws(s)
		draw := key.Stream()
		reuse, spans := 0, s.Spans
		if o.options.Reuse < 0 {
			b.Tokens = appendDocuments(b.Tokens, s, w.sep)
			b.Tokens = append(b.Tokens, w.sep, w.cls)
			b.Segments = append(b.Segments, make([]uint8, len(b.Tokens)-len(b.Segments))...)
		} else {
			choice := pairs.Stream()
			reuse, spans = w.halves(s, o.options.Reuse, &choice)
		}
		w.candidates()
		n := len(b.Tokens) - int(w.from)
		places := w.places
		ranks := extend(&b.Ranks, n)
		first := 0
		for first < len(places) && int(places[first]) < reuse {
			first++
		}
		ranked := int32(-1) // the rank of what all of the half see
		for _, half := range []struct {
			from, to int
			places   []int32
		}{{0, reuse, places[:first]}, {reuse, n, places[first:]}} {
			if half.from == half.to {
				continue
			}
			w.places = half.places
			w.chooseRuns(w.bound(int(math.RoundToEven(float64(half.to-half.from)/xlnetContext))), xlnetGrams, xlnetContext, true, &draw)
			w.order = w.order[:0]
			for place := half.from; place < half.to; place++ {
				ranks[place] = ranked
				if token := b.Tokens[int(w.from)+place]; w.isChosen(int32(place)) || token == w.cls || token == w.sep {
					w.order = append(w.order, int32(place))
				}
			}
			for i := range w.order {
				j := i + draw.IntN(len(w.order)-i)
				w.order[i], w.order[j] = w.order[j], w.order[i]
				ranked++
				ranks[w.order[i]] = ranked
			}
			ranked++
		}
		w.places = places
		w.eachChosen(func(place int32) {
			b.Predict = append(b.Predict, w.from+place)
			b.Labels = append(b.Labels, b.Tokens[w.from+place])
		})
		w.seal(s, spans)
	}
	return b
}

// halves appends a sequence of two halves and returns how many tokens the first
// one has and the parts of documents that it is made of.
func (w *work) halves(s *mixer.Sample, reuse int, draw *counter.Stream) (first int, spans []Span) {
	b := w.batch
	from := len(b.Tokens)
	b.Tokens = appendDocuments(b.Tokens, s, w.sep)
	text := len(b.Tokens) - from
	first = min(reuse, text)
	// Segment A ends with a sentence of the second half.
	cuts := w.cuts[:0]
	at, span, shown := 0, 0, int32(0)
	for _, end := range s.Ends {
		for span < len(s.Spans)-1 && end > shown+s.Spans[span].End-s.Spans[span].Start {
			shown += s.Spans[span].End - s.Spans[span].Start
			span++
		}
		at = int(end) + span
		if at > first && at < text {
			cuts = append(cuts, at)
		}
	}
	w.cuts = cuts
	cut := text
	if len(cuts) > 0 {
		cut = cuts[draw.IntN(len(cuts))]
	}
	spans = s.Spans
	w.rest = append(w.rest[:0], b.Tokens[from+cut:]...)
	rest := w.rest
	if len(rest) > 0 && draw.Float64() >= 0.5 && s.Others() > 0 {
		other := s.Other(draw.IntN(s.Others()))
		start, _ := other.Sentence(draw.IntN(other.Sentences()))
		n := min(len(rest), len(other.Tokens)-int(start))
		rest = append(w.rest[:0], other.Tokens[start:int(start)+n]...)
		spans = append(clip(s.Spans, int32(cut)), Span{Doc: other.ID, Start: start, End: start + int32(n)})
	}
	b.Tokens = append(b.Tokens[:from+cut], w.sep)
	b.Tokens = append(append(b.Tokens, rest...), w.sep, w.cls)
	b.Segments = append(b.Segments, make([]uint8, cut+1)...)
	b.Segments = append(b.Segments, w.ones(len(rest)+1)...)
	b.Segments = append(b.Segments, 2)
	return first, spans
}

// clip returns the parts of documents that the first n tokens of a text are made
// of, which has a separator between documents.
func clip(spans []Span, n int32) []Span {
	var out []Span
	for i, span := range spans {
		if i > 0 {
			n--
		}
		if n <= 0 {
			break
		}
		span.End = min(span.End, span.Start+n)
		n -= span.End - span.Start
		out = append(out, span)
	}
	return out
}

// chooseRuns goes through the words from left to right, choosing runs in contexts
// of so many words for each word of theirs, until count tokens are chosen; with
// fill, single tokens make up what lacks.
func (w *work) chooseRuns(count int, grams lengths, context int, fill bool, draw *counter.Stream) {
	w.findWords()
	left := int32(min(count, len(w.places)))
	for at := 0; at < len(w.starts) && left > 0; {
		n := grams.draw(draw)
		first := at + draw.IntN(n*context)
		at = max(at+n*context, first+n)
		if first >= len(w.starts) {
			if at < len(w.starts) {
				continue
			}
			break
		}
		last := w.run(first, n)
		for last >= first && w.stops[last]-w.starts[first] > left {
			last--
		}
		if last >= first {
			w.chooseRun(first, last)
			left -= w.stops[last] - w.starts[first]
		}
	}
	for fill && left > 0 {
		if place := w.places[draw.IntN(len(w.places))]; !w.isChosen(place) {
			w.choose(place)
			left--
		}
	}
}
