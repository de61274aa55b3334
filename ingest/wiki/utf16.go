package wiki

import (
	"bufio"
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// utf8Reader returns r, or, when r is in UTF-16, as XML may be, a reader of its
// text as UTF-8.
func utf8Reader(r io.Reader) io.Reader {
	return &encodingReader{src: r}
}

type encodingReader struct {
	src     io.Reader
	decided bool
	wide    *bufio.Reader // of UTF-16; nil: src is taken as it is
	order   binary.ByteOrder
	held    rune // the first half of a pair, or 0
	rest    []byte
}

func (e *encodingReader) Read(p []byte) (int, error) {
	if !e.decided {
		e.decided = true
		var head [2]byte
		n, err := io.ReadFull(e.src, head[:])
		switch {
		case n == 2 && head == [2]byte{0xFF, 0xFE}:
			e.wide, e.order = bufio.NewReaderSize(e.src, 1<<16), binary.LittleEndian
		case n == 2 && head == [2]byte{0xFE, 0xFF}:
			e.wide, e.order = bufio.NewReaderSize(e.src, 1<<16), binary.BigEndian
		case n == 2 && (head == [2]byte{'<', 0} || head == [2]byte{0, '<'}):
			// Without a mark a document still begins with '<'.
			e.wide, e.order = bufio.NewReaderSize(e.src, 1<<16), binary.BigEndian
			if head[0] == '<' {
				e.order = binary.LittleEndian
			}
			e.rest = append(e.rest, '<')
		default:
			e.rest = append(e.rest, head[:n]...)
			if err != nil && n == 0 {
				return 0, err
			}
		}
	}
	if len(e.rest) > 0 {
		n := copy(p, e.rest)
		e.rest = e.rest[n:]
		return n, nil
	}
	if e.wide == nil {
		return e.src.Read(p)
	}
	return e.readWide(p)
}

// readWide fills p with whole runes, as far as they are there.
func (e *encodingReader) readWide(p []byte) (int, error) {
	if len(p) < 2*utf8.UTFMax {
		var small [2 * utf8.UTFMax]byte
		n, err := e.readWide(small[:])
		if n == 0 {
			return 0, err
		}
		e.rest = append(e.rest[:0], small[:n]...)
		n = copy(p, e.rest)
		e.rest = e.rest[n:]
		return n, nil
	}
	out := p[:0]
	for len(out)+2*utf8.UTFMax <= len(p) {
		unit, err := e.wide.Peek(2)
		if len(unit) < 2 {
			if len(out) > 0 {
				return len(out), nil
			}
			if e.held != 0 || len(unit) == 1 {
				e.held = 0
				_, _ = e.wide.Discard(len(unit)) // what was peeked at is there
				return copy(p, "\uFFFD"), nil
			}
			return 0, err
		}
		_, _ = e.wide.Discard(2)
		r := rune(e.order.Uint16(unit))
		if e.held != 0 {
			pair := utf16.DecodeRune(e.held, r)
			e.held = 0
			out = utf8.AppendRune(out, pair)
			if pair != utf8.RuneError {
				continue
			}
		}
		if r >= 0xD800 && r < 0xDC00 {
			e.held = r
			continue
		}
		out = utf8.AppendRune(out, r)
	}
	return len(out), nil
}
