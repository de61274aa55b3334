package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/trainer"
)

// tokenVariable is the environment variable that holds what Prometheus has to show.
const tokenVariable = "TRIBUTARY_METRICS_TOKEN"

// growth reads FROM:STEPS.
func growth(text string) (from int, steps int64, err error) {
	a, b, ok := strings.Cut(text, ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q is not FROM:STEPS", text)
	}
	if from, err = strconv.Atoi(a); err == nil {
		steps, err = strconv.ParseInt(b, 10, 64)
	}
	if err != nil || from < 1 || steps < 1 {
		return 0, 0, fmt.Errorf("%q is not FROM:STEPS, two numbers above 0", text)
	}
	return from, steps, nil
}

func trainCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	section := pipelines.DefaultTrainSection()
	interval := time.Duration(section.CheckpointTime)
	var runs, listen string
	var budget time.Duration
	var ramps struct{ batch, length string }
	var served pipelines.TrainConfig
	cmd := &cobra.Command{
		Use:   "pretrain --mix SOURCE:WEIGHT,...",
		Short: "train Transformers on the shards that corpus makes",
		Long: `Pretrain trains a model on a mix of sources. The run lands below --runs with its
metrics (a progress line, metrics.jsonl, TensorBoard events), checkpoints, and at
the end model/, a directory that Hugging Face transformers opens. A run that was
stopped goes on with the same command and ends with the same bytes.`,
		Example: `  pretrain --mix books:0.3,wiki:0.7 --model bert-tiny --steps 1000 --run first
  pretrain --mix books:1 --model gpt2-mini --run gpt          # objective gpt
  pretrain --mix wiki:1 --init models/bert-base --lr 2e-5 --run more
  pretrain batches --mix books:0.3,wiki:0.7 --steps 0:100 --digest
  pretrain fill "the sailor mends the [MASK]" --model runs/first/model
  pretrain run examples/quickstart.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Group(cmd, args)
			}
			if !cmd.Flags().Changed("objective") {
				// What is wrong with the model is told below.
				if family, err := pipelines.ModelFamily(section.Model, section.Init); err == nil && masking.CheckObjective(pipelines.ObjectiveOf(family)) == nil {
					flags.Batches.Objective = pipelines.ObjectiveOf(family)
				}
			}
			cfg, err := flags.Config(cmd, env)
			if err != nil {
				return err
			}
			if section.Init != "" && cmd.Flags().Changed("model") {
				return cli.Usage(cmd, "--init brings the model with it: leave --model out")
			}
			if err := pipelines.CheckModel(section.Model); err != nil {
				return cli.Usage(cmd, "--model: %v", err)
			}
			if section.Steps < 1 || !(section.LR > 0) || math.IsInf(section.LR, 0) {
				return cli.Usage(cmd, "--steps %d --lr %g: both must be above 0, and finite", section.Steps, section.LR)
			}
			if _, err := kernel.ParsePrecision(section.Precision); err != nil {
				return cli.Usage(cmd, "--precision: %v", err)
			}
			if budget > 0 && cmd.Flags().Changed("steps") {
				return cli.Usage(cmd, "--budget and --steps: one of them ends the run")
			}
			section.Budget = pipelines.Duration(budget)
			if ramps.batch != "" {
				if section.BatchFrom, section.BatchSteps, err = growth(ramps.batch); err != nil {
					return cli.Usage(cmd, "--batch-ramp: %v", err)
				}
			}
			if ramps.length != "" {
				if section.LengthFrom, section.LengthSteps, err = growth(ramps.length); err != nil {
					return cli.Usage(cmd, "--length-ramp: %v", err)
				}
			}
			if token := os.Getenv(tokenVariable); listen != "" {
				served.Listen, served.Token = listen, token
			}
			section.Mix = pipelines.Mixes(cfg.Mix, cfg.Objective)
			section.Seed, section.SeqLen, section.Batch, section.Heldout = cfg.Seed, cfg.SeqLen, cfg.BatchSize, cfg.HeldoutFraction
			section.Stream = flags.Section
			section.CheckpointTime = pipelines.Duration(interval)
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			served.Data, served.Runs, served.Tokenizer, served.TrainSection = env.Data, runs, cfg.Tokenizer, section
			served.Jobs, served.Meter, served.Log = env.Jobs, meter, env.Log()
			r, err := pipelines.Train(cmd.Context(), served)
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				fmt.Fprintln(w, strings.Join(r.Summary(), "\n"))
				if r.Profile != "" {
					if p, err := trainer.ReadProfile(r.Dir); err == nil {
						p.WriteText(w)
					}
				}
			})
		},
	}
	cmd.Args = cobra.ArbitraryArgs
	flags.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&section.Model, "model", section.Model, "a config.json, or a size: "+strings.Join(model.Presets(), ", "))
	f.StringVar(&section.Init, "init", "", "model directory to go on from: an export, or one of transformers")
	f.StringVar(&section.Run, "run", section.Run, "name of the run")
	f.StringVar(&runs, "runs", "runs", "directory of the runs")
	f.Int64Var(&section.Steps, "steps", section.Steps, "optimiser steps")
	f.Float64Var(&section.LR, "lr", section.LR, "highest learning rate")
	f.Int64Var(&section.Warmup, "warmup", 0, "steps over which the rate rises (default: a hundredth)")
	f.StringVar(&section.Schedule, "schedule", section.Schedule, "course of the rate: "+strings.Join(trainer.Schedules(), ", ")+" (default: linear, one-cycle with --budget)")
	f.Int64Var(&section.Cooldown, "cooldown", 0, "steps over which the schedule wsd falls (default: a fifth)")
	f.Float64Var(&section.Final, "final-lr", 0, "share of the highest rate that the rate ends at")
	f.StringVar(&section.Optimizer, "optimizer", "", "optimiser: "+strings.Join(trainer.Optimizers(), ", ")+" (default: bert, adamw for gpt2)")
	f.Float64Var(&section.Beta1, "beta1", 0, "decay of the first moment (default: the optimiser's)")
	f.Float64Var(&section.Beta2, "beta2", 0, "decay of the second moment (default: the optimiser's)")
	f.Float64Var(&section.Epsilon, "epsilon", 0, "epsilon (default: the optimiser's)")
	f.Float64Var(&section.Decay, "weight-decay", section.Decay, "weight decay")
	f.Float64Var(&section.Clip, "clip", section.Clip, "bound of the gradient's norm (0: none)")
	f.IntVar(&section.MicroBatch, "micro-batch", 0, "sequences that go through the model at once (default: all of a step)")
	f.Float64Var(&section.Dropout, "dropout", section.Dropout, "share of activations that are dropped (default: the model's own)")
	f.Int64Var(&section.EvalEvery, "eval-every", 0, "steps from one held-out evaluation to the next (default: a twentieth of all)")
	f.Int64Var(&section.EvalBatches, "eval-batches", section.EvalBatches, "held-out batches of an evaluation")
	f.Int64Var(&section.LogEvery, "log-every", section.LogEvery, "steps that a line of the metrics covers")
	f.Int64Var(&section.CheckpointEvery, "checkpoint-every", 0, "steps from one checkpoint to the next")
	f.DurationVar(&interval, "checkpoint-interval", interval, "time from one checkpoint to the next")
	f.IntVar(&section.KeepCheckpoints, "keep", section.KeepCheckpoints, "latest checkpoints to keep")
	f.Int64Var(&section.KeepEvery, "keep-every", 0, "keep the checkpoints of every so many steps, too")
	f.BoolVar(&section.KeepBest, "keep-best", false, "keep the checkpoint of the lowest held-out loss, too")
	f.DurationVar(&budget, "budget", 0, "time the run takes, such as 30m, in place of --steps; the rate follows one-cycle")
	f.StringVar(&ramps.batch, "batch-ramp", "", "FROM:STEPS: begin with FROM sequences and grow to --batch over STEPS steps")
	f.StringVar(&ramps.length, "length-ramp", "", "FROM:STEPS: begin with sequences of FROM tokens and double up to --seq-len over STEPS steps")
	f.Float64Var(&section.EMA, "ema", 0, "decay of a running mean of the weights, which is evaluated and exported (0: none)")
	f.Float64Var(&section.Spike, "spike", 0, "skip a step whose gradient is so many times its running mean (0: none)")
	f.IntVar(&section.MaxSkips, "max-skips", section.MaxSkips, "skipped steps in a row after which the run goes back to a checkpoint")
	f.IntVar(&section.MaxRollbacks, "max-rollbacks", section.MaxRollbacks, "times the run goes back before it gives up")
	f.StringVar(&section.Precision, "precision", section.Precision, "fp32, or bf16: factors of products are rounded to bf16, sums and weights are fp32; by instructions where the processor has AVX512_BF16, else by rounding, which is hardly faster")
	f.BoolVar(&section.Recompute, "recompute", false, "keep only the activations between layers: less memory, a third more work, the same weights")
	f.BoolVar(&section.Profile, "profile", false, "time every operation and print a table against what the machine can do")
	f.BoolVar(&served.Plan, "plan", false, "say what memory and time the run would take, and train nothing")
	f.StringVar(&listen, "listen", "", "serve figures for Prometheus at ADDRESS:PORT/metrics; beyond this machine only with a token in $"+tokenVariable)
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
