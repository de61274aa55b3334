package dedup

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
)

// DefaultMemoryBytes is the bound on memory when none is given.
const DefaultMemoryBytes = 1 << 30

// maxTextInFlight bounds the text that is being worked on, whatever the number of
// workers; a document larger than the bound is worked on alone.
const maxTextInFlight = 8 << 20

// textInFlight is that bound for this configuration.
func (c *Config) textInFlight() int64 { return min(maxTextInFlight, max(c.MemoryBytes/8, 1<<16)) }

// Config says where a rule looks for duplicates.
type Config struct {
	// Data is the data root.
	Data string
	// Sources names the sources that are compared with each other and within
	// themselves, the most trusted first: of duplicates, the one of the earlier
	// source stays. None means all sources in the order of their names.
	Sources []string
	// Jobs is the number of goroutines. 0 means all cores. The marks do not depend
	// on it.
	Jobs int
	// MemoryBytes bounds what is kept in memory besides the program itself and the
	// documents being read: the largest document, and what the reader of its file
	// holds. 0 means DefaultMemoryBytes. The marks do not depend on it.
	MemoryBytes int64
	// Index keeps, beside the documents of each source, what a rule reads them for:
	// the signatures of MinHash, some 140 bytes a document, and the sorted digests of
	// Exact, ExactRaw, URL, Paragraph and Line, some 110 bytes a document, paragraph or
	// line. A run with further sources reads only those. Indexes that are there are
	// used either way, and the marks do not depend on them. Substring, ParagraphBloom
	// and Decontaminate have none.
	Index bool
	Meter *progress.Meter
	Log   *slog.Logger

	// signals says that whole documents are read.
	signals bool
}

// Report is what a rule found.
type Report struct {
	Rule string `json:"rule"`
	// Skipped means that the marks were there already.
	Skipped bool           `json:"skipped"`
	Sources []SourceReport `json:"sources"`
	// Groups is the number of sets of documents of which all but one are marked,
	// Largest the documents of the largest.
	Groups  int64 `json:"groups"`
	Largest int64 `json:"largest"`
	// Reused is the number of documents whose signatures were there already.
	Reused int64 `json:"reused,omitempty"`
	// Spilled is the number of runs the sorts wrote to disk.
	Spilled int `json:"spilled"`
	// Warnings are things a person should look at, such as a group too large to be
	// believed.
	Warnings []string `json:"warnings,omitempty"`
	// Figures are the rule's own, such as MinHashFigures.
	Figures json.RawMessage `json:"figures,omitempty"`
}

// SourceReport is what a rule found in one source.
type SourceReport struct {
	Source    string `json:"source"`
	Documents int64  `json:"documents"`
	// Marked is the number of documents marked, MarkedBytes the bytes of text the
	// marks cover.
	Marked      int64 `json:"marked"`
	MarkedBytes int64 `json:"marked_bytes"`
	// KeptIn counts the marks by the source of the document that stays.
	KeptIn []SourceCount `json:"kept_in"`
	// LeftOut and Reasons are what a rule over signals found: the documents that it is
	// against as a whole, and how often it was for which reason. A document counts for
	// each of its reasons.
	LeftOut int64         `json:"left_out,omitempty"`
	Reasons []ReasonCount `json:"reasons,omitempty"`
}

// SourceCount is a count for one source.
type SourceCount struct {
	Source string `json:"source"`
	Count  int64  `json:"count"`
}

// Marked returns the number of documents marked in all sources.
func (r *Report) Marked() int64 {
	var n int64
	for _, s := range r.Sources {
		n += s.Marked
	}
	return n
}

func (c *Config) setDefaults() error {
	if c.Jobs <= 0 {
		c.Jobs = runtime.GOMAXPROCS(0)
	}
	if c.MemoryBytes <= 0 {
		c.MemoryBytes = DefaultMemoryBytes
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if len(c.Sources) == 0 {
		var err error
		if c.Sources, err = ingest.Sources(c.Data); err != nil {
			return err
		}
		if len(c.Sources) == 0 {
			return fmt.Errorf("%s: %w", c.Data, ingest.ErrNoSource)
		}
	}
	if len(c.Sources) > 1<<16 {
		return fmt.Errorf("%d sources are more than the limit of %d", len(c.Sources), 1<<16)
	}
	for i, s := range c.Sources {
		if slices.Contains(c.Sources[:i], s) {
			return fmt.Errorf("source %q is named twice", s)
		}
	}
	return nil
}

// rank places a document in the total order by which every rule chooses the
// document that stays: the source that is named first, then the longer document
// (in words), then the smaller id. Because all rules keep the greatest of this
// one order, no two rules can each remove what the other kept.
//
// Its encoding sorts as bytes in the order of preference, the document to keep
// first.
func appendRank(dst []byte, source int, d *ingest.Document) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(source))
	dst = binary.BigEndian.AppendUint64(dst, ^uint64(max(d.Words, 0)))
	dst = append(dst, d.ID...)
	return append(dst, 0)
}

// inputs returns the digests of the documents of all sources and their number.
func (c *Config) inputs() (digests map[string]string, documents int64, err error) {
	digests = map[string]string{}
	for _, s := range c.Sources {
		m, err := ingest.DocumentsManifest(c.Data, s)
		if err != nil {
			return nil, 0, err
		}
		digests[s] = m.Digest()
		documents += m.Totals["documents"]
	}
	return digests, documents, nil
}

// eachDocument calls visit with every document of every source, from Jobs
// goroutines: with its id, URL, text and words; the rest is read for signals only. newVisit is
// called once in each of them.
func (c *Config) eachDocument(ctx context.Context, newVisit func() func(source int, d *ingest.Document) error) error {
	return c.eachDocumentOf(ctx, func(int) bool { return true }, newVisit)
}

// read gives the documents of a source, without what is not compared.
func (c *Config) read(ctx context.Context, source string) iter.Seq2[*ingest.Document, error] {
	if c.signals {
		return ingest.Documents(ctx, c.Data, source)
	}
	return func(yield func(*ingest.Document, error) bool) {
		for t, err := range ingest.Texts(ctx, c.Data, source) {
			if err != nil {
				yield(nil, err)
				return
			}
			d := &ingest.Document{ID: t.ID, URL: t.URL, Text: t.Text}
			d.Words = t.Words
			if !yield(d, nil) {
				return
			}
		}
	}
}

// eachDocumentOf is eachDocument for the sources that are wanted.
func (c *Config) eachDocumentOf(ctx context.Context, wanted func(source int) bool, newVisit func() func(source int, d *ingest.Document) error) error {
	type item struct {
		doc    *ingest.Document
		source int
		weight int64
	}
	g, ctx := errgroup.WithContext(ctx)
	limit := c.textInFlight()
	inFlight := semaphore.NewWeighted(limit)
	queue := make(chan item, 4*c.Jobs)
	g.Go(func() error {
		defer close(queue)
		for i, source := range c.Sources {
			if !wanted(i) {
				continue
			}
			for d, err := range c.read(ctx, source) {
				if err != nil {
					return err
				}
				it := item{d, i, min(int64(len(d.Text))+1<<10, limit)}
				if err := inFlight.Acquire(ctx, it.weight); err != nil {
					return err
				}
				select {
				case queue <- it:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	})
	for range c.Jobs {
		g.Go(func() error {
			visit := newVisit()
			for it := range queue {
				if err := visit(it.source, it.doc); err != nil {
					return fmt.Errorf("document %s of %s: %w", it.doc.ID, c.Sources[it.source], err)
				}
				inFlight.Release(it.weight)
				c.Meter.Add(1)
			}
			return nil
		})
	}
	return g.Wait()
}

// scaled is the part of the memory for a sort of so many bytes of records: a
// sixteenth of them, 4 MiB at least. More would be faster by little.
func (c *Config) scaled(memory, bytes int64) int64 {
	return min(memory, max(bytes/16, 4<<20))
}

// spillDir is where the sorts of a rule spill: beside the marks of the first
// source.
func (c *Config) spillDir(rule string) string {
	return filepath.Join(marksDir(c.Data, c.Sources[0]), ".spill-"+rule)
}

// ruleRun is one run of a rule over the sources: what it is called, what
// determines it, and the marks on their way to the files.
type ruleRun struct {
	cfg    *Config
	rule   string
	key    string
	config json.RawMessage
	marks  *extsort.Sorter
	report *Report
	judged bool // by Judge
}

// ruleKey returns the configuration of a rule as it is recorded, and its hash.
func (c *Config) ruleKey(rule string, options any, digests map[string]string) (config json.RawMessage, key string, err error) {
	config, err = json.Marshal(struct {
		Options any               `json:"options"`
		Sources []string          `json:"sources"`
		Inputs  map[string]string `json:"inputs"`
	}{options, c.Sources, digests})
	if err != nil {
		return nil, "", fmt.Errorf("encoding the configuration of rule %s: %w", rule, err)
	}
	return config, store.Key(marksFormat, rule, string(config)), nil
}

// beginRule returns a run, or the report of the one that was done before.
func (c *Config) beginRule(rule string, options any) (*ruleRun, *Report, error) {
	digests, documents, err := c.inputs()
	if err != nil {
		return nil, nil, err
	}
	config, key, err := c.ruleKey(rule, options, digests)
	if err != nil {
		return nil, nil, err
	}
	run := &ruleRun{cfg: c, rule: rule, config: config, key: key, report: &Report{Rule: rule}}
	if run.found() {
		return nil, run.report, nil
	}
	for _, s := range c.Sources {
		run.report.Sources = append(run.report.Sources, SourceReport{Source: s})
	}
	if err := clearSpill(c.spillDir(rule)); err != nil {
		return nil, nil, err
	}
	if run.marks, err = extsort.New(filepath.Join(c.spillDir(rule), "marks"), c.MemoryBytes/4); err != nil {
		return nil, nil, err
	}
	c.Meter.Begin("running rule "+rule, "documents", documents, 0)
	return run, nil, nil
}

// found fills in the report when every source has the marks already.
func (r *ruleRun) found() bool {
	for i, s := range r.cfg.Sources {
		e, ok := doneRule(r.cfg.Data, s, r.rule, r.key)
		if !ok {
			r.report.Sources = nil
			return false
		}
		sr := SourceReport{
			Source: s, Documents: e.Totals["documents"], Marked: e.Totals["marked"], MarkedBytes: e.Totals["marked_bytes"],
			LeftOut: e.Totals["left_out"], Reasons: reasons(e.Totals),
		}
		for _, k := range r.cfg.Sources {
			if n := e.Totals["kept_in_"+k]; n > 0 {
				sr.KeptIn = append(sr.KeptIn, SourceCount{k, n})
			}
		}
		r.report.Sources = append(r.report.Sources, sr)
		if i == 0 {
			r.report.Groups, r.report.Largest = e.Totals["groups"], e.Totals["largest"]
			r.report.Warnings = e.Warnings
			if len(e.Figures) > 0 {
				var b bytes.Buffer
				if err := json.Compact(&b, e.Figures); err != nil {
					return false
				}
				r.report.Figures = b.Bytes()
			}
		}
	}
	r.report.Skipped = true
	return true
}

// add takes a mark of a document of a source, bytes of whose text it covers.
func (r *ruleRun) add(source int, m *Mark, covered int64) error {
	if m.ID == m.Kept && m.Source == m.KeptSource && m.Whole() {
		return nil // one id twice: a mark would remove the document that stays
	}
	key := binary.BigEndian.AppendUint16(nil, uint16(source))
	key = append(append(key, m.ID...), 0)
	key = binary.BigEndian.AppendUint64(key, uint64(m.Start+1))
	return r.marks.Add(key, appendMark(nil, m, covered))
}

// appendMark appends the spilled form of a mark and the bytes that it covers.
func appendMark(dst []byte, m *Mark, covered int64) []byte {
	for _, s := range []string{m.ID, m.Source, m.Rule, m.Kind, m.Kept, m.KeptSource, m.Reason} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	for _, v := range []uint64{math.Float64bits(m.Score), math.Float64bits(m.Value), uint64(m.Start), uint64(m.End), uint64(m.KeptStart), uint64(m.KeptEnd), uint64(covered)} {
		dst = binary.LittleEndian.AppendUint64(dst, v)
	}
	return dst
}

func parseMark(b []byte) (m Mark, covered int64, err error) {
	for _, s := range []*string{&m.ID, &m.Source, &m.Rule, &m.Kind, &m.Kept, &m.KeptSource, &m.Reason} {
		n, k := binary.Uvarint(b)
		if k <= 0 || n > uint64(len(b)-k) {
			return Mark{}, 0, errSpilled
		}
		*s = string(b[k : k+int(n)])
		b = b[k+int(n):]
	}
	if len(b) != 7*8 {
		return Mark{}, 0, errSpilled
	}
	at := func(i int) uint64 { return binary.LittleEndian.Uint64(b[8*i:]) }
	m.Score, m.Value = math.Float64frombits(at(0)), math.Float64frombits(at(1))
	m.Start, m.End, m.KeptStart, m.KeptEnd = int64(at(2)), int64(at(3)), int64(at(4)), int64(at(5))
	return m, int64(at(6)), nil
}

// finish writes the marks of all sources and returns the report. The manifests
// of the sources are updated last, each whole.
func (r *ruleRun) finish(ctx context.Context) (*Report, error) {
	writers := make([]*markWriter, len(r.cfg.Sources))
	defer func() {
		for _, w := range writers {
			if w != nil {
				w.abort()
			}
		}
	}()
	for i, s := range r.cfg.Sources {
		var err error
		if writers[i], err = newMarkWriter(r.cfg.Data, s, r.rule, r.key); err != nil {
			return nil, err
		}
	}
	keptIn := make([]map[string]int64, len(r.cfg.Sources))
	reasonTotals := make([]map[string]int64, len(r.cfg.Sources))
	spans := make([]int64, len(r.cfg.Sources))
	last, lastWhole := "", ""
	for rec, err := range r.marks.All(ctx) {
		if err != nil {
			return nil, err
		}
		source := int(binary.BigEndian.Uint16(rec.Key))
		m, covered, err := parseMark(rec.Value)
		if err != nil {
			return nil, err
		}
		if err := writers[source].write(m); err != nil {
			return nil, err
		}
		s := &r.report.Sources[source]
		if at := m.Source + "\x00" + m.ID; at != last {
			s.Marked++
			last = at
		}
		s.MarkedBytes += covered
		if !m.Whole() {
			spans[source]++
		}
		if r.judged {
			if reasonTotals[source] == nil {
				reasonTotals[source] = map[string]int64{}
			}
			countReason(reasonTotals[source], &m)
			if m.Whole() && last != lastWhole {
				s.LeftOut++
				lastWhole = last
			}
			continue
		}
		if keptIn[source] == nil {
			keptIn[source] = map[string]int64{}
		}
		keptIn[source][m.KeptSource]++
	}
	r.report.Spilled += r.marks.Spilled()
	for i, w := range writers {
		s := &r.report.Sources[i]
		totals := map[string]int64{
			"documents": s.Documents, "marked": s.Marked, "marked_bytes": s.MarkedBytes,
			"groups": r.report.Groups, "largest": r.report.Largest, spansTotal: spans[i],
		}
		if r.judged {
			totals["left_out"] = s.LeftOut
			maps.Copy(totals, reasonTotals[i])
			s.Reasons = reasons(totals)
		}
		for _, k := range r.cfg.Sources {
			if n := keptIn[i][k]; n > 0 {
				s.KeptIn = append(s.KeptIn, SourceCount{k, n})
				totals["kept_in_"+k] = n
			}
		}
		if err := w.commit(ruleEntry{Rule: r.rule, Key: r.key, Config: r.config, Totals: totals, Judged: r.judged, Warnings: r.report.Warnings, Figures: r.report.Figures}); err != nil {
			return nil, err
		}
	}
	return r.report, nil
}

// close removes what the run spilled.
func (r *ruleRun) close() error {
	return errors.Join(r.marks.Close(), clearSpill(r.cfg.spillDir(r.rule)))
}
