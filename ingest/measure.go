package ingest

import (
	"unicode"
	"unicode/utf8"
)

// measure returns the first signals of a text: its code points, its runs of
// non-space and its lines that are not blank.
func measure(text string) (chars, words, lines int64) {
	inWord, inLine := false, false
	for i := 0; i < len(text); {
		c := text[i]
		size := 1
		space := c == ' ' || c >= '\t' && c <= '\r'
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(text[i:])
			space = unicode.IsSpace(r)
		}
		i += size
		chars++
		switch {
		case c == '\n':
			inWord, inLine = false, false
		case space:
			inWord = false
		default:
			if !inWord {
				words++
				inWord = true
			}
			if !inLine {
				lines++
				inLine = true
			}
		}
	}
	return chars, words, lines
}
