package dedup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// The index of a source for a rule that compares digests holds their records in
// order, so that they need neither be made nor sorted again: a new dump is merged
// with it. It lies beside the documents, in DATA/SOURCE/index/RULE-HASH, with a
// manifest whose key hashes the documents and the version of the rule. The file is
// a run of package extsort; its values lack the two bytes that number the source.
const (
	unitIndexFormat = "tributary/digest-index/1"
	unitIndexFile   = "digests"
	// maxMerged is how many indexes are merged as they are. The records of further
	// ones are sorted again, because each open one takes memory.
	maxMerged = 128
)

func (r *ruleRun) unitIndexDir(source int, version string) string {
	return filepath.Join(r.cfg.Data, r.cfg.Sources[source], "index", r.rule+"-"+store.Key(version)[:8])
}

func (r *ruleRun) unitIndexKey(source int, version string) (string, error) {
	docs, err := ingest.DocumentsManifest(r.cfg.Data, r.cfg.Sources[source])
	if err != nil {
		return "", err
	}
	return store.Key(unitIndexFormat, r.rule, version, docs.Digest()), nil
}

// unitIndex returns the path of a source's index, "" when there is none: a damaged
// one is none.
func (r *ruleRun) unitIndex(source int, version string) (path string, err error) {
	dir := r.unitIndexDir(source, version)
	key, err := r.unitIndexKey(source, version)
	if err != nil {
		return "", err
	}
	m, ok := store.Done(dir, key)
	if !ok || m.Format != unitIndexFormat || len(m.Files) != 1 {
		return "", nil
	}
	if err := m.Verify(dir); err != nil {
		r.cfg.Log.Warn("an index is made again", "rule", r.rule, "source", r.cfg.Sources[source], "cause", err)
		return "", nil
	}
	return filepath.Join(dir, m.Files[0].Path), nil
}

// eachSorted calls f with the records that newVisit's function adds of every
// document, in the order of key and value. Values begin with the document's rank.
// What the indexes of sources hold is not made again; with Config.Index each source
// has one afterwards.
func (r *ruleRun) eachSorted(ctx context.Context, version string, newVisit func(add func(key, value []byte) error) func(int, *ingest.Document) error, f func(extsort.Record) error) (err error) {
	c := r.cfg
	indexes := make([]string, len(c.Sources))
	for i := range c.Sources {
		if indexes[i], err = r.unitIndex(i, version); err != nil {
			return err
		}
		if indexes[i] != "" {
			m, err := ingest.DocumentsManifest(c.Data, c.Sources[i])
			if err != nil {
				return err
			}
			r.report.Reused += m.Totals["documents"]
			c.Meter.Add(m.Totals["documents"])
		} else if c.Index {
			if indexes[i], err = r.makeUnitIndex(ctx, i, version, newVisit); err != nil {
				return err
			}
		}
	}
	sorted, err := extsort.New(filepath.Join(c.spillDir(r.rule), "records"), c.MemoryBytes/4*3)
	if err != nil {
		return err
	}
	defer func() {
		r.report.Spilled += sorted.Spilled()
		err = errors.Join(err, sorted.Close())
	}()
	err = c.eachDocumentOf(ctx, func(source int) bool { return indexes[source] == "" }, func() func(int, *ingest.Document) error {
		return newVisit(sorted.Add)
	})
	if err != nil {
		return err
	}
	m := &merger{}
	defer func() { err = errors.Join(err, m.close()) }()
	for i, path := range indexes {
		if path == "" {
			continue
		}
		s, err := openIndexStream(path, i)
		if err != nil {
			return err
		}
		if len(m.streams) < maxMerged {
			m.streams = append(m.streams, s)
			continue
		}
		for err == nil {
			if err = s.next(); err == nil {
				err = sorted.Add(s.rec.Key, s.rec.Value)
			}
		}
		if err = errors.Join(s.close(), notEOF(err)); err != nil {
			return err
		}
	}
	m.streams = append(m.streams, newSortedStream(sorted.All(ctx)))
	return m.each(ctx, f)
}

func notEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// makeUnitIndex writes the index of one source.
func (r *ruleRun) makeUnitIndex(ctx context.Context, source int, version string, newVisit func(add func(key, value []byte) error) func(int, *ingest.Document) error) (path string, err error) {
	key, err := r.unitIndexKey(source, version)
	if err != nil {
		return "", err
	}
	sorted, err := extsort.New(filepath.Join(r.cfg.spillDir(r.rule), "records"), r.cfg.MemoryBytes/4*3)
	if err != nil {
		return "", err
	}
	defer func() {
		r.report.Spilled += sorted.Spilled()
		err = errors.Join(err, sorted.Close())
	}()
	add := func(key, value []byte) error { return sorted.Add(key, value[2:]) }
	err = r.cfg.eachDocumentOf(ctx, func(s int) bool { return s == source }, func() func(int, *ingest.Document) error { return newVisit(add) })
	if err != nil {
		return "", err
	}
	dir := r.unitIndexDir(source, version)
	path = filepath.Join(dir, unitIndexFile)
	w, err := store.Create(path)
	if err != nil {
		return "", err
	}
	defer w.Abort()
	rows, err := sorted.WriteRun(ctx, w, path)
	if err != nil {
		return "", err
	}
	file, err := w.Commit()
	if err != nil {
		return "", err
	}
	file.Rows = rows
	return path, store.WriteManifest(dir, &store.Manifest{Format: unitIndexFormat, Key: key, Files: []store.File{file}})
}

// stream is one sorted sequence of a merge.
type stream struct {
	rec   extsort.Record
	next  func() error // puts the next record in rec, or returns io.EOF
	close func() error
}

// openIndexStream reads the index of a source.
func openIndexStream(path string, source int) (*stream, error) {
	in, err := extsort.OpenRun(path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil, fmt.Errorf("an index went away while it was used: %w", err)
		}
		return nil, err
	}
	s := &stream{close: in.Close}
	value := []byte{byte(source >> 8), byte(source)}
	s.next = func() error {
		rec, err := in.Next()
		value = append(value[:2], rec.Value...)
		s.rec = extsort.Record{Key: rec.Key, Value: value}
		return err
	}
	return s, nil
}

func newSortedStream(records iter.Seq2[extsort.Record, error]) *stream {
	next, stop := iter.Pull2(records)
	s := &stream{close: func() error { stop(); return nil }}
	s.next = func() error {
		rec, err, ok := next()
		if !ok {
			return io.EOF
		}
		s.rec = rec
		return err
	}
	return s
}

// merger merges sorted streams.
type merger struct{ streams []*stream }

func (m *merger) close() error {
	var errs []error
	for _, s := range m.streams {
		errs = append(errs, s.close())
	}
	return errors.Join(errs...)
}

func compareRecords(a, b extsort.Record) int {
	if c := bytes.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return bytes.Compare(a.Value, b.Value)
}

func (m *merger) each(ctx context.Context, f func(extsort.Record) error) error {
	var live []*stream // a heap
	down := func(i int) {
		for {
			least := i
			for j := 2*i + 1; j <= 2*i+2 && j < len(live); j++ {
				if compareRecords(live[j].rec, live[least].rec) < 0 {
					least = j
				}
			}
			if least == i {
				return
			}
			live[i], live[least] = live[least], live[i]
			i = least
		}
	}
	for _, s := range m.streams {
		switch err := s.next(); {
		case err == nil:
			live = append(live, s)
		case !errors.Is(err, io.EOF):
			return err
		}
	}
	for i := len(live)/2 - 1; i >= 0; i-- {
		down(i)
	}
	for n := 0; len(live) > 0; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := f(live[0].rec); err != nil {
			return err
		}
		switch err := live[0].next(); {
		case errors.Is(err, io.EOF):
			live[0] = live[len(live)-1]
			live = live[:len(live)-1]
		case err != nil:
			return err
		}
		if len(live) > 0 {
			down(0)
		}
	}
	return nil
}
