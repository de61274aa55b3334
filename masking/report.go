package masking

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report counts what batches are made of.
type Report struct {
	Sequences int64 `json:"sequences"`
	Tokens    int64 `json:"tokens"`
	// Room is what the sequences could have held.
	Room int64 `json:"room"`
	// Predicted positions show the mask token (Masked), what they are asked for
	// (Same), or another token (Other: a random one or, in language models, the
	// neighbour of what is asked for).
	Predicted int64 `json:"predicted"`
	Masked    int64 `json:"masked"`
	Same      int64 `json:"same"`
	Other     int64 `json:"other"`
	// Runs[n-1] counts the runs of n predicted positions; the last cell holds the
	// longer ones too.
	Runs [32]int64 `json:"runs"`
	// Pairs counts the pair labels 0 and 1.
	Pairs [2]int64 `json:"pairs"`
	// Targets is the number of tokens a decoder must say.
	Targets int64 `json:"targets,omitempty"`
	// Sources are in order of their task.
	Sources []SourceReport `json:"sources"`

	mask   int32
	seqLen int64
}

// SourceReport is a source's part of a Report.
type SourceReport struct {
	Task      int    `json:"task"`
	Source    string `json:"source"`
	Sequences int64  `json:"sequences"`
	Tokens    int64  `json:"tokens"`
	// Repeats counts the sequences whose sample was seen in an earlier pass, of
	// which the latest has the number LastEpoch, from 0.
	Repeats   int64 `json:"repeats"`
	LastEpoch int64 `json:"last_epoch"`
}

// NewReport returns an empty report on batches of an objective over a vocabulary.
func NewReport(o Objective, v Vocabulary) *Report {
	return &Report{mask: v.Specials().Mask, seqLen: int64(o.SeqLen())}
}

// Add counts a batch.
func (r *Report) Add(b *Batch) {
	r.Sequences += int64(b.Sequences())
	r.Tokens += int64(len(b.Tokens))
	r.Room += int64(b.Sequences()) * r.seqLen
	r.Predicted += int64(len(b.Predict))
	r.Targets += int64(len(b.Targets))
	for i, at := range b.Predict {
		switch b.Tokens[at] {
		case r.mask:
			r.Masked++
		case b.Labels[i]:
			r.Same++
		default:
			r.Other++
		}
	}
	for i, sequence := 0, 0; i < len(b.Predict); {
		for b.SeqBounds[sequence+1] <= b.Predict[i] {
			sequence++
		}
		n := 1
		for i+n < len(b.Predict) && b.Predict[i+n] == b.Predict[i]+int32(n) && b.Predict[i+n] < b.SeqBounds[sequence+1] {
			n++
		}
		r.Runs[min(n, len(r.Runs))-1]++
		i += n
	}
	for _, label := range b.PairLabels {
		r.Pairs[label]++
	}
	for i, o := range b.Origins {
		at, ok := slices.BinarySearchFunc(r.Sources, o.Task, func(s SourceReport, task int) int { return cmp.Compare(s.Task, task) })
		if !ok {
			r.Sources = slices.Insert(r.Sources, at, SourceReport{Task: o.Task, Source: o.Source})
		}
		s := &r.Sources[at]
		s.Sequences++
		s.Tokens += int64(b.SeqBounds[i+1] - b.SeqBounds[i])
		if o.Epoch > 0 {
			s.Repeats++
		}
		s.LastEpoch = max(s.LastEpoch, o.Epoch)
	}
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	percent := func(n, of int64) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	fmt.Fprintf(&b, "%d sequences, %d tokens, %.1f %% of the room filled\n", r.Sequences, r.Tokens, percent(r.Tokens, r.Room))
	fmt.Fprintf(&b, "%d predicted (%.2f %%): %.2f %% masked, %.2f %% as they are, %.2f %% another token\n",
		r.Predicted, percent(r.Predicted, r.Tokens), percent(r.Masked, r.Predicted), percent(r.Same, r.Predicted), percent(r.Other, r.Predicted))
	if r.Targets > 0 {
		fmt.Fprintf(&b, "%d target tokens\n", r.Targets)
	}
	if pairs := r.Pairs[0] + r.Pairs[1]; pairs > 0 {
		fmt.Fprintf(&b, "%d pairs: %.2f %% labelled 0, %.2f %% labelled 1\n", pairs, percent(r.Pairs[0], pairs), percent(r.Pairs[1], pairs))
	}
	var runs int64
	last := -1
	for i, n := range r.Runs {
		if runs += n; n > 0 {
			last = i
		}
	}
	if last >= 0 {
		b.WriteString("runs of predicted tokens by length:")
		for i, n := range r.Runs[:last+1] {
			fmt.Fprintf(&b, " %d:%.2f%%", i+1, percent(n, runs))
		}
		b.WriteByte('\n')
	}
	for _, s := range r.Sources {
		fmt.Fprintf(&b, "%s (task %d): %d sequences, %d tokens (%.2f %%), %d repeats, up to pass %d\n",
			s.Source, s.Task, s.Sequences, s.Tokens, percent(s.Tokens, r.Tokens), s.Repeats, s.LastEpoch)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
