package mixer

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// checkPrefixes walks samples [from, to) and fails when a count is not its exact
// share rounded up or down, or when a task's own numbering has a gap.
func checkPrefixes(t interface{ Fatalf(string, ...any) }, s *turns, from, to uint64) {
	counts := make([]uint64, len(s.shares))
	known := make([]bool, len(s.shares))
	for i := from; i < to; i++ {
		k, n := s.at(i)
		if known[k] && n != counts[k] {
			t.Fatalf("sample %d: task %d has turn %d, want %d", i, k, n, counts[k])
		}
		counts[k], known[k] = n+1, true
		for _, at := range []struct{ i, count uint64 }{{i, n}, {i + 1, n + 1}} {
			hi, lo := bits.Mul64(at.i, s.shares[k])
			floor, ceil := hi<<1|lo>>63, hi<<1|lo>>63
			if lo<<1 != 0 {
				ceil++
			}
			if at.count < floor || at.count > ceil {
				t.Fatalf("after %d samples task %d has %d turns, want %d or %d", at.i, k, at.count, floor, ceil)
			}
		}
		// A task that waits too long shows at its next turn; at the end of the walk
		// the ones that never came are looked at too.
	}
	for k, w := range s.shares {
		hi, lo := bits.Mul64(to, w)
		if floor := hi<<1 | lo>>63; known[k] && counts[k] < floor {
			t.Fatalf("after %d samples task %d has %d turns, want at least %d", to, k, counts[k], floor)
		}
	}
}

func drawRates(t *rapid.T) []*big.Float {
	k := rapid.OneOf(rapid.IntRange(1, 6), rapid.IntRange(1, 60), rapid.IntRange(1, 1000)).Draw(t, "tasks")
	kind := rapid.SampledFrom([]string{"even", "any", "zipf", "halves"}).Draw(t, "kind")
	draw := counter.NewKey(rapid.Uint64().Draw(t, "seed"), "rates")
	rates := make([]*big.Float, k)
	for i := range rates {
		switch kind {
		case "even":
			rates[i] = big.NewFloat(1)
		case "any":
			rates[i] = big.NewFloat(1 + 999*draw.Float64(uint64(i)))
		case "zipf":
			rates[i] = big.NewFloat(1 / float64(i+1))
		case "halves":
			rates[i] = big.NewFloat(math.Ldexp(1, -min(i, 14)))
		}
	}
	return rates
}

func TestEveryPrefixHoldsItsSharesWithinOneSample(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, err := newTurns(drawRates(t))
		if err != nil {
			t.Fatal(err)
		}
		from := uint64(0)
		if rapid.Bool().Draw(t, "far") {
			from = rapid.Uint64Range(0, 1<<44).Draw(t, "from") / s.length * s.length
		}
		checkPrefixes(t, s, from, from+2*s.length+17)
	})
}

func TestSeekFindsTheSameTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rates := drawRates(t)
		walked, err := newTurns(rates)
		if err != nil {
			t.Fatal(err)
		}
		i := rapid.Uint64Range(0, 3*walked.length).Draw(t, "sample")
		for j := uint64(0); j < i; j += walked.length / 2 {
			walked.at(j)
		}
		sought, _ := newTurns(rates)
		k1, n1 := walked.at(i)
		k2, n2 := sought.at(i)
		if k1 != k2 || n1 != n2 {
			t.Fatalf("sample %d: walked to task %d turn %d, sought task %d turn %d", i, k1, n1, k2, n2)
		}
	})
}

func TestSharesAddUpToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shares, err := fixedShares(drawRates(t))
		if err != nil {
			t.Fatal(err)
		}
		var sum uint64
		for _, s := range shares {
			sum += s
		}
		if sum != one {
			t.Fatalf("the shares add up to %d, want %d", sum, one)
		}
	})
}

func TestShareTooSmallIsAnError(t *testing.T) {
	if _, err := newTurns([]*big.Float{big.NewFloat(1), big.NewFloat(0x1p-40)}); err == nil {
		t.Error("a share of 2^-40 was taken")
	}
}

func BenchmarkTurns(b *testing.B) {
	for _, k := range []int{2, 10, 1000} {
		b.Run(fmt.Sprint(k), func(b *testing.B) {
			rates := make([]*big.Float, k)
			for i := range rates {
				rates[i] = big.NewFloat(float64(1 + i%7))
			}
			s, err := newTurns(rates)
			if err != nil {
				b.Fatal(err)
			}
			for i := range b.N {
				s.at(uint64(i))
			}
		})
	}
}
