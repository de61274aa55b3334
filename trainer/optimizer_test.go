package trainer

import (
	"math"
	"math/rand/v2"
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
		o.BiasCorrection = corrected
		o.LR = 0.01
		opt := newAdamW(o, pool, params)
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
