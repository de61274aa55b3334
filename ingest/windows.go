package ingest

import (
	"errors"
	"io"
	"sync"
)

// windows answers small reads of a far file from a few stretches of it, so that
// several columns can be read side by side without asking for the same bytes again.
type windows struct {
	r    io.ReaderAt
	size int64

	mu   sync.Mutex
	all  [12]window
	tick int64
}

type window struct {
	start int64
	data  []byte
	used  int64
}

// windowBytes is the length of a stretch.
const windowBytes = 1 << 20

func newWindows(r io.ReaderAt, size int64) *windows { return &windows{r: r, size: size} }

// ReadAt implements io.ReaderAt.
func (w *windows) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 || off >= w.size {
		return 0, io.EOF
	}
	if len(p) >= windowBytes {
		return w.r.ReadAt(p, off)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if at >= w.size {
			return n, io.EOF
		}
		data, err := w.at(at)
		if err != nil {
			return n, err
		}
		n += copy(p[n:], data)
	}
	return n, nil
}

// at returns what is held from an offset on, at least a byte.
func (w *windows) at(off int64) ([]byte, error) {
	w.tick++
	oldest := &w.all[0]
	for i := range w.all {
		s := &w.all[i]
		if off >= s.start && off < s.start+int64(len(s.data)) {
			s.used = w.tick
			return s.data[off-s.start:], nil
		}
		if s.used < oldest.used {
			oldest = s
		}
	}
	n := min(windowBytes, w.size-off)
	if int64(cap(oldest.data)) < n {
		oldest.data = make([]byte, n)
	}
	data := oldest.data[:n]
	oldest.data = nil
	k, err := w.r.ReadAt(data, off)
	if k < len(data) {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	oldest.start, oldest.data, oldest.used = off, data, w.tick
	return data, nil
}
