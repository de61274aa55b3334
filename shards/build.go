package shards

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/tokenize"
)

const (
	// DefaultShardBytes is the size at which a shard file is ended.
	DefaultShardBytes = 256 << 20
	// DefaultMemoryBytes is what the sort keeps in memory.
	DefaultMemoryBytes = 128 << 20
	// textInFlight bounds the text that is being tokenised, whatever the number of
	// workers; a document larger than it is tokenised alone.
	textInFlight = 32 << 20
	// spillDir lies in the directory of the shards while they are built.
	spillDir = ".spill"
)

// Config says what to build.
type Config struct {
	// Data is the data root.
	Data string
	// Sources names the sources; none means all.
	Sources []string
	// Tokenizer is the name of a tokenizer under the data root.
	Tokenizer string
	// ShardBytes, BlockTokens and Compression are those of Shape. Where they are 0 or ""
	// and the source has shards, they stay as they are; else they are DefaultShardBytes,
	// DefaultBlockTokens and Packed. Shards of another shape are laid anew.
	ShardBytes, BlockTokens int64
	Compression             string
	// Reshard has the rows laid down anew as one generation, as if all documents had
	// been there from the start.
	Reshard bool
	// MemoryBytes bounds the sort's memory. 0 means DefaultMemoryBytes. The result
	// does not depend on it.
	MemoryBytes int64
	// Jobs is the number of goroutines that tokenise. 0 means all cores. The result
	// does not depend on it.
	Jobs  int
	Meter *progress.Meter
	Log   *slog.Logger
}

// Tokens is what the builder needs of a tokenizer. NewEncoder returns an encoder
// for one goroutine; all encoders give the same ids for the same text, and Digest
// changes when any of them would.
type Tokens struct {
	Name       string
	Digest     string
	NewEncoder func() Encoder
}

// Report is what Build did.
type Report struct {
	Tokenizer string         `json:"tokenizer"`
	Sources   []SourceReport `json:"sources"`
}

// SourceReport is what Build did for one source.
type SourceReport struct {
	Source string `json:"source"`
	// Skipped means that the shards were there already, Refreshed that what is said of
	// the documents was written anew, marks and signals, from the tokens that were there,
	// Resharded that the files were laid anew from these.
	Skipped   bool `json:"skipped"`
	Refreshed bool `json:"refreshed"`
	Resharded bool `json:"resharded"`
	// Appended is how many documents were added to those that were there.
	Appended    int64 `json:"appended"`
	Generations int   `json:"generations"`
	Rows        int64 `json:"rows"`
	Tokens      int64 `json:"tokens"`
	Blocks      int   `json:"blocks"`
	Files       int   `json:"files"`
	Bytes       int64 `json:"bytes"`
	// Empty counts the documents without a token, Spilled the runs that the sort
	// wrote to disk.
	Empty   int64 `json:"empty"`
	Spilled int   `json:"spilled"`
	// Digest is that of the files.
	Digest string        `json:"digest"`
	Took   time.Duration `json:"took_ns"`
}

// Build builds the shards of cfg.Sources with the tokenizer of that name under
// the data root, as BuildWith does.
func Build(ctx context.Context, cfg Config) (*Report, error) {
	if err := checkTokenizer(cfg.Tokenizer); err != nil {
		return nil, err
	}
	tok, err := tokenize.Open(filepath.Join(cfg.Data, "tokenizers", cfg.Tokenizer))
	if err != nil {
		return nil, fmt.Errorf("sharding: %w", err)
	}
	return BuildWith(ctx, cfg, Tokens{
		Name: cfg.Tokenizer, Digest: tok.Digest(),
		NewEncoder: func() Encoder { return tok.NewEncoder() },
	})
}

// BuildWith builds the shards of cfg.Sources with the given tokenizer. A source
// whose shards are there already, made from the same documents by the same
// tokenizer, is left as it is. Documents that are new are appended: they alone are
// tokenised and become a generation of their own, and the other files stay. When only
// the marks are others, or what the documents say beside the same texts, files are
// written anew from the tokens that are there. A source of which texts have changed or
// are gone is built anew. The bytes of the files depend on the documents, on which of
// them were there at each build, on the marks, the tokenizer and the shape only. Until
// all of them are there, the shards are those of the last build.
func BuildWith(ctx context.Context, cfg Config, tok Tokens) (*Report, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	if cfg.MemoryBytes <= 0 {
		cfg.MemoryBytes = DefaultMemoryBytes
	}
	if cfg.Jobs <= 0 {
		cfg.Jobs = runtime.GOMAXPROCS(0)
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	sources := cfg.Sources
	if len(sources) == 0 {
		var err error
		if sources, err = ingest.Sources(cfg.Data); err != nil {
			return nil, err
		}
		if len(sources) == 0 {
			return nil, fmt.Errorf("sharding: %s: %w", cfg.Data, ingest.ErrNoSource)
		}
	}
	report := &Report{Tokenizer: tok.Name}
	for _, source := range sources {
		r, err := buildSource(ctx, cfg, tok, source)
		if err != nil {
			return report, fmt.Errorf("sharding source %s: %w", source, err)
		}
		report.Sources = append(report.Sources, r)
	}
	return report, nil
}

// check refuses what cannot be built.
func (c *Config) check() error {
	switch {
	case c.ShardBytes < 0:
		return fmt.Errorf("sharding: no file has %d bytes", c.ShardBytes)
	case c.BlockTokens != 0 && (c.BlockTokens < minBlockTokens || c.BlockTokens > maxBlockTokens):
		return fmt.Errorf("sharding: blocks of %d tokens: between %d and %d are possible", c.BlockTokens, minBlockTokens, maxBlockTokens)
	case c.Compression != "" && !slices.Contains(Compressions(), c.Compression):
		return fmt.Errorf("sharding: there is no compression %q; there are %q", c.Compression, Compressions())
	}
	return nil
}

// shape is the shape that is asked for where old, which may be nil, is there.
func (c *Config) shape(old *Manifest) Shape {
	s := Shape{DefaultShardBytes, DefaultBlockTokens, Packed}
	if old != nil {
		s = old.Shape
	}
	return Shape{cmp.Or(c.ShardBytes, s.ShardBytes), cmp.Or(c.BlockTokens, s.BlockTokens), cmp.Or(c.Compression, s.Compression)}
}

func buildSource(ctx context.Context, cfg Config, tok Tokens, source string) (SourceReport, error) {
	began := time.Now()
	if err := checkNames(source, tok.Name); err != nil {
		return SourceReport{}, err
	}
	docs, err := ingest.DocumentsManifest(cfg.Data, source)
	if err != nil {
		return SourceReport{}, err
	}
	marksKey, err := dedup.MarksKey(cfg.Data, source)
	if err != nil {
		return SourceReport{}, err
	}
	cutKeys, err := dedup.SpanKeys(cfg.Data, source)
	if err != nil {
		return SourceReport{}, err
	}
	dir := Dir(cfg.Data, source, tok.Name)
	old, err := ReadManifest(cfg.Data, source, tok.Name)
	if err != nil {
		// Of a manifest that does not read nothing may be left that vouches for files
		// about to be replaced.
		if err := withdraw(dir); err != nil {
			return SourceReport{}, err
		}
		old = nil
	}
	b := &builder{cfg: cfg, tok: tok, source: source, dir: dir, documents: docs.Totals["documents"], shape: cfg.shape(old), name: freeNames(old)}
	key := store.Key(shardsFormat, tok.Digest, docs.Digest(), b.shape, marksKey)
	if _, ok := store.Done(dir, key); ok && old != nil && !(cfg.Reshard && len(old.Generations) > 1) {
		r := reportOf(old)
		r.Skipped, r.Took = true, time.Since(began)
		return r, nil
	}
	m := &Manifest{
		Manifest: store.Manifest{
			Format: shardsFormat,
			Key:    key,
			Inputs: map[string]string{"documents": docs.Digest(), "tokenizer": tok.Digest, "marks": marksKey},
		},
		Source: source, Tokenizer: tok.Name, TokenizerDigest: tok.Digest, MarksKey: marksKey, CutKeys: cutKeys, Shape: b.shape,
	}
	if old != nil && old.TokenizerDigest != tok.Digest {
		old = nil
	}
	if err := b.run(ctx, m, old); err != nil {
		return SourceReport{}, err
	}
	if err := b.commit(m); err != nil {
		return SourceReport{}, err
	}
	r := reportOf(m)
	r.Refreshed, r.Resharded, r.Appended, r.Spilled, r.Took = b.refreshed, b.resharded, b.appended, b.spilled, time.Since(began)
	cfg.Log.Debug("sharded", "source", source, "rows", r.Rows, "tokens", r.Tokens, "files", r.Files, "generations", r.Generations, "runs spilled", r.Spilled)
	return r, nil
}

// commit has m vouch for the files, and removes those that it does not.
func (b *builder) commit(m *Manifest) error {
	m.describe()
	if m.Inputs[importInput] != "" {
		m.Key = store.Key(m.RowsKey, m.Shape, m.MarksKey)
	} else if err := b.unchanged(m); err != nil {
		return err
	}
	if err := writeManifest(b.dir, m); err != nil {
		return err
	}
	return store.Sweep(b.dir, func(name string) bool {
		return name == store.ManifestName || slices.ContainsFunc(m.Files, func(f store.File) bool { return f.Path == name })
	})
}

func reportOf(m *Manifest) SourceReport {
	r := SourceReport{
		Source: m.Source, Generations: len(m.Generations), Rows: m.Rows, Tokens: m.Tokens, Blocks: len(m.Blocks), Files: len(m.Files),
		Empty: m.Totals["empty"], Digest: m.Digest(),
	}
	for _, f := range m.Files {
		r.Bytes += f.Bytes
	}
	return r
}

// builder builds the shards of one source.
type builder struct {
	cfg       Config
	tok       Tokens
	source    string
	dir       string
	documents int64
	shape     Shape
	name      func() string // of the next file
	texts     sum           // of the documents that were tokenised

	spilled              int
	refreshed, resharded bool
	appended             int64
}

// run writes the files that m is to name, from the rows that old, unless it is nil,
// vouches for, and from the documents that are not among them.
func (b *builder) run(ctx context.Context, m, old *Manifest) (err error) {
	if err := b.clearSpill(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.clearSpill()) }()
	if old != nil {
		err := b.update(ctx, m, old)
		var damaged *store.DamagedError
		switch {
		case errors.Is(err, errOtherTexts):
		case errors.As(err, &damaged):
			b.cfg.Log.Warn("building the shards anew, as those that are there are damaged", "source", b.source, "error", err)
		default:
			return err
		}
		b.refreshed, b.resharded, b.appended = false, false, 0
		if err := b.clearSpill(); err != nil {
			return err
		}
	}
	rows, err := b.tokenised(ctx, b.documents, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	w := b.writer()
	if err := b.lay(ctx, m, nil, nil, []*cursor{newCursor(spilledRows(ctx, rows), w)}); err != nil {
		return err
	}
	if err := w.finish(b.texts.String()); err != nil {
		return err
	}
	if w.generation.Rows > 0 {
		m.add(w.generation, w.files, w.tails, w.blocks)
	}
	return nil
}

// writer returns a writer of one generation.
func (b *builder) writer() *writer { return &writer{dir: b.dir, shape: b.shape, name: b.name} }

// tokenised returns the rows of the documents with the given numbers, n of them, in
// order; of all documents when numbers is nil.
func (b *builder) tokenised(ctx context.Context, n int64, numbers iter.Seq2[extsort.Record, error]) (*extsort.Sorter, error) {
	b.texts = sum{}
	rows, err := extsort.New(filepath.Join(b.dir, spillDir, "rows"), b.cfg.MemoryBytes)
	if err != nil {
		return nil, err
	}
	b.cfg.Meter.Begin("tokenising "+b.source, "documents", n, 0)
	if err := b.tokenise(ctx, rows, numbers); err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	b.spilled = rows.Spilled()
	return rows, nil
}

// tokenise encodes the documents of the given numbers, or all, on all workers into the
// sorter.
func (b *builder) tokenise(ctx context.Context, rows *extsort.Sorter, numbers iter.Seq2[extsort.Record, error]) error {
	type item struct {
		doc    *ingest.Document
		weight int64
	}
	g, ctx := errgroup.WithContext(ctx)
	inFlight := semaphore.NewWeighted(textInFlight)
	queue := make(chan item, 4*b.cfg.Jobs)
	g.Go(func() error {
		defer close(queue)
		wanted, stop := everyNumber, func() {}
		if numbers != nil {
			wanted, stop = pullNumbers(numbers)
		}
		defer stop()
		next, err := wanted()
		n := int64(-1)
		for d, e := range ingest.Documents(ctx, b.cfg.Data, b.source) {
			if err := errors.Join(err, e); err != nil {
				return err
			}
			if n++; next >= 0 && n < next {
				continue
			}
			if next >= 0 {
				if next, err = wanted(); err != nil {
					return err
				}
			}
			// A small document still costs its fields and its place in the queue.
			it := item{d, min(int64(len(d.Text))+1<<10, textInFlight)}
			if err := inFlight.Acquire(ctx, it.weight); err != nil {
				return err
			}
			select {
			case queue <- it:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range b.cfg.Jobs {
		g.Go(func() error {
			enc := b.tok.NewEncoder()
			s := &scratch{sentences: ingest.SentenceEnds}
			for it := range queue {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := tokenise(enc, it.doc.Text, s); err != nil {
					return fmt.Errorf("tokenising document %s (%s, record %d): %w", it.doc.ID, it.doc.File, it.doc.Record, err)
				}
				s.value = append(s.value[:0], it.doc.Text...)
				b.texts.add(it.doc.ID, s.value)
				s.key = appendKey(s.key[:0], it.doc.ID)
				s.value = appendRow(s.value[:0], it.doc, s.tokens, s.ends)
				if err := rows.Add(s.key, s.value); err != nil {
					return err
				}
				if cap(s.value) > 4<<20 {
					s = &scratch{sentences: ingest.SentenceEnds}
				}
				inFlight.Release(it.weight)
				b.cfg.Meter.Add(1)
			}
			return nil
		})
	}
	return g.Wait()
}
