package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
)

func exportCommand(env *cli.Env) *cobra.Command {
	var to string
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
			r, err := pipelines.Export(cmd.Context(), env.Data, args[0], dir, env.Jobs, env.Log())
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) { fmt.Fprintf(w, "model of step %d in %s\n", r.Step, r.Dir) })
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "directory to write (default: model/ in the run)")
	return cmd
}
