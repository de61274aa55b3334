package masking

import (
	"errors"
	"fmt"

	"github.com/tributary-ml/tributary/mixer"
)

// Label is what is known of a document.
type Label struct {
	// Class is that of classify and pair, Value the number of regress.
	Class int32
	Value float64
	// Tags holds a class for each token, for tag; negative for tokens that are not
	// asked for, such as the later ones of a word.
	Tags []int32
	// Split is the number of tokens of the first of a pair's two texts, which the
	// document holds one after the other. 0 means that there is one text.
	Split int32
}

// Labels gives the labels of documents. Its methods may be called from several
// goroutines, and must give the same whenever they are.
type Labels interface {
	// Label returns what is known of a document by its id; ok is false for nothing.
	Label(doc string) (l Label, ok bool)
	// Classes is the number of classes, of documents or of words.
	Classes() int
}

// ErrNoLabels means that an objective was made without the labels it needs.
var ErrNoLabels = errors.New("the objective needs labels of documents")

// labelledObjective frames each document as one sequence, cut to the sequence
// length, and asks for its label: the class of the sequence (classify), of two texts
// (pair), a number (regress), or the classes of tokens (tag).
// Of a pair the longer text is cut at its end. Documents without a label are left
// out and counted.
type labelledObjective struct {
	masker
	kind string
}

func newLabelled(m masker, _ Vocabulary) (Objective, error) {
	if m.options.Labels == nil {
		return nil, ErrNoLabels
	}
	if n := m.options.Labels.Classes(); m.name != "regress" && (n < 1 || n > 1<<20) {
		return nil, fmt.Errorf("labels of %d classes", n)
	}
	return &labelledObjective{m, m.name}, nil
}

func (o *labelledObjective) Layout() mixer.Layout { return mixer.Whole }

func (o *labelledObjective) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.Segments = room(w.old.Segments, cap(b.Tokens))
	classes := int32(o.options.Labels.Classes())
	switch o.kind {
	case "tag":
		b.Classes = classes
	case "regress":
		b.SequenceValues = []float32{}
	default:
		b.PairLabels, b.SequenceClasses = []int32{}, classes
	}
	for i := range samples {
		s := &samples[i]
		l, ok := o.options.Labels.Label(s.Spans[0].Doc)
		switch {
		case !ok, l.Split < 0 || int(l.Split) > len(s.Tokens), o.kind == "pair" && l.Split == 0,
			(o.kind == "pair" || o.kind == "classify") && (l.Class < 0 || l.Class >= classes):
			b.Unlabelled++
			continue
		}
		first, second := s.Tokens, s.Tokens[:0]
		if l.Split > 0 && o.kind != "tag" {
			first, second = s.Tokens[:l.Split], s.Tokens[l.Split:]
		}
		first, second = cutPair(first, second, o.options.SeqLen-3)
		b.Tokens = append(append(append(b.Tokens, w.cls), first...), w.sep)
		b.Segments = append(b.Segments, make([]uint8, len(first)+2)...)
		if len(second) > 0 {
			b.Tokens = append(append(b.Tokens, second...), w.sep)
			b.Segments = append(b.Segments, w.ones(len(second)+1)...)
		}
		switch o.kind {
		case "tag":
			w.tag(len(first), l.Tags)
		case "regress":
			b.SequenceValues = append(b.SequenceValues, float32(l.Value))
		default:
			b.PairLabels = append(b.PairLabels, l.Class)
		}
		spans := []Span{{Doc: s.Spans[0].Doc, End: int32(len(first))}}
		if len(second) > 0 {
			spans = append(spans, Span{Doc: s.Spans[0].Doc, Start: l.Split, End: l.Split + int32(len(second))})
		}
		w.seal(s, spans)
	}
	return b
}

// tag asks for the tags of the n tokens of the open sequence.
func (w *work) tag(n int, tags []int32) {
	b := w.batch
	from := b.SeqBounds[len(b.SeqBounds)-1] + 1
	for i, tag := range tags[:min(n, len(tags))] {
		if tag >= 0 && tag < b.Classes {
			b.Predict = append(b.Predict, from+int32(i))
			b.Labels = append(b.Labels, tag)
		}
	}
}

// cutPair cuts the longer of two texts at its end until both fit.
func cutPair(a, b []int32, room int) (first, second []int32) {
	over := len(a) + len(b) - room
	if over <= 0 {
		return a, b
	}
	// Level the longer down to the shorter, then both by half.
	if d := len(a) - len(b); d > 0 {
		a = a[:len(a)-min(d, over)]
	} else {
		b = b[:len(b)-min(-d, over)]
	}
	if over = len(a) + len(b) - room; over > 0 {
		b = b[:len(b)-(over+1)/2]
		a = a[:len(a)-over/2]
	}
	return a, b
}
