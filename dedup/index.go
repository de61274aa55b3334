package dedup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// The index of a source holds what signing its documents gave, beside them, so
// that they need not be read for it again: DATA/SOURCE/index/minhash-N-BxR-SEED
// with a manifest whose key hashes the documents and all that the signatures
// depend on. A record is the lengths of a key and a value, as uvarints, then both:
// the key is a document's rank without its source, the value its digest, size and
// bands. Records are in the order of preference.
const (
	indexFormat = "tributary/minhash-index/1"
	indexFile   = "signatures"
	// maxIndexRecord bounds what a damaged file can claim.
	maxIndexRecord = 1 << 20
)

func (m *minHashRun) indexDir(source int) string {
	o := m.opt
	return filepath.Join(m.cfg.Data, m.cfg.Sources[source], "index", fmt.Sprintf("minhash-%d-%dx%d-%d", o.NGram, o.Bands, o.Rows, o.Seed))
}

func (m *minHashRun) indexKey(source int) (string, error) {
	docs, err := ingest.DocumentsManifest(m.cfg.Data, m.cfg.Sources[source])
	if err != nil {
		return "", err
	}
	o := m.opt
	return store.Key(indexFormat, minHashVersion, docs.Digest(), o.NGram, o.Bands, o.Rows, o.Seed), nil
}

// readIndex adds the records of a source's index to ranked. It reports whether
// there is one; one that is damaged or of other documents is none.
func (m *minHashRun) readIndex(ctx context.Context, source int, ranked *extsort.Sorter) (bool, error) {
	dir := m.indexDir(source)
	key, err := m.indexKey(source)
	if err != nil {
		return false, err
	}
	manifest, ok := store.Done(dir, key)
	if !ok || manifest.Format != indexFormat || len(manifest.Files) != 1 {
		return false, nil
	}
	if err := manifest.Verify(dir); err != nil {
		m.cfg.Log.Warn("an index is made again", "source", m.cfg.Sources[source], "cause", err)
		return false, nil
	}
	path := filepath.Join(dir, manifest.Files[0].Path)
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("reading the index: %w", err)
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, 1<<16)
	var buf []byte
	for n := int64(0); ; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return false, ctx.Err()
		}
		a, err := binary.ReadUvarint(in)
		if errors.Is(err, io.EOF) && n == manifest.Files[0].Rows {
			m.run.report.Reused += n
			m.cfg.Meter.Add(n)
			return true, nil
		}
		var b uint64
		if err == nil {
			b, err = binary.ReadUvarint(in)
		}
		if err == nil && (a > maxIndexRecord || b > maxIndexRecord) {
			err = fmt.Errorf("a record of %d bytes", a+b)
		}
		if err == nil {
			buf = append(buf[:0], 0, 0)
			binary.BigEndian.PutUint16(buf, uint16(source))
			buf = append(buf, make([]byte, a+b)...)
			_, err = io.ReadFull(in, buf[2:])
		}
		if err != nil {
			return false, &store.DamagedError{Path: path, Detail: fmt.Sprintf("record %d of %d: %v", n, manifest.Files[0].Rows, err)}
		}
		if err := ranked.Add(buf[:2+a], buf[2+a:]); err != nil {
			return false, err
		}
	}
}

// indexWriter writes the index of one source.
type indexWriter struct {
	dir, key string
	w        *store.Writer
	rows     int64
}

func (m *minHashRun) newIndexWriter(source int) (*indexWriter, error) {
	key, err := m.indexKey(source)
	if err != nil {
		return nil, err
	}
	dir := m.indexDir(source)
	w, err := store.Create(filepath.Join(dir, indexFile))
	if err != nil {
		return nil, err
	}
	return &indexWriter{dir, key, w, 0}, nil
}

func (x *indexWriter) add(key, value []byte) error {
	head := binary.AppendUvarint(nil, uint64(len(key)))
	head = binary.AppendUvarint(head, uint64(len(value)))
	x.rows++
	for _, b := range [][]byte{head, key, value} {
		if _, err := x.w.Write(b); err != nil {
			return err
		}
	}
	return nil
}

func (x *indexWriter) commit() error {
	f, err := x.w.Commit()
	if err != nil {
		return err
	}
	f.Rows = x.rows
	return store.WriteManifest(x.dir, &store.Manifest{Format: indexFormat, Key: x.key, Files: []store.File{f}})
}

// recall finds the longest run of sources, from the first one on, that this rule
// was run over before with nothing else changed. Its documents come before all
// others in the order of preference, so that what was decided of them holds: their
// pairs are not compared again.
func (m *minHashRun) recall(options any) error {
	for n := len(m.cfg.Sources) - 1; n > 0 && m.recalled == 0; n-- {
		before := *m.cfg
		before.Sources = m.cfg.Sources[:n]
		digests, _, err := before.inputs()
		if err != nil {
			return err
		}
		_, key, err := before.ruleKey(RuleMinHash, options, digests)
		if err != nil {
			return err
		}
		for i, s := range before.Sources {
			e, ok := doneRule(before.Data, s, RuleMinHash, key)
			if !ok {
				break
			}
			if i == 0 {
				m.before = MinHashFigures{}
				if err := json.Unmarshal(e.Figures, &m.before); err != nil {
					break
				}
			}
			if i == n-1 {
				m.recalled = n
			}
		}
	}
	return nil
}

// recallDecisions takes the decisions over from the marks of the recalled run. It
// must be called when the documents are numbered and their twins known.
func (m *minHashRun) recallDecisions(ctx context.Context) error {
	if m.recalled == 0 {
		return nil
	}
	name := func(source, id string) xxh3.Uint128 { return xxh3.HashString128(source + "\x00" + id) }
	const unknown = math.MaxUint32
	ranks := map[xxh3.Uint128]uint32{}
	eachNear := func(f func(m *Mark)) error {
		for _, s := range m.cfg.Sources[:m.recalled] {
			for mark, err := range Marks(ctx, m.cfg.Data, s) {
				if err != nil {
					return err
				}
				if mark.Rule == RuleMinHash && mark.Kind == kindNear {
					f(&mark)
				}
			}
		}
		return nil
	}
	err := eachNear(func(k *Mark) {
		ranks[name(k.Source, k.ID)], ranks[name(k.KeptSource, k.Kept)] = unknown, unknown
	})
	if err != nil {
		return err
	}
	var buf []byte
	for i := range uint32(m.docs.n) {
		var d docRecord
		if d, buf, err = m.doc(i, buf); err != nil {
			return err
		}
		if d.source >= m.recalled {
			break
		}
		m.old = i + 1
		n := name(m.cfg.Sources[d.source], string(bytes.Clone(d.id)))
		if r, ok := ranks[n]; ok && r == unknown {
			ranks[n] = i
		} else if ok {
			// One id twice: the marks do not say which.
			m.old, m.recalled = 0, 0
			return nil
		}
	}
	broken := false
	err = eachNear(func(k *Mark) {
		d := decision{ranks[name(k.Source, k.ID)], ranks[name(k.KeptSource, k.Kept)], k.Score}
		switch {
		case d.doc == unknown || d.kept == unknown:
			broken = true
		case !m.twins.has(d.doc):
			m.decisions = append(m.decisions, d)
		}
	})
	if err != nil {
		return err
	}
	if broken {
		m.old, m.recalled, m.decisions = 0, 0, nil
		return nil
	}
	sortDecisions(m.decisions)
	for _, d := range m.decisions {
		m.removed.add(d.doc)
	}
	f, b := &m.figures, &m.before
	f.Pairs, f.Compared, f.Similar, f.BelowThreshold = b.Pairs, b.Compared, b.Similar, b.BelowThreshold
	f.BySimilarity = b.BySimilarity
	return nil
}
