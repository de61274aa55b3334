package pipelines

import (
	"context"
	"fmt"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/trainer"
)

// GenerateConfig says what to continue with which model.
type GenerateConfig struct {
	// Model is a model directory and Prompts the texts to go on from; an empty one
	// begins a text.
	Model   string
	Prompts []string
	// Tokens is how many tokens are generated at most, and Samples how many
	// continuations of each prompt.
	Tokens, Samples int
	trainer.Sampling
	// Emit is told the text as it comes; it may be nil. With many samples it is told
	// of each in turn.
	Emit func(prompt, sample int, text string)
	Jobs int
}

// Continuation is a text that a model wrote.
type Continuation struct {
	Prompt string `json:"prompt"`
	Text   string `json:"text"`
	// Tokens counts those of Text.
	Tokens int `json:"tokens"`
	// Ended says that the model ended the text itself.
	Ended bool `json:"ended"`
}

// Generate continues texts with the causal model of a directory.
func Generate(ctx context.Context, cfg GenerateConfig) ([]Continuation, error) {
	loaded, err := trainer.Load(cfg.Model, model.Options{Jobs: cfg.Jobs})
	if err != nil {
		return nil, err
	}
	defer loaded.Model.Close()
	t := loaded.Tokenizer
	if t == nil {
		return nil, fmt.Errorf("generating: %s has no tokenizer.json", cfg.Model)
	}
	decoder, err := loaded.Model.NewDecoder()
	if err != nil {
		return nil, fmt.Errorf("generating with %s: %w", cfg.Model, err)
	}
	end := trainer.EndToken(t)
	var out []Continuation
	for i, prompt := range cfg.Prompts {
		ids := t.NewEncoder().Encode(nil, prompt)
		if len(ids) == 0 {
			if end < 0 {
				return nil, fmt.Errorf("generating: the prompt %q has no token, and the tokenizer none that begins a text", prompt)
			}
			ids = []int32{end}
		}
		for n := range max(1, cfg.Samples) {
			s := cfg.Sampling
			s.Seed += uint64(n)
			var text []int32
			told := 0
			_, err := trainer.Generate(ctx, decoder, ids, cfg.Tokens, end, s, func(id int32) error {
				text = append(text, id)
				if cfg.Emit != nil {
					// A token may be a part of a character: what can still change is kept back.
					whole := t.Decode(text, true)
					safe := len(whole)
					for safe > told && len(whole)-safe < 4 && whole[safe-1] >= 0x80 {
						safe--
					}
					if safe > told {
						cfg.Emit(i, n, whole[told:safe])
						told = safe
					}
				}
				return nil
			})
			if err != nil {
				return out, err
			}
			whole := t.Decode(text, true)
			if cfg.Emit != nil && told < len(whole) {
				cfg.Emit(i, n, whole[told:])
			}
			out = append(out, Continuation{Prompt: prompt, Text: whole, Tokens: len(text), Ended: len(text) < cfg.Tokens})
		}
	}
	return out, nil
}
