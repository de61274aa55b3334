package trainer

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// TestAdamWIsBERTs compares ten steps with the update of the BERT optimiser in
// float64: no bias correction, epsilon outside the root, decay inside the step,
// none on biases, the gradient clipped by its global norm.
func TestAdamWIsBERTs(t *testing.T) {
	pool := kernel.NewPool(2)
	defer pool.Close()
	for _, corrected := range []bool{false, true} {
		rng := rand.New(rand.NewPCG(1, 2))
		params := []*model.Param{
			{Name: "w", Data: make([]float32, 50), Grad: make([]float32, 50), Decay: true},
			{Name: "b", Data: make([]float32, 5), Grad: make([]float32, 5)},
		}
		w := make([][]float64, 2)
		m, v := make([][]float64, 2), make([][]float64, 2)
		for i, p := range params {
			for j := range p.Data {
				p.Data[j] = rng.Float32() - 0.5
				w[i] = append(w[i], float64(p.Data[j]))
			}
			m[i], v[i] = make([]float64, len(p.Data)), make([]float64, len(p.Data))
		}
		o := Default("x", 10).Optimizer
		if o.LR = 0.01; corrected {
			o.Kind = AdamW
		}
		opt := newOptimizer(o, 0, pool, params)
		for step := int64(1); step <= 10; step++ {
			var squares float64
			for _, p := range params {
				for j := range p.Grad {
					p.Grad[j] = (rng.Float32() - 0.5) * float32(step) / 5
					squares += float64(p.Grad[j]) * float64(p.Grad[j])
				}
			}
			norm := math.Sqrt(squares)
			if got := opt.norm(); math.Abs(got-norm) > 1e-9 {
				t.Fatalf("norm %v, want %v", got, norm)
			}
			opt.step(0.01, norm, step)
			scale := 1 / max(norm, 1)
			c1, c2 := 1.0, 1.0
			if corrected {
				c1, c2 = 1-math.Pow(0.9, float64(step)), 1-math.Pow(0.999, float64(step))
			}
			for i, p := range params {
				decay := 0.0
				if p.Decay {
					decay = 0.01
				}
				for j := range p.Data {
					g := float64(p.Grad[j]) * scale
					m[i][j] = 0.9*m[i][j] + 0.1*g
					v[i][j] = 0.999*v[i][j] + 0.001*g*g
					w[i][j] -= 0.01 * (m[i][j]/c1/(math.Sqrt(v[i][j]/c2)+1e-6) + decay*w[i][j])
					if math.Abs(float64(p.Data[j])-w[i][j]) > 2e-6 {
						t.Fatalf("step %d: %s[%d] is %v, want %v", step, p.Name, j, p.Data[j], w[i][j])
					}
				}
			}
		}
	}
}

// plainSteps steps one tensor in float64, as the papers write it.
type plainStep func(w, g []float64, t int)

// plainOptimizer returns the plain form of a kind of optimiser for a tensor of a
// shape.
func plainOptimizer(o Optimizer, p *model.Param) plainStep {
	n := len(p.Data)
	m, v := make([]float64, n), make([]float64, n)
	decay := 0.0
	if p.Decay {
		decay = o.Decay
	}
	rms := func(x []float64) float64 {
		var s float64
		for _, e := range x {
			s += e * e
		}
		return math.Sqrt(s / float64(len(x)))
	}
	adam := func(g []float64, t int) []float64 {
		u := make([]float64, n)
		for j := range g {
			m[j] = o.Beta1*m[j] + (1-o.Beta1)*g[j]
			v[j] = o.Beta2*v[j] + (1-o.Beta2)*g[j]*g[j]
			u[j] = m[j] / (1 - math.Pow(o.Beta1, float64(t))) / (math.Sqrt(v[j]/(1-math.Pow(o.Beta2, float64(t)))) + o.Epsilon)
		}
		return u
	}
	switch o.Kind {
	case LAMB:
		return func(w, g []float64, t int) {
			u := adam(g, t)
			for j := range u {
				u[j] += decay * w[j]
			}
			ratio := 1.0
			if p.Decay {
				ratio = rms(w) / rms(u)
			}
			for j := range w {
				w[j] -= o.LR * ratio * u[j]
			}
		}
	case Adagrad:
		return func(w, g []float64, _ int) {
			for j := range w {
				x := g[j] + decay*w[j]
				v[j] += x * x
				w[j] -= o.LR * x / (math.Sqrt(v[j]) + o.Epsilon)
			}
		}
	case SGD:
		return func(w, g []float64, _ int) {
			for j := range w {
				m[j] = o.Beta1*m[j] + g[j] + decay*w[j]
				w[j] -= o.LR * m[j]
			}
		}
	case Adafactor:
		rows, cols := 1, n
		if len(p.Shape) == 2 {
			rows, cols = p.Shape[0], p.Shape[1]
		}
		r, c := make([]float64, rows), make([]float64, cols)
		return func(w, g []float64, t int) {
			beta := 1 - math.Pow(float64(t), -0.8)
			u := make([]float64, n)
			if len(p.Shape) == 2 {
				mean := 0.0
				for y := range rows {
					row := g[y*cols : (y+1)*cols]
					r[y] = beta*r[y] + (1-beta)*(rms(row)*rms(row)+o.Epsilon)
					mean += r[y] / float64(rows)
				}
				for x := range cols {
					var s float64
					for y := range rows {
						s += g[y*cols+x] * g[y*cols+x] / float64(rows)
					}
					c[x] = beta*c[x] + (1-beta)*(s+o.Epsilon)
				}
				for j := range u {
					u[j] = g[j] / math.Sqrt(r[j/cols]*c[j%cols]/mean)
				}
			} else {
				for j := range u {
					v[j] = beta*v[j] + (1-beta)*(g[j]*g[j]+o.Epsilon)
					u[j] = g[j] / math.Sqrt(v[j])
				}
			}
			for j, f := 0, max(1, rms(u)); j < n; j++ {
				w[j] -= o.LR*decay*w[j] + o.LR*u[j]/f
			}
		}
	}
	if o.Kind == Muon && hidden(p) {
		rows, cols := p.Shape[0], p.Shape[1]
		return func(w, g []float64, _ int) {
			u := make([]float64, n)
			for j := range g {
				m[j] = 0.95*m[j] + 0.05*g[j]
				u[j] = 0.95*m[j] + 0.05*g[j]
			}
			f := rms(u) * math.Sqrt(float64(n))
			for j := range u {
				u[j] /= f
			}
			for range 5 {
				// gram = u uᵀ, and u = a u + (b gram + c gram²) u, on the rows' side.
				gram := make([]float64, rows*rows)
				for i := range rows {
					for k := range rows {
						for x := range cols {
							gram[i*rows+k] += u[i*cols+x] * u[k*cols+x]
						}
					}
				}
				next := make([]float64, n)
				for i := range rows {
					for k := range rows {
						q := -4.7750 * gram[i*rows+k]
						for l := range rows {
							q += 2.0315 * gram[i*rows+l] * gram[l*rows+k]
						}
						for x := range cols {
							next[i*cols+x] += q * u[k*cols+x]
						}
					}
				}
				for j := range u {
					u[j] = 3.4445*u[j] + next[j]
				}
			}
			for j := range w {
				w[j] -= o.LR*decay*w[j] + o.LR*0.2*math.Sqrt(float64(max(rows, cols)))*u[j]
			}
		}
	}
	return func(w, g []float64, t int) {
		u := adam(g, t)
		for j := range w {
			w[j] -= o.LR * (u[j] + decay*w[j])
		}
	}
}

// TestOptimizersAreThePapers compares eight steps of every kind with its plain form,
// and the running mean of the weights with its own. Two workers must give the bits
// of one.
func TestOptimizersAreThePapers(t *testing.T) {
	for _, kind := range Optimizers() {
		if kind == BERT {
			continue // TestAdamWIsBERTs
		}
		var one []float32
		for _, jobs := range []int{1, 2} {
			pool := kernel.NewPool(jobs)
			rng := rand.New(rand.NewPCG(5, 6))
			params := []*model.Param{
				{Name: "h.mlp.weight", Shape: []int{7, 24}, Decay: true}, {Name: "h.attn.weight", Shape: []int{20, 6}, Decay: true},
				{Name: "transformer.wte.weight", Shape: []int{9, 5}, Decay: true}, {Name: "h.bias", Shape: []int{11}},
			}
			o := DefaultOptimizer(kind, 0.02)
			o.Decay, o.Clip = 0.1, 0
			var w [][]float64
			var plain []plainStep
			for _, p := range params {
				p.Data, p.Grad = make([]float32, p.Size()), make([]float32, p.Size())
				var x []float64
				for j := range p.Data {
					p.Data[j] = rng.Float32() - 0.5
					x = append(x, float64(p.Data[j]))
				}
				w = append(w, x)
				plain = append(plain, plainOptimizer(o, p))
			}
			opt := newOptimizer(o, 0.9, pool, params)
			mean := append([]float64(nil), w[0]...)
			for step := 1; step <= 8; step++ {
				for i, p := range params {
					g := make([]float64, len(p.Grad))
					for j := range p.Grad {
						p.Grad[j] = rng.Float32() - 0.5
						g[j] = float64(p.Grad[j])
					}
					plain[i](w[i], g, step)
				}
				opt.step(o.LR, opt.norm(), int64(step))
				for i, p := range params {
					for j := range p.Data {
						if math.Abs(float64(p.Data[j])-w[i][j]) > 2e-5 {
							t.Fatalf("%s, step %d: %s[%d] is %v, want %v", kind, step, p.Name, j, p.Data[j], w[i][j])
						}
					}
				}
				keep := min(0.9, float64(1+step)/float64(10+step))
				for j := range mean {
					mean[j] = keep*mean[j] + (1-keep)*w[0][j]
					if got := float64(opt.average.data[0][j]); math.Abs(got-mean[j]) > 2e-5 {
						t.Fatalf("%s, step %d: the mean %d is %v, want %v", kind, step, j, got, mean[j])
					}
				}
			}
			var all []float32
			for _, p := range params {
				all = append(all, p.Data...)
			}
			if one != nil && !slices.Equal(one, all) {
				t.Errorf("%s: two workers give other bits", kind)
			}
			one = all
			pool.Close()
			if n := opt.bytes(); n != sumRemembered(kind, params) {
				t.Errorf("%s takes %d bytes, foreseen %d", kind, n, sumRemembered(kind, params))
			}
		}
	}
}

func sumRemembered(kind string, params []*model.Param) int64 {
	var n int64
	for _, p := range params {
		n += 4 * remembered(kind, 0.9, p)
	}
	return n
}

// TestEveryOptimizerResumesToTheSameBytes stops a run of every kind, with a running
// mean of the weights.
func TestEveryOptimizerResumesToTheSameBytes(t *testing.T) {
	for _, kind := range Optimizers() {
		whole, parts := fakeConfig(t.TempDir(), 12), fakeConfig(t.TempDir(), 12)
		for _, c := range []*Config{&whole, &parts} {
			c.Optimizer = DefaultOptimizer(kind, 0.01)
			c.EMA = 0.9
		}
		mustRun(t, whole)
		ctx, cancel := context.WithCancel(t.Context())
		stop := &stopping{fakeBatches: &fakeBatches{seed: 1, pairs: true}, after: 7, cancel: cancel}
		if _, err := Run(ctx, parts, newFakeModel(t), stop, &fakeBatches{seed: 2, pairs: true}); !errors.Is(err, ErrInterrupted) {
			t.Fatalf("%s: %v", kind, err)
		}
		cancel()
		mustRun(t, parts)
		if outcome(t, whole.Dir) != outcome(t, parts.Dir) {
			t.Errorf("%s: the run that was stopped ended otherwise", kind)
		}
	}
}

func FuzzState(f *testing.F) {
	f.Add([]byte(`{"step":5,"updates":5,"source_tokens":{"wiki":1},"window":{"steps":2}}`))
	f.Add([]byte(`{"step":-1}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := parseState(data)
		if err == nil && (s.Step < 0 || s.Updates > s.Step || s.SourceTokens == nil) {
			t.Fatalf("accepted %+v", s)
		}
	})
}
