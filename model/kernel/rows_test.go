package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// lengths of rows that meet every edge of the vectors.
var lengths = []int{1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 128, 257, 768}

// vectorSets calls f for each set but the reference, with the reference beside.
func vectorSets(t *testing.T, variants []variant, f func(t *testing.T, got, want *ops)) {
	for _, v := range variants {
		if v.ops != &referenceOps {
			t.Run(v.name, func(t *testing.T) { f(t, v.ops, &referenceOps) })
		}
	}
}

// equal32 fails unless two slices agree to a tolerance relative to one plus the
// value.
func equal32(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	for i := range want {
		if !close32(got[i], want[i], tolerance) && !(math.IsNaN(float64(got[i])) && math.IsNaN(float64(want[i]))) {
			t.Fatalf("%s of %d: element %d is %v, want %v", what, len(want), i, got[i], want[i])
		}
	}
}

// guarded returns a copy of x at the front of longer memory, and a check that
// what follows was not written.
func guarded(t *testing.T, x []float32) ([]float32, func()) {
	long := append(slices.Clone(x), make([]float32, 40)...)
	for i := range long[len(x):] {
		long[len(x)+i] = 12345
	}
	return long[:len(x)], func() {
		t.Helper()
		for _, v := range long[len(x):] {
			if v != 12345 {
				t.Fatalf("row of %d: wrote beyond the end", len(x))
			}
		}
	}
}

func TestActivationsAgree(t *testing.T) { testActivationsAgree(t, native()) }

func testActivationsAgree(t *testing.T, variants []variant) {
	vectorSets(t, variants, func(t *testing.T, got, want *ops) {
		var x []float32
		for v := -14.0; v < 14; v += 0.01 {
			x = append(x, float32(v))
		}
		x = append(x, 0, float32(math.Copysign(0, -1)), 1e-30, -1e-30, 50, -50, 200, -200)
		for _, act := range []Activation{GELU, GELUTanh, SiLU, ReLU} {
			for _, n := range append(lengths, len(x)) {
				from := 0
				if n < len(x) {
					from = 1300
				}
				a, check := guarded(t, x[from:from+n])
				d, checkSlope := guarded(t, make([]float32, n))
				b, e := slices.Clone(a), make([]float32, n)
				got.activate(act, a, d)
				want.activate(act, b, e)
				equal32(t, "activation", a, b, 5e-7)
				equal32(t, "slope", d, e, 1e-6)
				check()
				checkSlope()
				c := slices.Clone(x[from : from+n])
				got.activate(act, c, nil)
				if !slices.Equal(a, c) {
					t.Error("the activation depends on whether the slope is asked for")
				}
			}
		}
	})
}

func TestRowsAgree(t *testing.T) { testRowsAgree(t, native()) }

func testRowsAgree(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(3, 1))
	vectorSets(t, variants, func(t *testing.T, got, want *ops) {
		for _, n := range lengths {
			x, y, z := random(r, n), random(r, n), random(r, n)
			twice := func(f func(o *ops, a []float32) []float32, tolerance float64) {
				t.Helper()
				a, check := guarded(t, x)
				b := slices.Clone(x)
				u, v := f(got, a), f(want, b)
				check()
				equal32(t, "row", a, b, tolerance)
				equal32(t, "result", u, v, tolerance)
			}
			twice(func(o *ops, a []float32) []float32 { o.add(a, y); return nil }, 0)
			twice(func(o *ops, a []float32) []float32 { o.mul(a, y); return nil }, 0)
			twice(func(o *ops, a []float32) []float32 { o.scale(a, 0.3); return nil }, 0)
			twice(func(o *ops, a []float32) []float32 { o.sum(a, y, z); return nil }, 0)
			twice(func(o *ops, a []float32) []float32 { return []float32{o.dot(a, y)} }, 1e-5)
			twice(func(o *ops, a []float32) []float32 { return []float32{float32(o.sumSquares(a))} }, 1e-6)
			twice(func(o *ops, a []float32) []float32 { top := slices.Clone(y); o.biasMax(a, top, 0.25); return top }, 0)
			twice(func(o *ops, a []float32) []float32 {
				total := slices.Clone(z)
				o.expSum(a, y, total)
				return total
			}, 1e-6)
			twice(func(o *ops, a []float32) []float32 { return []float32{o.scaleSum(a, y)} }, 1e-5)
			words := make([]uint16, (n+127)/128*8)
			o := Dropout{Key: counter.NewKey(1, "test"), P: 0.3}
			o.bits(&referenceOps, words, 3)
			twice(func(o *ops, a []float32) []float32 { o.drop(a, y, words, 1.5); return nil }, 0)
			twice(func(o *ops, a []float32) []float32 { o.drop(a, a, words, 1.5); return nil }, 0)
			for _, ranks := range [][]int32{nil, make([]int32, n)} {
				for i := range ranks {
					ranks[i] = int32(r.IntN(5))
				}
				if ranks != nil {
					ranks[n/2] = 1
				}
				for _, w := range [][]uint16{nil, words} {
					twice(func(o *ops, a []float32) []float32 {
						top, sum := o.softmax(a, w, ranks, 2, 0.5)
						return []float32{top, sum}
					}, 1e-6)
					twice(func(o *ops, a []float32) []float32 {
						g := slices.Clone(y)
						o.softmaxBackward(a, g, w, ranks, 2, 0.5, 1.5, 0.3, 1.25)
						return g
					}, 2e-6)
				}
			}
			gain, bias := random(r, n), random(r, n)
			for _, residual := range [][]float32{nil, y} {
				twice(func(o *ops, a []float32) []float32 {
					out := make([]float32, n)
					mean, rstd := o.normRow(out, a, residual, a, gain, bias, 1e-3)
					return append(out, mean, rstd)
				}, 2e-5)
				twice(func(o *ops, a []float32) []float32 {
					dgain, dbias, ds := slices.Clone(gain), slices.Clone(bias), make([]float32, n)
					o.normRowBackward(ds, z, a, residual, gain, dgain, dbias, 0.1, 0.9)
					return append(append(ds, dgain...), dbias...)
				}, 1e-5)
			}
			if n <= sumCols {
				for _, rows := range []int{1, 2, 63, 64, 65, 200} {
					m := random(r, rows*(n+3))
					twice(func(o *ops, a []float32) []float32 { o.columnSums(a, m, n+3, rows); return nil }, 1e-6)
				}
			}
		}
	})
}

func TestDropoutDecisionsAgree(t *testing.T) { testDropoutDecisionsAgree(t, native()) }

func testDropoutDecisionsAgree(t *testing.T, variants []variant) {
	vectorSets(t, variants, func(t *testing.T, got, want *ops) {
		for _, p := range []float32{0.001, 0.1, 0.5, 0.999} {
			d := Dropout{Key: counter.NewKey(9, "test"), P: p}
			for _, n := range []int{1, 128, 129, 1000} {
				a, b := make([]uint16, d.Words(n)), make([]uint16, d.Words(n))
				d.bits(got, a, 1<<40|uint64(n))
				d.bits(want, b, 1<<40|uint64(n))
				if !slices.Equal(a, b) {
					t.Errorf("decisions for %d elements differ", n)
				}
			}
		}
	})
}

func TestTranspose(t *testing.T) { testTranspose(t, native()) }

func testTranspose(t *testing.T, variants []variant) {
	vectorSets(t, variants, func(t *testing.T, got, _ *ops) {
		if got.transpose == nil {
			return
		}
		const stride, n = 53, 48
		src := random(rand.New(rand.NewPCG(1, 9)), 16*stride)
		dst := make([]float32, n*got.nr)
		got.transpose(dst, src, stride, n)
		for c := range n {
			for r := range 16 {
				if dst[c*got.nr+r] != src[r*stride+c] {
					t.Fatalf("row %d, column %d", r, c)
				}
			}
		}
	})
}
