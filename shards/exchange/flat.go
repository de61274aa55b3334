package exchange

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/store"
)

// flat writes tokens end to end.
type flat struct {
	out   *store.Writer
	wide  bool
	buf   []byte
	total uint64
}

func (f *flat) add(tokens []int32) error {
	f.buf = f.buf[:0]
	for _, t := range tokens {
		if f.wide {
			f.buf = binary.LittleEndian.AppendUint32(f.buf, uint32(t))
		} else {
			if t < 0 || t > 1<<16-1 {
				return fmt.Errorf("token %d does not fit 16 bits", t)
			}
			f.buf = binary.LittleEndian.AppendUint16(f.buf, uint16(t))
		}
	}
	f.total += uint64(len(tokens))
	_, err := f.out.Write(f.buf)
	return err
}

// ds is datatrove's form: tokens.ds, with the ends of the documents (cumulative
// tokens, u64) in tokens.ds.index and a note in tokens.ds.metadata.
type ds struct {
	dir       string
	tokenizer string
	tokens    flat
	index     *store.Writer
}

func newDS(dir string, o Options) (writer, error) {
	d := &ds{dir: dir, tokenizer: o.Tokenizer, tokens: flat{wide: o.VocabSize <= 0 || o.VocabSize > 1<<16}}
	var err error
	if d.tokens.out, err = store.Create(filepath.Join(dir, "tokens.ds")); err != nil {
		return nil, err
	}
	d.index, err = store.Create(filepath.Join(dir, "tokens.ds.index"))
	return d, err
}

func (d *ds) add(r Record) error {
	if err := d.tokens.add(r.Tokens); err != nil {
		return err
	}
	_, err := d.index.Write(binary.LittleEndian.AppendUint64(nil, d.tokens.total))
	return err
}

func (d *ds) finish() error {
	_, err := d.tokens.out.Commit()
	_, err2 := d.index.Commit()
	size := 2
	if d.tokens.wide {
		size = 4
	}
	// The name and size, the count, and the count for people.
	_, err3 := store.WriteFile(filepath.Join(d.dir, "tokens.ds.metadata"),
		fmt.Appendf(nil, "%s|%d\n%d\n%.1fM tokens", d.tokenizer, size, d.tokens.total, float64(d.tokens.total)/1e6))
	return errors.Join(err, err2, err3)
}

func readDS(dir string) iter.Seq2[Record, error] {
	return each(dir, "*.ds", func(path string, yield func(Record) bool) error {
		index, err := os.Open(path + ".index")
		if err != nil {
			return err
		}
		defer index.Close()
		data, err := os.Open(path)
		if err != nil {
			return err
		}
		defer data.Close()
		info, err := data.Stat()
		if err != nil {
			return err
		}
		// The index's last entry is the number of tokens, whose width it tells.
		end, err := index.Seek(-8, io.SeekEnd)
		if err != nil || end%8 != 0 {
			return errors.New("its index is no whole number of entries")
		}
		var entry [8]byte
		if _, err := index.ReadAt(entry[:], end); err != nil {
			return err
		}
		total := binary.LittleEndian.Uint64(entry[:])
		width := 4
		switch {
		case total > 1<<60:
			return fmt.Errorf("its index ends at token %d", total)
		case uint64(info.Size()) == 2*total:
			width = 2
		case uint64(info.Size()) != 4*total:
			return fmt.Errorf("it has %d bytes, and its index counts %d tokens", info.Size(), total)
		}
		if _, err := index.Seek(0, io.SeekStart); err != nil {
			return err
		}
		ends, tokens := bufio.NewReader(index), newFlatReader(data, width)
		last := uint64(0)
		for {
			if _, err := io.ReadFull(ends, entry[:]); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			to := binary.LittleEndian.Uint64(entry[:])
			if to < last || to > total {
				return fmt.Errorf("a document ends at token %d, after %d of %d", to, last, total)
			}
			r, err := tokens.next(int64(to - last))
			if err != nil {
				return err
			}
			last = to
			if !yield(Record{Tokens: r}) {
				return errStop
			}
		}
	})
}

// flatReader reads tokens of 2 or 4 bytes.
type flatReader struct {
	r      *bufio.Reader
	width  int
	buf    []byte
	tokens []int32
}

func newFlatReader(r io.Reader, width int) *flatReader {
	return &flatReader{r: bufio.NewReaderSize(r, 1<<20), width: width}
}

func (f *flatReader) next(n int64) ([]int32, error) {
	if err := checkTokens(n); err != nil {
		return nil, err
	}
	// A document is read in parts, so that a wrong length asks for no memory.
	f.tokens = f.tokens[:0]
	for left := int(n) * f.width; left > 0; {
		part := min(left, 1<<20)
		if cap(f.buf) < part {
			f.buf = make([]byte, part)
		}
		b := f.buf[:part]
		if _, err := io.ReadFull(f.r, b); err != nil {
			return nil, err
		}
		for i := 0; i < part; i += f.width {
			if f.width == 2 {
				f.tokens = append(f.tokens, int32(binary.LittleEndian.Uint16(b[i:])))
			} else {
				f.tokens = append(f.tokens, int32(binary.LittleEndian.Uint32(b[i:])))
			}
		}
		left -= part
	}
	return f.tokens, nil
}

// Megatron's types of tokens, by their codes.
const (
	megatronMagic  = "MMIDIDX\x00\x00"
	megatronInt32  = 4
	megatronUint16 = 8
	megatronHeader = len(megatronMagic) + 8 + 1 + 8 + 8
)

// megatron writes tokens.bin and tokens.idx. Each document is one sequence. The
// lengths wait in a file of their own until their number is known.
type megatron struct {
	dir     string
	tokens  flat
	lengths *os.File
	buf     *bufio.Writer
	n       uint64
}

func newMegatron(dir string, o Options) (writer, error) {
	// Megatron's own rule for the width.
	m := &megatron{dir: dir, tokens: flat{wide: o.VocabSize <= 0 || o.VocabSize >= 65500}}
	var err error
	if m.tokens.out, err = store.Create(filepath.Join(dir, "tokens.bin")); err != nil {
		return nil, err
	}
	if m.lengths, err = os.Create(filepath.Join(dir, "lengths")); err != nil {
		return nil, err
	}
	m.buf = bufio.NewWriter(m.lengths)
	return m, nil
}

func (m *megatron) add(r Record) error {
	m.n++
	if err := m.tokens.add(r.Tokens); err != nil {
		return err
	}
	_, err := m.buf.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(r.Tokens))))
	return err
}

func (m *megatron) finish() error {
	defer m.lengths.Close()
	if _, err := m.tokens.out.Commit(); err != nil {
		return err
	}
	if err := m.buf.Flush(); err != nil {
		return err
	}
	w, err := store.Create(filepath.Join(m.dir, "tokens.idx"))
	if err != nil {
		return err
	}
	defer w.Abort()
	code, width := byte(megatronInt32), uint64(4)
	if !m.tokens.wide {
		code, width = megatronUint16, 2
	}
	head := append([]byte(megatronMagic), 1, 0, 0, 0, 0, 0, 0, 0, code)
	head = binary.LittleEndian.AppendUint64(head, m.n)
	head = binary.LittleEndian.AppendUint64(head, m.n+1)
	if _, err := w.Write(head); err != nil {
		return err
	}
	if _, err := m.lengths.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.Copy(w, m.lengths); err != nil {
		return err
	}
	if _, err := m.lengths.Seek(0, io.SeekStart); err != nil {
		return err
	}
	lengths := bufio.NewReader(m.lengths)
	var entry [4]byte
	at := uint64(0)
	for range m.n { // where each sequence begins, in bytes
		if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, at)); err != nil {
			return err
		}
		if _, err := io.ReadFull(lengths, entry[:]); err != nil {
			return err
		}
		at += width * uint64(binary.LittleEndian.Uint32(entry[:]))
	}
	for i := range m.n + 1 { // the first sequence of each document, and the end
		if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, i)); err != nil {
			return err
		}
	}
	if _, err := w.Commit(); err != nil {
		return err
	}
	return os.Remove(m.lengths.Name())
}

// readMegatron gives each sequence of the files as a document.
func readMegatron(dir string) iter.Seq2[Record, error] {
	return each(dir, "*.idx", func(path string, yield func(Record) bool) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		head := make([]byte, megatronHeader)
		if _, err := io.ReadFull(f, head); err != nil || string(head[:len(megatronMagic)]) != megatronMagic {
			return errors.New("it is no index of Megatron's")
		}
		rest := head[len(megatronMagic):]
		version, code := binary.LittleEndian.Uint64(rest), rest[8]
		sequences := binary.LittleEndian.Uint64(rest[9:])
		width := map[byte]int{megatronInt32: 4, megatronUint16: 2}[code]
		switch {
		case version != 1:
			return fmt.Errorf("its version is %d, 1 is read", version)
		case width == 0:
			return fmt.Errorf("its tokens are of type %d; int32 (4) and uint16 (8) are read", code)
		case sequences > uint64(info.Size())/12:
			return fmt.Errorf("%d bytes cannot hold %d sequences", info.Size(), sequences)
		}
		data, err := os.Open(path[:len(path)-len(".idx")] + ".bin")
		if err != nil {
			return err
		}
		defer data.Close()
		lengths := bufio.NewReader(io.NewSectionReader(f, int64(megatronHeader), 4*int64(sequences)))
		starts := bufio.NewReader(io.NewSectionReader(f, int64(megatronHeader)+4*int64(sequences), 8*int64(sequences)))
		tokens := newFlatReader(data, width)
		at := uint64(0)
		var entry [8]byte
		for range sequences {
			if _, err := io.ReadFull(starts, entry[:]); err != nil {
				return err
			}
			if start := binary.LittleEndian.Uint64(entry[:]); start != at {
				if start > 1<<62 {
					return fmt.Errorf("a sequence begins at byte %d", start)
				}
				if _, err := data.Seek(int64(start), io.SeekStart); err != nil {
					return err
				}
				tokens, at = newFlatReader(data, width), start
			}
			if _, err := io.ReadFull(lengths, entry[:4]); err != nil {
				return err
			}
			n := int64(int32(binary.LittleEndian.Uint32(entry[:4])))
			r, err := tokens.next(n)
			if err != nil {
				return err
			}
			at += uint64(n) * uint64(width)
			if !yield(Record{Tokens: r}) {
				return errStop
			}
		}
		return nil
	})
}
