package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
)

func tiny() Config { return tinyOf("bert") }

// tinyOf returns a tiny model of each family.
func tinyOf(family string) Config {
	c := map[string]func(int, int, int) Config{"bert": BERT, "roberta": RoBERTa, "gpt2": GPT2}[family](2, 12, 41)
	c.NumAttentionHeads, c.IntermediateSize, c.MaxPositionEmbeddings = 3, 20, 98
	c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0, 0
	return c
}

func newModel(t testing.TB, c Config, jobs int) *Model {
	t.Helper()
	m, err := New(c, Options{Seed: 7, Jobs: jobs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// scatterParams gives every parameter values of a size that makes each matter.
func scatterParams(m *Model) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, p := range m.Params() {
		for i := range p.Data {
			p.Data[i] += float32(r.NormFloat64() * 0.3)
		}
	}
}

// randomBatch makes sequences of the given lengths with one target in five.
func randomBatch(c Config, seed uint64, lengths ...int) *masking.Batch {
	r := rand.New(rand.NewPCG(seed, 3))
	b := &masking.Batch{SeqBounds: []int32{0}}
	for _, n := range lengths {
		for i := range n {
			b.Tokens = append(b.Tokens, int32(r.IntN(c.VocabSize)))
			b.Segments = append(b.Segments, uint8(i*c.TypeVocabSize/n))
			if r.IntN(5) == 0 || i == 1 {
				b.Predict = append(b.Predict, int32(len(b.Tokens)-1))
				b.Labels = append(b.Labels, int32(r.IntN(c.VocabSize)))
			}
		}
		b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
		if c.ModelType == "bert" {
			b.PairLabels = append(b.PairLabels, int32(r.IntN(2)))
		}
	}
	return b
}

func near(a, b, tolerance float64) bool { return math.Abs(a-b) <= tolerance*(1+math.Abs(b)) }

func TestLossesAreTheReferences(t *testing.T) {
	for _, family := range []string{"bert", "roberta", "gpt2"} {
		c := tinyOf(family)
		m := newModel(t, c, 2)
		scatterParams(m)
		for _, ranks := range []bool{false, true} {
			b := randomBatch(c, 5, 9, 70, 1, 2, 33)
			if ranks {
				b.Ranks = randomRanks(b)
			}
			l, err := m.Evaluate(b)
			if err != nil {
				t.Fatal(err)
			}
			token, pair := newReference(m).losses(b)
			if !near(l.TokenSum, token, 1e-5) || !near(l.PairSum, pair, 1e-5) {
				t.Errorf("%s, ranks %v: losses %v and %v, want %v and %v", family, ranks, l.TokenSum, l.PairSum, token, pair)
			}
			if l.Tokens != len(b.Predict) || l.Pairs != len(b.PairLabels) {
				t.Errorf("counts %d and %d", l.Tokens, l.Pairs)
			}
		}
	}
}

// randomRanks sees itself and some of the others.
func randomRanks(b *masking.Batch) []int32 {
	r := rand.New(rand.NewPCG(8, 8))
	ranks := make([]int32, len(b.Tokens))
	for i := range ranks {
		ranks[i] = int32(r.IntN(6)) - 3
	}
	return ranks
}

// TestGradients compares, for every parameter, the gradient with central
// differences of the float64 reference.
func TestGradients(t *testing.T) {
	for _, name := range []string{"both heads", "ranks", "tokens only", "pairs only", "roberta", "gpt2", "gpt2 everywhere"} {
		t.Run(name, func(t *testing.T) {
			c := tiny()
			if name == "ranks" {
				c.HiddenAct = "gelu_new"
			}
			if family, _, _ := strings.Cut(name, " "); families[family] != nil {
				c = tinyOf(family)
			}
			m := newModel(t, c, 2)
			scatterParams(m)
			b := randomBatch(c, 6, 4, 7, 5)
			s := Scales{Token: 0.7, Pair: 1.3}
			switch name {
			case "ranks":
				b.Ranks = randomRanks(b)
			case "tokens only":
				b.PairLabels, s.Pair = nil, 0
				// A sequence nobody predicts in.
				b.Predict, b.Labels = b.Predict[:2], b.Labels[:2]
			case "gpt2 everywhere":
				b.Predict, b.Labels = nil, nil
				for i := range b.Tokens {
					b.Predict, b.Labels = append(b.Predict, int32(i)), append(b.Labels, int32(i)%7)
				}
			case "pairs only":
				b.Predict, b.Labels, s.Token = nil, nil, 0
			}
			// Gradients adds: begin with something there.
			for _, p := range m.Params() {
				for i := range p.Grad {
					p.Grad[i] = 0.5
				}
			}
			if _, err := m.Gradients(b, s, counter.NewKey(1, "test")); err != nil {
				t.Fatal(err)
			}
			r := newReference(m)
			pick := rand.New(rand.NewPCG(4, 4))
			for _, p := range m.Params() {
				for range 6 {
					i := pick.IntN(len(p.Data))
					v := r.v[*p.place]
					const e = 1e-4
					x := v[i]
					v[i] = x + e
					t1, p1 := r.losses(b)
					v[i] = x - e
					t0, p0 := r.losses(b)
					v[i] = x
					want := (float64(s.Token)*(t1-t0) + float64(s.Pair)*(p1-p0)) / (2 * e)
					if got := float64(p.Grad[i]) - 0.5; !near(got, want, 2e-4) {
						t.Errorf("%s[%d]: gradient %v, want %v", p.Name, i, got, want)
					}
				}
			}
		})
	}
}

// TestGradientsWithDropout compares the slope along a direction with differences
// of the model's own loss, dropout decisions being the same at every point.
func TestGradientsWithDropout(t *testing.T) {
	c := tiny()
	c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0.2, 0.3
	m := newModel(t, c, 2)
	scatterParams(m)
	b := randomBatch(c, 6, 40, 17, 60)
	s := Scales{Token: 1, Pair: 1}
	key := counter.NewKey(1, "test")
	loss := func() float64 {
		m.ZeroGrad()
		l, err := m.Gradients(b, s, key)
		if err != nil {
			t.Fatal(err)
		}
		return l.TokenSum + l.PairSum
	}
	plain, err := m.Evaluate(b)
	if err != nil {
		t.Fatal(err)
	}
	if l := loss(); near(l, plain.TokenSum+plain.PairSum, 1e-4) {
		t.Error("dropout changes nothing")
	}
	var norm float64
	var direction [][]float32
	for _, p := range m.Params() {
		direction = append(direction, slices.Clone(p.Grad))
		for _, g := range p.Grad {
			norm += float64(g) * float64(g)
		}
	}
	move := func(e float64) float64 {
		for i, p := range m.Params() {
			for j, d := range direction[i] {
				p.Data[j] += float32(e * float64(d) / norm)
			}
		}
		return loss()
	}
	// Along the gradient divided by its squared length the slope is one.
	const e = 0.05
	up := move(e)
	down := move(-2 * e)
	if slope := (up - down) / (2 * e); !near(slope, 1, 0.01) {
		t.Errorf("slope along the gradient %v, want 1", slope)
	}
}

func TestSameBitsForAnyJobs(t *testing.T) {
	c := BERT(2, 128, 1100)
	want := ""
	for _, jobs := range []int{1, 2, 3, 5} {
		m := newModel(t, c, jobs)
		b := randomBatch(c, 9, 130, 3, 77, 200, 64, 12)
		var l Loss
		for step := range 2 {
			var err error
			if l, err = m.Gradients(b, Scales{Token: 0.1, Pair: 0.2}, counter.NewKey(3, "test").Sub(uint64(step))); err != nil {
				t.Fatal(err)
			}
		}
		var sb strings.Builder
		fmt.Fprintf(&sb, "%x %x", math.Float64bits(l.TokenSum), math.Float64bits(l.PairSum))
		for _, p := range m.Params() {
			var h uint64
			for _, g := range p.Grad {
				h = h*0x100000001b3 ^ uint64(math.Float32bits(g))
			}
			fmt.Fprintf(&sb, "\n%s %x", p.Name, h)
		}
		if want == "" {
			want = sb.String()
		} else if sb.String() != want {
			t.Errorf("%d jobs give other bits than one", jobs)
		}
	}
}

// TestRaggedIsSeparate holds a batch of sequences against each by itself.
func TestRaggedIsSeparate(t *testing.T) {
	c := tiny()
	m := newModel(t, c, 2)
	scatterParams(m)
	b := randomBatch(c, 4, 31, 1, 96, 8)
	token, pair, err := m.Logits(b)
	if err != nil {
		t.Fatal(err)
	}
	hidden, err := m.Hidden(b)
	if err != nil {
		t.Fatal(err)
	}
	var tokens, pairs, hiddens []float32
	next := 0
	for s := range b.Sequences() {
		from, to := b.SeqBounds[s], b.SeqBounds[s+1]
		one := &masking.Batch{Tokens: b.Tokens[from:to], Segments: b.Segments[from:to], SeqBounds: []int32{0, to - from}}
		for ; next < len(b.Predict) && b.Predict[next] < to; next++ {
			one.Predict = append(one.Predict, b.Predict[next]-from)
		}
		x, y, err := m.Logits(one)
		if err != nil {
			t.Fatal(err)
		}
		tokens, pairs = append(tokens, x...), append(pairs, y...)
		z, err := m.Hidden(one)
		if err != nil {
			t.Fatal(err)
		}
		hiddens = append(hiddens, z...)
	}
	if !slices.Equal(token, tokens) || !slices.Equal(pair, pairs) || !slices.Equal(hidden, hiddens) {
		t.Error("sequences of a batch are not what they are alone")
	}
	r := newReference(m)
	x := r.hidden(b)
	for i, want := range x[5] {
		if got := float64(hidden[5*c.HiddenSize+i]); !near(got, want, 1e-5) {
			t.Errorf("hidden[5][%d] = %v, want %v", i, got, want)
		}
	}
	for i, want := range r.tokenLogits(x[b.Predict[3]]) {
		if got := float64(token[3*c.VocabSize+i]); !near(got, want, 1e-5) {
			t.Errorf("logit %d = %v, want %v", i, got, want)
		}
	}
	for i, want := range r.pairLogits(x[31]) {
		if got := float64(pair[2+i]); !near(got, want, 1e-5) {
			t.Errorf("pair logit %d = %v, want %v", i, got, want)
		}
	}
}

func TestBadBatches(t *testing.T) {
	c := tiny()
	m := newModel(t, c, 1)
	for _, x := range []struct {
		field string
		spoil func(b *masking.Batch)
	}{
		{"Tokens", func(b *masking.Batch) { b.Tokens[3] = int32(c.VocabSize) }},
		{"Tokens", func(b *masking.Batch) { b.Tokens[0] = -1 }},
		{"Tokens", func(b *masking.Batch) { b.Tokens = nil }},
		{"Segments", func(b *masking.Batch) { b.Segments = b.Segments[1:] }},
		{"Segments", func(b *masking.Batch) { b.Segments[2] = 2 }},
		{"SeqBounds", func(b *masking.Batch) { b.SeqBounds[1] = 0 }},
		{"SeqBounds", func(b *masking.Batch) { b.SeqBounds = b.SeqBounds[:2] }},
		{"SeqBounds", func(b *masking.Batch) { b.SeqBounds = nil }},
		{"SeqBounds", func(b *masking.Batch) { *b = *randomBatch(c, 1, c.MaxLength()+1) }},
		{"Ranks", func(b *masking.Batch) { b.Ranks = make([]int32, 2) }},
		{"TwoStream", func(b *masking.Batch) { b.TwoStream = true }},
		{"TargetBounds", func(b *masking.Batch) { b.TargetBounds = make([]int32, 3) }},
		{"Predict", func(b *masking.Batch) { b.Predict[0] = -4 }},
		{"Predict", func(b *masking.Batch) { b.Predict[len(b.Predict)-1] = int32(len(b.Tokens)) }},
		{"Predict", func(b *masking.Batch) { b.Predict[1] = b.Predict[0] }},
		{"Labels", func(b *masking.Batch) { b.Labels = b.Labels[1:] }},
		{"Labels", func(b *masking.Batch) { b.Labels[0] = -100 }},
		{"PairLabels", func(b *masking.Batch) { b.PairLabels = b.PairLabels[1:] }},
		{"PairLabels", func(b *masking.Batch) { b.PairLabels[1] = 2 }},
	} {
		b := randomBatch(c, 2, 8, 9)
		x.spoil(b)
		_, err := m.Gradients(b, Scales{Token: 1}, counter.Key{})
		var bad *BatchError
		if !errors.As(err, &bad) || bad.Field != x.field {
			t.Errorf("a bad %s gives %v", x.field, err)
		}
	}
	b := randomBatch(c, 2, 8)
	b.Predict, b.Labels, b.PairLabels = nil, nil, nil
	if _, err := m.Gradients(b, Scales{Token: 1}, counter.Key{}); !errors.Is(err, ErrNoTargets) {
		t.Errorf("a batch without targets gives %v", err)
	}
	if _, err := m.Evaluate(b); !errors.Is(err, ErrNoTargets) {
		t.Errorf("a batch without targets gives %v", err)
	}
}

func TestParameterCounts(t *testing.T) {
	// Trunk with pooler, of the published checkpoints.
	trunk := map[string]int{
		"roberta-base": 124645632 - 768*769, "gpt2": 124439808, "bert-tiny": 4385920, "bert-mini": 11170560, "bert-small": 28763648, "bert-medium": 41373184, "bert-base": 109482240,
		"bert-large": 335141888, "roberta-large": 355359744 - 1024*1025, "gpt2-medium": 354823168, "gpt2-large": 774030080, "gpt2-xl": 1557611200,
	}
	for _, name := range Presets() {
		family, _, _ := strings.Cut(name, "-")
		c, err := Preset(name, map[string]int{"gpt2": 50257, "roberta": 50265, "bert": 30522}[family])
		if err != nil {
			t.Fatal(err)
		}
		var all, body int
		seen := map[string]bool{}
		b, _ := list(c)
		for _, p := range b.params {
			all += p.size()
			if !strings.HasPrefix(p.Name, "cls.") && !strings.HasPrefix(p.Name, "lm_head.") {
				body += p.size()
			}
			if seen[p.Name] {
				t.Errorf("%s twice", p.Name)
			}
			seen[p.Name] = true
			if p.Decay != (len(p.Shape) == 2) {
				t.Errorf("%s: decay %v", p.Name, p.Decay)
			}
		}
		if want := trunk[name]; body != want && want > 0 {
			t.Errorf("%s: %d parameters in the trunk, want %d", name, body, trunk[name])
		}
		if name == "bert-base" && all != 110106428 {
			t.Errorf("%s: %d parameters, want 110106428", name, all)
		}
		if float64(all) != c.parameters() {
			t.Errorf("%s: %d parameters, foreseen %v", name, all, c.parameters())
		}
	}
}

func TestInitialValues(t *testing.T) {
	c := BERT(1, 128, 3000)
	m, other := newModel(t, c, 2), newModel(t, c, 3)
	for i, p := range m.Params() {
		if !slices.Equal(p.Data, other.Params()[i].Data) {
			t.Errorf("%s depends on jobs", p.Name)
		}
		switch {
		case strings.HasSuffix(p.Name, "bias"):
			if slices.Max(p.Data) != 0 || slices.Min(p.Data) != 0 {
				t.Errorf("%s is not zero", p.Name)
			}
		case strings.Contains(p.Name, "LayerNorm"):
			if slices.Max(p.Data) != 1 || slices.Min(p.Data) != 1 {
				t.Errorf("%s is not one", p.Name)
			}
		case len(p.Data) > 10000:
			var sum, square float64
			for _, v := range p.Data {
				sum += float64(v)
				square += float64(v) * float64(v)
			}
			n := float64(len(p.Data))
			// The deviation of a normal distribution cut at two.
			if d := math.Sqrt(square / n); math.Abs(d-0.02*0.8796) > 3e-4 || math.Abs(sum/n) > 1e-3 {
				t.Errorf("%s: mean %v, deviation %v", p.Name, sum/n, d)
			}
			if slices.Max(p.Data) > 0.04 || slices.Min(p.Data) < -0.04 {
				t.Errorf("%s: a value beyond two deviations", p.Name)
			}
		}
	}
}

func TestBadConfigs(t *testing.T) {
	for _, spoil := range []func(c *Config){
		func(c *Config) { c.ModelType = "t5" },
		func(c *Config) { c.VocabSize = 0 },
		func(c *Config) { c.HiddenSize = 13 },
		func(c *Config) { c.HiddenSize, c.NumHiddenLayers = 1<<24, 1<<24 },
		func(c *Config) { c.NumAttentionHeads = -1 },
		func(c *Config) { c.TypeVocabSize = 300 },
		func(c *Config) { c.TypeVocabSize = 0 },
		func(c *Config) { c.ModelType = "gpt2" },
		func(c *Config) { c.ModelType, c.PadTokenID = "roberta", 97 },
		func(c *Config) { c.HiddenDropoutProb = 1 },
		func(c *Config) { c.AttentionProbsDropoutProb = math.NaN() },
		func(c *Config) { c.LayerNormEps = 0 },
		func(c *Config) { c.InitializerRange = math.Inf(1) },
		func(c *Config) { c.HiddenAct = "swish" },
		func(c *Config) { c.PositionEmbeddingType = "relative_key" },
	} {
		c := tiny()
		spoil(&c)
		if _, err := New(c, Options{}); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v gives %v", c, err)
		}
	}
	if _, err := Preset("bert-huge", 100); !errors.Is(err, ErrConfig) {
		t.Errorf("an unknown size gives %v", err)
	}
}

func TestSteadyStepAllocatesNothing(t *testing.T) {
	c := tiny()
	c.HiddenDropoutProb, c.AttentionProbsDropoutProb = 0.1, 0.1
	m := newModel(t, c, 2)
	b := randomBatch(c, 1, 20, 30, 11)
	key := counter.NewKey(1, "test")
	step := func() {
		m.ZeroGrad()
		if _, err := m.Gradients(b, Scales{Token: 1, Pair: 1}, key); err != nil {
			t.Fatal(err)
		}
	}
	step()
	if n := testing.AllocsPerRun(10, step); n > 0 {
		t.Errorf("%v allocations a step", n)
	}
}

// TestNames holds the names and shapes of each family's last layer and heads
// against those of transformers.
func TestNames(t *testing.T) {
	want := map[string]string{
		"roberta": `roberta.embeddings.word_embeddings.weight [41 12]
roberta.embeddings.position_embeddings.weight [98 12]
roberta.embeddings.token_type_embeddings.weight [1 12]
roberta.embeddings.LayerNorm.weight [12]
roberta.embeddings.LayerNorm.bias [12]
roberta.encoder.layer.0.attention.self.query.weight [12 12]
roberta.encoder.layer.0.attention.self.query.bias [12]
roberta.encoder.layer.0.attention.self.key.weight [12 12]
roberta.encoder.layer.0.attention.self.key.bias [12]
roberta.encoder.layer.0.attention.self.value.weight [12 12]
roberta.encoder.layer.0.attention.self.value.bias [12]
roberta.encoder.layer.0.attention.output.dense.weight [12 12]
roberta.encoder.layer.0.attention.output.dense.bias [12]
roberta.encoder.layer.0.attention.output.LayerNorm.weight [12]
roberta.encoder.layer.0.attention.output.LayerNorm.bias [12]
roberta.encoder.layer.0.intermediate.dense.weight [20 12]
roberta.encoder.layer.0.intermediate.dense.bias [20]
roberta.encoder.layer.0.output.dense.weight [12 20]
roberta.encoder.layer.0.output.dense.bias [12]
roberta.encoder.layer.0.output.LayerNorm.weight [12]
roberta.encoder.layer.0.output.LayerNorm.bias [12]
lm_head.bias [41]
lm_head.dense.weight [12 12]
lm_head.dense.bias [12]
lm_head.layer_norm.weight [12]
lm_head.layer_norm.bias [12]
`,
		"gpt2": `transformer.wte.weight [41 12]
transformer.wpe.weight [98 12]
transformer.h.0.ln_1.weight [12]
transformer.h.0.ln_1.bias [12]
transformer.h.0.attn.c_attn.weight [12 36]
transformer.h.0.attn.c_attn.bias [36]
transformer.h.0.attn.c_proj.weight [12 12]
transformer.h.0.attn.c_proj.bias [12]
transformer.h.0.ln_2.weight [12]
transformer.h.0.ln_2.bias [12]
transformer.h.0.mlp.c_fc.weight [12 20]
transformer.h.0.mlp.c_fc.bias [20]
transformer.h.0.mlp.c_proj.weight [20 12]
transformer.h.0.mlp.c_proj.bias [12]
transformer.ln_f.weight [12]
transformer.ln_f.bias [12]
`,
	}
	for family, want := range want {
		c := tinyOf(family)
		c.NumHiddenLayers = 1
		var got strings.Builder
		b, _ := list(c)
		for _, p := range b.params {
			fmt.Fprintln(&got, p.Name, p.Shape)
		}
		if got.String() != want {
			t.Errorf("%s:\n%s", family, got.String())
		}
	}
}

func TestConfigJSON(t *testing.T) {
	for _, family := range []string{"bert", "roberta", "gpt2"} {
		c := tinyOf(family)
		data, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		got := BERT(12, 768, 30522)
		if err := json.Unmarshal(data, &got); err != nil {
			t.Fatal(err)
		}
		c.PadTokenID, c.PositionEmbeddingType = got.PadTokenID, got.PositionEmbeddingType
		if got != c {
			t.Errorf("%s comes back as %+v from %s", family, got, data)
		}
	}
	// A published file: keys of no matter are ignored, absent ones have defaults.
	c := BERT(12, 768, 30522)
	if err := json.Unmarshal([]byte(`{"model_type": "gpt2", "n_embd": 1024, "n_layer": 24, "n_head": 16, "n_ctx": 1024, "n_inner": null, "summary_type": "cls_index"}`), &c); err != nil {
		t.Fatal(err)
	}
	if c.HiddenSize != 1024 || c.IntermediateSize != 4096 || c.VocabSize != 50257 || c.HiddenAct != "gelu_new" || c.LayerNormEps != 1e-5 {
		t.Errorf("%+v", c)
	}
	if err := json.Unmarshal([]byte(`{"model_type": "gpt2", "embd_pdrop": 0.3}`), &c); !errors.Is(err, ErrConfig) {
		t.Errorf("a dropout of its own for the embeddings gives %v", err)
	}
}
