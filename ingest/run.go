package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/books"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/records"
	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// Config says what to ingest.
type Config struct {
	// Data is the data root; Source is the name under it, guessed from the kind
	// when empty.
	Data   string
	Source string
	// Inputs are files, directories, which are walked in the order of names, patterns
	// of file names, places that package remote can read, and "-".
	Inputs []string
	// Kind is one of Kinds; empty means to tell it from the inputs, which must
	// then be of one kind (see Split).
	Kind string
	// Jobs is how many goroutines work; 0 means GOMAXPROCS. Nothing that is
	// written depends on it.
	Jobs int
	// MaxRecordBytes is the longest record, or book, that is read; longer ones are
	// skipped and counted. 0 means 32 MiB, which bounds memory to half a gigabyte.
	MaxRecordBytes int64
	// Wiki says what text is made of wikitext.
	Wiki wiki.ExtractOptions
	// Books says what is kept of books.
	Books books.Options
	// SkipDisambiguation skips the pages of wikis that only tell things of like names
	// apart.
	SkipDisambiguation bool
	// Fields says where texts lie in records of JSON, Parquet and Arrow.
	Fields records.Fields
	// ReplacePII puts harmless values in place of what looks like personal data in the
	// texts (see package pii) and counts them among the repairs.
	ReplacePII bool
	// Remote opens inputs that are far away; nil means a client of its own.
	Remote *remote.Client
	// Stdin is the file that the input "-" was spooled to (see Spool).
	Stdin string
	// Replace withdraws the documents that the source has.
	Replace bool
	Meter   *progress.Meter
	Log     *slog.Logger

	guessed bool                            // the kind was told from the inputs
	adjust  func(*partWriter)               // for tests: smaller parts, failing disks
	sample  int64                           // for tests: bytes that a plan reads
	began   func(name string, offset int64) // for tests: where reading an input begins
}

// ErrChanged says that a source was ingested from other content, or with other
// options, under the same names.
var ErrChanged = errors.New("the source was ingested differently before; replace it, or ingest under another name")

// ErrNoDocuments says that no input gave a document. The report beside the
// source's documents says why.
var ErrNoDocuments = errors.New("the inputs gave no document")

const (
	// ingestVersion changes when the same input gives other documents.
	ingestVersion = 5
	resumeName    = "resume.json"
	// underway bounds the bytes of records that are being worked on.
	underway = 32 << 20
	// maxJobs bounds the memory that goroutines hold of their own.
	maxJobs = 16
)

// options are what, beside the inputs, determines a source's documents.
type options struct {
	Version        int    `json:"version"`
	Kind           string `json:"kind"`
	MaxRecordBytes int64  `json:"max_record_bytes"`

	Wiki   wiki.ExtractOptions `json:"wiki,omitzero"`
	Fields records.Fields      `json:"fields,omitzero"`
	Books  books.Options       `json:"books,omitzero"`

	SkipDisambiguation bool `json:"skip_disambiguation,omitempty"`

	ReplacePII bool `json:"replace_pii,omitempty"`
}

// Run ingests the inputs into a source. New inputs are appended to what the
// source has; inputs that it has already are left alone, and when there are no
// others nothing is done. A run that was stopped goes on after the last part it
// finished and ends with the bytes it would have ended with.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Kind != "" && !slices.Contains(Kinds(), cfg.Kind) {
		return nil, fmt.Errorf("kind %q: the kinds are %s", cfg.Kind, strings.Join(Kinds(), ", "))
	}
	split, err := Split(ctx, cfg)
	if err != nil {
		return nil, err
	}
	if len(split) > 1 {
		var kinds []string
		for _, c := range split {
			kinds = append(kinds, fmt.Sprintf("%s (%s)", c.Kind, strings.Join(c.Inputs, ", ")))
		}
		return nil, fmt.Errorf("the inputs are of several kinds: %s; ingest each kind by itself", strings.Join(kinds, "; "))
	}
	cfg = split[0]
	if err := CheckSource(cfg.Source); err != nil {
		return nil, err
	}
	cfg = cfg.completed()
	r := newRun(cfg)
	report, err := r.run(ctx)
	if err != nil {
		return report, fmt.Errorf("ingesting %s: %w", cfg.Source, err)
	}
	return report, nil
}

// completed fills in what a configuration leaves to chance.
func (cfg Config) completed() Config {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.Jobs <= 0 {
		cfg.Jobs = runtime.GOMAXPROCS(0)
	}
	cfg.Jobs = min(cfg.Jobs, maxJobs)
	if cfg.MaxRecordBytes <= 0 {
		cfg.MaxRecordBytes = 32 << 20
	}
	return cfg
}

func newRun(cfg Config) *run {
	return &run{
		cfg:    cfg,
		places: cfg.places(),
		dir:    DocumentsDir(cfg.Data, cfg.Source),
		options: options{
			Version: ingestVersion, Kind: cfg.Kind, MaxRecordBytes: cfg.MaxRecordBytes, Wiki: cfg.Wiki, Fields: cfg.Fields,
			ReplacePII: cfg.ReplacePII, Books: cfg.Books, SkipDisambiguation: cfg.SkipDisambiguation,
		},
	}
}

// run is one call of Run.
type run struct {
	cfg     Config
	places  *places
	dir     string
	options options

	inputs  []*input // to read now
	skipped []*input // files of directories that are no input
	key     string
	known   map[string]string // digests of the inputs that the source has
	report  *Report
	base    int // inputs of the report that were there before
	parts   *partWriter
	logged  map[string]int

	watch   *watch
	checked float64 // seconds that checking the inputs took
	resumed bool
	slowest []Slowest // of the inputs

	current int   // the input that is being read
	seen    int64 // items of it
	from    position
	line    *line
	at      position // of what is accounted for
}

// resume is what a stopped run leaves for the next.
type resume struct {
	Key    string       `json:"key"`
	From   position     `json:"from"`
	Files  []store.File `json:"files"`
	Totals [4]int64     `json:"totals"`
	Report *Report      `json:"report"`
}

func (r *run) run(ctx context.Context) (*Report, error) {
	all, err := r.places.expand(ctx, r.cfg.Inputs, r.cfg.Kind, r.cfg.guessed)
	if err != nil {
		return nil, err
	}
	r.watch = newWatch()
	defer r.watch.end()
	if err := r.digest(ctx, all); err != nil {
		return nil, err
	}
	r.checked = time.Since(r.watch.from).Seconds()
	manifest, err := r.before()
	if err != nil {
		return nil, err
	}
	done, err := r.compare(all, manifest)
	if err != nil || done != nil {
		return done, err
	}
	if err := r.prepare(manifest); err != nil {
		return nil, err
	}
	defer r.parts.abort()
	if err := r.read(ctx); err != nil {
		return nil, err
	}
	return r.finish(manifest)
}

// digest hashes the content of the inputs.
func (r *run) digest(ctx context.Context, all []*input) error {
	var total int64
	for _, in := range all {
		total += in.size
	}
	r.cfg.Meter.Begin("checking the inputs of "+r.cfg.Source, "bytes", total, 0)
	for _, in := range all {
		if in.ignored != "" {
			continue
		}
		digest, err := r.places.digest(ctx, in, r.cfg.Meter)
		if err != nil {
			return fmt.Errorf("reading input %s: %w", in.where(), err)
		}
		in.digest = digest
	}
	return nil
}

// before returns the manifest of what the source has, nil when it has nothing.
func (r *run) before() (*store.Manifest, error) {
	if r.cfg.Replace {
		return nil, withdraw(r.dir)
	}
	m, err := store.ReadManifest(r.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var old options
	if m.Format != documentsFormat || len(m.Config) == 0 || json.Unmarshal(m.Config, &old) != nil {
		return nil, fmt.Errorf("%w: what %s holds was not ingested", ErrChanged, r.dir)
	}
	if store.Key(old) != store.Key(r.options) { // rules are told apart by what they say
		return nil, fmt.Errorf("%w: with %+v, now %+v", ErrChanged, old, r.options)
	}
	return m, nil
}

// compare finds what is new among the inputs. It returns the report when nothing
// is.
func (r *run) compare(all []*input, m *store.Manifest) (*Report, error) {
	r.known = map[string]string{}
	if m != nil {
		r.known = m.Inputs
	}
	given := map[string]bool{}
	for _, in := range all {
		given[in.name] = true
		digest, have := r.known[in.name]
		switch {
		case in.ignored != "":
			r.skipped = append(r.skipped, in)
		case !have:
			r.inputs = append(r.inputs, in)
		case digest != in.digest:
			return nil, fmt.Errorf("%w: input %s is not the %s that the source has", ErrChanged, in.where(), in.name)
		}
	}
	if m == nil {
		return nil, nil
	}
	if _, whole := store.Done(r.dir, m.Key); !whole {
		for name := range r.known {
			if !given[name] {
				return nil, &store.DamagedError{Path: r.dir, Detail: fmt.Sprintf("a part is missing or of another size, and input %s, which it needs, is not named", name)}
			}
		}
		r.cfg.Log.Warn("documents are damaged; ingesting them again", "source", r.cfg.Source)
		if err := withdraw(r.dir); err != nil {
			return nil, err
		}
		again := *r
		again.inputs, again.skipped = nil, nil
		if _, err := again.compare(all, nil); err != nil {
			return nil, err
		}
		*r = again
		m.Files, m.Inputs, m.Key = nil, nil, ""
		return nil, nil
	}
	if len(r.inputs) > 0 {
		return nil, nil
	}
	if err := r.tidy(m); err != nil {
		return nil, err
	}
	report, err := ReadReport(r.cfg.Data, r.cfg.Source)
	if err != nil {
		return nil, err
	}
	report.UpToDate = true
	return report, nil
}

// prepare sets the run up to go on after what the source has and after what a
// stopped run of the same work left.
func (r *run) prepare(m *store.Manifest) error {
	parts := []any{"ingest", r.cfg.Source, r.options}
	r.report = &Report{Source: r.cfg.Source, Kind: r.cfg.Kind}
	var files []store.File
	var totals [4]int64
	if m != nil && m.Key != "" {
		old, err := ReadReport(r.cfg.Data, r.cfg.Source)
		if err != nil {
			return err
		}
		r.report.Inputs = old.Inputs
		files = slices.Clone(m.Files)
		totals = [4]int64{m.Totals["documents"], m.Totals["bytes"], m.Totals["chars"], m.Totals["words"]}
		parts = append(parts, m.Key)
		// A run that was stopped after its report and before its manifest.
		r.report.Inputs = slices.DeleteFunc(r.report.Inputs, func(in InputReport) bool {
			return in.Digest != "" && m.Inputs[in.File] != in.Digest
		})
	}
	for _, in := range r.inputs {
		parts = append(parts, in.name, in.digest)
	}
	r.key = store.Key(parts...)
	r.skip()
	r.base = len(r.report.Inputs)
	for _, in := range r.inputs {
		r.report.Inputs = append(r.report.Inputs, InputReport{File: in.name, FileBytes: in.size, Digest: in.digest})
	}

	var left resume
	if err := readJSON(filepath.Join(r.dir, resumeName), maxReport, &left); err == nil && left.Key == r.key && r.onDisk(left.Files) &&
		left.Report != nil && len(left.Report.Inputs) == len(r.report.Inputs) {
		r.cfg.Log.Info("going on where a run was stopped", "source", r.cfg.Source, "parts", len(left.Files), "input", left.From.Input)
		r.resumed = true
		r.report, r.from, files, totals = left.Report, left.From, left.Files, left.Totals
	}
	r.parts = newPartWriter(r.dir, files)
	r.parts.docs, r.parts.bytes, r.parts.chars, r.parts.words = totals[0], totals[1], totals[2], totals[3]
	r.parts.onPart = r.save
	if r.cfg.adjust != nil {
		r.cfg.adjust(r.parts)
	}
	r.current = -1
	r.logged = map[string]int{}
	return nil
}

// skip reports the files that are no input, unless an earlier run did.
func (r *run) skip() {
	for _, in := range r.skipped {
		if slices.ContainsFunc(r.report.Inputs, func(old InputReport) bool { return old.File == in.name && old.Digest == "" }) {
			continue
		}
		report := InputReport{File: in.name, FileBytes: in.size}
		report.Records, report.Skipped = 1, 1
		tally(&report.Skips, in.ignored, 1, &Place{File: in.name, Detail: in.detail})
		r.report.Inputs = append(r.report.Inputs, report)
	}
}

func (r *run) onDisk(files []store.File) bool {
	for _, f := range files {
		info, err := os.Stat(filepath.Join(r.dir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Bytes {
			return false
		}
	}
	return true
}

// save notes how far the run has come.
func (r *run) save() error {
	p := r.parts
	return writeJSON(filepath.Join(r.dir, resumeName), resume{
		Key: r.key, From: r.at, Files: p.files,
		Totals: [4]int64{p.docs, p.bytes, p.chars, p.words}, Report: r.report,
	})
}

// read reads the inputs that are left to read.
func (r *run) read(ctx context.Context) error {
	var total, base int64
	for i, in := range r.inputs {
		total += in.size
		if i < r.from.Input {
			base += in.size
		}
	}
	r.cfg.Meter.Begin("ingesting "+r.cfg.Source, "bytes", total, base)
	r.line = newLine(ctx, r.cfg.Jobs, func() *annotator { return newAnnotator(r.cfg.ReplacePII) }, r.account)
	err := readers()[r.cfg.Kind](ctx, r, r.from.Input)
	if failed := r.line.end(); err == nil {
		err = failed
	}
	return err
}

// readers are the readers of the kinds. Each reads the inputs from the given one
// on and takes their items.
func readers() map[string]func(ctx context.Context, r *run, first int) error {
	return map[string]func(ctx context.Context, r *run, first int) error{
		KindBooks:   readFiles,
		KindText:    readFiles,
		KindWeb:     readWeb,
		KindWiki:    readWiki,
		KindJSONL:   readRecords,
		KindParquet: readRecords,
		KindArrow:   readRecords,
	}
}

// finish publishes the source.
func (r *run) finish(before *store.Manifest) (*Report, error) {
	if err := r.parts.finish(); err != nil {
		return nil, err
	}
	for i, in := range r.inputs {
		if err := in.unchanged(); err != nil {
			tally(&r.report.Inputs[r.base+i].Damage, causeMoved, 1, &Place{File: in.name, Detail: err.Error()})
			r.cfg.Log.Warn("an input changed while it was read", "file", in.where(), "error", err)
		}
	}
	r.report.sum()
	if err := writeJSON(filepath.Join(r.dir, ReportName), r.report); err != nil {
		return nil, err
	}
	if err := r.timing(); err != nil {
		return nil, err
	}
	if r.parts.docs == 0 {
		err := ErrNoDocuments
		for _, s := range r.report.Totals.Skips {
			err = fmt.Errorf("%w; %d skipped: %s, such as %s record %d", err, s.Count, s.Name, s.Example.File, s.Example.Record)
		}
		return r.report, err
	}
	config, err := json.Marshal(r.options)
	if err != nil {
		return nil, fmt.Errorf("encoding the options: %w", err)
	}
	m := &store.Manifest{
		Format: documentsFormat, Key: r.key, Config: config, Inputs: map[string]string{}, Totals: r.parts.totals(), Files: r.parts.files,
	}
	if before != nil {
		for name, digest := range before.Inputs {
			m.Inputs[name] = digest
		}
	}
	for _, in := range r.inputs {
		m.Inputs[in.name] = in.digest
	}
	m.Totals["records"], m.Totals["skipped"] = r.report.Totals.Records, r.report.Totals.Skipped
	for _, s := range r.report.Totals.Skips {
		m.Totals["skipped: "+s.Name] = s.Count
	}
	if err := r.parts.publish(m); err != nil {
		return nil, err
	}
	return r.report, r.forget()
}

// forget removes what a run goes on with.
func (r *run) forget() error {
	if err := os.Remove(filepath.Join(r.dir, resumeName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", resumeName, err)
	}
	return nil
}

// tidy ends the work of a run that was killed after its manifest was there. What a
// stopped run of other work left stays.
func (r *run) tidy(m *store.Manifest) error {
	var left resume
	if err := readJSON(filepath.Join(r.dir, resumeName), maxReport, &left); err != nil || left.Key != m.Key {
		return nil
	}
	if err := sweep(r.dir, m); err != nil {
		return err
	}
	return r.forget()
}

// metered counts the bytes read from r.
type metered struct {
	ctx   context.Context
	r     io.Reader
	meter *progress.Meter
}

func (m *metered) Read(p []byte) (int, error) {
	if err := m.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := m.r.Read(p)
	m.meter.Add(int64(n))
	return n, err
}
