package masking

import (
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// bert follows create_pretraining_data of the BERT release. A sample's sentences,
// or with probability Short as many as reach a target length drawn uniformly from
// 2 to SeqLen-3, are cut after a random sentence. With probability one half, and
// always when there is one sentence, the second part is replaced by sentences of a
// random other document, from a random one on, up to the target; pairs that are
// too long lose tokens of the longer side, at the front or the back by coin.
// Exactly the share of the tokens is predicted, at least one.
//
// It differs in three ways, because a sample is a window of a fixed pass, not the
// next piece of a running text. Sentences that a replaced second part or a short
// target leaves over do not begin the next sample; they come again, with other
// draws, in the next pass. A window holds as many sentences as fit, where the tool
// adds one more and cuts. And the random document is drawn from those in memory
// with the sample, always another one if there is one; alone, a window of several
// sentences keeps its second part.
type bert struct{ masker }

func (o *bert) Layout() mixer.Layout { return mixer.Pairs }

func (o *bert) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	w.pairs(samples, pairNext, func(tokens int, draw *counter.Stream) {
		switch {
		case o.options.WholeWords:
			w.chooseGrams(w.exactly(tokens), draw, single)
		case o.options.Bernoulli:
			w.chooseEach(draw)
		default:
			w.chooseAny(w.exactly(tokens), draw)
		}
		w.hide(draw, w.anyToken(draw))
	})
	return w.batch
}

// albert differs from bert in the second task and in what is hidden together
// (Lan et al., "ALBERT", 2020, section 3.1 and 4.1). A pair is always of one
// document, and with probability one half its parts change places; only a window
// of one sentence has a second part from a random document; with NoFallback it is cut
// in two instead, as a pair whose parts may have changed places. Runs of one to three
// whole words are hidden, a run of n with a chance in proportion to 1/n.
type albert struct{ masker }

var albertGrams = newLengths(3, func(n int) float64 { return 1 / float64(n) })

func (o *albert) Layout() mixer.Layout { return mixer.Pairs }

func (o *albert) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	w.pairs(samples, pairOrder, func(tokens int, draw *counter.Stream) {
		w.chooseGrams(w.exactly(tokens), draw, func() int { return albertGrams.draw(draw) })
		w.hide(draw, w.anyToken(draw))
	})
	return w.batch
}

// pairs builds the sequences of samples as pairs, in each of which hide, told its
// length, hides what it chooses.
func (w *work) pairs(samples []mixer.Sample, kind pairKind, hide func(tokens int, draw *counter.Stream)) {
	b := w.batch
	b.PairLabels = room(w.old.PairLabels, len(samples))
	b.Segments = room(w.old.Segments, cap(b.Tokens))
	spans := make([]Span, 0, 2*len(samples))
	for i := range samples {
		s := &samples[i]
		pairKey, maskKey := w.draws(s)
		var pair pair
		pair.draw(s, kind, &w.options, pairKey.Stream())
		spans = append(spans, pair.a.span(), pair.b.span())

		b.Tokens = append(b.Tokens, w.cls)
		b.Tokens = append(b.Tokens, pair.a.tokens...)
		b.Tokens = append(b.Tokens, w.sep)
		b.Tokens = append(b.Tokens, pair.b.tokens...)
		b.Tokens = append(b.Tokens, w.sep)
		b.Segments = append(b.Segments, make([]uint8, len(pair.a.tokens)+2)...)
		b.Segments = append(b.Segments, w.ones(len(pair.b.tokens)+1)...)
		b.PairLabels = append(b.PairLabels, pair.label)

		draw := maskKey.Stream()
		w.candidates()
		hide(len(pair.a.tokens)+len(pair.b.tokens)+3, &draw)
		w.seal(s, spans[2*i:2*i+2:2*i+2])
	}
}

// side is one of the two texts of a pair.
type side struct {
	doc    string
	start  int32 // of tokens, in the document
	tokens []int32
}

func (s side) span() Span {
	return Span{Doc: s.doc, Start: s.start, End: s.start + int32(len(s.tokens))}
}

// ones returns n ones.
func (w *work) ones(n int) []uint8 {
	for len(w.one) < n {
		w.one = append(w.one, 1)
	}
	return w.one[:n]
}

// pairKind is what is asked of a pair.
type pairKind int

const (
	pairNext     pairKind = iota // does b follow a, or is it from elsewhere
	pairOrder                    // does b follow a, or a follow b
	pairAdjacent                 // does b follow a or a follow b, or is b from elsewhere
	pairFollows                  // nothing: b follows a where it can
)

// pair is a sequence's two texts; label is 0 when the second follows the first.
type pair struct {
	a, b  side
	label int32
}

// draw makes a pair from a sample of the Pairs layout.
func (p *pair) draw(s *mixer.Sample, kind pairKind, o *Options, draw counter.Stream) {
	room := o.SeqLen - 3
	target := room
	if draw.Float64() < o.Short {
		target = 2 + draw.IntN(room-1)
	}
	ends := s.Ends
	n := 1
	for n < len(ends) && int(ends[n-1]) < target {
		n++
	}
	cut := 1
	if n > 1 {
		cut = 1 + draw.IntN(n-1)
	}
	at := s.Spans[0]
	end, split := ends[n-1], ends[cut-1]
	follows := draw.Float64() >= 0.5
	other := n == 1 || !follows && kind != pairOrder && s.Others() > 0
	if kind == pairFollows || n == 1 && kind == pairOrder && o.NoFallback {
		if other = n == 1 && end < 2; n == 1 && !other {
			split = 1 + int32(draw.IntN(int(end)-1))
		}
	}
	p.a = side{at.Doc, at.Start, s.Tokens[:split]}
	if other {
		p.label = 1
		other := s.Own()
		if s.Others() > 0 {
			other = s.Other(draw.IntN(s.Others()))
		}
		from := draw.IntN(other.Sentences())
		start, end := other.Sentence(from)
		for to := from + 1; to < other.Sentences() && int(end-start) < target-len(p.a.tokens); to++ {
			_, end = other.Sentence(to)
		}
		p.b = side{other.ID, start, other.Tokens[start:end]}
	} else {
		p.b = side{at.Doc, at.Start + split, s.Tokens[split:end]}
		if kind == pairOrder && !follows || kind == pairAdjacent && draw.Float64() < 0.5 {
			p.a, p.b = p.b, p.a
			if kind == pairOrder {
				p.label = 1
			}
		}
	}
	for len(p.a.tokens)+len(p.b.tokens) > room {
		long := &p.b
		if len(p.a.tokens) > len(p.b.tokens) {
			long = &p.a
		}
		if draw.Float64() < 0.5 {
			long.tokens = long.tokens[1:]
			long.start++
		} else {
			long.tokens = long.tokens[:len(long.tokens)-1]
		}
	}
}
