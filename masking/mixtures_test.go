package masking

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The second half of an xlnet sequence sees the first, never the other way round,
// and what is predicted is seen by nothing that comes before it in the order.
func TestXLNetHalves(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 30, 12)
	documents := made.documents()
	s := setting{objective: "xlnet", batchSize: 200, sources: map[string]source{"s": made}, options: Options{SeqLen: 128}}
	stream := s.open(t, 0)
	next, runs := make([]int, 2), make([]int, 5)
	for step := range int64(6) {
		b := batch(t, stream, step, 0, 1)
		if !b.TwoStream || b.Sequences() != 200 {
			t.Fatalf("%d sequences, two streams %v", b.Sequences(), b.TwoStream)
		}
		at := 0
		for i := range b.Sequences() {
			from, to := b.SeqBounds[i], b.SeqBounds[i+1]
			tokens, segments, ranks := b.Tokens[from:to], b.Segments[from:to], b.Ranks[from:to]
			n := len(tokens)
			if segments[n-1] != 2 || tokens[n-1] != 2 || tokens[n-2] != 3 || !slices.IsSorted(segments) {
				t.Fatalf("sequence %d ends in %v with segments %v", i, tokens[n-3:], segments[n-3:])
			}
			target := make([]bool, n)
			count := [2]int{}
			reuse := min(64, n-3)
			for ; at < len(b.Predict) && b.Predict[at] < to; at++ {
				target[b.Predict[at]-from] = true
				if int(b.Predict[at]-from) < reuse {
					count[0]++
				} else {
					count[1]++
				}
				if b.Labels[at] != b.Tokens[b.Predict[at]] {
					t.Fatal("a target is hidden in the content stream")
				}
			}
			highest := int32(math.MinInt32)
			for j := range reuse {
				highest = max(highest, ranks[j])
			}
			for j := reuse; j < n; j++ {
				if ranks[j] <= highest {
					t.Fatalf("sequence %d: position %d of rank %d is seen by the first half, up to %d", i, j, ranks[j], highest)
				}
			}
			for half, bounds := range [][2]int{{0, reuse}, {reuse, n}} {
				seen := map[int32]bool{}
				plain := int32(math.MaxInt32)
				for j := bounds[0]; j < bounds[1]; j++ {
					if target[j] || tokens[j] == 2 || tokens[j] == 3 {
						if seen[ranks[j]] {
							t.Fatalf("rank %d comes twice", ranks[j])
						}
						seen[ranks[j]] = true
					} else {
						if plain != math.MaxInt32 && ranks[j] != plain {
							t.Fatal("what is given has two ranks")
						}
						plain = ranks[j]
					}
				}
				for rank := range seen {
					if plain != math.MaxInt32 && rank <= plain {
						t.Fatalf("half %d: rank %d of a target is not above %d", half, rank, plain)
					}
				}
				if bounds[1]-bounds[0] == 64 && count[half] != 11 {
					t.Fatalf("half %d of 64 tokens has %d targets", half, count[half])
				}
			}
			// The text is that of the spans, with the segment's separator in it.
			spans := b.Origins[i].Spans
			a := slices.Index(segments, 1)
			body := slices.Concat(tokens[:a-1], tokens[a:n-2])
			first, last := text(documents, spans, 3), spans[len(spans)-1]
			follows := slices.Equal(body, first)
			if !follows {
				lead := text(documents, spans[:len(spans)-1], 3)
				if want := slices.Concat(lead, documents[last.Doc][last.Start:last.End]); !slices.Equal(body, want) {
					t.Fatalf("sequence %d is %v, want %v", i, body, want)
				}
			}
			if a < n-2 {
				if follows {
					next[0]++
				} else {
					next[1]++
				}
			}
		}
		runLengths(b, runs)
	}
	chiSquared(t, "what follows and what does not", next, even(2))
}

// Each denoiser of a mixture gets its share of the samples, and putting the targets
// back gives the text.
func TestUL2Mixture(t *testing.T) {
	v := testVocabulary()
	v.size += 100
	made := makeSource("s", 9, 200, 50, 30, 20)
	documents := made.documents()
	denoisers := []Denoiser{{0.15, 3, "[R]", 1}, {0.25, 0, "[S]", 2}, {0.5, 32, "[X]", 1}}
	s := setting{objective: "ul2", vocab: v, batchSize: 400, sources: map[string]source{"s": made}, options: Options{SeqLen: 256, Denoisers: denoisers}}
	stream := s.open(t, 0)
	kinds := make([]int, 3)
	for step := range int64(8) {
		b := batch(t, stream, step, 0, 1)
		for i := range b.Sequences() {
			in, out := b.Tokens[b.SeqBounds[i]:b.SeqBounds[i+1]], b.Targets[b.TargetBounds[i]:b.TargetBounds[i+1]]
			if len(in) > 256 || len(out) > 256+1 {
				t.Fatalf("%d tokens for the encoder and %d for the decoder of 256", len(in), len(out))
			}
			want := text(documents, b.Origins[i].Spans, 3)
			var got []int32
			spans, hidden := int32(0), 0
			for _, token := range in[:len(in)-1] {
				if len(out) == 0 || out[0] != 1099-spans || token != out[0] {
					got = append(got, token)
					continue
				}
				spans++
				for out = out[1:]; len(out) > 1 && out[0] != 1099-spans; out = out[1:] {
					got = append(got, out[0])
					hidden++
				}
			}
			if !slices.Equal(got, want) || !slices.Equal(out, []int32{3}) {
				t.Fatalf("sequence %d is put together as %v, want %v", i, got, want)
			}
			if len(want) < 200 {
				continue
			}
			switch {
			case spans == 1:
				kinds[1]++
			case spans < 7:
				kinds[2]++
			default:
				kinds[0]++
			}
		}
	}
	chiSquared(t, "denoisers", kinds, []float64{0.25, 0.5, 0.25})
}

func TestDebertaAndSlots(t *testing.T) {
	made := makeSource("s", 4, 100, 20, 30, 12)
	documents := made.documents()
	for _, objective := range []string{"deberta", "rtd"} {
		s := setting{objective: objective, batchSize: 300, sources: map[string]source{"s": made}, options: Options{SeqLen: 128}}
		stream := s.open(t, 0)
		shown, runs := make([]int, 3), make([]int, 6)
		for step := range int64(8) {
			b := batch(t, stream, step, 0, 1)
			checkShape(t, b, 300, 128)
			for i := range b.Sequences() {
				want := slices.Concat([]int32{2}, text(documents, b.Origins[i].Spans, 3), []int32{3})
				if got := original(b, i); !slices.Equal(got, want) {
					t.Fatalf("%s: sequence %d is %v, want %v", objective, i, got, want)
				}
				if k := predicted(b, i); k < 1 || k > int(math.RoundToEven(0.15*float64(len(want)))) {
					t.Fatalf("%s: %d of %d tokens", objective, k, len(want))
				}
			}
			for i, at := range b.Predict {
				switch b.Tokens[at] {
				case 4:
					shown[0]++
				case b.Labels[i]:
					shown[1]++
				default:
					shown[2]++
				}
			}
			runLengths(b, runs)
			// What a generator that is right every other time samples.
			sampled := slices.Clone(b.Labels)
			for i := range sampled {
				if i%2 == 1 {
					sampled[i] = 5 + sampled[i]%900 + 1
				}
			}
			d, err := Discriminate(b, sampled)
			if err != nil || d.Classes != 2 || len(d.Labels) != len(b.Tokens) {
				t.Fatalf("%v: %+v", err, d.Classes)
			}
			changed := 0
			for i := range d.Labels {
				changed += int(d.Labels[i])
			}
			right := 0
			for i, at := range b.Predict {
				if d.Tokens[at] != sampled[i] || (d.Labels[at] == 1) != (sampled[i] != b.Labels[i]) {
					t.Fatalf("position %d shows %d with class %d", at, d.Tokens[at], d.Labels[at])
				}
				if sampled[i] == b.Labels[i] {
					right++
				}
			}
			if changed+right != len(b.Predict) {
				t.Fatalf("%d changed and %d right of %d", changed, right, len(b.Predict))
			}
			if _, err := Discriminate(b, sampled[1:]); err == nil {
				t.Fatal("too few samples were taken")
			}
		}
		if objective == "rtd" {
			if shown[1] != 0 || shown[2] != 0 {
				t.Errorf("slots are shown as %v", shown)
			}
			continue
		}
		chiSquared(t, "80/10/10", shown, []float64{0.8, 0.1 + 0.1/995, 0.1 - 0.1/995})
		if runs[0] < runs[1] || runs[1] < runs[2] || runs[2] < 20*runs[5] {
			t.Errorf("runs of 1, 2, 3, ... words: %v", runs)
		}
	}
}

// One sentence alone is a pair of its two parts when no other document may help.
func TestOrderWithoutFallback(t *testing.T) {
	made := makeSource("s", 4, 300, 50, 1, 30) // documents of one sentence
	s := setting{objective: "albert", batchSize: 300, sources: map[string]source{"s": made}, options: Options{SeqLen: 64, NoFallback: true}}
	labels := make([]int, 2)
	b := batch(t, s.open(t, 0), 0, 0, 1)
	for i, o := range b.Origins {
		a, c := o.Spans[0], o.Spans[1]
		if b.PairLabels[i] == 1 && a.Doc == c.Doc {
			a, c = c, a
		}
		if a.Doc != c.Doc {
			if len(made.documents()[a.Doc]) > 1 {
				t.Fatalf("a pair of %+v and %+v", a, c)
			}
			continue
		}
		if a.End != c.Start {
			t.Fatalf("label %d of %+v", b.PairLabels[i], o.Spans)
		}
		labels[b.PairLabels[i]]++
	}
	chiSquared(t, "order", labels, even(2))
}

// With a chance for each token the number of predictions is binomial.
func TestBernoulliMasks(t *testing.T) {
	for _, objective := range []string{"bert", "roberta"} {
		s := setting{objective: objective, batchSize: 400, sources: map[string]source{"s": makeSource("s", 4, 100, 20, 30, 12)}, options: Options{SeqLen: 128, Bernoulli: true}}
		b := batch(t, s.open(t, 0), 0, 0, 1)
		open := len(b.Tokens)
		for _, token := range b.Tokens {
			if token == 2 || token == 3 {
				open--
			}
		}
		chiSquared(t, objective, []int{len(b.Predict), open - len(b.Predict)}, []float64{0.15, 0.85})
	}
}

// Property: whatever the text and the share, masks lie on text, ascend, and the
// labels put back give the text again.
func TestMasksOnAnyText(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		made := makeSource("s", rapid.Uint64().Draw(t2, "seed"), rapid.IntRange(2, 30).Draw(t2, "documents"), 7, 9, rapid.IntRange(1, 90).Draw(t2, "words"))
		objective := rapid.SampledFrom([]string{"bert", "roberta", "albert", "spanbert", "electra", "xlnet", "deberta", "rtd"}).Draw(t2, "objective")
		s := setting{objective: objective, batchSize: 20, sources: map[string]source{"s": made}, options: Options{
			Seed: rapid.Uint64().Draw(t2, "draws"), SeqLen: rapid.IntRange(8, 120).Draw(t2, "sequence length"),
			Share: rapid.Float64Range(0.01, 0.9).Draw(t2, "share"), WholeWords: rapid.Bool().Draw(t2, "whole words")}}
		stream := s.openOr(t2.Fatalf, 0)
		defer stream.Close()
		b := batch(t, stream, rapid.Int64Range(0, 1<<30).Draw(t2, "step"), 0, 1)
		documents := made.documents()
		last := int32(-1)
		for i, at := range b.Predict {
			if at <= last || int(at) >= len(b.Tokens) || b.Labels[i] < 5 {
				t2.Fatalf("position %d after %d is asked for %d", at, last, b.Labels[i])
			}
			last = at
		}
		for i := range b.Sequences() {
			var got []int32
			for _, token := range original(b, i) {
				if token != 2 && token != 3 {
					got = append(got, token)
				}
			}
			var want []int32
			for _, span := range b.Origins[i].Spans {
				want = append(want, documents[span.Doc][span.Start:span.End]...)
			}
			if !slices.Equal(got, want) || len(original(b, i)) > s.options.SeqLen {
				t2.Fatalf("%s: sequence %d holds %v, want %v", objective, i, got, want)
			}
		}
	})
}

// Whatever shares are asked for, tokens are shown as the mask, as others and as they
// are in these shares, and never is a special token asked for.
func TestShownSharesForAnyOptions(t *testing.T) {
	made := makeSource("s", 8, 60, 20, 12, 20)
	rapid.Check(t, func(t2 *rapid.T) {
		share := func(name string) float64 { // a negative value asks for none
			if v := rapid.Float64Range(0, 0.5).Draw(t2, name); v > 0.01 {
				return v
			}
			return -1
		}
		s := setting{objective: rapid.SampledFrom([]string{"bert", "roberta", "albert", "deberta"}).Draw(t2, "objective"), batchSize: 120, sources: map[string]source{"s": made},
			options: Options{Seed: rapid.Uint64().Draw(t2, "seed"), Share: rapid.Float64Range(0.05, 0.6).Draw(t2, "share"), Replace: share("replace"), Keep: share("keep"), SeqLen: 96}}
		stream := s.openOr(t2.Fatalf, 0)
		defer stream.Close()
		b := batch(t, stream, rapid.Int64Range(0, 1<<20).Draw(t2, "step"), 0, 1)
		var masked, same, other float64
		for i, at := range b.Predict {
			if b.Labels[i] < 5 {
				t2.Fatalf("the special token %d is asked for", b.Labels[i])
			}
			switch b.Tokens[at] {
			case 4:
				masked++
			case b.Labels[i]:
				same++
			default:
				other++
			}
		}
		n := float64(len(b.Predict))
		replace, keep := max(s.options.Replace, 0), max(s.options.Keep, 0)
		// A random token is the mask or the token itself once in a thousand times.
		for _, c := range []struct {
			name      string
			got, want float64
		}{{"masked", masked, 1 - replace - keep}, {"kept", same, keep}, {"replaced", other, replace}} {
			if off := math.Abs(c.got - n*c.want); off > 5*math.Sqrt(n*c.want*(1-c.want))+0.006*n {
				t2.Fatalf("%s: %g of %g, want a share of %g", c.name, c.got, n, c.want)
			}
		}
	})
}
