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
			tape.add(x)
			if len(x.Data) != 3*(5+i) || len(x.Grad) != len(x.Data) {
				t.Fatal("wrong size")
			}
			tape.Ints(i)
			grad := &x.Grad[0]
			tape.spent(x)
			if tape.add(x); &x.Grad[0] != grad {
				t.Fatal("memory given back is not taken again")
			}
		}
	}
	step()
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// TestLargeMemory grows a slab over several blocks, of which the next step makes
// one, and gives it back.
func TestLargeMemory(t *testing.T) {
	var s slab[float32]
	for step := range 3 {
		for i := range 5 {
			p := s.take(3<<20 + i)
			p[0], p[len(p)-1] = 1, 2
		}
		if step > 0 && len(s.blocks) != 1 {
			t.Errorf("step %d has %d blocks", step, len(s.blocks))
		}
		m := s.mark()
		a := s.take(1000)
		s.release(m)
		if b := s.take(1000); &a[0] != &b[0] {
			t.Error("what was released is not taken again")
		}
		s.reset()
	}
	s.free()
	if p := s.take(10); len(p) != 10 {
		t.Error("a slab that was emptied gives nothing")
	}
}

// TestGatedLayers takes the gradients of what none of the families has: a norm
// without a mean, layers without a bias, a gated unit and attention with a bias.
func TestGatedLayers(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	pool := kernel.NewPool(2)
	defer pool.Close()
	tape := NewTape(pool)
	x, gain := parameter(r, 9, 8), parameter(r, 1, 8)
	weight := func(out, in int) Layer { return Layer{Weight: parameter(r, out, in)} }
	qkv, gate, up, down := weight(24, 8), weight(6, 8), weight(6, 8), weight(3, 6)
	bias := parameter(r, 2, 2*5-1)
	bounds := []int32{0, 5, 9}
	loss := func(grads bool) (sum float64) {
		tape.Reset(grads)
		all := tape.Linear(x, kernel.None, qkv)
		y := tape.Attention(all, all, 0, 8, 16, 8, 2, Sight{QBounds: bounds, KBounds: bounds, Bias: bias}, kernel.Dropout{})
		y, _ = tape.Norm(nil, y, gain, nil, 1e-5, kernel.Dropout{}, kernel.Dropout{})
		y = tape.Product(tape.Linear(y, kernel.SiLU, gate), tape.Linear(y, kernel.None, up))
		losses, _ := tape.ClassLoss(tape.Linear(y, kernel.None, down), []int32{0, 1, 2, 1, 0, 2, 2, 1, 0}, 1)
		for _, v := range losses {
			sum += float64(v)
		}
		if grads {
			tape.Backward()
		}
		return sum
	}
	loss(true)
	for i, p := range []*Tensor{x, gain, qkv.Weight, gate.Weight, up.Weight, down.Weight, bias} {
		for _, j := range []int{0, len(p.Data) / 2, len(p.Data) - 1} {
			const e = 2e-3
			v := p.Data[j]
			p.Data[j] = v + e
			above := loss(false)
			p.Data[j] = v - e
			below := loss(false)
			p.Data[j] = v
			if want := (above - below) / (2 * e); math.Abs(float64(p.Grad[j])-want) > 5e-3*(1+math.Abs(want)) {
				t.Errorf("parameter %d: gradient %v, want %v", i, p.Grad[j], want)
			}
		}
	}
}
