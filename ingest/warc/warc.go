// Package warc reads WARC archives, and WET archives, which are WARC archives
// of extracted text: plain, or compressed with a gzip member or a zstd frame per
// record. It is made for archives as they are: a record or a member that cannot
// be read is reported with its place, and reading goes on at the next one that
// can.
//
// The format is ISO 28500 (WARC 0.9 to 1.1).
package warc

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Field is one header field of a record, in the order of the record.
type Field struct{ Name, Value string }

// Record is one record of an archive.
type Record struct {
	// Offset is where the record begins in the archive file: the offset of its
	// compressed member, as CDX indexes give it, or of its first byte when the
	// archive is plain.
	Offset int64
	// Number counts the records of the archive from 0, damaged ones too.
	Number  int64
	Version string // such as "1.0"
	Type    string // the WARC-Type, in small letters
	ID      string // the WARC-Record-ID, without angle brackets
	URI     string // the WARC-Target-URI, without angle brackets
	Fields  []Field
	Body    []byte
}

// Get returns the value of the first field of that name, in any case, or "".
func (r *Record) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Cause says why a record could not be read.
type Cause string

// The causes, as they are counted.
const (
	BadHeader     Cause = "bad record header"
	WrongLength   Cause = "wrong content length"
	TooLarge      Cause = "record too large"
	Truncated     Cause = "truncated record"
	BadCompressed Cause = "damaged compression"
	Garbage       Cause = "garbage between records"
)

// DamageError tells of a part of an archive that could not be read. Reading can
// go on after it.
type DamageError struct {
	Cause  Cause
	Offset int64 // as Record.Offset
	Record int64 // as Record.Number
	URI    string
	Detail string
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("warc: record %d at byte %d: %s: %s", e.Record, e.Offset, e.Cause, e.Detail)
}

// ErrNotArchive says that an input begins like no WARC archive.
var ErrNotArchive = errors.New("warc: not a WARC archive")

// Options say how a Reader works.
type Options struct {
	// MaxBody is the longest body that is read; a record with a longer one is
	// reported as TooLarge. 0 means 64 MiB.
	MaxBody int64
	// Offset is where to begin, such as the Offset of a record that was read
	// before, and Number is the number of the record there.
	Offset, Number int64
}

// maxHeader bounds the header of a record.
const maxHeader = 1 << 20

// Reader reads the records of one archive.
type Reader struct {
	maxBody int64
	src     segments
	cur     *segment
	number  int64
	err     error
}

// segments gives the parts of an archive that are decoded one by one: the
// members of a gzip archive, the frames of a zstd one, the whole of a plain one.
type segments interface {
	// next returns the next segment, io.EOF at the end, or a *DamageError after
	// which it can be called again.
	next() (*segment, error)
	// resync is called when the present segment could not be decoded to its end,
	// and looks for the next one that can be.
	resync(s *segment)
}

// NewReader returns a Reader of an archive of that size. The error is
// ErrNotArchive when the input begins like no WARC archive.
func NewReader(r io.ReaderAt, size int64, opts Options) (*Reader, error) {
	if opts.MaxBody <= 0 {
		opts.MaxBody = 64 << 20
	}
	if opts.Offset < 0 || opts.Offset > size {
		return nil, fmt.Errorf("warc: offset %d lies outside the archive of %d bytes", opts.Offset, size)
	}
	var head [5]byte
	n, err := r.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("warc: %w", err)
	}
	rd := &Reader{maxBody: opts.MaxBody, number: opts.Number}
	switch h := string(head[:n]); {
	case strings.HasPrefix(h, "\x1f\x8b"):
		rd.src = &gzipSegments{r: r, size: size, at: opts.Offset}
	case strings.HasPrefix(h, "\x28\xb5\x2f\xfd"), strings.HasPrefix(h, "\x5d\x2a\x4d\x18"):
		rd.src, err = newZstdSegments(r, size, opts.Offset)
		if err != nil {
			return nil, err
		}
	case strings.HasPrefix(h, "WARC/"):
		rd.src = &plainSegments{r: r, size: size, at: opts.Offset}
	default:
		return nil, ErrNotArchive
	}
	return rd, nil
}

// Close releases what the reader holds. It does not close the input.
func (r *Reader) Close() error {
	r.err = errors.New("warc: the reader is closed")
	if c, ok := r.src.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Next returns the next record; io.EOF at the end; or a *DamageError, after
// which it can be called again. Any other error is the input's, and final.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	for {
		if r.cur == nil {
			s, err := r.src.next()
			if err != nil {
				return nil, r.fail(err)
			}
			r.cur = s
		}
		rec, err := r.cur.record(r.maxBody)
		switch {
		case err == nil:
			rec.Number = r.number
			r.number++
			return rec, nil
		case errors.Is(err, errSegmentEnd):
			r.cur = nil
			continue
		}
		var d *DamageError
		if !errors.As(err, &d) {
			return nil, r.fail(err)
		}
		if r.cur.broken != nil {
			r.src.resync(r.cur)
			r.cur = nil
		}
		return nil, r.fail(d)
	}
}

// fail numbers a damage, and keeps any other error.
func (r *Reader) fail(err error) error {
	var d *DamageError
	if errors.As(err, &d) {
		d.Record = r.number
		r.number++
		return d
	}
	if !errors.Is(err, io.EOF) {
		err = fmt.Errorf("warc: %w", err)
	}
	r.err = err
	return err
}
