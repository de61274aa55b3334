package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/rules"
)

func ingestCommand(env *cli.Env) *cobra.Command {
	var cfg ingest.Config
	largest := cli.Size(64 << 20)
	var wikiRules func() error
	var use []string
	var htmlReport string
	var plan bool
	cmd := &cobra.Command{
		Use:   "ingest INPUT...",
		Short: "turn dumps into documents",
		Long: `Ingest reads files and folders and lays their documents down under the data root,
each with where it came from. An input is a file, a folder, a pattern of file names
in quotes, an s3://, gs:// or https:// address, or - for standard input, which is
copied to a file under the data root meanwhile. Kind and source name are guessed
from the inputs when they are not given. Inputs that a source has already are left alone, new
ones are appended; a run that was stopped goes on where it was. A record that
cannot be read is counted, with its place and cause.`,
		Example: `  corpus ingest sample/wiki.xml.bz2 sample/books sample/crawl.warc.wet.gz
  corpus ingest dumps/enwiki-latest-pages-articles.xml.bz2 --source enwiki --kind wiki
  corpus ingest 's3://bucket/fineweb/*.parquet' --source fineweb --text-field text --id-field id
  zcat pages.jsonl.gz | corpus ingest - --source pages --text-field body.text`,
		Args: cli.Args(1, -1, "an input: a file, a folder, a pattern, an address, or - for standard input"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if kinds := ingest.Kinds(); cfg.Kind != "" && !slices.Contains(kinds, cfg.Kind) {
				if near := names.Nearest(cfg.Kind, kinds); near != "" {
					return cli.Usage(cmd, "--kind %s: did you mean %s?", cfg.Kind, near)
				}
				return cli.Usage(cmd, "--kind %s: want one of %s", cfg.Kind, strings.Join(kinds, ", "))
			}
			if cfg.Source != "" {
				if err := ingest.CheckSource(cfg.Source); err != nil {
					return cli.Usage(cmd, "--source: %v", err)
				}
			}
			if err := wikiRules(); err != nil {
				return err
			}
			chosen, err := rules.Choose(use...)
			if err != nil {
				return cli.Usage(cmd, "--rules: %v", err)
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			cfg.Data, cfg.Inputs, cfg.Jobs, cfg.MaxRecordBytes = env.Data, args, env.Jobs, int64(largest)
			cfg.Meter, cfg.Log = meter, env.Log()
			if slices.Contains(args, ingest.StandardInput) {
				spooled, remove, err := ingest.Spool(cmd.Context(), env.Data, cmd.InOrStdin())
				if err != nil {
					return err
				}
				defer remove()
				cfg.Stdin = spooled
			}
			parts, err := ingest.Split(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			if plan {
				return planIngest(cmd, env, parts, stop)
			}
			out := ingestResult{}
			for _, part := range parts {
				r, err := ingest.Run(cmd.Context(), part)
				if err != nil {
					return err
				}
				out.Sources = append(out.Sources, sourceResult{r, r.UpToDate, r.Timing})
				if r.Totals.Documents == 0 {
					continue
				}
				for _, rule := range chosen {
					report, err := dedup.Judge(cmd.Context(), dedup.Config{
						Data: env.Data, Sources: []string{r.Source}, Jobs: env.Jobs, Meter: meter, Log: env.Log(),
					}, rule)
					if err != nil {
						return err
					}
					out.Rules = append(out.Rules, report)
				}
			}
			stop()
			if htmlReport != "" {
				if err := out.page(htmlReport); err != nil {
					return err
				}
			}
			return env.Result(out, out.write)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Source, "source", "", "name of the source (default: guessed from the inputs)")
	f.StringVar(&cfg.Kind, "kind", "", "kind of the inputs: "+strings.Join(ingest.Kinds(), ", ")+" (default: guessed)")
	f.BoolVar(&cfg.Replace, "replace", false, "withdraw the documents that the source has")
	f.BoolVar(&cfg.ReplacePII, "replace-pii", false, "put harmless values in place of e-mail and IP addresses, phone and card numbers and keys in the texts, and count them")
	f.StringSliceVar(&use, "rules", nil, "then mark what these rules are against, as corpus rules --use does")
	f.Var(&largest, "max-record", "skip records longer than this")
	f.StringVar(&htmlReport, "report", "", "write what became of the inputs to this HTML file")
	f.BoolVar(&plan, "plan", false, "only predict time, memory and disk from a sample; the run itself then says how right that was")
	fieldFlags(cmd, &cfg.Fields)
	bookFlags(cmd, &cfg)
	wikiRules = wikiFlags(cmd, &cfg.Wiki)
	return cmd
}

type ingestResult struct {
	Sources []sourceResult `json:"sources"`
	// Rules are what was found by the rules that were asked for, rule by rule for each
	// source.
	Rules []*dedup.Report `json:"rules,omitempty"`
}

type sourceResult struct {
	*ingest.Report
	UpToDate bool           `json:"up_to_date"`
	Timing   *ingest.Timing `json:"timing,omitempty"`
}

func (r ingestResult) write(w io.Writer) {
	t := cli.Table{Head: []string{"source", "kind", "records", "documents", "skipped", "words", "text bytes", ""}}
	for _, s := range r.Sources {
		note := ""
		if s.UpToDate {
			note = "was there already"
		}
		t.Row(s.Source, s.Kind, s.Totals.Records, s.Totals.Documents, s.Totals.Skipped, s.Totals.Words, s.Totals.Bytes, note)
	}
	causes := cli.Table{Head: []string{"source", "what", "cause", "count", "first at"}}
	for _, s := range r.Sources {
		for _, group := range []struct {
			what   string
			counts []ingest.Count
		}{{"skipped", s.Totals.Skips}, {"repaired", s.Totals.Repairs}, {"damaged", s.Totals.Damage}} {
			for _, c := range group.counts {
				at := ""
				if c.Example != nil {
					at = fmt.Sprintf("%s record %d", c.Example.File, c.Example.Record)
				}
				causes.Row(s.Source, group.what, c.Name, c.Count, at)
			}
		}
	}
	right := cli.Table{Head: []string{"source", "what", "was", "predicted", "off by"}}
	for _, s := range r.Sources {
		if s.UpToDate {
			continue
		}
		for _, row := range s.Timing.Compared() {
			right.Row(s.Source, row[0], row[1], row[2], row[3])
		}
	}
	cli.WriteTables(w, t, causes, right)
	if len(r.Rules) > 0 {
		fmt.Fprintln(w)
		writeRules(w, r.Rules)
	}
}
