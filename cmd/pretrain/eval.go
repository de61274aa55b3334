package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/pipelines"
)

func evalCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var dir, split string
	var batches int64
	var texts []string
	var guesses int
	cmd := &cobra.Command{
		Use:   "eval --model DIR --mix SOURCE,...",
		Short: "measure a model's loss and perplexity on each source",
		Long: `Eval reads one pass over the held-out documents of each source (or --batches of
it) and says how well the model predicts them: masked tokens and sentence pairs
for a BERT or RoBERTa, the next token for a GPT-2. With --text it also fills the
[MASK]s of texts.`,
		Example: `  pretrain eval --model runs/first/model --mix books:1,wiki:1
  pretrain eval --model runs/gpt/model --mix books:1 --split all --seq-len 256 --json
  pretrain eval --model runs/first/model --mix wiki:1 --text "the sailor mends the [MASK]"`,
		Args: cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dir == "" {
				return cli.Usage(cmd, "--model is missing: name a model directory, such as runs/first/model")
			}
			if batches < 0 || guesses < 1 {
				return cli.Usage(cmd, "--batches %d --guesses %d: want at least 0 and 1", batches, guesses)
			}
			family, err := pipelines.ModelFamily("", dir)
			if err != nil {
				return err
			}
			if !cmd.Flags().Changed("objective") {
				flags.Batches.Objective = pipelines.ObjectiveOf(family)
			}
			cfg, err := flags.Config(cmd, env)
			if err != nil {
				return err
			}
			switch split {
			case "train":
				cfg.Split = mixer.Train
			case "heldout":
				cfg.Split = mixer.Heldout
			case "all":
				cfg.Split = mixer.All
			default:
				return cli.Usage(cmd, "--split %s: want train, heldout or all", split)
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := pipelines.Eval(cmd.Context(), pipelines.EvalConfig{
				Model: dir, Stream: cfg, Batches: batches, Meter: meter, Log: env.Log(),
			})
			stop()
			if err != nil {
				return err
			}
			out := struct {
				*pipelines.EvalReport
				Fillings []pipelines.Filling `json:"fillings,omitempty"`
			}{EvalReport: r}
			if len(texts) > 0 {
				if out.Fillings, err = pipelines.Fill(cmd.Context(), dir, texts, guesses, env.Jobs); err != nil {
					return err
				}
			}
			return env.Result(out, func(w io.Writer) {
				r.Write(w)
				for _, f := range out.Fillings {
					fmt.Fprintln(w, f)
				}
			})
		},
	}
	flags.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&dir, "model", "", "model directory")
	f.Int64Var(&batches, "batches", 0, "batches of each source (0: one pass over it)")
	f.StringVar(&split, "split", "heldout", "documents to read: train, heldout or all")
	f.StringArrayVar(&texts, "text", nil, "text with [MASK]s to fill; may be given again")
	f.IntVar(&guesses, "guesses", 3, "guesses for each mask")
	return cmd
}
