package exchange

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	pqzstd "github.com/parquet-go/parquet-go/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/ingest/store"
)

// line is a record in JSON and Parquet.
type line struct {
	ID     string  `json:"id" parquet:"id"`
	Source string  `json:"source" parquet:"source,dict"`
	Tokens []int32 `json:"tokens" parquet:"tokens,list"`
}

// lines writes tokens.jsonl.zst.
type lines struct {
	out *store.Writer
	z   *zstd.Encoder
	enc *json.Encoder
}

func newLines(dir string, _ Options) (writer, error) {
	out, err := store.Create(filepath.Join(dir, "tokens.jsonl.zst"))
	if err != nil {
		return nil, err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	return &lines{out, z, json.NewEncoder(z)}, nil
}

func (l *lines) add(r Record) error { return l.enc.Encode(line(r)) }

func (l *lines) finish() error {
	if err := l.z.Close(); err != nil {
		return err
	}
	_, err := l.out.Commit()
	return err
}

// maxLine bounds a line that is read.
const maxLine = 1 << 30

func readLines(dir string) iter.Seq2[Record, error] {
	return each(dir, "*.jsonl*", func(path string, yield func(Record) bool) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		var in io.Reader = f
		if strings.HasSuffix(path, ".zst") {
			z, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
			if err != nil {
				return err
			}
			defer z.Close()
			in = z
		}
		s := bufio.NewScanner(in)
		s.Buffer(make([]byte, 1<<16), maxLine)
		for n := 1; s.Scan(); n++ {
			if len(strings.TrimSpace(s.Text())) == 0 {
				continue
			}
			var l line
			if err := json.Unmarshal(s.Bytes(), &l); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
			if !yield(Record(l)) {
				return errStop
			}
		}
		return s.Err()
	})
}

// rowsPerBatch is the size of a record batch that datasets write.
const rowsPerBatch = 1000

// arrowBytes is the size at which datasets end a file.
const arrowBytes = 500 << 20

// features is how datasets describe the columns.
const features = `{"id":{"dtype":"string","_type":"Value"},"source":{"dtype":"string","_type":"Value"},"tokens":{"feature":{"dtype":"int32","_type":"Value"},"_type":"List"}}`

func tokenFields() []columnar.Field {
	return []columnar.Field{{Name: "id", Kind: columnar.String}, {Name: "source", Kind: columnar.String}, {Name: "tokens", Kind: columnar.List}}
}

// arrow writes what datasets' load_from_disk opens.
type arrow struct {
	dir     string
	limit   int64
	out     *store.Writer
	w       *columnar.Writer
	files   int
	bytes   int64
	ids     []string
	sources []string
	tokens  columnar.Lists
}

func newArrow(dir string, o Options) (writer, error) {
	a := &arrow{dir: dir, limit: o.FileBytes}
	if a.limit <= 0 {
		a.limit = arrowBytes
	}
	a.tokens.Reset()
	return a, nil
}

func part(i int) string { return fmt.Sprintf("part-%05d", i) }

func (a *arrow) add(r Record) error {
	a.ids, a.sources = append(a.ids, r.ID), append(a.sources, r.Source)
	a.tokens.Add(r.Tokens)
	if len(a.ids) >= rowsPerBatch || len(a.tokens.Values) > 1<<24 {
		return a.flush()
	}
	return nil
}

func (a *arrow) flush() (err error) {
	if len(a.ids) == 0 {
		return nil
	}
	if a.out == nil {
		if a.out, err = store.Create(filepath.Join(a.dir, part(a.files))); err != nil {
			return err
		}
		a.w = columnar.NewWriter(a.out, tokenFields(), map[string]string{"huggingface": `{"info":{"features":` + features + `}}`})
	}
	if err := a.w.Write(a.ids, a.sources, a.tokens); err != nil {
		return err
	}
	a.bytes += 4 * int64(len(a.tokens.Values))
	a.ids, a.sources = a.ids[:0], a.sources[:0]
	a.tokens.Reset()
	if a.bytes >= a.limit {
		return a.end()
	}
	return nil
}

func (a *arrow) end() error {
	if a.out == nil {
		return nil
	}
	if err := a.w.Close(); err != nil {
		return err
	}
	_, err := a.out.Commit()
	a.out, a.bytes = nil, 0
	a.files++
	return err
}

func (a *arrow) finish() error {
	if err := errors.Join(a.flush(), a.end()); err != nil {
		return err
	}
	names, err := number(a.dir, a.files, "data-%05d-of-%05d.arrow")
	if err != nil {
		return err
	}
	var files []map[string]string
	for _, n := range names {
		files = append(files, map[string]string{"filename": n})
	}
	state, err := json.MarshalIndent(map[string]any{
		"_data_files": files, "_fingerprint": store.Key("hf-arrow", names)[:16], "_format_columns": nil, "_format_kwargs": map[string]any{},
		"_format_type": nil, "_output_all_columns": false, "_split": nil,
	}, "", "  ")
	if err != nil {
		return err
	}
	info, err := json.MarshalIndent(map[string]any{"citation": "", "description": "", "features": json.RawMessage(features), "homepage": "", "license": ""}, "", "  ")
	if err != nil {
		return err
	}
	_, err = store.WriteFile(filepath.Join(a.dir, "state.json"), state)
	_, err2 := store.WriteFile(filepath.Join(a.dir, "dataset_info.json"), info)
	return errors.Join(err, err2)
}

// number gives the parts their names, which tell how many there are.
func number(dir string, n int, pattern string) ([]string, error) {
	var names []string
	for i := range n {
		name := fmt.Sprintf(pattern, i, n)
		if err := os.Rename(filepath.Join(dir, part(i)), filepath.Join(dir, name)); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, nil
}

func readArrow(dir string) iter.Seq2[Record, error] {
	return each(dir, "*.arrow", func(path string, yield func(Record) bool) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		hasIDs := true
		read := func(names ...string) error {
			return columnar.Read(bufio.NewReaderSize(f, 1<<20), names, func(columns []any) error {
				tokens, ok := columns[0].(columnar.Lists)
				if !ok {
					return errors.New("its column tokens holds no lists")
				}
				for i := range len(tokens.Bounds) - 1 {
					r := Record{Tokens: tokens.At(i)}
					if hasIDs {
						ids, ok := columns[1].([]string)
						sources, ok2 := columns[2].([]string)
						if !ok || !ok2 {
							return errors.New("its columns id and source hold no strings")
						}
						r.ID, r.Source = ids[i], sources[i]
					}
					if !yield(r) {
						return errStop
					}
				}
				return nil
			})
		}
		err = read("tokens", "id", "source")
		if err != nil && strings.Contains(err.Error(), "0 columns") {
			if _, err := f.Seek(0, io.SeekStart); err != nil {
				return err
			}
			hasIDs = false
			return read("tokens")
		}
		return err
	})
}

// tables writes Parquet files as datasets' load_dataset finds them.
type tables struct {
	dir   string
	out   *store.Writer
	w     *parquet.GenericWriter[line]
	batch []line
	held  int
}

func newParquet(dir string, _ Options) (writer, error) {
	out, err := store.Create(filepath.Join(dir, part(0)))
	if err != nil {
		return nil, err
	}
	return &tables{dir: dir, out: out, w: parquet.NewGenericWriter[line](out, parquet.Compression(&pqzstd.Codec{Level: pqzstd.SpeedDefault}),
		parquet.MaxRowsPerRowGroup(10*rowsPerBatch), parquet.CreatedBy("tributary", "1", "exchange"))}, nil
}

func (t *tables) add(r Record) error {
	l := line(r)
	l.Tokens = append([]int32(nil), r.Tokens...)
	t.held += len(l.Tokens)
	if t.batch = append(t.batch, l); t.held < 1<<20 {
		return nil
	}
	return t.flush()
}

func (t *tables) flush() error {
	_, err := t.w.Write(t.batch)
	if err == nil && t.held > 0 {
		err = t.w.Flush()
	}
	t.batch, t.held = t.batch[:0], 0
	return err
}

func (t *tables) finish() error {
	if err := t.flush(); err != nil {
		return err
	}
	if err := t.w.Close(); err != nil {
		return err
	}
	if _, err := t.out.Commit(); err != nil {
		return err
	}
	_, err := number(t.dir, 1, "train-%05d-of-%05d.parquet")
	return err
}

func readParquet(dir string) iter.Seq2[Record, error] {
	return each(dir, "*.parquet", func(path string, yield func(Record) bool) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("it does not read: %v", p)
			}
		}()
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		pq, err := parquet.OpenFile(f, info.Size())
		if err != nil {
			return err
		}
		if _, ok := pq.Schema().Lookup("tokens", "list", "element"); !ok {
			return errors.New("it has no column tokens of lists")
		}
		r := parquet.NewGenericReader[line](pq)
		defer r.Close()
		batch := make([]line, 64)
		for {
			n, err := r.Read(batch)
			for _, l := range batch[:n] {
				if !yield(Record(l)) {
					return errStop
				}
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			clear(batch) // what was given is the reader's own
		}
	})
}
