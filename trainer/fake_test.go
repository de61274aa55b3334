package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

const fakeVocab = 23

// fakeModel predicts the token at a position from the one before it, by one row
// of scores each: a bigram model. Its dropout scales the scores by a number that
// depends on the key.
type fakeModel struct {
	params []*model.Param
	pool   *kernel.Pool
	// poison makes the loss of a step not finite.
	poison func(b *masking.Batch) bool
	// blow makes the gradient of a step a spike.
	blow func(b *masking.Batch) bool
	// delay is how long a step takes.
	delay time.Duration
	steps int
}

func newFakeModel(t testing.TB) *fakeModel {
	t.Helper()
	m := &fakeModel{pool: kernel.NewPool(1)}
	t.Cleanup(m.pool.Close)
	key := counter.NewKey(1, "test/weights")
	add := func(name string, decay bool, shape ...int) {
		n := 1
		for _, d := range shape {
			n *= d
		}
		p := &model.Param{Name: name, Shape: shape, Data: make([]float32, n), Grad: make([]float32, n), Decay: decay}
		for i := range p.Data {
			p.Data[i] = float32(key.Float64(uint64(i))-0.5) * 0.1
		}
		m.params = append(m.params, p)
	}
	add("scores.weight", true, fakeVocab, fakeVocab)
	add("scores.bias", false, fakeVocab)
	add("pair.bias", false, 2)
	return m
}

func (m *fakeModel) Params() []*model.Param { return m.params }
func (m *fakeModel) Pool() *kernel.Pool     { return m.pool }
func (m *fakeModel) ZeroGrad() {
	for _, p := range m.params {
		clear(p.Grad)
	}
}

func (m *fakeModel) Evaluate(b *masking.Batch) (model.Loss, error) {
	return m.run(b, model.Scales{}, 1), nil
}

func (m *fakeModel) Gradients(b *masking.Batch, s model.Scales, dropout counter.Key) (model.Loss, error) {
	m.steps++
	time.Sleep(m.delay)
	l := m.run(b, s, 0.9+0.2*dropout.Float64(0))
	if m.poison != nil && m.poison(b) {
		l.TokenSum = math.NaN()
		m.params[0].Grad[0] = float32(math.NaN())
	}
	if m.blow != nil && m.blow(b) {
		m.params[0].Grad[0] += 100
	}
	return l, nil
}

func (m *fakeModel) run(b *masking.Batch, s model.Scales, factor float64) model.Loss {
	var l model.Loss
	w, bias := m.params[0], m.params[1]
	for i, at := range b.Predict {
		row := 0
		if at > 0 {
			row = int(b.Tokens[at-1])
		}
		scores := make([]float64, fakeVocab)
		for j := range scores {
			scores[j] = factor*float64(w.Data[row*fakeVocab+j]) + float64(bias.Data[j])
		}
		nll, hit := softmax(scores, int(b.Labels[i]))
		l.TokenSum += nll
		l.Tokens++
		if hit {
			l.TokenHits++
		}
		for j, g := range scores {
			g *= float64(s.Token)
			w.Grad[row*fakeVocab+j] += float32(factor * g)
			bias.Grad[j] += float32(g)
		}
	}
	for _, label := range b.PairLabels {
		p := m.params[2]
		scores := []float64{float64(p.Data[0]), float64(p.Data[1])}
		nll, hit := softmax(scores, int(label))
		l.PairSum += nll
		l.Pairs++
		if hit {
			l.PairHits++
		}
		for j, g := range scores {
			p.Grad[j] += float32(g * float64(s.Pair))
		}
	}
	return l
}

// softmax returns the loss of label and whether no score is higher, and turns
// the scores into the gradient.
func softmax(scores []float64, label int) (float64, bool) {
	var sum float64
	best := scores[0]
	for _, x := range scores {
		sum += math.Exp(x)
		best = max(best, x)
	}
	nll, hit := math.Log(sum)-scores[label], scores[label] == best
	for j := range scores {
		scores[j] = math.Exp(scores[j]) / sum
	}
	scores[label]--
	return nll, hit
}

// fakeBatches gives batches of sequences of unequal length from two sources, in
// which a token is mostly the one before it plus one.
type fakeBatches struct {
	seed  uint64
	pairs bool
	// asked records the steps.
	asked []int64
}

func (f *fakeBatches) Batch(ctx context.Context, step int64) (*masking.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f.asked = append(f.asked, step)
	key := counter.NewKey(f.seed, "test/batches").Sub(uint64(step))
	s := key.Stream()
	b := &masking.Batch{Step: step, SeqBounds: []int32{0}}
	for i := range 6 {
		n := 3 + s.IntN(9)
		tok := int32(1 + s.IntN(fakeVocab-1))
		for j := range n {
			b.Tokens = append(b.Tokens, tok)
			b.Segments = append(b.Segments, 0)
			if tok = tok%(fakeVocab-1) + 1; s.IntN(4) == 0 {
				tok = int32(1 + s.IntN(fakeVocab/4))
			}
			if j > 0 && s.IntN(3) == 0 {
				at := len(b.Tokens) - 1
				b.Predict = append(b.Predict, int32(at))
				b.Labels = append(b.Labels, b.Tokens[at])
				b.Tokens[at] = 0
			}
		}
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		if f.pairs {
			b.PairLabels = append(b.PairLabels, int32(s.IntN(4)/3))
		}
		b.Origins = append(b.Origins, masking.Origin{
			Index: step*6 + int64(i), Source: []string{"wiki", "books"}[s.IntN(2)],
			Spans: []masking.Span{{Doc: "doc", End: int32(n)}},
		})
	}
	if len(b.Predict) == 0 {
		b.Predict, b.Labels = []int32{1}, []int32{b.Tokens[1]}
	}
	return b, nil
}

// fakeConfig describes a short run in dir.
func fakeConfig(dir string, steps int64) Config {
	c := Default(dir, steps)
	c.Seed, c.MicroBatch, c.LogEvery = 7, 2, 3
	c.Optimizer.LR = 0.02
	c.Evaluation = Evaluation{Every: 8, Batches: 3}
	c.Checkpoint = Checkpointing{Every: 5, Keep: 2}
	c.VocabSize, c.Specials, c.Plot = fakeVocab, []int32{0}, false
	c.Lineage = Lineage{Model: json.RawMessage(`{"a": 1}`), Mix: "books:0.5,wiki:0.5", Tokenizer: "fake", TokenizerDigest: "d"}
	c.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	return c
}

// outcome is what must not depend on how a run was stopped: the weights and
// moments, and the metrics without their timing.
func outcome(t *testing.T, dir string) string {
	t.Helper()
	names, err := checkpoints(checkpointDir(dir))
	if err != nil || len(names) == 0 {
		t.Fatalf("no checkpoint: %v", err)
	}
	var b bytes.Buffer
	b.WriteString(names[0])
	for _, f := range []string{weightsFile, momentsFile} {
		data, err := os.ReadFile(filepath.Join(checkpointDir(dir), names[0], f))
		if err != nil {
			t.Fatal(err)
		}
		b.Write(data)
	}
	lines, err := ReadMetrics(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		l.Timing = nil
		data, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(append(data, '\n'))
	}
	return b.String()
}
