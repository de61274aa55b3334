package trainer

import (
	"bytes"
	"errors"
	"fmt"
	"image/color"
	"path/filepath"
	"slices"

	"github.com/tributary-ml/tributary/ingest/store"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// PlotFiles are the names of the loss plot in a run's directory.
var PlotFiles = [2]string{"loss.svg", "loss.png"}

// ErrNothingToPlot says that the metrics hold no loss.
var ErrNothingToPlot = errors.New("the metrics hold no loss to plot")

// The colours are told apart by the colour-blind (Okabe and Ito 2008).
var (
	trainColour  = color.RGBA{0x56, 0xb4, 0xe9, 0xff}
	heldColours  = []color.Color{color.RGBA{0xd5, 0x5e, 0x00, 0xff}, color.RGBA{0x00, 0x9e, 0x73, 0xff}, color.RGBA{0xcc, 0x79, 0xa7, 0xff}, color.RGBA{0xe6, 0x9f, 0x00, 0xff}}
	entropyShade = color.RGBA{0x55, 0x55, 0x55, 0xff}
)

// maxCurves is how many sources get a curve of their own.
const maxCurves = 3

// PlotLoss draws the token losses of the run in dir from its metrics, in nats
// over steps: training, held-out in all and by source, and as a level the entropy
// of the training tokens, below which frequencies alone do not get. It writes
// PlotFiles into dir.
func PlotLoss(dir string) error {
	lines, err := ReadMetrics(dir)
	if err != nil {
		return err
	}
	p, err := lossPlot(lines)
	if err != nil {
		return fmt.Errorf("plotting the losses of %s: %w", dir, err)
	}
	for _, name := range PlotFiles {
		w, err := p.WriterTo(18*vg.Centimeter, 11*vg.Centimeter, filepath.Ext(name)[1:])
		if err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		var b bytes.Buffer
		if _, err := w.WriteTo(&b); err != nil {
			return fmt.Errorf("drawing %s: %w", name, err)
		}
		if _, err := store.WriteFile(filepath.Join(dir, name), b.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func lossPlot(lines []Line) (*plot.Plot, error) {
	var train, all plotter.XYs
	bySource := map[string]plotter.XYs{}
	var sources []string
	var entropy float64
	for _, l := range lines {
		if l.Baseline != nil {
			entropy = l.UnigramEntropy
		}
		if l.Figures == nil || l.Targets == 0 {
			continue
		}
		point := plotter.XY{X: float64(l.Step), Y: l.TokenLoss}
		switch {
		case l.Kind == "train" && l.Source != "":
		case l.Kind == "train":
			train = append(train, point)
		case l.Source == "":
			all = append(all, point)
		default:
			if !slices.Contains(sources, l.Source) {
				sources = append(sources, l.Source)
			}
			bySource[l.Source] = append(bySource[l.Source], point)
		}
	}
	if len(train)+len(all) == 0 {
		return nil, ErrNothingToPlot
	}
	p := plot.New()
	p.Title.Text = "Token loss"
	p.X.Label.Text, p.Y.Label.Text = "step", "nats a token"
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(6), -vg.Points(4)
	p.Add(plotter.NewGrid())
	curve := func(name string, xys plotter.XYs, c color.Color, width vg.Length) error {
		if len(xys) == 0 {
			return nil
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = c, width
		p.Add(line)
		p.Legend.Add(name, line)
		return nil
	}
	if err := curve("training", train, trainColour, vg.Points(0.8)); err != nil {
		return nil, err
	}
	if err := curve("held-out", all, heldColours[0], vg.Points(1.8)); err != nil {
		return nil, err
	}
	if len(sources) > 1 {
		for i, s := range sources[:min(maxCurves, len(sources))] {
			if err := curve("held-out "+s, bySource[s], heldColours[1+i], vg.Points(1)); err != nil {
				return nil, err
			}
		}
	}
	if entropy > 0 {
		level := plotter.NewFunction(func(float64) float64 { return entropy })
		level.Color, level.Width = entropyShade, vg.Points(1)
		level.Dashes = []vg.Length{vg.Points(4), vg.Points(3)}
		p.Add(level)
		p.Legend.Add(fmt.Sprintf("unigram entropy, %.2f", entropy), level)
		// The legend takes the upper quarter; the level stays below it.
		p.Y.Max = max(p.Y.Max, entropy/0.72)
	}
	p.Y.Min = 0
	return p, nil
}

// Curve is a line of a plot: Y at the steps 0, 1, 2 and so on.
type Curve struct {
	Name   string
	Y      []float64
	Dashed bool
}

// PlotCurves draws losses over steps, in nats, into a file whose name ends in .svg
// or .png.
func PlotCurves(path, title string, curves []Curve) error {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = "step", "loss, nats"
	p.Legend.Top = true
	p.Legend.XOffs, p.Legend.YOffs = -vg.Points(6), -vg.Points(4)
	p.Add(plotter.NewGrid())
	for i, c := range curves {
		xys := make(plotter.XYs, len(c.Y))
		for step, y := range c.Y {
			xys[step] = plotter.XY{X: float64(step), Y: y}
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return fmt.Errorf("plotting %q: %w", c.Name, err)
		}
		line.Color, line.Width = append([]color.Color{trainColour}, heldColours...)[i%(1+len(heldColours))], vg.Points(1.6)
		if c.Dashed {
			line.Dashes = []vg.Length{vg.Points(5), vg.Points(4)}
		}
		p.Add(line)
		p.Legend.Add(c.Name, line)
	}
	w, err := p.WriterTo(18*vg.Centimeter, 11*vg.Centimeter, filepath.Ext(path)[1:])
	if err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	var b bytes.Buffer
	if _, err := w.WriteTo(&b); err != nil {
		return fmt.Errorf("drawing %s: %w", path, err)
	}
	_, err = store.WriteFile(path, b.Bytes())
	return err
}
