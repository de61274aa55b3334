package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/shards/exchange"
	"github.com/tributary-ml/tributary/tokenize"
)

// openTokenizer opens the tokenizer of that name, or the only one there is.
func openTokenizer(cmd *cobra.Command, env *cli.Env, name string) (string, *tokenize.Tokenizer, error) {
	if name == "" {
		have, err := pipelines.Tokenizers(env.Data)
		if err != nil {
			return "", nil, err
		}
		if len(have) != 1 {
			return "", nil, cli.Usage(cmd, "--tokenizer is missing: %s has %q", env.Data, have)
		}
		name = have[0]
	}
	t, err := tokenize.Open(filepath.Join(env.Data, "tokenizers", name))
	return name, t, err
}

func checkFormat(cmd *cobra.Command, flag, format string) error {
	if !slices.Contains(exchange.Formats(), format) {
		return cli.Usage(cmd, "--%s %q: want one of %s", flag, format, strings.Join(exchange.Formats(), ", "))
	}
	return nil
}

func exportCommand(env *cli.Env) *cobra.Command {
	var format, to, tokenizer string
	var size cli.Size
	cmd := &cobra.Command{
		Use:   "export SOURCE",
		Short: "write the shards of a source in another trainer's format",
		Long: `Export writes the tokens of the documents that no mark covers: as MosaicML shards
(mds), Megatron's .bin and .idx (megatron), a Hugging Face dataset as save_to_disk
leaves it (hf-arrow) or as Parquet (hf-parquet), JSON lines (jsonl) or datatrove's
.ds (ds). 'corpus import' reads the same formats.`,
		Example: `  corpus export wiki --format mds --to wiki-mds
  corpus export wiki --format hf-arrow --to wiki-hf --tokenizer wp4k`,
		Args: cli.Args(1, 1, "the source to export"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(cmd, "format", format); err != nil {
				return err
			}
			if to == "" {
				return cli.Usage(cmd, "--to is missing: name the directory to write")
			}
			name, t, err := openTokenizer(cmd, env, tokenizer)
			if err != nil {
				return err
			}
			set, err := shards.Open(cmd.Context(), env.Data, args[0], name)
			if err != nil {
				return err
			}
			defer set.Close()
			r, err := exchange.Export(cmd.Context(), set, format, to, exchange.Options{VocabSize: t.VocabSize(), Tokenizer: name, FileBytes: int64(size)})
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				fmt.Fprintf(w, "%d documents of %d tokens written to %s as %s; %d left out for their marks, %d empty\n", r.Documents, r.Tokens, to, format, r.LeftOut, r.Empty)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "one of "+strings.Join(exchange.Formats(), ", "))
	cmd.Flags().StringVar(&to, "to", "", "directory to write; it is replaced")
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer of the shards (default: the only one of the data root)")
	cmd.Flags().Var(&size, "file-size", "size at which a file is ended (default: the format's own)")
	return cmd
}

func importCommand(env *cli.Env) *cobra.Command {
	var format, source, tokenizer string
	size, memory := cli.Size(shards.DefaultShardBytes), cli.Size(shards.DefaultMemoryBytes)
	cmd := &cobra.Command{
		Use:   "import DIR",
		Short: "lay tokens that another program wrote down as shards",
		Long: `Import reads tokens in one of the formats that 'corpus export' writes and lays
them down as the shards of a new source. The tokens must be those of a tokenizer
of the data root.`,
		Example: `  corpus import wiki-mds --format mds --source theirs --tokenizer wp4k`,
		Args:    cli.Args(1, 1, "the directory to read"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(cmd, "format", format); err != nil {
				return err
			}
			if source == "" {
				return cli.Usage(cmd, "--source is missing: name the new source")
			}
			name, t, err := openTokenizer(cmd, env, tokenizer)
			if err != nil {
				return err
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			cfg := shards.Config{Data: env.Data, ShardBytes: int64(size), MemoryBytes: int64(memory), Meter: meter, Log: env.Log()}
			r, err := shards.Import(cmd.Context(), cfg, source, name, t.Digest(), t.VocabSize(), filepath.Base(args[0]), exchange.Read(args[0], format))
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				fmt.Fprintf(w, "%d documents of %d tokens are now source %s for tokenizer %s\n", r.Rows, r.Tokens, source, name)
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "one of "+strings.Join(exchange.Formats(), ", "))
	cmd.Flags().StringVar(&source, "source", "", "name of the new source")
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer of the tokens (default: the only one of the data root)")
	cmd.Flags().Var(&size, "shard-size", "size at which a file is ended")
	cmd.Flags().Var(&memory, "memory", "what the sort may keep in memory")
	return cmd
}
