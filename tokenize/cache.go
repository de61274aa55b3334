package tokenize

import (
	"encoding/binary"
	"math/bits"
)

// wordCache remembers how short words were cut. It has a fixed size: a word takes
// the place of the older of the two in its set.
//
// Most words have up to 15 bytes: a set of two of these is one cache line, and
// Encoders that make no offsets ask for several words at once, so that the memory
// of one is fetched while another is looked at.
type wordCache struct {
	short []shortSet
	long  []cachedWord

	// narrow: every id fits into 16 bits.
	narrow bool
	// kept counts what was put into short since it has its size.
	kept int

	// keys and hashes are the words that wait to be looked up, count of them.
	keys   [waitingWords]wordKey
	hashes [waitingWords]uint32
	count  int
	room   [16]byte
}

const (
	shortBits   = 15 // sets of short words, 2 MiB; an Encoder begins with fewer
	firstBits   = 9
	shortBytes  = 15
	shortIDs    = 6  // or half of them, when they need more than 16 bits
	longBits    = 11 // sets of long words, 256 KiB
	cachedBytes = 24
	cachedIDs   = 6

	waitingWords = 16
)

// wordKey is a word of up to shortBytes bytes, with its length in the last byte:
// words are equal when their keys are. The key 0 is no word.
type wordKey struct{ lo, hi uint64 }

type shortSet [2]shortWord

// shortWord is a word with up to shortIDs pieces. The lowest 4 bits of form are
// how many, and the next ones, in 4 bits each, where they end.
type shortWord struct {
	key  wordKey
	ids  [shortIDs]uint16
	form uint32
}

func keyOf(word []byte) wordKey {
	n := uint(len(word))
	var k wordKey
	if cap(word) >= 16 {
		w := word[:16]
		k.lo, k.hi = binary.LittleEndian.Uint64(w), binary.LittleEndian.Uint64(w[8:])
		if n < 8 {
			k.lo, k.hi = k.lo&(1<<(8*n)-1), 0
		} else {
			k.hi &= 1<<(8*(n-8)) - 1
		}
	} else {
		var w [16]byte
		copy(w[:], word)
		k.lo, k.hi = binary.LittleEndian.Uint64(w[:]), binary.LittleEndian.Uint64(w[8:])
	}
	k.hi |= uint64(n) << 56
	return k
}

// appendTo appends the word.
func (k wordKey) appendTo(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, k.lo)
	dst = binary.LittleEndian.AppendUint64(dst, k.hi)
	return dst[:len(dst)-16+int(k.hi>>56)]
}

func (k wordKey) hash() uint32 {
	hi, lo := bits.Mul64(k.lo^0x9e3779b97f4a7c15, k.hi^0xc2b2ae3d27d4eb4f)
	return uint32(hi ^ lo)
}

// set returns where a word of this hash belongs.
func (c *wordCache) set(hash uint32) *shortSet { return &c.short[hash&uint32(len(c.short)-1)] }

// grow makes room for more words.
func (c *wordCache) grow() {
	old := c.short
	c.short, c.kept = make([]shortSet, min(8*len(old), 1<<shortBits)), 0
	for i := range old {
		for j := len(old[i]) - 1; j >= 0; j-- {
			if w := old[i][j]; w.key.hi != 0 {
				s := c.set(w.key.hash())
				s[1], s[0] = s[0], w
			}
		}
	}
}

// find returns the word of the key k, or nil.
func (c *wordCache) find(k wordKey, hash uint32) *shortWord {
	s := c.set(hash)
	switch {
	case s[0].key == k:
		return &s[0]
	case s[1].key == k:
		return &s[1]
	}
	return nil
}

// keep remembers a word, if it has few enough pieces.
func (c *wordCache) keep(k wordKey, hash uint32, ids, ends []int32) {
	w := shortWord{key: k, form: uint32(len(ids))}
	switch {
	case c.narrow && len(ids) <= shortIDs:
		for i, id := range ids {
			w.ids[i] = uint16(id)
		}
	case !c.narrow && len(ids) <= shortIDs/2:
		for i, id := range ids {
			w.ids[2*i], w.ids[2*i+1] = uint16(id), uint16(id>>16)
		}
	default:
		return
	}
	for i, end := range ends {
		w.form |= uint32(end) << (4 * (i + 1))
	}
	if c.kept++; c.kept > len(c.short) && len(c.short) < 1<<shortBits {
		c.grow()
	}
	s := c.set(hash)
	s[1], s[0] = s[0], w
}

func (w *shortWord) pieces() int { return int(w.form & 0xf) }

// end returns where piece i ends.
func (w *shortWord) end(i int) int { return int(w.form >> (4 * (i + 1)) & 0xf) }

// appendTo appends the ids.
func (w *shortWord) appendTo(ids []int32, narrow bool) []int32 {
	n := w.pieces()
	if !narrow {
		for i := range n {
			ids = append(ids, int32(w.ids[2*i])|int32(w.ids[2*i+1])<<16)
		}
		return ids
	}
	if n == 1 {
		return append(ids, int32(w.ids[0]))
	}
	for _, id := range w.ids[:n] {
		ids = append(ids, int32(id))
	}
	return ids
}

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

// slot returns the place of a word of more than shortBytes bytes, and whether it
// holds the word.
func (c *wordCache) slot(word []byte) (*cachedWord, bool) {
	if c.long == nil {
		c.long = make([]cachedWord, 2<<longBits)
	}
	set := c.long[2*longSet(word):]
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

// longSet hashes a word of more than shortBytes and at most cachedBytes bytes.
func longSet(word []byte) uint64 {
	a, b := binary.LittleEndian.Uint64(word), binary.LittleEndian.Uint64(word[8:])
	c := binary.LittleEndian.Uint64(word[len(word)-8:])
	hi, lo := bits.Mul64(a^0x9e3779b97f4a7c15, b^0xc2b2ae3d27d4eb4f)
	hi, lo = bits.Mul64(hi^lo^c, 0x9e3779b97f4a7c15^uint64(len(word)))
	return (hi ^ lo) & (1<<longBits - 1)
}

// cut takes the pieces of word, which begins at byte at of what the offsets are
// about.
func (e *Encoder) cut(word []byte) {
	c := &e.cache
	if c.short == nil {
		c.short, c.narrow = make([]shortSet, 1<<firstBits), e.t.vocab.span() <= 1<<16
	}
	if len(word) <= shortBytes && len(word) > 0 {
		k := keyOf(word)
		hash := k.hash()
		if !e.offsets {
			c.keys[c.count], c.hashes[c.count] = k, hash
			prefetch(c.set(hash))
			if c.count++; c.count == waitingWords {
				e.drain()
			}
			return
		}
		if w := c.find(k, hash); w != nil {
			e.ids = w.appendTo(e.ids, c.narrow)
			start := 0
			for i := range w.pieces() {
				e.wordSpan(start, w.end(i))
				start = w.end(i)
			}
			return
		}
		if ids, ends := e.cutAnew(word); ends != nil {
			c.keep(k, hash, ids, ends)
		}
		return
	}
	e.drain()
	if len(word) > cachedBytes || len(word) == 0 {
		e.cutAnew(word)
		return
	}
	slot, have := c.slot(word)
	if !have {
		slot.size = 0
		if ids, ends := e.cutAnew(word); ends != nil {
			slot.put(word, ids, ends)
		}
		return
	}
	e.ids = append(e.ids, slot.ids[:slot.n]...)
	if e.offsets {
		start := 0
		for _, end := range slot.ends[:slot.n] {
			e.wordSpan(start, int(end))
			start = int(end)
		}
	}
}

// drain takes the pieces of the words that wait.
func (e *Encoder) drain() {
	c := &e.cache
	ids := e.ids
	for i, k := range c.keys[:c.count] {
		hash := c.hashes[i]
		if w := c.find(k, hash); w != nil {
			ids = w.appendTo(ids, c.narrow)
			continue
		}
		e.ids = ids
		if cut, ends := e.cutAnew(k.appendTo(c.room[:0])); ends != nil {
			c.keep(k, hash, cut, ends)
		}
		ids = e.ids
	}
	e.ids, c.count = ids, 0
}

// cutAnew takes the pieces of a word that is not in the cache, and returns them
// with their ends; no ends mean that it must not be kept there.
func (e *Encoder) cutAnew(word []byte) (ids, ends []int32) {
	before := len(e.ids)
	if e.t.path == pathBytes {
		ids, ends = e.t.model.(*bpe).rawWord(&e.word, word)
		e.ids = append(e.ids, ids...)
		if e.offsets {
			start := 0
			for _, end := range ends {
				e.wordSpan(start, int(end))
				start = int(end)
			}
		}
		return ids, ends
	}
	e.ends, e.recording, e.apart = e.ends[:0], true, true
	err := e.t.model.encode(e, word)
	e.recording = false
	if err != nil {
		if e.err == nil {
			e.err = err
		}
		return nil, nil
	}
	if !e.apart {
		return nil, nil
	}
	return e.ids[before:], e.ends
}
