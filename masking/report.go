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
	// Room is what the sequences could have held and Waste how much of it was left
	// empty: what padding to full sequences would add. Samples counts the windows,
	// which isolated documents share, and Documents the parts of documents in them.
	Room      int64 `json:"room"`
	Waste     int64 `json:"waste"`
	Samples   int64 `json:"samples"`
	Documents int64 `json:"documents"`
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
	// Pairs counts the pair labels: 0 and 1, or the classes of labelled sequences.
	Pairs []int64 `json:"pairs"`
	// Classes counts the classes of tokens, for objectives that ask for them.
	Classes []int64 `json:"classes,omitempty"`
	// Unlabelled counts the documents that were left out for want of a label, and
	// Noised the positions whose embeddings get noise.
	Unlabelled int64 `json:"unlabelled,omitempty"`
	Noised     int64 `json:"noised,omitempty"`
	// Targets is the number of tokens a decoder must say.
	Targets int64 `json:"targets,omitempty"`
	// Sources are in order of their task.
	Sources []SourceReport `json:"sources"`

	mask    int32
	seqLens func(step int64) int
	views   int64 // sequences that a text comes in
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

// NewReport returns an empty report on the batches of a stream over a vocabulary.
func NewReport(stream *Stream, v Vocabulary) *Report {
	r := &Report{mask: v.Specials().Mask, seqLens: stream.mixer.SeqLen, views: 1, Pairs: make([]int64, 2)}
	if c, ok := stream.Objective().(*causal); ok && c.forward && c.backward {
		r.views = 2
	}
	return r
}

// Add counts a batch.
func (r *Report) Add(b *Batch) {
	r.Sequences += int64(b.Sequences())
	r.Tokens += int64(len(b.Tokens))
	r.Predicted += int64(len(b.Predict))
	r.Targets += int64(len(b.Targets))
	r.Unlabelled += int64(b.Unlabelled)
	r.Noised += int64(len(b.Noise))
	samples := int64(0)
	for i, o := range b.Origins {
		if i == 0 || o.Index != b.Origins[i-1].Index {
			samples++
		}
		for j, span := range o.Spans {
			if j == 0 || span.Doc != o.Spans[j-1].Doc || span.Start <= o.Spans[j-1].End { // else tokens were cut in between
				r.Documents++
			}
		}
	}
	r.Samples += samples
	r.Room += samples * r.views * int64(r.seqLens(b.Step))
	r.Waste = r.Room - r.Tokens
	if b.Classes > 0 {
		r.Classes = count(r.Classes, b.Labels)
	} else if b.Values == nil {
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
	r.Pairs = count(r.Pairs, b.PairLabels)
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

// count counts classes.
func count(counts []int64, classes []int32) []int64 {
	for _, class := range classes {
		for int(class) >= len(counts) {
			counts = append(counts, 0)
		}
		counts[class]++
	}
	return counts
}

// WriteText writes the report for people.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	percent := func(n, of int64) float64 { return 100 * float64(n) / float64(max(of, 1)) }
	fmt.Fprintf(&b, "%d sequences of %d windows with %d parts of documents, %d tokens, %.1f %% of the room filled, %.1f %% wasted\n",
		r.Sequences, r.Samples, r.Documents, r.Tokens, percent(r.Tokens, r.Room), percent(r.Waste, r.Room))
	if r.Unlabelled > 0 {
		fmt.Fprintf(&b, "%d documents left out for want of a label\n", r.Unlabelled)
	}
	if r.Noised > 0 {
		fmt.Fprintf(&b, "noise on %d positions (%.2f %%)\n", r.Noised, percent(r.Noised, r.Tokens))
	}
	if r.Classes != nil {
		fmt.Fprintf(&b, "%d predicted (%.2f %%):", r.Predicted, percent(r.Predicted, r.Tokens))
		for class, n := range r.Classes {
			fmt.Fprintf(&b, " class %d %.2f %%", class, percent(n, r.Predicted))
		}
		b.WriteByte('\n')
	} else if r.Masked+r.Same+r.Other > 0 || r.Predicted == 0 {
		fmt.Fprintf(&b, "%d predicted (%.2f %%): %.2f %% masked, %.2f %% as they are, %.2f %% another token\n",
			r.Predicted, percent(r.Predicted, r.Tokens), percent(r.Masked, r.Predicted), percent(r.Same, r.Predicted), percent(r.Other, r.Predicted))
	} else {
		fmt.Fprintf(&b, "%d predicted (%.2f %%), each by a number\n", r.Predicted, percent(r.Predicted, r.Tokens))
	}
	if r.Targets > 0 {
		fmt.Fprintf(&b, "%d target tokens\n", r.Targets)
	}
	var pairs int64
	for _, n := range r.Pairs {
		pairs += n
	}
	if pairs > 0 {
		fmt.Fprintf(&b, "%d sequences with a class:", pairs)
		for class, n := range r.Pairs {
			fmt.Fprintf(&b, " class %d %.2f %%", class, percent(n, pairs))
		}
		b.WriteByte('\n')
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
