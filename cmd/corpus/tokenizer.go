package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/tokenize"
)

func tokenizerCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "train and use tokenizers",
		Long: `Tokenizers lie under the data root and in Hugging Face's format. --tokenizer takes
a name under the data root, a tokenizer.json, or a directory that holds one.`,
		Example: `  corpus tokenizer train --type wordpiece --vocab-size 4000 --name wp4k
  corpus tokenizer inspect --tokenizer wp4k
  echo "mend the nets" | corpus tokenizer encode - --tokenizer wp4k --json
  corpus tokenizer train --type unigram --mix books:0.3,wiki:0.7 --name uni30k
  corpus tokenizer compare wp4k uni30k --report compare.html`,
	}
	cmd.AddCommand(trainCommand(env), encodeCommand(env), decodeCommand(env), inspectTokenizerCommand(env), compareCommand(env))
	return cmd
}

func trainCommand(env *cli.Env) *cobra.Command {
	var cfg pipelines.TokenizerConfig
	var sample, memory cli.Size
	kinds := strings.Join(tokenize.Kinds(), ", ")
	cmd := &cobra.Command{
		Use:   "train [SOURCE...]",
		Short: "train a tokenizer on documents that no mark covers",
		Example: `  corpus tokenizer train                                   # the default: WordPiece, 30000 pieces, all sources
  corpus tokenizer train wiki books --type wordpiece --vocab-size 4000 --name wp4k
  corpus tokenizer train --type bpe --vocab-size 32000 --mix books:0.3,wiki:0.7 --name bpe32k
  corpus tokenizer train --type unigram --mix books:1,web:1 --sample 2GiB --name uni30k
  corpus tokenizer train --type bpe --mix 'wiki[words > 100]:0.7,books:0.3' --name bpelong`,
		Long: `The tokenizer's data are a choice like the model's: --mix gives each source a share
of the bytes. A predicate in brackets chooses documents by their columns, signals
and marks, as it does for pretrain. Without --sample every document counts at least once, and those of
sources that are short of their share count several times; with it, documents are
drawn by their ids until about so much text is reached. Texts stream through; what
is held are the different words, in at most --memory.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(tokenize.Kinds(), cfg.Type) {
				return cli.Usage(cmd, "--type %s: want one of %s", cfg.Type, kinds)
			}
			if cfg.Mix != "" && len(args) > 0 {
				return cli.Usage(cmd, "--mix names its sources: name them there or as arguments, not both")
			}
			cfg.SampleBytes, cfg.MemoryBytes = int64(sample), int64(memory)
			if cfg.VocabSize < 0 || cfg.MinFrequency < 0 {
				return cli.Usage(cmd, "--vocab-size and --min-frequency must be positive")
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			cfg.Data, cfg.Sources, cfg.Jobs, cfg.Meter, cfg.Log = env.Data, args, env.Jobs, meter, env.Log()
			r, err := pipelines.TrainTokenizer(cmd.Context(), cfg)
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				note := fmt.Sprintf("trained on %d documents", r.Documents)
				if r.Skipped {
					note = "was there already"
				}
				fmt.Fprintf(w, "tokenizer %s: %d pieces, %s\n%s\n", r.Name, r.VocabSize, note, r.Path)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Type, "type", pipelines.DefaultTokenizerType, "kind of tokenizer: "+kinds)
	f.StringVar(&cfg.Name, "name", pipelines.DefaultTokenizer, "name under the data root")
	f.IntVar(&cfg.VocabSize, "vocab-size", pipelines.DefaultVocabSize, "number of pieces, control tokens included")
	f.Int64Var(&cfg.MinFrequency, "min-frequency", 2, "merge only pairs that occur so often")
	f.BoolVar(&cfg.Cased, "cased", false, "keep upper case and accents (bpe always does)")
	f.StringVar(&cfg.Mix, "mix", "", "shares of the sources, such as books:0.3,wiki[words > 100]:0.7")
	f.Var(&sample, "sample", "learn from about so much text, such as 2GiB (default: all)")
	f.Var(&memory, "memory", "bound of the table of words (default 512MiB)")
	f.StringSliceVar(&cfg.Specials, "specials", nil, "control tokens, in the order of their ids (default: those of the type)")
	f.IntVar(&cfg.Sentinels, "sentinels", 0, "add so many control tokens <extra_id_0>, ... that t5 and ul2 need; 100 is usual")
	return cmd
}

// nameOf is the name of --tokenizer, or that of the only one of the data root.
func nameOf(cmd *cobra.Command, env *cli.Env, name string) (string, error) {
	if name != "" {
		return name, nil
	}
	have, err := pipelines.Tokenizers(env.Data)
	if err != nil {
		return "", err
	}
	if len(have) == 0 {
		return "", cli.Usage(cmd, "--tokenizer is missing, and %s has none: name a tokenizer.json or a directory with one, or run 'corpus tokenizer train'", env.Data)
	}
	if len(have) != 1 {
		return "", cli.Usage(cmd, "--tokenizer is missing: %s has %d tokenizers (%s)", env.Data, len(have), strings.Join(have, ", "))
	}
	return have[0], nil
}

// openNamed opens the tokenizer of --tokenizer, or the only one of the data root.
func openNamed(cmd *cobra.Command, env *cli.Env, name string) (*tokenize.Tokenizer, error) {
	name, err := nameOf(cmd, env, name)
	if err != nil {
		return nil, err
	}
	return pipelines.OpenTokenizer(env.Data, name)
}
