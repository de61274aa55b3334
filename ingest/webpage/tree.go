package webpage

import (
	"strings"

	"golang.org/x/net/html/atom"
)

// node is an element or a text of a page.
type node struct {
	parent, first, last, next *node

	tag     atom.Atom // 0 for a text, and an element that is none of HTML's
	element bool
	skip    bool // an element without text of the page
	text    string
	attrs   []attribute
	size    int32 // characters of text under it, but for those that are skipped
	from    int32 // the first of its blocks, and the one after the last
	to      int32
}

func (n *node) attr(name string) string {
	for i := range n.attrs {
		if n.attrs[i].key == name {
			return n.attrs[i].val
		}
	}
	return ""
}

// tree builds the elements of a page. It follows the standard's rules for what a
// tag closes, without moving elements about: a misplaced tag costs no more than a
// well-placed one, so that the time is linear in the length of the page.
type tree struct {
	html, head, body *node
	stack            []*node // of open elements
	inHead           bool
	tables, drawings int // that are open
	xhtml            bool

	slab  []node
	attrs []attribute
}

// maxDepth bounds the nesting of elements, and so the recursion over the tree.
const maxDepth = 500

// maxReopened bounds the elements that are split by an end tag between theirs.
const maxReopened = 8

// build reads a page. In XHTML a tag may close itself.
func build(page string, xhtml bool) (*tree, error) {
	t := &tree{inHead: true, xhtml: xhtml}
	t.html = t.make(atom.Html, nil)
	t.head = t.make(atom.Head, nil)
	t.body = t.make(atom.Body, nil)
	t.append(t.html, t.head)
	t.append(t.html, t.body)
	t.stack = append(t.stack, t.body)
	in := tokens{page: page}
	for {
		tok, ok := in.next()
		if !ok {
			return t, nil
		}
		switch tok.kind {
		case textToken:
			t.addText(tok.text)
		case startToken:
			if xhtml && tok.closed {
				in.raw = 0
			}
			t.start(&tok)
			if len(t.stack) > maxDepth {
				return nil, ErrTooDeep
			}
		case endToken:
			t.end(&tok)
		}
	}
}

func (t *tree) make(tag atom.Atom, attrs []attribute) *node {
	if len(t.slab) == 0 {
		t.slab = make([]node, 128)
	}
	n := &t.slab[0]
	t.slab = t.slab[1:]
	n.tag, n.element = tag, true
	if len(attrs) > 0 {
		if cap(t.attrs)-len(t.attrs) < len(attrs) {
			t.attrs = make([]attribute, 0, 256)
		}
		from := len(t.attrs)
		t.attrs = append(t.attrs, attrs...)
		n.attrs = t.attrs[from:len(t.attrs):len(t.attrs)]
	}
	return n
}

func (t *tree) append(parent, n *node) {
	n.parent = parent
	if parent.last == nil {
		parent.first = n
	} else {
		parent.last.next = n
	}
	parent.last = n
}

func (t *tree) top() *node { return t.stack[len(t.stack)-1] }

func (t *tree) push(n *node) {
	t.append(t.top(), n)
	t.stack = append(t.stack, n)
	switch n.tag {
	case atom.Table:
		t.tables++
	case atom.Svg, atom.Math:
		t.drawings++
	}
}

// cut pops open elements down to a depth.
func (t *tree) cut(depth int) {
	for i := len(t.stack) - 1; i >= depth; i-- {
		switch t.stack[i].tag {
		case atom.Table:
			t.tables--
		case atom.Svg, atom.Math:
			t.drawings--
		}
	}
	t.stack = t.stack[:depth]
}

func (t *tree) addText(s string) {
	if t.inHead {
		if len(t.stack) == 1 {
			if strings.TrimSpace(s) == "" {
				return
			}
			t.inHead = false
		}
	}
	n := t.make(0, nil)
	n.element, n.text = false, s
	t.append(t.top(), n)
}

// find returns the depth of the innermost open element for which is holds, or -1
// where one for which stop holds is further in.
func (t *tree) find(is, stop func(atom.Atom) bool) int {
	for i := len(t.stack) - 1; i > 0; i-- {
		tag := t.stack[i].tag
		if is(tag) {
			return i
		}
		if stop(tag) {
			return -1
		}
	}
	return -1
}

func (t *tree) findTag(tag atom.Atom, stop func(atom.Atom) bool) int {
	for i := len(t.stack) - 1; i > 0; i-- {
		at := t.stack[i].tag
		if at == tag {
			return i
		}
		if stop(at) {
			return -1
		}
	}
	return -1
}

// scope are the elements that end tags of what is around them do not close.
func scope(a atom.Atom) bool {
	switch a {
	case atom.Applet, atom.Caption, atom.Table, atom.Td, atom.Th, atom.Marquee, atom.Object, atom.Template:
		return true
	}
	return false
}

func buttonScope(a atom.Atom) bool { return a == atom.Button || scope(a) }

func listScope(a atom.Atom) bool { return a == atom.Ul || a == atom.Ol || scope(a) }

func tableScope(a atom.Atom) bool { return a == atom.Table || a == atom.Template }

func never(atom.Atom) bool { return false }

func isHeading(a atom.Atom) bool {
	switch a {
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		return true
	}
	return false
}

func isFormatting(a atom.Atom) bool {
	switch a {
	case atom.A, atom.B, atom.Big, atom.Code, atom.Em, atom.Font, atom.I, atom.Nobr, atom.S, atom.Small, atom.Strike, atom.Strong, atom.Tt, atom.U:
		return true
	}
	return false
}

func isVoid(a atom.Atom) bool {
	switch a {
	case atom.Area, atom.Base, atom.Br, atom.Col, atom.Embed, atom.Hr, atom.Img, atom.Input, atom.Link, atom.Meta, atom.Param, atom.Source,
		atom.Track, atom.Wbr, atom.Keygen, atom.Frame:
		return true
	}
	return false
}

// closesParagraph are the elements that a paragraph cannot hold.
func closesParagraph(a atom.Atom) bool {
	switch a {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Center, atom.Details, atom.Dialog, atom.Dir, atom.Div, atom.Dl,
		atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.Header, atom.Hgroup, atom.Hr, atom.Main, atom.Menu, atom.Nav,
		atom.Ol, atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Ul, atom.Li, atom.Dd, atom.Dt, atom.Xmp, atom.Plaintext, atom.Listing:
		return true
	}
	return isHeading(a)
}

// special are the elements past which an unknown end tag does not reach.
func special(a atom.Atom) bool {
	switch a {
	case atom.Button, atom.Tr, atom.Tbody, atom.Thead, atom.Tfoot, atom.Colgroup, atom.Select, atom.Textarea, atom.Iframe, atom.Noscript:
		return true
	}
	return closesParagraph(a) || scope(a)
}

func (t *tree) start(tok *token) {
	tag := tok.tag
	switch tag {
	case atom.Html, atom.Body:
		n := t.html
		if tag == atom.Body {
			n, t.inHead = t.body, false
		}
		if n.attrs == nil {
			n.attrs = append(n.attrs, tok.attrs...)
		}
		return
	case atom.Head, atom.Frameset:
		return
	case atom.Title, atom.Meta, atom.Link, atom.Base, atom.Script, atom.Style, atom.Noscript, atom.Template:
		if t.inHead && len(t.stack) == 1 {
			n := t.make(tag, tok.attrs)
			t.append(t.head, n)
			if !isVoid(tag) && !(t.xhtml && tok.closed) {
				t.stack = append(t.stack, n)
			}
			return
		}
	default:
		if len(t.stack) == 1 {
			t.inHead = false
		}
	}
	if t.drawings > 0 && (closesParagraph(tag) || tag == atom.Span) && t.findTag(atom.Foreignobject, never) < 0 {
		for i, n := range t.stack {
			if n.tag == atom.Svg || n.tag == atom.Math {
				t.cut(i)
				break
			}
		}
	}
	t.implied(tag)
	if !t.inTable(tag) {
		return
	}
	n := t.make(tag, tok.attrs)
	closed := tok.closed && (t.xhtml || t.drawings > 0 || tag == atom.Svg || tag == atom.Math)
	if isVoid(tag) || closed {
		t.append(t.top(), n)
		return
	}
	t.push(n)
}

// implied closes what the start of an element closes.
func (t *tree) implied(tag atom.Atom) {
	switch tag {
	case atom.Li:
		t.closeItem(tag, tag)
	case atom.Dd, atom.Dt:
		t.closeItem(atom.Dd, atom.Dt)
	case atom.A:
		// A link within a link ends the first, where only marks of style are between.
		for i := len(t.stack) - 1; i > 0 && isFormatting(t.stack[i].tag); i-- {
			if t.stack[i].tag == atom.A {
				t.cut(i)
				break
			}
		}
	case atom.Option, atom.Optgroup:
		if t.top().tag == atom.Option {
			t.cut(len(t.stack) - 1)
		}
	case atom.Button:
		if i := t.findTag(atom.Button, scope); i > 0 {
			t.cut(i)
		}
	}
	if !closesParagraph(tag) {
		return
	}
	if i := t.findTag(atom.P, buttonScope); i > 0 {
		t.cut(i)
	}
	if isHeading(tag) && isHeading(t.top().tag) {
		t.cut(len(t.stack) - 1)
	}
}

// closeItem closes an open item of the list that the next one belongs to.
func (t *tree) closeItem(a, b atom.Atom) {
	for i := len(t.stack) - 1; i > 0; i-- {
		tag := t.stack[i].tag
		if tag == a || tag == b {
			t.cut(i)
			return
		}
		if special(tag) && tag != atom.Address && tag != atom.Div && tag != atom.P {
			return
		}
	}
}

// inTable closes and opens what a part of a table needs. It reports whether the
// element is to be made: parts of tables outside of one are not.
func (t *tree) inTable(tag atom.Atom) bool {
	var stop func(atom.Atom) bool
	switch tag {
	case atom.Caption, atom.Colgroup, atom.Tbody, atom.Thead, atom.Tfoot:
		stop = tableScope
	case atom.Tr:
		stop = func(a atom.Atom) bool {
			return a == atom.Tbody || a == atom.Thead || a == atom.Tfoot || tableScope(a)
		}
	case atom.Td, atom.Th:
		stop = func(a atom.Atom) bool { return a == atom.Tr || tableScope(a) }
	default:
		return true
	}
	if t.tables == 0 {
		return false
	}
	if i := t.find(stop, never); i > 0 {
		t.cut(i + 1)
	}
	if (tag == atom.Td || tag == atom.Th) && t.top().tag != atom.Tr {
		t.push(t.make(atom.Tr, nil))
	}
	return true
}

func (t *tree) end(tok *token) {
	tag := tok.tag
	if t.inHead && len(t.stack) > 1 && t.stack[1].parent == t.head {
		if i := t.findTag(tag, never); i > 0 {
			t.cut(i)
		}
		return
	}
	var i int
	switch {
	case tag == atom.Html || tag == atom.Body || isVoid(tag) && tag != atom.Br:
		return
	case tag == atom.Head:
		return
	case tag == atom.Br:
		t.append(t.top(), t.make(tag, nil))
		return
	case tag == atom.P:
		if i = t.findTag(tag, buttonScope); i < 0 {
			t.append(t.top(), t.make(tag, nil))
			return
		}
	case tag == atom.Li:
		i = t.findTag(tag, listScope)
	case isHeading(tag):
		i = t.find(isHeading, scope)
	case tag == atom.Table || tag == atom.Tr || tag == atom.Tbody || tag == atom.Thead || tag == atom.Tfoot || tag == atom.Td || tag == atom.Th || tag == atom.Caption:
		i = t.findTag(tag, func(a atom.Atom) bool { return tableScope(a) && a != tag })
	case tag == atom.Form:
		if i = t.findTag(tag, scope); i > 0 && i < len(t.stack)-1 {
			// The elements in it stay open.
			t.stack = append(t.stack[:i], t.stack[i+1:]...)
			return
		}
	case isFormatting(tag):
		t.endFormatting(tag)
		return
	case tag == 0:
		// What elements without a name in HTML are called does not matter.
		if t.top().tag == 0 {
			i = len(t.stack) - 1
		} else {
			i = t.findTag(0, special)
		}
	case tag == atom.Svg || tag == atom.Math || tag == atom.Template || tag == atom.Select || tag == atom.Object:
		i = t.findTag(tag, never)
	case closesParagraph(tag) || tag == atom.Button:
		i = t.findTag(tag, scope)
	default:
		i = t.findTag(tag, special)
	}
	if i > 0 {
		t.cut(i)
	}
}

// endFormatting ends a mark of style or a link. Elements that are open within it
// go on after it.
func (t *tree) endFormatting(tag atom.Atom) {
	i := t.findTag(tag, scope)
	if i < 0 {
		return
	}
	var again [maxReopened]*node
	inner := t.stack[i+1:]
	n := 0
	for _, in := range inner {
		if isFormatting(in.tag) || in.tag == atom.Span {
			continue
		}
		if n == len(again) {
			return
		}
		again[n] = in
		n++
	}
	t.cut(i)
	for _, in := range again[:n] {
		t.push(t.make(in.tag, in.attrs))
	}
}
