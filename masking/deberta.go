package masking

import (
	"math"

	"github.com/tributary-ml/tributary/mixer"
)

// deberta hides runs of one to three whole words in one framed text, a run of n
// with a chance in proportion to 1/n and a context of a sixth-part rule: each run
// stands at a random place in a context of about 1/Share times its words (He et
// al., "DeBERTa", 2021, and its data generator). What is chosen is masked, kept or
// replaced token by token as in BERT.
type deberta struct{ masker }

var debertaGrams = newLengths(3, func(n int) float64 { return 1 / float64(n) })

func (o *deberta) Layout() mixer.Layout { return o.layout(mixer.Full) }

func (o *deberta) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	context := max(1, int(1/o.options.Share))
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		w.single(s)
		w.candidates()
		w.chooseRuns(w.exactly(len(w.batch.Tokens)-int(w.from)), debertaGrams, context, false, &draw)
		w.atLeastOne(&draw)
		w.hide(&draw, w.ordinaryToken(&draw))
		w.seal(s, s.Spans)
	}
	w.oneSegment()
	return w.batch
}

// atLeastOne chooses a token when none is chosen.
func (w *work) atLeastOne(draw interface{ IntN(n int) int }) {
	for _, set := range w.chosen {
		if set != 0 {
			return
		}
	}
	if len(w.places) > 0 {
		w.choose(w.places[draw.IntN(len(w.places))])
	}
}

// rtd lays the slots of replaced-token detection as DeBERTa's successor does (He
// et al., "DeBERTaV3", 2023): the exact share of the tokens of one text, single
// tokens without replacement, each shown as the mask token. Discriminate makes the
// discriminator's batch of what the generator samples.
type rtd struct{ masker }

func (o *rtd) Layout() mixer.Layout { return o.layout(mixer.Full) }

func (o *rtd) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		w.single(s)
		w.candidates()
		w.chooseAny(w.bound(int(math.RoundToEven(o.options.Share*float64(len(w.places))))), &draw)
		w.hide(&draw, w.ordinaryToken(&draw))
		w.seal(s, s.Spans)
	}
	w.oneSegment()
	return w.batch
}
