package dedup

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
)

// RuleMinHash is the name of MinHash's rule. Its marks have the kind "same words"
// when the two documents have the same words in the same order, else "near".
const RuleMinHash = "minhash"

// MinHash marks documents that are near-duplicates of another one. MinHash-LSH
// (Broder 1997; Leskovec, Rajaraman and Ullman, section 3.4) only nominates
// pairs; a document is marked when its Jaccard similarity with a document that
// itself stays (or its containment in it), computed from both sets of shingles, is
// at least the threshold.
// There is no transitive closure: a mark names the document it was compared with.
//
// Documents are decided in the order in which Exact prefers them, so that the
// marks depend on the documents, the order of the sources and the options only.
// Of the nominations of one bucket the first Anchors count. Besides MemoryBytes
// it holds about two bytes a document and, for each that is nominated, eight.
func MinHash(ctx context.Context, cfg Config, opt MinHashOptions) (*Report, error) {
	report, err := minHash(ctx, cfg, opt)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", RuleMinHash, err)
	}
	return report, nil
}

// minHashVersion is part of the rule's key: a change of the words or of the
// signatures raises it.
const minHashVersion = "minhash/2"

func minHash(ctx context.Context, cfg Config, opt MinHashOptions) (_ *Report, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if err := opt.check(); err != nil {
		return nil, err
	}
	options := struct {
		Version string `json:"version"`
		MinHashOptions
	}{minHashVersion, opt}
	run, done, err := cfg.beginRule(RuleMinHash, options)
	if err != nil || done != nil {
		return done, err
	}
	m := &minHashRun{run: run, cfg: &cfg, opt: opt, dir: cfg.spillDir(RuleMinHash)}
	m.figures.MinHashOptions = opt
	defer func() { err = errors.Join(err, m.close(), run.close()) }()
	if err := m.recall(options); err != nil {
		return nil, err
	}
	for _, step := range []func(context.Context) error{m.sign, m.findTwins, m.recallDecisions, m.nominate, m.fetchSets, m.verify, m.clusters} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	if run.report.Figures, err = json.Marshal(m.figures); err != nil {
		return nil, fmt.Errorf("encoding the figures: %w", err)
	}
	return run.finish(ctx)
}

// minHashRun is the state that the steps hand on. Documents are numbered in the
// order of preference.
type minHashRun struct {
	run *ruleRun
	cfg *Config
	opt MinHashOptions
	dir string

	figures MinHashFigures
	closers []func() error

	docs    *table // by number: docRecord
	twins   *bitset
	twinOf  *extsort.Sorter // number of a twin -> number of the document it repeats
	pairs   *table          // a nominated document's number, then its candidates'
	nominee *bitset
	sets    *table // by place in nominee: the set of shingles
	removed *bitset
	// decisions holds the documents marked after a comparison, ascending.
	decisions []decision
	kept      *extsort.Sorter // the document kept, once for each mark

	// recalled is how many of the sources were decided by an earlier run, whose
	// figures are before; old is the number of their documents.
	recalled int
	before   MinHashFigures
	old      uint32
}

type decision struct {
	doc, kept uint32
	score     float64
}

func (m *minHashRun) sorter(name string, memory int64) (*extsort.Sorter, error) {
	s, err := extsort.New(filepath.Join(m.dir, name), memory)
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, func() error {
		m.run.report.Spilled += s.Spilled()
		return s.Close()
	})
	return s, nil
}

func (m *minHashRun) table(name string) (*table, error) {
	t, err := newTable(filepath.Join(m.dir, name))
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, t.close)
	return t, nil
}

func (m *minHashRun) close() error {
	var errs []error
	for _, c := range slices.Backward(m.closers) {
		errs = append(errs, c())
	}
	m.closers = nil
	return errors.Join(errs...)
}

// sign computes the signatures of all documents and numbers the documents.
func (m *minHashRun) sign(ctx context.Context) error {
	ranked, err := m.sorter("ranked", m.cfg.MemoryBytes/2)
	if err != nil {
		return err
	}
	indexed := make([]bool, len(m.cfg.Sources))
	for i := range indexed {
		if indexed[i], err = m.readIndex(ctx, i, ranked); err != nil {
			return err
		}
	}
	perms := newPermutations(m.opt.Bands*m.opt.Rows, m.opt.Seed)
	err = m.cfg.eachDocumentOf(ctx, func(source int) bool { return !indexed[source] }, func() func(int, *ingest.Document) error {
		s := newShingler(m.opt.NGram)
		s.segment = true
		chunk := make([]uint64, 0, 1<<10)
		sig := make([]uint32, len(perms.a))
		var bands []uint64
		var key, value []byte
		return func(source int, d *ingest.Document) error {
			s.hashWords(d.Text)
			digest := s.digest()
			if key = appendRank(key[:0], source, d); len(key) > math.MaxUint16 {
				return fmt.Errorf("its id of %d bytes is too long", len(d.ID))
			}
			value = append(value[:0], digest[:]...)
			value = binary.LittleEndian.AppendUint64(value, uint64(len(d.Text)))
			if len(s.words) > 0 {
				resetSignature(sig)
				s.each(chunk, func(c []uint64) { perms.update(sig, c) })
				bands = bandHashes(bands[:0], sig, m.opt.Bands, m.opt.Rows)
				for _, b := range bands {
					value = binary.LittleEndian.AppendUint64(value, b)
				}
			}
			return ranked.Add(key, value)
		}
	})
	if err != nil {
		return err
	}
	if m.docs, err = m.table("documents"); err != nil {
		return err
	}
	var rec []byte
	var index *indexWriter
	defer func() {
		if index != nil {
			index.w.Abort()
		}
	}()
	last := -1
	for r, err := range ranked.All(ctx) {
		if err != nil {
			return err
		}
		if source := int(binary.BigEndian.Uint16(r.Key)); source != last && m.cfg.Index {
			if index != nil {
				if err := index.commit(); err != nil {
					return err
				}
			}
			if index = nil; !indexed[source] {
				if index, err = m.newIndexWriter(source); err != nil {
					return err
				}
			}
			last = source
		}
		if index != nil {
			if err := index.add(r.Key[2:], r.Value); err != nil {
				return err
			}
		}
		rec = binary.LittleEndian.AppendUint16(rec[:0], uint16(len(r.Key)))
		rec = append(append(rec, r.Key...), r.Value...)
		if err := m.docs.append(rec); err != nil {
			return err
		}
		if m.docs.n > math.MaxUint32 {
			return fmt.Errorf("more than %d documents", uint32(math.MaxUint32))
		}
	}
	if index != nil {
		if err := index.commit(); err != nil {
			return err
		}
	}
	return m.docs.seal()
}

// docRecord is what the table of documents holds of one.
type docRecord struct {
	rank   []byte
	source int
	id     []byte
	digest []byte
	bytes  int64
	bands  []byte // eight bytes a band; none for a document without words
}

func parseDoc(b []byte) (docRecord, error) {
	if len(b) < 2 {
		return docRecord{}, errSpilled
	}
	n := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	if n < 11 || len(b) < n+24 {
		return docRecord{}, errSpilled
	}
	d := docRecord{rank: b[:n], source: int(binary.BigEndian.Uint16(b)), id: b[10 : n-1]}
	b = b[n:]
	d.digest, d.bytes, d.bands = b[:16], int64(binary.LittleEndian.Uint64(b[16:])), b[24:]
	return d, nil
}

func (m *minHashRun) doc(i uint32, buf []byte) (docRecord, []byte, error) {
	b, err := m.docs.get(int(i), buf)
	if err != nil {
		return docRecord{}, buf, err
	}
	d, err := parseDoc(b)
	return d, b, err
}

// findTwins finds the documents of the same words: of each such group only the
// first takes part in what follows.
func (m *minHashRun) findTwins(ctx context.Context) error {
	digests, err := m.sorter("digests", m.cfg.MemoryBytes/4)
	if err != nil {
		return err
	}
	m.twins, m.removed = newBitset(m.docs.n), newBitset(m.docs.n)
	if m.twinOf, err = m.sorter("twins", m.cfg.MemoryBytes/8); err != nil {
		return err
	}
	var buf []byte
	for i := range uint32(m.docs.n) {
		var d docRecord
		if d, buf, err = m.doc(i, buf); err != nil {
			return err
		}
		m.run.report.Sources[d.source].Documents++
		if len(d.bands) == 0 {
			m.figures.Wordless++
			continue
		}
		if err := digests.Add(d.digest, binary.BigEndian.AppendUint32(nil, i)); err != nil {
			return err
		}
	}
	var group []byte
	var first []byte
	for r, err := range digests.All(ctx) {
		if err != nil {
			return err
		}
		if !bytes.Equal(group, r.Key) {
			group, first = append(group[:0], r.Key...), append(first[:0], r.Value...)
			continue
		}
		m.twins.add(binary.BigEndian.Uint32(r.Value))
		m.figures.SameWords++
		if err := m.twinOf.Add(r.Value, first); err != nil {
			return err
		}
	}
	return nil
}

// nominate finds the pairs of documents that share a band.
func (m *minHashRun) nominate(ctx context.Context) error {
	buckets, err := m.sorter("buckets", m.cfg.MemoryBytes/4)
	if err != nil {
		return err
	}
	pairs, err := m.sorter("pairs", m.cfg.MemoryBytes/4)
	if err != nil {
		return err
	}
	var buf, key []byte
	for i := range uint32(m.docs.n) {
		var d docRecord
		if d, buf, err = m.doc(i, buf); err != nil {
			return err
		}
		if m.twins.has(i) {
			continue
		}
		for j := 0; 8*j < len(d.bands); j++ {
			key = binary.BigEndian.AppendUint16(key[:0], uint16(j))
			key = append(key, d.bands[8*j:8*j+8]...)
			if err := buckets.Add(key, binary.BigEndian.AppendUint32(nil, i)); err != nil {
				return err
			}
		}
	}
	var bucket []byte
	var anchors [][4]byte
	size := 0
	for r, err := range buckets.All(ctx) {
		if err != nil {
			return err
		}
		if !bytes.Equal(bucket, r.Key) {
			bucket, anchors, size = append(bucket[:0], r.Key...), anchors[:0], 0
		}
		if size++; binary.BigEndian.Uint32(r.Value) >= m.old {
			for _, a := range anchors {
				if err := pairs.Add(r.Value, a[:]); err != nil {
					return err
				}
			}
		}
		if len(anchors) < m.opt.Anchors {
			anchors = append(anchors, [4]byte(r.Value))
		} else if size == m.opt.Anchors+1 {
			m.figures.Crowded++
		}
	}
	return m.gatherPairs(ctx, pairs)
}

// gatherPairs writes the candidates of each nominated document as one record.
func (m *minHashRun) gatherPairs(ctx context.Context, pairs *extsort.Sorter) (err error) {
	if m.pairs, err = m.table("candidates"); err != nil {
		return err
	}
	m.nominee = newBitset(m.docs.n)
	var rec []byte
	flush := func() error {
		if len(rec) == 0 {
			return nil
		}
		return m.pairs.append(rec)
	}
	for r, err := range pairs.All(ctx) {
		if err != nil {
			return err
		}
		if len(rec) == 0 || !bytes.Equal(rec[:4], r.Key) {
			if err := flush(); err != nil {
				return err
			}
			rec = append(rec[:0], r.Key...)
			m.nominee.add(binary.BigEndian.Uint32(r.Key))
		} else if bytes.Equal(rec[len(rec)-4:], r.Value) {
			continue // nominated by another band
		}
		rec = append(rec, r.Value...)
		m.nominee.add(binary.BigEndian.Uint32(r.Value))
		m.figures.Pairs++
	}
	if err := flush(); err != nil {
		return err
	}
	return m.pairs.seal()
}

// fetchSets reads the documents a second time for the shingles of those that are
// to be compared.
func (m *minHashRun) fetchSets(ctx context.Context) (err error) {
	if m.sets, err = m.table("sets"); err != nil {
		return err
	}
	n := m.nominee.count()
	if n == 0 {
		return m.sets.seal()
	}
	sorted, err := m.sorter("shingles", m.cfg.MemoryBytes/2)
	if err != nil {
		return err
	}
	// The ranks of the nominated documents by hash: an accidental equality costs
	// the shingles of a document that nobody asks for.
	wanted := make([]uint64, 0, n)
	var buf []byte
	for i := range m.nominee.all {
		var d docRecord
		if d, buf, err = m.doc(i, buf); err != nil {
			return err
		}
		wanted = append(wanted, xxh3.Hash(d.rank))
	}
	slices.Sort(wanted)
	m.cfg.Meter.Begin("reading candidates again: "+RuleMinHash, "documents", int64(m.docs.n), 0)
	sources := make([]bool, len(m.cfg.Sources)) // that have one of them
	for i := range m.nominee.all {
		var d docRecord
		if d, buf, err = m.doc(i, buf); err != nil {
			return err
		}
		sources[d.source] = true
	}
	err = m.cfg.eachDocumentOf(ctx, func(source int) bool { return sources[source] }, func() func(int, *ingest.Document) error {
		s := newShingler(m.opt.NGram)
		s.segment = true
		chunk := make([]uint64, 0, 1<<10)
		var key, value []byte
		var set []uint64
		return func(source int, d *ingest.Document) error {
			key = appendRank(key[:0], source, d)
			if _, ok := slices.BinarySearch(wanted, xxh3.Hash(key)); !ok {
				return nil
			}
			s.hashWords(d.Text)
			digest := s.digest()
			set = s.set(chunk, set[:0])
			value = append(value[:0], digest[:]...)
			for _, x := range set {
				value = binary.LittleEndian.AppendUint64(value, x)
			}
			return sorted.Add(key, value)
		}
	})
	if err != nil {
		return err
	}
	return m.joinSets(ctx, sorted)
}

// joinSets puts the sets in the order of the nominated documents. Both are in the
// order of preference.
func (m *minHashRun) joinSets(ctx context.Context, sorted *extsort.Sorter) error {
	var next []uint32
	for i := range m.nominee.all {
		next = append(next, i)
	}
	var want docRecord
	var buf []byte
	var err error
	for r, err := range sorted.All(ctx) {
		if err != nil {
			return err
		}
		if len(next) == 0 {
			break
		}
		if want.rank == nil {
			if want, buf, err = m.doc(next[0], buf); err != nil {
				return err
			}
		}
		if len(r.Value) < 16 || !bytes.Equal(r.Key, want.rank) || !bytes.Equal(r.Value[:16], want.digest) {
			continue
		}
		if err := m.sets.append(r.Value[16:]); err != nil {
			return err
		}
		next, want.rank = next[1:], nil
	}
	if len(next) > 0 {
		return errors.New("the documents changed while they were compared; run it again")
	}
	if err = m.sets.seal(); err != nil {
		return err
	}
	return nil
}
