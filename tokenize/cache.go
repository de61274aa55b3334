package tokenize

import "encoding/binary"

// wordCache remembers how short words were cut. It has a fixed size: a word takes
// the place of the older of the two in its set.
type wordCache struct {
	slots []cachedWord
}

const (
	cacheBits   = 14 // sets of two words, 2 MiB
	cachedBytes = 24
	cachedIDs   = 6
)

// cachedWord is a word of up to cachedBytes bytes that has up to cachedIDs pieces,
// each with the byte at which it ends.
type cachedWord struct {
	word    [cachedBytes]byte
	ids     [cachedIDs]int32
	ends    [cachedIDs]uint8
	size, n uint8
	_       [8]byte // a slot is one cache line
}

func (s *cachedWord) is(word []byte) bool {
	return int(s.size) == len(word) && string(s.word[:len(word)]) == string(word)
}

// slot returns the place of word, and whether it holds the word.
func (c *wordCache) slot(word []byte) (*cachedWord, bool) {
	if c.slots == nil {
		c.slots = make([]cachedWord, 2<<cacheBits)
	}
	set := c.slots[2*cacheKey(word):]
	switch {
	case set[0].is(word):
		return &set[0], true
	case set[1].is(word):
		return &set[1], true
	}
	set[1] = set[0]
	return &set[0], false
}

// put writes a word into its slot, if it fits.
func (s *cachedWord) put(word []byte, ids, ends []int32) {
	if len(ids) > cachedIDs {
		return
	}
	s.size, s.n = uint8(copy(s.word[:], word)), uint8(copy(s.ids[:], ids))
	for i, end := range ends {
		s.ends[i] = uint8(end)
	}
}

// cacheKey hashes a word of at most cachedBytes bytes.
func cacheKey(word []byte) uint64 {
	const k0, k1 = 0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f
	h := uint64(len(word)) * k1
	for len(word) >= 8 {
		h = (h ^ binary.LittleEndian.Uint64(word)) * k0
		h ^= h >> 32
		word = word[8:]
	}
	var tail uint64
	for i, b := range word {
		tail |= uint64(b) << (8 * i)
	}
	h = (h ^ tail) * k0
	return h >> (64 - cacheBits)
}
