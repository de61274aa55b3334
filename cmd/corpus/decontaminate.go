package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/dedup"
)

func decontaminateCommand(env *cli.Env) *cobra.Command {
	memory := cli.Size(dedup.DefaultMemoryBytes)
	var against, fields []string
	var opt dedup.DecontaminateOptions
	var list int
	cmd := &cobra.Command{
		Use:   "decontaminate [SOURCE...] --against FILE...",
		Short: "mark documents that overlap evaluation sets",
		Long: `Decontaminate looks for the examples of evaluation sets in the documents: words in
a row that both have, and documents or paragraphs that are near-duplicates of an
example. It writes marks of the rule "decontaminate" and prints what was found of
each set and of each example. Sets are files of JSON lines, JSON, CSV or TSV with
a header, or one example a line, also packed with gzip or zstd.`,
		Example: `  corpus decontaminate --against tasks/squad.jsonl --against tasks/boolq.jsonl.gz
  corpus decontaminate web --against mmlu.csv --ngram 8 --field question`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(against) == 0 {
				return cli.Usage(cmd, "name at least one evaluation set: --against FILE")
			}
			if cmd.Flags().Changed("near") && opt.Near == 0 {
				opt.Near = 2 // nothing is
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := dedup.Decontaminate(cmd.Context(), dedup.Config{
				Data: env.Data, Sources: args, Jobs: env.Jobs, MemoryBytes: int64(memory), Meter: meter, Log: env.Log(),
			}, dedup.TaskItems(cmd.Context(), against, fields), opt)
			if err != nil {
				return err
			}
			stop()
			var f dedup.DecontaminateFigures
			if err := json.Unmarshal(r.Figures, &f); err != nil {
				return fmt.Errorf("reading the figures: %w", err)
			}
			return env.Result(r, func(w io.Writer) {
				note := ""
				if r.Skipped {
					note = " (was there already)"
				}
				fmt.Fprintf(w, "%d of %d task items are in %d documents%s\n", len(f.Found), f.Items, r.Marked(), note)
				sources := cli.Table{Head: []string{"source", "documents", "marked", "bytes marked"}}
				for _, s := range r.Sources {
					sources.Row(s.Source, s.Documents, s.Marked, s.MarkedBytes)
				}
				tasks := cli.Table{Head: []string{"task", "items", "found", "whole", "near"}}
				for _, t := range f.Tasks {
					tasks.Row(t.Task, t.Items, t.Found, t.Whole, t.Near)
				}
				items := cli.Table{Head: []string{"task", "item", "documents", "share", "near", "text"}}
				for i, it := range f.Found {
					if i < list || list < 0 {
						items.Row(it.Task, it.ID, it.Documents, fmt.Sprintf("%.2f", it.Best), fmt.Sprintf("%.2f", it.Near), it.Text)
					}
				}
				cli.WriteTables(w, sources, tasks, items)
				if list >= 0 && len(f.Found) > list {
					fmt.Fprintf(w, "and %d items more: --list -1 prints all\n", len(f.Found)-list)
				}
			})
		},
	}
	cmd.Flags().StringArrayVar(&against, "against", nil, "a file of an evaluation set; may be given several times")
	cmd.Flags().StringArrayVar(&fields, "field", nil, "the field of an example that is its text; may be given several times (default: all with text)")
	cmd.Flags().IntVar(&opt.NGram, "ngram", 13, "words in a row that count as an overlap (13, 12, 8, ...)")
	cmd.Flags().IntVar(&opt.Short, "short", 8, "shorter examples of so many words are looked for whole")
	cmd.Flags().Float64Var(&opt.Whole, "whole", 0.8, "share of an example's n-grams from which on the whole document is marked")
	cmd.Flags().Float64Var(&opt.Near, "near", 0.8, "Jaccard similarity of word 5-grams from which on a document or paragraph is a near-duplicate; 0 for none")
	cmd.Flags().IntVar(&list, "list", 20, "how many examples to print; -1 for all (--json has all)")
	cmd.Flags().Var(&memory, "memory", "bound on the memory")
	return cmd
}
