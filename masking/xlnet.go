package masking

import (
	"math"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// xlnet predicts spans of words in a random order of factorisation (Yang et al.,
// "XLNet", 2019, sections 2.2 and 2.3; partial prediction with K = 6). A sequence
// is a window of full sentences with separators between documents, a last one, and
// the class token at its end. Runs of one to five words, n with a chance in
// proportion to 1/n, are predicted in a context of six times as many words each,
// a uniformly random part of it before the run; single tokens make up what lacks to a sixth of the
// tokens. Nothing is hidden: what is predicted and the special tokens have ranks in
// a random order, all else has rank -1 and is seen by all.
//
// The memory of earlier sequences that the original trains with, and the second
// segment that goes with it, are left out.
type xlnet struct{ masker }

const xlnetContext = 6

var xlnetGrams = newLengths(5, func(n int) float64 { return 1 / float64(n) })

func (o *xlnet) Layout() mixer.Layout { return mixer.Full }

func (o *xlnet) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.TwoStream = true
	var order []int32
	for i := range samples {
		s := &samples[i]
		b.Tokens = appendDocuments(b.Tokens, s, w.sep)
		b.Tokens = append(b.Tokens, w.sep, w.cls)
		_, key := w.draws(s)
		draw := key.Stream()
		w.candidates()
		n := len(b.Tokens) - int(w.from)
		w.chooseRuns(w.bound(int(math.RoundToEven(float64(n)/xlnetContext))), &draw)
		w.eachChosen(func(place int32) {
			b.Predict = append(b.Predict, w.from+place)
			b.Labels = append(b.Labels, b.Tokens[w.from+place])
		})
		order = order[:0]
		for place := range int32(n) {
			b.Ranks = append(b.Ranks, -1)
			if token := b.Tokens[w.from+place]; w.isChosen(place) || token == w.cls || token == w.sep {
				order = append(order, place)
			}
		}
		for rank := range order {
			j := rank + draw.IntN(len(order)-rank)
			order[rank], order[j] = order[j], order[rank]
			b.Ranks[w.from+order[rank]] = int32(rank)
		}
		w.seal(s, s.Spans)
	}
	b.Segments = make([]uint8, len(b.Tokens))
	return b
}

// chooseRuns goes through the words from left to right, choosing runs in their
// contexts, and then single tokens until count are chosen.
func (w *work) chooseRuns(count int, draw *counter.Stream) {
	w.findWords()
	left := int32(min(count, len(w.places)))
	for at := 0; at < len(w.starts) && left > 0; {
		n := xlnetGrams.draw(draw)
		first := at + draw.IntN(n*xlnetContext)
		at += n + n*xlnetContext
		if first >= len(w.starts) {
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
	for left > 0 {
		if place := w.places[draw.IntN(len(w.places))]; !w.isChosen(place) {
			w.choose(place)
			left--
		}
	}
}
