package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
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

// traced is a part of a sequence with where it came from.
type traced struct {
	Source     string        `json:"source"`
	Document   string        `json:"document"`
	FirstToken int32         `json:"first_token"`
	LastToken  int32         `json:"last_token"`
	Place      *shards.Place `json:"place,omitempty"`
}

func traceCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var step int64
	sequence := 0
	cmd := &cobra.Command{
		Use:   "trace",
		Short: "say where a sequence of a step came from: documents, dump files and offsets",
		Long: `Trace finds a step's sequence from the step's number alone and names the parts of
documents it is made of, each with the file, record and byte it was read from.`,
		Example: `  corpus trace --mix books:0.3,wiki:0.7 --step 1000 --sequence 5`,
		Args:    cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			batch, err := b.Batch(cmd.Context(), step, 0, 1)
			if err != nil {
				return err
			}
			if sequence < 0 || sequence >= batch.Sequences() {
				return cli.Usage(cmd, "--sequence %d: step %d has the sequences 0 to %d", sequence, step, batch.Sequences()-1)
			}
			o := batch.Origins[sequence]
			set, err := b.OpenSet(cmd.Context(), o.Source)
			if err != nil {
				return err
			}
			defer set.Close()
			var ids []string
			for _, s := range o.Spans {
				ids = append(ids, s.Doc)
			}
			places, err := set.Places(cmd.Context(), ids...)
			if err != nil {
				return err
			}
			var parts []traced
			for _, s := range o.Spans {
				t := traced{Source: o.Source, Document: s.Doc, FirstToken: s.Start, LastToken: s.End - 1}
				if p, ok := places[s.Doc]; ok {
					t.Place = &p
				}
				parts = append(parts, t)
			}
			return env.Result(map[string]any{"step": step, "sequence": sequence, "index": o.Index, "epoch": o.Epoch, "parts": parts}, func(w io.Writer) {
				t := cli.Table{Head: []string{"source", "document", "tokens", "file", "record", "offset"}}
				for _, p := range parts {
					place := shards.Place{}
					if p.Place != nil {
						place = *p.Place
					}
					t.Row(p.Source, p.Document, fmt.Sprintf("%d to %d", p.FirstToken, p.LastToken), place.File, place.Record, place.Offset)
				}
				t.Write(w)
			})
		},
	}
	flags.Add(cmd)
	cmd.Flags().Int64Var(&step, "step", 0, "the step")
	cmd.Flags().IntVar(&sequence, "sequence", 0, "the sequence's number in the step")
	return cmd
}

func whereUsedCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var source string
	var from, to int64
	cmd := &cobra.Command{
		Use:     "where-used ID...",
		Short:   "say in which steps documents are trained on",
		Example: `  corpus where-used 0f3c7e0c8d0b4a52a1f0d4f1a9b37c11 --source wiki --mix books:0.3,wiki:0.7 --to 10000`,
		Args:    cli.Args(1, -1, "the ids of documents"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if source == "" {
				return cli.Usage(cmd, "--source is missing: name the documents' source")
			}
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			uses, err := b.Mixer().Uses(cmd.Context(), source, args, from, to)
			if err != nil {
				return err
			}
			return env.Result(map[string]any{"uses": uses}, func(w io.Writer) {
				t := cli.Table{Head: []string{"step", "sample", "epoch", "document", "tokens"}}
				for _, u := range uses {
					t.Row(u.Step, u.Index, u.Epoch, u.Span.Doc, fmt.Sprintf("%d to %d", u.Span.Start, u.Span.End-1))
				}
				t.Write(w)
				if len(uses) == 0 {
					fmt.Fprintln(w, "in none of these steps")
				}
			})
		},
	}
	flags.Add(cmd)
	cmd.Flags().StringVar(&source, "source", "", "the documents' source")
	cmd.Flags().Int64Var(&from, "from", 0, "first step")
	cmd.Flags().Int64Var(&to, "to", 1000, "the step after the last")
	return cmd
}

func serveCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var listen, socket, tokenFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "give batches to other trainers, over Arrow Flight or a Unix socket",
		Long: `Serve builds the batches of a mix for programs that train elsewhere: as Arrow
streams on a Unix socket, for the same machine, or over Arrow Flight. A request is
"FROM TO RANK RANKS"; each step is one record batch. Any step can be asked for at
any time, so that resuming is asking for the next one. Flight on an address that
is not loopback needs a token, read from a file; it is not encrypted.`,
		Example: `  corpus serve --mix books:0.3,wiki:0.7 --socket /tmp/batches.sock
  corpus serve --mix books:0.3,wiki:0.7 --listen 0.0.0.0:8815 --token-file token`,
		Args: cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (listen == "") == (socket == "") {
				return cli.Usage(cmd, "name one of --socket and --listen")
			}
			token := ""
			if tokenFile != "" {
				data, err := os.ReadFile(tokenFile)
				if err != nil {
					return fmt.Errorf("reading the token: %w", err)
				}
				if token = strings.TrimSpace(string(data)); token == "" {
					return errors.New("reading the token: the file is empty")
				}
			}
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			var l net.Listener
			if socket != "" {
				l, err = pipelines.ListenSocket(cmd.Context(), socket)
			} else {
				l, err = net.Listen("tcp", listen)
			}
			if err != nil {
				return err
			}
			defer l.Close()
			env.Notice("serving batches on %s", l.Addr())
			if socket != "" {
				return b.ServeStream(cmd.Context(), l, env.Log())
			}
			return b.ServeFlight(cmd.Context(), l, token)
		},
	}
	flags.Add(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "address for Arrow Flight, such as 127.0.0.1:8815")
	cmd.Flags().StringVar(&socket, "socket", "", "path of a Unix socket for Arrow streams")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file that holds the token requests must bear")
	return cmd
}
