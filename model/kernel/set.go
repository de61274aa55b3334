// Package kernel holds the fused operations a Transformer is trained with, on
// slices of float32. Each has a plain-Go reference, which is its specification;
// where the processor has vector units the reference gives way to assembly that
// is tested against it.
//
// Matrices are row-major. Kernels do not check shapes: the packages above them
// plan every buffer. Results are the same, bit for bit, for any number of
// workers; between two sets of kernels they agree to rounding.
package kernel

import (
	"errors"
	"fmt"
)

// Set names a set of kernels by the processor features it needs.
type Set uint8

// The sets of kernels.
const (
	// Reference is plain Go and runs everywhere.
	Reference Set = iota
	// AVX2 needs AVX2 and FMA.
	AVX2
	// AVX512 needs AVX-512 F, BW, DQ and VL besides.
	AVX512
	// AVX512BF16 needs AVX512_BF16 besides, and multiplies pairs of bf16 where the
	// precision is that. All else is AVX512's.
	AVX512BF16
)

var setNames = [...]string{Reference: "ref", AVX2: "avx2", AVX512: "avx512", AVX512BF16: "bf16"}

// String returns the name ParseSet knows the set by.
func (s Set) String() string {
	if int(s) < len(setNames) {
		return setNames[s]
	}
	return fmt.Sprintf("kernel.Set(%d)", uint8(s))
}

// ErrUnknownSet is wrapped by ParseSet's error for a name that no set has.
var ErrUnknownSet = errors.New("unknown set of kernels")

// ErrUnavailable is wrapped by ParseSet's error for a set that this processor
// cannot run.
var ErrUnavailable = errors.New("this processor cannot run the set of kernels")

// ParseSet returns the set of the given name ("ref", "avx2", "avx512", "bf16"), and
// the best available one for the empty name. Programs call it with the environment
// variable TRIBUTARY_KERNEL.
func ParseSet(name string) (Set, error) {
	if name == "" {
		return Best(), nil
	}
	for i, n := range setNames {
		if n != name {
			continue
		}
		if !Set(i).Available() {
			return Reference, fmt.Errorf("kernels %q: %w", name, ErrUnavailable)
		}
		return Set(i), nil
	}
	return Reference, fmt.Errorf("kernels %q: %w (known: %q)", name, ErrUnknownSet, setNames)
}

// Best returns the fastest set this processor can run.
func Best() Set {
	best := Reference
	for i := range setNames {
		if s := Set(i); s.Available() {
			best = s
		}
	}
	return best
}

// ops is what a set of kernels is made of: serial functions that the parallel
// operations of this package call on their share of the work.
type ops struct {
	// mr and nr are the rows and columns of the register tile of block.
	mr, nr int
	// copies says that blocks of the factors are copied where they stand badly for
	// the caches of the processors this set is for.
	copies bool
	// block adds the product of a strided A and a packed panel of B to C; see tile.
	block func(t *tile)
	// blockPairs is block on pairs of bf16, pairs and interleave make such of the
	// rows of A and B; see bf16.go. Nil where there are none: factors of products are
	// then rounded to bf16 and multiplied as float32.
	blockPairs func(t *tile)
	pairs      func(dst, src []float32)
	interleave func(dst, x, y []float32)
	// groups copies a transposed A so that each mr rows lie together; see the
	// generator. Nil where there is none.
	groups func(dst, src []float32, stride, rows, k, group int)
	// transpose sets dst[c*nr+r] to src[r*stride+c] for 16 rows and n columns, n
	// being a multiple of 16. Nil where there is none.
	transpose func(dst, src []float32, stride, n int)

	gelu, geluTanh func(x, d []float32)
	silu           func(x, d []float32)
	biasMax        func(row, top []float32, bias float32)
	expSum         func(row, top, total []float32)
	scaleSum       func(row, factor []float32) float32

	roundBF16  func(dst, src []float32)
	add, mul   func(x, y []float32)
	scale      func(x []float32, factor float32)
	sum        func(dst, x, y []float32)
	drop       func(dst, src []float32, words []uint16, scale float32)
	dot        func(x, y []float32) float32
	sumSquares func(x []float32) float64
	columnSums func(dst, x []float32, stride, rows int)
	adamW      func(w, g, m, v []float32, c *adamConstants)

	normRow         func(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32)
	normRowBackward func(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32)
	softmax         func(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32)
	softmaxBackward func(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32)
	dropoutBits     func(words []uint16, k0, k1 uint32, row uint64, threshold uint32)
}

var referenceOps = ops{
	mr: 2, nr: 4, block: referenceBlock,
	gelu: gelu, geluTanh: geluTanh, silu: silu, biasMax: biasMax, expSum: expSum, scaleSum: scaleSum,
	roundBF16: roundBF16, add: add, mul: mul, scale: scale, sum: sum, drop: drop, dot: dot, sumSquares: sumSquares, columnSums: columnSums, adamW: adamW,
	normRow: normRow, normRowBackward: normRowBackward, softmax: softmax, softmaxBackward: softmaxBackward,
	dropoutBits: dropoutBits,
}
