package webpage

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/atom"
)

// block is a run of text that a browser would set as one paragraph.
type block struct {
	node    *node // the element it stands in
	text    string
	chars   int
	linked  int // characters of it that are links
	heading bool
	item    bool // of a list
	row     bool // of a table
	pre     bool
	bad     bool // an element around it bears the name of something else than text
	score   float64
}

// extraction is the work on one page.
type extraction struct {
	total   int32
	lenient bool
	blocks  []block

	// The block that is being gathered.
	text   strings.Builder
	linked int

	best  candidate // of all elements
	named candidate // of those whose names say that they hold the text
	main  *node     // the one with the most text of those that are meant to hold it
}

// candidate is an element that may hold the text: blocks[from:to].
type candidate struct {
	node     *node
	score    float64
	from, to int
}

func (c *candidate) offer(n *node, score float64, from, to int) {
	if c.node == nil || score > c.score {
		*c = candidate{n, score, from, to}
	}
}

// namesText reports whether an element's names say that it holds the text of an
// article.
func namesText(n *node) bool {
	for _, a := range n.attrs {
		switch a.key {
		case "itemprop":
			if strings.Contains(strings.ToLower(a.val), "articlebody") {
				return true
			}
		case "class", "id":
			for f := range strings.FieldsSeq(a.val) {
				var name [32]byte
				k := 0
				for i := 0; i < len(f) && k < len(name); i++ {
					c := f[i]
					if c >= 'A' && c <= 'Z' {
						c += 'a' - 'A'
					}
					if c != '-' && c != '_' {
						name[k] = c
						k++
					}
				}
				if textNames[string(name[:k])] {
					return true
				}
			}
		}
	}
	return false
}

var textNames = words(`articlebody articlecontent articletext articlebodycontent bodyarticle entrycontent postcontent postbody posttext storybody storycontent
	storytext contentbody newsbody newstext singlecontent postentry entrybody richtextarticlebody fieldnamebody articlebodytext artikeltext artikelinhalt
	textoarticulo cuerpo articlemain articlecontentbody mwparseroutput`)

// skipped are elements without text of the page.
func skipped(n *node) bool {
	switch n.tag {
	case atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Iframe, atom.Object, atom.Embed, atom.Svg, atom.Canvas, atom.Audio,
		atom.Video, atom.Map, atom.Button, atom.Select, atom.Option, atom.Input, atom.Textarea, atom.Head, atom.Nav, atom.Dialog, atom.Applet,
		atom.Datalist, atom.Noframes, atom.Frameset:
		return true
	}
	return false
}

// hidden reports whether an element says that it is not seen, or is of controls.
func hidden(n *node) bool {
	for i := range n.attrs {
		switch a := &n.attrs[i]; a.key {
		case "hidden":
			return true
		case "aria-hidden":
			if a.val == "true" {
				return true
			}
		case "style":
			if hides(a.val) {
				return true
			}
		case "role":
			switch a.val {
			case "navigation", "banner", "search", "menu", "menubar", "dialog", "alertdialog", "tooltip", "button":
				return true
			}
		}
	}
	return false
}

// hides reports whether a style makes an element invisible.
func hides(style string) bool {
	if !strings.ContainsAny(style, "nNhH") {
		return false
	}
	style = strings.ReplaceAll(strings.ToLower(style), " ", "")
	return strings.Contains(style, "display:none") || strings.Contains(style, "visibility:hidden")
}

// measure fills in the sizes, and what is skipped.
func (n *node) measure() {
	concealed := n.measureAs(true)
	if n.size < scant && concealed > 3*n.size {
		// What says that it is hidden, or a banner whose end is missing, is the page.
		n.measureAs(false)
	}
}

// measureAs returns the characters under n that are skipped as hidden.
func (n *node) measureAs(hide bool) (concealed int32) {
	n.size = 0
	if !n.element {
		n.size = int32(countChars(n.text))
		return 0
	}
	if n.skip = skipped(n); n.skip {
		return 0
	}
	for c := n.first; c != nil; c = c.next {
		concealed += c.measureAs(hide)
		n.size += c.size
	}
	if hide && hidden(n) {
		concealed += n.size
		n.size, n.skip = 0, true
	}
	return concealed
}

// countChars counts the characters that are no white space.
func countChars(s string) int {
	n := 0
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRuneInString(s[i:])
			if !unicode.IsSpace(r) {
				n++
			}
			i += size
			continue
		case !isSpace(c):
			n++
		}
		i++
	}
	return n
}

// foreign are the words in class names and ids of elements that hold something
// else than the text of a page.
var foreign = words(`comment comments commentlist respond reply replies disqus sidebar sidebars footer foot related share sharing sharedaddy social
	socials menu menus nav navi navigation navbar subnav promo promos promotion cookie cookies gdpr consent newsletter subscribe subscription
	advert adverts advertisement advertising ads ad adsense sponsor sponsored breadcrumb breadcrumbs popup modal overlay banner
	tags taglist tagcloud outbrain taboola pagination pager masthead toolbar login signup signin register recommended recommendations recommend
	trending popular mostread teaser teasers jumplist toc skip shoutbox rating ratings captcha printonly noprint copyright impressum legal
	disclaimer caption captions wp-caption credit credits byline postmeta nextpost prevpost kommentare kommentar werbung anzeige commentaires comentarios readmore morelinks archives blogroll authorbox bio aboutauthor`)

func words(s string) map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(s) {
		m[w] = true
	}
	return m
}

// isForeign reports whether an element's names say that it holds something else
// than the text, and it does not hold most of what there is.
func (e *extraction) isForeign(n *node) bool {
	switch n.tag {
	case atom.Body, atom.Html, atom.Article, atom.Main:
		return false
	case atom.Footer, atom.Aside, atom.Figcaption:
		return 2*n.size < e.total
	}
	if e.lenient {
		return false
	}
	for _, a := range n.attrs {
		if a.key != "class" && (a.key != "id" || isHeading(n.tag)) { // ids of headings are for links to them
			continue
		}
		if hasForeign(a.val) {
			return 2*n.size < e.total
		}
	}
	return false
}

// hasForeign looks for foreign words in names joined by anything, and by capitals
// as in "relatedArticles".
func hasForeign(names string) bool {
	start := 0
	for i := 0; i <= len(names); i++ {
		if i < len(names) {
			c := names[i]
			if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' && (i == start || names[i-1] < 'a' || names[i-1] > 'z') {
				continue
			}
		}
		if i > start && i-start < 20 && foreign[strings.ToLower(names[start:i])] {
			return true
		}
		start = i
		if i < len(names) && (names[i] < 'A' || names[i] > 'Z') {
			start = i + 1
		}
	}
	return false
}

// blockLevel are the elements that begin and end a block.
func blockLevel(n *node) bool {
	switch n.tag {
	case atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Center, atom.Dd, atom.Details, atom.Div, atom.Dl, atom.Dt,
		atom.Fieldset, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6, atom.Header,
		atom.Hr, atom.Li, atom.Main, atom.Ol, atom.P, atom.Pre, atom.Section, atom.Summary, atom.Table, atom.Tbody, atom.Td, atom.Th, atom.Thead,
		atom.Tfoot, atom.Tr, atom.Ul, atom.Caption, atom.Hgroup:
		return true
	}
	return false
}

// where is what the elements around a node say of it.
type where struct {
	node                          *node
	link, heading, item, pre, row bool
	bad                           bool
}

// newExtraction gathers the blocks of a page and finds the best subtree. A
// lenient one does not mind what elements are called.
func newExtraction(body *node, lenient bool) *extraction {
	e := &extraction{total: body.size, lenient: lenient}
	e.walk(body, where{node: body})
	e.flush(where{node: body})
	return e
}

// walk gathers the blocks under n and returns the sum of their scores.
func (e *extraction) walk(n *node, w where) float64 {
	if !n.element {
		e.write(n.text, w)
		return 0
	}
	if n.skip {
		return 0
	}
	inside := w
	cell := w.row && (n.tag == atom.Td || n.tag == atom.Th || n.tag == atom.P || n.tag == atom.Div)
	isBlock := blockLevel(n) && !cell
	before := len(e.blocks)
	sum, outside := 0.0, 0.0
	if isBlock {
		outside = e.flush(w) // of the text before n
		before = len(e.blocks)
		inside.node = n
	}
	switch n.tag {
	case atom.A:
		inside.link = inside.link || n.attr("href") != ""
	case atom.H1, atom.H2, atom.H3, atom.H4, atom.H5, atom.H6:
		inside.heading = true
	case atom.Li:
		inside.item = true
	case atom.Pre:
		inside.pre = true
	case atom.Br:
		e.text.WriteByte('\n')
	case atom.Tr:
		inside.row = e.isDataRow(n)
	case atom.Td, atom.Th:
		if cell && e.text.Len() > 0 {
			e.text.WriteString(" | ")
		}
	}
	if !inside.bad && e.isForeign(n) {
		inside.bad = true
	}
	for c := n.first; c != nil; c = c.next {
		sum += e.walk(c, inside)
	}
	if isBlock {
		sum += e.flush(inside)
		if len(e.blocks) > before {
			e.best.offer(n, sum, before, len(e.blocks))
			n.from, n.to = int32(before), int32(len(e.blocks))
			if !inside.bad {
				named := namesText(n)
				if named {
					e.named.offer(n, sum, before, len(e.blocks))
				}
				if (named || n.tag == atom.Article || n.tag == atom.Main || n.attr("role") == "main" || strings.Contains(n.attr("class"), "hentry")) && (e.main == nil || n.size > e.main.size) {
					e.main = n
				}
			}
		}
	}
	return sum + outside
}

// isDataRow reports whether the cells of a table's row hold a few words each.
func (e *extraction) isDataRow(tr *node) bool {
	cells := 0
	for c := tr.first; c != nil; c = c.next {
		if c.tag != atom.Td && c.tag != atom.Th {
			continue
		}
		cells++
		if c.size > 120 {
			return false
		}
		for d := c.first; d != nil; d = d.next {
			if d.element && blockLevel(d) && d.tag != atom.P && d.tag != atom.Div {
				return false
			}
		}
	}
	return cells > 1
}

func (e *extraction) write(s string, w where) {
	e.text.WriteString(s)
	if w.link {
		e.linked += countChars(s)
	}
}

// flush ends the block that is being gathered and returns its score.
func (e *extraction) flush(w where) float64 {
	raw := e.text.String()
	linked := e.linked
	if raw == "" {
		return 0
	}
	e.text.Reset()
	e.linked = 0
	var sum float64
	add := func(text string) {
		chars := countChars(text)
		if chars == 0 {
			return
		}
		part := min(linked, chars)
		linked -= part
		b := block{node: w.node, text: text, chars: chars, linked: part, heading: w.heading, item: w.item, row: w.row, pre: w.pre, bad: w.bad}
		b.score = b.rate()
		e.blocks = append(e.blocks, b)
		sum += b.score
	}
	if w.pre {
		add(strings.Trim(raw, "\r\n"))
		return sum
	}
	add(collapse(raw))
	return sum
}

// wideWeight is how many letters of an alphabet a character of Chinese, Japanese
// or Korean is worth.
const wideWeight = 2.5

// weight is the length of a block in letters of an alphabet.
func (b *block) weight() float64 {
	wide := 0
	for _, r := range b.text {
		if r >= 0x2e80 && r < 0xfe00 {
			wide++
		}
	}
	return float64(b.chars) + (wideWeight-1)*float64(wide)
}

// rate scores a block: its length when it reads as text, a fine when it does not.
func (b *block) rate() float64 {
	n := b.weight()
	density := float64(b.linked) / float64(b.chars)
	if b.bad {
		return -0.3*min(n, 300) - 5
	}
	if density > 0.5 {
		return -0.5*min(n, 100) - 5
	}
	sentence := endsSentence(b.text)
	if b.heading {
		if n < 100 || !sentence {
			return 0
		}
		b.heading = false // a paragraph that is to look large
	}
	switch {
	case b.pre:
		return 0.5 * n
	case b.item && density > 0.15:
		return -2 // the headline and the first words of another page
	case n >= 60 && density < 0.3 && (sentence || n >= 150):
		return n * (1 - density)
	case n >= 25 && sentence:
		return 0.3 * n * (1 - density)
	case n >= 60:
		return 0.2 * n * (1 - 2*density)
	case b.row:
		return -1
	default:
		return -4
	}
}

func endsSentence(s string) bool {
	s = strings.TrimRight(s, " \"'”’»)]")
	r, _ := utf8.DecodeLastRuneInString(s)
	return strings.ContainsRune(".!?…:。！？।", r)
}
