package model

import (
	"math"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model/tensor"
)

// reference is the models written down in float64, position by position, as the
// papers have them. Every faster form is compared with it.
type reference struct {
	c Config
	w *weights
	v map[*tensor.Tensor][]float64
}

func newReference(m *Model) *reference {
	r := &reference{m.config, m.w, map[*tensor.Tensor][]float64{}}
	for _, p := range m.params {
		d := make([]float64, len(p.Data))
		for i, v := range p.Data {
			d[i] = float64(v)
		}
		r.v[*p.place] = d
	}
	return r
}

func (r *reference) linear(l tensor.Layer, x []float64) []float64 {
	w, b := r.v[l.Weight], r.v[l.Bias]
	y := make([]float64, len(b))
	for o := range y {
		y[o] = b[o]
		for i, v := range x {
			if l.InputMajor {
				y[o] += w[i*len(b)+o] * v
			} else {
				y[o] += w[o*len(x)+i] * v
			}
		}
	}
	return y
}

func (r *reference) norm(n normParams, x []float64) []float64 {
	g, b := r.v[n.gain], r.v[n.bias]
	d := float64(len(x))
	var mean, variance float64
	for _, v := range x {
		mean += v / d
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / d
	}
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = (v-mean)/math.Sqrt(variance+r.c.LayerNormEps)*g[i] + b[i]
	}
	return y
}

func (r *reference) act(x []float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		if r.c.HiddenAct == "gelu" {
			y[i] = v * 0.5 * (1 + math.Erf(v/math.Sqrt2))
		} else {
			y[i] = 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
		}
	}
	return y
}

func plus(x, y []float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = x[i] + y[i]
	}
	return z
}

// hidden returns the trunk's output at every position.
func (r *reference) hidden(b *masking.Batch) [][]float64 {
	h := r.c.HiddenSize
	row := func(t *tensor.Tensor, i int) []float64 { return r.v[t][i*h : (i+1)*h] }
	var out [][]float64
	for s := range b.Sequences() {
		from, to := int(b.SeqBounds[s]), int(b.SeqBounds[s+1])
		x := make([][]float64, to-from)
		for i := range x {
			x[i] = plus(row(r.w.word, int(b.Tokens[from+i])), row(r.w.position, i+r.c.positionOffset()))
			if r.w.segment != nil {
				x[i] = plus(x[i], row(r.w.segment, int(b.Segments[from+i])))
			}
		}
		sees := func(i, j int) bool {
			if b.Ranks == nil {
				return r.c.ModelType != "gpt2" || j <= i
			}
			return b.Ranks[from+j] <= b.Ranks[from+i]
		}
		if r.c.ModelType == "gpt2" {
			for _, l := range r.w.layers {
				qkv := r.each(x, func(v []float64) []float64 { return r.linear(l.qkv, r.norm(l.outerNorm, v)) })
				y := r.attend(qkv, qkv, qkv, 0, h, 2*h, sees)
				for i := range x {
					x[i] = plus(x[i], r.linear(l.attended, y[i]))
					x[i] = plus(x[i], r.linear(l.outer, r.act(r.linear(l.inner, r.norm(l.attendedNorm, x[i])))))
				}
			}
			x = r.each(x, func(v []float64) []float64 { return r.norm(r.w.lastNorm, v) })
		} else {
			x = r.each(x, func(v []float64) []float64 { return r.norm(r.w.embedNorm, v) })
			for _, l := range r.w.layers {
				q := r.each(x, func(v []float64) []float64 { return r.linear(l.query, v) })
				k := r.each(x, func(v []float64) []float64 { return r.linear(l.key, v) })
				v := r.each(x, func(v []float64) []float64 { return r.linear(l.value, v) })
				y := r.attend(q, k, v, 0, 0, 0, sees)
				for i := range x {
					x[i] = r.norm(l.attendedNorm, plus(x[i], r.linear(l.attended, y[i])))
					x[i] = r.norm(l.outerNorm, plus(x[i], r.linear(l.outer, r.act(r.linear(l.inner, x[i])))))
				}
			}
		}
		out = append(out, x...)
	}
	return out
}

func (r *reference) each(x [][]float64, f func([]float64) []float64) [][]float64 {
	y := make([][]float64, len(x))
	for i := range x {
		y[i] = f(x[i])
	}
	return y
}

func (r *reference) attend(q, k, v [][]float64, qFrom, kFrom, vFrom int, sees func(i, j int) bool) [][]float64 {
	h := r.c.HiddenSize
	d := h / r.c.NumAttentionHeads
	out := make([][]float64, len(q))
	for i := range q {
		out[i] = make([]float64, h)
		for a := 0; a < h; a += d {
			w := make([]float64, len(k))
			var sum float64
			for j := range k {
				if !sees(i, j) {
					continue
				}
				var dot float64
				for c := a; c < a+d; c++ {
					dot += q[i][qFrom+c] * k[j][kFrom+c]
				}
				w[j] = math.Exp(dot / math.Sqrt(float64(d)))
				sum += w[j]
			}
			for j := range k {
				for c := a; c < a+d; c++ {
					out[i][c] += w[j] / sum * v[j][vFrom+c]
				}
			}
		}
	}
	return out
}

func (r *reference) tokenLogits(x []float64) []float64 {
	if r.w.transform.Weight != nil {
		x = r.norm(r.w.transformNorm, r.act(r.linear(r.w.transform, x)))
	}
	z := make([]float64, r.c.VocabSize)
	for v := range z {
		if r.w.decoderBias != nil {
			z[v] = r.v[r.w.decoderBias][v]
		}
		for i, e := range r.v[r.w.word][v*len(x) : (v+1)*len(x)] {
			z[v] += e * x[i]
		}
	}
	return z
}

func (r *reference) pairLogits(x []float64) []float64 {
	y := r.linear(r.w.pooler, x)
	for i := range y {
		y[i] = math.Tanh(y[i])
	}
	return r.linear(r.w.pair, y)
}

func nll(logits []float64, label int32) float64 {
	var sum float64
	for _, z := range logits {
		sum += math.Exp(z)
	}
	return math.Log(sum) - logits[label]
}

func (r *reference) losses(b *masking.Batch) (token, pair float64) {
	x := r.hidden(b)
	for i, p := range b.Predict {
		token += nll(r.tokenLogits(x[p]), b.Labels[i])
	}
	for s, l := range b.PairLabels {
		pair += nll(r.pairLogits(x[b.SeqBounds[s]]), l)
	}
	return token, pair
}
