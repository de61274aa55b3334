package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tributary-ml/tributary/masking"
)

// TestDecoderAgreesWithTheWholeSequence feeds sequences in pieces, goes back and
// on again, and compares the scores with those of the sequence run as a whole.
func TestDecoderAgreesWithTheWholeSequence(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	c := GPT2(3, 48, 71)
	c.NumAttentionHeads, c.MaxPositionEmbeddings = 3, 40
	m, err := New(c, Options{Seed: 5, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	d, err := m.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		var tokens []int32
		d.Truncate(0)
		for d.Len() < d.Cap() {
			if rng.IntN(4) == 0 {
				keep := rng.IntN(len(tokens) + 1)
				tokens = tokens[:keep]
				d.Truncate(keep)
			}
			piece := make([]int32, 1+rng.IntN(min(9, d.Cap()-d.Len())))
			for i := range piece {
				piece[i] = rng.Int32N(int32(c.VocabSize))
			}
			tokens = append(tokens, piece...)
			scores, err := d.Feed(piece)
			if err != nil {
				t.Fatal(err)
			}
			got := append([]float32(nil), scores...)
			want, _, err := m.Logits(&masking.Batch{
				Tokens: tokens, SeqBounds: []int32{0, int32(len(tokens))}, Predict: []int32{int32(len(tokens) - 1)},
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range want {
				if math.Abs(float64(got[i]-want[i])) > 1e-5 {
					t.Fatalf("after %d tokens, token %d: score %v, as a whole %v", len(tokens), i, got[i], want[i])
				}
			}
		}
		var e *BatchError
		if _, err := d.Feed([]int32{1}); !errors.As(err, &e) {
			t.Errorf("beyond the last position: %v", err)
		}
	}
	var e *BatchError
	d.Truncate(0)
	for _, tokens := range [][]int32{nil, {-1}, {71}} {
		if _, err := d.Feed(tokens); !errors.As(err, &e) {
			t.Errorf("tokens %v: %v", tokens, err)
		}
	}
	b, err := New(BERT(1, 32, 71), Options{Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.NewDecoder(); !errors.Is(err, ErrNotCausal) {
		t.Errorf("a BERT: %v", err)
	}
}
