package shards

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// shardsFormat names the layout of the files. It is part of every key, so that a
// new layout is built anew.
const shardsFormat = "tributary/shards/4"

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
	// RowsKey determines the rows, their order and their blocks, but for their marks;
	// MarksKey is that of the marks that the files show (dedup.MarksKey). Set reads the
	// current marks by itself.
	RowsKey  string `json:"rows_key"`
	MarksKey string `json:"marks_key"`
	// Cut counts the documents that have cuts.
	Cut int64 `json:"cut"`
	// CutKeys are the digests of the marks that the cuts were made of, by rule
	// (dedup.SpanKeys).
	CutKeys map[string]string `json:"cut_keys,omitempty"`
	Shape   Shape             `json:"shape"`
	// Generations lists what was laid down at a time, in order: documents that came
	// later are a generation of their own, behind the others.
	Generations []Generation `json:"generations"`
	// Blocks lists the blocks of all files in order, Tails what follows the blocks of
	// each file.
	Blocks []BlockInfo `json:"blocks"`
	Tails  []Extent    `json:"tails"`
}

// Shape is how rows are laid down in files.
type Shape struct {
	// ShardBytes is the size at which a file is ended; it is exceeded by up to one
	// block.
	ShardBytes int64 `json:"shard_bytes"`
	// BlockTokens is the number of tokens with which a block is ended. Other blocks are
	// another order of the samples.
	BlockTokens int64 `json:"block_tokens"`
	// Compression is how tokens are stored; one of Compressions.
	Compression string `json:"compression"`
}

// Generation is documents that were laid down at one time: in the order of a keyed
// hash of their ids.
type Generation struct {
	// Files and Blocks are how many it has.
	Files  int   `json:"files"`
	Blocks int   `json:"blocks"`
	Rows   int64 `json:"rows"`
	Tokens int64 `json:"tokens"`
	Empty  int64 `json:"empty"`
	Cut    int64 `json:"cut"`
	// Texts, Facts and Marks are digests of what the documents say, of what is said of
	// them, and of the marks that the files show. As long as Texts is the same, so are
	// the tokens.
	Texts string `json:"texts"`
	Facts string `json:"facts"`
	Marks string `json:"marks"`
}

// Extent is a run of bytes of a file with its checksum.
type Extent struct {
	Offset int64 `json:"offset"`
	Bytes  int64 `json:"bytes"`
	// Sum is the XXH3-128 of the bytes, in hexadecimal.
	Sum string `json:"xxh3"`
}

// BlockInfo is the extent of one block, which is one row group of one file.
type BlockInfo struct {
	// File is the index of the block's file in Files.
	File   int   `json:"file"`
	Rows   int64 `json:"rows"`
	Tokens int64 `json:"tokens"`
	Extent
}

// Digest is the hash of the files' contents, whatever their names.
func (m *Manifest) Digest() string {
	parts := []any{m.Format}
	for _, f := range m.Files {
		parts = append(parts, f.SHA256)
	}
	return store.Key(parts...)
}

// rowsKey is the RowsKey of the first n generations.
func (m *Manifest) rowsKey(n int) string {
	parts := []any{"tributary/rows/1", m.TokenizerDigest, m.Shape.BlockTokens}
	for _, g := range m.Generations[:n] {
		parts = append(parts, g.Rows, g.Tokens, g.Texts, g.Facts)
	}
	return store.Key(parts...)
}

// first returns the first n generations alone.
func (m *Manifest) first(n int) *Manifest {
	c := *m
	c.Generations = m.Generations[:n]
	files, blocks := 0, 0
	c.Rows, c.Tokens, c.Cut = 0, 0, 0
	for _, g := range c.Generations {
		files, blocks = files+g.Files, blocks+g.Blocks
		c.Rows, c.Tokens, c.Cut = c.Rows+g.Rows, c.Tokens+g.Tokens, c.Cut+g.Cut
	}
	c.Files, c.Tails, c.Blocks = m.Files[:files], m.Tails[:files], m.Blocks[:blocks]
	c.RowsKey = c.rowsKey(n)
	return &c
}

// describe fills in what follows from the generations.
func (m *Manifest) describe() {
	m.Rows, m.Tokens, m.Cut = 0, 0, 0
	empty := int64(0)
	for _, g := range m.Generations {
		m.Rows, m.Tokens, m.Cut, empty = m.Rows+g.Rows, m.Tokens+g.Tokens, m.Cut+g.Cut, empty+g.Empty
	}
	m.Totals = map[string]int64{"rows": m.Rows, "tokens": m.Tokens, "empty": empty, "generations": int64(len(m.Generations))}
	m.RowsKey = m.rowsKey(len(m.Generations))
}

// add appends a generation with its files and blocks, which count from 0.
func (m *Manifest) add(g Generation, files []store.File, tails []Extent, blocks []BlockInfo) {
	from := len(m.Files)
	m.Generations, m.Files, m.Tails = append(m.Generations, g), append(m.Files, files...), append(m.Tails, tails...)
	for _, b := range blocks {
		b.File += from
		m.Blocks = append(m.Blocks, b)
	}
}

// check sees to it that the parts of a manifest that was read fit together.
func (m *Manifest) check() error {
	if len(m.Tails) != len(m.Files) {
		return fmt.Errorf("it has %d files and %d tails", len(m.Files), len(m.Tails))
	}
	if m.Shape.BlockTokens < 1 || m.Shape.ShardBytes < 1 || !slices.Contains(Compressions(), m.Shape.Compression) {
		return fmt.Errorf("no shards have the shape %+v", m.Shape)
	}
	var rows, tokens int64
	file, block := 0, 0
	for i, g := range m.Generations {
		if g.Files < 0 || g.Blocks < 0 || g.Files > len(m.Files)-file || g.Blocks > len(m.Blocks)-block || (g.Files == 0) != (g.Blocks == 0) {
			return fmt.Errorf("generation %d has %d files and %d blocks, which are not there", i, g.Files, g.Blocks)
		}
		var have Generation
		for last := file - 1; have.Blocks < g.Blocks; have.Blocks++ {
			b := m.Blocks[block+have.Blocks]
			if b.Rows < 1 || b.Tokens < 0 || b.Bytes < 1 || b.File != last && b.File != last+1 || b.File >= file+g.Files {
				return fmt.Errorf("block %d cannot be: %+v", block+have.Blocks, b)
			}
			begins := int64(0)
			if b.File == last {
				before := m.Blocks[block+have.Blocks-1]
				begins = before.Offset + before.Bytes
			}
			if b.Offset != begins || b.Bytes > m.Files[b.File].Bytes-b.Offset {
				return fmt.Errorf("block %d cannot lie at byte %d of %s", block+have.Blocks, b.Offset, m.Files[b.File].Path)
			}
			if tail := m.Tails[b.File]; tail.Offset < b.Offset+b.Bytes || tail.Bytes < 1 || tail.Offset+tail.Bytes != m.Files[b.File].Bytes {
				return fmt.Errorf("the tail of %s cannot be: %+v", m.Files[b.File].Path, tail)
			}
			last, have.Rows, have.Tokens = b.File, have.Rows+b.Rows, have.Tokens+b.Tokens
		}
		if have.Rows != g.Rows || have.Tokens != g.Tokens || g.Blocks > 0 && m.Blocks[block+g.Blocks-1].File != file+g.Files-1 {
			return fmt.Errorf("the blocks of generation %d hold %d rows and %d tokens, it says %d and %d", i, have.Rows, have.Tokens, g.Rows, g.Tokens)
		}
		file, block, rows, tokens = file+g.Files, block+g.Blocks, rows+g.Rows, tokens+g.Tokens
	}
	if file != len(m.Files) || block != len(m.Blocks) || rows != m.Rows || tokens != m.Tokens {
		return fmt.Errorf("its generations hold %d files, %d blocks, %d rows and %d tokens, its totals say %d, %d, %d and %d",
			file, block, rows, tokens, len(m.Files), len(m.Blocks), m.Rows, m.Tokens)
	}
	return nil
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
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
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

// withdraw removes the manifest of dir.
func withdraw(dir string) error {
	err := os.Remove(filepath.Join(dir, store.ManifestName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("withdrawing the shards in %s: %w", dir, err)
	}
	return nil
}
