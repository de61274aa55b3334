// Package model holds the architectures: configurations of one Transformer trunk
// with the heads they are pre-trained with (BERT, RoBERTa, GPT-2), their
// parameters under the names Hugging Face gives them, and the losses and gradients
// of a batch.
package model

import (
	"errors"
	"fmt"
	"math"
	"sort"
)

// Config describes a model, with the keys of a Hugging Face config.json.
type Config struct {
	// ModelType is "bert", "roberta" or "gpt2".
	ModelType string `json:"model_type"`
	VocabSize int    `json:"vocab_size"`
	// HiddenSize is the width of the trunk, a multiple of NumAttentionHeads.
	HiddenSize        int `json:"hidden_size"`
	NumHiddenLayers   int `json:"num_hidden_layers"`
	NumAttentionHeads int `json:"num_attention_heads"`
	// IntermediateSize is the width inside the feed-forward sub-layers.
	IntermediateSize int `json:"intermediate_size"`
	// HiddenAct is "gelu" (the exact form), "gelu_new" or "gelu_pytorch_tanh" (both
	// the tanh form).
	HiddenAct string `json:"hidden_act"`
	// HiddenDropoutProb and AttentionProbsDropoutProb are in [0, 1).
	HiddenDropoutProb         float64 `json:"hidden_dropout_prob"`
	AttentionProbsDropoutProb float64 `json:"attention_probs_dropout_prob"`
	// MaxPositionEmbeddings is the number of positions embedded; see MaxLength.
	MaxPositionEmbeddings int `json:"max_position_embeddings"`
	// TypeVocabSize is the number of segment ids; GPT-2 has none.
	TypeVocabSize int `json:"type_vocab_size"`
	// InitializerRange is the standard deviation of the normal distribution that
	// initial weights are drawn from, cut at two deviations.
	InitializerRange      float64 `json:"initializer_range"`
	LayerNormEps          float64 `json:"layer_norm_eps"`
	PadTokenID            int     `json:"pad_token_id"`
	PositionEmbeddingType string  `json:"position_embedding_type"`
}

// ErrConfig is wrapped by every error about a Config's values.
var ErrConfig = errors.New("not a model that can be built")

// These bound the size of a model, so that shapes never overflow.
const (
	maxParameters = 1 << 36
	maxLayers     = 1 << 10
)

var presets = map[string]struct {
	family         func(layers, hidden, vocabSize int) Config
	layers, hidden int
}{
	"bert-tiny": {BERT, 2, 128}, "bert-mini": {BERT, 4, 256}, "bert-small": {BERT, 4, 512},
	"bert-medium": {BERT, 8, 512}, "bert-base": {BERT, 12, 768}, "bert-large": {BERT, 24, 1024},
	"roberta-mini": {RoBERTa, 4, 256}, "roberta-base": {RoBERTa, 12, 768}, "roberta-large": {RoBERTa, 24, 1024},
	"gpt2-tiny": {GPT2, 2, 128}, "gpt2-mini": {GPT2, 4, 256},
	"gpt2": {GPT2, 12, 768}, "gpt2-medium": {GPT2, 24, 1024}, "gpt2-large": {GPT2, 36, 1280}, "gpt2-xl": {GPT2, 48, 1600},
}

// Presets returns the names Preset knows, smallest model first.
func Presets() []string {
	names := make([]string, 0, len(presets))
	for n := range presets {
		names = append(names, n)
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := presets[names[i]], presets[names[j]]
		if x, y := a.layers*a.hidden*a.hidden, b.layers*b.hidden*b.hidden; x != y {
			return x < y
		}
		return names[i] < names[j]
	})
	return names
}

// Preset returns the configuration of a size by name, with a vocabulary of the
// given size: bert-tiny, bert-mini, bert-small, bert-medium (Turc et al. 2019),
// bert-base, bert-large (Devlin et al. 2019), roberta-base, roberta-large (Liu et
// al. 2019), gpt2, gpt2-medium, gpt2-large and gpt2-xl (Radford et al. 2019), and
// roberta-mini, gpt2-tiny and gpt2-mini, which have the small BERTs' shapes.
func Preset(name string, vocabSize int) (Config, error) {
	p, ok := presets[name]
	if !ok {
		return Config{}, fmt.Errorf("model %q: %w: the known sizes are %q", name, ErrConfig, Presets())
	}
	c := p.family(p.layers, p.hidden, vocabSize)
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("model %q: %w", name, err)
	}
	return c, nil
}

// BERT returns the configuration of a BERT of the given layers and width, with
// the published proportions (heads of 64, a feed-forward width of four times the
// hidden one) and training constants.
func BERT(layers, hidden, vocabSize int) Config {
	return Config{
		ModelType: "bert", VocabSize: vocabSize, HiddenSize: hidden, NumHiddenLayers: layers,
		NumAttentionHeads: max(1, hidden/64), IntermediateSize: 4 * hidden, HiddenAct: "gelu",
		HiddenDropoutProb: 0.1, AttentionProbsDropoutProb: 0.1, MaxPositionEmbeddings: 512, TypeVocabSize: 2,
		InitializerRange: 0.02, LayerNormEps: 1e-12, PositionEmbeddingType: "absolute",
	}
}

// RoBERTa returns the configuration of a RoBERTa of the given layers and width: a
// BERT with one segment, without a pair head, whose positions begin after the
// padding token's id.
func RoBERTa(layers, hidden, vocabSize int) Config {
	c := BERT(layers, hidden, vocabSize)
	c.ModelType, c.MaxPositionEmbeddings, c.TypeVocabSize = "roberta", 514, 1
	c.LayerNormEps, c.PadTokenID = 1e-5, 1
	return c
}

// GPT2 returns the configuration of a GPT-2 of the given layers and width: a
// left-to-right trunk that normalises before its sub-layers.
func GPT2(layers, hidden, vocabSize int) Config {
	c := BERT(layers, hidden, vocabSize)
	c.ModelType, c.MaxPositionEmbeddings, c.TypeVocabSize = "gpt2", 1024, 0
	c.LayerNormEps, c.HiddenAct = 1e-5, "gelu_new"
	return c
}

// Architecture returns the class of Hugging Face transformers whose tensors the
// model has.
func (c Config) Architecture() string {
	switch c.ModelType {
	case "roberta":
		return "RobertaForMaskedLM"
	case "gpt2":
		return "GPT2LMHeadModel"
	}
	return "BertForPreTraining"
}

// positionOffset is the position of a sequence's first token.
func (c Config) positionOffset() int {
	if c.ModelType == "roberta" {
		return c.PadTokenID + 1
	}
	return 0
}

// MaxLength returns the number of tokens a sequence can have.
func (c Config) MaxLength() int { return c.MaxPositionEmbeddings - c.positionOffset() }

// Causal reports whether a position sees only those before it.
func (c Config) Causal() bool { return c.ModelType == "gpt2" }

// Validate returns an error that wraps ErrConfig and names the key when the
// configuration describes no model this package can build.
func (c Config) Validate() error {
	if _, ok := families[c.ModelType]; !ok {
		return fmt.Errorf("model_type %q: %w: it must be bert, roberta or gpt2", c.ModelType, ErrConfig)
	}
	for _, f := range []struct {
		key   string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"hidden_size", c.HiddenSize}, {"num_hidden_layers", c.NumHiddenLayers},
		{"num_attention_heads", c.NumAttentionHeads}, {"intermediate_size", c.IntermediateSize},
		{"max_position_embeddings", c.MaxPositionEmbeddings},
	} {
		if f.value < 1 || f.value > 1<<24 {
			return fmt.Errorf("%s %d: %w: it must be from 1 to %d", f.key, f.value, ErrConfig, 1<<24)
		}
	}
	switch {
	case c.NumHiddenLayers > maxLayers:
		return fmt.Errorf("num_hidden_layers %d: %w: at most %d", c.NumHiddenLayers, ErrConfig, maxLayers)
	case c.ModelType == "gpt2" && c.TypeVocabSize != 0:
		return fmt.Errorf("type_vocab_size %d: %w: gpt2 has no segments", c.TypeVocabSize, ErrConfig)
	case c.ModelType != "gpt2" && (c.TypeVocabSize < 1 || c.TypeVocabSize > 256):
		return fmt.Errorf("type_vocab_size %d: %w: segment ids are bytes, at least one of them", c.TypeVocabSize, ErrConfig)
	case c.PadTokenID < 0 || c.MaxLength() < 1:
		return fmt.Errorf("pad_token_id %d: %w: it leaves no positions of %d", c.PadTokenID, ErrConfig, c.MaxPositionEmbeddings)
	}
	if c.HiddenSize%c.NumAttentionHeads != 0 {
		return fmt.Errorf("hidden_size %d: %w: it must be a multiple of num_attention_heads %d",
			c.HiddenSize, ErrConfig, c.NumAttentionHeads)
	}
	for _, f := range []struct {
		key   string
		value float64
	}{
		{"hidden_dropout_prob", c.HiddenDropoutProb}, {"attention_probs_dropout_prob", c.AttentionProbsDropoutProb},
	} {
		if !(f.value >= 0 && f.value < 1) {
			return fmt.Errorf("%s %v: %w: it must be in [0, 1)", f.key, f.value, ErrConfig)
		}
	}
	if !(c.LayerNormEps > 0 && c.LayerNormEps < 1) {
		return fmt.Errorf("layer_norm_eps %v: %w: it must be in (0, 1)", c.LayerNormEps, ErrConfig)
	}
	if !(c.InitializerRange >= 0) || math.IsInf(c.InitializerRange, 0) {
		return fmt.Errorf("initializer_range %v: %w: it must be a number from 0", c.InitializerRange, ErrConfig)
	}
	if _, ok := activations[c.HiddenAct]; !ok {
		return fmt.Errorf("hidden_act %q: %w: it must be gelu, gelu_new or gelu_pytorch_tanh", c.HiddenAct, ErrConfig)
	}
	if c.PositionEmbeddingType != "" && c.PositionEmbeddingType != "absolute" {
		return fmt.Errorf("position_embedding_type %q: %w: only \"absolute\" is known", c.PositionEmbeddingType, ErrConfig)
	}
	if n := c.parameters(); n > maxParameters {
		return fmt.Errorf("%.3g parameters: %w: at most %.3g", n, ErrConfig, float64(maxParameters))
	}
	return nil
}

// parameters counts in floating point, which cannot overflow.
func (c Config) parameters() float64 {
	h, f, v := float64(c.HiddenSize), float64(c.IntermediateSize), float64(c.VocabSize)
	layer := 4*(h*h+h) + 2*h*f + f + h + 4*h
	n := (v+float64(c.MaxPositionEmbeddings)+float64(c.TypeVocabSize))*h + 2*h + float64(c.NumHiddenLayers)*layer
	switch c.ModelType {
	case "bert":
		n += 2*h*h + 6*h + 2 + v
	case "roberta":
		n += h*h + 3*h + v
	}
	return n
}
