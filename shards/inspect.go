package shards

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/tributary-ml/tributary/ingest/store"
)

const (
	// sampleText and sampleList bound what Inspect shows of one value.
	sampleText = 200
	sampleList = 16
)

// ErrNotParquet says that a file holds no rows to inspect; Inspect describes it
// all the same.
var ErrNotParquet = errors.New("not a Parquet file")

// Inspection describes a file.
type Inspection struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
	// Kind is "documents", "marks" or "shards" for the files of a data root,
	// "parquet" for others of that format, else what the file's first bytes say.
	Kind      string   `json:"kind"`
	Rows      int64    `json:"rows"`
	RowGroups int      `json:"row_groups"`
	CreatedBy string   `json:"created_by,omitempty"`
	Columns   []Column `json:"columns"`
	// Sample holds the first rows, long values cut.
	Sample []map[string]any `json:"sample,omitempty"`
}

// Column describes one column of a Parquet file.
type Column struct {
	Name string `json:"name"`
	// Type is a scalar's type, such as "string" or "int64", or "list<...>" of one.
	Type string `json:"type"`
	// Compressed and Uncompressed are sizes in bytes over all row groups.
	Compressed   int64 `json:"compressed"`
	Uncompressed int64 `json:"uncompressed"`
}

// Inspect describes the file at path and shows its first rows, sample of them at
// most. For a file that is not Parquet the error is ErrNotParquet and the
// inspection says what the file seems to be; for a damaged one it is a
// *store.DamagedError.
func Inspect(path string, sample int) (*Inspection, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("inspecting: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("inspecting: %w", err)
	}
	in := &Inspection{Path: path, Bytes: info.Size()}
	if info.IsDir() {
		in.Kind, in.Bytes = "directory", 0
		return in, fmt.Errorf("inspecting %s: a directory: %w", path, ErrNotParquet)
	}
	if in.Kind, err = sniff(f); err != nil {
		return nil, fmt.Errorf("inspecting %s: %w", path, err)
	}
	if in.Kind != "parquet" {
		return in, fmt.Errorf("inspecting %s: it seems to be %s: %w", path, in.Kind, ErrNotParquet)
	}
	err = guard(path, func() error {
		pq, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		if err != nil {
			return err
		}
		return in.read(pq, sample)
	})
	if err != nil {
		var damaged *store.DamagedError
		if errors.As(err, &damaged) {
			return nil, &store.DamagedError{Path: path, Detail: "it does not read as the Parquet file that its first bytes promise: " + damaged.Detail}
		}
		return nil, err
	}
	return in, nil
}

func (in *Inspection) read(pq *parquet.File, sample int) error {
	in.Rows = pq.NumRows()
	in.RowGroups = len(pq.RowGroups())
	meta := pq.Metadata()
	in.CreatedBy = meta.CreatedBy
	fields := pq.Schema().Fields()
	column := map[string]int{}
	for i, f := range fields {
		in.Columns = append(in.Columns, Column{Name: f.Name(), Type: typeName(f)})
		column[f.Name()] = i
	}
	for _, g := range meta.RowGroups {
		for _, c := range g.Columns {
			if i, ok := column[c.MetaData.PathInSchema[0]]; ok {
				in.Columns[i].Compressed += c.MetaData.TotalCompressedSize
				in.Columns[i].Uncompressed += c.MetaData.TotalUncompressedSize
			}
		}
	}
	in.Kind = kindOf(column)
	leaves := pq.Schema().Columns()
	for _, g := range pq.RowGroups() {
		rows := g.Rows()
		for len(in.Sample) < sample {
			var buf [1]parquet.Row
			n, err := rows.ReadRows(buf[:])
			if n == 1 {
				in.Sample = append(in.Sample, sampleRow(fields, leaves, buf[0]))
			}
			if errors.Is(err, io.EOF) || err == nil && n == 0 {
				break
			}
			if err != nil {
				return errors.Join(err, rows.Close())
			}
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// kindOf tells the files of a data root by their columns.
func kindOf(columns map[string]int) string {
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(n string) bool { _, ok := columns[n]; return !ok })
	}
	switch {
	case has("id", "tokens", "sentence_ends", "length"):
		return "shards"
	case has("id", "rule", "kept", "start", "end"):
		return "marks"
	case has("id", "source", "text", "file", "offset"):
		return "documents"
	}
	return "parquet"
}

func typeName(n parquet.Node) string {
	if n.Leaf() {
		switch n.Type().Kind() {
		case parquet.ByteArray, parquet.FixedLenByteArray:
			if logicalIs[*format.StringType](n) {
				return "string"
			}
			return "binary"
		case parquet.Int32:
			return "int32"
		case parquet.Int64:
			return "int64"
		case parquet.Float:
			return "float32"
		case parquet.Double:
			return "float64"
		case parquet.Boolean:
			return "bool"
		}
		return n.Type().String()
	}
	fields := n.Fields()
	if logicalIs[*format.ListType](n) && len(fields) == 1 {
		inner := fields[0]
		if f := inner.Fields(); len(f) == 1 {
			return "list<" + typeName(f[0]) + ">"
		}
	}
	parts := make([]string, len(fields))
	for i, f := range fields {
		parts[i] = f.Name() + ": " + typeName(f)
	}
	return "struct<" + strings.Join(parts, ", ") + ">"
}

func logicalIs[T any](n parquet.Node) bool {
	lt := n.Type().LogicalType()
	if lt == nil {
		return false
	}
	_, ok := lt.Value.(T)
	return ok
}

// sampleRow renders one row. Lists are those of their first leaf.
func sampleRow(fields []parquet.Field, leaves [][]string, r parquet.Row) map[string]any {
	out := map[string]any{}
	lists := map[string][]any{}
	counts := map[string]int{}
	for _, v := range r {
		path := leaves[v.Column()]
		name := path[0]
		if len(path) == 1 {
			out[name] = sampleValue(v)
			continue
		}
		if v.IsNull() {
			continue
		}
		counts[name]++
		if len(lists[name]) < sampleList {
			lists[name] = append(lists[name], sampleValue(v))
		}
	}
	for _, f := range fields {
		if f.Leaf() {
			continue
		}
		list := lists[f.Name()]
		if more := counts[f.Name()] - len(list); more > 0 {
			list = append(list, fmt.Sprintf("... and %d more", more))
		}
		if list == nil {
			list = []any{}
		}
		out[f.Name()] = list
	}
	return out
}

func sampleValue(v parquet.Value) any {
	if v.IsNull() {
		return nil
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return v.Int32()
	case parquet.Int64:
		return v.Int64()
	case parquet.Float:
		return v.Float()
	case parquet.Double:
		return v.Double()
	}
	b := v.ByteArray()
	if len(b) <= sampleText {
		return string(b)
	}
	cut := sampleText
	for cut > 0 && !utf8.RuneStart(b[cut]) {
		cut--
	}
	return fmt.Sprintf("%s... and %d more bytes", b[:cut], len(b)-cut)
}

// sniff names a file by its first bytes.
func sniff(f *os.File) (string, error) {
	head := make([]byte, 512)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	head = head[:n]
	for _, m := range []struct{ magic, kind string }{
		{"PAR1", "parquet"},
		{"BZh", "a bzip2 file (a dump to ingest?)"},
		{"\x1f\x8b", "a gzip file (an archive to ingest?)"},
		{"\x28\xb5\x2f\xfd", "a zstd file"},
		{"PK\x03\x04", "a zip archive or an EPUB book"},
		{"WARC/", "a web archive (WARC)"},
		{"<mediawiki", "a MediaWiki dump"},
		{"ARROW1", "an Arrow file"},
		{"\x89HDF", "an HDF5 file"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.kind, nil
		}
	}
	text := bytes.TrimLeft(head, " \t\r\n\ufeff")
	switch {
	case n == 0:
		return "empty", nil
	case len(text) > 0 && (text[0] == '{' || text[0] == '['):
		if filepath.Base(f.Name()) == store.ManifestName {
			return "a manifest", nil
		}
		return "JSON", nil
	case len(head) > 8 && head[8] == '{':
		return "a safetensors file", nil
	case bytes.HasPrefix(text, []byte("<")):
		return "XML or HTML", nil
	}
	for i := 0; i < 4 && len(head) > 0; i++ {
		if r, _ := utf8.DecodeLastRune(head); r != utf8.RuneError {
			break
		}
		head = head[:len(head)-1] // a character cut by the end of head
	}
	if utf8.Valid(head) && !bytes.ContainsRune(head, 0) {
		return "text", nil
	}
	return "binary", nil
}
