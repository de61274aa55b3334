package shards

import (
	"fmt"
	"hash"
	"path/filepath"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/store"
)

const (
	// DefaultBlockTokens is the number of tokens with which a block is ended.
	DefaultBlockTokens = 1 << 19
	// minBlockTokens and maxBlockTokens bound what may be asked for.
	minBlockTokens, maxBlockTokens = 1 << 10, 1 << 24
	// blockRows ends a block of short documents.
	blockRows = 1 << 15
	// pageBytes bounds a page, so that one value can be read without a block.
	pageBytes = 1 << 20
)

// The ways to store tokens.
const (
	// Packed stores the differences of tokens in as many bits as a few of them need
	// (Parquet's DELTA_BINARY_PACKED): about as many bits a token as the vocabulary
	// needs, and the fastest to read of a file of that size.
	Packed = "packed"
	// Zstd takes the least room, and most of the time to read.
	Zstd = "zstd"
	// Plain stores tokens as they are, in four bytes.
	Plain = "none"
)

// Compressions returns the ways to store tokens.
func Compressions() []string { return []string{Packed, Zstd, Plain} }

// schemaOf is the schema of shards that store tokens in a way.
func schemaOf(compression string) *parquet.Schema {
	element := reflect.StructTag(`parquet:"tokens,list" parquet-element:",delta,uncompressed"`)
	switch compression {
	case Zstd:
		element = `parquet:"tokens,list"`
	case Plain:
		element = `parquet:"tokens,list" parquet-element:",plain,uncompressed"`
	}
	return parquet.SchemaOf(row{}, parquet.StructTag(element, "Tokens"))
}

// writer lays the rows of a generation down in blocks and files. The rows must come in
// order.
type writer struct {
	dir   string
	shape Shape
	// name gives the name of the next file.
	name func() string

	out    *store.Writer
	path   string
	count  countingWriter
	schema *parquet.Schema
	pq     *parquet.GenericWriter[row]

	rows   []row
	tokens int64
	inFile int64
	began  int64 // where the block began in the file

	facts, marks sum
	generation   Generation
	files        []store.File
	tails        []Extent
	blocks       []BlockInfo
	scratch      []byte
}

// countingWriter counts and hashes what is written.
type countingWriter struct {
	w   *store.Writer
	n   int64
	sum hash.Hash
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	_, _ = c.sum.Write(p[:n]) // a hash does not fail
	return n, err
}

// extent returns what was written since from, and begins anew.
func (c *countingWriter) extent(from int64) Extent {
	e := Extent{Offset: from, Bytes: c.n - from, Sum: fmt.Sprintf("%x", c.sum.Sum(nil))}
	c.sum.Reset()
	return e
}

// sumOf is the checksum of bytes in memory, as extents have it.
func sumOf(b []byte) string {
	sum := xxh3.Hash128(b).Bytes()
	return fmt.Sprintf("%x", sum[:])
}

func partName(i int) string { return fmt.Sprintf("part-%05d.parquet", i) }

// freeNames returns a function that gives the names of new files: none of those that m,
// which may be nil, vouches for.
func freeNames(m *Manifest) func() string {
	used := map[string]bool{}
	if m != nil {
		for _, f := range m.Files {
			used[f.Path] = true
		}
	}
	n := -1
	return func() string {
		for n++; used[partName(n)]; n++ {
		}
		return partName(n)
	}
}

// add appends a row, whose slices must stay as they are until the block ends.
func (w *writer) add(r row) error {
	w.rows = append(w.rows, r)
	w.tokens += int64(len(r.Tokens))
	g := &w.generation
	g.Rows++
	g.Tokens += int64(len(r.Tokens))
	if len(r.Tokens) == 0 {
		g.Empty++
	}
	if len(r.Cuts) > 0 {
		g.Cut++
	}
	w.scratch = appendFacts(w.scratch[:0], &r.facts)
	w.facts.add(r.ID, w.scratch)
	if len(r.Marks)+len(r.Cuts) > 0 {
		w.scratch = w.scratch[:0]
		for _, rule := range r.Marks {
			w.scratch = append(append(w.scratch, rule...), 0)
		}
		w.marks.add(r.ID, appendCuts(append(w.scratch, 0), r.Cuts))
	}
	if w.tokens >= w.shape.BlockTokens || len(w.rows) >= blockRows {
		return w.endBlock()
	}
	return nil
}

func (w *writer) endBlock() (err error) {
	if len(w.rows) == 0 {
		return nil
	}
	if w.out == nil {
		w.path = filepath.Join(w.dir, w.name())
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("writing %s: %v", w.path, p)
		}
	}()
	if w.out == nil {
		if w.out, err = store.Create(w.path); err != nil {
			return err
		}
		if w.schema == nil {
			w.schema = schemaOf(w.shape.Compression)
		}
		w.count, w.began = countingWriter{w: w.out, sum: hash128{xxh3.New()}}, 0
		w.pq = parquet.NewGenericWriter[row](&w.count, w.schema,
			parquet.Compression(&zstd.Codec{Level: zstd.SpeedDefault}),
			parquet.PageBufferSize(pageBytes),
			parquet.WriteBufferSize(0),        // store.Writer has one, and the count must be true
			parquet.DataPageStatistics(false), // the page index has them
			parquet.CreatedBy("tributary", "1", "shards"))
	}
	if _, err := w.pq.Write(w.rows); err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	if err := w.pq.Flush(); err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	w.blocks = append(w.blocks, BlockInfo{File: len(w.files), Rows: int64(len(w.rows)), Tokens: w.tokens, Extent: w.count.extent(w.began)})
	w.began = w.count.n
	w.inFile += int64(len(w.rows))
	clear(w.rows)
	w.rows, w.tokens = w.rows[:0], 0
	if w.count.n >= w.shape.ShardBytes {
		return w.endFile()
	}
	return nil
}

func (w *writer) endFile() error {
	if w.out == nil {
		return nil
	}
	if err := w.pq.Close(); err != nil {
		return fmt.Errorf("writing %s: %w", w.path, err)
	}
	f, err := w.out.Commit()
	if err != nil {
		return err
	}
	f.Rows = w.inFile
	w.files, w.tails = append(w.files, f), append(w.tails, w.count.extent(w.began))
	w.out, w.pq, w.inFile = nil, nil, 0
	return nil
}

// finish writes what is left and completes the generation, whose texts have a digest.
func (w *writer) finish(texts string) error {
	if err := w.endBlock(); err != nil {
		w.abort()
		return err
	}
	if err := w.endFile(); err != nil {
		w.abort()
		return err
	}
	g := &w.generation
	g.Files, g.Blocks, g.Texts, g.Facts, g.Marks = len(w.files), len(w.blocks), texts, w.facts.String(), w.marks.String()
	return nil
}

// same reports whether the files have the bytes of others.
func (w *writer) same(files []store.File) bool {
	return slices.EqualFunc(w.files, files, func(a, b store.File) bool { return a.SHA256 == b.SHA256 && a.Bytes == b.Bytes })
}

func (w *writer) abort() {
	if w.out != nil {
		w.out.Abort()
	}
}

// hash128 is an xxh3.Hasher with a sum of 128 bits.
type hash128 struct{ *xxh3.Hasher }

func (h hash128) Sum(b []byte) []byte {
	sum := h.Sum128().Bytes()
	return append(b, sum[:]...)
}
