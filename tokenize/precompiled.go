package tokenize

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// precompiled is SentencePiece's character map: a double array (in the layout of
// Darts-clone) from strings to their normalized form.
type precompiled struct {
	units []uint32
	forms []byte
	blob  []byte
	// plain tells the ASCII characters that are never changed.
	plain [utf8.RuneSelf]bool
	// ascii and invalid are what ASCII characters and U+FFFD become when they stand
	// alone.
	ascii   [utf8.RuneSelf][]byte
	invalid []byte
}

type precompiledForm struct {
	Type string `json:"type"`
	Map  []byte `json:"precompiled_charsmap"`
}

// UnmarshalJSON reads the map in Base64.
func (n *precompiled) UnmarshalJSON(data []byte) error {
	var form struct {
		Map *string `json:"precompiled_charsmap"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	if form.Map == nil {
		return errors.New("it has no precompiled_charsmap")
	}
	blob, err := base64.StdEncoding.DecodeString(*form.Map)
	if err != nil {
		return fmt.Errorf("the precompiled_charsmap: %w", err)
	}
	return n.load(blob)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (n *precompiled) MarshalJSON() ([]byte, error) {
	return marshalCompact(precompiledForm{"Precompiled", n.blob})
}

// load reads the length of the array in bytes, the array, and the forms, each
// ended by a zero byte.
func (n *precompiled) load(blob []byte) error {
	if len(blob) < 4 {
		return fmt.Errorf("the character map has %d bytes", len(blob))
	}
	size := binary.LittleEndian.Uint32(blob)
	if size%4 != 0 || size == 0 || uint64(size) > uint64(len(blob)-4) {
		return fmt.Errorf("the character map's array has %d bytes of %d", size, len(blob)-4)
	}
	n.blob, n.forms = blob, blob[4+size:]
	n.units = make([]uint32, size/4)
	for i := range n.units {
		n.units[i] = binary.LittleEndian.Uint32(blob[4+4*i:])
	}
	if !utf8.Valid(n.forms) {
		return errors.New("the character map's forms are not valid UTF-8")
	}
	for c := range n.plain {
		_, begins := n.unit(n.offset(0), byte(c))
		n.plain[c] = !begins
	}
	alone := func(c string) []byte {
		if form, ok := n.form([]byte(c)); ok {
			return form
		}
		return []byte(c)
	}
	for c := range n.ascii {
		n.ascii[c] = alone(string(rune(c)))
	}
	n.invalid = alone(replacement)
	return nil
}

func (n *precompiled) offset(pos uint32) uint32 {
	u := n.units[pos]
	return pos ^ u>>10<<(u&(1<<9)>>6)
}

// unit returns the unit of c under the offset pos.
func (n *precompiled) unit(pos uint32, c byte) (uint32, bool) {
	pos ^= uint32(c)
	if c == 0 || pos >= uint32(len(n.units)) || n.units[pos]&(1<<31|0xff) != uint32(c) {
		return 0, false
	}
	return pos, true
}

// form returns what the shortest prefix of s in the map becomes. The reference
// takes the shortest, and puts its form in the place of all of s.
func (n *precompiled) form(s []byte) ([]byte, bool) {
	pos := n.offset(0)
	for _, c := range s {
		at, ok := n.unit(pos, c)
		if !ok {
			return nil, false
		}
		pos = n.offset(at)
		if n.units[at]>>8&1 == 1 {
			if pos >= uint32(len(n.units)) {
				return nil, false
			}
			start := n.units[pos] &^ (1 << 31)
			if uint64(start) > uint64(len(n.forms)) {
				return nil, false
			}
			end := start
			for int(end) < len(n.forms) && n.forms[end] != 0 {
				end++
			}
			return n.forms[start:end], true
		}
	}
	return nil, false
}

// longestLooked is the length in bytes from which a grapheme cluster is not looked
// up whole.
const longestLooked = 6

func (n *precompiled) normalize(p *part) error {
	text := p.text
	if n.unchanged(text) {
		return nil
	}
	if p.from == nil {
		p.text, p.spare = n.appendForms(p.spare[:0], text), text
		return nil
	}
	edits := make([]edit, 0, len(text))
	changed, skip := false, 0
	put := func(old, form []byte) {
		changed = true
		first := len(edits)
		for _, r := range string(form) {
			edits = append(edits, edit{r, 0})
		}
		diff := utf8.RuneCount(form) - utf8.RuneCount(old)
		for k := len(edits) - 1; diff > 0 && k >= first; k-- {
			edits[k].by = 1
			diff--
		}
		switch {
		case diff >= 0:
		case len(edits) > 0:
			edits[len(edits)-1].by += diff
		case p.inside:
			// At the beginning of a text the reference forgets what it drops, and the
			// origins of all that follows are shifted.
			skip -= diff
		}
	}
	for i := 0; i < len(text); {
		end := chars.ClusterEnd(text, i)
		if end-i < longestLooked {
			if form, ok := n.form(text[i:end]); ok {
				put(text[i:end], form)
				i = end
				continue
			}
		}
		for i < end {
			r, size := utf8.DecodeRune(text[i:end])
			if form, ok := n.form(text[i : i+size]); ok {
				put(text[i:i+size], form)
			} else {
				edits = append(edits, edit{r, 0})
			}
			i += size
		}
	}
	if changed {
		p.apply(edits, skip)
	}
	return nil
}

// appendForms is normalize for a text whose origins nobody asks for.
func (n *precompiled) appendForms(dst, text []byte) []byte {
	for i := 0; i < len(text); {
		if b := text[i]; b < utf8.RuneSelf && n.plain[b] && b != '\r' && (i+1 == len(text) || text[i+1] < utf8.RuneSelf) {
			dst = append(dst, b)
			i++
			continue
		}
		end := chars.ClusterEnd(text, i)
		if end-i < longestLooked {
			if form, ok := n.form(text[i:end]); ok {
				dst = append(dst, form...)
				i = end
				continue
			}
		}
		for i < end {
			_, size := utf8.DecodeRune(text[i:end])
			if form, ok := n.form(text[i : i+size]); ok {
				dst = append(dst, form...)
			} else {
				dst = append(dst, text[i:i+size]...)
			}
			i += size
		}
	}
	return dst
}

// appendFormsOf is appendForms for a text that may hold invalid UTF-8. Scratch is
// memory for parts of it.
func (n *precompiled) appendFormsOf(dst, scratch []byte, text string) ([]byte, []byte) {
	// Between characters that are ASCII or U+FFFD for an invalid byte each grapheme
	// cluster ends, but for CR LF.
	lone := func(i int) bool {
		if i == len(text) || text[i] < utf8.RuneSelf {
			return true
		}
		_, size := utf8.DecodeRuneInString(text[i:])
		return size == 1
	}
	apart := func(i int) bool { return lone(i) && (text[i-1] != '\r' || i < len(text) && text[i] != '\n') }
	here := len(text) > 0 && lone(0)
	for i := 0; i < len(text); {
		next := here && lone(i+1)
		if next && text[i] != '\r' {
			if b := text[i]; b < utf8.RuneSelf {
				dst = append(dst, n.ascii[b]...)
			} else {
				dst = append(dst, n.invalid...)
			}
			i++
			continue
		}
		j := i
		for before := false; j < len(text) && !(before && apart(j)); {
			before = lone(j)
			_, size := utf8.DecodeRuneInString(text[j:])
			j += size
		}
		scratch = appendValid(scratch[:0], text[i:j])
		dst = n.appendForms(dst, scratch)
		i, here = j, true
	}
	return dst, scratch
}

// unchanged reports whether text is of ASCII characters that the map has not.
func (n *precompiled) unchanged(text []byte) bool {
	for _, b := range text {
		if b >= utf8.RuneSelf || !n.plain[b] {
			return false
		}
	}
	return true
}
