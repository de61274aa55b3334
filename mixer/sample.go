package mixer

import "github.com/tributary-ml/tributary/mixer/counter"

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
	// Spans are the parts of documents that Tokens is made of, end to end, in tokens
	// of what was read of the documents (see Whole).
	Spans []Span

	component  *source
	own, other *loaded
	doc        int // of the first span, in own
}

// Key derives from base a key that depends on which window of which pass the
// sample is, and on nothing else of the mix: draws made with it stay the same
// when weights change or another source comes in.
func (s *Sample) Key(base counter.Key) counter.Key {
	return base.Sub(uint64(s.Epoch)).Sub(uint64(s.Position))
}

// Label is the sample's component without its weight.
func (s *Sample) Label() string { return s.component.Label() }

// Others returns how many other documents there are to draw from beside the
// sample's own (the first, when it has several): those of its block or, when it is
// alone there, of the next block of its group. It depends on the data and the
// component alone.
func (s *Sample) Others() int {
	if n := len(s.own.ids) - 1; n > 0 || s.other == nil {
		return n
	}
	return len(s.other.ids)
}

// Other returns the i-th of the other documents, 0 <= i < Others().
func (s *Sample) Other(i int) Document {
	if len(s.own.ids) == 1 {
		return s.other.text(i)
	}
	if i >= s.doc {
		i++
	}
	return s.own.text(i)
}

// Own returns the sample's own document, the first when it has several.
func (s *Sample) Own() Document { return s.own.text(s.doc) }

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

func (l *loaded) text(d int) Document {
	ends := l.ends[l.bounds[d]:l.bounds[d+1]]
	start := l.start(l.bounds[d])
	return Document{ID: l.ids[d], Tokens: l.tokens[start:ends[len(ends)-1]], ends: ends, start: start}
}

// gather builds the samples at places whose blocks are in memory.
func gather(places []place) []Sample {
	samples := make([]Sample, len(places))
	pieces, copied := 0, 0
	for i := range places {
		l, w := places[i].own, places[i].window
		pieces += int(l.windows[w+1] - l.windows[w])
		if l.layout == BestFit {
			for _, piece := range l.order[l.windows[w]:l.windows[w+1]] {
				copied += int(l.ends[piece] - l.start(piece))
			}
		}
	}
	ends := make([]int32, 0, pieces)
	tokens := make([]int32, 0, copied)
	// Parts of spans are handed out; when it grows, those handed out before stay
	// with the old memory.
	spans := make([]Span, 0, 2*len(places))
	for i := range places {
		p := &places[i]
		l := p.own
		endsFrom, spansFrom := len(ends), len(spans)
		first, last := l.windows[p.window], l.windows[p.window+1]
		s := &samples[i]
		*s = Sample{
			Index: p.index, Task: p.source.task, Source: p.source.Name,
			Epoch: int64(p.epoch), Position: int64(p.position),
			component: p.source, own: l, other: p.other, doc: l.document(l.piece(first)),
		}
		if l.layout == BestFit {
			from := len(tokens)
			for _, piece := range l.order[first:last] {
				d := l.document(piece)
				base := l.start(l.bounds[d])
				start, end := l.start(piece), l.ends[piece]
				tokens = append(tokens, l.tokens[start:end]...)
				ends = append(ends, int32(len(tokens)-from))
				spans = append(spans, Span{Doc: l.ids[d], Start: start - base, End: end - base})
			}
			s.Tokens = tokens[from:len(tokens):len(tokens)]
		} else {
			start, stop := l.start(first), l.ends[last-1]
			for _, e := range l.ends[first:last] {
				ends = append(ends, e-start)
			}
			for d, at := s.doc, start; at < stop; d++ {
				docStart, docEnd := l.start(l.bounds[d]), l.ends[l.bounds[d+1]-1]
				spans = append(spans, Span{Doc: l.ids[d], Start: at - docStart, End: min(docEnd, stop) - docStart})
				at = docEnd
			}
			s.Tokens = l.tokens[start:stop:stop]
		}
		s.Ends = ends[endsFrom:len(ends):len(ends)]
		s.Spans = spans[spansFrom:len(spans):len(spans)]
	}
	return samples
}
