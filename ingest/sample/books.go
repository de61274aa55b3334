package sample

import (
	"fmt"
	"strings"
)

// lineWidth is where the books' lines are wrapped.
const lineWidth = 70

// latin1Book is the number of the book in ISO-8859-1.
const latin1Book = 2

// book is one plain-text book before it is encoded.
type book struct {
	title, author, body string
}

// books writes the folder of books: hard-wrapped, with a header and a licence
// text around them in the style of Project Gutenberg. Every second has CRLF line
// ends, one is ISO-8859-1, one has a byte order mark, one is a second printing of
// another, one differs from another in a few words, and one file is empty.
func (w *writing) books() error {
	n := w.count(12, 3)
	for i := range n {
		b := w.book(i)
		encoding := "UTF-8"
		if i == latin1Book {
			encoding = "ISO-8859-1"
		}
		text := b.wrapped(1000+i, encoding, "2008")
		if i%2 == 1 {
			text = strings.ReplaceAll(text, "\n", "\r\n")
		}
		data := []byte(text)
		switch i {
		case 1:
			data = append([]byte("\ufeff"), data...)
		case latin1Book:
			data = latin1(text)
		}
		if err := w.writeFile(bookPath(i), data); err != nil {
			return err
		}
	}
	first := w.book(0)
	again := BooksDir + "/reprint.txt"
	if err := w.writeFile(again, []byte(first.wrapped(2000, "UTF-8", "2016"))); err != nil {
		return err
	}
	w.planted.Exact = append(w.planted.Exact, Pair{Original: Place{File: bookPath(0)}, Copy: Place{File: again}})
	second := w.book(1)
	var changed float64
	second.body, changed = alter(w.rng("books/near", 0), second.body)
	edited := BooksDir + "/revised-edition.txt"
	if err := w.writeFile(edited, []byte(second.wrapped(2001, "UTF-8", "2017"))); err != nil {
		return err
	}
	w.planted.Near = append(w.planted.Near, Pair{Place{File: bookPath(1)}, Place{File: edited}, changed})
	w.report.Books = n + 2

	empty := BooksDir + "/zz-empty.txt"
	w.planted.Broken = append(w.planted.Broken, Fault{Place{File: empty}, "the file is empty"})
	return w.writeFile(empty, nil)
}

func bookPath(i int) string { return fmt.Sprintf("%s/book-%02d.txt", BooksDir, i) }

// book makes the text of book i: chapters of narrative with some dialogue, the
// paragraphs still on one line each.
func (w *writing) book(i int) book {
	r := w.rng("book", i)
	t := &w.topics[i%len(w.topics)]
	side := &w.topics[r.IntN(len(w.topics))]
	a := newAuthor(r, t, true)
	hero, friend := a.cast[0], a.cast[1]
	out := book{
		title:  "The " + capital(t.agents[hero.agent]) + " of " + townName(r),
		author: givenName(r, r.IntN(2) == 0) + " " + familyName(r),
	}
	if i == latin1Book {
		out.author = "Zoé " + out.author
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nby %s\n\n", strings.ToUpper(out.title), out.author)
	for c := range min(24, w.count(24, 4)) {
		a.t = t
		if c%4 == 3 {
			a.t = side
		}
		th := pick(r, a.t.things)
		fmt.Fprintf(&b, "\n\nCHAPTER %s\n\n%s\n\n", roman(c+1), capital("the "+th.qualities[0]+" "+th.noun))
		for p := range 14 + r.IntN(8) {
			var paragraph string
			if p%4 == 2 {
				paragraph = a.dialogue(hero, friend)
			} else {
				paragraph = strings.Join(a.paragraph(4+r.IntN(6)), " ")
			}
			w.report.TextBytes += int64(len(paragraph))
			b.WriteString(paragraph + "\n\n")
		}
	}
	b.WriteString("\nTHE END\n")
	out.body = b.String()
	return out
}

// dialogue is a short exchange; speakers take turns.
func (a *author) dialogue(speakers ...person) string {
	var lines []string
	for i := range 2 + a.r.IntN(3) {
		who := speakers[i%len(speakers)]
		given, _, _ := strings.Cut(who.name, " ")
		a.past = false
		said := capital(a.clause())
		a.past = true
		lines = append(lines, fmt.Sprintf("\"%s,\" %s %s.", said, pick(a.r, []string{"said", "answered", "whispered", "cried"}), given))
	}
	return strings.Join(lines, " ")
}

// wrapped puts the header and licence around the book and wraps its lines.
func (b book) wrapped(number int, encoding, year string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "The Project Gutenberg EBook of %s, by %s\n\n", b.title, b.author)
	wrap(&out, "This book was made up by a program; it only has the form of a Project Gutenberg file. Do with it what you like.")
	fmt.Fprintf(&out, "\n\nTitle: %s\n\nAuthor: %s\n\nRelease Date: March, %s [EBook #%d]\n\nLanguage: English\n\nCharacter set encoding: %s\n\n",
		b.title, b.author, year, number, encoding)
	fmt.Fprintf(&out, "*** START OF THIS PROJECT GUTENBERG EBOOK %s ***\n\n\n\n", strings.ToUpper(b.title))
	for _, paragraph := range strings.Split(b.body, "\n") {
		wrap(&out, paragraph)
	}
	fmt.Fprintf(&out, "\n\n\nEnd of the Project Gutenberg EBook of %s, by %s\n\n*** END OF THIS PROJECT GUTENBERG EBOOK %s ***\n\n", b.title, b.author, strings.ToUpper(b.title))
	for section := 1; section <= 5; section++ {
		wrap(&out, fmt.Sprintf("1.%d. This paragraph stands where the licence text of a real file stands. It belongs to the file, not to the book, and a reader of the book should never see it. Whoever finds the word licenceparagraph in a document has found a fault.", section))
		out.WriteByte('\n')
	}
	return out.String()
}

// wrap writes a paragraph in lines of at most lineWidth bytes.
func wrap(out *strings.Builder, paragraph string) {
	width := 0
	for i, word := range strings.Fields(paragraph) {
		switch {
		case i == 0:
		case width+1+len(word) > lineWidth:
			out.WriteByte('\n')
			width = 0
		default:
			out.WriteByte(' ')
			width++
		}
		out.WriteString(word)
		width += len(word)
	}
	out.WriteByte('\n')
}

// latin1 encodes s in ISO-8859-1; its letters all exist there.
func latin1(s string) []byte {
	out := make([]byte, 0, len(s))
	for _, c := range s {
		out = append(out, byte(c))
	}
	return out
}

func roman(n int) string {
	var b strings.Builder
	for _, d := range []struct {
		value int
		digit string
	}{{10, "X"}, {9, "IX"}, {5, "V"}, {4, "IV"}, {1, "I"}} {
		for ; n >= d.value; n -= d.value {
			b.WriteString(d.digit)
		}
	}
	return b.String()
}
