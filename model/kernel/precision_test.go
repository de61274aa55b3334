package kernel

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestParsePrecision(t *testing.T) {
	for _, p := range []Precision{FP32, BF16} {
		if got, err := ParsePrecision(p.String()); err != nil || got != p {
			t.Errorf("%v is read as %v, %v", p, got, err)
		}
	}
	if got, err := ParsePrecision(""); err != nil || got != FP32 {
		t.Errorf("nothing is read as %v, %v", got, err)
	}
	if _, err := ParsePrecision("fp8"); !errors.Is(err, ErrUnknownPrecision) {
		t.Errorf("fp8 gives %v", err)
	}
}

// TestRoundBF16 compares bits: of the reference with the nearest of the two
// numbers around, and of every set with the reference.
func TestRoundBF16(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	x := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, 1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/256 + 1.0/(1<<20), 1 + 1.0/128,
		math.Float32frombits(0x7fffffff), math.Float32frombits(0x7f800001), math.Float32frombits(0xff800001), math.Float32frombits(0x7f7f8000),
	}
	for range 5000 {
		x = append(x, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()), math.Float32frombits(r.Uint32()&^0xffff|0x8000))
	}
	want := make([]float32, len(x))
	roundBF16(want, x)
	for i, v := range x {
		got := want[i]
		if v != v {
			if got == got {
				t.Fatalf("%x, which is no number, becomes %v", math.Float32bits(v), got)
			}
			continue
		}
		low := math.Float32bits(v) &^ 0xffff
		a, b := math.Float32frombits(low), math.Float32frombits(low+0x10000)
		if math.IsInf(float64(b), 0) {
			// As if the exponents went on.
			if up := math.Float32bits(v)&0xffff >= 0x8000; up != math.IsInf(float64(got), 0) && !math.IsInf(float64(v), 0) {
				t.Fatalf("%v becomes %v", v, got)
			}
			continue
		}
		da, db := math.Abs(float64(v)-float64(a)), math.Abs(float64(b)-float64(v))
		nearest := a
		if db < da || db == da && low>>16&1 == 1 {
			nearest = b
		}
		if math.Float32bits(got) != math.Float32bits(nearest) {
			t.Fatalf("%v (%x) becomes %v, want %v", v, math.Float32bits(v), got, nearest)
		}
	}
	for _, set := range sets() {
		for _, n := range []int{0, 1, 7, 8, 9, 31, len(x)} {
			got := make([]float32, n+1)
			got[n] = 7
			opsOf(set).roundBF16(got[:n], x[:n])
			for i := range n {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v: %x becomes %x, want %x", set, math.Float32bits(x[i]), math.Float32bits(got[i]), math.Float32bits(want[i]))
				}
			}
			if got[n] != 7 {
				t.Fatalf("%v: written beyond the end", set)
			}
		}
	}
}

// pairs returns what multiplies pairs of bf16: the specification with the least tile
// and with that of AVX512BF16, and the processor's own, if it has any.
func pairs() []variant {
	small := referenceOps
	small.blockPairs, small.pairs, small.interleave = referenceBlockBF16, pairsBF16, interleaveBF16
	large := small
	large.mr, large.nr = 14, 32
	out := []variant{{name: "specification", ops: &small, exact: true}, {name: "specification of 14x32", ops: &large, exact: true}}
	for _, v := range native() {
		if v.ops.blockPairs != nil {
			out = append(out, v)
		}
	}
	return out
}

// TestGemmBF16 holds a product in bf16 against the product in fp32 of factors that
// were rounded before: the bits are the same, or for pairs, which are summed in
// another order, the numbers to rounding; for any number of workers.
func TestGemmBF16(t *testing.T) { testGemmBF16(t, append(native(), pairs()...)) }

func testGemmBF16(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(4, 4))
	shapes := [][3]int{{1, 1, 1}, {5, 16, 3}, {14, 32, 16}, {29, 66, 300}, {113, 97, 40}, {240, 48, 513}, {70, 1100, 64}, {100, 130, 512}}
	for _, set := range variants {
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			if set.exact && m*n*k > 1e6 {
				continue // the specification takes its time
			}
			for _, form := range []Form{NN, NT, TN} {
				ra, ca, rb, cb := m, k, k, n
				if form == NT {
					rb, cb = n, k
				}
				if form == TN {
					ra, ca = k, m
				}
				a, b, start := random(r, ra*ca), random(r, rb*cb), random(r, m*n)
				ar, br := make([]float32, len(a)), make([]float32, len(b))
				roundBF16(ar, a)
				roundBF16(br, b)
				for _, accumulate := range []bool{false, true} {
					g := GemmArgs{Form: form, M: m, N: n, K: k, Accumulate: accumulate}
					product := func(p *Pool, a, b []float32, precision Precision) []float32 {
						c := slices.Clone(start)
						g.A, g.B[0], g.C, g.Precision = Mat{a, ca}, Mat{b, cb}, Mat{c, n}, precision
						Gemm(p, g)
						return c
					}
					exact := set.ops.blockPairs == nil
					reference := pool(t, 1, Reference)
					if exact {
						reference = set.pool(t, 1)
					}
					want := product(reference, ar, br, FP32)
					var first []float32
					for _, jobs := range []int{1, 3} {
						got := product(set.pool(t, jobs), a, b, BF16)
						if exact && !slices.Equal(got, want) || distance(got, want) > 1e-6 {
							t.Fatalf("%v, form %d of %v, %d jobs: not the product of the rounded factors", set, form, s, jobs)
						}
						if first != nil && !slices.Equal(got, first) {
							t.Fatalf("%v, form %d of %v: depends on the number of workers", set, form, s)
						}
						first = got
					}
				}
			}
		}
	}
}

// TestPartsBF16 holds a product of a second factor in parts of odd numbers of rows
// against that of their stack.
func TestPartsBF16(t *testing.T) { testPartsBF16(t, append(native(), pairs()...)) }

func testPartsBF16(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(4, 5))
	const m, part, k = 37, 19, 45
	var parts [3]Mat
	all := Mat{nil, k}
	for i := range parts {
		parts[i] = Mat{random(r, part*k), k}
		all.Data = append(all.Data, parts[i].Data...)
	}
	for _, set := range variants {
		p := set.pool(t, 2)
		for _, form := range []Form{NT, NN} {
			g := GemmArgs{Form: form, M: m, N: 3 * part, K: k, Precision: BF16}
			if form == NN {
				g.N, g.K = k, 3*part
			}
			g.A = Mat{random(r, m*g.K), g.K}
			product := func(b [3]Mat, n int) []float32 {
				c := make([]float32, m*g.N)
				g.B, g.BParts, g.C = b, n, Mat{c, g.N}
				Gemm(p, g)
				return c
			}
			if !slices.Equal(product(parts, 3), product([3]Mat{all}, 1)) {
				t.Errorf("%v, form %d: parts of B are not their stack", set, form)
			}
		}
	}
}

// TestAttentionBF16 holds attention in bf16, forward and backward, against fp32:
// they lie as far apart as eight bits of fraction let them, and not together; and
// the results are the same for any number of workers.
func TestAttentionBF16(t *testing.T) { testAttentionBF16(t, append(native(), pairs()...)) }

func testAttentionBF16(t *testing.T, variants []variant) {
	for _, ranked := range []bool{false, true} {
		c := newAttentionCase(3, 21, ranked, 0, 61, 64, 70)
		n, width := len(c.q)/(c.heads*c.dim), c.heads*c.dim
		weights := random(rand.New(rand.NewPCG(6, 6)), len(c.q))
		run := func(p *Pool, precision Precision) [4][]float32 {
			m := func() Mat { return Mat{make([]float32, len(c.q)), width} }
			a := AttentionArgs{
				Heads: c.heads, HeadDim: c.dim, Q: Mat{c.q, width}, K: Mat{c.k, width}, V: Mat{c.v, width}, Out: m(),
				QBounds: c.bounds, KBounds: c.bounds, QRanks: c.ranks, KRanks: c.ranks, Norms: make([]float32, c.heads*n),
				Precision: precision,
			}
			Attention(p, a)
			b := AttentionBackwardArgs{AttentionArgs: a, DOut: Mat{weights, width}, DQ: m(), DK: m(), DV: m()}
			AttentionBackward(p, b)
			return [4][]float32{a.Out.Data, b.DQ.Data, b.DK.Data, b.DV.Data}
		}
		want, rounded := run(pool(t, 1, Reference), FP32), run(pool(t, 1, Reference), BF16)
		for _, set := range variants {
			got, again := run(set.pool(t, 1), BF16), run(set.pool(t, 3), BF16)
			for i := range want {
				if !slices.Equal(got[i], again[i]) {
					t.Errorf("%v: result %d depends on the number of workers", set, i)
				}
				if apart := distance(got[i], want[i]); apart > 1e-2 || apart < 1e-4 {
					t.Errorf("%v, ranked %v: result %d lies %v of its norm from fp32's", set, ranked, i, apart)
				}
				// Another order of sums moves a few factors across a tie.
				if apart := distance(got[i], rounded[i]); apart > 5e-4 {
					t.Errorf("%v, ranked %v: result %d lies %v of its norm from the reference's in bf16", set, ranked, i, apart)
				}
			}
		}
	}
}

// distance is the norm of a-b in norms of b.
func distance(a, b []float32) float64 {
	var apart, size float64
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		apart += d * d
		size += float64(b[i]) * float64(b[i])
	}
	return math.Sqrt(apart / size)
}
