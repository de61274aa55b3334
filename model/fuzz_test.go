package model

import (
	"errors"
	"math"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// FuzzBatch makes batches of arbitrary numbers: each is refused with a typed error
// or gives finite losses, and none panics.
func FuzzBatch(f *testing.F) {
	f.Add([]byte{3, 1, 4, 1, 5}, []byte{0, 5}, []byte{1, 3}, []byte{7, 9}, []byte{1}, []byte(nil))
	f.Add([]byte{3, 1, 4, 1, 5}, []byte{0, 2, 5}, []byte{0}, []byte{200}, []byte{1, 0}, []byte{1, 2, 3, 4, 5})
	f.Add([]byte{3}, []byte{0, 1}, []byte{}, []byte{}, []byte{0}, []byte{9})
	c := tiny()
	m := newModel(f, c, 1)
	ints := func(b []byte) []int32 {
		var out []int32
		for _, v := range b {
			out = append(out, int32(int8(v)))
		}
		return out
	}
	f.Fuzz(func(t *testing.T, tokens, bounds, predict, labels, pairs, ranks []byte) {
		b := &masking.Batch{
			Tokens: ints(tokens), Segments: make([]uint8, len(tokens)), SeqBounds: ints(bounds),
			Predict: ints(predict), Labels: ints(labels), PairLabels: ints(pairs), Ranks: ints(ranks),
		}
		l, err := m.Gradients(b, Scales{Token: 1, Pair: 1}, counter.NewKey(1, "fuzz"))
		var bad *BatchError
		if err != nil && !errors.As(err, &bad) && !errors.Is(err, ErrNoTargets) {
			t.Fatalf("an error without a type: %v", err)
		}
		if err == nil && (math.IsNaN(l.TokenSum+l.PairSum) || math.IsInf(l.TokenSum+l.PairSum, 0)) {
			t.Fatalf("losses %+v", l)
		}
	})
}
