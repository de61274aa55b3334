package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// optimised is a matrix of weights with what an optimiser keeps of it.
type optimised struct {
	rows, cols    int
	w, g, m, v    []float32
	rowsOf, colOf []float32
}

func newOptimised(rows, cols int) *optimised {
	r := rand.New(rand.NewPCG(7, uint64(rows)))
	n := rows * cols
	o := &optimised{rows: rows, cols: cols, w: random(r, n), g: random(r, n), m: random(r, n), v: random(r, n), rowsOf: random(r, rows), colOf: random(r, cols)}
	for _, x := range [][]float32{o.v, o.rowsOf, o.colOf} {
		for i := range x {
			x[i] = x[i]*x[i] + 0.1
		}
	}
	return o
}

func (o *optimised) clone() *optimised {
	c := *o
	for _, x := range []*[]float32{&c.w, &c.g, &c.m, &c.v, &c.rowsOf, &c.colOf} {
		*x = slices.Clone(*x)
	}
	return &c
}

func squares(x []float64) (s float64) {
	for _, v := range x {
		s += v * v
	}
	return s
}

// TestOptimisers holds each step against its formula in float64, and against
// itself with other numbers of workers.
func TestOptimisers(t *testing.T) {
	adam := AdamWStep{LR: 0.02, Beta1: 0.9, Beta2: 0.99, Eps: 1e-3, Decay: 0.1, GradScale: 0.5, BiasCorrection1: 0.4, BiasCorrection2: 0.3}
	factor := AdafactorStep{LR: 0.05, Relative: true, MinScale: 1e-3, Beta2: 0.8, Eps: 1e-3, Clip: 0.7, Decay: 0.1, GradScale: 0.5}
	f := func(x float32) float64 { return float64(x) }
	for _, c := range []struct {
		name string
		step func(p *Pool, o *optimised)
		want func(o *optimised) []float64
	}{
		{"sgd", func(p *Pool, o *optimised) {
			SGD(p, o.w, o.g, o.m, SGDStep{LR: 0.1, Momentum: 0.9, Decay: 0.01, GradScale: 0.5})
		}, func(o *optimised) (out []float64) {
			for i := range o.w {
				out = append(out, f(o.w[i])-0.1*(0.9*f(o.m[i])+0.5*f(o.g[i])+0.01*f(o.w[i])))
			}
			return out
		}},
		{"sgd without momentum", func(p *Pool, o *optimised) {
			SGD(p, o.w, o.g, nil, SGDStep{LR: 0.1, GradScale: 0.5})
		}, func(o *optimised) (out []float64) {
			for i := range o.w {
				out = append(out, f(o.w[i])-0.05*f(o.g[i]))
			}
			return out
		}},
		{"nesterov", func(p *Pool, o *optimised) {
			SGD(p, o.w, o.g, o.m, SGDStep{LR: 0.1, Momentum: 0.9, Nesterov: true, GradScale: 1})
		}, func(o *optimised) (out []float64) {
			for i := range o.w {
				out = append(out, f(o.w[i])-0.1*(f(o.g[i])+0.9*(0.9*f(o.m[i])+f(o.g[i]))))
			}
			return out
		}},
		{"adagrad", func(p *Pool, o *optimised) {
			Adagrad(p, o.w, o.g, o.v, AdagradStep{LR: 0.1, Eps: 1e-3, Decay: 0.01, GradScale: 0.5})
		}, func(o *optimised) (out []float64) {
			for i := range o.w {
				g := 0.5*f(o.g[i]) + 0.01*f(o.w[i])
				out = append(out, f(o.w[i])-0.1*g/(math.Sqrt(f(o.v[i])+g*g)+1e-3))
			}
			return out
		}},
		{"lamb", func(p *Pool, o *optimised) { LAMB(p, o.w, o.g, o.m, o.v, adam) }, func(o *optimised) []float64 {
			var w, u []float64
			for i := range o.w {
				g := 0.5 * f(o.g[i])
				m, v := 0.9*f(o.m[i])+0.1*g, 0.99*f(o.v[i])+0.01*g*g
				w = append(w, f(o.w[i]))
				u = append(u, m/0.4/(math.Sqrt(v/0.3)+1e-3)+0.1*f(o.w[i]))
			}
			ratio := math.Sqrt(squares(w) / squares(u))
			for i := range w {
				w[i] -= 0.02 * ratio * u[i]
			}
			return w
		}},
		{"adafactor", func(p *Pool, o *optimised) { Adafactor(p, o.w, o.g, o.rowsOf, o.colOf, o.rows, o.cols, factor) },
			func(o *optimised) []float64 {
				rows, cols := make([]float64, o.rows), make([]float64, o.cols)
				for i := range o.g {
					x := 0.25*f(o.g[i])*f(o.g[i]) + 1e-3
					rows[i/o.cols] += x / float64(o.cols)
					cols[i%o.cols] += x / float64(o.rows)
				}
				var mean float64
				for i := range rows {
					rows[i] = 0.8*f(o.rowsOf[i]) + 0.2*rows[i]
					mean += rows[i] / float64(o.rows)
				}
				for i := range cols {
					cols[i] = 0.8*f(o.colOf[i]) + 0.2*cols[i]
				}
				var w, u []float64
				for i := range o.w {
					w = append(w, f(o.w[i]))
					u = append(u, 0.5*f(o.g[i])/math.Sqrt(rows[i/o.cols]*cols[i%o.cols]/mean))
				}
				n := float64(len(w))
				lr := 0.05 * max(1e-3, math.Sqrt(squares(w)/n))
				clip := max(1, math.Sqrt(squares(u)/n)/0.7)
				for i := range w {
					w[i] -= lr*u[i]/clip + lr*0.1*w[i]
				}
				return w
			}},
		{"adafactor of a vector", func(p *Pool, o *optimised) {
			Adafactor(p, o.w, o.g, nil, o.v, 1, len(o.w), AdafactorStep{LR: 0.05, Beta2: 0.8, Eps: 1e-3, GradScale: 1})
		}, func(o *optimised) (out []float64) {
			for i := range o.w {
				v := 0.8*f(o.v[i]) + 0.2*(f(o.g[i])*f(o.g[i])+1e-3)
				out = append(out, f(o.w[i])-0.05*f(o.g[i])/math.Sqrt(v))
			}
			return out
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := newOptimised(131, 257)
			want := c.want(start)
			var first []float32
			for _, jobs := range []int{1, 3} {
				o := start.clone()
				c.step(pool(t, jobs, Best()), o)
				for i := range want {
					if !close32(o.w[i], float32(want[i]), 3e-6) {
						t.Fatalf("element %d: %v, want %v", i, o.w[i], want[i])
					}
				}
				if first == nil {
					first = o.w
				} else if !slices.Equal(first, o.w) {
					t.Error("depends on the number of workers")
				}
			}
		})
	}
}

// TestMuonUpdatesAreNearlyOrthogonal looks at what Muon subtracts: for wide and
// tall matrices its singular values lie around one, so that u*uᵀ is near the
// identity, and it is along the gradient.
func TestMuonUpdatesAreNearlyOrthogonal(t *testing.T) {
	for _, shape := range [][2]int{{40, 96}, {96, 40}, {64, 64}} {
		o := newOptimised(shape[0], shape[1])
		clear(o.m)
		before, g := slices.Clone(o.w), slices.Clone(o.g)
		Muon(pool(t, 2, Best()), o.w, o.g, o.m, o.rows, o.cols, MuonStep{LR: 0.5, Momentum: 0.9, GradScale: 2, Rounds: 5})
		size := 0.5 * math.Sqrt(max(1, float64(o.rows)/float64(o.cols)))
		u := make([]float64, len(g))
		var along float64
		for i := range u {
			u[i] = float64(before[i]-o.w[i]) / size
			along += u[i] * float64(g[i])
			if !close32(o.m[i], 2*g[i], 1e-6) {
				t.Fatalf("momentum %v of gradient %v", o.m[i], g[i])
			}
		}
		// The sum of the squared singular values, and the mean along the gradient.
		small := float64(min(o.rows, o.cols))
		if mean := squares(u) / small; mean < 0.5 || mean > 1.3 {
			t.Errorf("%v: mean squared singular value %v", shape, mean)
		}
		if along <= 0 {
			t.Errorf("%v: against the gradient", shape)
		}
	}
}

func TestOptimisersAllocateNothing(t *testing.T) {
	p := pool(t, 2, Best())
	o := newOptimised(64, 48)
	step := func() {
		SGD(p, o.w, o.g, o.m, SGDStep{LR: 1e-3, Momentum: 0.9, GradScale: 1})
		Adagrad(p, o.w, o.g, o.v, AdagradStep{LR: 1e-3, Eps: 1e-6, GradScale: 1})
		LAMB(p, o.w, o.g, o.m, o.v, AdamWStep{LR: 1e-3, Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, GradScale: 1})
		Adafactor(p, o.w, o.g, o.rowsOf, o.colOf, o.rows, o.cols, AdafactorStep{LR: 1e-3, Beta2: 0.9, Eps: 1e-3, GradScale: 1})
		Muon(p, o.w, o.g, o.m, o.rows, o.cols, MuonStep{LR: 1e-3, Momentum: 0.9, GradScale: 1, Rounds: 5})
	}
	step()
	if n := testing.AllocsPerRun(5, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}
