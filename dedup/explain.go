package dedup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/zeebo/xxh3"

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
	// Text is the marked part of the document. Diff leads from it to what it repeats;
	// it is empty when the document kept is no longer there, or when the mark does not
	// say what the span repeats.
	Text string `json:"text"`
	// Before and After are what stands around a marked span, KeptBefore and KeptAfter
	// around what it repeats: a few words.
	Before     string `json:"before,omitempty"`
	After      string `json:"after,omitempty"`
	KeptBefore string `json:"kept_before,omitempty"`
	KeptAfter  string `json:"kept_after,omitempty"`
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
		e.Before, e.After = around(doc.Text, e.Mark.Start, e.Mark.End)
		if kept != nil && e.Mark.KeptStart >= 0 {
			e.KeptText = part(kept.Text, e.Mark.KeptStart, e.Mark.KeptEnd)
			e.KeptBefore, e.KeptAfter = around(kept.Text, e.Mark.KeptStart, e.Mark.KeptEnd)
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

// around is what stands before and after a span, cut between words.
func around(text string, start, end int64) (before, after string) {
	const bytes = 60
	before = part(text, start-bytes, start)
	if i := strings.IndexFunc(before, unicode.IsSpace); i >= 0 && int(start) > bytes {
		before = before[i:]
	}
	after = part(text, end, end+bytes)
	if i := strings.LastIndexFunc(after, unicode.IsSpace); i >= 0 && int(end)+bytes < len(text) {
		after = after[:i]
	}
	return strings.ToValidUTF8(before, ""), strings.ToValidUTF8(after, "")
}

// maxDiffCells bounds the table of the comparison.
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

// middle compares what lies between a common head and tail. What is too large for a
// table is cut at the runs of anchorWords words that both have once, in the longest
// sequence of them that has one order in both (patience sorting).
func (d *diff) middle(a, b []string) {
	if len(a) == 0 || len(b) == 0 {
		d.add("marked", a...)
		d.add("kept", b...)
		return
	}
	if len(a)*len(b) <= maxDiffCells {
		d.table(a, b)
		return
	}
	i, j := 0, 0
	for _, at := range anchors(a, b) {
		if at[0] < i || at[1] < j {
			continue // it overlaps the one before, which was extended
		}
		n := 0
		for at[0]+n < len(a) && at[1]+n < len(b) && a[at[0]+n] == b[at[1]+n] {
			n++
		}
		d.gap(a[i:at[0]], b[j:at[1]])
		d.add("both", a[at[0]:at[0]+n]...)
		i, j = at[0]+n, at[1]+n
	}
	d.gap(a[i:], b[j:])
}

// gap compares what lies between two anchors.
func (d *diff) gap(a, b []string) {
	if len(a)*len(b) <= maxDiffCells && len(a) > 0 && len(b) > 0 {
		d.table(a, b)
		return
	}
	d.add("marked", a...)
	d.add("kept", b...)
}

// table compares by the table of longest common subsequences.
func (d *diff) table(a, b []string) {
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

// anchorWords is the length of what anchors a comparison.
const anchorWords = 6

// anchors returns places in a and b of runs of words that both have once, ascending
// in both.
func anchors(a, b []string) [][2]int {
	once := func(words []string) map[uint64]int {
		at := map[uint64]int{}
		for i := 0; i+anchorWords <= len(words); i++ {
			h := xxh3.HashString(strings.Join(words[i:i+anchorWords], "\x00"))
			if _, ok := at[h]; ok {
				at[h] = -1
			} else {
				at[h] = i
			}
		}
		return at
	}
	inA, inB := once(a), once(b)
	var pairs [][2]int
	for h, i := range inA {
		if j, ok := inB[h]; ok && i >= 0 && j >= 0 {
			pairs = append(pairs, [2]int{i, j})
		}
	}
	slices.SortFunc(pairs, func(x, y [2]int) int { return x[0] - y[0] })
	// The longest sequence of pairs that ascends in b, too.
	var ends []int // ends[n] is the pair with the least j that ends a sequence of n+1
	before := make([]int, len(pairs))
	for k, p := range pairs {
		n, _ := slices.BinarySearchFunc(ends, p[1], func(e, j int) int { return pairs[e][1] - j })
		before[k] = -1
		if n > 0 {
			before[k] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, k)
		} else {
			ends[n] = k
		}
	}
	var out [][2]int
	if len(ends) > 0 {
		for k := ends[len(ends)-1]; k >= 0; k = before[k] {
			out = append(out, pairs[k])
		}
	}
	slices.Reverse(out)
	return out
}

// cutWords cuts a text after each run of white space, and scripts without spaces
// after each character, so that the pieces joined are the text.
func cutWords(text string) []string {
	var out []string
	from := 0
	space, alone := false, false
	for i, r := range text {
		now := unicode.IsSpace(r)
		if i > from && (space && !now || !now && !unicode.Is(unicode.M, r) && (alone || spaceless(r))) {
			out = append(out, text[from:i])
			from = i
		}
		if space = now; !now && !unicode.Is(unicode.M, r) {
			alone = spaceless(r)
		}
	}
	if from < len(text) {
		out = append(out, text[from:])
	}
	return out
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
