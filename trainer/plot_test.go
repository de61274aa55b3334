package trainer

import (
	"bytes"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

func TestPlotShowsTheRun(t *testing.T) {
	dir := t.TempDir()
	mustRun(t, fakeConfig(dir, 120))
	if err := PlotLoss(dir); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(filepath.Join(dir, PlotFiles[0]))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"training", "held-out books", "held-out wiki", "unigram entropy"} {
		if !bytes.Contains(svg, []byte(want)) {
			t.Errorf("the plot lacks %q", want)
		}
	}
	f, err := os.Open(filepath.Join(dir, PlotFiles[1]))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if img, err := png.Decode(f); err != nil || img.Bounds().Dx() < 400 {
		t.Errorf("the picture: %v", err)
	}
}

func TestNothingToPlot(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, MetricsFile), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := PlotLoss(dir); !errors.Is(err, ErrNothingToPlot) {
		t.Errorf("empty metrics: %v", err)
	}
}
