package shards

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"path/filepath"

	"github.com/tributary-ml/tributary/dedup/extsort"
)

// cursor is at the next row of a sequence in order, which goes to a writer.
type cursor struct {
	next func() (row, error, bool)
	stop func()
	to   *writer

	row  row
	key  []byte
	more bool
}

func newCursor(rows iter.Seq2[row, error], to *writer) *cursor {
	c := &cursor{to: to}
	c.next, c.stop = iter.Pull2(rows)
	return c
}

func (c *cursor) advance() (err error) {
	if c.row, err, c.more = c.next(); c.more && err == nil {
		c.key = appendKey(c.key[:0], c.row.ID)
	}
	return err
}

// lay writes the rows of all inputs, merged in the order of their keys and joined with
// their marks, to the writers that the inputs name; the caller finishes these. What
// fresh, unless it is nil, says of the documents replaces what the rows say. Cuts of
// rules for which old, unless it is nil, has them already are not looked for.
func (b *builder) lay(ctx context.Context, m, old *Manifest, fresh *freshFacts, inputs []*cursor) (err error) {
	defer func() {
		for _, c := range inputs {
			if c.stop(); err != nil {
				c.to.abort()
			}
		}
	}()
	if len(inputs) == 0 {
		return nil
	}
	b.cfg.Meter.Begin("laying down "+b.source, "documents", b.documents, 0)
	marks, err := extsort.New(filepath.Join(b.dir, spillDir, "marks"), max(b.cfg.MemoryBytes/8, 1<<20))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, marks.Close()) }()
	if err := sortMarks(ctx, b.cfg.Data, b.source, marks); err != nil {
		return err
	}
	cuts, err := extsort.New(filepath.Join(b.dir, spillDir, "cuts"), max(b.cfg.MemoryBytes/8, 1<<20))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cuts.Close()) }()
	if err := sortCuts(ctx, b.cfg.Data, b.source, b.tok, b.cfg.Jobs, func(rule string) bool { return old == nil || !old.cutAs(m.CutKeys, rule) }, cuts); err != nil {
		return err
	}
	join, cutJoin := newMarkJoin(marks.All(ctx)), newMarkJoin(cuts.All(ctx))
	defer join.stop()
	defer cutJoin.stop()
	for _, c := range inputs {
		if err := c.advance(); err != nil {
			return err
		}
	}
	for {
		var c *cursor
		for _, x := range inputs {
			if x.more && (c == nil || bytes.Compare(x.key, c.key) < 0) {
				c = x
			}
		}
		if c == nil {
			return nil
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		r := c.row
		if fresh != nil {
			if err := fresh.describe(c.key, &r); err != nil {
				return err
			}
		}
		if r.Marks, err = join.of(c.key); err != nil {
			return err
		}
		found, err := cutJoin.cutsOf(c.key)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			r.Cuts = joinCuts(append(r.Cuts, found...))
		}
		if err := c.to.add(r); err != nil {
			return err
		}
		b.cfg.Meter.Add(1)
		if err := c.advance(); err != nil {
			return err
		}
	}
}

// spilledRows gives the rows that tokenise spilled.
func spilledRows(ctx context.Context, rows *extsort.Sorter) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		var arena []int32 // never used again: a full one stays with the rows that hold it
		for rec, err := range rows.All(ctx) {
			var r row
			if err == nil {
				r, arena, err = decodeRow(rec.Key, rec.Value, arena)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// rows gives the rows of some blocks, without their marks and with the cuts of the
// wanted rules.
func (s *Set) rows(ctx context.Context, from, to int, wanted func(rule string) bool) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		for i := from; i < to; i++ {
			rows, err := s.readRows(ctx, i, wanted)
			if err != nil {
				yield(row{}, err)
				return
			}
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		}
	}
}
