package dedup

import (
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"
)

// signatureLanes is what the signature's length is rounded up to, so that vector
// kernels have whole registers.
const signatureLanes = 16

// permutations holds the hash functions of a signature: the i-th maps a shingle's
// upper 32 bits x to A[i]*x+B[i] modulo 2^32, A[i] odd.
type permutations struct{ a, b []uint32 }

// newPermutations derives n functions, rounded up to whole lanes, from a seed.
func newPermutations(n int, seed uint64) permutations {
	n = (n + signatureLanes - 1) / signatureLanes * signatureLanes
	p := permutations{make([]uint32, n), make([]uint32, n)}
	for i := range n {
		z := mix64(seed + uint64(i+1)*shingleBase)
		p.a[i], p.b[i] = uint32(z>>32)|1, uint32(z)
	}
	return p
}

// reset makes sig the signature of nothing.
func resetSignature(sig []uint32) {
	for i := range sig {
		sig[i] = math.MaxUint32
	}
}

// updateReference is the plain form of the kernel: sig[i] becomes the least value
// that the i-th function takes on the shingles and that it had before.
func (p permutations) updateReference(sig []uint32, shingles []uint64) {
	a, b := p.a[:len(sig)], p.b[:len(sig)]
	for _, s := range shingles {
		x := uint32(s >> 32)
		for i := range sig {
			if h := a[i]*x + b[i]; h < sig[i] {
				sig[i] = h
			}
		}
	}
}

// bandHashes appends one hash a band: bands[j] of the rows of band j.
func bandHashes(dst []uint64, sig []uint32, bands, rows int) []uint64 {
	var buf [4 * 512]byte
	for j := range bands {
		b := buf[:0]
		for _, v := range sig[j*rows : (j+1)*rows] {
			b = binary.LittleEndian.AppendUint32(b, v)
		}
		dst = append(dst, xxh3.HashSeed(b, uint64(j)))
	}
	return dst
}

// CollisionProbability is the chance that MinHash-LSH of so many bands and rows
// nominates a pair of Jaccard similarity s: 1-(1-s^rows)^bands (Leskovec,
// Rajaraman and Ullman, "Mining of Massive Datasets", section 3.4.2).
func CollisionProbability(s float64, bands, rows int) float64 {
	return -math.Expm1(float64(bands) * math.Log1p(-math.Pow(s, float64(rows))))
}

// ChooseBands returns the bands and rows of at most permutations functions that
// nominate the fewest pairs among those that find a pair at the threshold with a
// probability of 0.99 at least. As every nominated pair is verified, a low
// threshold of nomination costs time, not precision.
func ChooseBands(threshold float64, permutations int) (bands, rows int) {
	bands, rows = permutations, 1
	for r := 2; r <= permutations; r++ {
		b := permutations / r
		if CollisionProbability(threshold, b, r) < 0.99 {
			break
		}
		bands, rows = b, r
	}
	return bands, rows
}
