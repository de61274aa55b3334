package model

import (
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/model/tensor"
)

// The places of dropout in a layer. Layer 0 is the embeddings'.
const (
	dropEmbedding = iota
	dropProbabilities
	dropAttended
	dropFed
	dropPlaces
)

func (m *Model) dropout(key *counter.Key, layer, place int) kernel.Dropout {
	if key == nil {
		return kernel.Dropout{}
	}
	p := m.config.HiddenDropoutProb
	if place == dropProbabilities {
		p = m.config.AttentionProbsDropoutProb
	}
	return kernel.Dropout{Key: key.Sub(uint64(layer*dropPlaces + place)), P: float32(p)}
}

// losses runs the trunk and the heads the batch has labels for.
func (m *Model) losses(b *masking.Batch, s Scales, dropout *counter.Key) Loss {
	m.makePlan(b, b.PairLabels != nil)
	m.tokenLosses, m.tokenHits = nil, nil
	x := m.trunk(b, m.plan.keep, dropout)
	var l Loss
	if len(b.PairLabels) > 0 {
		losses, hits := m.tape.ClassLoss(m.pairLogits(x), b.PairLabels, s.Pair)
		l.PairSum, l.PairHits = total(losses, hits)
		l.Pairs = len(b.PairLabels)
	}
	if len(b.Predict) > 0 {
		y := m.transformed(x)
		losses, hits := m.tape.VocabLoss(y, m.w.word, m.w.decoderBias, b.Labels, s.Token)
		m.tokenLosses, m.tokenHits = losses, hits
		l.TokenSum, l.TokenHits = total(losses, hits)
		l.Tokens = len(b.Labels)
	}
	return l
}

func total(losses []float32, hits []bool) (sum float64, n int) {
	for i, l := range losses {
		sum += float64(l)
		if hits[i] {
			n++
		}
	}
	return sum, n
}

// trunk returns the trunk's output at the positions keep names, or at all when
// keep is nil. The last layer is computed at those positions only: nothing
// downstream reads the others. The plan must have been made when keep is given.
func (m *Model) trunk(b *masking.Batch, keep []int32, dropout *counter.Key) *tensor.Tensor {
	if keep == nil {
		m.makePlan(b, false)
	}
	if len(keep) == len(b.Tokens) {
		keep = nil
	}
	x := m.tape.Embed(m.w.word, m.w.position, m.w.segment, b.Tokens, m.plan.positions, b.Segments)
	if m.config.ModelType == "gpt2" {
		return m.preNorm(b, x, keep, dropout)
	}
	return m.postNorm(b, x, keep, dropout)
}

func (m *Model) norm(x, sub *tensor.Tensor, n normParams, drop, out kernel.Dropout) (y, sum *tensor.Tensor) {
	return m.tape.Norm(x, sub, n.gain, n.bias, float32(m.config.LayerNormEps), drop, out)
}

// postNorm runs the layers of BERT: each sub-layer's result is added to its input
// and the sum normalised.
func (m *Model) postNorm(b *masking.Batch, x *tensor.Tensor, keep []int32, dropout *counter.Key) *tensor.Tensor {
	x, _ = m.norm(nil, x, m.w.embedNorm, kernel.Dropout{}, m.dropout(dropout, 0, dropEmbedding))
	for i := range m.w.layers {
		var kept []int32
		if i == len(m.w.layers)-1 {
			kept = keep
		}
		x = m.layer(block{m, b, i, kept, dropout}, x, nil)[0]
	}
	return x
}

// block is a layer of the trunk applied to a batch.
type block struct {
	m       *Model
	b       *masking.Batch
	i       int
	keep    []int32
	dropout *counter.Key
}

// Forward returns the layer's output, and for GPT-2 the sum and its normalisation.
func (l *block) Forward(in [2]*tensor.Tensor) [2]*tensor.Tensor {
	if l.m.config.ModelType == "gpt2" {
		return l.m.preNormLayer(l.b, in[0], in[1], l.i, l.keep, l.dropout)
	}
	return [2]*tensor.Tensor{l.m.postNormLayer(l.b, in[0], l.i, l.keep, l.dropout)}
}

// layer runs a layer and keeps its activations or not.
func (m *Model) layer(l block, x, y *tensor.Tensor) [2]*tensor.Tensor {
	in := [2]*tensor.Tensor{x, y}
	f := &m.blocks[l.i]
	*f = l
	if m.recompute {
		return m.tape.Recompute(f, in)
	}
	return f.Forward(in)
}

// postNormLayer returns layer i's output at the kept positions, all when keep is
// nil, from its input at all.
func (m *Model) postNormLayer(b *masking.Batch, all *tensor.Tensor, i int, keep []int32, dropout *counter.Key) *tensor.Tensor {
	t, l, x := m.tape, &m.w.layers[i], all
	if keep != nil {
		x = t.Gather(all, keep)
	}
	y := m.attention(b, l, all, x, m.dropout(dropout, i+1, dropProbabilities))
	x, _ = m.norm(x, y, l.attendedNorm, m.dropout(dropout, i+1, dropAttended), kernel.Dropout{})
	y = t.Linear(x, activations[m.config.HiddenAct], l.inner)
	y = t.Linear(y, kernel.None, l.outer)
	x, _ = m.norm(x, y, l.outerNorm, m.dropout(dropout, i+1, dropFed), kernel.Dropout{})
	return x
}

// preNorm runs the layers of GPT-2: each sub-layer reads its input normalised, and
// its result is added to the input as it was.
func (m *Model) preNorm(b *masking.Batch, x *tensor.Tensor, keep []int32, dropout *counter.Key) *tensor.Tensor {
	t := m.tape
	y, x := m.norm(nil, x, m.w.layers[0].outerNorm, m.dropout(dropout, 0, dropEmbedding), kernel.Dropout{})
	// Gathering two tensors costs more than it saves when nearly all is predicted.
	early := 4*len(keep) <= 3*len(b.Tokens)
	for i := range m.w.layers {
		var kept []int32
		if i == len(m.w.layers)-1 && early {
			kept = keep
		}
		out := m.layer(block{m, b, i, kept, dropout}, x, y)
		x, y = out[0], out[1]
	}
	if keep != nil && !early {
		y = t.Gather(y, keep)
	}
	return y
}

// preNormLayer returns the sum that layer i makes of the sum x and of y, x
// normalised, and the new sum normalised for the next layer: at the kept positions,
// all when keep is nil.
func (m *Model) preNormLayer(b *masking.Batch, x, y *tensor.Tensor, i int, keep []int32, dropout *counter.Key) [2]*tensor.Tensor {
	t, l := m.tape, &m.w.layers[i]
	y = m.attention(b, l, y, y, m.dropout(dropout, i+1, dropProbabilities))
	if keep != nil {
		x, y = t.Gather(x, keep), t.Gather(y, keep)
	}
	y, x = m.norm(x, y, l.attendedNorm, m.dropout(dropout, i+1, dropAttended), kernel.Dropout{})
	y = t.Linear(y, activations[m.config.HiddenAct], l.inner)
	y = t.Linear(y, kernel.None, l.outer)
	next := m.w.lastNorm
	if i+1 < len(m.w.layers) {
		next = m.w.layers[i+1].outerNorm
	}
	y, x = m.norm(x, y, next, m.dropout(dropout, i+1, dropFed), kernel.Dropout{})
	return [2]*tensor.Tensor{x, y}
}

// attention returns the attention sub-layer's result at the positions of x, which
// are those of all or the kept ones.
func (m *Model) attention(b *masking.Batch, l *layer, all, x *tensor.Tensor, drop kernel.Dropout) *tensor.Tensor {
	t, h, heads := m.tape, m.config.HiddenSize, m.config.NumAttentionHeads
	s := tensor.Sight{QBounds: b.SeqBounds, KBounds: b.SeqBounds, QRanks: m.plan.ranks, KRanks: m.plan.ranks}
	if x != all {
		s.QBounds = m.plan.keepBounds
		if m.plan.ranks != nil {
			s.QRanks = m.plan.keepRanks
		}
	}
	var y *tensor.Tensor
	switch {
	case l.qkv.Weight != nil:
		qkv := t.Linear(x, kernel.None, l.qkv)
		y = t.Attention(qkv, qkv, 0, h, 2*h, h, heads, s, drop)
	case x != all:
		q := t.Linear(x, kernel.None, l.query)
		kv := t.Linear(all, kernel.None, l.key, l.value)
		y = t.Attention(q, kv, 0, 0, h, h, heads, s, drop)
	default:
		qkv := t.Linear(x, kernel.None, l.query, l.key, l.value)
		y = t.Attention(qkv, qkv, 0, h, 2*h, h, heads, s, drop)
	}
	return t.Linear(y, kernel.None, l.attended)
}

// transformed returns what the masked-token head projects onto the vocabulary,
// from the trunk's output at the kept positions.
func (m *Model) transformed(x *tensor.Tensor) *tensor.Tensor {
	y := x
	if len(m.plan.predict) < x.Rows {
		y = m.tape.Gather(x, m.plan.predict)
	}
	if m.w.transform.Weight == nil {
		return y
	}
	act := activations[m.config.HiddenAct]
	if m.config.ModelType == "roberta" {
		// RoBERTa's head has the exact form whatever the trunk has.
		act = kernel.GELU
	}
	y = m.tape.Linear(y, act, m.w.transform)
	y, _ = m.norm(nil, y, m.w.transformNorm, kernel.Dropout{}, kernel.Dropout{})
	return y
}

// pairLogits returns the pair head's scores, [sequences, 2].
func (m *Model) pairLogits(x *tensor.Tensor) *tensor.Tensor {
	y := m.tape.Gather(x, m.plan.first)
	y = m.tape.Linear(y, kernel.Tanh, m.w.pooler)
	return m.tape.Linear(y, kernel.None, m.w.pair)
}
