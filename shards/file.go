package shards

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/store"
)

// maxPooled bounds the buffers that are kept for the next block.
const maxPooled = 16 << 20

// ReplacedError says that a file of shards changed while it was open.
type ReplacedError struct{ Source, Path string }

func (e *ReplacedError) Error() string {
	return fmt.Sprintf("%s was replaced or changed while it was being read: the shards of %s were built again under their reader; start what reads them again", e.Path, e.Source)
}

// shardFile is one open file. refs counts the reads under way.
type shardFile struct {
	mu       sync.Mutex
	refs     int
	used     int64
	f        *os.File
	pq       *parquet.File
	held     *held
	cols     columns
	modified time.Time
	release  func() // nil or what lets the fetcher have the file back
}

// columns holds the indices of the leaf columns that ReadBlock reads.
type columns struct{ id, tokens, ends, length int }

func (f *shardFile) close() {
	if f.f != nil {
		_ = f.f.Close() // it was only read
		f.f, f.pq, f.held = nil, nil, nil
	}
	if f.release != nil {
		f.release()
		f.release = nil
	}
}

// open opens file i and verifies its tail, or finds that it still is the one that was
// opened. Other callers wait meanwhile.
func (f *shardFile) open(ctx context.Context, m *Manifest, dir string, i int, fetcher Fetcher, idle func()) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	want := m.Files[i]
	if fetcher != nil && f.pq != nil {
		return nil // the fetcher keeps it, and an open file cannot be replaced under its reader
	}
	if fetcher != nil {
		release, err := fetcher.Fetch(ctx, dir, want, false, idle)
		if err == nil && store.VerifyFile(dir, want) != nil {
			// What an earlier run left, or another one's half, is brought anew.
			release()
			release, err = fetcher.Fetch(ctx, dir, want, true, idle)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w (%w)", &MissingError{Source: m.Source, Path: want.Path}, err)
		}
		if err != nil {
			return err
		}
		f.release = release
	}
	path := filepath.Join(dir, filepath.FromSlash(want.Path))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && f.pq != nil:
		return &ReplacedError{m.Source, path}
	case errors.Is(err, fs.ErrNotExist):
		return &MissingError{m.Source, path}
	case err != nil:
		return fmt.Errorf("opening a shard: %w", err)
	}
	if f.pq != nil {
		if info.Size() != want.Bytes || !info.ModTime().Equal(f.modified) {
			return &ReplacedError{m.Source, path}
		}
		return nil
	}
	if info.Size() != want.Bytes {
		return &store.DamagedError{Path: path, Detail: fmt.Sprintf("it has %d bytes, its manifest says %d", info.Size(), want.Bytes)}
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("opening a shard: %w", err)
	}
	tail, err := readExtent(file, path, m.Tails[i], nil)
	if err != nil {
		return errors.Join(err, file.Close())
	}
	h := &held{tail: region{m.Tails[i].Offset, tail}}
	err = guard(path, func() error {
		pq, err := parquet.OpenFile(h, want.Bytes, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err != nil {
			return err
		}
		cols, err := findColumns(pq.Schema())
		if err != nil {
			return err
		}
		f.pq, f.cols = pq, cols
		return nil
	})
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.f, f.held, f.modified = file, h, info.ModTime()
	return nil
}

// readExtent reads a run of bytes into buf, grown, and compares its checksum.
func readExtent(f *os.File, path string, e Extent, buf []byte) ([]byte, error) {
	if int64(cap(buf)) < e.Bytes {
		buf = make([]byte, e.Bytes)
	}
	buf = buf[:e.Bytes]
	if _, err := f.ReadAt(buf, e.Offset); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, &store.DamagedError{Path: path, Detail: fmt.Sprintf("it ends before byte %d", e.Offset+e.Bytes)}
		}
		return nil, fmt.Errorf("reading bytes %d to %d of %s: %w", e.Offset, e.Offset+e.Bytes, path, err)
	}
	if got := sumOf(buf); got != e.Sum {
		return nil, &store.DamagedError{Path: path, Detail: fmt.Sprintf("the checksum of its bytes %d to %d is %s, its manifest says %s", e.Offset, e.Offset+e.Bytes, got, e.Sum)}
	}
	return buf, nil
}

// region is verified bytes of a file.
type region struct {
	at    int64
	bytes []byte
}

func (r region) has(off int64, n int) bool {
	return off >= r.at && off-r.at <= int64(len(r.bytes))-int64(n)
}

// held gives the Parquet library those bytes of a file that were verified, and no
// others.
type held struct {
	tail region

	mu     sync.RWMutex
	blocks []region // that are being read
}

// ReadAt implements io.ReaderAt.
func (h *held) ReadAt(p []byte, off int64) (int, error) {
	if h.tail.has(off, len(p)) {
		return copy(p, h.tail.bytes[off-h.tail.at:]), nil
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	for _, r := range h.blocks {
		if r.has(off, len(p)) {
			return copy(p, r.bytes[off-r.at:]), nil
		}
	}
	// A reader that reads ahead may ask for more than there is.
	for _, r := range append(h.blocks[:len(h.blocks):len(h.blocks)], h.tail) {
		if r.has(off, 0) {
			return copy(p, r.bytes[off-r.at:]), io.EOF
		}
	}
	return 0, fmt.Errorf("byte %d lies in no block that is being read", off)
}

func (h *held) hold(r region) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocks = append(h.blocks, r)
}

func (h *held) drop(r region) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.IndexFunc(h.blocks, func(x region) bool { return &x.bytes[0] == &r.bytes[0] }); i >= 0 {
		h.blocks = slices.Delete(h.blocks, i, i+1)
	}
}

// view is a block whose bytes are in memory and verified.
type view struct {
	info  BlockInfo
	raw   []byte
	file  *shardFile
	group parquet.RowGroup
	chunk []parquet.ColumnChunk
	// meta is the row group's index in the file.
	index int
}

// withBlock calls use with block i. there is false when it belongs to a file that may
// be missing, and is. Errors and panics of use name the file.
func (s *Set) withBlock(ctx context.Context, i int, use func(*view) error) (there bool, err error) {
	if i < 0 || i >= s.Blocks() {
		return false, fmt.Errorf("reading block %d of %s: it has %d blocks", i, s.dir, s.Blocks())
	}
	if err := ctx.Err(); err != nil {
		return false, err
	}
	info := s.manifest.Blocks[i]
	if slices.Contains(s.missing, info.File) {
		return false, nil
	}
	f, err := s.acquire(ctx, info.File)
	if err != nil {
		return false, err
	}
	defer s.release(f)
	path := filepath.Join(s.dir, filepath.FromSlash(s.manifest.Files[info.File].Path))
	buf, _ := s.buffers.Get().(*[]byte)
	if buf == nil {
		buf = new([]byte)
	}
	raw, err := readExtent(f.f, path, info.Extent, *buf)
	if err != nil {
		return false, err
	}
	r := region{info.Offset, raw}
	f.held.hold(r)
	defer func() {
		f.held.drop(r)
		if cap(raw) <= maxPooled {
			*buf = raw
			s.buffers.Put(buf)
		}
	}()
	return true, guard(path, func() error {
		v := &view{info: info, raw: raw, file: f, index: i - s.first[info.File]}
		groups := f.pq.RowGroups()
		if v.index >= len(groups) || groups[v.index].NumRows() != info.Rows {
			return fmt.Errorf("its row group %d is not the block that its manifest lists", v.index)
		}
		v.group = groups[v.index]
		v.chunk = v.group.ColumnChunks()
		return use(v)
	})
}

func findColumns(schema *parquet.Schema) (columns, error) {
	var c columns
	for _, want := range []struct {
		at         *int
		repetition int
		kind       parquet.Kind
		path       []string
	}{
		{&c.id, 0, parquet.ByteArray, []string{"id"}},
		{&c.tokens, 1, parquet.Int32, []string{"tokens", "list", "element"}},
		{&c.ends, 1, parquet.Int32, []string{"sentence_ends", "list", "element"}},
		{&c.length, 0, parquet.Int32, []string{"length"}},
	} {
		leaf, ok := schema.Lookup(want.path...)
		if !ok || leaf.Node.Type().Kind() != want.kind || leaf.MaxRepetitionLevel != want.repetition || leaf.MaxDefinitionLevel != want.repetition {
			return c, fmt.Errorf("it has no column %v of the kind that shards have", want.path)
		}
		*want.at = leaf.ColumnIndex
	}
	return c, nil
}
