package webpage

import (
	"html"
	"strings"

	"golang.org/x/net/html/atom"
)

// attribute is one of the few that say something of a text.
type attribute struct{ key, val string }

// kept are the attributes that are kept of an element.
var kept = words("alt aria-hidden class content datetime hidden href http-equiv id itemprop lang name property rel role style title type epub:type xml:lang")

// maxAttributes bounds those that are kept of one element.
const maxAttributes = 32

type tokenKind uint8

const (
	textToken tokenKind = iota
	startToken
	endToken
)

// token is a piece of a page.
type token struct {
	kind   tokenKind
	tag    atom.Atom // 0 where the name is none of HTML's
	name   string    // as it stands, where tag is 0
	text   string
	attrs  []attribute // valid until the next token
	closed bool        // <name/>
}

// tokens cuts a page into tags and text, in time linear in its length.
type tokens struct {
	page  string
	at    int
	attrs []attribute
	raw   atom.Atom // an element whose content is not markup has been opened
}

// next returns the next token. Comments and declarations are passed over.
func (t *tokens) next() (tok token, ok bool) {
	if t.raw != 0 {
		raw := t.raw
		t.raw = 0
		if text := t.rawText(raw); text != "" {
			return token{kind: textToken, text: text}, true
		}
	}
	for t.at < len(t.page) {
		rest := t.page[t.at:]
		i := strings.IndexByte(rest, '<')
		for i >= 0 && !opensTag(rest[i:]) {
			k := strings.IndexByte(rest[i+1:], '<')
			if k < 0 {
				i = -1
				break
			}
			i += 1 + k
		}
		if i < 0 {
			t.at = len(t.page)
			return token{kind: textToken, text: unescape(rest)}, true
		}
		if i > 0 {
			t.at += i
			return token{kind: textToken, text: unescape(rest[:i])}, true
		}
		switch c := rest[1]; {
		case c == '!' && strings.HasPrefix(rest, "<!--"):
			t.comment()
		case c == '!' || c == '?' || c == '/' && !isLetter(rest[2]):
			t.at = after(t.page, t.at+2, ">")
		default:
			return t.tag(), true
		}
	}
	return token{}, false
}

// opensTag reports whether the '<' that s begins with is the beginning of markup.
func opensTag(s string) bool {
	if len(s) < 2 {
		return false
	}
	return isLetter(s[1]) || s[1] == '!' || s[1] == '?' || s[1] == '/' && len(s) > 2
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// after returns the offset after the next occurrence of what, or the end.
func after(page string, from int, what string) int {
	if from > len(page) {
		return len(page)
	}
	i := strings.Index(page[from:], what)
	if i < 0 {
		return len(page)
	}
	return from + i + len(what)
}

func (t *tokens) comment() {
	rest := t.page[t.at+4:]
	switch {
	case strings.HasPrefix(rest, ">"):
		t.at += 5
	case strings.HasPrefix(rest, "->"):
		t.at += 6
	default:
		t.at = after(t.page, t.at+4, "-->")
	}
}

// tag reads the tag at t.at.
func (t *tokens) tag() token {
	tok := token{kind: startToken}
	i := t.at + 1
	if t.page[i] == '/' {
		tok.kind = endToken
		i++
	}
	start := i
	for i < len(t.page) && !isSpace(t.page[i]) && t.page[i] != '>' && t.page[i] != '/' {
		i++
	}
	tok.tag, tok.name = lookup(t.page[start:i])
	t.attrs = t.attrs[:0]
	for i < len(t.page) {
		c := t.page[i]
		if c == '>' {
			i++
			break
		}
		if c == '/' {
			tok.closed = i+1 < len(t.page) && t.page[i+1] == '>'
			i++
			continue
		}
		if isSpace(c) {
			i++
			continue
		}
		i = t.attribute(i)
	}
	t.at = i
	tok.attrs = t.attrs
	if tok.kind == startToken {
		switch tok.tag {
		case atom.Script, atom.Style, atom.Xmp, atom.Iframe, atom.Noembed, atom.Noframes, atom.Noscript, atom.Textarea, atom.Title, atom.Plaintext:
			t.raw = tok.tag
		}
	}
	return tok
}

// lookup returns the atom of a tag's name, or the name where it has none.
func lookup(name string) (atom.Atom, string) {
	var lower [24]byte
	if len(name) > len(lower) {
		return 0, name[:len(lower)]
	}
	for i := range len(name) {
		c := name[i]
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower[i] = c
	}
	if a := atom.Lookup(lower[:len(name)]); a != 0 {
		return a, ""
	}
	return 0, name
}

// attribute reads the attribute at i and returns the offset after it.
func (t *tokens) attribute(i int) int {
	page := t.page
	start := i
	i++ // a name may begin with '='
	for i < len(page) && !isSpace(page[i]) && page[i] != '=' && page[i] != '>' && page[i] != '/' {
		i++
	}
	key := page[start:i]
	j := i
	for j < len(page) && isSpace(page[j]) {
		j++
	}
	val := ""
	if j < len(page) && page[j] == '=' {
		j++
		for j < len(page) && isSpace(page[j]) {
			j++
		}
		switch {
		case j == len(page):
			i = j
		case page[j] == '"' || page[j] == '\'':
			end := strings.IndexByte(page[j+1:], page[j])
			if end < 0 {
				return len(page)
			}
			val = page[j+1 : j+1+end]
			i = j + end + 2
		default:
			i = j
			for i < len(page) && !isSpace(page[i]) && page[i] != '>' {
				i++
			}
			val = page[j:i]
		}
	}
	if len(key) <= 11 && len(t.attrs) < maxAttributes {
		for k := range len(key) {
			if c := key[k]; c >= 'A' && c <= 'Z' {
				key = strings.ToLower(key)
				break
			}
		}
		if kept[key] {
			t.attrs = append(t.attrs, attribute{key, unescape(val)})
		}
	}
	return i
}

// rawText reads the content of an element that holds no markup, up to its end
// tag, which is left.
func (t *tokens) rawText(of atom.Atom) string {
	start := t.at
	if of == atom.Plaintext {
		t.at = len(t.page)
		return t.page[start:]
	}
	name := of.String()
	escaped := false    // inside <!-- <script> of a script, whose end tag counts for the inner
	commentEnd := start // of the last <!-- that was met
	for i := start; ; {
		k := strings.IndexByte(t.page[i:], '<')
		if k < 0 {
			t.at = len(t.page)
			break
		}
		i += k + 1
		rest := t.page[i:]
		if of == atom.Script && i >= commentEnd && strings.HasPrefix(rest, "!--") {
			commentEnd = after(t.page, i+3, "-->")
		}
		if i < commentEnd && !escaped && isTagName(rest, name) {
			escaped = true
			continue
		}
		if rest != "" && rest[0] == '/' && isTagName(rest[1:], name) {
			if escaped {
				escaped = false
				continue
			}
			t.at = i - 1
			break
		}
	}
	text := t.page[start:t.at]
	if of == atom.Title || of == atom.Textarea {
		return unescape(text)
	}
	return text
}

// isTagName reports whether s begins with a tag's name and the end of one.
func isTagName(s, name string) bool {
	if len(s) <= len(name) || !strings.EqualFold(s[:len(name)], name) {
		return false
	}
	c := s[len(name)]
	return isSpace(c) || c == '>' || c == '/'
}

func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return html.UnescapeString(s)
}
