package tokenize

import (
	"math"
	"unicode/utf8"
)

// charBonus is added to the logarithm of a piece's probability for each of its
// characters while counts are added up. All ways to cut a word have the same number
// of characters, so that it changes nothing but the size of the numbers: without
// it the products of a long word would be too small for a float64.
const charBonus = 4.0

// likelihoodUnit is the fixed point of the sum of logarithms.
const likelihoodUnit = 1 << 10

// edge is a piece that a word may have: its bytes from start to end.
type edge struct{ start, end, id int32 }

// expectation is the scratch memory of the forward-backward algorithm.
type expectation struct {
	edges           []edge
	forward, back   []float64
	logWord, before []float64
}

// add adds the expected counts of the pieces of w to sums, and returns the
// logarithm of its probability times its count.
func (x *expectation) add(sums []int64, m *unigram, weights []float64, w wordCount) int64 {
	text := w.word
	n := len(text)
	x.edges = x.edges[:0]
	units, values := m.trie.units, m.trie.values
	chars := 0
	for at := 0; at < n; {
		node := int32(0)
		for i := at; i < n; {
			next := units[node].base() ^ int32(text[i])
			if units[next].check != node {
				break
			}
			node = next
			i++
			if units[node].ends() {
				v := values[node]
				x.edges = append(x.edges, edge{int32(at), int32(i), v})
			}
		}
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
		chars++
	}
	if cap(x.forward) <= n {
		x.forward, x.back = make([]float64, 2*n+64), make([]float64, 2*n+64)
	}
	forward, back := x.forward[:n+1], x.back[:n+1]
	clear(forward)
	clear(back)
	forward[0], back[n] = 1, 1
	for _, e := range x.edges {
		forward[e.end] += forward[e.start] * weights[e.id]
	}
	all := forward[n]
	if !(all > 1e-200 && all < 1e200) {
		return x.addLogs(sums, m, w)
	}
	for i := len(x.edges) - 1; i >= 0; i-- {
		e := x.edges[i]
		back[e.start] += back[e.end] * weights[e.id]
	}
	scale := float64(w.count) * fixed / all
	for _, e := range x.edges {
		sums[e.id] += int64(math.Round(forward[e.start] * weights[e.id] * back[e.end] * scale))
	}
	return int64(math.Round(float64(w.count) * likelihoodUnit * (math.Log(all) - charBonus*float64(chars))))
}

// addLogs is add for words whose probabilities are too large or small for numbers
// as they are.
func (x *expectation) addLogs(sums []int64, m *unigram, w wordCount) int64 {
	n := len(w.word)
	if cap(x.logWord) <= n {
		x.logWord, x.before = make([]float64, 2*n+64), make([]float64, 2*n+64)
	}
	forward, back := x.logWord[:n+1], x.before[:n+1]
	for i := range forward {
		forward[i], back[i] = math.Inf(-1), math.Inf(-1)
	}
	forward[0], back[n] = 0, 0
	for _, e := range x.edges {
		forward[e.end] = logAdd(forward[e.end], forward[e.start]+m.scores[e.id])
	}
	all := forward[n]
	if math.IsInf(all, -1) {
		return 0
	}
	for i := len(x.edges) - 1; i >= 0; i-- {
		e := x.edges[i]
		back[e.start] = logAdd(back[e.start], back[e.end]+m.scores[e.id])
	}
	for _, e := range x.edges {
		sums[e.id] += int64(math.Round(math.Exp(forward[e.start]+m.scores[e.id]+back[e.end]-all) * float64(w.count) * fixed))
	}
	return int64(math.Round(float64(w.count) * likelihoodUnit * all))
}

func logAdd(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(b, -1) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}
