package kernel

import "math"

// VocabArgs describes the projection of Rows hidden states onto a vocabulary and
// the cross-entropy of the result against labels: row i has the logits
// H[i]*Wᵀ + Bias and the loss log(sum(exp(logits))) - logits[Labels[i]].
// The logits exist for a few rows at a time only.
type VocabArgs struct {
	Rows, Cols, Vocab int
	// H is [Rows, Cols] and W [Vocab, Cols], both without gaps. Bias may be nil.
	H, W, Bias []float32
	Labels     []int32
	// Losses receives each row's loss, and Hits whether no other token has a
	// greater logit than the label.
	Losses []float32
	Hits   []bool
	// Scale is the factor of the losses' sum in what is differentiated. With DH
	// nil no gradient is computed; otherwise DH receives that of H, and those of W
	// and Bias are added to DW and DBias.
	Scale     float32
	DH        []float32
	DW, DBias []float32
	// Precision is that of the products.
	Precision Precision
}

const (
	// vocabRows is how many tokens of the vocabulary one item takes. It fixes the
	// order of the sums over the vocabulary.
	vocabRows = 504
	// vocabBytes bounds the memory of the logits.
	vocabBytes = 32 << 20
)

// VocabLoss runs a.
func VocabLoss(p *Pool, a VocabArgs) {
	t := &p.vocab
	t.VocabArgs, t.p = a, p
	t.blocks = (a.Vocab + vocabRows - 1) / vocabRows
	// Chunks of one size, so that none is too small to be worth a pass over W.
	chunk := max(32, vocabBytes/4/max(1, a.Vocab)/32*32)
	chunk = roundUp(a.Rows/max(1, (a.Rows+chunk-1)/chunk)+1, 16)
	for first := 0; first < a.Rows; first += chunk {
		t.first, t.n = first, min(chunk, a.Rows-first)
		t.stride = roundUp(t.n, 16)
		t.logits = grow(t.logits, a.Vocab*t.stride)
		t.tops = grow(t.tops, t.blocks*t.stride)
		t.totals = grow(t.totals, t.blocks*t.stride)
		t.label = grow(t.label, t.stride)
		h := Mat{a.H[first*a.Cols:], a.Cols}
		w := Mat{a.W, a.Cols}
		logits := Mat{t.logits, t.stride}
		t.phase = vocabExp
		Gemm(p, GemmArgs{Precision: a.Precision, Op: "vocabulary logits", Form: NT, M: a.Vocab, N: t.n, K: a.Cols, A: w, B: [3]Mat{h},
			C: logits, around: t, blockRows: vocabRows})
		t.combine()
		if a.DH == nil {
			continue
		}
		t.phase = vocabGrad
		Gemm(p, GemmArgs{Precision: a.Precision, Op: "vocabulary weight gradient", Form: NN, M: a.Vocab, N: a.Cols, K: t.n, A: logits, B: [3]Mat{h},
			C: Mat{a.DW, a.Cols}, Accumulate: true, around: t, blockRows: vocabRows})
		Gemm(p, GemmArgs{Precision: a.Precision, Op: "vocabulary input gradient", Form: TN, M: t.n, N: a.Cols, K: a.Vocab, A: logits, B: [3]Mat{w},
			C: Mat{a.DH[first*a.Cols:], a.Cols}})
	}
	t.VocabArgs = VocabArgs{}
}

type vocabPhase uint8

const (
	vocabExp vocabPhase = iota
	vocabGrad
)

// vocabTask works on the logits of rows first to first+n, transposed: a token of
// the vocabulary a row, so that neither factor is rearranged for its product and
// every pass runs along the rows' columns.
type vocabTask struct {
	VocabArgs
	p                           *Pool
	phase                       vocabPhase
	first, n, stride, blocks    int
	logits, tops, totals, label []float32
}

// before turns a block of exponentials into gradients, for the product with the
// hidden states.
func (t *vocabTask) before(block int) {
	if t.phase == vocabGrad {
		t.grad(block)
	}
}

// after turns a block of logits into exponentials.
func (t *vocabTask) after(block int) {
	if t.phase == vocabExp {
		t.exp(block)
	}
}

// exp adds the bias to a block of logits, notes each column's greatest, replaces
// the logits by their exponentials relative to it, and sums them.
func (t *vocabTask) exp(block int) {
	v0, v1 := block*vocabRows, min(t.Vocab, (block+1)*vocabRows)
	tops := t.tops[block*t.stride:][:t.n]
	totals := t.totals[block*t.stride:][:t.n]
	for i := range tops {
		tops[i], totals[i] = float32(math.Inf(-1)), 0
	}
	for v := v0; v < v1; v++ {
		var bias float32
		if t.Bias != nil {
			bias = t.Bias[v]
		}
		t.p.ops.biasMax(t.logits[v*t.stride:][:t.n], tops, bias)
	}
	for i := range t.n {
		if l := int(t.Labels[t.first+i]); l >= v0 && l < v1 {
			t.label[i] = t.logits[l*t.stride+i]
		}
	}
	for v := v0; v < v1; v++ {
		t.p.ops.expSum(t.logits[v*t.stride:][:t.n], tops, totals)
	}
}

// combine finds the rows' losses from the blocks' sums, and turns each block's
// top into the factor that makes its exponentials gradients.
func (t *vocabTask) combine() {
	for i := range t.n {
		top := float32(math.Inf(-1))
		for b := range t.blocks {
			top = max(top, t.tops[b*t.stride+i])
		}
		var sum float64
		for b := range t.blocks {
			sum += float64(t.totals[b*t.stride+i]) * math.Exp(float64(t.tops[b*t.stride+i]-top))
		}
		norm := float64(top) + math.Log(sum)
		t.Losses[t.first+i] = float32(norm - float64(t.label[i]))
		t.Hits[t.first+i] = t.label[i] >= top
		for b := range t.blocks {
			t.tops[b*t.stride+i] = t.Scale * float32(math.Exp(float64(t.tops[b*t.stride+i])-norm))
		}
	}
}

func (t *vocabTask) grad(block int) {
	v0, v1 := block*vocabRows, min(t.Vocab, (block+1)*vocabRows)
	factors := t.tops[block*t.stride:][:t.n]
	for v := v0; v < v1; v++ {
		sum := t.p.ops.scaleSum(t.logits[v*t.stride:][:t.n], factors)
		if t.DBias != nil {
			t.DBias[v] += sum
		}
	}
	for i := range t.n {
		if l := int(t.Labels[t.first+i]); l >= v0 && l < v1 {
			t.logits[l*t.stride+i] -= t.Scale
			if t.DBias != nil {
				t.DBias[l] -= t.Scale
			}
		}
	}
}

// biasMax adds bias to row and raises top to it where it is greater.
func biasMax(row, top []float32, bias float32) {
	for i, x := range row {
		x += bias
		row[i] = x
		top[i] = max(top[i], x)
	}
}

// expSum replaces row by its exponentials relative to top and adds them to total.
func expSum(row, top, total []float32) {
	for i, x := range row {
		e := float32(math.Exp(float64(x - top[i])))
		row[i] = e
		total[i] += e
	}
}

// scaleSum multiplies row by factor and returns its sum.
func scaleSum(row, factor []float32) float32 {
	var s float32
	for i := range row {
		row[i] *= factor[i]
		s += row[i]
	}
	return s
}

// CrossEntropy returns the cross-entropy of a row of logits against label and
// whether the label is the first of the greatest. grad, unless nil, receives the
// gradient of scale times the loss.
func CrossEntropy(grad, logits []float32, label int, scale float32) (loss float32, hit bool) {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	top := float64(logits[best])
	var sum float64
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	norm := top + math.Log(sum)
	for i, x := range logits[:len(grad)] {
		grad[i] = scale * float32(math.Exp(float64(x)-norm))
	}
	if grad != nil {
		grad[label] -= scale
	}
	return float32(norm - float64(logits[label])), best == label
}
