package language

import "math/bits"

// table finds the longest n-gram of the model that some symbols end with. What takes
// time are misses of the cache, so keys are looked up in batches, a step for all of them
// at a time, for the memory to be asked for many things at once.
type table struct {
	// maybe has a bit for each key by its hash, in little memory: most n-grams that are
	// looked for are not there.
	maybe []uint64
	slots []slot // open addressing, a power of two of them, at most two thirds full
	shift int
	// pairs holds for each n-gram how many classes it speaks for and how many symbols it
	// has, and then the pairs.
	pairs []pair
}

// slot tells of the n-gram whose hash has its place and print where its pairs are; 0: it
// is empty.
type slot struct{ print, from uint32 }

// pair is a class and what an n-gram speaks for it.
type pair struct{ class, weight uint8 }

const (
	batch     = 64
	maybeBits = 20
	// fewest is the size of the n-grams that the table is first asked for; shorter ones
	// are the answer for few letters.
	fewest = 3
)

func newTable(grams int) table {
	size := 1 << bits.Len(uint(grams+grams/2))
	return table{maybe: make([]uint64, 1<<maybeBits/64), slots: make([]slot, size), shift: 64 - bits.Len(uint(size-1)), pairs: make([]pair, 1)}
}

// hash is one to one, so that place and print (at least 42 bits of it) tell keys apart
// but for one in millions of millions.
func hash(key uint64) uint64 { return key * 0x9e37_79b9_7f4a_7c15 }

func printOf(h uint64) uint32 { return uint32(h >> 10) }

// put adds an n-gram with the classes and weights of list. It reports false when one is
// there that looks the same.
func (t *table) put(key uint64, list []byte) bool {
	h := hash(key)
	at := int(h >> t.shift)
	for t.slots[at].from != 0 {
		if t.slots[at].print == printOf(h) {
			return false
		}
		at = (at + 1) & (len(t.slots) - 1)
	}
	t.slots[at] = slot{printOf(h), uint32(len(t.pairs))}
	t.maybe[h>>(64-maybeBits)>>6] |= 1 << (h >> (64 - maybeBits) & 63)
	t.pairs = append(t.pairs, pair{uint8(len(list) / 2), uint8((bits.Len64(key) + SymbolBits - 1) / SymbolBits)})
	for i := 0; i < len(list); i += 2 {
		t.pairs = append(t.pairs, pair{list[i], list[i+1]})
	}
	return true
}

// find returns where the pairs are of the n-gram with a hash, 0 when it is not there.
func (t *table) find(h uint64) uint32 {
	for at := int(h >> t.shift); ; at = (at + 1) & (len(t.slots) - 1) {
		s := t.slots[at]
		if s.from == 0 || s.print == printOf(h) {
			return s.from
		}
	}
}

// longest returns where the pairs are of the longest n-gram of at most n symbols that a
// key ends with.
func (t *table) longest(key uint64, n int) uint32 {
	for ; n > 0; n-- {
		h := hash(key & (1<<(n*SymbolBits) - 1))
		if bit := h >> (64 - maybeBits); t.maybe[bit>>6]>>(bit&63)&1 == 0 {
			continue
		}
		if from := t.find(h); from != 0 {
			return from
		}
	}
	return 0
}

// add adds what keys, at most batch, speak for the classes, each by its longest n-gram, and
// returns how many symbols these have together.
func (t *table) add(to *scores, keys []uint64) (symbols int) {
	var sizes [batch]uint8
	var from [batch]uint32
	maybe := (*[1 << maybeBits / 64]uint64)(t.maybe)
	for i, key := range keys {
		var found uint64
		for n := uint(fewest); n <= MaxGram; n++ {
			bit := hash(key&(1<<(n*SymbolBits)-1)) >> (64 - maybeBits)
			found |= maybe[bit>>6] >> (bit & 63) & 1 << n
		}
		sizes[i&(batch-1)] = uint8(max(bits.Len64(found), fewest)) - 1
	}
	for i, key := range keys {
		n := int(sizes[i&(batch-1)])
		h := hash(key & (1<<(n*SymbolBits) - 1))
		s := t.slots[h>>t.shift]
		if s.print != printOf(h) || s.from == 0 {
			s.from = t.longest(key, n)
		}
		from[i&(batch-1)] = s.from
	}
	for i := range keys {
		symbols += int(t.pairs[from[i&(batch-1)]].weight)
	}
	for i := range keys {
		at := from[i&(batch-1)]
		for _, x := range t.pairs[at+1 : at+1+uint32(t.pairs[at].class)] {
			to[x.class] += uint32(x.weight)
		}
	}
	return symbols
}
