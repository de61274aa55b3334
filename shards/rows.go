package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/signals"
)

// readIDs reads the ids of block i into b, and nothing else.
func (s *Set) readIDs(ctx context.Context, i int, b *Block) error {
	_, err := s.withBlock(ctx, i, func(v *view) error { return v.readIDs(b) })
	return err
}

// readRows reads block i whole, but for the marks, and with the cuts of some rules.
func (s *Set) readRows(ctx context.Context, i int, wanted func(rule string) bool) ([]row, error) {
	var b Block // whose memory the rows keep
	var rows []row
	_, err := s.withBlock(ctx, i, func(v *view) (err error) {
		if err := v.readBlock(&b, true); err != nil {
			return err
		}
		for _, c := range signals.Columns() {
			if _, ok := v.file.pq.Schema().Lookup(c.Name); !ok {
				return fmt.Errorf("it has no column %q, as files of an earlier version have not", c.Name)
			}
		}
		rows = make([]row, b.Rows())
		r := parquet.NewGenericRowGroupReader[facts](v.group)
		defer func() { err = errors.Join(err, r.Close()) }()
		said := make([]facts, len(rows))
		for n := 0; n < len(said); {
			k, err := r.Read(said[n:])
			n += k
			if k == 0 {
				return fmt.Errorf("block %d ends after %d of %d rows: %w", i, n, len(said), err)
			}
		}
		for j, x := range said {
			if x.ID != b.IDs[j] {
				return fmt.Errorf("row %d of block %d has two ids", j, i)
			}
			rows[j] = row{
				facts:        x,
				Tokens:       b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]],
				SentenceEnds: b.SentenceEnds[b.SentenceBounds[j]:b.SentenceBounds[j+1]],
				Length:       b.DocBounds[j+1] - b.DocBounds[j],
			}
		}
		if s.manifest.Cut == 0 {
			return nil
		}
		cuts, err := readCuts(v.group, len(rows))
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
