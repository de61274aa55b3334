package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// page writes the reports as HTML.
func (r ingestResult) page(path string) error {
	var reports []*ingest.Report
	for _, s := range r.Sources {
		reports = append(reports, s.Report)
	}
	var b bytes.Buffer
	if err := ingest.WritePage(&b, reports...); err != nil {
		return err
	}
	if _, err := store.WriteFile(path, b.Bytes()); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// planIngest predicts what ingesting takes.
func planIngest(cmd *cobra.Command, env *cli.Env, parts []ingest.Config, stop func()) error {
	out := struct {
		Plans []*ingest.Plan `json:"plans"`
	}{}
	for _, part := range parts {
		p, err := ingest.MakePlan(cmd.Context(), part)
		if err != nil {
			return err
		}
		out.Plans = append(out.Plans, p)
	}
	stop()
	return env.Result(out, func(w io.Writer) {
		t := cli.Table{Head: []string{"source", "what", "predicted"}}
		for _, p := range out.Plans {
			for _, row := range p.Rows() {
				t.Row(p.Source, row[0], row[1])
			}
		}
		cli.WriteTables(w, t)
	})
}
