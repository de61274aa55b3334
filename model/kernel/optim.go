package kernel

import "math"

// SGDStep holds the constants of a step of gradient descent.
type SGDStep struct {
	LR, Momentum float64
	// Nesterov looks ahead along the momentum (Sutskever et al. 2013).
	Nesterov bool
	// Decay is multiplied by the weight and added to the gradient; GradScale
	// multiplies the gradient first.
	Decay, GradScale float64
}

// SGD steps the weights w by their gradient g, with the momentum m, which is not
// read when Momentum is zero and may be nil then:
//
//	g = GradScale*g + Decay*w
//	m = Momentum*m + g
//	w = w - LR*m, or w - LR*(g + Momentum*m) with Nesterov
func SGD(p *Pool, w, g, m []float32, s SGDStep) {
	p.begin()
	t := &p.steps
	*t = stepTask{kind: sgdStep, w: w, g: g, m: m, sgd: s, sums: t.sums, scratch: t.scratch}
	t.run(p)
	p.end("sgd", 0, 20*float64(len(w)))
}

// AdagradStep holds the constants of a step of Adagrad (Duchi, Hazan and Singer
// 2011, figure 1, diagonal).
type AdagradStep struct {
	LR, Eps float64
	// Decay and GradScale are as SGD's.
	Decay, GradScale float64
}

// Adagrad steps the weights w by their gradient g, v being the sum of the squared
// gradients:
//
//	g = GradScale*g + Decay*w
//	v = v + g*g
//	w = w - LR*g/(sqrt(v)+Eps)
func Adagrad(p *Pool, w, g, v []float32, s AdagradStep) {
	p.begin()
	t := &p.steps
	*t = stepTask{kind: adagradStep, w: w, g: g, v: v, adagrad: s, sums: t.sums, scratch: t.scratch}
	t.run(p)
	p.end("adagrad", 0, 20*float64(len(w)))
}

// LAMB steps one layer's weights w (You et al. 2020, algorithm 2) with the
// constants of AdamW; the gradient g is lost:
//
//	u = m/BiasCorrection1 / (sqrt(v/BiasCorrection2)+Eps) + Decay*w
//	w = w - LR*|w|/|u|*u
//
// The ratio of the norms is one where either is zero, and where Decay is zero, as
// the published implementation leaves biases and norms out.
func LAMB(p *Pool, w, g, m, v []float32, s AdamWStep) {
	p.begin()
	t := &p.steps
	*t = stepTask{kind: lambUpdate, w: w, g: g, m: m, v: v, adam: s.constants(), decay: float32(s.Decay), sums: t.sums, scratch: t.scratch}
	weights, updates := t.run(p)
	ratio := s.LR
	if s.Decay != 0 && weights > 0 && updates > 0 {
		ratio *= math.Sqrt(weights) / math.Sqrt(updates)
	}
	t.kind, t.factor = subtractScaled, float32(ratio)
	t.run(p)
	p.end("lamb", 0, 40*float64(len(w)))
}

// AdafactorStep holds the constants of a step of Adafactor (Shazeer and Stern
// 2018, algorithms 4 and 5).
type AdafactorStep struct {
	// LR is the step's size; with Relative it is a share of the weights' root mean
	// square, which counts as MinScale at least.
	LR       float64
	Relative bool
	MinScale float64
	// Beta2 weighs the past second moments: 1-t^-0.8 at step t.
	Beta2 float64
	// Eps is added to the squared gradient, and Clip bounds the update's root mean
	// square.
	Eps, Clip float64
	// Decay is multiplied by LR and the weight, and subtracted from the weight.
	Decay, GradScale float64
}

// Adafactor steps a matrix of weights w, rows by cols, by its gradient g, which is
// lost. rowMeans and colMeans hold the second moment's, rows and cols of them. A
// vector has one row and its second moment whole in colMeans, and rowMeans nil.
func Adafactor(p *Pool, w, g, rowMeans, colMeans []float32, rows, cols int, s AdafactorStep) {
	p.begin()
	t := &p.steps
	*t = stepTask{
		kind: factorRows, w: w, g: g, m: rowMeans, v: colMeans, rows: rows, cols: cols, factors: s, sums: t.sums, scratch: t.scratch,
		width: rows, chunk: 16,
	}
	var mean float64 = 1
	if rowMeans != nil {
		t.run(p)
		mean = 0
		for _, v := range rowMeans {
			mean += float64(v)
		}
		mean /= float64(rows)
	}
	t.kind, t.width, t.chunk = factorCols, cols, sumCols
	t.run(p)
	t.kind, t.width, t.chunk, t.factor = factorUpdate, rows, 16, float32(mean)
	if rowMeans == nil {
		t.width, t.chunk = cols, adamChunk
	}
	weights, updates := t.run(p)
	n := float64(rows) * float64(cols)
	lr := s.LR
	if s.Relative {
		lr *= max(s.MinScale, math.Sqrt(weights/n))
	}
	t.keep = float32(1 - lr*s.Decay)
	if s.Clip > 0 {
		lr /= max(1, math.Sqrt(updates/n)/s.Clip)
	}
	t.kind, t.width, t.chunk, t.factor = decayAndSubtract, len(w), adamChunk, float32(lr)
	t.run(p)
	p.end("adafactor", 0, 28*n)
}

// MuonStep holds the constants of a step of Muon (Jordan et al. 2024).
type MuonStep struct {
	LR, Momentum float64
	// Decay is multiplied by LR and the weight, and subtracted from the weight.
	Decay, GradScale float64
	// Rounds is the number of Newton-Schulz iterations; five are usual.
	Rounds int
	// Match scales the update to the root mean square that AdamW's have, 0.2
	// (Liu et al. 2025, section 2.2), instead of by the root of the shape's ratio.
	Match bool
}

// The quintic that Newton-Schulz iterations of Muon apply to singular values.
const muonA, muonB, muonC = 3.4445, -4.7750, 2.0315

// Muon steps a matrix of weights w, rows by cols, by its gradient g, which is lost,
// with the momentum m:
//
//	g = GradScale*g
//	m = Momentum*m + g
//	u = orthogonal factor of g + Momentum*m, approximately
//	w = (1-LR*Decay)*w - LR*scale*u
func Muon(p *Pool, w, g, m []float32, rows, cols int, s MuonStep) {
	t := &p.steps
	p.begin()
	*t = stepTask{
		kind: muonMomentum, w: w, g: g, m: m, sgd: SGDStep{Momentum: s.Momentum, GradScale: s.GradScale},
		sums: t.sums, scratch: t.scratch,
	}
	_, square := t.run(p)
	p.end("muon", 0, 12*float64(len(w)))
	orthogonalise(p, t, g, rows, cols, s.Rounds, square)
	size := math.Sqrt(max(1, float64(rows)/float64(cols)))
	if s.Match {
		size = 0.2 * math.Sqrt(float64(max(rows, cols)))
	}
	p.begin()
	t.kind, t.keep, t.factor = decayAndSubtract, float32(1-s.LR*s.Decay), float32(s.LR*size)
	t.run(p)
	p.end("muon", 0, 12*float64(len(w)))
}

// orthogonalise replaces g, rows by cols, the sum of whose squares is given, by
// about the nearest matrix with orthogonal rows or columns, by Newton-Schulz
// iterations.
func orthogonalise(p *Pool, t *stepTask, g []float32, rows, cols, rounds int, square float64) {
	// X has no more rows than columns, so that X*Xᵀ is the small square.
	x, r, c := g, rows, cols
	if rows > cols {
		x, r, c = t.floats(0, len(g)), cols, rows
		flip(x, g, rows, cols)
	}
	next, y, z := t.floats(1, len(g)), t.floats(2, r*r), t.floats(3, r*r)
	scale(x, float32(1/(math.Sqrt(square)+1e-7)))
	for range rounds {
		xm, ym, zm := Mat{x, c}, Mat{y, r}, Mat{z, r}
		Gemm(p, GemmArgs{Op: "muon", Form: NT, M: r, N: r, K: c, A: xm, B: [3]Mat{xm}, C: ym})
		Gemm(p, GemmArgs{Op: "muon", Form: NN, M: r, N: r, K: r, A: ym, B: [3]Mat{ym}, C: zm})
		for i := range z {
			z[i] = muonC*z[i] + muonB*y[i]
		}
		for i := range r {
			z[i*r+i] += muonA
		}
		Gemm(p, GemmArgs{Op: "muon", Form: NN, M: r, N: c, K: r, A: zm, B: [3]Mat{xm}, C: Mat{next, c}})
		copy(x, next)
	}
	if rows > cols {
		flip(g, x, cols, rows)
	}
}

// flip sets dst to the transpose of src, rows by cols.
func flip(dst, src []float32, rows, cols int) {
	for i := range rows {
		for j, v := range src[i*cols : (i+1)*cols] {
			dst[j*rows+i] = v
		}
	}
}

type stepKind uint8

const (
	sgdStep stepKind = iota
	adagradStep
	lambUpdate
	subtractScaled
	decayAndSubtract
	factorRows
	factorCols
	factorUpdate
	muonMomentum
)

// stepTask is a pass of an optimiser's step. Sums are kept by chunk and added in
// order, so that they do not depend on the workers.
type stepTask struct {
	kind         stepKind
	w, g, m, v   []float32
	sgd          SGDStep
	adagrad      AdagradStep
	factors      AdafactorStep
	adam         adamConstants
	decay        float32
	factor, keep float32
	rows, cols   int
	// width is what is cut into chunks: elements, or rows or columns.
	width, chunk int
	sums         []float64
	scratch      [4][]float32
}

// floats returns scratch memory, not cleared.
func (t *stepTask) floats(i, n int) []float32 {
	t.scratch[i] = grow(t.scratch[i], n)
	return t.scratch[i][:n]
}

// run does the pass and returns the sums of what it squared: of the weights and
// of the updates.
func (t *stepTask) run(p *Pool) (weights, updates float64) {
	if t.chunk == 0 {
		t.width, t.chunk = len(t.w), adamChunk
	}
	n := (t.width + t.chunk - 1) / t.chunk
	if cap(t.sums) < 2*n {
		t.sums = make([]float64, 2*n)
	}
	t.sums = t.sums[:2*n]
	clear(t.sums)
	p.run(n, t)
	for i := range n {
		weights += t.sums[2*i]
		updates += t.sums[2*i+1]
	}
	return weights, updates
}

func (t *stepTask) do(_, item int) {
	first, last := item*t.chunk, min(t.width, (item+1)*t.chunk)
	sums := t.sums[2*item : 2*item+2]
	switch t.kind {
	case factorRows:
		t.rowMeans(first, last)
		return
	case factorCols:
		t.colMeans(first, last)
		return
	case factorUpdate:
		t.factorUpdate(first, last, sums)
		return
	}
	w, g := t.w[first:last], t.g[first:last]
	part := func(x []float32) []float32 {
		if x == nil {
			return nil
		}
		return x[first:last]
	}
	switch t.kind {
	case sgdStep:
		sgd(w, g, part(t.m), t.sgd)
	case adagradStep:
		adagrad(w, g, part(t.v), t.adagrad)
	case lambUpdate:
		sums[0], sums[1] = lamb(w, g, part(t.m), part(t.v), &t.adam, t.decay)
	case subtractScaled:
		for i := range w {
			w[i] -= t.factor * g[i]
		}
	case decayAndSubtract:
		for i := range w {
			w[i] = t.keep*w[i] - t.factor*g[i]
		}
	case muonMomentum:
		sums[1] = momentum(g, part(t.m), float32(t.sgd.Momentum), float32(t.sgd.GradScale))
	}
}

func sgd(w, g, m []float32, s SGDStep) {
	lr, mu, decay, scale := float32(s.LR), float32(s.Momentum), float32(s.Decay), float32(s.GradScale)
	for i := range w {
		d := g[i]*scale + decay*w[i]
		if mu != 0 {
			m[i] = mu*m[i] + d
			if s.Nesterov {
				d += mu * m[i]
			} else {
				d = m[i]
			}
		}
		w[i] -= lr * d
	}
}

func adagrad(w, g, v []float32, s AdagradStep) {
	lr, eps, decay, scale := float32(s.LR), float32(s.Eps), float32(s.Decay), float32(s.GradScale)
	for i := range w {
		d := g[i]*scale + decay*w[i]
		v[i] += d * d
		w[i] -= lr * d / (float32(math.Sqrt(float64(v[i]))) + eps)
	}
}

// lamb replaces g by the update and returns the sums of the squares of w and of
// the update.
func lamb(w, g, m, v []float32, c *adamConstants, decay float32) (weights, updates float64) {
	for i := range w {
		x := g[i] * c.scale
		m[i] = c.b1*m[i] + c.c1*x
		v[i] = c.b2*v[i] + c.c2*(x*x)
		u := m[i]*c.first/(float32(math.Sqrt(float64(v[i])))*c.root+c.eps) + decay*w[i]
		g[i] = u
		weights += float64(w[i]) * float64(w[i])
		updates += float64(u) * float64(u)
	}
	return weights, updates
}

// momentum replaces g by the gradient looked at along the momentum m and returns
// the sum of its squares.
func momentum(g, m []float32, mu, scale float32) float64 {
	var s float64
	for i := range g {
		x := g[i] * scale
		m[i] = mu*m[i] + x
		g[i] = x + mu*m[i]
		s += float64(g[i]) * float64(g[i])
	}
	return s
}

// squared returns the square of a gradient as Adafactor counts it.
func (t *stepTask) squared(g float32) float64 {
	x := float64(g) * t.factors.GradScale
	return x*x + t.factors.Eps
}

func (t *stepTask) rowMeans(first, last int) {
	b := t.factors.Beta2
	for i := first; i < last; i++ {
		var s float64
		for _, g := range t.g[i*t.cols : (i+1)*t.cols] {
			s += t.squared(g)
		}
		t.m[i] = float32(b*float64(t.m[i]) + (1-b)*s/float64(t.cols))
	}
}

func (t *stepTask) colMeans(first, last int) {
	b := t.factors.Beta2
	var s [sumCols]float64
	for i := range t.rows {
		for j, g := range t.g[i*t.cols+first : i*t.cols+last] {
			s[j] += t.squared(g)
		}
	}
	for j := first; j < last; j++ {
		t.v[j] = float32(b*float64(t.v[j]) + (1-b)*s[j-first]/float64(t.rows))
	}
}

// factorUpdate replaces the gradient of some rows, or of some elements of a
// vector, by the update before it is clipped.
func (t *stepTask) factorUpdate(first, last int, sums []float64) {
	update := func(i, col int, row float64) {
		u := float64(t.g[i]) * t.factors.GradScale / math.Sqrt(row*float64(t.v[col]))
		t.g[i] = float32(u)
		sums[0] += float64(t.w[i]) * float64(t.w[i])
		sums[1] += u * u
	}
	if t.m == nil {
		for i := first; i < last; i++ {
			update(i, i, 1)
		}
		return
	}
	for r := first; r < last; r++ {
		row := float64(t.m[r]) / float64(t.factor)
		for c := range t.cols {
			update(r*t.cols+c, c, row)
		}
	}
}
