package warc

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var errLongLine = errors.New("line too long")

// window reads a segment and takes bytes back.
type window struct {
	in *bufio.Reader
	// back[at:] are bytes that come before those of in.
	back []byte
	at   int
	// pos counts the bytes consumed.
	pos int64
}

func newWindow(r io.Reader) *window { return &window{in: bufio.NewReaderSize(r, 64<<10)} }

func (w *window) Read(p []byte) (n int, err error) {
	if w.at < len(w.back) {
		n = copy(p, w.back[w.at:])
		w.at += n
	} else {
		w.back, w.at = nil, 0
		n, err = w.in.Read(p)
	}
	w.pos += int64(n)
	return n, err
}

// peek returns up to n bytes, fewer with the error that ended the input.
func (w *window) peek(n int) ([]byte, error) {
	have := w.back[w.at:]
	if len(have) >= n {
		return have[:n], nil
	}
	if len(have) == 0 {
		return w.in.Peek(n)
	}
	more, err := w.in.Peek(n - len(have))
	return append(append([]byte(nil), have...), more...), err
}

// skip consumes the next byte, which was peeked.
func (w *window) skip() {
	w.pos++
	if w.at < len(w.back) {
		w.at++
		return
	}
	_, _ = w.in.Discard(1)
}

// line returns the next line with its end. At the end of the segment it returns
// what is left with the error that ended it. A line longer than limit is cut with
// errLongLine.
func (w *window) line(limit int) ([]byte, error) {
	var line []byte
	if have := w.back[w.at:]; len(have) > 0 {
		n := bytes.IndexByte(have, '\n') + 1
		if n == 0 {
			n = len(have)
		}
		line = append(line, have[:n]...)
		w.at += n
		w.pos += int64(n)
		if line[n-1] == '\n' {
			return line, nil
		}
	}
	for {
		part, err := w.in.ReadSlice('\n')
		w.pos += int64(len(part))
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > limit {
			return line, errLongLine
		}
	}
}

// unread puts b, the bytes that were consumed last, back.
func (w *window) unread(b []byte) {
	w.pos -= int64(len(b))
	if len(b) <= w.at && bytes.Equal(w.back[w.at-len(b):w.at], b) {
		w.at -= len(b)
		return
	}
	w.back, w.at = append(bytes.Clone(b), w.back[w.at:]...), 0
}
