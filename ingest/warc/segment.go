package warc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// errSegmentEnd says that a segment holds no further record.
var errSegmentEnd = errors.New("end of segment")

// segment is a run of bytes that holds whole records.
type segment struct {
	offset int64 // in the archive
	plain  bool  // bytes of the segment are bytes of the archive
	in     *window
	broken error // what decoding ended with, when that is not io.EOF
	again  int64 // bytes that were put back to be looked at again
}

func newSegment(offset int64, plain bool, r io.Reader) *segment {
	return &segment{offset: offset, plain: plain, in: newWindow(r)}
}

func (s *segment) place() int64 {
	if s.plain {
		return s.offset + s.in.pos
	}
	return s.offset
}

// check turns the error a decoder ended with into a damage, and leaves those of
// the input as they are.
func (s *segment) check(err error, at int64, uri, doing string) error {
	if errors.Is(err, io.EOF) {
		if s.plain {
			return &DamageError{Cause: Truncated, Offset: at, URI: uri, Detail: "the archive ends " + doing}
		}
		// The member was whole, so the length that the record gives is not.
		return &DamageError{Cause: WrongLength, Offset: at, URI: uri, Detail: "the compressed member ends " + doing}
	}
	var input *inputError
	if errors.As(err, &input) {
		return input.err
	}
	s.broken = err
	cause := BadCompressed
	if errors.Is(err, io.ErrUnexpectedEOF) {
		cause = Truncated
	}
	return &DamageError{Cause: cause, Offset: at, URI: uri, Detail: doing + ": " + err.Error()}
}

// inputError marks an error of the reader underneath, which no resync can heal.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }

// hasVersionPrefix ignores case, as some writers do.
func hasVersionPrefix(b []byte) bool { return len(b) >= 5 && bytes.EqualFold(b[:5], []byte("WARC/")) }

func isVersionLine(line []byte) bool {
	if len(line) > 64 || !hasVersionPrefix(line) {
		return false
	}
	v := bytes.TrimSpace(line[5:])
	return len(v) >= 3 && v[0] >= '0' && v[0] <= '9' && v[1] == '.' && v[2] >= '0' && v[2] <= '9'
}

// record reads the next record of the segment.
func (s *segment) record(maxBody int64) (*Record, error) {
	at, line, err := s.findRecord()
	if err != nil {
		return nil, err
	}
	rec := &Record{Offset: at, Version: string(bytes.TrimSpace(line[5:]))}
	length, err := s.header(rec)
	if err != nil {
		return nil, err
	}
	if length > maxBody {
		if _, err := io.CopyN(io.Discard, s.in, length); err != nil {
			return nil, s.check(err, at, rec.URI, fmt.Sprintf("in a body of %d bytes", length))
		}
		return nil, &DamageError{Cause: TooLarge, Offset: at, URI: rec.URI, Detail: fmt.Sprintf("its body has %d bytes, the limit is %d", length, maxBody)}
	}
	body, err := readBody(s.in, length)
	if err != nil {
		err := s.check(err, at, rec.URI, fmt.Sprintf("in a body of %d bytes, after %d", length, len(body)))
		var damage *DamageError
		if s.broken != nil || !errors.As(err, &damage) {
			return nil, err
		}
		return nil, s.rescan(body, damage)
	}
	rec.Body = body
	found, err := s.trailer()
	switch {
	case err != nil:
		return nil, s.check(err, at, rec.URI, "after the body")
	case found != nil:
		damage := &DamageError{Cause: WrongLength, Offset: at, URI: rec.URI,
			Detail: fmt.Sprintf("after a body of %d bytes comes %q", length, found)}
		return nil, s.rescan(body, damage)
	}
	return rec, nil
}

// rescan puts a body back that holds the beginning of the next record, because
// the length given for it was wrong. What is looked at again in all is bounded,
// so that an archive of nothing but wrong lengths is read in linear time.
func (s *segment) rescan(body []byte, damage *DamageError) error {
	const free = 256 << 20
	if s.again += int64(len(body)); s.again > free+8*s.in.pos {
		return damage
	}
	if i := nextVersionLine(body); i >= 0 {
		s.in.unread(body[i:])
		if damage.Cause == Truncated {
			damage.Cause = WrongLength
		}
	}
	return damage
}

// nextVersionLine returns where, at the head of a line, body holds a version
// line, or -1.
func nextVersionLine(body []byte) int {
	for i := 0; ; {
		j := bytes.Index(body[i:], []byte("\nWARC/"))
		if j < 0 {
			return -1
		}
		i += j + 1
		line := body[i:]
		if e := bytes.IndexByte(line, '\n'); e >= 0 {
			line = line[:e]
		}
		if isVersionLine(line) {
			return i
		}
	}
}

// readBody reads n bytes without believing n before they are there.
func readBody(r io.Reader, n int64) ([]byte, error) {
	const first = 1 << 20
	if n <= first {
		body := make([]byte, n)
		m, err := io.ReadFull(r, body)
		if errors.Is(err, io.ErrUnexpectedEOF) && m == 0 {
			err = io.EOF
		}
		return body[:m], shortRead(r, err)
	}
	var b bytes.Buffer
	b.Grow(first)
	_, err := io.CopyN(&b, r, n)
	return b.Bytes(), err
}

// shortRead tells a decoder's io.ErrUnexpectedEOF from io.ReadFull's: the error
// of a decoder comes again.
func shortRead(r io.Reader, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		var one [1]byte
		if _, again := r.Read(one[:]); again != nil {
			return again
		}
	}
	return err
}

// trailer consumes the line ends after a record. It returns what follows, without
// consuming it, when neither the two line ends of the format nor the next record
// show that the body ended where it should.
func (s *segment) trailer() (found []byte, err error) {
	ends := 0
	for {
		b, err := s.in.peek(1)
		if err != nil {
			if errors.Is(err, io.EOF) {
				return nil, nil
			}
			return nil, err
		}
		if b[0] != '\r' && b[0] != '\n' {
			break
		}
		if b[0] == '\n' {
			ends++
		}
		s.in.skip()
	}
	head, err := s.in.peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if ends >= 2 || hasVersionPrefix(head) {
		return nil, nil
	}
	return bytes.Clone(head), nil
}

// findRecord goes to the next version line. Anything but line ends before it is
// reported once as garbage.
func (s *segment) findRecord() (at int64, line []byte, err error) {
	garbage := int64(-1)
	var sample []byte
	for {
		place := s.place()
		line, err := s.in.line(maxHeader)
		if isVersionLine(line) {
			if garbage < 0 {
				return place, line, nil
			}
			s.in.unread(line)
			return 0, nil, &DamageError{Cause: Garbage, Offset: garbage, Detail: fmt.Sprintf("%d bytes beginning %q", s.place()-garbage, sample)}
		}
		if len(bytes.TrimSpace(line)) > 0 && garbage < 0 {
			garbage = place
			sample = append(sample, line[:min(len(line), 24)]...)
		}
		switch {
		case err == nil || errors.Is(err, errLongLine):
		case !errors.Is(err, io.EOF):
			return 0, nil, s.check(err, place, "", "looking for a record")
		case garbage >= 0:
			return 0, nil, &DamageError{Cause: Garbage, Offset: garbage, Detail: fmt.Sprintf("beginning %q, to the end", sample)}
		default:
			return 0, nil, errSegmentEnd
		}
	}
}

// header reads the fields of a record up to the empty line.
func (s *segment) header(rec *Record) (length int64, err error) {
	size := 0
	var firstBad string
	for {
		line, err := s.in.line(maxHeader)
		size += len(line)
		if err != nil && !errors.Is(err, errLongLine) {
			return 0, s.check(err, rec.Offset, rec.URI, "in a record's header")
		}
		if size > maxHeader {
			return 0, &DamageError{Cause: BadHeader, Offset: rec.Offset, URI: rec.URI, Detail: fmt.Sprintf("it is longer than %d bytes", maxHeader)}
		}
		if isVersionLine(line) {
			s.in.unread(line)
			return 0, &DamageError{Cause: BadHeader, Offset: rec.Offset, URI: rec.URI, Detail: "the next record begins inside it"}
		}
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			break
		}
		if (text[0] == ' ' || text[0] == '\t') && len(rec.Fields) > 0 {
			last := &rec.Fields[len(rec.Fields)-1]
			last.Value = strings.TrimSpace(last.Value + " " + strings.TrimSpace(text))
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if !ok {
			if firstBad == "" {
				firstBad = text
			}
			continue
		}
		rec.Fields = append(rec.Fields, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	rec.Type = strings.ToLower(rec.Get("WARC-Type"))
	rec.ID = strings.Trim(rec.Get("WARC-Record-ID"), "<>")
	rec.URI = strings.Trim(rec.Get("WARC-Target-URI"), "<>")
	value := rec.Get("Content-Length")
	length, err = strconv.ParseInt(value, 10, 64)
	if err != nil || length < 0 {
		detail := fmt.Sprintf("its Content-Length is %q", value)
		if firstBad != "" {
			detail += fmt.Sprintf(", and it has a line %q", firstBad)
		}
		return 0, &DamageError{Cause: BadHeader, Offset: rec.Offset, URI: rec.URI, Detail: detail}
	}
	return length, nil
}
