package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/shards"
)

// openStream opens the stream that flags describe.
func openStream(cmd *cobra.Command, env *cli.Env, flags *stream.Flags) (*pipelines.Batches, error) {
	cfg, err := flags.Config(cmd, env)
	if err != nil {
		return nil, err
	}
	return pipelines.OpenBatches(cmd.Context(), cfg)
}

// shorten fits a text into a column of a table.
func shorten(text string) string {
	const most = 48
	r := []rune(strings.Join(strings.Fields(text), " "))
	if len(r) <= most {
		return string(r)
	}
	return string(r[:most/2]) + " ... " + string(r[len(r)-most/2:])
}

func traceCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var step int64
	var tokens bool
	sequence := 0
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "say where a sequence of a step came from: documents, dump files and offsets",
		Long: `Trace finds a step's sequence from the step's number alone and names the parts of
documents it is made of, each with the file, record and byte it was read from, and,
where the documents lie beside the shards, the bytes of the document's text. With
--tokens it names these for every token of the sequence, with what is shown of it and
what is asked for. The flags that say which batches are read must be those of the run.`,
		Example: `  corpus trace --mix books:0.3,wiki:0.7 --step 1000 --sequence 5
  corpus trace --mix books:0.3,wiki:0.7 --step 1000 --sequence 5 --tokens`,
		Args: cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			found, err := b.Trace(cmd.Context(), step, sequence, tokens)
			if errors.Is(err, pipelines.ErrNoSequence) {
				return cli.Usage(cmd, "--sequence: %v", err)
			}
			if err != nil {
				return err
			}
			return env.Result(found, func(w io.Writer) { writeTrace(w, found) })
		},
	}
	flags.Add(cmd)
	cmd.Flags().Int64Var(&step, "step", 0, "the step")
	cmd.Flags().IntVar(&sequence, "sequence", 0, "the sequence's number in the step")
	cmd.Flags().BoolVar(&tokens, "tokens", false, "name the place of every token")
	return cmd
}

func writeTrace(w io.Writer, found *pipelines.Trace) {
	fmt.Fprintf(w, "step %d, sequence %d: sample %d of the stream, pass %d of its source\n", found.Step, found.Sequence, found.Index, found.Epoch)
	t := cli.Table{Head: []string{"source", "document", "tokens", "bytes", "text", "file", "record", "offset"}}
	for _, p := range found.Parts {
		place, bytes := shards.Place{}, ""
		if p.Place != nil {
			place = *p.Place
		}
		if p.FirstByte != nil {
			bytes = fmt.Sprintf("%d to %d", *p.FirstByte, *p.EndByte-1)
		}
		t.Row(p.Source, p.Document, fmt.Sprintf("%d to %d", p.FirstToken, p.LastToken), bytes, shorten(p.Text), place.File, place.Record, place.Offset)
	}
	t.Write(w)
	if found.Tokens == nil {
		return
	}
	fmt.Fprintln(w)
	t = cli.Table{Head: []string{"position", "shown", "asked", "document", "token", "bytes", "text"}}
	for _, x := range found.Tokens {
		if x.Part < 0 {
			t.Row(x.Position, x.Shown, x.Asked, "", "", "", "")
			continue
		}
		bytes := ""
		if x.EndByte > x.FirstByte {
			bytes = fmt.Sprintf("%d to %d", x.FirstByte, x.EndByte-1)
		}
		t.Row(x.Position, x.Shown, x.Asked, found.Parts[x.Part].Document, x.Token, bytes, shorten(x.Text))
	}
	t.Write(w)
}

func whereUsedCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var cfg pipelines.UsesConfig
	cmd := &cobra.Command{
		Use:   "where-used ID...",
		Short: "say in which steps documents are trained on",
		Long: `Where-used finds the samples that hold tokens of documents, or the token of one
byte of their texts, without replaying anything. What an objective takes beside its
samples, such as the second part of a random sentence pair, is found with --built, which
builds every batch of the steps.`,
		Example: `  corpus where-used 0f3c7e0c8d0b4a52a1f0d4f1a9b37c11 --mix books:0.3,wiki:0.7 --to 10000
  corpus where-used 0f3c7e0c8d0b4a52a1f0d4f1a9b37c11 --byte 1234 --mix books:0.3,wiki:0.7`,
		Args: cli.Args(1, -1, "the ids of documents"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cfg.From < 0 || cfg.To <= cfg.From {
				return cli.Usage(cmd, "--from %d --to %d: want 0 <= FROM < TO", cfg.From, cfg.To)
			}
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			if cfg.Built {
				meter.Begin("building batches", "steps", cfg.To-cfg.From, 0)
			}
			cfg.Documents = args
			uses, err := b.WhereUsed(cmd.Context(), cfg, func() { meter.Add(1) })
			stop()
			if err != nil {
				return err
			}
			if uses == nil {
				uses = []mixer.Use{}
			}
			return env.Result(map[string]any{"uses": uses}, func(w io.Writer) {
				if len(uses) == 0 {
					fmt.Fprintf(w, "in none of the steps %d to %d\n", cfg.From, cfg.To-1)
					return
				}
				t := cli.Table{Head: []string{"step", "sample", "pass", "document", "tokens"}}
				for _, u := range uses {
					t.Row(u.Step, u.Sample, u.Epoch, u.Span.Doc, fmt.Sprintf("%d to %d", u.Span.Start, u.Span.End-1))
				}
				t.Write(w)
			})
		},
	}
	flags.Add(cmd)
	cmd.Flags().StringVar(&cfg.Source, "source", "", "the documents' source (default: the one of the mix that has them)")
	cmd.Flags().IntVar(&cfg.Byte, "byte", -1, "look for the token of this byte of the documents' texts alone")
	cmd.Flags().Int64Var(&cfg.From, "from", 0, "first step")
	cmd.Flags().Int64Var(&cfg.To, "to", 1000, "the step after the last")
	cmd.Flags().BoolVar(&cfg.Built, "built", false, "build every batch, which also finds what is taken beside samples")
	return cmd
}
