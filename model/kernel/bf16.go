package kernel

import "math"

// A pair of bf16 lies in the bits of a float32: the element of the even index of
// the sum in the lower half, its neighbour in the upper. What is here is the
// specification of the instructions of AVX512_BF16 (Intel, Software Developer's
// Manual, volume 2, VDPBF16PS and VCVTNEPS2BF16), which neither read nor set the
// state of floating point: to nearest and ties to even, and for what is too small
// to be a normal number, zero.

// pairsBF16 rounds src and sets dst[i] to the pair of elements 2i and 2i+1; an odd
// last one is paired with zero. dst may begin where src does.
func pairsBF16(dst, src []float32) {
	for i := range dst[:(len(src)+1)/2] {
		var y float32
		if 2*i+1 < len(src) {
			y = src[2*i+1]
		}
		dst[i] = pairBF16(src[2*i], y)
	}
}

// interleaveBF16 rounds x and y and sets dst[i] to the pair of their elements i. An
// empty y stands for zeros. dst may begin where x does.
func interleaveBF16(dst, x, y []float32) {
	for i, v := range x {
		var w float32
		if len(y) > 0 {
			w = y[i]
		}
		dst[i] = pairBF16(v, w)
	}
}

func pairBF16(x, y float32) float32 {
	return math.Float32frombits(uint32(toBF16(x)) | uint32(toBF16(y))<<16)
}

func toBF16(x float32) uint16 {
	b := math.Float32bits(x)
	switch {
	case x != x:
		return uint16(b>>16) | 1<<6
	case b&0x7f800000 == 0:
		return uint16(b>>16) & 0x8000
	}
	return uint16((b + 0x7fff + b>>16&1) >> 16)
}

// dotBF16 adds the products of two pairs to s: first that of the upper halves, and
// each sum is rounded to float32.
func dotBF16(s, a, b float32) float32 {
	x, y := math.Float32bits(a), math.Float32bits(b)
	s = multiplyAdd(s, math.Float32frombits(x&^0xffff), math.Float32frombits(y&^0xffff))
	return multiplyAdd(s, math.Float32frombits(x<<16), math.Float32frombits(y<<16))
}

// multiplyAdd returns s+x*y, x and y being bf16. The product has 16 bits of fraction
// and is exact in float64; the sum is too, or s and the product are so far apart
// that rounding twice is rounding once.
func multiplyAdd(s, x, y float32) float32 {
	z := float64(normal(s)) + float64(normal(x))*float64(normal(y))
	// Small is what would be no normal number if exponents went on below.
	if math.Abs(z) < 0x1p-126*(1-0x1p-25) {
		return float32(math.Copysign(0, z))
	}
	return float32(z)
}

// normal returns zero for what is too small to be a normal number.
func normal(x float32) float32 {
	if b := math.Float32bits(x); b&0x7f800000 == 0 {
		return math.Float32frombits(b & 1 << 31)
	}
	return x
}

// referenceBlockBF16 is the specification of a micro-kernel on pairs.
func referenceBlockBF16(t *tile) {
	for i := range t.rows {
		c := t.c[i*t.ldc:][:t.cols]
		for j := range c {
			var s float32
			for l := range t.k {
				s = dotBF16(s, t.a[i*t.ars+l*t.acs], t.b[l*t.ldb+j])
			}
			if t.add {
				s += c[j]
			}
			c[j] = s
		}
	}
}
