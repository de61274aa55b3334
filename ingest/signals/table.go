package signals

import "math/bits"

// table numbers keys by first appearance, from 0, and counts them. It is emptied
// without being cleared.
type table struct {
	slots  []slot
	shift  uint
	round  uint32
	counts []uint32
}

type slot struct {
	key   uint64
	round uint32
	id    uint32
}

// smallTable and largeTable are the numbers of slots that a table begins with and
// that it gives back when it is emptied.
const (
	smallTable = 1 << 10
	largeTable = 1 << 18
)

func (t *table) reset() {
	t.round++
	if t.round == 0 || len(t.slots) == 0 || len(t.slots) > largeTable {
		t.slots = make([]slot, smallTable)
		t.shift = 64 - 10
		t.round = 1
		t.counts = nil
	}
	t.counts = t.counts[:0]
}

// add counts a key and returns its number.
func (t *table) add(key uint64) uint32 {
	mask := len(t.slots) - 1
	for i := int(spread(key) >> t.shift); ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.round != t.round {
			if 2*len(t.counts) >= len(t.slots) {
				t.grow()
				return t.add(key)
			}
			id := uint32(len(t.counts))
			*s = slot{key, t.round, id}
			t.counts = append(t.counts, 1)
			return id
		}
		if s.key == key {
			t.counts[s.id]++
			return s.id
		}
	}
}

// count returns how often a key was added.
func (t *table) count(key uint64) uint32 {
	mask := len(t.slots) - 1
	for i := int(spread(key) >> t.shift); ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.round != t.round {
			return 0
		}
		if s.key == key {
			return t.counts[s.id]
		}
	}
}

func (t *table) grow() {
	old := t.slots
	t.slots = make([]slot, 4*len(old))
	t.shift = 64 - uint(bits.TrailingZeros(uint(len(t.slots))))
	mask := len(t.slots) - 1
	for _, s := range old {
		if s.round != t.round {
			continue
		}
		i := int(spread(s.key) >> t.shift)
		for t.slots[i].round == t.round {
			i = (i + 1) & mask
		}
		t.slots[i] = s
	}
}

// spread makes the high bits of a key depend on all of it.
func spread(key uint64) uint64 {
	key ^= key >> 32
	return key * 0x9e37_79b9_7f4a_7c15
}
