package pipelines

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/tokenize"
	"github.com/tributary-ml/tributary/trainer"
)

// OwnDropout as a dropout leaves the model's own.
const OwnDropout = -1

// CheckModel says what is wrong with the name of a model, which is one of
// model.Presets or the path of a config.json.
func CheckModel(name string) error {
	if isConfig(name) || slices.Contains(model.Presets(), name) {
		return nil
	}
	if near := names.Nearest(name, model.Presets()); near != "" {
		return fmt.Errorf("there is no model %q; did you mean %s?", name, near)
	}
	return fmt.Errorf("there is no model %q: want one of %s, or the path of a config.json", name, strings.Join(model.Presets(), ", "))
}

func isConfig(name string) bool { return strings.HasSuffix(name, ".json") }

// ModelFamily returns the family of a model: "bert", "roberta" or "gpt2". init is
// the directory it begins from, if any, and name what CheckModel takes.
func ModelFamily(name, init string) (string, error) {
	switch {
	case init != "":
		c, err := trainer.ReadConfig(filepath.Join(init, "config.json"))
		return c.ModelType, err
	case isConfig(name):
		c, err := trainer.ReadConfig(name)
		return c.ModelType, err
	}
	family, _, _ := strings.Cut(name, "-")
	return family, nil
}

// ObjectiveOf returns the objective that a family of models was made for.
func ObjectiveOf(family string) string {
	if family == "gpt2" {
		return "gpt"
	}
	return family
}

// openModel builds the model of a run for a tokenizer: of a named size or a
// config.json with initial weights, or the one in cfg.Init with its weights.
func (c *TrainConfig) openModel(t *tokenize.Tokenizer) (_ *model.Model, begun string, err error) {
	options := model.Options{Seed: c.Seed, Jobs: c.Jobs, Recompute: c.Recompute}
	if options.Precision, err = kernel.ParsePrecision(c.Precision); err != nil {
		return nil, "", err
	}
	if c.Init != "" {
		return c.openInit(t, options)
	}
	shape, err := c.shape(t)
	if err != nil {
		return nil, "", err
	}
	m, err := model.New(shape, options)
	return m, "", err
}

// shape is the configuration of a run's model that has no weights yet.
func (c *TrainConfig) shape(t *tokenize.Tokenizer) (model.Config, error) {
	var shape model.Config
	var err error
	if isConfig(c.Model) {
		if shape, err = trainer.ReadConfig(c.Model); err != nil {
			return shape, err
		}
		if shape.VocabSize < t.VocabSize() {
			return shape, fmt.Errorf("%s: its vocab_size is %d, the tokenizer has %d tokens", c.Model, shape.VocabSize, t.VocabSize())
		}
		if c.longest > shape.MaxLength() {
			return shape, fmt.Errorf("%s: it has %d positions, sequences have up to %d tokens", c.Model, shape.MaxLength(), c.longest)
		}
	} else {
		if shape, err = model.Preset(c.Model, t.VocabSize()); err != nil {
			return shape, err
		}
		if pad := t.Specials().Pad; pad >= 0 && !shape.Causal() {
			shape.PadTokenID = int(pad)
		}
		if short := c.longest - shape.MaxLength(); short > 0 {
			shape.MaxPositionEmbeddings += short
		}
	}
	c.setDropout(&shape)
	return shape, shape.Validate()
}

func (c *TrainConfig) setDropout(shape *model.Config) {
	if c.Dropout != OwnDropout {
		shape.HiddenDropoutProb, shape.AttentionProbsDropoutProb = c.Dropout, c.Dropout
	}
}

// openInit opens the model directory a run begins from. begun is the digest of its
// weights.
func (c *TrainConfig) openInit(t *tokenize.Tokenizer, options model.Options) (_ *model.Model, begun string, err error) {
	shape, err := trainer.ReadConfig(filepath.Join(c.Init, "config.json"))
	if err != nil {
		return nil, "", fmt.Errorf("beginning from %s: %w", c.Init, err)
	}
	if c.longest > shape.MaxLength() {
		return nil, "", fmt.Errorf("beginning from %s: it has %d positions, sequences have up to %d tokens", c.Init, shape.MaxLength(), c.longest)
	}
	loaded, err := trainer.LoadWith(c.Init, options, c.setDropout)
	if err != nil {
		return nil, "", fmt.Errorf("beginning from %w", err)
	}
	defer func() {
		if err != nil {
			loaded.Model.Close()
		}
	}()
	switch {
	case loaded.Tokenizer == nil && shape.VocabSize < t.VocabSize():
		return nil, "", fmt.Errorf("beginning from %s: it embeds %d tokens, the shards' tokenizer has %d", c.Init, shape.VocabSize, t.VocabSize())
	case loaded.Tokenizer == nil:
		c.Log.Warn("the model to begin from has no tokenizer.json; its tokens are taken to be the shards'", "model", c.Init)
	case loaded.Tokenizer.Digest() != t.Digest():
		if err := sameVocabulary(loaded.Tokenizer, t); err != nil {
			return nil, "", fmt.Errorf("beginning from %s: its tokenizer is not the shards': %w; shard with 'corpus shard --tokenizer %s'", c.Init, err, c.Init)
		}
		c.Log.Warn("the tokenizer of the model to begin from has other settings than the shards', and the same tokens", "model", c.Init)
	}
	if len(loaded.Missing)+len(loaded.Unexpected) > 0 {
		c.Log.Warn("the model to begin from is not whole: missing tensors have initial values, unexpected ones were left out",
			"model", c.Init, "missing", loaded.Missing, "unexpected", loaded.Unexpected)
	}
	begun, err = weightsDigest(c.Init)
	return loaded.Model, begun, err
}

// sameVocabulary returns an error unless two tokenizers have the same tokens.
func sameVocabulary(a, b *tokenize.Tokenizer) error {
	if a.VocabSize() != b.VocabSize() {
		return fmt.Errorf("it has %d tokens, not %d", a.VocabSize(), b.VocabSize())
	}
	for id := range int32(a.VocabSize()) {
		if a.Token(id) != b.Token(id) {
			return fmt.Errorf("token %d is %q, not %q", id, a.Token(id), b.Token(id))
		}
	}
	return nil
}

// weightsDigest is the hash of a model directory's weights.
func weightsDigest(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "model*.safetensors"))
	if err != nil {
		return "", fmt.Errorf("listing %s: %w", dir, err)
	}
	h := sha256.New()
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("hashing weights: %w", err)
		}
		_, err = io.Copy(h, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("hashing %s: %w", path, err)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
