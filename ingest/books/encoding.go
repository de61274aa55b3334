package books

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/htmlindex"
)

// maxDeclaration is how far into a text a header is looked for that names its
// encoding.
const maxDeclaration = 8 << 10

var declared = regexp.MustCompile(`(?i)Character set encoding:\s*([A-Za-z0-9][A-Za-z0-9 _.:-]{1,40})`)

// Decode returns data as valid UTF-8, the encoding it was read in (by its IANA
// name in small letters), and how many bytes made no character in it and became
// U+FFFD. A byte-order mark decides; then whether data is UTF-8, but for some
// broken sequences; then what the header of a Gutenberg text declares; and
// otherwise Windows-1252, of which Latin-1 is a part.
func Decode(data []byte) (text, encoding string, replaced int) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return repairUTF8(data[3:])
	case bytes.HasPrefix(data, []byte("\xff\xfe")):
		return decodeUTF16(data[2:], binary.LittleEndian, "utf-16le")
	case bytes.HasPrefix(data, []byte("\xfe\xff")):
		return decodeUTF16(data[2:], binary.BigEndian, "utf-16be")
	}
	switch zerosAt(data) {
	case 1:
		return decodeUTF16(data, binary.LittleEndian, "utf-16le")
	case 0:
		return decodeUTF16(data, binary.BigEndian, "utf-16be")
	}
	if whole, broken := countUTF8(data); broken == 0 || whole > 8*broken {
		return repairUTF8(data)
	}
	if m := declared.FindSubmatch(data[:min(len(data), maxDeclaration)]); m != nil {
		name := strings.ToLower(strings.Join(strings.Fields(string(m[1])), "-"))
		name = strings.Replace(name, "iso-latin-", "latin", 1)
		enc, err := htmlindex.Get(name)
		canonical, nameErr := htmlindex.Name(enc)
		if err == nil && nameErr == nil && canonical != "utf-8" && canonical != "windows-1252" && canonical != "replacement" {
			if out, err := enc.NewDecoder().Bytes(data); err == nil {
				text, _, replaced = repairUTF8(out)
				return text, canonical, replaced + bytes.Count(out, []byte("\ufffd"))
			}
		}
	}
	return decodeWindows1252(data)
}

// zerosAt returns the parity of the positions at which text in UTF-16 without a
// byte-order mark has its zeros, or -1 for other data.
func zerosAt(data []byte) int {
	head := data[:min(len(data), 4096)]
	var zeros [2]int
	for i, c := range head {
		if c == 0 {
			zeros[i&1]++
		}
	}
	for parity := range zeros {
		if n := len(head) / 2; n > 8 && zeros[parity] > n*2/3 && zeros[1-parity] < n/20 {
			return parity
		}
	}
	return -1
}

// countUTF8 counts the sequences of several bytes that are whole and those that
// are not.
func countUTF8(data []byte) (whole, broken int) {
	for i := 0; i < len(data); {
		if data[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size == 1 {
			broken++
		} else {
			whole++
		}
		i += size
	}
	return whole, broken
}

func repairUTF8(data []byte) (text, encoding string, replaced int) {
	if utf8.Valid(data) {
		return string(data), "utf-8", 0
	}
	_, replaced = countUTF8(data)
	return string(bytes.ToValidUTF8(data, []byte("\ufffd"))), "utf-8", replaced
}

func decodeUTF16(data []byte, order binary.ByteOrder, name string) (text, encoding string, replaced int) {
	units := make([]uint16, len(data)/2)
	for i := range units {
		units[i] = order.Uint16(data[2*i:])
	}
	var out strings.Builder
	out.Grow(len(units))
	for i := 0; i < len(units); i++ {
		r := rune(units[i])
		if utf16.IsSurrogate(r) {
			low := rune(0)
			if i+1 < len(units) {
				low = rune(units[i+1])
			}
			if r = utf16.DecodeRune(r, low); r == utf8.RuneError {
				replaced++
			} else {
				i++
			}
		}
		out.WriteRune(r)
	}
	if len(data)%2 != 0 {
		out.WriteRune(utf8.RuneError)
		replaced++
	}
	return out.String(), name, replaced
}

// windows1252 maps 0x80 to 0x9f; 0 where the byte stands for no character.
var windows1252 = [32]rune{
	'€', 0, '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', 0, 'Ž', 0,
	0, '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', 0, 'ž', 'Ÿ',
}

func decodeWindows1252(data []byte) (text, encoding string, replaced int) {
	var out strings.Builder
	out.Grow(len(data) + len(data)/8)
	for _, c := range data {
		r := rune(c)
		if c >= 0x80 && c < 0xa0 {
			if r = windows1252[c-0x80]; r == 0 {
				r = utf8.RuneError
				replaced++
			}
		}
		out.WriteRune(r)
	}
	return out.String(), "windows-1252", replaced
}
