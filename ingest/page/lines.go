package page

import (
	"bytes"
	"fmt"
	"html/template"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Series is one curve: Y over X, as a line or, with Points, as dots.
type Series struct {
	Name   string
	X, Y   []float64
	Points bool
}

// The colours are told apart by the colour-blind (Okabe and Ito 2008).
var colours = []color.Color{
	color.RGBA{0x00, 0x72, 0xb2, 0xff}, color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff},
	color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}, color.RGBA{0x56, 0xb4, 0xe9, 0xff},
}

// Lines adds curves over common axes. Points that are no finite numbers are left
// out; when none is left, the page says so in the plot's place.
func (p *Page) Lines(caption, xlabel, ylabel string, series ...Series) {
	svg, err := drawLines(xlabel, ylabel, series)
	if err != nil {
		p.add(part{Kind: "svg", Text: caption, Missing: err.Error()})
		return
	}
	p.add(part{Kind: "svg", Text: caption, SVG: svg})
}

func drawLines(xlabel, ylabel string, series []Series) (template.HTML, error) {
	pl := plot.New()
	pl.X.Label.Text, pl.Y.Label.Text = xlabel, ylabel
	pl.Legend.Top = true
	pl.Add(plotter.NewGrid())
	drawn := 0
	for i, s := range series {
		xys := finite(s)
		if len(xys) == 0 {
			continue
		}
		c := colours[i%len(colours)]
		var thumb plot.Thumbnailer
		if s.Points {
			dots, err := plotter.NewScatter(xys)
			if err != nil {
				return "", fmt.Errorf("drawing %q: %w", s.Name, err)
			}
			dots.Color, dots.Shape, dots.Radius = c, draw.CircleGlyph{}, vg.Points(2.5)
			pl.Add(dots)
			thumb = dots
		} else {
			line, err := plotter.NewLine(xys)
			if err != nil {
				return "", fmt.Errorf("drawing %q: %w", s.Name, err)
			}
			line.Color, line.Width = c, vg.Points(1.5)
			pl.Add(line)
			thumb = line
		}
		pl.Legend.Add(s.Name, thumb)
		drawn++
	}
	if drawn == 0 {
		return "", fmt.Errorf("there is nothing to draw")
	}
	// Room for the legend above what is drawn.
	pl.Y.Max += 0.07 * float64(drawn) * (pl.Y.Max - pl.Y.Min)
	w, err := pl.WriterTo(18*vg.Centimeter, 10*vg.Centimeter, "svg")
	if err != nil {
		return "", fmt.Errorf("drawing the plot: %w", err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return "", fmt.Errorf("drawing the plot: %w", err)
	}
	_, svg, found := bytes.Cut(b.Bytes(), []byte("<svg"))
	if !found {
		return "", fmt.Errorf("drawing the plot: no <svg> element came out")
	}
	// The plotter escapes the names it is given.
	return template.HTML("<svg" + string(svg)), nil //nolint:gosec // see above
}

func finite(s Series) plotter.XYs {
	var xys plotter.XYs
	for i := range min(len(s.X), len(s.Y)) {
		if bad(s.X[i]) || bad(s.Y[i]) {
			continue
		}
		xys = append(xys, plotter.XY{X: s.X[i], Y: s.Y[i]})
	}
	return xys
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
