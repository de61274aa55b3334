package records

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Line is one record of a stream of JSON.
type Line struct {
	Data   []byte
	Offset int64 // of its first byte
	// TooLong says that the record is longer than the limit; Data is its beginning.
	TooLong bool
}

// Lines cuts a stream into records: its lines where each holds one, otherwise the
// values of an array, or objects that go over several lines. It holds one record at a
// time.
type Lines struct {
	in     *bufio.Reader
	limit  int
	offset int64
	values bool
	began  bool
}

// lineHead is how much of a stream tells how it is laid out.
const lineHead = 16 << 10

// NewLines reads records of at most limit bytes.
func NewLines(r io.Reader, limit int) *Lines {
	return &Lines{in: bufio.NewReaderSize(r, 256<<10), limit: limit}
}

// ResumeLines goes on at the given offset, which r stands at: the Offset of a Line of a
// stream for which ByLine said true.
func ResumeLines(r io.Reader, limit int, offset int64) *Lines {
	return &Lines{in: bufio.NewReaderSize(r, 256<<10), limit: limit, offset: offset, began: true}
}

// ByLine reports whether a line is a record, once one was read.
func (l *Lines) ByLine() bool { return !l.values }

// begin tells how the stream is laid out.
func (l *Lines) begin() error {
	l.began = true
	head, err := l.in.Peek(lineHead)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if bytes.HasPrefix(head, []byte("\xef\xbb\xbf")) {
		if err := l.discard(3); err != nil {
			return err
		}
		head = head[3:]
	}
	l.values = goesOverLines(head)
	return nil
}

// goesOverLines reports whether records do not end with their lines.
func goesOverLines(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	if len(head) == 0 || head[0] == '[' {
		return len(head) > 0
	}
	line, rest, whole := bytes.Cut(head, []byte("\n"))
	if !whole || head[0] != '{' {
		return false
	}
	line = bytes.TrimSpace(line)
	// A first line that is "{", or ends within its object where a name follows.
	if n := len(line); n > 1 && line[n-1] != ',' && line[n-1] != '{' && line[n-1] != '[' {
		return false
	}
	rest = bytes.TrimLeft(rest, " \t\r\n")
	return len(rest) > 0 && (rest[0] == '"' || rest[0] == '{' && line[len(line)-1] == '[' || rest[0] == '}')
}

// IsJSON reports whether head begins records of JSON.
func IsJSON(head []byte) bool {
	head = bytes.TrimLeft(bytes.TrimPrefix(head, []byte("\xef\xbb\xbf")), " \t\r\n")
	if len(head) > 0 && head[0] == '[' {
		head = bytes.TrimLeft(head[1:], " \t\r\n")
	}
	if len(head) < 2 || head[0] != '{' {
		return false
	}
	next := bytes.TrimLeft(head[1:], " \t\r\n")
	if len(next) == 0 || next[0] == '}' {
		return true
	}
	r := reading{data: next}
	if next[0] != '"' {
		return false
	}
	if _, err := r.skipString(); err != nil {
		return false
	}
	r.space()
	return r.peek() == ':'
}

func (l *Lines) discard(n int) error {
	k, err := l.in.Discard(n)
	l.offset += int64(k)
	return err
}

// Next returns the next record, valid until the next call; blank lines are passed
// over. The error is io.EOF at the end, or that of the stream, before which the last
// record may be torn.
func (l *Lines) Next() (Line, error) {
	if !l.began {
		if err := l.begin(); err != nil {
			return Line{}, err
		}
	}
	for {
		line := Line{Offset: l.offset}
		err := l.line(&line)
		if line.TooLong || len(bytes.TrimSpace(line.Data)) > 0 {
			if errors.Is(err, io.EOF) {
				err = nil // the next call tells
			}
			if err != nil {
				return line, fmt.Errorf("after byte %d: %w", line.Offset, err)
			}
			return line, nil
		}
		if err != nil {
			return Line{}, err
		}
	}
}

// line reads up to the end of the line, or of the value.
func (l *Lines) line(line *Line) error {
	if l.values {
		return l.value(line)
	}
	for {
		piece, err := l.in.ReadSlice('\n')
		l.offset += int64(len(piece))
		l.take(line, piece)
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
		default:
			return err // nil at the end of the line
		}
	}
}

// value reads up to the end of a value that may go over several lines.
func (l *Lines) value(line *Line) error {
	depth, quoted, escaped := 0, false, false
	for {
		if _, err := l.in.Peek(1); err != nil {
			l.trim(line)
			return err
		}
		piece, err := l.in.Peek(l.in.Buffered())
		if err != nil {
			return err
		}
		done := false
		for i := 0; i < len(piece) && !done; i++ {
			switch c := piece[i]; {
			case escaped:
				escaped = false
			case quoted:
				escaped, quoted = c == '\\', c != '"'
			case c == '"':
				quoted = true
			case c == '{' || c == '[' && depth > 0:
				depth++
			case (c == '}' || c == ']') && depth > 0:
				if depth--; depth == 0 {
					piece, done = piece[:i+1], true
				}
			}
		}
		l.take(line, piece)
		if err := l.discard(len(piece)); err != nil {
			return err
		}
		if done {
			l.trim(line)
			return nil
		}
		if depth == 0 && !quoted && !line.TooLong && len(bytes.Trim(line.Data, between)) == 0 {
			line.Data, line.Offset = line.Data[:0], l.offset
		}
	}
}

// between are what stands between the values of an array.
const between = " \t\r\n,[]"

// trim takes what stands between values off the beginning of one.
func (l *Lines) trim(line *Line) {
	rest := bytes.TrimLeft(line.Data, between)
	line.Offset += int64(len(line.Data) - len(rest))
	line.Data = rest
}

func (l *Lines) take(line *Line, piece []byte) {
	if room := l.limit - len(line.Data); len(piece) > room {
		// What ends the line does not count.
		if line.TooLong = line.TooLong || len(bytes.TrimRight(piece, "\r\n")) > room; line.TooLong {
			piece = piece[:min(len(piece), max(0, min(room, 1<<10-len(line.Data))))]
			if len(line.Data) > 1<<10 {
				line.Data = bytes.Clone(line.Data[:1<<10])
			}
		}
	}
	line.Data = append(line.Data, piece...)
}
