package tokenize

import "unicode/utf8"

// word is a word under way: the bytes that the model sees, and where in the
// original they come from.
type word struct {
	text []byte
	// The first head bytes come from headAt. What follows stands at body and on in
	// the original, unless there are origins.
	head   int
	headAt Span
	body   int
	// With odd set, from and to hold the origin of each byte instead.
	odd      bool
	from, to []int32
}

func (w *word) reset() {
	w.text, w.head, w.odd, w.from, w.to = w.text[:0], 0, false, w.from[:0], w.to[:0]
}

// span returns the original of bytes i to j, the whole of characters that are cut.
func (w *word) span(i, j int) Span {
	if w.odd {
		return Span{int(w.from[i]), int(w.to[j-1])}
	}
	s := w.headAt
	if i >= w.head {
		for !utf8.RuneStart(w.text[i]) {
			i--
		}
		s.Start = w.body + i - w.head
	}
	if j > w.head {
		for j < len(w.text) && !utf8.RuneStart(w.text[j]) {
			j++
		}
		s.End = w.body + j - w.head
	}
	return s
}

// put appends bytes that all come from s.
func (w *word) put(text []byte, s Span, offsets bool) {
	if offsets {
		w.spell()
		for range len(text) {
			w.from, w.to = append(w.from, int32(s.Start)), append(w.to, int32(s.End))
		}
	}
	w.text = append(w.text, text...)
}

// spell writes down the origin of each byte.
func (w *word) spell() {
	if w.odd {
		return
	}
	for i := range w.text {
		s := w.span(i, i+1)
		w.from, w.to = append(w.from, int32(s.Start)), append(w.to, int32(s.End))
	}
	w.odd = true
}
