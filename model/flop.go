package model

import "github.com/tributary-ml/tributary/masking"

// FLOP is Config.FLOP of the model's configuration.
func (m *Model) FLOP(b *masking.Batch) float64 { return m.config.FLOP(b) }

// FLOP returns how many floating-point operations the products of a step on the
// batch take, forward and backward: two a weight for each position forward and four
// backward (Kaplan et al. 2020, section 2.1), attention's scores of the pairs that
// see each other, and the vocabulary and most of the last layer at the positions that are
// read only. What a padded implementation would compute beyond that does not count.
func (c Config) FLOP(b *masking.Batch) float64 {
	h, f, layers := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.NumHiddenLayers)
	tokens, predicted := float64(len(b.Tokens)), float64(len(b.Predict))
	var pairs float64
	for i := range b.Sequences() {
		n := float64(b.SeqBounds[i+1] - b.SeqBounds[i])
		if b.Ranks != nil || c.Causal() {
			pairs += n * (n + 1) / 2
		} else {
			pairs += n * n
		}
	}
	forward := layers * (tokens*2*(4*h*h+2*h*f) + 4*pairs*h)
	// The last layer is computed only where something is read: see trunk.
	kept := predicted
	if !c.Causal() {
		kept = min(tokens, predicted+float64(b.Sequences()))
		forward -= (1 - kept/max(1, tokens)) * (tokens*2*(2*h*h+2*h*f) + 4*pairs*h)
	} else if 4*kept <= 3*tokens {
		forward -= (tokens - kept) * 4 * h * f
	}
	forward += predicted * 2 * h * float64(c.VocabSize)
	if !c.Causal() {
		forward += predicted * 2 * h * h
	}
	return 3 * forward
}

// ActivationBytes returns about how much memory a micro-batch takes beside the
// weights and their gradients: the results of every operation, the slopes of
// activations, and the gradients of what is being read. With recompute only what
// lies between the layers is kept, and one layer's results.
func (c Config) ActivationBytes(tokens, predicted, sequences int, recompute bool) int64 {
	h, f := int64(c.HiddenSize), int64(c.IntermediateSize)
	n, k := int64(tokens), int64(predicted)
	if c.ModelType == "bert" {
		k += int64(sequences)
	}
	k = min(n, k)
	// Of a layer at every position: queries, keys and values, and five results of the
	// model's width, and the inner width with its slopes.
	layer := 8*h + 2*f + int64(c.NumAttentionHeads) + 4
	layers := int64(c.NumHiddenLayers)
	floats := 2 * h * n // the embeddings and their norm
	switch {
	case recompute:
		floats += (2*layers*h + layer) * n
	case c.Causal():
		floats += layers * layer * n
	default:
		// The last layer has keys and values at every position and the rest at those
		// that are read.
		floats += (layers-1)*layer*n + 2*h*n + layer*k
	}
	if !c.Causal() {
		floats += 5 * h * int64(predicted)
	}
	// Gradients of the widest neighbours.
	floats += (6*h + f) * n
	return 4 * floats * 9 / 8
}

// ActivationBytes returns how much memory the model has taken for activations and
// their gradients.
func (m *Model) ActivationBytes() int64 { return m.tape.Bytes() }
