package mixer

import (
	"math"
	"testing"

	"github.com/tributary-ml/tributary/mixer/counter"
	"pgregory.net/rapid"
)

func TestPermutationIsABijection(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Most sizes are small, where the edges are; some go to a million.
		n := rapid.OneOf(rapid.Uint64Range(1, 70), rapid.Uint64Range(1, 2000)).Draw(t, "n")
		if rapid.IntRange(0, 80).Draw(t, "large") == 0 {
			n = rapid.Uint64Range(1, 1_000_000).Draw(t, "large n")
		}
		p := newPermutation(counter.NewKey(rapid.Uint64().Draw(t, "seed"), "test"), n)
		seen := make([]bool, n)
		for x := range n {
			y := p.at(x)
			if y >= n || seen[y] {
				t.Fatalf("n %d: %d goes to %d, which is outside or taken", n, x, y)
			}
			seen[y] = true
			if x%97 == 0 && p.where(y) != x {
				t.Fatalf("n %d: where(at(%d)) = %d", n, x, p.where(y))
			}
		}
	})
}

func TestPermutationOfLargeDomainsInverts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.OneOf(rapid.Just(uint64(1)<<40), rapid.Uint64Range(1<<40, 1<<62), rapid.Just(uint64(1)<<62)).Draw(t, "n")
		p := newPermutation(counter.NewKey(rapid.Uint64().Draw(t, "seed"), "test"), n)
		x := rapid.Uint64Range(0, n-1).Draw(t, "x")
		y := p.at(x)
		if y >= n || p.where(y) != x {
			t.Fatalf("n %d: %d goes to %d and back to %d", n, x, y, p.where(y))
		}
	})
}

// Sampled sizes up to a million, whole: every element has one place.
func TestPermutationOfSampledSizesIsABijection(t *testing.T) {
	draw := counter.NewKey(3, "sizes").Stream()
	sizes := []int{1_000_000, 999_983, 999_999, 1<<19 + 1}
	for range 4 {
		sizes = append(sizes, 1+draw.IntN(1_000_000))
	}
	var seen [1_000_000 / 64]uint64
	for seed, n := range sizes {
		p := newPermutation(counter.NewKey(uint64(seed), "test"), uint64(n))
		clear(seen[:])
		for x := range uint64(n) {
			y := p.at(x)
			if y >= uint64(n) || seen[y/64]>>(y%64)&1 != 0 {
				t.Fatalf("n %d: %d goes to %d, which is outside or taken", n, x, y)
			}
			seen[y/64] |= 1 << (y % 64)
		}
	}
}

// At 2^40 runs of neighbours have places of their own, and where undoes at.
func TestPermutationAtTwoToTheForty(t *testing.T) {
	const n = uint64(1) << 40
	for _, n := range []uint64{n, n - 1, n + 1} {
		p := newPermutation(counter.NewKey(n, "test"), n)
		seen := map[uint64]bool{}
		for _, from := range []uint64{0, n / 3, n - 20_000} {
			for x := from; x < from+20_000; x++ {
				y := p.at(x)
				if y >= n || seen[y] || p.where(y) != x {
					t.Fatalf("n %d: %d goes to %d, taken: %v, and back to %d", n, x, y, seen[y], p.where(y))
				}
				seen[y] = true
			}
		}
	}
}

// Every element must be as likely as any other at every place, also in small
// domains, where a weak network would show first.
func TestPermutationPlacesElementsUniformly(t *testing.T) {
	const keys = 6_000
	for _, n := range []uint64{2, 3, 5, 8, 13, 30} {
		count := make([]float64, n*n)
		for seed := range uint64(keys) {
			p := newPermutation(counter.NewKey(seed, "places"), n)
			for x := range n {
				count[x*n+p.at(x)]++
			}
		}
		var chi2 float64
		want := keys / float64(n)
		for _, c := range count {
			chi2 += (c - want) * (c - want) / want
		}
		// (n-1)^2 degrees of freedom; five standard deviations above the mean.
		df := float64((n - 1) * (n - 1))
		if limit := df + 5*math.Sqrt(2*df) + 10; chi2 > limit {
			t.Errorf("n %d: chi-squared %.0f over a limit of %.0f", n, chi2, limit)
		}
	}
}

func BenchmarkPermutation(b *testing.B) {
	p := newPermutation(counter.NewKey(1, "bench"), 123_456_789)
	var sum uint64
	for i := range b.N {
		sum += p.at(uint64(i) % p.n)
	}
	_ = sum
}
