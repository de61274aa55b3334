package tokenize

import (
	"fmt"
	"slices"
)

// trie is a double array over bytes (Aoe, "An Efficient Digital Search Algorithm
// by Using a Double-Array Structure", 1989): the child of node s by byte b is
// units[s].base() ^ b, if that unit names s as its parent. A step is one load and
// one compare.
type trie struct {
	units []trieUnit
	// values holds for each unit the value of the key that ends there, or -1.
	values []int32
}

type trieUnit struct {
	// link gives the children's places, shifted by one bit: the lowest is set when a
	// key ends here. check is the parent, or -1 for a unit that is free.
	link  uint32
	check int32
}

func (u trieUnit) base() int32 { return int32(u.link >> 1) }

func (u trieUnit) ends() bool { return u.link&1 == 1 }

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
	// An explicit stack: keys may be as long as a hostile file makes them.
	b.waiting = append(b.waiting, trieNode{0, 0, len(order), 0})
	for len(b.waiting) > 0 {
		if len(b.units) > maxTrie {
			return nil, fmt.Errorf("the pieces take more than %d places in a trie", maxTrie)
		}
		n := b.waiting[len(b.waiting)-1]
		b.waiting = b.waiting[:len(b.waiting)-1]
		b.place(n.node, n.lo, n.hi, n.depth)
	}
	b.units[0].check = -1
	return &trie{slices.Clip(b.units), slices.Clip(b.ends)}, nil
}

// step returns the child of node by b, or -1.
func (t *trie) step(node int32, b byte) int32 {
	next := t.units[node].base() ^ int32(b)
	if t.units[next].check != node {
		return -1
	}
	return next
}

// value returns the value of the key that ends at node, or -1.
func (t *trie) value(node int32) int32 { return t.values[node] }

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
	ends   []int32
	// The free units are a doubly linked ring; free is one of them or -1.
	prev, next []int32
	free       int32
	waiting    []trieNode
}

// trieNode is a node whose children, by the keys lo to hi of the order at byte
// depth, are yet to be placed.
type trieNode struct {
	node          int32
	lo, hi, depth int
}

// grow adds a block of 256 free units at the end of the ring.
func (b *trieBuilder) grow() {
	first := int32(len(b.units))
	for i := range int32(256) {
		b.units, b.ends = append(b.units, trieUnit{check: -1}), append(b.ends, -1)
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
		b.ends[node] = b.values[b.order[lo]]
		b.units[node].link |= 1
		lo++
	}
	if lo == hi {
		// A leaf's base leads to itself or its block, where no unit names it as
		// parent.
		b.units[node].link |= uint32(node&^255) << 1
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
	b.units[node].link |= uint32(base) << 1
	for _, c := range bytes[:n] {
		u := base ^ int32(c)
		b.take(u)
		b.units[u].check = node
	}
	for i := n - 1; i >= 0; i-- {
		b.waiting = append(b.waiting, trieNode{base ^ int32(bytes[i]), first[i], first[i+1], depth + 1})
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
