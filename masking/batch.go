// Package masking turns samples into batches: it chooses what is hidden from the
// model and what the model must say. An objective is a point of the grid Data x
// Transform x Representation x Output (Dery et al. 2022); "bert" and "roberta"
// are names of such points.
package masking

import "github.com/tributary-ml/tributary/mixer"

// Batch is what a model trains on. It is ragged: the sequences lie end to end
// and nothing is padded.
type Batch struct {
	// Step is the optimiser step the batch belongs to.
	Step int64
	// Tokens holds the token ids of all sequences, end to end, after masking.
	Tokens []int32
	// Segments holds each token's segment (token type) id. Length len(Tokens).
	Segments []uint8
	// SeqBounds (cu_seqlens elsewhere) holds the bounds of the sequences:
	// sequence i is Tokens[SeqBounds[i]:SeqBounds[i+1]]. Length sequences+1.
	SeqBounds []int32
	// Ranks is the visibility rule: in its own sequence, position i sees position
	// j iff Ranks[j] <= Ranks[i]. Nil means that every position sees every other.
	Ranks []int32
	// TwoStream means that what is predicted at a position must not come from the
	// token there: a second, query stream sees position j from position i iff
	// Ranks[j] < Ranks[i] (Yang et al., "XLNet", 2019, section 2.3).
	TwoStream bool
	// Predict holds the positions (indices into Tokens, ascending) at which the
	// model must predict, and Labels the token ids it must predict there.
	Predict []int32
	Labels  []int32
	// Classes is the number of classes that Labels are of, for objectives that ask
	// for classes of tokens; 0 means that Labels are token ids.
	Classes int32
	// Values holds, for each of Predict, the number that must be said there in place
	// of a label, for objectives that ask for numbers; Labels is nil then.
	Values []float32
	// Noise holds the positions, ascending, to whose embeddings noise is added. Nil
	// for objectives without.
	Noise []int32
	// SpanStarts and SpanEnds hold, for each of Predict, the bounds in Tokens of
	// the hidden span it is in: a span-boundary objective predicts it from the
	// positions SpanStarts-1 and SpanEnds (Joshi et al., "SpanBERT", 2020). Nil for
	// objectives without.
	SpanStarts, SpanEnds []int32
	// PairLabels holds one label a sequence, 0 when its second segment follows
	// the first in the document and 1 when it is from another one (the classes of
	// BERT's next-sentence head) or, for a sentence-order objective, stands before
	// it; or, for labelled sequences, one of SequenceClasses classes. Nil for
	// objectives without.
	PairLabels []int32
	// SequenceClasses is the number of classes of PairLabels; 0 means two.
	SequenceClasses int32
	// SequenceValues holds one number a sequence that must be said of it. Nil for
	// objectives without.
	SequenceValues []float32
	// Partners holds, for objectives that find a sequence's neighbour among the
	// sequences of the batch, how many places further that is. Nil for others.
	Partners []int32
	// Unlabelled counts the samples that were left out because nothing is known of
	// them, for objectives that need labels.
	Unlabelled int
	// Targets holds, for encoder-decoder objectives, what the decoder must say,
	// end to end, and TargetBounds the bounds of the sequences' shares. Nil for
	// others.
	Targets, TargetBounds []int32
	// Origins says where each sequence came from. Length sequences.
	Origins []Origin

	released *released // where its memory goes when it is no longer used
}

// Origin is the place a sequence was taken from, for tracing and for per-source
// figures.
type Origin struct {
	// Index is the number of the sample in the mixed stream.
	Index int64
	// Task is the index of the task in the mix.
	Task int
	// Source is the task's source, Epoch the source's pass and Position the sample's
	// number in it.
	Source          string
	Epoch, Position int64
	// Spans lists the document parts the sequence is made of, in order, in tokens of
	// the whole documents: a span that marked tokens were cut from is several.
	Spans []Span
}

// Span is a run of tokens of one document.
type Span = mixer.Span

// Sequences returns the number of sequences.
func (b *Batch) Sequences() int { return max(0, len(b.SeqBounds)-1) }
