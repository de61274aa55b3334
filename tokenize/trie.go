package tokenize

import (
	"fmt"
	"slices"
)

// trie is a double array over bytes (Aoe, "An Efficient Digital Search Algorithm
// by Using a Double-Array Structure", 1989): the child of node s by byte b is
// units[s].base ^ b, if that unit names s as its parent. A step is one load and
// one compare.
type trie struct {
	units []trieUnit
}

type trieUnit struct {
	// base gives the children's places; check is the parent, or -1 for a unit
	// that is free; value is the key's that ends here, or -1.
	base, check, value int32
}

// trieTries bounds how many free places are tried for a node's children before
// the array grows by a block: the build stays linear.
const trieTries = 48

// newTrie builds the trie of keys, which must differ; values[i] >= 0 is the value
// of keys[i].
func newTrie(keys []string, values []int32) (*trie, error) {
	order := make([]int32, len(keys))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int {
		switch {
		case keys[a] < keys[b]:
			return -1
		case keys[a] > keys[b]:
			return 1
		}
		return 0
	})
	for i := 1; i < len(order); i++ {
		if keys[order[i]] == keys[order[i-1]] {
			return nil, fmt.Errorf("piece %q stands twice", keys[order[i]])
		}
	}
	b := trieBuilder{keys: keys, values: values, order: order, free: -1}
	b.grow()
	b.take(0)
	b.units[0].check = 0
	b.place(0, 0, len(order), 0)
	b.units[0].check = -1
	return &trie{units: slices.Clip(b.units)}, nil
}

// step returns the child of node by b, or -1.
func (t *trie) step(node int32, b byte) int32 {
	next := t.units[node].base ^ int32(b)
	if t.units[next].check != node {
		return -1
	}
	return next
}

// walk follows s from node and returns where it ends, or -1.
func (t *trie) walk(node int32, s string) int32 {
	for i := 0; i < len(s) && node >= 0; i++ {
		node = t.step(node, s[i])
	}
	return node
}

type trieBuilder struct {
	keys   []string
	values []int32
	order  []int32
	units  []trieUnit
	// The free units are a doubly linked ring; free is one of them or -1.
	prev, next []int32
	free       int32
}

// grow adds a block of 256 free units at the end of the ring.
func (b *trieBuilder) grow() {
	first := int32(len(b.units))
	for i := range int32(256) {
		b.units = append(b.units, trieUnit{check: -1, value: -1})
		b.prev = append(b.prev, first+i-1)
		b.next = append(b.next, first+i+1)
	}
	last := first + 255
	if b.free < 0 {
		b.prev[first], b.next[last] = last, first
		b.free = first
		return
	}
	end := b.prev[b.free]
	b.next[end], b.prev[first] = first, end
	b.next[last], b.prev[b.free] = b.free, last
}

// take removes unit u from the ring of free ones.
func (b *trieBuilder) take(u int32) {
	p, n := b.prev[u], b.next[u]
	if p == u {
		b.free = -1
	} else {
		b.next[p], b.prev[n] = n, p
		if b.free == u {
			b.free = n
		}
	}
	b.prev[u] = -1
}

// place lays out the children of node, whose keys are order[lo:hi] and share
// their first depth bytes.
func (b *trieBuilder) place(node int32, lo, hi, depth int) {
	if lo < hi && len(b.keys[b.order[lo]]) == depth {
		b.units[node].value = b.values[b.order[lo]]
		lo++
	}
	if lo == hi {
		// A leaf's base leads to itself or its block, where no unit names it as
		// parent.
		b.units[node].base = node &^ 255
		return
	}
	var first [257]int
	var bytes [256]byte
	n := 0
	for i := lo; i < hi; i++ {
		c := b.keys[b.order[i]][depth]
		if n == 0 || bytes[n-1] != c {
			bytes[n], first[n] = c, i
			n++
		}
	}
	first[n] = hi
	base := b.fit(bytes[:n])
	b.units[node].base = base
	for _, c := range bytes[:n] {
		u := base ^ int32(c)
		b.take(u)
		b.units[u].check = node
	}
	for i, c := range bytes[:n] {
		b.place(base^int32(c), first[i], first[i+1], depth+1)
	}
}

// fit finds a base under which all of bytes are free.
func (b *trieBuilder) fit(bytes []byte) int32 {
	u := b.free
	for range trieTries {
		if u < 0 {
			break
		}
		base := u ^ int32(bytes[0])
		ok := true
		for _, c := range bytes[1:] {
			if b.prev[base^int32(c)] < 0 {
				ok = false
				break
			}
		}
		if ok {
			return base
		}
		if u = b.next[u]; u == b.free {
			break
		}
	}
	// Places that stay free after this many tries are left behind: the next
	// search starts in the new block.
	base := int32(len(b.units))
	b.grow()
	b.free = base
	return base
}
