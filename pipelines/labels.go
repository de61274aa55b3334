package pipelines

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

// Labels are those of the documents of labelled sources, for the objectives that need
// them. They are held in memory.
type Labels struct {
	// Names are the classes by number, in order of name over all sources.
	Names []string
	// Digest is the hash of all labels.
	Digest string
	labels map[string]masking.Label
}

// Label implements masking.Labels.
func (l *Labels) Label(doc string) (masking.Label, bool) {
	label, ok := l.labels[doc]
	return label, ok
}

// Classes implements masking.Labels.
func (l *Labels) Classes() int { return len(l.Names) }

// OpenLabels reads the labels of sources, which must be of the task (an objective of
// masking.LabelledObjectives), and finds the tokens that they are of.
func OpenLabels(ctx context.Context, data string, sources []string, task string, t *tokenize.Tokenizer) (*Labels, error) {
	out := &Labels{labels: map[string]masking.Label{}}
	classes := map[string]bool{}
	var known []map[string]ingest.Labelled
	parts := []any{task}
	for _, source := range sources {
		m, list, err := ingest.ReadLabels(data, source)
		if err != nil {
			return nil, err
		}
		if m.Task != task {
			return nil, fmt.Errorf("the labels of %s are for %s, not for %s", source, m.Task, task)
		}
		parts = append(parts, source, m.Digest())
		for _, c := range m.Classes {
			classes[c] = true
		}
		byID := make(map[string]ingest.Labelled, len(list))
		for _, l := range list {
			byID[l.ID] = l
		}
		known = append(known, byID)
	}
	out.Names = slices.Sorted(maps.Keys(classes))
	out.Digest = store.Key(parts...)
	number := make(map[string]int32, len(out.Names))
	for i, name := range out.Names {
		number[name] = int32(i)
	}
	enc := t.NewEncoder()
	for i, source := range sources {
		needsText := task == "tag" || task == "pair"
		if !needsText {
			for id, l := range known[i] {
				out.labels[id] = masking.Label{Class: number[l.Label], Value: l.Value}
			}
			continue
		}
		for d, err := range ingest.Documents(ctx, data, source) {
			if err != nil {
				return nil, fmt.Errorf("reading the labelled texts of %s: %w", source, err)
			}
			l, ok := known[i][d.ID]
			if !ok {
				continue
			}
			spans, err := shards.Spans(enc, d.Text)
			if err != nil {
				return nil, fmt.Errorf("finding the labelled tokens of document %s: %w", d.ID, err)
			}
			label := masking.Label{Class: number[l.Label]}
			if task == "pair" {
				for label.Split < int32(len(spans)) && spans[label.Split].Start < l.First {
					label.Split++
				}
			} else if label.Tags, err = tagsOf(d.Text, spans, l.Tags, number); err != nil {
				return nil, fmt.Errorf("document %s (%s, record %d): %w", d.ID, d.File, d.Record, err)
			}
			out.labels[d.ID] = label
		}
	}
	return out, nil
}

// tagsOf gives the first token of each word the word's tag, and the others none.
func tagsOf(text string, spans []tokenize.Span, tags []string, number map[string]int32) ([]int32, error) {
	out := make([]int32, len(spans))
	for i := range out {
		out[i] = -1
	}
	at, from := 0, 0
	for w, word := range strings.Split(text, " ") {
		if w == len(tags) {
			return nil, fmt.Errorf("it has more words than its %d tags", len(tags))
		}
		to := from + len(word)
		for at < len(spans) && spans[at].End <= from {
			at++
		}
		if at < len(spans) && spans[at].Start < to {
			out[at] = number[tags[w]]
			at++
		}
		from = to + 1
	}
	return out, nil
}
