// Package webpage takes the main text out of web pages: the article without the
// menus, teasers, comments and notices around it. It works on the parsed tree: a
// score for each block of text, from its length, its links and the names its
// elements bear, and the subtree in which the scores sum up highest.
package webpage

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
	"golang.org/x/net/html/charset"
)

// Page is what a web page says.
type Page struct {
	Title string
	// Language is the language the page declares, such as "en" or "pt-BR", or "".
	Language string
	// Date is when the page says it was published, as "2006-01-02", or with a time
	// and its zone as RFC 3339 has it; or "".
	Date string
	// Canonical is the address the page gives as its own, or "".
	Canonical string
	// Text has "\n\n" between paragraphs and "\n" between the items of a list or
	// the rows of a table. It is empty when the page has no main text.
	Text string
	// Encoding is the character encoding the page was read in.
	Encoding string
	// Replaced counts the characters U+FFFD that reading it gave.
	Replaced int
}

// ErrTooDeep says that a page nests its elements deeper than any page does that
// holds a text.
var ErrTooDeep = errors.New("webpage: elements nested too deep")

// Extract reads an HTML page. The content type is that of the HTTP response, or
// empty. It takes any bytes; its errors are about pages that cannot be parsed in
// bounded memory.
func Extract(data []byte, contentType string) (*Page, error) {
	return read(data, contentType, false)
}

// Whole reads an HTML or XHTML page of which everything is text, such as a
// chapter of a book.
func Whole(data []byte, contentType string) (*Page, error) {
	return read(data, contentType, true)
}

func read(data []byte, contentType string, whole bool) (*Page, error) {
	text, encoding, replaced := decode(data, contentType)
	xhtml := whole && strings.Contains(text[:min(len(text), 1024)], "xhtml")
	t, err := build(text, xhtml)
	if err != nil {
		return nil, err
	}
	p := &Page{Encoding: encoding, Replaced: replaced}
	var d dates
	p.head(t.html, &d)
	p.Date = d.best
	body := t.body
	body.measure()
	e := newExtraction(body, whole)
	if whole {
		p.Text = render(e.blocks)
		return p, nil
	}
	if e.best.score < weak {
		// The names around the text may be wrong about it.
		if l := newExtraction(body, true); l.best.score > 2*e.best.score {
			e = l
		}
	}
	if e.best.node == nil {
		return p, nil
	}
	p.Text = render(e.chosen())
	return p, nil
}

// weak is a score that a paragraph or two would have.
const weak = 150

// decode makes a page UTF-8: as its byte-order mark, its HTTP header or its own
// declaration says, unless it is UTF-8 all the same.
func decode(data []byte, contentType string) (text, encoding string, replaced int) {
	if trimmed, ok := bytes.CutPrefix(data, []byte("\xef\xbb\xbf")); ok {
		data = trimmed
	}
	if utf8.Valid(data) {
		return string(data), "utf-8", 0
	}
	enc, name, _ := charset.DetermineEncoding(data[:min(len(data), 4096)], contentType)
	if name != "utf-8" {
		if out, err := enc.NewDecoder().Bytes(data); err == nil {
			return string(out), name, bytes.Count(out, []byte("\ufffd"))
		}
	}
	out := bytes.ToValidUTF8(data, []byte("\ufffd"))
	return string(out), "utf-8", bytes.Count(out, []byte("\ufffd"))
}

// head reads what the page says of itself.
func (p *Page) head(n *node, d *dates) {
	d.look(n)
	switch n.tag {
	case atom.Link:
		if p.Canonical == "" && strings.EqualFold(n.attr("rel"), "canonical") {
			p.Canonical = strings.TrimSpace(n.attr("href"))
		}
	case atom.Html:
		p.Language = n.attr("lang")
		if p.Language == "" {
			p.Language = n.attr("xml:lang")
		}
	case atom.Svg:
		return // its titles are of pictures
	case atom.Title:
		if p.Title == "" {
			p.Title = collapse(n.content())
		}
	case atom.Meta:
		if strings.EqualFold(n.attr("property"), "og:title") {
			if t := collapse(n.attr("content")); t != "" {
				p.Title = t
			}
		}
		if p.Language == "" && strings.EqualFold(n.attr("http-equiv"), "content-language") {
			p.Language, _, _ = strings.Cut(n.attr("content"), ",")
		}
	}
	for c := n.first; c != nil; c = c.next {
		if c.element {
			p.head(c, d)
		}
	}
}

// content is the text under a node.
func (n *node) content() string {
	if !n.element {
		return n.text
	}
	if n.first == n.last && n.first != nil {
		return n.first.content()
	}
	var b strings.Builder
	for c := n.first; c != nil; c = c.next {
		b.WriteString(c.content())
	}
	return b.String()
}

// collapse makes every run of white space one space, and leaves out what only
// tells a browser where a word may be broken.
func collapse(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == ' ' && (i+1 == len(s) || s[i+1] == ' ' || i == 0) {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	out := make([]byte, 0, len(s))
	space := false
	for i := 0; i < len(s); {
		c := s[i]
		size := 1
		if c >= utf8.RuneSelf {
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			switch {
			case r == '\u00ad' || r == '\u200b' || r == '\ufeff':
				i += size
				continue
			case unicode.IsSpace(r):
				c = ' '
			}
		}
		if isSpace(c) {
			space = true
			i += size
			continue
		}
		if space && len(out) > 0 {
			out = append(out, ' ')
		}
		space = false
		out = append(out, s[i:i+size]...)
		i += size
	}
	return string(out)
}
