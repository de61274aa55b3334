package dedup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/rules"
	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/ingest/store"
)

// judgeVersion is part of the key of the rules that judge signals: it is raised when a
// rule would find something else.
const judgeVersion = "judge/1"

// Judge runs a rule over the signals of the documents, and over their texts where it
// cuts lines, and writes what it finds as marks: one for each reason against a document
// and one for each line to cut. Each source is by itself; one that has these marks
// already is left alone.
func Judge(ctx context.Context, cfg Config, rule *rules.Rule) (*Report, error) {
	cfg.signals = true
	if err := cfg.setDefaults(); err != nil {
		return nil, fmt.Errorf("rule %s: %w", rule.Name, err)
	}
	report := &Report{Rule: rule.Name, Skipped: true}
	for _, source := range cfg.Sources {
		own := cfg
		own.Sources = []string{source}
		r, err := judge(ctx, own, rule)
		if err != nil {
			return nil, fmt.Errorf("rule %s, source %s: %w", rule.Name, source, err)
		}
		report.Skipped = report.Skipped && r.Skipped
		report.Sources = append(report.Sources, r.Sources...)
		report.Spilled += r.Spilled
	}
	return report, nil
}

func judge(ctx context.Context, cfg Config, rule *rules.Rule) (report *Report, err error) {
	run, done, err := cfg.beginRule(rule.Name, struct {
		Version string      `json:"version"`
		Rule    *rules.Rule `json:"rule"`
	}{judgeVersion, rule})
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	run.judged = true
	counts := &run.report.Sources[0]
	if rule.NeedsText() {
		err = cfg.eachDocument(ctx, func() func(int, *ingest.Document) error {
			j := rule.NewJudge()
			return func(_ int, d *ingest.Document) error { return run.judge(j, d.ID, &d.Signals, d.Text) }
		})
	} else {
		err = run.judgeMeasures(ctx, rule)
	}
	if err != nil {
		return nil, err
	}
	m, err := ingest.DocumentsManifest(cfg.Data, cfg.Sources[0])
	if err != nil {
		return nil, err
	}
	counts.Documents = m.Totals["documents"]
	return run.finish(ctx)
}

// judgeMeasures judges the signals of all documents without reading the texts.
func (r *ruleRun) judgeMeasures(ctx context.Context, rule *rules.Rule) error {
	const batch = 256
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan []*ingest.Measured, 2*r.cfg.Jobs)
	send := func(b []*ingest.Measured) error {
		select {
		case queue <- b:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.Go(func() error {
		defer close(queue)
		var b []*ingest.Measured
		for d, err := range ingest.Measures(ctx, r.cfg.Data, r.cfg.Sources[0]) {
			if err != nil {
				return err
			}
			if b = append(b, d); len(b) == batch {
				if err := send(b); err != nil {
					return err
				}
				b = nil
			}
		}
		return send(b)
	})
	for range r.cfg.Jobs {
		g.Go(func() error {
			j := rule.NewJudge()
			for b := range queue {
				for _, d := range b {
					if err := r.judge(j, d.ID, &d.Signals, ""); err != nil {
						return err
					}
				}
				r.cfg.Meter.Add(int64(len(b)))
			}
			return nil
		})
	}
	return g.Wait()
}

func (r *ruleRun) judge(j *rules.Judge, id string, s *signals.Signals, text string) error {
	found, err := j.Judge(s, text)
	if err != nil {
		return fmt.Errorf("document %s: %w", id, err)
	}
	left := s.Bytes // of the text that no mark covers yet
	for _, f := range found {
		m := Mark{
			ID: id, Source: r.cfg.Sources[0], Rule: r.rule, Kind: f.Reason, Value: f.Value,
			Start: f.Start, End: f.End, KeptStart: -1, KeptEnd: -1, Reason: f.Detail,
		}
		n := min(left, f.End-f.Start)
		if m.Whole() {
			n = left
		}
		left -= n
		if err := r.add(0, &m, n); err != nil {
			return err
		}
	}
	return nil
}

// Withdraw removes the marks of rules from a source. Rules that it has no marks of are
// passed over; it returns those that it had.
func Withdraw(dataDir, source string, unwanted func(RuleStats) bool) ([]string, error) {
	have, err := Rules(dataDir, source)
	if err != nil {
		return nil, err
	}
	var gone []string
	for _, r := range have {
		if unwanted(r) {
			gone = append(gone, r.Rule)
		}
	}
	if len(gone) == 0 {
		return nil, nil
	}
	dir := marksDir(dataDir, source)
	m, err := readMarksManifest(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range m.Rules {
		if slices.Contains(gone, e.Rule) {
			m.Files = slices.DeleteFunc(m.Files, func(f store.File) bool { return f.Path == e.File })
		}
	}
	m.Rules = slices.DeleteFunc(m.Rules, func(e ruleEntry) bool { return slices.Contains(gone, e.Rule) })
	return gone, m.write(dir)
}

// RulesKey is MarksKey for the marks of some rules: when they are all rules of the
// source, the two are the same.
func RulesKey(dataDir, source string, wanted func(RuleStats) bool) (string, error) {
	if err := ingest.CheckSource(source); err != nil {
		return "", err
	}
	m, err := readMarksManifest(marksDir(dataDir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	some := store.Manifest{Format: m.Format}
	for _, e := range m.Rules {
		if !wanted(e.stats()) {
			continue
		}
		for _, f := range m.Files {
			if f.Path == e.File {
				some.Files = append(some.Files, f)
			}
		}
	}
	if len(some.Files) == 0 {
		return "", nil
	}
	slices.SortFunc(some.Files, func(a, b store.File) int { return strings.Compare(a.Path, b.Path) })
	return some.Digest(), nil
}

// reasonTotal begins the names of the totals that count marks by their reason.
const reasonTotal = "reason_"

// ReasonCount counts what one reason of a rule was found for.
type ReasonCount struct {
	Reason string `json:"reason"`
	// Documents counts the documents that it is against as a whole, Spans the lines.
	Documents int64 `json:"documents,omitempty"`
	Spans     int64 `json:"spans,omitempty"`
}

// countReason counts a mark in the totals of a source.
func countReason(totals map[string]int64, m *Mark) {
	if m.Whole() {
		totals[reasonTotal+m.Kind+"_documents"]++
	} else {
		totals[reasonTotal+m.Kind+"_spans"]++
	}
}

// reasons returns the counts that countReason made, in the order of their names.
func reasons(totals map[string]int64) []ReasonCount {
	var out []ReasonCount
	at := func(name string) *ReasonCount {
		i, found := slices.BinarySearchFunc(out, name, func(r ReasonCount, name string) int { return strings.Compare(r.Reason, name) })
		if !found {
			out = slices.Insert(out, i, ReasonCount{Reason: name})
		}
		return &out[i]
	}
	for key, n := range totals {
		name, ok := strings.CutPrefix(key, reasonTotal)
		if !ok {
			continue
		}
		if base, ok := strings.CutSuffix(name, "_documents"); ok {
			at(base).Documents = n
		} else if base, ok := strings.CutSuffix(name, "_spans"); ok {
			at(base).Spans = n
		}
	}
	return out
}
