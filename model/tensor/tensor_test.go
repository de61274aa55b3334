package tensor

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/tributary-ml/tributary/model/kernel"
)

func parameter(r *rand.Rand, rows, cols int) *Tensor {
	x := Parameter(rows, cols, make([]float32, rows*cols), make([]float32, rows*cols))
	for i := range x.Data {
		x.Data[i] = float32(r.NormFloat64())
	}
	return x
}

// TestSharedTensorsAddTheirGradients reads one tensor by two operations, one of
// which made it by an activation.
func TestSharedTensorsAddTheirGradients(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	pool := kernel.NewPool(2)
	defer pool.Close()
	tape := NewTape(pool)
	x := parameter(r, 5, 6)
	first := Layer{Weight: parameter(r, 7, 6), Bias: parameter(r, 1, 7)}
	a, b := Layer{Weight: parameter(r, 3, 7), Bias: parameter(r, 1, 3)}, Layer{Weight: parameter(r, 3, 7), Bias: parameter(r, 1, 3)}
	loss := func(grads bool) float64 {
		tape.Reset(grads)
		h := tape.Linear(x, kernel.GELU, first)
		var sum float64
		for _, l := range []Layer{a, b} {
			losses, _ := tape.ClassLoss(tape.Linear(h, kernel.None, l), []int32{0, 1, 2, 1, 0}, 1)
			for _, v := range losses {
				sum += float64(v)
			}
		}
		if grads {
			tape.Backward()
		}
		return sum
	}
	loss(true)
	for _, p := range []*Tensor{x, first.Weight, first.Bias, a.Weight, b.Bias} {
		for _, i := range []int{0, len(p.Data) / 2, len(p.Data) - 1} {
			const e = 1e-2
			v := p.Data[i]
			p.Data[i] = v + e
			up := loss(false)
			p.Data[i] = v - e
			down := loss(false)
			p.Data[i] = v
			if want := (up - down) / (2 * e); math.Abs(float64(p.Grad[i])-want) > 2e-3*(1+math.Abs(want)) {
				t.Errorf("gradient %v, want %v", p.Grad[i], want)
			}
		}
	}
}

// TestMemoryIsReused asks for the same memory step after step.
func TestMemoryIsReused(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	tape := NewTape(pool)
	step := func() {
		tape.Reset(true)
		for i := range 100 {
			x := tape.New(3, 5+i)
			if len(x.Data) != 3*(5+i) || len(x.Grad) != len(x.Data) {
				t.Fatal("wrong size")
			}
			tape.Ints(i)
		}
	}
	step()
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}
