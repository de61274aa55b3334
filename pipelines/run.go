package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
)

// codeVersion is part of every stage's key. It is raised when a stage would do
// something else for the same configuration and inputs.
const codeVersion = "tributary/stage/1"

// maxRecord bounds what is read of a finished stage's record.
const maxRecord = 64 << 20

// The states of a stage in a Report.
const (
	// Ran: it was run now. Skipped: what it would make is on disk. Pending: it
	// would be run (in a plan), or was not asked for.
	Ran     = "ran"
	Skipped = "skipped"
	Pending = "to run"
)

// Options say how an experiment is run.
type Options struct {
	// Only names the one stage to run; all when empty.
	Only string
	// Plan says what would be run and runs nothing.
	Plan  bool
	Jobs  int
	Meter *progress.Meter
	Log   *slog.Logger
	// Notice is told what goes on between stages; it may be nil.
	Notice func(format string, args ...any)
}

// Report is what became of an experiment.
type Report struct {
	Experiment string        `json:"experiment"`
	Stages     []StageReport `json:"stages"`
}

// StageReport is what became of one stage.
type StageReport struct {
	Name string `json:"name"`
	// State is Ran, Skipped or Pending; Reason says why it has to run.
	State  string `json:"state"`
	Reason string `json:"reason,omitempty"`
	// Seconds is how long it ran, at the time when it ran.
	Seconds float64 `json:"seconds"`
	// Summary are its main figures in words, Figures all of them.
	Summary []string        `json:"summary,omitempty"`
	Figures json.RawMessage `json:"figures,omitempty"`
}

// stage is one step of an experiment. Its key is the hash of the code's version,
// its configuration, what it reads from outside and the outputs of its inputs.
type stage struct {
	name   string
	inputs []string
	config any
	// outside returns the digests of what it reads that no stage made; nil means
	// nothing.
	outside func(context.Context) (map[string]string, error)
	// outputs returns the digests of what it made. An error means that it is not
	// there.
	outputs func() (map[string]string, error)
	// run does the work. before is the record of the last time, nil when there is
	// none.
	run func(ctx context.Context, before *record) (figures any, summary []string, err error)
}

// record says what a finished stage did. It is written when the stage is done.
type record struct {
	Key     string            `json:"key"`
	Outside map[string]string `json:"outside,omitempty"`
	Outputs map[string]string `json:"outputs"`
	Seconds float64           `json:"seconds"`
	Summary []string          `json:"summary,omitempty"`
	Figures json.RawMessage   `json:"figures,omitempty"`
}

// recordPath is where a stage's record lies. No source can have the name of the
// directory, for it begins with a dot.
func recordPath(dataDir, stage string) string {
	return filepath.Join(dataDir, ".stages", strings.ReplaceAll(stage, " ", "-")+".json")
}

// readRecord returns the record of a stage, nil when there is none that can be
// used: the stage is then run again.
func readRecord(dataDir, stage string) *record {
	path := recordPath(dataDir, stage)
	if info, err := os.Stat(path); err != nil || info.Size() > maxRecord {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	r := new(record)
	if json.Unmarshal(data, r) != nil {
		return nil
	}
	return r
}

// Run runs the stages of an experiment that are not on disk yet, in order. The
// report says what became of every stage, also when the error is not nil.
func Run(ctx context.Context, name string, cfg *Config, opts Options) (*Report, error) {
	if opts.Notice == nil {
		opts.Notice = func(string, ...any) {}
	}
	if opts.Log == nil {
		opts.Log = slog.Default()
	}
	stages := build(cfg, opts)
	var known []string
	for _, s := range stages {
		known = append(known, s.name)
	}
	if opts.Only != "" && !slices.Contains(known, opts.Only) {
		if near := names.Nearest(opts.Only, known); near != "" {
			return nil, fmt.Errorf("no stage %q; did you mean %q?", opts.Only, near)
		}
		return nil, fmt.Errorf("no stage %q; the stages are %s", opts.Only, strings.Join(known, ", "))
	}
	report := &Report{Experiment: name}
	pending := map[string]bool{}
	outputs := map[string]map[string]string{}
	for _, s := range stages {
		r, err := step(ctx, cfg, opts, s, pending, outputs)
		report.Stages = append(report.Stages, r)
		if err != nil {
			return report, fmt.Errorf("stage %s: %w", s.name, err)
		}
	}
	if opts.Plan {
		return report, nil
	}
	return report, saveReport(cfg, report)
}

// step does one stage, or finds it done, or notes that it is still to be done.
func step(ctx context.Context, cfg *Config, opts Options, s stage, pending map[string]bool, outputs map[string]map[string]string) (StageReport, error) {
	r := StageReport{Name: s.name, State: Pending}
	if err := ctx.Err(); err != nil {
		return r, err
	}
	before := readRecord(cfg.Data, s.name)
	wait := slices.IndexFunc(s.inputs, func(in string) bool { return pending[in] })
	var outside map[string]string
	if s.outside != nil && wait < 0 {
		var err error
		if outside, err = s.outside(ctx); err != nil {
			if !opts.Plan {
				return r, err
			}
			pending[s.name], r.Reason = true, err.Error()
			return r, nil
		}
	}
	parts := []any{codeVersion, s.name, s.config, outside}
	for _, in := range s.inputs {
		parts = append(parts, in, outputs[in])
	}
	key := store.Key(parts...)
	if wait < 0 {
		var have map[string]string
		var err error
		if have, err = s.outputs(); err == nil && before != nil && before.Key == key && maps.Equal(have, before.Outputs) {
			r.State, r.Seconds, r.Summary, r.Figures = Skipped, before.Seconds, before.Summary, before.Figures
			outputs[s.name] = have
			return r, nil
		}
		r.Reason = whyRun(before, key, outside, err)
	} else {
		r.Reason = "after " + s.inputs[wait]
	}
	if opts.Plan || opts.Only != "" && opts.Only != s.name {
		pending[s.name] = true
		return r, nil
	}
	if wait >= 0 {
		return r, fmt.Errorf("its input %s is not there: run that stage first", s.inputs[wait])
	}
	opts.Notice("stage %s: %s", s.name, r.Reason)
	began := time.Now()
	figures, summary, err := s.run(ctx, before)
	if err != nil {
		return r, err
	}
	raw, err := json.Marshal(figures)
	if err != nil {
		return r, fmt.Errorf("encoding its figures: %w", err)
	}
	have, err := s.outputs()
	if err != nil {
		return r, fmt.Errorf("it has run and left nothing: %w", err)
	}
	r.State, r.Seconds, r.Summary, r.Figures = Ran, time.Since(began).Seconds(), summary, raw
	outputs[s.name] = have
	data, err := json.MarshalIndent(record{key, outside, have, r.Seconds, summary, raw}, "", "  ")
	if err != nil {
		return r, fmt.Errorf("encoding its record: %w", err)
	}
	_, err = store.WriteFile(recordPath(cfg.Data, s.name), append(data, '\n'))
	return r, err
}

// whyRun says why a stage has to run.
func whyRun(before *record, key string, outside map[string]string, outputs error) string {
	switch {
	case before == nil:
		return "not run yet"
	case !maps.Equal(before.Outside, outside):
		return "its input files changed"
	case before.Key != key:
		return "its configuration or inputs changed"
	case errors.Is(outputs, fs.ErrNotExist):
		return "its output is gone"
	case outputs != nil:
		return outputs.Error()
	default:
		return "its output was changed by something else"
	}
}

// saveReport writes the report beside what the experiment made: into the run's
// directory, or under the data root when nothing was trained.
func saveReport(cfg *Config, report *Report) error {
	dir := cfg.Data
	if cfg.Train != nil {
		dir = filepath.Join(cfg.Runs, cfg.Train.Run)
	}
	data, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	_, err = store.WriteFile(filepath.Join(dir, "report.json"), append(data, '\n'))
	return err
}
