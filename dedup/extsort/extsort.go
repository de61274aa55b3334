// Package extsort sorts records that do not fit in memory: sorted runs on disk,
// merged. The order of the output depends on the records alone, not on the order
// in which they were added, on how many goroutines added them or on how much
// memory there was.
package extsort

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

const (
	runPrefix  = "run-"
	chunkBytes = 1 << 20
	entryBytes = 24
	minMemory  = 1 << 16
	// maxFanIn bounds the files a merge holds open.
	maxFanIn = 256
	// checkEvery is how many records are merged between looks at the context.
	checkEvery = 1 << 12
)

// Record is one sorted record. Its slices are valid until the next record is
// asked for.
type Record struct{ Key, Value []byte }

// Sorter takes records in any order and gives them back ordered by key, then by
// value, both as bytes. Equal records are all kept.
type Sorter struct {
	dir    string
	memory int64

	mu      sync.Mutex
	chunks  []chunk
	free    []chunk
	entries []entry
	used    int64
	runs    []run
	names   int
	err     error
	sorting bool
}

type chunk []byte

// entry places one record in the chunks. prefix holds the first eight bytes of
// its key, so that most comparisons touch nothing else.
type entry struct {
	prefix     uint64
	chunk, off uint32
	key, value uint32
}

// run is one sorted file. largest is its biggest frame: what a merge must hold
// of it in memory.
type run struct {
	path    string
	largest int64
}

// New returns a sorter that keeps about memory bytes of records in memory and
// the rest in files under dir, which it makes when it needs it. Files that a
// killed sort left in dir are removed. The caller must Close the sorter.
func New(dir string, memory int64) (*Sorter, error) {
	if err := removeRuns(dir); err != nil {
		return nil, err
	}
	return &Sorter{dir: dir, memory: max(memory, minMemory)}, nil
}

// Add copies one record in. It may be called from several goroutines. Keys and
// values are limited to 1 GiB each.
func (s *Sorter) Add(key, value []byte) error {
	const limit = 1 << 30
	if len(key) > limit || len(value) > limit {
		return fmt.Errorf("sorting: a record of %d bytes is larger than the limit of %d", len(key)+len(value), limit)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	if s.sorting {
		return errors.New("sorting: a record was added after the sort began")
	}
	n := len(key) + len(value)
	if s.used > 0 && s.used+int64(n)+entryBytes > s.memory {
		if s.err = s.spill(); s.err != nil {
			return s.err
		}
	}
	last := len(s.chunks) - 1
	if last < 0 || len(s.chunks[last])+n > cap(s.chunks[last]) {
		s.chunks = append(s.chunks, s.newChunk(n))
		last++
	}
	c := s.chunks[last]
	e := entry{prefix: prefixOf(key), chunk: uint32(last), off: uint32(len(c)), key: uint32(len(key)), value: uint32(len(value))}
	s.chunks[last] = append(append(c, key...), value...)
	s.entries = append(s.entries, e)
	s.used += int64(n) + entryBytes
	return nil
}

// newChunk returns an empty chunk with room for n bytes, a used one if it can.
func (s *Sorter) newChunk(n int) chunk {
	if last := len(s.free) - 1; last >= 0 && n <= cap(s.free[last]) {
		c := s.free[last]
		s.free = s.free[:last]
		return c
	}
	return make(chunk, 0, max(n, int(min(chunkBytes, s.memory))))
}

func prefixOf(key []byte) uint64 {
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

func (s *Sorter) record(e entry) Record {
	b := s.chunks[e.chunk][e.off:]
	return Record{b[:e.key:e.key], b[e.key : e.key+e.value : e.key+e.value]}
}

func (s *Sorter) sortEntries() {
	slices.SortFunc(s.entries, func(a, b entry) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return compare(s.record(a), s.record(b))
	})
}

func compare(a, b Record) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return bytes.Compare(a.Value, b.Value)
}

// spill writes what is in memory as one sorted run.
func (s *Sorter) spill() error {
	s.sortEntries()
	w, err := s.newRun()
	if err != nil {
		return err
	}
	defer w.abort()
	for _, e := range s.entries {
		if err := w.add(s.record(e)); err != nil {
			return err
		}
	}
	r, err := w.finish()
	if err != nil {
		return err
	}
	s.runs = append(s.runs, r)
	s.reset()
	return nil
}

// reset empties memory and keeps the chunks of common size for the next run.
func (s *Sorter) reset() {
	for _, c := range s.chunks {
		if cap(c) <= chunkBytes {
			s.free = append(s.free, c[:0])
		}
	}
	s.chunks, s.entries, s.used = s.chunks[:0], s.entries[:0], 0
}

func (s *Sorter) newRun() (*runWriter, error) {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("sorting: making the directory for spilled runs: %w", err)
	}
	s.names++
	return createRun(filepath.Join(s.dir, fmt.Sprintf("%s%06d", runPrefix, s.names)))
}

// Spilled returns the number of runs written to disk so far.
func (s *Sorter) Spilled() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.names
}

// All returns the records in order. It may be ranged over once, after the last
// Add. A spill file that was damaged on disk gives a *store.DamagedError.
func (s *Sorter) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sorting && s.err == nil {
			s.err = errors.New("sorting: the sorted records were asked for twice")
		}
		s.sorting = true
		if s.err != nil {
			yield(Record{}, s.err)
			return
		}
		if len(s.runs) == 0 {
			defer func() { s.chunks, s.free, s.entries = nil, nil, nil }()
			s.sortEntries()
			for i, e := range s.entries {
				if i%checkEvery == 0 && ctx.Err() != nil {
					yield(Record{}, ctx.Err())
					return
				}
				if !yield(s.record(e), nil) {
					return
				}
			}
			return
		}
		if err := s.prepareMerge(ctx); err != nil {
			s.err = err
			yield(Record{}, err)
			return
		}
		for rec, err := range mergeRuns(ctx, s.runs) {
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}

// prepareMerge writes out what is in memory and merges runs into longer ones
// until a last merge of all of them fits in memory.
func (s *Sorter) prepareMerge(ctx context.Context) error {
	if len(s.entries) > 0 {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.chunks, s.free, s.entries = nil, nil, nil
	for {
		n := s.fanIn()
		if n == len(s.runs) {
			return nil
		}
		merged, err := s.mergeInto(ctx, s.runs[:n])
		if err != nil {
			return err
		}
		s.runs = append(s.runs[n:], merged)
	}
}

// fanIn returns how many of the first runs can be merged at once: two at least.
func (s *Sorter) fanIn() int {
	var held int64
	for i, r := range s.runs {
		held += max(r.largest, frameBytes) + readBytes
		if i >= 2 && (held > s.memory || i >= maxFanIn) {
			return i
		}
	}
	return len(s.runs)
}

func (s *Sorter) mergeInto(ctx context.Context, runs []run) (run, error) {
	w, err := s.newRun()
	if err != nil {
		return run{}, err
	}
	defer w.abort()
	for rec, err := range mergeRuns(ctx, runs) {
		if err != nil {
			return run{}, err
		}
		if err := w.add(rec); err != nil {
			return run{}, err
		}
	}
	out, err := w.finish()
	if err != nil {
		return run{}, err
	}
	for _, r := range runs {
		if err := os.Remove(r.path); err != nil {
			return run{}, fmt.Errorf("sorting: removing a merged run: %w", err)
		}
	}
	return out, nil
}

// Close removes the sorter's files. The sorter cannot be used afterwards.
func (s *Sorter) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.chunks, s.free, s.entries, s.runs = nil, nil, nil, nil
	if s.err == nil {
		s.err = errors.New("sorting: the sorter is closed")
	}
	return removeRuns(s.dir)
}

// removeRuns removes the run files of dir, and dir itself when nothing else is
// in it.
func removeRuns(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sorting: clearing spilled runs: %w", err)
	}
	others := false
	for _, e := range entries {
		if e.IsDir() || !strings.HasPrefix(e.Name(), runPrefix) {
			others = true
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("sorting: clearing spilled runs: %w", err)
		}
	}
	if others {
		return nil
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("sorting: clearing spilled runs: %w", err)
	}
	return nil
}
