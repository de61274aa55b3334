package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
)

// plainSegments gives an archive that is not compressed, as one segment.
type plainSegments struct {
	r        io.ReaderAt
	size, at int64
	given    bool
}

func (p *plainSegments) next() (*segment, error) {
	if p.given {
		return nil, io.EOF
	}
	p.given = true
	return newSegment(p.at, true, &input{r: io.NewSectionReader(p.r, p.at, p.size-p.at)}), nil
}

func (p *plainSegments) resync(*segment) {}

// input marks the errors of the reader underneath, so that they are not taken
// for those of a decoder, and counts.
type input struct {
	r io.Reader
	n int64
}

func (i *input) Read(p []byte) (int, error) {
	n, err := i.r.Read(p)
	i.n += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = &inputError{err}
	}
	return n, err
}

// gzipSegments gives the members of a gzip archive.
type gzipSegments struct {
	r    io.ReaderAt
	size int64
	at   int64 // where the next member begins or is looked for

	file *input
	buf  *bufio.Reader
	gz   *gzip.Reader
	cur  *segment
}

// place is how many bytes of the archive were consumed.
func (g *gzipSegments) place() int64 { return g.at + g.file.n - int64(g.buf.Buffered()) }

func (g *gzipSegments) open(at int64) {
	g.at = at
	g.file = &input{r: io.NewSectionReader(g.r, at, g.size-at)}
	if g.buf == nil {
		g.buf = bufio.NewReaderSize(g.file, 128<<10)
	} else {
		g.buf.Reset(g.file)
	}
}

func (g *gzipSegments) next() (*segment, error) {
	if g.file == nil {
		g.open(g.at)
	}
	if g.cur != nil && g.cur.broken == nil {
		// The member may hold more than its records' bytes.
		if _, err := io.Copy(io.Discard, g.gz); err != nil {
			s := g.cur
			s.broken = err
			damage := s.check(err, s.offset, "", "at the end of a compressed member")
			g.resync(s)
			return nil, damage
		}
	}
	g.cur = nil
	start := g.place()
	head, err := g.buf.Peek(3)
	switch {
	case len(head) == 0 && errors.Is(err, io.EOF):
		return nil, io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		return nil, underneath(err)
	case !bytes.HasPrefix(head, gzipMagic):
		g.seek(start)
		return nil, &DamageError{Cause: Garbage, Offset: start, Detail: fmt.Sprintf("%q where a compressed member should begin", head)}
	}
	if g.gz == nil {
		g.gz, err = gzip.NewReader(g.buf)
	} else {
		err = g.gz.Reset(g.buf)
	}
	if err != nil {
		if inner := underneath(err); inner != err { //nolint:errorlint // whether it was unwrapped
			return nil, inner
		}
		g.gz = nil
		g.seek(start + 1)
		return nil, &DamageError{Cause: BadCompressed, Offset: start, Detail: "in the head of a member: " + err.Error()}
	}
	g.gz.Multistream(false)
	g.cur = newSegment(start, false, g.gz)
	return g.cur, nil
}

func underneath(err error) error {
	var in *inputError
	if errors.As(err, &in) {
		return in.err
	}
	return err
}

var gzipMagic = []byte{0x1f, 0x8b, 8}

func (g *gzipSegments) resync(s *segment) {
	g.cur = nil
	g.seek(s.offset + 1)
}

// seek goes to the first place from at on where a member begins whose content
// begins like a record, or to the end.
func (g *gzipSegments) seek(at int64) {
	const chunk = 1 << 18
	buf := make([]byte, chunk)
	for at < g.size {
		n, err := g.r.ReadAt(buf[:min(chunk, g.size-at)], at)
		data := buf[:n]
		i := bytes.Index(data, gzipMagic)
		if i < 0 {
			if err != nil && !errors.Is(err, io.EOF) || n < len(gzipMagic) {
				break
			}
			at += int64(n - len(gzipMagic) + 1)
			if at >= g.size-int64(len(gzipMagic))+1 {
				break
			}
			continue
		}
		at += int64(i)
		if g.recordAt(at) {
			g.open(at)
			return
		}
		at++
	}
	g.open(g.size)
}

func (g *gzipSegments) recordAt(at int64) bool {
	gz, err := gzip.NewReader(bufio.NewReaderSize(io.NewSectionReader(g.r, at, g.size-at), 4<<10))
	if err != nil {
		return false
	}
	gz.Multistream(false)
	var head [7]byte
	n, _ := io.ReadFull(gz, head[:])
	return bytes.HasPrefix(bytes.TrimLeft(head[:n], "\r\n"), []byte("WARC/"))
}
