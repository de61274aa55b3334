package kernel

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// sets returns the sets of kernels this processor can run.
func sets() []Set {
	var out []Set
	for i := range setNames {
		if Set(i).Available() {
			out = append(out, Set(i))
		}
	}
	return out
}

func pool(t testing.TB, jobs int, set Set) *Pool {
	p := NewPoolOf(jobs, set)
	t.Cleanup(p.Close)
	return p
}

// variant is a set of kernels under test: one this processor has, one of plain Go
// only, or one that runs in an emulator.
type variant struct {
	name string
	ops  *ops
	// exact says that products of pairs have the bits of their specification, which a
	// processor is not held to.
	exact bool
	// serial says that its functions are called by one goroutine only.
	serial bool
}

func (v variant) String() string { return v.name }

// pool returns a pool of the variant's kernels.
func (v variant) pool(t testing.TB, jobs int) *Pool {
	if v.serial {
		jobs = 1
	}
	p := pool(t, jobs, Reference)
	p.ops = v.ops
	return p
}

// native returns this processor's sets.
func native() []variant {
	var out []variant
	for _, s := range sets() {
		out = append(out, variant{name: s.String(), ops: opsOf(s)})
	}
	return out
}

func random(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func close32(a, b float32, tolerance float64) bool {
	return math.Abs(float64(a)-float64(b)) <= tolerance*(1+math.Abs(float64(b)))
}

func TestPoolDoesEveryItemOnce(t *testing.T) {
	for _, jobs := range []int{1, 2, 3, 8} {
		p := pool(t, jobs, Reference)
		for _, n := range []int{0, 1, 2, 7, 1000} {
			for range 50 {
				counts := make([]atomic.Int32, n)
				p.For(n, func(i int) { counts[i].Add(1) })
				for i := range counts {
					if counts[i].Load() != 1 {
						t.Fatalf("%d jobs: item %d of %d done %d times", jobs, i, n, counts[i].Load())
					}
				}
			}
		}
	}
}

// TestPoolWaitsForSlowItems makes the caller park while a worker is at work.
func TestPoolWaitsForSlowItems(t *testing.T) {
	p := pool(t, 2, Reference)
	for range 30 {
		var done atomic.Int32
		p.For(2, func(i int) {
			time.Sleep(time.Duration(i) * time.Millisecond)
			done.Add(1)
		})
		if done.Load() != 2 {
			t.Fatal("returned before the end")
		}
	}
}

func TestPoolWorksWhenClosed(t *testing.T) {
	p := NewPool(3)
	p.Close()
	p.Close()
	n := 0
	p.For(5, func(int) { n++ })
	if n != 5 {
		t.Errorf("%d of 5 items", n)
	}
}

func TestParseSet(t *testing.T) {
	for _, s := range sets() {
		if got, err := ParseSet(s.String()); err != nil || got != s {
			t.Errorf("ParseSet(%q) = %v, %v", s, got, err)
		}
	}
	if got, err := ParseSet(""); err != nil || got != Best() {
		t.Errorf("the empty name gives %v, %v", got, err)
	}
	for i, name := range setNames {
		if _, err := ParseSet(name); !Set(i).Available() && !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s, which this processor lacks, gives %v", name, err)
		}
	}
	if _, err := ParseSet("sse9"); !errors.Is(err, ErrUnknownSet) {
		t.Errorf("an unknown name gives %v", err)
	}
}

// TestGemm holds every form, over odd shapes and strides, against sums in
// float64.
func TestGemm(t *testing.T) { testGemm(t, native()) }

func testGemm(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(1, 1))
	shapes := [][3]int{{1, 1, 1}, {2, 3, 5}, {14, 32, 16}, {15, 33, 7}, {13, 31, 257}, {29, 66, 300}, {113, 97, 40}, {240, 48, 513}, {6, 16, 64}}
	for range 10 {
		shapes = append(shapes, [3]int{1 + r.IntN(130), 1 + r.IntN(130), 1 + r.IntN(600)})
	}
	for _, set := range variants {
		p := set.pool(t, 3)
		for _, s := range shapes {
			m, n, k := s[0], s[1], s[2]
			for _, form := range []Form{NN, NT, TN} {
				ra, ca, rb, cb := m, k, k, n
				if form == NT {
					rb, cb = n, k
				}
				if form == TN {
					ra, ca = k, m
				}
				a, b, c := Mat{random(r, ra*(ca+3)), ca + 3}, Mat{random(r, rb*(cb+1)), cb + 1}, Mat{random(r, m*(n+2)), n + 2}
				at := func(i, l int) float64 {
					if form == TN {
						i, l = l, i
					}
					return float64(a.Data[i*a.Stride+l])
				}
				bt := func(l, j int) float64 {
					if form == NT {
						l, j = j, l
					}
					return float64(b.Data[l*b.Stride+j])
				}
				for _, add := range []bool{false, true} {
					got := Mat{slices.Clone(c.Data), c.Stride}
					Gemm(p, GemmArgs{Form: form, M: m, N: n, K: k, A: a, B: [3]Mat{b}, C: got, Accumulate: add})
					for i := range m {
						for j := range n + 2 {
							if j >= n {
								if got.Data[i*got.Stride+j] != c.Data[i*c.Stride+j] {
									t.Fatalf("%v %v: wrote beside the matrix", set, s)
								}
								continue
							}
							var want, size float64
							if add {
								want = float64(c.Data[i*c.Stride+j])
							}
							for l := range k {
								x := at(i, l) * bt(l, j)
								want += x
								size += math.Abs(x)
							}
							if math.Abs(float64(got.Data[i*got.Stride+j])-want) > 1e-6*(1+size) {
								t.Fatalf("%v form %d %v add %v: C[%d,%d] = %v, want %v", set, form, s, add, i, j, got.Data[i*got.Stride+j], want)
							}
						}
					}
				}
			}
		}
	}
}

func TestGemmEpilogues(t *testing.T) { testGemmEpilogues(t, native()) }

func testGemmEpilogues(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, set := range variants {
		p := set.pool(t, 2)
		m, part, k := 37, 19, 45
		n := 3 * part
		a := Mat{random(r, m*k), k}
		var b [3]Mat
		var bias [3][]float32
		all := Mat{nil, k}
		var biases []float32
		for i := range b {
			b[i] = Mat{random(r, part*k), k}
			bias[i] = random(r, part)
			all.Data = append(all.Data, b[i].Data...)
			biases = append(biases, bias[i]...)
		}
		plain := Mat{make([]float32, m*n), n}
		Gemm(p, GemmArgs{Form: NT, M: m, N: n, K: k, A: a, B: [3]Mat{all}, C: plain})
		mul := Mat{random(r, m*n), n}
		for _, act := range []Activation{None, GELU, GELUTanh, Tanh, SiLU, ReLU} {
			got, slope := Mat{make([]float32, m*n), n}, Mat{make([]float32, m*n), n}
			Gemm(p, GemmArgs{Form: NT, M: m, N: n, K: k, A: a, B: b, BParts: 3, C: got, Bias: bias, Act: act, Deriv: slope, Mul: mul})
			for i := range m {
				for j := range n {
					x := []float32{plain.Data[i*n+j] + biases[j]}
					d := []float32{0}
					referenceOps.activate(act, x, d)
					if want := x[0] * mul.Data[i*n+j]; !close32(got.Data[i*n+j], want, 2e-6) {
						t.Fatalf("%v activation %d: %v, want %v", set, act, got.Data[i*n+j], want)
					}
					if act != None && !close32(slope.Data[i*n+j], d[0], 2e-6) {
						t.Fatalf("%v activation %d: slope %v, want %v", set, act, slope.Data[i*n+j], d[0])
					}
				}
			}
		}
		// The stacked factor the other way round.
		back, want := Mat{make([]float32, m*k), k}, Mat{make([]float32, m*k), k}
		Gemm(p, GemmArgs{Form: NN, M: m, N: k, K: n, A: plain, B: b, BParts: 3, C: back})
		Gemm(p, GemmArgs{Form: NN, M: m, N: k, K: n, A: plain, B: [3]Mat{all}, C: want})
		if !slices.Equal(back.Data, want.Data) {
			t.Errorf("%v: parts of B are not their stack", set)
		}
	}
}

func TestDropoutKeepsTheMean(t *testing.T) {
	d := Dropout{Key: counter.NewKey(1, "test"), P: 0.1}
	n := 128 * 200
	words := make([]uint16, d.Words(n))
	d.bits(&referenceOps, words, 5)
	x := make([]float32, n)
	for i := range x {
		x[i] = 1
	}
	drop(x, x, words, d.scale())
	dropped := 0
	var sum float64
	for _, v := range x {
		if v == 0 {
			dropped++
		}
		sum += float64(v)
	}
	if share := float64(dropped) / float64(n); math.Abs(share-0.1) > 0.01 {
		t.Errorf("%v dropped", share)
	}
	if math.Abs(sum/float64(n)-1) > 0.01 {
		t.Errorf("mean %v", sum/float64(n))
	}
	other := make([]uint16, len(words))
	d.bits(&referenceOps, other, 6)
	if slices.Equal(words, other) {
		t.Error("rows drop the same elements")
	}
	if (Dropout{P: 0}).Words(100) != 0 {
		t.Error("no dropout needs words")
	}
}

func TestScatterAdd(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const n, rows, cols = 50, 700, 7
	src := random(r, rows*cols)
	ids := make([]int32, rows)
	want := make([]float32, n*cols)
	for i := range ids {
		ids[i] = int32(r.IntN(n) * r.IntN(n) / n)
		for j := range cols {
			want[int(ids[i])*cols+j] += src[i*cols+j]
		}
	}
	for _, jobs := range []int{1, 4} {
		p := pool(t, jobs, Best())
		keys := make([]uint64, rows)
		for i := range keys {
			keys[i] = ScatterKey(ids[i], i)
		}
		got := make([]float32, n*cols)
		ScatterAdd(p, got, src, cols, keys)
		if !slices.Equal(got, want) {
			t.Errorf("%d jobs: not the sums in the order of the rows", jobs)
		}
	}
}

func TestAdamW(t *testing.T) { testAdamW(t, native()) }

func testAdamW(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(2, 5))
	const n = 20011
	w0, g, m0, v0 := random(r, n), random(r, n), random(r, n), random(r, n)
	for i := range v0 {
		v0[i] *= v0[i]
	}
	s := AdamWStep{LR: 1e-2, Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, Decay: 0.1, GradScale: 0.5, BiasCorrection1: 0.3, BiasCorrection2: 0.2}
	for _, set := range variants {
		p := set.pool(t, 2)
		w, m, v := slices.Clone(w0), slices.Clone(m0), slices.Clone(v0)
		AdamW(p, w, g, m, v, s)
		for i := range w {
			x := 0.5 * float64(g[i])
			wm := 0.9*float64(m0[i]) + 0.1*x
			wv := 0.99*float64(v0[i]) + 0.01*x*x
			ww := float64(w0[i]) - 1e-2*(wm/0.3/(math.Sqrt(wv/0.2)+1e-6)+0.1*float64(w0[i]))
			if !close32(m[i], float32(wm), 1e-6) || !close32(v[i], float32(wv), 1e-6) || !close32(w[i], float32(ww), 1e-6) {
				t.Fatalf("%v element %d: %v %v %v, want %v %v %v", set, i, w[i], m[i], v[i], ww, wm, wv)
			}
		}
	}
}

func TestSums(t *testing.T) { testSums(t, native()) }

func testSums(t *testing.T, variants []variant) {
	r := rand.New(rand.NewPCG(2, 6))
	x := random(r, 3*squareChunk+17)
	var want float64
	for _, v := range x {
		want += float64(v) * float64(v)
	}
	for _, set := range variants {
		p := set.pool(t, 3)
		if got := SumSquares(p, x); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%v: %v, want %v", set, got, want)
		}
		rows, cols := 131, 77
		m := Mat{x, cols + 2}
		sums := make([]float32, cols)
		AddColumnSums(p, sums, m, rows, cols)
		for j := range sums {
			var s float64
			for i := range rows {
				s += float64(m.Data[i*m.Stride+j])
			}
			if !close32(sums[j], float32(s), 1e-5) {
				t.Fatalf("%v column %d: %v, want %v", set, j, sums[j], s)
			}
		}
	}
}

func TestProfileNamesOperations(t *testing.T) {
	p := pool(t, 2, Best())
	if p.StopProfile() != nil {
		t.Error("a profile nobody started")
	}
	p.StartProfile()
	x := make([]float32, 64*64)
	m := Mat{x, 64}
	Gemm(p, GemmArgs{Op: "product", M: 64, N: 64, K: 64, A: m, B: [3]Mat{m}, C: Mat{make([]float32, 64*64), 64}})
	Clear(p, x)
	Clear(p, x)
	times := map[string]OpTime{}
	for _, o := range p.StopProfile() {
		times[o.Op] = o
	}
	if times["product"].FLOP != 2*64*64*64 || times["clear"].Calls != 2 || times["clear"].Seconds <= 0 {
		t.Errorf("%+v", times)
	}
	if p.StopProfile() != nil {
		t.Error("a profile that was stopped")
	}
}
