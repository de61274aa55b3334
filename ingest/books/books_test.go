package books_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
)

const english = `The Project Gutenberg EBook of A Sea Tale, by Jane Doe

This eBook is for the use of anyone anywhere at no cost.

Title: A Sea Tale
       Told in Two Parts

Author: Jane Doe

Release Date: March 1, 2001 [EBook #99999]

Language: English

*** START OF THIS PROJECT GUTENBERG EBOOK A SEA
TALE ***




Produced by Some Body and the Online Distributed
Proofreading Team at http://www.pgdp.net

Transcriber's Note: Spelling was left
as it was.




A SEA TALE


CHAPTER I

The ship left the harbour in the early morning, with a fair wind and a
crew of nine. It was the _Albatross_, and the mate--a man of few words--
had her painted in a blue-
green that nobody else on the coast would have thought of for a vessel.

[Illustration]

"Where to?" asked the boy. [Transcriber's Note: "bog" in the original,
corrected.] Nobody answered.

  The wind it blew,
  The sails they filled,
  And all the crew
  Sang as they willed.




End of the Project Gutenberg EBook of A Sea Tale, by Jane Doe

*** END OF THIS PROJECT GUTENBERG EBOOK A SEA TALE ***

***** This file should be named 99999.txt or 99999.zip *****
Licence, licence, licence.
`

func TestGutenbergText(t *testing.T) {
	b := books.ParseText([]byte(strings.ReplaceAll(english, "\n", "\r\n")))
	want := `A SEA TALE

CHAPTER I

The ship left the harbour in the early morning, with a fair wind and a crew of nine. It was the Albatross, and the mate--a man of few words--had her painted in a blue-green that nobody else on the coast would have thought of for a vessel.

"Where to?" asked the boy. Nobody answered.

The wind it blew,
The sails they filled,
And all the crew
Sang as they willed.`
	if b.Text != want {
		t.Errorf("text:\n%s\nwant:\n%s", b.Text, want)
	}
	if b.Title != "A Sea Tale Told in Two Parts" || b.Author != "Jane Doe" || b.Language != "en" || !b.Gutenberg || b.Encoding != "utf-8" {
		t.Errorf("%+v", b)
	}
}

func TestHeadersOfSeveralLanguagesAndTimes(t *testing.T) {
	for name, c := range map[string]struct{ text, want, title, language string }{
		"small print": {
			"Project Gutenberg Etext of A Tale\n\nTitle: A Tale\n\n**Welcome To The World of Free Plain Vanilla Electronic Texts**\n\n*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*\n\n\nBody of it.\n\n\nEnd of Project Gutenberg's A Tale\n",
			"Body of it.", "A Tale", "",
		},
		"stars without spaces": {
			"***START OF THE PROJECT GUTENBERG EBOOK X***\n\nBody.\n\n***END OF THE PROJECT GUTENBERG EBOOK X***\nmore\n",
			"Body.", "", "",
		},
		"German": {
			"Titel: Ein Buch\nSprache: Deutsch\n\n*** START DIESES PROJEKT GUTENBERG EBOOK EIN BUCH ***\n\nAnmerkungen zur Transkription:\nAlles blieb.\n\n\n\n\nHaupttext.\n\nEnde dieses Projekt Gutenberg EBook Ein Buch\n",
			"Haupttext.", "Ein Buch", "de",
		},
		"French": {
			"Titre: Un livre\nLangue: Français\n\n*** START OF THE PROJECT GUTENBERG EBOOK UN LIVRE ***\n\nProduit par Quelqu'un\n\nTexte.\n\nFin du Project Gutenberg EBook de Un livre\n",
			"Texte.", "Un livre", "fr",
		},
		"notes at the end": {
			"*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nBody.\n\n\n\nTranscriber's Notes:\n\nPage 3: comma added.\n\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\n",
			"Body.", "", "",
		},
		"a book about the project": {
			"I read about the project.\n\nThe end of it was near, and Project Gutenberg was young.\n\nMore.\n",
			"I read about the project.\n\nThe end of it was near, and Project Gutenberg was young.\n\nMore.", "", "",
		},
		"no header": {"Call me Ishmael.\n", "Call me Ishmael.", "", ""},
	} {
		b := books.ParseText([]byte(c.text))
		if b.Text != c.want || b.Title != c.title || b.Language != c.language {
			t.Errorf("%s: %q, title %q, language %q", name, b.Text, b.Title, b.Language)
		}
	}
}

func TestReflow(t *testing.T) {
	long := "This is a line of prose that runs to the width at which the lines were broken"
	for name, c := range map[string]struct{ text, want string }{
		"hyphenation undone where the text knows the word": {
			"The hyphenation of words is known here, and it is a thing of the printers, the hyphen-\nation, I say, of the old time when lines were full and words were broken at will of\nall.\n",
			"The hyphenation of words is known here, and it is a thing of the printers, the hyphenation, I say, of the old time when lines were full and words were broken at will of all.",
		},
		"lines that are paragraphs": {
			strings.Repeat("word ", 60) + "one.\n" + strings.Repeat("word ", 50) + "two.\n",
			strings.TrimSpace(strings.Repeat("word ", 60)) + " one.\n\n" + strings.TrimSpace(strings.Repeat("word ", 50)) + " two.",
		},
		"paragraphs without blank lines": {
			long + "\nand a second line that is as long as the first one was before it, to be sure\nand it ends.\n" + long + "\nand ends here.\n" + strings.Repeat(long+"\n", 40),
			long + " and a second line that is as long as the first one was before it, to be sure and it ends.\n\n" + long + " and ends here.\n\n" + strings.TrimSpace(strings.Repeat(long+" ", 40)),
		},
		"italics": {"_All_ of _this one_ snake_case_name __ and _open.\n", "All of this one snake_case_name __ and _open."},
		"blank":   {" \n\t\n", ""},
	} {
		if got := books.ParseText([]byte(c.text)).Text; got != c.want {
			t.Errorf("%s:\n%q, want\n%q", name, got, c.want)
		}
	}
}

func utf16le(s string, bom bool) []byte {
	var out []byte
	if bom {
		out = append(out, 0xff, 0xfe)
	}
	for _, u := range utf16.Encode([]rune(s)) {
		out = append(out, byte(u), byte(u>>8))
	}
	return out
}

func TestDecode(t *testing.T) {
	sentence := "Ein Satz mit Umlauten und Emoji, genügend lang. "
	for name, c := range map[string]struct {
		data           string
		text, encoding string
		replaced       int
	}{
		"ascii":               {"plain", "plain", "utf-8", 0},
		"utf-8 with mark":     {"\xef\xbb\xbfä", "ä", "utf-8", 0},
		"utf-8, one bad byte": {strings.Repeat("ä", 20) + "\xff", strings.Repeat("ä", 20) + "\ufffd", "utf-8", 1},
		"latin-1":             {"caf\xe9", "café", "windows-1252", 0},
		"windows-1252":        {"\x93caf\xe9\x94 \x80 \x81", "“café” € \ufffd", "windows-1252", 1},
		"utf-16le with mark":  {string(utf16le("a𝄞ü", true)), "a𝄞ü", "utf-16le", 0},
		"utf-16le, no mark":   {string(utf16le(sentence, false)), sentence, "utf-16le", 0},
		"utf-16be with mark":  {"\xfe\xff\x00a\x00\xfc", "aü", "utf-16be", 0},
		"utf-16, odd, halved": {"\xff\xfe\x34\xd8a\x00b", "\ufffda\ufffd", "utf-16le", 2},
		"declared":            {"Character set encoding: ISO-8859-2\n\xb1\xe6", "Character set encoding: ISO-8859-2\nąć", "iso-8859-2", 0},
		"declared koi8-r":     {"Character set encoding: KOI8-R\n\xd0\xd2\xc9", "Character set encoding: KOI8-R\nпри", "koi8-r", 0},
		"declared nonsense":   {"Character set encoding: Klingon-1\n\xe9", "Character set encoding: Klingon-1\né", "windows-1252", 0},
	} {
		text, encoding, replaced := books.Decode([]byte(c.data))
		if text != c.text || encoding != c.encoding || replaced != c.replaced {
			t.Errorf("%s: %q, %s, %d", name, text, encoding, replaced)
		}
	}
}

func TestControlsAreDropped(t *testing.T) {
	b := books.ParseText([]byte("a\x00b\x01\r\n\r\nc\fd\r\re\n"))
	if b.Text != "ab\n\nc d\n\ne" && b.Text != "ab\n\nc\nd\n\ne" || b.Dropped != 2 {
		t.Errorf("%q, %d dropped", b.Text, b.Dropped)
	}
}

func FuzzParseText(f *testing.F) {
	f.Add([]byte(english))
	for _, s := range []string{"", "***", "*** START OF PROJECT GUTENBERG ***", "[Transcriber's Note: [", "Transcriber's Note", "_a_b_", "-\n-\na", "\xff\xfe\x00", "a-\nb\n a\n\n\x00", "Title: \n \n", "End of Project Gutenberg"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b := books.ParseText(data)
		for _, s := range []string{b.Text, b.Title, b.Author, b.Language} {
			if !utf8.ValidString(s) {
				t.Fatalf("%q is not valid UTF-8", s)
			}
		}
		if strings.Contains(b.Text, "\n\n\n") || strings.ContainsAny(b.Text, "\x00\r") || strings.TrimSpace(b.Text) != b.Text {
			t.Fatalf("text %q", b.Text)
		}
		if again := books.ParseText(data); !reflect.DeepEqual(again, b) {
			t.Fatal("the same bytes gave two books")
		}
	})
}

func BenchmarkParseText(b *testing.B) {
	head, tail, _ := strings.Cut(english, "[Illustration]")
	body := strings.Repeat("The ship left the harbour in the early morning, with a fair wind and a\ncrew of nine, and \"nobody\" saw it leave but an old woman on the quay,\nwho waved.\n\n", 3000)
	data := []byte(head + body + tail)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		books.ParseText(data)
	}
}

func ExampleParseText() {
	b := books.ParseText([]byte("Title: Small Things\n\n*** START OF THE PROJECT GUTENBERG EBOOK ***\n\nOnce upon\na time.\n\n*** END OF THE PROJECT GUTENBERG EBOOK ***\n"))
	fmt.Println(b.Title)
	fmt.Println(b.Text)
	// Output:
	// Small Things
	// Once upon a time.
}
