package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/tokenize"
)

// maxEncodeInput bounds the file that 'tokenizer encode' and 'decode' take into
// memory.
const maxEncodeInput = 256 << 20

func tokenizerCommand(env *cli.Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tokenizer",
		Short: "train and use tokenizers",
		Long: `Tokenizers lie under the data root and in Hugging Face's format. --tokenizer takes
a name under the data root, a tokenizer.json, or a directory that holds one.`,
		Example: `  corpus tokenizer train --type wordpiece --vocab-size 4000 --name wp4k
  corpus tokenizer inspect --tokenizer wp4k
  echo "mend the nets" | corpus tokenizer encode - --tokenizer wp4k --json`,
	}
	cmd.AddCommand(trainCommand(env), encodeCommand(env), decodeCommand(env), inspectTokenizerCommand(env))
	return cmd
}

func trainCommand(env *cli.Env) *cobra.Command {
	var cfg pipelines.TokenizerConfig
	cmd := &cobra.Command{
		Use:   "train [SOURCE...]",
		Short: "train a tokenizer on documents that no mark covers",
		Example: `  corpus tokenizer train                                   # the default: WordPiece, 30000 pieces, all sources
  corpus tokenizer train wiki books --type wordpiece --vocab-size 4000 --name wp4k`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.Type != pipelines.DefaultTokenizerType {
				return cli.Usage(cmd, "--type %s: this version trains wordpiece", cfg.Type)
			}
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
	f.StringVar(&cfg.Type, "type", pipelines.DefaultTokenizerType, "kind of tokenizer: wordpiece")
	f.StringVar(&cfg.Name, "name", pipelines.DefaultTokenizer, "name under the data root")
	f.IntVar(&cfg.VocabSize, "vocab-size", pipelines.DefaultVocabSize, "number of pieces, control tokens included")
	f.Int64Var(&cfg.MinFrequency, "min-frequency", 2, "merge only pairs that occur so often")
	f.BoolVar(&cfg.Cased, "cased", false, "keep upper case and accents")
	return cmd
}

// openNamed opens the tokenizer of --tokenizer, or the only one of the data root.
func openNamed(cmd *cobra.Command, env *cli.Env, name string) (*tokenize.Tokenizer, error) {
	if name == "" {
		have, err := pipelines.Tokenizers(env.Data)
		if err != nil {
			return nil, err
		}
		if len(have) != 1 {
			return nil, cli.Usage(cmd, "--tokenizer is missing: %s has %d tokenizers (%s)", env.Data, len(have), strings.Join(have, ", "))
		}
		name = have[0]
	}
	return pipelines.OpenTokenizer(env.Data, name)
}

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, path string) (text []byte, err error) {
	var r io.Reader = cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		r = f
	}
	text, err = io.ReadAll(io.LimitReader(r, maxEncodeInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxEncodeInput {
		return nil, fmt.Errorf("reading %s: longer than %s", path, cli.Bytes(maxEncodeInput))
	}
	return text, nil
}

func encodeCommand(env *cli.Env) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "encode FILE",
		Short: "print the token ids of a text (FILE - is standard input)",
		Example: `  corpus tokenizer encode notes.txt --tokenizer wp4k --json     # {"ids":[...],"tokens":[...],...}
  echo "mend the nets" | corpus tokenizer encode -               # one line of ids a line of text`,
		Args: cli.Args(1, 1, "the file to encode"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openNamed(cmd, env, name)
			if err != nil {
				return err
			}
			text, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			encoder := t.NewEncoder()
			if env.JSON {
				var enc tokenize.Encoding
				if err := encoder.EncodeOffsets(&enc, string(text)); err != nil {
					return err
				}
				tokens := make([]string, len(enc.IDs))
				offsets := make([][2]int, len(enc.IDs))
				for i, id := range enc.IDs {
					tokens[i] = t.Token(id)
					offsets[i] = [2]int{enc.Spans[i].Start, enc.Spans[i].End}
				}
				ids := append([]int32{}, enc.IDs...)
				return env.Result(map[string]any{"ids": ids, "tokens": tokens, "offsets": offsets}, nil)
			}
			return env.Result(nil, func(w io.Writer) {
				out := bufio.NewWriter(w)
				var ids []int32
				for line := range strings.Lines(string(text)) {
					ids = encoder.Encode(ids[:0], line)
					for i, id := range ids {
						if i > 0 {
							fmt.Fprint(out, " ")
						}
						fmt.Fprint(out, id)
					}
					fmt.Fprintln(out)
				}
				if err := out.Flush(); err != nil {
					return // the writer underneath keeps the error
				}
			})
		},
	}
	cmd.Flags().StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	return cmd
}

func decodeCommand(env *cli.Env) *cobra.Command {
	var name string
	var keep bool
	cmd := &cobra.Command{
		Use:     "decode FILE",
		Short:   "print the text of token ids (FILE - is standard input)",
		Example: `  echo "mend the nets" | corpus tokenizer encode - | corpus tokenizer decode -`,
		Args:    cli.Args(1, 1, "the file of ids"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openNamed(cmd, env, name)
			if err != nil {
				return err
			}
			input, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			var texts []string
			n := 0
			for line := range strings.Lines(string(input)) {
				n++
				var ids []int32
				for _, word := range strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n,[]", c) }) {
					id, err := strconv.ParseInt(word, 10, 32)
					if err != nil {
						return fmt.Errorf("%s:%d: %q is no token id", args[0], n, word)
					}
					ids = append(ids, int32(id))
				}
				texts = append(texts, t.Decode(ids, !keep))
			}
			return env.Result(map[string]any{"texts": texts}, func(w io.Writer) {
				for _, text := range texts {
					fmt.Fprintln(w, text)
				}
			})
		},
	}
	cmd.Flags().StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	cmd.Flags().BoolVar(&keep, "keep-special", false, "keep control tokens such as [CLS]")
	return cmd
}

func inspectTokenizerCommand(env *cli.Env) *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:     "inspect",
		Short:   "say what a tokenizer is",
		Example: `  corpus tokenizer inspect --tokenizer wp4k`,
		Args:    cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			t, err := openNamed(cmd, env, name)
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
			return env.Result(map[string]any{
				"vocab_size": t.VocabSize(), "digest": t.Digest(), "beginning": pieces, "continuing": continuing, "special": special,
			}, func(w io.Writer) {
				fmt.Fprintf(w, "%d pieces: %d begin a word, %d continue one, %d are control tokens\n", t.VocabSize(), pieces, continuing, len(special))
				for _, s := range special {
					fmt.Fprintf(w, "  %6d %s\n", s["id"], s["token"])
				}
				fmt.Fprintf(w, "digest %s\n", t.Digest())
			})
		},
	}
	cmd.Flags().StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	return cmd
}
