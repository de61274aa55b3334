package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// unigram is the unigram language model (Kudo, "Subword Regularization", ACL
// 2018): a text is cut into the pieces whose log probabilities sum to the most.
type unigram struct {
	vocab *vocabulary
	// exact holds the scores as they are written, scores as they are added up.
	exact, scores []float64
	unk           int32 // -1 for none
	byteFallback  bool

	// trie gives the place of a piece in the order of the alphabet, in which pieces
	// that are met one after the other stand close: placed holds their scores in this
	// order, and placedIDs their ids.
	trie      *trie
	placed    []float64
	placedIDs []int32
	control   []bool
	minScore  float64
	bytes     [256]int32
	whole     bool // every byte has a piece
}

// unknownPenalty is how much worse than the worst piece an unknown character is.
const unknownPenalty = 10

func (m *unigram) prepare() error {
	if m.unk >= 0 && !m.vocab.has(m.unk) {
		return fmt.Errorf("the unknown token %d is not in the vocabulary of %d pieces", m.unk, m.vocab.size())
	}
	m.minScore = math.Inf(1)
	for _, score := range m.scores {
		m.minScore = min(m.minScore, score)
	}
	m.whole = true
	for b := range m.bytes {
		id, ok := m.vocab.id(fmt.Sprintf("<0x%02X>", b))
		if !ok {
			id, m.whole = -1, false
		}
		m.bytes[b] = id
	}
	return nil
}

func (m *unigram) forbid(control []bool) error {
	m.control = control
	m.placedIDs = m.placedIDs[:0]
	for id, piece := range m.vocab.pieces {
		if piece != "" && (!control[id] || int32(id) == m.unk) {
			m.placedIDs = append(m.placedIDs, int32(id))
		}
	}
	slices.SortFunc(m.placedIDs, func(a, b int32) int { return strings.Compare(m.vocab.pieces[a], m.vocab.pieces[b]) })
	keys, places := make([]string, len(m.placedIDs)), make([]int32, len(m.placedIDs))
	m.placed = make([]float64, len(m.placedIDs))
	for i, id := range m.placedIDs {
		keys[i], places[i], m.placed[i] = m.vocab.pieces[id], int32(i), m.scores[id]
	}
	var err error
	m.trie, err = newTrie(keys, places)
	return err
}

// lattice is the scratch memory of a search: for each byte, the best way to end a
// piece there.
type lattice struct {
	nodes []latticeNode
	ends  []int32
	// work counts the steps through the trie.
	work int64
}

// latticeNode is the best way to reach a byte: the score, where its last piece
// begins, or -1, and the trie's value for that piece, -1 for an unknown character.
type latticeNode struct {
	score       float64
	from, value int32
}

// best finds the best pieces of text; their ends lie in l.ends, last first, and
// the pieces in the nodes at those ends.
func (m *unigram) best(l *lattice, text []byte) {
	n := len(text)
	if cap(l.nodes) <= n {
		l.nodes = make([]latticeNode, n+n/4+64)
	}
	nodes := l.nodes[:n+1]
	for i := range nodes {
		nodes[i].from = -1
	}
	nodes[0].score = 0
	units, values, scores := m.trie.units, m.trie.values, m.placed
	unknown := m.minScore - unknownPenalty
	for at := 0; at < n; {
		here := nodes[at].score
		size := 1
		if text[at] >= utf8.RuneSelf {
			_, size = utf8.DecodeRune(text[at:])
		}
		single := false
		node := int32(0)
		i := at
		for i < n {
			next := units[node].base() ^ int32(text[i])
			if units[next].check != node {
				break
			}
			node = next
			i++
			if units[node].ends() {
				v := values[node]
				to := &nodes[i]
				if s := scores[v] + here; to.from < 0 || s > to.score {
					*to = latticeNode{s, int32(at), v}
				}
				single = single || i-at == size
			}
		}
		l.work += int64(i - at + 1)
		if !single {
			to := &nodes[at+size]
			if s := unknown + here; to.from < 0 || s > to.score {
				*to = latticeNode{s, int32(at), -1}
			}
		}
		at += size
	}
	l.ends = l.ends[:0]
	for at := int32(n); at > 0; at = nodes[at].from {
		l.ends = append(l.ends, at)
	}
}

func (m *unigram) vocabulary() *vocabulary { return m.vocab }

// pieceAt returns the piece that ends at byte end, the unknown token for none.
func (m *unigram) pieceAt(l *lattice, end int) int32 {
	if v := l.nodes[end].value; v >= 0 {
		return m.placedIDs[v]
	}
	return m.unk
}

// encode cuts a word.
func (m *unigram) encode(e *Encoder, word []byte) error {
	l := &e.lattice
	m.best(l, word)
	var err error
	start := 0
	for k := len(l.ends) - 1; k >= 0; k-- {
		end := int(l.ends[k])
		id := m.pieceAt(l, end)
		if id != m.unk {
			e.piece(id, start, end)
			start = end
			continue
		}
		// Unknown characters in a row are one token.
		for k > 0 && m.pieceAt(l, int(l.ends[k-1])) == m.unk {
			k--
			end = int(l.ends[k])
		}
		// Bytes take their place, unless they spell the unknown token itself.
		if m.byteFallback && m.whole {
			if known, ok := m.vocab.ids[string(word[start:end])]; ok && !m.control[known] {
				e.piece(known, start, end)
				start = end
				continue
			}
			for _, b := range word[start:end] {
				e.piece(m.bytes[b], start, end)
			}
			start = end
			continue
		}
		if id < 0 {
			err = fmt.Errorf("%.50q is not in the vocabulary, which has no unknown token", word[start:end])
		} else {
			e.piece(id, start, end)
		}
		start = end
	}
	return err
}

// unigramForm is the model's entry in tokenizer.json.
type unigramForm struct {
	Type         string     `json:"type"`
	UnkID        *int32     `json:"unk_id"`
	Vocab        scoredList `json:"vocab"`
	ByteFallback bool       `json:"byte_fallback"`
}

// scoredList is a vocabulary in the order of its ids.
type scoredList []scoredPiece

// UnmarshalJSON reads an array of bounded length.
func (l *scoredList) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeList[scoredPiece](data, maxVocabulary, "pieces")
	return err
}

// scoredPiece is written as [piece, score].
type scoredPiece struct {
	piece string
	score float64
}

// UnmarshalJSON reads an array of two.
func (s *scoredPiece) UnmarshalJSON(data []byte) error {
	var both []json.RawMessage
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return fmt.Errorf("a piece and its score have %d elements", len(both))
	}
	if err := json.Unmarshal(both[0], &s.piece); err != nil {
		return err
	}
	return json.Unmarshal(both[1], &s.score)
}

// looseFloat gives a score as the reference reads it from its shortest decimal
// form: the digits as one integer, rounded, then divided by a power of ten, and rounded
// again. The last bit may differ from exact, the value of the same number, and
// decides between ways to cut a text that are equally good.
func looseFloat(exact float64) float64 {
	number := strconv.FormatFloat(exact, 'f', -1, 64)
	digits, exponent, point := uint64(0), 0, false
	rest, negative := strings.CutPrefix(number, "-")
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == '.':
			point = true
		case c < '0' || c > '9' || digits > (math.MaxUint64-9)/10:
			// More digits than fit are rare enough to be exact.
			return exact
		default:
			digits = digits*10 + uint64(c-'0')
			if point {
				exponent++
			}
		}
	}
	// The powers that a float64 holds exactly.
	if exponent > 22 {
		return exact
	}
	f := float64(digits) / math.Pow10(exponent)
	if negative {
		f = -f
	}
	return f
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s scoredPiece) MarshalJSON() ([]byte, error) { return marshalCompact([]any{s.piece, s.score}) }

func (m *unigram) form() any {
	form := unigramForm{Type: "Unigram", ByteFallback: m.byteFallback, Vocab: make(scoredList, len(m.scores))}
	if m.unk >= 0 {
		form.UnkID = &m.unk
	}
	for id, piece := range m.vocab.pieces {
		form.Vocab[id] = scoredPiece{piece, m.exact[id]}
	}
	return form
}

func newUnigram(pieces []scoredPiece, unk int32, byteFallback bool) (*unigram, error) {
	m := &unigram{vocab: newVocabulary(len(pieces)), unk: unk, byteFallback: byteFallback}
	for id, p := range pieces {
		if err := m.vocab.add(p.piece, int32(id)); err != nil {
			return nil, err
		}
		if math.IsNaN(p.score) || math.IsInf(p.score, 0) {
			return nil, fmt.Errorf("piece %q has the score %v", p.piece, p.score)
		}
		m.exact, m.scores = append(m.exact, p.score), append(m.scores, looseFloat(p.score))
	}
	return m, m.prepare()
}

func readUnigram(raw json.RawMessage) (model, error) {
	var form unigramForm
	if err := json.Unmarshal(raw, &form); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if len(form.Vocab) == 0 {
		return nil, errors.New("model: it has no vocabulary")
	}
	unk := int32(-1)
	if form.UnkID != nil {
		unk = *form.UnkID
		if unk < 0 {
			return nil, fmt.Errorf("model: the unknown token has id %d", unk)
		}
	}
	m, err := newUnigram(form.Vocab, unk, form.ByteFallback)
	if err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return m, nil
}
