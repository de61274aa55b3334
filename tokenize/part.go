package tokenize

import (
	"slices"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// part is a piece of the text on its way through the chain: its normalized form
// and, for each byte of that, the bytes of the original it came from.
type part struct {
	text     []byte
	from, to []int32
	// spare is memory for the next form of a part without origins.
	spare []byte
	// start is where the part begins in the original.
	start int32
	// id is the added token that the part is, or -1.
	id int32
	// inside: the part is taken out of a longer one, with something before it.
	inside bool
}

// newPart takes text, which begins at start of the original. Without align the
// origins are left out, in this part and in all that is made of it.
func newPart(text string, start int, align bool) part {
	return makePart(text, start, align, part{})
}

// makePart is newPart in the memory of a part that is no longer needed.
func makePart(text string, start int, align bool, room part) part {
	p := part{text: appendValid(room.text[:0], text), spare: room.spare, id: -1, start: int32(start)}
	if !align {
		return p
	}
	p.from, p.to = slices.Grow(room.from[:0], len(p.text)), slices.Grow(room.to[:0], len(p.text))
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf {
			p.from, p.to = append(p.from, int32(start+i)), append(p.to, int32(start+i+1))
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		for range utf8.RuneLen(r) {
			p.from, p.to = append(p.from, int32(start+i)), append(p.to, int32(start+i+size))
		}
		i += size
	}
	return p
}

// toValid copies s with each invalid byte as U+FFFD.
func toValid(s string) []byte { return appendValid(nil, s) }

func appendValid(dst []byte, s string) []byte {
	done := 0
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(append(dst, s[done:i]...), replacement...)
			done = i + 1
		}
		i += n
	}
	return append(dst, s[done:]...)
}

// replacement is what invalid bytes are read as.
const replacement = string(utf8.RuneError)

// slice returns bytes i to j as a part of their own.
func (p *part) slice(i, j int) part {
	s := part{text: p.text[i:j:j], start: p.start, id: -1}
	if p.from != nil {
		s.from, s.to = p.from[i:j:j], p.to[i:j:j]
	}
	switch {
	case i >= j:
	case p.from != nil:
		s.start = p.from[i]
	case i > 0:
		// Without origins it is only known that the part does not begin the text.
		s.start = p.start + 1
	}
	return s
}

// span returns the original bytes of bytes i to j.
func (p *part) span(i, j int) Span {
	if i >= j || p.from == nil {
		return Span{int(p.start), int(p.start)}
	}
	return Span{int(p.from[i]), int(p.to[j-1])}
}

// edit is a character of a new normalized form. By is 0 when it takes the place
// of one character of the old form, -n when of n more, and positive when it is
// put in and shares the origin of what stands before it.
type edit struct {
	r  rune
	by int
}

// apply gives the part a new form. skip is the number of characters dropped
// before the first edit.
func (p *part) apply(edits []edit, skip int) {
	if p.from == nil {
		text := p.spare[:0]
		for _, e := range edits {
			text = utf8.AppendRune(text, e.r)
		}
		p.text, p.spare = text, p.text
		return
	}
	old, at := p.text, 0
	next := func() int {
		if at >= len(old) {
			return 0
		}
		_, n := utf8.DecodeRune(old[at:])
		at += n
		return n
	}
	for range skip {
		next()
	}
	text := make([]byte, 0, len(old)+8)
	from, to := make([]int32, 0, len(old)+8), make([]int32, 0, len(old)+8)
	for _, e := range edits {
		f, t := p.start, p.start
		switch {
		case e.by > 0 && at > 0:
			f, t = p.from[at-1], p.to[at-1]
		case e.by <= 0 && at < len(old):
			f, t = p.from[at], p.to[at]
		}
		if e.by <= 0 {
			next()
			for range -e.by {
				next()
			}
		}
		before := len(text)
		text = utf8.AppendRune(text, e.r)
		for range len(text) - before {
			from, to = append(from, f), append(to, t)
		}
	}
	p.text, p.from, p.to = text, from, to
}

// keep drops the characters for which f is false.
func (p *part) keep(f func(rune) bool) {
	var edits []edit
	skip, dropped := 0, 0
	for _, r := range string(p.text) {
		if !f(r) {
			dropped++
			if len(edits) == 0 {
				skip++
			} else {
				edits[len(edits)-1].by--
			}
			continue
		}
		edits = append(edits, edit{r, 0})
	}
	if dropped > 0 {
		p.apply(edits, skip)
	}
}

// each replaces every character by what f appends for it.
func (p *part) each(f func(dst []rune, r rune) []rune) {
	edits := make([]edit, 0, len(p.text))
	var room []rune
	for _, r := range string(p.text) {
		room = f(room[:0], r)
		for i, c := range room {
			edits = append(edits, edit{c, min(i, 1)})
		}
	}
	p.apply(edits, 0)
}

// prepend puts s before the part; it shares the origin of the first character.
func (p *part) prepend(s string) {
	if len(p.text) == 0 || s == "" {
		return
	}
	_, n := utf8.DecodeRune(p.text)
	text := append([]byte(s), p.text...)
	if p.from == nil {
		p.text = text
		return
	}
	from, to := make([]int32, 0, len(text)), make([]int32, 0, len(text))
	for range len(s) {
		from, to = append(from, p.from[0]), append(to, p.to[0])
	}
	// The first character itself takes the origin of its last byte.
	for range n {
		from, to = append(from, p.from[n-1]), append(to, p.to[n-1])
	}
	p.text, p.from, p.to = text, append(from, p.from[n:]...), append(to, p.to[n:]...)
}

// replace puts content in the place of each match; it shares the origin of the
// match's last byte.
func (p *part) replace(matches []match, content string) {
	if !slices.ContainsFunc(matches, func(m match) bool { return m.is }) {
		return
	}
	text := make([]byte, 0, len(p.text)+len(p.text)/4)
	var from, to []int32
	if p.from != nil {
		from, to = make([]int32, 0, cap(text)), make([]int32, 0, cap(text))
	}
	for _, m := range matches {
		if !m.is {
			text = append(text, p.text[m.start:m.end]...)
			if p.from != nil {
				from, to = append(from, p.from[m.start:m.end]...), append(to, p.to[m.start:m.end]...)
			}
			continue
		}
		if p.from == nil {
			text = append(text, content...)
			continue
		}
		f, t := p.start, p.start
		if m.end > 0 {
			f, t = p.from[m.end-1], p.to[m.end-1]
		}
		text = append(text, content...)
		for range len(content) {
			from, to = append(from, f), append(to, t)
		}
	}
	p.text, p.from, p.to = text, from, to
}

// strip drops white space at the ends.
func (p *part) strip(left, right bool) {
	table := chars.Classes()
	i, j := 0, len(p.text)
	for left && i < j {
		r, n := utf8.DecodeRune(p.text[i:])
		if table.Of(r)&chars.Space == 0 {
			break
		}
		i += n
	}
	for right && i < j {
		r, n := utf8.DecodeLastRune(p.text[i:j])
		if table.Of(r)&chars.Space == 0 {
			break
		}
		j -= n
	}
	p.text = p.text[i:j]
	if p.from != nil {
		p.from, p.to = p.from[i:j], p.to[i:j]
	}
}

// match is a part of a text that a pattern matched, or did not.
type match struct {
	start, end int
	is         bool
}

// behavior says what becomes of the matches when a part is split at them.
type behavior string

const (
	removed            behavior = "Removed"
	isolated           behavior = "Isolated"
	mergedWithPrevious behavior = "MergedWithPrevious"
	mergedWithNext     behavior = "MergedWithNext"
	contiguous         behavior = "Contiguous"
)

func (b behavior) valid() bool {
	switch b {
	case removed, isolated, mergedWithPrevious, mergedWithNext, contiguous:
		return true
	}
	return false
}

// split appends the parts of p that the matches, which cover it, leave.
func (b behavior) split(dst []part, p *part, matches []match) []part {
	cut := func(start, end int) {
		if start < end {
			dst = append(dst, p.slice(start, end))
		}
	}
	switch b {
	case removed:
		for _, m := range matches {
			if !m.is {
				cut(m.start, m.end)
			}
		}
	case isolated:
		for _, m := range matches {
			cut(m.start, m.end)
		}
	case contiguous:
		for i := 0; i < len(matches); {
			j := i + 1
			for j < len(matches) && matches[j].is == matches[i].is {
				j++
			}
			cut(matches[i].start, matches[j-1].end)
			i = j
		}
	case mergedWithPrevious:
		for i := 0; i < len(matches); i++ {
			end := matches[i].end
			if !matches[i].is && i+1 < len(matches) && matches[i+1].is {
				i++
				cut(matches[i-1].start, matches[i].end)
				continue
			}
			cut(matches[i].start, end)
		}
	case mergedWithNext:
		for i := 0; i < len(matches); i++ {
			if matches[i].is && i+1 < len(matches) && !matches[i+1].is {
				cut(matches[i].start, matches[i+1].end)
				i++
				continue
			}
			cut(matches[i].start, matches[i].end)
		}
	}
	return dst
}

// matchRunes cuts text at the characters for which f is true.
func matchRunes(dst []match, text []byte, f func(rune) bool) []match {
	last := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if f(r) {
			if last < i {
				dst = append(dst, match{last, i, false})
			}
			dst = append(dst, match{i, i + n, true})
			last = i + n
		}
		i += n
	}
	if last < len(text) {
		dst = append(dst, match{last, len(text), false})
	}
	return dst
}
