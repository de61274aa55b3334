package tokenize

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// tokenizerConfig is what this package keeps of tokenizer_config.json.
type tokenizerConfig struct {
	class                              string
	maxLength                          int
	unk, pad, cls, sep, mask, bos, eos string
	// These say how to read a bare vocabulary; a tokenizer.json has its own say.
	lowercase, stripAccents, ideographs *bool
	prefixSpace, addBos                 bool
}

// configToken is a token in tokenizer_config.json: a string, or an object with
// its content.
type configToken string

func (c *configToken) UnmarshalJSON(data []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	switch data = bytes.TrimSpace(data); {
	case string(data) == "null":
		return nil
	case data[0] == '{':
		if err := json.Unmarshal(data, &object); err != nil {
			return err
		}
		*c = configToken(object.Content)
		return nil
	}
	return json.Unmarshal(data, (*string)(c))
}

func readConfig(data []byte) (tokenizerConfig, error) {
	var form struct {
		Class     string      `json:"tokenizer_class"`
		MaxLength json.Number `json:"model_max_length"`
		Unk       configToken `json:"unk_token"`
		Pad       configToken `json:"pad_token"`
		Cls       configToken `json:"cls_token"`
		Sep       configToken `json:"sep_token"`
		Mask      configToken `json:"mask_token"`
		Bos       configToken `json:"bos_token"`
		Eos       configToken `json:"eos_token"`

		Lowercase    *bool `json:"do_lower_case"`
		StripAccents *bool `json:"strip_accents"`
		Ideographs   *bool `json:"tokenize_chinese_chars"`
		PrefixSpace  bool  `json:"add_prefix_space"`
		AddBos       bool  `json:"add_bos_token"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return tokenizerConfig{}, err
	}
	c := tokenizerConfig{
		class: form.Class, unk: string(form.Unk), pad: string(form.Pad), cls: string(form.Cls),
		sep: string(form.Sep), mask: string(form.Mask), bos: string(form.Bos), eos: string(form.Eos),
		lowercase: form.Lowercase, stripAccents: form.StripAccents, ideographs: form.Ideographs, prefixSpace: form.PrefixSpace, addBos: form.AddBos,
	}
	// A length beyond any model is how "no limit" is written.
	if n, err := form.MaxLength.Int64(); err == nil && n > 0 && n < 1<<31 {
		c.maxLength = int(n)
	}
	return c, nil
}

// sideFiles makes tokenizer_config.json and special_tokens_map.json.
func (t *Tokenizer) sideFiles() (config, specials []byte, err error) {
	name := func(id int32) *string {
		if id < 0 {
			return nil
		}
		s := t.vocab.piece(id)
		return &s
	}
	type tokens struct {
		Bos  *string `json:"bos_token,omitempty"`
		Cls  *string `json:"cls_token,omitempty"`
		Eos  *string `json:"eos_token,omitempty"`
		Mask *string `json:"mask_token,omitempty"`
		Pad  *string `json:"pad_token,omitempty"`
		Sep  *string `json:"sep_token,omitempty"`
		Unk  *string `json:"unk_token,omitempty"`
	}
	s := t.specials
	roles := tokens{name(s.Bos), name(s.Cls), name(s.Eos), name(s.Mask), name(s.Pad), name(s.Sep), name(s.Unk)}
	class, length := t.config.class, t.config.maxLength
	form := struct {
		CleanUp      bool   `json:"clean_up_tokenization_spaces"`
		DoLowerCase  *bool  `json:"do_lower_case,omitempty"`
		MaxLength    int    `json:"model_max_length,omitempty"`
		StripAccents *bool  `json:"strip_accents,omitempty"`
		Chinese      *bool  `json:"tokenize_chinese_chars,omitempty"`
		Class        string `json:"tokenizer_class"`
		tokens
	}{MaxLength: length, tokens: roles}
	if n, ok := t.normalizer.(*bertNormalizer); ok {
		form.DoLowerCase, form.StripAccents, form.Chinese = &n.Lowercase, n.StripAccents, &n.HandleChineseChars
		if class == "" {
			class = "BertTokenizer"
		}
	}
	if class == "" {
		class = "PreTrainedTokenizerFast"
	}
	form.Class = class
	if config, err = marshal(form); err != nil {
		return nil, nil, fmt.Errorf("encoding %s: %w", fileConfig, err)
	}
	if specials, err = marshal(roles); err != nil {
		return nil, nil, fmt.Errorf("encoding %s: %w", fileSpecials, err)
	}
	return config, specials, nil
}

func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(v)
	return out.Bytes(), err
}
