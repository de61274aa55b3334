package tensor

import (
	"github.com/tributary-ml/tributary/model/kernel"
)

// Embed returns the sum of the word, position and segment embeddings of tokens,
// [tokens, Cols]. segment may be nil.
func (t *Tape) Embed(word, position, segment *Tensor, tokens, positions []int32, segments []uint8) *Tensor {
	out := t.New(len(tokens), word.Cols)
	a := kernel.EmbedArgs{
		Cols: word.Cols, Word: word.Data, Position: position.Data,
		Tokens: tokens, Positions: positions, Segments: segments, Out: out.Data,
	}
	if segment != nil {
		a.Segment = segment.Data
	}
	kernel.Embed(t.pool, a)
	e := t.embeds.next()
	*e = embedding{word, position, segment, out, tokens, positions, segments}
	t.record(e)
	return out
}

type embedding struct {
	word, position, segment, out *Tensor
	tokens, positions            []int32
	segments                     []uint8
}

func (e *embedding) backward(t *Tape) {
	if e.out.Grad == nil {
		return
	}
	defer t.spent(e.out)
	keys := t.keys.take(len(e.tokens))
	scatter := func(dst *Tensor, id func(i int) int32) {
		for i := range keys {
			keys[i] = kernel.ScatterKey(id(i), i)
		}
		kernel.ScatterAdd(t.pool, dst.Grad, e.out.Grad, e.out.Cols, keys)
	}
	scatter(e.word, func(i int) int32 { return e.tokens[i] })
	scatter(e.position, func(i int) int32 { return e.positions[i] })
	if e.segment != nil {
		scatter(e.segment, func(i int) int32 { return int32(e.segments[i]) })
	}
}

// Norm returns the layer normalisation of x + drop(sub), dropped by out, and the
// sum itself. x may be nil; sub's values are lost. With bias nil it is the norm by
// the root mean square.
func (t *Tape) Norm(x, sub, gain, bias *Tensor, eps float32, drop, out kernel.Dropout) (y, sum *Tensor) {
	y = t.New(sub.Rows, sub.Cols)
	n := t.norms.next()
	*n = norm{x: x, sub: sub, gain: gain, bias: bias, y: y}
	n.args = kernel.NormArgs{
		Rows: sub.Rows, Cols: sub.Cols, Sub: sub.Data, Sum: sub.Data,
		Gain: gain.Data, RMS: bias == nil, Eps: eps, Out: y.Data,
		Stats:   t.floats.take(2 * sub.Rows),
		SubDrop: drop, OutDrop: out,
		SubBits: t.words.take(sub.Rows * drop.Words(sub.Cols)),
		OutBits: t.words.take(sub.Rows * out.Words(sub.Cols)),
	}
	if bias != nil {
		n.args.Bias = bias.Data
	}
	sub.readers++
	if x != nil {
		n.args.X = x.Data
		x.readers++
	}
	kernel.Norm(t.pool, n.args)
	t.record(n)
	return y, sub
}

type norm struct {
	args                  kernel.NormArgs
	x, sub, gain, bias, y *Tensor
}

func (n *norm) backward(t *Tape) {
	if n.y.Grad == nil {
		return
	}
	b := kernel.NormBackwardArgs{NormArgs: n.args, DOut: n.y.Grad, DGain: n.gain.Grad}
	if n.bias != nil {
		b.DBias = n.bias.Grad
	}
	// A gradient that sub holds already is one of the sum, which took its place.
	if t.add(n.sub) {
		b.DSum = n.sub.Grad
	}
	b.DSub = n.sub.Grad
	if n.x != nil {
		b.AddX = t.add(n.x)
		b.DX = n.x.Grad
	}
	kernel.NormBackward(t.pool, b)
	t.spent(n.y)
}

// Layer is a weight, [out, in], and its bias, [1, out], which may be nil. With InputMajor the weight
// is [in, out], as GPT-2's checkpoints have it.
type Layer struct {
	Weight, Bias *Tensor
	InputMajor   bool
}

func (l Layer) outputs() int {
	if l.InputMajor {
		return l.Weight.Cols
	}
	return l.Weight.Rows
}

// Linear returns act(x*Wᵀ + b) for up to three layers of the same shape, their
// results side by side. An input-major layer stands alone.
func (t *Tape) Linear(x *Tensor, act kernel.Activation, layers ...Layer) *Tensor {
	l := t.linears.next()
	*l = linear{x: x}
	x.readers++
	l.n = copy(l.layers[:], layers)
	out := layers[0].outputs()
	l.y = t.New(x.Rows, out*l.n)
	g := kernel.GemmArgs{
		Precision: t.Precision,
		Op:        "linear forward", Form: kernel.NT, M: x.Rows, N: l.y.Cols, K: x.Cols,
		A: x.Mat(), C: l.y.Mat(), BParts: l.n, Act: act,
	}
	if layers[0].InputMajor {
		g.Form = kernel.NN
	}
	for i := range l.n {
		g.B[i] = l.layers[i].Weight.Mat()
		if b := l.layers[i].Bias; b != nil {
			g.Bias[i] = b.Data
		}
	}
	if act != kernel.None && t.grads {
		l.y.slope = t.floats.take(len(l.y.Data))
		g.Deriv = kernel.Mat{Data: l.y.slope, Stride: l.y.Cols}
	}
	kernel.Gemm(t.pool, g)
	t.record(l)
	return l.y
}

type linear struct {
	x, y   *Tensor
	layers [3]Layer
	n      int
}

func (l *linear) backward(t *Tape) {
	if l.y.Grad == nil {
		return
	}
	out := l.y.Cols / l.n
	dy := l.y.gradMat()
	if l.y.slope != nil && !l.y.sloped {
		kernel.Multiply(t.pool, l.y.Grad, l.y.slope)
	}
	for i := range l.n {
		part := kernel.Mat{Data: dy.Data[i*out:], Stride: dy.Stride}
		if b := l.layers[i].Bias; b != nil {
			kernel.AddColumnSums(t.pool, b.Grad, part, l.y.Rows, out)
		}
		w := kernel.GemmArgs{
			Precision: t.Precision,
			Op:        "linear weight gradient", Form: kernel.TN, M: out, N: l.x.Cols, K: l.x.Rows,
			A: part, B: [3]kernel.Mat{l.x.Mat()}, C: l.layers[i].Weight.gradMat(), Accumulate: true,
		}
		if l.layers[i].InputMajor {
			w.M, w.N = w.N, w.M
			w.A, w.B[0] = w.B[0], w.A
		}
		kernel.Gemm(t.pool, w)
	}
	g := kernel.GemmArgs{
		Precision: t.Precision,
		Op:        "linear input gradient", Form: kernel.NN, M: l.x.Rows, N: l.x.Cols, K: l.y.Cols,
		A: dy, BParts: l.n, Accumulate: t.add(l.x),
	}
	g.C = l.x.gradMat()
	if l.x.slope != nil && l.x.readers == 1 {
		g.Mul = kernel.Mat{Data: l.x.slope, Stride: l.x.Cols}
		l.x.sloped = true
	}
	if l.layers[0].InputMajor {
		g.Form = kernel.NT
	}
	for i := range l.n {
		g.B[i] = l.layers[i].Weight.Mat()
	}
	kernel.Gemm(t.pool, g)
	t.spent(l.y)
}

// Sight says which keys the queries of attention see.
type Sight struct {
	// QBounds and KBounds bound the sequences' rows among the queries and the keys.
	QBounds, KBounds []int32
	// QRanks and KRanks hold their ranks: a query sees the keys of its sequence
	// whose rank is at most its own. Nil: all.
	QRanks, KRanks []int32
	// Bias, unless nil, is added to the scaled scores, [heads, 2*span-1]; see
	// kernel.AttentionArgs. Its gradient is taken when it has memory for one.
	// QPositions holds the queries' positions when not all are there.
	Bias       *Tensor
	QPositions []int32
}

// Attention returns multi-head attention's results, [queries, width]. q holds the
// queries from column qFrom, kv the keys from column kFrom and the values from
// column vFrom, each width columns wide.
func (t *Tape) Attention(q, kv *Tensor, qFrom, kFrom, vFrom, width, heads int, s Sight, drop kernel.Dropout) *Tensor {
	y := t.New(q.Rows, width)
	a := t.attns.next()
	*a = attention{q: q, kv: kv, y: y, qFrom: qFrom, kFrom: kFrom, vFrom: vFrom}
	a.args = kernel.AttentionArgs{
		Heads: heads, HeadDim: width / heads,
		Q: columns(q.Mat(), qFrom), K: columns(kv.Mat(), kFrom), V: columns(kv.Mat(), vFrom), Out: y.Mat(),
		QBounds: s.QBounds, KBounds: s.KBounds, QRanks: s.QRanks, KRanks: s.KRanks,
		Norms: t.floats.take(heads * q.Rows), Drop: drop, QPositions: s.QPositions,
		Precision: t.Precision,
	}
	if s.Bias != nil {
		a.bias = s.Bias
		a.args.Bias, a.args.Span = s.Bias.Data, (s.Bias.Cols+1)/2
	}
	q.readers++
	kv.readers++
	kernel.Attention(t.pool, a.args)
	t.record(a)
	return y
}

func columns(m kernel.Mat, from int) kernel.Mat {
	return kernel.Mat{Data: m.Data[min(from, len(m.Data)):], Stride: m.Stride}
}

type attention struct {
	args                kernel.AttentionArgs
	q, kv, y, bias      *Tensor
	qFrom, kFrom, vFrom int
}

// backward puts the gradients of q and kv in place: nothing else reads them.
func (a *attention) backward(t *Tape) {
	if a.y.Grad == nil {
		return
	}
	t.add(a.q)
	t.add(a.kv)
	b := kernel.AttentionBackwardArgs{
		AttentionArgs: a.args, DOut: a.y.gradMat(),
		DQ: columns(a.q.gradMat(), a.qFrom), DK: columns(a.kv.gradMat(), a.kFrom), DV: columns(a.kv.gradMat(), a.vFrom),
	}
	if a.bias != nil {
		b.DBias = a.bias.Grad
	}
	kernel.AttentionBackward(t.pool, b)
	t.spent(a.y)
}

// Gather returns the rows of x that index names, ascending and each once.
func (t *Tape) Gather(x *Tensor, index []int32) *Tensor {
	y := t.New(len(index), x.Cols)
	kernel.GatherRows(t.pool, y.Data, x.Data, x.Cols, index)
	g := t.gathers.next()
	*g = gather{x, y, index}
	x.readers++
	t.record(g)
	return y
}

type gather struct {
	x, y  *Tensor
	index []int32
}

func (g *gather) backward(t *Tape) {
	if g.y.Grad == nil {
		return
	}
	if !t.add(g.x) {
		kernel.Clear(t.pool, g.x.Grad)
	}
	kernel.AddRows(t.pool, g.x.Grad, g.y.Grad, g.x.Cols, g.index)
	t.spent(g.y)
}

// Product returns x*y, element by element: with x an activation, a gated linear
// unit.
func (t *Tape) Product(x, y *Tensor) *Tensor {
	z := t.New(x.Rows, x.Cols)
	kernel.Product(t.pool, z.Data, x.Data, y.Data)
	p := t.products.next()
	*p = product{x, y, z}
	x.readers++
	y.readers++
	t.record(p)
	return z
}

type product struct{ x, y, z *Tensor }

func (p *product) backward(t *Tape) {
	if p.z.Grad == nil {
		return
	}
	for _, f := range [2][2]*Tensor{{p.x, p.y}, {p.y, p.x}} {
		add := t.add(f[0])
		kernel.ProductGrad(t.pool, f[0].Grad, p.z.Grad, f[1].Data, add)
	}
	t.spent(p.z)
}

// VocabLoss projects h onto the vocabulary, word [vocabulary, Cols] with its
// bias, which may be nil, and returns each row's cross-entropy and whether its label is the most
// probable token. What is differentiated is scale times the sum of the losses.
func (t *Tape) VocabLoss(h, word, bias *Tensor, labels []int32, scale float32) (losses []float32, hits []bool) {
	losses, hits = t.floats.take(h.Rows), t.flags.take(h.Rows)
	a := kernel.VocabArgs{
		Precision: t.Precision, Rows: h.Rows, Cols: h.Cols, Vocab: word.Rows, H: h.Data, W: word.Data,
		Labels: labels, Losses: losses, Hits: hits, Scale: scale,
	}
	if bias != nil {
		a.Bias = bias.Data
	}
	// The logits are gone when the forward pass ends, so the gradients are taken
	// with the losses.
	if t.grads {
		t.add(h)
		a.DH, a.DW = h.Grad, word.Grad
		if bias != nil {
			a.DBias = bias.Grad
		}
		h.readers++
	}
	kernel.VocabLoss(t.pool, a)
	return losses, hits
}

// ClassLoss returns the cross-entropy of rows of few logits against labels, and
// whether the label is the first of the greatest. What is differentiated is scale
// times the sum of the losses.
func (t *Tape) ClassLoss(logits *Tensor, labels []int32, scale float32) (losses []float32, hits []bool) {
	losses, hits = t.floats.take(logits.Rows), t.flags.take(logits.Rows)
	if t.grads {
		t.add(logits)
	}
	for i := range logits.Rows {
		row := logits.Data[i*logits.Cols : (i+1)*logits.Cols]
		var grad []float32
		if t.grads {
			grad = logits.Grad[i*logits.Cols : (i+1)*logits.Cols]
		}
		losses[i], hits[i] = kernel.CrossEntropy(grad, row, int(labels[i]), scale)
	}
	logits.readers++
	return losses, hits
}
