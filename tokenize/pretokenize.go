package tokenize

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// splitEach replaces every part that is no added token by what f appends for it.
func splitEach(parts []part, f func(dst []part, p *part) []part) []part {
	out := make([]part, 0, len(parts)+8)
	for i := range parts {
		if parts[i].id >= 0 {
			out = append(out, parts[i])
			continue
		}
		out = f(out, &parts[i])
	}
	return out
}

// splitRunes splits at the characters for which f is true.
func splitRunes(parts []part, b behavior, f func(rune) bool) []part {
	var matches []match
	return splitEach(parts, func(dst []part, p *part) []part {
		matches = matchRunes(matches[:0], p.text, f)
		return b.split(dst, p, matches)
	})
}

func isClass(class chars.Class) func(rune) bool {
	table := chars.Classes()
	return func(r rune) bool { return table.Of(r)&class != 0 }
}

func (*bertPreTokenizer) split(parts []part) []part {
	parts = splitRunes(parts, removed, isClass(chars.Space))
	return splitRunes(parts, isolated, isClass(chars.Punctuation))
}

// byteLevel splits by GPT-2's pattern and writes bytes as printable characters.
// It is a decoder and a post-processor too.
type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"`
	UseRegex       bool   `json:"use_regex"`
}

func (b *byteLevel) split(parts []part) []part {
	var matches []match
	pattern := pattern{scan: gpt2Scanner{chars.Classes()}}
	return splitEach(parts, func(dst []part, p *part) []part {
		if b.AddPrefixSpace && len(p.text) > 0 && p.text[0] != ' ' {
			p.prepend(" ")
		}
		first := len(dst)
		if b.UseRegex {
			matches = pattern.find(matches[:0], p.text)
			dst = isolated.split(dst, p, matches)
		} else if len(p.text) > 0 {
			dst = append(dst, *p)
		}
		for i := first; i < len(dst); i++ {
			dst[i].toByteChars()
		}
		return dst
	})
}

// toByteChars writes each byte as its printable character.
func (p *part) toByteChars() {
	text := make([]byte, 0, len(p.text)+len(p.text)/2)
	var from, to []int32
	for i, b := range p.text {
		before := len(text)
		text = utf8.AppendRune(text, byteChars[b])
		for range len(text) - before {
			if p.from != nil {
				from, to = append(from, p.from[i]), append(to, p.to[i])
			}
		}
	}
	p.text, p.from, p.to = text, from, to
}

// byteChars holds the printable character of each byte: itself when it is one in
// Latin-1, else one from U+0100 on.
var byteChars = func() (to [256]rune) {
	n := rune(0)
	for b := range to {
		if '!' <= b && b <= '~' || 0xa1 <= b && b <= 0xac || 0xae <= b {
			to[b] = rune(b)
		} else {
			to[b] = 0x100 + n
			n++
		}
	}
	return to
}()

// charByte returns the byte that a printable character stands for.
func charByte(r rune) (byte, bool) {
	switch {
	case r < 0x100:
		b := byte(r)
		return b, byteChars[b] == r
	case r >= 0x100+256:
		return 0, false
	}
	for b, c := range byteChars {
		if c == r {
			return byte(b), true
		}
	}
	return 0, false
}

// metaspace writes spaces as a visible character and splits before it. It is a
// decoder too.
type metaspace struct {
	Type        string `json:"type"`
	Replacement string `json:"replacement"`
	Prepend     string `json:"prepend_scheme"`
	Split       bool   `json:"split"`
}

// UnmarshalJSON also reads the older field add_prefix_space.
func (m *metaspace) UnmarshalJSON(data []byte) error {
	form := struct {
		Type        string  `json:"type"`
		Replacement string  `json:"replacement"`
		Prepend     *string `json:"prepend_scheme"`
		AddPrefix   *bool   `json:"add_prefix_space"`
		Split       *bool   `json:"split"`
	}{}
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	*m = metaspace{form.Type, form.Replacement, "always", true}
	if form.Prepend != nil {
		m.Prepend = *form.Prepend
	}
	if form.AddPrefix != nil && !*form.AddPrefix {
		if form.Prepend != nil && *form.Prepend != "never" {
			return fmt.Errorf("add_prefix_space is false and prepend_scheme is %q", *form.Prepend)
		}
		m.Prepend = "never"
	}
	if form.Split != nil {
		m.Split = *form.Split
	}
	if utf8.RuneCountInString(m.Replacement) != 1 {
		return fmt.Errorf("the replacement %q is not one character", m.Replacement)
	}
	switch m.Prepend {
	case "always", "first", "never":
		return nil
	}
	return fmt.Errorf("prepend_scheme %q is not known", m.Prepend)
}

func (m *metaspace) split(parts []part) []part {
	mark, _ := utf8.DecodeRuneInString(m.Replacement)
	var matches []match
	return splitEach(parts, func(dst []part, p *part) []part {
		matches = matchRunes(matches[:0], p.text, func(r rune) bool { return r == ' ' })
		p.replace(matches, m.Replacement)
		begins := len(p.text) >= len(m.Replacement) && string(p.text[:len(m.Replacement)]) == m.Replacement
		if !begins && (m.Prepend == "always" || m.Prepend == "first" && p.start == 0) {
			p.prepend(m.Replacement)
		}
		if !m.Split {
			if len(p.text) > 0 {
				dst = append(dst, *p)
			}
			return dst
		}
		matches = matchRunes(matches[:0], p.text, func(r rune) bool { return r == mark })
		return mergedWithNext.split(dst, p, matches)
	})
}

// splitter is the pre-tokenizer Split.
type splitter struct {
	Type     string   `json:"type"`
	Pattern  pattern  `json:"pattern"`
	Behavior behavior `json:"behavior"`
	Invert   bool     `json:"invert"`
}

func (s *splitter) split(parts []part) []part {
	var matches []match
	return splitEach(parts, func(dst []part, p *part) []part {
		matches = s.Pattern.find(matches[:0], p.text)
		if s.Invert {
			for i := range matches {
				matches[i].is = !matches[i].is
			}
		}
		return s.Behavior.split(dst, p, matches)
	})
}

// digits sets numbers apart.
type digits struct {
	Type       string `json:"type"`
	Individual bool   `json:"individual_digits"`
}

func (d *digits) split(parts []part) []part {
	b := contiguous
	if d.Individual {
		b = isolated
	}
	return splitRunes(parts, b, isClass(chars.Numeric))
}

// punctuation splits at punctuation.
type punctuation struct {
	Type     string   `json:"type"`
	Behavior behavior `json:"behavior"`
}

func (s *punctuation) split(parts []part) []part {
	return splitRunes(parts, s.Behavior, isClass(chars.Punctuation))
}

// whitespaceSplit splits at white space.
type whitespaceSplit plain

func (*whitespaceSplit) split(parts []part) []part {
	return splitRunes(parts, removed, isClass(chars.Space))
}

// whitespace keeps runs of word characters and runs of what is neither word nor
// space.
type whitespace plain

func (*whitespace) split(parts []part) []part {
	table := chars.Classes()
	kind := func(r rune) int {
		switch c := table.Of(r); {
		case c&chars.RegexpWord != 0:
			return 1
		case c&chars.Space != 0:
			return 0
		}
		return 2
	}
	return splitEach(parts, func(dst []part, p *part) []part {
		start, have := 0, 0
		for i := 0; i <= len(p.text); {
			k, n := 0, 1
			if i < len(p.text) {
				var r rune
				r, n = utf8.DecodeRune(p.text[i:])
				k = kind(r)
			}
			if k != have || i == len(p.text) {
				if have != 0 {
					dst = append(dst, p.slice(start, i))
				}
				start, have = i, k
			}
			i += n
		}
		return dst
	})
}

// delimiterSplit splits at one character.
type delimiterSplit struct {
	Type      string `json:"type"`
	Delimiter string `json:"delimiter"`
}

func (s *delimiterSplit) split(parts []part) []part {
	mark, _ := utf8.DecodeRuneInString(s.Delimiter)
	return splitRunes(parts, removed, func(r rune) bool { return r == mark })
}

// fixedLength cuts every so many characters.
type fixedLength struct {
	Type   string `json:"type"`
	Length int    `json:"length"`
}

func (s *fixedLength) split(parts []part) []part {
	return splitEach(parts, func(dst []part, p *part) []part {
		start, n := 0, 0
		for i := 0; i < len(p.text); {
			_, size := utf8.DecodeRune(p.text[i:])
			i += size
			if n++; n == s.Length || i == len(p.text) {
				dst = append(dst, p.slice(start, i))
				start, n = i, 0
			}
		}
		return dst
	})
}

// preTokenizerChain is the pre-tokenizer Sequence.
type preTokenizerChain struct {
	Type  string         `json:"type"`
	Steps []preTokenizer `json:"pretokenizers"`
}

func (c *preTokenizerChain) split(parts []part) []part {
	for _, step := range c.Steps {
		parts = step.split(parts)
	}
	return parts
}

func readPreTokenizer(raw json.RawMessage, depth int) (preTokenizer, error) {
	const kind = "pre_tokenizer"
	name, err := componentType(kind, raw)
	if err != nil || isNull(raw) {
		return nil, err
	}
	switch name {
	case "BertPreTokenizer":
		return component(kind, raw, new(bertPreTokenizer))
	case "ByteLevel":
		return component(kind, raw, &byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true})
	case "Metaspace":
		return component(kind, raw, new(metaspace))
	case "Split":
		s, err := component(kind, raw, new(splitter))
		if err == nil && !s.Behavior.valid() {
			err = fmt.Errorf("%s: behavior %q is not known", kind, s.Behavior)
		}
		return s, err
	case "Digits":
		return component(kind, raw, new(digits))
	case "Punctuation":
		s, err := component(kind, raw, &punctuation{Behavior: isolated})
		if err == nil && !s.Behavior.valid() {
			err = fmt.Errorf("%s: behavior %q is not known", kind, s.Behavior)
		}
		return s, err
	case "WhitespaceSplit":
		return component(kind, raw, new(whitespaceSplit))
	case "Whitespace":
		return component(kind, raw, new(whitespace))
	case "CharDelimiterSplit", "Delimiter":
		return component(kind, raw, new(delimiterSplit))
	case "FixedLength":
		s, err := component(kind, raw, &fixedLength{Length: 5})
		if err == nil && s.Length <= 0 {
			err = fmt.Errorf("%s: a length of %d characters", kind, s.Length)
		}
		return s, err
	case "Sequence":
		steps, err := readChain(kind, raw, "pretokenizers", depth, readPreTokenizer)
		return &preTokenizerChain{name, steps}, err
	}
	return nil, &UnknownComponentError{kind, name}
}
