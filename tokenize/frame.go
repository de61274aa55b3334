package tokenize

import (
	"errors"
	"fmt"
)

// maxWindows bounds the windows of one text, or of the pairs of windows of two.
const maxWindows = 1 << 20

// errWindows says that a text is cut into too many windows.
var errWindows = errors.New("too many windows")

// EncodeFramed replaces the contents of enc by the tokens of one text, or of two
// when pair is not nil, with the control tokens that the tokenizer puts around
// them, cut as Truncate asked: what was cut off is in enc.Overflow, framed alike.
// Spans of the second text count from its own beginning.
func (e *Encoder) EncodeFramed(enc *Encoding, text string, pair *string) error {
	each := e.each[:1]
	if err := e.encodeWhole(&each[0], text); err != nil {
		return err
	}
	texts := [2]string{text}
	if pair != nil {
		each = e.each[:2]
		texts[1] = *pair
		if err := e.encodeWhole(&each[1], *pair); err != nil {
			return err
		}
	}
	frame := e.t.frame(pair != nil)
	windows := [2][]window{{{0, len(each[0].IDs)}}, {{0, len(e.each[1].IDs)}}}
	if e.truncation != nil {
		var err error
		if windows, err = e.truncation.windows(each, frame, controls(e.t.frame(false))); err != nil {
			return err
		}
	}
	choices, err := combine(frame, windows)
	if err != nil {
		return err
	}
	enc.Overflow = enc.Overflow[:0]
	for i, choice := range choices {
		if i == 0 {
			e.fill(enc, texts, frame, windows, choice)
			continue
		}
		var rest Encoding
		e.fill(&rest, texts, frame, windows, choice)
		enc.Overflow = append(enc.Overflow, rest)
	}
	return nil
}

// frame returns what stands around one text or two.
func (t *Tokenizer) frame(pair bool) []framed {
	if t.post == nil {
		return bare(pair)
	}
	return t.post.frame(pair)
}

// controls counts the control tokens of a frame.
func controls(frame []framed) int {
	n := 0
	for _, f := range frame {
		if f.sequence < 0 {
			n++
		}
	}
	return n
}

// combine lists what stands in the places of the sequences of a frame: the numbers
// of their windows. The first choice takes the first window of each, and the others
// are those in which one is not, in the order of the reference.
func combine(frame []framed, windows [2][]window) ([][]int, error) {
	all := [][]int{nil}
	for _, f := range frame {
		if f.sequence < 0 {
			continue
		}
		n := len(windows[f.sequence])
		if len(all)*n > maxWindows {
			return nil, fmt.Errorf("truncation: %d times %d windows: %w", len(all), n, errWindows)
		}
		with := func(choice []int, k int) []int { return append(append(make([]int, 0, len(choice)+1), choice...), k) }
		next := make([][]int, 0, len(all)*n)
		next = append(next, with(all[0], 0))
		for _, choice := range all[1:] {
			for k := range n {
				next = append(next, with(choice, k))
			}
		}
		for k := 1; k < n; k++ {
			next = append(next, with(all[0], k))
		}
		all = next
	}
	return all, nil
}

// fill sets enc to the frame with the windows of a choice in it.
func (e *Encoder) fill(enc *Encoding, texts [2]string, frame []framed, windows [2][]window, choice []int) {
	enc.IDs, enc.Spans, enc.Words = enc.IDs[:0], enc.Spans[:0], enc.Words[:0]
	enc.Types, enc.Special, enc.Attention = enc.Types[:0], enc.Special[:0], enc.Attention[:0]
	for _, f := range frame {
		if f.sequence < 0 {
			enc.put(f.id, f.kind, true)
			continue
		}
		w, kind := windows[f.sequence][choice[0]], f.kind
		if choice[0] > 0 {
			kind = f.rest
		}
		choice = choice[1:]
		s, first := &e.each[f.sequence], len(enc.IDs)
		enc.IDs = append(enc.IDs, s.IDs[w.from:w.to]...)
		enc.Spans = append(enc.Spans, s.Spans[w.from:w.to]...)
		enc.Words = append(enc.Words, s.Words[w.from:w.to]...)
		for range w.to - w.from {
			enc.Types = append(enc.Types, kind)
			enc.Special = append(enc.Special, false)
			enc.Attention = append(enc.Attention, true)
		}
		// A window's first token counts as the first of the text, as in the reference.
		e.t.trim(enc.IDs[first:], enc.Spans[first:], texts[f.sequence])
	}
}

// put appends a control token that is not in the text, or padding.
func (enc *Encoding) put(id, kind int32, attend bool) {
	enc.IDs = append(enc.IDs, id)
	enc.Spans = append(enc.Spans, Span{})
	enc.Words = append(enc.Words, -1)
	enc.Types = append(enc.Types, kind)
	enc.Special = append(enc.Special, true)
	enc.Attention = append(enc.Attention, attend)
}
