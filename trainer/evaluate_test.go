package trainer

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tributary-ml/tributary/masking"
)

func TestUnigramBaseline(t *testing.T) {
	// Token 0 is never predicted; with one added to each, the others have the
	// probabilities 4/8, 2/8, 1/8 and 1/8.
	b := unigram([]int64{-1, 3, 1, 0, 0}, 4, []int32{1, 1, 2, 4})
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-12 {
			t.Errorf("%s %v, want %v", what, got, want)
		}
	}
	near("entropy", b.UnigramEntropy, 1.75*math.Ln2)
	near("loss", b.UnigramLoss, (1+1+2+3)*math.Ln2/4)
	near("label entropy", b.LabelEntropy, 1.5*math.Ln2)
	near("accuracy", b.UnigramAccuracy, 0.5)
	if b.TrainTokens != 4 || b.HeldoutLabels != 4 {
		t.Errorf("counted %+v", b)
	}
	if b.LabelEntropy > b.UnigramLoss {
		t.Error("the labels' own entropy is above a cross-entropy")
	}
}

func TestBaselineCountsTokensBeforeMasking(t *testing.T) {
	held := &heldoutSet{labels: []int32{5}}
	b, err := baseline(t.Context(), &fakeBatches{seed: 1}, 20, held, fakeVocab, []int32{0})
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	for step := range int64(20) {
		batch, err := (&fakeBatches{seed: 1}).Batch(t.Context(), step)
		if err != nil {
			t.Fatal(err)
		}
		want += int64(len(batch.Tokens))
	}
	// Id 0 is the mask; were masked tokens counted as they are, they would be lost.
	if b.TrainTokens != want {
		t.Errorf("counted %d tokens of %d", b.TrainTokens, want)
	}
}

// random returns a batch with all fields set.
func random(rng *rand.Rand) *masking.Batch {
	b := &masking.Batch{Step: rng.Int64N(9), SeqBounds: []int32{0}}
	for i := range 1 + rng.IntN(8) {
		for range 1 + rng.IntN(6) {
			if rng.IntN(3) == 0 {
				b.Predict = append(b.Predict, int32(len(b.Tokens)))
				b.Labels = append(b.Labels, rng.Int32N(100))
			}
			b.Tokens = append(b.Tokens, rng.Int32N(100))
			b.Segments = append(b.Segments, uint8(rng.IntN(2)))
			b.Ranks = append(b.Ranks, rng.Int32N(4))
		}
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		b.PairLabels = append(b.PairLabels, rng.Int32N(2))
		b.Origins = append(b.Origins, masking.Origin{Index: int64(i), Source: string(rune('a' + rng.IntN(3)))})
	}
	return b
}

// join lays batches end to end.
func join(parts []*masking.Batch) *masking.Batch {
	out := &masking.Batch{Step: parts[0].Step, SeqBounds: []int32{0}}
	for _, p := range parts {
		base := int32(len(out.Tokens))
		for _, x := range p.Predict {
			out.Predict = append(out.Predict, x+base)
		}
		for _, x := range p.SeqBounds[1:] {
			out.SeqBounds = append(out.SeqBounds, x+base)
		}
		out.Tokens = append(out.Tokens, p.Tokens...)
		out.Segments = append(out.Segments, p.Segments...)
		out.Ranks = append(out.Ranks, p.Ranks...)
		out.Labels = append(out.Labels, p.Labels...)
		out.PairLabels = append(out.PairLabels, p.PairLabels...)
		out.Origins = append(out.Origins, p.Origins...)
	}
	return out
}

func TestSplitAndGatherKeepEveryPart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		b := random(rng)
		for n := range 10 {
			parts := split(b, n)
			for _, p := range parts {
				if n > 0 && p.Sequences() > n {
					t.Fatalf("a micro-batch of %d sequences, asked for %d", p.Sequences(), n)
				}
			}
			if got := join(parts); !reflect.DeepEqual(got, b) {
				t.Fatalf("split by %d:\n%+v\nfrom\n%+v", n, got, b)
			}
		}
		if got := gather(b, func(int) bool { return true }); !reflect.DeepEqual(got, b) {
			t.Fatalf("gathered all:\n%+v\nfrom\n%+v", got, b)
		}
		sequences, targets := 0, 0
		for _, name := range []string{"a", "b", "c"} {
			g := gather(b, func(seq int) bool { return source(b, seq) == name })
			sequences += g.Sequences()
			targets += len(g.Predict)
			for i := range g.Sequences() {
				if o := g.Origins[i]; o.Source != name || g.PairLabels[i] != b.PairLabels[o.Index] {
					t.Fatalf("source %s got %+v", name, o)
				}
			}
		}
		if sequences != b.Sequences() || targets != len(b.Predict) {
			t.Fatalf("by source: %d sequences and %d targets of %d and %d", sequences, targets, b.Sequences(), len(b.Predict))
		}
	}
}
