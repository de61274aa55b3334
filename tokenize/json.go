package tokenize

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/store"
)

// The names of the files of a tokenizer's directory.
const (
	fileTokenizer = "tokenizer.json"
	fileConfig    = "tokenizer_config.json"
	fileSpecials  = "special_tokens_map.json"
)

// tokenizerForm is the layout of tokenizer.json.
type tokenizerForm struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   addedList       `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// Open reads a tokenizer: a tokenizer.json, a vocab.txt (BERT), a vocab.json with
// its merges.txt (GPT-2, RoBERTa), a SentencePiece .model, a .tiktoken rank file, or
// a directory that holds one of these. A tokenizer_config.json beside it is heeded.
// The error is a *UnknownComponentError when the file asks for something that
// this package does not do.
func Open(path string) (*Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("opening the tokenizer: %w", err)
	}
	dir := filepath.Dir(path)
	if info.IsDir() {
		dir = path
		if path, err = findFile(dir); err != nil {
			return nil, fmt.Errorf("opening the tokenizer: %w", err)
		}
	}
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("opening the tokenizer: %w", err)
	}
	var config tokenizerConfig
	side, err := readFile(filepath.Join(dir, fileConfig))
	switch {
	case err == nil:
		if config, err = readConfig(side); err != nil {
			return nil, fmt.Errorf("reading %s: %w", filepath.Join(dir, fileConfig), err)
		}
	case !errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("opening the tokenizer: %w", err)
	}
	t, err := parseFile(path, data, config)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	return t, nil
}

// Parse reads the contents of a tokenizer.json.
func Parse(data []byte) (*Tokenizer, error) {
	t, err := parse(data, tokenizerConfig{})
	if err != nil {
		return nil, fmt.Errorf("reading tokenizer.json: %w", err)
	}
	return t, nil
}

// readFile reads a file that is not larger than any tokenizer's is.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("reading %s: it has %d bytes, and no tokenizer has more than %d", path, info.Size(), maxFile)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(data) > maxFile {
		return nil, fmt.Errorf("reading %s: it has more than %d bytes, as no tokenizer does", path, maxFile)
	}
	return data, nil
}

func parse(data []byte, config tokenizerConfig) (*Tokenizer, error) {
	var form tokenizerForm
	if err := json.Unmarshal(data, &form); err != nil {
		return nil, err
	}
	if form.Version != "" && form.Version != "1.0" {
		return nil, fmt.Errorf("version %q is not known, only \"1.0\" is", form.Version)
	}
	if isNull(form.Model) {
		return nil, errors.New("it has no model")
	}
	t := &Tokenizer{added: form.AddedTokens, config: config}
	var err error
	if t.truncation, err = readTruncation(form.Truncation); err != nil {
		return nil, err
	}
	if t.padding, err = readPadding(form.Padding); err != nil {
		return nil, err
	}
	if t.normalizer, err = readNormalizer(form.Normalizer, 0); err != nil {
		return nil, err
	}
	if t.pre, err = readPreTokenizer(form.PreTokenizer, 0); err != nil {
		return nil, err
	}
	if t.post, err = readPostProcessor(form.PostProcessor, 0); err != nil {
		return nil, err
	}
	if t.decoder, err = readDecoder(form.Decoder, 0); err != nil {
		return nil, err
	}
	if err := cmp.Or(checkGrowth("normalizer", t.normalizer), checkGrowth("decoder", t.decoder)); err != nil {
		return nil, err
	}
	if t.model, err = readModel(form.Model); err != nil {
		return nil, err
	}
	if err := t.finish(); err != nil {
		return nil, err
	}
	return t, nil
}

// encodeJSON writes tokenizer.json in the field order of the reference.
func (t *Tokenizer) encodeJSON() ([]byte, error) {
	form := struct {
		Version       string        `json:"version"`
		Truncation    *Truncation   `json:"truncation"`
		Padding       *Padding      `json:"padding"`
		AddedTokens   []AddedToken  `json:"added_tokens"`
		Normalizer    normalizer    `json:"normalizer"`
		PreTokenizer  preTokenizer  `json:"pre_tokenizer"`
		PostProcessor postProcessor `json:"post_processor"`
		Decoder       decoder       `json:"decoder"`
		Model         any           `json:"model"`
	}{
		Version: "1.0", Truncation: t.truncation, Padding: t.padding, AddedTokens: t.added, Normalizer: t.normalizer, PreTokenizer: t.pre,
		PostProcessor: t.post, Decoder: t.decoder, Model: t.model.form(),
	}
	if form.AddedTokens == nil {
		form.AddedTokens = []AddedToken{}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(form); err != nil {
		return nil, fmt.Errorf("encoding tokenizer.json: %w", err)
	}
	return out.Bytes(), nil
}

// Save writes tokenizer.json, tokenizer_config.json and special_tokens_map.json
// into dir, each whole or not at all.
func (t *Tokenizer) Save(dir string) error {
	form, err := t.canonical()
	if err != nil {
		return err
	}
	config, specials, err := t.sideFiles()
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
	}{{fileSpecials, specials}, {fileConfig, config}, {fileTokenizer, form.json}} {
		if _, err := store.WriteFile(filepath.Join(dir, f.name), f.data); err != nil {
			return fmt.Errorf("saving the tokenizer: %w", err)
		}
	}
	return nil
}

// addedList are the added tokens of a file.
type addedList []AddedToken

// UnmarshalJSON reads an array of bounded length.
func (l *addedList) UnmarshalJSON(data []byte) (err error) {
	*l, err = decodeList[AddedToken](data, maxAdded, "added tokens")
	return err
}

// UnmarshalJSON reads an object of pieces and ids. Unlike a Go map it refuses a
// piece that stands twice.
func (v *vocabulary) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return fmt.Errorf("the vocabulary begins with %v, want an object", tok)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		value, err := dec.Token()
		if err != nil {
			return err
		}
		number, ok := value.(json.Number)
		if !ok {
			return fmt.Errorf("the id of piece %q is %v, want a number", key, value)
		}
		id, err := number.Int64()
		if err != nil || id < 0 || id >= maxVocabulary {
			return fmt.Errorf("the id of piece %q is %v, want 0 to %d", key, number, maxVocabulary-1)
		}
		if v.ids == nil {
			v.ids = map[string]int32{}
		}
		if err := v.add(key.(string), int32(id)); err != nil {
			return err
		}
	}
	return nil
}

// MarshalJSON writes the pieces in the order of their ids.
func (v *vocabulary) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for id, piece := range v.pieces {
		if !v.present[id] {
			continue
		}
		if out.Len() > 1 {
			out.WriteByte(',')
		}
		if err := enc.Encode(piece); err != nil {
			return nil, err
		}
		out.Truncate(out.Len() - 1)
		fmt.Fprintf(&out, ":%d", id)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}
