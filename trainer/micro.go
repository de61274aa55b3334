package trainer

import "github.com/tributary-ml/tributary/masking"

// split cuts a batch into micro-batches of at most n sequences each, in order.
// The slices of the micro-batches lie in the batch's where they can.
func split(b *masking.Batch, n int) []*masking.Batch {
	total := b.Sequences()
	if n < 1 || n >= total {
		return []*masking.Batch{b}
	}
	out := make([]*masking.Batch, 0, (total+n-1)/n)
	next := 0 // the first prediction not yet given out
	for lo := 0; lo < total; lo += n {
		hi := min(total, lo+n)
		start, end := b.SeqBounds[lo], b.SeqBounds[hi]
		m := &masking.Batch{
			Step: b.Step, Tokens: b.Tokens[start:end], Segments: b.Segments[start:end],
			TwoStream: b.TwoStream, Classes: b.Classes, SequenceClasses: b.SequenceClasses,
		}
		for _, bound := range b.SeqBounds[lo : hi+1] {
			m.SeqBounds = append(m.SeqBounds, bound-start)
		}
		if b.Ranks != nil {
			m.Ranks = b.Ranks[start:end]
		}
		first := next
		for ; next < len(b.Predict) && b.Predict[next] < end; next++ {
			m.Predict = append(m.Predict, b.Predict[next]-start)
		}
		if b.Labels != nil {
			m.Labels = b.Labels[first:next]
		}
		if b.Values != nil {
			m.Values = b.Values[first:next]
		}
		if b.SequenceValues != nil {
			m.SequenceValues = b.SequenceValues[lo:hi]
		}
		if b.PairLabels != nil {
			m.PairLabels = b.PairLabels[lo:hi]
		}
		if b.Origins != nil {
			m.Origins = b.Origins[lo:hi]
		}
		out = append(out, m)
	}
	return out
}

// gather returns the batch of the sequences for which keep reports true, in
// order.
func gather(b *masking.Batch, keep func(seq int) bool) *masking.Batch {
	g := &masking.Batch{Step: b.Step, SeqBounds: []int32{0}, TwoStream: b.TwoStream, Classes: b.Classes, SequenceClasses: b.SequenceClasses}
	next := 0
	for i := range b.Sequences() {
		start, end := b.SeqBounds[i], b.SeqBounds[i+1]
		first := next
		for next < len(b.Predict) && b.Predict[next] < end {
			next++
		}
		if !keep(i) {
			continue
		}
		shift := int32(len(g.Tokens)) - start
		for k := first; k < next; k++ {
			g.Predict = append(g.Predict, b.Predict[k]+shift)
			if b.Labels != nil {
				g.Labels = append(g.Labels, b.Labels[k])
			}
			if b.Values != nil {
				g.Values = append(g.Values, b.Values[k])
			}
		}
		g.Tokens = append(g.Tokens, b.Tokens[start:end]...)
		g.Segments = append(g.Segments, b.Segments[start:end]...)
		g.SeqBounds = append(g.SeqBounds, int32(len(g.Tokens)))
		if b.Ranks != nil {
			g.Ranks = append(g.Ranks, b.Ranks[start:end]...)
		}
		if b.PairLabels != nil {
			g.PairLabels = append(g.PairLabels, b.PairLabels[i])
		}
		if b.SequenceValues != nil {
			g.SequenceValues = append(g.SequenceValues, b.SequenceValues[i])
		}
		if b.Origins != nil {
			g.Origins = append(g.Origins, b.Origins[i])
		}
	}
	return g
}

// Keep returns the batch of the sequences for which keep reports true, in their
// order.
func Keep(b *masking.Batch, keep func(seq int) bool) *masking.Batch { return gather(b, keep) }

// source returns the source of a batch's sequence; "" when the batch does not
// say.
func source(b *masking.Batch, seq int) string {
	if seq >= len(b.Origins) {
		return ""
	}
	return b.Origins[seq].Source
}
