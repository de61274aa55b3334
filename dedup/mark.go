// Package dedup finds documents, and parts of documents, that are there more
// than once, and writes marks about them. It never rewrites a document: a mark
// names the document or the bytes of it that could go, what it repeats and how
// sure that is, and whoever reads the marks decides.
package dedup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	kzstd "github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// Mark is one finding about a document or a span of it, with its evidence. It is
// also the row of a mark file: docs/marks.md says how others read and apply it.
type Mark struct {
	// ID and Source name the document that is marked.
	ID     string `parquet:"id"`
	Source string `parquet:"source,dict"`
	// Rule is the rule that was run, such as "exact"; a predicate names it. Kind
	// says more closely what was found, such as "document".
	Rule string `parquet:"rule,dict"`
	Kind string `parquet:"kind,dict"`
	// Kept and KeptSource name the document that stays: the evidence.
	Kept       string `parquet:"kept"`
	KeptSource string `parquet:"kept_source,dict"`
	// Score is how alike the two are, from 0 to 1.
	Score float64 `parquet:"score"`
	// Value is the measure that a rule over signals decided by, which Reason names; 0
	// in the marks of other rules.
	Value float64 `parquet:"value"`
	// Start and End bound the marked span in bytes of the document's text. Both
	// are -1 when the mark is about the whole document.
	Start int64 `parquet:"start"`
	End   int64 `parquet:"end"`
	// KeptStart and KeptEnd bound, in bytes of the text of the document that stays,
	// what the span repeats. Both are -1 when the whole document is meant or the
	// place is not known.
	KeptStart int64 `parquet:"kept_start"`
	KeptEnd   int64 `parquet:"kept_end"`
	// Reason says in words what was found, for people.
	Reason string `parquet:"reason"`
}

// Whole reports whether the mark is about the whole document.
func (m *Mark) Whole() bool { return m.Start < 0 }

const (
	marksFormat = "tributary/marks/2"
	// markRows is how many marks one row group of a mark file holds.
	markRows = 8 << 10
)

// marksManifest is the manifest of a source's marks: a store.Manifest, plus what
// each rule was run with.
type marksManifest struct {
	store.Manifest
	Rules []ruleEntry `json:"rules"`
}

// ruleEntry says which file holds a rule's marks and what determined them.
type ruleEntry struct {
	Rule   string           `json:"rule"`
	Key    string           `json:"key"`
	File   string           `json:"file"`
	Config json.RawMessage  `json:"config"`
	Totals map[string]int64 `json:"totals"`
	// Judged says that the rule judges signals (see Judge).
	Judged bool `json:"judged,omitempty"`
	// Warnings and Figures are those of the report.
	Warnings []string        `json:"warnings,omitempty"`
	Figures  json.RawMessage `json:"figures,omitempty"`
}

func marksDir(dataDir, source string) string { return filepath.Join(dataDir, source, "marks") }

func readMarksManifest(dir string) (*marksManifest, error) {
	base, err := store.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, store.ManifestName)
	if base.Format != marksFormat {
		return nil, fmt.Errorf("reading %s: its format is %q, this version reads %q", path, base.Format, marksFormat)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the marks: %w", err)
	}
	m := new(marksManifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	m.Manifest = *base
	return m, nil
}

// Marks streams the marks of a source, rule by rule in the order of their names,
// each rule's in the order of document id and span. A source without marks gives
// none. A file that differs from its manifest gives a *store.DamagedError before
// any of its marks is given.
func Marks(ctx context.Context, dataDir, source string) iter.Seq2[Mark, error] {
	return func(yield func(Mark, error) bool) {
		if err := ingest.CheckSource(source); err != nil {
			yield(Mark{}, err)
			return
		}
		dir := marksDir(dataDir, source)
		m, err := readMarksManifest(dir)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			yield(Mark{}, err)
			return
		}
		for _, f := range m.Files {
			if err := store.VerifyFile(dir, f); err != nil {
				yield(Mark{}, err)
				return
			}
			for mark, err := range markFile(ctx, filepath.Join(dir, f.Path)) {
				if !yield(mark, err) || err != nil {
					return
				}
			}
		}
	}
}

// MarksKey returns the digest of a source's current marks, "" when it has none.
// What was derived from the marks is up to date as long as the key is the same.
func MarksKey(dataDir, source string) (string, error) {
	if err := ingest.CheckSource(source); err != nil {
		return "", err
	}
	m, err := store.ReadManifest(marksDir(dataDir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return m.Digest(), nil
}

// spansTotal names the total that counts a rule's marks of spans.
const spansTotal = "spans"

// SpanKeys returns, for each rule that marked spans of a source's documents, the digest
// of its marks.
func SpanKeys(dataDir, source string) (map[string]string, error) {
	if err := ingest.CheckSource(source); err != nil {
		return nil, err
	}
	m, err := readMarksManifest(marksDir(dataDir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys := map[string]string{}
	for _, e := range m.Rules {
		if n, told := e.Totals[spansTotal]; told && n == 0 {
			continue
		}
		for _, f := range m.Files {
			if f.Path == e.File {
				keys[e.Rule] = f.SHA256
			}
		}
	}
	return keys, nil
}

// markFile streams one file.
func markFile(ctx context.Context, path string) iter.Seq2[Mark, error] {
	return func(yield func(Mark, error) bool) {
		f, err := os.Open(path)
		if err != nil {
			yield(Mark{}, fmt.Errorf("reading marks: %w", err))
			return
		}
		defer f.Close()
		var r *parquet.GenericReader[Mark]
		var left int64
		err = guard(path, func() error {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			pf, err := parquet.OpenFile(f, info.Size())
			if err != nil {
				return err
			}
			r, left = parquet.NewGenericReader[Mark](pf), pf.NumRows()
			return nil
		})
		if err != nil {
			yield(Mark{}, err)
			return
		}
		defer r.Close()
		buf := make([]Mark, 256)
		for left > 0 {
			if err := ctx.Err(); err != nil {
				yield(Mark{}, err)
				return
			}
			n := 0
			err := guard(path, func() (err error) {
				if n, err = r.Read(buf); n > 0 {
					return nil // an error that is no end of the file comes again
				}
				return fmt.Errorf("it ends %d rows early: %w", left, err)
			})
			if err != nil {
				yield(Mark{}, err)
				return
			}
			for _, m := range buf[:n] {
				if !yield(m, nil) {
					return
				}
			}
			left -= int64(n)
		}
	}
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

// markCodec is Zstandard with a window of the size of a page: the encoder of the
// library holds twenty times as much, for each source that is written.
type markCodec struct {
	zstd.Codec
	encoder *kzstd.Encoder
}

func newMarkCodec() (*markCodec, error) {
	e, err := kzstd.NewWriter(nil, kzstd.WithEncoderConcurrency(1), kzstd.WithWindowSize(1<<18), kzstd.WithLowerEncoderMem(true),
		kzstd.WithZeroFrames(true), kzstd.WithEncoderCRC(false))
	if err != nil {
		return nil, fmt.Errorf("making the compressor of marks: %w", err)
	}
	return &markCodec{encoder: e}, nil
}

// Encode compresses one page.
func (c *markCodec) Encode(dst, src []byte) ([]byte, error) {
	return c.encoder.EncodeAll(src, dst[:0]), nil
}

// markWriter writes the file of one rule's marks for one source.
type markWriter struct {
	dir, name string
	out       *store.Writer
	w         *parquet.GenericWriter[Mark]
	batch     []Mark
	rows      int64
}

func newMarkWriter(dataDir, source, rule, key string) (*markWriter, error) {
	dir := marksDir(dataDir, source)
	name := fmt.Sprintf("%s-%s.parquet", rule, key[:12])
	out, err := store.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	codec, err := newMarkCodec()
	if err != nil {
		out.Abort()
		return nil, err
	}
	w := parquet.NewGenericWriter[Mark](out,
		parquet.Compression(codec),
		parquet.MaxRowsPerRowGroup(markRows),
		parquet.DataPageStatistics(false), // the page index has them
		parquet.CreatedBy("tributary", "1", "marks"))
	return &markWriter{dir: dir, name: name, out: out, w: w}, nil
}

func (w *markWriter) write(m Mark) error {
	w.rows++
	if w.batch = append(w.batch, m); len(w.batch) < 256 {
		return nil
	}
	return w.flush()
}

func (w *markWriter) flush() error {
	if _, err := w.w.Write(w.batch); err != nil {
		return fmt.Errorf("writing marks to %s: %w", w.name, err)
	}
	w.batch = w.batch[:0]
	return nil
}

func (w *markWriter) abort() { w.out.Abort() }

// commit puts the file in place and names it in the source's manifest, in place
// of what the rule had there before.
func (w *markWriter) commit(e ruleEntry) error {
	if err := w.flush(); err != nil {
		return err
	}
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("writing marks to %s: %w", w.name, err)
	}
	f, err := w.out.Commit()
	if err != nil {
		return err
	}
	f.Rows = w.rows
	m, err := readMarksManifest(w.dir)
	if errors.Is(err, fs.ErrNotExist) {
		m = &marksManifest{Manifest: store.Manifest{Format: marksFormat}}
	} else if err != nil {
		return err
	}
	e.File = f.Path
	for _, old := range m.Rules {
		if old.Rule == e.Rule {
			m.Files = slices.DeleteFunc(m.Files, func(g store.File) bool { return g.Path == old.File })
		}
	}
	m.Rules = slices.DeleteFunc(m.Rules, func(old ruleEntry) bool { return old.Rule == e.Rule })
	m.Rules = append(m.Rules, e)
	m.Files = slices.DeleteFunc(m.Files, func(g store.File) bool { return g.Path == f.Path })
	m.Files = append(m.Files, f)
	slices.SortFunc(m.Rules, func(a, b ruleEntry) int { return strings.Compare(a.Rule, b.Rule) })
	slices.SortFunc(m.Files, func(a, b store.File) int { return strings.Compare(a.Path, b.Path) })
	return m.write(w.dir)
}

// write puts the manifest in place and removes the files that it does not name.
func (m *marksManifest) write(dir string) error {
	keys := make([]string, len(m.Rules))
	for i, r := range m.Rules {
		keys[i] = r.Key
	}
	m.Key = store.Key(marksFormat, keys)
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the manifest of %s: %w", dir, err)
	}
	if _, err := store.WriteFile(filepath.Join(dir, store.ManifestName), append(data, '\n')); err != nil {
		return err
	}
	return store.Sweep(dir, func(name string) bool {
		return name == store.ManifestName || slices.ContainsFunc(m.Files, func(g store.File) bool { return g.Path == name })
	})
}

// doneRule returns the finished marks of a rule that was run with this key.
func doneRule(dataDir, source, rule, key string) (ruleEntry, bool) {
	dir := marksDir(dataDir, source)
	m, err := readMarksManifest(dir)
	if err != nil {
		return ruleEntry{}, false
	}
	for _, e := range m.Rules {
		if e.Rule != rule || e.Key != key {
			continue
		}
		for _, f := range m.Files {
			if f.Path != e.File {
				continue
			}
			info, err := os.Stat(filepath.Join(dir, f.Path))
			return e, err == nil && info.Size() == f.Bytes
		}
	}
	return ruleEntry{}, false
}

// RuleStats says what one rule marked in one source.
type RuleStats struct {
	Rule        string `json:"rule"`
	Marked      int64  `json:"marked"`
	MarkedBytes int64  `json:"marked_bytes"`
	// Judged says that the rule judges signals; LeftOut is then the number of documents
	// that it is against as a whole, and Reasons says why.
	Judged  bool          `json:"judged,omitempty"`
	LeftOut int64         `json:"left_out,omitempty"`
	Reasons []ReasonCount `json:"reasons,omitempty"`
}

func (e ruleEntry) stats() RuleStats {
	return RuleStats{
		Rule: e.Rule, Marked: e.Totals["marked"], MarkedBytes: e.Totals["marked_bytes"],
		Judged: e.Judged, LeftOut: e.Totals["left_out"], Reasons: reasons(e.Totals),
	}
}

// Rules lists the rules that were run over a source, in the order of their names.
func Rules(dataDir, source string) ([]RuleStats, error) {
	if err := ingest.CheckSource(source); err != nil {
		return nil, err
	}
	m, err := readMarksManifest(marksDir(dataDir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]RuleStats, len(m.Rules))
	for i, r := range m.Rules {
		out[i] = r.stats()
	}
	return out, nil
}
