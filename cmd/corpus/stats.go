package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/shards"
)

func statsCommand(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "stats [SOURCE...]",
		Short: "say what lies under the data root",
		Example: `  corpus stats
  corpus stats wiki --json`,
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := shards.ReadStats(env.Data, args...)
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				t := cli.Table{Head: []string{"source", "documents", "words", "characters", "text bytes", "file bytes"}}
				rules := cli.Table{Head: []string{"source", "rule", "marked", "bytes marked"}}
				tokens := cli.Table{Head: []string{"source", "tokenizer", "rows", "tokens", "blocks", "file bytes"}}
				for _, s := range r.Sources {
					t.Row(s.Source, s.Documents, s.Words, s.Chars, s.TextBytes, s.FileBytes)
					for _, m := range s.Rules {
						rules.Row(s.Source, m.Rule, m.Marked, m.MarkedBytes)
					}
					for _, sh := range s.Shards {
						tokens.Row(s.Source, sh.Tokenizer, sh.Rows, sh.Tokens, sh.Blocks, sh.FileBytes)
					}
				}
				cli.WriteTables(w, t, rules, tokens)
			})
		},
	}
}

func verifyCommand(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "verify [DIR]",
		Short: "compare every file with its checksum (default: the data root)",
		Long: `Verify reads every file that a manifest below DIR vouches for and compares it.
It fails when a file is damaged and names each one.`,
		Example: `  corpus verify
  corpus verify runs/first`,
		Args: cli.Args(0, 1, "the directory to verify"),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := env.Data
			if len(args) > 0 {
				root = args[0]
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := shards.Verify(cmd.Context(), root, meter)
			stop()
			if err != nil {
				return err
			}
			err = env.Result(r, func(w io.Writer) {
				for _, d := range r.Damaged {
					fmt.Fprintln(w, d)
				}
				for _, s := range r.Stale {
					fmt.Fprintln(w, s)
				}
				fmt.Fprintf(w, "%d files (%s) in %d directories read, %d damaged\n", r.Files, cli.Bytes(r.Bytes), r.Directories, len(r.Damaged))
			})
			if err == nil && !r.OK() {
				err = fmt.Errorf("%d damaged", len(r.Damaged))
			}
			return err
		},
	}
}

func inspectCommand(env *cli.Env) *cobra.Command {
	var rows int
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "say what a Parquet file holds: rows, columns and the first rows",
		Example: `  corpus inspect data/wiki/documents/part-00000.parquet
  corpus inspect data/wiki/shards/wp4k/part-00000.parquet --json --rows 0`,
		Args: cli.Args(1, 1, "the file to inspect"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if rows < 0 {
				return cli.Usage(cmd, "--rows %d: want 0 or more", rows)
			}
			in, err := shards.Inspect(args[0], rows)
			if errors.Is(err, shards.ErrNotParquet) && in != nil {
				return fmt.Errorf("%w (it looks like %s, %s)", err, in.Kind, cli.Bytes(in.Bytes))
			}
			if err != nil {
				return err
			}
			return env.Result(in, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s, %d rows in %d row groups, %s\n", in.Path, in.Kind, in.Rows, in.RowGroups, cli.Bytes(in.Bytes))
				t := cli.Table{Head: []string{"column", "type", "packed", "unpacked"}}
				for _, c := range in.Columns {
					t.Row(c.Name, c.Type, c.Compressed, c.Uncompressed)
				}
				t.Write(w)
				for i, row := range in.Sample {
					fmt.Fprintf(w, "row %d\n", i)
					for _, c := range in.Columns {
						name, _, _ := strings.Cut(c.Name, ".")
						if value, ok := row[name]; ok {
							fmt.Fprintf(w, "  %s: %v\n", name, value)
						}
					}
				}
			})
		},
	}
	cmd.Flags().IntVar(&rows, "rows", 1, "how many rows to show")
	return cmd
}
