package model

import (
	"errors"
	"fmt"

	"github.com/tributary-ml/tributary/masking"
)

// ErrNoTargets says that a batch asks for no prediction, so that it has no loss.
var ErrNoTargets = errors.New("the batch has no positions to predict and no pair labels")

// BatchError says what in a batch the model cannot take.
type BatchError struct {
	// Field is the field of masking.Batch and Index the place in it; -1 when the
	// field as a whole is wrong.
	Field string
	Index int
	// Problem says what is wrong.
	Problem string
}

func (e *BatchError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("batch: %s: %s", e.Field, e.Problem)
	}
	return fmt.Sprintf("batch: %s[%d]: %s", e.Field, e.Index, e.Problem)
}

func bad(field string, index int, problem string, args ...any) error {
	return &BatchError{field, index, fmt.Sprintf(problem, args...)}
}

// check returns an error unless every index of the batch is in its range.
func (m *Model) check(b *masking.Batch, targets bool) error {
	c := &m.config
	n := len(b.Tokens)
	if n == 0 || n > 1<<30 {
		return bad("Tokens", -1, "%d tokens", n)
	}
	if len(b.Segments) != n && c.TypeVocabSize > 0 {
		return bad("Segments", -1, "%d of them for %d tokens", len(b.Segments), n)
	}
	if b.Ranks != nil && len(b.Ranks) != n {
		return bad("Ranks", -1, "%d of them for %d tokens", len(b.Ranks), n)
	}
	if b.TwoStream {
		return bad("TwoStream", -1, "the model has no query stream")
	}
	if b.TargetBounds != nil {
		return bad("TargetBounds", -1, "the model has no decoder")
	}
	if b.Noise != nil {
		return bad("Noise", -1, "the model adds no noise to embeddings")
	}
	if b.Classes != 0 || b.Values != nil {
		return bad("Classes", -1, "the model has no head for classes or numbers of tokens")
	}
	if b.SequenceClasses > 2 || b.SequenceValues != nil || b.Partners != nil {
		return bad("SequenceClasses", -1, "the model has no head for classes or numbers of sequences")
	}
	if len(b.SeqBounds) < 2 || b.SeqBounds[0] != 0 || int(b.SeqBounds[len(b.SeqBounds)-1]) != n {
		return bad("SeqBounds", -1, "they must run from 0 to the %d tokens", n)
	}
	for i := range b.Sequences() {
		switch l := int(b.SeqBounds[i+1]) - int(b.SeqBounds[i]); {
		case l < 1:
			return bad("SeqBounds", i+1, "the sequence has %d tokens", l)
		case l > c.MaxLength():
			return bad("SeqBounds", i+1, "the sequence has %d tokens, the model %d positions", l, c.MaxLength())
		}
	}
	for i, t := range b.Tokens {
		if t < 0 || int(t) >= c.VocabSize {
			return bad("Tokens", i, "token %d of a vocabulary of %d", t, c.VocabSize)
		}
		if c.TypeVocabSize > 0 && int(b.Segments[i]) >= c.TypeVocabSize {
			return bad("Segments", i, "segment %d of %d", b.Segments[i], c.TypeVocabSize)
		}
	}
	last := int32(-1)
	for i, p := range b.Predict {
		if p <= last || int(p) >= n {
			return bad("Predict", i, "position %d after %d of %d tokens", p, last, n)
		}
		last = p
	}
	if !targets {
		return nil
	}
	if len(b.Labels) != len(b.Predict) {
		return bad("Labels", -1, "%d of them for %d predicted positions", len(b.Labels), len(b.Predict))
	}
	for i, t := range b.Labels {
		if t < 0 || int(t) >= c.VocabSize {
			return bad("Labels", i, "token %d of a vocabulary of %d", t, c.VocabSize)
		}
	}
	if b.PairLabels != nil && m.w.pair.Weight == nil {
		return bad("PairLabels", -1, "the model has no pair head")
	}
	if b.PairLabels != nil && len(b.PairLabels) != b.Sequences() {
		return bad("PairLabels", -1, "%d of them for %d sequences", len(b.PairLabels), b.Sequences())
	}
	for i, l := range b.PairLabels {
		if l != 0 && l != 1 {
			return bad("PairLabels", i, "class %d of 2", l)
		}
	}
	if len(b.Predict) == 0 && len(b.PairLabels) == 0 {
		return ErrNoTargets
	}
	return nil
}

// plan holds what a batch's forward pass needs beside the batch.
type plan struct {
	// positions holds the index of each token's position embedding.
	positions []int32
	// ranks holds the tokens' ranks; nil: all see all.
	ranks []int32
	// keep lists the positions whose trunk output the heads read, ascending;
	// keepBounds bounds each sequence's share and keepRanks holds their ranks.
	keep, keepBounds, keepRanks []int32
	// predict and first list, as indices into keep, the predicted positions and the
	// sequences' first ones.
	predict, first []int32
}

// makePlan fills the plan for a batch; pairs says that the pair head is run.
func (m *Model) makePlan(b *masking.Batch, pairs bool) {
	p, offset := &m.plan, int32(m.config.positionOffset())
	*p = plan{
		p.positions[:0], b.Ranks, p.keep[:0], p.keepBounds[:0], p.keepRanks[:0], p.predict[:0], p.first[:0],
	}
	next := 0
	p.keepBounds = append(p.keepBounds, 0)
	for s := range b.Sequences() {
		start, end := b.SeqBounds[s], b.SeqBounds[s+1]
		for i := range end - start {
			p.positions = append(p.positions, offset+i)
		}
		if pairs {
			p.first = append(p.first, int32(len(p.keep)))
			if next == len(b.Predict) || b.Predict[next] != start {
				p.keep = append(p.keep, start)
			}
		}
		for ; next < len(b.Predict) && b.Predict[next] < end; next++ {
			p.predict = append(p.predict, int32(len(p.keep)))
			p.keep = append(p.keep, b.Predict[next])
		}
		p.keepBounds = append(p.keepBounds, int32(len(p.keep)))
	}
	if p.ranks == nil && m.config.Causal() {
		p.ranks = p.positions
	}
	if p.ranks != nil {
		for _, i := range p.keep {
			p.keepRanks = append(p.keepRanks, p.ranks[i])
		}
	}
}
