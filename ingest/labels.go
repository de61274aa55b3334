package ingest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-ml/tributary/ingest/store"
)

const (
	labelsFormat = "tributary/labels/1"
	labelsFile   = "labels.jsonl"
	// maxExample bounds a labelled example in a file, in bytes.
	maxExample = 16 << 20
	// maxClasses bounds the names of classes of a source.
	maxClasses = 1 << 16
)

// LabelTasks returns what labels may be of: the class of a text (classify) or of two
// (pair), a number (regress), or a class for each word (tag).
func LabelTasks() []string { return []string{"classify", "pair", "regress", "tag"} }

// ErrNoLabels says that a source has no labels.
var ErrNoLabels = errors.New("the source has no labels: make a labelled source with 'corpus label'")

// LabelConfig says which labelled examples to make a source of.
type LabelConfig struct {
	// Data is the data root, Source the source's name, Task one of LabelTasks.
	Data, Source, Task string
	// Inputs are files: tables with a header (.tsv, .csv), JSON lines (.jsonl, .json),
	// or, for tag, a word a line with its tag in the last column (.conll, .txt), each
	// also packed with gzip, bzip2 or zstd.
	Inputs []string
	// Text, Second and Label name the fields: "text", "second" for the second text of a
	// pair, and "label" when empty. Numbers, from 1, are columns of tables without a
	// header. For tag in JSON, Text and Label are lists of words and of their tags.
	Text, Second, Label string
	Log                 *slog.Logger
}

// LabelReport is what MakeLabelled did.
type LabelReport struct {
	Source   string   `json:"source"`
	Task     string   `json:"task"`
	Examples int64    `json:"examples"`
	Classes  []string `json:"classes,omitempty"`
	// Skips tells by cause what was left out, with the first place of each.
	Skipped int64   `json:"skipped"`
	Skips   []Count `json:"skips,omitempty"`
}

// Labelled is what is known of one document: a line of the labels.
type Labelled struct {
	ID string `json:"id"`
	// Label is the name of the class and Value the number of regress.
	Label string  `json:"label,omitempty"`
	Value float64 `json:"value,omitempty"`
	// First is the length in bytes of the first of two texts; 0 for one text.
	First int `json:"first,omitempty"`
	// Tags are the classes of the words, which single spaces keep apart in the text.
	Tags []string `json:"tags,omitempty"`
}

// LabelsManifest describes the labels of a source.
type LabelsManifest struct {
	store.Manifest
	Task    string   `json:"task"`
	Classes []string `json:"classes,omitempty"`
}

// LabelsDir returns the directory of a source's labels.
func LabelsDir(dataDir, source string) string { return filepath.Join(dataDir, source, "labels") }

// MakeLabelled makes a source of labelled examples: each becomes a document and a
// label joined to it by its id. What the source held before is replaced. An example
// that cannot be read is skipped and counted. All labels are held in memory.
func MakeLabelled(ctx context.Context, cfg LabelConfig) (*LabelReport, error) {
	if !slices.Contains(LabelTasks(), cfg.Task) {
		return nil, fmt.Errorf("labels: there is no task %q; there are %s", cfg.Task, strings.Join(LabelTasks(), ", "))
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	for at, usual := range map[*string]string{&cfg.Text: "text", &cfg.Label: "label"} {
		if *at == "" {
			*at = usual
		}
	}
	if cfg.Task == "pair" && cfg.Second == "" {
		cfg.Second = "second"
	}
	w, err := NewWriter(cfg.Data, cfg.Source)
	if err != nil {
		return nil, err
	}
	defer w.Abort()
	if err := withdraw(LabelsDir(cfg.Data, cfg.Source)); err != nil {
		return nil, err
	}
	m := &labelling{cfg: cfg, writer: w, classes: map[string]bool{}, skips: map[string]*Count{}}
	m.report = LabelReport{Source: cfg.Source, Task: cfg.Task}
	for _, path := range cfg.Inputs {
		if err := m.read(ctx, path); err != nil {
			return nil, fmt.Errorf("reading the labelled examples of %s: %w", path, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.skips)) {
		m.report.Skips = append(m.report.Skips, *m.skips[name])
	}
	if m.report.Examples == 0 {
		return &m.report, fmt.Errorf("labels: of %d examples none can be read: %v", m.report.Skipped, m.report.Skips)
	}
	docs, err := w.Commit()
	if err != nil {
		return nil, err
	}
	dir := LabelsDir(cfg.Data, cfg.Source)
	f, err := store.WriteFile(filepath.Join(dir, labelsFile), m.lines.Bytes())
	if err != nil {
		return nil, err
	}
	f.Rows = m.report.Examples
	m.report.Classes = slices.Sorted(maps.Keys(m.classes))
	manifest := LabelsManifest{
		Manifest: store.Manifest{
			Format: labelsFormat, Inputs: map[string]string{"documents": docs.Digest()}, Files: []store.File{f},
			Totals: map[string]int64{"examples": m.report.Examples, "skipped": m.report.Skipped},
		},
		Task: cfg.Task, Classes: m.report.Classes,
	}
	manifest.Key = store.Key(labelsFormat, cfg.Task, manifest.Digest())
	data, err := json.MarshalIndent(&manifest, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the manifest of %s: %w", dir, err)
	}
	_, err = store.WriteFile(filepath.Join(dir, store.ManifestName), append(data, '\n'))
	return &m.report, err
}

// ReadLabels reads the labels of a source. The error is ErrNoLabels when it has none.
func ReadLabels(dataDir, source string) (*LabelsManifest, []Labelled, error) {
	if err := CheckSource(source); err != nil {
		return nil, nil, err
	}
	dir := LabelsDir(dataDir, source)
	base, err := store.ReadManifest(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, fmt.Errorf("source %s: %w", source, ErrNoLabels)
	}
	if err != nil {
		return nil, nil, err
	}
	path := filepath.Join(dir, store.ManifestName)
	if base.Format != labelsFormat || len(base.Files) != 1 {
		return nil, nil, fmt.Errorf("reading %s: its format is %q with %d files, this version reads %q with one", path, base.Format, len(base.Files), labelsFormat)
	}
	if err := store.VerifyFile(dir, base.Files[0]); err != nil {
		return nil, nil, err
	}
	m := new(LabelsManifest)
	data, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(data, m)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading %s: %w", path, err)
	}
	m.Manifest = *base
	path = filepath.Join(dir, base.Files[0].Path)
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the labels: %w", err)
	}
	defer f.Close()
	var labels []Labelled
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var l Labelled
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return m, labels, nil
		} else if err != nil {
			return nil, nil, fmt.Errorf("reading %s, label %d: %w", path, len(labels), err)
		}
		labels = append(labels, l)
	}
}

// labelling is one run of MakeLabelled.
type labelling struct {
	cfg     LabelConfig
	writer  *Writer
	lines   bytes.Buffer
	classes map[string]bool
	skips   map[string]*Count
	report  LabelReport

	file   string
	record int64
}

// example is one example as it was read.
type example struct {
	text, second, label string
	words, tags         []string
	offset              int64
}

func (m *labelling) skip(cause string, offset int64) {
	m.report.Skipped++
	c := m.skips[cause]
	if c == nil {
		c = &Count{Name: cause, Example: &Place{File: m.file, Record: m.record, Offset: offset}}
		m.skips[cause] = c
	}
	c.Count++
	m.cfg.Log.Debug("skipped a labelled example", "file", m.file, "record", m.record, "cause", cause)
	m.record++
}

// add takes an example, or counts why not.
func (m *labelling) add(e example) error {
	l := Labelled{Label: strings.TrimSpace(e.label)}
	text := strings.ToValidUTF8(e.text, "�")
	switch m.cfg.Task {
	case "tag":
		if len(e.words) == 0 || len(e.words) != len(e.tags) {
			m.skip("not as many tags as words", e.offset)
			return nil
		}
		text, l.Label, l.Tags = strings.ToValidUTF8(strings.Join(e.words, " "), "�"), "", e.tags
	case "pair":
		second := strings.ToValidUTF8(e.second, "�")
		if strings.TrimSpace(text) == "" || strings.TrimSpace(second) == "" {
			m.skip("one of the two texts is empty", e.offset)
			return nil
		}
		l.First = len(text)
		text += "\n\n" + second
	case "regress":
		v, err := strconv.ParseFloat(l.Label, 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			m.skip("the label is no number", e.offset)
			return nil
		}
		l.Label, l.Value = "", v
	}
	if strings.TrimSpace(text) == "" {
		m.skip("no text", e.offset)
		return nil
	}
	if l.Label == "" && (m.cfg.Task == "classify" || m.cfg.Task == "pair") {
		m.skip("no label", e.offset)
		return nil
	}
	for _, class := range append(l.Tags, l.Label) {
		if class != "" {
			m.classes[class] = true
		}
	}
	if len(m.classes) > maxClasses {
		return fmt.Errorf("there are more than %d classes: is %q the label?", maxClasses, m.cfg.Label)
	}
	d := Document{File: m.file, Record: m.record, Offset: e.offset, Text: text}
	d.ID = NewID(m.cfg.Source, d.File, strconv.FormatInt(d.Record, 10))
	l.ID = d.ID
	if err := m.writer.Add(&d); err != nil {
		return err
	}
	line, err := json.Marshal(&l)
	if err != nil {
		return err
	}
	m.lines.Write(append(line, '\n'))
	m.record++
	m.report.Examples++
	return nil
}

func (m *labelling) read(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	in, err := decompress(f, 1, nil)
	if err != nil {
		return err
	}
	defer in.Close()
	m.file, m.record = filepath.Base(path), 0
	name := path
	for _, packed := range []string{".gz", ".bz2", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	lines := newExampleLines(in)
	switch ext := strings.ToLower(filepath.Ext(name)); {
	case ext == ".jsonl" || ext == ".json" || ext == ".ndjson":
		return m.readJSON(ctx, lines)
	case m.cfg.Task == "tag":
		return m.readColumns(ctx, lines)
	case ext == ".csv":
		return m.readTable(ctx, lines, splitCSV)
	case ext == ".tsv" || ext == ".txt":
		return m.readTable(ctx, lines, func(line string) ([]string, error) { return strings.Split(line, "\t"), nil })
	}
	return errors.New("its name says nothing of its format: want .jsonl, .tsv or .csv, or .conll for tags")
}

// splitCSV reads one line of a table with commas.
func splitCSV(line string) ([]string, error) {
	r := csv.NewReader(strings.NewReader(line))
	return r.Read()
}

// exampleLines reads lines of at most maxExample bytes.
type exampleLines struct {
	in     *bufio.Reader
	offset int64 // of the line that was read last
	next   int64
}

func newExampleLines(r io.Reader) *exampleLines {
	in := bufio.NewReaderSize(r, 64<<10)
	l := &exampleLines{in: in}
	if head, _ := in.Peek(3); string(head) == "\xef\xbb\xbf" {
		n, _ := in.Discard(3)
		l.next = int64(n)
	}
	return l
}

// read returns the next line without its end; io.EOF after the last.
func (l *exampleLines) read(ctx context.Context) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	var line []byte
	l.offset = l.next
	for {
		part, err := l.in.ReadSlice('\n')
		l.next += int64(len(part))
		line = append(line, part...)
		if len(line) > maxExample {
			return "", fmt.Errorf("the line at byte %d is longer than %d bytes", l.offset, maxExample)
		}
		if err == nil || errors.Is(err, io.EOF) && len(line) > 0 {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

func (m *labelling) readTable(ctx context.Context, lines *exampleLines, split func(string) ([]string, error)) error {
	columns := map[string]int{}
	wanted := []string{m.cfg.Text, m.cfg.Label}
	if m.cfg.Task == "pair" {
		wanted = append(wanted, m.cfg.Second)
	}
	numbers := !slices.ContainsFunc(wanted, func(name string) bool { n, err := strconv.Atoi(name); return err != nil || n < 1 })
	width := 0
	for {
		line, err := lines.read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		cells, err := split(line)
		if len(columns) == 0 {
			if err != nil {
				return fmt.Errorf("its header: %w", err)
			}
			for _, name := range wanted {
				at := slices.Index(cells, name)
				if numbers {
					at, _ = strconv.Atoi(name)
					at--
				}
				if at < 0 {
					return fmt.Errorf("its header has no column %q but %q", name, cells)
				}
				columns[name] = at
				width = max(width, at+1)
			}
			if !numbers {
				continue
			}
		}
		if line == "" {
			continue
		}
		if err != nil || len(cells) < width {
			m.skip("the line has too few columns", lines.offset)
			continue
		}
		e := example{text: cells[columns[m.cfg.Text]], label: cells[columns[m.cfg.Label]], offset: lines.offset}
		if m.cfg.Task == "pair" {
			e.second = cells[columns[m.cfg.Second]]
		}
		if err := m.add(e); err != nil {
			return err
		}
	}
}

func (m *labelling) readJSON(ctx context.Context, lines *exampleLines) error {
	for {
		line, err := lines.read(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		var fields map[string]json.RawMessage
		if json.Unmarshal([]byte(line), &fields) != nil {
			m.skip("not a JSON object", lines.offset)
			continue
		}
		e := example{offset: lines.offset}
		bad := false
		if m.cfg.Task == "tag" {
			bad = json.Unmarshal(fields[m.cfg.Text], &e.words) != nil || json.Unmarshal(fields[m.cfg.Label], &e.tags) != nil ||
				slices.ContainsFunc(e.words, func(w string) bool { return w == "" || strings.Contains(w, " ") })
		} else {
			bad = json.Unmarshal(fields[m.cfg.Text], &e.text) != nil || m.cfg.Task == "pair" && json.Unmarshal(fields[m.cfg.Second], &e.second) != nil
			var label any
			if json.Unmarshal(fields[m.cfg.Label], &label) == nil {
				switch v := label.(type) {
				case string:
					e.label = v
				case bool, float64:
					e.label = fmt.Sprint(v)
				}
			}
		}
		if bad {
			m.skip("a field is missing or of another type", lines.offset)
			continue
		}
		if err := m.add(e); err != nil {
			return err
		}
	}
}

// readColumns reads a word a line, its tag in the last column, with empty lines
// between sentences (CoNLL).
func (m *labelling) readColumns(ctx context.Context, lines *exampleLines) error {
	var e example
	for {
		line, err := lines.read(ctx)
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		cells := strings.Fields(line)
		if len(cells) == 0 || cells[0] == "-DOCSTART-" {
			if len(e.words) > 0 {
				if err := m.add(e); err != nil {
					return err
				}
			}
			e = example{}
			if end {
				return nil
			}
			continue
		}
		if len(cells) < 2 {
			e.words = append(e.words, cells[0]) // the sentence is skipped for it
			continue
		}
		if len(e.words) == 0 {
			e.offset = lines.offset
		}
		e.words, e.tags = append(e.words, cells[0]), append(e.tags, cells[len(cells)-1])
	}
}
