package shards

import (
	"fmt"
	"path/filepath"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/store"
)

const (
	// A block ends with the row that brings it to blockTokens or blockRows. They
	// are constants of the format: other blocks would be another order of the
	// samples.
	blockTokens = 1 << 19
	blockRows   = 1 << 15
	// pageBytes bounds a page, so that one value can be read without a block.
	pageBytes = 1 << 20
)

// writer lays rows down in blocks and files. The rows must come in order.
type writer struct {
	dir        string
	shardBytes int64

	out   *store.Writer
	count countingWriter
	pq    *parquet.GenericWriter[row]

	rows   []row
	arena  []int32
	tokens int64
	cut    int64 // rows with cuts

	files  []store.File
	blocks []BlockInfo
	inFile int64
}

type countingWriter struct {
	w *store.Writer
	n int64
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}

func partName(i int) string { return fmt.Sprintf("part-%05d.parquet", i) }

// add appends a row from its spilled form.
func (w *writer) add(key, value []byte, m marked) error {
	r, arena, err := decodeRow(key, value, w.arena)
	if err != nil {
		return err
	}
	w.arena = arena
	r.Marks, r.Cuts = m.rules, m.cuts
	return w.addRow(r)
}

// addRow appends a row, whose slices must stay as they are until the block ends.
func (w *writer) addRow(r row) error {
	if w.rows = append(w.rows, r); len(r.Cuts) > 0 {
		w.cut++
	}
	w.tokens += int64(len(r.Tokens))
	if w.tokens >= blockTokens || len(w.rows) >= blockRows {
		return w.endBlock()
	}
	return nil
}

func (w *writer) endBlock() (err error) {
	if len(w.rows) == 0 {
		return nil
	}
	path := filepath.Join(w.dir, partName(len(w.files)))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing %s: %v", path, p)
		}
	}()
	if w.out == nil {
		if w.out, err = store.Create(path); err != nil {
			return err
		}
		w.count = countingWriter{w: w.out}
		w.pq = parquet.NewGenericWriter[row](&w.count,
			parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
			parquet.PageBufferSize(pageBytes),
			parquet.WriteBufferSize(0),        // store.Writer has one, and the count must be true
			parquet.DataPageStatistics(false), // the page index has them
			parquet.CreatedBy("tributary", "1", "shards"))
	}
	if _, err := w.pq.Write(w.rows); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := w.pq.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	w.blocks = append(w.blocks, BlockInfo{File: len(w.files), Rows: int64(len(w.rows)), Tokens: w.tokens})
	w.inFile += int64(len(w.rows))
	clear(w.rows)
	w.rows, w.arena, w.tokens = w.rows[:0], w.arena[:0], 0
	if cap(w.arena) > 2*arenaInts {
		w.arena = nil
	}
	if w.count.n >= w.shardBytes {
		return w.endFile()
	}
	return nil
}

func (w *writer) endFile() error {
	if w.out == nil {
		return nil
	}
	if err := w.pq.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", partName(len(w.files)), err)
	}
	f, err := w.out.Commit()
	if err != nil {
		return err
	}
	f.Rows = w.inFile
	w.files = append(w.files, f)
	w.out, w.pq, w.inFile = nil, nil, 0
	return nil
}

// finish writes what is left.
func (w *writer) finish() error {
	if err := w.endBlock(); err != nil {
		return err
	}
	return w.endFile()
}

func (w *writer) abort() {
	if w.out != nil {
		w.out.Abort()
	}
}
