package dedup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/tributary-ml/tributary/ingest"
)

// ErrNoDocument says that no source has a document of the id that was asked for.
var ErrNoDocument = errors.New("no document has this id")

// Explanation is one mark with the texts that it is about.
type Explanation struct {
	Mark Mark `json:"mark"`
	// Title and KeptTitle are those of the two documents.
	Title     string `json:"title"`
	KeptTitle string `json:"kept_title"`
	// Text is the marked part of the document. Diff leads from it to the text kept;
	// it is empty when the document kept is no longer there, or when the mark is
	// about a span.
	Text string `json:"text"`
	// KeptText is what the marked span repeats, where the mark says which part of
	// the document kept that is.
	KeptText string     `json:"kept_text,omitempty"`
	Diff     []DiffPart `json:"diff,omitempty"`
}

// DiffPart is a run of text that both have, or one only.
type DiffPart struct {
	// In is "both", "marked" or "kept".
	In   string `json:"in"`
	Text string `json:"text"`
}

// Explain returns the marks of a document with what they rest on. The error is
// ErrNoDocument when no source has the id; a document without marks gives none.
func Explain(ctx context.Context, dataDir, id string) ([]Explanation, error) {
	sources, err := ingest.Sources(dataDir)
	if err != nil {
		return nil, fmt.Errorf("explaining %s: %w", id, err)
	}
	var out []Explanation
	wanted := map[string]*ingest.Document{id: nil}
	for _, source := range sources {
		for m, err := range Marks(ctx, dataDir, source) {
			if err != nil {
				return nil, fmt.Errorf("explaining %s: %w", id, err)
			}
			if m.ID == id {
				out = append(out, Explanation{Mark: m})
				if m.Kept != "" {
					wanted[m.Kept] = nil
				}
			}
		}
	}
	if err := findDocuments(ctx, dataDir, sources, wanted); err != nil {
		return nil, fmt.Errorf("explaining %s: %w", id, err)
	}
	doc := wanted[id]
	if doc == nil {
		return nil, fmt.Errorf("explaining %q: %w", id, ErrNoDocument)
	}
	for i := range out {
		out[i].fill(doc, wanted[out[i].Mark.Kept])
	}
	return out, nil
}

// findDocuments reads the sources until all wanted ids are found.
func findDocuments(ctx context.Context, dataDir string, sources []string, wanted map[string]*ingest.Document) error {
	missing := len(wanted)
	for _, source := range sources {
		for d, err := range ingest.Documents(ctx, dataDir, source) {
			if err != nil {
				return err
			}
			if have, ok := wanted[d.ID]; ok && have == nil {
				wanted[d.ID] = d
				if missing--; missing == 0 {
					return nil
				}
			}
		}
	}
	return nil
}

func (e *Explanation) fill(doc, kept *ingest.Document) {
	e.Title, e.Text = doc.Title, doc.Text
	if kept != nil {
		e.KeptTitle = kept.Title
	}
	if !e.Mark.Whole() {
		e.Text = part(doc.Text, e.Mark.Start, e.Mark.End)
		if kept != nil && e.Mark.KeptStart >= 0 {
			e.KeptText = part(kept.Text, e.Mark.KeptStart, e.Mark.KeptEnd)
			e.Diff = Diff(e.Text, e.KeptText)
		}
		return
	}
	if kept != nil {
		e.Diff = Diff(doc.Text, kept.Text)
	}
}

// part is a span of a text, which may have become shorter since it was marked.
func part(text string, start, end int64) string {
	from := min(max(start, 0), int64(len(text)))
	return text[from:min(max(end, from), int64(len(text)))]
}

// maxDiffCells bounds the table of the comparison; larger middles are shown as
// replaced whole.
const maxDiffCells = 1 << 22

// Diff compares two texts word by word: the parts that only the marked or the
// kept one has, and those of a longest common subsequence of words.
func Diff(marked, kept string) []DiffPart {
	a, b := cutWords(marked), cutWords(kept)
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var d diff
	d.add("both", a[:head]...)
	d.middle(a[head:len(a)-tail], b[head:len(b)-tail])
	d.add("both", a[len(a)-tail:]...)
	return d.parts
}

type diff struct{ parts []DiffPart }

func (d *diff) add(in string, words ...string) {
	if len(words) == 0 {
		return
	}
	text := strings.Join(words, "")
	if n := len(d.parts); n > 0 && d.parts[n-1].In == in {
		d.parts[n-1].Text += text
		return
	}
	d.parts = append(d.parts, DiffPart{in, text})
}

func (d *diff) middle(a, b []string) {
	if len(a)*len(b) > maxDiffCells || len(a) == 0 || len(b) == 0 {
		d.add("marked", a...)
		d.add("kept", b...)
		return
	}
	// common[i][j] is the length of the longest common subsequence of a[i:], b[j:].
	width := len(b) + 1
	common := make([]int32, (len(a)+1)*width)
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if a[i] == b[j] {
				common[i*width+j] = common[(i+1)*width+j+1] + 1
			} else {
				common[i*width+j] = max(common[(i+1)*width+j], common[i*width+j+1])
			}
		}
	}
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		switch {
		case a[i] == b[j]:
			d.add("both", a[i])
			i++
			j++
		case common[(i+1)*width+j] >= common[i*width+j+1]:
			d.add("marked", a[i])
			i++
		default:
			d.add("kept", b[j])
			j++
		}
	}
	d.add("marked", a[i:]...)
	d.add("kept", b[j:]...)
}

// cutWords cuts a text after each run of white space, so that the pieces joined
// are the text.
func cutWords(text string) []string {
	var out []string
	from := 0
	for _, to := range fields(text) {
		end := to + len(text[to:]) - len(strings.TrimLeft(text[to:], " \t\r\n"))
		out = append(out, text[from:end])
		from = end
	}
	if from < len(text) {
		out = append(out, text[from:])
	}
	return out
}

// excerptBytes is how much of a long common or single part Write shows at its
// ends.
const excerptBytes = 160

// Write prints the explanation for people: what only the marked document has as
// [-...-], what only the kept one has as {+...+}, red and green when color is set.
func (e *Explanation) Write(w io.Writer, color bool) error {
	var b strings.Builder
	m := &e.Mark
	fmt.Fprintf(&b, "%s %s of %s: rule %s, %s", m.ID, quoted(e.Title), m.Source, m.Rule, m.Kind)
	if m.Kept != "" || m.Score != 0 {
		fmt.Fprintf(&b, ", score %.3f", m.Score)
	}
	b.WriteString("\n")
	if !m.Whole() {
		fmt.Fprintf(&b, "  bytes %d to %d", m.Start, m.End)
		if m.KeptStart >= 0 {
			fmt.Fprintf(&b, ", which stand at bytes %d to %d of the document kept", m.KeptStart, m.KeptEnd)
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "  %s\n", m.Reason)
	if m.Kept != "" {
		fmt.Fprintf(&b, "  kept: %s %s of %s\n", m.Kept, quoted(e.KeptTitle), m.KeptSource)
	}
	marks := map[string][2]string{"both": {"", ""}, "marked": {"[-", "-]"}, "kept": {"{+", "+}"}}
	if color {
		marks["marked"], marks["kept"] = [2]string{"\x1b[31m[-", "-]\x1b[0m"}, [2]string{"\x1b[32m{+", "+}\x1b[0m"}
	}
	parts := e.Diff
	if len(parts) == 0 {
		parts = []DiffPart{{"both", e.Text}}
	}
	b.WriteString("  ")
	for _, p := range parts {
		around := marks[p.In]
		b.WriteString(around[0] + strings.ReplaceAll(excerpt(printable(p.Text)), "\n", "\n  ") + around[1])
	}
	b.WriteString("\n")
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("writing an explanation: %w", err)
	}
	return nil
}

func quoted(title string) string {
	if title == "" {
		return "(untitled)"
	}
	return fmt.Sprintf("%q", title)
}

// printable drops control characters, which could drive the terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return -1
		}
		return r
	}, text)
}

func excerpt(text string) string {
	if len(text) <= 2*excerptBytes+40 {
		return text
	}
	head := strings.ToValidUTF8(text[:excerptBytes], "")
	tail := strings.ToValidUTF8(text[len(text)-excerptBytes:], "")
	return fmt.Sprintf("%s ... (%d bytes) ... %s", head, len(text)-2*excerptBytes, tail)
}
