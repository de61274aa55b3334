package counter

import (
	"fmt"
	"math"
	"testing"
)

// The known answers are those of the Random123 distribution (kat_vectors).
func TestPhiloxKnownAnswers(t *testing.T) {
	for _, c := range []struct {
		key    Key
		hi, lo uint64
		want   [4]uint32
	}{
		{Key{0, 0}, 0, 0, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{Key{^uint32(0), ^uint32(0)}, ^uint64(0), ^uint64(0), [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{Key{0xa4093822, 0x299f31d0}, 0x0370734413198a2e, 0x85a308d3243f6a88, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := c.key.Block(c.hi, c.lo); got != c.want {
			t.Errorf("Block(%#x, %#x) = %#x, want %#x", c.hi, c.lo, got, c.want)
		}
	}
}

func TestIntNIsUniform(t *testing.T) {
	const n, draws = 10, 100_000
	var count [n]float64
	k := NewKey(1, "test")
	for i := range uint64(draws) {
		count[k.IntN(i, n)]++
	}
	var chi2 float64
	for _, c := range count {
		d := c - draws/n
		chi2 += d * d / (draws / n)
	}
	if chi2 > 27.9 { // 99.9th percentile, 9 degrees of freedom
		t.Errorf("chi-squared %.1f over %d cells: not uniform", chi2, n)
	}
}

func TestStreamIntNIsUniform(t *testing.T) {
	for _, n := range []int{1, 2, 7, 10, 1 << 20, 3 << 30, 1<<31 + 1<<30, 1 << 40} {
		const cells, draws = 10, 100_000
		var count [cells]float64
		s := NewKey(1, "stream").Stream()
		for range draws {
			v := s.IntN(n)
			if v < 0 || v >= n {
				t.Fatalf("IntN(%d) = %d", n, v)
			}
			count[int(float64(v)/float64(n)*cells)]++
		}
		if n != 10 && n < 1<<20 {
			continue // the cells are not even
		}
		var chi2 float64
		for _, c := range count {
			chi2 += (c - draws/cells) * (c - draws/cells) / (draws / cells)
		}
		if chi2 > 33.7 { // 99.99th percentile, 9 degrees of freedom
			t.Errorf("n %d: chi-squared %.1f: not uniform", n, chi2)
		}
	}
}

func TestPurposesAndSubKeysDiffer(t *testing.T) {
	seen := map[Key]string{}
	for seed := range uint64(20) {
		for _, p := range []string{"mask", "pair", "dropout", ""} {
			k := NewKey(seed, p)
			for sub := range uint64(20) {
				name := fmt.Sprint(seed, p, sub)
				if other, ok := seen[k.Sub(sub)]; ok {
					t.Fatalf("%s and %s share a key", name, other)
				}
				seen[k.Sub(sub)] = name
			}
		}
	}
}

func TestFloat64IsInRange(t *testing.T) {
	k := NewKey(7, "float")
	var sum float64
	for i := range uint64(10_000) {
		f := k.Float64(i)
		if f < 0 || f >= 1 {
			t.Fatalf("Float64(%d) = %g, outside [0, 1)", i, f)
		}
		sum += f
	}
	if mean := sum / 10_000; math.Abs(mean-0.5) > 0.015 {
		t.Errorf("mean %g, want 0.5 within five standard errors", mean)
	}
}

func Example() {
	masks := NewKey(42, "which tokens are masked")
	// The number for sample 1000 needs no number drawn before it.
	again := NewKey(42, "which tokens are masked")
	fmt.Println(masks.Sub(1000).IntN(0, 100) == again.Sub(1000).IntN(0, 100))
	// Output: true
}
