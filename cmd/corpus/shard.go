package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/shards"
)

func shardCommand(env *cli.Env) *cobra.Command {
	var tokenizer string
	size, memory := cli.Size(shards.DefaultShardBytes), cli.Size(shards.DefaultMemoryBytes)
	cmd := &cobra.Command{
		Use:   "shard [SOURCE...]",
		Short: "lay documents down as shards of token ids",
		Long: `Shard tokenises the documents of the sources and writes them as Parquet files in
the order of a keyed hash of their ids. When the data root has no tokenizer, the
default one is trained first.`,
		Example: `  corpus shard                          # all sources, with the only tokenizer there is
  corpus shard wiki --tokenizer wp4k --shard-size 64MiB`,
		RunE: func(cmd *cobra.Command, args []string) error {
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			r, err := pipelines.Shard(cmd.Context(), pipelines.ShardConfig{
				Data: env.Data, Sources: args, Tokenizer: tokenizer, ShardBytes: int64(size), MemoryBytes: int64(memory),
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
					if s.Skipped {
						note = "was there already"
					}
					t.Row(s.Source, s.Rows, s.Tokens, s.Files, s.Bytes, note)
				}
				t.Write(w)
				fmt.Fprintf(w, "tokenizer %s\n", r.Tokenizer)
			})
		},
	}
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	cmd.Flags().Var(&size, "shard-size", "size at which a file is ended")
	cmd.Flags().Var(&memory, "memory", "what the sort may keep in memory")
	return cmd
}
