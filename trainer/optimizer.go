package trainer

import (
	"math"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// adamw steps a model's parameters. It holds the moments.
type adamw struct {
	Optimizer
	pool   *kernel.Pool
	params []*model.Param
	// m and v are the first and second moments, one slice a parameter.
	m, v [][]float32
}

func newAdamW(o Optimizer, pool *kernel.Pool, params []*model.Param) *adamw {
	a := &adamw{Optimizer: o, pool: pool, params: params}
	total := 0
	for _, p := range params {
		total += len(p.Data)
	}
	slab := make([]float32, 2*total)
	for _, p := range params {
		n := len(p.Data)
		a.m = append(a.m, slab[:n:n])
		a.v = append(a.v, slab[n:2*n:2*n])
		slab = slab[2*n:]
	}
	return a
}

// norm returns the global norm of the gradient. It is not finite when any
// element is not, or when the sum of the squares is beyond float64.
func (a *adamw) norm() float64 {
	var sum float64
	for _, p := range a.params {
		sum += kernel.SumSquares(a.pool, p.Grad)
	}
	return math.Sqrt(sum)
}

// step moves the parameters along their gradient, whose global norm is given, at
// the learning rate lr. It is the update numbered t, from 1.
func (a *adamw) step(lr, norm float64, t int64) {
	s := kernel.AdamWStep{LR: lr, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Epsilon, GradScale: 1}
	if a.Clip > 0 && norm > a.Clip {
		s.GradScale = a.Clip / norm
	}
	if a.BiasCorrection {
		s.BiasCorrection1 = 1 - math.Pow(a.Beta1, float64(t))
		s.BiasCorrection2 = 1 - math.Pow(a.Beta2, float64(t))
	}
	for i, p := range a.params {
		s.Decay = 0
		if p.Decay {
			s.Decay = a.Decay
		}
		kernel.AdamW(a.pool, p.Data, p.Grad, a.m[i], a.v[i], s)
	}
}
