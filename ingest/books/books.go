// Package books turns the files in which books come into readable text. A plain
// text has its encoding detected, the header, licence and notes of Project
// Gutenberg removed in several languages, and its hard-wrapped lines joined to
// paragraphs.
package books

import (
	"strings"
)

// Book is one book.
type Book struct {
	Title, Author string
	// Language is an ISO 639-1 code where the header names a language that is
	// known, the header's own words where it names another, and empty where it
	// names none.
	Language string
	// Text has "\n\n" between paragraphs, and "\n" between the lines of verse and
	// tables only.
	Text string
	// Encoding is the one the bytes were read in, by its IANA name in small
	// letters.
	Encoding string
	// Gutenberg says that header or licence of Project Gutenberg was found.
	Gutenberg bool
	// Chapters are the byte offsets in Text at which chapters begin, ascending: by the
	// table of contents of an EPUB, and by headings such as "Chapter II".
	Chapters []int
	// FrontMatter and Notes count the documents and notes of an EPUB that were left
	// out (see Options).
	FrontMatter, Notes int
	// Replaced counts the bytes that made no character in Encoding and became
	// U+FFFD; Dropped counts control characters that were left out.
	Replaced, Dropped int
}

// ParseText reads a book in plain text. It takes any bytes.
func ParseText(data []byte) Book {
	var b Book
	text, encoding, replaced := Decode(data)
	b.Encoding, b.Replaced = encoding, replaced
	text, b.Dropped = dropControls(text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimRight(l, " \t\u00a0")
	}
	lines = b.strip(lines)
	b.Text = reflow(lines)
	b.structure(nil)
	return b
}

// dropControls makes every line end "\n" and leaves out control characters other
// than tabs.
func dropControls(text string) (string, int) {
	if strings.IndexFunc(text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfeff }) < 0 {
		return text, 0
	}
	var out strings.Builder
	out.Grow(len(text))
	dropped := 0
	for i, r := range text {
		switch {
		case r == '\r':
			if i+1 == len(text) || text[i+1] != '\n' {
				out.WriteByte('\n')
			}
		case r == '\f' || r == '\v':
			out.WriteByte('\n')
		case r < ' ' && r != '\n' && r != '\t' || r == 0x7f:
			dropped++
		case r == 0xfeff: // a byte-order mark inside a text joins words
		default:
			out.WriteRune(r)
		}
	}
	return out.String(), dropped
}
