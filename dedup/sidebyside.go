package dedup

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/width"
)

const (
	// defaultWidth is that of Write where there is no terminal, minWidth the least.
	defaultWidth, minWidth = 120, 40
	// excerptWords is how many words Write shows at each end of a long stretch that
	// both texts have, or one only.
	excerptWords = 40
	// maxRows is how many rows of a difference it shows.
	maxRows = 300
)

// Write prints the explanation for people: the marked text on the left and what
// stays on the right, in columns columns (0: 120). What only the marked one has
// stands in [-...-], what only the kept one has in {+...+}, red and green when color
// is set. What surrounds a span is dim, or in parentheses.
func (e *Explanation) Write(w io.Writer, color bool, columns int) error {
	var b strings.Builder
	m := &e.Mark
	fmt.Fprintf(&b, "%s %s of %s: rule %s, %s", m.ID, quoted(e.Title), m.Source, m.Rule, m.Kind)
	if m.Kept != "" || m.Score != 0 {
		fmt.Fprintf(&b, ", score %.3f", m.Score)
	}
	fmt.Fprintf(&b, "\n  %s\n", m.Reason)
	if m.Kept != "" && m.Rule != RuleDecontaminate {
		fmt.Fprintf(&b, "  kept: %s %s of %s\n", m.Kept, quoted(e.KeptTitle), m.KeptSource)
		e.columns(&b, color, columns)
	} else {
		// There is no other document: a task's item, a filter, or a rule of quality.
		if !m.Whole() {
			fmt.Fprintf(&b, "  bytes %d to %d: ", m.Start, m.End)
		}
		b.WriteString("  " + strings.ReplaceAll(excerpt(printable(e.Text)), "\n", "\n  ") + "\n")
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing an explanation: %w", err)
	}
	return nil
}

// excerpt shortens a text to its ends.
func excerpt(text string) string {
	const ends = 160
	if len(text) <= 2*ends+40 {
		return text
	}
	return fmt.Sprintf("%s ... (%d bytes) ... %s", strings.ToValidUTF8(text[:ends], ""), len(text)-2*ends, strings.ToValidUTF8(text[len(text)-ends:], ""))
}

// columns writes the two texts side by side.
func (e *Explanation) columns(b *strings.Builder, color bool, columns int) {
	m := &e.Mark
	if columns <= 0 {
		columns = defaultWidth
	}
	t := twoColumns{out: b, color: color, width: (max(columns, minWidth) - 7) / 2}
	left, right := "marked", "kept"
	if !m.Whole() {
		left = fmt.Sprintf("marked, bytes %d to %d", m.Start, m.End)
		if m.KeptStart >= 0 {
			right = fmt.Sprintf("kept, bytes %d to %d", m.KeptStart, m.KeptEnd)
		}
	}
	t.row(left, right)
	t.row(strings.Repeat("-", t.width), strings.Repeat("-", t.width))
	t.surroundings(e.Before, e.KeptBefore)
	switch {
	case len(e.Diff) > 0:
		for i, p := range e.Diff {
			if t.rows >= maxRows && i < len(e.Diff)-1 {
				t.endRow()
				more := fmt.Sprintf("(%d parts more)", len(e.Diff)-i)
				t.row(more, more)
				break
			}
			t.part(p.In, p.Text)
		}
	default:
		t.part("marked alone", e.Text)
		t.part("kept alone", "(it is no longer there)")
	}
	t.endRow()
	t.surroundings(e.After, e.KeptAfter)
}

// twoColumns lays words out in two columns. Words that both texts have stand in one
// row on both sides.
type twoColumns struct {
	out         *strings.Builder
	color       bool
	width       int
	left, right line
	rows        int
}

// line is one line of a column that is being filled.
type line struct {
	text string
	used int // columns
}

// styles are how a part is put around with signs and with colours.
var styles = map[string]struct{ open, end, on, off string }{
	"marked":       {"[-", "-]", "\x1b[31m", "\x1b[0m"},
	"kept":         {"{+", "+}", "\x1b[32m", "\x1b[0m"},
	"around":       {"(", ")", "\x1b[2m", "\x1b[0m"},
	"both":         {},
	"marked alone": {},
	"kept alone":   {},
}

// part adds one part of a difference.
func (t *twoColumns) part(in, text string) {
	s := styles[in]
	words := cutWords(printable(text))
	if len(words) > 2*excerptWords+10 {
		skipped := 0
		for _, w := range words[excerptWords : len(words)-excerptWords] {
			skipped += len(w)
		}
		words = append(append(words[:excerptWords:excerptWords], fmt.Sprintf("... (%d bytes) ... ", skipped)), words[len(words)-excerptWords:]...)
	}
	for i, w := range words {
		// Lines were broken for another width; paragraphs were not.
		broken := in != "marked" && in != "kept" && strings.Count(w, "\n") > 1
		w = strings.Join(strings.Fields(w), " ")
		if i == 0 {
			w = s.open + w
		}
		if i == len(words)-1 {
			w += s.end
		}
		for _, piece := range t.pieces(w) {
			switch in {
			case "both":
				t.room(piece, true, true)
				t.left.add(piece, "", "")
				t.right.add(piece, "", "")
			case "kept", "kept alone":
				t.room(piece, false, true)
				t.right.add(piece, t.on(s.on), t.on(s.off))
			default:
				t.room(piece, true, false)
				t.left.add(piece, t.on(s.on), t.on(s.off))
			}
		}
		if broken {
			t.endRow()
		}
	}
}

// surroundings adds what stands around a span.
func (t *twoColumns) surroundings(left, right string) {
	s := styles["around"]
	for side, text := range []string{left, right} {
		text = strings.Join(strings.Fields(printable(text)), " ")
		if text == "" {
			continue
		}
		l := &t.left
		if side == 1 {
			l = &t.right
		}
		text = s.open + text + s.end
		if runes := []rune(text); columns(text) > t.width {
			for len(runes) > 0 && columns(string(runes)) > t.width-3 {
				runes = runes[:len(runes)-1]
			}
			text = string(runes) + ".." + s.end
		}
		l.add(text, t.on(s.on), t.on(s.off))
	}
	t.endRow()
}

func (t *twoColumns) on(code string) string {
	if !t.color {
		return ""
	}
	return code
}

// pieces cuts a word that is wider than a column.
func (t *twoColumns) pieces(word string) []string {
	if columns(word) <= t.width {
		return []string{word}
	}
	var out []string
	from, used := 0, 0
	for i, r := range word {
		n := columns(string(r))
		if used+n > t.width {
			out = append(out, word[from:i])
			from, used = i, 0
		}
		used += n
	}
	return append(out, word[from:])
}

// room begins a new row when a word does not fit in one of the columns.
func (t *twoColumns) room(word string, left, right bool) {
	n := columns(word)
	if left && !t.left.fits(n, t.width, word) || right && !t.right.fits(n, t.width, word) {
		t.endRow()
	}
}

func (l *line) fits(n, width int, word string) bool {
	return l.used == 0 || l.used+l.gap(word)+n <= width
}

// gap is the space before a word: none before characters of scripts without spaces.
func (l *line) gap(word string) int {
	if l.used == 0 {
		return 0
	}
	if r, _ := utf8.DecodeRuneInString(word); spaceless(r) {
		return 0
	}
	return 1
}

func (l *line) add(word, on, off string) {
	n := l.gap(word)
	l.text += strings.Repeat(" ", n) + on + word + off
	l.used += n + columns(word)
}

func (t *twoColumns) endRow() {
	if t.left.used == 0 && t.right.used == 0 {
		return
	}
	fmt.Fprintf(t.out, "  %s%s | %s\n", t.left.text, strings.Repeat(" ", max(0, t.width-t.left.used)), t.right.text)
	t.left, t.right = line{}, line{}
	t.rows++
}

// row writes one row of headings.
func (t *twoColumns) row(left, right string) {
	t.left.add(left, "", "")
	t.right.add(right, "", "")
	t.endRow()
}

// columns is how many columns of a terminal a text takes.
func columns(text string) int {
	n := 0
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case r < 0x1100:
			n++
		default:
			if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
				n++
			}
			n++
		}
	}
	return n
}
