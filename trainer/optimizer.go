package trainer

import (
	"math"
	"slices"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// The kinds of Optimizer.
const (
	// BERT is Adam with decoupled decay and without bias correction, as the published
	// BERT code has it.
	BERT = "bert"
	// AdamW is the usual form (Loshchilov and Hutter 2019, algorithm 2).
	AdamW = "adamw"
	// LAMB scales Adam's step of each tensor to the tensor's norm (You et al. 2020,
	// algorithm 2).
	LAMB = "lamb"
	// Adagrad sums the squares up (Duchi et al. 2011).
	Adagrad = "adagrad"
	// SGD is gradient descent with the momentum Beta1.
	SGD = "sgd"
	// Adafactor keeps of the second moment of a matrix the means of its rows and
	// columns (Shazeer and Stern 2018, algorithm 4), without momentum, and takes the
	// learning rate as it is given.
	Adafactor = "adafactor"
	// Muon makes the momentum of a hidden matrix orthogonal (Jordan et al. 2024),
	// scaled so that its elements are as large as AdamW's (Liu et al. 2025, section
	// 2.2); embeddings and vectors are AdamW's.
	Muon = "muon"
)

// Optimizers lists the kinds of Optimizer.
func Optimizers() []string {
	return []string{BERT, AdamW, LAMB, Adagrad, SGD, Adafactor, Muon}
}

// DefaultOptimizer returns the constants of a kind as it was published, with the
// given learning rate.
func DefaultOptimizer(kind string, lr float64) Optimizer {
	o := Optimizer{Kind: kind, LR: lr, Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01, Clip: 1}
	switch kind {
	case BERT, LAMB:
		o.Epsilon = 1e-6
	case Adagrad:
		o.Epsilon, o.Decay = 1e-10, 0
	case SGD:
		o.Decay = 0
	case Adafactor:
		// Added to the squared gradient.
		o.Epsilon, o.Decay = 1e-30, 0
	case Muon:
		o.Decay = 0.1
	}
	return o
}

// muonMomentum is the decay of Muon's momentum.
const muonMomentum = 0.95

// optimizer steps a model's parameters and holds what it remembers of them.
type optimizer struct {
	Optimizer
	pool   *kernel.Pool
	params []*model.Param
	slots  []*slot
	// average is the running mean of the weights, nil when none is kept.
	average *slot
	decay   float64
	scratch [4][]float32
}

// slot is one thing remembered of every parameter, under a name that stands before
// the parameter's in checkpoints. A parameter of which it holds nothing has a nil
// slice.
type slot struct {
	name string
	data [][]float32
}

// newOptimizer returns an optimiser that has made no step. The weights are averaged
// when ema is above 0.
func newOptimizer(o Optimizer, ema float64, pool *kernel.Pool, params []*model.Param) *optimizer {
	a := &optimizer{Optimizer: o, pool: pool, params: params, decay: ema}
	add := func(name string, size func(p *model.Param) int) *slot {
		s := &slot{name: name}
		for _, p := range params {
			var x []float32
			if n := size(p); n > 0 {
				x = make([]float32, n)
			}
			s.data = append(s.data, x)
		}
		a.slots = append(a.slots, s)
		return s
	}
	whole := func(p *model.Param) int { return len(p.Data) }
	only := func(f func(p *model.Param) bool, n func(p *model.Param) int) func(p *model.Param) int {
		return func(p *model.Param) int {
			if f(p) {
				return n(p)
			}
			return 0
		}
	}
	switch o.Kind {
	case SGD:
		add("m", whole)
	case Adagrad:
		add("v", whole)
	case Adafactor:
		add("v", only(func(p *model.Param) bool { return len(p.Shape) != 2 }, whole))
		matrix := func(p *model.Param) bool { return len(p.Shape) == 2 }
		add("rows", only(matrix, func(p *model.Param) int { return p.Shape[0] }))
		add("columns", only(matrix, func(p *model.Param) int { return p.Shape[1] }))
	case Muon:
		add("m", whole)
		add("v", only(func(p *model.Param) bool { return !hidden(p) }, whole))
	default:
		add("m", whole)
		add("v", whole)
	}
	if ema > 0 {
		a.average = add("average", whole)
		for i, p := range params {
			copy(a.average.data[i], p.Data)
		}
	}
	return a
}

// shape returns the shape of what a slot holds of a parameter.
func (s *slot) shape(i int, p *model.Param) []int64 {
	if len(s.data[i]) == len(p.Data) {
		return shapeOf(p)
	}
	return []int64{int64(len(s.data[i]))}
}

// bytes returns how much memory the optimiser takes.
func (a *optimizer) bytes() int64 {
	var n int64
	for _, s := range a.slots {
		for _, x := range s.data {
			n += 4 * int64(len(x))
		}
	}
	return n
}

// norm returns the global norm of the gradient. It is not finite when any
// element is not, or when the sum of the squares is beyond float64.
func (a *optimizer) norm() float64 {
	var sum float64
	for _, p := range a.params {
		sum += kernel.SumSquares(a.pool, p.Grad)
	}
	return math.Sqrt(sum)
}

// weightNorm returns the global norm of the weights.
func (a *optimizer) weightNorm() float64 {
	var sum float64
	for _, p := range a.params {
		sum += kernel.SumSquares(a.pool, p.Data)
	}
	return math.Sqrt(sum)
}

// step moves the parameters along their gradient, whose global norm is given, at
// the learning rate lr. It is the update numbered t, from 1.
func (a *optimizer) step(lr, norm float64, t int64) {
	scale := 1.0
	if a.Clip > 0 && norm > a.Clip {
		scale = a.Clip / norm
	}
	for i, p := range a.params {
		decay := 0.0
		if p.Decay {
			decay = a.Decay
		}
		switch a.Kind {
		case LAMB:
			a.lamb(i, p, lr, decay, scale, t)
		case Adagrad:
			a.adagrad(i, p, lr, decay, scale)
		case SGD:
			a.sgd(i, p, lr, decay, scale)
		case Adafactor:
			a.adafactor(i, p, lr, decay, scale, t)
		case Muon:
			if hidden(p) {
				a.muon(i, p, lr, decay, scale)
				continue
			}
			a.adam(i, p, lr, decay, scale, t)
		default:
			a.adam(i, p, lr, decay, scale, t)
		}
	}
	if a.average != nil {
		a.follow(t)
	}
}

func (a *optimizer) adam(i int, p *model.Param, lr, decay, scale float64, t int64) {
	s := kernel.AdamWStep{LR: lr, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Epsilon, Decay: decay, GradScale: scale}
	if a.Kind != BERT {
		s.BiasCorrection1 = 1 - math.Pow(a.Beta1, float64(t))
		s.BiasCorrection2 = 1 - math.Pow(a.Beta2, float64(t))
	}
	kernel.AdamW(a.pool, p.Data, p.Grad, a.slots[0].data[i], a.slots[1].data[i], s)
}

// optimizerChunk is how many elements one item of a step takes. Sums over chunks
// are added in the order of the chunks, so that no result depends on the workers.
const optimizerChunk = 1 << 13

func (a *optimizer) chunks(n int, f func(lo, hi int)) {
	a.pool.For((n+optimizerChunk-1)/optimizerChunk, func(c int) {
		f(c*optimizerChunk, min(n, (c+1)*optimizerChunk))
	})
}

// take returns n elements of scratch memory k, not cleared.
func (a *optimizer) take(k, n int) []float32 {
	if cap(a.scratch[k]) < n {
		a.scratch[k] = make([]float32, n)
	}
	return a.scratch[k][:n]
}

func (a *optimizer) lamb(i int, p *model.Param, lr, decay, scale float64, t int64) {
	m, v, r := a.slots[0].data[i], a.slots[1].data[i], a.take(0, len(p.Data))
	b1, b2 := float32(a.Beta1), float32(a.Beta2)
	c1 := float32(1 / (1 - math.Pow(a.Beta1, float64(t))))
	c2 := float32(1 / (1 - math.Pow(a.Beta2, float64(t))))
	eps, wd, gs := float32(a.Epsilon), float32(decay), float32(scale)
	a.chunks(len(p.Data), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			g := p.Grad[j] * gs
			m[j] = b1*m[j] + (1-b1)*g
			v[j] = b2*v[j] + (1-b2)*g*g
			r[j] = m[j]*c1/(root(v[j]*c2)+eps) + wd*p.Data[j]
		}
	})
	// Vectors, which do not decay, are stepped without the ratio, as the authors' code
	// does.
	trust := 1.0
	if p.Decay {
		w, u := math.Sqrt(kernel.SumSquares(a.pool, p.Data)), math.Sqrt(kernel.SumSquares(a.pool, r))
		if w > 0 && u > 0 {
			trust = w / u
		}
	}
	step := float32(lr * trust)
	a.chunks(len(p.Data), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			p.Data[j] -= step * r[j]
		}
	})
}

func (a *optimizer) adagrad(i int, p *model.Param, lr, decay, scale float64) {
	v := a.slots[0].data[i]
	step, keep, eps, gs := float32(lr), float32(1-lr*decay), float32(a.Epsilon), float32(scale)
	a.chunks(len(p.Data), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			g := p.Grad[j] * gs
			v[j] += g * g
			p.Data[j] = keep*p.Data[j] - step*g/(root(v[j])+eps)
		}
	})
}

func (a *optimizer) sgd(i int, p *model.Param, lr, decay, scale float64) {
	m := a.slots[0].data[i]
	step, keep, b1, gs := float32(lr), float32(1-lr*decay), float32(a.Beta1), float32(scale)
	a.chunks(len(p.Data), func(lo, hi int) {
		for j := lo; j < hi; j++ {
			m[j] = b1*m[j] + p.Grad[j]*gs
			p.Data[j] = keep*p.Data[j] - step*m[j]
		}
	})
}

// The update of Adafactor is bounded to this root mean square, and the decay of
// its second moment at step t is 1-t^-adafactorDecay.
const (
	adafactorClip  = 1.0
	adafactorDecay = 0.8
)

func (a *optimizer) adafactor(i int, p *model.Param, lr, decay, scale float64, t int64) {
	beta := float32(1 - math.Pow(float64(t), -adafactorDecay))
	eps, gs, n := float32(a.Epsilon), float32(scale), len(p.Data)
	u := a.take(0, n)
	if len(p.Shape) != 2 {
		v := a.slots[0].data[i]
		a.chunks(n, func(lo, hi int) {
			for j := lo; j < hi; j++ {
				g := p.Grad[j] * gs
				v[j] = beta*v[j] + (1-beta)*(g*g+eps)
				u[j] = g / root(v[j])
			}
		})
	} else {
		rows, cols := p.Shape[0], p.Shape[1]
		row, col := a.slots[1].data[i], a.slots[2].data[i]
		a.pool.For(rows, func(y int) {
			var sum float64
			for _, g := range p.Grad[y*cols : (y+1)*cols] {
				sum += float64(g * gs * g * gs)
			}
			row[y] = beta*row[y] + (1-beta)*(float32(sum/float64(cols))+eps)
		})
		const block = 64
		a.pool.For((cols+block-1)/block, func(c int) {
			var sums [block]float64
			lo, hi := c*block, min(cols, (c+1)*block)
			for y := range rows {
				for k, g := range p.Grad[y*cols+lo : y*cols+hi] {
					sums[k] += float64(g * gs * g * gs)
				}
			}
			for x := lo; x < hi; x++ {
				col[x] = beta*col[x] + (1-beta)*(float32(sums[x-lo]/float64(rows))+eps)
			}
		})
		var mean float64
		for _, r := range row {
			mean += float64(r)
		}
		mean /= float64(rows)
		a.pool.For(rows, func(y int) {
			f := 1 / math.Sqrt(float64(row[y])/mean)
			for x := range cols {
				u[y*cols+x] = float32(float64(p.Grad[y*cols+x]*gs) * f / math.Sqrt(float64(col[x])))
			}
		})
	}
	rms := math.Sqrt(kernel.SumSquares(a.pool, u) / float64(n))
	step, keep := float32(lr/max(1, rms/adafactorClip)), float32(1-lr*decay)
	a.chunks(n, func(lo, hi int) {
		for j := lo; j < hi; j++ {
			p.Data[j] = keep*p.Data[j] - step*u[j]
		}
	})
}

// follow moves the running mean of the weights towards them. It follows faster at
// the start, when there is little to remember.
func (a *optimizer) follow(t int64) {
	keep := float32(min(a.decay, float64(1+t)/float64(10+t)))
	for i, p := range a.params {
		x := a.average.data[i]
		a.chunks(len(x), func(lo, hi int) {
			for j := lo; j < hi; j++ {
				x[j] = keep*x[j] + (1-keep)*p.Data[j]
			}
		})
	}
}

// swap exchanges the weights and their running mean, if there is one.
func (a *optimizer) swap() {
	if a.average == nil {
		return
	}
	for i, p := range a.params {
		x := a.average.data[i]
		a.chunks(len(x), func(lo, hi int) {
			for j := lo; j < hi; j++ {
				x[j], p.Data[j] = p.Data[j], x[j]
			}
		})
	}
}

func root(x float32) float32 { return float32(math.Sqrt(float64(x))) }

// copyTo copies what the optimiser remembers to another of the same shape.
func (a *optimizer) copyTo(b *optimizer) {
	for k, s := range a.slots {
		for i := range s.data {
			copy(b.slots[k].data[i], s.data[i])
		}
	}
}

func knownOptimizer(kind string) bool { return slices.Contains(Optimizers(), kind) }
