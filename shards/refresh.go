package shards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
)

// refresh writes the shards that old names anew with the marks of today. The new
// files are written beside the old and take their places when all are there; a
// refresh that is killed in between leaves no manifest, and the next build starts
// from the documents.
func (b *builder) refresh(ctx context.Context, old, m *Manifest) (err error) {
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
	err = b.lay(ctx, w, m, func(add func(key []byte, add func(marks []string) error) error) error {
		var key []byte
		for i := range set.Blocks() {
			rows, err := set.readRows(ctx, i)
			if err != nil {
				return err
			}
			for _, r := range rows {
				key = appendKey(key[:0], r.ID)
				err := add(key, func(marks []string) error {
					r.Marks = marks
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
	m.Totals = old.Totals
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

// metadata is the columns of a row that are no lists.
type metadata struct {
	ID       string `parquet:"id"`
	Source   string `parquet:"source,dict"`
	Language string `parquet:"language,dict"`
	File     string `parquet:"file,dict"`
	Offset   int64  `parquet:"offset"`
	Record   int64  `parquet:"record"`
	Length   int32  `parquet:"length"`
	Chars    int64  `parquet:"chars"`
	Words    int64  `parquet:"words"`
	Lines    int64  `parquet:"lines"`
}

// readRows reads block i whole, but for the marks.
func (s *Set) readRows(ctx context.Context, i int) ([]row, error) {
	var b Block
	if err := s.ReadBlock(ctx, i, &b); err != nil {
		return nil, err
	}
	info := s.manifest.Blocks[i]
	f, err := s.acquire(info.File)
	if err != nil {
		return nil, err
	}
	defer s.release(f)
	rows := make([]row, b.Rows())
	path := filepath.Join(s.dir, s.manifest.Files[info.File].Path)
	err = guard(path, func() (err error) {
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
				ID: x.ID, Source: x.Source, Language: x.Language, File: x.File, Offset: x.Offset, Record: x.Record,
				Length: x.Length, Chars: x.Chars, Words: x.Words, Lines: x.Lines,
				Tokens:       b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]],
				SentenceEnds: b.SentenceEnds[b.SentenceBounds[j]:b.SentenceBounds[j+1]],
			}
		}
		return nil
	})
	return rows, err
}

// clearSpill removes the spill directory with all that a killed build left in it.
func (b *builder) clearSpill() error {
	if err := os.RemoveAll(filepath.Join(b.dir, spillDir)); err != nil {
		return fmt.Errorf("clearing the spill directory: %w", err)
	}
	return nil
}
