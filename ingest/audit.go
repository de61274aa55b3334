package ingest

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/page"
)

// Bounds of what a page shows; the report has all.
const (
	shownInputs = 200
	shownNames  = 40
)

// WritePage writes what became of the inputs of sources as one HTML page that needs
// nothing else.
func WritePage(w io.Writer, reports ...*Report) error {
	title := "What became of the inputs"
	if len(reports) == 1 {
		title += " of " + reports[0].Source
	}
	p := page.New(title)
	for _, r := range reports {
		r.onto(p, len(reports) > 1)
	}
	_, err := p.WriteTo(w)
	return err
}

// onto adds a report to a page.
func (r *Report) onto(p *page.Page, named bool) {
	t := &r.Totals
	if named {
		p.Heading(fmt.Sprintf("Source %s", r.Source))
	}
	p.Para(fmt.Sprintf("Of %s inputs of kind %s, %s records gave %s documents; %s were skipped, each for a cause that is told below with where it was met first.",
		number(int64(len(r.Inputs))), r.Kind, number(t.Records), number(t.Documents), number(t.Skipped)))
	p.Table("All inputs together", []string{"what", "in", "out", "kept"}, r.totals())
	if t.SourceDigits > 0 {
		p.Para("What went in is counted with its markup: the digits there are also those of notes, addresses and measures of pictures, which no reader sees as text.")
	}
	r.times(p)
	r.causes(p)
	r.contents(p)
	r.files(p)
}

// totals are what went in and what came out.
func (r *Report) totals() [][]string {
	t := &r.Totals
	share := func(in, out int64) string {
		if in == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f %%", 100*float64(out)/float64(in))
	}
	optional := func(n int64) string {
		if n == 0 {
			return "not counted"
		}
		return number(n)
	}
	rows := [][]string{
		{"records, documents", number(t.Records), number(t.Documents), share(t.Records, t.Documents)},
		{"bytes of what texts were made of, of texts", optional(t.SourceBytes), number(t.Bytes), share(t.SourceBytes, t.Bytes)},
		{"digits", optional(t.SourceDigits), number(t.Digits), share(t.SourceDigits, t.Digits)},
		{"characters", "", number(t.Chars), ""},
		{"words", "", number(t.Words), ""},
	}
	if r.Kind == KindWiki {
		rows = append(rows,
			[]string{"formulas", number(t.Formulas), number(t.FormulasKept), share(t.Formulas, t.FormulasKept)},
			[]string{"disambiguation pages among the documents", "", number(t.Disambiguations), ""})
	}
	return rows
}

// times shows what the run took.
func (r *Report) times(p *page.Page) {
	t := r.Timing
	if t == nil {
		return
	}
	p.Heading("Time, memory and disk")
	if t.Plan == nil {
		p.Table("The last run", []string{"what", "was"}, t.rows())
	} else {
		p.Table("The last run, and what was predicted of it from a sample of "+size(t.Plan.SampleBytes), []string{"what", "was", "predicted", "off by"}, t.rows())
	}
	if t.Resumed {
		p.Para("The run went on where another was stopped: its time is that of the rest.")
	}
	slow := slices.Clone(t.Slowest)
	slices.SortStableFunc(slow, func(a, b Slowest) int { return int(1e6 * (b.Seconds - a.Seconds)) })
	var rows [][]string
	for _, s := range slow[:min(len(slow), shownNames)] {
		rows = append(rows, []string{s.File, number(s.Record), number(s.Offset), fmt.Sprintf("%.1f", 1000*s.Seconds), number(s.Bytes), s.Detail})
	}
	if len(rows) > 0 {
		p.Table("The slowest record of each input", []string{"file", "record", "offset", "ms", "bytes of text", "title"}, rows)
	}
}

// rows are the figures of a run, with what was predicted where it was.
func (t *Timing) rows() [][]string {
	rows := [][]string{
		{"time", duration(t.Seconds)}, {"processor time", duration(t.ProcessorSeconds)}, {"peak memory", size(t.PeakMemory)}, {"documents on disk", size(t.DiskBytes)},
		{"of the time, to check the inputs", duration(t.CheckSeconds)}, {"workers", strconv.Itoa(t.Jobs)},
	}
	if p := t.Plan; p != nil {
		off := func(predicted, was float64) string {
			if was <= 0 {
				return ""
			}
			return fmt.Sprintf("%+.0f %%", 100*(predicted-was)/was)
		}
		rows[0] = append(rows[0], duration(p.Seconds), off(p.Seconds, t.Seconds))
		rows[1] = append(rows[1], duration(p.ProcessorSeconds), off(p.ProcessorSeconds, t.ProcessorSeconds))
		rows[2] = append(rows[2], size(p.PeakMemory), off(float64(p.PeakMemory), float64(t.PeakMemory)))
		rows[3] = append(rows[3], size(p.DiskBytes), off(float64(p.DiskBytes), float64(t.DiskBytes)))
		rows[4] = append(rows[4], "", "")
		rows[5] = append(rows[5], strconv.Itoa(p.Jobs), "")
	}
	return rows
}

// Compared returns, for each thing that was predicted, its name, what it was, what was
// predicted, and by how much that was off; nothing when nothing was.
func (t *Timing) Compared() [][]string {
	if t == nil || t.Plan == nil {
		return nil
	}
	return t.rows()[:4]
}

// Rows returns, for each thing that is predicted, its name and the prediction.
func (p *Plan) Rows() [][]string {
	return [][]string{
		{"time", duration(p.Seconds)}, {"processor time", duration(p.ProcessorSeconds)}, {"peak memory", size(p.PeakMemory)}, {"documents on disk", size(p.DiskBytes)},
		{"documents", number(p.Documents)}, {"text", size(p.TextBytes)}, {"inputs", fmt.Sprintf("%s in %s files", size(p.InputBytes), number(int64(p.Files)))},
		{"sample", fmt.Sprintf("%s in %s, with %d workers", size(p.SampleBytes), duration(p.SampleSeconds), p.Jobs)},
	}
}

// causes shows what was skipped, damaged, repaired and left out.
func (r *Report) causes(p *page.Page) {
	t := &r.Totals
	p.Heading("What is not in the documents")
	for _, group := range []struct {
		caption, unit string
		counts        []Count
	}{
		{"Records that were skipped, by cause", "records", t.Skips}, {"Parts of files that are damaged", "parts", t.Damage},
		{"What was mended in documents that were kept", "times", t.Repairs}, {"What was left out of texts on purpose", "times", t.LeftOut},
		{"Templates that gave no text, as no rule says what they mean", "calls", t.Templates},
	} {
		if len(group.counts) == 0 {
			continue
		}
		counts := byCount(group.counts)
		caption := group.caption
		if len(counts) > shownNames {
			caption += fmt.Sprintf(" (the %d most frequent of %d)", shownNames, len(counts))
			counts = counts[:shownNames]
		}
		var labels []string
		var values []float64
		var places [][]string
		for _, c := range counts {
			labels, values = append(labels, c.Name), append(values, float64(c.Count))
			if e := c.Example; e != nil {
				places = append(places, []string{c.Name, e.File, number(e.Record), number(e.Offset), e.Detail})
			}
		}
		p.Bars(caption, "what", group.unit, labels, values)
		if len(places) > 0 {
			p.Table("Where each was met first", []string{"what", "file", "record", "offset", "which"}, places)
		}
	}
}

// contents shows what the documents are.
func (r *Report) contents(p *page.Page) {
	t := &r.Totals
	p.Heading("What is in the documents")
	var labels []string
	var values []float64
	for k, n := range t.Lengths {
		if n == 0 && len(values) == 0 {
			continue
		}
		labels, values = append(labels, fmt.Sprintf("%s to %s", number(1<<k), number(1<<(k+1)-1))), append(values, float64(n))
	}
	p.Bars("Documents by their length", "characters", "documents", labels, values)
	for _, group := range []struct {
		caption, what string
		counts        []Count
	}{{"Languages that the texts look written in", "language", t.Identified}, {"Languages, as the inputs name them", "language", t.Languages}, {"Encodings that texts were in", "encoding", t.Encodings}} {
		counts := byCount(group.counts)
		if len(counts) == 0 {
			continue
		}
		var labels []string
		var values []float64
		for _, c := range counts[:min(len(counts), shownNames)] {
			labels, values = append(labels, c.Name), append(values, float64(c.Count))
		}
		p.Bars(group.caption, group.what, "documents", labels, values)
	}
}

// files shows the inputs.
func (r *Report) files(p *page.Page) {
	p.Heading("Inputs")
	caption := "Each input"
	inputs := r.Inputs
	if len(inputs) > shownInputs {
		caption = fmt.Sprintf("The first %d of %d inputs; the report in JSON has all", shownInputs, len(inputs))
		inputs = inputs[:shownInputs]
	}
	var rows [][]string
	for i := range inputs {
		in := &inputs[i]
		cause := ""
		if len(in.Skips) > 0 {
			c := byCount(in.Skips)[0]
			cause = fmt.Sprintf("%s (%s)", c.Name, number(c.Count))
		}
		rows = append(rows, []string{in.File, number(in.FileBytes), number(in.Records), number(in.Documents), number(in.Skipped), number(in.Chars), number(in.Digits), cause})
	}
	p.Table(caption, []string{"file", "bytes", "records", "documents", "skipped", "characters", "digits", "most frequent cause"}, rows)
}

// byCount returns counts with the largest first.
func byCount(counts []Count) []Count {
	out := slices.Clone(counts)
	slices.SortStableFunc(out, func(a, b Count) int {
		if a.Count != b.Count {
			return int(max(-1, min(1, b.Count-a.Count)))
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

func number(n int64) string { return page.Number(float64(n)) }

// size writes bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 10<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	case n >= 10<<10:
		return fmt.Sprintf("%.0f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}

// duration writes seconds for people.
func duration(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d >= 10*time.Minute:
		return d.Round(time.Minute).String()
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
