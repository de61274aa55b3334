package mixer

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/shards"
)

// Cutter is implemented by Blocks that can choose the rules whose marked spans are
// left out of the texts.
type Cutter interface {
	Cut(rules CutRules) (Blocks, error)
}

// CutRules says the marked spans of which rules are cut from texts. The zero value
// is all: what a rule marked is left out unless a mix says otherwise.
type CutRules struct {
	some  bool
	rules []string
}

// ParseCut reads what --cut says: "all" (or nothing), "none", or names of rules with
// commas.
func ParseCut(text string) (CutRules, error) {
	switch text = strings.TrimSpace(text); text {
	case "", "all":
		return CutRules{}, nil
	case "none":
		return CutRules{some: true}, nil
	}
	c := CutRules{some: true}
	for rule := range strings.SplitSeq(text, ",") {
		if rule = strings.TrimSpace(rule); rule == "" || rule == "all" || rule == "none" {
			return c, fmt.Errorf("cut %q: want all, none, or names of rules with commas", text)
		}
		c.rules = append(c.rules, rule)
	}
	slices.Sort(c.rules)
	c.rules = slices.Compact(c.rules)
	return c, nil
}

// NoCut cuts nothing.
func NoCut() CutRules { return CutRules{some: true} }

// String writes the rules as ParseCut reads them.
func (c CutRules) String() string {
	switch {
	case !c.some:
		return "all"
	case len(c.rules) == 0:
		return "none"
	}
	return strings.Join(c.rules, ",")
}

// wanted reports whether a rule's spans are cut.
func (c CutRules) wanted(rule string) bool { return !c.some || slices.Contains(c.rules, rule) }

// cuts are where tokens are missing from the documents of a block, by id.
type cuts map[string][]shards.Gap

// whole turns spans of what was read of documents into spans of the whole documents:
// a span that tokens were cut from becomes several.
func (c cuts) whole(spans []Span) []Span {
	if len(c) == 0 || !slices.ContainsFunc(spans, func(s Span) bool { return c[s.Doc] != nil }) {
		return spans
	}
	out := make([]Span, 0, len(spans)+1)
	for _, s := range spans {
		shift := int32(0)
		for _, g := range c[s.Doc] {
			if g.At >= s.End && s.End > s.Start {
				break
			}
			if g.At > s.Start {
				out = append(out, Span{Doc: s.Doc, Start: s.Start + shift, End: g.At + shift})
				s.Start = g.At
			}
			shift += g.Tokens
		}
		out = append(out, Span{Doc: s.Doc, Start: s.Start + shift, End: s.End + shift})
	}
	return out
}

// Whole turns spans of what was read of documents, the sample's and those that Other
// gives, into spans of the whole documents.
func (s *Sample) Whole(spans []Span) []Span {
	spans = s.own.cuts.whole(spans)
	if s.other != nil {
		spans = s.other.cuts.whole(spans)
	}
	return spans
}
