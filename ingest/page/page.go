// Package page writes reports for people who would rather look than read: one
// HTML file with tables and plots, that needs nothing from anywhere else.
package page

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

// Page is a report under way. Its parts stand in the order in which they were
// added. All text is taken as text: nothing in it can become markup.
type Page struct {
	title string
	parts []part
}

// part is one element of a page; only the fields of its kind are set.
type part struct {
	Kind    string
	Text    string
	Header  []string
	Rows    [][]cell
	SVG     template.HTML
	Missing string
}

type cell struct {
	Text    string
	Numeric bool
	// Shade is between 0 and 1 in a matrix, Bar a percentage in a bar chart.
	Shade float64
	Bar   float64
}

// New begins a page.
func New(title string) *Page { return &Page{title: title} }

// Heading begins a section.
func (p *Page) Heading(text string) { p.add(part{Kind: "heading", Text: text}) }

// Para adds a paragraph.
func (p *Page) Para(text string) { p.add(part{Kind: "para", Text: text}) }

// Pre adds text as it stands, such as an excerpt of a document.
func (p *Page) Pre(text string) { p.add(part{Kind: "pre", Text: text}) }

// Table adds a table. Cells that read as numbers are set to the right.
func (p *Page) Table(caption string, header []string, rows [][]string) {
	t := part{Kind: "table", Text: caption, Header: header}
	for _, row := range rows {
		cells := make([]cell, len(row))
		for i, s := range row {
			cells[i] = cell{Text: s, Numeric: numeric(s)}
		}
		t.Rows = append(t.Rows, cells)
	}
	p.add(t)
}

// Bars adds a bar for each label. Values below zero and such as are no numbers
// have no bar, but are written.
func (p *Page) Bars(caption, xlabel, ylabel string, labels []string, values []float64) {
	largest := largest(values)
	b := part{Kind: "bars", Text: caption, Header: []string{xlabel, ylabel}}
	for i, label := range labels[:min(len(labels), len(values))] {
		width := 0.0
		if largest > 0 && values[i] > 0 {
			width = 100 * math.Min(1, values[i]/largest)
		}
		b.Rows = append(b.Rows, []cell{{Text: label}, {Text: Number(values[i]), Numeric: true, Bar: width}})
	}
	p.add(b)
}

// Matrix adds a square of values, one row and one column a name, shaded by value
// on a scale of logarithms.
func (p *Page) Matrix(caption string, names []string, values [][]float64) {
	largest := largest(values...)
	m := part{Kind: "matrix", Text: caption, Header: append([]string{""}, names...)}
	for i, row := range values[:min(len(values), len(names))] {
		cells := []cell{{Text: names[i]}}
		for _, v := range row {
			c := cell{Text: Number(v), Numeric: true}
			if v > 0 && largest > 0 {
				c.Shade = 0.1 + 0.7*math.Log1p(math.Min(v, largest))/math.Log1p(largest)
			}
			cells = append(cells, c)
		}
		m.Rows = append(m.Rows, cells)
	}
	p.add(m)
}

// largest is the largest finite value, at least 0.
func largest(rows ...[]float64) float64 {
	most := 0.0
	for _, row := range rows {
		for _, v := range row {
			if !bad(v) {
				most = max(most, v)
			}
		}
	}
	return most
}

func (p *Page) add(x part) { p.parts = append(p.parts, x) }

// WriteTo writes the page.
func (p *Page) WriteTo(w io.Writer) (int64, error) {
	c := &counter{w: w}
	err := layout.Execute(c, struct {
		Title string
		Parts []part
	}{p.title, p.parts})
	if err != nil {
		return c.n, fmt.Errorf("writing the report %q: %w", p.title, err)
	}
	return c.n, nil
}

type counter struct {
	w io.Writer
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}

// Number writes a value for people: whole numbers with thin gaps between the
// thousands, others with four digits.
func Number(v float64) string {
	if v != math.Trunc(v) || math.Abs(v) >= 1e15 {
		return fmt.Sprintf("%.4g", v)
	}
	s := fmt.Sprintf("%.0f", math.Abs(v))
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	for i := range len(s) {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteString("\u202f")
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// numeric reports whether a cell reads as a number, with or without a unit sign.
func numeric(s string) bool {
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case strings.ContainsRune(" \u202f.,-+%eEx", r):
		default:
			return false
		}
	}
	return digits > 0
}

var layout = template.Must(template.New("page").Funcs(template.FuncMap{
	"percent": func(f float64) string { return fmt.Sprintf("%.1f%%", f) },
	"shade":   func(f float64) string { return fmt.Sprintf("%.2f", f) },
}).Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{{.Title}}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-bottom: 1px solid #ddd }
table { border-collapse: collapse; margin: 1rem 0; font-size: .92em }
caption { text-align: left; color: #555; padding-bottom: .3rem }
th, td { padding: .15rem .7rem; border-bottom: 1px solid #eee; text-align: left; vertical-align: top; overflow-wrap: anywhere }
th { border-bottom: 1px solid #999; font-weight: 600 }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.track { width: 24rem } .bar { background: #0072b2; height: .8em; min-width: 1px }
pre { background: #f6f6f4; padding: .7rem; white-space: pre-wrap; overflow-wrap: anywhere }
figure { margin: 1rem 0 } figcaption { color: #555 } svg { max-width: 100%; height: auto }
</style>
<h1>{{.Title}}</h1>
{{range .Parts}}
{{- if eq .Kind "heading"}}<h2>{{.Text}}</h2>
{{else if eq .Kind "para"}}<p>{{.Text}}</p>
{{else if eq .Kind "pre"}}<pre>{{.Text}}</pre>
{{else if eq .Kind "svg"}}<figure><figcaption>{{.Text}}</figcaption>{{if .SVG}}{{.SVG}}{{else}}<p>{{.Missing}}</p>{{end}}</figure>
{{else if eq .Kind "bars"}}<table><caption>{{.Text}}</caption><tr><th>{{index .Header 0}}<th colspan="2">{{index .Header 1}}
{{range .Rows}}<tr><td>{{(index . 0).Text}}<td class="n">{{(index . 1).Text}}<td class="track">{{with (index . 1).Bar}}<div class="bar" style="width: {{percent .}}"></div>{{end}}
{{end}}</table>
{{else}}<table><caption>{{.Text}}</caption><tr>{{range .Header}}<th>{{.}}{{end}}
{{range .Rows}}<tr>{{range .}}<td{{if .Numeric}} class="n"{{end}}{{if .Shade}} style="background: rgba(0, 114, 178, {{shade .Shade}})"{{end}}>{{.Text}}{{end}}
{{end}}</table>
{{end}}{{end}}</html>
`))
