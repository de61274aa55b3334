package signals

import "unicode/utf8"

// Tokens returns the tokens of a text, as they are counted (see Signals). It is the
// plain statement of what a Meter does as it goes.
func Tokens(text string) []string {
	t := basicPlane()
	var tokens []string
	start := -1
	var class, last uint8
	var first rune
	end := func(at int) {
		if start >= 0 {
			tokens = append(tokens, text[start:at])
		}
		start = -1
	}
	for i, r := range text {
		c := t.of(r)
		next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
		within := start >= 0 && joins(r, last) && t.of(next)&last&(letter|number) != 0
		switch {
		case c&space != 0:
			end(i)
		case c&mark != 0 && start >= 0 && class != 0, within:
			class |= c
		case c&wordy != 0:
			if start < 0 || class == 0 || (c|class)&single != 0 {
				end(i)
				start, class = i, 0
			}
			class |= c
		case start >= 0 && class == 0 && first == r:
		default:
			end(i)
			start, class, first = i, 0, r
		}
		last = c
	}
	end(len(text))
	return tokens
}
