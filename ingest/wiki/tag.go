package wiki

import (
	"strings"
)

// tagScan finds the ends of tags and comments in one text. It remembers what the
// text has no more of, so that asking for it many times costs no more than once.
type tagScan struct {
	text    string
	noGreat bool
	noEnd   map[string]bool
}

// opening is a start tag that stands in a text.
type opening struct {
	name  string // in lower case
	attrs string
	size  int // of the tag
	empty bool
	close bool // </name>
}

// at reads the tag that begins with the '<' at i.
func (t *tagScan) at(i int) (o opening, ok bool) {
	j := i + 1
	if j < len(t.text) && t.text[j] == '/' {
		o.close = true
		j++
	}
	start := j
	for j < len(t.text) && isTagByte(t.text[j]) && j-start < 24 {
		j++
	}
	if j == start || t.noGreat || '0' <= t.text[start] && t.text[start] <= '9' {
		return o, false
	}
	if j < len(t.text) && !strings.ContainsRune(" \t\n/>", rune(t.text[j])) {
		return o, false
	}
	end := strings.IndexByte(t.text[j:], '>')
	if end < 0 {
		t.noGreat = true
		return o, false
	}
	o.name = lower(t.text[start:j])
	o.attrs = t.text[j : j+end]
	o.size = j + end + 1 - i
	if rest, found := strings.CutSuffix(o.attrs, "/"); found {
		o.attrs, o.empty = rest, true
	}
	return o, true
}

func isTagByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-'
}

// lower is strings.ToLower without a copy for what is lower already.
func lower(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			return strings.ToLower(s)
		}
	}
	return s
}

// end returns the content between from and </name>, and the offset after that
// tag.
func (t *tagScan) end(from int, name string) (content string, after int, ok bool) {
	if t.noEnd[name] {
		return "", 0, false
	}
	for i := from; ; {
		k := strings.Index(t.text[i:], "</")
		if k < 0 {
			break
		}
		i += k + 2
		if len(t.text)-i < len(name) || !strings.EqualFold(t.text[i:i+len(name)], name) {
			continue
		}
		j := i + len(name)
		for j < len(t.text) && (t.text[j] == ' ' || t.text[j] == '\n' || t.text[j] == '\t') {
			j++
		}
		if j < len(t.text) && t.text[j] == '>' {
			return t.text[from : i-2], j + 1, true
		}
	}
	if t.noEnd == nil {
		t.noEnd = map[string]bool{}
	}
	t.noEnd[name] = true
	return "", 0, false
}

// tag handles the '<' at i and returns how much of the text it took.
func (p *preprocessor) tag(t *tagScan, i int) int {
	if strings.HasPrefix(t.text[i:], "<!--") {
		return p.comment(t, i)
	}
	o, ok := t.at(i)
	if !ok {
		p.out = append(p.out, '<')
		return 1
	}
	kind := extensionTags[o.name]
	if kind == notExtension {
		p.out = append(p.out, '<')
		return 1
	}
	if kind == tagItself || o.close {
		return o.size
	}
	if o.empty {
		if kind == footnote {
			p.footnote("")
		}
		return o.size
	}
	content, after, ok := t.end(i+o.size, o.name)
	if !ok {
		// Without its end a tag is no tag; a reader would see it as it stands.
		return o.size
	}
	switch kind {
	case asItIs:
		p.literal(unescape(content))
	case block:
		p.block(content)
	case inlineOrBlock:
		if strings.Contains(o.attrs, "inline") || !strings.Contains(strings.TrimSpace(content), "\n") {
			p.literal(content)
		} else {
			p.block(content)
		}
	case formula:
		p.formula(o, strings.TrimSpace(content))
	case footnote:
		p.footnote(content)
	case gallery:
		p.gallery(content)
	case verse:
		p.verse(content)
	}
	return after - i
}

type tagKind uint8

const (
	notExtension  tagKind = iota
	asItIs                // its content is text, with entities
	block                 // lines of text on their own
	inlineOrBlock         // code in a line, or lines of code
	formula
	footnote
	gallery
	verse
	dropped   // with its content
	tagItself // dropped, its content stays
)

var extensionTags = map[string]tagKind{
	"nowiki": asItIs, "pre": block, "syntaxhighlight": inlineOrBlock, "source": inlineOrBlock,
	"math": formula, "chem": formula, "ce": formula, "ref": footnote, "gallery": gallery, "poem": verse, "lyrics": verse,
	"references": dropped, "includeonly": dropped, "timeline": dropped, "graph": dropped, "mapframe": dropped, "maplink": dropped, "imagemap": dropped, "score": dropped,
	"hiero": dropped, "templatestyles": dropped, "templatedata": dropped, "inputbox": dropped, "categorytree": dropped, "indicator": dropped, "section": dropped, "style": dropped, "script": dropped,
	"charinsert": dropped, "dynamicpagelist": dropped, "ruby-rt": dropped, "rt": dropped, "rp": dropped,
	"noinclude": tagItself, "onlyinclude": tagItself, "translate": tagItself, "tvar": tagItself, "languages": tagItself,
}

// comment drops the comment at i, with its line when there is nothing else on
// it. A comment without end goes on to the end of the text.
func (p *preprocessor) comment(t *tagScan, i int) int {
	end := strings.Index(t.text[i+4:], "-->")
	if end < 0 {
		return len(t.text) - i
	}
	after := i + 4 + end + 3
	if len(p.out) > 0 && p.out[len(p.out)-1] == '\n' && after < len(t.text) && t.text[after] == '\n' {
		after++
	}
	return after - i
}

// block appends lines of text that stand as they are.
func (p *preprocessor) block(content string) {
	content = strings.Trim(unescape(content), "\n")
	p.out = append(p.out, "\n\n"...)
	p.literal(content)
	p.out = append(p.out, "\n\n"...)
}

// formula keeps the source of a formula between dollar signs.
func (p *preprocessor) formula(o opening, content string) {
	if content == "" {
		return
	}
	p.stats.FormulasKept++
	if o.name != "math" {
		content = `\ce{` + content + `}`
	}
	if strings.Contains(o.attrs, "block") {
		p.out = append(p.out, "\n\n"...)
		p.literal("$$" + content + "$$")
		p.out = append(p.out, "\n\n"...)
		return
	}
	p.literal("$" + strings.Join(strings.Fields(content), " ") + "$")
}

func (p *preprocessor) footnote(content string) {
	p.stats.Footnotes++
	if content == "" || !p.ex.opts.Footnotes {
		return
	}
	if p.depth >= maxDepth || len(content) > p.budget {
		return
	}
	p.budget -= len(content)
	p.depth++
	p.out = append(p.out, " ["...)
	p.expand(strings.TrimSpace(content))
	p.out = append(p.out, ']')
	p.depth--
}

// gallery keeps the captions of its lines "File:Name.jpg|caption".
func (p *preprocessor) gallery(content string) {
	if !p.ex.opts.Captions || p.depth >= maxDepth || len(content) > p.budget {
		p.stats.Files += strings.Count(strings.TrimSpace(content), "\n") + 1
		return
	}
	p.budget -= len(content)
	p.depth++
	for line := range strings.SplitSeq(content, "\n") {
		_, caption, found := strings.Cut(line, "|")
		if !found {
			continue
		}
		if alt, rest, more := strings.Cut(caption, "|"); more && imageOption(alt) {
			caption = rest
		}
		p.stats.Files++
		p.out = append(p.out, "\n\n"...)
		p.expand(caption)
	}
	p.out = append(p.out, "\n\n"...)
	p.depth--
}

// verse keeps its lines.
func (p *preprocessor) verse(content string) {
	if p.depth >= maxDepth || len(content) > p.budget {
		return
	}
	p.budget -= len(content)
	p.depth++
	p.out = append(p.out, "\n\n"...)
	p.expand(strings.ReplaceAll(strings.TrimSpace(content), "\n", "<br>\n"))
	p.out = append(p.out, "\n\n"...)
	p.depth--
}
