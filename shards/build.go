package shards

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
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
	// spillDir and nextDir lie in the directory of the shards while they are built.
	spillDir = ".spill"
	nextDir  = ".next"
)

// Config says what to build.
type Config struct {
	// Data is the data root.
	Data string
	// Sources names the sources; none means all.
	Sources []string
	// Tokenizer is the name of a tokenizer under the data root.
	Tokenizer string
	// ShardBytes is the size at which a file is ended; it is exceeded by up to one
	// block. 0 means DefaultShardBytes.
	ShardBytes int64
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
	// Skipped means that the shards were there already, Refreshed that only their
	// marks and signals were written anew.
	Skipped   bool  `json:"skipped"`
	Refreshed bool  `json:"refreshed"`
	Rows      int64 `json:"rows"`
	Tokens    int64 `json:"tokens"`
	Blocks    int   `json:"blocks"`
	Files     int   `json:"files"`
	Bytes     int64 `json:"bytes"`
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
// tokenizer, is left as it is; when only its marks are others, or what its documents
// say beside the same texts, the files are written anew from the tokens that are there. The bytes of the files depend on
// the documents, their marks, the tokenizer and ShardBytes only.
func BuildWith(ctx context.Context, cfg Config, tok Tokens) (*Report, error) {
	if cfg.ShardBytes <= 0 {
		cfg.ShardBytes = DefaultShardBytes
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
	rowsKey := store.Key(shardsFormat, tok.Digest, docs.Digest(), cfg.ShardBytes)
	key := store.Key(rowsKey, marksKey)
	cutKeys, err := dedup.SpanKeys(cfg.Data, source)
	if err != nil {
		return SourceReport{}, err
	}
	dir := Dir(cfg.Data, source, tok.Name)
	if _, ok := store.Done(dir, key); ok {
		m, err := ReadManifest(cfg.Data, source, tok.Name)
		if err != nil {
			return SourceReport{}, err
		}
		r := reportOf(m)
		r.Skipped, r.Took = true, time.Since(began)
		return r, nil
	}
	b := &builder{cfg: cfg, tok: tok, source: source, dir: dir, documents: docs.Totals["documents"]}
	m := &Manifest{
		Manifest: store.Manifest{
			Format: shardsFormat,
			Key:    key,
			Inputs: map[string]string{"documents": docs.Digest(), "tokenizer": tok.Digest, "marks": marksKey},
		},
		Source: source, Tokenizer: tok.Name, TokenizerDigest: tok.Digest, RowsKey: rowsKey, MarksKey: marksKey, CutKeys: cutKeys,
	}
	if err := b.run(ctx, m); err != nil {
		return SourceReport{}, err
	}
	if err := writeManifest(dir, m); err != nil {
		return SourceReport{}, err
	}
	if err := store.Sweep(dir, func(name string) bool {
		return name == store.ManifestName || slices.ContainsFunc(m.Files, func(f store.File) bool { return f.Path == name })
	}); err != nil {
		return SourceReport{}, err
	}
	r := reportOf(m)
	r.Refreshed, r.Spilled, r.Took = b.refreshed, b.spilled, time.Since(began)
	cfg.Log.Debug("sharded", "source", source, "rows", r.Rows, "tokens", r.Tokens, "files", r.Files, "runs spilled", r.Spilled)
	return r, nil
}

func reportOf(m *Manifest) SourceReport {
	r := SourceReport{
		Source: m.Source, Rows: m.Rows, Tokens: m.Tokens, Blocks: len(m.Blocks), Files: len(m.Files),
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
	empty     atomic.Int64
	texts     texts
	spilled   int
	refreshed bool
}

// run writes the files that m is to name, from the shards that are there when
// they were made of the same texts by the same tokenizer, else from the documents.
func (b *builder) run(ctx context.Context, m *Manifest) error {
	if err := b.clearSpill(); err != nil {
		return err
	}
	old, err := ReadManifest(b.cfg.Data, b.source, b.tok.Name)
	if err == nil && old.TokenizerDigest == m.TokenizerDigest {
		b.refreshed = true
		err := b.refresh(ctx, old, m)
		var damaged *store.DamagedError
		switch {
		case errors.Is(err, errOtherTexts):
		case errors.As(err, &damaged):
			b.cfg.Log.Warn("building the shards anew, as those that are there are damaged", "source", b.source, "error", err)
		default:
			return err
		}
		b.refreshed = false
		m.Rows, m.Tokens, m.Cut = 0, 0, 0
	}
	// Of a manifest that does not read, or that vouches for files about to be
	// replaced, nothing may be left for a killed build to leave behind.
	if err := withdraw(b.dir); err != nil {
		return err
	}
	return b.build(ctx, m)
}

// build tokenises the documents and lays them down.
func (b *builder) build(ctx context.Context, m *Manifest) (err error) {
	rows, err := extsort.New(filepath.Join(b.dir, spillDir, "rows"), b.cfg.MemoryBytes)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close(), b.clearSpill()) }()
	b.cfg.Meter.Begin("tokenising "+b.source, "documents", b.documents, 0)
	if err := b.tokenise(ctx, rows); err != nil {
		return err
	}
	b.cfg.Meter.Begin("laying down "+b.source, "documents", b.documents, 0)
	w := &writer{dir: b.dir, shardBytes: b.cfg.ShardBytes}
	err = b.lay(ctx, w, m, nil, func(add func(key []byte, add func(marked) error) error) error {
		for rec, err := range rows.All(ctx) {
			if err != nil {
				return err
			}
			if err := add(rec.Key, func(m marked) error { return w.add(rec.Key, rec.Value, m) }); err != nil {
				return err
			}
		}
		return nil
	})
	b.spilled = rows.Spilled()
	m.Totals = map[string]int64{"rows": m.Rows, "tokens": m.Tokens, "empty": b.empty.Load()}
	m.Texts = b.texts.digest()
	return err
}

// lay writes rows, which each calls its argument with in order, joined with their
// marks, and describes the files in m.
// Of the rules for which old, unless it is nil, has the cuts already, none are looked
// for.
func (b *builder) lay(ctx context.Context, w *writer, m, old *Manifest, each func(add func(key []byte, add func(marked) error) error) error) (err error) {
	defer w.abort()
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
	err = each(func(key []byte, add func(marked) error) error {
		rules, err := join.of(key)
		if err != nil {
			return err
		}
		cuts, err := cutJoin.cutsOf(key)
		if err != nil {
			return err
		}
		b.cfg.Meter.Add(1)
		return add(marked{rules, cuts})
	})
	if err != nil {
		return err
	}
	if err := w.finish(); err != nil {
		return err
	}
	m.Files, m.Blocks, m.Cut = w.files, w.blocks, w.cut
	for _, x := range m.Blocks {
		m.Rows += x.Rows
		m.Tokens += x.Tokens
	}
	return nil
}

// tokenise encodes all documents on all workers into the sorter.
func (b *builder) tokenise(ctx context.Context, rows *extsort.Sorter) error {
	type item struct {
		doc    *ingest.Document
		weight int64
	}
	g, ctx := errgroup.WithContext(ctx)
	inFlight := semaphore.NewWeighted(textInFlight)
	queue := make(chan item, 4*b.cfg.Jobs)
	g.Go(func() error {
		defer close(queue)
		for d, err := range ingest.Documents(ctx, b.cfg.Data, b.source) {
			if err != nil {
				return err
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
				if len(s.tokens) == 0 {
					b.empty.Add(1)
				}
				b.texts.add(it.doc.ID, it.doc.Text)
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
