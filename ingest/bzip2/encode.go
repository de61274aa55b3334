package bzip2

import "slices"

// encoder holds the working memory of one block's coding.
type encoder struct {
	order   []int32
	rank    []int32
	keys    []uint64
	symbols []uint16
}

// encode writes one block: the Burrows-Wheeler transform of block, move to
// front, runs of the front symbol in bijective base 2, and Huffman codes.
func (e *encoder) encode(w *bitWriter, block []byte, inUse *[256]bool, crc uint32) {
	e.sortRotations(block)
	w.put(blockMagic>>24, 24)
	w.put(blockMagic&0xffffff, 24)
	w.put(crc>>16, 16)
	w.put(crc&0xffff, 16)
	w.put(0, 1) // not randomised

	origin := slices.Index(e.order, 0)
	w.put(uint32(origin), 24)

	var groups uint32
	for i := range 16 {
		for j := range 16 {
			if inUse[i*16+j] {
				groups |= 1 << (15 - i)
			}
		}
	}
	w.put(groups, 16)
	for i := range 16 {
		if groups&(1<<(15-i)) == 0 {
			continue
		}
		for j := range 16 {
			bit := uint32(0)
			if inUse[i*16+j] {
				bit = 1
			}
			w.put(bit, 1)
		}
	}
	alphabet := e.moveToFront(block, inUse)
	e.entropy(w, alphabet)
}

// sortRotations fills e.order with the starts of block's rotations in their
// lexical order. Ranks of prefixes are doubled in length until they tell all
// rotations apart (Larsson and Sadakane 1999, section 2), so that repeats cost
// O(n log^2 n), not O(n^2).
func (e *encoder) sortRotations(block []byte) {
	n := len(block)
	e.order = slices.Grow(e.order[:0], n)[:n]
	e.rank = slices.Grow(e.rank[:0], n)[:n]
	next := func(i int) int {
		if i+1 == n {
			return 0
		}
		return i + 1
	}
	start := make([]int32, 1<<16+1)
	for i := range block {
		start[int(block[i])<<8|int(block[next(i)])+1]++
	}
	for k := 1; k < len(start); k++ {
		start[k] += start[k-1]
	}
	fill := slices.Clone(start)
	for i := range block {
		pair := int(block[i])<<8 | int(block[next(i)])
		e.rank[i] = start[pair]
		e.order[fill[pair]] = int32(i)
		fill[pair]++
	}
	type span struct{ lo, hi int32 }
	var open []span
	for k := range 1 << 16 {
		if start[k+1]-start[k] > 1 {
			open = append(open, span{start[k], start[k+1]})
		}
	}
	for h := 2; h < n && len(open) > 0; h *= 2 {
		var still []span
		for _, s := range open {
			e.keys = e.keys[:0]
			for _, i := range e.order[s.lo:s.hi] {
				j := int(i) + h
				if j >= n {
					j -= n
				}
				e.keys = append(e.keys, uint64(e.rank[j])<<32|uint64(i))
			}
			slices.Sort(e.keys)
			for k := 0; k < len(e.keys); {
				end := k + 1
				for end < len(e.keys) && e.keys[end]>>32 == e.keys[k]>>32 {
					end++
				}
				lo, hi := s.lo+int32(k), s.lo+int32(end)
				for m := k; m < end; m++ {
					i := int32(uint32(e.keys[m]))
					e.order[s.lo+int32(m)] = i
					e.rank[i] = lo
				}
				if hi-lo > 1 {
					still = append(still, span{lo, hi})
				}
				k = end
			}
		}
		open = still
	}
}

// moveToFront fills e.symbols and returns the size of the alphabet, the end of
// the block being its last symbol.
func (e *encoder) moveToFront(block []byte, inUse *[256]bool) int {
	var front []byte
	for b := range 256 {
		if inUse[b] {
			front = append(front, byte(b))
		}
	}
	alphabet := len(front) + 2
	e.symbols = e.symbols[:0]
	zeros := 0
	endZeros := func() {
		for ; zeros > 0; zeros = (zeros - 1) / 2 {
			e.symbols = append(e.symbols, uint16((zeros-1)&1))
		}
	}
	for _, i := range e.order {
		b := block[len(block)-1]
		if i > 0 {
			b = block[i-1]
		}
		at := slices.Index(front, b)
		if at == 0 {
			zeros++
			continue
		}
		endZeros()
		copy(front[1:at+1], front[:at])
		front[0] = b
		e.symbols = append(e.symbols, uint16(at+1))
	}
	endZeros()
	e.symbols = append(e.symbols, uint16(alphabet-1))
	return alphabet
}

// entropy chooses the code tables and writes them and the symbols.
func (e *encoder) entropy(w *bitWriter, alphabet int) {
	tables := 6
	for i, limit := range []int{200, 600, 1200, 2400} {
		if len(e.symbols) < limit {
			tables = i + 2
			break
		}
	}
	groups := (len(e.symbols) + groupSize - 1) / groupSize
	selectors := make([]uint8, groups)
	var lengths [maxTables][maxSymbols]uint8
	// The first guess shares the symbols out by frequency; a few rounds of
	// choosing the cheapest table of each group and refitting the tables follow.
	for g := range selectors {
		selectors[g] = uint8(g * tables / groups)
	}
	for range 5 {
		var freq [maxTables][maxSymbols]int
		for g, s := range selectors {
			for _, sym := range e.group(g) {
				freq[s][sym]++
			}
		}
		for t := range tables {
			codeLengths(freq[t][:alphabet], lengths[t][:alphabet])
		}
		for g := range selectors {
			best := 0
			for t := range tables {
				cost := 0
				for _, sym := range e.group(g) {
					cost += int(lengths[t][sym])
				}
				if t == 0 || cost < best {
					best, selectors[g] = cost, uint8(t)
				}
			}
		}
	}
	w.put(uint32(tables), 3)
	w.put(uint32(groups), 15)
	front := []uint8{0, 1, 2, 3, 4, 5}
	for _, s := range selectors {
		at := slices.Index(front, s)
		w.put(1<<(at+1)-2, uint(at+1))
		copy(front[1:at+1], front[:at])
		front[0] = s
	}
	var codes [maxTables][maxSymbols]uint32
	for t := range tables {
		assignCodes(lengths[t][:alphabet], codes[t][:alphabet])
		length := lengths[t][0]
		w.put(uint32(length), 5)
		for _, l := range lengths[t][:alphabet] {
			for ; length < l; length++ {
				w.put(2, 2)
			}
			for ; length > l; length-- {
				w.put(3, 2)
			}
			w.put(0, 1)
		}
	}
	for g, s := range selectors {
		for _, sym := range e.group(g) {
			w.put(codes[s][sym], uint(lengths[s][sym]))
		}
	}
}

func (e *encoder) group(g int) []uint16 {
	return e.symbols[g*groupSize : min((g+1)*groupSize, len(e.symbols))]
}

// longestCode is the longest code the Writer makes; readers take up to 20 bits.
const longestCode = 17

// codeLengths fills lengths with those of a Huffman code for freq in which no
// symbol lacks a code and none is longer than longestCode: as long as one is,
// the frequencies are flattened and the code is made again.
func codeLengths(freq []int, lengths []uint8) {
	type node struct {
		weight      int
		left, right int // -1: a leaf
	}
	weights := make([]int, len(freq))
	for i, f := range freq {
		weights[i] = max(f, 1) << 8
	}
	for {
		nodes := make([]node, len(weights), 2*len(weights))
		leaves := make([]int, len(weights))
		for i, w := range weights {
			nodes[i] = node{weight: w, left: -1, right: -1}
			leaves[i] = i
		}
		slices.SortStableFunc(leaves, func(a, b int) int { return weights[a] - weights[b] })
		// Leaves and inner nodes are two queues, each in order of weight.
		inner := len(nodes)
		take := func() int {
			if len(leaves) > 0 && (inner == len(nodes) || nodes[leaves[0]].weight <= nodes[inner].weight) {
				i := leaves[0]
				leaves = leaves[1:]
				return i
			}
			inner++
			return inner - 1
		}
		for range len(weights) - 1 {
			a, b := take(), take()
			nodes = append(nodes, node{weight: nodes[a].weight + nodes[b].weight, left: a, right: b})
		}
		depth := make([]int, len(nodes))
		longest := 0
		for i := len(nodes) - 1; i >= 0; i-- {
			if nodes[i].left >= 0 {
				depth[nodes[i].left] = depth[i] + 1
				depth[nodes[i].right] = depth[i] + 1
			} else {
				lengths[i] = uint8(min(depth[i], 255))
				longest = max(longest, depth[i])
			}
		}
		if longest <= longestCode {
			return
		}
		for i := range weights {
			weights[i] = (weights[i]>>8/2 + 1) << 8
		}
	}
}

// assignCodes gives each symbol its canonical code: shorter codes first, equal
// lengths in the order of the symbols.
func assignCodes(lengths []uint8, codes []uint32) {
	code := uint32(0)
	for length := uint8(1); length <= 20; length++ {
		for sym, l := range lengths {
			if l == length {
				codes[sym] = code
				code++
			}
		}
		code <<= 1
	}
}
