package model

import (
	"errors"
	"fmt"

	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/model/tensor"
)

// ErrNotCausal says that a model that sees both sides was asked to continue text.
var ErrNotCausal = errors.New("only a model that reads from left to right can continue a text")

// Decoder feeds a causal model token by token. It keeps the keys and values of
// what it has been fed, so that a token costs one position and not all of them.
// It uses the model's memory: no other method of the model may run between a
// call and the use of what it returned.
type Decoder struct {
	m *Model
	// cache holds, for each layer, a row of keys and values for each position.
	cache [][]float32
	// positions counts from 0; a prefix of it names the positions of any call.
	positions []int32
	length    int
	logits    []float32
}

// NewDecoder returns a decoder that has been fed nothing. The error is
// ErrNotCausal.
func (m *Model) NewDecoder() (*Decoder, error) {
	if !m.config.Causal() {
		return nil, fmt.Errorf("a %s: %w", m.config.ModelType, ErrNotCausal)
	}
	d := &Decoder{m: m, logits: make([]float32, m.config.VocabSize)}
	for range m.config.NumHiddenLayers {
		d.cache = append(d.cache, make([]float32, m.config.MaxLength()*2*m.config.HiddenSize))
	}
	for i := range m.config.MaxLength() {
		d.positions = append(d.positions, int32(i))
	}
	return d, nil
}

// Len returns how many tokens have been fed, and Cap how many can be.
func (d *Decoder) Len() int { return d.length }

// Cap returns how many tokens can be fed in all.
func (d *Decoder) Cap() int { return len(d.positions) }

// Truncate forgets all tokens but the first n.
func (d *Decoder) Truncate(n int) { d.length = min(d.length, max(0, n)) }

// Feed appends tokens and returns the scores of every token of the vocabulary at
// the place after the last of them. The slice is used again by the next call.
// Errors are *BatchError.
func (d *Decoder) Feed(tokens []int32) ([]float32, error) {
	m, n := d.m, len(tokens)
	if n == 0 || n > d.Cap()-d.length {
		return nil, bad("Tokens", -1, "%d tokens after %d, the model has %d positions", n, d.length, d.Cap())
	}
	for i, t := range tokens {
		if t < 0 || int(t) >= m.config.VocabSize {
			return nil, bad("Tokens", i, "token %d of a vocabulary of %d", t, m.config.VocabSize)
		}
	}
	end := d.length + n
	sight := tensor.Sight{
		QBounds: []int32{0, int32(n)}, KBounds: []int32{0, int32(end)},
		QRanks: d.positions[d.length:end], KRanks: d.positions[:end],
	}
	t, h, act := m.tape, m.config.HiddenSize, activations[m.config.HiddenAct]
	none := kernel.Dropout{}
	t.Reset(false)
	x := t.Embed(m.w.word, m.w.position, nil, tokens, d.positions[d.length:end], nil)
	y, x := m.norm(nil, x, m.w.layers[0].outerNorm, none, none)
	for i := range m.w.layers {
		l := &m.w.layers[i]
		qkv := t.Linear(y, kernel.None, l.qkv)
		for row := range n {
			copy(d.cache[i][(d.length+row)*2*h:][:2*h], qkv.Data[row*3*h+h:][:2*h])
		}
		kv := tensor.Parameter(end, 2*h, d.cache[i][:end*2*h], nil)
		y = t.Attention(qkv, kv, 0, 0, h, h, m.config.NumAttentionHeads, sight, none)
		y = t.Linear(y, kernel.None, l.attended)
		y, x = m.norm(x, y, l.attendedNorm, none, none)
		y = t.Linear(y, act, l.inner)
		y = t.Linear(y, kernel.None, l.outer)
		next := m.w.lastNorm
		if i+1 < len(m.w.layers) {
			next = m.w.layers[i+1].outerNorm
		}
		y, x = m.norm(x, y, next, none, none)
	}
	kernel.Gemm(m.pool, kernel.GemmArgs{
		Op: "vocabulary logits", Form: kernel.NT, M: 1, N: m.config.VocabSize, K: h,
		A: kernel.Mat{Data: y.Data[(n-1)*h:], Stride: h}, B: [3]kernel.Mat{m.w.word.Mat()},
		C: kernel.Mat{Data: d.logits, Stride: m.config.VocabSize},
	})
	d.length = end
	return d.logits, nil
}
