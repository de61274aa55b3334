package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// oddFloats are numbers at which rounding, small and infinite numbers and what is no
// number meet, and many of any bits.
func oddFloats(r *rand.Rand, n int) []float32 {
	x := []float32{
		0, float32(math.Copysign(0, -1)), 1, -1, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), math.MaxFloat32, -math.MaxFloat32,
		math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 0x1p-126, -0x1p-126, 0x1.fffffcp-127, 0x1.01p-126, 0x1p-63, -0x1p-64,
		1 + 1.0/256, 1 + 3.0/256, 1 + 1.0/256 + 1.0/(1<<20), 1 + 1.0/128,
		math.Float32frombits(0x7fffffff), math.Float32frombits(0x7f800001), math.Float32frombits(0xff800001), math.Float32frombits(0x7f7f8000), math.Float32frombits(0x007f8000),
	}
	for len(x) < n {
		x = append(x, math.Float32frombits(r.Uint32()), float32(r.NormFloat64()), math.Float32frombits(r.Uint32()&^0xffff|0x8000), float32(math.Ldexp(r.NormFloat64(), -62-r.IntN(4))))
	}
	return x
}

// sameBits says that two floats have the same bits or are both no number.
func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

// TestMultiplyAddRoundsOnce holds the sum with a product against one of any
// precision that is rounded once.
func TestMultiplyAddRoundsOnce(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	for range 200000 {
		s := math.Float32frombits(r.Uint32())
		x, y := math.Float32frombits(r.Uint32()&^0xffff), math.Float32frombits(r.Uint32()&^0xffff)
		if r.IntN(2) == 0 {
			// A product near the sum, or half a unit of its last place beside it.
			s = float32(math.Ldexp(float64(s), -math.Ilogb(float64(s))))
			e := []int{0, -23, -24, -25, -26}[r.IntN(5)]
			x = float32(math.Ldexp(float64(1+r.IntN(255))/128, e))
			y = float32(1+r.IntN(255)) / 128
			if r.IntN(2) == 0 {
				x = -x
			}
		}
		bad := func(v float32) bool { return v != v || math.IsInf(float64(v), 0) || normal(v) != v || v == 0 }
		if bad(s) || bad(x) || bad(y) {
			continue
		}
		b := func(v float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(v)) }
		sum := new(big.Float).SetPrec(2000).Mul(b(x), b(y))
		sum.Add(sum, b(s))
		want, _ := new(big.Float).SetPrec(24).Set(sum).Float32()
		if sum.Sign() == 0 || normal(want) == 0 {
			continue
		}
		if got := multiplyAdd(s, x, y); math.Float32bits(got) != math.Float32bits(want) {
			t.Fatalf("%x+%x*%x = %x, want %x", s, x, y, got, want)
		}
	}
}

// TestPairsOfBF16 holds the making of pairs against the rounding of single numbers.
func TestPairsOfBF16(t *testing.T) { testPairsOfBF16(t, pairs()) }

func testPairsOfBF16(t *testing.T, variants []variant) {
	all := oddFloats(rand.New(rand.NewPCG(7, 2)), 3000)
	rounded := make([]float32, len(all))
	roundBF16(rounded, all)
	check := func(what string, n int, pair, x, y float32) {
		t.Helper()
		for half, want := range []float32{x, y} {
			got := math.Float32frombits(math.Float32bits(pair) << (16 * (1 - half)) &^ 0xffff)
			if normal(want) == 0 {
				want = normal(want)
			}
			roundBF16([]float32{want}, []float32{want})
			if !sameBits(got, want) {
				t.Fatalf("%s of %d: half %d is %x, want %x", what, n, half, got, want)
			}
		}
	}
	for _, v := range variants {
		for n := range 131 {
			at := n * 13
			x, r := all[at:at+n], rounded[at:at+n]
			for i := range r {
				// Numbers that are not normal become zero before they are rounded.
				if normal(x[i]) == 0 {
					r[i] = normal(x[i])
				}
			}
			get := func(s []float32, i int) float32 {
				if i < len(s) {
					return s[i]
				}
				return 0
			}
			dst, end := guarded(t, make([]float32, (n+1)/2))
			v.ops.pairs(dst, x)
			end()
			for i, p := range dst {
				check(v.name+": pairs", n, p, get(r, 2*i), get(r, 2*i+1))
			}
			same := append([]float32(nil), x...)
			v.ops.pairs(same[:(n+1)/2], same)
			for i, p := range dst {
				if !sameBits(same[i], p) && math.Float32bits(same[i]) != math.Float32bits(p) {
					t.Fatalf("%v: pairs of %d in their place differ at %d", v, n, i)
				}
			}
			y := all[at+7:][:n]
			for _, y := range [][]float32{nil, y} {
				dst, end := guarded(t, make([]float32, n))
				v.ops.interleave(dst, x, y)
				end()
				same := append([]float32(nil), x...)
				v.ops.interleave(same, same, y)
				for i, p := range dst {
					want := float32(0)
					if y != nil {
						want = y[i]
						if normal(want) == 0 {
							want = normal(want)
						} else {
							one := []float32{want}
							roundBF16(one, one)
							want = one[0]
						}
					}
					check(v.name+": interleaved", n, p, r[i], want)
					if math.Float32bits(same[i]) != math.Float32bits(p) {
						t.Fatalf("%v: %d interleaved in their place differ at %d", v, n, i)
					}
				}
			}
		}
	}
}

// TestBlockOfPairs runs the micro-kernel on every height and many widths of the tile
// and holds it against the specification.
func TestBlockOfPairs(t *testing.T) { testBlockOfPairs(t, pairs()) }

func testBlockOfPairs(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(7, 3))
	for _, v := range variants {
		nr := v.ops.nr
		for rows := 1; rows <= 2*v.ops.mr+1; rows++ {
			for _, cols := range []int{1, nr / 2, nr/2 + 1, nr - 1, nr, 1 + r.IntN(nr)} {
				depth, odd := r.IntN(20), r.IntN(3) == 0
				make32 := func(n int) []float32 {
					x := make([]float32, 2*n)
					if odd {
						r.Shuffle(copy(x, oddFloats(r, len(x))), func(i, j int) { x[i], x[j] = x[j], x[i] })
					} else {
						copy(x, random(r, len(x)))
					}
					pairsBF16(x[:n], x)
					return x[:n]
				}
				w := tile{rows: rows, cols: cols, k: depth, add: r.IntN(2) == 0, ldb: nr + r.IntN(2)*3, ldc: cols + r.IntN(5)}
				if r.IntN(2) == 0 {
					w.setA(v.ops.mr, make32(rows*(depth+3)), depth+3, 1)
				} else {
					w.setA(v.ops.mr, make32(depth*(rows+2)+rows), 1, rows+2)
				}
				w.b = make32(depth*w.ldb + nr)
				c := random(r, rows*w.ldc)
				want := w
				var end func()
				w.c, end = guarded(t, c)
				want.c = append([]float32(nil), c...)
				v.ops.blockPairs(&w)
				referenceBlockBF16(&want)
				end()
				for i, x := range w.c {
					bound := 0.0
					if !v.exact && !odd {
						// Of a sum of normal products in another order.
						bound = 1e-5 * float64(depth+1)
					}
					same := sameBits(x, want.c[i]) || math.Abs(float64(x)-float64(want.c[i])) <= bound
					if !same && (v.exact || !odd) {
						t.Fatalf("%v: %d rows, %d columns, depth %d, add %v: element %d is %x, want %x", v, rows, cols, depth, w.add, i, x, want.c[i])
					}
				}
			}
		}
	}
}
