package ingest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/store"
)

// documentsFormat names the layout of a source's document files.
const documentsFormat = "tributary/documents/3"

// cuts say when a part is full, and a row group. The bytes of the files depend on
// them.
type cuts struct {
	partDocuments, partBytes   int64
	groupDocuments, groupBytes int64
}

var usualCuts = cuts{partDocuments: 250_000, partBytes: 256 << 20, groupDocuments: 8192, groupBytes: 16 << 20}

var sourceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// CheckSource returns an error that says what a source may be called when name
// is no such name.
func CheckSource(name string) error {
	if name == "tokenizers" {
		return fmt.Errorf("source name %q is taken by the directory of the tokenizers", name)
	}
	if !sourceName.MatchString(name) {
		return fmt.Errorf("source name %q: a name has up to 63 letters, digits, dots, dashes and underscores and begins with a letter or digit", name)
	}
	return nil
}

// DocumentsDir returns the directory of a source's documents under the data root.
func DocumentsDir(dataDir, source string) string {
	return filepath.Join(dataDir, source, "documents")
}

// Writer writes all documents of a source, in the order in which they are
// added. The source appears, or is replaced, when Commit succeeds.
type Writer struct {
	source    string
	parts     *partWriter
	annotator *annotator
	done      bool
}

// NewWriter begins a source. What the source held before is withdrawn at once.
func NewWriter(dataDir, source string) (*Writer, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	dir := DocumentsDir(dataDir, source)
	if err := withdraw(dir); err != nil {
		return nil, err
	}
	return &Writer{source: source, parts: newPartWriter(dir, nil), annotator: newAnnotator(false)}, nil
}

// withdraw removes the manifest of dir, so that a stage killed while it writes
// the files anew leaves none that vouches for a mixture of old and new.
func withdraw(dir string) error {
	if err := os.Remove(filepath.Join(dir, store.ManifestName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("withdrawing the documents in %s: %w", dir, err)
	}
	return nil
}

// Add appends a document. It fills in the signals, and Source and ID where they are
// empty, and does not keep d.
func (w *Writer) Add(d *Document) error {
	if w.done {
		return fmt.Errorf("adding a document to %s: the writer is committed or aborted", w.source)
	}
	row := *d
	if row.Source == "" {
		row.Source = w.source
	}
	if row.Source != w.source {
		return fmt.Errorf("adding document %s of source %s to source %s", d.ID, d.Source, w.source)
	}
	if row.ID == "" {
		row.ID = NewID(row.Source, row.File, fmt.Sprint(row.Record))
	}
	w.annotator.annotate(&row)
	return w.parts.add(&row)
}

// Commit makes the source appear and returns its manifest.
func (w *Writer) Commit() (*store.Manifest, error) {
	if w.done {
		return nil, fmt.Errorf("committing %s: already committed or aborted", w.source)
	}
	w.done = true
	defer w.parts.abort()
	if err := w.parts.finish(); err != nil {
		return nil, err
	}
	m := &store.Manifest{Format: documentsFormat, Files: w.parts.files, Totals: w.parts.totals()}
	m.Key = store.Key("written", m.Digest())
	if err := w.parts.publish(m); err != nil {
		return nil, err
	}
	return m, nil
}

// Abort gives the source up. Abort after Commit does nothing.
func (w *Writer) Abort() {
	if !w.done {
		w.done = true
		w.parts.abort()
	}
}

// partWriter lays documents down in part files, each written whole.
type partWriter struct {
	dir   string
	files []store.File
	// onPart, when set, is called after each part is on disk.
	onPart func() error
	cuts   cuts
	create func(path string) (partFile, error)

	out        partFile
	rows       *parquet.GenericWriter[Document]
	partDocs   int64
	partBytes  int64
	groupDocs  int64
	groupBytes int64

	docs, chars, words, bytes int64
}

// partFile is a file that appears whole.
type partFile interface {
	io.Writer
	Commit() (store.File, error)
	Abort()
}

func createPart(path string) (partFile, error) {
	w, err := store.Create(path)
	if err != nil {
		return nil, err // not a partFile that holds a nil *store.Writer
	}
	return w, nil
}

// newPartWriter continues after the given files.
func newPartWriter(dir string, files []store.File) *partWriter {
	return &partWriter{dir: dir, files: files, cuts: usualCuts, create: createPart}
}

func partName(i int) string { return fmt.Sprintf("part-%05d.parquet", i) }

// add appends one document, whose signals are filled in.
func (p *partWriter) add(d *Document) (err error) {
	if d.ID == "" || d.Text == "" {
		return fmt.Errorf("writing document %q of %s, record %d: a document has an id and a text", d.ID, d.File, d.Record)
	}
	if !utf8.ValidString(d.Text) || !utf8.ValidString(d.Title) || !utf8.ValidString(d.URL) || !utf8.ValidString(d.File) {
		return fmt.Errorf("writing document %s of %s, record %d: it is not valid UTF-8", d.ID, d.File, d.Record)
	}
	defer recoverParquet(&err, "writing "+filepath.Join(p.dir, partName(len(p.files))))
	if p.out == nil {
		if err := p.begin(); err != nil {
			return err
		}
	}
	n := int64(len(d.Text))
	if p.groupDocs > 0 && (p.groupDocs >= p.cuts.groupDocuments || p.groupBytes+n > p.cuts.groupBytes) {
		if err := p.rows.Flush(); err != nil {
			return p.failed(err)
		}
		p.groupDocs, p.groupBytes = 0, 0
	}
	if _, err := p.rows.Write([]Document{*d}); err != nil {
		return p.failed(err)
	}
	p.groupDocs++
	p.groupBytes += n
	p.partDocs++
	p.partBytes += n
	p.docs++
	p.bytes += n
	p.chars += d.Chars
	p.words += d.Words
	if p.partDocs >= p.cuts.partDocuments || p.partBytes >= p.cuts.partBytes {
		return p.endPart()
	}
	return nil
}

func (p *partWriter) failed(err error) error {
	return fmt.Errorf("writing %s: %w", filepath.Join(p.dir, partName(len(p.files))), err)
}

func (p *partWriter) begin() error {
	out, err := p.create(filepath.Join(p.dir, partName(len(p.files))))
	if err != nil {
		return err
	}
	p.out = out
	p.rows = parquet.NewGenericWriter[Document](out,
		parquet.Compression(&zstd.Codec{}),
		parquet.CreatedBy("tributary", "1", "documents"),
		parquet.MaxRowsPerRowGroup(2*p.cuts.groupDocuments),
		parquet.PageBufferSize(1<<18),
		// Bounds of these columns would repeat a whole text in the page index.
		parquet.SkipPageBounds("text"), parquet.SkipPageBounds("title"), parquet.SkipPageBounds("url"),
		parquet.SkipPageStatistics("text"), parquet.SkipPageStatistics("title"), parquet.SkipPageStatistics("url"),
		parquet.KeyValueMetadata("format", documentsFormat),
	)
	p.partDocs, p.partBytes, p.groupDocs, p.groupBytes = 0, 0, 0, 0
	return nil
}

func (p *partWriter) endPart() error {
	if err := p.rows.Close(); err != nil {
		return p.failed(err)
	}
	f, err := p.out.Commit()
	if err != nil {
		return err
	}
	f.Rows = p.partDocs
	p.files = append(p.files, f)
	p.out, p.rows = nil, nil
	if p.onPart != nil {
		return p.onPart()
	}
	return nil
}

// finish ends the last part.
func (p *partWriter) finish() (err error) {
	if p.out == nil {
		return nil
	}
	defer recoverParquet(&err, "writing "+filepath.Join(p.dir, partName(len(p.files))))
	return p.endPart()
}

// totals are the manifest's figures of what this writer added.
func (p *partWriter) totals() map[string]int64 {
	return map[string]int64{"documents": p.docs, "bytes": p.bytes, "chars": p.chars, "words": p.words}
}

// publish writes the manifest and removes what it does not name.
func (p *partWriter) publish(m *store.Manifest) error {
	if err := store.WriteManifest(p.dir, m); err != nil {
		return err
	}
	return sweep(p.dir, m)
}

// sweep removes parts that the manifest does not name, and what killed runs left.
func sweep(dir string, m *store.Manifest) error {
	named := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		named[f.Path] = true
	}
	return store.Sweep(dir, func(name string) bool {
		return named[name] || !strings.HasPrefix(name, "part-")
	})
}

func (p *partWriter) abort() {
	if p.out != nil {
		p.out.Abort()
		p.out, p.rows = nil, nil
	}
}

// recoverParquet turns a panic of the Parquet library into an error.
func recoverParquet(err *error, doing string) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("%s: %v", doing, r)
	}
}
