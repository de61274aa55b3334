package cli

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/pipelines"
)

// RunCommand is the command that runs the experiment of a YAML file: 'corpus run'
// and 'pretrain run' are the same.
func RunCommand(env *Env, program string) *cobra.Command {
	var opts pipelines.Options
	var settings []string
	cmd := &cobra.Command{
		Use:   "run EXPERIMENT.yaml",
		Short: "run a whole experiment, skipping what is on disk already",
		Long: `Run does the stages that a YAML file names: ingest of each source, dedup,
tokenizer, shards, training. A stage is skipped when the hash of its
configuration, the code's version and its inputs is on disk with its outputs.
Everything that is wrong in the file is told at once, with line and column.`,
		Example: strings.ReplaceAll(`  PROGRAM run examples/quickstart.yaml
  PROGRAM run examples/quickstart.yaml --plan
  PROGRAM run examples/quickstart.yaml --set train.steps=50 --only train`, "PROGRAM", program),
		Args: Args(1, 1, "the experiment's YAML file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("data") {
				settings = append(settings, "data="+env.Data)
			}
			cfg, err := pipelines.Load(args[0], settings)
			var wrong *pipelines.ConfigError
			if errors.As(err, &wrong) {
				return Usage(cmd, "the experiment cannot be run as it stands:\n%v", err)
			}
			if err != nil {
				return err
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			opts.Jobs, opts.Meter, opts.Log, opts.Notice = env.Jobs, meter, env.Log(), env.Notice
			name := strings.TrimSuffix(filepath.Base(args[0]), filepath.Ext(args[0]))
			report, err := pipelines.Run(cmd.Context(), name, cfg, opts)
			stop()
			if err != nil {
				if report != nil && !env.Quiet {
					writeStages(env.line, report)
				}
				return err
			}
			return env.Result(report, func(w io.Writer) { writeStages(w, report) })
		},
	}
	f := cmd.Flags()
	f.BoolVar(&opts.Plan, "plan", false, "say which stages would be run, and why, and run nothing")
	f.StringVar(&opts.Only, "only", "", "run this stage only")
	f.StringArrayVar(&settings, "set", nil, "replace a value of the file, such as train.steps=100 (may be repeated)")
	return cmd
}

// writeStages prints what became of each stage.
func writeStages(w io.Writer, report *pipelines.Report) {
	t := Table{Head: []string{"stage", "", "seconds", ""}}
	for _, s := range report.Stages {
		summary := s.Summary
		if s.State == pipelines.Pending {
			summary = []string{s.Reason}
		}
		seconds := ""
		if s.State != pipelines.Pending {
			seconds = fmt.Sprintf("%.1f", s.Seconds)
		}
		for i, line := range append(summary, "")[:max(1, len(summary))] {
			if i == 0 {
				t.Row(s.Name, s.State, seconds, line)
			} else {
				t.Row("", "", "", line)
			}
		}
	}
	t.Write(w)
}
