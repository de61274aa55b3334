package pipelines

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/masking"
)

// served is how batches of one objective are laid out as columns, one row a
// sequence.
type served struct {
	columns  []servedColumn
	metadata map[string]string
}

// servedColumn is a column and how it is made of a batch.
type servedColumn struct {
	columnar.Field
	of func(*masking.Batch) any
}

// The kinds of columns.
func numbers(of func(b *masking.Batch, i int) int64) func(*masking.Batch) any {
	return func(b *masking.Batch) any {
		list := make([]int64, b.Sequences())
		for i := range list {
			list[i] = of(b, i)
		}
		return list
	}
}

func lists[T int32 | float32 | string](of func(b *masking.Batch, i int, list []T) []T) func(*masking.Batch) any {
	return func(b *masking.Batch) any {
		var l columnar.ListsOf[T]
		l.Reset()
		for i := range b.Sequences() {
			l.Values = of(b, i, l.Values)
			l.Bounds = append(l.Bounds, int32(len(l.Values)))
		}
		return l
	}
}

// perToken is a list with a value for each token.
func perToken(of func(b *masking.Batch, at int32) int32) func(*masking.Batch) any {
	return lists(func(b *masking.Batch, i int, list []int32) []int32 {
		for at := b.SeqBounds[i]; at < b.SeqBounds[i+1]; at++ {
			list = append(list, of(b, at))
		}
		return list
	})
}

// within is a list of those of positions that lie in a sequence, from its start.
func within(of func(*masking.Batch) []int32) func(*masking.Batch) any {
	return perPosition(of, func(b *masking.Batch, sequence, j int) int32 { return of(b)[j] - b.SeqBounds[sequence] })
}

// perPosition is a list with a value for each of the ascending positions that lie
// in a sequence.
func perPosition[T int32 | float32](positions func(*masking.Batch) []int32, value func(b *masking.Batch, sequence, j int) T) func(*masking.Batch) any {
	return func(b *masking.Batch) any {
		at := 0
		return lists(func(b *masking.Batch, i int, list []T) []T {
			for all := positions(b); at < len(all) && all[at] < b.SeqBounds[i+1]; at++ {
				list = append(list, value(b, i, at))
			}
			return list
		})(b)
	}
}

// servedLike lays batches out as those of an objective are of which one is given:
// it has the columns that the objective fills.
func servedLike(b *masking.Batch) served {
	var s served
	add := func(has bool, name string, kind columnar.Kind, of func(*masking.Batch) any) {
		if has {
			s.columns = append(s.columns, servedColumn{columnar.Field{Name: name, Kind: kind}, of})
		}
	}
	predict := func(b *masking.Batch) []int32 { return b.Predict }
	add(true, "index", columnar.Integer, numbers(func(b *masking.Batch, i int) int64 { return b.Origins[i].Index }))
	add(true, "source", columnar.String, func(b *masking.Batch) any {
		list := make([]string, b.Sequences())
		for i := range list {
			list[i] = b.Origins[i].Source
		}
		return list
	})
	add(true, "task", columnar.Integer, numbers(func(b *masking.Batch, i int) int64 { return int64(b.Origins[i].Task) }))
	add(true, "epoch", columnar.Integer, numbers(func(b *masking.Batch, i int) int64 { return b.Origins[i].Epoch }))
	add(true, "tokens", columnar.List, perToken(func(b *masking.Batch, at int32) int32 { return b.Tokens[at] }))
	add(true, "segments", columnar.List, perToken(func(b *masking.Batch, at int32) int32 { return int32(b.Segments[at]) }))
	add(true, "positions", columnar.List, lists(func(b *masking.Batch, i int, list []int32) []int32 {
		for at := range b.SeqBounds[i+1] - b.SeqBounds[i] {
			list = append(list, at)
		}
		return list
	}))
	add(b.Ranks != nil, "ranks", columnar.List, perToken(func(b *masking.Batch, at int32) int32 { return b.Ranks[at] }))
	add(true, "predict", columnar.List, within(predict))
	add(b.Values == nil, "labels", columnar.List, perPosition(predict, func(b *masking.Batch, _, j int) int32 { return b.Labels[j] }))
	add(b.Values != nil, "values", columnar.FloatList, perPosition(predict, func(b *masking.Batch, _, j int) float32 { return b.Values[j] }))
	add(b.SpanStarts != nil, "span_starts", columnar.List, perPosition(predict, func(b *masking.Batch, i, j int) int32 { return b.SpanStarts[j] - b.SeqBounds[i] }))
	add(b.SpanStarts != nil, "span_ends", columnar.List, perPosition(predict, func(b *masking.Batch, i, j int) int32 { return b.SpanEnds[j] - b.SeqBounds[i] }))
	add(b.Noise != nil, "noise", columnar.List, within(func(b *masking.Batch) []int32 { return b.Noise }))
	add(b.TargetBounds != nil, "targets", columnar.List, lists(func(b *masking.Batch, i int, list []int32) []int32 {
		return append(list, b.Targets[b.TargetBounds[i]:b.TargetBounds[i+1]]...)
	}))
	add(b.PairLabels != nil, "sequence_label", columnar.Integer, numbers(func(b *masking.Batch, i int) int64 { return int64(b.PairLabels[i]) }))
	add(b.SequenceValues != nil, "sequence_value", columnar.Float, func(b *masking.Batch) any { return b.SequenceValues })
	add(b.Partners != nil, "partner", columnar.Integer, numbers(func(b *masking.Batch, i int) int64 { return int64(b.Partners[i]) }))
	add(true, "documents", columnar.StringList, lists(func(b *masking.Batch, i int, list []string) []string {
		for _, span := range b.Origins[i].Spans {
			list = append(list, span.Doc)
		}
		return list
	}))
	add(true, "document_starts", columnar.List, lists(func(b *masking.Batch, i int, list []int32) []int32 {
		for _, span := range b.Origins[i].Spans {
			list = append(list, span.Start)
		}
		return list
	}))
	add(true, "document_ends", columnar.List, lists(func(b *masking.Batch, i int, list []int32) []int32 {
		for _, span := range b.Origins[i].Spans {
			list = append(list, span.End)
		}
		return list
	}))
	s.metadata = map[string]string{"two_stream": strconv.FormatBool(b.TwoStream)}
	if b.Classes != 0 {
		s.metadata["classes"] = fmt.Sprint(b.Classes)
	}
	if b.PairLabels != nil {
		s.metadata["sequence_classes"] = fmt.Sprint(max(b.SequenceClasses, 2))
	}
	return s
}

func (s served) fields() []columnar.Field {
	list := make([]columnar.Field, len(s.columns))
	for i, c := range s.columns {
		list[i] = c.Field
	}
	return list
}

// lay lays a batch out.
func (s served) lay(b *masking.Batch) []any {
	list := make([]any, len(s.columns))
	for i, c := range s.columns {
		list[i] = c.of(b)
	}
	return list
}

// served says how the batches of the stream are laid out. It builds the first, as
// that shows which columns the objective fills.
func (b *Batches) served(ctx context.Context) (served, error) {
	first, err := b.Batch(ctx, 0, 0, 1)
	if err != nil {
		return served{}, fmt.Errorf("building the first batch: %w", err)
	}
	s := servedLike(first)
	specials := b.Tokenizer.Specials()
	for key, value := range map[string]any{
		"objective": b.Objective().Name(), "tokenizer": b.TokenizerName, "digest": b.Mixer().Digest(),
		"vocabulary": b.Tokenizer.VocabSize(), "longest": b.longest(), "pad": max(specials.Pad, 0),
	} {
		s.metadata[key] = fmt.Sprint(value)
	}
	return s, nil
}

// longest is the longest sequence of the stream.
func (b *Batches) longest() int {
	o := b.Mixer().Options()
	longest := o.SeqLen
	for _, stage := range o.Stages {
		longest = max(longest, stage.SeqLen)
	}
	return longest
}
