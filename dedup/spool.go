package dedup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/tributary-ml/tributary/ingest/store"
)

// A spool is a file of bytes that are appended by several goroutines and read
// back at random. It is written in blocks of spoolBlock bytes, each followed by
// its CRC-32C, so that a damaged block is named and never compared.
type spool struct {
	path  string
	f     *os.File
	mu    sync.Mutex
	block []byte
	size  int64 // bytes appended
	laid  int64 // bytes of the file
}

const (
	spoolData  = 4092
	spoolBlock = spoolData + 4
)

func newSpool(path string) (*spool, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the directory of a spool: %w", err)
	}
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("creating a spool: %w", err)
	}
	return &spool{path: path, f: f, block: make([]byte, 0, 64*spoolBlock)}, nil
}

// append adds p and returns where it begins.
func (s *spool) append(p []byte) (at int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.appendLocked(p)
}

func (s *spool) appendLocked(p []byte) (at int64, err error) {
	at = s.size
	for len(p) > 0 {
		n := min(spoolData-len(s.block)%spoolBlock, len(p))
		s.block = append(s.block, p[:n]...)
		s.size += int64(n)
		p = p[n:]
		if len(s.block)%spoolBlock == spoolData {
			if err := s.endBlock(); err != nil {
				return 0, err
			}
		}
	}
	return at, nil
}

// endBlock adds the checksum of the last block and writes when many are full.
func (s *spool) endBlock() error {
	from := (len(s.block) - 1) / spoolBlock * spoolBlock
	s.block = binary.LittleEndian.AppendUint32(s.block, crc32.Checksum(s.block[from:], castagnoli))
	if len(s.block) == cap(s.block) {
		return s.write()
	}
	return nil
}

func (s *spool) write() error {
	if _, err := s.f.Write(s.block); err != nil {
		return fmt.Errorf("writing %s: %w", s.path, err)
	}
	s.laid += int64(len(s.block))
	s.block = s.block[:0]
	return nil
}

// seal ends the writing.
func (s *spool) seal() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.block)%spoolBlock != 0 {
		if err := s.endBlock(); err != nil {
			return err
		}
	}
	return s.write()
}

func (s *spool) close() error {
	err := s.f.Close()
	if rm := os.Remove(s.path); rm != nil && !errors.Is(rm, fs.ErrNotExist) {
		err = errors.Join(err, rm)
	}
	if err != nil {
		return fmt.Errorf("removing the spool %s: %w", s.path, err)
	}
	return nil
}

// spoolReader reads a sealed spool. It is the scratch memory of one goroutine.
type spoolReader struct {
	s   *spool
	buf []byte
	// The blocks that buf holds, checked: from first up to last.
	first, last int64
}

func (s *spool) reader() *spoolReader { return &spoolReader{s: s} }

// read appends n bytes that begin at a place to dst.
func (r *spoolReader) read(dst []byte, at int64, n int) ([]byte, error) {
	if n < 0 || at < 0 || at+int64(n) > r.s.size {
		return dst, fmt.Errorf("reading %d bytes at %d of %s, which has %d", n, at, r.s.path, r.s.size)
	}
	for n > 0 {
		block := at / spoolData
		if block < r.first || block >= r.last {
			if err := r.load(block, (at+int64(n)-1)/spoolData+1); err != nil {
				return dst, err
			}
		}
		b := r.buf[(block-r.first)*spoolBlock:]
		from := int(at % spoolData)
		to := min(min(spoolData, len(b)-4), from+n)
		dst = append(dst, b[from:to]...)
		at += int64(to - from)
		n -= to - from
	}
	return dst, nil
}

// load reads and checks the blocks from first up to last, or as many as are read
// at once.
func (r *spoolReader) load(first, last int64) error {
	last = min(last, first+16)
	from := first * spoolBlock
	to := min(last*spoolBlock, r.s.laid)
	if cap(r.buf) < int(to-from) {
		r.buf = make([]byte, to-from)
	}
	r.buf = r.buf[:to-from]
	r.first, r.last = 0, 0
	if _, err := r.s.f.ReadAt(r.buf, from); err != nil {
		return fmt.Errorf("reading %s: %w", r.s.path, err)
	}
	for i := 0; i < len(r.buf); i += spoolBlock {
		b := r.buf[i:min(i+spoolBlock, len(r.buf))]
		n := len(b) - 4
		if crc32.Checksum(b[:n], castagnoli) != binary.LittleEndian.Uint32(b[n:]) {
			return &store.DamagedError{Path: r.s.path, Detail: fmt.Sprintf("the spilled texts have another checksum at byte %d than when they were written", from+int64(i))}
		}
	}
	r.first, r.last = first, last
	return nil
}
