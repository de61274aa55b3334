package mixer

import (
	"math"
	"math/bits"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// permutation is a keyed bijection of [0, n) that needs no table: a Feistel
// network over Z_a x Z_b with a*b >= n, walked along its cycles until it lands
// below n (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA
// 2002). As a*b - n < a, nearly every walk is one step long.
type permutation struct {
	key  counter.Key
	n    uint64
	a, b uint64
}

// rounds is the number of half rounds. It is part of the order: changing it
// changes every batch.
const rounds = 8

// newPermutation returns the permutation of [0, n) that the key names. n must be
// positive and at most 2^62.
func newPermutation(key counter.Key, n uint64) permutation {
	a := uint64(math.Sqrt(float64(n)))
	for a*a < n { // the square root of a float64 may be one short
		a++
	}
	return permutation{key: key, n: n, a: a, b: (n + a - 1) / a}
}

// at returns the image of x, which must be below n.
func (p *permutation) at(x uint64) uint64 {
	for {
		l, r := x%p.a, x/p.a
		for i := uint64(0); i < rounds; i += 2 {
			if l += p.draw(i, r, p.a); l >= p.a {
				l -= p.a
			}
			if r += p.draw(i+1, l, p.b); r >= p.b {
				r -= p.b
			}
		}
		if x = r*p.a + l; x < p.n {
			return x
		}
	}
}

// where returns the x whose image is y, which must be below n.
func (p *permutation) where(y uint64) uint64 {
	for {
		l, r := y%p.a, y/p.a
		for i := uint64(rounds); i > 0; i -= 2 {
			if d := p.draw(i-1, l, p.b); r >= d {
				r -= d
			} else {
				r += p.b - d
			}
			if d := p.draw(i-2, r, p.a); l >= d {
				l -= d
			} else {
				l += p.a - d
			}
		}
		if y = r*p.a + l; y < p.n {
			return y
		}
	}
}

// draw is the round function: uniform in [0, n).
func (p *permutation) draw(round, half, n uint64) uint64 {
	b := p.key.Block(round, half)
	hi, _ := bits.Mul64(uint64(b[0])|uint64(b[1])<<32, n)
	return hi
}
