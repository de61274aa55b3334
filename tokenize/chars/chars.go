// Package chars answers what a character is and what it becomes, as the
// tokenizers of published models see it. The tables are fixed: they follow the
// reference implementation that the vocabularies were made with, not the Unicode
// version of the toolchain, so that ids do not change when Go is upgraded.
package chars

import "sync"

// Class is a set of properties of a character.
type Class uint16

// The properties. Control, Nonspacing, Space and Punctuation are those of BERT's
// normalizer and pre-tokenizer; the others are what the classes of a split
// pattern match.
const (
	// Control is a character that BERT's cleaning drops: the categories Cc, Cf
	// and Co but tab, line feed and carriage return, and U+FFFD.
	Control Class = 1 << iota
	// Nonspacing is category Mn: an accent that BERT strips. Combining is what
	// the accent-stripping of other models takes, category M.
	Nonspacing
	Combining
	// Space is the White_Space property.
	Space
	// Punctuation is an ASCII symbol or category P.
	Punctuation
	// Letter, Number, Mark, Punct and Symbol are the categories L, N, M, P and S.
	Letter
	Number
	Mark
	Punct
	Symbol
	// Upper is the categories Lu and Lt; LowerCase is Ll.
	Upper
	LowerCase
	// Word is what \w matches in split patterns. RegexpWord and Numeric are the
	// word characters and numbers of the pre-tokenizers Whitespace and Digits,
	// which differ from those in a few characters.
	Word
	RegexpWord
	Numeric
	// Ideograph is a character that BERT sets apart by spaces.
	Ideograph
)

// maxPages is the number of pages of 256 characters.
const maxPages = 0x110000 >> 8

// Table holds the properties of every character.
type Table struct {
	index [maxPages]uint16
	pages [][256]Class
}

// Of returns the properties of r, none for what is no character.
func (t *Table) Of(r rune) Class {
	if uint32(r) >= maxPages<<8 {
		return 0
	}
	return t.pages[t.index[uint32(r)>>8]][uint8(r)]
}

// Classes returns the table, which is built at the first call.
var Classes = sync.OnceValue(func() *Table {
	t := &Table{pages: make([][256]Class, 1, 256)}
	// A page that one range covers whole, as most of the private use planes are,
	// is shared by all that look the same.
	whole := map[[2]uint16]uint16{}
	for _, set := range []struct {
		class  Class
		ranges [][2]rune
	}{
		{Control, controlRanges}, {Nonspacing, nonspacingRanges}, {Combining, combiningRanges}, {Space, spaceRanges},
		{Punctuation, punctuationRanges}, {Letter, letterRanges}, {Number, numberRanges},
		{Mark, markRanges}, {Punct, patternPunctRanges}, {Symbol, symbolRanges},
		{Upper, upperRanges}, {LowerCase, lowerLetterRanges},
		{Word, wordCharRanges}, {RegexpWord, regexpWordRanges}, {Numeric, numericRanges},
		{Ideograph, ideographRanges},
	} {
		shared := map[uint16]bool{}
		for _, i := range whole {
			shared[i] = true
		}
		for _, r := range set.ranges {
			for c := r[0]; c <= r[1]; {
				p := c >> 8
				if c&0xff == 0 && c+0xff <= r[1] {
					key := [2]uint16{t.index[p], uint16(set.class)}
					to, ok := whole[key]
					if !ok {
						to = uint16(len(t.pages))
						page := t.pages[t.index[p]]
						for i := range page {
							page[i] |= set.class
						}
						t.pages = append(t.pages, page)
						whole[key] = to
					}
					t.index[p] = to
					c += 0x100
					continue
				}
				if i := t.index[p]; i == 0 || shared[i] {
					t.pages = append(t.pages, t.pages[i])
					t.index[p] = uint16(len(t.pages) - 1)
				}
				t.pages[t.index[p]][uint8(c)] |= set.class
				c++
			}
		}
	}
	return t
})

// ideographRanges is the list of the reference implementation, whose block
// Extension E starts later than the Unicode block does.
var ideographRanges = [][2]rune{
	{0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xf900, 0xfaff}, {0x20000, 0x2a6df},
	{0x2a700, 0x2b73f}, {0x2b740, 0x2b81f}, {0x2b920, 0x2ceaf}, {0x2f800, 0x2fa1f},
}

// lowerRun maps the characters first, first+stride, ... last to themselves plus
// delta.
type lowerRun struct{ first, last, stride, delta rune }

// Lower returns the lower case of r. Only U+0130 becomes more than one
// character; Lower returns the first of them and the rest as a string.
func Lower(r rune) (rune, string) {
	if r < 0x80 {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r, ""
	}
	lo, hi := 0, len(lowerRuns)
	for lo < hi {
		m := int(uint(lo+hi) >> 1)
		switch run := lowerRuns[m]; {
		case r < run.first:
			hi = m
		case r > run.last:
			lo = m + 1
		default:
			if (r-run.first)%run.stride == 0 {
				return r + run.delta, ""
			}
			return r, ""
		}
	}
	if long, ok := lowerLong[r]; ok {
		first := []rune(long)[0]
		return first, long[len(string(first)):]
	}
	return r, ""
}
