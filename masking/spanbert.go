package masking

import (
	"math"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// spanbert hides spans of whole words in one long text of one document and asks
// for them twice, from the position itself and from the span's boundary (Joshi et
// al., "SpanBERT", 2020, sections 3.1 and 3.2). Span lengths in words are
// geometric with p = 0.2, cut to at most 10; spans are drawn until they hold at
// least the share of the tokens. Whether a span is shown as mask tokens, random
// tokens or as it is, is drawn once for the span; spans that touch are one.
type spanbert struct{ masker }

var spanbertLengths = newLengths(10, func(n int) float64 { return 0.2 * math.Pow(0.8, float64(n-1)) })

func (o *spanbert) Layout() mixer.Layout { return mixer.Pairs }

func (o *spanbert) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		w.single(s)
		w.candidates()
		w.chooseSpans(w.exactly(len(s.Tokens)+2), &draw)
		w.hideSpans(&draw)
		w.seal(s, s.Spans)
	}
	w.oneSegment()
	return b
}

// single appends a sample's text as one framed sequence.
func (w *work) single(s *mixer.Sample) {
	b := w.batch
	b.Tokens = append(b.Tokens, w.cls)
	b.Tokens = appendDocuments(b.Tokens, s, w.sep)
	b.Tokens = append(b.Tokens, w.sep)
}

// chooseSpans chooses spans of whole words, from words that are not yet chosen
// on, until they hold count tokens.
func (w *work) chooseSpans(count int, draw *counter.Stream) {
	w.findWords()
	left := int32(min(count, len(w.places)))
	for left > 0 {
		first := draw.IntN(len(w.starts))
		for w.isChosen(w.starts[first]) {
			first = draw.IntN(len(w.starts))
		}
		last := w.run(first, spanbertLengths.draw(draw))
		w.chooseRun(first, last)
		left -= w.stops[last] - w.starts[first]
	}
}

// hideSpans is hide with one draw for each run of chosen tokens.
func (w *work) hideSpans(draw *counter.Stream) {
	b := w.batch
	for i := 0; i < len(w.places); {
		at := w.places[i]
		if !w.isChosen(at) {
			i++
			continue
		}
		end := at
		for i < len(w.places) && w.places[i] == end && w.isChosen(end) {
			end++
			i++
		}
		u := draw.Chance()
		for place := at; place < end; place++ {
			token := &b.Tokens[w.from+place]
			b.Predict = append(b.Predict, w.from+place)
			b.Labels = append(b.Labels, *token)
			b.SpanStarts = append(b.SpanStarts, w.from+at)
			b.SpanEnds = append(b.SpanEnds, w.from+end)
			switch {
			case u < w.masked:
				*token = w.mask
			case u >= w.showing:
				*token = int32(draw.IntN(int(w.vocab)))
			}
		}
	}
}
