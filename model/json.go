package model

import (
	"encoding/json"
	"fmt"
)

// gpt2Keys are the names GPT-2's config.json has for the keys of a Config.
type gpt2Keys struct {
	ModelType          string  `json:"model_type"`
	VocabSize          int     `json:"vocab_size"`
	Embd               int     `json:"n_embd"`
	Layer              int     `json:"n_layer"`
	Head               int     `json:"n_head"`
	Inner              *int    `json:"n_inner"`
	Positions          int     `json:"n_positions"`
	ActivationFunction string  `json:"activation_function"`
	ResidPdrop         float64 `json:"resid_pdrop"`
	EmbdPdrop          float64 `json:"embd_pdrop"`
	AttnPdrop          float64 `json:"attn_pdrop"`
	InitializerRange   float64 `json:"initializer_range"`
	LayerNormEpsilon   float64 `json:"layer_norm_epsilon"`
}

// plainConfig is a Config without its own JSON methods.
type plainConfig Config

// MarshalJSON writes the keys under the names the family's config.json has.
func (c Config) MarshalJSON() ([]byte, error) {
	if c.ModelType != "gpt2" {
		return json.Marshal(plainConfig(c))
	}
	k := gpt2Keys{
		ModelType: c.ModelType, VocabSize: c.VocabSize, Embd: c.HiddenSize, Layer: c.NumHiddenLayers,
		Head: c.NumAttentionHeads, Positions: c.MaxPositionEmbeddings, ActivationFunction: c.HiddenAct,
		ResidPdrop: c.HiddenDropoutProb, EmbdPdrop: c.HiddenDropoutProb, AttnPdrop: c.AttentionProbsDropoutProb,
		InitializerRange: c.InitializerRange, LayerNormEpsilon: c.LayerNormEps,
	}
	if c.IntermediateSize != 4*c.HiddenSize {
		k.Inner = &c.IntermediateSize
	}
	return json.Marshal(k)
}

// UnmarshalJSON reads the keys of a config.json. Keys that are absent keep their
// values, or take those of the family's base model when the file names another
// family. Keys that do not describe the model's tensors are ignored.
func (c *Config) UnmarshalJSON(data []byte) error {
	var head struct {
		ModelType *string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return fmt.Errorf("reading a model's configuration: %w", err)
	}
	if head.ModelType != nil && *head.ModelType != c.ModelType {
		switch *head.ModelType {
		case "bert":
			*c = BERT(12, 768, 30522)
		case "roberta":
			*c = RoBERTa(12, 768, 50265)
		case "gpt2":
			*c = GPT2(12, 768, 50257)
		}
	}
	if c.ModelType != "gpt2" {
		if err := json.Unmarshal(data, (*plainConfig)(c)); err != nil {
			return fmt.Errorf("reading a model's configuration: %w", err)
		}
		return nil
	}
	k := gpt2Keys{
		ModelType: c.ModelType, VocabSize: c.VocabSize, Embd: c.HiddenSize, Layer: c.NumHiddenLayers,
		Head: c.NumAttentionHeads, Positions: c.MaxPositionEmbeddings, ActivationFunction: c.HiddenAct,
		ResidPdrop: c.HiddenDropoutProb, EmbdPdrop: c.HiddenDropoutProb, AttnPdrop: c.AttentionProbsDropoutProb,
		InitializerRange: c.InitializerRange, LayerNormEpsilon: c.LayerNormEps,
	}
	if err := json.Unmarshal(data, &k); err != nil {
		return fmt.Errorf("reading a model's configuration: %w", err)
	}
	if k.EmbdPdrop != k.ResidPdrop {
		return fmt.Errorf("embd_pdrop %v: %w: it must be resid_pdrop, %v", k.EmbdPdrop, ErrConfig, k.ResidPdrop)
	}
	c.VocabSize, c.HiddenSize, c.NumHiddenLayers, c.NumAttentionHeads = k.VocabSize, k.Embd, k.Layer, k.Head
	c.MaxPositionEmbeddings, c.HiddenAct = k.Positions, k.ActivationFunction
	c.HiddenDropoutProb, c.AttentionProbsDropoutProb = k.ResidPdrop, k.AttnPdrop
	c.InitializerRange, c.LayerNormEps = k.InitializerRange, k.LayerNormEpsilon
	c.IntermediateSize = 4 * k.Embd
	if k.Inner != nil {
		c.IntermediateSize = *k.Inner
	}
	return nil
}
