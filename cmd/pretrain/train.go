package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/mixer/names"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/pipelines"
)

func trainCommand(env *cli.Env) *cobra.Command {
	var stream streamFlags
	section := pipelines.DefaultTrainSection()
	interval := time.Duration(section.CheckpointTime)
	var runs string
	cmd := &cobra.Command{
		Use:   "pretrain --mix SOURCE:WEIGHT,...",
		Short: "train Transformers on the shards that corpus makes",
		Long: `Pretrain trains a model on a mix of sources. The run lands below --runs with its
metrics (a progress line, metrics.jsonl, TensorBoard events), checkpoints, and at
the end model/, a directory that Hugging Face transformers opens. A run that was
stopped goes on with the same command and ends with the same bytes.`,
		Example: `  pretrain --mix books:0.3,wiki:0.7 --model bert-tiny --steps 1000 --run first
  pretrain batches --mix books:0.3,wiki:0.7 --steps 0:100 --digest
  pretrain fill "the sailor mends the [MASK]" --model runs/first/model
  pretrain run examples/quickstart.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Group(cmd, args)
			}
			cfg, err := stream.config(cmd, env)
			if err != nil {
				return err
			}
			if !slices.Contains(model.Presets(), section.Model) {
				if near := names.Nearest(section.Model, model.Presets()); near != "" {
					return cli.Usage(cmd, "--model %s: did you mean %s?", section.Model, near)
				}
				return cli.Usage(cmd, "--model %s: want one of %s", section.Model, strings.Join(model.Presets(), ", "))
			}
			if section.Steps < 1 || !(section.LR > 0) {
				return cli.Usage(cmd, "--steps %d --lr %g: both must be above 0", section.Steps, section.LR)
			}
			section.Mix = pipelines.Mixes(cfg.Mix, cfg.Objective)
			section.Seed, section.SeqLen, section.Batch, section.Heldout = cfg.Seed, cfg.SeqLen, cfg.BatchSize, cfg.HeldoutFraction
			section.Stream = stream.section
			section.CheckpointTime = pipelines.Duration(interval)
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := pipelines.Train(cmd.Context(), pipelines.TrainConfig{
				Data: env.Data, Runs: runs, Tokenizer: cfg.Tokenizer, TrainSection: section,
				Jobs: env.Jobs, Meter: meter, Log: env.Log(),
			})
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) { fmt.Fprintln(w, strings.Join(r.Summary(), "\n")) })
		},
	}
	cmd.Args = cobra.ArbitraryArgs
	stream.add(cmd)
	f := cmd.Flags()
	f.StringVar(&section.Model, "model", section.Model, "size: "+strings.Join(model.Presets(), ", "))
	f.StringVar(&section.Run, "run", section.Run, "name of the run")
	f.StringVar(&runs, "runs", "runs", "directory of the runs")
	f.Int64Var(&section.Steps, "steps", section.Steps, "optimiser steps")
	f.Float64Var(&section.LR, "lr", section.LR, "highest learning rate")
	f.Int64Var(&section.Warmup, "warmup", 0, "steps over which the rate rises (default: a hundredth)")
	f.StringVar(&section.Schedule, "schedule", section.Schedule, "course of the rate: linear, bert, cosine, inverse-sqrt, wsd, constant")
	f.IntVar(&section.MicroBatch, "micro-batch", 0, "sequences that go through the model at once (default: all of a step)")
	f.Float64Var(&section.Dropout, "dropout", section.Dropout, "share of activations that are dropped")
	f.Int64Var(&section.EvalEvery, "eval-every", 0, "steps from one held-out evaluation to the next (default: a twentieth of all)")
	f.Int64Var(&section.EvalBatches, "eval-batches", section.EvalBatches, "held-out batches of an evaluation")
	f.Int64Var(&section.LogEvery, "log-every", section.LogEvery, "steps that a line of the metrics covers")
	f.Int64Var(&section.CheckpointEvery, "checkpoint-every", 0, "steps from one checkpoint to the next")
	f.DurationVar(&interval, "checkpoint-interval", interval, "time from one checkpoint to the next")
	f.StringSliceVar(&section.AllowChange, "allow-change", nil, "what may differ from the checkpoint the run goes on from, such as steps,schedule")
	return cmd
}

func fillCommand(env *cli.Env) *cobra.Command {
	var dir string
	var guesses int
	cmd := &cobra.Command{
		Use:     "fill TEXT...",
		Short:   "fill the [MASK]s of texts with a trained model",
		Example: `  pretrain fill "the sailor mends the [MASK]" --model runs/first/model`,
		Args:    cli.Args(1, -1, "a text with [MASK] in it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return cli.Usage(cmd, "--model is missing: name a model directory, such as runs/first/model")
			}
			if guesses < 1 {
				return cli.Usage(cmd, "--guesses %d: want at least 1", guesses)
			}
			for _, text := range args {
				if !strings.Contains(text, "[MASK]") {
					return cli.Usage(cmd, "%q has no [MASK]", text)
				}
			}
			fillings, err := pipelines.Fill(cmd.Context(), dir, args, guesses, env.Jobs)
			if err != nil {
				return err
			}
			return env.Result(map[string]any{"fillings": fillings}, func(w io.Writer) {
				for _, f := range fillings {
					fmt.Fprintln(w, f)
				}
			})
		},
	}
	cmd.Flags().StringVar(&dir, "model", "", "model directory")
	cmd.Flags().IntVar(&guesses, "guesses", 3, "guesses for each mask")
	return cmd
}
