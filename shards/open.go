package shards

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/store"
)

// maxOpenFiles bounds the shard files a Set holds open when none is being read.
const maxOpenFiles = 16

// Set is the shards of one source for one tokenizer, open for reading. Its
// methods may be called from several goroutines.
type Set struct {
	dir      string
	manifest *Manifest
	marksKey string
	// first holds the first block of each file, and one past the last.
	first []int
	// marked holds the ids of the documents that marks cover whole, ascending.
	marked [][16]byte
	// cutRules are the rules whose current marks the column of cuts shows; cuts holds
	// those of the others, for the documents that have some.
	cutRules map[string]bool
	cuts     map[[16]byte][]Cut
	// missing are the files that are not there, by their index.
	missing []int
	fetcher Fetcher

	mu    sync.Mutex
	files map[int]*shardFile
	clock int64

	buffers sync.Pool // of *[]byte, for blocks
}

// Fetcher brings shard files to where a Set reads them.
type Fetcher interface {
	// Fetch sees to it that a file of a directory is there, and brings it anew when
	// again is true, because the one that is there is not the one that is wanted. It
	// stays until release is called. idle is called when room is wanted: the file's
	// reader may release it, if it is not reading.
	Fetch(ctx context.Context, dir string, want store.File, again bool, idle func()) (release func(), err error)
	// Exists reports whether a file of a directory can be fetched.
	Exists(ctx context.Context, dir string, want store.File) (bool, error)
}

// OpenOptions say how a Set finds its files.
type OpenOptions struct {
	// Fetcher brings files that are not there; nil means that all must be.
	Fetcher Fetcher
	// AllowMissing has the documents of missing files left out; without it a missing
	// file is a *MissingError.
	AllowMissing bool
	// Lineages holds, for sources of which not what there is today is wanted, that of what
	// is (see Lineage): documents that were appended since are left out. When there is more
	// of a difference the error is a *ChangedError.
	Lineages map[string]string
}

// MissingError says that a file of shards is not there.
type MissingError struct{ Source, Path string }

func (e *MissingError) Error() string {
	return fmt.Sprintf("the shard %s of %s is missing: bring it back, build it again with 'corpus shard %s', or do without its documents with --allow-missing", e.Path, e.Source, e.Source)
}

// Missing returns the names of the files that are not there, whose documents are left
// out.
func (s *Set) Missing() []string {
	var names []string
	for _, i := range s.missing {
		names = append(names, s.manifest.Files[i].Path)
	}
	return names
}

// Block is a block's documents, end to end. Its slices are reused by the next
// ReadBlock into it, its strings are not.
type Block struct {
	// IDs holds the documents' ids. Length rows.
	IDs []string
	// Tokens holds the tokens of all documents.
	Tokens []int32
	// DocBounds bounds the documents: document i is
	// Tokens[DocBounds[i]:DocBounds[i+1]]. Length rows+1.
	DocBounds []int32
	// SentenceEnds holds the ends of the sentences of all documents, as token
	// offsets in their own document; those of document i are
	// SentenceEnds[SentenceBounds[i]:SentenceBounds[i+1]]. An empty document has
	// none, any other's last one is its length.
	SentenceEnds []int32
	// SentenceBounds has length rows+1.
	SentenceBounds []int32
	// Keep is false for documents that a mark covers whole. Length rows.
	Keep []bool
	// Gaps says where tokens were cut from documents, by the row of those that lost
	// any.
	Gaps map[int][]Gap

	text []byte
}

// reset makes a block of no documents.
func (b *Block) reset() {
	b.IDs, b.Tokens, b.SentenceEnds, b.Keep = b.IDs[:0], b.Tokens[:0], b.SentenceEnds[:0], b.Keep[:0]
	b.DocBounds, b.SentenceBounds = append(b.DocBounds[:0], 0), append(b.SentenceBounds[:0], 0)
	clear(b.Gaps)
}

// Rows returns the number of documents.
func (b *Block) Rows() int { return len(b.IDs) }

// Open opens the shards of a source for a tokenizer and reads the source's
// current marks. The files are read, and compared with their checksums, when
// blocks of them are asked for. The error is ErrNoShards when there are none.
func Open(ctx context.Context, dataDir, source, tokenizer string) (*Set, error) {
	return OpenWith(ctx, dataDir, source, tokenizer, OpenOptions{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, dataDir, source, tokenizer string, o OpenOptions) (*Set, error) {
	m, err := ReadManifest(dataDir, source, tokenizer)
	if err != nil {
		return nil, err
	}
	marksKey, err := dedup.MarksKey(dataDir, source)
	if err != nil {
		return nil, err
	}
	if lineage := o.Lineages[source]; lineage != "" {
		if m, err = m.began(lineage, marksKey); err != nil {
			return nil, err
		}
	}
	s, err := newSet(dataDir, m)
	if err != nil {
		return nil, err
	}
	s.fetcher, s.marksKey = o.Fetcher, marksKey
	if s.fetcher == nil || o.AllowMissing {
		if err := s.findMissing(ctx, o.AllowMissing); err != nil {
			return nil, err
		}
	}
	for mark, err := range dedup.Marks(ctx, dataDir, source) {
		if err != nil {
			return nil, fmt.Errorf("opening the shards of %s: %w", source, err)
		}
		if mark.Whole() {
			s.marked = append(s.marked, hashID(mark.ID))
		}
	}
	keys, err := dedup.SpanKeys(dataDir, source)
	if err != nil {
		return nil, fmt.Errorf("opening the shards of %s: %w", source, err)
	}
	s.cutRules = map[string]bool{}
	fresh := map[string]string{}
	for rule, key := range keys {
		if m.cutAs(keys, rule) {
			s.cutRules[rule] = m.Cut > 0
		} else {
			fresh[rule] = key
		}
	}
	if len(fresh) > 0 {
		if err := s.findCuts(ctx, dataDir, fresh); err != nil {
			return nil, fmt.Errorf("opening the shards of %s: %w", source, err)
		}
	}
	slices.SortFunc(s.marked, compareIDs)
	s.marked = slices.Clip(slices.Compact(s.marked))
	return s, nil
}

// findMissing looks for files that are not there.
func (s *Set) findMissing(ctx context.Context, allow bool) error {
	for i, f := range s.manifest.Files {
		path := filepath.Join(s.dir, filepath.FromSlash(f.Path))
		there := true
		var err error
		if s.fetcher != nil {
			there, err = s.fetcher.Exists(ctx, s.dir, f)
		} else if _, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			there, err = false, nil
		}
		switch {
		case err != nil:
			return fmt.Errorf("looking for the shards of %s: %w", s.manifest.Source, err)
		case !there && allow:
			s.missing = append(s.missing, i)
		case !there:
			return &MissingError{Source: s.manifest.Source, Path: path}
		}
	}
	return nil
}

// newSet returns the set that m describes, without marks.
func newSet(dataDir string, m *Manifest) (*Set, error) {
	if err := checkNames(m.Source, m.Tokenizer); err != nil {
		return nil, err
	}
	s := &Set{dir: Dir(dataDir, m.Source, m.Tokenizer), manifest: m, files: map[int]*shardFile{}}
	for i, b := range m.Blocks {
		for len(s.first) <= b.File {
			s.first = append(s.first, i)
		}
	}
	s.first = append(s.first, len(m.Blocks))
	return s, nil
}

func hashID(id string) [16]byte { return xxh3.HashString128(id).Bytes() }

func compareIDs(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) }

// Blocks returns the number of blocks.
func (s *Set) Blocks() int { return len(s.manifest.Blocks) }

// BlockInfo returns the extent of block i.
func (s *Set) BlockInfo(i int) BlockInfo { return s.manifest.Blocks[i] }

// Manifest returns the manifest, which must not be changed.
func (s *Set) Manifest() *Manifest { return s.manifest }

// Marked returns how many documents the marks cover whole. Documents that were
// marked and are no longer among the shards count as well.
func (s *Set) Marked() int { return len(s.marked) }

// Digest is the hash of everything ReadBlock gives: rows and marks.
func (s *Set) Digest() string {
	if len(s.missing) > 0 {
		return store.Key(s.manifest.Digest(), s.marksKey, s.missing)
	}
	return store.Key(s.manifest.Digest(), s.marksKey)
}

// ReadBlock reads block i into b, without the tokens that marks of any rule cover. A
// block whose bytes are not those its manifest vouches for gives a
// *store.DamagedError, before anything of it is used.
func (s *Set) ReadBlock(ctx context.Context, i int, b *Block) error {
	return s.ReadBlockCut(ctx, i, b, func(string) bool { return true })
}

// ReadBlockCut is ReadBlock without the tokens that marks of the wanted rules cover.
func (s *Set) ReadBlockCut(ctx context.Context, i int, b *Block, wanted func(rule string) bool) error {
	return s.read(ctx, i, b, wanted, true)
}

// ReadOutline is ReadBlockCut, but that it leaves b.Tokens empty. It is what counting
// windows and evaluating predicates takes, and reads much less.
func (s *Set) ReadOutline(ctx context.Context, i int, b *Block, wanted func(rule string) bool) error {
	return s.read(ctx, i, b, wanted, false)
}

func (s *Set) read(ctx context.Context, i int, b *Block, wanted func(rule string) bool, tokens bool) error {
	there, err := s.withBlock(ctx, i, func(v *view) error {
		if err := v.readBlock(b, tokens); err != nil {
			return err
		}
		b.Keep = b.Keep[:0]
		for _, id := range b.IDs {
			_, marked := slices.BinarySearchFunc(s.marked, hashID(id), compareIDs)
			b.Keep = append(b.Keep, !marked)
		}
		if len(s.cutRules) == 0 && s.cuts == nil {
			clear(b.Gaps)
			return nil
		}
		rows := make([]cutRow, b.Rows())
		if len(s.cutRules) > 0 && s.manifest.Cut > 0 {
			var err error
			if rows, err = readCuts(v.group, b.Rows()); err != nil {
				return err
			}
		}
		return b.cut(func(row int) []Cut {
			cuts := slices.DeleteFunc(rows[row].Cuts, func(c Cut) bool { return !s.cutRules[c.Rule] })
			return append(cuts, s.cuts[hashID(b.IDs[row])]...)
		}, wanted)
	})
	if !there && err == nil {
		b.reset()
	}
	return err
}

// acquire returns file i, verified and open.
func (s *Set) acquire(ctx context.Context, i int) (*shardFile, error) {
	s.mu.Lock()
	f := s.files[i]
	if f == nil {
		f = new(shardFile)
		s.files[i] = f
	}
	f.refs++
	s.clock++
	f.used = s.clock
	s.mu.Unlock()
	idle := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if x := s.files[i]; x != nil && x.refs == 0 {
			x.close()
			delete(s.files, i)
		}
	}
	if err := f.open(ctx, s.manifest, s.dir, i, s.fetcher, idle); err != nil {
		s.release(f)
		return nil, err
	}
	return f, nil
}

// release ends a read and closes the file that was not used for longest when too
// many are open.
func (s *Set) release(f *shardFile) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.refs--
	for len(s.files) > maxOpenFiles {
		oldest := -1
		for i, x := range s.files {
			if x.refs == 0 && (oldest < 0 || x.used < s.files[oldest].used) {
				oldest = i
			}
		}
		if oldest < 0 {
			return
		}
		s.files[oldest].close()
		delete(s.files, oldest)
	}
}

// Close closes the files. Reads that are under way must have ended.
func (s *Set) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.files {
		f.close()
	}
	clear(s.files)
	return nil
}

// guard turns what the Parquet library makes of a damaged file, errors and
// panics both, into a *store.DamagedError that names it.
func guard(path string, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &store.DamagedError{Path: path, Detail: fmt.Sprint(p)}
		}
	}()
	if err := f(); err != nil {
		return &store.DamagedError{Path: path, Detail: err.Error()}
	}
	return nil
}
