package shards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// shardsFormat names the layout of the files. It is part of every key, so that a
// new layout is built anew.
const shardsFormat = "tributary/shards/3"

// ErrNoShards says that a source has no shards for a tokenizer.
var ErrNoShards = errors.New("the source has no shards for this tokenizer; shard it first")

// Manifest vouches for the shards of one source and tokenizer. Its JSON form is
// a store.Manifest with more fields.
type Manifest struct {
	store.Manifest
	// Source and Tokenizer are names under the data root; TokenizerDigest is the
	// hash of the tokenizer itself.
	Source          string `json:"source"`
	Tokenizer       string `json:"tokenizer"`
	TokenizerDigest string `json:"tokenizer_digest"`
	Rows            int64  `json:"rows"`
	Tokens          int64  `json:"tokens"`
	// RowsKey determines the rows but for their marks, MarksKey the marks that the
	// files show (dedup.MarksKey). Set reads the current marks by itself.
	RowsKey  string `json:"rows_key"`
	MarksKey string `json:"marks_key"`
	// Texts is the digest of the documents' ids and texts, "" where there were none:
	// as long as it is the same, so are the tokens.
	Texts string `json:"texts,omitempty"`
	// Cut counts the documents that have cuts.
	Cut int64 `json:"cut"`
	// CutKeys are the digests of the marks that the cuts were made of, by rule
	// (dedup.SpanKeys).
	CutKeys map[string]string `json:"cut_keys,omitempty"`
	// Blocks lists the blocks of all files in order.
	Blocks []BlockInfo `json:"blocks"`
}

// BlockInfo is the extent of one block, which is one row group of one file.
type BlockInfo struct {
	// File is the index of the block's file in Files.
	File   int   `json:"file"`
	Rows   int64 `json:"rows"`
	Tokens int64 `json:"tokens"`
}

// Dir returns the directory of the shards of a source for a tokenizer.
func Dir(dataDir, source, tokenizer string) string {
	return filepath.Join(dataDir, source, "shards", tokenizer)
}

// checkTokenizer refuses names that would leave the data root. A tokenizer's name
// follows the rule of a source's.
func checkTokenizer(name string) error {
	if err := ingest.CheckSource(name); err != nil {
		return fmt.Errorf("the name of the tokenizer: %w", err)
	}
	return nil
}

func checkNames(source, tokenizer string) error {
	if err := ingest.CheckSource(source); err != nil {
		return err
	}
	return checkTokenizer(tokenizer)
}

// ReadManifest reads the manifest of a source's shards. The error is ErrNoShards
// when there is none.
func ReadManifest(dataDir, source, tokenizer string) (*Manifest, error) {
	if err := checkNames(source, tokenizer); err != nil {
		return nil, err
	}
	dir := Dir(dataDir, source, tokenizer)
	base, err := store.ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("source %q, tokenizer %q in %s: %w", source, tokenizer, dataDir, ErrNoShards)
	}
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, store.ManifestName)
	if base.Format != shardsFormat {
		return nil, fmt.Errorf("reading %s: its format is %q, this version reads %q", path, base.Format, shardsFormat)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	m.Manifest = *base
	if m.Source != source || m.Tokenizer != tokenizer {
		return nil, fmt.Errorf("reading %s: it is the manifest of source %q for tokenizer %q", path, m.Source, m.Tokenizer)
	}
	var rows, tokens int64
	for i, b := range m.Blocks {
		if b.File < 0 || b.File >= len(m.Files) || b.Rows < 1 || b.Tokens < 0 || i > 0 && (b.File < m.Blocks[i-1].File || b.File > m.Blocks[i-1].File+1) {
			return nil, fmt.Errorf("reading %s: block %d cannot be: %+v", path, i, b)
		}
		rows, tokens = rows+b.Rows, tokens+b.Tokens
	}
	if rows != m.Rows || tokens != m.Tokens {
		return nil, fmt.Errorf("reading %s: its blocks hold %d rows and %d tokens, its totals say %d and %d", path, rows, tokens, m.Rows, m.Tokens)
	}
	return m, nil
}

// cutAs reports whether the cuts of a rule are those of the marks that keys tells of.
func (m *Manifest) cutAs(keys map[string]string, rule string) bool {
	key, ok := keys[rule]
	return ok && m.CutKeys[rule] == key
}

func writeManifest(dir string, m *Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the manifest of %s: %w", dir, err)
	}
	_, err = store.WriteFile(filepath.Join(dir, store.ManifestName), append(data, '\n'))
	return err
}

// withdraw removes the manifest of dir, so that a build killed while it writes
// the files anew leaves none that vouches for a mixture of old and new.
func withdraw(dir string) error {
	err := os.Remove(filepath.Join(dir, store.ManifestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("withdrawing the shards in %s: %w", dir, err)
	}
	return nil
}
