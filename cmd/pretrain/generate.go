package main

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
)

func generateCommand(env *cli.Env) *cobra.Command {
	cfg := pipelines.GenerateConfig{Tokens: 100, Samples: 1}
	cfg.Temperature, cfg.Seed = 0.8, 1
	cmd := &cobra.Command{
		Use:   "generate [PROMPT...]",
		Short: "continue texts with a trained left-to-right model",
		Long: `Generate continues each prompt with a model trained under the objective gpt; without
a prompt it begins a text. The same prompt, flags and seed give the same text.`,
		Example: `  pretrain generate "the sailor mends" --model runs/gpt/model
  pretrain generate "the sailor mends" --model runs/gpt/model --temperature 0   # the likeliest
  pretrain generate --model runs/gpt/model --tokens 500 --top-k 40 --top-p 0.95 --seed 7`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case cfg.Model == "":
				return cli.Usage(cmd, "--model is missing: name a model directory, such as runs/gpt/model")
			case cfg.Tokens < 1 || cfg.Samples < 1:
				return cli.Usage(cmd, "--tokens %d --samples %d: want at least 1", cfg.Tokens, cfg.Samples)
			case !(cfg.Temperature >= 0) || math.IsInf(cfg.Temperature, 0):
				return cli.Usage(cmd, "--temperature %g: want a number from 0", cfg.Temperature)
			case cfg.TopK < 0:
				return cli.Usage(cmd, "--top-k %d: want a number from 0", cfg.TopK)
			case !(cfg.TopP >= 0 && cfg.TopP <= 1):
				return cli.Usage(cmd, "--top-p %g: want a share from 0 to 1", cfg.TopP)
			}
			if cfg.Prompts = args; len(args) == 0 {
				cfg.Prompts = []string{""}
			}
			cfg.Jobs = env.Jobs
			if !env.JSON && len(cfg.Prompts)*cfg.Samples == 1 {
				// One text is shown as it comes.
				fmt.Fprint(env.Out, cfg.Prompts[0])
				cfg.Emit = func(_, _ int, text string) { fmt.Fprint(env.Out, text) }
			}
			texts, err := pipelines.Generate(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return env.Result(map[string]any{"continuations": texts}, func(w io.Writer) {
				if cfg.Emit != nil {
					fmt.Fprintln(w)
					return
				}
				for i, c := range texts {
					if i > 0 {
						fmt.Fprintln(w, "--")
					}
					fmt.Fprintln(w, c.Prompt+c.Text)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Model, "model", "", "model directory")
	f.IntVar(&cfg.Tokens, "tokens", cfg.Tokens, "tokens to generate at most")
	f.IntVar(&cfg.Samples, "samples", cfg.Samples, "continuations of each prompt, of seeds that follow each other")
	f.Float64Var(&cfg.Temperature, "temperature", cfg.Temperature, "how freely it is drawn; 0 takes the likeliest token")
	f.IntVar(&cfg.TopK, "top-k", 0, "draw among the likeliest so many tokens (0: all)")
	f.Float64Var(&cfg.TopP, "top-p", 0, "draw among the likeliest tokens that have this share of the probability (0: all)")
	f.Uint64Var(&cfg.Seed, "seed", cfg.Seed, "seed of the draws")
	return cmd
}
