package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/pipelines"
)

func batchesCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var steps, split string
	var digest, report bool
	ranks, rank := 1, 0
	cmd := &cobra.Command{
		Use:   "batches",
		Short: "read batches without training on them: count them, or print their digest",
		Long: `Batches builds the batches of a range of steps as training would. Batch k depends
on the data, the tokenizer, the mix, the objective, the seed and k alone: the
digest of a range is the same whatever --jobs is, and the digests of all ranks'
parts add up to that of the whole.`,
		Example: `  pretrain batches --mix books:0.3,wiki:0.7 --steps 0:100 --digest
  pretrain batches --mix books:0.3,wiki:0.7 --steps 0:100 --digest --ranks 4 --rank 0`,
		Args: cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := flags.Config(cmd, env)
			if err != nil {
				return err
			}
			from, to, err := stepRange(steps)
			if err != nil {
				return cli.Usage(cmd, "--steps: %v", err)
			}
			if ranks < 1 || rank < 0 || rank >= ranks {
				return cli.Usage(cmd, "--rank %d --ranks %d: want a rank from 0 up to the number of ranks", rank, ranks)
			}
			switch split {
			case "train":
				cfg.Split = mixer.Train
			case "heldout":
				cfg.Split = mixer.Heldout
			case "all":
				cfg.Split = mixer.All
			default:
				return cli.Usage(cmd, "--split %s: want train, heldout or all", split)
			}
			cfg.Ahead = 2 * env.Jobs
			b, err := pipelines.OpenBatches(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer b.Close()
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			meter.Begin("building batches", "steps", to-from, 0)
			out := batchesResult{Mix: cfg.Mix.String(), Objective: cfg.Objective, From: from, To: to, Ranks: ranks, Rank: rank, SequencesBySource: map[string]int64{}}
			var sum masking.Digest
			if report {
				out.Report = masking.NewReport(b.Stream, b.Tokenizer)
			}
			for step := from; step < to; step++ {
				batch, err := b.Batch(cmd.Context(), step, rank, ranks)
				if err != nil {
					return err
				}
				if digest {
					sum.Add(batch.Digest())
				}
				if report {
					out.Report.Add(batch)
				}
				out.Sequences += int64(batch.Sequences())
				out.Tokens += int64(len(batch.Tokens))
				out.Predicted += int64(len(batch.Predict))
				for _, o := range batch.Origins {
					out.SequencesBySource[o.Source]++
				}
				meter.Add(1)
			}
			stop()
			kept := b.Meter()
			out.Ready, out.WaitedSeconds = kept.Ready, kept.Waited.Seconds()
			if digest {
				out.Digest = sum.String()
			}
			return env.Result(out, out.write)
		},
	}
	flags.Add(cmd)
	f := cmd.Flags()
	f.StringVar(&steps, "steps", "0:1", "range of steps A:B, B not included")
	f.BoolVar(&digest, "digest", false, "print one digest of the content of the range")
	f.BoolVar(&report, "report", false, "print what the batches of the range are made of")
	f.IntVar(&ranks, "ranks", 1, "number of ranks that share each batch")
	f.IntVar(&rank, "rank", 0, "the rank whose part is read")
	f.StringVar(&split, "split", "train", "documents to read: train, heldout or all")
	return cmd
}

type batchesResult struct {
	Mix       string `json:"mix"`
	Objective string `json:"objective"`
	From      int64  `json:"from"`
	To        int64  `json:"to"`
	Ranks     int    `json:"ranks"`
	Rank      int    `json:"rank"`
	// Tokens counts the tokens the model sees, Predicted those it must say.
	Sequences         int64            `json:"sequences"`
	Tokens            int64            `json:"tokens"`
	Predicted         int64            `json:"predicted"`
	SequencesBySource map[string]int64 `json:"sequences_by_source"`
	// Ready batches were there when they were asked for; the reader waited for the
	// others.
	Ready         int64           `json:"ready"`
	WaitedSeconds float64         `json:"waited_seconds"`
	Digest        string          `json:"digest,omitempty"`
	Report        *masking.Report `json:"report,omitempty"`
}

// write prints the digest alone when one was asked for: one line for the range.
func (r batchesResult) write(w io.Writer) {
	if r.Report != nil {
		_ = r.Report.WriteText(w) // to standard output, as the lines below
		fmt.Fprintf(w, "%d of %d batches were ready when they were asked for; waited %.3f s for the others\n", r.Ready, r.To-r.From, r.WaitedSeconds)
	}
	if r.Digest != "" {
		fmt.Fprintln(w, r.Digest)
	}
	if r.Digest != "" || r.Report != nil {
		return
	}
	fmt.Fprintf(w, "steps %d to %d: %d sequences, %d tokens, %d of them predicted\n", r.From, r.To-1, r.Sequences, r.Tokens, r.Predicted)
}

// stepRange reads "A:B".
func stepRange(s string) (from, to int64, err error) {
	a, b, ok := strings.Cut(s, ":")
	if !ok {
		return 0, 0, fmt.Errorf("%q is no range: want A:B", s)
	}
	if from, err = strconv.ParseInt(a, 10, 64); err == nil {
		to, err = strconv.ParseInt(b, 10, 64)
	}
	if err != nil || from < 0 || to <= from {
		return 0, 0, fmt.Errorf("%q is no range: want A:B with 0 <= A < B", s)
	}
	return from, to, nil
}
