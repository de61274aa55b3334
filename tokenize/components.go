package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// bertNormalizer cleans, sets ideographs apart, strips accents and lowers case.
type bertNormalizer struct {
	Type               string `json:"type"`
	CleanText          bool   `json:"clean_text"`
	HandleChineseChars bool   `json:"handle_chinese_chars"`
	// StripAccents follows Lowercase when nil.
	StripAccents *bool `json:"strip_accents"`
	Lowercase    bool  `json:"lowercase"`
}

func (n *bertNormalizer) strips() bool {
	if n.StripAccents != nil {
		return *n.StripAccents
	}
	return n.Lowercase
}

// bertPreTokenizer splits at white space and sets punctuation apart.
type bertPreTokenizer struct {
	Type string `json:"type"`
}

// UnknownComponentError says that a tokenizer.json names a component that this
// package does not have.
type UnknownComponentError struct {
	// Kind is the part of the file, such as "normalizer"; Type is what it asks for.
	Kind, Type string
}

func (e *UnknownComponentError) Error() string {
	return fmt.Sprintf("%s of type %q is not known", e.Kind, e.Type)
}

// componentType reads the type of a component, "" for null.
func componentType(kind string, raw json.RawMessage) (string, error) {
	if isNull(raw) {
		return "", nil
	}
	var head struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return "", fmt.Errorf("%s: %w", kind, err)
	}
	return head.Type, nil
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// component decodes raw into c, which holds the defaults.
func component[T any](kind string, raw json.RawMessage, c T) (T, error) {
	if err := json.Unmarshal(raw, c); err != nil {
		return c, fmt.Errorf("%s: %w", kind, err)
	}
	return c, nil
}
