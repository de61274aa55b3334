package tokenize

import (
	"cmp"
	"slices"
	"unicode/utf8"
)

// pieceTable cuts words into the pieces of byte pair merges without merging: from
// left to right, by the longest piece that fits to the one before it, and by a
// shorter one where that leads nowhere.
//
// A row of pieces is what merging gives if each two neighbours are: the first
// merge across a border would happen in the two pieces alone as well, since what
// was merged before it lies within pieces (Berglund and van der Merwe,
// "Formalizing BPE Tokenization", 2023). So it is enough to look at pairs, and the
// prefixes of a text have one way to be cut each. The method is that of GitHub's
// "bpe" crate. It is taken here to pieces of characters, which several merges may
// give, and to characters that are no piece: nothing merges with what is written
// for these, so that they end a row.
//
// What two pieces give is told by undoing their merges. Where the merges of a piece
// are not in the order of their ranks, as those of Llama 2's rows of spaces, it is
// found by merging the two.
type pieceTable struct {
	trie *trie
	// rank is the merge that makes a piece, -1 for a symbol; left and right are its
	// sides, shorter its longest prefix that is a piece, and size its bytes, 0 for
	// a piece that merging never gives.
	rank, left, right, shorter, size []int32
	// odd marks the pieces that have to be merged.
	odd []bool
	// single holds the symbol of a byte, -1 for none.
	single [256]int32
	// begun has a bit for each two bytes that a piece begins with, and inside for
	// each two that it has anywhere.
	begun, inside [1 << 16 / 64]uint64
}

// The bytes of pieces are bounded: to tell what is made of two takes as many steps
// as they have merges one in another, or more if they have to be merged.
const (
	maxTablePiece = 1 << 10
	maxOddPiece   = 1 << 7
)

// begins reports whether a piece begins with the bytes a and b. If not, they do not
// merge: two bytes that do are a piece.
func (t *pieceTable) begins(a, b byte) bool {
	pair := uint(a)<<8 | uint(b)
	return t.begun[pair>>6]>>(pair&63)&1 == 1
}

// holds reports whether a piece has the bytes a and b beside each other. If not,
// nothing merges across them.
func (t *pieceTable) holds(a, b byte) bool {
	pair := uint(a)<<8 | uint(b)
	return t.inside[pair>>6]>>(pair&63)&1 == 1
}

// unmade is the rank of what merging does not give.
const unmade = -2

// newPieceTable returns the table of a model, or nil when its merges are not of the
// kind.
func newPieceTable(m *bpe) *pieceTable {
	n := m.vocab.span()
	t := &pieceTable{rank: make([]int32, n), left: make([]int32, n), right: make([]int32, n), shorter: make([]int32, n), size: make([]int32, n), odd: make([]bool, n)}
	for id := range t.rank {
		t.rank[id], t.shorter[id] = unmade, -1
	}
	for b := range t.single {
		t.single[b] = -1
	}
	keys, values := t.symbols(m)
	made, ok := m.ways()
	if !ok {
		return nil
	}
	var scratch bpeWord
	// Both sides of a merge are shorter than what it gives.
	for len(made) > 0 {
		id, ways := made[0].id, 1
		for ways < len(made) && made[ways].id == id {
			ways++
		}
		raw, ok := t.make(m, &scratch, id, made[:ways])
		if !ok {
			return nil
		}
		if raw != "" {
			keys, values = append(keys, raw), append(values, id)
		}
		made = made[ways:]
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
			if k > 0 {
				pair := uint(key[k-1])<<8 | uint(key[k])
				t.inside[pair>>6] |= 1 << (pair & 63)
			}
			if v := t.trie.value(node); v >= 0 {
				last = v
			}
			node = t.trie.step(node, key[k])
		}
		t.shorter[values[i]] = last
	}
	return t
}

// symbols takes what words are spelled with, and returns their bytes and ids.
func (t *pieceTable) symbols(m *bpe) (keys []string, values []int32) {
	take := func(key string, id int32) {
		t.rank[id], t.size[id] = -1, int32(len(key))
		if len(key) == 1 {
			t.single[key[0]] = id
		}
		keys, values = append(keys, key), append(values, id)
	}
	if m.whole {
		for b, id := range m.raw {
			take(string([]byte{byte(b)}), id)
		}
		return keys, values
	}
	for id, piece := range m.vocab.pieces {
		if r, n := utf8.DecodeRuneInString(piece); n == len(piece) && n > 0 && m.vocab.present[id] && (r != utf8.RuneError || n > 1) {
			take(piece, int32(id))
		}
	}
	return keys, values
}

// way is a merge: the piece that it gives, and from what.
type way struct{ id, left, right, rank int32 }

// ways lists the merges by the length of what they give, those of one piece beside
// each other, or reports false if what stands for unknown characters takes part in
// them.
func (m *bpe) ways() ([]way, bool) {
	apart := map[int32]bool{}
	if !m.whole {
		if m.unk >= 0 {
			apart[m.unk] = true
		}
		for _, id := range m.bytes {
			if m.byteFallback && id >= 0 {
				apart[id] = true
			}
		}
	}
	all := make([]way, 0, len(m.pairs))
	for rank, p := range m.pairs {
		left, ok1 := m.vocab.id(p[0])
		right, ok2 := m.vocab.id(p[1])
		id, ok3 := m.vocab.id(p[0] + p[1])
		if !ok1 || !ok2 || !ok3 || apart[left] || apart[right] || apart[id] {
			return nil, false
		}
		// A merge that stands twice has the later rank.
		if m.merges.get(left, right).rank != int32(rank) {
			continue
		}
		all = append(all, way{id, left, right, int32(rank)})
	}
	slices.SortFunc(all, func(a, b way) int {
		return cmp.Or(cmp.Compare(len(m.vocab.pieces[a.id]), len(m.vocab.pieces[b.id])), cmp.Compare(a.id, b.id), cmp.Compare(a.rank, b.rank))
	})
	return all, true
}

// make finds which of the merges that give a piece does so when the piece's own
// text is merged, and returns that text; it is empty when none does. It reports
// false when the table cannot hold the piece.
func (t *pieceTable) make(m *bpe, word *bpeWord, id int32, ways []way) (string, bool) {
	if t.rank[id] != unmade {
		return "", true // a symbol, made of itself and of nothing
	}
	disordered := false
	for _, w := range ways {
		if t.size[w.left] == 0 || t.size[w.right] == 0 {
			continue
		}
		if t.odd[w.left] || t.odd[w.right] || w.rank < t.rank[w.left] || w.rank < t.rank[w.right] {
			disordered = true
			continue
		}
		if !t.meet(m, w.left, w.right, w.rank, nil) {
			continue
		}
		raw := m.text(id)
		if len(raw) > maxTablePiece || len(raw) != int(t.size[w.left]+t.size[w.right]) {
			return "", false
		}
		t.rank[id], t.left[id], t.right[id], t.size[id] = w.rank, w.left, w.right, int32(len(raw))
		return raw, true
	}
	if !disordered {
		return "", true
	}
	// A side is made later than the whole: only merging tells what comes of it.
	raw := m.text(id)
	if len(raw) > maxOddPiece {
		return "", false
	}
	m.mergeText(word, []byte(raw))
	if len(word.ids) != 1 || word.ids[0] != id {
		return "", true
	}
	t.odd[id], t.rank[id], t.size[id] = true, 0, int32(len(raw))
	return raw, true
}

// text returns the bytes that a piece stands for in words.
func (m *bpe) text(id int32) string {
	if !m.whole {
		return m.vocab.pieces[id]
	}
	raw, _ := rawBytes(m.vocab.pieces[id])
	return raw
}

// mergeText sets w to what merging makes of a word.
func (m *bpe) mergeText(w *bpeWord, word []byte) {
	if m.whole {
		m.spellBytes(w, word)
	} else {
		m.spell(w, word)
	}
	m.merge(w)
}

// fit reports whether two pieces, which make up text, are what merging gives for it.
func (t *pieceTable) fit(m *bpe, w *bpeWord, left, right int32, text []byte) bool {
	if !t.odd[left] && !t.odd[right] {
		return t.meet(m, left, right, none, &w.work)
	}
	if w.pair == nil {
		w.pair = new(bpeWord)
	}
	m.mergeText(w.pair, text)
	w.work += int64(len(text))
	ids := w.pair.ids
	return len(ids) == 2 && ids[0] == left && ids[1] == right
}

// meet reports whether no merge of a rank below limit crosses the border of two
// pieces while their text is merged. It undoes the merges, the last first; of
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
	w.ids, w.ends = w.ids[:0], w.ends[:0]
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
	unknown := false
	for at := 0; at < len(word); {
		if next := t.longest(word, at, &w.work); next >= 0 {
			at, unknown = t.cutRow(m, w, dead, word, at, next), false
			continue
		}
		_, n := utf8.DecodeRune(word[at:])
		unknown = m.spellUnknown(w, word[at:at+n], int32(at), unknown)
		at += n
	}
}

// cutRow cuts word from byte at on, where next is the longest piece, up to the
// first character that is no piece. It returns where that is.
func (t *pieceTable) cutRow(m *bpe, w *bpeWord, dead []uint64, word []byte, at int, next int32) int {
	ids, ends := w.ids, w.ends
	row := len(ids)
	for next >= 0 {
		token := next
		last := int32(-1)
		if len(ids) > row {
			last = ids[len(ids)-1]
		}
		for {
			end := at + int(t.size[token])
			if dead[end>>6]>>(end&63)&1 == 0 && (last < 0 || !t.holds(word[at-1], word[at]) ||
				end == at+1 && t.size[last] == 1 && !t.begins(word[at-1], word[at]) || t.fit(m, w, last, token, word[at-int(t.size[last]):end])) {
				ids, ends = append(ids, token), append(ends, int32(end))
				at = end
				next = -1
				if at < len(word) {
					next = t.longest(word, at, &w.work)
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
	return at
}

// longest returns the longest piece at byte at of word, or -1.
func (t *pieceTable) longest(word []byte, at int, work *int64) int32 {
	if at+1 == len(word) || !t.begins(word[at], word[at+1]) {
		*work++
		return t.single[word[at]]
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
