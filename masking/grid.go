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
	switch {
	case p.Transform == "noise":
		return "noise is added to embeddings, in the model"
	case slices.Contains([]string{"tfidf", "tf", "cap"}, p.Output):
		return "a head that gives tokens classes or values is needed"
	case slices.Contains(gridPairOutputs, p.Output) && p.Output != "next" && p.Output != "order":
		return "a head that compares sentences is needed"
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
// The share of the tokens is chosen; they are transformed, and, for denoise,
// asked for as they were. From left to right they are asked for at the position
// before, from right to left at the position after, so that what is asked for is
// never seen, and in a random order at the position itself from a query stream.
// In the bidirectional representation a transform of none leaves in sight what is
// asked for, as in the original.
type gridObjective struct {
	masker
	Point
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
	case "none":
		m.masked, m.showing = 0, 1
	case "replace":
		m.masked, m.showing = 0, 0
	case "mask":
		m.masked, m.showing = 1, 1
	}
	return &gridObjective{m, p}, nil
}

func (o *gridObjective) Layout() mixer.Layout {
	if o.Output == "denoise" {
		return mixer.Full
	}
	return mixer.Pairs
}

func (o *gridObjective) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	if o.Output != "denoise" {
		w.pairs(samples, o.Output == "order", func(tokens int, draw *counter.Stream) {
			w.chooseAny(w.exactly(tokens), draw)
			w.hide(draw, o.ordinaryToken(draw))
		})
		b.Predict, b.Labels = nil, nil
		return b
	}
	b.TwoStream = o.Representation == "random"
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		w.single(s)
		w.candidates()
		w.chooseAny(w.bound(int(o.options.Share*float64(len(w.places))+draw.Float64())), &draw)
		first := len(b.Predict)
		w.hide(&draw, o.ordinaryToken(&draw))
		o.rank(w, b.Predict[first:], &draw)
		w.seal(s, s.Spans)
	}
	b.Segments = make([]uint8, len(b.Tokens))
	return b
}

// rank gives the open sequence its ranks and moves the predictions to where they
// are made.
func (o *gridObjective) rank(w *work, predict []int32, draw *counter.Stream) {
	b := w.batch
	n := int32(len(b.Tokens)) - w.from
	switch o.Representation {
	case "ltr":
		for place := range n {
			b.Ranks = append(b.Ranks, place)
		}
		for i := range predict {
			predict[i]--
		}
	case "rtl":
		for place := range n {
			b.Ranks = append(b.Ranks, n-1-place)
		}
		for i := range predict {
			predict[i]++
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
