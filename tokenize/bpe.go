package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"unicode/utf8"
)

// bpe is the byte-pair model (Sennrich, Haddow and Birch, ACL 2016): a word's
// characters are merged pair by pair, the pair that was learned first going
// first, and of equal pairs the leftmost.
type bpe struct {
	vocab *vocabulary
	// pairs lists the merges in the order of their rank.
	pairs        [][2]string
	unkToken     *string
	prefix       *string
	suffix       *string
	fuseUnk      bool
	byteFallback bool
	ignoreMerges bool

	unk    int32
	merges mergeTable
	// letters holds the id of each character below 256, -1 for none; bytes that of
	// the pieces <0x00> to <0xFF>.
	letters [256]int32
	bytes   [256]int32
	// raw holds the id of each byte when the pieces are written in printable
	// characters and every byte has one; whole then says so.
	raw   [256]int32
	whole bool
	// words maps the bytes of a piece to its id, for ignoreMerges with raw bytes.
	words map[string]int32
	// cut tells that words may be cut before a "▁" that follows something else,
	// since no piece has it inside.
	cut     bool
	control []bool
	// pieces cuts words by the pieces themselves, where the merges allow it.
	pieces *pieceTable
}

// mergeTable maps pairs of ids to rank and merged id: open addressing, half full
// at most. Most pairs are not merged; a small filter, a bit a hash, turns most of
// these away without touching the table.
type mergeTable struct {
	slots  []mergeSlot
	filter []uint64
	shift  uint
}

type mergeSlot struct {
	key uint64
	mergeTo
}

type mergeTo struct{ rank, id int32 }

const noPair = ^uint64(0)

// filterBits is the size of the filter as a power of two, in bits: 128 KiB.
const filterBits = 20

func newMergeTable(n int) mergeTable {
	size := uint(bits.Len(uint(2*n + 1)))
	t := mergeTable{slots: make([]mergeSlot, 1<<size), filter: make([]uint64, 1<<(filterBits-6)), shift: 64 - size}
	for i := range t.slots {
		t.slots[i].key = noPair
	}
	return t
}

// pairHash is good in its high bits, which slots are found by, and in its low bits,
// which the filter takes.
func pairHash(key uint64) uint64 {
	hi, lo := bits.Mul64(key^0xc2b2ae3d27d4eb4f, 0x9e3779b97f4a7c15)
	return hi ^ lo
}

func (t *mergeTable) put(key uint64, to mergeTo) {
	mask := uint64(len(t.slots) - 1)
	h := pairHash(key)
	i := h >> t.shift
	for t.slots[i].key != noPair && t.slots[i].key != key {
		i = (i + 1) & mask
	}
	t.slots[i] = mergeSlot{key, to}
	bit := h & (1<<filterBits - 1)
	t.filter[bit>>6] |= 1 << (bit & 63)
}

// none is the rank of a pair that is not merged.
const none = int32(1<<31 - 1)

func (t *mergeTable) get(left, right int32) mergeTo {
	key := pairKey(left, right)
	h := pairHash(key)
	bit := h & (1<<filterBits - 1)
	if t.filter[bit>>6]>>(bit&63)&1 == 0 {
		return mergeTo{none, -1}
	}
	return t.find(key, h)
}

func (t *mergeTable) find(key, h uint64) mergeTo {
	mask := uint64(len(t.slots) - 1)
	for i := h >> t.shift; ; i = (i + 1) & mask {
		switch s := &t.slots[i]; s.key {
		case key:
			return s.mergeTo
		case noPair:
			return mergeTo{none, -1}
		}
	}
}

// prepare derives the tables from the settings.
func (m *bpe) prepare() error {
	m.unk = -1
	if m.unkToken != nil {
		id, ok := m.vocab.id(*m.unkToken)
		if !ok && *m.unkToken != "" {
			return fmt.Errorf("the vocabulary lacks the unknown token %q", *m.unkToken)
		}
		if ok {
			m.unk = id
		}
	}
	prefix := ""
	if m.prefix != nil {
		prefix = *m.prefix
	}
	m.merges = newMergeTable(len(m.pairs))
	for rank, p := range m.pairs {
		left, ok1 := m.vocab.id(p[0])
		right, ok2 := m.vocab.id(p[1])
		if !ok1 || !ok2 {
			return fmt.Errorf("merge %d of %q and %q: the vocabulary lacks a side", rank, p[0], p[1])
		}
		if len(p[1]) < len(prefix) {
			return fmt.Errorf("merge %d of %q and %q: the right side is shorter than the prefix", rank, p[0], p[1])
		}
		merged, ok := m.vocab.id(p[0] + p[1][len(prefix):])
		if !ok {
			return fmt.Errorf("merge %d of %q and %q: the vocabulary lacks the result", rank, p[0], p[1])
		}
		m.merges.put(pairKey(left, right), mergeTo{int32(rank), merged})
	}
	id := func(s string) int32 {
		if id, ok := m.vocab.id(s); ok {
			return id
		}
		return -1
	}
	m.whole = m.noAffix()
	for b := range 256 {
		m.letters[b] = id(string(rune(b)))
		m.bytes[b] = id(fmt.Sprintf("<0x%02X>", b))
		m.raw[b] = id(string(byteChars[b]))
		m.whole = m.whole && m.raw[b] >= 0
	}
	if m.ignoreMerges && m.whole {
		m.words = make(map[string]int32, m.vocab.size())
		for id, piece := range m.vocab.pieces {
			if raw, ok := rawBytes(piece); ok && m.vocab.present[id] {
				m.words[raw] = int32(id)
			}
		}
	}
	// A character that vanishes, for want of an unknown token, moves what follows.
	spells := m.unk >= 0 || m.byteFallback && !slices.Contains(m.bytes[:], -1)
	if m.whole || m.noAffix() && spells {
		m.pieces = newPieceTable(m)
	}
	_, marked := m.vocab.id("▁")
	m.cut = m.noAffix() && !m.ignoreMerges && marked && spells
	for id, piece := range m.vocab.pieces {
		for i := 1; m.cut && i < len(piece); i++ {
			if strings.HasPrefix(piece[i:], "▁") && !strings.HasSuffix(piece[:i], "▁") && m.vocab.present[id] {
				m.cut = false
			}
		}
	}
	return nil
}

// forbid has nothing to do but for whole words: pieces come of merges, and no
// merge gives a control token.
func (m *bpe) forbid(control []bool) error {
	m.control = control
	for word, id := range m.words {
		if control[id] {
			delete(m.words, word)
		}
	}
	return nil
}

func (m *bpe) noAffix() bool {
	return (m.prefix == nil || *m.prefix == "") && (m.suffix == nil || *m.suffix == "")
}

// rawBytes reads a piece written in printable characters.
func rawBytes(piece string) (string, bool) {
	raw := make([]byte, 0, len(piece))
	for _, r := range piece {
		b, ok := charByte(r)
		if !ok {
			return "", false
		}
		raw = append(raw, b)
	}
	return string(raw), len(raw) > 0
}

// bpeWord is the scratch memory for one word: the symbols and where they end.
type bpeWord struct {
	ids   []int32
	ends  []int32
	ranks []mergeTo
	// A long word is a list.
	prev, next []int32
	queues     mergeQueues
	// dead are the places that pieceTable has found to be no border.
	dead []uint64
	// pair is where it merges two pieces.
	pair *bpeWord
	// work counts what was done: symbols, and pairs that passed through the queues.
	work int64
}

// merge merges the symbols in w.
func (m *bpe) merge(w *bpeWord) {
	w.work += int64(len(w.ids))
	if len(w.ids) <= 32 {
		m.mergeShort(w)
	} else {
		m.mergeLong(w)
	}
}

// mergeShort looks for the best pair among all, each time.
func (m *bpe) mergeShort(w *bpeWord) {
	ids, ends := w.ids, w.ends
	n := len(ids)
	ranks := w.ranks[:0]
	for i := 0; i+1 < n; i++ {
		ranks = append(ranks, m.merges.get(ids[i], ids[i+1]))
	}
	for n > 1 {
		best, at := none, -1
		for i, r := range ranks {
			if r.rank < best {
				best, at = r.rank, i
			}
		}
		if at < 0 {
			break
		}
		ids[at], ends[at] = ranks[at].id, ends[at+1]
		copy(ids[at+1:], ids[at+2:n])
		copy(ends[at+1:], ends[at+2:n])
		copy(ranks[at:], ranks[at+1:])
		n--
		ranks = ranks[:n-1]
		if at > 0 {
			ranks[at-1] = m.merges.get(ids[at-1], ids[at])
		}
		if at < n-1 {
			ranks[at] = m.merges.get(ids[at], ids[at+1])
		}
	}
	w.ids, w.ends, w.ranks = ids[:n], ends[:n], ranks[:0]
}

// spell sets w to the characters of a word as they stand in the vocabulary.
func (m *bpe) spell(w *bpeWord, word []byte) {
	w.ids, w.ends = w.ids[:0], w.ends[:0]
	affix := !m.noAffix()
	unknown := false
	// Places count what has a symbol: a character that vanishes, since there is
	// no unknown token, shifts what follows, as in the reference.
	end := int32(0)
	for i := 0; i < len(word); {
		r, n := utf8.DecodeRune(word[i:])
		id := int32(-1)
		switch {
		case affix:
			s := string(word[i : i+n])
			if i > 0 && m.prefix != nil {
				s = *m.prefix + s
			}
			if i+n == len(word) && m.suffix != nil {
				s += *m.suffix
			}
			if found, ok := m.vocab.id(s); ok {
				id = found
			}
		case r < 256:
			id = m.letters[r]
		default:
			if found, ok := m.vocab.ids[string(word[i:i+n])]; ok {
				id = found
			}
		}
		switch {
		case id >= 0:
			end += int32(n)
			w.ids, w.ends = append(w.ids, id), append(w.ends, end)
			unknown = false
		default:
			before := len(w.ids)
			unknown = m.spellUnknown(w, word[i:i+n], end, unknown)
			if len(w.ids) > before || unknown {
				end += int32(n)
			}
		}
		i += n
	}
}

// spellUnknown appends what stands for a character at byte at that is no piece:
// its bytes, or the unknown token, which may take it into one that ends the word
// so far. It returns whether the word ends in one now.
func (m *bpe) spellUnknown(w *bpeWord, char []byte, at int32, unknown bool) bool {
	switch {
	case m.byteFallback && m.allBytes(char):
		for k, b := range char {
			w.ids, w.ends = append(w.ids, m.bytes[b]), append(w.ends, at+int32(k+1))
		}
		return false
	case m.unk < 0:
		return unknown
	case unknown && m.fuseUnk:
		w.ends[len(w.ends)-1] = at + int32(len(char))
	default:
		w.ids, w.ends = append(w.ids, m.unk), append(w.ends, at+int32(len(char)))
	}
	return true
}

func (m *bpe) allBytes(s []byte) bool {
	for _, b := range s {
		if m.bytes[b] < 0 {
			return false
		}
	}
	return true
}

func (m *bpe) vocabulary() *vocabulary { return m.vocab }

// encode cuts a word, for the general chain.
func (m *bpe) encode(e *Encoder, word []byte) error {
	if len(word) == 0 {
		return nil
	}
	if m.ignoreMerges {
		if id, ok := m.vocab.ids[string(word)]; ok && !m.control[id] {
			e.piece(id, 0, len(word))
			return nil
		}
	}
	w := &e.word
	for start := 0; start < len(word); {
		end := len(word)
		if m.cut {
			end = start + cutBefore(word[start:])
		}
		if m.pieces != nil {
			m.pieces.cut(m, w, word[start:end])
		} else {
			m.spell(w, word[start:end])
			m.merge(w)
		}
		from := start
		for i, id := range w.ids {
			e.piece(id, from, start+int(w.ends[i]))
			from = start + int(w.ends[i])
		}
		start = end
	}
	return nil
}

// cutBefore returns the place of the first "▁" that follows something else.
func cutBefore(word []byte) int {
	const mark = "▁"
	i := 0
	for len(word)-i >= len(mark) && string(word[i:i+len(mark)]) == mark {
		i += len(mark)
	}
	for ; i < len(word); i++ {
		if word[i] == mark[0] && len(word)-i >= len(mark) && string(word[i:i+len(mark)]) == mark {
			return i
		}
	}
	return len(word)
}

// bpeForm is the model's entry in tokenizer.json.
type bpeForm struct {
	Type         string      `json:"type"`
	Dropout      *float64    `json:"dropout"`
	UnkToken     *string     `json:"unk_token"`
	Prefix       *string     `json:"continuing_subword_prefix"`
	Suffix       *string     `json:"end_of_word_suffix"`
	FuseUnk      bool        `json:"fuse_unk"`
	ByteFallback bool        `json:"byte_fallback"`
	IgnoreMerges bool        `json:"ignore_merges"`
	Vocab        *vocabulary `json:"vocab"`
	Merges       mergeList   `json:"merges"`
}

// mergeList reads merges as pairs, or as the strings "a b" of older files.
type mergeList [][2]string

// UnmarshalJSON reads an array of bounded length.
func (l *mergeList) UnmarshalJSON(data []byte) error {
	list, err := decodeList[mergeForm](data, maxMerges, "merges")
	if err != nil {
		return err
	}
	*l = make(mergeList, 0, len(list))
	for i, e := range list {
		// Older files begin with the version of their format.
		if e.line && strings.HasPrefix(e.pair[0], "#version") {
			continue
		}
		if e.line {
			left, right, ok := strings.Cut(e.pair[0], " ")
			if !ok || strings.Contains(right, " ") {
				return fmt.Errorf("merge %d is %.100q, want two pieces", i, e.pair[0])
			}
			e.pair = [2]string{left, right}
		}
		*l = append(*l, e.pair)
	}
	return nil
}

// mergeForm is a merge in a file: two pieces, or a line with both.
type mergeForm struct {
	pair [2]string
	line bool
}

// UnmarshalJSON reads either form.
func (e *mergeForm) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		e.line = true
		return json.Unmarshal(data, &e.pair[0])
	}
	var sides []string
	if err := json.Unmarshal(data, &sides); err != nil {
		return err
	}
	if len(sides) != 2 {
		return fmt.Errorf("it has %d sides", len(sides))
	}
	e.pair = [2]string(sides)
	return nil
}

func (m *bpe) form() any {
	pairs := m.pairs
	if pairs == nil {
		pairs = [][2]string{}
	}
	return bpeForm{"BPE", nil, m.unkToken, m.prefix, m.suffix, m.fuseUnk, m.byteFallback, m.ignoreMerges, m.vocab, pairs}
}

func readBPE(raw json.RawMessage) (model, error) {
	form := bpeForm{Vocab: newVocabulary(0)}
	if err := json.Unmarshal(raw, &form); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if form.Vocab == nil {
		return nil, errors.New("model: it has no vocabulary")
	}
	if form.Dropout != nil && *form.Dropout != 0 {
		return nil, fmt.Errorf("model: dropout of %v is not supported: encoding is deterministic", *form.Dropout)
	}
	m := &bpe{
		vocab: form.Vocab, pairs: form.Merges, unkToken: form.UnkToken, prefix: form.Prefix, suffix: form.Suffix,
		fuseUnk: form.FuseUnk, byteFallback: form.ByteFallback, ignoreMerges: form.IgnoreMerges,
	}
	if err := m.prepare(); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	return m, nil
}
