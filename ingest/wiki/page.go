package wiki

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	cdataStart = []byte("<![CDATA[")
	cdataEnd   = []byte("]]>")
	textEnd    = []byte("</text>")
)

// parsePage reads the elements of one page, <page> and </page> included. It
// returns what is wrong with it, or "".
func parsePage(data []byte, site *Site, p *Page) (detail string) {
	*p = Page{Namespace: -1 << 31, Offset: p.Offset, Record: p.Record}
	inRevision, haveText := false, false
	for i := 0; ; {
		t, ok := nextElement(data, i)
		if !ok {
			break
		}
		i = t.body
		switch t.name {
		case "title":
			if p.Title == "" {
				p.Title = content(data, t)
			}
		case "ns":
			if n, err := strconv.Atoi(content(data, t)); err == nil && !inRevision {
				p.Namespace = n
			}
		case "id":
			// The first id of a revision is its own; its contributor's follows.
			n, err := strconv.ParseInt(content(data, t), 10, 64)
			switch {
			case err != nil:
			case !inRevision && p.ID == 0:
				p.ID = n
			case inRevision && p.Revision == 0:
				p.Revision = n
			}
		case "redirect":
			if p.Redirect = attribute(t.attrs, "title"); p.Redirect == "" {
				p.Redirect = "?" // schemas before 0.6 do not name where it leads
			}
		case "revision":
			inRevision, haveText = true, false
			p.Revisions++
			p.Revision, p.Timestamp, p.Model, p.Format, p.Text, p.Repaired = 0, "", "", "", "", 0
		case "timestamp":
			p.Timestamp = content(data, t)
		case "model":
			p.Model = content(data, t)
		case "format":
			p.Format = content(data, t)
		case "text":
			if t.empty || haveText {
				break // the main slot of a revision stands before the others
			}
			end := bytes.Index(data[t.body:], textEnd)
			if end < 0 {
				return "<text> without </text>"
			}
			p.Text, p.Repaired = decode(data[t.body : t.body+end])
			haveText = true
			i = t.body + end + len(textEnd)
		}
	}
	if p.Title == "" {
		return "no <title>"
	}
	if p.Namespace == -1<<31 {
		p.Namespace = site.namespace(p.Title)
	}
	return ""
}

// decode returns escaped XML content as text: the five predefined entities and
// character references, CDATA, line ends as \n, and valid UTF-8 without the
// control characters that XML does not allow. repaired counts the invalid
// sequences that became U+FFFD.
func decode(data []byte) (text string, repaired int) {
	valid := clean(data)
	amp := bytes.IndexByte(data, '&')
	rare := !valid || bytes.IndexByte(data, '\r') >= 0 || bytes.IndexByte(data, '<') >= 0
	if amp < 0 && !rare {
		return string(data), 0
	}
	var b strings.Builder
	b.Grow(len(data))
	for len(data) > 0 {
		var n int
		if rare {
			n = nextSpecial(data)
		} else {
			n = bytes.IndexByte(data, '&')
		}
		if n < 0 {
			b.Write(data)
			break
		}
		b.Write(data[:n])
		data = data[n:]
		switch c := data[0]; {
		case c == '&':
			r, size := reference(data)
			if size == 0 {
				b.WriteByte('&')
				data = data[1:]
				break
			}
			b.WriteRune(r)
			data = data[size:]
		case c == '\r':
			b.WriteByte('\n')
			data = data[1:]
			if len(data) > 0 && data[0] == '\n' {
				data = data[1:]
			}
		case c == '<':
			end := bytes.Index(data, cdataEnd)
			if !bytes.HasPrefix(data, cdataStart) || end < 0 {
				b.WriteByte('<')
				data = data[1:]
				break
			}
			inner := bytes.ToValidUTF8(data[len(cdataStart):end], []byte("\uFFFD"))
			b.Write(bytes.Map(dropControl, inner))
			data = data[end+len(cdataEnd):]
		case c < 0x20:
			data = data[1:]
		default:
			b.WriteRune(utf8.RuneError)
			repaired++
			data = data[1:]
			for len(data) > 0 && data[0] >= 0x80 {
				if r, size := utf8.DecodeRune(data); r != utf8.RuneError || size > 1 {
					break
				}
				data = data[1:]
			}
		}
	}
	return b.String(), repaired
}

func dropControl(r rune) rune {
	if r < 0x20 && r != '\n' && r != '\t' {
		return -1
	}
	return r
}

// clean says whether data is valid UTF-8 without forbidden control characters.
func clean(data []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i := 0; i < len(data); {
		if i+8 <= len(data) {
			w := binary.LittleEndian.Uint64(data[i:])
			if (w-0x20*ones)&^w&highs == 0 { // no byte below 0x20
				i += 8
				continue
			}
		}
		end := min(i+8, len(data))
		for _, c := range data[i:end] {
			if c < 0x20 && c != '\n' && c != '\t' && c != '\r' {
				return false
			}
		}
		i = end
	}
	return utf8.Valid(data)
}

// nextSpecial returns the index of the first byte that is not copied as it is,
// or -1.
func nextSpecial(data []byte) int {
	for i := 0; i < len(data); {
		c := data[i]
		switch {
		case c == '&' || c == '<' || c < 0x20 && c != '\n' && c != '\t':
			return i
		case c < 0x80:
			i++
		default:
			r, size := utf8.DecodeRune(data[i:])
			if r == utf8.RuneError && size == 1 {
				return i
			}
			i += size
		}
	}
	return -1
}

// reference decodes the entity or character reference that data begins with.
// Size 0 says that it is none; a reference to what is no character gives U+FFFD.
func reference(data []byte) (r rune, size int) {
	end := bytes.IndexByte(data[:min(len(data), 12)], ';')
	if end < 2 {
		return 0, 0
	}
	switch name := data[1:end]; string(name) {
	case "lt":
		return '<', end + 1
	case "gt":
		return '>', end + 1
	case "amp":
		return '&', end + 1
	case "quot":
		return '"', end + 1
	case "apos":
		return '\'', end + 1
	default:
		if name[0] != '#' {
			return 0, 0
		}
		digits, base := name[1:], 10
		if len(digits) > 0 && (digits[0] == 'x' || digits[0] == 'X') {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseUint(string(digits), base, 32)
		if err != nil {
			return 0, 0
		}
		r = rune(n)
		if n > utf8.MaxRune || !utf8.ValidRune(r) || r < 0x20 && r != '\n' && r != '\t' && r != '\r' {
			r = utf8.RuneError
		}
		return r, end + 1
	}
}
