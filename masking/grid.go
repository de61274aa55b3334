package masking

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// Point is a point of the grid of objectives (Dery et al., "AANG: Automating
// Auxiliary Learning", 2022): what text is read, how it is changed, what a
// position sees, and what the model must say. It is written with colons between,
// such as task:mask:ltr:denoise.
type Point struct {
	// Data is a word on which text the point is for; the text itself is the mix.
	Data string
	// Transform is what the tokens that are chosen are shown as.
	Transform string
	// Representation is what a position sees of the others.
	Representation string
	// Output is what the model must say of the chosen tokens, or of the sequence.
	Output string
}

// The values of the grid's axes. The outputs of sequences come after those of
// tokens.
var (
	gridData            = []string{"out-of-domain", "in-domain", "task", "neural-lm"}
	gridTransforms      = []string{"none", "replace", "mask", "noise"}
	gridRepresentations = []string{"bidirectional", "ltr", "rtl", "random"}
	gridTokenOutputs    = []string{"denoise", "tfidf", "tf", "cap"}
	gridPairOutputs     = []string{"quick-thoughts", "future-sentence", "adjacent", "order", "contradiction", "next"}
)

// Points gives the nominal grid, legal points and others.
func Points() iter.Seq[Point] {
	return func(yield func(Point) bool) {
		for _, d := range gridData {
			for _, t := range gridTransforms {
				for _, r := range gridRepresentations {
					for _, o := range slices.Concat(gridTokenOutputs, gridPairOutputs) {
						if !yield(Point{d, t, r, o}) {
							return
						}
					}
				}
			}
		}
	}
}

// ParsePoint reads a point. Beside the nominal transforms it takes bert, the mix
// of mask, replace and none that BERT uses.
func ParsePoint(text string) (Point, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 4 {
		return Point{}, fmt.Errorf("%q is no point of the grid: it has the form data:transform:representation:output", text)
	}
	for i, axis := range []struct {
		name   string
		values []string
	}{
		{"data", gridData}, {"transform", append(slices.Clone(gridTransforms), "bert")},
		{"representation", gridRepresentations}, {"output", slices.Concat(gridTokenOutputs, gridPairOutputs)},
	} {
		if !slices.Contains(axis.values, parts[i]) {
			return Point{}, fmt.Errorf("%q: there is no %s %q; there are %s", text, axis.name, parts[i], strings.Join(axis.values, ", "))
		}
	}
	return Point{parts[0], parts[1], parts[2], parts[3]}, nil
}

func (p Point) String() string {
	return strings.Join([]string{p.Data, p.Transform, p.Representation, p.Output}, ":")
}

// Illegal says why a point makes no objective; it is empty when the point is
// legal.
func (p Point) Illegal() string {
	if slices.Contains(gridPairOutputs, p.Output) && p.Representation != "bidirectional" {
		return fmt.Sprintf("what is said of a whole sequence (%s) is read at its first position, which does not see all of it unless the representation is bidirectional", p.Output)
	}
	return ""
}

// ErrNotBuilt means that a point is legal and that no batches are built for it.
var ErrNotBuilt = errors.New("no batches are built for it")

// unbuilt says what batches for a legal point would need.
func (p Point) unbuilt() string {
	if p.Output == "contradiction" {
		return "pairs that people have labelled are needed: that is the objective pair"
	}
	return ""
}

// check says why no batches are built for a point; nil when they are.
func (p Point) check() error {
	if reason := p.Illegal(); reason != "" {
		return fmt.Errorf("objective %s is not legal: %s", p, reason)
	}
	if needs := p.unbuilt(); needs != "" {
		return fmt.Errorf("objective %s: %w: %s", p, ErrNotBuilt, needs)
	}
	return nil
}

// gridObjective is an objective at a point.
//
// The share of the tokens is chosen and transformed. With denoise they are asked
// for as they were; tf, tfidf and cap ask of every token for its class by
// frequency, its weight by frequency and rarity, and whether it has a capital
// letter. From left to right they are asked for at the position before, from right
// to left at the position after, so that what is asked for is never seen, and in a
// random order at the position itself from a query stream. In the bidirectional
// representation a transform of none leaves in sight what is asked for, as in the
// original. noise leaves the tokens and names the positions to whose embeddings the
// model adds noise.
//
// Of sentences, next asks whether the second part follows the first or is from
// another document, order whether the parts have changed places, adjacent whether
// they stand beside each other, in either order. future-sentence gives pairs that
// follow each other, for which the model's two views are to have a cosine of 1, and
// quick-thoughts makes sequences of both parts, each of which is to find the other
// among the sequences of the batch.
type gridObjective struct {
	masker
	Point
	classes  []int32   // tf and cap: by token id
	rarities []float64 // tfidf: by token id
}

func newGridObjective(text string, v Vocabulary, o Options) (Objective, error) {
	p, err := ParsePoint(text)
	if err != nil {
		return nil, err
	}
	m, err := newMasker(known{name: text, needs: "cls sep mask", published: Options{Share: 0.15, Replace: 0.1, Keep: 0.1, Short: 0.1}}, v, o)
	if err != nil {
		return nil, err
	}
	switch p.Transform {
	case "none", "noise":
		m.masked, m.showing = 0, 1
	case "replace":
		m.masked, m.showing = 0, 0
	case "mask":
		m.masked, m.showing = 1, 1
	}
	g := &gridObjective{masker: m, Point: p}
	switch p.Output {
	case "tf", "tfidf":
		if g.classes, g.rarities, err = frequencyClasses(o.Frequencies, v.VocabSize()); err != nil {
			return nil, err
		}
	case "cap":
		if g.classes, err = capitals(v); err != nil {
			return nil, err
		}
	}
	return g, nil
}

// ofSentences reports whether the output is of sentences.
func (p Point) ofSentences() bool { return slices.Contains(gridPairOutputs, p.Output) }

func (o *gridObjective) Layout() mixer.Layout {
	if o.ofSentences() {
		return mixer.Pairs
	}
	return mixer.Full
}

func (o *gridObjective) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.TwoStream = o.Representation == "random"
	if o.Transform == "noise" {
		b.Noise = []int32{}
	}
	switch {
	case o.Output == "quick-thoughts":
		o.thoughts(w, samples)
		return b
	case o.ofSentences():
		kind := map[string]pairKind{"next": pairNext, "order": pairOrder, "adjacent": pairAdjacent, "future-sentence": pairFollows}[o.Output]
		w.pairs(samples, kind, func(tokens int, draw *counter.Stream) {
			w.chooseAny(w.exactly(tokens), draw)
			o.transform(w, draw)
		})
		b.Predict, b.Labels = nil, nil
		if kind == pairFollows {
			b.PairLabels = nil
			b.SequenceValues = make([]float32, b.Sequences())
			for i := range b.SequenceValues {
				b.SequenceValues[i] = 1
			}
		}
		return b
	}
	switch o.Output {
	case "tf":
		b.Classes = tfClasses
	case "cap":
		b.Classes = 2
	}
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		w.single(s)
		w.candidates()
		w.chooseAny(w.bound(int(o.options.Share*float64(len(w.places))+draw.Float64())), &draw)
		before := append([]int32(nil), b.Tokens[w.from:]...)
		first := len(b.Predict)
		o.transform(w, &draw)
		if o.Output != "denoise" {
			o.describe(w, before, first)
		}
		o.rank(w, b.Predict[first:], &draw)
		w.seal(s, s.Spans)
	}
	if o.Output == "tfidf" {
		b.Labels = nil
	}
	w.oneSegment()
	return b
}

// transform shows the chosen tokens as the point wants it.
func (o *gridObjective) transform(w *work, draw *counter.Stream) {
	w.hide(draw, o.ordinaryToken(draw))
	if w.batch.Noise != nil {
		w.eachChosen(func(place int32) { w.batch.Noise = append(w.batch.Noise, w.from+place) })
	}
}

// describe asks for what every token of the open sequence was, in place of what
// hide has asked for since prediction first.
func (o *gridObjective) describe(w *work, tokens []int32, first int) {
	b := w.batch
	b.Predict = b.Predict[:first]
	if o.Output == "tfidf" {
		b.Labels = b.Labels[:0]
	} else {
		b.Labels = b.Labels[:first]
	}
	most := 0.0
	for at, token := range tokens {
		if token == w.cls || token == w.sep {
			continue
		}
		b.Predict = append(b.Predict, w.from+int32(at))
		if o.Output != "tfidf" {
			b.Labels = append(b.Labels, o.classes[token])
			continue
		}
		value := float64(o.classes[token]) * o.rarities[token]
		most = max(most, value)
		b.Values = append(b.Values, float32(value))
	}
	for i := first; i < len(b.Values) && most > 0; i++ {
		b.Values[i] = float32(10 * float64(b.Values[i]) / most)
	}
}

// thoughts makes two sequences of each sample, which are each other's partners.
func (o *gridObjective) thoughts(w *work, samples []mixer.Sample) {
	b := w.batch
	for i := range samples {
		s := &samples[i]
		pairKey, maskKey := w.draws(s)
		var p pair
		p.draw(s, pairFollows, &w.options, pairKey.Stream())
		draw := maskKey.Stream()
		for half, text := range []side{p.a, p.b} {
			b.Tokens = append(append(append(b.Tokens, w.cls), text.tokens...), w.sep)
			w.candidates()
			w.chooseAny(w.exactly(len(text.tokens)+2), &draw)
			o.transform(w, &draw)
			b.Partners = append(b.Partners, int32(1-2*half))
			w.seal(s, []Span{text.span()})
		}
	}
	b.Predict, b.Labels = nil, nil
	w.oneSegment()
}

// rank gives the open sequence its ranks and moves the predictions to where they
// are made.
func (o *gridObjective) rank(w *work, predict []int32, draw *counter.Stream) {
	b := w.batch
	n := int32(len(b.Tokens)) - w.from
	shift := int32(1)
	if o.options.Compat {
		shift = 0
	}
	switch o.Representation {
	case "ltr":
		for place := range n {
			b.Ranks = append(b.Ranks, place)
		}
		for i := range predict {
			predict[i] -= shift
		}
	case "rtl":
		for place := range n {
			b.Ranks = append(b.Ranks, n-1-place)
		}
		for i := range predict {
			predict[i] += shift
		}
	case "random":
		for place := range n {
			b.Ranks = append(b.Ranks, place)
		}
		ranks := b.Ranks[w.from:]
		for i := range ranks {
			j := i + draw.IntN(len(ranks)-i)
			ranks[i], ranks[j] = ranks[j], ranks[i]
		}
	}
}
