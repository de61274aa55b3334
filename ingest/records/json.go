package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrSyntax says that a record is no JSON object.
var ErrSyntax = errors.New("not a JSON object")

// maxDepth bounds how deep objects and arrays lie in each other.
const maxDepth = 512

// Decoder reads records of JSON. It does not change and may be used by several
// goroutines.
type Decoder struct {
	wants    map[string][]wanted
	prefixes map[string]bool // paths of objects and arrays that hold fields
	all      bool            // of a text of several fields
}

// NewDecoder returns a Decoder that looks for the given fields.
func NewDecoder(f Fields) *Decoder {
	d := &Decoder{wants: f.wants(), prefixes: map[string]bool{"": true}, all: len(f.Text) > 0}
	for path := range d.wants {
		for i, c := range []byte(path) {
			if c == '.' {
				d.prefixes[path[:i]] = true
			}
		}
	}
	return d
}

// reading is one record that is being read.
type reading struct {
	d    *Decoder
	data []byte
	at   int
	path []byte
	row  Row
	// rank of what was found for each part; texts of a text of several fields.
	rank    [parts]int
	texts   []string
	notText bool
}

// Decode reads one object. All of it is looked at: what is no JSON is an error that
// wraps ErrSyntax and tells the place. NaN and infinite numbers, which Python writes,
// pass. A string's halves of characters and bytes that are no UTF-8 become U+FFFD. Of
// fields of the same name the last counts. Decode keeps nothing of data.
func (d *Decoder) Decode(data []byte) (Row, error) {
	r := reading{d: d, data: data}
	for i := range r.rank {
		r.rank[i] = 1 << 30
	}
	r.space()
	if r.peek() != '{' {
		return Row{}, r.fail("it begins with %s", r.here())
	}
	if err := r.value(true, 0); err != nil {
		return Row{}, err
	}
	r.space()
	if r.at < len(data) {
		return Row{}, r.fail("%s after the object", r.here())
	}
	switch {
	case d.all && len(r.texts) > 0:
		r.row.Text = strings.Join(slices.DeleteFunc(r.texts, func(s string) bool { return s == "" }), "\n\n")
	case r.rank[textPart] == 1<<30 && r.notText:
		return r.row, ErrNotText
	case r.rank[textPart] == 1<<30:
		return r.row, fmt.Errorf("%w, but %s", ErrNoText, fieldsOf(data))
	}
	return r.row, nil
}

func (r *reading) fail(format string, args ...any) error {
	return fmt.Errorf("%w: byte %d: %s", ErrSyntax, r.at, fmt.Sprintf(format, args...))
}

// here names what stands at the present place.
func (r *reading) here() string {
	if r.at >= len(r.data) {
		return "its end"
	}
	return strconv.QuoteToASCII(string(r.data[r.at:min(len(r.data), r.at+8)]))
}

func (r *reading) peek() byte {
	if r.at < len(r.data) {
		return r.data[r.at]
	}
	return 0
}

func (r *reading) space() {
	for r.at < len(r.data) {
		switch r.data[r.at] {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return
		}
	}
}

// value reads a value at the present path. Only when look is set can it be, or hold,
// what is wanted.
func (r *reading) value(look bool, depth int) error {
	if depth > maxDepth {
		return r.fail("more than %d objects and arrays in each other", maxDepth)
	}
	var want []wanted
	if look && len(r.path) > 0 {
		want = r.d.wants[string(r.path)]
	}
	inside := look && r.d.prefixes[string(r.path)]
	switch c := r.peek(); c {
	case '{':
		if slices.ContainsFunc(want, func(w wanted) bool { return w.part == textPart }) {
			r.notText = true
		}
		return r.object(inside, depth)
	case '[':
		return r.array(want, inside, depth)
	case '"':
		from := r.at
		plain, err := r.skipString()
		if err != nil || len(want) == 0 {
			return err
		}
		s, repaired := unquote(r.data[from+1:r.at-1], plain)
		r.row.Repaired += repaired
		r.found(want, s, true)
		return nil
	case 't', 'f', 'n', 'N', 'I', '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		from := r.at
		for r.at < len(r.data) && isScalar(r.data[r.at]) {
			r.at++
		}
		s := string(r.data[from:r.at])
		switch s {
		case "null":
			return nil
		case "true", "false", "NaN", "Infinity", "-Infinity":
		default:
			if _, err := strconv.ParseFloat(s, 64); err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(s, "xX_nNiI") {
				r.at = from
				return r.fail("%s is no value", r.here())
			}
		}
		r.found(want, s, false)
		return nil
	}
	return r.fail("%s where a value is wanted", r.here())
}

func isScalar(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// found takes a value for the parts that want it.
func (r *reading) found(want []wanted, s string, text bool) {
	for _, w := range want {
		switch {
		case w.part == textPart && !text:
			r.notText = true
		case w.part == textPart && r.d.all:
			for len(r.texts) <= w.rank {
				r.texts = append(r.texts, "")
			}
			r.texts[w.rank] = s
			r.rank[textPart] = 0
		case w.rank <= r.rank[w.part]:
			r.rank[w.part] = w.rank
			r.row.set(w.part, s)
		}
	}
}

func (r *reading) object(inside bool, depth int) error {
	r.at++
	length := len(r.path)
	for first := true; ; first = false {
		r.space()
		switch c := r.peek(); {
		case c == '}' && r.at < len(r.data):
			r.at++
			return nil
		case first:
		case c == ',':
			r.at++
			r.space()
		default:
			return r.fail("%s where a comma or the end of an object is wanted", r.here())
		}
		if r.peek() != '"' {
			return r.fail("%s where a name is wanted", r.here())
		}
		from := r.at
		plain, err := r.skipString()
		if err != nil {
			return err
		}
		if inside {
			if length > 0 {
				r.path = append(r.path, '.')
			}
			if raw := r.data[from+1 : r.at-1]; plain {
				r.path = append(r.path, raw...)
			} else {
				name, _ := unquote(raw, false)
				r.path = append(r.path, name...)
			}
		}
		r.space()
		if r.peek() != ':' {
			return r.fail("%s where a colon is wanted", r.here())
		}
		r.at++
		r.space()
		if err := r.value(inside, depth+1); err != nil {
			return err
		}
		r.path = r.path[:length]
	}
}

// array reads an array. One of strings where a text is wanted makes paragraphs of it.
func (r *reading) array(want []wanted, inside bool, depth int) error {
	r.at++
	length := len(r.path)
	var list []string
	strange := false
	for i := 0; ; i++ {
		r.space()
		switch c := r.peek(); {
		case c == ']' && r.at < len(r.data):
			r.at++
			if len(want) > 0 {
				switch {
				case strange && slices.ContainsFunc(want, func(w wanted) bool { return w.part == textPart }):
					r.notText = true
				case len(list) > 0:
					for _, w := range want {
						sep := ", "
						if w.part == textPart {
							sep = "\n\n"
						}
						r.found([]wanted{w}, strings.Join(list, sep), true)
					}
				}
			}
			return nil
		case i == 0:
		case c == ',':
			r.at++
			r.space()
		default:
			return r.fail("%s where a comma or the end of an array is wanted", r.here())
		}
		if len(want) > 0 && r.peek() == '"' {
			from := r.at
			plain, err := r.skipString()
			if err != nil {
				return err
			}
			s, repaired := unquote(r.data[from+1:r.at-1], plain)
			r.row.Repaired += repaired
			list = append(list, s)
			continue
		}
		strange = true
		if inside {
			if length > 0 {
				r.path = append(r.path, '.')
			}
			r.path = strconv.AppendInt(r.path, int64(i), 10)
		}
		if err := r.value(inside, depth+1); err != nil {
			return err
		}
		r.path = r.path[:length]
	}
}

// skipString passes a string. plain says that it holds no escapes, only ASCII or
// bytes that are taken as they are after a check.
func (r *reading) skipString() (plain bool, err error) {
	plain = true
	for i := r.at + 1; i < len(r.data); i++ {
		switch c := r.data[i]; {
		case c == '"':
			r.at = i + 1
			return plain, nil
		case c == '\\':
			plain = false
			i++
			if i >= len(r.data) {
				break
			}
			switch r.data[i] {
			case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
			case 'u':
				if hex4(r.data[i+1:]) < 0 {
					r.at = i - 1
					return false, r.fail("%s is no escape", r.here())
				}
				i += 4
			default:
				r.at = i - 1
				return false, r.fail("%s is no escape", r.here())
			}
		case c == '\n':
			// A line break in a string is against the rules, and a sign that the record
			// was torn.
			r.at = i
			return false, r.fail("a string goes over the end of its line")
		}
	}
	return false, r.fail("a string without an end")
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte) rune {
	if len(b) < 4 {
		return -1
	}
	var v rune
	for _, c := range b[:4] {
		switch {
		case c >= '0' && c <= '9':
			v = v<<4 | rune(c-'0')
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			v = v<<4 | rune(c|0x20-'a'+10)
		default:
			return -1
		}
	}
	return v
}

// unquote returns what the inside of a string says, as valid UTF-8, and how much of
// it had to be replaced. Its escapes are well-formed.
func unquote(raw []byte, plain bool) (string, int) {
	if plain {
		return validString(string(raw))
	}
	var out strings.Builder
	out.Grow(len(raw))
	repaired := 0
	from := 0
	flush := func(to int) {
		s, n := validString(string(raw[from:to]))
		repaired += n
		out.WriteString(s)
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		flush(i)
		i++
		switch c := raw[i]; c {
		case 'b':
			out.WriteByte('\b')
		case 'f':
			out.WriteByte('\f')
		case 'n':
			out.WriteByte('\n')
		case 'r':
			out.WriteByte('\r')
		case 't':
			out.WriteByte('\t')
		case 'u':
			v := hex4(raw[i+1:])
			i += 4
			if utf16.IsSurrogate(v) {
				pair := rune(utf8.RuneError)
				if len(raw) > i+2 && raw[i+1] == '\\' && raw[i+2] == 'u' {
					pair = utf16.DecodeRune(v, hex4(raw[i+3:]))
				}
				if pair == utf8.RuneError {
					repaired++
				} else {
					i += 6
				}
				v = pair
			}
			out.WriteRune(v)
		default:
			out.WriteByte(c)
		}
		from = i + 1
	}
	flush(len(raw))
	return out.String(), repaired
}

// validString returns s with U+FFFD for each byte that is part of no character, and
// how many there were.
func validString(s string) (string, int) {
	if utf8.ValidString(s) {
		return s, 0
	}
	var out strings.Builder
	out.Grow(len(s) + 16)
	replaced := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			replaced++
		}
		out.WriteRune(r)
		i += size
	}
	return out.String(), replaced
}

// fieldsOf lists the names of an object's fields, for a message.
func fieldsOf(data []byte) string {
	var fields map[string]json.RawMessage
	if len(data) > 1<<20 || json.Unmarshal(data, &fields) != nil {
		return "others"
	}
	return listed(slices.Sorted(maps.Keys(fields)))
}
