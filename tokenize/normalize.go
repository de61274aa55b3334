package tokenize

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// plain is a component that has no settings.
type plain struct {
	Type string `json:"type"`
}

func (n *bertNormalizer) normalize(p *part) error {
	table := chars.Classes()
	if n.CleanText {
		p.keep(func(r rune) bool { return table.Of(r)&chars.Control == 0 })
		p.each(func(dst []rune, r rune) []rune {
			if table.Of(r)&chars.Space != 0 {
				r = ' '
			}
			return append(dst, r)
		})
	}
	if n.HandleChineseChars {
		p.each(func(dst []rune, r rune) []rune {
			if table.Of(r)&chars.Ideograph != 0 {
				return append(dst, ' ', r, ' ')
			}
			return append(dst, r)
		})
	}
	if n.strips() {
		p.decompose(false)
		p.keep(func(r rune) bool { return table.Of(r)&chars.Nonspacing == 0 })
	}
	if n.Lowercase {
		lowercase(p)
	}
	return nil
}

func lowercase(p *part) {
	p.each(func(dst []rune, r rune) []rune {
		low, rest := chars.Lower(r)
		return append(append(dst, low), []rune(rest)...)
	})
}

// unicodeForm is NFD, NFKD, NFC or NFKC.
type unicodeForm plain

func (n *unicodeForm) normalize(p *part) error {
	if isASCII(p.text) {
		return nil
	}
	compatible := n.Type == "NFKD" || n.Type == "NFKC"
	if n.Type == "NFC" || n.Type == "NFKC" {
		p.compose(compatible)
	} else {
		p.decompose(compatible)
	}
	return nil
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// decomposed lists the characters of text decomposed and in canonical order.
func decomposed(text []byte, compatible bool) []edit {
	edits := make([]edit, 0, len(text))
	var room []byte
	var classes []uint8
	for _, r := range string(text) {
		room = chars.AppendDecomposed(room[:0], r, compatible)
		first := true
		for _, c := range string(room) {
			by := 1
			if first {
				by, first = 0, false
			}
			edits = append(edits, edit{c, by})
			classes = append(classes, chars.CombiningClass(c))
		}
	}
	// Runs of characters with a class are put in order, each with its own edit.
	for i := 0; i < len(edits); i++ {
		if classes[i] == 0 {
			continue
		}
		j := i
		for j < len(edits) && classes[j] != 0 {
			j++
		}
		run, order := edits[i:j], classes[i:j]
		index := make([]int, len(run))
		for k := range index {
			index[k] = k
		}
		slices.SortStableFunc(index, func(a, b int) int { return int(order[a]) - int(order[b]) })
		sorted, by := make([]edit, len(run)), make([]uint8, len(run))
		for k, from := range index {
			sorted[k], by[k] = run[from], order[from]
		}
		copy(run, sorted)
		copy(order, by)
		i = j
	}
	return edits
}

func (p *part) decompose(compatible bool) {
	if !isASCII(p.text) {
		p.apply(decomposed(p.text, compatible), 0)
	}
}

// compose brings the part to composed form (Unicode Standard Annex 15): after
// decomposition, a character joins the last one with class 0 when a composite
// exists and nothing between them blocks it.
func (p *part) compose(compatible bool) {
	edits := decomposed(p.text, compatible)
	out := edits[:0]
	starter, last := -1, uint8(0)
	for _, e := range edits {
		class := chars.CombiningClass(e.r)
		if starter >= 0 {
			adjacent := starter == len(out)-1
			if adjacent || last < class && last != 0 {
				if c, ok := chars.Compose(out[starter].r, e.r); ok {
					out[starter].r = c
					out[starter].by += e.by - 1
					continue
				}
			}
		}
		if class == 0 {
			starter = len(out)
		}
		last = class
		out = append(out, e)
	}
	p.apply(out, 0)
}

// lowercaser is the normalizer Lowercase.
type lowercaser plain

func (*lowercaser) normalize(p *part) error { lowercase(p); return nil }

// accentStripper drops combining marks.
type accentStripper plain

func (*accentStripper) normalize(p *part) error {
	table := chars.Classes()
	p.keep(func(r rune) bool { return table.Of(r)&chars.Combining == 0 })
	return nil
}

// nmt drops and replaces what machine translation corpora carry.
type nmt plain

func (*nmt) normalize(p *part) error {
	p.keep(func(r rune) bool {
		return !(1 <= r && r <= 8 || r == 0xb || 0xe <= r && r <= 0x1f || r == 0x7f || r == 0x8f || r == 0x9f)
	})
	p.each(func(dst []rune, r rune) []rune {
		switch {
		case r == '\t', r == '\n', r == '\f', r == '\r', r == 0x1680, 0x200b <= r && r <= 0x200f,
			r == 0x2028, r == 0x2029, r == 0x2581, r == 0xfeff, r == 0xfffd:
			r = ' '
		}
		return append(dst, r)
	})
	return nil
}

// stripper is the normalizer Strip.
type stripper struct {
	Type  string `json:"type"`
	Left  bool   `json:"strip_left"`
	Right bool   `json:"strip_right"`
}

func (n *stripper) normalize(p *part) error { p.strip(n.Left, n.Right); return nil }

// prepender is the normalizer Prepend.
type prepender struct {
	Type    string `json:"type"`
	Prepend string `json:"prepend"`
}

func (n *prepender) normalize(p *part) error { p.prepend(n.Prepend); return nil }

// byteNormalizer writes each byte as its printable character.
type byteNormalizer plain

func (*byteNormalizer) normalize(p *part) error { p.toByteChars(); return nil }

// replacer is the normalizer and decoder Replace.
type replacer struct {
	Type    string  `json:"type"`
	Pattern pattern `json:"pattern"`
	Content string  `json:"content"`
}

func (n *replacer) normalize(p *part) error {
	p.replace(n.Pattern.find(nil, p.text), n.Content)
	return nil
}

// normalizerChain is the normalizer Sequence.
type normalizerChain struct {
	Type  string       `json:"type"`
	Steps []normalizer `json:"normalizers"`
}

func (n *normalizerChain) normalize(p *part) error {
	for _, step := range n.Steps {
		if err := step.normalize(p); err != nil {
			return err
		}
	}
	return nil
}

func readNormalizer(raw json.RawMessage, depth int) (normalizer, error) {
	const kind = "normalizer"
	name, err := componentType(kind, raw)
	if err != nil || isNull(raw) {
		return nil, err
	}
	switch name {
	case "BertNormalizer":
		return component(kind, raw, &bertNormalizer{CleanText: true, HandleChineseChars: true, Lowercase: true})
	case "NFD", "NFKD", "NFC", "NFKC":
		return component(kind, raw, new(unicodeForm))
	case "Lowercase":
		return component(kind, raw, new(lowercaser))
	case "StripAccents":
		return component(kind, raw, new(accentStripper))
	case "Nmt":
		return component(kind, raw, new(nmt))
	case "Strip":
		return component(kind, raw, &stripper{Left: true, Right: true})
	case "Prepend":
		return component(kind, raw, new(prepender))
	case "ByteLevel":
		return component(kind, raw, new(byteNormalizer))
	case "Replace":
		return component(kind, raw, new(replacer))
	case "Precompiled":
		return component(kind, raw, new(precompiled))
	case "Sequence":
		steps, err := readChain(kind, raw, "normalizers", depth, readNormalizer)
		return &normalizerChain{name, steps}, err
	}
	return nil, &UnknownComponentError{kind, name}
}

// readChain reads the steps of a Sequence.
func readChain[T any](kind string, raw json.RawMessage, field string, depth int, read func(json.RawMessage, int) (T, error)) ([]T, error) {
	if depth >= maxNesting {
		return nil, fmt.Errorf("%s: sequences are nested more than %d deep", kind, maxNesting)
	}
	var form map[string]json.RawMessage
	if err := json.Unmarshal(raw, &form); err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	if isNull(form[field]) {
		return nil, fmt.Errorf("%s: a Sequence has no %s", kind, field)
	}
	list, err := decodeList[json.RawMessage](form[field], maxSteps, "steps of a Sequence")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", kind, err)
	}
	steps := make([]T, 0, len(list))
	for _, one := range list {
		if isNull(one) {
			return nil, fmt.Errorf("%s: a step of a Sequence is null", kind)
		}
		step, err := read(one, depth+1)
		if err != nil {
			return nil, err
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// pattern is what Split and Replace look for: a string or a regular expression.
type pattern struct {
	text   string
	regexp string
	scan   scanner
}

// find cuts text at the matches.
func (p *pattern) find(dst []match, text []byte) []match {
	last := 0
	add := func(start, end int) {
		if last < start {
			dst = append(dst, match{last, start, false})
		}
		dst = append(dst, match{start, end, true})
		last = end
	}
	if p.scan != nil {
		for at := 0; at < len(text); {
			start, end := p.scan.next(text, at)
			if start < 0 {
				break
			}
			add(start, end)
			at = end
		}
	} else if p.text != "" {
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(p.text))
			if i < 0 {
				break
			}
			add(at+i, at+i+len(p.text))
			at += i + len(p.text)
		}
	}
	if last < len(text) {
		dst = append(dst, match{last, len(text), false})
	}
	return dst
}

// UnmarshalJSON reads {"String": ...} or {"Regex": ...}.
func (p *pattern) UnmarshalJSON(data []byte) error {
	var form struct{ String, Regex *string }
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	switch {
	case form.Regex != nil:
		p.regexp = *form.Regex
		var err error
		p.scan, err = newScanner(*form.Regex)
		return err
	case form.String != nil:
		p.text = *form.String
		return nil
	}
	return errors.New("a pattern is neither a String nor a Regex")
}

// MarshalJSON writes what UnmarshalJSON reads.
func (p pattern) MarshalJSON() ([]byte, error) {
	if p.regexp != "" {
		return marshalCompact(map[string]string{"Regex": p.regexp})
	}
	return marshalCompact(map[string]string{"String": p.text})
}

func marshalCompact(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSpace(out.Bytes()), err
}
