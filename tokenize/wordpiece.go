package tokenize

import (
	"fmt"
	"unicode/utf8"
)

// wordPiece is the model of BERT: each word is cut greedily into the longest
// pieces of the vocabulary, those after the first carrying a prefix; a word that
// cannot be cut is one unknown token.
type wordPiece struct {
	unkToken string
	prefix   string
	maxChars int
	vocab    *vocabulary

	unk   int32
	trie  *trie
	inner int32 // the trie's node after prefix, or -1 when no piece has it
}

func newWordPiece(v *vocabulary, unk, prefix string, maxChars int) (*wordPiece, error) {
	m := &wordPiece{unkToken: unk, prefix: prefix, maxChars: maxChars, vocab: v}
	var ok bool
	if m.unk, ok = v.id(unk); !ok {
		return nil, fmt.Errorf("the vocabulary lacks the unknown token %q", unk)
	}
	return m, nil
}

func (m *wordPiece) forbid(control []bool) error {
	keys := make([]string, 0, m.vocab.size())
	ids := make([]int32, 0, m.vocab.size())
	for id, piece := range m.vocab.pieces {
		if m.vocab.has(int32(id)) && piece != "" && (!control[id] || int32(id) == m.unk) {
			keys, ids = append(keys, piece), append(ids, int32(id))
		}
	}
	var err error
	if m.trie, err = newTrie(keys, ids); err != nil {
		return err
	}
	m.inner = m.trie.walk(0, m.prefix)
	return nil
}

// cut appends the pieces of word to dst and, when ends is not nil, the byte
// in word at which each piece ends. It adds the steps taken to work.
func (m *wordPiece) cut(dst []int32, ends []int32, word []byte, work *int64) ([]int32, []int32) {
	if len(word) > m.maxChars && utf8.RuneCount(word) > m.maxChars {
		return m.unknown(dst, ends, len(word))
	}
	units, values := m.trie.units, m.trie.values
	start, before, endsBefore := 0, len(dst), len(ends)
	node := int32(0)
	for {
		best, bestEnd := int32(-1), 0
		i := start
		for ; i < len(word); i++ {
			next := units[node].base() ^ int32(word[i])
			if units[next].check != node {
				break
			}
			node = next
			if units[node].ends() {
				v := values[node]
				best, bestEnd = v, i+1
			}
		}
		*work += int64(i - start + 1)
		if best < 0 {
			if ends != nil {
				ends = ends[:endsBefore]
			}
			return m.unknown(dst[:before], ends, len(word))
		}
		dst = append(dst, best)
		if ends != nil {
			ends = append(ends, int32(bestEnd))
		}
		if bestEnd == len(word) {
			return dst, ends
		}
		start, node = bestEnd, m.inner
		if node < 0 {
			if ends != nil {
				ends = ends[:endsBefore]
			}
			return m.unknown(dst[:before], ends, len(word))
		}
	}
}

func (m *wordPiece) unknown(dst, ends []int32, n int) ([]int32, []int32) {
	dst = append(dst, m.unk)
	if ends != nil {
		ends = append(ends, int32(n))
	}
	return dst, ends
}

// encode cuts a word, for the general chain.
func (m *wordPiece) encode(e *Encoder, word []byte) error {
	if len(word) == 0 {
		return nil
	}
	e.pieceIDs, e.ends = m.cut(e.pieceIDs[:0], e.ends[:0], word, &e.work)
	start := 0
	for i, id := range e.pieceIDs {
		e.piece(id, start, int(e.ends[i]))
		start = int(e.ends[i])
	}
	return nil
}

func (m *wordPiece) vocabulary() *vocabulary { return m.vocab }

// wordLevel is the model whose pieces are whole words.
type wordLevel struct {
	unkToken string
	vocab    *vocabulary
	unk      int32
	control  []bool
}

func (m *wordLevel) forbid(control []bool) error { m.control = control; return nil }

func (m *wordLevel) vocabulary() *vocabulary { return m.vocab }

// cut is wordPiece.cut for whole words.
func (m *wordLevel) cut(dst []int32, ends []int32, word []byte, work *int64) ([]int32, []int32) {
	*work += int64(len(word))
	id, ok := m.vocab.ids[string(word)]
	if !ok || m.control[id] {
		id = m.unk
	}
	if ends != nil {
		ends = append(ends, int32(len(word)))
	}
	return append(dst, id), ends
}

func (m *wordLevel) encode(e *Encoder, word []byte) error {
	id, ok := m.vocab.ids[string(word)]
	if !ok || m.control[id] {
		id = m.unk
	}
	if id < 0 {
		return fmt.Errorf("the word %.50q is not in the vocabulary, which has no unknown token", word)
	}
	e.piece(id, 0, len(word))
	return nil
}
