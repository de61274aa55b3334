package tokenize

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// scanner finds the matches of a split pattern. The patterns of published models
// are scanned by hand: one pass, no backtracking.
type scanner interface {
	// next returns the bounds of the first match at or after at, or -1, -1. A
	// match is never empty.
	next(text []byte, at int) (start, end int)
}

// The split patterns that are known, as they stand in tokenizer.json.
const (
	patternGPT2 = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	// GPT-4 (cl100k) and Llama 3, which differ in how they are written only.
	patternLlama3 = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternCL100k = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
	patternQwen2  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	patternBloom  = ` ?[^(\s|[.,!?…。，、।۔،])]+`
)

// patternSpaces is what SentencePiece's models fold.
const patternSpaces = ` {2,}`

// spacesScanner finds runs of two spaces or more.
type spacesScanner struct{}

func (spacesScanner) next(text []byte, at int) (int, int) {
	i := bytes.Index(text[at:], []byte("  "))
	if i < 0 {
		return -1, -1
	}
	end := at + i + 2
	for end < len(text) && text[end] == ' ' {
		end++
	}
	return at + i, end
}

func newScanner(pattern string) (scanner, error) {
	table := chars.Classes()
	switch pattern {
	case patternGPT2:
		return gpt2Scanner{table}, nil
	case patternLlama3, patternCL100k:
		return gpt4Scanner{table, 3}, nil
	case patternQwen2:
		return gpt4Scanner{table, 1}, nil
	case patternSpaces:
		return spacesScanner{}, nil
	case patternBloom:
		return runScanner{space: true, in: bloomWord(table)}, nil
	}
	s, err := compilePattern(pattern)
	if err != nil {
		return nil, fmt.Errorf("the pattern %q: %w", pattern, err)
	}
	return s, nil
}

// gpt2Scanner scans GPT-2's pattern.
type gpt2Scanner struct{ table *chars.Table }

const letterOrNumber = chars.Letter | chars.Number

// class returns the class of the character at i and its length.
func class(table *chars.Table, text []byte, i int) (chars.Class, int) {
	b := text[i]
	if b < utf8.RuneSelf {
		return asciiClass[b], 1
	}
	if b < 0xc2 || i+1 == len(text) || text[i+1]&0xc0 != 0x80 {
		return errorClass, 1
	}
	r, n := utf8.DecodeRune(text[i:])
	return table.Of(r), n
}

// errorClass is the class of what is no character, U+FFFD.
const errorClass = chars.Symbol

// asciiClass holds the classes that the scanners ask for.
var asciiClass = func() (to [utf8.RuneSelf]chars.Class) {
	for b := range to {
		switch {
		case 'a' <= b && b <= 'z', 'A' <= b && b <= 'Z':
			to[b] = chars.Letter
		case '0' <= b && b <= '9':
			to[b] = chars.Number
		case b == ' ', '\t' <= b && b <= '\r':
			to[b] = chars.Space
		}
	}
	return to
}()

func (s gpt2Scanner) next(text []byte, at int) (int, int) {
	if at >= len(text) {
		return -1, -1
	}
	i := at
	b := text[i]
	if b == '\'' {
		if n := contraction(text[i:], false); n > 0 {
			return at, at + n
		}
	}
	if b == ' ' && i+1 < len(text) {
		if c, _ := class(s.table, text, i+1); c&chars.Space == 0 {
			i++
		}
	}
	c, n := class(s.table, text, i)
	switch {
	case c&chars.Space != 0:
		return at, spaces(s.table, text, at)
	case c&letterOrNumber == 0:
		for i += n; i < len(text); i += n {
			if b := text[i]; b < utf8.RuneSelf {
				if n = 1; asciiClass[b] != 0 {
					break
				}
				continue
			}
			if c, n = class(s.table, text, i); c&(letterOrNumber|chars.Space) != 0 {
				break
			}
		}
	default:
		kind := c & letterOrNumber
		for i += n; i < len(text); i += n {
			if b := text[i]; b < utf8.RuneSelf {
				if n = 1; asciiClass[b]&kind == 0 {
					break
				}
				continue
			}
			if c, n = class(s.table, text, i); c&kind == 0 {
				break
			}
		}
	}
	return at, i
}

// spaces returns the end of a run of white space: what follows keeps one space
// for itself.
func spaces(table *chars.Table, text []byte, at int) int {
	i, last := at, at
	for i < len(text) {
		c, n := class(table, text, i)
		if c&chars.Space == 0 {
			break
		}
		last = i
		i += n
	}
	if i < len(text) && last > at {
		return last
	}
	return i
}

// contraction returns the length of 's, 't, 're, 've, 'm, 'll or 'd at the start
// of text, or 0. Fold ignores case.
func contraction(text []byte, fold bool) int {
	if len(text) < 2 {
		return 0
	}
	a, b := text[1], byte(0)
	if len(text) > 2 {
		b = text[2]
	}
	if fold {
		// U+017F, the long s, folds to s.
		if a == 0xc5 && b == 0xbf {
			return 3
		}
		a, b = a|0x20, b|0x20
		if text[1] < 'A' {
			a = 0
		}
		if len(text) > 2 && text[2] < 'A' {
			b = 0
		}
	}
	switch {
	case a == 's', a == 't', a == 'm', a == 'd':
		return 2
	case a == 'r' && b == 'e', a == 'v' && b == 'e', a == 'l' && b == 'l':
		return 3
	}
	return 0
}

// gpt4Scanner scans the pattern of GPT-4 and its kin.
type gpt4Scanner struct {
	table *chars.Table
	// digits is how many numbers may stand together.
	digits int
}

func (s gpt4Scanner) next(text []byte, at int) (int, int) {
	if at >= len(text) {
		return -1, -1
	}
	if text[at] == '\'' {
		if n := contraction(text[at:], true); n > 0 {
			return at, at + n
		}
	}
	c, n := class(s.table, text, at)
	// One character that is neither letter, number nor line end may lead letters.
	letters := -1
	if c&chars.Letter != 0 {
		letters = at + n
	} else if b := text[at]; c&chars.Number == 0 && b != '\r' && b != '\n' && at+n < len(text) {
		if c, m := class(s.table, text, at+n); c&chars.Letter != 0 {
			letters = at + n + m
		}
	}
	if i := letters; i >= 0 {
		for i < len(text) {
			if b := text[i]; b < utf8.RuneSelf {
				if asciiClass[b]&chars.Letter == 0 {
					break
				}
				i++
				continue
			}
			c, n := class(s.table, text, i)
			if c&chars.Letter == 0 {
				break
			}
			i += n
		}
		return at, i
	}
	if c&chars.Number != 0 {
		i := at + n
		for k := 1; k < s.digits && i < len(text); k++ {
			c, n := class(s.table, text, i)
			if c&chars.Number == 0 {
				break
			}
			i += n
		}
		return at, i
	}
	i := at
	if text[at] == ' ' && at+1 < len(text) {
		if c, _ := class(s.table, text, at+1); c&(letterOrNumber|chars.Space) == 0 {
			i++
		}
	}
	if c, n := class(s.table, text, i); c&chars.Space == 0 {
		for i += n; i < len(text); i += n {
			if c, n = class(s.table, text, i); c&(letterOrNumber|chars.Space) != 0 {
				break
			}
		}
		for i < len(text) && (text[i] == '\r' || text[i] == '\n') {
			i++
		}
		return at, i
	}
	return at, s.spaces(text, at)
}

// spaces ends a run of white space after its last line end; else like GPT-2.
func (s gpt4Scanner) spaces(text []byte, at int) int {
	i, line := at, -1
	for i < len(text) {
		c, n := class(s.table, text, i)
		if c&chars.Space == 0 {
			break
		}
		if text[i] == '\r' || text[i] == '\n' {
			line = i + 1
		}
		i += n
	}
	if line >= 0 {
		return line
	}
	return spaces(s.table, text, at)
}

// runScanner finds runs of characters of one kind, with a space before if space
// is set.
type runScanner struct {
	space bool
	in    func(rune) bool
}

func (s runScanner) next(text []byte, at int) (int, int) {
	for at < len(text) {
		start := at
		if s.space && text[at] == ' ' {
			at++
		}
		i := at
		for i < len(text) {
			r, n := utf8.DecodeRune(text[i:])
			if !s.in(r) {
				break
			}
			i += n
		}
		if i > at {
			return start, i
		}
		if at == start {
			_, n := utf8.DecodeRune(text[at:])
			at += n
		}
	}
	return -1, -1
}

// bloomWord is the character class of BLOOM's pattern.
func bloomWord(table *chars.Table) func(rune) bool {
	return func(r rune) bool {
		switch r {
		case '(', '|', '.', ',', '!', '?', '…', '。', '，', '、', '।', '۔', '،', ')':
			return false
		}
		return table.Of(r)&chars.Space == 0
	}
}
