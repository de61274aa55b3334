package tokenize

// pieceTable cuts words into the pieces of byte pair merges without merging: from
// left to right, by the longest piece that fits to the one before it, and by a
// shorter one where that leads nowhere.
//
// A row of pieces is what merging gives if each two neighbours are: the first
// merge across a border would happen in the two pieces alone as well, since what
// was merged before it lies within pieces (Berglund and van der Merwe,
// "Formalizing BPE Tokenization", 2023). So it is enough to look at pairs, and the
// prefixes of a text have one way to be cut each. The method is that of GitHub's
// "bpe" crate.
//
// It holds for vocabularies in which each piece is made by one merge, of pieces
// that were made before it.
type pieceTable struct {
	trie *trie
	// rank is the merge that makes a piece, -1 for a byte; left and right are its
	// sides, shorter its longest prefix that is a piece, and size its bytes.
	rank, left, right, shorter, size []int32
	// begun has a bit for each two bytes that a piece begins with.
	begun [1 << 16 / 64]uint64
}

// begins reports whether a piece begins with the bytes a and b. If not, they do not
// merge: two bytes that do are a piece.
func (t *pieceTable) begins(a, b byte) bool {
	pair := uint(a)<<8 | uint(b)
	return t.begun[pair>>6]>>(pair&63)&1 == 1
}

// newPieceTable returns the table of a byte-level model, or nil when its merges are
// not of the kind.
func newPieceTable(m *bpe) *pieceTable {
	n := m.vocab.span()
	t := &pieceTable{rank: make([]int32, n), left: make([]int32, n), right: make([]int32, n), shorter: make([]int32, n), size: make([]int32, n)}
	const unmade = -2
	for id := range t.rank {
		t.rank[id], t.shorter[id] = unmade, -1
	}
	var keys []string
	var values []int32
	for b, id := range m.raw {
		if t.rank[id] == -1 {
			return nil
		}
		t.rank[id], t.size[id] = -1, 1
		keys, values = append(keys, string([]byte{byte(b)})), append(values, id)
	}
	for rank, p := range m.pairs {
		left, ok1 := m.vocab.id(p[0])
		right, ok2 := m.vocab.id(p[1])
		id, ok3 := m.vocab.id(p[0] + p[1])
		// A merge that takes the place of an earlier one has its rank.
		if !ok1 || !ok2 || !ok3 || m.merges.get(left, right).rank != int32(rank) || t.rank[id] != unmade || t.rank[left] == unmade || t.rank[right] == unmade {
			return nil
		}
		t.rank[id], t.left[id], t.right[id], t.size[id] = int32(rank), left, right, t.size[left]+t.size[right]
		// A piece that its own bytes are not cut into is never seen.
		if t.size[left] == 0 || t.size[right] == 0 || !t.meet(m, left, right, int32(rank), nil) {
			t.size[id] = 0
			continue
		}
		raw, ok := rawBytes(m.vocab.pieces[id])
		if !ok {
			return nil
		}
		keys, values = append(keys, raw), append(values, id)
	}
	var err error
	if t.trie, err = newTrie(keys, values); err != nil {
		return nil
	}
	for i, key := range keys {
		if len(key) > 1 {
			pair := uint(key[0])<<8 | uint(key[1])
			t.begun[pair>>6] |= 1 << (pair & 63)
		}
		node, last := int32(0), int32(-1)
		for k := range len(key) {
			if v := t.trie.value(node); v >= 0 {
				last = v
			}
			node = t.trie.step(node, key[k])
		}
		t.shorter[values[i]] = last
	}
	return t
}

// meet reports whether no merge of a rank below limit crosses the border of two
// pieces while their bytes are merged. It undoes the merges, the last first; of
// two with the same rank the left one was done first.
func (t *pieceTable) meet(m *bpe, left, right, limit int32, work *int64) bool {
	for {
		if work != nil {
			*work++
		}
		if r := m.merges.get(left, right).rank; r < limit {
			return false
		}
		if a, b := t.rank[left], t.rank[right]; a > b {
			limit, left = a, t.right[left]
		} else if b >= 0 {
			limit, right = b+1, t.left[right]
		} else {
			return true
		}
	}
}

// cut sets w to the pieces of word.
func (t *pieceTable) cut(m *bpe, w *bpeWord, word []byte) {
	ids, ends := w.ids[:0], w.ends[:0]
	// dead marks the places that no cut of the whole word has.
	var few [4]uint64
	dead := few[:]
	if words := len(word)>>6 + 1; words > len(few) {
		if cap(w.dead) < words {
			w.dead = make([]uint64, words)
		}
		dead = w.dead[:words]
		clear(dead)
	}
	at := 0
	next := t.longest(m, word, 0, &w.work)
	for next >= 0 {
		token := next
		last := int32(-1)
		if len(ids) > 0 {
			last = ids[len(ids)-1]
		}
		for {
			end := at + int(t.size[token])
			if dead[end>>6]>>(end&63)&1 == 0 && (last < 0 ||
				end == at+1 && t.rank[last] < 0 && !t.begins(word[at-1], word[at]) || t.meet(m, last, token, none, &w.work)) {
				ids, ends = append(ids, token), append(ends, int32(end))
				at = end
				next = -1
				if at < len(word) {
					next = t.longest(m, word, at, &w.work)
				}
				break
			}
			if token = t.shorter[token]; token < 0 {
				dead[at>>6] |= 1 << (at & 63)
				ids, ends = ids[:len(ids)-1], ends[:len(ends)-1]
				at -= int(t.size[last])
				next = last
				break
			}
		}
	}
	w.ids, w.ends = ids, ends
}

// longest returns the longest piece at byte at of word.
func (t *pieceTable) longest(m *bpe, word []byte, at int, work *int64) int32 {
	if at+1 == len(word) || !t.begins(word[at], word[at+1]) {
		*work++
		return m.raw[word[at]]
	}
	units, values := t.trie.units, t.trie.values
	node, best := int32(0), int32(-1)
	i := at
	for ; i < len(word); i++ {
		next := units[node].base() ^ int32(word[i])
		if units[next].check != node {
			break
		}
		node = next
		if units[node].ends() {
			v := values[node]
			best = v
		}
	}
	*work += int64(i - at + 1)
	return best
}
