package ingest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/bits"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest/store"
)

// ReportName is the name of the report beside a source's documents.
const ReportName = "report.json"

// maxReport bounds what ReadReport takes into memory.
const maxReport = 512 << 20

// Causes of skips that readers of several kinds share.
const (
	causeUnreadable = "unreadable"
	causeHidden     = "hidden file"
	causeOtherFile  = "file of another kind"
	causeEmpty      = "no text"
	causeDamaged    = "damaged compression"
	causeTruncated  = "truncated file"
	causeTooLarge   = "file too large"
	causeTooLong    = "page too large"
	causePanic      = "reader failed"
	causeMoved      = "file changed while it was read"

	repairUTF8     = "invalid bytes replaced by U+FFFD"
	repairControls = "control characters left out"
	repairPII      = "personal data replaced: "
)

// Report says what became of every record of a source's inputs.
type Report struct {
	Source string `json:"source"`
	Kind   string `json:"kind"`
	// UpToDate says that the run found everything done already. It is not written.
	UpToDate bool `json:"-"`
	// Timing is what the run took. It is written to a file of its own.
	Timing *Timing       `json:"-"`
	Totals Counts        `json:"totals"`
	Inputs []InputReport `json:"inputs"`
}

// InputReport is the part of one input file.
type InputReport struct {
	File string `json:"file"`
	// FileBytes is the size of the file, Digest its XXH3-128 in hex.
	FileBytes int64  `json:"file_bytes"`
	Digest    string `json:"digest,omitempty"`
	Counts
}

// Counts are the figures of an input, or of all.
type Counts struct {
	// Records were found; each became a document or was skipped.
	Records   int64 `json:"records"`
	Documents int64 `json:"documents"`
	Skipped   int64 `json:"skipped"`
	Bytes     int64 `json:"bytes"` // of the documents' texts
	Chars     int64 `json:"chars"`
	Words     int64 `json:"words"`
	// Digits are the decimal digits of the texts. SourceBytes and SourceDigits are
	// those of what the texts were made of, markup included, where that is text: the
	// wikitext of pages, the fields of records, files. Formulas were met in it, of
	// which FormulasKept are in the texts.
	Digits       int64 `json:"digits"`
	SourceBytes  int64 `json:"source_bytes,omitempty"`
	SourceDigits int64 `json:"source_digits,omitempty"`
	Formulas     int64 `json:"formulas,omitempty"`
	FormulasKept int64 `json:"formulas_kept,omitempty"`
	// Disambiguations are documents that only tell things of like names apart.
	Disambiguations int64 `json:"disambiguations,omitempty"`
	// Lengths counts documents by their length: Lengths[k] those of 2^k to 2^(k+1)-1
	// code points.
	Lengths []int64 `json:"lengths,omitempty"`
	// Skips and Repairs tell by cause, in the order of the causes' names, what
	// was left out and what was changed in documents that were kept. Damage tells
	// of parts of files in which records may have been lost that nobody can count.
	Skips   []Count `json:"skips,omitempty"`
	Repairs []Count `json:"repairs,omitempty"`
	Damage  []Count `json:"damage,omitempty"`
	// LeftOut counts what was left out of the texts of documents on purpose, such
	// as tables.
	LeftOut []Count `json:"left_out,omitempty"`
	// Templates are those that gave no text because no rule is known for them, by
	// name, counted once a call.
	Templates []Count `json:"templates,omitempty"`
	// Encodings, Languages (as the inputs name them) and Identified (the languages that
	// the texts look written in) count documents.
	Encodings  []Count `json:"encodings,omitempty"`
	Languages  []Count `json:"languages,omitempty"`
	Identified []Count `json:"identified,omitempty"`
}

// Count is how often one thing happened, and where first.
type Count struct {
	Name    string `json:"name"`
	Count   int64  `json:"count"`
	Example *Place `json:"example,omitempty"`
}

// Place is where something was found.
type Place struct {
	File   string `json:"file"`
	Record int64  `json:"record"`
	Offset int64  `json:"offset"`
	Detail string `json:"detail,omitempty"`
}

// maxDetail bounds what a report quotes of its inputs.
const maxDetail = 300

// tally adds n to the count of a name.
func tally(counts *[]Count, name string, n int64, example *Place) {
	i, found := slices.BinarySearchFunc(*counts, name, func(c Count, name string) int { return strings.Compare(c.Name, name) })
	if found {
		(*counts)[i].Count += n
		return
	}
	if example != nil {
		short := *example
		short.Detail = shortened(short.Detail)
		example = &short
	}
	*counts = slices.Insert(*counts, i, Count{Name: name, Count: n, Example: example})
}

// shortened bounds what is quoted.
func shortened(s string) string { return strings.ToValidUTF8(s[:min(len(s), maxDetail)], "") }

const (
	// maxNames bounds how many templates of an input are counted by their names, the
	// first that are met; othersName counts the rest.
	maxNames   = 5000
	maxName    = 100
	othersName = "(others)"
)

// tallyName adds to the count of a name that inputs make up.
func tallyName(counts *[]Count, name string, n int64, example *Place) {
	name = strings.ToValidUTF8(name[:min(len(name), maxName)], "")
	if len(*counts) >= maxNames {
		_, found := slices.BinarySearchFunc(*counts, name, func(c Count, name string) int { return strings.Compare(c.Name, name) })
		if !found {
			name, example = othersName, nil
		}
	}
	tally(counts, name, n, example)
}

// length counts a document of that many code points.
func (c *Counts) length(chars int64) {
	k := max(0, bits.Len64(uint64(chars))-1)
	for len(c.Lengths) <= k {
		c.Lengths = append(c.Lengths, 0)
	}
	c.Lengths[k]++
}

func (c *Counts) add(other *Counts) {
	c.Digits += other.Digits
	c.SourceBytes += other.SourceBytes
	c.SourceDigits += other.SourceDigits
	c.Formulas += other.Formulas
	c.FormulasKept += other.FormulasKept
	c.Disambiguations += other.Disambiguations
	for k, n := range other.Lengths {
		if k == len(c.Lengths) {
			c.Lengths = append(c.Lengths, 0)
		}
		c.Lengths[k] += n
	}
	for _, t := range other.Templates {
		tallyName(&c.Templates, t.Name, t.Count, t.Example)
	}
	c.Records += other.Records
	c.Documents += other.Documents
	c.Skipped += other.Skipped
	c.Bytes += other.Bytes
	c.Chars += other.Chars
	c.Words += other.Words
	for _, pair := range [...]struct{ to, from *[]Count }{
		{&c.Skips, &other.Skips}, {&c.Repairs, &other.Repairs}, {&c.Damage, &other.Damage}, {&c.LeftOut, &other.LeftOut},
		{&c.Encodings, &other.Encodings}, {&c.Languages, &other.Languages},
		{&c.Identified, &other.Identified},
	} {
		for _, n := range *pair.from {
			tally(pair.to, n.Name, n.Count, n.Example)
		}
	}
}

// sum fills Totals.
func (r *Report) sum() {
	r.Totals = Counts{}
	for i := range r.Inputs {
		r.Totals.add(&r.Inputs[i].Counts)
	}
}

// ReadReport reads the report of a source. The error is ErrNoSource when there is
// none.
func ReadReport(dataDir, source string) (*Report, error) {
	if err := CheckSource(source); err != nil {
		return nil, err
	}
	report := new(Report)
	err := readJSON(filepath.Join(DocumentsDir(dataDir, source), ReportName), maxReport, report)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("source %q in %s: %w", source, dataDir, ErrNoSource)
	}
	if err != nil {
		return nil, err
	}
	if report.Timing, err = ReadTiming(dataDir, source); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return report, err
}

func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	_, err = store.WriteFile(path, append(data, '\n'))
	return err
}

func readJSON(path string, limit int64, v any) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(data)) > limit {
		return fmt.Errorf("reading %s: larger than %d bytes", path, limit)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	return nil
}
