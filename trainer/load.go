package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/safetensors"
	"github.com/tributary-ml/tributary/tokenize"
)

const (
	indexFile  = "model.safetensors.index.json"
	pickleFile = "pytorch_model.bin"
	// maxJSON bounds the JSON files of a model directory.
	maxJSON = 64 << 20
)

// Loaded is a model directory that was opened.
type Loaded struct {
	Model *model.Model
	// Tokenizer is nil when the directory has none.
	Tokenizer *tokenize.Tokenizer
	// Missing lists the model's tensors that the directory lacks, which keep their
	// initial values: heads that were not saved, or the pooler. Unexpected lists the
	// directory's tensors the model has no place for.
	Missing, Unexpected []string
}

// Load opens a directory in the layout of Hugging Face transformers: config.json
// and model.safetensors, whole or sharded, with F32, F16 or BF16 tensors, under
// the names of BertForPreTraining or those of the bare BertModel, and
// tokenizer.json when it is there. A directory that lacks a tensor of the
// embeddings or the encoder is an error.
func Load(dir string, o model.Options) (*Loaded, error) { return LoadWith(dir, o, nil) }

// LoadWith is Load for a model whose configuration is changed first: change, which
// may be nil, must not touch what decides the tensors.
func LoadWith(dir string, o model.Options, change func(*model.Config)) (*Loaded, error) {
	c, err := ReadConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(&c)
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
	// Before there is memory for the model: what config.json says must be what the
	// files hold.
	if err := w.fit(dir, c); err != nil {
		return nil, err
	}
	m, err := model.New(c, o)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", dir, err)
	}
	l := &Loaded{Model: m}
	if err := l.fill(dir, w); err != nil {
		m.Close()
		return nil, err
	}
	return l, nil
}

// fit returns an error unless the files hold every tensor of the trunk, and every
// tensor they hold has its shape.
func (w *weightSet) fit(dir string, c model.Config) error {
	for _, p := range model.Shapes(c) {
		f, name, ok := w.find(p.Name)
		if !ok {
			if !inHead(p.Name) {
				return fmt.Errorf("opening %s: tensor %q is missing", dir, p.Name)
			}
			continue
		}
		if t, _ := f.Tensor(name); !slices.Equal(t.Shape, shapeOf(p)) {
			return fmt.Errorf("opening %s: tensor %q has the shape %v, %s asks for %v", dir, name, t.Shape, configFile, shapeOf(p))
		}
	}
	return nil
}

func (l *Loaded) fill(dir string, w *weightSet) error {
	for _, p := range l.Model.Params() {
		f, name, ok := w.find(p.Name)
		if !ok {
			l.Missing = append(l.Missing, p.Name)
			continue
		}
		if err := readTensor(f, name, shapeOf(p), p.Data); err != nil {
			return fmt.Errorf("opening %s: %w", dir, err)
		}
		delete(w.where, name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.where)) {
		if !ignored(name) {
			l.Unexpected = append(l.Unexpected, name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var err error
	if l.Tokenizer, err = tokenize.Open(dir); err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	if n, v := l.Tokenizer.VocabSize(), l.Model.Config().VocabSize; n > v {
		return fmt.Errorf("opening %s: the tokenizer has %d tokens, the model embeds %d", dir, n, v)
	}
	return nil
}

// inHead reports whether a tensor belongs to a head or to the pooler below one,
// which a model can be saved without.
func inHead(name string) bool {
	return strings.HasPrefix(name, "cls.") || strings.HasPrefix(name, "lm_head.") || strings.HasPrefix(name, "bert.pooler.")
}

// ignored reports whether a tensor repeats another or is a buffer that old
// versions of transformers saved.
func ignored(name string) bool {
	switch name {
	case "cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "lm_head.decoder.weight", "lm_head.decoder.bias", "lm_head.weight":
		return true
	}
	return strings.HasSuffix(name, "embeddings.position_ids") || strings.HasSuffix(name, ".attn.bias") ||
		strings.HasSuffix(name, ".attn.masked_bias")
}

// ReadConfig reads a config.json. Keys it lacks have the values transformers
// gives them, and keys it has beyond model.Config's are of no matter to the
// tensors.
func ReadConfig(path string) (model.Config, error) {
	data, err := readBounded(path)
	if err != nil {
		return model.Config{}, err
	}
	c := model.BERT(12, 768, 30522)
	if err := json.Unmarshal(data, &c); err != nil {
		return model.Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := c.Validate(); err != nil {
		return model.Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	if err := checkVariants(data); err != nil {
		return model.Config{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// checkVariants refuses settings under which transformers computes something else
// from the same tensors.
func checkVariants(data []byte) error {
	keys := map[string]any{}
	if err := json.Unmarshal(data, &keys); err != nil {
		return err
	}
	for _, k := range []struct {
		key  string
		want bool
	}{
		{"tie_word_embeddings", true}, {"is_decoder", false}, {"add_cross_attention", false}, {"is_encoder_decoder", false},
		{"scale_attn_weights", true}, {"scale_attn_by_inverse_layer_idx", false},
	} {
		if v, ok := keys[k.key]; ok && v != nil && v != k.want {
			return fmt.Errorf("%s %v: %w: only %t is known", k.key, v, model.ErrConfig, k.want)
		}
	}
	return nil
}

func readBounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening a model: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxJSON+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(data) > maxJSON {
		return nil, fmt.Errorf("reading %s: it is larger than %d bytes", path, maxJSON)
	}
	return data, nil
}

// weightSet is the tensors of a model directory, in one file or several.
type weightSet struct {
	files []*safetensors.File
	where map[string]*safetensors.File
}

func openWeights(dir string) (_ *weightSet, err error) {
	w := &weightSet{where: map[string]*safetensors.File{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	names := []string{weightsFile}
	var index map[string]string
	if _, err := os.Stat(filepath.Join(dir, weightsFile)); errors.Is(err, fs.ErrNotExist) {
		if index, err = readIndex(filepath.Join(dir, indexFile)); err != nil {
			if _, pickled := os.Stat(filepath.Join(dir, pickleFile)); pickled == nil && errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("opening %s: it has only %s, a pickle, which runs what it holds: save it with safe_serialization=True", dir, pickleFile)
			}
			return nil, err
		}
		names = slices.Compact(slices.Sorted(maps.Values(index)))
	}
	for _, name := range names {
		f, err := safetensors.Open(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		w.files = append(w.files, f)
		for _, t := range f.Tensors() {
			if w.where[t.Name] != nil {
				return nil, fmt.Errorf("opening %s: tensor %q is in two files", dir, t.Name)
			}
			w.where[t.Name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if f := w.where[name]; f == nil || filepath.Base(f.Path()) != index[name] {
			return nil, fmt.Errorf("opening %s: %s says that tensor %q is in %s, and it is not", dir, indexFile, name, index[name])
		}
	}
	return w, nil
}

// readIndex reads which file each tensor of a sharded model lies in.
func readIndex(path string) (map[string]string, error) {
	data, err := readBounded(path)
	if err != nil {
		return nil, err
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(index.WeightMap) == 0 {
		return nil, fmt.Errorf("reading %s: its weight_map names no tensor", path)
	}
	for _, name := range index.WeightMap {
		if name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("reading %s: the file %q lies outside the model's directory", path, name)
		}
	}
	return index.WeightMap, nil
}

// find returns the file that holds the tensor a parameter is called, under that
// name or one of those it has had: without the prefix of the trunk, as the bare
// BertModel is saved, and with LayerNorm's gain and bias as gamma and beta.
func (w *weightSet) find(name string) (*safetensors.File, string, bool) {
	names := []string{name}
	for _, prefix := range []string{"bert.", "roberta.", "transformer."} {
		if bare, ok := strings.CutPrefix(name, prefix); ok {
			names = append(names, bare)
		}
	}
	switch name {
	case "cls.predictions.bias":
		names = append(names, "cls.predictions.decoder.bias")
	case "lm_head.bias":
		names = append(names, "lm_head.decoder.bias")
	}
	for _, n := range names {
		old := strings.NewReplacer("LayerNorm.weight", "LayerNorm.gamma", "LayerNorm.bias", "LayerNorm.beta").Replace(n)
		for _, n := range []string{n, old} {
			if f := w.where[n]; f != nil {
				return f, n, true
			}
		}
	}
	return nil, "", false
}

func (w *weightSet) close() {
	for _, f := range w.files {
		f.Close()
	}
}
