// Command corpus turns raw dumps into deduplicated token shards.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(command)) }

// command makes the command tree.
func command(env *cli.Env) *cobra.Command {
	root := &cobra.Command{
		Use:   "corpus",
		Short: "turn raw dumps into deduplicated token shards",
		Long: `Corpus turns raw dumps (Wikipedia, books, crawl archives) into documents, marks
duplicates among them, trains tokenizers and lays the documents down as shards
of token ids. Everything lands under one data root (--data) with manifests that
vouch for it; a command that was stopped is simply run again.`,
		Example: `  corpus sample sample                                  # a small raw corpus to try things on
  corpus ingest sample/wiki.xml.bz2 sample/books sample/crawl.warc.wet.gz
  corpus dedup --exact
  corpus tokenizer train --type wordpiece --vocab-size 4000 --name wp4k
  corpus shard --tokenizer wp4k
  corpus stats`,
	}
	root.AddCommand(
		sampleCommand(env),
		ingestCommand(env),
		labelCommand(env),
		rulesCommand(env),
		dedupCommand(env),
		decontaminateCommand(env),
		tokenizerCommand(env),
		shardCommand(env),
		statsCommand(env),
		traceCommand(env),
		whereUsedCommand(env),
		exportCommand(env),
		serveCommand(env),
		importCommand(env),
		inspectCommand(env),
		verifyCommand(env),
		explainCommand(env),
		cli.RunCommand(env, "corpus"),
	)
	return root
}
