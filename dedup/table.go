package dedup

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/store"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// table is a file of records that are appended in order and read back by number.
// It holds what a rule must look up of its documents, which memory may not hold.
// Each has a checksum; the places of the records lie in a
// second file, eight bytes each.
type table struct {
	path       string
	data, at   *os.File
	out, outAt *bufio.Writer
	size       int64
	n          int
	sealed     bool
}

func newTable(path string) (_ *table, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of a table: %w", err)
	}
	t := &table{path: path}
	if t.data, err = os.Create(path); err != nil {
		return nil, fmt.Errorf("creating a table: %w", err)
	}
	if t.at, err = os.Create(path + ".at"); err != nil {
		return nil, errors.Join(fmt.Errorf("creating a table: %w", err), t.close())
	}
	t.out, t.outAt = bufio.NewWriterSize(t.data, 1<<18), bufio.NewWriterSize(t.at, 1<<16)
	return t, nil
}

// append adds a record; its number is that of the records before it.
func (t *table) append(rec []byte) error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t.size))
	if _, err := t.outAt.Write(b[:]); err != nil {
		return fmt.Errorf("writing %s.at: %w", t.path, err)
	}
	if _, err := t.out.Write(rec); err != nil {
		return fmt.Errorf("writing %s: %w", t.path, err)
	}
	binary.LittleEndian.PutUint32(b[:4], crc32.Checksum(rec, castagnoli))
	if _, err := t.out.Write(b[:4]); err != nil {
		return fmt.Errorf("writing %s: %w", t.path, err)
	}
	t.size += int64(len(rec)) + 4
	t.n++
	return nil
}

// seal ends the writing; get may be called from then on.
func (t *table) seal() error {
	var b [8]byte
	binary.LittleEndian.PutUint64(b[:], uint64(t.size))
	_, err := t.outAt.Write(b[:])
	if err = errors.Join(err, t.out.Flush(), t.outAt.Flush()); err != nil {
		return fmt.Errorf("writing %s: %w", t.path, err)
	}
	t.sealed = true
	return nil
}

// get reads record i into buf, which it returns grown. A record that is not what
// was written is a *store.DamagedError.
func (t *table) get(i int, buf []byte) ([]byte, error) {
	if i < 0 || i >= t.n || !t.sealed {
		return buf, fmt.Errorf("reading record %d of %s, which has %d", i, t.path, t.n)
	}
	var b [16]byte
	if _, err := t.at.ReadAt(b[:], int64(i)*8); err != nil {
		return buf, fmt.Errorf("reading %s.at: %w", t.path, err)
	}
	from, to := binary.LittleEndian.Uint64(b[:]), binary.LittleEndian.Uint64(b[8:])
	if to < from+4 || to > uint64(t.size) {
		return buf, &store.DamagedError{Path: t.path + ".at", Detail: fmt.Sprintf("record %d lies at %d to %d of %d bytes", i, from, to, t.size)}
	}
	n := int(to - from)
	if cap(buf) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := t.data.ReadAt(buf, int64(from)); err != nil {
		return buf, fmt.Errorf("reading %s: %w", t.path, err)
	}
	rec := buf[:n-4]
	if crc32.Checksum(rec, castagnoli) != binary.LittleEndian.Uint32(buf[n-4:]) {
		return buf, &store.DamagedError{Path: t.path, Detail: fmt.Sprintf("record %d has another checksum than when it was written", i)}
	}
	return rec, nil
}

// close removes the table.
func (t *table) close() error {
	var errs []error
	for _, f := range []*os.File{t.data, t.at} {
		if f == nil {
			continue
		}
		errs = append(errs, f.Close())
		if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("removing the table %s: %w", t.path, err)
	}
	return nil
}
