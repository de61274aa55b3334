//go:build interop

package trainer

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/safetensors"
	"github.com/tributary-ml/tributary/tokenize"
)

// listed gives the batches of a list.
type listed []*masking.Batch

func (l listed) Batch(_ context.Context, step int64) (*masking.Batch, error) { return l[step], nil }

// peerBatch is a batch as reference.py reads it.
type peerBatch struct {
	Tokens   [][]int32 `json:"tokens"`
	Segments [][]int32 `json:"segments"`
	Labels   [][]int32 `json:"labels"`
	Pairs    []int32   `json:"pairs"`
}

// forPeer gives a batch as reference.py reads it. transformers moves a causal
// model's labels one place to the left itself.
func forPeer(b *masking.Batch, causal bool) peerBatch {
	p := peerBatch{Pairs: b.PairLabels}
	next := 0
	for i := range b.Sequences() {
		lo, hi := b.SeqBounds[i], b.SeqBounds[i+1]
		segments, labels := []int32{}, []int32{}
		for at := lo; at < hi; at++ {
			segments = append(segments, int32(b.Segments[at]))
			label := int32(-100)
			if next < len(b.Predict) && b.Predict[next] == at {
				label = b.Labels[next]
				next++
			}
			labels = append(labels, label)
		}
		if causal {
			labels = append([]int32{-100}, labels[:len(labels)-1]...)
		}
		p.Tokens = append(p.Tokens, b.Tokens[lo:hi])
		p.Segments = append(p.Segments, segments)
		p.Labels = append(p.Labels, labels)
	}
	return p
}

// peerSequences makes a batch of n random sequences for a model of shape c. The
// first tokens are left out: among them is the padding, whose embedding torch does
// not train.
func peerSequences(rng *rand.Rand, n, longest int, c model.Config) *masking.Batch {
	b := &masking.Batch{SeqBounds: []int32{0}}
	causal := c.ModelType == "gpt2"
	token := func() int32 { return 2 + rng.Int32N(int32(c.VocabSize-2)) }
	for range n {
		length := 3 + rng.IntN(longest-2)
		first := rng.IntN(length)
		for i := range length {
			if causal && i < length-1 || !causal && (rng.IntN(5) == 0 || i == 1) {
				b.Predict = append(b.Predict, int32(len(b.Tokens)))
				b.Labels = append(b.Labels, token())
			}
			segment := uint8(0)
			if i > first && c.ModelType == "bert" {
				segment = 1
			}
			b.Tokens = append(b.Tokens, token())
			b.Segments = append(b.Segments, segment)
			if causal {
				b.Ranks = append(b.Ranks, int32(i))
			}
		}
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		if c.ModelType == "bert" {
			b.PairLabels = append(b.PairLabels, rng.Int32N(2))
		}
	}
	return b
}

// agreement is a model of a random shape and weights, and a training of it.
type agreement struct {
	name    string
	dir     string
	config  model.Config
	model   *model.Model
	run     Config
	batches listed
}

// TestTransformersAgrees exports models of random shapes and weights, lets
// transformers open them, and compares logits, loss, gradients, ten steps of
// training under every optimiser it has, the tokenizer's ids, the continuations of
// causal models, and what it saves in turn.
func TestTransformersAgrees(t *testing.T) {
	tok := smallTokenizer(t)
	var cases []*agreement
	var dirs []string
	for _, family := range []func(layers, hidden, vocabSize int) model.Config{model.BERT, model.RoBERTa, model.GPT2} {
		for seed, kind := range []string{BERT, AdamW, BERT, SGD, Adagrad, Adafactor} {
			rng := rand.New(rand.NewPCG(uint64(seed), 77))
			c := family(1+rng.IntN(3), 16*(1+rng.IntN(5)), tok.VocabSize()+rng.IntN(9))
			c.NumAttentionHeads = []int{1, 2, 4}[rng.IntN(3)]
			c.IntermediateSize = 8 * (1 + rng.IntN(20))
			c.HiddenAct = []string{"gelu", "gelu_new"}[seed%2]
			c.MaxPositionEmbeddings = 24 + rng.IntN(30)
			c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0, 0
			c.LayerNormEps = []float64{1e-12, 1e-5}[rng.IntN(2)]
			a := prepare(t, c, kind, tok, rng)
			a.name = fmt.Sprintf("%s-%d-%s", c.ModelType, seed, kind)
			cases, dirs = append(cases, a), append(dirs, a.dir)
		}
	}
	askTransformers(t, dirs...)
	for _, a := range cases {
		t.Run(a.name, func(t *testing.T) { a.compare(t, tok) })
	}
}

var peerTexts = []string{
	"the river runs to the sea", "The BOAT, 12 of them.", "Élan vital \u200b naïve — 東京 it's (unknown) \U0001F600!", "",
	"a tab\tand\nlines  here",
}

// reference is what transformers computes for a case.
type reference struct {
	t         *testing.T
	tensors   *safetensors.File
	IDs       [][]int32 `json:"ids"`
	Continued []int32   `json:"continued"`
}

// askTransformers runs reference.py on cases that writeCase wrote.
func askTransformers(t *testing.T, dirs ...string) {
	t.Helper()
	scripts := filepath.Join("..", "interop", "transformers")
	cmd := exec.Command(filepath.Join(scripts, "python.sh"))
	cmd.Stderr = os.Stderr
	python, err := cmd.Output()
	if err != nil {
		t.Fatalf("the environment for transformers could not be made: %v", err)
	}
	script := filepath.Join(scripts, "reference.py")
	if out, err := exec.Command(strings.TrimSpace(string(python)), append([]string{script}, dirs...)...).CombinedOutput(); err != nil {
		t.Fatalf("transformers: %v\n%s", err, out)
	}
}

// writeCase writes what reference.py is asked about the model in dir/model.
func writeCase(t *testing.T, dir string, c model.Config, batches listed, settings map[string]any) {
	t.Helper()
	var list []peerBatch
	for _, b := range batches {
		list = append(list, forPeer(b, c.ModelType == "gpt2"))
	}
	settings["batches"], settings["texts"] = list, peerTexts
	data, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "case.json"), data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// readReference reads what reference.py left in dir.
func readReference(t *testing.T, dir string) *reference {
	t.Helper()
	r := &reference{t: t}
	var err error
	if r.tensors, err = safetensors.Open(filepath.Join(dir, "reference.safetensors")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.tensors.Close() })
	data, err := os.ReadFile(filepath.Join(dir, "reference.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, r); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *reference) tensor(name string) []float32 {
	r.t.Helper()
	info, ok := r.tensors.Tensor(name)
	if !ok {
		r.t.Fatalf("transformers has no %s", name)
	}
	x := make([]float32, info.Elements())
	if err := r.tensors.Floats(name, x); err != nil {
		r.t.Fatal(err)
	}
	return x
}

// forward compares logits and loss of a batch, and the tokenizer's ids.
func (r *reference) forward(m *model.Model, tok *tokenize.Tokenizer, b *masking.Batch) {
	t := r.t
	t.Helper()
	token, pair, err := m.Logits(b)
	if err != nil {
		t.Fatal(err)
	}
	logits := furthest(t, "token logits", token, r.tensor("token_logits"), 1e-4)
	if len(b.PairLabels) > 0 {
		logits = max(logits, furthest(t, "pair logits", pair, r.tensor("pair_logits"), 1e-4))
	}
	l, err := m.Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := figures(l, 1).Loss, float64(r.tensor("loss")[0])
	if !(math.Abs(ours-theirs) <= 1e-5) {
		t.Errorf("loss %v, transformers has %v", ours, theirs)
	}
	t.Logf("largest difference of the logits %.2g, difference of the loss %.2g", logits, math.Abs(ours-theirs))
	for i, text := range peerTexts {
		ours := tok.NewEncoder().Encode([]int32{tok.Specials().Cls}, text)
		if ours = append(ours, tok.Specials().Sep); !slices.Equal(ours, r.IDs[i]) {
			t.Errorf("%q: ids %v, transformers has %v", text, ours, r.IDs[i])
		}
	}
}

// TestTransformersOpensModel compares logits, loss and ids of the model directory
// that TRIBUTARY_MODEL names.
func TestTransformersOpensModel(t *testing.T) {
	dir := os.Getenv("TRIBUTARY_MODEL")
	if dir == "" {
		t.Log("TRIBUTARY_MODEL names no model directory")
		return
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	l, err := Load(dir, model.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Model.Close()
	if len(l.Missing)+len(l.Unexpected) != 0 {
		t.Errorf("missing %q, unexpected %q", l.Missing, l.Unexpected)
	}
	work := t.TempDir()
	if err := os.Symlink(dir, filepath.Join(work, "model")); err != nil {
		t.Fatal(err)
	}
	c := l.Model.Config()
	b := peerSequences(rand.New(rand.NewPCG(1, 1)), 6, min(128, c.MaxPositionEmbeddings-2), c)
	writeCase(t, work, c, listed{b}, map[string]any{"train": false})
	askTransformers(t, work)
	readReference(t, work).forward(l.Model, l.Tokenizer, b)
}

// continued is how many tokens a causal model's text is continued by.
const continued = 6

// prepare makes a model and exports it.
func prepare(t *testing.T, c model.Config, kind string, tok *tokenize.Tokenizer, rng *rand.Rand) *agreement {
	t.Helper()
	const steps, warmup = 10, 2
	// Models in several files take transformers long to open.
	shard := int64(DefaultShardBytes)
	if kind == AdamW {
		shard = 100_000
	}
	m, err := model.New(c, model.Options{Seed: 1, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	for _, p := range m.Params() {
		for i := range p.Data {
			p.Data[i] += float32(rng.NormFloat64() * 0.1)
		}
	}
	a := &agreement{dir: t.TempDir(), config: c, model: m}
	for range steps {
		a.batches = append(a.batches, peerSequences(rng, 5, c.MaxPositionEmbeddings-2-continued, c))
	}
	a.run = Default(filepath.Join(a.dir, "run"), steps)
	a.run.Optimizer = DefaultOptimizer(kind, 1e-3)
	a.run.Schedule = Schedule{Kind: Linear, Warmup: warmup}
	a.run.MicroBatch, a.run.Plot = 2, false
	if err := Export(filepath.Join(a.dir, "model"), Exported{Name: "parity", Model: m, Tokenizer: tok, ShardBytes: shard}); err != nil {
		t.Fatal(err)
	}
	writeCase(t, a.dir, c, a.batches, map[string]any{
		"train": true, "lr": a.run.Optimizer.LR, "decay": a.run.Optimizer.Decay, "warmup": warmup, "optimizer": kind,
		"save": shard, "continue": continued,
	})
	return a
}

// compare holds what transformers computed against our own.
func (a *agreement) compare(t *testing.T, tok *tokenize.Tokenizer) {
	m, b, r := a.model, a.batches[0], readReference(t, a.dir)
	t.Logf("%+v", a.config)
	r.forward(m, tok, b)
	for _, saved := range []string{"saved", "bare"} {
		l, err := Load(filepath.Join(a.dir, saved), model.Options{Seed: 9, Jobs: 1})
		if err != nil {
			t.Fatal(err)
		}
		if saved == "saved" && len(l.Missing) > 0 || len(l.Unexpected) > 0 {
			t.Errorf("%s: missing %q, unexpected %q", saved, l.Missing, l.Unexpected)
		}
		for i, p := range l.Model.Params() {
			if !slices.Contains(l.Missing, p.Name) && !slices.Equal(p.Data, m.Params()[i].Data) {
				t.Errorf("%s: %s came back otherwise", saved, p.Name)
			}
		}
		l.Model.Close()
	}
	if a.config.Causal() {
		d, err := m.NewDecoder()
		if err != nil {
			t.Fatal(err)
		}
		got, err := Generate(t.Context(), d, b.Tokens[:b.SeqBounds[1]], continued, -1, Sampling{}, nil)
		if err != nil || !slices.Equal(got, r.Continued) {
			t.Errorf("it goes on with %v, in transformers with %v (%v)", got, r.Continued, err)
		}
	}
	m.ZeroGrad()
	scales := model.Scales{Token: 1 / float32(len(b.Predict)), Pair: 1 / float32(max(1, len(b.PairLabels)))}
	if _, err := m.Gradients(b, scales, counter.NewKey(1, "none")); err != nil {
		t.Fatal(err)
	}
	var gradients, trained float64
	for _, p := range m.Params() {
		gradients = max(gradients, relative(t, "gradient of "+p.Name, p.Grad, r.tensor("grad."+p.Name), 1e-3))
	}
	if _, err := Run(t.Context(), a.run, m, a.batches, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range m.Params() {
		if strings.HasSuffix(p.Name, "key.bias") && a.run.Optimizer.Kind != BERT {
			// Its gradient is nothing but rounding, which these optimisers scale up.
			continue
		}
		ours, theirs := p.Data, r.tensor("trained."+p.Name)
		if third := len(ours) / 3; strings.HasSuffix(p.Name, "c_attn.bias") && a.run.Optimizer.Kind != BERT {
			// GPT-2 has the keys' biases in the middle.
			ours, theirs = slices.Concat(ours[:third], ours[2*third:]), slices.Concat(theirs[:third], theirs[2*third:])
		}
		trained = max(trained, furthest(t, p.Name+" after ten steps", ours, theirs, 1e-3))
	}
	t.Logf("largest differences: gradients (relative) %.2g, weights after %d steps %.2g", gradients, len(a.batches), trained)
}

// furthest returns the largest difference of two tensors and fails when it is
// above the bound.
func furthest(t *testing.T, what string, got, want []float32, bound float64) float64 {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d elements, transformers has %d", what, len(got), len(want))
	}
	var far float64
	for i := range got {
		far = max(far, math.Abs(float64(got[i])-float64(want[i])))
	}
	if !(far <= bound) {
		t.Errorf("%s differs by %.3g, at most %g is allowed", what, far, bound)
	}
	return far
}

// relative is furthest relative to the largest element. A key's bias has no
// gradient but rounding, for softmax does not see it; it is measured against 1.
func relative(t *testing.T, what string, got, want []float32, bound float64) float64 {
	t.Helper()
	scale := 0.0
	for _, x := range want {
		scale = max(scale, math.Abs(float64(x)))
	}
	if strings.HasSuffix(what, "key.bias") {
		scale = 1
	}
	return furthest(t, what, got, want, bound*scale) / scale
}
