package books

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// reflow joins the hard-wrapped lines of a text to paragraphs.
func reflow(lines []string) string {
	w := newWrapping(lines)
	size := 0
	for _, l := range lines {
		size += len(l) + 1
	}
	var out strings.Builder
	out.Grow(size) // a third of the memory that growing takes
	paragraph := func(p []string) {
		text := plainItalics(w.paragraph(p))
		if text == "" {
			return
		}
		if out.Len() > 0 {
			out.WriteString("\n\n")
		}
		out.WriteString(text)
	}
	for _, b := range blocks(lines, len(lines)) {
		run := lines[b.from:b.to]
		if !w.hard {
			// Every line is a paragraph.
			for i := range run {
				paragraph(run[i : i+1])
			}
			continue
		}
		if !w.spaced {
			from := 0
			for i := range run {
				if i+1 < len(run) && w.endsParagraph(run[i], run[i+1]) {
					paragraph(run[from : i+1])
					from = i + 1
				}
			}
			run = run[from:]
		}
		paragraph(run)
	}
	return out.String()
}

// plainItalics takes away the underscores that mark the words between them as
// italics.
func plainItalics(text string) string {
	const longest = 600
	if strings.Count(text, "_") < 2 {
		return text
	}
	var out strings.Builder
	for {
		open := strings.IndexByte(text, '_')
		if open < 0 {
			break
		}
		n := strings.IndexByte(text[open+1:], '_')
		if n < 0 {
			break
		}
		shut := open + 1 + n
		before, _ := utf8.DecodeLastRuneInString(text[:open])
		after, _ := utf8.DecodeRuneInString(text[shut+1:])
		inner := text[open+1 : shut]
		if n > 0 && n <= longest && strings.TrimSpace(inner) == inner && (open == 0 || !isWordRune(before)) && (shut+1 == len(text) || !isWordRune(after)) {
			out.WriteString(text[:open])
			out.WriteString(inner)
			text = text[shut+1:]
		} else {
			out.WriteString(text[:open+1])
			text = text[open+1:]
		}
	}
	out.WriteString(text)
	return out.String()
}

func isWordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// wrapping is how the lines of a text were broken.
type wrapping struct {
	hard   bool // lines are broken at a width
	spaced bool // blank lines stand between paragraphs
	verse  bool // most lines begin with a capital
	width  int  // in characters
	words  map[string]int
	lines  []string
}

func newWrapping(lines []string) *wrapping {
	w := &wrapping{lines: lines}
	var lengths []int
	blank, capitals := 0, 0
	for _, l := range lines {
		if beginsLarge(l) {
			capitals++
		}
		if n := utf8.RuneCountInString(strings.TrimSpace(l)); n > 0 {
			lengths = append(lengths, n)
		} else {
			blank++
		}
	}
	if len(lengths) == 0 {
		return w
	}
	slices.Sort(lengths)
	w.width = lengths[len(lengths)*95/100]
	// Lines broken at a width gather under it; paragraphs have any length.
	w.hard = w.width <= 120
	w.spaced = blank*40 >= len(lengths)
	w.verse = 5*capitals > 3*len(lengths)
	return w
}

// endsParagraph decides, in a text without blank lines, whether a paragraph ends
// with line: a sentence does, and the next word would have had room.
func (w *wrapping) endsParagraph(line, next string) bool {
	line = strings.TrimSpace(line)
	r, _ := utf8.DecodeLastRuneInString(line)
	first, _, _ := strings.Cut(strings.TrimSpace(next), " ")
	room := w.width - utf8.RuneCountInString(line) - 1 - utf8.RuneCountInString(first)
	if !strings.ContainsRune(".!?:\"'”’)]*", r) {
		// A heading: short, and the next line begins anew.
		return room > w.width/3
	}
	return room > 2
}

// paragraph returns the text of one paragraph: its lines joined when they were
// broken at the width, kept when it is verse or a table.
func (w *wrapping) paragraph(run []string) string {
	if len(run) == 1 {
		return collapse(run[0])
	}
	if w.isVerse(run) {
		kept := make([]string, 0, len(run))
		for _, l := range run {
			if l = collapse(l); l != "" {
				kept = append(kept, l)
			}
		}
		return strings.Join(kept, "\n")
	}
	var out []byte
	for i, l := range run {
		l = collapse(l)
		if i == 0 {
			out = append(out, l...)
			continue
		}
		before := collapse(run[i-1])
		switch {
		case strings.HasSuffix(before, "--") || strings.HasSuffix(before, "—"):
		case strings.HasSuffix(before, "-") && startsWithLower(l):
			if w.hyphenates(before, l) {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, ' ')
		}
		out = append(out, l...)
	}
	return string(out)
}

// isVerse reports whether most lines end before the width though there was room
// for the next word, or begin with capitals, as those of a paragraph rarely do.
func (w *wrapping) isVerse(run []string) bool {
	early, roomy, indented, capitals := 0, 0, 0, 0
	longest := 0
	for i, l := range run {
		trimmed := strings.TrimSpace(l)
		n := utf8.RuneCountInString(trimmed)
		longest = max(longest, n)
		if beginsLarge(l) {
			capitals++
		}
		if len(l) > len(strings.TrimLeft(l, " \t")) {
			indented++
		}
		if i+1 < len(run) {
			first, _, _ := strings.Cut(strings.TrimSpace(run[i+1]), " ")
			full := n + 1 + utf8.RuneCountInString(first)
			if full < w.width*4/5 {
				early++
			}
			if full <= w.width {
				roomy++
			}
		}
	}
	breaks := len(run) - 1
	if 3*roomy > breaks && (w.verse && 5*capitals > 3*len(run) || len(run) >= 5 && 10*capitals > 9*len(run)) {
		return true
	}
	if indented == len(run) && longest < w.width*9/10 {
		// A quotation set in with its own width is prose; ragged lines are verse.
		ragged := 0
		for i := range breaks {
			first, _, _ := strings.Cut(strings.TrimSpace(run[i+1]), " ")
			if utf8.RuneCountInString(strings.TrimSpace(run[i]))+1+utf8.RuneCountInString(first) < longest {
				ragged++
			}
		}
		return 3*ragged > breaks
	}
	return 2*early > breaks
}

// beginsLarge reports whether the first letter of a line, past quotation marks and
// blanks, is a capital.
func beginsLarge(l string) bool {
	l = strings.TrimLeft(l, " \t\"'“‘«([_-")
	r, _ := utf8.DecodeRuneInString(l)
	return unicode.IsUpper(r)
}

func startsWithLower(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLower(r)
}

// collapse makes every run of white space one space and trims s.
func collapse(s string) string {
	s = strings.TrimSpace(s)
	for i := 0; i < len(s); i++ {
		if c := s[i]; c == '\t' || c == ' ' && s[i+1] == ' ' || c == 0xC2 && s[i+1] == 0xA0 || c >= 0xE2 && c <= 0xE3 {
			return strings.Join(strings.Fields(s), " ")
		}
	}
	return s
}

// hyphenates reports whether the hyphen at the end of before only breaks a word:
// the text has the word without it elsewhere, and not with it more often.
func (w *wrapping) hyphenates(before, next string) bool {
	if w.words == nil {
		w.words = make(map[string]int)
		for _, l := range w.lines {
			for _, f := range strings.Fields(l) {
				w.words[bareWord(f)]++
			}
		}
	}
	i := strings.LastIndexAny(before, " ")
	left := strings.TrimSuffix(before[i+1:], "-")
	right, _, _ := strings.Cut(next, " ")
	whole, parted := bareWord(left+right), bareWord(left+"-"+right)
	return w.words[whole] > w.words[parted]
}

func bareWord(s string) string {
	return strings.ToLower(strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) }))
}
