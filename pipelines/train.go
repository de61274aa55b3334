package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/trainer"
)

// changes are what a run may change when it goes on (trainer.Config.AllowChange).
var changes = []string{"mix", "objective", "data", "batch", "steps", "schedule", "optimizer", "seed", "micro-batch", "precision", "evaluation"}

// TrainConfig says what to train on what.
type TrainConfig struct {
	// Data is the data root, Runs the directory of runs and Tokenizer the name of
	// the shards' tokenizer, the only one of the data root when empty.
	Data, Runs, Tokenizer string
	TrainSection
	// Listen, unless empty, is the address at which Prometheus finds the figures, and
	// Token what it has to show there; see trainer.Monitor.
	Listen, Token string
	// longest is the longest sequence of all stages.
	longest int
	// Plan says what the run would take and trains nothing.
	Plan  bool
	Jobs  int
	Meter *progress.Meter
	Log   *slog.Logger
}

// TrainReport is what a run came to.
type TrainReport struct {
	Run string `json:"run"`
	// Dir is the run's directory and Export the model directory in it.
	Dir    string `json:"dir"`
	Export string `json:"export"`
	// Digest is that of the exported files.
	Digest string `json:"digest"`
	Model  string `json:"model"`
	Mix    string `json:"mix"`
	// Parameters counts the model's weights.
	Parameters int64 `json:"parameters"`
	// Steps were made in all, Tokens read by the model, of which Targets were
	// predicted.
	Steps   int64 `json:"steps"`
	Tokens  int64 `json:"tokens"`
	Targets int64 `json:"targets"`
	// ResumedAt is the step this process went on from.
	ResumedAt int64 `json:"resumed_at"`
	// Plan is what the run was foreseen to take, and Profile where its time went, when
	// either was asked for.
	Plan     *trainer.Plan     `json:"plan,omitempty"`
	Profile  string            `json:"profile,omitempty"`
	Train    *trainer.Figures  `json:"train,omitempty"`
	Heldout  *trainer.Heldout  `json:"heldout,omitempty"`
	Baseline *trainer.Baseline `json:"baseline,omitempty"`
	Timing   trainer.Timing    `json:"timing"`
}

// Summary is the report in a few lines.
func (r *TrainReport) Summary() []string {
	if r.Plan != nil {
		return r.Plan.Lines()
	}
	out := []string{fmt.Sprintf("%s, %d weights: %d steps, %d tokens", r.Model, r.Parameters, r.Steps, r.Tokens)}
	if t := r.Timing; t.Seconds > 0 {
		out = append(out, fmt.Sprintf("%.0f s at %.0f tokens/s, %.1f %% of it waiting for batches, MFU %.1f %%", t.Seconds, t.TokensPerSecond, 100*t.WaitShare, 100*t.MFU))
	}
	if h := r.Heldout; h != nil {
		line := fmt.Sprintf("held-out token loss %.3f, perplexity %.2f, accuracy %.3f", h.All.TokenLoss, math.Exp(h.All.TokenLoss), h.All.TokenAccuracy)
		if b := r.Baseline; b != nil {
			line += fmt.Sprintf(" (by frequency alone %.3f and %.3f)", b.UnigramLoss, b.UnigramAccuracy)
		}
		out = append(out, line)
		if h.All.Pairs > 0 {
			out = append(out, fmt.Sprintf("held-out sentence-pair loss %.3f, accuracy %.3f", h.All.PairLoss, h.All.PairAccuracy))
		}
	}
	return append(out, "model in "+r.Export)
}

// Train trains a model to cfg.Steps steps, going on from where the run was
// stopped, and exports it. When ctx ends a checkpoint is written first; the error
// is then trainer.ErrInterrupted.
func Train(ctx context.Context, cfg TrainConfig) (*TrainReport, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if err := checkName(cfg.Run); err != nil {
		return nil, fmt.Errorf("the run's name: %w", err)
	}
	mix, err := cfg.mix()
	if err != nil {
		return nil, err
	}
	stream := BatchConfig{
		Data: cfg.Data, Tokenizer: cfg.Tokenizer, Mix: mix, Objective: cfg.Mix[0].Objective, Seed: cfg.Seed,
		SeqLen: cfg.SeqLen, BatchSize: cfg.Batch, HeldoutFraction: cfg.Heldout, Split: mixer.Train, Jobs: cfg.Jobs, Ahead: 4,
	}
	if err := cfg.Stream.Apply(&stream); err != nil {
		return nil, err
	}
	if err := stream.localise(ctx); err != nil {
		return nil, err
	}
	if !slices.Contains(cfg.AllowChange, "data") {
		// A run goes on with the documents that it began with, whatever came since.
		begun, err := trainer.LatestLineage(filepath.Join(cfg.Runs, cfg.Run))
		if err != nil {
			return nil, err
		}
		stream.Lineages = begun.Data
	}
	cfg.longest = stream.longest()
	batches, train, closeAll, err := cfg.openTraining(ctx, stream)
	var changed *shards.ChangedError
	if errors.As(err, &changed) {
		cfg.Log.Warn("the run cannot go on with the shards that it began with", "source", changed.Source, "cause", err)
		stream.Lineages = nil // the trainer says what else differs
		batches, train, closeAll, err = cfg.openTraining(ctx, stream)
	}
	if err != nil {
		return nil, err
	}
	defer closeAll()
	heldout, err := openHeldout(ctx, stream, cfg.Log)
	if err != nil {
		return nil, err
	}
	var evaluation trainer.Batches
	if heldout != nil {
		defer heldout.Close()
		evaluation = trainer.Whole(heldout)
	}
	plan, err := cfg.plan(ctx, batches, train)
	if err != nil {
		return nil, err
	}
	if cfg.Plan {
		return &TrainReport{Run: cfg.Run, Model: cfg.Model, Mix: mix.String(), Parameters: plan.Parameters, Plan: plan}, nil
	}
	if err := plan.Fits(); err != nil {
		return nil, err
	}
	m, begun, err := cfg.openModel(batches.Tokenizer)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if err := checkFirst(ctx, m, batches.Stream); err != nil {
		return nil, err
	}
	run, err := cfg.trainer(batches, m.Config())
	if err != nil {
		return nil, err
	}
	if p := m.Precision(); p != kernel.FP32 {
		run.Lineage.Precision = p.String()
	}
	run.Lineage.Init, run.Lineage.Ramp = begun, cfg.ramp().String()
	run.Roofline = plan.Roofline
	stop, err := cfg.serve(ctx, &run)
	if err != nil {
		return nil, err
	}
	result, err := trainer.Run(ctx, run, m, train, evaluation)
	stop()
	if err != nil {
		return nil, err
	}
	report := &TrainReport{
		Run: cfg.Run, Dir: run.Dir, Export: filepath.Join(run.Dir, "model"), Model: cfg.Model, Mix: mix.String(),
		Steps: result.State.Step, Tokens: result.State.Tokens, Targets: result.State.Targets, ResumedAt: result.ResumedAt,
		Train: result.State.Train, Heldout: result.State.Heldout, Baseline: result.State.Baseline, Timing: result.Timing,
	}
	if cfg.Init != "" {
		report.Model = cfg.Init
	}
	if cfg.Profile {
		report.Profile = filepath.Join(run.Dir, trainer.ProfileFile)
	}
	for _, p := range m.Params() {
		report.Parameters += int64(len(p.Data))
	}
	if err := trainer.Export(report.Export, trainer.Exported{Name: cfg.Run, Model: m, Tokenizer: batches.Tokenizer, State: &result.State}); err != nil {
		return nil, err
	}
	report.Digest, err = manifestDigest(report.Export)
	return report, err
}

// openHeldout opens the held-out part of the mix. Sources of which no document
// is held out are left out of it; nil when none is left.
func openHeldout(ctx context.Context, stream BatchConfig, log *slog.Logger) (*Batches, error) {
	if stream.HeldoutFraction == 0 {
		return nil, nil
	}
	stream.Split = mixer.Heldout
	// Evaluations read from step 0 on, as often as they like.
	stream.Mix, stream.Stages, stream.Curricula = slices.Clone(stream.Mix), nil, nil
	for i := range stream.Mix {
		stream.Mix[i].Passes = 0
	}
	for len(stream.Mix) > 0 {
		b, err := OpenBatches(ctx, stream)
		var empty *mixer.EmptyError
		if !errors.As(err, &empty) {
			return b, err
		}
		log.Warn("a source has no held-out documents and is not evaluated", "source", empty.Label, "heldout", stream.HeldoutFraction)
		stream.Mix = slices.DeleteFunc(slices.Clone(stream.Mix), func(c mixer.Component) bool { return c.Label() == empty.Label })
	}
	return nil, nil
}

// trainer is the run as the trainer takes it.
func (c *TrainConfig) trainer(batches *Batches, shape model.Config) (trainer.Config, error) {
	steps := c.Steps
	if c.Budget > 0 {
		steps = 0
	}
	run := trainer.Default(filepath.Join(c.Runs, c.Run), steps)
	run.Seed, run.MicroBatch = c.Seed, c.MicroBatch
	run.Optimizer = c.optimizer(shape)
	run.Schedule = c.schedule()
	run.Evaluation.Batches = c.EvalBatches
	if c.EvalEvery > 0 {
		run.Evaluation.Every = c.EvalEvery
	}
	run.LogEvery = c.LogEvery
	run.Checkpoint = trainer.Checkpointing{
		Every: c.CheckpointEvery, Interval: time.Duration(c.CheckpointTime),
		Keep: c.KeepCheckpoints, KeepEvery: c.KeepEvery, KeepBest: c.KeepBest,
	}
	run.EMA, run.Budget, run.Profile = c.EMA, time.Duration(c.Budget), c.Profile
	run.MaxSkips, run.MaxRollbacks = c.MaxSkips, c.MaxRollbacks
	run.AllowChange, run.Meter, run.Log = c.AllowChange, c.Meter, c.Log
	run.VocabSize = batches.Tokenizer.VocabSize()
	for id := range int32(run.VocabSize) {
		if batches.Tokenizer.IsSpecial(id) {
			run.Specials = append(run.Specials, id)
		}
	}
	raw, err := json.Marshal(shape)
	if err != nil {
		return run, fmt.Errorf("encoding the model's configuration: %w", err)
	}
	options := batches.Mixer().Options()
	run.Lineage = trainer.Lineage{
		Model: raw, Tokenizer: batches.TokenizerName, TokenizerDigest: batches.Tokenizer.Digest(),
		Mix: strings.TrimSuffix(options.Mix.String()+"; "+c.Stream.String(), "; "), Objective: batches.Objective().Name(), Data: map[string]string{},
		Sequences: c.Batch, Length: options.SeqLen,
	}
	for _, component := range options.Mix {
		digest := options.Shards.Lineages[component.Name]
		if digest == "" {
			if digest, err = shards.Lineage(batches.Data, component.Name, batches.TokenizerName); err != nil {
				return run, err
			}
		}
		run.Lineage.Data[component.Name] = digest
	}
	return run, nil
}

// optimizer is the optimiser of a run, with the constants that were not given those
// of its kind.
func (c *TrainSection) optimizer(shape model.Config) trainer.Optimizer {
	kind := c.Optimizer
	if kind == "" {
		if kind = trainer.BERT; shape.Causal() {
			kind = trainer.AdamW
		}
	}
	o := trainer.DefaultOptimizer(kind, c.LR)
	o.Decay, o.Clip = c.Decay, c.Clip
	for _, given := range []struct {
		value float64
		to    *float64
	}{{c.Beta1, &o.Beta1}, {c.Beta2, &o.Beta2}, {c.Epsilon, &o.Epsilon}, {c.Spike, &o.Spike}} {
		if given.value != 0 {
			*given.to = given.value
		}
	}
	return o
}

// schedule is the course of a run's learning rate.
func (c *TrainSection) schedule() trainer.Schedule {
	s := trainer.Schedule{Kind: c.Schedule, Warmup: c.Warmup, Final: c.Final}
	if c.Budget > 0 && s.Kind == "" {
		s.Kind = trainer.OneCycle
	}
	if s.Kind == "" {
		s.Kind = trainer.Linear
	}
	if s.Kind == trainer.OneCycle || c.Budget > 0 {
		return s
	}
	if s.Warmup == 0 {
		s.Warmup = c.Steps / 100
	}
	if s.Kind == trainer.WSD {
		if s.Cooldown = c.Cooldown; s.Cooldown == 0 {
			s.Cooldown = (c.Steps - s.Warmup) / 5
		}
	}
	return s
}

// Filling is a text with the guesses for its masks.
type Filling struct {
	Text string `json:"text"`
	// Guesses holds, for each mask in the text, the likeliest tokens.
	Guesses [][]trainer.Guess `json:"guesses"`
}

// String is the text with, for each mask, its likeliest tokens in brackets.
func (f Filling) String() string {
	parts := strings.Split(f.Text, "[MASK]")
	var b strings.Builder
	for i, part := range parts {
		b.WriteString(part)
		if i == len(parts)-1 || i >= len(f.Guesses) {
			continue
		}
		b.WriteByte('[')
		for j, g := range f.Guesses[i] {
			if j > 0 {
				b.WriteString(", ")
			}
			fmt.Fprintf(&b, "%s %.0f %%", g.Token, 100*g.Probability)
		}
		b.WriteByte(']')
	}
	return b.String()
}

// Fill opens a model directory and fills the masks of texts, with k guesses for
// each.
func Fill(ctx context.Context, dir string, texts []string, k, jobs int) ([]Filling, error) {
	loaded, err := trainer.Load(dir, model.Options{Jobs: jobs})
	if err != nil {
		return nil, err
	}
	defer loaded.Model.Close()
	if loaded.Tokenizer == nil {
		return nil, fmt.Errorf("filling masks: %s has no tokenizer.json", dir)
	}
	var out []Filling
	for _, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		guesses, err := trainer.FillMask(loaded.Model, loaded.Tokenizer, text, k)
		if err != nil {
			return nil, fmt.Errorf("filling the masks of %q: %w", text, err)
		}
		out = append(out, Filling{text, guesses})
	}
	return out, nil
}

func trainStage(cfg *Config, opts Options) stage {
	section := *cfg.Train
	export := filepath.Join(cfg.Runs, section.Run, "model")
	// What does not change the weights is no part of the key.
	keyed := section
	keyed.CheckpointEvery, keyed.CheckpointTime, keyed.KeepCheckpoints, keyed.AllowChange = 0, 0, 0, nil
	keyed.KeepEvery, keyed.KeepBest, keyed.Profile, keyed.Recompute = 0, false, false, false
	return stage{
		name:   "train",
		inputs: []string{"shards"},
		config: []any{keyed, cfg.Runs},
		// Marks are read when shards are opened, so new marks are new data.
		outside: func(context.Context) (map[string]string, error) {
			return cfg.eachSource(func(source string) (string, error) { return dedup.MarksKey(cfg.Data, source) })
		},
		outputs: func() (map[string]string, error) {
			d, err := manifestDigest(export)
			return map[string]string{section.Run: d}, err
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			r, err := Train(ctx, TrainConfig{
				Data: cfg.Data, Runs: cfg.Runs, Tokenizer: cfg.Tokenizer.Name, TrainSection: section,
				Jobs: opts.Jobs, Meter: opts.Meter, Log: opts.Log,
			})
			if err != nil {
				return nil, nil, err
			}
			return r, r.Summary(), nil
		},
	}
}

func fillStage(cfg *Config, opts Options) stage {
	export := filepath.Join(cfg.Runs, cfg.Train.Run, "model")
	return stage{
		name:   "fill",
		inputs: []string{"train"},
		config: cfg.Fill,
		// The guesses are figures; nothing is left on disk.
		outputs: func() (map[string]string, error) { return map[string]string{}, nil },
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			fillings, err := Fill(ctx, export, cfg.Fill, 3, opts.Jobs)
			if err != nil {
				return nil, nil, err
			}
			summary := make([]string, len(fillings))
			for i, f := range fillings {
				summary[i] = f.String()
			}
			return fillings, summary, nil
		},
	}
}

// Mixes returns the tasks of a mix under one objective.
func Mixes(mix mixer.Mix, objective string) []MixTask {
	out := make([]MixTask, len(mix))
	for i, c := range mix {
		out[i] = MixTask{Task: c.Label(), Weight: c.Weight, Objective: objective, Passes: c.Passes}
	}
	return out
}
