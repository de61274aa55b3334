package dedup

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// verify compares the nominated pairs and decides, in the order of preference,
// which documents are marked. A document is compared with documents that stay:
// in place of a candidate that was marked, with the one that it was marked for.
func (m *minHashRun) verify(ctx context.Context) error {
	cache := newSetCache(m)
	m.cfg.Meter.Begin("comparing candidates: "+RuleMinHash, "documents", int64(m.pairs.n), 0)
	var buf []byte
	var tried []uint32
	for p := range m.pairs.n {
		if p%256 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		rec, err := m.pairs.get(p, buf)
		if err != nil {
			return err
		}
		buf = rec
		doc := binary.BigEndian.Uint32(rec)
		tried = tried[:0]
		for c := rec[4:]; len(c) > 0; c = c[4:] {
			other := binary.BigEndian.Uint32(c)
			if m.removed.has(other) {
				other = m.decision(other).kept
			}
			if slices.Contains(tried, other) {
				continue
			}
			tried = append(tried, other)
			score, similar, err := m.compare(cache, doc, other)
			if err != nil {
				return err
			}
			if similar {
				m.removed.add(doc)
				m.decisions = append(m.decisions, decision{doc, other, score})
				break
			}
		}
		m.cfg.Meter.Add(1)
	}
	return m.mark(ctx)
}

// kindNear is the kind of a mark that a comparison gave.
const kindNear = "near"

func sortDecisions(ds []decision) {
	slices.SortFunc(ds, func(a, b decision) int { return cmp.Compare(a.doc, b.doc) })
}

// decision returns what was decided of a document that was removed.
func (m *minHashRun) decision(doc uint32) decision {
	i, _ := slices.BinarySearchFunc(m.decisions, doc, func(d decision, doc uint32) int { return int(int64(d.doc) - int64(doc)) })
	return m.decisions[i]
}

// compare computes the similarity of two documents.
func (m *minHashRun) compare(cache *setCache, doc, other uint32) (score float64, similar bool, err error) {
	a, err := cache.get(doc)
	if err != nil {
		return 0, false, err
	}
	b, err := cache.get(other)
	if err != nil {
		return 0, false, err
	}
	m.figures.Compared++
	// |A and B| / |A or B| >= t exactly when |A and B| >= t/(1+t) (|A|+|B|).
	t := m.opt.Threshold
	need := int(math.Ceil(t/(1+t)*float64(len(a)+len(b)) - 1e-6))
	if m.opt.Containment {
		need = int(math.Ceil(t*float64(len(a)) - 1e-6))
	}
	common := 0
	if min(len(a), len(b)) >= need {
		common = overlap(a, b, need)
	}
	if common < need {
		m.figures.BelowThreshold++
		return 0, false, nil
	}
	score = jaccard(common, len(a), len(b))
	if m.opt.Containment {
		score = float64(common) / float64(len(a))
	}
	if score < t {
		m.figures.BelowThreshold++
		return score, false, nil
	}
	m.figures.Similar++
	m.figures.BySimilarity[int(score*20)]++
	return score, true, nil
}

// setCache keeps the sets used last.
type setCache struct {
	m      *minHashRun
	sets   map[uint32][]uint64
	order  []uint32 // a ring of the documents in sets, oldest first
	budget int64
	held   int64
	buf    []byte
}

func newSetCache(m *minHashRun) *setCache {
	return &setCache{m: m, sets: map[uint32][]uint64{}, budget: m.cfg.MemoryBytes / 2}
}

func (c *setCache) get(doc uint32) ([]uint64, error) {
	if s, ok := c.sets[doc]; ok {
		return s, nil
	}
	b, err := c.m.sets.get(c.m.nominee.place(doc), c.buf)
	if err != nil {
		return nil, err
	}
	c.buf = b
	if len(b)%8 != 0 {
		return nil, errSpilled
	}
	s := make([]uint64, len(b)/8)
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(b[8*i:])
	}
	for c.held+int64(len(b)) > c.budget && len(c.order) > 1 {
		old := c.order[0]
		c.order = c.order[1:]
		c.held -= int64(8 * len(c.sets[old]))
		delete(c.sets, old)
	}
	c.sets[doc] = s
	c.order = append(c.order, doc)
	c.held += int64(len(b))
	return s, nil
}

// mark writes the marks of the decisions and of the twins.
func (m *minHashRun) mark(ctx context.Context) (err error) {
	if m.kept, err = m.sorter("kept", m.cfg.MemoryBytes/8); err != nil {
		return err
	}
	for _, d := range m.decisions {
		if err := m.addMark(d, kindNear); err != nil {
			return err
		}
	}
	for r, err := range m.twinOf.All(ctx) {
		if err != nil {
			return err
		}
		d := decision{binary.BigEndian.Uint32(r.Key), binary.BigEndian.Uint32(r.Value), 1}
		kind := "same words"
		if m.removed.has(d.kept) {
			// Its own set of shingles was compared: the one of d.kept is the same.
			first := m.decision(d.kept)
			d.kept, d.score, kind = first.kept, first.score, kindNear
		}
		if err := m.addMark(d, kind); err != nil {
			return err
		}
	}
	return nil
}

func (m *minHashRun) addMark(d decision, kind string) error {
	doc, _, err := m.doc(d.doc, nil)
	if err != nil {
		return err
	}
	kept, _, err := m.doc(d.kept, nil)
	if err != nil {
		return err
	}
	if err := m.kept.Add(binary.BigEndian.AppendUint32(nil, d.kept), binary.BigEndian.AppendUint64(nil, math.Float64bits(d.score))); err != nil {
		return err
	}
	reason := "its words are those of the document kept, in the same order"
	if kind == kindNear {
		measure := "Jaccard similarity"
		if m.opt.Containment {
			measure = "containment"
		}
		reason = fmt.Sprintf(measure+" %.3f of the sets of word %d-grams, at or above %g", d.score, m.opt.NGram, m.opt.Threshold)
	}
	return m.run.add(doc.source, &Mark{
		ID: string(doc.id), Source: m.cfg.Sources[doc.source], Rule: RuleMinHash, Kind: kind,
		Kept: string(kept.id), KeptSource: m.cfg.Sources[kept.source], Score: d.score, Start: -1, End: -1, KeptStart: -1, KeptEnd: -1, Reason: reason,
	}, doc.bytes)
}

// clusters counts the sets of documents that were marked for the same one.
func (m *minHashRun) clusters(ctx context.Context) error {
	var current uint32
	var size int64
	least := 1.0 // score of the cluster
	end := func() error {
		if size == 0 {
			return nil
		}
		r := m.run.report
		r.Groups++
		r.Largest = max(r.Largest, size+1)
		m.figures.ClusterSizes[bits.Len64(uint64(size))]++
		large := size+1 >= m.opt.AlarmSize
		wide := 10*(size+1) >= m.opt.AlarmSize && 2*(1-least) >= m.opt.AlarmWidth
		if (large || wide) && len(r.Warnings) < 20 {
			d, _, err := m.doc(current, nil)
			if err != nil {
				return err
			}
			warning := fmt.Sprintf("document %s of %s stays for %d near-duplicates of it", d.id, m.cfg.Sources[d.source], size)
			if wide {
				warning += fmt.Sprintf(", of which the least similar has %.3f", least)
			}
			r.Warnings = append(r.Warnings, warning+": look whether they are")
		}
		return nil
	}
	for r, err := range m.kept.All(ctx) {
		if err != nil {
			return err
		}
		if k := binary.BigEndian.Uint32(r.Key); size == 0 || k != current {
			if err := end(); err != nil {
				return err
			}
			current, size, least = k, 0, 1
		}
		size++
		if len(r.Value) != 8 {
			return errSpilled
		}
		least = min(least, math.Float64frombits(binary.BigEndian.Uint64(r.Value)))
	}
	return end()
}
