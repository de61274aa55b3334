package kernel

import "golang.org/x/sys/cpu"

//go:generate go run -C gen .

// Available reports whether this processor can run the set.
func (s Set) Available() bool {
	x := &cpu.X86
	switch s {
	case Reference:
		return true
	case AVX2:
		return x.HasAVX2 && x.HasFMA
	case AVX512:
		return x.HasAVX2 && x.HasFMA && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
	case AVX512BF16:
		return AVX512.Available() && x.HasAVX512BF16
	}
	return false
}

func opsOf(s Set) *ops {
	switch s {
	case AVX512BF16:
		return &bf16Ops
	case AVX512:
		return &avx512Ops
	case AVX2:
		return &avx2Ops
	}
	return &referenceOps
}

var (
	avx2Ops = ops{
		mr: 6, nr: 16, block: gemm2, copies: true, groups: groups2, transpose: transpose2,
		gelu: gelu2, geluTanh: geluTanh2, silu: silu2, biasMax: biasMax2, expSum: expSum2, scaleSum: scaleSum2,
		roundBF16: roundBF162, add: add2, mul: mul2, scale: scale2, sum: sum2, drop: drop2, dot: dot2, sumSquares: sumSquares2,
		columnSums: columnSums2, adamW: adamW2,
		normRow: normRow2, normRowBackward: normRowBackward2, softmax: softmax2,
		softmaxBackward: softmaxBackward2, dropoutBits: dropoutBits2,
	}
	avx512Ops = ops{
		mr: 14, nr: 32, block: gemm512, transpose: transpose512,
		gelu: gelu512, geluTanh: geluTanh512, silu: silu, biasMax: biasMax512, expSum: expSum512, scaleSum: scaleSum512,
		// What has AVX-512 has AVX2, and rounding is bound by memory.
		roundBF16: roundBF162, add: add512, mul: mul512, scale: scale512, sum: sum512, drop: drop512, dot: dot512, sumSquares: sumSquares512,
		columnSums: columnSums512, adamW: adamW512,
		normRow: normRow512, normRowBackward: normRowBackward512, softmax: softmax512,
		softmaxBackward: softmaxBackward512, dropoutBits: dropoutBits512,
	}
)

// bf16Ops is avx512Ops with products of pairs.
var bf16Ops = func() ops {
	o := avx512Ops
	o.blockPairs, o.pairs, o.interleave = gemmBF16, pairs512, interleave512
	return o
}()

//go:noescape
func gemmBF16(t *tile)

//go:noescape
func pairs512(dst, src []float32)

//go:noescape
func interleave512(dst, x, y []float32)

//go:noescape
func gemm2(t *tile)

//go:noescape
func groups2(dst, src []float32, stride, rows, k, group int)

//go:noescape
func gemm512(t *tile)

//go:noescape
func gelu512(x, d []float32)

//go:noescape
func geluTanh512(x, d []float32)

//go:noescape
func biasMax512(row, top []float32, bias float32)

//go:noescape
func expSum512(row, top, total []float32)

//go:noescape
func scaleSum512(row, factor []float32) float32

//go:noescape
func add512(x, y []float32)

//go:noescape
func mul512(x, y []float32)

//go:noescape
func scale512(x []float32, factor float32)

//go:noescape
func sum512(dst, x, y []float32)

//go:noescape
func drop512(dst, src []float32, words []uint16, scale float32)

//go:noescape
func dot512(x, y []float32) float32

//go:noescape
func sumSquares512(x []float32) float64

//go:noescape
func columnSums512(dst, x []float32, stride, rows int)

//go:noescape
func adamW512(w, g, m, v []float32, c *adamConstants)

//go:noescape
func normRow512(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32)

//go:noescape
func normRowBackward512(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32)

//go:noescape
func softmax512(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32)

//go:noescape
func softmaxBackward512(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32)

//go:noescape
func dropoutBits512(words []uint16, k0, k1 uint32, row uint64, threshold uint32)

//go:noescape
func transpose512(dst, src []float32, stride, n int)

//go:noescape
func roundBF162(dst, src []float32)

//go:noescape
func gelu2(x, d []float32)

//go:noescape
func geluTanh2(x, d []float32)

//go:noescape
func silu2(x, d []float32)

//go:noescape
func biasMax2(row, top []float32, bias float32)

//go:noescape
func expSum2(row, top, total []float32)

//go:noescape
func scaleSum2(row, factor []float32) float32

//go:noescape
func add2(x, y []float32)

//go:noescape
func mul2(x, y []float32)

//go:noescape
func scale2(x []float32, factor float32)

//go:noescape
func sum2(dst, x, y []float32)

//go:noescape
func drop2(dst, src []float32, words []uint16, scale float32)

//go:noescape
func dot2(x, y []float32) float32

//go:noescape
func sumSquares2(x []float32) float64

//go:noescape
func columnSums2(dst, x []float32, stride, rows int)

//go:noescape
func adamW2(w, g, m, v []float32, c *adamConstants)

//go:noescape
func normRow2(out, sum, x, sub, gain, bias []float32, eps float32) (mean, rstd float32)

//go:noescape
func normRowBackward2(ds, dout, sum, extra, gain, dgain, dbias []float32, mean, rstd float32)

//go:noescape
func softmax2(s []float32, words []uint16, ranks []int32, rank int32, scale float32) (top, sum float32)

//go:noescape
func softmaxBackward2(p, g []float32, words []uint16, ranks []int32, rank int32, scale, norm, delta, keep float32)

//go:noescape
func dropoutBits2(words []uint16, k0, k1 uint32, row uint64, threshold uint32)

//go:noescape
func transpose2(dst, src []float32, stride, n int)
