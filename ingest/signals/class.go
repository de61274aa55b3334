package signals

import (
	"strings"
	"sync"
	"unicode"
)

// Classes of code points.
const (
	letter   = 1 << iota // Unicode category L
	number               // N
	mark                 // M, and format characters: they join what is around them
	space                // White_Space
	upper                // Lu
	single               // a token by itself: ideographs and hiragana
	terminal             // Sentence_Terminal, and the full stops of Khmer
	lower                // Ll
)

// wordy are the classes that tokens of text are made of.
const wordy = letter | number | mark

// classify returns the class of a code point from the tables of Unicode. What is in
// no class is punctuation or a symbol.
func classify(r rune) (c uint8) {
	switch {
	case unicode.IsLetter(r):
		c = letter
		if unicode.IsUpper(r) {
			c |= upper
		}
		if unicode.Is(unicode.Ll, r) {
			c |= lower
		}
		if unicode.In(r, unicode.Han, unicode.Hiragana) {
			c |= single
		}
	case unicode.IsNumber(r):
		c = number
	case unicode.IsSpace(r):
		c = space
	case unicode.Is(unicode.M, r) || unicode.Is(unicode.Cf, r):
		c = mark
	case unicode.Is(unicode.STerm, r) || r >= 0x17d4 && r <= 0x17da && r != 0x17d7 && r != 0x17d8:
		c = terminal
	}
	return c
}

// plainMarks are the marks beside ASCII's and those of terminal that do not make a word
// by themselves, as datatrove lists them for Gopher's rules: what is not among them,
// such as "•" and "€", counts as a word.
const plainMarks = "«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．：；？～"

// isPlain reports whether a mark or symbol makes no word by itself.
func isPlain(r rune) bool {
	return r < unicode.MaxASCII || unicode.IsControl(r) || classify(r)&terminal != 0 || strings.ContainsRune(plainMarks, r)
}

// tables hold the class and the lower case of the code points of the basic plane.
type tables struct {
	class [1 << 16]uint8
	lower [1 << 16]uint16
}

// basicPlane is made once: looking a code point up in the tables of Unicode takes
// longer than all else that is done with it.
var basicPlane = sync.OnceValue(func() *tables {
	t := new(tables)
	for r := range rune(1 << 16) {
		t.class[r] = classify(r)
		t.lower[r] = uint16(r)
		if l := unicode.ToLower(r); l < 1<<16 {
			t.lower[r] = uint16(l)
		}
	}
	return t
})

func (t *tables) of(r rune) uint8 {
	if r < 1<<16 {
		return t.class[r]
	}
	return classify(r)
}

func (t *tables) lowerOf(r rune) rune {
	if r < 1<<16 {
		return rune(t.lower[r])
	}
	return unicode.ToLower(r)
}
