package masking

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// text returns what the spans of a sequence hold, with sep between documents.
func text(documents map[string][]int32, spans []Span, sep int32) []int32 {
	var tokens []int32
	for i, span := range spans {
		if i > 0 {
			tokens = append(tokens, sep)
		}
		tokens = append(tokens, documents[span.Doc][span.Start:span.End]...)
	}
	return tokens
}

// runLengths counts the runs of predicted tokens by the number of words in them.
func runLengths(b *Batch, counts []int) {
	v := testVocabulary()
	for i := 0; i < len(b.Predict); {
		words := 1
		j := i + 1
		for ; j < len(b.Predict) && b.Predict[j] == b.Predict[j-1]+1; j++ {
			if !v.Continues(b.Labels[j]) {
				words++
			}
		}
		if words <= len(counts) {
			counts[words-1]++
		}
		i = j
	}
}

func TestAlbertBatches(t *testing.T) {
	made := makeSource("s", 4, 60, 20, 1, 1)
	for i := range made {
		// Documents of four sentences of fifty words: a window holds all of one.
		b := &made[i]
		n := len(b.IDs)
		b.Tokens, b.DocBounds, b.SentenceEnds, b.SentenceBounds = nil, []int32{0}, nil, []int32{0}
		for d := range n {
			for j := range 200 {
				token := 5 + (d*201+j)%995
				b.Tokens = append(b.Tokens, int32(token+1-min(1, token%4))) // no piece continues a word
			}
			b.DocBounds = append(b.DocBounds, int32(200*(d+1)))
			b.SentenceEnds = append(b.SentenceEnds, 50, 100, 150, 200)
			b.SentenceBounds = append(b.SentenceBounds, int32(4*(d+1)))
		}
	}
	s := setting{objective: "albert", batchSize: 300, sources: map[string]source{"s": made}, options: Options{SeqLen: 203, Short: -1, Share: 0.03}}
	stream := s.open(t, 0)
	labels, cut, runs := make([]int, 2), make([]int, 3), make([]int, 6)
	documents := made.documents()
	for step := range int64(20) {
		b := batch(t, stream, step, 0, 1)
		checkShape(t, b, 300, 203)
		for i := range b.Sequences() {
			spans := b.Origins[i].Spans
			if got, want := original(b, i), slices.Concat([]int32{2}, text(documents, spans, 3), []int32{3}); !slices.Equal(got, want) {
				t.Fatalf("sequence %d is %v, want %v", i, got, want)
			}
			a, c := spans[0], spans[1]
			if label := b.PairLabels[i]; label == 1 {
				a, c = c, a
			}
			if a.Doc != c.Doc || a.End != c.Start {
				t.Fatalf("sequence %d with label %d has spans %v", i, b.PairLabels[i], spans)
			}
			labels[b.PairLabels[i]]++
			cut[a.End/50-1]++
			// Six of 203 tokens are asked for, runs of one word always fit.
			if k := predicted(b, i); k != 6 {
				t.Fatalf("%d tokens are predicted, want 6", k)
			}
		}
		runLengths(b, runs)
	}
	chiSquared(t, "order", labels, even(2))
	chiSquared(t, "the sentence the first part ends with", cut, even(3))
	if runs[1] == 0 || runs[2] == 0 || runs[0] < runs[1] || runs[1] < runs[2] || runs[2] < runs[3] {
		t.Errorf("runs of 1, 2, 3, ... words: %v", runs)
	}
}

func TestRunLengthsAreDrawnAsPublished(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths lengths
		weight  func(int) float64
	}{
		{"albert", albertGrams, func(n int) float64 { return 1 / float64(n) }},
		{"xlnet", xlnetGrams, func(n int) float64 { return 1 / float64(n) }},
		{"spanbert", spanbertLengths, func(n int) float64 { return math.Pow(0.8, float64(n)) }},
	} {
		draw := counter.NewKey(1, c.name).Stream()
		counts, shares := make([]int, len(c.lengths)), make([]float64, len(c.lengths))
		sum := 0.0
		for i := range shares {
			shares[i] = c.weight(i + 1)
			sum += shares[i]
		}
		for i := range shares {
			shares[i] /= sum
		}
		for range 50_000 {
			counts[c.lengths.draw(&draw)-1]++
		}
		chiSquared(t, c.name, counts, shares)
	}
	mean := 0.0
	for i, c := range spanbertLengths {
		before := 0.0
		if i > 0 {
			before = spanbertLengths[i-1]
		}
		mean += float64(i+1) * (c - before)
	}
	if math.Abs(mean-3.8) > 0.02 {
		t.Errorf("spans have %.3f words on average, published is 3.8", mean)
	}
}

func TestSpanbertBatches(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 20, 30)
	s := setting{objective: "spanbert", batchSize: 300, sources: map[string]source{"s": made}, options: Options{SeqLen: 128}}
	stream := s.open(t, 0)
	documents := made.documents()
	v := testVocabulary()
	shown := make([]int, 3)
	for step := range int64(10) {
		b := batch(t, stream, step, 0, 1)
		checkShape(t, b, 300, 128)
		for i := range b.Sequences() {
			spans := b.Origins[i].Spans
			want := slices.Concat([]int32{2}, text(documents, spans, 3), []int32{3})
			if got := original(b, i); len(spans) != 1 || !slices.Equal(got, want) {
				t.Fatalf("sequence %d of spans %v is %v, want %v", i, spans, got, want)
			}
			asked := max(1, int(math.RoundToEven(0.15*float64(len(want)))))
			if k := predicted(b, i); k < asked && k < len(want)-2 {
				t.Fatalf("%d tokens are predicted, at least %d were asked", k, asked)
			}
		}
		for i := 0; i < len(b.Predict); {
			start, end := b.SpanStarts[i], b.SpanEnds[i]
			masks, kept := 0, 0
			for at := start; at < end; at++ {
				if b.Predict[i] != at || b.SpanStarts[i] != start || b.SpanEnds[i] != end {
					t.Fatalf("prediction %d is at %d in [%d, %d), want it at %d in [%d, %d)", i, b.Predict[i], b.SpanStarts[i], b.SpanEnds[i], at, start, end)
				}
				if b.Tokens[at] == 4 {
					masks++
				} else if b.Tokens[at] == b.Labels[i] {
					kept++
				}
				i++
			}
			if v.Continues(b.Labels[i-int(end-start)]) && b.Tokens[start-1] >= 5 {
				t.Fatalf("the span [%d, %d) begins inside a word", start, end)
			}
			if start == 0 || i < len(b.Predict) && b.Predict[i] == end {
				t.Fatalf("the span [%d, %d) has no boundary", start, end)
			}
			switch n := int(end - start); {
			case masks == n:
				shown[0]++
			case masks > n/2+1:
				t.Fatalf("%d of the %d tokens of a span are masks", masks, n)
			case kept == n:
				shown[1]++
			default:
				shown[2]++
			}
		}
	}
	chiSquared(t, "80/10/10 by span", shown, []float64{0.8, 0.1, 0.1})
}

func TestElectraSlots(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 30, 12)
	s := setting{objective: "electra", batchSize: 300, sources: map[string]source{"s": made}, options: Options{SeqLen: 128}}
	stream := s.open(t, 0)
	documents := made.documents()
	shown, one := make([]int, 2), 0
	for step := range int64(10) {
		b := batch(t, stream, step, 0, 1)
		checkShape(t, b, 300, 128)
		for i := range b.Sequences() {
			tokens := original(b, i)
			segments := b.Segments[b.SeqBounds[i]:b.SeqBounds[i+1]]
			cut := len(tokens) - 1
			if at := slices.Index(segments, 1); at >= 0 {
				cut = at - 1
			} else {
				one++
			}
			span := b.Origins[i].Spans[0]
			whole := documents[span.Doc][span.Start:span.End]
			got := slices.Concat(tokens[1:cut], tokens[min(cut+1, len(tokens)-1):len(tokens)-1])
			if tokens[cut] != 3 || !slices.Equal(got, whole) || !slices.IsSorted(segments) {
				t.Fatalf("sequence %d is %v with segments %v, its span holds %v", i, tokens, segments, whole)
			}
			asked := int(math.RoundToEven(0.15 * float64(len(tokens))))
			if k := predicted(b, i); k > max(1, asked) || asked > 8 && k < asked/2 {
				t.Fatalf("%d slots of %d tokens, about %d were asked", k, len(tokens), asked)
			}
		}
		for i, at := range b.Predict {
			switch b.Tokens[at] {
			case 4:
				shown[0]++
			case b.Labels[i]:
				shown[1]++
			default:
				t.Fatalf("a slot shows token %d in the place of %d", b.Tokens[at], b.Labels[i])
			}
		}
	}
	chiSquared(t, "85/15", shown, []float64{0.85, 0.15})
	if one < 300 { // a tenth, and those of one sentence
		t.Errorf("%d of 3000 sequences have one segment", one)
	}
}

func TestXLNetRanks(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 30, 12)
	s := setting{objective: "xlnet", batchSize: 200, sources: map[string]source{"s": made}, options: Options{SeqLen: 128, Reuse: -1}}
	stream := s.open(t, 0)
	documents := made.documents()
	lead := make([]int, 2)
	for step := range int64(10) {
		b := batch(t, stream, step, 0, 1)
		if !b.TwoStream || len(b.Ranks) != len(b.Tokens) {
			t.Fatal("no second stream, or no ranks")
		}
		target := map[int32]bool{}
		for i, at := range b.Predict {
			target[at] = true
			if b.Labels[i] != b.Tokens[at] {
				t.Fatalf("position %d shows %d and asks for %d", at, b.Tokens[at], b.Labels[i])
			}
		}
		for i := range b.Sequences() {
			from, to := b.SeqBounds[i], b.SeqBounds[i+1]
			if want := slices.Concat(text(documents, b.Origins[i].Spans, 3), []int32{3, 2}); !slices.Equal(b.Tokens[from:to], want) || len(want) > 128 {
				t.Fatalf("sequence %d is %v, want %v", i, b.Tokens[from:to], want)
			}
			var ranks []int32
			for at := from; at < to; at++ {
				special := b.Tokens[at] == 2 || b.Tokens[at] == 3
				if ranked := special || target[at]; ranked != (b.Ranks[at] >= 0) {
					t.Fatalf("position %d, special %v, target %v, has rank %d", at, special, target[at], b.Ranks[at])
				}
				if b.Ranks[at] >= 0 {
					ranks = append(ranks, b.Ranks[at])
				}
			}
			if ranks[len(ranks)-2] < ranks[len(ranks)-1] {
				lead[0]++
			} else {
				lead[1]++
			}
			slices.Sort(ranks)
			for j, r := range ranks {
				if int(r) != j {
					t.Fatalf("sequence %d has ranks %v", i, ranks)
				}
			}
			if k, want := predicted(b, i), int(math.RoundToEven(float64(to-from)/6)); k != max(1, want) {
				t.Fatalf("%d of %d tokens are predicted, want %d", k, to-from, want)
			}
		}
	}
	chiSquared(t, "which of the last two comes first", lead, even(2))
}

// In every direction the model must be asked for the neighbour it cannot see.
func TestCausalBatchesAskForWhatIsNotSeen(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 30, 12)
	documents := made.documents()
	for _, objective := range []string{"gpt", "rtl", "elmo", "prefix"} {
		s := setting{objective: objective, batchSize: 100, sources: map[string]source{"s": made}}
		b := batch(t, s.open(t, 0), 0, 0, 1)
		want := 100
		if objective == "elmo" {
			want = 200
		}
		if b.Sequences() != want {
			t.Fatalf("%s: %d sequences of 100 samples", objective, b.Sequences())
		}
		sequence, asked := 0, 0
		for i, at := range b.Predict {
			for b.SeqBounds[sequence+1] <= at {
				sequence++
			}
			neighbour := at + 1
			if objective == "rtl" || objective == "elmo" && sequence%2 == 1 {
				neighbour = at - 1
			}
			if b.Labels[i] != b.Tokens[neighbour] || b.Ranks[neighbour] <= b.Ranks[at] {
				t.Fatalf("%s: position %d of rank %d asks for %d, which stands at rank %d", objective, at, b.Ranks[at], b.Labels[i], b.Ranks[neighbour])
			}
			asked++
		}
		for i := range b.Sequences() {
			from, to := b.SeqBounds[i], b.SeqBounds[i+1]
			if want := text(documents, b.Origins[i].Spans, 3); !slices.Equal(b.Tokens[from:to], want) || len(want) > 64 {
				t.Fatalf("%s: sequence %d is %v, want %v", objective, i, b.Tokens[from:to], want)
			}
		}
		if objective != "prefix" && asked != len(b.Tokens)-b.Sequences() {
			t.Errorf("%s: %d predictions of %d tokens in %d sequences", objective, asked, len(b.Tokens), b.Sequences())
		}
	}
}

func TestPrefixLengthsAreUniform(t *testing.T) {
	s := setting{objective: "prefix", batchSize: 500, sources: map[string]source{"s": makeSource("s", 4, 300, 300, 30, 12)}, options: Options{SeqLen: 8}}
	stream := s.open(t, 0)
	counts := make([]int, 7)
	for step := range int64(10) {
		b := batch(t, stream, step, 0, 1)
		for i := range b.Sequences() {
			ranks := b.Ranks[b.SeqBounds[i]:b.SeqBounds[i+1]]
			if len(ranks) == 8 {
				counts[slices.Index(ranks, 1)-1]++
			}
		}
	}
	chiSquared(t, "prefix lengths", counts, even(7))
}

func TestT5Batches(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		made := makeSource("s", rapid.Uint64().Draw(t2, "seed"), 30, 20, 30, 12)
		v := testVocabulary()
		v.size += 100 // the sentinels are not in the text
		s := setting{objective: "t5", vocab: v, batchSize: 50, sources: map[string]source{"s": made}, options: Options{
			SeqLen: rapid.IntRange(8, 300).Draw(t2, "sequence length"), Share: rapid.Float64Range(0.01, 0.6).Draw(t2, "share")}}
		if _, err := NewObjective("t5", v, s.options); errors.Is(err, ErrNoSentinels) {
			return // A large share of a long sequence has more spans than there are sentinels
		}
		stream := s.open(t, 0)
		b := batch(t, stream, 0, 0, 1)
		documents := made.documents()
		for i := range b.Sequences() {
			in, out := b.Tokens[b.SeqBounds[i]:b.SeqBounds[i+1]], b.Targets[b.TargetBounds[i]:b.TargetBounds[i+1]]
			if len(in) > s.options.SeqLen {
				t2.Fatalf("%d tokens for an encoder of %d", len(in), s.options.SeqLen)
			}
			// Putting the targets in the places of their sentinels gives the text again.
			want := text(documents, b.Origins[i].Spans, 3)
			var got []int32
			next := int32(0)
			for _, token := range in[:len(in)-1] {
				if token != 1099-next || len(out) == 0 || out[0] != token {
					got = append(got, token)
					continue
				}
				next++
				for out = out[1:]; len(out) > 1 && out[0] != 1099-next; out = out[1:] {
					got = append(got, out[0])
				}
			}
			if in[len(in)-1] != 3 || !slices.Equal(out, []int32{3}) || !slices.Equal(got, want) {
				t2.Fatalf("sequence %d of %v and %v is put together as %v, want %v", i, in, b.Targets, got, want)
			}
		}
	})
}

// The published helper takes 568 tokens for 512 and makes 114 targets of them.
func TestT5LengthsAreThePublishedOnes(t *testing.T) {
	o, err := NewObjective("t5", testVocabulary(), Options{SeqLen: 512})
	if err != nil {
		t.Fatal(err)
	}
	noise, spans := o.(*denoise).denoisers[0].noise(o.SeqLen())
	if targets := noise + spans + 1; o.SeqLen() != 568 || targets != 114 {
		t.Errorf("sequences of 512 take %d tokens and give %d targets", o.SeqLen(), targets)
	}
}

func TestCompositionsAreUniform(t *testing.T) {
	draw := counter.NewKey(1, "compositions").Stream()
	counts := map[[3]int32]int{}
	for range 20_000 {
		c := compose(nil, 7, 3, &draw)
		if len(c) != 3 || c[0]+c[1]+c[2] != 7 || min(c[0], c[1], c[2]) < 1 {
			t.Fatalf("7 in 3 parts is %v", c)
		}
		counts[[3]int32(c)]++
	}
	var list []int
	for _, n := range counts {
		list = append(list, n)
	}
	if len(list) != 15 {
		t.Fatalf("%d of 15 compositions", len(list))
	}
	chiSquared(t, "compositions", list, even(15))
}
