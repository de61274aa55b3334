package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
)

// wordPieceForm is the model's entry in tokenizer.json.
type wordPieceForm struct {
	Type     string      `json:"type"`
	UnkToken string      `json:"unk_token"`
	Prefix   string      `json:"continuing_subword_prefix"`
	MaxChars int         `json:"max_input_chars_per_word"`
	Vocab    *vocabulary `json:"vocab"`
}

func (m *wordPiece) form() any {
	return wordPieceForm{"WordPiece", m.unkToken, m.prefix, m.maxChars, m.vocab}
}

// wordLevelForm is the model's entry in tokenizer.json.
type wordLevelForm struct {
	Type     string      `json:"type"`
	Vocab    *vocabulary `json:"vocab"`
	UnkToken string      `json:"unk_token"`
}

func (m *wordLevel) form() any { return wordLevelForm{"WordLevel", m.vocab, m.unkToken} }

func readModel(raw json.RawMessage) (model, error) {
	name, err := componentType("model", raw)
	if err != nil {
		return nil, err
	}
	if name == "" {
		name = guessModel(raw)
	}
	switch name {
	case "BPE":
		return readBPE(raw)
	case "Unigram":
		return readUnigram(raw)
	case "WordLevel":
		form := wordLevelForm{UnkToken: "<unk>", Vocab: newVocabulary(0)}
		if err := json.Unmarshal(raw, &form); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		if form.Vocab == nil {
			return nil, errors.New("model: it has no vocabulary")
		}
		m := &wordLevel{unkToken: form.UnkToken, vocab: form.Vocab, unk: -1}
		if id, ok := form.Vocab.id(form.UnkToken); ok {
			m.unk = id
		}
		return m, nil
	case "WordPiece":
		form := wordPieceForm{UnkToken: "[UNK]", Prefix: "##", MaxChars: 100, Vocab: newVocabulary(0)}
		if err := json.Unmarshal(raw, &form); err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		if form.Vocab == nil {
			return nil, errors.New("model: it has no vocabulary")
		}
		if form.MaxChars <= 0 || form.MaxChars > 1<<20 {
			return nil, fmt.Errorf("model: max_input_chars_per_word is %d, want 1 to %d", form.MaxChars, 1<<20)
		}
		m, err := newWordPiece(form.Vocab, form.UnkToken, form.Prefix, form.MaxChars)
		if err != nil {
			return nil, fmt.Errorf("model: %w", err)
		}
		return m, nil
	}
	return nil, &UnknownComponentError{"model", name}
}

// guessModel names the type of a model that does not say, as files of early
// versions do not.
func guessModel(raw json.RawMessage) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(raw, &keys) != nil {
		return ""
	}
	for _, guess := range [][2]string{{"merges", "BPE"}, {"max_input_chars_per_word", "WordPiece"}, {"unk_id", "Unigram"}, {"unk_token", "WordLevel"}} {
		if _, ok := keys[guess[0]]; ok {
			return guess[1]
		}
	}
	return ""
}
