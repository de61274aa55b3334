package trainer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/model/safetensors"
)

// TestLoadSurvivesAnyTruncation cuts a model's weights at many lengths.
func TestLoadSurvivesAnyTruncation(t *testing.T) {
	m := smallModel(t, 1)
	dir := t.TempDir()
	resave(t, dir, m, safetensors.F32, func(s string) string { return s })
	path := filepath.Join(dir, weightsFile)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	header := int(binary.LittleEndian.Uint64(whole))
	for _, n := range []int{0, 1, 7, 8, 9, 100, header, header + 7, header + 8, header + 9, len(whole) / 2, len(whole) - 1} {
		if err := os.WriteFile(path, whole[:n], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, model.Options{Jobs: 1}); err == nil || !strings.Contains(err.Error(), weightsFile) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// TestLoadRefusesWeightsThatAreNotNumbers poisons one element.
func TestLoadRefusesWeightsThatAreNotNumbers(t *testing.T) {
	for _, x := range []float32{float32(math.NaN()), float32(math.Inf(-1))} {
		m := smallModel(t, 1)
		m.Params()[3].Data[5] = x
		dir := t.TempDir()
		resave(t, dir, m, safetensors.F32, func(s string) string { return s })
		if _, err := Load(dir, model.Options{Jobs: 1}); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), m.Params()[3].Name) {
			t.Errorf("%v: %v", x, err)
		}
	}
}

// TestLoadTakesNoMemoryForALyingConfig asks for models far beyond what the files
// hold; none may be built.
func TestLoadTakesNoMemoryForALyingConfig(t *testing.T) {
	m := smallModel(t, 1)
	for _, edits := range [][2]string{
		{`"hidden_size": 64`, `"hidden_size": 8388608`}, {`"vocab_size": 130`, `"vocab_size": 16000000`},
		{`"num_hidden_layers": 2`, `"num_hidden_layers": 16000000`}, {`"num_hidden_layers": 2`, `"num_hidden_layers": 1024`},
		{`"intermediate_size": 256`, `"intermediate_size": 9223372036854775807`}, {`"max_position_embeddings": 32`, `"max_position_embeddings": 16000000`},
		{`"num_attention_heads": 2`, `"num_attention_heads": 0`}, {`"vocab_size": 130`, `"vocab_size": 1e3`}, {`"vocab_size": 130`, `"vocab_size": -1`},
		{`"tie_word_embeddings": true`, `"tie_word_embeddings": false`}, {`"layer_norm_eps": 1e-12`, `"layer_norm_eps": 0`},
	} {
		dir := t.TempDir()
		resave(t, dir, m, safetensors.F32, func(s string) string { return s })
		if err := edit(dir, edits[0], edits[1]); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(filepath.Join(dir, configFile)); err != nil || !strings.Contains(string(data), edits[1]) {
			t.Fatalf("%s is not in\n%s", edits[0], data)
		}
		if l, err := Load(dir, model.Options{Jobs: 1}); err == nil {
			l.Model.Close()
			t.Errorf("%s was taken", edits[1])
		}
	}
}

func TestLoadSaysWhyItTakesNoPickle(t *testing.T) {
	m := smallModel(t, 1)
	dir := t.TempDir()
	resave(t, dir, m, safetensors.F32, func(s string) string { return s })
	if err := os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, pickleFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, model.Options{Jobs: 1}); err == nil || !strings.Contains(err.Error(), "safe_serialization") {
		t.Errorf("a pickle: %v", err)
	}
}

// TestShardedExportOpensAgain writes a GPT-2 in many files, and damages the index.
func TestShardedExportOpensAgain(t *testing.T) {
	tok := smallTokenizer(t)
	m := gptModel(t, tok.VocabSize()+1)
	dir := filepath.Join(t.TempDir(), "model")
	if err := Export(dir, Exported{Name: "sharded", Model: m, Tokenizer: tok, ShardBytes: 10_000}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "model-*-of-*.safetensors"))
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v (%v)", files, err)
	}
	l, err := Load(dir, model.Options{Seed: 8, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Model.Close()
	sameWeights(t, l.Model, m)
	if len(l.Missing)+len(l.Unexpected) > 0 || l.Model.Config() != m.Config() {
		t.Errorf("missing %q, unexpected %q", l.Missing, l.Unexpected)
	}
	index := filepath.Join(dir, indexFile)
	whole, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":         `{"weight_map": {}}`,
		"no JSON":       string(whole[:40]),
		"another file":  strings.Replace(string(whole), `"transformer.wte.weight": "model-00001`, `"transformer.wte.weight": "model-00002`, 1),
		"a new tensor":  strings.Replace(string(whole), `"transformer.wpe.weight"`, `"transformer.wpf.weight"`, 1),
		"an absent one": strings.Replace(string(whole), "model-00002", "model-00099", 1),
	} {
		if bad == string(whole) {
			t.Fatalf("%s: nothing changed", name)
		}
		if err := os.WriteFile(index, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, model.Options{Jobs: 1}); err == nil {
			t.Errorf("an index with %s was taken", name)
		}
	}
}

// TestGPT2NamesAreThoseOfOthers takes GPT-2 without its prefix, with the buffers and
// the tied head old versions saved.
func TestGPT2NamesAreThoseOfOthers(t *testing.T) {
	m := gptModel(t, 40)
	dir := t.TempDir()
	resave(t, dir, m, safetensors.F32, func(s string) string { return strings.TrimPrefix(s, "transformer.") },
		"h.0.attn.bias", "h.0.attn.masked_bias", "lm_head.weight")
	l, err := Load(dir, model.Options{Seed: 9, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Model.Close()
	sameWeights(t, l.Model, m)
	if len(l.Missing)+len(l.Unexpected) > 0 {
		t.Errorf("missing %q, unexpected %q", l.Missing, l.Unexpected)
	}
}

// TestPlanForeseesActivations holds the estimate against what the tape takes.
func TestPlanForeseesActivations(t *testing.T) {
	for _, c := range []model.Config{model.BERT(3, 128, 500), model.RoBERTa(2, 96, 900), model.GPT2(3, 128, 500)} {
		c.NumAttentionHeads = 2
		b := &masking.Batch{SeqBounds: []int32{0}}
		for i := range 24 * 48 {
			b.Tokens, b.Segments = append(b.Tokens, int32(2+i%90)), append(b.Segments, 0)
			if c.Causal() && i%48 < 47 || !c.Causal() && i%7 == 0 {
				b.Predict, b.Labels = append(b.Predict, int32(i)), append(b.Labels, 5)
			}
			if i%48 == 47 {
				b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
			}
		}
		m, err := model.New(c, model.Options{Jobs: 1})
		if err != nil {
			t.Fatal(err)
		}
		// Twice: the tape grows to what the first step took.
		for range 2 {
			if _, err := m.Gradients(b, model.Scales{Token: 1}, counter.NewKey(1, "test")); err != nil {
				t.Fatal(err)
			}
		}
		p := MakePlan(c, DefaultOptimizer(BERT, 1e-4), 0, b, 0, 48, false, kernel.FP32, m.Pool())
		got := m.ActivationBytes()
		if r := float64(p.Activations) / float64(got); r < 0.75 || r > 1.35 {
			t.Errorf("%s: %d bytes of activations are foreseen, %d are taken", c.ModelType, p.Activations, got)
		}
		m.Close()
	}
}

func TestPlanRefusesWhatDoesNotFit(t *testing.T) {
	pool := kernel.NewPool(1)
	defer pool.Close()
	b, err := (&fakeBatches{seed: 1}).Batch(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c, err := model.Preset("gpt2", 50257)
	if err != nil {
		t.Fatal(err)
	}
	p := MakePlan(c, DefaultOptimizer(AdamW, 1e-4), 0, b, 0, 1024, false, kernel.BF16, pool)
	if p.Parameters != 124439808 || p.Optimizer != 2*p.Weights || p.Total < p.Weights+p.Gradients+p.Optimizer || !(p.Seconds > 0) || !(p.FLOP > 0) {
		t.Errorf("plan %+v", p)
	}
	p.Available = p.Total
	if err := p.Fits(); err != nil {
		t.Error(err)
	}
	p.Available--
	if err := p.Fits(); !errors.Is(err, ErrMemory) || !strings.Contains(err.Error(), "--micro-batch") {
		t.Errorf("a run that does not fit: %v", err)
	}
	if text := strings.Join(p.Lines(), "\n"); !strings.Contains(text, "124439808") || !strings.Contains(text, "bf16") {
		t.Errorf("the plan says\n%s", text)
	}
	if AvailableBytes() == 0 {
		t.Log("this system does not tell how much memory is left")
	}
}

func TestProfileTellsWhereTheTimeWent(t *testing.T) {
	c := fakeConfig(t.TempDir(), 12)
	c.Profile = true
	m := smallModel(t, 1)
	c.Roofline = MeasureRoofline(m.Pool(), m.Precision(), 0)
	if !(c.Roofline.FLOPS > 1e6 && c.Roofline.Bandwidth > 1e6) {
		t.Fatalf("roofline %+v", c.Roofline)
	}
	c.VocabSize = 0
	res, err := Run(t.Context(), c, m, &fakeBatches{seed: 1, pairs: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !(res.Timing.MFU > 0 && res.Timing.MFU < 1) {
		t.Errorf("MFU %v", res.Timing.MFU)
	}
	p, err := ReadProfile(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var sum float64
	for _, o := range p.Ops {
		sum += o.Seconds
	}
	if len(p.Ops) < 8 || sum <= 0 || sum > p.Seconds {
		t.Errorf("%d operations took %v of %v s", len(p.Ops), sum, p.Seconds)
	}
	var b strings.Builder
	p.WriteText(&b)
	for _, want := range []string{"linear forward", "attention backward", "of roof", "all operations"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	// The metrics know the sources apart.
	lines, err := ReadMetrics(c.Dir)
	if err != nil {
		t.Fatal(err)
	}
	var sources []string
	targets := map[int64]int{}
	for _, l := range lines {
		if l.Kind == "train" && l.Source != "" {
			sources = append(sources, l.Source)
			targets[l.Step] += l.Targets
		}
		if l.Kind == "train" && l.Source == "" && l.Targets != targets[l.Step] {
			t.Errorf("step %d: %d predictions, %d by source", l.Step, l.Targets, targets[l.Step])
		}
	}
	slices.Sort(sources)
	if got := fmt.Sprint(slices.Compact(sources)); got != "[books wiki]" {
		t.Errorf("sources %s", got)
	}
}
