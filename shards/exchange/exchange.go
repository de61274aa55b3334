// Package exchange writes token shards in the formats of other trainers and reads
// those formats: MosaicML's MDS, Megatron's .bin and .idx, what Hugging Face
// datasets save (Arrow) or load (Parquet), JSON lines, and datatrove's .ds. All
// of it streams: memory is that of one batch of documents.
package exchange

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
)

// Record is one tokenised document.
type Record = shards.Record

// maxTokens bounds a document that is read.
const maxTokens = 1 << 28

// format is a way of writing and reading records.
type format struct {
	name string
	// ids says that the format keeps ids and sources.
	ids   bool
	write func(dir string, o Options) (writer, error)
	read  func(dir string) iter.Seq2[Record, error]
}

type writer interface {
	add(Record) error
	// finish writes what is left.
	finish() error
}

func formats() []format {
	return []format{
		{"mds", true, newMDS, readMDS},
		{"megatron", false, newMegatron, readMegatron},
		{"hf-arrow", true, newArrow, readArrow},
		{"hf-parquet", true, newParquet, readParquet},
		{"jsonl", true, newLines, readLines},
		{"ds", false, newDS, readDS},
	}
}

// Formats lists the formats by name.
func Formats() []string {
	var names []string
	for _, f := range formats() {
		names = append(names, f.name)
	}
	return names
}

func find(name string) (format, error) {
	for _, f := range formats() {
		if f.name == name {
			return f, nil
		}
	}
	return format{}, fmt.Errorf("there is no format %q; there are %s", name, strings.Join(Formats(), ", "))
}

// Options say how records are written.
type Options struct {
	// VocabSize decides the width of tokens where a format has two; 0 means wide.
	VocabSize int
	// Tokenizer is the tokenizer's name, for formats that note it.
	Tokenizer string
	// FileBytes is the size at which a file is ended, where a format has several.
	// 0 means the format's own default.
	FileBytes int64
}

// Report is what was written.
type Report struct {
	Format    string `json:"format"`
	Documents int64  `json:"documents"`
	Tokens    int64  `json:"tokens"`
	// LeftOut counts the documents that marks cover, Empty those without a token:
	// MDS and Arrow's readers take none.
	LeftOut int64 `json:"left_out"`
	Empty   int64 `json:"empty"`
}

// Export writes the documents of a set that no mark covers to the directory dir,
// which appears whole or not at all.
func Export(ctx context.Context, set *shards.Set, name, dir string, o Options) (Report, error) {
	r := Report{Format: name}
	f, err := find(name)
	if err != nil {
		return r, err
	}
	d, err := store.CreateDirectory(dir)
	if err != nil {
		return r, err
	}
	defer d.Abort()
	w, err := f.write(d.Path(), o)
	if err != nil {
		return r, fmt.Errorf("exporting to %s: %w", dir, err)
	}
	var b shards.Block
	for i := range set.Blocks() {
		if err := set.ReadBlock(ctx, i, &b); err != nil {
			return r, err
		}
		for j, id := range b.IDs {
			tokens := b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]]
			switch {
			case !b.Keep[j]:
				r.LeftOut++
				continue
			case len(tokens) == 0:
				r.Empty++
				continue
			}
			if err := w.add(Record{ID: id, Source: set.Manifest().Source, Tokens: tokens}); err != nil {
				return r, fmt.Errorf("exporting document %s to %s: %w", id, dir, err)
			}
			r.Documents++
			r.Tokens += int64(len(tokens))
		}
	}
	if err := w.finish(); err != nil {
		return r, fmt.Errorf("exporting to %s: %w", dir, err)
	}
	return r, d.Commit()
}

// Read streams the records that lie in a directory in a format. Formats that
// keep no ids give records without. Tokens are valid until the next record.
func Read(dir, name string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		f, err := find(name)
		if err != nil {
			yield(Record{}, err)
			return
		}
		n := int64(0)
		for r, err := range f.read(dir) {
			if err != nil {
				yield(Record{}, fmt.Errorf("reading %s of %s at document %d: %w", name, dir, n, err))
				return
			}
			if !yield(r, nil) {
				return
			}
			n++
		}
		if n == 0 {
			yield(Record{}, fmt.Errorf("reading %s of %s: it holds no document", name, dir))
		}
	}
}

// each yields the records of the files that match a pattern, in order.
func each(dir, pattern string, file func(path string, yield func(Record) bool) error) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		paths, err := filepath.Glob(filepath.Join(dir, pattern)) // in order
		if err == nil && len(paths) == 0 {
			err = fmt.Errorf("there is no %s", pattern)
		}
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, path := range paths {
			more := true
			err := file(path, func(r Record) bool { more = yield(r, nil); return more })
			if !more {
				return
			}
			if err != nil && !errors.Is(err, errStop) {
				yield(Record{}, fmt.Errorf("%s: %w", filepath.Base(path), err))
				return
			}
		}
	}
}

// errStop ends the reading of a file whose reader wants no more.
var errStop = errors.New("no more is wanted")

func checkTokens(n int64) error {
	if n < 0 || n > maxTokens {
		return fmt.Errorf("a document of %d tokens", n)
	}
	return nil
}
