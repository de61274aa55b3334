package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/shards"
)

func shardCommand(env *cli.Env) *cobra.Command {
	var tokenizer, compression string
	var blockTokens int64
	var reshard bool
	var size cli.Size
	memory := cli.Size(shards.DefaultMemoryBytes)
	cmd := &cobra.Command{
		Use:   "shard [SOURCE...]",
		Short: "lay documents down as shards of token ids",
		Long: `Shard tokenises the documents of the sources and writes them as Parquet files in
the order of a keyed hash of their ids. When the data root has no tokenizer, the
default one is trained first.

Where shards are there already, documents that came since are appended: they alone
are tokenised, the other files stay, and a run that began before goes on with what
it began with. --reshard lays all down anew as if they had come at once, without
tokenising; so do another --shard-size, --block-tokens or --compression. Tokens are
stored packed in as many bits as they need; with --compression zstd they take about
a quarter less room and several times as long to read.`,
		Example: `  corpus shard                          # all sources, with the only tokenizer there is
  corpus shard wiki --tokenizer wp4k --shard-size 64MiB
  corpus shard wiki --reshard --compression zstd`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if compression != "" && !slices.Contains(shards.Compressions(), compression) {
				return cli.Usage(cmd, "--compression %q: want one of %s", compression, strings.Join(shards.Compressions(), ", "))
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := pipelines.Shard(cmd.Context(), pipelines.ShardConfig{
				Data: env.Data, Sources: args, Tokenizer: tokenizer, ShardBytes: int64(size), BlockTokens: blockTokens, Compression: compression, Reshard: reshard, MemoryBytes: int64(memory),
				Jobs: env.Jobs, Meter: meter, Log: env.Log(), Notice: env.Notice,
			})
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				t := cli.Table{Head: []string{"source", "documents", "tokens", "files", "bytes", ""}}
				for _, s := range r.Sources {
					note := ""
					switch {
					case s.Skipped:
						note = "was there already"
					case s.Resharded:
						note = "laid down anew"
					case s.Appended > 0:
						note = fmt.Sprintf("%d documents appended, as generation %d", s.Appended, s.Generations)
					case s.Refreshed:
						note = "marks and signals written anew"
					}
					t.Row(s.Source, s.Rows, s.Tokens, s.Files, s.Bytes, note)
				}
				t.Write(w)
				fmt.Fprintf(w, "tokenizer %s\n", r.Tokenizer)
			})
		},
	}
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	cmd.Flags().Var(&size, "shard-size", "size at which a file is ended (default: as it is, else 256 MiB)")
	cmd.Flags().Int64Var(&blockTokens, "block-tokens", 0, "tokens with which a row group is ended (default: as it is, else 524288)")
	cmd.Flags().StringVar(&compression, "compression", "", "how tokens are stored, one of "+strings.Join(shards.Compressions(), ", ")+" (default: as it is, else packed)")
	cmd.Flags().BoolVar(&reshard, "reshard", false, "lay all down anew as one generation, without tokenising")
	cmd.Flags().Var(&memory, "memory", "what the sort may keep in memory")
	return cmd
}
