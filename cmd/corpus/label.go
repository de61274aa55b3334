package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/ingest"
)

func labelCommand(env *cli.Env) *cobra.Command {
	var cfg ingest.LabelConfig
	cmd := &cobra.Command{
		Use:   "label FILE...",
		Short: "make a source of labelled examples, for the objectives classify, pair, regress and tag",
		Long: `Label reads labelled examples: tables with a header (.tsv, .csv), JSON lines (.jsonl)
or, for tags, a word a line with its tag in the last column (.conll), each also packed
with gzip, bzip2 or zstd. Each example becomes a document of a new source, and its
label is joined to it by the document's id. 'corpus shard' lays it down as any other
source; the objectives of the same names train on it.`,
		Example: `  corpus label sample/labelled/train.tsv --source topics --task classify
  corpus label train.tsv.gz --source rte --task pair --text sentence1 --second sentence2
  corpus label in_domain_train.tsv --source cola --task classify --text 4 --label 2
  corpus label train.conll --source ner --task tag`,
		Args: cli.Args(1, -1, "files of labelled examples"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.Source == "" || cfg.Task == "" {
				return cli.Usage(cmd, "--source and --task are missing: name the new source and one of %s", strings.Join(ingest.LabelTasks(), ", "))
			}
			cfg.Data, cfg.Inputs, cfg.Log = env.Data, args, env.Log()
			r, err := ingest.MakeLabelled(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				fmt.Fprintf(w, "%d examples for %s are now source %s", r.Examples, r.Task, r.Source)
				if n := len(r.Classes); n > 0 {
					fmt.Fprintf(w, ", of %d classes: %s", n, strings.Join(r.Classes[:min(n, 20)], ", "))
				}
				fmt.Fprintln(w)
				for _, s := range r.Skips {
					fmt.Fprintf(w, "skipped %d: %s (%s, record %d)\n", s.Count, s.Name, s.Example.File, s.Example.Record)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Source, "source", "", "name of the new source")
	f.StringVar(&cfg.Task, "task", "", "one of "+strings.Join(ingest.LabelTasks(), ", "))
	f.StringVar(&cfg.Text, "text", "", "field of the text, or its column's number in a table without a header (default text)")
	f.StringVar(&cfg.Second, "second", "", "field of the second text of a pair (default second)")
	f.StringVar(&cfg.Label, "label", "", "field of the label (default label)")
	return cmd
}
