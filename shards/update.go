package shards

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"math"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// errOtherTexts means that the documents are not those that shards were made of.
var errOtherTexts = errors.New("the texts are others")

// update describes in m the shards that old names, as they are to be today: with the
// documents that came, the marks and facts of now, and in another shape. Files that
// stay as they are, by their bytes, keep their names. The error is errOtherTexts when
// texts have changed or are gone.
func (b *builder) update(ctx context.Context, m, old *Manifest) (err error) {
	if _, whole := store.Done(b.dir, old.Key); !whole {
		return &store.DamagedError{Path: b.dir, Detail: "files that its manifest vouches for are missing or of another size"}
	}
	set, err := newSet(b.cfg.Data, old)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, set.Close()) }()
	d := difference{facts: make([]bool, len(old.Generations))}
	if m.Inputs["documents"] != old.Inputs["documents"] {
		if d, err = b.compare(ctx, old, set); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, d.close()) }()
	}
	var fresh *freshFacts
	for _, other := range d.facts {
		if other && fresh == nil {
			if fresh, err = b.readFacts(ctx); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, fresh.close()) }()
		}
	}

	b.resharded = b.shape != old.Shape || b.cfg.Reshard && len(old.Generations) > 1
	var inputs []*cursor
	var one *writer // of all generations, when they become one
	if b.resharded {
		one = b.writer()
	}
	writers := make([]*writer, len(old.Generations)) // of the generations that are written anew
	block := 0
	for i, g := range old.Generations {
		if writers[i] = one; one == nil && (d.facts[i] || m.MarksKey != old.MarksKey) {
			writers[i] = b.writer()
		}
		if w := writers[i]; w != nil {
			b.refreshed = true
			inputs = append(inputs, newCursor(set.rows(ctx, block, block+g.Blocks, func(rule string) bool { return old.cutAs(m.CutKeys, rule) }), w))
		}
		block += g.Blocks
	}
	appended := one
	if d.news != nil {
		rows, err := b.tokenised(ctx, d.n, d.news.All(ctx))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		if appended == nil {
			appended = b.writer()
		}
		b.appended = d.n
		inputs = append(inputs, newCursor(spilledRows(ctx, rows), appended))
	}
	if err := b.lay(ctx, m, old, fresh, inputs); err != nil {
		return err
	}
	if one != nil {
		texts := sum{}
		for _, g := range old.Generations {
			if one, ok := parseSum(g.Texts); ok {
				texts.addSum(one)
			}
		}
		if d.news != nil {
			texts.addSum(xxh3.Uint128{Hi: b.texts.hi, Lo: b.texts.lo})
		}
		if err := one.finish(texts.String()); err != nil {
			return err
		}
		if one.generation.Rows > 0 {
			m.add(one.generation, one.files, one.tails, one.blocks)
		}
		return nil
	}
	file, block := 0, 0
	for i, g := range old.Generations {
		files, tails, blocks := old.Files[file:file+g.Files], old.Tails[file:file+g.Files], make([]BlockInfo, g.Blocks)
		for j, x := range old.Blocks[block : block+g.Blocks] {
			x.File -= file
			blocks[j] = x
		}
		file, block = file+g.Files, block+g.Blocks
		if w := writers[i]; w != nil {
			if err := w.finish(g.Texts); err != nil {
				return err
			}
			if g = w.generation; !w.same(files) {
				files, tails, blocks = w.files, w.tails, w.blocks
			}
		}
		m.add(g, files, tails, blocks)
	}
	if d.news != nil {
		if err := appended.finish(b.texts.String()); err != nil {
			return err
		}
		m.add(appended.generation, appended.files, appended.tails, appended.blocks)
	}
	return nil
}

// difference is what the documents are beside the shards.
type difference struct {
	// facts says of each generation whether something else is said of its documents now.
	facts []bool
	// news holds the numbers of the n documents that no generation has; nil for none.
	news *extsort.Sorter
	n    int64
}

func (d *difference) close() error {
	if d.news == nil {
		return nil
	}
	return d.news.Close()
}

// compare reads the documents and finds which of them are new, and whether what is said
// of the others changed. The error is errOtherTexts when their texts did, or when one
// is gone.
func (b *builder) compare(ctx context.Context, old *Manifest, set *Set) (d difference, err error) {
	if b.documents < old.Rows {
		return d, errOtherTexts
	}
	b.cfg.Meter.Begin("comparing "+b.source, "documents", b.documents, 0)
	sorter, err := extsort.New(filepath.Join(b.dir, spillDir, "documents"), b.cfg.MemoryBytes)
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, sorter.Close()) }()
	var key, value []byte
	n := uint64(0)
	for doc, err := range ingest.Documents(ctx, b.cfg.Data, b.source) {
		if err != nil {
			return d, err
		}
		value = append(value[:0], doc.Text...)
		texts := sumOfOne(doc.ID, value)
		f := factsOf(doc)
		value = appendFacts(value[:0], &f)
		said := sumOfOne(doc.ID, value)
		value = binary.BigEndian.AppendUint64(value[:0], n)
		for _, x := range []uint64{texts.Hi, texts.Lo, said.Hi, said.Lo} {
			value = binary.BigEndian.AppendUint64(value, x)
		}
		key = appendKey(key[:0], doc.ID)
		if err := sorter.Add(key, value); err != nil {
			return d, err
		}
		n++
		b.cfg.Meter.Add(1)
	}
	if d.news, err = extsort.New(filepath.Join(b.dir, spillDir, "news"), max(b.cfg.MemoryBytes/8, 1<<20)); err != nil {
		return d, err
	}
	defer func() {
		if err != nil || d.n == 0 {
			err = errors.Join(err, d.close())
			d.news = nil
		}
	}()
	heads := make([]keyHead, len(old.Generations))
	block := 0
	for i, g := range old.Generations {
		heads[i].next, heads[i].stop = iter.Pull2(set.keys(ctx, block, block+g.Blocks))
		defer heads[i].stop()
		if err := heads[i].advance(); err != nil {
			return d, err
		}
		block += g.Blocks
	}
	texts, said := make([]sum, len(heads)), make([]sum, len(heads))
documents:
	for rec, err := range sorter.All(ctx) {
		if err != nil {
			return d, err
		}
		at := func(i int) xxh3.Uint128 {
			return xxh3.Uint128{Hi: binary.BigEndian.Uint64(rec.Value[i:]), Lo: binary.BigEndian.Uint64(rec.Value[i+8:])}
		}
		for i := range heads {
			if h := &heads[i]; h.more {
				switch c := bytes.Compare(h.key, rec.Key); {
				case c < 0:
					return d, errOtherTexts
				case c == 0:
					texts[i].addSum(at(8))
					said[i].addSum(at(24))
					if err := h.advance(); err != nil {
						return d, err
					}
					continue documents
				}
			}
		}
		d.n++
		if err := d.news.Add(rec.Value[:8], nil); err != nil {
			return d, err
		}
	}
	for i, g := range old.Generations {
		if heads[i].more || texts[i].String() != g.Texts {
			return d, errOtherTexts
		}
		d.facts = append(d.facts, said[i].String() != g.Facts)
	}
	return d, nil
}

// keyHead is the next key of a generation.
type keyHead struct {
	next func() ([]byte, error, bool)
	stop func()
	key  []byte
	more bool
}

func (h *keyHead) advance() (err error) {
	h.key, err, h.more = h.next()
	return err
}

// keys gives the keys of the rows of some blocks.
func (s *Set) keys(ctx context.Context, from, to int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var b Block
		var key []byte
		for i := from; i < to; i++ {
			if err := s.readIDs(ctx, i, &b); err != nil {
				yield(nil, err)
				return
			}
			for _, id := range b.IDs {
				if key = appendKey(key[:0], id); !yield(key, nil) {
					return
				}
			}
		}
	}
}

// everyNumber has every document taken.
func everyNumber() (int64, error) { return -1, nil }

// pullNumbers gives the keys of records as numbers, and after the last one none that
// anything has.
func pullNumbers(list iter.Seq2[extsort.Record, error]) (next func() (int64, error), stop func()) {
	pull, stop := iter.Pull2(list)
	return func() (int64, error) {
		rec, err, more := pull()
		if !more || err != nil {
			return math.MaxInt64, err
		}
		return int64(binary.BigEndian.Uint64(rec.Key)), nil
	}, stop
}

// freshFacts is what the documents say now, in the order of their keys.
type freshFacts struct {
	sorter *extsort.Sorter
	next   func() (extsort.Record, error, bool)
	stop   func()
}

// readFacts reads what is said of the documents.
func (b *builder) readFacts(ctx context.Context) (fresh *freshFacts, err error) {
	b.cfg.Meter.Begin("reading the signals of "+b.source, "documents", b.documents, 0)
	sorter, err := extsort.New(filepath.Join(b.dir, spillDir, "facts"), b.cfg.MemoryBytes)
	if err != nil {
		return nil, err
	}
	var key, value []byte
	for d, err := range ingest.Documents(ctx, b.cfg.Data, b.source) {
		if err == nil {
			f := factsOf(d)
			key, value = appendKey(key[:0], d.ID), appendFacts(value[:0], &f)
			err = sorter.Add(key, value)
		}
		if err != nil {
			return nil, errors.Join(err, sorter.Close())
		}
		b.cfg.Meter.Add(1)
	}
	fresh = &freshFacts{sorter: sorter}
	fresh.next, fresh.stop = iter.Pull2(sorter.All(ctx))
	return fresh, nil
}

// describe tells the next row, which has this key, what the documents say.
func (f *freshFacts) describe(key []byte, r *row) error {
	for {
		rec, err, more := f.next()
		if err != nil {
			return err
		}
		if !more {
			return errOtherTexts
		}
		if !bytes.Equal(rec.Key, key) {
			continue // a document of a generation that stays as it is
		}
		d := decoder{b: rec.Value}
		if r.facts = d.facts(rec.Key); d.bad {
			return errRow
		}
		return nil
	}
}

func (f *freshFacts) close() error {
	f.stop()
	return f.sorter.Close()
}

// clearSpill removes the spill directory with all that a killed build left in it.
func (b *builder) clearSpill() error {
	if err := os.RemoveAll(filepath.Join(b.dir, spillDir)); err != nil {
		return fmt.Errorf("clearing the spill directory: %w", err)
	}
	return nil
}

// unchanged sees to it that the documents are those that m was made of.
func (b *builder) unchanged(m *Manifest) error {
	docs, err := ingest.DocumentsManifest(b.cfg.Data, b.source)
	if err != nil {
		return err
	}
	if docs.Digest() != m.Inputs["documents"] {
		return &store.DamagedError{Path: ingest.DocumentsDir(b.cfg.Data, b.source), Detail: "the documents changed while they were sharded"}
	}
	return nil
}
