package tokenize

import (
	"container/heap"
	"context"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest/progress"
)

// merger learns byte-pair merges (Sennrich, Haddow and Birch, ACL 2016) from word
// counts: the most frequent pair of neighbouring symbols becomes a symbol, until
// the vocabulary is full. Of pairs with equal counts the one with the smaller ids
// goes first.
//
// Counts are kept up to date by looking only at the words that hold the merged
// pair. A pair's entry in the queue holds the words in which it newly arose; the
// same pair may have several entries, and each is merged in its own turn. This is
// what the reference's trainer does, so that the merges are the same.
type merger struct {
	vocabSize    int
	minFrequency int64
	// prefix stands before every symbol that does not begin a word, suffix after
	// every symbol that ends one.
	prefix, suffix string
	// alphabet is added to that of the words; limit bounds the number of
	// characters taken from both, 0 for no bound.
	alphabet []rune
	limit    int
	// maxLength bounds the characters of a merged symbol, 0 for no bound.
	maxLength int
	meter     *progress.Meter

	symbols []string
	ids     map[string]int32
	words   [][]int32
	counts  []int64
	pairs   map[uint64]int64
	queue   mergeQueue
	merges  []pairMerge
	// fresh gathers the words in which a pair newly arises in one step.
	fresh map[uint64][]int32
}

// pairMerge is a learned merge of two symbols.
type pairMerge struct{ left, right, merged int32 }

func pairKey(left, right int32) uint64 { return uint64(uint32(left))<<32 | uint64(uint32(right)) }

// learn takes the words, and the pieces that stand first in the vocabulary
// whatever the words say.
func (m *merger) learn(ctx context.Context, words []wordCount, first []string) error {
	m.ids = make(map[string]int32, m.vocabSize)
	for _, s := range first {
		m.symbol(s)
	}
	m.spell(words, m.chooseAlphabet(words))
	m.pairs = map[uint64]int64{}
	m.fresh = map[uint64][]int32{}
	collect := newCollector()
	for w, word := range m.words {
		if w&(1<<14-1) == 0 {
			collect.look()
		}
		for i := 1; i < len(word); i++ {
			m.change(word[i-1], word[i], 1, int32(w))
		}
	}
	m.enqueue()
	// The map has held all words of all pairs once; it never will again.
	m.fresh = map[uint64][]int32{}
	m.meter.Begin("learning merges", "pieces", int64(m.vocabSize), int64(min(len(m.symbols), m.vocabSize)))
	for len(m.symbols) < m.vocabSize && len(m.queue) > 0 {
		if len(m.merges)&63 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			collect.look()
		}
		top := &m.queue[0]
		if count := m.pairs[top.pair]; top.count != count {
			top.count = count
			heap.Fix(&m.queue, 0)
			continue
		}
		if top.count < 1 || top.count < m.minFrequency {
			break
		}
		m.merge(heap.Pop(&m.queue).(queuedPair))
	}
	return nil
}

func (m *merger) symbol(s string) int32 {
	id, ok := m.ids[s]
	if !ok {
		id = int32(len(m.symbols))
		m.symbols = append(m.symbols, s)
		m.ids[s] = id
		m.meter.Add(1)
	}
	return id
}

// chooseAlphabet gives the characters of the words ids, in the order of their
// code points, and returns which are in.
func (m *merger) chooseAlphabet(words []wordCount) map[rune]bool {
	const always = int64(1) << 62
	seen := map[rune]int64{}
	for _, w := range words {
		for _, c := range w.word {
			seen[c] += w.count
		}
	}
	for _, c := range m.alphabet {
		seen[c] = always
	}
	letters := make([]rune, 0, len(seen))
	for c := range seen {
		letters = append(letters, c)
	}
	slices.SortFunc(letters, func(a, b rune) int {
		if seen[a] != seen[b] {
			if seen[a] > seen[b] {
				return -1
			}
			return 1
		}
		return int(a - b)
	})
	if m.limit > 0 && len(letters) > m.limit {
		letters = letters[:m.limit]
	}
	slices.Sort(letters)
	in := make(map[rune]bool, len(letters))
	for _, c := range letters {
		in[c] = true
		m.symbol(string(c))
	}
	return in
}

// spell writes each word as symbols, leaving out characters that are not in the
// alphabet, and takes the words out of the list.
func (m *merger) spell(words []wordCount, alphabet map[rune]bool) {
	// The symbols with a prefix or suffix get their ids in alphabetical order,
	// not in that of the words.
	if m.prefix != "" || m.suffix != "" {
		marked := map[string]bool{}
		for _, w := range words {
			m.split(w.word, alphabet, func(s string) { marked[s] = true })
		}
		all := make([]string, 0, len(marked))
		for s := range marked {
			all = append(all, s)
		}
		slices.Sort(all)
		for _, s := range all {
			m.symbol(s)
		}
	}
	var room []int32
	m.words, m.counts = make([][]int32, 0, len(words)), make([]int64, 0, len(words))
	for i, w := range words {
		if cap(room)-len(room) < len(w.word) {
			room = make([]int32, 0, max(1<<16, len(w.word)))
		}
		before := len(room)
		m.split(w.word, alphabet, func(s string) { room = append(room, m.symbol(s)) })
		m.words = append(m.words, room[before:len(room):len(room)])
		m.counts = append(m.counts, w.count)
		words[i].word = "" // it has been spelled
	}
}

func (m *merger) split(word string, alphabet map[rune]bool, yield func(string)) {
	for i, c := range word {
		if !alphabet[c] {
			continue
		}
		end := i + len(string(c))
		s := word[i:end]
		if m.prefix != "" && i > 0 {
			s = m.prefix + s
		}
		if m.suffix != "" && end == len(word) {
			s += m.suffix
		}
		yield(s)
	}
}

// change adds sign times the count of word w to the pair's.
func (m *merger) change(left, right int32, sign int64, w int32) {
	key := pairKey(left, right)
	if count := m.pairs[key] + sign*m.counts[w]; count != 0 {
		m.pairs[key] = count
	} else {
		delete(m.pairs, key)
	}
	if sign < 0 {
		return
	}
	if in := m.fresh[key]; len(in) == 0 || in[len(in)-1] != w {
		m.fresh[key] = append(in, w)
	}
}

// enqueue moves the fresh pairs into the queue.
func (m *merger) enqueue() {
	if len(m.queue) == 0 {
		m.queue = slices.Grow(m.queue, len(m.fresh)+len(m.fresh)/4)
	}
	for key, words := range m.fresh {
		if count := m.pairs[key]; count > 0 {
			// Without the room that the list grew into: it may wait for long.
			heap.Push(&m.queue, queuedPair{count, key, append(make([]int32, 0, len(words)), words...)})
		}
	}
	clear(m.fresh)
}

// merge makes a symbol of the pair and puts it into its words.
func (m *merger) merge(top queuedPair) {
	left, right := int32(top.pair>>32), int32(uint32(top.pair))
	merged := m.symbol(m.symbols[left] + strings.TrimPrefix(m.symbols[right], m.prefix))
	m.merges = append(m.merges, pairMerge{left, right, merged})
	for _, w := range top.words {
		word := m.words[w]
		out := 0
		for i := 0; i < len(word); i++ {
			if word[i] != left || i+1 == len(word) || word[i+1] != right {
				word[out] = word[i]
				out++
				continue
			}
			if out > 0 {
				before := word[out-1]
				m.change(before, left, -1, w)
				if m.fits(before, merged) {
					m.change(before, merged, 1, w)
				}
			}
			if i+2 < len(word) {
				after := word[i+2]
				m.change(right, after, -1, w)
				if m.fits(merged, after) {
					m.change(merged, after, 1, w)
				}
			}
			word[out] = merged
			out++
			i++
		}
		m.words[w] = word[:out]
	}
	m.enqueue()
}

func (m *merger) fits(left, right int32) bool {
	if m.maxLength <= 0 {
		return true
	}
	return runes(m.symbols[left])+runes(m.symbols[right]) < m.maxLength
}

func runes(s string) int {
	n := 0
	for range s {
		n++
	}
	return n
}

// queuedPair is a pair, its count when it was queued, and words it arose in.
type queuedPair struct {
	count int64
	pair  uint64
	words []int32
}

type mergeQueue []queuedPair

func (q mergeQueue) Len() int { return len(q) }
func (q mergeQueue) Less(i, j int) bool {
	if q[i].count != q[j].count {
		return q[i].count > q[j].count
	}
	if q[i].pair != q[j].pair {
		return q[i].pair < q[j].pair
	}
	// Two entries of one pair: the order only has to be the same each time.
	return q[i].words[0] < q[j].words[0]
}
func (q mergeQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push and Pop serve container/heap.
func (q *mergeQueue) Push(x any) { *q = append(*q, x.(queuedPair)) }

// Pop removes the last entry.
func (q *mergeQueue) Pop() any {
	old := *q
	x := old[len(old)-1]
	old[len(old)-1] = queuedPair{}
	*q = old[:len(old)-1]
	return x
}
