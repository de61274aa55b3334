package main

import (
	"context"
	"fmt"
	"io"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/tokenize"
)

// readerBytes is what the readers and writers of Parquet hold besides --memory.
const readerBytes = 16 << 20

// rule is one way of finding duplicates, with the flag that asks for it.
type rule struct {
	flag, usage string
	run         func(context.Context, dedup.Config) (*dedup.Report, error)
}

var exactRules = []rule{
	{"exact", "documents whose text is equal but for white space and Unicode form", dedup.Exact},
	{"exact-raw", "documents whose text is equal byte by byte", dedup.ExactRaw},
	{"url", "documents whose URL is equal but for what does not tell pages apart", dedup.URL},
}

// nearRule is the rule of near-duplicates with its options.
func nearRule(preset string, ngram, bands, rows int, containment bool) (rule, error) {
	o, err := dedup.MinHashPreset(preset)
	if err != nil {
		return rule{}, err
	}
	if ngram > 0 {
		o.NGram = ngram
	}
	if bands > 0 || rows > 0 {
		o.Bands, o.Rows = bands, rows
	}
	o.Containment = containment
	return rule{"minhash", "", func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
		return dedup.MinHash(ctx, cfg, o)
	}}, nil
}

// substringOptions reads "bytes:200" or "tokens:50".
func substringOptions(env *cli.Env, text, tokenizer string, keepOne bool) (o dedup.SubstringOptions, err error) {
	unit, length, _ := strings.Cut(text, ":")
	if o.Length, err = strconv.Atoi(length); err != nil || unit != "bytes" && unit != "tokens" {
		return o, fmt.Errorf("--substring %q: want bytes:N or tokens:N, such as bytes:200", text)
	}
	o.All = !keepOne
	if unit == "bytes" {
		return o, nil
	}
	if tokenizer == "" {
		return o, fmt.Errorf("--substring %s: name the tokenizer with --tokenizer", text)
	}
	t, err := pipelines.OpenTokenizer(env.Data, tokenizer)
	if err != nil {
		return o, err
	}
	o.TokensOf = t.Digest()
	o.Tokens = func() (func([]dedup.Token, string) ([]dedup.Token, error), error) {
		e := t.NewEncoder()
		var enc tokenize.Encoding
		return func(dst []dedup.Token, text string) ([]dedup.Token, error) {
			if err := e.EncodeOffsets(&enc, text); err != nil {
				return nil, err
			}
			for i, id := range enc.IDs {
				dst = append(dst, dedup.Token{ID: id, Start: int(enc.Spans[i].Start), End: int(enc.Spans[i].End)})
			}
			return dst, nil
		}, nil
	}
	return o, nil
}

func dedupCommand(env *cli.Env) *cobra.Command {
	asked := make([]bool, len(exactRules))
	memory := cli.Size(dedup.DefaultMemoryBytes)
	var preset string
	var ngram, bands, rows, minWords int
	var paragraphs, lines, keepOne, index, containment bool
	var substring, tokenizer, reportPath string
	var bloomParagraphs int64
	var bloomRate float64
	cmd := &cobra.Command{
		Use:   "dedup [SOURCE...]",
		Short: "mark duplicate documents, across all named sources",
		Long: `Dedup finds documents that are there more than once and writes marks about them.
Documents are never changed: a mark names the document that could go and the one
that stays, and the default mix leaves marked documents out. Of duplicates the
one of the source named first stays.`,
		Example: `  corpus dedup --exact                  # all sources, compared with each other
  corpus dedup books wiki web --exact   # books are kept before wiki before web
  corpus dedup --minhash=threshold:0.8  # near-duplicates, each compared in full`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var chosen []rule
			for i, r := range exactRules {
				if asked[i] {
					chosen = append(chosen, r)
				}
			}
			if preset != "" {
				r, err := nearRule(preset, ngram, bands, rows, containment)
				if err != nil {
					return cli.Usage(cmd, "%v", err)
				}
				chosen = append(chosen, r)
			}
			if paragraphs {
				chosen = append(chosen, rule{"paragraph", "", func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
					return dedup.Paragraph(ctx, cfg, minWords)
				}})
			}
			if bloomParagraphs > 0 {
				o, err := dedup.BloomFor(bloomParagraphs, bloomRate, int64(memory))
				if err != nil {
					return cli.Usage(cmd, "%v", err)
				}
				o.MinWords = minWords
				chosen = append(chosen, rule{"paragraph-bloom", "", func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
					return dedup.ParagraphBloom(ctx, cfg, o)
				}})
			}
			if lines {
				chosen = append(chosen, rule{"line", "", func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
					return dedup.Line(ctx, cfg, minWords)
				}})
			}
			if substring != "" {
				o, err := substringOptions(env, substring, tokenizer, keepOne)
				if err != nil {
					return cli.Usage(cmd, "%v", err)
				}
				chosen = append(chosen, rule{"substring", "", func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
					return dedup.Substring(ctx, cfg, o)
				}})
			}
			if len(chosen) == 0 {
				return cli.Usage(cmd, "name at least one rule, such as --exact")
			}
			// The collector of the Go runtime works harder as what is mapped nears the
			// bound and what reading and writing files take.
			debug.SetMemoryLimit(min(debug.SetMemoryLimit(-1), int64(memory)+readerBytes))
			var reports []*dedup.Report
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			for _, r := range chosen {
				report, err := r.run(cmd.Context(), dedup.Config{
					Data: env.Data, Sources: args, Jobs: env.Jobs, MemoryBytes: int64(memory), Index: index, Meter: meter, Log: env.Log(),
				})
				if err != nil {
					return err
				}
				reports = append(reports, report)
			}
			if reportPath != "" {
				out, err := store.Create(reportPath)
				if err != nil {
					return err
				}
				defer out.Abort()
				err = dedup.WritePage(cmd.Context(), dedup.Config{Data: env.Data, Sources: args, MemoryBytes: int64(memory), Log: env.Log()}, reports, out)
				if err != nil {
					return err
				}
				if _, err := out.Commit(); err != nil {
					return err
				}
			}
			stop()
			return env.Result(map[string]any{"rules": reports}, func(w io.Writer) {
				for _, r := range reports {
					note := ""
					if r.Skipped {
						note = " (was there already)"
					}
					fmt.Fprintf(w, "%s: %d documents marked in %d groups%s\n", r.Rule, r.Marked(), r.Groups, note)
					t := cli.Table{Head: []string{"source", "documents", "marked", "bytes marked"}}
					for _, s := range r.Sources {
						t.Row(s.Source, s.Documents, s.Marked, s.MarkedBytes)
					}
					t.Write(w)
					for _, warning := range r.Warnings {
						fmt.Fprintf(w, "warning: %s\n", warning)
					}
				}
			})
		},
	}
	for i, r := range exactRules {
		cmd.Flags().BoolVar(&asked[i], r.flag, false, "mark "+r.usage)
	}
	cmd.Flags().StringVar(&preset, "minhash", "", "mark near-duplicates: fineweb, threshold:T with T the Jaccard similarity, or reprints for texts that were misread or cut")
	cmd.Flags().Lookup("minhash").NoOptDefVal = "threshold:0.8"
	cmd.Flags().IntVar(&ngram, "ngram", 0, "words in a shingle of --minhash (default 5, of reprints 2)")
	cmd.Flags().IntVar(&bands, "bands", 0, "bands of the signature of --minhash, with --rows")
	cmd.Flags().IntVar(&rows, "rows", 0, "rows of a band, with --bands")
	cmd.MarkFlagsRequiredTogether("bands", "rows")
	cmd.Flags().BoolVar(&containment, "containment", false, "compare candidates of --minhash by the share of a document's shingles that the kept one has")
	cmd.Flags().BoolVar(&paragraphs, "paragraph", false, "mark paragraphs that stand in another document")
	cmd.Flags().Int64Var(&bloomParagraphs, "paragraph-bloom", 0, "mark paragraphs that a Bloom filter for so many has seen; for corpora too large for --paragraph")
	cmd.Flags().Float64Var(&bloomRate, "bloom-rate", 1e-6, "false-positive rate of --paragraph-bloom when it holds that many")
	cmd.Flags().BoolVar(&lines, "line", false, "mark lines that stand in another document")
	cmd.Flags().StringVar(&substring, "substring", "", "mark what stands at another place too, byte for byte or token for token: bytes:N or tokens:N")
	cmd.Flags().Lookup("substring").NoOptDefVal = "bytes:200"
	cmd.Flags().StringVar(&tokenizer, "tokenizer", "", "the tokenizer of --substring=tokens:N")
	cmd.Flags().BoolVar(&keepOne, "keep-one", true, "let the first place of a --substring stay; =false marks every place")
	cmd.Flags().IntVar(&minWords, "min-words", 5, "words from which on a paragraph or line counts")
	cmd.Flags().BoolVar(&index, "index", false, "keep signatures and digests (--minhash, --exact, --exact-raw, --url, --paragraph, --line), so that a later run with further sources reads only those")
	cmd.Flags().StringVar(&reportPath, "report", "", "write an HTML page of what was found to this file")
	cmd.Flags().Var(&memory, "memory", "bound on the memory")
	return cmd
}
