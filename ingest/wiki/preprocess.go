package wiki

import (
	"bytes"
	"strings"
	"unicode/utf8"
)

const (
	// maxOpen bounds how many braces and brackets may stand open; MediaWiki stops
	// at 100 levels.
	maxOpen = 128
	// maxDepth bounds templates that are made of templates.
	maxDepth = 16
	// markerByte begins a marker: what stands for text that is no markup. It is
	// followed by markerDigits digits of base 16, the number of the text.
	markerByte   = 1
	markerDigits = 6
)

// preprocessor resolves what does not keep to lines: comments, tags whose
// content is not wikitext, templates and links. Its output has bold and italic,
// headings, lists, tables, HTML tags and entities left.
type preprocessor struct {
	ex     *Extractor
	stats  *Stats
	title  string
	out    []byte
	frames []frame
	seps   []separator
	// literals are the texts that markers stand for.
	literals []string
	// budget is how many bytes templates may still add, so that templates that
	// double their arguments end.
	budget int
	args   []argument // of the template whose body is being expanded
	depth  int
	stack  []argument // of the calls under way
	parts  []string   // of a parser function
	key    []byte
}

// frame is an opening that waits for its end.
type frame struct {
	kind  byte // '{', '[' or '-'
	count int  // how many of them
	start int  // of the first, in out
	seps  int  // where its separators begin
}

// separator is a '|' of the frame on top.
type separator struct {
	at     int // in out
	equals int // where the first '=' after it is, or -1
}

// inOpen marks the bytes at which the preprocessor stops while something is
// open, inPlain those at which it stops otherwise; a '-' only where -{ }- is
// markup, by the first index.
var (
	inOpen = [2][256]bool{
		{'{': true, '}': true, '[': true, ']': true, '|': true, '=': true, '<': true, markerByte: true},
		{'{': true, '}': true, '[': true, ']': true, '|': true, '=': true, '<': true, markerByte: true, '-': true},
	}
	inPlain = [2][256]bool{
		{'{': true, '[': true, '<': true, markerByte: true},
		{'{': true, '[': true, '<': true, markerByte: true, '-': true},
	}
)

func (p *preprocessor) run(ex *Extractor, title, text string, stats *Stats) {
	*p = preprocessor{
		ex: ex, stats: stats, title: title, budget: 4*len(text) + 1<<20,
		out: p.out[:0], frames: p.frames[:0], seps: p.seps[:0], literals: p.literals[:0], stack: p.stack[:0], parts: p.parts[:0], key: p.key[:0],
	}
	p.expand(text)
}

// expand appends the expansion of text to p.out.
func (p *preprocessor) expand(text string) {
	base := len(p.frames)
	tags := tagScan{text: text}
	dashes := 0
	if p.ex.convert {
		dashes = 1
	}
	for i := 0; i < len(text); {
		stops := &inOpen[dashes]
		if len(p.frames) == base {
			stops = &inPlain[dashes]
		}
		j := i
		for j < len(text) && !stops[text[j]] {
			j++
		}
		p.out = append(p.out, text[i:j]...)
		if i = j; i == len(text) {
			break
		}
		switch c := text[i]; c {
		case '{', '[':
			n := runOf(text, i)
			p.open(c, n)
			i += n
		case '|':
			if top := p.top(base); top != nil && top.kind != '-' {
				p.seps = append(p.seps, separator{at: len(p.out), equals: -1})
			}
			p.out = append(p.out, c)
			i++
		case '=':
			if top := p.top(base); top != nil && top.kind == '{' && len(p.seps) > top.seps {
				if last := &p.seps[len(p.seps)-1]; last.equals < 0 {
					last.equals = len(p.out)
				}
			}
			p.out = append(p.out, c)
			i++
		case '}':
			i += p.closeBraces(text, i, base)
		case ']':
			n := runOf(text, i)
			if top := p.top(base); n >= 2 && top != nil && top.kind == '[' {
				if n >= 3 {
					// "[[File:x.jpg|[https://example.org y]]]"
					if inside := p.out[top.start+2:]; bytes.LastIndexByte(inside, '[') > bytes.LastIndexByte(inside, ']') {
						p.out = append(p.out, ']')
						i++
					}
				}
				p.closeLink()
				i += 2
				break
			}
			p.out = append(p.out, ']')
			i++
		case '-':
			i += p.dash(text, i, base)
		case '<':
			i += p.tag(&tags, i)
		default: // a marker byte of the page's own
			i++
		}
	}
	// What was never closed stays as it is.
	if len(p.frames) > base {
		p.seps = p.seps[:p.frames[base].seps]
		p.frames = p.frames[:base]
	}
}

func runOf(text string, i int) int {
	j := i + 1
	for j < len(text) && text[j] == text[i] {
		j++
	}
	return j - i
}

func (p *preprocessor) top(base int) *frame {
	if len(p.frames) == base {
		return nil
	}
	return &p.frames[len(p.frames)-1]
}

// open begins a construct of n equal characters, when there are two at least.
func (p *preprocessor) open(kind byte, n int) {
	if n >= 2 && len(p.frames) < maxOpen {
		start := len(p.out)
		count := n
		if kind == '[' {
			// "[[[[x]]" is a link after two brackets.
			start, count = start+n-2, 2
		}
		p.frames = append(p.frames, frame{kind: kind, count: count, start: start, seps: len(p.seps)})
	}
	for range n {
		p.out = append(p.out, kind)
	}
}

func (p *preprocessor) pop() {
	top := p.frames[len(p.frames)-1]
	p.seps = p.seps[:top.seps]
	p.frames = p.frames[:len(p.frames)-1]
}

// closeBraces handles the run of '}' at i and returns how much of it it took.
func (p *preprocessor) closeBraces(text string, i, base int) int {
	n := runOf(text, i)
	if n == 1 {
		if i+1 < len(text) && text[i+1] == '-' {
			if top := p.top(base); top != nil && top.kind == '-' {
				p.closeConversion()
				return 2
			}
		}
		p.out = append(p.out, '}')
		return 1
	}
	// A link that is not closed on its line does not keep its template open.
	for depth := len(p.frames); depth > base && p.frames[depth-1].kind == '['; depth-- {
		if depth-1 == base || p.frames[depth-2].kind == '-' {
			break
		}
		ahead := text[i:min(len(text), i+200)]
		if line := strings.IndexByte(ahead, '\n'); line >= 0 {
			ahead = ahead[:line]
		}
		if strings.Contains(ahead, "]]") {
			break
		}
		p.pop()
	}
	top := p.top(base)
	if top == nil || top.kind != '{' {
		if n > 2 && top != nil && top.kind == '-' && i+n < len(text) && text[i+n] == '-' {
			n--
		}
		for range n {
			p.out = append(p.out, '}')
		}
		return n
	}
	took := 0
	for n-took >= 2 {
		m := 2
		if top.count >= 3 && n-took >= 3 {
			m = 3
		}
		start := top.start + top.count
		if m == 3 {
			p.parameter(start, top.seps)
		} else {
			p.call(start, top.seps)
		}
		took += m
		top = &p.frames[len(p.frames)-1]
		p.seps = p.seps[:top.seps]
		if top.count -= m; top.count < 2 {
			p.pop()
			break
		}
	}
	return took
}

// parameter resolves {{{name|default}}} whose inside begins at start.
func (p *preprocessor) parameter(start, seps int) {
	inside := string(p.out[start:])
	name, fallback, given := inside, "", false
	if len(p.seps) > seps {
		at := p.seps[seps].at - start
		end := len(inside)
		if len(p.seps) > seps+1 {
			end = p.seps[seps+1].at - start
		}
		name, fallback, given = inside[:at], inside[at+1:end], true
	}
	p.out = p.out[:start-3]
	name = strings.TrimSpace(name)
	for _, a := range p.args {
		if a.key == name {
			p.spend(a.value)
			return
		}
	}
	if given {
		p.out = append(p.out, fallback...)
	}
}

// spend appends what an expansion gave, as far as the budget goes.
func (p *preprocessor) spend(s string) {
	if len(s) > p.budget {
		p.budget = 0
		return
	}
	p.budget -= len(s)
	p.out = append(p.out, s...)
}

// literal appends a marker for text that is no markup.
func (p *preprocessor) literal(s string) {
	if s == "" {
		return
	}
	n := len(p.literals)
	if n >= 1<<(4*markerDigits) {
		return
	}
	p.literals = append(p.literals, s)
	p.out = append(p.out, markerByte)
	for shift := 4 * (markerDigits - 1); shift >= 0; shift -= 4 {
		p.out = append(p.out, "0123456789abcdef"[n>>shift&15])
	}
}

// markerAt returns the text that the marker at text[i] stands for.
func (p *preprocessor) markerAt(text []byte, i int) (string, bool) {
	if i+1+markerDigits > len(text) {
		return "", false
	}
	n := 0
	for _, c := range text[i+1 : i+1+markerDigits] {
		switch {
		case '0' <= c && c <= '9':
			n = n<<4 | int(c-'0')
		case 'a' <= c && c <= 'f':
			n = n<<4 | int(c-'a'+10)
		default:
			return "", false
		}
	}
	if n >= len(p.literals) {
		return "", false
	}
	return p.literals[n], true
}

// dash handles a '-', which begins -{ in wikis with variants.
func (p *preprocessor) dash(text string, i, base int) int {
	if p.ex.convert && i+1 < len(text) && text[i+1] == '{' && len(p.frames) < maxOpen {
		// "-{{" begins a template after a dash.
		if n := runOf(text, i+1); n == 1 || n == 3 {
			p.frames = append(p.frames, frame{kind: '-', count: 1, start: len(p.out), seps: len(p.seps)})
			p.out = append(p.out, '-', '{')
			return 2
		}
	}
	p.out = append(p.out, '-')
	return 1
}

// closeConversion resolves -{...}-: "flags|variant:text;variant:text" or just
// text that is not to be converted.
func (p *preprocessor) closeConversion() {
	top := p.frames[len(p.frames)-1]
	inside := string(p.out[top.start+2:])
	p.out = p.out[:top.start]
	p.pop()
	if flags, rest, found := strings.Cut(inside, "|"); found && len(flags) < 16 && !strings.ContainsAny(flags, ":;{") {
		if strings.ContainsAny(flags, "TH-") {
			return // a title, or rules for elsewhere
		}
		inside = rest
	}
	first := ""
	for part := range strings.SplitSeq(inside, ";") {
		variant, text, found := strings.Cut(part, ":")
		variant = strings.TrimSpace(variant)
		if i := strings.LastIndex(variant, "=>"); i >= 0 {
			variant = strings.TrimSpace(variant[i+2:])
		}
		if !found || !isVariant(variant) {
			continue
		}
		if first == "" {
			first = text
		}
		if p.ex.opts.Variant != "" && strings.EqualFold(variant, p.ex.opts.Variant) {
			first = text
			break
		}
	}
	if first == "" {
		first = inside
	}
	p.out = append(p.out, first...)
}

func isVariant(s string) bool {
	if len(s) < 2 || len(s) > 12 {
		return false
	}
	for _, c := range []byte(s) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '-') {
			return false
		}
	}
	return true
}

// trimmed is strings.TrimSpace for bytes of wikitext, which also takes the
// newlines that entities cannot make.
func trimmed(s string) string {
	for len(s) > 0 && s[0] <= ' ' && s[0] != markerByte {
		s = s[1:]
	}
	for len(s) > 0 && s[len(s)-1] <= ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// appendLower appends s in lower case with '_' as ' '.
func appendLower(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return append(dst, strings.ReplaceAll(strings.ToLower(s[i:]), "_", " ")...)
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		case c == '_':
			c = ' '
		}
		dst = append(dst, c)
	}
	return dst
}
