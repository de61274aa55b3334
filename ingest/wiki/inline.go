package wiki

import (
	"bytes"
	"html"
	"strings"
	"unicode"
	"unicode/utf8"
)

// stops marks the bytes of a line that are not copied as they are.
var stops = [256]bool{'\'': true, '[': true, '<': true, '&': true, '_': true, markerByte: true, '\r': true}

// inline appends a line's text.
func (l *layout) inline(line []byte) {
	l.noBracket = len(line) + 1
	l.quotes = l.quotes[:0]
	if bytes.Contains(line, []byte("''")) {
		l.quotes = balanceQuotes(l.quotes, line)
	}
	l.span(line, 0, len(line), 0)
}

// span appends the text of line[i:end].
func (l *layout) span(line []byte, i, end, depth int) {
	nextQuote := 0
	for nextQuote < len(l.quotes) && l.quotes[nextQuote].at < i {
		nextQuote++
	}
	for i < end {
		j := i
		for j < end && !stops[line[j]] {
			j++
		}
		if j > i && l.htmlTable == 0 {
			l.out = append(l.out, line[i:j]...)
		}
		if i = j; i == end {
			return
		}
		from := len(l.out)
		switch c := line[i]; c {
		case '\'':
			n := 1
			for i+n < end && line[i+n] == '\'' {
				n++
			}
			keep := n
			if n >= 2 {
				for nextQuote < len(l.quotes) && l.quotes[nextQuote].at < i {
					nextQuote++
				}
				if nextQuote < len(l.quotes) && l.quotes[nextQuote].at == i {
					keep = l.quotes[nextQuote].keep
				}
			}
			for range keep {
				l.out = append(l.out, '\'')
			}
			i += n
		case '[':
			i = l.externalLink(line, i, end, depth)
		case '<':
			i = l.htmlTag(line, i, end)
		case '&':
			i += l.entity(line[i:end])
		case '_':
			if n := behaviourSwitch(line[i:end]); n > 0 {
				i += n
				break
			}
			l.out = append(l.out, '_')
			i++
		case markerByte:
			// It is resolved when the block has been tidied, which its text must not be.
			n := min(1+markerDigits, end-i)
			l.out = append(l.out, line[i:i+n]...)
			i += n
		default:
			i++
		}
		if l.htmlTable > 0 && len(l.out) > from {
			l.out = l.out[:from]
		}
	}
}

// externalLink handles "[https://example.org label]".
func (l *layout) externalLink(line []byte, i, end, depth int) int {
	if depth > 0 || !isURL(line[i+1:end]) || i >= l.noBracket {
		l.out = append(l.out, '[')
		return i + 1
	}
	at := bytes.IndexByte(line[i:end], ']')
	if at < 0 {
		l.noBracket = i
		l.out = append(l.out, '[')
		return i + 1
	}
	at += i
	if space := bytes.IndexAny(line[i:at], " \t"); space >= 0 {
		l.span(line, i+space+1, at, depth+1)
	}
	return at + 1
}

var protocols = []string{"http://", "https://", "//", "ftp://", "ftps://", "mailto:", "news:", "irc://", "ircs://", "gopher://", "git://", "svn://", "tel:", "sip:", "xmpp:", "urn:", "geo:", "magnet:", "nntp://", "worldwind://", "ssh://", "sftp://", "telnet://", "redis://", "bitcoin:", "matrix:"}

func isURL(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, p := range protocols {
		if len(b) > len(p) && b[0]|0x20 == p[0]|0x20 && strings.EqualFold(string(b[:len(p)]), p) {
			return true
		}
	}
	return false
}

// behaviourSwitch returns the length of a "__NOTOC__", in any language, or 0.
func behaviourSwitch(b []byte) int {
	if len(b) < 5 || b[1] != '_' {
		return 0
	}
	for i := 2; i < len(b) && i < 64; {
		if b[i] == '_' {
			if i > 3 && i+1 < len(b) && b[i+1] == '_' {
				return i + 2
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if !unicode.IsLetter(r) || unicode.IsLower(r) {
			return 0
		}
		i += size
	}
	return 0
}

// entity appends the entity b begins with and returns how much of b it took.
func (l *layout) entity(b []byte) int {
	end := bytes.IndexByte(b[:min(len(b), 34)], ';')
	if end < 2 {
		l.out = append(l.out, '&')
		return 1
	}
	switch string(b[1:end]) {
	case "nbsp", "thinsp", "ensp", "emsp", "#160", "#xA0", "#xa0", "#8239", "hairsp", "#32", "numsp", "puncsp":
		l.out = append(l.out, ' ')
	case "zwnj":
		l.out = append(l.out, "\u200c"...)
	case "shy", "#8203", "zwsp", "ZeroWidthSpace", "#173", "lrm", "rlm", "#8206", "#8207", "#x200e", "#x200E", "#x200B", "#x200b":
	case "ndash":
		l.out = append(l.out, "–"...)
	case "mdash":
		l.out = append(l.out, "—"...)
	case "minus":
		l.out = append(l.out, "−"...)
	default:
		s := html.UnescapeString(string(b[:end+1]))
		if len(s) == end+1 && s[0] == '&' {
			l.out = append(l.out, '&')
			return 1
		}
		for _, r := range s {
			if r >= ' ' || r == '\n' {
				l.out = utf8.AppendRune(l.out, r)
			}
		}
	}
	return end + 1
}

func unescape(s string) string {
	if strings.IndexByte(s, '&') < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' {
			return -1
		}
		return r
	}, html.UnescapeString(s))
}

type htmlKind uint8

const (
	htmlInline htmlKind = iota + 1
	htmlLine            // begins and ends a line
	htmlBlock           // begins and ends a paragraph
	htmlTable
	htmlCell
	htmlRaise
)

var htmlTags = func() map[string]htmlKind {
	m := map[string]htmlKind{"br": htmlLine, "li": htmlLine, "tr": htmlLine, "dt": htmlLine, "dd": htmlLine, "table": htmlTable, "td": htmlCell, "th": htmlCell, "sup": htmlRaise}
	for name := range strings.FieldsSeq("abbr b bdi bdo big cite code data del dfn em font i ins kbd link mark meta q rb rtc ruby s samp small span strike strong sub time tt u var wbr a img noinclude onlyinclude ref nowiki poem math pre source syntaxhighlight gallery tbody thead tfoot caption col colgroup") {
		m[name] = htmlInline
	}
	for name := range strings.FieldsSeq("blockquote center div dl h1 h2 h3 h4 h5 h6 hr ol p section ul article aside header footer main nav figure") {
		m[name] = htmlBlock
	}
	return m
}()

// htmlTag handles the '<' at i and returns where to go on.
func (l *layout) htmlTag(line []byte, i, end int) int {
	j := i + 1
	closing := j < end && line[j] == '/'
	if closing {
		j++
	}
	start := j
	for j < end && isTagByte(line[j]) && j-start < 24 {
		j++
	}
	var buf [24]byte
	name := appendLower(buf[:0], string(line[start:j]))
	kind, known := htmlTags[string(name)]
	if !known {
		l.out = append(l.out, '<')
		return i + 1
	}
	gt := -1
	if j < end && (line[j] == '>' || line[j] == '/' || line[j] == ' ' || line[j] == '\t') {
		gt = bytes.IndexByte(line[j:min(end, j+2048)], '>')
	}
	if gt < 0 {
		l.out = append(l.out, '<')
		return i + 1
	}
	after := j + gt + 1
	if kind == htmlTable && !l.ex.opts.Tables {
		switch {
		case closing && l.htmlTable > 0:
			l.htmlTable--
		case !closing && line[after-2] != '/':
			if l.htmlTable == 0 {
				l.stats.Tables++
			}
			l.htmlTable++
		}
		return after
	}
	if l.htmlTable > 0 {
		return after
	}
	switch kind {
	case htmlLine:
		l.out = append(l.out, '\n')
	case htmlBlock, htmlTable:
		l.out = append(l.out, '\n', '\n')
	case htmlCell:
		switch {
		case closing || len(l.out) == l.text || l.out[len(l.out)-1] == '\n':
		case l.ex.opts.Tables:
			l.out = append(l.out, " | "...)
		default:
			l.out = append(l.out, ' ')
		}
	case htmlRaise:
		if !closing && raised(line[after:end]) && len(l.out) > l.text {
			if r, _ := utf8.DecodeLastRune(l.out); unicode.IsLetter(r) || unicode.IsDigit(r) || r == ')' {
				l.out = append(l.out, '^')
			}
		}
	}
	return after
}

// raised says whether what follows <sup> is an exponent, whose number would
// otherwise run into the one before it.
func raised(b []byte) bool {
	end := bytes.Index(b[:min(len(b), 40)], []byte("</"))
	if end <= 0 {
		return false
	}
	s := strings.TrimSpace(string(b[:end]))
	s = strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "&minus;"), "−"), "–")
	s = strings.TrimLeft(s, "+-")
	if s == "n" {
		return true
	}
	for _, c := range s {
		if !('0' <= c && c <= '9' || c == '.' || c == '/') {
			return false
		}
	}
	return s != ""
}

// quote tells how many apostrophes of a run of two or more are text.
type quote struct {
	at, keep int
	size     int
}

// balanceQuotes finds the apostrophes that stand for italic and bold in a line:
// runs of two, three or five. When a line ends with both bold and italic open,
// one run of three was an apostrophe before italic text.
func balanceQuotes(dst []quote, line []byte) []quote {
	bold, italic := 0, 0
	for i := 0; i < len(line); i++ {
		if line[i] != '\'' {
			continue
		}
		n := 1
		for i+n < len(line) && line[i+n] == '\'' {
			n++
		}
		if n >= 2 {
			q := quote{at: i, size: n}
			switch {
			case n == 4:
				q.keep, q.size = 1, 3
			case n > 5:
				q.keep, q.size = n-5, 5
			}
			switch q.size {
			case 2:
				italic++
			case 3:
				bold++
			case 5:
				bold++
				italic++
			}
			dst = append(dst, q)
		}
		i += n - 1
	}
	if bold%2 == 0 || italic%2 == 0 {
		return dst
	}
	single, multi, space := -1, -1, -1
	for k, q := range dst {
		if q.size != 3 {
			continue
		}
		before, before2 := byte(' '), byte(' ')
		at := q.at + q.keep
		if at > 0 {
			before = line[at-1]
		}
		if at > 1 {
			before2 = line[at-2]
		}
		switch {
		case before == ' ':
			if space < 0 {
				space = k
			}
		case before2 == ' ':
			if single < 0 {
				single = k
			}
		case multi < 0:
			multi = k
		}
	}
	for _, k := range []int{single, multi, space} {
		if k >= 0 {
			dst[k].keep++
			break
		}
	}
	return dst
}
