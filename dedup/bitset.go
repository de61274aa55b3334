package dedup

import "math/bits"

// bitset is a set of document numbers, one bit each.
type bitset struct {
	words []uint64
	// before[i] is the number of elements in words[:i], once count was called.
	before []uint32
}

func newBitset(n int) *bitset { return &bitset{words: make([]uint64, (n+63)/64)} }

func (b *bitset) add(i uint32)      { b.words[i/64] |= 1 << (i % 64) }
func (b *bitset) has(i uint32) bool { return b.words[i/64]>>(i%64)&1 == 1 }

// count counts the elements, and makes place usable until the next add.
func (b *bitset) count() int {
	b.before = make([]uint32, len(b.words))
	n := 0
	for i, w := range b.words {
		b.before[i] = uint32(n)
		n += bits.OnesCount64(w)
	}
	return n
}

// place is how many elements are less than i.
func (b *bitset) place(i uint32) int {
	return int(b.before[i/64]) + bits.OnesCount64(b.words[i/64]&(1<<(i%64)-1))
}

// all yields the elements, ascending.
func (b *bitset) all(yield func(uint32) bool) {
	for i, w := range b.words {
		for ; w != 0; w &= w - 1 {
			if !yield(uint32(i*64 + bits.TrailingZeros64(w))) {
				return
			}
		}
	}
}
