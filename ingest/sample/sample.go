// Package sample writes a small raw corpus that the program makes up itself: a
// wiki dump, a folder of books, a crawl archive and a small labelled set, with
// planted duplicates and broken records. It is what the quickstart trains on and
// what tests read.
//
// The text comes from a phrase-structure grammar over a lexicon of topics whose
// words belong together, so that a masked-language model finds much more in it
// than the frequencies of words: agreement, who does what to which thing, which
// preposition goes with which place, one topic a document.
package sample

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
)

// format is part of the corpus's key: a change of what is written changes it.
const format = "tributary/sample/1"

// The names of what Write makes below its directory.
const (
	WikiFile    = "wiki.xml.bz2"
	BooksDir    = "books"
	CrawlFile   = "crawl.warc.wet.gz"
	LabelledDir = "labelled"
	PlantedFile = "planted.json"
)

// Options choose the corpus. Every byte is a pure function of them.
type Options struct {
	// Seed chooses among corpora of the same size.
	Seed uint64
	// Scale multiplies the number of articles, books and records (and, below 1,
	// the chapters of a book); 0 means 1, which makes about 6 MB of text. Planted
	// items do not shrink with it.
	Scale float64
	// Meter counts the bytes written; it may be nil.
	Meter *progress.Meter `json:"-"`
}

// Report says what was written.
type Report struct {
	// Articles, Books and Records count the readable articles, books and crawl
	// records, duplicates included; Pages and CrawlRecords count everything.
	Articles     int `json:"articles"`
	Pages        int `json:"pages"`
	Books        int `json:"books"`
	Records      int `json:"records"`
	CrawlRecords int `json:"crawl_records"`
	// Labelled counts the examples of the labelled set.
	Labelled int `json:"labelled"`
	// TextBytes is the size of the made-up text before any markup.
	TextBytes int64 `json:"text_bytes"`
	// FileBytes is the size of the files on disk.
	FileBytes int64 `json:"file_bytes"`
	// Cached says that the corpus was there already.
	Cached bool `json:"cached"`
}

// Planted lists what was planted: what a tool should find.
type Planted struct {
	// Exact and Near hold pairs of documents; a copy is never the first in its
	// file.
	Exact []Pair `json:"exact"`
	Near  []Pair `json:"near"`
	// Broken lists the records that cannot be read whole.
	Broken []Fault `json:"broken"`
	// Overlap lists crawl pages that hold examples of the labelled dev set.
	Overlap []Place `json:"overlap"`
}

// Place names one document: a file below the corpus's directory and, in a file
// of many, the wiki page's title or the crawl record's URL.
type Place struct {
	File  string `json:"file"`
	Title string `json:"title,omitempty"`
	URL   string `json:"url,omitempty"`
}

// Pair is an original and its copy. Changed is the share of words that differ.
type Pair struct {
	Original Place   `json:"original"`
	Copy     Place   `json:"copy"`
	Changed  float64 `json:"changed,omitempty"`
}

// Fault is a broken record and what is wrong with it.
type Fault struct {
	Place
	Fault string `json:"fault"`
}

// writing is the state of one Write.
type writing struct {
	ctx     context.Context
	dir     string
	opts    Options
	topics  []topic
	planted Planted
	report  Report
	files   []store.File
}

// Write makes the corpus in dir. A corpus with the same options that is there
// already is left alone; one with other options is replaced.
func Write(ctx context.Context, dir string, opts Options) (*Report, error) {
	if opts.Scale == 0 {
		opts.Scale = 1
	}
	if !(opts.Scale > 0 && opts.Scale <= 1000) {
		return nil, fmt.Errorf("writing a sample corpus: scale %g is outside (0, 1000]", opts.Scale)
	}
	key := store.Key(format, opts)
	if m, ok := store.Done(dir, key); ok {
		var r Report
		if err := json.Unmarshal(m.Config, &r); err == nil {
			r.Cached = true
			return &r, nil
		}
	}
	if err := clear(dir); err != nil {
		return nil, fmt.Errorf("writing a sample corpus: %w", err)
	}
	w := &writing{ctx: ctx, dir: dir, opts: opts, topics: topics()}
	opts.Meter.Begin("writing a sample corpus", "bytes", 0, 0)
	for _, part := range []func() error{w.labelled, w.wiki, w.books, w.crawl, w.plantedList} {
		if err := part(); err != nil {
			return nil, fmt.Errorf("writing a sample corpus: %w", err)
		}
	}
	config, err := json.Marshal(w.report)
	if err != nil {
		return nil, fmt.Errorf("writing a sample corpus: %w", err)
	}
	m := &store.Manifest{Format: format, Key: key, Config: config, Files: w.files}
	if err := store.WriteManifest(dir, m); err != nil {
		return nil, fmt.Errorf("writing a sample corpus: %w", err)
	}
	return &w.report, nil
}

// clear removes what an earlier Write left, by its manifest, and partial files.
// Files that it did not make stay.
func clear(dir string) error {
	if m, err := store.ReadManifest(dir); err == nil {
		if m.Format != format {
			return fmt.Errorf("%s holds something else already (its manifest's format is %q)", dir, m.Format)
		}
		if err := os.Remove(filepath.Join(dir, store.ManifestName)); err != nil {
			return err
		}
		for _, f := range m.Files {
			if err := os.Remove(filepath.Join(dir, filepath.FromSlash(f.Path))); err != nil && !os.IsNotExist(err) {
				return err
			}
		}
	}
	for _, d := range []string{dir, filepath.Join(dir, BooksDir), filepath.Join(dir, LabelledDir)} {
		if err := store.Sweep(d, nil); err != nil {
			return err
		}
	}
	return nil
}

// rng returns the random numbers of item i of a kind. Each item has numbers of
// its own, so that scale changes how many there are and not what they say.
func (w *writing) rng(kind string, i int) *rand.Rand {
	h := uint64(14695981039346656037)
	for _, c := range []byte(kind) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return rand.New(rand.NewPCG(w.opts.Seed, h^uint64(i)*0x9e3779b97f4a7c15))
}

// count scales n, with a least value that tests and planted items need.
func (w *writing) count(n, least int) int {
	return max(least, int(math.Round(float64(n)*w.opts.Scale)))
}

// create begins the file at a path below the corpus's directory.
func (w *writing) create(path string) (*store.Writer, error) {
	if err := w.ctx.Err(); err != nil {
		return nil, err
	}
	return store.Create(filepath.Join(w.dir, filepath.FromSlash(path)))
}

// commit puts the file in place and notes it for the manifest.
func (w *writing) commit(out *store.Writer, path string) error {
	f, err := out.Commit()
	if err != nil {
		return err
	}
	f.Path = path
	w.files = append(w.files, f)
	w.report.FileBytes += f.Bytes
	w.opts.Meter.Add(f.Bytes)
	return nil
}

func (w *writing) writeFile(path string, data []byte) error {
	out, err := w.create(path)
	if err != nil {
		return err
	}
	defer out.Abort()
	if _, err := out.Write(data); err != nil {
		return err
	}
	return w.commit(out, path)
}

func (w *writing) plantedList() error {
	data, err := json.MarshalIndent(w.planted, "", "  ")
	if err != nil {
		return err
	}
	return w.writeFile(PlantedFile, append(data, '\n'))
}
