package mixer

import "fmt"

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
)

func (l Layout) String() string {
	switch l {
	case Pairs:
		return "pairs"
	case Full:
		return "full"
	case Packed:
		return "packed"
	}
	return fmt.Sprintf("Layout(%d)", int(l))
}

// room returns how many tokens of a sequence a window may take up.
func (l Layout) room(seqLen int) int {
	switch l {
	case Pairs:
		return seqLen - 3
	case Full:
		return seqLen - 2
	}
	return seqLen
}

// minSeqLen is the shortest sequence that leaves each of two segments a token.
const minSeqLen = 5

// plan is the windows of a run of documents that lie end to end. Documents are
// made of pieces: sentences, and parts of those that are too long for a window.
type plan struct {
	ends     []int32 // where each piece ends, in tokens from the start of the run
	bounds   []int32 // document d is the pieces bounds[d]:bounds[d+1]
	windows  []int32 // window w is the pieces windows[w]:windows[w+1]
	overlong int64   // sentences that had to be cut

	layout Layout
	room   int32
	used   int32 // of the last window, which is still open
	tokens int32 // laid so far
}

// reset makes the plan empty.
func (p *plan) reset(layout Layout, seqLen int) {
	*p = plan{
		ends: p.ends[:0], bounds: append(p.bounds[:0], 0), windows: p.windows[:0],
		layout: layout, room: int32(layout.room(seqLen)),
	}
}

// add lays a document: the token offsets at which its sentences end. It must
// have a token.
func (p *plan) add(sentenceEnds []int32) {
	if p.layout == Pairs || len(p.windows) == 0 {
		p.open()
	} else if p.used++; p.used >= p.room { // the separator
		p.open()
	}
	last := int32(0)
	for _, end := range sentenceEnds {
		length := end - last
		last = end
		switch {
		case length <= 0:
		case p.layout == Packed:
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
	if len(p.windows) > 0 {
		p.windows = append(p.windows, int32(len(p.ends)))
	}
}

// count returns the number of windows of a finished plan.
func (p *plan) count() int { return max(0, len(p.windows)-1) }

// start returns where piece i starts, in tokens.
func (p *plan) start(i int32) int32 {
	if i == 0 {
		return 0
	}
	return p.ends[i-1]
}
