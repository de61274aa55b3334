package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/ingest/sample"
)

func sampleCommand(env *cli.Env) *cobra.Command {
	var opts sample.Options
	cmd := &cobra.Command{
		Use:   "sample DIR",
		Short: "write a small raw corpus to try things on",
		Long: `Sample writes a made-up raw corpus into DIR: a multistream wiki dump, a folder of
books, a crawl archive and a small labelled set, with duplicates and broken
records whose list is in planted.json. The same seed and scale give the same
bytes.`,
		Example: `  corpus sample sample
  corpus sample sample --seed 7 --scale 0.1    # another one, a tenth of the size`,
		Args: cli.Args(1, 1, "the directory to write to"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !(opts.Scale > 0 && opts.Scale <= 1000) {
				return cli.Usage(cmd, "--scale %g: want a number above 0 and at most 1000", opts.Scale)
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			opts.Meter = meter
			r, err := sample.Write(cmd.Context(), args[0], opts)
			stop()
			if err != nil {
				return err
			}
			return env.Result(r, func(w io.Writer) {
				if r.Cached {
					fmt.Fprintf(w, "%s holds this sample already\n", args[0])
				}
				fmt.Fprintf(w, "%d wiki articles in %d pages, %d books, %d crawled pages in %d records, %d labelled examples\n",
					r.Articles, r.Pages, r.Books, r.Records, r.CrawlRecords, r.Labelled)
				fmt.Fprintf(w, "%s of text, %s on disk\n", cli.Bytes(r.TextBytes), cli.Bytes(r.FileBytes))
			})
		},
	}
	cmd.Flags().Uint64Var(&opts.Seed, "seed", 1, "which of the corpora of this size")
	cmd.Flags().Float64Var(&opts.Scale, "scale", 1, "size: 1 makes about 6 MB of text")
	return cmd
}
