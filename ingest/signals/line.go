package signals

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// lineState is what is known of a line while it is gone through.
type lineState struct {
	chars, numbers, uppers int64
	words, longest         int64
	sentences              int64
	open, ending           bool // a sentence has words; its mark has come
	wide                   bool // a mark that needs no space after it

	curly, lorem, script, policy, bracket bool

	token token
	word  word
}

// token is the token that is being read.
type token struct {
	start int
	chars uint32
	class uint8 // of all of it; 0: punctuation or a symbol
	first rune  // of punctuation
	in    bool
}

// word is the word that is being read.
type word struct {
	chars, plain int64
	class        uint8
	hash         uint64
}

const (
	hashStart = 0xcbf2_9ce4_8422_2325 // FNV-1a, by code points
	hashPrime = 0x0000_0100_0000_01b3
)

// line measures a line that has a character.
func (m *Meter) line(s *Signals, text string) {
	var l lineState
	l.word.hash = hashStart
	t := m.tables
	var last uint8 // the class of the code point before
	var letters, spaces int64
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		var c uint8
		if r < utf8.RuneSelf {
			c = t.class[r]
		} else {
			r, size = utf8.DecodeRuneInString(text[i:])
			c = t.of(r)
		}
		l.chars++
		switch {
		case c&wordy != 0:
			if !l.token.in || l.token.class == 0 || (c|l.token.class)&single != 0 && c&mark == 0 {
				m.endToken(s, &l, text[l.token.start:i])
				l.token = token{start: i, in: true}
			}
			l.token.chars++
			l.token.class |= c
			l.word.class |= c
			l.word.chars++
			l.word.plain++
			l.word.hash = (l.word.hash ^ uint64(t.lowerOf(r))) * hashPrime
			switch {
			case c&letter != 0:
				letters++
				if c&upper != 0 {
					l.uppers++
				}
				if r|0x20 == 'j' && !l.script {
					l.script = startsFold(text[i:], "javascript")
				}
			case c&number != 0:
				l.numbers++
			}
			if l.ending && l.wide && l.open {
				l.sentences++
			}
			l.open, l.ending = true, false
		case c&space != 0:
			spaces++
			m.endToken(s, &l, text[l.token.start:i])
			m.endWord(s, &l)
			if l.ending && l.open {
				l.sentences++
				l.open, l.ending = false, false
			}
			if r == ' ' && i+1 < len(text) {
				m.phrases(&l, text, i)
			}
		default:
			l.word.chars++
			switch r {
			case '{', '}':
				l.curly = l.curly || r == '{'
				m.sum.curly++
			case '[':
				l.bracket = true
			}
			switch {
			case joins(r, last) && l.token.in && m.follows(text[i+size:], last):
				l.token.chars++
			case l.token.in && l.token.class == 0 && l.token.first == r:
				l.token.chars++
				l.ending = l.ending || c&terminal != 0
			default:
				m.endToken(s, &l, text[l.token.start:i])
				l.token = token{start: i, in: true, chars: 1, first: r}
				if c&terminal != 0 {
					l.ending, l.wide = true, r >= 0x3000
				}
			}
		}
		last = c
		i += size
	}
	m.endToken(s, &l, text[l.token.start:])
	m.endWord(s, &l)
	if l.open {
		l.sentences++
	}
	s.Chars += l.chars
	s.Sentences += l.sentences
	m.sum.letters += letters
	m.sum.numbers += l.numbers
	m.sum.spaces += spaces
	m.sum.uppers += l.uppers
	m.endLine(s, &l, text, last, spaces == l.chars)
}

// joins reports whether a mark may lie within a token, after a code point of class
// last.
func joins(r rune, last uint8) bool {
	switch r {
	case '\'', '’':
		return last&letter != 0
	case '.', ',':
		return last&number != 0
	}
	return false
}

// follows reports whether a text begins with a letter after a letter, or a number
// after a number.
func (m *Meter) follows(text string, last uint8) bool {
	r, _ := utf8.DecodeRuneInString(text)
	return text != "" && m.tables.of(r)&last&(letter|number) != 0
}

func (m *Meter) endToken(s *Signals, l *lineState, text string) {
	t := &l.token
	if !t.in {
		return
	}
	t.in = false
	s.AllTokens++
	if len(m.ids) < MaxTokens {
		m.ids = append(m.ids, m.tokens.add(xxh3.HashString(text)))
		m.begin = append(m.begin, m.sum.begun)
		m.sum.begun += t.chars
	}
	if t.class != 0 {
		s.TextTokens++
		m.sum.textChars += int64(t.chars)
		if t.class&letter != 0 {
			m.sum.alpha++
		}
		return
	}
	if !isPlain(t.first) {
		s.TextTokens++
		m.sum.textChars += int64(t.chars)
	}
	switch t.first {
	case '#':
		m.sum.hashes += int64(t.chars)
	case '…':
		m.sum.ellipses += int64(t.chars)
	case '.':
		m.sum.ellipses += int64(t.chars / 3)
	}
}

func (m *Meter) endWord(s *Signals, l *lineState) {
	w := &l.word
	if w.chars == 0 {
		return
	}
	s.Words++
	l.words++
	l.longest = max(l.longest, w.chars)
	if w.class&letter == 0 {
		m.sum.noAlpha++
	}
	if w.class&upper != 0 && w.class&lower == 0 {
		m.sum.caps++
	}
	if w.plain > 0 {
		if s.PlainWords < MaxTokens {
			m.plain.add(w.hash)
		}
		s.PlainWords++
		m.sum.plainChars += w.plain
	}
	*w = word{hash: hashStart}
}

// phrases looks at the words on both sides of the space at i.
func (m *Meter) phrases(l *lineState, text string, i int) {
	before := func(w string) bool { return i >= len(w) && startsFold(text[i-len(w):], w) }
	after := text[i+1:]
	switch after[0] | 0x20 {
	case 'i':
		if before("lorem") && startsFold(after, "ipsum") {
			l.lorem = true
			m.sum.lorem++
		}
	case 'o':
		l.policy = l.policy || before("terms") && startsFold(after, "of use")
	case 'p':
		l.policy = l.policy || startsFold(after, "policy") && (before("privacy") || before("cookie"))
	case 'c':
		l.policy = l.policy || startsFold(after, "cookies") && (before("uses") || before("use") || before("use of"))
	}
}

// startsFold reports whether text begins with prefix, which is in lower case, whatever
// the case of its ASCII letters.
func startsFold(text, prefix string) bool {
	if len(text) < len(prefix) {
		return false
	}
	for i := range len(prefix) {
		c := text[i]
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != prefix[i] {
			return false
		}
	}
	return true
}

const (
	shortLine = 30   // FineWeb
	longLine  = 200  // mC4
	longWord  = 1000 // C4
	fewWords  = 3    // C4
)

// endLine counts a line with the class of its last code point.
func (m *Meter) endLine(s *Signals, l *lineState, text string, last uint8, blank bool) {
	n := &m.sum
	n.someLines++
	again := m.lines.counts[m.lines.add(xxh3.HashString(text))] > 1
	if again {
		n.dupLines++
		n.dupChars += l.chars
	}
	if l.chars >= longLine {
		s.LongLines++
	}
	if blank {
		return
	}
	s.Lines++
	if again {
		n.dupText += l.chars
	}
	trimmed := strings.TrimFunc(text, unicode.IsSpace)
	if trimmed[0] == '-' || strings.HasPrefix(trimmed, "•") {
		n.bullets++
	}
	if strings.HasSuffix(trimmed, "...") || strings.HasSuffix(trimmed, "…") {
		n.trailing++
	}
	if last&terminal != 0 {
		n.ended++
	}
	if l.chars <= shortLine {
		n.short++
	}
	n.lineDigits += float64(l.numbers) / float64(l.chars)
	n.lineUpper += float64(l.uppers) / float64(l.chars)
	m.c4(s, l, trimmed)
}

// c4 applies the rules of C4 to a line, in their order.
func (m *Meter) c4(s *Signals, l *lineState, trimmed string) {
	if l.longest > longWord {
		return
	}
	if l.bracket {
		trimmed = WithoutCitations(trimmed)
	}
	if trimmed == "" || strings.IndexByte(`.?!"'`, trimmed[len(trimmed)-1]) < 0 || strings.HasSuffix(trimmed, "...") || l.words < fewWords {
		return
	}
	if l.lorem {
		s.C4Lorem++
	}
	if l.script {
		s.ScriptLines++
		return
	}
	if l.curly {
		s.C4Curly++
	}
	if l.policy {
		s.PolicyLines++
		return
	}
	m.sum.c4Kept++
	s.C4Sentences += max(l.sentences, 1)
}

// WithoutCitations removes the citations that a line ends with, as C4 does before it
// looks at the line's last character.
func WithoutCitations(line string) string {
	for {
		if !strings.HasSuffix(line, "]") {
			return line
		}
		open := strings.LastIndexByte(line, '[')
		if open < 0 {
			return line
		}
		switch inside := line[open+1 : len(line)-1]; {
		case inside == "edit" || inside == "citation needed" || strings.Trim(inside, "0123456789") == "":
			line = line[:open]
		default:
			return line
		}
	}
}
