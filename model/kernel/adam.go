package kernel

import "math"

// AdamWStep holds the constants of one step of Adam with decoupled weight decay
// (Loshchilov and Hutter 2019, algorithm 2).
type AdamWStep struct {
	LR, Beta1, Beta2, Eps float64
	// Decay is multiplied by LR and the weight, and subtracted from the weight.
	Decay float64
	// GradScale multiplies the gradient first: clipping and averaging in one.
	GradScale float64
	// BiasCorrection1 and BiasCorrection2 divide the first and the second moment:
	// 1-Beta^t at step t. Zero and one mean no correction, as BERT trains.
	BiasCorrection1, BiasCorrection2 float64
}

// adamChunk is how many elements one item of an optimiser's step takes.
const adamChunk = 1 << 13

// AdamW steps the weights w by their gradient g with the moments m and v, all of
// one length:
//
//	m = Beta1*m + (1-Beta1)*g
//	v = Beta2*v + (1-Beta2)*g*g
//	w = w - LR*(m/BiasCorrection1 / (sqrt(v/BiasCorrection2)+Eps) + Decay*w)
func AdamW(p *Pool, w, g, m, v []float32, s AdamWStep) {
	p.begin()
	c := s.constants()
	p.adam = adamTask{p, w, g, m, v, c}
	p.run((len(w)+adamChunk-1)/adamChunk, &p.adam)
	p.adam = adamTask{}
	p.end("adamw", 0, 28*float64(len(w)))
}

// adamConstants are read by assembly in this order; first, which LAMB needs, is
// the inverse of the first bias correction.
type adamConstants struct{ b1, c1, b2, c2, lr, root, eps, keep, scale, first float32 }

func (s AdamWStep) constants() adamConstants {
	if s.BiasCorrection1 == 0 {
		s.BiasCorrection1 = 1
	}
	if s.BiasCorrection2 == 0 {
		s.BiasCorrection2 = 1
	}
	return adamConstants{
		b1: float32(s.Beta1), c1: float32(1 - s.Beta1), b2: float32(s.Beta2), c2: float32(1 - s.Beta2),
		lr: float32(s.LR / s.BiasCorrection1), root: float32(1 / math.Sqrt(s.BiasCorrection2)),
		eps: float32(s.Eps), keep: float32(1 - s.LR*s.Decay), scale: float32(s.GradScale),
		first: float32(1 / s.BiasCorrection1),
	}
}

type adamTask struct {
	p          *Pool
	w, g, m, v []float32
	c          adamConstants
}

func (t *adamTask) do(_, item int) {
	first, last := item*adamChunk, min(len(t.w), (item+1)*adamChunk)
	t.p.ops.adamW(t.w[first:last], t.g[first:last], t.m[first:last], t.v[first:last], &t.c)
}

func adamW(w, g, m, v []float32, c *adamConstants) {
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		x := g[i] * c.scale
		m[i] = c.b1*m[i] + c.c1*x
		v[i] = c.b2*v[i] + c.c2*(x*x)
		root := float32(math.Sqrt(float64(v[i])))
		w[i] = c.keep*w[i] - c.lr*m[i]/(root*c.root+c.eps)
	}
}
