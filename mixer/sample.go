package mixer

import (
	"sort"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// Span is a run of tokens of one document.
type Span struct {
	// Doc is the document's id; Start and End bound the tokens in the document.
	Doc        string
	Start, End int32
}

// Sample is a window of tokens of one source. Its slices are shared and must not
// be written to.
type Sample struct {
	// Index is the sample's number in the mixed stream, Task the index of its
	// component in the mix, Source that component's source.
	Index  int64
	Task   int
	Source string
	// Epoch is the pass over the component and Position the sample's number in it.
	Epoch, Position int64
	// Tokens are the window's, without special tokens, and Ends where its sentences
	// end in Tokens, ascending; the last is len(Tokens).
	Tokens []int32
	Ends   []int32
	// Spans are the parts of documents that Tokens is made of, end to end.
	Spans []Span

	group *group
	doc   int // of the first span, in the group
}

// Key derives from base a key that depends on which window of which pass the
// sample is, and on nothing else of the mix: draws made with it stay the same
// when weights change or another source comes in.
func (s *Sample) Key(base counter.Key) counter.Key {
	return base.Sub(uint64(s.Epoch)).Sub(uint64(s.Position))
}

// Label is the sample's component without its weight.
func (s *Sample) Label() string { return s.group.source.Label() }

// Others returns how many other documents were held in memory with the sample's
// own (the first, when it has several). It depends on the data and the mix alone.
func (s *Sample) Others() int { return s.group.docs[len(s.group.blocks)] - 1 }

// Other returns the i-th of the other documents, 0 <= i < Others().
func (s *Sample) Other(i int) Document {
	if i >= s.doc {
		i++
	}
	return s.group.document(i)
}

// Own returns the sample's own document, the first when it has several.
func (s *Sample) Own() Document { return s.group.document(s.doc) }

// Document is a whole document in memory, not to be written to.
type Document struct {
	ID     string
	Tokens []int32

	ends  []int32
	start int32
}

// Sentences returns how many sentences the document has. A sentence longer than
// a window counts as several.
func (d Document) Sentences() int { return len(d.ends) }

// Sentence returns the bounds of sentence i in Tokens.
func (d Document) Sentence(i int) (start, end int32) {
	if i > 0 {
		start = d.ends[i-1] - d.start
	}
	return start, d.ends[i] - d.start
}

func (g *group) document(i int) Document {
	b := sort.Search(len(g.blocks)-1, func(b int) bool { return g.docs[b+1] > i })
	l, d := g.blocks[b], i-g.docs[b]
	ends := l.ends[l.bounds[d]:l.bounds[d+1]]
	start := l.start(l.bounds[d])
	return Document{ID: l.ids[d], Tokens: l.tokens[start:ends[len(ends)-1]], ends: ends, start: start}
}

// gather builds the samples at the given places.
func gather(places []place, inGroup []int, groups []*group) []Sample {
	samples := make([]Sample, len(places))
	// Slices of these two are handed out; when one grows, the slices handed out
	// before stay with the old memory.
	ends := make([]int32, 0, 16*len(places))
	spans := make([]Span, 0, 2*len(places))
	for i, p := range places {
		g := groups[inGroup[i]]
		block := sort.Search(len(g.blocks)-1, func(b int) bool { return g.windows[b+1] > int(p.window) })
		l, w := g.blocks[block], int(p.window)-g.windows[block]
		first, last := l.windows[w], l.windows[w+1]
		start := l.start(first)
		stop := l.ends[last-1]

		endsFrom := len(ends)
		for _, e := range l.ends[first:last] {
			ends = append(ends, e-start)
		}
		spansFrom := len(spans)
		doc := l.document(first)
		for d, at := doc, start; at < stop; d++ {
			docStart, docEnd := l.start(l.bounds[d]), l.ends[l.bounds[d+1]-1]
			spans = append(spans, Span{Doc: l.ids[d], Start: at - docStart, End: min(docEnd, stop) - docStart})
			at = docEnd
		}
		samples[i] = Sample{
			Index: p.index, Task: p.source.task, Source: p.source.Name,
			Epoch: int64(p.epoch.number), Position: int64(p.position),
			Tokens: l.tokens[start:stop:stop],
			Ends:   ends[endsFrom:len(ends):len(ends)],
			Spans:  spans[spansFrom:len(spans):len(spans)],
			group:  g, doc: g.docs[block] + doc,
		}
	}
	return samples
}
