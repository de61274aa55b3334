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
	indexFile = "model.safetensors.index.json"
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
func Load(dir string, o model.Options) (*Loaded, error) {
	c, err := readConfig(filepath.Join(dir, configFile))
	if err != nil {
		return nil, err
	}
	w, err := openWeights(dir)
	if err != nil {
		return nil, err
	}
	defer w.close()
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

func (l *Loaded) fill(dir string, w *weightSet) error {
	for _, p := range l.Model.Params() {
		f, name, ok := w.find(p.Name)
		if !ok {
			if !inHead(p.Name) {
				return fmt.Errorf("opening %s: tensor %q is missing", dir, p.Name)
			}
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

// readConfig reads a config.json. Keys it lacks have the values transformers
// gives them, and keys it has beyond model.Config's are of no matter to the
// tensors.
func readConfig(path string) (model.Config, error) {
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
	return c, nil
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
	if _, err := os.Stat(filepath.Join(dir, weightsFile)); errors.Is(err, fs.ErrNotExist) {
		if names, err = shardNames(filepath.Join(dir, indexFile)); err != nil {
			return nil, err
		}
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
	return w, nil
}

// shardNames reads the names of the files that a sharded model lies in.
func shardNames(path string) ([]string, error) {
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
	names := slices.Sorted(maps.Values(index.WeightMap))
	names = slices.Compact(names)
	for _, name := range names {
		if name != filepath.Base(name) || !filepath.IsLocal(name) {
			return nil, fmt.Errorf("reading %s: the file %q lies outside the model's directory", path, name)
		}
	}
	return names, nil
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
	if name == "cls.predictions.bias" {
		names = append(names, "cls.predictions.decoder.bias")
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
