package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/safetensors"
)

const (
	checkpointFormat = "tributary/checkpoint/1"
	checkpointPrefix = "step-"
	weightsFile      = "model.safetensors"
	momentsFile      = "optimizer.safetensors"
	stateFile        = "state.json"
	// maxState bounds the state file the reader takes into memory.
	maxState = 16 << 20
)

// State is where a run stands, beside its weights and the optimiser's moments.
type State struct {
	// Step is the number of the next step: how many batches have been seen.
	Step int64 `json:"step"`
	// Updates counts the steps that changed the weights, Skipped those that did not
	// because something in them was not finite or their gradient a spike, and
	// SkippedInRow those of them since the last update.
	Updates      int64 `json:"updates"`
	Skipped      int64 `json:"skipped"`
	SkippedInRow int   `json:"skipped_in_row"`
	// NormMean is the running mean of the gradient's norm.
	NormMean float64 `json:"norm_mean"`
	// Shift is how many batches rollbacks have passed over: step n reads batch n plus
	// Shift. Rollbacks counts them.
	Shift     int64 `json:"shift,omitempty"`
	Rollbacks int   `json:"rollbacks,omitempty"`
	// Fraction is the part of a wall-clock budget that was spent.
	Fraction float64 `json:"fraction,omitempty"`
	// Best is the evaluation of the lowest loss.
	Best *Best `json:"best,omitempty"`
	// Sequences, Tokens and Targets count what the model has seen, and SourceTokens
	// the tokens of each source.
	Sequences    int64            `json:"sequences"`
	Tokens       int64            `json:"tokens"`
	Targets      int64            `json:"targets"`
	SourceTokens map[string]int64 `json:"source_tokens"`
	// Window gathers the steps since the last line of the metrics, and Train is
	// what that line said.
	Window window   `json:"window"`
	Train  *Figures `json:"train,omitempty"`
	// Heldout is the last evaluation and Baseline what needs no training.
	Heldout  *Heldout  `json:"heldout,omitempty"`
	Baseline *Baseline `json:"baseline,omitempty"`
	// MetricsBytes and EventsBytes are the lengths of the metrics' files.
	MetricsBytes int64 `json:"metrics_bytes"`
	EventsBytes  int64 `json:"events_bytes"`

	Lineage Lineage `json:"lineage"`
	Recipe  recipe  `json:"recipe"`
}

// Best is the held-out evaluation of the lowest loss so far.
type Best struct {
	Step int64   `json:"step"`
	Loss float64 `json:"loss"`
}

// checkpointDir returns the directory of the checkpoints of the run in dir.
func checkpointDir(dir string) string { return filepath.Join(dir, "checkpoints") }

// writeCheckpoint writes the checkpoint of state s, whole or not at all, and
// removes those that the rules do not keep. It returns the checkpoint's directory.
func writeCheckpoint(dir string, s *State, params []*model.Param, opt *optimizer, keep Checkpointing) (string, error) {
	root := checkpointDir(dir)
	path := filepath.Join(root, fmt.Sprintf("%s%09d", checkpointPrefix, s.Step))
	d, err := store.CreateDirectory(path)
	if err != nil {
		return "", fmt.Errorf("writing the checkpoint of step %d: %w", s.Step, err)
	}
	defer d.Abort()
	m := &store.Manifest{Format: checkpointFormat, Key: store.Key(checkpointFormat, s.Lineage, s.Recipe, s.Step)}
	add := func(f store.File, err error) error {
		if err != nil {
			return fmt.Errorf("writing the checkpoint of step %d: %w", s.Step, err)
		}
		m.Files = append(m.Files, f)
		return nil
	}
	if err := add(writeWeights(filepath.Join(d.Path(), weightsFile), params)); err != nil {
		return "", err
	}
	if err := add(writeMoments(filepath.Join(d.Path(), momentsFile), params, opt)); err != nil {
		return "", err
	}
	data, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return "", fmt.Errorf("writing the checkpoint of step %d: encoding its state: %w", s.Step, err)
	}
	if err := add(store.WriteFile(filepath.Join(d.Path(), stateFile), append(data, '\n'))); err != nil {
		return "", err
	}
	if err := store.WriteManifest(d.Path(), m); err != nil {
		return "", err
	}
	if err := d.Commit(); err != nil {
		return "", err
	}
	return path, prune(root, keep, s.Best)
}

// prune removes the checkpoints that no rule keeps: the latest ones, those of every
// so many steps, and the best.
func prune(root string, keep Checkpointing, best *Best) error {
	names, err := checkpoints(root)
	if err != nil {
		return err
	}
	for i, name := range names {
		step := stepOf(name)
		if i < keep.Keep || keep.KeepEvery > 0 && step%keep.KeepEvery == 0 || keep.KeepBest && best != nil && step == best.Step {
			continue
		}
		if err := os.RemoveAll(filepath.Join(root, name)); err != nil {
			return fmt.Errorf("removing an old checkpoint: %w", err)
		}
	}
	return nil
}

// stepOf returns the step of the checkpoint of a name.
func stepOf(name string) int64 {
	step, err := strconv.ParseInt(strings.TrimPrefix(name, checkpointPrefix), 10, 64)
	if err != nil {
		return -1 // a number beyond all steps
	}
	return step
}

// checkpoints returns the names of the checkpoints in root, the latest first.
func checkpoints(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing checkpoints: %w", err)
	}
	var names []string
	for _, e := range entries {
		if digits, ok := strings.CutPrefix(e.Name(), checkpointPrefix); ok && e.IsDir() && strings.Trim(digits, "0123456789") == "" {
			names = append(names, e.Name())
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		// Longer numbers are larger ones: steps beyond nine digits stay in order.
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(b, a)
	})
	return names, nil
}

// readCheckpoint loads the latest checkpoint that is whole into the parameters
// and the optimiser. A damaged one is reported to damaged and the one before it
// is taken; when all are damaged that is an error, for no run may lose its work
// in silence. It returns nil when there is none, and a *MismatchError when the
// checkpoint is another run's.
func readCheckpoint(c *Config, params []*model.Param, opt *optimizer, damaged func(error)) (*State, string, error) {
	root := checkpointDir(c.Dir)
	if err := store.SweepDirectories(root); err != nil {
		return nil, "", err
	}
	names, err := checkpoints(root)
	if err != nil {
		return nil, "", err
	}
	var causes []error
	for _, name := range names {
		path := filepath.Join(root, name)
		s, err := verifiedState(path)
		if err != nil {
			damaged(err)
			causes = append(causes, err)
			continue
		}
		if diff := c.differences(s); len(diff) > 0 {
			return nil, "", &MismatchError{path, diff}
		}
		if err := readTensors(path, params, opt); err != nil {
			return nil, "", err
		}
		return s, path, nil
	}
	if len(causes) > 0 {
		return nil, "", fmt.Errorf("no checkpoint in %s is whole; delete them to train from the start: %w", root, errors.Join(causes...))
	}
	return nil, "", nil
}

// readTensors loads a checkpoint's weights and what the optimiser remembers.
func readTensors(path string, params []*model.Param, opt *optimizer) error {
	if err := readWeights(filepath.Join(path, weightsFile), params); err != nil {
		return fmt.Errorf("loading the checkpoint %s: %w", path, err)
	}
	if err := readMoments(filepath.Join(path, momentsFile), params, opt); err != nil {
		return fmt.Errorf("loading the checkpoint %s: %w", path, err)
	}
	return nil
}

// loadCheckpoint loads a checkpoint of the run that is going on.
func loadCheckpoint(path string, params []*model.Param, opt *optimizer) (*State, error) {
	s, err := verifiedState(path)
	if err != nil {
		return nil, err
	}
	return s, readTensors(path, params, opt)
}

// goodCheckpoint returns the latest whole checkpoint of the run in dir that was
// written no later than before the step bad and not amid skipped steps; of those
// of every so many steps, when every is not 0. It returns "" when there is none.
func goodCheckpoint(dir string, bad, every int64) (string, error) {
	root := checkpointDir(dir)
	names, err := checkpoints(root)
	if err != nil {
		return "", err
	}
	for _, name := range names {
		step := stepOf(name)
		if step > bad || every > 0 && step%every != 0 {
			continue
		}
		if s, err := verifiedState(filepath.Join(root, name)); err == nil && s.SkippedInRow == 0 {
			return filepath.Join(root, name), nil
		}
	}
	return "", nil
}

// verifiedState reads the state of a checkpoint whose files are those its
// manifest vouches for.
func verifiedState(path string) (*State, error) {
	m, err := store.ReadManifest(path)
	if err != nil {
		return nil, err
	}
	if m.Format != checkpointFormat {
		return nil, fmt.Errorf("%s: its format is %q, not %q", path, m.Format, checkpointFormat)
	}
	for _, want := range []string{weightsFile, momentsFile, stateFile} {
		if !slices.ContainsFunc(m.Files, func(f store.File) bool { return f.Path == want }) {
			return nil, fmt.Errorf("%s: its manifest names no %s", path, want)
		}
	}
	if err := m.Verify(path); err != nil {
		return nil, err
	}
	f, err := os.Open(filepath.Join(path, stateFile))
	if err != nil {
		return nil, fmt.Errorf("reading a checkpoint: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxState+1))
	if err != nil || len(data) > maxState {
		return nil, fmt.Errorf("reading %s: %d bytes: %w", f.Name(), len(data), errors.Join(err, ErrState))
	}
	s, err := parseState(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", f.Name(), err)
	}
	return s, nil
}

// ErrState is wrapped by errors about a checkpoint's state that makes no sense.
var ErrState = errors.New("not a checkpoint's state")

func parseState(data []byte) (*State, error) {
	s := new(State)
	if err := json.Unmarshal(data, s); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrState, err)
	}
	if s.Step < 0 || s.Updates < 0 || s.Skipped < 0 || s.SkippedInRow < 0 || s.MetricsBytes < 0 || s.EventsBytes < 0 ||
		s.Updates > s.Step || s.Window.Steps < 0 || s.Shift < 0 || s.Shift > math.MaxInt64-s.Step || s.Rollbacks < 0 || !(s.Fraction >= 0) {
		return nil, fmt.Errorf("%w: step %d with %d updates, %d steps skipped and metrics of %d and %d bytes",
			ErrState, s.Step, s.Updates, s.Skipped, s.MetricsBytes, s.EventsBytes)
	}
	if s.SourceTokens == nil {
		s.SourceTokens = map[string]int64{}
	}
	return s, nil
}

func shapeOf(p *model.Param) []int64 {
	shape := make([]int64, len(p.Shape))
	for i, d := range p.Shape {
		shape[i] = int64(d)
	}
	return shape
}

// writeWeights writes the parameters as transformers does: one F32 tensor each.
func writeWeights(path string, params []*model.Param) (store.File, error) {
	tensors := make([]safetensors.Tensor, len(params))
	for i, p := range params {
		tensors[i] = safetensors.Tensor{Name: p.Name, DType: safetensors.F32, Shape: shapeOf(p)}
	}
	w, err := safetensors.Create(path, map[string]string{"format": "pt"}, tensors)
	if err != nil {
		return store.File{}, err
	}
	defer w.Abort()
	for _, p := range params {
		if err := w.Floats(p.Name, p.Data); err != nil {
			return store.File{}, err
		}
	}
	return w.Commit()
}

// readWeights reads what writeWeights wrote: exactly the parameters, all finite.
func readWeights(path string, params []*model.Param) error {
	return readExactly(path, len(params), func(f *safetensors.File) error {
		for _, p := range params {
			if err := readTensor(f, p.Name, shapeOf(p), p.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

// writeMoments writes what the optimiser remembers, tensor by tensor.
func writeMoments(path string, params []*model.Param, opt *optimizer) (store.File, error) {
	var tensors []safetensors.Tensor
	_ = opt.each(params, func(_ []float32, name string, shape []int64) error {
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: safetensors.F32, Shape: shape})
		return nil
	})
	w, err := safetensors.Create(path, map[string]string{"format": "pt"}, tensors)
	if err != nil {
		return store.File{}, err
	}
	defer w.Abort()
	if err := opt.each(params, func(x []float32, name string, _ []int64) error { return w.Floats(name, x) }); err != nil {
		return store.File{}, err
	}
	return w.Commit()
}

func readMoments(path string, params []*model.Param, opt *optimizer) error {
	n := 0
	_ = opt.each(params, func([]float32, string, []int64) error { n++; return nil })
	return readExactly(path, n, func(f *safetensors.File) error {
		return opt.each(params, func(x []float32, name string, shape []int64) error { return readTensor(f, name, shape, x) })
	})
}

// each calls f for everything the optimiser remembers, in a fixed order.
func (a *optimizer) each(params []*model.Param, f func(x []float32, name string, shape []int64) error) error {
	for i, p := range params {
		for _, s := range a.slots {
			if s.data[i] == nil {
				continue
			}
			if err := f(s.data[i], s.name+"."+p.Name, s.shape(i, p)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readExactly opens a file of exactly n tensors for read.
func readExactly(path string, n int, read func(*safetensors.File) error) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := read(f); err != nil {
		return err
	}
	if got := len(f.Tensors()); got != n {
		return fmt.Errorf("%s holds %d tensors, the model has %d", path, got, n)
	}
	return nil
}

// ErrNotFinite is wrapped by errors about tensors that hold an infinity or a
// NaN.
var ErrNotFinite = errors.New("not finite")

// readTensor reads a tensor of the given shape into dst and refuses numbers that
// are not finite.
func readTensor(f *safetensors.File, name string, shape []int64, dst []float32) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %q is missing", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("tensor %q has the shape %v, the model needs %v", name, t.Shape, shape)
	}
	if err := f.Floats(name, dst); err != nil {
		return err
	}
	for i, x := range dst {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return fmt.Errorf("tensor %q: element %d is %v: %w", name, i, x, ErrNotFinite)
		}
	}
	return nil
}
