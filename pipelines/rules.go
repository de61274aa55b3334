package pipelines

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/rules"
	"github.com/tributary-ml/tributary/ingest/store"
)

// judged and unjudged tell the rules over signals from those that find duplicates.
func judged(r dedup.RuleStats) bool   { return r.Judged }
func unjudged(r dedup.RuleStats) bool { return !r.Judged }

func rulesStageName(source string) string { return "rules " + source }

// rulesStage runs a source's rules over its signals, and withdraws the marks of those
// that it no longer names.
func rulesStage(cfg *Config, opts Options, source SourceConfig) stage {
	return stage{
		name:   rulesStageName(source.Name),
		inputs: []string{"ingest " + source.Name},
		config: source.Rules,
		outside: func(context.Context) (map[string]string, error) {
			chosen, err := rules.Choose(source.Rules...)
			if err != nil {
				return nil, err
			}
			out := map[string]string{}
			for _, r := range chosen {
				definition, err := json.Marshal(r)
				if err != nil {
					return nil, fmt.Errorf("rule %s: %w", r.Name, err)
				}
				out["rule "+r.Name] = store.Key(string(definition))
			}
			return out, nil
		},
		outputs: func() (map[string]string, error) {
			key, err := dedup.RulesKey(cfg.Data, source.Name, judged)
			return map[string]string{source.Name: key}, err
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			chosen, err := rules.Choose(source.Rules...)
			if err != nil {
				return nil, nil, err
			}
			var summary []string
			gone, err := dedup.Withdraw(cfg.Data, source.Name, func(r dedup.RuleStats) bool {
				return r.Judged && !slices.ContainsFunc(chosen, func(c *rules.Rule) bool { return c.Name == r.Rule })
			})
			if err != nil {
				return nil, nil, err
			}
			if len(gone) > 0 {
				summary = append(summary, "withdrawn: "+strings.Join(gone, ", "))
			}
			reports := []*dedup.Report{}
			for _, rule := range chosen {
				r, err := dedup.Judge(ctx, dedup.Config{Data: cfg.Data, Sources: []string{source.Name}, Jobs: opts.Jobs, Meter: opts.Meter, Log: opts.Log}, rule)
				if err != nil {
					return nil, nil, err
				}
				reports = append(reports, r)
				summary = append(summary, rulesSummary(r))
			}
			return reports, summary, nil
		},
	}
}

// rulesSummary says what a rule found in its source, the commonest reasons first.
func rulesSummary(r *dedup.Report) string {
	s := r.Sources[0]
	reasons := slices.Clone(s.Reasons)
	slices.SortStableFunc(reasons, func(a, b dedup.ReasonCount) int { return cmp.Compare(b.Documents+b.Spans, a.Documents+a.Spans) })
	text := fmt.Sprintf("%s: %d of %d documents left out", r.Rule, s.LeftOut, s.Documents)
	for i, c := range reasons {
		switch {
		case i == 5:
			return text + ", ..."
		case c.Spans > 0:
			text += fmt.Sprintf(", %s %d lines", c.Reason, c.Spans)
		default:
			text += fmt.Sprintf(", %s %d", c.Reason, c.Documents)
		}
	}
	return text
}
