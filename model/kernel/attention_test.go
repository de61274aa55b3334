package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// attentionCase is attention over two sequences with everything that bears on it.
type attentionCase struct {
	heads, dim, span int
	bounds           []int32
	q, k, v, bias    []float32
	ranks            []int32
}

func newAttentionCase(heads, dim int, ranked bool, bounds ...int32) *attentionCase {
	r := rand.New(rand.NewPCG(5, uint64(dim)))
	n := int(bounds[len(bounds)-1])
	c := &attentionCase{heads: heads, dim: dim, bounds: bounds}
	for i := range len(bounds) - 1 {
		c.span = max(c.span, int(bounds[i+1]-bounds[i]))
	}
	c.q, c.k, c.v = random(r, n*heads*dim), random(r, n*heads*dim), random(r, n*heads*dim)
	c.bias = random(r, heads*(2*c.span-1))
	for s := 0; ranked && s < len(bounds)-1; s++ {
		for i := range bounds[s+1] - bounds[s] {
			c.ranks = append(c.ranks, i)
		}
	}
	return c
}

// loss is the sum of the results times the weights, in float64, one after the
// other.
func (c *attentionCase) loss(weights []float32) (total float64, out []float64) {
	width := c.heads * c.dim
	out = make([]float64, len(c.q))
	for s := range len(c.bounds) - 1 {
		lo, hi := int(c.bounds[s]), int(c.bounds[s+1])
		for h := range c.heads {
			for i := lo; i < hi; i++ {
				p := make([]float64, hi-lo)
				var sum float64
				for j := lo; j < hi; j++ {
					if c.ranks != nil && c.ranks[j] > c.ranks[i] {
						continue
					}
					var x float64
					for l := range c.dim {
						x += float64(c.q[i*width+h*c.dim+l]) * float64(c.k[j*width+h*c.dim+l])
					}
					x = x/math.Sqrt(float64(c.dim)) + float64(c.bias[h*(2*c.span-1)+c.span-1+j-i])
					p[j-lo] = math.Exp(x)
					sum += p[j-lo]
				}
				for l := range c.dim {
					at := i*width + h*c.dim + l
					for j := range p {
						out[at] += p[j] / sum * float64(c.v[(lo+j)*width+h*c.dim+l])
					}
					total += out[at] * float64(weights[at])
				}
			}
		}
	}
	return total, out
}

// TestBiasedAttention holds attention with a bias, and all its gradients, against
// float64 and central differences.
func TestBiasedAttention(t *testing.T) { testBiasedAttention(t, native()) }

func testBiasedAttention(t *testing.T, variants []variant) {
	for _, ranked := range []bool{false, true} {
		c := newAttentionCase(3, 20, ranked, 0, 61, 64, 70)
		n, width := len(c.q)/(c.heads*c.dim), c.heads*c.dim
		weights := random(rand.New(rand.NewPCG(6, 6)), len(c.q))
		_, want := c.loss(weights)
		var first []float32
		for _, set := range variants {
			for _, jobs := range []int{1, 3} {
				p := set.pool(t, jobs)
				mat := func() Mat { return Mat{make([]float32, len(c.q)), width} }
				a := AttentionArgs{
					Heads: c.heads, HeadDim: c.dim, Q: Mat{c.q, width}, K: Mat{c.k, width}, V: Mat{c.v, width}, Out: mat(),
					QBounds: c.bounds, KBounds: c.bounds, QRanks: c.ranks, KRanks: c.ranks,
					Norms: make([]float32, c.heads*n), Bias: c.bias, Span: c.span,
				}
				Attention(p, a)
				for i, x := range want {
					if !close32(a.Out.Data[i], float32(x), 5e-6) {
						t.Fatalf("%v: result %d is %v, want %v", set, i, a.Out.Data[i], x)
					}
				}
				b := AttentionBackwardArgs{
					AttentionArgs: a, DOut: Mat{weights, width}, DQ: mat(), DK: mat(), DV: mat(), DBias: make([]float32, len(c.bias)),
				}
				AttentionBackward(p, b)
				for _, x := range []struct {
					what      string
					data, got []float32
				}{{"query", c.q, b.DQ.Data}, {"key", c.k, b.DK.Data}, {"value", c.v, b.DV.Data}, {"bias", c.bias, b.DBias}} {
					for i := 7; i < len(x.data); i += len(x.data)/9 + 1 {
						const e = 1e-2
						old := x.data[i]
						x.data[i] = old + e
						up, _ := c.loss(weights)
						x.data[i] = old - e
						down, _ := c.loss(weights)
						x.data[i] = old
						if slope := (up - down) / (2 * e); math.Abs(float64(x.got[i])-slope) > 2e-3*(1+math.Abs(slope)) {
							t.Errorf("%v, ranks %v: gradient of %s %d is %v, want %v", set, ranked, x.what, i, x.got[i], slope)
						}
					}
				}
				all := slices.Concat(a.Out.Data, b.DQ.Data, b.DK.Data, b.DV.Data, b.DBias)
				if jobs == 1 {
					first = all
				} else if !slices.Equal(first, all) {
					t.Errorf("%v: depends on the number of workers", set)
				}
			}
		}
	}
}

// TestGatheredQueriesKeepTheirBias asks for some of the queries, with their
// positions.
func TestGatheredQueriesKeepTheirBias(t *testing.T) {
	c := newAttentionCase(2, 16, true, 0, 30, 41)
	width := c.heads * c.dim
	_, want := c.loss(make([]float32, len(c.q)))
	rows := []int32{3, 17, 29, 35}
	positions := []int32{3, 17, 29, 5}
	var q []float32
	var ranks []int32
	for _, r := range rows {
		q = append(q, c.q[int(r)*width:][:width]...)
		ranks = append(ranks, c.ranks[r])
	}
	p := pool(t, 2, Best())
	out := Mat{make([]float32, len(q)), width}
	Attention(p, AttentionArgs{
		Heads: c.heads, HeadDim: c.dim, Q: Mat{q, width}, K: Mat{c.k, width}, V: Mat{c.v, width}, Out: out,
		QBounds: []int32{0, 3, 4}, KBounds: c.bounds, QRanks: ranks, KRanks: c.ranks, QPositions: positions,
		Norms: make([]float32, c.heads*len(rows)), Bias: c.bias, Span: c.span,
	})
	for i, r := range rows {
		for l := range width {
			if x := float32(want[int(r)*width+l]); !close32(out.Data[i*width+l], x, 5e-6) {
				t.Fatalf("row %d: %v, want %v", r, out.Data[i*width+l], x)
			}
		}
	}
}

func TestALiBi(t *testing.T) {
	bias := make([]float32, 8*5)
	ALiBi(bias, 8, 3)
	if got, want := bias[:5], []float32{-1, -0.5, 0, -0.5, -1}; !slices.Equal(got, want) {
		t.Errorf("first head %v, want %v", got, want)
	}
	if bias[7*5] != -2.0/256 {
		t.Errorf("last head loses %v two positions away", bias[7*5])
	}
	// Of twelve heads the last four have every other slope of sixteen.
	bias = make([]float32, 12*3)
	ALiBi(bias, 12, 2)
	if got, want := float64(bias[8*3]), -math.Exp2(-0.5); math.Abs(got-want) > 1e-6 {
		t.Errorf("ninth head loses %v a position, want %v", got, want)
	}
}

// TestRMSNorm holds the norm without a mean, its residual and all its gradients
// against float64 and central differences.
func TestRMSNorm(t *testing.T) {
	const rows, cols, eps = 37, 45, 1e-3
	r := rand.New(rand.NewPCG(8, 8))
	x, sub, gain, weights := random(r, rows*cols), random(r, rows*cols), random(r, cols), random(r, rows*cols)
	loss := func() (total float64, out []float64) {
		for i := range rows {
			var square float64
			for j := range cols {
				s := float64(x[i*cols+j]) + float64(sub[i*cols+j])
				square += s * s
			}
			rms := math.Sqrt(square/cols + eps)
			for j := range cols {
				y := (float64(x[i*cols+j]) + float64(sub[i*cols+j])) / rms * float64(gain[j])
				out = append(out, y)
				total += y * float64(weights[i*cols+j])
			}
		}
		return total, out
	}
	_, want := loss()
	for _, set := range sets() {
		p := pool(t, 2, set)
		n := func() []float32 { return make([]float32, rows*cols) }
		a := NormArgs{Rows: rows, Cols: cols, X: x, Sub: sub, Sum: n(), RMS: true, Gain: gain, Eps: eps, Out: n(), Stats: make([]float32, 2*rows)}
		Norm(p, a)
		for i, v := range want {
			if !close32(a.Out[i], float32(v), 1e-6) {
				t.Fatalf("%v: %v, want %v", set, a.Out[i], v)
			}
		}
		b := NormBackwardArgs{NormArgs: a, DOut: slices.Clone(weights), DX: n(), DGain: make([]float32, cols)}
		b.DSub = b.DOut
		NormBackward(p, b)
		for _, y := range []struct{ data, got []float32 }{{x, b.DX}, {sub, b.DSub}, {gain, b.DGain}} {
			for i := 3; i < len(y.data); i += len(y.data)/8 + 1 {
				const e = 1e-2
				old := y.data[i]
				y.data[i] = old + e
				up, _ := loss()
				y.data[i] = old - e
				down, _ := loss()
				y.data[i] = old
				if slope := (up - down) / (2 * e); math.Abs(float64(y.got[i])-slope) > 1e-3*(1+math.Abs(slope)) {
					t.Errorf("%v: gradient %v, want %v", set, y.got[i], slope)
				}
			}
		}
	}
}
