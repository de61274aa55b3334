package kernel

import "math"

// NormArgs describes a residual connection, its dropout and a layer
// normalisation in one pass over Rows rows of Cols elements:
//
//	Sum = X + drop(Sub)
//	Out = drop'((Sum-mean)/sqrt(var+Eps)*Gain + Bias)
//
// with mean and (biased) variance of each row (Ba, Kiros and Hinton 2016,
// equation 3); with RMS, mean is zero and var the mean square (Zhang and Sennrich
// 2019, equation 4).
type NormArgs struct {
	Rows, Cols int
	// X is the residual input; nil means zero. Sub is the sub-layer's output.
	X, Sub []float32
	// Sum receives the sum; it may be Sub itself.
	Sum []float32
	RMS bool
	// Gain and Bias hold Cols elements. Bias is nil with RMS.
	Gain, Bias []float32
	Eps        float32
	Out        []float32
	// Stats receives the mean and the inverse standard deviation of each row.
	Stats []float32
	// SubDrop is the dropout of Sub and OutDrop that of the result; SubBits and
	// OutBits receive their decisions, Words(Cols) a row.
	SubDrop, OutDrop Dropout
	SubBits, OutBits []uint16
}

// normRows is how many rows one item of a normalisation takes. It fixes the
// order in which the gradients of Gain and Bias are summed.
const normRows = 32

// Norm runs a.
func Norm(p *Pool, a NormArgs) {
	p.begin()
	p.norm = normTask{NormArgs: a, p: p}
	p.run((a.Rows+normRows-1)/normRows, &p.norm)
	p.norm = normTask{}
	p.end("norm forward", 0, 12*float64(a.Rows)*float64(a.Cols))
}

type normTask struct {
	NormArgs
	p *Pool
}

func (t *normTask) do(_, item int) {
	n, o := t.Cols, t.p.ops
	sw, ow := t.SubDrop.Words(n), t.OutDrop.Words(n)
	for i := item * normRows; i < min(t.Rows, (item+1)*normRows); i++ {
		sub, sum, out := t.Sub[i*n:(i+1)*n], t.Sum[i*n:(i+1)*n], t.Out[i*n:(i+1)*n]
		if sw > 0 {
			bits := t.SubBits[i*sw : (i+1)*sw]
			t.SubDrop.bits(t.p.ops, bits, uint64(i))
			o.drop(sum, sub, bits, t.SubDrop.scale())
			sub = sum
		}
		var x []float32
		if t.X != nil {
			x = t.X[i*n : (i+1)*n]
		}
		if t.RMS {
			t.Stats[2*i], t.Stats[2*i+1] = 0, o.rmsRow(out, sum, x, sub, t.Gain, t.Eps)
		} else {
			t.Stats[2*i], t.Stats[2*i+1] = o.normRow(out, sum, x, sub, t.Gain, t.Bias, t.Eps)
		}
		if ow > 0 {
			bits := t.OutBits[i*ow : (i+1)*ow]
			t.OutDrop.bits(t.p.ops, bits, uint64(i))
			o.drop(out, out, bits, t.OutDrop.scale())
		}
	}
}

// rmsRow is normRow with a mean of zero and no bias.
func (o *ops) rmsRow(out, sum, x, sub, gain []float32, eps float32) (rstd float32) {
	switch {
	case x != nil:
		o.sum(sum, x, sub)
	case &sum[0] != &sub[0]:
		copy(sum, sub)
	}
	rstd = float32(1 / math.Sqrt(o.sumSquares(sum)/float64(len(sum))+float64(eps)))
	copy(out, sum)
	o.mul(out, gain)
	o.scale(out, rstd)
	return rstd
}

// rmsRowBackward is normRowBackward for rmsRow. work has room for two rows.
func (o *ops) rmsRowBackward(ds, dout, sum, extra, gain, dgain []float32, rstd float32, work []float32) {
	n := len(sum)
	d, hat := work[:n], work[n:2*n]
	copy(hat, sum)
	o.scale(hat, rstd)
	copy(d, dout)
	o.mul(d, hat)
	o.add(dgain, d)
	copy(d, dout)
	o.mul(d, gain)
	o.scale(hat, -o.dot(d, hat)/float32(n))
	o.add(d, hat)
	o.scale(d, rstd)
	if extra != nil {
		o.sum(ds, d, extra)
	} else {
		copy(ds, d)
	}
}

func normRow(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32) {
	n := len(sub)
	if x != nil {
		for j, v := range sub {
			sum[j] = x[j] + v
		}
	} else if &sum[0] != &sub[0] {
		copy(sum, sub)
	}
	var total float64
	for _, v := range sum {
		total += float64(v)
	}
	m := total / float64(n)
	var square float64
	for _, v := range sum {
		d := float64(v) - m
		square += d * d
	}
	r := 1 / math.Sqrt(square/float64(n)+float64(eps))
	mean, rstd = float32(m), float32(r)
	for j, v := range sum {
		out[j] = (v-mean)*rstd*gain[j] + bias[j]
	}
	return mean, rstd
}

// NormBackwardArgs describes the gradient of Norm.
type NormBackwardArgs struct {
	// NormArgs are those of the forward pass, with Sum, Stats and the bits as it
	// left them. Out is not read.
	NormArgs
	// DOut is the gradient of Out. It is overwritten when OutDrop drops anything.
	DOut []float32
	// DSum, unless nil, is the gradient that reaches Sum by another way.
	DSum []float32
	// DSub receives the gradient of Sub. It may be DOut or DSum.
	DSub []float32
	// DX, unless nil, receives the gradient of X; AddX adds to what it holds.
	DX   []float32
	AddX bool
	// DGain and DBias, to which the gradients of Gain and Bias are added.
	DGain, DBias []float32
}

// NormBackward runs a.
func NormBackward(p *Pool, a NormBackwardArgs) {
	p.begin()
	blocks := (a.Rows + normRows - 1) / normRows
	t := &p.normB
	t.NormBackwardArgs = a
	t.partial = grow(t.partial, blocks*2*a.Cols)
	t.p, t.blocks = p, blocks
	t.sum = false
	p.run(blocks, t)
	t.sum = true
	p.run((a.Cols+sumCols-1)/sumCols, t)
	t.NormBackwardArgs = NormBackwardArgs{}
	p.end("norm backward", 0, 16*float64(a.Rows)*float64(a.Cols))
}

type normBackwardTask struct {
	NormBackwardArgs
	p       *Pool
	partial []float32
	blocks  int
	sum     bool
}

func (t *normBackwardTask) do(worker, item int) {
	n, o := t.Cols, t.p.ops
	if t.sum {
		first := item * sumCols
		last := min(n, first+sumCols)
		for b := range t.blocks {
			p := t.partial[b*2*n : (b+1)*2*n]
			o.add(t.DGain[first:last], p[first:last])
			if t.DBias != nil {
				o.add(t.DBias[first:last], p[n+first:n+last])
			}
		}
		return
	}
	part := t.partial[item*2*n : (item+1)*2*n]
	clear(part)
	sw, ow := t.SubDrop.Words(n), t.OutDrop.Words(n)
	for i := item * normRows; i < min(t.Rows, (item+1)*normRows); i++ {
		row := func(s []float32) []float32 { return s[i*n : (i+1)*n] }
		dout, dsub := row(t.DOut), row(t.DSub)
		if ow > 0 {
			o.drop(dout, dout, t.OutBits[i*ow:(i+1)*ow], t.OutDrop.scale())
		}
		var extra []float32
		if t.DSum != nil {
			extra = row(t.DSum)
		}
		if t.RMS {
			work := t.p.scratch[worker].floats(9, 2*n)
			o.rmsRowBackward(dsub, dout, row(t.Sum), extra, t.Gain, part[:n], t.Stats[2*i+1], work)
		} else {
			o.normRowBackward(dsub, dout, row(t.Sum), extra, t.Gain, part[:n], part[n:], t.Stats[2*i], t.Stats[2*i+1])
		}
		if t.DX != nil {
			dx := row(t.DX)
			if t.AddX {
				o.add(dx, dsub)
			} else {
				copy(dx, dsub)
			}
		}
		if sw > 0 {
			o.drop(dsub, dsub, t.SubBits[i*sw:(i+1)*sw], t.SubDrop.scale())
		}
	}
}

// normRowBackward sets ds to the gradient of a row's sum and adds the row's
// share to the gradients of gain and bias.
func normRowBackward(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32) {
	n := len(sum)
	var a, b float64
	for j, v := range dout {
		hat := (sum[j] - mean) * rstd
		dgain[j] += v * hat
		dbias[j] += v
		d := v * gain[j]
		a += float64(d)
		b += float64(d * hat)
	}
	ma, mb := float32(a/float64(n)), float32(b/float64(n))
	for j, v := range dout {
		hat := (sum[j] - mean) * rstd
		s := rstd * (v*gain[j] - ma - hat*mb)
		if extra != nil {
			s += extra[j]
		}
		ds[j] = s
	}
}
