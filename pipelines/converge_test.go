//go:build interop

package pipelines

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/trainer"
)

// convergence is a run that is compared with one of transformers, batch by batch.
// TRIBUTARY_CONVERGE names a directory with such a file, converge.json, where
// figures and plots are left.
type convergence struct {
	// Data is the data root, Mix what is trained on and Heldout what is evaluated at the
	// end: HeldoutBatches batches, or one pass when 0.
	Data, Tokenizer, Mix, Heldout string
	HeldoutBatches                int64
	Objective                     string
	Train                         struct {
		Model, Schedule, Optimizer string
		Steps, Warmup              int64
		SeqLen, Batch              int
		LR, Final, Beta2, Decay    float64
	}
	// Within is how far the mean losses of windows of a tenth of the steps may lie
	// apart.
	Within float64
}

// rows is a batch as the Python scripts read it.
func rows(b *masking.Batch, causal bool) map[string]any {
	var tokens, segments, labels [][]int32
	next := 0
	for i := range b.Sequences() {
		var s, l []int32
		for at := b.SeqBounds[i]; at < b.SeqBounds[i+1]; at++ {
			s = append(s, int32(b.Segments[at]))
			label := int32(-100)
			if next < len(b.Predict) && b.Predict[next] == at {
				label = b.Labels[next]
				next++
			}
			l = append(l, label)
		}
		if causal {
			l = append([]int32{-100}, l[:len(l)-1]...)
		}
		tokens = append(tokens, b.Tokens[b.SeqBounds[i]:b.SeqBounds[i+1]])
		segments, labels = append(segments, s), append(labels, l)
	}
	return map[string]any{"tokens": tokens, "segments": segments, "labels": labels, "pairs": b.PairLabels}
}

// TestConvergesAsTransformersDoes trains the same model on the same batches here and
// with transformers, and lays the loss curves side by side.
func TestConvergesAsTransformersDoes(t *testing.T) {
	work := os.Getenv("TRIBUTARY_CONVERGE")
	if work == "" {
		t.Log("TRIBUTARY_CONVERGE names no directory")
		return
	}
	data, err := os.ReadFile(filepath.Join(work, "converge.json"))
	if err != nil {
		t.Fatal(err)
	}
	var c convergence
	if err := json.Unmarshal(data, &c); err != nil {
		t.Fatal(err)
	}
	mix, err := mixer.ParseMix(c.Mix)
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultTrainSection()
	s.Run, s.Model, s.Steps, s.SeqLen, s.Batch = "ours", c.Train.Model, c.Train.Steps, c.Train.SeqLen, c.Train.Batch
	s.LR, s.Final, s.Warmup, s.Schedule, s.Optimizer = c.Train.LR, c.Train.Final, c.Train.Warmup, c.Train.Schedule, c.Train.Optimizer
	s.Beta2, s.Decay, s.Dropout, s.Heldout = c.Train.Beta2, c.Train.Decay, 0, 0
	s.Mix = Mixes(mix, c.Objective)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	cfg := TrainConfig{Data: c.Data, Runs: work, Tokenizer: c.Tokenizer, TrainSection: s, Jobs: 1, Log: log, longest: s.SeqLen}
	stream := BatchConfig{
		Data: c.Data, Tokenizer: c.Tokenizer, Mix: mix, Objective: c.Objective, Seed: s.Seed,
		SeqLen: s.SeqLen, BatchSize: s.Batch, Split: mixer.All, Jobs: 1, Ahead: 2,
	}
	batches, err := OpenBatches(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	defer batches.Close()
	m, _, err := cfg.openModel(batches.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	held, err := mixer.ParseMix(c.Heldout)
	if err != nil {
		t.Fatal(err)
	}
	stream.Mix = held
	heldout, err := OpenBatches(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	defer heldout.Close()
	n := c.HeldoutBatches
	if n == 0 {
		n = heldout.Mixer().Tasks()[0].Census.Windows / int64(s.Batch)
	}
	run, err := cfg.trainer(batches, m.Config())
	if err != nil {
		t.Fatal(err)
	}
	run.LogEvery, run.Evaluation = 1, trainer.Evaluation{Batches: n}

	for _, dir := range []string{"ours", "model"} {
		if err := os.RemoveAll(filepath.Join(work, dir)); err != nil {
			t.Fatal(err)
		}
	}
	if err := trainer.Export(filepath.Join(work, "model"), trainer.Exported{Name: "initial", Model: m, Tokenizer: batches.Tokenizer}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(work, "batches.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	out := bufio.NewWriter(file)
	enc := json.NewEncoder(out)
	var rates []float64
	for step := range s.Steps + n {
		from := batches
		at := step
		if step >= s.Steps {
			from, at = heldout, step-s.Steps
		} else {
			rates = append(rates, run.Optimizer.LR*run.Schedule.Factor(step, s.Steps))
		}
		b, err := from.Batch(t.Context(), at, 0, 1)
		if err == nil {
			err = enc.Encode(rows(b, m.Config().Causal()))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	file.Close()
	settings, err := json.Marshal(map[string]any{
		"rates": rates, "decay": run.Optimizer.Decay, "beta1": run.Optimizer.Beta1, "beta2": run.Optimizer.Beta2, "epsilon": run.Optimizer.Epsilon,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "case.json"), settings, 0o644); err != nil {
		t.Fatal(err)
	}
	scripts := filepath.Join("..", "interop", "transformers")
	// A Python with a newer torch is faster than the small one that is installed.
	python := []byte(os.Getenv("TRIBUTARY_CONVERGE_PYTHON"))
	if len(python) == 0 {
		if python, err = exec.Command(filepath.Join(scripts, "python.sh")).Output(); err != nil {
			t.Fatalf("the environment for transformers could not be made: %v", err)
		}
	}
	peer := exec.Command(strings.TrimSpace(string(python)), filepath.Join(scripts, "converge.py"), work)
	peer.Stderr = os.Stderr
	if err := peer.Start(); err != nil {
		t.Fatal(err)
	}
	result, err := trainer.Run(t.Context(), run, m, trainer.Whole(batches), trainer.Whole(heldout))
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.Wait(); err != nil {
		t.Fatalf("transformers: %v", err)
	}
	compareCurves(t, work, &c, result)
}

// compareCurves fails when the curves lie apart, and plots them.
func compareCurves(t *testing.T, work string, c *convergence, result *trainer.Result) {
	var theirs struct {
		Losses  []float64
		Heldout float64
	}
	data, err := os.ReadFile(filepath.Join(work, "losses.json"))
	if err == nil {
		err = json.Unmarshal(data, &theirs)
	}
	if err != nil {
		t.Fatal(err)
	}
	lines, err := trainer.ReadMetrics(filepath.Join(work, "ours"))
	if err != nil {
		t.Fatal(err)
	}
	var ours []float64
	for _, l := range lines {
		if l.Kind == "train" && l.Source == "" {
			ours = append(ours, l.Loss)
		}
	}
	if len(ours) != len(theirs.Losses) {
		t.Fatalf("%d steps here, %d there", len(ours), len(theirs.Losses))
	}
	first, furthest := 0.0, 0.0
	for i := range min(10, len(ours)) {
		first = max(first, math.Abs(ours[i]-theirs.Losses[i]))
	}
	window := max(1, len(ours)/10)
	report := "steps; loss here; with transformers; difference\n"
	for lo := 0; lo+window <= len(ours); lo += window {
		var a, b float64
		for i := lo; i < lo+window; i++ {
			a, b = a+ours[i]/float64(window), b+theirs.Losses[i]/float64(window)
		}
		furthest = max(furthest, math.Abs(a-b))
		report += fmt.Sprintf("%d-%d; %.4f; %.4f; %+.4f\n", lo, lo+window-1, a, b, a-b)
	}
	held := result.State.Heldout.All
	report += fmt.Sprintf("first ten steps: at most %.2g apart\nheld-out (%d predictions): %.4f here, %.4f with transformers\n", first, held.Targets, held.Loss, theirs.Heldout)
	t.Log("\n" + report)
	if err := os.WriteFile(filepath.Join(work, "converge.txt"), []byte(report), 0o644); err != nil {
		t.Fatal(err)
	}
	if !(furthest <= c.Within) {
		t.Errorf("the curves lie up to %.3g apart, at most %g is allowed", furthest, c.Within)
	}
	title := fmt.Sprintf("%s, %s, batches of %d x %d", c.Train.Model, c.Objective, c.Train.Batch, c.Train.SeqLen)
	title = strings.ReplaceAll(title, filepath.Dir(c.Train.Model)+"/", "")
	err = trainer.PlotCurves(filepath.Join(work, "converge.svg"), title, []trainer.Curve{
		{Name: "transformers on PyTorch", Y: smooth(theirs.Losses)}, {Name: "Tributary", Y: smooth(ours), Dashed: true},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// smooth is the mean of the last ten values.
func smooth(y []float64) []float64 {
	out := make([]float64, len(y))
	for i := range y {
		lo := max(0, i-9)
		for _, v := range y[lo : i+1] {
			out[i] += v / float64(i+1-lo)
		}
	}
	return out
}
