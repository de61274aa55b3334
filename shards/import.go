package shards

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// Record is a tokenised document that came from elsewhere.
type Record struct {
	// ID may be empty: then it is made from where the record was.
	ID     string
	Source string
	Tokens []int32
}

// Import lays records down as the shards of a source for a tokenizer, as Build
// does documents. They have no text, so that nothing is known of their sentences
// and signals. from says where they came from and is their provenance. A token
// outside the vocabulary is an error. cfg.Sources is not looked at.
func Import(ctx context.Context, cfg Config, source, tokenizer, digest string, vocab int, from string, records iter.Seq2[Record, error]) (r SourceReport, err error) {
	if err := checkNames(source, tokenizer); err != nil {
		return r, err
	}
	if _, err := ingest.DocumentsManifest(cfg.Data, source); !errors.Is(err, ingest.ErrNoSource) {
		return r, fmt.Errorf("importing into %s: the source has documents of its own; choose another name", source)
	}
	if err := cfg.check(); err != nil {
		return r, err
	}
	if cfg.MemoryBytes <= 0 {
		cfg.MemoryBytes = DefaultMemoryBytes
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	dir := Dir(cfg.Data, source, tokenizer)
	old, err := ReadManifest(cfg.Data, source, tokenizer)
	if err != nil {
		if err := withdraw(dir); err != nil {
			return r, err
		}
		old = nil
	}
	b := &builder{cfg: cfg, source: source, dir: dir, shape: cfg.shape(old), name: freeNames(old)}
	if err := b.clearSpill(); err != nil {
		return r, err
	}
	rows, err := extsort.New(filepath.Join(b.dir, spillDir, "rows"), cfg.MemoryBytes)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, rows.Close(), b.clearSpill()) }()
	cfg.Meter.Begin("importing "+source, "documents", 0, 0)
	var key, value []byte
	n := int64(0)
	for rec, err := range records {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return r, err
		}
		for _, t := range rec.Tokens {
			if t < 0 || int(t) >= vocab {
				return r, fmt.Errorf("importing document %d of %s: token %d is none of the %d of tokenizer %s", n, from, t, vocab, tokenizer)
			}
		}
		d := &ingest.Document{ID: rec.ID, Source: source, File: from, Record: n}
		if d.ID == "" {
			d.ID = ingest.NewID(source, from, fmt.Sprint(n))
		}
		var ends []int32
		if len(rec.Tokens) > 0 {
			ends = []int32{int32(len(rec.Tokens))}
		}
		key = appendKey(key[:0], d.ID)
		value = appendRow(value[:0], d, rec.Tokens, ends)
		b.texts.add(d.ID, value)
		if err := rows.Add(key, value); err != nil {
			return r, err
		}
		n++
		cfg.Meter.Add(1)
	}
	marksKey, err := dedup.MarksKey(cfg.Data, source)
	if err != nil {
		return r, err
	}
	m := &Manifest{
		Manifest: store.Manifest{Format: shardsFormat, Inputs: map[string]string{"tokenizer": digest, "marks": marksKey, importInput: from}},
		Source:   source, Tokenizer: tokenizer, TokenizerDigest: digest, MarksKey: marksKey, Shape: b.shape,
	}
	w := b.writer()
	if err := b.lay(ctx, m, nil, nil, []*cursor{newCursor(spilledRows(ctx, rows), w)}); err != nil {
		return r, err
	}
	if err := w.finish(b.texts.String()); err != nil {
		return r, err
	}
	if w.generation.Rows > 0 {
		m.add(w.generation, w.files, w.tails, w.blocks)
	}
	if err := b.commit(m); err != nil {
		return r, err
	}
	return reportOf(m), nil
}

// importInput names, among the inputs of a manifest, where imported records came
// from.
const importInput = "import"
