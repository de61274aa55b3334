package mixer

import (
	"fmt"
	"math"
	"math/bits"
)

// Layout is how documents become windows, the pieces of text that samples are
// made of. It depends on the documents and the sequence length alone.
type Layout int

const (
	// Pairs cuts a document into runs of whole sentences that fit a sequence
	// beside three special tokens. A window never spans documents.
	Pairs Layout = iota + 1
	// Full packs whole sentences into sequences beside two special tokens, across
	// documents, with a separator token between documents (FULL-SENTENCES of Liu
	// et al., "RoBERTa", 2019).
	Full
	// Packed fills every sequence to the last token, across sentences and
	// documents, with a separator token between documents.
	Packed
	// Documents fills sequences to the last token and never spans documents: the
	// last window of a document may be short.
	Documents
	// BestFit cuts documents into runs of a full sequence and puts what is left of
	// them together, each where the least room stays (best-fit decreasing; Ding et
	// al., "Fewer Truncations Improve Language Modeling", 2024). A run that is
	// shorter than a sequence has room for an end token after it.
	BestFit
	// Sentences cuts a document into runs of whole sentences that fit a sequence
	// beside two special tokens (DOC-SENTENCES of Liu et al., 2019).
	Sentences
	// Halves is Packed beside three special tokens, for sequences of two halves of
	// which the second holds two segments (Yang et al., "XLNet", 2019).
	Halves
	// Whole makes each document one window, however long it is: what makes sequences
	// of them cuts. It is for labelled documents.
	Whole
)

var layoutNames = []string{"", "pairs", "full", "packed", "documents", "best-fit", "sentences", "halves", "whole"}

// Isolates reports whether the documents of a window are sequences of their own.
func (l Layout) Isolates() bool { return l == BestFit }

func (l Layout) String() string {
	if l < Pairs || l > Whole {
		return fmt.Sprintf("Layout(%d)", int(l))
	}
	return layoutNames[l]
}

// room returns how many tokens of a sequence a window may take up.
func (l Layout) room(seqLen int) int {
	if l == Whole {
		return math.MaxInt32
	}
	return seqLen - l.specials()
}

// specials returns how many special tokens a sequence has beside its window.
func (l Layout) specials() int {
	switch l {
	case Pairs, Halves, Whole:
		return 3
	case Full, Sentences:
		return 2
	}
	return 0
}

// pours reports whether sentences are cut where a window is full.
func (l Layout) pours() bool {
	return l == Packed || l == Documents || l == Halves || l == BestFit
}

// minSeqLen is the shortest sequence that leaves each of two segments a token.
const minSeqLen = 5

// maxSeqLen bounds sequence lengths, so that no offset in a block overflows.
const maxSeqLen = 1 << 20

// plan is the windows of a run of documents that lie end to end. Documents are
// made of pieces: sentences, and parts of those that are too long for a window.
type plan struct {
	ends     []int32 // where each piece ends, in tokens from the start of the run
	bounds   []int32 // document d is the pieces bounds[d]:bounds[d+1]
	windows  []int32 // window w is the pieces windows[w]:windows[w+1]
	order    []int32 // for BestFit, of the pieces: windows are ranges of it
	overlong int64   // sentences that had to be cut

	layout Layout
	room   int32
	used   int32 // of the last window, which is still open
	tokens int32 // laid so far
}

// reset makes the plan empty.
func (p *plan) reset(layout Layout, seqLen int) {
	*p = plan{
		ends: p.ends[:0], bounds: append(p.bounds[:0], 0), windows: p.windows[:0], order: p.order[:0],
		layout: layout, room: int32(layout.room(seqLen)),
	}
}

// add lays a document: the token offsets at which its sentences end. It must
// have a token.
func (p *plan) add(sentenceEnds []int32) {
	switch {
	case p.layout == BestFit:
		p.runs(sentenceEnds[len(sentenceEnds)-1])
		p.bounds = append(p.bounds, int32(len(p.ends)))
		return
	case p.layout == Pairs || p.layout == Documents || p.layout == Sentences || p.layout == Whole || len(p.windows) == 0:
		p.open()
	default:
		if p.used++; p.used >= p.room { // the separator
			p.open()
		}
	}
	last := int32(0)
	for _, end := range sentenceEnds {
		length := end - last
		last = end
		switch {
		case length <= 0:
		case p.layout.pours():
			p.pour(length)
		case length <= p.room:
			p.place(length)
		default:
			// Even parts, so that no part is too short to be of use.
			p.overlong++
			parts := (length + p.room - 1) / p.room
			for i := range parts {
				p.place(int32(int64(length)*int64(i+1)/int64(parts)) - int32(int64(length)*int64(i)/int64(parts)))
			}
		}
	}
	p.bounds = append(p.bounds, int32(len(p.ends)))
}

// runs cuts a document of n tokens into full sequences and a rest.
func (p *plan) runs(n int32) {
	if n > p.room {
		p.overlong++
	}
	for n > 0 {
		length := min(n, p.room)
		p.tokens += length
		p.ends = append(p.ends, p.tokens)
		n -= length
	}
}

// fit puts runs into windows, best-fit decreasing; runs of one length stay in
// their order.
func (p *plan) fit() {
	n, room := len(p.ends), int(p.room)
	// Counting sort by length, longest first.
	starts := make([]int32, room+2)
	need := func(i int) int {
		length := p.ends[i] - p.start(int32(i))
		return min(int(length)+1, room) // the end token
	}
	for i := range n {
		starts[room-need(i)+1]++
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	sorted := make([]int32, n)
	for i := range n {
		at := &starts[room-need(i)]
		sorted[*at] = int32(i)
		*at++
	}
	// The windows by the room they have left: a list for each, and a bit set of
	// those that are not empty.
	var heads = make([]int32, room+1) // of windows, plus one
	free := make([]uint64, room/64+1)
	var next, last, first, link []int32 // by window: the next of its list; its runs
	link = make([]int32, n)
	for _, run := range sorted {
		want := need(int(run))
		left := smallest(free, want)
		var w int32
		if left < 0 {
			w = int32(len(next))
			next, first, last = append(next, 0), append(first, run), append(last, run)
			left = room
		} else {
			w = heads[left] - 1
			if heads[left] = next[w]; heads[left] == 0 {
				free[left/64] &^= 1 << (left % 64)
			}
			link[last[w]] = run + 1
			last[w] = run
		}
		if left -= want; left > 0 {
			next[w] = heads[left]
			heads[left] = w + 1
			free[left/64] |= 1 << (left % 64)
		}
	}
	p.order = p.order[:0]
	for _, run := range first {
		p.windows = append(p.windows, int32(len(p.order)))
		for r := run + 1; r != 0; r = link[r-1] {
			p.order = append(p.order, r-1)
		}
	}
}

// smallest returns the least member of a bit set that is at least least, or -1.
func smallest(set []uint64, least int) int {
	word := least / 64
	if word >= len(set) {
		return -1
	}
	if rest := set[word] >> (least % 64); rest != 0 {
		return least + bits.TrailingZeros64(rest)
	}
	for word++; word < len(set); word++ {
		if set[word] != 0 {
			return word*64 + bits.TrailingZeros64(set[word])
		}
	}
	return -1
}

// place adds a piece that fits a window.
func (p *plan) place(length int32) {
	if p.used+length > p.room {
		p.open()
	}
	p.tokens += length
	p.used += length
	p.ends = append(p.ends, p.tokens)
}

// pour adds a sentence, cut where windows are full.
func (p *plan) pour(length int32) {
	for length > 0 {
		if p.used == p.room {
			p.open()
		}
		n := min(length, p.room-p.used)
		p.place(n)
		length -= n
	}
}

// open begins a window.
func (p *plan) open() {
	p.windows = append(p.windows, int32(len(p.ends)))
	p.used = 0
}

// finish closes the last window.
func (p *plan) finish() {
	if p.layout == BestFit {
		p.fit()
	}
	if len(p.windows) > 0 {
		p.windows = append(p.windows, int32(len(p.ends)))
	}
}

// count returns the number of windows of a finished plan.
func (p *plan) count() int { return max(0, len(p.windows)-1) }

// piece returns the i-th piece in the order of windows.
func (p *plan) piece(i int32) int32 {
	if p.layout == BestFit {
		return p.order[i]
	}
	return i
}

// start returns where piece i starts, in tokens.
func (p *plan) start(i int32) int32 {
	if i == 0 {
		return 0
	}
	return p.ends[i-1]
}
