package shards

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/signals"
)

// errOtherTexts means that the documents are not those that shards were made of.
var errOtherTexts = errors.New("the texts are others")

// refresh writes the shards that old names anew, with the marks of today and, when the
// files of the documents have changed, with what these say now beside the same texts.
// The error is errOtherTexts when the texts have changed. The new files are written
// beside the old and take their places when all are there; a refresh that is killed in
// between leaves no manifest, and the next build starts from the documents.
func (b *builder) refresh(ctx context.Context, old, m *Manifest) (err error) {
	var fresh *freshMetadata
	if old.RowsKey != m.RowsKey {
		if fresh, err = b.readMetadata(ctx, old); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, fresh.close()) }()
	}
	next := filepath.Join(b.dir, nextDir)
	if err := os.RemoveAll(next); err != nil {
		return fmt.Errorf("clearing what an earlier refresh left: %w", err)
	}
	set, err := newSet(b.cfg.Data, old)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, set.Close(), os.RemoveAll(next), b.clearSpill())
	}()
	b.cfg.Meter.Begin("marking "+b.source, "documents", b.documents, 0)
	w := &writer{dir: next, shardBytes: b.cfg.ShardBytes}
	err = b.lay(ctx, w, m, old, func(add func(key []byte, add func(marked) error) error) error {
		var key []byte
		for i := range set.Blocks() {
			rows, err := set.readRows(ctx, i, func(rule string) bool { return old.cutAs(m.CutKeys, rule) })
			if err != nil {
				return err
			}
			for _, r := range rows {
				key = appendKey(key[:0], r.ID)
				if fresh != nil {
					if err := fresh.describe(key, &r); err != nil {
						return err
					}
				}
				err := add(key, func(m marked) error {
					r.Marks, r.Cuts = m.rules, joinCuts(append(r.Cuts, m.cuts...))
					return w.addRow(r)
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	m.Totals, m.Texts = old.Totals, old.Texts
	if err := withdraw(b.dir); err != nil {
		return err
	}
	for _, f := range m.Files {
		if err := os.Rename(filepath.Join(next, f.Path), filepath.Join(b.dir, f.Path)); err != nil {
			return fmt.Errorf("putting refreshed shards in place: %w", err)
		}
	}
	return nil
}

// readRows reads block i whole, but for the marks, and with the cuts of some rules.
func (s *Set) readRows(ctx context.Context, i int, wanted func(rule string) bool) ([]row, error) {
	var b Block
	if err := s.ReadBlock(ctx, i, &b); err != nil {
		return nil, err
	}
	info := s.manifest.Blocks[i]
	f, err := s.acquire(ctx, info.File)
	if err != nil {
		return nil, err
	}
	defer s.release(f)
	rows := make([]row, b.Rows())
	path := filepath.Join(s.dir, s.manifest.Files[info.File].Path)
	err = guard(path, func() (err error) {
		for _, c := range signals.Columns() {
			if _, ok := f.pq.Schema().Lookup(c.Name); !ok {
				return fmt.Errorf("it has no column %q, as files of an earlier version have not", c.Name)
			}
		}
		r := parquet.NewGenericRowGroupReader[metadata](f.pq.RowGroups()[i-s.first[info.File]])
		defer func() { err = errors.Join(err, r.Close()) }()
		meta := make([]metadata, len(rows))
		for n := 0; n < len(meta); {
			k, err := r.Read(meta[n:])
			n += k
			if k == 0 {
				return fmt.Errorf("block %d ends after %d of %d rows: %w", i, n, len(meta), err)
			}
		}
		for j, x := range meta {
			if x.ID != b.IDs[j] {
				return fmt.Errorf("row %d of block %d has two ids", j, i)
			}
			rows[j] = row{
				Tokens:       b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]],
				SentenceEnds: b.SentenceEnds[b.SentenceBounds[j]:b.SentenceBounds[j+1]],
				Length:       b.DocBounds[j+1] - b.DocBounds[j],
			}
			rows[j].describe(&x)
		}
		if s.manifest.Cut == 0 {
			return nil
		}
		cuts, err := readCuts(f.pq.RowGroups()[i-s.first[info.File]], len(rows))
		if err != nil {
			return err
		}
		for j, c := range cuts {
			rows[j].Cuts = slices.DeleteFunc(c.Cuts, func(c Cut) bool { return !wanted(c.Rule) })
		}
		return nil
	})
	return rows, err
}

// freshMetadata is what the documents say now, in the order of the rows.
type freshMetadata struct {
	sorter *extsort.Sorter
	next   func() (extsort.Record, error, bool)
	stop   func()
}

// readMetadata reads the documents, which are to have the texts that old was made of.
func (b *builder) readMetadata(ctx context.Context, old *Manifest) (fresh *freshMetadata, err error) {
	if old.Texts == "" || old.Rows != b.documents {
		return nil, errOtherTexts
	}
	b.cfg.Meter.Begin("reading the signals of "+b.source, "documents", b.documents, 0)
	sorter, err := extsort.New(filepath.Join(b.dir, spillDir, "metadata"), b.cfg.MemoryBytes)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, sorter.Close())
		}
	}()
	var sum texts
	var key, value []byte
	for d, err := range ingest.Documents(ctx, b.cfg.Data, b.source) {
		if err != nil {
			return nil, err
		}
		sum.add(d.ID, d.Text)
		key, value = appendKey(key[:0], d.ID), appendMetadata(value[:0], d)
		if err := sorter.Add(key, value); err != nil {
			return nil, err
		}
		b.cfg.Meter.Add(1)
	}
	if sum.digest() != old.Texts {
		return nil, errOtherTexts
	}
	fresh = &freshMetadata{sorter: sorter}
	fresh.next, fresh.stop = iter.Pull2(sorter.All(ctx))
	return fresh, nil
}

// describe tells the next row, which has this key, what the documents say.
func (f *freshMetadata) describe(key []byte, r *row) error {
	rec, err, more := f.next()
	if err != nil {
		return err
	}
	d := decoder{b: rec.Value}
	m := d.metadata(rec.Key)
	if !more || d.bad || !bytes.Equal(rec.Key, key) {
		return errOtherTexts
	}
	r.describe(&m)
	return nil
}

func (f *freshMetadata) close() error {
	f.stop()
	return f.sorter.Close()
}

// clearSpill removes the spill directory with all that a killed build left in it.
func (b *builder) clearSpill() error {
	if err := os.RemoveAll(filepath.Join(b.dir, spillDir)); err != nil {
		return fmt.Errorf("clearing the spill directory: %w", err)
	}
	return nil
}
