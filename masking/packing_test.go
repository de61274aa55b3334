package masking

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer"
)

// However documents are packed, every pass must hold every token once, no sequence
// may be too long, and isolated documents must end where their text does.
func TestPackingLosesNothing(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		made := makeSource("s", rapid.Uint64().Draw(t2, "seed"), rapid.IntRange(1, 40).Draw(t2, "documents"), 7, 12, 20)
		documents := made.documents()
		packing := rapid.SampledFrom(packsTokens).Draw(t2, "packing")
		isolate := rapid.Bool().Draw(t2, "isolate")
		s := setting{objective: "gpt", batchSize: 1, sources: map[string]source{"s": made}, options: Options{
			SeqLen: rapid.IntRange(8, 100).Draw(t2, "sequence length"), Packing: packing, Isolate: isolate}}
		stream := s.openOr(t2.Fatalf, 0)
		defer stream.Close()
		seen := map[string][]bool{}
		for doc, tokens := range documents {
			seen[doc] = make([]bool, len(tokens))
		}
		for step := range stream.Mixer().Tasks()[0].Census.Windows {
			b := batch(t, stream, step, 0, 1)
			total := 0
			for i := range b.Sequences() {
				got := b.Tokens[b.SeqBounds[i]:b.SeqBounds[i+1]]
				total += len(got)
				spans := b.Origins[i].Spans
				want := text(documents, spans, 3)
				if len(got) == len(want)+1 && got[len(got)-1] == 3 {
					got = got[:len(got)-1]
					if last := spans[len(spans)-1]; packing != PackContiguous && int(last.End) != len(documents[last.Doc]) {
						t2.Fatalf("%+v ends and its document has %d tokens", last, len(documents[last.Doc]))
					}
				}
				if !slices.Equal(got, want) {
					t2.Fatalf("sequence %d is %v, want %v", i, got, want)
				}
				if (isolate || packing == PackBestFit) && len(spans) != 1 || packing == PackDocuments && len(spans) != 1 {
					t2.Fatalf("a sequence of %d documents", len(spans))
				}
				for _, span := range spans {
					for at := span.Start; at < span.End; at++ {
						if seen[span.Doc][at] {
							t2.Fatalf("token %d of %s comes twice", at, span.Doc)
						}
						seen[span.Doc][at] = true
					}
				}
				// Positions begin anew, and each sees what lies before it in its own text.
				for place, rank := range b.Ranks[b.SeqBounds[i]:b.SeqBounds[i+1]] {
					if int(rank) != place {
						t2.Fatalf("position %d has rank %d", place, rank)
					}
				}
			}
			if total > s.options.SeqLen {
				t2.Fatalf("a window of %d tokens for sequences of %d", total, s.options.SeqLen)
			}
		}
		for doc, tokens := range seen {
			if at := slices.Index(tokens, false); at >= 0 {
				t2.Fatalf("token %d of %s never comes", at, doc)
			}
		}
	})
}

// Best-fit packing cuts no document that fits a sequence, and fills windows
// better than ending them with documents.
func TestBestFitFillsWithoutCutting(t *testing.T) {
	made := makeSource("s", 5, 400, 100, 8, 20)
	documents := made.documents()
	fill := map[Packing]float64{}
	for _, packing := range packsTokens {
		s := setting{objective: "gpt", batchSize: 50, sources: map[string]source{"s": made}, options: Options{SeqLen: 128, Packing: packing}}
		stream := s.open(t, 0)
		r := NewReport(stream, testVocabulary())
		for step := range stream.Mixer().Tasks()[0].Census.Windows / 50 {
			b := batch(t, stream, step, 0, 1)
			r.Add(b)
			for _, o := range b.Origins {
				for _, span := range o.Spans {
					if n := len(documents[span.Doc]); packing == PackBestFit && n <= 128 && int(span.End-span.Start) != n {
						t.Fatalf("a document of %d tokens is cut to %+v", n, span)
					}
				}
			}
		}
		fill[packing] = float64(r.Tokens) / float64(r.Room)
		if r.Waste != r.Room-r.Tokens || r.Documents < r.Samples {
			t.Errorf("%s: report %+v", packing, r)
		}
	}
	if fill[PackContiguous] < 0.97 || fill[PackBestFit] < 0.95 || fill[PackDocuments] > 0.8 {
		t.Errorf("windows are filled to %v", fill)
	}
}

func TestDocumentSentencesStayInTheirDocument(t *testing.T) {
	made := makeSource("s", 5, 60, 20, 20, 15)
	for _, objective := range []string{"roberta", "deberta", "rtd"} {
		s := setting{objective: objective, batchSize: 80, sources: map[string]source{"s": made}, options: Options{Packing: PackDocumentSentences}}
		b := batch(t, s.open(t, 0), 0, 0, 1)
		checkShape(t, b, 80, 64)
		for i, o := range b.Origins {
			if want := slices.Concat([]int32{2}, text(made.documents(), o.Spans, 3), []int32{3}); len(o.Spans) != 1 || !slices.Equal(original(b, i), want) {
				t.Fatalf("%s: sequence %d of %+v is %v", objective, i, o.Spans, original(b, i))
			}
		}
	}
}

func TestBadPackingsAreClearErrors(t *testing.T) {
	for _, c := range []struct {
		objective string
		options   Options
		want      string
	}{
		{"gpt", Options{Packing: "tight"}, "there are contiguous, documents, best-fit"},
		{"bert", Options{Packing: PackBestFit}, "in one way"},
		{"roberta", Options{Isolate: true}, "isolated"},
		{"xlnet", Options{Reuse: 62}, "first half"},
		{"ul2", Options{Denoisers: []Denoiser{{Share: 2, Span: 3, Weight: 1}}}, "denoiser"},
		{"classify", Options{}, "labels"},
		{"brt", Options{}, `did you mean "bert"?`},
	} {
		c.options.SeqLen = 64
		if _, err := NewObjective(c.objective, testVocabulary(), c.options); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: error %v, want one with %q", c.objective, c.options, err, c.want)
		}
	}
}

// Sequences get longer at a step, and documents go on where they were.
func TestSequencesGrow(t *testing.T) {
	made := makeSource("s", 3, 400, 20, 10, 20)
	for _, objective := range []string{"bert", "roberta", "gpt", "t5", "albert"} {
		v := testVocabulary()
		short, err := NewObjective(objective, v, Options{SeqLen: 32})
		if err != nil {
			t.Fatal(err)
		}
		long, err := NewObjective(objective, v, Options{SeqLen: 128})
		if err != nil {
			t.Fatal(err)
		}
		m, err := mixer.New(t.Context(), mixer.Options{
			Mix: mixer.Mix{{Name: "s", Weight: 1}}, SeqLen: short.SeqLen(), BatchSize: 16, Layout: short.Layout(), ShuffleTokens: 4000,
			Stages: []mixer.Stage{{From: 20, SeqLen: long.SeqLen()}},
		}, []mixer.Source{{Name: "s", Blocks: made}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := NewStream(m, short, 0); err == nil || !strings.Contains(err.Error(), "no objective") {
			t.Errorf("%s: a stream without the longer objective gives %v", objective, err)
		}
		stream, err := NewStream(m, short, 2, long)
		if err != nil {
			t.Fatal(err)
		}
		longest := func(step int64) (n int32) {
			b := batch(t, stream, step, 0, 1)
			for i := range b.Sequences() {
				n = max(n, b.SeqBounds[i+1]-b.SeqBounds[i])
			}
			return n
		}
		if a, b := longest(19), longest(20); a > 32 || b <= 64 || b > 128 {
			t.Errorf("%s: sequences of up to %d tokens, and then of %d", objective, a, b)
		}
		before, after := map[string]bool{}, map[string]bool{}
		for step := range int64(22) {
			for _, o := range batch(t, stream, step, 0, 1).Origins {
				if step < 20 {
					before[o.Spans[0].Doc] = true
				} else {
					after[o.Spans[0].Doc] = true
				}
			}
		}
		again := 0
		for doc := range after {
			if before[doc] {
				again++
			}
		}
		// Only the group that was open may come again: two blocks or so of 20.
		if again > 60 {
			t.Errorf("%s: %d of %d documents come again in longer sequences", objective, again, len(after))
		}
		stream.Close()
	}
}

type labels map[string]Label

func (l labels) Label(doc string) (Label, bool) { v, ok := l[doc]; return v, ok }
func (l labels) Classes() int                   { return 3 }

func TestLabelledObjectives(t *testing.T) {
	made := makeSource("s", 5, 60, 20, 6, 15)
	documents := made.documents()
	known := labels{}
	for doc, tokens := range documents {
		var n int
		if _, err := fmt.Sscanf(doc, "s-%d", &n); err != nil {
			t.Fatal(err)
		}
		if n%10 == 0 {
			continue
		}
		l := Label{Class: int32(n % 3), Value: float64(n) / 7, Split: int32(max(1, len(tokens)/2))}
		word := 0
		for i, token := range tokens {
			if i == 0 || !testVocabulary().Continues(token) {
				l.Tags = append(l.Tags, int32(word%4)-1)
				word++
			} else {
				l.Tags = append(l.Tags, -1)
			}
		}
		known[doc] = l
	}
	for _, objective := range LabelledObjectives() {
		s := setting{objective: objective, batchSize: 60, sources: map[string]source{"s": made}, options: Options{SeqLen: 40, Labels: known}}
		stream := s.open(t, 0)
		b := batch(t, stream, 0, 0, 1)
		if b.Sequences() != 54 || b.Unlabelled != 6 {
			t.Fatalf("%s: %d sequences and %d without a label of 60", objective, b.Sequences(), b.Unlabelled)
		}
		asked := 0
		for i, o := range b.Origins {
			tokens := b.Tokens[b.SeqBounds[i]:b.SeqBounds[i+1]]
			doc := documents[o.Spans[0].Doc]
			l := known[o.Spans[0].Doc]
			if len(tokens) > 40 || tokens[0] != 2 || tokens[len(tokens)-1] != 3 {
				t.Fatalf("%s: sequence %v", objective, tokens)
			}
			want := slices.Concat([]int32{2}, doc[:min(len(doc), 37)], []int32{3})
			if objective != "tag" {
				if len(o.Spans) != min(2, len(doc)) {
					t.Fatalf("%s: spans %+v of a document of %d tokens", objective, o.Spans, len(doc))
				}
				want = []int32{2}
				for _, span := range o.Spans {
					want = append(append(want, doc[span.Start:span.End]...), 3)
				}
				if len(doc) > 1 && o.Spans[1].Start != l.Split {
					t.Fatalf("%s: the second text begins at %d, want %d", objective, o.Spans[1].Start, l.Split)
				}
			}
			if !slices.Equal(tokens, want) {
				t.Fatalf("%s: sequence %v, want %v", objective, tokens, want)
			}
			switch objective {
			case "classify", "pair":
				if b.PairLabels[i] != l.Class || b.SequenceClasses != 3 {
					t.Fatalf("%s: class %d of %d, want %d", objective, b.PairLabels[i], b.SequenceClasses, l.Class)
				}
			case "regress":
				if b.SequenceValues[i] != float32(l.Value) {
					t.Fatalf("%s: %g, want %g", objective, b.SequenceValues[i], l.Value)
				}
			case "tag":
				for place := 1; place < len(tokens)-1; place++ {
					if want := l.Tags[place-1]; want >= 0 {
						if b.Predict[asked] != b.SeqBounds[i]+int32(place) || b.Labels[asked] != want {
							t.Fatalf("tag %d is asked at %d as %d, want %d at %d", asked, b.Predict[asked], b.Labels[asked], want, place)
						}
						asked++
					}
				}
			}
		}
		if asked != len(b.Predict) {
			t.Fatalf("%s: %d predictions, want %d", objective, len(b.Predict), asked)
		}
		r := NewReport(stream, testVocabulary())
		r.Add(b)
		if err := r.WriteText(new(strings.Builder)); err != nil || r.Unlabelled != 6 {
			t.Errorf("%s: report %+v, error %v", objective, r, err)
		}
	}
}

// The memory of released batches must not show in later ones.
func TestReleasedBatchesLeaveNoTrace(t *testing.T) {
	sources := bookish()
	for _, objective := range Objectives() {
		s := setting{objective: objective, batchSize: 20, sources: sources}
		kept, released := s.open(t, 0), s.open(t, 2)
		for step := range int64(12) {
			want := batch(t, kept, step%7, 0, 1).Digest()
			b := batch(t, released, step%7, 0, 1)
			if b.Digest() != want {
				t.Fatalf("%s: step %d differs in memory that was used before", objective, step%7)
			}
			b.Release()
			b.Release() // twice is once
		}
	}
}
