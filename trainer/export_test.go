package trainer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/safetensors"
	"github.com/tributary-ml/tributary/tokenize"
)

// smallTokenizer is trained on a few sentences.
func smallTokenizer(t testing.TB) *tokenize.Tokenizer {
	t.Helper()
	texts := func(yield func(string, error) bool) {
		for i := range 40 {
			if !yield(fmt.Sprintf("the river runs to the sea and the boat %d runs with it.", i), nil) {
				return
			}
		}
	}
	tok, err := tokenize.TrainWordPiece(context.Background(), iter.Seq2[string, error](texts), tokenize.TrainOptions{VocabSize: 120, MinFrequency: 1, Lowercase: true})
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func smallModel(t testing.TB, seed uint64) *model.Model {
	t.Helper()
	c := model.BERT(2, 64, 130)
	c.NumAttentionHeads, c.MaxPositionEmbeddings = 2, 32
	m, err := model.New(c, model.Options{Seed: seed, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func sameWeights(t *testing.T, got, want *model.Model) {
	t.Helper()
	for i, p := range want.Params() {
		q := got.Params()[i]
		for j := range p.Data {
			if math.Float32bits(p.Data[j]) != math.Float32bits(q.Data[j]) {
				t.Fatalf("%s[%d] was %v and is %v", p.Name, j, p.Data[j], q.Data[j])
			}
		}
	}
}

func exportState() *State {
	f := Figures{Loss: 3, TokenLoss: 2.5, TokenAccuracy: 0.5, PairLoss: 0.5, PairAccuracy: 0.75, Targets: 100, Pairs: 8}
	return &State{
		Step: 10, Updates: 10, Tokens: 1000, SourceTokens: map[string]int64{"wiki": 700, "books": 300}, Train: &f,
		Heldout:  &Heldout{Step: 10, All: f, Sources: []SourceFigures{{"books", f}, {"wiki", f}}},
		Baseline: &Baseline{UnigramEntropy: 6, UnigramLoss: 6.1, LabelEntropy: 5.5, UnigramAccuracy: 0.05},
		Lineage:  Lineage{Mix: "books:0.3,wiki[a|b]:0.7", Objective: "bert", Data: map[string]string{"wiki": "aa", "books": "bb"}},
		Recipe:   recipe{Steps: 10, Schedule: Schedule{Kind: Linear}},
	}
}

func TestExportedDirectoryOpensAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "model")
	m, tok := smallModel(t, 1), smallTokenizer(t)
	e := Exported{Name: "small", Model: m, Tokenizer: tok, State: exportState()}
	var first []byte
	for range 2 {
		if err := Export(dir, e); err != nil {
			t.Fatal(err)
		}
		manifest, err := os.ReadFile(filepath.Join(dir, store.ManifestName))
		if err != nil {
			t.Fatal(err)
		}
		if first != nil && !bytes.Equal(first, manifest) {
			t.Error("two exports of one model differ")
		}
		first = manifest
	}
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "README.md"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	l, err := Load(dir, model.Options{Seed: 2, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Model.Close()
	sameWeights(t, l.Model, m)
	if len(l.Missing)+len(l.Unexpected) != 0 || l.Tokenizer.Digest() != tok.Digest() || l.Model.Config() != m.Config() {
		t.Errorf("loaded %+v", l)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil || !bytes.Contains(config, []byte(`"BertForPreTraining"`)) || !bytes.Contains(config, []byte(`"model_type": "bert"`)) {
		t.Errorf("config.json: %s (%v)", config, err)
	}
	f, err := safetensors.Open(filepath.Join(dir, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, ok := f.Tensor("cls.predictions.decoder.weight"); ok || f.Metadata()["format"] != "pt" {
		t.Error("the tied decoder was written, or the format was not")
	}
	text, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"books:0.3", `wiki[a\|b]`, "`aa`", "70.00 %", "2.5000", "below both entropies", tok.Digest()} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the card lacks %q:\n%s", want, text)
		}
	}
}

// resave writes the tensors of a model under other names, types or in two files.
func resave(t *testing.T, dir string, m *model.Model, d safetensors.DType, rename func(string) string, more ...string) {
	t.Helper()
	config, err := exportedConfig(m.Config(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.WriteFile(filepath.Join(dir, "config.json"), config); err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	var params []*model.Param
	for _, p := range m.Params() {
		if name := rename(p.Name); name != "" {
			tensors = append(tensors, safetensors.Tensor{Name: name, DType: d, Shape: shapeOf(p)})
			params = append(params, p)
		}
	}
	for _, name := range more {
		tensors = append(tensors, safetensors.Tensor{Name: name, DType: d, Shape: []int64{1}})
	}
	w, err := safetensors.Create(filepath.Join(dir, "model.safetensors"), map[string]string{"format": "pt"}, tensors)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range tensors {
		data := []float32{1}
		if i < len(params) {
			data = params[i].Data
		}
		if err := w.Floats(x.Name, data); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestLoadTakesTheNamesOthersUse(t *testing.T) {
	m := smallModel(t, 1)
	same := func(s string) string { return s }
	bare := func(s string) string {
		if s, ok := strings.CutPrefix(s, "bert."); ok {
			return s
		}
		return ""
	}
	load := func(dir string) *Loaded {
		t.Helper()
		l, err := Load(dir, model.Options{Seed: 1, Jobs: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(l.Model.Close)
		return l
	}

	dir := t.TempDir()
	resave(t, dir, m, safetensors.F32, bare, "embeddings.position_ids", "classifier.weight")
	l := load(dir)
	sameWeights(t, l.Model, m) // the heads have the same initial values
	if len(l.Missing) != 7 || !slices.Equal(l.Unexpected, []string{"classifier.weight"}) || l.Tokenizer != nil {
		t.Errorf("a bare model: missing %q, unexpected %q", l.Missing, l.Unexpected)
	}

	dir = t.TempDir()
	resave(t, dir, m, safetensors.F32, func(s string) string {
		s = strings.ReplaceAll(s, "LayerNorm.weight", "LayerNorm.gamma")
		s = strings.ReplaceAll(s, "LayerNorm.bias", "LayerNorm.beta")
		return strings.Replace(s, "cls.predictions.bias", "cls.predictions.decoder.bias", 1)
	}, "cls.predictions.decoder.weight")
	l = load(dir)
	sameWeights(t, l.Model, m)
	if len(l.Missing)+len(l.Unexpected) != 0 {
		t.Errorf("old names: missing %q, unexpected %q", l.Missing, l.Unexpected)
	}

	for d, relative := range map[safetensors.DType]float64{safetensors.BF16: 1.0 / 256, safetensors.F16: 1.0 / 2048} {
		dir = t.TempDir()
		resave(t, dir, m, d, same)
		l = load(dir)
		for i, p := range m.Params() {
			for j, x := range p.Data {
				if y := l.Model.Params()[i].Data[j]; math.Abs(float64(x-y)) > relative*math.Abs(float64(x))+1e-7 {
					t.Fatalf("%s: %s[%d] was %v and is %v", d, p.Name, j, x, y)
				}
			}
		}
	}
}

func TestLoadReadsShardedModels(t *testing.T) {
	m := smallModel(t, 3)
	dir := t.TempDir()
	index := map[string]any{}
	where := map[string]string{}
	for i, part := range []func(string) string{
		func(s string) string {
			if strings.Contains(s, "embeddings") {
				return s
			}
			return ""
		},
		func(s string) string {
			if strings.Contains(s, "embeddings") {
				return ""
			}
			return s
		},
	} {
		file := fmt.Sprintf("model-0000%d-of-00002.safetensors", i+1)
		resave(t, dir, m, safetensors.F32, part)
		if err := os.Rename(filepath.Join(dir, "model.safetensors"), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Params() {
			if name := part(p.Name); name != "" {
				where[name] = file
			}
		}
	}
	write := func() {
		index["weight_map"] = where
		data, err := json.Marshal(index)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, indexFile), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write()
	l, err := Load(dir, model.Options{Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Model.Close()
	sameWeights(t, l.Model, m)
	where["x"] = "../../etc/passwd"
	write()
	if _, err := Load(dir, model.Options{Jobs: 1}); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("an index that points outside: %v", err)
	}
}

func TestLoadRefusesWhatDoesNotFit(t *testing.T) {
	m := smallModel(t, 1)
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  string
	}{
		"no config":      {func(dir string) error { return os.Remove(filepath.Join(dir, "config.json")) }, "no such file"},
		"a cut config":   {func(dir string) error { return os.Truncate(filepath.Join(dir, "config.json"), 9) }, "config.json"},
		"no weights":     {func(dir string) error { return os.Remove(filepath.Join(dir, "model.safetensors")) }, "no such file"},
		"cut weights":    {func(dir string) error { return os.Truncate(filepath.Join(dir, "model.safetensors"), 5000) }, "not a valid safetensors file"},
		"another family": {func(dir string) error { return edit(dir, `"bert"`, `"t5"`) }, "t5"},
		"another width":  {func(dir string) error { return edit(dir, `"vocab_size": 130`, `"vocab_size": 131`) }, "shape"},
		"fewer layers":   {func(dir string) error { return edit(dir, `"num_hidden_layers": 2`, `"num_hidden_layers": 3`) }, "layer.2"},
	} {
		dir := t.TempDir()
		resave(t, dir, m, safetensors.F32, func(s string) string { return s })
		if err := c.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(dir, model.Options{Jobs: 1}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func edit(dir, old, new string) error {
	path := filepath.Join(dir, "config.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(new), 1), 0o644)
}

func TestOpenRunGivesTheTrainedModel(t *testing.T) {
	dir := t.TempDir()
	m := smallModel(t, 1)
	config, err := json.Marshal(m.Config())
	if err != nil {
		t.Fatal(err)
	}
	c := fakeConfig(dir, 4)
	c.Lineage.Model = config
	res, err := Run(t.Context(), c, m, &fakeBatches{seed: 1, pairs: true}, &fakeBatches{seed: 2, pairs: true})
	if err != nil {
		t.Fatal(err)
	}
	got, state, err := OpenRun(dir, model.Options{Seed: 9, Jobs: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	sameWeights(t, got, m)
	if state.Step != 4 || state.Heldout.All != res.State.Heldout.All {
		t.Errorf("state %+v", state)
	}
	if _, _, err := OpenRun(t.TempDir(), model.Options{}, nil); !errors.Is(err, ErrNoCheckpoint) {
		t.Errorf("an empty run: %v", err)
	}
}

// oracle scores the tokens it is told to, whatever it is asked.
type oracle struct {
	v      int
	scores map[int32]float32
	asked  *masking.Batch
}

func (o *oracle) Logits(b *masking.Batch) (token, pair []float32, err error) {
	o.asked = b
	token = make([]float32, len(b.Predict)*o.v)
	for i := range b.Predict {
		for id, x := range o.scores {
			token[i*o.v+int(id)] = x
		}
	}
	return token, nil, nil
}

func TestFillMask(t *testing.T) {
	tok := smallTokenizer(t)
	sea, ok := tok.ID("sea")
	if !ok {
		t.Fatal("the vocabulary has no sea")
	}
	boat, _ := tok.ID("boat")
	sp := tok.Specials()
	o := &oracle{v: tok.VocabSize() + 3, scores: map[int32]float32{sea: 3, boat: 2, sp.Mask: 9}}
	got, err := FillMask(o, tok, "the river runs to the [MASK], and [MASK] runs", 2)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || len(got[0]) != 2 || got[0][0].Token != "sea" || got[0][1].Token != "boat" ||
		math.Abs(got[0][0].Probability/got[0][1].Probability-math.E) > 1e-6 {
		t.Errorf("guesses %+v", got)
	}
	b := o.asked
	if b.Tokens[0] != sp.Cls || b.Tokens[len(b.Tokens)-1] != sp.Sep || b.Tokens[b.Predict[0]] != sp.Mask {
		t.Errorf("asked %+v", b)
	}
	if _, err := FillMask(o, tok, "no place", 2); !errors.Is(err, ErrNoMask) {
		t.Errorf("without a mask: %v", err)
	}
}
