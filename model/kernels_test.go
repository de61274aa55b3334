package model

import (
	"math"
	"slices"
	"testing"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
)

// gradientsOf returns a batch's token loss and all gradients, one after the other.
func gradientsOf(t *testing.T, m *Model) (loss float64, grads []float32) {
	t.Helper()
	b := randomBatch(m.config, 9, 60, 3, 77, 64, 12)
	m.ZeroGrad()
	l, err := m.Gradients(b, Scales{Token: 0.1, Pair: 0.2}, counter.NewKey(3, "test"))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		grads = append(grads, p.Grad...)
	}
	return l.TokenSum, grads
}

// TestRecomputationChangesNothing compares the bits of losses and gradients, with
// dropout, with those of a model that keeps its activations.
func TestRecomputationChangesNothing(t *testing.T) {
	for _, family := range []string{"bert", "gpt2"} {
		c := tinyOf(family)
		c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0.1, 0.1
		keep := newModel(t, c, 2)
		again, err := New(c, Options{Seed: 7, Jobs: 2, Recompute: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(again.Close)
		for range 2 {
			loss, grads := gradientsOf(t, keep)
			other, others := gradientsOf(t, again)
			if loss != other || !slices.Equal(grads, others) {
				t.Errorf("%s: recomputation changes the loss from %v to %v, or a gradient", family, loss, other)
			}
		}
	}
}

// TestSetsOfKernelsAgree bounds how far the gradients of the sets this processor
// has lie from the reference's: 2e-5 of their norm, and the losses 1e-6.
func TestSetsOfKernelsAgree(t *testing.T) {
	c := BERT(2, 64, 500)
	c.NumAttentionHeads = 2
	var want []float32
	var loss, size float64
	for _, set := range []kernel.Set{kernel.Reference, kernel.AVX2, kernel.AVX512, kernel.AVX512BF16} {
		if !set.Available() {
			continue
		}
		t.Setenv("TRIBUTARY_KERNEL", set.String())
		l, grads := gradientsOf(t, newModel(t, c, 2))
		if want == nil {
			want, loss = grads, l
			for _, g := range want {
				size += float64(g) * float64(g)
			}
			continue
		}
		var apart float64
		for i, g := range grads {
			d := float64(g) - float64(want[i])
			apart += d * d
		}
		if math.Sqrt(apart/size) > 2e-5 || math.Abs(l-loss) > 1e-6*loss {
			t.Errorf("%v: gradients %v of their norm apart, losses %v and %v", set, math.Sqrt(apart/size), l, loss)
		}
	}
}

// TestBF16 bounds how far losses and gradients of every family in bf16 lie from
// fp32's, which are held against central differences: a rounding of eight bits at
// each product leaves 3 % of the gradient's norm and 1e-2 of the loss. They must
// not be fp32's, must be the same on any number of workers, and of the kernels'
// sets agree to the roundings that lie on the other side of a tie.
func TestBF16(t *testing.T) {
	for _, family := range []string{"bert", "roberta", "gpt2"} {
		c := tinyOf(family)
		run := func(set kernel.Set, jobs int, p kernel.Precision) (float64, []float32) {
			t.Setenv("TRIBUTARY_KERNEL", set.String())
			m, err := New(c, Options{Seed: 7, Jobs: jobs, Precision: p})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			if m.Precision() != p {
				t.Fatalf("precision %v, want %v", m.Precision(), p)
			}
			return gradientsOf(t, m)
		}
		loss, want := run(kernel.Reference, 1, kernel.FP32)
		for _, set := range []kernel.Set{kernel.Reference, kernel.AVX2, kernel.AVX512, kernel.AVX512BF16} {
			if !set.Available() {
				continue
			}
			l, grads := run(set, 1, kernel.BF16)
			l2, grads2 := run(set, 3, kernel.BF16)
			if l != l2 || !slices.Equal(grads, grads2) {
				t.Errorf("%s, %v: bf16 depends on the number of workers", family, set)
			}
			var apart, size float64
			for i, g := range grads {
				d := float64(g) - float64(want[i])
				apart += d * d
				size += float64(want[i]) * float64(want[i])
			}
			apart = math.Sqrt(apart / size)
			if apart > 3e-2 || apart < 1e-4 || math.Abs(l-loss) > 1e-2*loss {
				t.Errorf("%s, %v: gradients %v of their norm from fp32's, losses %v and %v", family, set, apart, l, loss)
			}
		}
	}
}
