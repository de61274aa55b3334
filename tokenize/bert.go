package tokenize

import (
	"sync/atomic"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// bertRules is BERT's normalizer and pre-tokenizer in one: what becomes of each
// character, and whether it ends a word. The rules for a page of 256 characters
// are worked out when the page is first met.
type bertRules struct {
	clean, ideographs, strip, lower bool
	ascii                           [128]uint8
	pages                           [0x1100]atomic.Pointer[bertPage]
}

// The fates of a character. In bertRules.ascii anything above bertOdd is
// the letter that the character becomes.
const (
	bertDropped = iota
	bertSpace
	bertIsolated
	bertLetter
	// bertLong becomes several letters.
	bertLong
	// bertOdd is a letter that canonical ordering may move past its neighbours:
	// a text with one is taken step by step.
	bertOdd
)

// bertPage holds the fate (high byte) and the new character (or the place in
// long) of 256 characters.
type bertPage struct {
	to   [256]uint32
	long []string
}

func newBertRules(n *bertNormalizer) *bertRules {
	r := new(bertRules)
	if n != nil {
		r.clean, r.ideographs, r.lower = n.CleanText, n.HandleChineseChars, n.Lowercase
		r.strip = n.strips()
	}
	page := r.page(0)
	for c := range r.ascii {
		switch fate := page.to[c] >> 24; fate {
		case bertLetter:
			r.ascii[c] = uint8(page.to[c])
		default:
			r.ascii[c] = uint8(fate)
		}
	}
	return r
}

func (r *bertRules) page(n rune) *bertPage {
	if p := r.pages[n].Load(); p != nil {
		return p
	}
	p := r.build(n << 8)
	r.pages[n].Store(p)
	return p
}

// build works out the page of the 256 characters from first. Two workers may
// both build a page; they build the same.
func (r *bertRules) build(first rune) *bertPage {
	p := new(bertPage)
	table := chars.Classes()
	for i := range p.to {
		c := first + rune(i)
		class := table.Of(c)
		if r.clean && class&chars.Control != 0 {
			continue
		}
		if class&chars.Space != 0 {
			p.to[i] = bertSpace << 24
			continue
		}
		text := []byte(string(c))
		if r.strip {
			text = text[:0]
			for _, d := range string(chars.AppendDecomposed(nil, c, false)) {
				if table.Of(d)&chars.Nonspacing == 0 {
					text = utf8.AppendRune(text, d)
				}
			}
			if len(text) == 0 {
				continue
			}
		}
		if r.lower {
			var low []byte
			for _, d := range string(text) {
				l, rest := chars.Lower(d)
				low = append(utf8.AppendRune(low, l), rest...)
			}
			text = low
		}
		one, n := utf8.DecodeRune(text)
		switch class := table.Of(one); {
		case n < len(text):
			p.to[i] = bertLong<<24 | uint32(len(p.long))
			p.long = append(p.long, string(text))
		case r.ideographs && table.Of(c)&chars.Ideograph != 0, class&chars.Punctuation != 0:
			p.to[i] = bertIsolated<<24 | uint32(one)
		case class&chars.Space != 0:
			p.to[i] = bertSpace << 24
		case first == 0 && one <= bertOdd:
			// Control characters that are kept when cleaning is off collide with
			// the fates of the ASCII table.
			p.to[i] = bertLong<<24 | uint32(len(p.long))
			p.long = append(p.long, string(text))
		case r.strip && chars.CombiningClass(one) != 0:
			p.to[i] = bertOdd<<24 | uint32(one)
		default:
			p.to[i] = bertLetter<<24 | uint32(one)
		}
	}
	return p
}

// bertScanner yields the words of a text, normalized.
type bertScanner struct {
	rules *bertRules
	text  string
	pos   int
	// limit is the number of bytes after which a word is only followed to its
	// end, not kept.
	limit int
	// align asks for starts and ends.
	align bool
	// odd tells that a character was met that the scanner may have misplaced.
	odd bool

	// word is the normalized word, from text[from:to]. When plain, byte k of word
	// came from text[from+k]; else, if align is set, from
	// text[starts[k]:ends[k]].
	word         []byte
	from, to     int
	plain        bool
	starts, ends []int32
}

// next finds the next word. It reports false at the end of the text.
func (s *bertScanner) next() bool {
	text, rules := s.text, s.rules
	i := s.pos
	s.word, s.plain = s.word[:0], true
	for i < len(text) {
		b := text[i]
		if b < utf8.RuneSelf {
			to := rules.ascii[b]
			if to > bertOdd {
				if len(s.word) == 0 {
					s.from = i
				}
				s.to = i + 1
				if !s.plain && s.align {
					s.starts, s.ends = append(s.starts, int32(i)), append(s.ends, int32(i+1))
				}
				if len(s.word) <= s.limit {
					s.word = append(s.word, to)
				}
				i++
				continue
			}
			switch to {
			case bertSpace:
				if len(s.word) > 0 {
					s.pos = i + 1
					return true
				}
				i++
				continue
			case bertIsolated:
				if len(s.word) > 0 {
					s.pos = i
					return true
				}
				s.word = append(s.word, b)
				s.from, s.to, s.pos = i, i+1, i+1
				return true
			case bertDropped:
				if len(s.word) > 0 {
					s.unplain()
				}
				i++
				continue
			}
		}
		c, n := utf8.DecodeRuneInString(text[i:])
		page := rules.page(c >> 8)
		to := page.to[uint8(c)]
		switch to >> 24 {
		case bertSpace:
			if len(s.word) > 0 {
				s.pos = i + n
				return true
			}
		case bertIsolated:
			if len(s.word) > 0 {
				s.pos = i
				return true
			}
			s.add(rune(to&0xffffff), i, i+n)
			s.pos = i + n
			return true
		case bertDropped:
			if len(s.word) > 0 {
				s.unplain()
			}
		case bertOdd:
			s.odd = true
			s.add(rune(to&0xffffff), i, i+n)
		case bertLetter:
			s.add(rune(to&0xffffff), i, i+n)
		case bertLong:
			for _, r := range page.long[to&0xffffff] {
				s.add(r, i, i+n)
			}
		}
		i += n
	}
	s.pos = i
	return len(s.word) > 0
}

// add appends a character that came from text[i:j].
func (s *bertScanner) add(r rune, i, j int) {
	if len(s.word) == 0 {
		s.from = i
	}
	s.to = j
	s.unplain()
	if len(s.word) > s.limit {
		return
	}
	before := len(s.word)
	s.word = utf8.AppendRune(s.word, r)
	if s.align {
		for range len(s.word) - before {
			s.starts, s.ends = append(s.starts, int32(i)), append(s.ends, int32(j))
		}
	}
}

// unplain begins to keep the alignment of each byte.
func (s *bertScanner) unplain() {
	if !s.plain {
		return
	}
	s.plain = false
	if !s.align {
		return
	}
	s.starts, s.ends = s.starts[:0], s.ends[:0]
	for k := range s.word {
		s.starts, s.ends = append(s.starts, int32(s.from+k)), append(s.ends, int32(s.from+k+1))
	}
}

// span returns the part of the text that bytes a to b of the word came from.
func (s *bertScanner) span(a, b int) Span {
	switch {
	case a == 0 && b >= len(s.word):
		return Span{s.from, s.to}
	case s.plain:
		return Span{s.from + a, s.from + b}
	}
	return Span{int(s.starts[a]), int(s.ends[b-1])}
}
