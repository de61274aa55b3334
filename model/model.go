package model

import (
	"fmt"
	"os"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/model/tensor"
)

// Options says how a model is made and run.
type Options struct {
	// Seed gives the initial weights.
	Seed uint64
	// Jobs is the number of workers; below 1: as many as Go runs in parallel. No
	// result depends on it.
	Jobs int
	// Recompute keeps no activations but those between the layers, and computes the
	// others again going backwards: less memory for a third more work. No result
	// depends on it.
	Recompute bool
	// Precision is that of all products, forward and backward. Weights, gradients,
	// sums and all that is no product are float32 whatever it is.
	Precision kernel.Precision
}

// Model is a Transformer with its pre-training heads. It is used by one goroutine
// at a time.
type Model struct {
	config Config
	params []*Param
	grads  []float32
	w      *weights
	pool   *kernel.Pool
	tape   *tensor.Tape
	plan   plan
	// Of the last batch that had predictions.
	tokenLosses []float32
	tokenHits   []bool
	// recompute is Options.Recompute.
	recompute bool
	// blocks are the layers of the batch at hand.
	blocks []block
	// dropoutKey is the dropout's of the batch at hand.
	dropoutKey counter.Key
}

var activations = map[string]kernel.Activation{
	"gelu": kernel.GELU, "gelu_new": kernel.GELUTanh, "gelu_pytorch_tanh": kernel.GELUTanh,
}

// New builds a model with initial weights. The environment variable
// TRIBUTARY_KERNEL forces a set of kernels by name; see kernel.ParseSet. Errors
// wrap ErrConfig, kernel.ErrUnknownSet or kernel.ErrUnavailable.
func New(c Config, o Options) (*Model, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("building a model: %w", err)
	}
	set, err := kernel.ParseSet(os.Getenv("TRIBUTARY_KERNEL"))
	if err != nil {
		return nil, fmt.Errorf("building a model: environment variable TRIBUTARY_KERNEL: %w", err)
	}
	pool := kernel.NewPoolOf(o.Jobs, set)
	b, w := list(c)
	_, grads := b.spread()
	initialise(pool, b.params, o.Seed, c)
	tape := tensor.NewTape(pool)
	tape.Precision = o.Precision
	return &Model{
		config: c, params: b.params, grads: grads, w: w, pool: pool, tape: tape, recompute: o.Recompute,
		blocks: make([]block, c.NumHiddenLayers),
	}, nil
}

// Config returns what the model was built from.
func (m *Model) Config() Config { return m.config }

// Precision returns Options.Precision.
func (m *Model) Precision() kernel.Precision { return m.tape.Precision }

// Params returns the parameters, in the order in which Hugging Face lists them.
// The decoder shares the word embedding's weight and is not among them.
func (m *Model) Params() []*Param { return m.params }

// Pool returns the workers the model runs on, for the optimiser to share.
func (m *Model) Pool() *kernel.Pool { return m.pool }

// Close ends the workers and gives the memory of the activations back. The
// parameters stay.
func (m *Model) Close() {
	m.pool.Close()
	m.tape.Close()
}

// ZeroGrad sets the gradients of all parameters to zero.
func (m *Model) ZeroGrad() { kernel.Clear(m.pool, m.grads) }

// Scales are the factors of the losses in what is differentiated.
type Scales struct {
	// Token is the factor of the sum of the predicted positions' losses, and Pair
	// that of the sum of the sentence pairs'. Means need the reciprocal counts.
	Token, Pair float32
}

// Loss holds sums over a batch, in nats. They add up over micro-batches.
type Loss struct {
	// TokenSum is the sum of the cross-entropies at the Tokens predicted positions;
	// at TokenHits of them no token is more probable than the label.
	TokenSum          float64
	Tokens, TokenHits int
	// PairSum is the sum of the cross-entropies of the Pairs sentence pairs, of
	// which PairHits are judged right.
	PairSum         float64
	Pairs, PairHits int
}

// Gradients runs the batch forward and backward with dropout, and adds to the
// parameters' Grad the gradient of s.Token times the sum of the token losses plus
// s.Pair times that of the pair losses. The dropout key must differ from one
// micro-batch to the next. Errors are ErrNoTargets and *BatchError.
func (m *Model) Gradients(b *masking.Batch, s Scales, dropout counter.Key) (Loss, error) {
	if err := m.check(b, true); err != nil {
		return Loss{}, err
	}
	m.tape.Reset(true)
	m.dropoutKey = dropout
	loss := m.losses(b, s, &m.dropoutKey)
	m.tape.Backward()
	return loss, nil
}

// TokenLosses returns the cross-entropy of each predicted position of the batch that
// Gradients or Evaluate was last given, and whether no token is more probable there
// than the label. The slices are used again by the next call.
func (m *Model) TokenLosses() (losses []float32, hits []bool) { return m.tokenLosses, m.tokenHits }

// Check returns the error that training on the batch would give: nil,
// ErrNoTargets or a *BatchError.
func (m *Model) Check(b *masking.Batch) error { return m.check(b, true) }

// Evaluate returns the losses of a batch without dropout. Errors are as
// Gradients'.
func (m *Model) Evaluate(b *masking.Batch) (Loss, error) {
	if err := m.check(b, true); err != nil {
		return Loss{}, err
	}
	m.tape.Reset(false)
	return m.losses(b, Scales{}, nil), nil
}

// Logits returns the scores of every token at the predicted positions,
// [len(b.Predict), vocabulary], and, nil for a model without a pair head, those of
// the two pair classes of every sequence, [sequences, 2], without dropout. Labels
// are not needed.
func (m *Model) Logits(b *masking.Batch) (token, pair []float32, err error) {
	if err := m.check(b, false); err != nil {
		return nil, nil, err
	}
	m.tape.Reset(false)
	m.makePlan(b, m.w.pair.Weight != nil)
	if len(m.plan.keep) == 0 {
		return nil, nil, nil
	}
	x := m.trunk(b, m.plan.keep, nil)
	token = make([]float32, len(b.Predict)*m.config.VocabSize)
	if len(b.Predict) > 0 {
		y := m.transformed(x)
		v := m.config.VocabSize
		g := kernel.GemmArgs{
			Precision: m.tape.Precision, Op: "vocabulary logits", Form: kernel.NT, M: y.Rows, N: v, K: y.Cols, A: y.Mat(),
			B: [3]kernel.Mat{m.w.word.Mat()}, C: kernel.Mat{Data: token, Stride: v},
		}
		if m.w.decoderBias != nil {
			g.Bias[0] = m.w.decoderBias.Data
		}
		kernel.Gemm(m.pool, g)
	}
	if m.w.pair.Weight == nil {
		return token, nil, nil
	}
	return token, append([]float32(nil), m.pairLogits(x).Data...), nil
}

// Hidden returns the trunk's output at every position, [tokens, hidden], without
// dropout.
func (m *Model) Hidden(b *masking.Batch) ([]float32, error) {
	if err := m.check(b, false); err != nil {
		return nil, err
	}
	m.tape.Reset(false)
	return append([]float32(nil), m.trunk(b, nil, nil).Data...), nil
}
