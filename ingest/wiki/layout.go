package wiki

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// layout makes paragraphs of preprocessed wikitext.
type layout struct {
	ex    *Extractor
	pre   *preprocessor
	stats *Stats
	out   []byte

	text      int  // where the paragraph under way begins in out
	open      bool // there is one
	list      bool // it is an item of a list
	lastList  bool // the block before was one
	headings  []heading
	skipLevel int // of the section that is being dropped; 0: none
	htmlTable int // <table> that stand open
	noBracket int // no ']' from here on in the line
	numbers   [8]int
	quotes    []quote
	row       []byte
}

// heading waits for text to stand under it.
type heading struct {
	level int
	text  string
}

func (l *layout) run(ex *Extractor, pre *preprocessor, stats *Stats) {
	*l = layout{ex: ex, pre: pre, stats: stats, out: l.out[:0], headings: l.headings[:0], quotes: l.quotes[:0], row: l.row[:0]}
	text := pre.out
	tables := tableEnds(text)
	for i := 0; i < len(text); {
		end := bytes.IndexByte(text[i:], '\n')
		if end < 0 {
			end = len(text)
		} else {
			end += i
		}
		line := text[i:end]
		i = end + 1
		if l.line(line, tables, i-1-len(line)) {
			continue
		}
		// A table: its lines are taken together.
		start := end - len(line)
		after := tables.end(start)
		if l.ex.opts.Tables && l.skipLevel == 0 && l.htmlTable == 0 {
			l.table(text[start:after])
		} else if l.skipLevel == 0 {
			l.endBlock()
			l.stats.Tables++
		}
		i = after
	}
	l.endBlock()
	l.out = bytes.TrimRight(l.out, " \n")
}

// line lays out one line; false says that a table begins with it.
func (l *layout) line(line []byte, tables tableIndex, at int) bool {
	trimmedLine := bytes.TrimLeft(line, " \t")
	if len(trimmedLine) == 0 {
		l.endBlock()
		return true
	}
	c := line[0]
	if c == '=' {
		if level, title, ok := headingOf(line); ok {
			l.heading(level, title)
			return true
		}
	}
	if begin := bytes.TrimLeft(trimmedLine, ":"); bytes.HasPrefix(begin, tableStart) && tables.begins(at) {
		return false
	}
	if l.skipLevel > 0 {
		return true
	}
	switch c {
	case '*', '#', ':', ';':
		l.item(line)
		return true
	case '-':
		if bytes.HasPrefix(line, []byte("----")) {
			l.endBlock()
			trimmedLine = bytes.TrimLeft(line, "- ")
		}
	case '|':
		// What is left of a table whose beginning a template has made.
		if bytes.HasPrefix(line, tableEnd) || bytes.HasPrefix(line, []byte("|-")) {
			l.endBlock()
			return true
		}
	}
	if l.list {
		l.endBlock()
	}
	l.numbers = [8]int{}
	l.join()
	l.inline(trimmedLine)
	return true
}

// join goes on with the paragraph that is open, or begins one.
func (l *layout) join() {
	if !l.open {
		l.begin(false)
		return
	}
	// A line's end is a space, but not between letters of a script that has none.
	n := len(l.out)
	if n == l.text || l.out[n-1] == '\n' || l.out[n-1] == ' ' {
		return
	}
	if r, _ := utf8.DecodeLastRune(l.out); !spaceless(r) {
		l.out = append(l.out, ' ')
	}
}

func spaceless(r rune) bool {
	return r >= 0x2E80 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) || r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFF60)
}

// begin starts a paragraph or an item of a list. The headings before it are
// written when it turns out not to be empty.
func (l *layout) begin(list bool) {
	l.endBlock()
	l.open, l.list, l.text = true, list, len(l.out)
}

// endBlock ends the paragraph under way.
func (l *layout) endBlock() {
	if !l.open {
		l.lastList = false
		return
	}
	l.open = false
	block := tidy(l.out[l.text:])
	if len(block) == 0 {
		l.out = l.out[:l.text]
		return
	}
	l.row = l.resolve(l.row[:0], block)
	l.out = l.out[:l.text]
	for _, h := range l.headings {
		l.separate(false)
		l.out = append(l.out, h.text...)
		l.lastList = false
	}
	l.headings = l.headings[:0]
	l.separate(l.list && l.lastList)
	l.out = append(l.out, l.row...)
	l.lastList = l.list
}

// resolve appends b with the texts that its markers stand for.
func (l *layout) resolve(dst, b []byte) []byte {
	for {
		i := bytes.IndexByte(b, markerByte)
		if i < 0 {
			return append(dst, b...)
		}
		dst = append(dst, b[:i]...)
		b = b[i:]
		if text, ok := l.pre.markerAt(b, 0); ok {
			dst = append(dst, text...)
			b = b[markerDigits:]
		}
		b = b[1:]
	}
}

func (l *layout) separate(near bool) {
	switch {
	case len(l.out) == 0:
	case near:
		l.out = append(l.out, '\n')
	default:
		l.out = append(l.out, '\n', '\n')
	}
}

// headingOf reads "== title ==".
func headingOf(line []byte) (level int, title []byte, ok bool) {
	line = bytes.TrimRight(line, " \t")
	n, m := 0, 0
	for n < len(line) && line[n] == '=' {
		n++
	}
	for m < len(line)-n && line[len(line)-1-m] == '=' {
		m++
	}
	level = min(n, m, 6)
	if level == 0 {
		return 0, nil, false
	}
	return level, bytes.TrimSpace(line[level : len(line)-level]), true
}

func (l *layout) heading(level int, title []byte) {
	l.endBlock()
	l.lastList = false
	l.htmlTable = 0
	l.numbers = [8]int{}
	if l.skipLevel > 0 && level > l.skipLevel {
		return
	}
	l.skipLevel = 0
	for len(l.headings) > 0 && l.headings[len(l.headings)-1].level >= level {
		l.headings = l.headings[:len(l.headings)-1]
	}
	at := len(l.out)
	l.inline(title)
	l.row = l.resolve(l.row[:0], tidy(l.out[at:]))
	text := string(l.row)
	l.out = l.out[:at]
	if !l.ex.opts.Boilerplate && isBoilerplate(text) {
		l.skipLevel = level
		l.stats.Sections++
		return
	}
	if text != "" {
		l.headings = append(l.headings, heading{level, text})
	}
}

// item lays out a line of a list.
func (l *layout) item(line []byte) {
	depth := 0
	for depth < len(line) && (line[depth] == '*' || line[depth] == '#' || line[depth] == ':' || line[depth] == ';') {
		depth++
	}
	kind := line[depth-1]
	was := l.lastList || l.list
	text := bytes.TrimLeft(line[depth:], " \t")
	l.begin(true)
	l.lastList = was && l.lastList
	if depth > 8 {
		depth = 8
	}
	for d := depth; d < len(l.numbers); d++ {
		l.numbers[d] = 0
	}
	mark := len(l.out)
	switch kind {
	case '*':
		l.out = append(l.out, "- "...)
	case '#':
		l.numbers[depth-1]++
		l.out = strconv.AppendInt(l.out, int64(l.numbers[depth-1]), 10)
		l.out = append(l.out, ". "...)
	}
	if kind != '#' {
		l.numbers[depth-1] = 0
	}
	if kind == ';' {
		// "; term : definition"
		if at := bytes.Index(text, []byte(" : ")); at > 0 {
			l.inline(text[:at])
			l.out = append(l.out, ": "...)
			text = text[at+3:]
		}
	}
	from := len(l.out)
	l.inline(text)
	// A quotation in an item stands beside its mark, not below it.
	lead := len(l.out) - from - len(bytes.TrimLeft(l.out[from:], " \n"))
	l.out = append(l.out[:from], l.out[from+lead:]...)
	if len(bytes.TrimSpace(l.out[from:])) == 0 {
		if kind == '#' {
			l.numbers[depth-1]--
		}
		l.out = l.out[:mark]
	}
}

// messy returns where b first has what tidy changes, or -1. It looks at eight
// bytes at a time: most text has nothing.
func messy(b []byte) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	i := 0
	for ; i+8 <= len(b); i += 7 {
		w := binary.LittleEndian.Uint64(b[i:])
		// The high bits of the bytes below '0', which all that is messy is; a byte
		// above one that is may be marked too.
		low := (w - '0'*ones) & ^w & highs
		if low&(low>>8) == 0 && (w-' '*ones)&^w&highs == 0 {
			continue
		}
		if j := messyAt(b, i, i+7); j >= 0 {
			return j
		}
	}
	return messyAt(b, i, len(b))
}

func messyAt(b []byte, i, end int) int {
	for ; i < end; i++ {
		switch b[i] {
		case '\n', '\t':
			return i
		case ' ', '(':
			if i+1 < len(b) && (b[i+1] == ' ' || b[i+1] == ',' || b[i+1] == ';' || b[i+1] == ')' || b[i+1] == '\n' || b[i+1] == '\t' || b[i] == ' ' && b[i+1] == '.') {
				return i
			}
		}
	}
	return -1
}

// tidy takes out what dropped markup leaves behind: spaces before commas, empty
// brackets, spaces at the ends and doubled. It works in place.
func tidy(b []byte) []byte {
	b = bytes.Trim(b, " \n\t")
	w := messy(b)
	if w < 0 {
		return b
	}
	for i := w; i < len(b); i++ {
		c := b[i]
		if c == '\t' {
			c = ' '
		}
		switch c {
		case ' ':
			if w == 0 || b[w-1] == ' ' || b[w-1] == '\n' || b[w-1] == '(' {
				continue
			}
		case '\n':
			for w > 0 && b[w-1] == ' ' {
				w--
			}
			if w == 0 || w > 1 && b[w-1] == '\n' && b[w-2] == '\n' {
				continue
			}
		case ',', ';':
			for w > 1 && b[w-1] == ' ' {
				w--
			}
			if w > 0 && b[w-1] == '(' || w > 0 && c == ',' && b[w-1] == ',' {
				continue // "(, born 1900"
			}
		case '.':
			if w > 1 && b[w-1] == ' ' && (i+1 == len(b) || b[i+1] == ' ' || b[i+1] == '\n') {
				w--
			}
		case ')':
			for w > 1 && (b[w-1] == ' ' || b[w-1] == ',' || b[w-1] == ';') {
				w--
			}
			if w > 0 && b[w-1] == '(' {
				w--
				continue
			}
		}
		b[w] = c
		w++
	}
	for w > 0 && (b[w-1] == ' ' || b[w-1] == '\n') {
		w--
	}
	return b[:w]
}
