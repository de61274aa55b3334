package trainer

import (
	"math"
	"slices"
	"strings"

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
	// Adagrad sums the squares up (Duchi et al. 2011). Its decay, and SGD's, are added
	// to the gradient.
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
	pow := func(beta float64) float64 { return 1 - math.Pow(beta, float64(t)) }
	for i, p := range a.params {
		decay := 0.0
		if p.Decay {
			decay = a.Decay
		}
		w, g := p.Data, p.Grad
		adam := kernel.AdamWStep{LR: lr, Beta1: a.Beta1, Beta2: a.Beta2, Eps: a.Epsilon, Decay: decay, GradScale: scale}
		if a.Kind != BERT {
			adam.BiasCorrection1, adam.BiasCorrection2 = pow(a.Beta1), pow(a.Beta2)
		}
		slot := func(k int) []float32 { return a.slots[k].data[i] }
		switch {
		case a.Kind == LAMB:
			kernel.LAMB(a.pool, w, g, slot(0), slot(1), adam)
		case a.Kind == Adagrad:
			kernel.Adagrad(a.pool, w, g, slot(0), kernel.AdagradStep{LR: lr, Eps: a.Epsilon, Decay: decay, GradScale: scale})
		case a.Kind == SGD:
			kernel.SGD(a.pool, w, g, slot(0), kernel.SGDStep{LR: lr, Momentum: a.Beta1, Decay: decay, GradScale: scale})
		case a.Kind == Adafactor:
			step := kernel.AdafactorStep{LR: lr, Beta2: 1 - math.Pow(float64(t), -adafactorDecay), Eps: a.Epsilon, Clip: adafactorClip, Decay: decay, GradScale: scale}
			if len(p.Shape) == 2 {
				kernel.Adafactor(a.pool, w, g, slot(1), slot(2), p.Shape[0], p.Shape[1], step)
			} else {
				kernel.Adafactor(a.pool, w, g, nil, slot(0), 1, len(w), step)
			}
		case a.Kind == Muon && hidden(p):
			kernel.Muon(a.pool, w, g, slot(0), p.Shape[0], p.Shape[1], kernel.MuonStep{LR: lr, Momentum: muonMomentum, Decay: decay, GradScale: scale, Rounds: 5, Match: true})
		default:
			kernel.AdamW(a.pool, w, g, slot(0), slot(1), adam)
		}
	}
	if a.average != nil {
		a.follow(t)
	}
}

// The update of Adafactor is bounded to this root mean square, and the decay of
// its second moment at step t is 1-t^-adafactorDecay.
const (
	adafactorClip  = 1.0
	adafactorDecay = 0.8
)

// hidden reports whether a parameter is a matrix inside the trunk, of which Muon
// makes the step orthogonal: not an embedding and not a classifier.
func hidden(p *model.Param) bool {
	if len(p.Shape) != 2 || min(p.Shape[0], p.Shape[1]) < 4 {
		return false
	}
	for _, part := range []string{"embeddings.", ".wte.", ".wpe.", "cls.seq_relationship"} {
		if strings.Contains(p.Name, part) {
			return false
		}
	}
	return true
}

// optimizerChunk is how many elements one item of a pass over the weights takes.
const optimizerChunk = 1 << 13

func (a *optimizer) chunks(n int, f func(lo, hi int)) {
	a.pool.For((n+optimizerChunk-1)/optimizerChunk, func(c int) {
		f(c*optimizerChunk, min(n, (c+1)*optimizerChunk))
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

// copyTo copies what the optimiser remembers to another of the same shape.
func (a *optimizer) copyTo(b *optimizer) {
	for k, s := range a.slots {
		for i := range s.data {
			copy(b.slots[k].data[i], s.data[i])
		}
	}
}

func knownOptimizer(kind string) bool { return slices.Contains(Optimizers(), kind) }
