package kernel

import (
	"errors"
	"fmt"
	"math"
)

// Precision says what the factors of products are rounded to before they are
// multiplied. Products are summed in float32 whatever it is, and everything that is
// no product (norms, softmax, losses, optimisers) is float32.
type Precision uint8

// The precisions.
const (
	// FP32 multiplies what is there.
	FP32 Precision = iota
	// BF16 rounds both factors to bfloat16, to nearest and ties to even, as they are
	// packed for the product. The set AVX512BF16 multiplies pairs of them; with the
	// others the mathematics is that of bf16 and the speed that of float32.
	BF16
)

var precisionNames = [...]string{FP32: "fp32", BF16: "bf16"}

// Precisions returns the names that ParsePrecision knows.
func Precisions() []string { return precisionNames[:] }

// String returns the name ParsePrecision knows the precision by.
func (p Precision) String() string {
	if int(p) < len(precisionNames) {
		return precisionNames[p]
	}
	return fmt.Sprintf("kernel.Precision(%d)", uint8(p))
}

// MarshalText returns String.
func (p Precision) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePrecision.
func (p *Precision) UnmarshalText(text []byte) error {
	var err error
	*p, err = ParsePrecision(string(text))
	return err
}

// ErrUnknownPrecision is wrapped by ParsePrecision's error.
var ErrUnknownPrecision = errors.New("unknown precision")

// ParsePrecision returns the precision of the given name, "fp32" or "bf16"; the
// empty name is "fp32".
func ParsePrecision(name string) (Precision, error) {
	if name == "" {
		return FP32, nil
	}
	for i, n := range precisionNames {
		if n == name {
			return Precision(i), nil
		}
	}
	return FP32, fmt.Errorf("precision %q: %w (known: %q)", name, ErrUnknownPrecision, precisionNames)
}

// roundBF16 sets dst to src rounded to bfloat16: the upper half of a float32, to
// nearest and ties to even. What is not a number stays so.
func roundBF16(dst, src []float32) {
	for i, x := range src {
		b := math.Float32bits(x)
		if x != x {
			b |= 1 << 22
		} else {
			b += 0x7fff + b>>16&1
		}
		dst[i] = math.Float32frombits(b &^ 0xffff)
	}
}
