package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/pipelines"
)

func inspectTokenizerCommand(env *cli.Env) *cobra.Command {
	var name string
	var documents int64
	cmd := &cobra.Command{
		Use:   "inspect [SOURCE...]",
		Short: "say what a tokenizer is, and how it writes sources",
		Example: `  corpus tokenizer inspect --tokenizer wp4k
  corpus tokenizer inspect wiki books --tokenizer wp4k   # fertility and unknown rate by source and language`,
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := nameOf(cmd, env, name)
			if err != nil {
				return err
			}
			t, err := pipelines.OpenTokenizer(env.Data, name)
			if err != nil {
				return err
			}
			var pieces, continuing int
			special := []map[string]any{}
			for id := range int32(t.VocabSize()) {
				switch {
				case t.IsSpecial(id):
					special = append(special, map[string]any{"id": id, "token": t.Token(id)})
				case t.Continues(id):
					continuing++
				default:
					pieces++
				}
			}
			var coverage *pipelines.CoverageReport
			if len(args) > 0 {
				if coverage, err = measure(cmd, env, pipelines.CoverageConfig{Tokenizers: []string{name}, Sources: args, Documents: documents}); err != nil {
					return err
				}
			}
			steps := t.Steps()
			return env.Result(map[string]any{
				"steps": steps, "coverage": coverage, "vocab_size": t.VocabSize(), "digest": t.Digest(), "beginning": pieces, "continuing": continuing, "special": special,
			}, func(w io.Writer) {
				fmt.Fprintf(w, "%d pieces: %d begin a word, %d continue one, %d are control tokens\n", t.VocabSize(), pieces, continuing, len(special))
				for _, s := range steps {
					fmt.Fprintf(w, "  %-14s %s\n", strings.ReplaceAll(s.Kind, "_", "-"), s.Name)
				}
				for _, s := range special {
					fmt.Fprintf(w, "  %6d %s\n", s["id"], s["token"])
				}
				fmt.Fprintf(w, "digest %s\n", t.Digest())
				writeCoverage(w, coverage)
			})
		},
	}
	cmd.Flags().Int64Var(&documents, "documents", 2000, "encode at most so many documents of each source, 0 for all")
	cmd.Flags().StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	return cmd
}

func compareCommand(env *cli.Env) *cobra.Command {
	var sources []string
	var documents int64
	var report string
	cmd := &cobra.Command{
		Use:   "compare TOKENIZER TOKENIZER...",
		Short: "compare how tokenizers write the sources",
		Example: `  corpus tokenizer compare wp4k uni30k
  corpus tokenizer compare wp30k path/to/tokenizer.json --source wiki --report compare.html`,
		Args: cli.Args(2, 8, "the tokenizers to compare"),
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := measure(cmd, env, pipelines.CoverageConfig{Tokenizers: args, Sources: sources, Documents: documents})
			if err != nil {
				return err
			}
			if report != "" {
				var html bytes.Buffer
				if err := r.WriteHTML(&html); err != nil {
					return err
				}
				if _, err := store.WriteFile(report, html.Bytes()); err != nil {
					return fmt.Errorf("writing the report: %w", err)
				}
			}
			return env.Result(r, func(w io.Writer) {
				writeCoverage(w, r)
				fmt.Fprintf(w, "%d pieces are in both %s and %s\n", r.Shared, args[0], args[1])
				if report != "" {
					fmt.Fprintln(w, report)
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&sources, "source", nil, "sources to encode (default: all)")
	f.Int64Var(&documents, "documents", 2000, "encode at most so many documents of each source, 0 for all")
	f.StringVar(&report, "report", "", "write a page with tables and plots, such as compare.html")
	return cmd
}

func measure(cmd *cobra.Command, env *cli.Env, cfg pipelines.CoverageConfig) (*pipelines.CoverageReport, error) {
	meter, stop := env.Meter(cmd.Context())
	defer stop()
	cfg.Data, cfg.Meter = env.Data, meter
	return pipelines.MeasureCoverage(cmd.Context(), cfg)
}

func writeCoverage(w io.Writer, r *pipelines.CoverageReport) {
	if r == nil {
		return
	}
	t := cli.Table{Head: []string{"source", "language", "tokenizer", "documents", "bytes", "tokens", "bytes/token", "tokens/word", "unknown %"}}
	for _, c := range r.Rows {
		t.Row(c.Source, c.Language, c.Tokenizer, c.Documents, c.Bytes, c.Tokens, c.BytesPerToken, c.Fertility, 100*c.UnknownRate)
	}
	t.Write(w)
}
