package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/trainer"
)

func exportCommand(env *cli.Env) *cobra.Command {
	var to string
	size := cli.Size(trainer.DefaultShardBytes)
	cmd := &cobra.Command{
		Use:   "export RUN",
		Short: "write a run's latest checkpoint as a directory that transformers opens",
		Long: `Export writes config.json, model.safetensors, the tokenizer's files and a model card.
A run exports itself when it ends; this does it for one that goes on.`,
		Example: `  pretrain export runs/first                  # into runs/first/model
  pretrain export runs/first --to models/first`,
		Args: cli.Args(1, 1, "the run's directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := to
			if dir == "" {
				dir = filepath.Join(args[0], "model")
			}
			r, err := pipelines.Export(cmd.Context(), env.Data, args[0], dir, int64(size), env.Jobs, env.Log())
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) { fmt.Fprintf(w, "model of step %d in %s\n", r.Step, r.Dir) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "directory to write (default: model/ in the run)")
	cmd.Flags().Var(&size, "max-shard", "size of a file of weights")
	return cmd
}

func importCommand(env *cli.Env) *cobra.Command {
	var to string
	size := cli.Size(trainer.DefaultShardBytes)
	cmd := &cobra.Command{
		Use:   "import DIR --to DIR",
		Short: "check a model directory of transformers and write it as a run would",
		Long: `Import reads a BERT, RoBERTa or GPT-2 in the layout of Hugging Face transformers, from
one file or several, under any of the names they are saved under, and writes every
tensor in float32 with a manifest. To train such a model further this is not
needed: 'pretrain --init DIR' reads it as it is.`,
		Example: `  pretrain import downloads/bert-base-uncased --to models/bert-base`,
		Args:    cli.Args(1, 1, "the model's directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to == "" {
				return cli.Usage(cmd, "--to is missing: name the directory to write")
			}
			r, err := pipelines.Import(cmd.Context(), args[0], to, int64(size), env.Jobs)
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				fmt.Fprintf(w, "%s of %d weights in %s\n", r.ModelType, r.Parameters, r.Dir)
				for _, name := range r.Missing {
					fmt.Fprintf(w, "missing, has random values now: %s\n", name)
				}
				for _, name := range r.Unexpected {
					fmt.Fprintf(w, "unexpected, left out: %s\n", name)
				}
			})
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "directory to write")
	cmd.Flags().Var(&size, "max-shard", "size of a file of weights")
	return cmd
}
