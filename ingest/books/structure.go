package books

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
)

// Options say what is kept of books. The zero value keeps what is read.
type Options struct {
	// FrontMatter keeps what stands around the text of an EPUB: cover, title page,
	// imprint, tables of contents, index.
	FrontMatter bool `json:"front_matter,omitempty"`
	// Notes keeps footnotes and endnotes of an EPUB.
	Notes bool `json:"notes,omitempty"`
}

// frontMatter are the values of epub:type (EPUB 3 Structural Semantics) and of the
// type of a guide's reference (OPF 2.0.1, section 2.6) for what stands around a text.
var frontMatter = map[string]bool{
	"cover": true, "titlepage": true, "title-page": true, "halftitlepage": true, "halftitle": true, "fulltitle": true, "copyright-page": true, "imprint": true,
	"imprimatur": true, "colophon": true, "other-credits": true, "toc": true, "toc-brief": true, "landmarks": true, "loa": true, "loi": true, "lot": true, "lov": true,
	"page-list": true, "index": true, "pg-header": true, "pg-footer": true,
}

// notes are those for notes.
var notes = map[string]bool{
	"footnote": true, "footnotes": true, "endnote": true, "endnotes": true, "rearnote": true, "rearnotes": true, "note": true, "notes": true,
}

var (
	semantics = regexp.MustCompile(`(?is)\s(?:epub:)?type\s*=\s*["']([^"'<>]*)["']`)
	aside     = regexp.MustCompile(`(?is)<(aside|section|div|li|ol)\b[^<>]*?\sepub:type\s*=\s*["']([^"'<>]*)["'][^<>]*>`)
	noteref   = regexp.MustCompile(`(?is)<a\b[^<>]*?\sepub:type\s*=\s*["'][^"'<>]*\bnoteref\b[^"'<>]*["'][^<>]*>[^<>]{0,20}(?:<sup>[^<>]{0,20}</sup>)?[^<>]{0,20}</a>`)
)

// kindOf tells what a document of a spine is: by its body and the elements that open
// before its first word.
func kindOf(page []byte) (front, note bool) {
	at := bodyTag.FindIndex(page)
	if at == nil {
		return false, false
	}
	rest := page[at[0]:min(len(page), at[0]+4096)]
	for range 4 {
		end := bytes.IndexByte(rest, '>')
		if end < 0 || !structural.Match(rest) {
			break
		}
		if m := semantics.FindSubmatch(rest[:end+1]); m != nil {
			for t := range strings.FieldsSeq(strings.ToLower(string(m[1]))) {
				front, note = front || frontMatter[t], note || notes[t]
			}
		}
		rest = bytes.TrimLeft(rest[end+1:], " \t\r\n")
	}
	return front, note
}

var (
	bodyTag    = regexp.MustCompile(`(?i)<body\b`)
	structural = regexp.MustCompile(`(?i)^<(?:body|section|div|article|nav|main)\b`)
)

// withoutNotes takes the notes, and the signs that lead to them, out of a document.
func withoutNotes(page []byte) (rest []byte, dropped int) {
	page = noteref.ReplaceAll(page, nil)
	for from := 0; ; {
		m := aside.FindSubmatchIndex(page[from:])
		if m == nil {
			return append(rest, page[from:]...), dropped
		}
		name := strings.ToLower(string(page[from+m[2] : from+m[3]]))
		isNote := false
		for t := range strings.FieldsSeq(strings.ToLower(string(page[from+m[4] : from+m[5]]))) {
			isNote = isNote || notes[t]
		}
		end := -1
		if isNote {
			end = closing(page[from+m[1]:], name)
		}
		if end < 0 {
			rest = append(rest, page[from:from+m[1]]...)
			from += m[1]
			continue
		}
		rest = append(rest, page[from:from+m[0]]...)
		from += m[1] + end
		dropped++
	}
}

// closing returns where the element that was just opened ends, -1 where it does not
// within a bound.
func closing(page []byte, name string) int {
	const most = 1 << 20
	depth := 1
	for i := 0; i < min(len(page), most); i++ {
		if page[i] != '<' || i+1 >= len(page) {
			continue
		}
		rest := page[i+1:]
		shut := rest[0] == '/'
		if shut {
			rest = rest[1:]
		}
		if len(rest) <= len(name) || !strings.EqualFold(string(rest[:len(name)]), name) || rest[len(name)] >= 'a' && rest[len(name)] <= 'z' {
			continue
		}
		if !shut {
			depth++
			continue
		}
		if depth--; depth == 0 {
			for j := i; j < min(len(page), i+64); j++ {
				if page[j] == '>' {
					return j + 1
				}
			}
			return -1
		}
	}
	return -1
}

// chapterHead is how a chapter begins in languages of Europe. It stands in a paragraph
// of its own, or before the chapter's title.
var chapterHead = regexp.MustCompile(`(?i)^(?:(?:the )?(?:chapter|book|part|volume|act|scene|canto|stave|letter|section|kapitel|buch|teil|akt|brief|erstes|zweites|drittes|chapitre|livre|partie|tome|acte|scène|` +
	`capitolo|libro|parte|atto|cap[ií]tulo|tomo|acto|hoofdstuk|boek|deel|luku|rozdział|księga|kapitola|глава|часть|книга|том|розділ|частина|κεφάλαιο|βιβλίο)` +
	`[ \t]+(?:the[ \t]+)?(?:[0-9]{1,3}|[ivxlcdm]{1,7}|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen|nineteen|twent\pL+|thirt\pL+|fort\pL+|fift\pL+|` +
	`first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|last|premi\pL+|prim\pL+|eins|zwei|drei|kapitel|buch|перв\pL+|втор\pL+|трет\pL+)(?:$|[^\pL\pN])|` +
	`(?:prologue|epilogue|preface|foreword|afterword|introduction|prolog|epilog|vorwort|nachwort|einleitung|préface|avant-propos|épilogue|prólogo|epílogo|prologo|epilogo|prefazione|prefacio|пролог|эпилог|предисловие)[.:]?$)`)

// maxHead is the longest paragraph that is taken for the head of a chapter, in bytes.
const maxHead = 120

// heads returns the offsets of the paragraphs that begin chapters.
func heads(text string) (at []int) {
	for from := 0; from < len(text); {
		end := strings.Index(text[from:], "\n\n")
		if end < 0 {
			end = len(text) - from
		}
		if end > 0 && end <= maxHead && chapterHead.MatchString(strings.TrimLeft(text[from:from+end], "_*\"“ ")) {
			at = append(at, from)
		}
		from += end
		for from < len(text) && text[from] == '\n' {
			from++
		}
	}
	return at
}

// chapterMark stands, in a paragraph of its own, where a chapter begins. Texts have no
// such character.
const chapterMark = "\x00"

// marked takes the marks out of a text and returns where they were.
func marked(text string) (string, []int) {
	if !strings.Contains(text, chapterMark) {
		return text, nil
	}
	var out strings.Builder
	var at []int
	for p := range strings.SplitSeq(text, "\n\n") {
		if p == chapterMark {
			if out.Len() == 0 {
				at = append(at, 0)
			} else {
				at = append(at, out.Len()+2)
			}
			continue
		}
		if p = strings.ReplaceAll(p, chapterMark, ""); p == "" {
			continue
		}
		if out.Len() > 0 {
			out.WriteString("\n\n")
		}
		out.WriteString(p)
	}
	clean := out.String()
	at = slices.DeleteFunc(slices.Compact(at), func(i int) bool { return i >= len(clean) })
	return clean, at
}

// structure fills in Chapters.
func (b *Book) structure(at []int) {
	at = append(at, heads(b.Text)...)
	slices.Sort(at)
	b.Chapters = slices.Compact(at)
}
