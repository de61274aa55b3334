// Package counter gives random numbers that are pure functions of what they are
// for. There is no stream to advance and so nothing to save, restore or share
// between workers: the number for (seed, purpose, a, b, i) is the same whoever
// asks, in whatever order, on whatever machine.
//
// The generator is Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel
// Random Numbers: As Easy as 1, 2, 3", SC 2011).
package counter

import "math/bits"

// Key names a family of random numbers: a seed and what the numbers are for.
type Key struct{ k0, k1 uint32 }

// NewKey derives the key of a purpose from a seed. Different purposes give
// unrelated families. Purpose strings are part of the reproducibility contract:
// renaming one changes every number drawn for it.
func NewKey(seed uint64, purpose string) Key {
	const prime = 0x100000001b3
	h := uint64(0xcbf29ce484222325)
	for i := range len(purpose) {
		h = (h ^ uint64(purpose[i])) * prime
	}
	z := mix(seed ^ mix(h))
	return Key{uint32(z), uint32(z >> 32)}
}

// Sub derives the key of a numbered sub-family, such as a step or a layer.
func (k Key) Sub(n uint64) Key {
	z := mix(uint64(k.k0) | uint64(k.k1)<<32 ^ mix(n+0x9e3779b97f4a7c15))
	return Key{uint32(z), uint32(z >> 32)}
}

// Words returns the two words of the key, for generators of many numbers at a
// time that compute what Block does.
func (k Key) Words() (k0, k1 uint32) { return k.k0, k.k1 }

// KeyOf returns the key of the given words.
func KeyOf(k0, k1 uint32) Key { return Key{k0, k1} }

// mix is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Block returns the four 32-bit numbers at counter position (hi, lo).
func (k Key) Block(hi, lo uint64) [4]uint32 {
	c0, c1, c2, c3 := uint32(lo), uint32(lo>>32), uint32(hi), uint32(hi>>32)
	k0, k1 := k.k0, k.k1
	for range 10 {
		p0 := uint64(c0) * 0xD2511F53
		p1 := uint64(c2) * 0xCD9E8D57
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += 0x9E3779B9
		k1 += 0xBB67AE85
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Uint64 returns the 64-bit number at position i.
func (k Key) Uint64(i uint64) uint64 {
	b := k.Block(0, i)
	return uint64(b[0]) | uint64(b[1])<<32
}

// Float64 returns the number at position i, uniform in [0, 1).
func (k Key) Float64(i uint64) float64 {
	return float64(k.Uint64(i)>>11) * 0x1p-53
}

// IntN returns the number at position i, uniform in [0, n) up to a bias below
// n/2^64. It panics when n <= 0.
func (k Key) IntN(i uint64, n int) int {
	if n <= 0 {
		panic("counter: IntN of a count that is not positive")
	}
	hi, _ := bits.Mul64(k.Uint64(i), uint64(n))
	return int(hi)
}

// Stream is a cursor over numbers of a key, for an algorithm that needs an
// unknown count of them. They are apart from the numbers that the key gives by
// position. It is a local convenience: never keep one across samples, or the
// numbers would depend on the order of the work.
type Stream struct {
	k     Key
	next  uint64
	words [4]uint32
	left  int // of words
}

// Stream returns a cursor at the first number.
func (k Key) Stream() Stream { return Stream{k: k} }

// Uint32 returns the next number.
func (s *Stream) Uint32() uint32 {
	if s.left == 0 {
		s.words = s.k.Block(1, s.next)
		s.next++
		s.left = len(s.words)
	}
	s.left--
	return s.words[s.left]
}

// Uint64 returns the next number.
func (s *Stream) Uint64() uint64 {
	high := uint64(s.Uint32())
	return high<<32 | uint64(s.Uint32())
}

// Float64 returns the next number, uniform in [0, 1).
func (s *Stream) Float64() float64 {
	return float64(s.Uint64()>>11) * 0x1p-53
}

// Chance returns the next number, uniform in [0, 1) in steps of 2^-32: half the work
// of Float64, for a choice between a few things.
func (s *Stream) Chance() float64 { return float64(s.Uint32()) * 0x1p-32 }

// IntN returns the next number, uniform in [0, n); without any bias when n is
// below 2^32 (Lemire, "Fast Random Integer Generation in an Interval", 2019). It
// panics when n <= 0.
func (s *Stream) IntN(n int) int {
	if n <= 0 {
		panic("counter: IntN of a count that is not positive")
	}
	if uint64(n) > 1<<32-1 {
		high, _ := bits.Mul64(s.Uint64(), uint64(n))
		return int(high)
	}
	bound := uint32(n)
	product := uint64(s.Uint32()) * uint64(bound)
	if uint32(product) < bound {
		for least := -bound % bound; uint32(product) < least; {
			product = uint64(s.Uint32()) * uint64(bound)
		}
	}
	return int(product >> 32)
}
