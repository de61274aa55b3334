package kernel

import "math"

// AttentionArgs describes scaled dot-product attention (Vaswani et al. 2017,
// equation 1) over ragged sequences, head by head, without holding the matrix of
// all scores. A query at position i of a sequence sees the keys of its own
// sequence whose rank is at most its own.
type AttentionArgs struct {
	Heads, HeadDim int
	// Q holds the queries, one row each, K and V the keys and values; head h has
	// the columns from h*HeadDim. Out receives the results, a row for each query.
	Q, K, V, Out Mat
	// QBounds and KBounds bound the sequences' rows of Q and of K. The last is the
	// number of rows.
	QBounds, KBounds []int32
	// QRanks and KRanks hold a rank for each row of Q and of K. Both nil: all see
	// all.
	QRanks, KRanks []int32
	// Norms receives, for head h and query row i at h*rows+i, the logarithm of the
	// sum of the exponentials of the scaled scores.
	Norms []float32
	// Bias, unless nil, is added to the scaled scores: that of head h for a key d
	// positions after the query is at h*(2*Span-1)+Span-1+d, Span being at least the
	// length of the longest sequence. ALiBi and relative position biases are such.
	Bias []float32
	Span int
	// QPositions holds the queries' positions in their sequences when Q has not a
	// row for each; nil: the row's place.
	QPositions []int32
	// Drop is the dropout of the probabilities; the decision for a key is keyed by
	// head, row of the query and position of the key in its sequence.
	Drop Dropout
	// Precision is that of the products, of which the probabilities and their
	// gradients are factors too.
	Precision Precision
}

// AttentionBackwardArgs describes the gradient of attention. Out and Norms are as
// the forward pass left them.
type AttentionBackwardArgs struct {
	AttentionArgs
	// DOut is the gradient of Out; DQ, DK and DV receive the gradients.
	DOut, DQ, DK, DV Mat
	// DBias, unless nil, is what the gradient of Bias is added to.
	DBias []float32
}

// queryBlock is how many queries of a sequence are scored at a time.
const queryBlock = 56

// Attention runs a.
func Attention(p *Pool, a AttentionArgs) {
	p.begin()
	t := &p.attn
	*t = attentionTask{AttentionBackwardArgs: AttentionBackwardArgs{AttentionArgs: a}, p: p, partial: t.partial}
	p.run((len(a.QBounds)-1)*a.Heads, t)
	*t = attentionTask{partial: t.partial}
	p.end("attention forward", 4*a.pairs(), 0)
}

// AttentionBackward runs a.
func AttentionBackward(p *Pool, a AttentionBackwardArgs) {
	p.begin()
	t := &p.attn
	*t = attentionTask{AttentionBackwardArgs: a, p: p, backward: true, partial: t.partial}
	items, width := (len(a.QBounds)-1)*a.Heads, 2*a.Span-1
	if a.DBias != nil {
		// Each item has sums of its own, which are added in the items' order.
		t.partial = grow(t.partial, items*width)
	}
	p.run(items, t)
	for i := 0; a.DBias != nil && i < items; i++ {
		p.ops.add(a.DBias[i%a.Heads*width:][:width], t.partial[i*width:(i+1)*width])
	}
	*t = attentionTask{partial: t.partial}
	p.end("attention backward", 10*a.pairs(), 0)
}

// pairs counts the pairs of query and key, times the width.
func (a *AttentionArgs) pairs() float64 {
	var n float64
	for i := range len(a.QBounds) - 1 {
		n += float64(a.QBounds[i+1]-a.QBounds[i]) * float64(a.KBounds[i+1]-a.KBounds[i])
	}
	return n * float64(a.Heads) * float64(a.HeadDim)
}

type attentionTask struct {
	AttentionBackwardArgs
	p        *Pool
	backward bool
	partial  []float32
}

func (t *attentionTask) do(worker, item int) {
	w := attentionWork{
		attentionTask: t, s: t.p.scratch[worker], o: t.p.ops, head: item % t.Heads,
	}
	seq := item / t.Heads
	w.item = item
	w.pairs = t.Precision == BF16 && w.o.blockPairs != nil
	w.q0, w.queries = int(t.QBounds[seq]), int(t.QBounds[seq+1]-t.QBounds[seq])
	w.k0, w.keys = int(t.KBounds[seq]), int(t.KBounds[seq+1]-t.KBounds[seq])
	w.pad = roundUp(w.keys, 16)
	w.rows = int(t.QBounds[len(t.QBounds)-1])
	if t.backward {
		w.runBackward()
	} else {
		w.runForward()
	}
}

// attentionWork is the attention of one head over one sequence.
type attentionWork struct {
	*attentionTask
	s             *scratch
	o             *ops
	head, item    int
	q0, queries   int
	k0, keys, pad int
	rows          int
	// pairs says that factors of products are pairs of bf16.
	pairs bool
}

func (w *attentionWork) at(m Mat, row int) []float32 {
	return m.Data[row*m.Stride+w.head*w.HeadDim:]
}

func (w *attentionWork) runForward() {
	d := w.HeadDim
	keysT := w.packT(1, w.at(w.K, w.k0), w.K.Stride, w.keys, d)
	values := w.pack(2, w.at(w.V, w.k0), w.V.Stride, w.keys, d)
	scores, bias := w.s.floats(3, queryBlock*w.pad), w.bias()
	sums := w.s.floats(7, queryBlock)
	for q := 0; q < w.queries; q += queryBlock {
		n := min(queryBlock, w.queries-q)
		row := w.q0 + q
		a, stride := w.factor(w.at(w.Q, row), w.Q.Stride, n)
		w.multiply(n, w.keys, d, a, stride, 1, keysT, scores, w.pad, false)
		for i := range n {
			s := scores[i*w.pad : i*w.pad+w.keys]
			if bias != nil {
				w.o.add(s, w.along(bias, row+i))
			}
			ranks, rank := w.sight(row + i)
			top, sum := w.o.softmax(s, w.words(row+i), ranks, rank, w.scale())
			w.Norms[w.head*w.rows+row+i] = top + float32(math.Log(float64(sum)))
			sums[i] = sum
		}
		w.roundRows(scores, n)
		w.multiply(n, d, w.keys, scores, w.pad, 1, values, w.at(w.Out, row), w.Out.Stride, false)
		// The results are divided by the softmax's denominators: they are fewer than
		// the probabilities.
		for i := range n {
			w.o.scale(w.at(w.Out, row+i)[:d], w.Drop.scale()/sums[i])
		}
	}
}

func (w *attentionWork) runBackward() {
	d := w.HeadDim
	dk, dv := w.at(w.DK, w.k0), w.at(w.DV, w.k0)
	var dbias []float32
	if w.DBias != nil {
		width := 2*w.Span - 1
		dbias = w.partial[w.item*width : (w.item+1)*width]
		clear(dbias)
	}
	if w.queries == 0 {
		for i := range w.keys {
			clear(dk[i*w.DK.Stride:][:d])
			clear(dv[i*w.DV.Stride:][:d])
		}
		return
	}
	keysT := w.packT(1, w.at(w.K, w.k0), w.K.Stride, w.keys, d)
	valuesT := w.packT(2, w.at(w.V, w.k0), w.V.Stride, w.keys, d)
	keys := w.pack(4, w.at(w.K, w.k0), w.K.Stride, w.keys, d)
	scores := w.s.floats(3, queryBlock*w.pad)
	grads := w.s.floats(5, queryBlock*w.pad)
	scale, bias := w.scale(), w.bias()
	for q := 0; q < w.queries; q += queryBlock {
		n := min(queryBlock, w.queries-q)
		row := w.q0 + q
		a, stride := w.factor(w.at(w.Q, row), w.Q.Stride, n)
		w.multiply(n, w.keys, d, a, stride, 1, keysT, scores, w.pad, false)
		a, stride = w.factor(w.at(w.DOut, row), w.DOut.Stride, n)
		w.multiply(n, w.keys, d, a, stride, 1, valuesT, grads, w.pad, false)
		for i := range n {
			p, g := scores[i*w.pad:i*w.pad+w.keys], grads[i*w.pad:i*w.pad+w.keys]
			if bias != nil {
				w.o.add(p, w.along(bias, row+i))
			}
			delta := w.o.dot(w.at(w.DOut, row+i)[:d], w.at(w.Out, row+i)[:d])
			ranks, rank := w.sight(row + i)
			norm := w.Norms[w.head*w.rows+row+i]
			w.o.softmaxBackward(p, g, w.words(row+i), ranks, rank, scale, norm, delta, w.Drop.scale())
			if dbias != nil {
				w.o.add(w.along(dbias, row+i), g)
			}
		}
		dout := w.pack(6, w.at(w.DOut, row), w.DOut.Stride, n, d)
		w.multiply(w.keys, d, n, w.columns(scores, scores, n), 1, w.pad, dout, dv, w.DV.Stride, q > 0)
		// The probabilities' memory is free now.
		columns := w.columns(scores, grads, n)
		if w.pairs {
			w.roundRows(grads, n)
		}
		w.multiply(n, d, w.keys, grads, w.pad, 1, keys, w.at(w.DQ, row), w.DQ.Stride, false)
		queries := w.pack(6, w.at(w.Q, row), w.Q.Stride, n, d)
		w.multiply(w.keys, d, n, columns, 1, w.pad, queries, dk, w.DK.Stride, q > 0)
	}
	if dbias != nil {
		// They are of the scores before these are scaled.
		w.o.scale(dbias, 1/scale)
	}
}

// bias returns the head's bias of scores that are not yet scaled, nil for none.
func (w *attentionWork) bias() []float32 {
	if w.Bias == nil {
		return nil
	}
	width := 2*w.Span - 1
	b := w.s.floats(8, width)
	copy(b, w.Bias[w.head*width:])
	w.o.scale(b, 1/w.scale())
	return b
}

// along returns the part of a head's bias that a query has for all keys.
func (w *attentionWork) along(bias []float32, row int) []float32 {
	at := row - w.q0
	if w.QPositions != nil {
		at = int(w.QPositions[row])
	}
	return bias[w.Span-1-at:][:w.keys]
}

// ALiBi sets bias to the linear biases of Press, Smith and Lewis (2022): head h
// loses slope[h] for each position between query and key; the slopes are a
// geometric series from 2^(-8/heads), and for a number of heads that is no power
// of two every other one of the next series follows, as in the published code.
func ALiBi(bias []float32, heads, span int) {
	whole := 1
	for 2*whole <= heads {
		whole *= 2
	}
	for h := range heads {
		power := -8 * float64(h+1) / float64(whole)
		if h >= whole {
			power = -4 * float64(2*(h-whole)+1) / float64(whole)
		}
		slope := math.Exp2(power)
		row := bias[h*(2*span-1):][:2*span-1]
		for i := range row {
			row[i] = float32(-slope * math.Abs(float64(i-span+1)))
		}
	}
}

func (w *attentionWork) scale() float32 { return float32(1 / math.Sqrt(float64(w.HeadDim))) }

// words returns the dropout decisions for a query's row of probabilities.
func (w *attentionWork) words(row int) []uint16 {
	n := w.Drop.Words(w.keys)
	if n == 0 {
		return nil
	}
	if cap(w.s.words) < n {
		w.s.words = make([]uint16, n)
	}
	b := w.s.words[:n]
	w.Drop.bits(w.o, b, uint64(w.head)<<32|uint64(row))
	return b
}

// sight returns the ranks of the keys, nil when all are seen, and that of a query.
func (w *attentionWork) sight(row int) ([]int32, int32) {
	if w.QRanks == nil {
		return nil, 0
	}
	return w.KRanks[w.k0:][:w.keys], w.QRanks[row]
}

// softmax turns a row of scores into the numerators of probabilities: exponentials
// relative to the greatest scaled score, zero for the keys whose rank is above
// rank (nil ranks: none is). It returns that score and the numerators' sum. Those
// that words does not keep are zero afterwards (nil words: all are kept).
func softmax(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32) {
	top = float32(math.Inf(-1))
	for j, v := range s {
		if ranks == nil || ranks[j] <= rank {
			top = max(top, v*scale)
		}
	}
	var total float64
	for j, v := range s {
		e := 0.0
		if ranks == nil || ranks[j] <= rank {
			e = math.Exp(float64(v*scale - top))
		}
		total += e
		if words != nil && words[j>>4]>>(j&15)&1 == 0 {
			e = 0
		}
		s[j] = float32(e)
	}
	return top, float32(total)
}

// softmaxBackward turns a row of scores p back into probabilities and the
// gradient g of what dropout left of them into that of the unscaled scores. p
// becomes what dropout left. norm is the logarithm of the softmax's denominator,
// delta the product of the attention's result and its gradient, and keep the
// factor of the probabilities that words keeps (nil: no dropout).
func softmaxBackward(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32) {
	for j, v := range p {
		var w float32
		if ranks == nil || ranks[j] <= rank {
			w = float32(math.Exp(float64(v*scale - norm)))
		}
		k := keep
		if words == nil {
			k = 1
		} else if words[j>>4]>>(j&15)&1 == 0 {
			k = 0
		}
		g[j] = w * (g[j]*k - delta) * scale
		p[j] = w * k
	}
}

// depth returns how many elements k steps of a product's sum are.
func (w *attentionWork) depth(k int) int {
	if w.pairs {
		return (k + 1) / 2
	}
	return k
}

// packT lays out the transpose of a rows x cols matrix as panels of a product's
// second factor: cols deep, rows wide.
func (w *attentionWork) packT(buffer int, x []float32, stride, rows, cols int) []float32 {
	nr, depth := w.o.nr, w.depth(cols)
	dst := w.s.floats(buffer, roundUp(rows, nr)*depth)
	for j := 0; j < rows; j += nr {
		panel := dst[j*depth : (j+nr)*depth]
		n := min(nr, rows-j)
		if w.pairs {
			w.o.packPairsT(w.s.floats(9, nr*pairStride), panel, x[j*stride:], stride, n, cols)
		} else {
			w.o.packT(panel, x[j*stride:], stride, n, cols)
		}
		for l := 0; n < nr && l < depth; l++ {
			clear(panel[l*nr+n : (l+1)*nr])
		}
	}
	w.round(dst)
	return dst
}

// round rounds the factor of a product that is not in pairs.
func (w *attentionWork) round(x []float32) {
	if w.Precision == BF16 && !w.pairs {
		w.o.roundBF16(x, x)
	}
}

// roundRows makes n rows of scores, where they are, the rows of a product's first
// factor.
func (w *attentionWork) roundRows(x []float32, n int) {
	for i := 0; w.Precision == BF16 && i < n; i++ {
		row := x[i*w.pad : i*w.pad+w.keys]
		if w.pairs {
			w.o.pairs(row[:w.depth(w.keys)], row)
		} else {
			w.o.roundBF16(row, row)
		}
	}
}

// columns makes n rows of scores the columns of a product's first factor: in dst,
// which may be x, when they become pairs, otherwise where they are.
func (w *attentionWork) columns(dst, x []float32, n int) []float32 {
	if !w.pairs {
		w.roundRows(x, n)
		return x
	}
	for i := 0; i < n; i += 2 {
		var next []float32
		if i+1 < n {
			next = x[(i+1)*w.pad:][:w.keys]
		}
		w.o.interleave(dst[i/2*w.pad:][:w.keys], x[i*w.pad:][:w.keys], next)
	}
	return dst
}

// factor returns n rows of a head as a product's first factor and their stride:
// as they are, or rounded in memory that the next call uses again.
func (w *attentionWork) factor(x []float32, stride, n int) ([]float32, int) {
	if w.Precision == FP32 {
		return x, stride
	}
	d := w.depth(w.HeadDim)
	dst := w.s.floats(9, n*d)
	for i := range n {
		row := x[i*stride:][:w.HeadDim]
		if w.pairs {
			w.o.pairs(dst[i*d:(i+1)*d], row)
		} else {
			w.o.roundBF16(dst[i*d:(i+1)*d], row)
		}
	}
	return dst, d
}

// pack lays out a rows x cols matrix as panels: rows deep, cols wide.
func (w *attentionWork) pack(buffer int, x []float32, stride, rows, cols int) []float32 {
	nr, depth := w.o.nr, w.depth(rows)
	dst := w.s.floats(buffer, roundUp(cols, nr)*depth)
	for j := 0; j < cols; j += nr {
		panel := dst[j*depth : (j+nr)*depth]
		n := min(nr, cols-j)
		for l := range depth {
			row := panel[l*nr : l*nr+nr]
			if w.pairs {
				var next []float32
				if 2*l+1 < rows {
					next = x[(2*l+1)*stride+j:][:n]
				}
				w.o.interleave(row, x[2*l*stride+j:][:n], next)
			} else {
				copy(row, x[l*stride+j:][:n])
			}
			clear(row[n:])
		}
	}
	w.round(dst)
	return dst
}

// multiply sets C[m,n] to (or adds to it) the product of a strided A and packed
// panels, depth k.
func (w *attentionWork) multiply(m, n, k int, a []float32, ars, acs int, packed, c []float32, ldc int, add bool) {
	nr := w.o.nr
	k = w.depth(k)
	block := w.o.block
	if w.pairs {
		block = w.o.blockPairs
	}
	t := &w.s.tile
	t.setA(w.o.mr, a, ars, acs)
	t.ldb, t.rows, t.k, t.ldc, t.add = nr, m, k, ldc, add
	for j := 0; j < n; j += nr {
		t.b = packed[j*k:]
		t.c = c[j:]
		t.cols = min(nr, n-j)
		block(t)
	}
}

func roundUp(n, m int) int { return (n + m - 1) / m * m }
