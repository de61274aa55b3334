package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// decodeFloats converts little-endian elements of type d to dst; src holds
// exactly len(dst) of them.
func decodeFloats(dst []float32, src []byte, d DType) error {
	switch d {
	case F32:
		for i := range dst {
			dst[i] = math.Float32frombits(binary.LittleEndian.Uint32(src[4*i:]))
		}
	case BF16:
		for i := range dst {
			dst[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(src[2*i:])) << 16)
		}
	case F16:
		for i := range dst {
			dst[i] = fromHalf(binary.LittleEndian.Uint16(src[2*i:]))
		}
	case F64:
		for i := range dst {
			dst[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(src[8*i:])))
		}
	default:
		return fmt.Errorf("elements of type %s are not floating point numbers this reader converts", d)
	}
	return nil
}

// encodeFloats converts src to little-endian elements of type d, rounding to
// nearest, ties to even.
func encodeFloats(dst []byte, src []float32, d DType) error {
	switch d {
	case F32:
		for i, x := range src {
			binary.LittleEndian.PutUint32(dst[4*i:], math.Float32bits(x))
		}
	case BF16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], toBrain(x))
		}
	case F16:
		for i, x := range src {
			binary.LittleEndian.PutUint16(dst[2*i:], toHalf(x))
		}
	case F64:
		for i, x := range src {
			binary.LittleEndian.PutUint64(dst[8*i:], math.Float64bits(float64(x)))
		}
	default:
		return fmt.Errorf("floats cannot be written as elements of type %s", d)
	}
	return nil
}

// toBrain rounds to bfloat16. A NaN stays one: rounding its bits could carry
// into an infinity.
func toBrain(x float32) uint16 {
	u := math.Float32bits(x)
	if x != x {
		return uint16(u>>16) | 0x40
	}
	return uint16((u + 0x7fff + u>>16&1) >> 16)
}

// fromHalf widens an IEEE 754 binary16 number, exactly.
func fromHalf(h uint16) float32 {
	sign := uint32(h&0x8000) << 16
	exp, frac := uint32(h>>10&0x1f), uint32(h&0x3ff)
	switch exp {
	case 0:
		// Zero and subnormals: frac * 2^-24.
		return math.Float32frombits(math.Float32bits(float32(frac)*0x1p-24) | sign)
	case 31:
		return math.Float32frombits(sign | 0x7f800000 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// toHalf rounds to IEEE 754 binary16.
func toHalf(x float32) uint16 {
	u := math.Float32bits(x)
	sign := uint16(u >> 16 & 0x8000)
	u &= 0x7fffffff
	switch {
	case u > 0x7f800000: // NaN
		return sign | 0x7e00
	case u >= 0x477ff000: // rounds to 65520 or more, which is infinity
		return sign | 0x7c00
	case u < 0x38800000: // subnormal or zero: round frac = x * 2^24 to an integer
		return sign | uint16(math.RoundToEven(float64(math.Float32frombits(u))*0x1p24))
	}
	u += 0xfff + u>>13&1
	return sign | uint16((u-112<<23)>>13)
}
