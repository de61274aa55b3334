package exchange

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/store"
)

// mdsBytes is the size at which MosaicML's own writer ends a shard.
const mdsBytes = 64 << 20

// mdsShard is a shard's entry in index.json.
type mdsShard struct {
	ColumnEncodings []string  `json:"column_encodings"`
	ColumnNames     []string  `json:"column_names"`
	ColumnSizes     []*int    `json:"column_sizes"`
	Compression     *string   `json:"compression"`
	Format          string    `json:"format"`
	Hashes          []string  `json:"hashes"`
	RawData         mdsFile   `json:"raw_data"`
	Samples         int       `json:"samples"`
	SizeLimit       int64     `json:"size_limit"`
	Version         int       `json:"version"`
	ZipData         *struct{} `json:"zip_data"`
}

type mdsFile struct {
	Basename string            `json:"basename"`
	Bytes    int64             `json:"bytes"`
	Hashes   map[string]string `json:"hashes"`
}

type mdsIndex struct {
	Shards  []mdsShard `json:"shards"`
	Version int        `json:"version"`
}

// mds writes MosaicML's shards of three columns: id and source (str) and tokens
// (ndarray:int32).
type mds struct {
	dir    string
	limit  int64
	config []byte
	ends   []uint32
	data   []byte
	index  mdsIndex
}

func newMDS(dir string, o Options) (writer, error) {
	m := &mds{dir: dir, limit: o.FileBytes, index: mdsIndex{Version: 2, Shards: []mdsShard{}}}
	if m.limit <= 0 {
		m.limit = mdsBytes
	}
	var err error
	m.config, err = json.Marshal(map[string]any{
		"column_encodings": []string{"str", "str", "ndarray:int32"}, "column_names": []string{"id", "source", "tokens"},
		"column_sizes": []any{nil, nil, nil}, "compression": nil, "format": "mds", "hashes": []string{}, "size_limit": m.limit, "version": 2,
	})
	return m, err
}

func (m *mds) add(r Record) error {
	// An array is its number of axes and the width of their lengths, the lengths,
	// and the values.
	head := []byte{1<<2 | 2}
	head = binary.LittleEndian.AppendUint32(head, uint32(len(r.Tokens)))
	if n := len(r.Tokens); n < 1<<8 {
		head = []byte{1 << 2, byte(n)}
	} else if n < 1<<16 {
		head = []byte{1<<2 | 1, byte(n), byte(n >> 8)}
	}
	size := int64(12 + len(r.ID) + len(r.Source) + len(head) + 4*len(r.Tokens))
	if len(m.ends) > 0 && int64(len(m.data))+size+int64(len(m.config))+4*int64(len(m.ends)+3) > m.limit {
		if err := m.end(); err != nil {
			return err
		}
	}
	if size > 1<<31 {
		return fmt.Errorf("a document of %d bytes is too long for a shard", size)
	}
	m.data = binary.LittleEndian.AppendUint32(m.data, uint32(len(r.ID)))
	m.data = binary.LittleEndian.AppendUint32(m.data, uint32(len(r.Source)))
	m.data = binary.LittleEndian.AppendUint32(m.data, uint32(len(head)+4*len(r.Tokens)))
	m.data = append(append(append(m.data, r.ID...), r.Source...), head...)
	for _, t := range r.Tokens {
		m.data = binary.LittleEndian.AppendUint32(m.data, uint32(t))
	}
	m.ends = append(m.ends, uint32(len(m.data)))
	return nil
}

func (m *mds) end() error {
	if len(m.ends) == 0 {
		return nil
	}
	head := binary.LittleEndian.AppendUint32(nil, uint32(len(m.ends)))
	from := uint32(4 + 4*(len(m.ends)+1) + len(m.config))
	head = binary.LittleEndian.AppendUint32(head, from)
	for _, e := range m.ends {
		head = binary.LittleEndian.AppendUint32(head, from+e)
	}
	name := fmt.Sprintf("shard.%05d.mds", len(m.index.Shards))
	w, err := store.Create(filepath.Join(m.dir, name))
	if err != nil {
		return err
	}
	defer w.Abort()
	for _, p := range [][]byte{head, m.config, m.data} {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	f, err := w.Commit()
	if err != nil {
		return err
	}
	m.index.Shards = append(m.index.Shards, mdsShard{
		ColumnEncodings: []string{"str", "str", "ndarray:int32"}, ColumnNames: []string{"id", "source", "tokens"}, ColumnSizes: []*int{nil, nil, nil},
		Format: "mds", Hashes: []string{}, RawData: mdsFile{name, f.Bytes, map[string]string{}}, Samples: len(m.ends), SizeLimit: m.limit, Version: 2,
	})
	m.ends, m.data = m.ends[:0], m.data[:0]
	return nil
}

func (m *mds) finish() error {
	if err := m.end(); err != nil {
		return err
	}
	data, err := json.Marshal(m.index)
	if err != nil {
		return err
	}
	_, err = store.WriteFile(filepath.Join(m.dir, "index.json"), data)
	return err
}

// maxIndex bounds an index that is read.
const maxIndex = 256 << 20

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex+1))
	if err == nil && len(data) > maxIndex {
		err = fmt.Errorf("%s has more than %d bytes", filepath.Base(path), maxIndex)
	}
	return data, err
}

func readMDS(dir string) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		data, err := readSmall(filepath.Join(dir, "index.json"))
		var index mdsIndex
		if err == nil {
			err = json.Unmarshal(data, &index)
		}
		if err != nil {
			yield(Record{}, err)
			return
		}
		for _, s := range index.Shards {
			more := true
			err := readMDSShard(dir, s, func(r Record) bool { more = yield(r, nil); return more })
			if !more {
				return
			}
			if err != nil {
				yield(Record{}, fmt.Errorf("shard %q: %w", s.RawData.Basename, err))
				return
			}
		}
	}
}

func readMDSShard(dir string, s mdsShard, yield func(Record) bool) error {
	name := s.RawData.Basename
	switch {
	case s.Format != "mds" || s.Compression != nil:
		return errors.New("only uncompressed shards of format mds are read")
	case !filepath.IsLocal(name):
		return errors.New("it lies outside the directory")
	case s.RawData.Bytes < 8 || s.RawData.Bytes > 1<<32:
		return fmt.Errorf("it has %d bytes", s.RawData.Bytes)
	case len(s.ColumnEncodings) != len(s.ColumnNames) || len(s.ColumnSizes) != len(s.ColumnNames):
		return errors.New("its columns, encodings and sizes differ in number")
	}
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() != s.RawData.Bytes {
		return fmt.Errorf("it has %d bytes, the index says %d", info.Size(), s.RawData.Bytes)
	}
	var b [4]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(b[:]))
	if n != int64(s.Samples) || 8+4*n > info.Size() {
		return fmt.Errorf("it has %d samples, the index says %d", n, s.Samples)
	}
	offsets := make([]byte, 4*(n+1))
	if _, err := f.ReadAt(offsets, 4); err != nil {
		return err
	}
	var sample []byte
	for i := range n {
		from, to := int64(binary.LittleEndian.Uint32(offsets[4*i:])), int64(binary.LittleEndian.Uint32(offsets[4*i+4:]))
		if to < from || to > info.Size() {
			return fmt.Errorf("sample %d lies at bytes %d to %d of %d", i, from, to, info.Size())
		}
		if int64(cap(sample)) < to-from {
			sample = make([]byte, to-from)
		}
		sample = sample[:to-from]
		if _, err := f.ReadAt(sample, from); err != nil && to > from {
			return err
		}
		r, err := s.decode(sample)
		if err != nil {
			return fmt.Errorf("sample %d: %w", i, err)
		}
		if !yield(r) {
			return nil
		}
	}
	return nil
}

// decode reads a sample of which the columns tokens, id and source count.
func (s *mdsShard) decode(b []byte) (Record, error) {
	var r Record
	short := errors.New("it ends early")
	sizes := make([]int, len(s.ColumnNames))
	for i, size := range s.ColumnSizes {
		if size != nil {
			sizes[i] = *size
			continue
		}
		if len(b) < 4 {
			return r, short
		}
		sizes[i], b = int(binary.LittleEndian.Uint32(b)), b[4:]
	}
	found := false
	for i, name := range s.ColumnNames {
		if sizes[i] < 0 || sizes[i] > len(b) {
			return r, short
		}
		value := b[:sizes[i]]
		b = b[sizes[i]:]
		switch {
		case name == "id" && s.ColumnEncodings[i] == "str":
			r.ID = string(value)
		case name == "source" && s.ColumnEncodings[i] == "str":
			r.Source = string(value)
		case name == "tokens":
			var err error
			if r.Tokens, err = mdsTokens(s.ColumnEncodings[i], value); err != nil {
				return r, err
			}
			found = true
		}
	}
	if !found {
		return r, errors.New("it has no column tokens")
	}
	return r, nil
}

// mdsTokens reads an array of one axis of integers.
func mdsTokens(encoding string, b []byte) ([]int32, error) {
	width := map[string]int{"ndarray:int32": 4, "ndarray:uint32": 4, "ndarray:uint16": 2, "ndarray:int64": 8}[encoding]
	if width == 0 {
		return nil, fmt.Errorf("tokens of encoding %q; ndarray:int32, uint32, uint16 and int64 are read", encoding)
	}
	if len(b) == 0 || b[0]>>2 != 1 || len(b) < 1+1<<(b[0]&3) {
		return nil, errors.New("its tokens are no array of one axis")
	}
	body := b[1+1<<(b[0]&3):]
	out := make([]int32, 0, len(body)/width)
	for ; len(body) >= width; body = body[width:] {
		var v int64
		switch {
		case width == 2:
			v = int64(binary.LittleEndian.Uint16(body))
		case encoding == "ndarray:int32":
			v = int64(int32(binary.LittleEndian.Uint32(body)))
		case width == 4:
			v = int64(binary.LittleEndian.Uint32(body))
		default:
			v = int64(binary.LittleEndian.Uint64(body))
		}
		if int64(int32(v)) != v {
			return nil, fmt.Errorf("token %d does not fit 32 bits", v)
		}
		out = append(out, int32(v))
	}
	if len(body) != 0 {
		return nil, errors.New("its tokens end early")
	}
	return out, nil
}
