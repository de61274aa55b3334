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

func rulesCommand(env *cli.Env) *cobra.Command {
	var use, drop []string
	var show bool
	cmd := &cobra.Command{
		Use:   "rules [SOURCE...]",
		Short: "mark what quality rules are against: gopher, c4, fineweb, your own",
		Long: `Rules judges documents by their signals and writes marks with the reason and the
value it was decided by. Documents are never changed: the default mix leaves out
what a rule is against as a whole, and a predicate chooses otherwise. A rule that
was run is not run again; one that has changed is, in seconds, as signals are
columns of the documents. Without --use and --drop it says what was found before.

A file of your own rules names conditions that are true of the texts that fail:

  tidy:
    like: fineweb                # begins with the conditions of another rule
    short_lines: short_lines > 0.8
    dup_chars: off
    shouting: upper_chars > 0.3 && words > 20
    lines: [javascript, policy]  # lines to cut`,
		Example: `  corpus rules web --use gopher,c4,fineweb
  corpus rules web --use tidy.yaml --drop fineweb
  corpus rules --show --use gopher       # prints the rule as YAML, to be changed`,
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := rules.Choose(use...)
			if err != nil {
				return cli.Usage(cmd, "--use: %v", err)
			}
			if show {
				return showRules(env, chosen)
			}
			sources := args
			if len(sources) == 0 {
				if sources, err = ingest.Sources(env.Data); err != nil {
					return err
				}
				if len(sources) == 0 {
					return fmt.Errorf("%s: %w", env.Data, ingest.ErrNoSource)
				}
			}
			dropped, err := dropRules(env, sources, drop)
			if err != nil {
				return err
			}
			meter, stop := env.Meter(cmd.Context())
			defer stop()
			var reports []*dedup.Report
			for _, rule := range chosen {
				r, err := dedup.Judge(cmd.Context(), dedup.Config{Data: env.Data, Sources: sources, Jobs: env.Jobs, Meter: meter, Log: env.Log()}, rule)
				if err != nil {
					return err
				}
				reports = append(reports, r)
			}
			if len(use) == 0 {
				if reports, err = foundRules(env, sources); err != nil {
					return err
				}
			}
			stop()
			return env.Result(map[string]any{"rules": reports, "dropped": dropped}, func(w io.Writer) {
				for _, d := range dropped {
					fmt.Fprintf(w, "%s: the marks of %s are withdrawn\n", d.Source, strings.Join(d.Rules, ", "))
				}
				writeRules(w, reports)
				if len(reports) == 0 && len(dropped) == 0 {
					fmt.Fprintln(w, "no rule was run; choose some with --use")
				}
			})
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&use, "use", nil, "the rules to run: names (gopher, gopher-quality, gopher-repetition, c4, mc4, fineweb) and files of rules (.yaml)")
	f.StringSliceVar(&drop, "drop", nil, "withdraw the marks of these rules")
	f.BoolVar(&show, "show", false, "print the rules that --use names (default: all that are there) as YAML and do nothing else")
	return cmd
}

// showRules prints rules as YAML.
func showRules(env *cli.Env, chosen []*rules.Rule) error {
	if len(chosen) == 0 {
		all, err := rules.Builtin()
		if err != nil {
			return err
		}
		if chosen, err = rules.Choose(all.Names()...); err != nil {
			return err
		}
	}
	var broken error
	err := env.Result(map[string]any{"rules": chosen}, func(w io.Writer) {
		for i, r := range chosen {
			if i > 0 {
				fmt.Fprintln(w)
			}
			if broken == nil {
				_, broken = r.WriteTo(w)
			}
		}
	})
	if err != nil {
		return err
	}
	return broken
}

// droppedRules are the rules whose marks were withdrawn from a source.
type droppedRules struct {
	Source string   `json:"source"`
	Rules  []string `json:"rules"`
}

func dropRules(env *cli.Env, sources, drop []string) ([]droppedRules, error) {
	out := []droppedRules{}
	found := map[string]bool{}
	var known []string
	for _, source := range sources {
		gone, err := dedup.Withdraw(env.Data, source, func(r dedup.RuleStats) bool {
			known = append(known, r.Rule)
			return slices.Contains(drop, r.Rule)
		})
		if err != nil {
			return nil, err
		}
		if len(gone) > 0 {
			out = append(out, droppedRules{source, gone})
		}
		for _, rule := range gone {
			found[rule] = true
		}
	}
	for _, rule := range drop {
		if found[rule] {
			continue
		}
		if near := names.Nearest(rule, known); near != "" {
			return out, fmt.Errorf("no source has marks of rule %q; did you mean %q?", rule, near)
		}
		return out, fmt.Errorf("no source has marks of rule %q", rule)
	}
	return out, nil
}

// foundRules are the reports of the rules over signals that were run before.
func foundRules(env *cli.Env, sources []string) ([]*dedup.Report, error) {
	var out []*dedup.Report
	for _, source := range sources {
		stats, err := dedup.Rules(env.Data, source)
		if err != nil {
			return nil, err
		}
		m, err := ingest.DocumentsManifest(env.Data, source)
		if err != nil {
			return nil, err
		}
		for _, s := range stats {
			if !s.Judged {
				continue
			}
			i := slices.IndexFunc(out, func(r *dedup.Report) bool { return r.Rule == s.Rule })
			if i < 0 {
				i = len(out)
				out = append(out, &dedup.Report{Rule: s.Rule, Skipped: true})
			}
			out[i].Sources = append(out[i].Sources, dedup.SourceReport{
				Source: source, Documents: m.Totals["documents"], Marked: s.Marked, MarkedBytes: s.MarkedBytes, LeftOut: s.LeftOut, Reasons: s.Reasons,
			})
		}
	}
	return out, nil
}

// writeRules prints what rules over signals found.
func writeRules(w io.Writer, reports []*dedup.Report) {
	if len(reports) == 0 {
		return
	}
	totals := cli.Table{Head: []string{"rule", "source", "documents", "left out", "bytes marked", ""}}
	reasons := cli.Table{Head: []string{"rule", "source", "reason", "documents", "lines"}}
	for _, r := range reports {
		note := ""
		if r.Skipped {
			note = "was there already"
		}
		for _, s := range r.Sources {
			totals.Row(r.Rule, s.Source, s.Documents, s.LeftOut, s.MarkedBytes, note)
			for _, c := range s.Reasons {
				reasons.Row(r.Rule, s.Source, c.Reason, c.Documents, c.Spans)
			}
		}
	}
	cli.WriteTables(w, totals, reasons)
}
