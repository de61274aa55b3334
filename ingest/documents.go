package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/ingest/store"
)

// ErrNoSource says that a data root holds no documents of a source.
var ErrNoSource = errors.New("the source has no documents; ingest it first")

// Sources returns the names of the sources that have documents under the data
// root, in order. A data root that does not exist has none.
func Sources(dataDir string) ([]string, error) {
	entries, err := os.ReadDir(dataDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the sources: %w", err)
	}
	var names []string
	for _, e := range entries {
		if CheckSource(e.Name()) != nil {
			continue
		}
		_, err := os.Stat(filepath.Join(DocumentsDir(dataDir, e.Name()), store.ManifestName))
		if err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// DocumentsManifest reads the manifest of a source's documents. The error is
// ErrNoSource when there is none.
func DocumentsManifest(dataDir, source string) (*store.Manifest, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	m, err := store.ReadManifest(DocumentsDir(dataDir, source))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("source %q in %s: %w", source, dataDir, ErrNoSource)
	}
	if err != nil {
		return nil, err
	}
	if m.Format != documentsFormat {
		return nil, fmt.Errorf("source %q in %s: documents of format %q; this program reads %q", source, dataDir, m.Format, documentsFormat)
	}
	return m, nil
}

// Documents streams the documents of a source in the order in which they were
// ingested. A document may be kept by the caller. The sequence ends after the
// first error: ErrNoSource when there is no such source, a *store.DamagedError
// when a file is not what its manifest says, the context's when that is done.
func Documents(ctx context.Context, dataDir, source string) iter.Seq2[*Document, error] {
	return readSource[Document](ctx, dataDir, source)
}

// Measured is a document without its text: its id and its signals.
type Measured struct {
	ID string `parquet:"id"`
	signals.Signals
}

// Measures is Documents for the signals alone, which are read without the texts.
func Measures(ctx context.Context, dataDir, source string) iter.Seq2[*Measured, error] {
	return readSource[Measured](ctx, dataDir, source)
}

// Text is a document's text with what it is compared and ordered by.
type Text struct {
	ID    string `parquet:"id"`
	URL   string `parquet:"url"`
	Text  string `parquet:"text"`
	Words int64  `parquet:"words"`
}

// Texts is Documents for the texts, which are read without signals and provenance.
func Texts(ctx context.Context, dataDir, source string) iter.Seq2[*Text, error] {
	return readSource[Text](ctx, dataDir, source)
}

// readSource streams the columns of a source's documents that T has.
func readSource[T any](ctx context.Context, dataDir, source string) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		m, err := DocumentsManifest(dataDir, source)
		if err != nil {
			yield(nil, err)
			return
		}
		dir := DocumentsDir(dataDir, source)
		for _, f := range m.Files {
			more, err := readPart(ctx, filepath.Join(dir, filepath.FromSlash(f.Path)), f, yield)
			if err != nil {
				yield(nil, err)
				return
			}
			if !more {
				return
			}
		}
	}
}

// readPart yields the documents of one part, or some of their columns; more is false
// when the consumer has stopped.
func readPart[T any](ctx context.Context, path string, want store.File, yield func(*T, error) bool) (more bool, err error) {
	r, err := openPart[T](path, want)
	if err != nil {
		return false, err
	}
	defer r.close()
	var read int64
	for {
		if err := ctx.Err(); err != nil {
			return false, fmt.Errorf("reading %s: %w", path, err)
		}
		batch, err := r.next()
		if err != nil {
			return false, err
		}
		if len(batch) == 0 {
			break
		}
		read += int64(len(batch))
		for i := range batch {
			if !yield(&batch[i], nil) {
				return false, nil
			}
		}
	}
	if read != want.Rows {
		return false, &store.DamagedError{Path: path, Detail: fmt.Sprintf("it holds %d documents, its manifest says %d", read, want.Rows)}
	}
	return true, nil
}

// partReader reads a part in batches. Its methods turn panics of the Parquet
// library on damaged files into errors.
type partReader[T any] struct {
	path string
	f    *os.File
	rows *parquet.GenericReader[T]
	end  bool
	// batch is how many rows are read at once: fewer of long documents.
	batch int
}

func openPart[T any](path string, want store.File) (r *partReader[T], err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &store.DamagedError{Path: path, Detail: "the file is missing"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading documents: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			err = damagedPart(path, fmt.Errorf("%v", p))
		}
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("reading documents: %w", err)
	}
	if info.Size() != want.Bytes {
		return nil, &store.DamagedError{Path: path, Detail: fmt.Sprintf("it has %d bytes, its manifest says %d", info.Size(), want.Bytes)}
	}
	file, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return nil, damagedPart(path, err)
	}
	for _, c := range signals.Columns() {
		if _, ok := file.Schema().Lookup(c.Name); !ok {
			return nil, &store.DamagedError{Path: path, Detail: fmt.Sprintf("it has no column %q, as files of an earlier version have not; ingest the source again", c.Name)}
		}
	}
	return &partReader[T]{path: path, f: f, rows: parquet.NewGenericReader[T](file), batch: int(max(1, min(16, 1<<18*want.Rows/max(want.Bytes, 1))))}, nil
}

// next returns some documents, none at the end. They are the caller's to keep.
func (r *partReader[T]) next() (batch []T, err error) {
	if r.end {
		return nil, nil
	}
	defer func() {
		if p := recover(); p != nil {
			batch, err = nil, damagedPart(r.path, fmt.Errorf("%v", p))
		}
	}()
	batch = make([]T, r.batch)
	n, err := r.rows.Read(batch)
	if errors.Is(err, io.EOF) {
		r.end = true
	} else if err != nil {
		return nil, damagedPart(r.path, err)
	} else if n == 0 {
		return nil, damagedPart(r.path, errors.New("the file ends before its rows do"))
	}
	return batch[:n], nil
}

func (r *partReader[T]) close() {
	defer func() { _ = recover() }()
	_ = r.rows.Close()
	_ = r.f.Close()
}

func damagedPart(path string, err error) error {
	return &store.DamagedError{Path: path, Detail: err.Error()}
}
