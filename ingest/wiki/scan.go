package wiki

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

const (
	// pieceBytes is how much is read before the pages of it are handed on.
	pieceBytes = 512 << 10
	// headBytes is the longest <siteinfo>.
	headBytes = 1 << 20
)

var (
	pageStart     = []byte("<page>")
	pageEnd       = []byte("</page>")
	revisionStart = []byte("<revision>")
	dumpEnd       = []byte("</mediawiki>")
)

// piece is a part of a dump that begins and ends between pages.
type piece struct {
	data   []byte
	offset int64 // of data in the dump
	// wrong tells why the only page of the piece is not whole; its data is then
	// just its beginning.
	wrong  Cause
	detail string
}

// splitter cuts a dump into pieces.
type splitter struct {
	src     io.Reader
	maxPage int
	site    *Site // known when the first piece was given

	buf    []byte
	offset int64 // of buf in the dump
	eof    bool
	began  bool
	ended  bool // </mediawiki> was seen
	marked bool // a page was seen
	root   bool // <mediawiki> was seen
}

// next returns the next piece, whose data the caller then owns, or io.EOF. Other
// errors come from the reader underneath, or are ErrNotDump or ErrCut, which
// follow the last piece.
func (sp *splitter) next() (piece, error) {
	if !sp.began {
		if err := sp.begin(); err != nil {
			return piece{}, err
		}
	}
	searched := 0
	compacted := int64(0)
	for {
		// Whole pages are handed on when enough of them are there.
		if len(sp.buf) >= pieceBytes || sp.eof {
			if at := bytes.LastIndex(sp.buf[searched:], pageEnd); at >= 0 {
				end := searched + at + len(pageEnd)
				if compacted > 0 {
					// What follows the page that was shortened has other offsets.
					end = searched + bytes.Index(sp.buf[searched:], pageEnd) + len(pageEnd)
				}
				return sp.cut(end, compacted), nil
			}
			searched = max(0, len(sp.buf)-len(pageEnd))
		}
		if sp.eof {
			return sp.tail(compacted)
		}
		if len(sp.buf) > sp.maxPage {
			first, last := bytes.Index(sp.buf, pageStart), bytes.LastIndex(sp.buf, pageStart)
			switch {
			case first < 0: // nothing of a page, but perhaps the beginning of its tag
				sp.drop(len(sp.buf)-len(pageStart), 0)
				searched = 0
				continue
			case first < last && compacted == 0: // pages without end
				return sp.cut(last, 0), nil
			case first > 0:
				sp.drop(first, 0)
				searched = 0
				continue
			}
			if n := sp.dropRevisions(); n > 0 {
				compacted += int64(n)
				searched = 0
				continue
			}
			return sp.tooLong(compacted)
		}
		if err := sp.fill(); err != nil {
			return piece{}, err
		}
	}
}

// begin reads up to the first page, for the site.
func (sp *splitter) begin() error {
	sp.began = true
	at := -1
	for {
		at = bytes.Index(sp.buf, pageStart)
		if at >= 0 || sp.eof || len(sp.buf) >= headBytes {
			break
		}
		if err := sp.fill(); err != nil {
			return err
		}
	}
	head := sp.buf
	if at >= 0 {
		head = sp.buf[:at]
	}
	sp.site = parseSite(head)
	sp.root = bytes.Contains(head, []byte("<mediawiki"))
	return nil
}

// fill reads more into buf.
func (sp *splitter) fill() error {
	have := len(sp.buf)
	if cap(sp.buf)-have < pieceBytes/4 {
		grown := make([]byte, have, max(pieceBytes+pieceBytes/2, 2*have))
		copy(grown, sp.buf)
		sp.buf = grown
	}
	for range 100 {
		n, err := sp.src.Read(sp.buf[have:cap(sp.buf)])
		sp.buf = sp.buf[:have+n]
		if errors.Is(err, io.EOF) {
			sp.eof = true
			return nil
		}
		if err != nil {
			return fmt.Errorf("wiki: reading the dump at byte %d: %w", sp.offset+int64(have+n), err)
		}
		if n > 0 {
			return nil
		}
	}
	return io.ErrNoProgress
}

// cut takes buf[:end] off as a piece, of which removed bytes are missing.
func (sp *splitter) cut(end int, removed int64) piece {
	p := piece{data: sp.buf[:end:end], offset: sp.offset}
	rest := sp.buf[end:]
	sp.offset += int64(end) + removed
	sp.buf = make([]byte, len(rest), max(pieceBytes+pieceBytes/2, 2*len(rest)))
	copy(sp.buf, rest)
	sp.marked = true
	return p
}

// tail handles what stands after the last page.
func (sp *splitter) tail(removed int64) (piece, error) {
	start := bytes.Index(sp.buf, pageStart)
	if start >= 0 {
		sp.offset += int64(start)
		p := piece{data: sp.buf[start:], offset: sp.offset, wrong: Truncated, detail: "the dump ends inside it"}
		sp.ended = bytes.Contains(p.data, dumpEnd)
		sp.offset += int64(len(sp.buf)-start) + removed
		sp.buf = nil
		sp.marked = true
		return p, nil
	}
	ended := bytes.Contains(sp.buf, dumpEnd)
	sp.offset += int64(len(sp.buf))
	sp.buf = nil
	switch {
	case !sp.marked && !sp.root:
		return piece{}, ErrNotDump
	case sp.root && !ended && !sp.ended:
		sp.ended = true
		return piece{}, ErrCut
	}
	sp.ended = true
	return piece{}, io.EOF
}

// drop takes n bytes, and removed ones that were taken before, off the front.
func (sp *splitter) drop(n int, removed int64) {
	sp.offset += int64(n) + removed
	sp.buf = sp.buf[:copy(sp.buf, sp.buf[n:])]
}

// dropRevisions shortens the page that buf begins with by all revisions but the
// last, and returns by how many bytes.
func (sp *splitter) dropRevisions() int {
	n := olderRevisions(sp.buf)
	if n > 0 {
		first := bytes.Index(sp.buf, revisionStart)
		sp.buf = append(sp.buf[:first], sp.buf[first+n:]...)
	}
	return n
}

// olderRevisions returns how many bytes of a page stand before its last revision
// and after the beginning of its first.
func olderRevisions(page []byte) int {
	return bytes.LastIndex(page, revisionStart) - bytes.Index(page, revisionStart)
}

// tooLong gives the beginning of the page that buf begins with, and skips to its
// end or to the beginning of the next.
func (sp *splitter) tooLong(removed int64) (piece, error) {
	p := piece{data: bytes.Clone(sp.buf[:min(len(sp.buf), 4096)]), offset: sp.offset, wrong: TooLong, detail: sp.longer()}
	sp.drop(1, removed)
	for {
		end := bytes.Index(sp.buf, pageEnd)
		next := bytes.Index(sp.buf, pageStart)
		switch {
		case next >= 0 && (end < 0 || next < end):
			sp.drop(next, 0)
			return p, nil
		case end >= 0:
			sp.drop(end+len(pageEnd), 0)
			return p, nil
		case sp.eof:
			return p, nil
		}
		sp.drop(max(0, len(sp.buf)-len(pageEnd)), 0)
		if err := sp.fill(); err != nil {
			return piece{}, err
		}
	}
}

func (sp *splitter) longer() string { return fmt.Sprintf("more than %d bytes", sp.maxPage) }

// pages visits the pages of a piece: the whole ones with a nil error.
func (pc *piece) pages(sp *splitter, record int64, yield func(*Page, *PageError) bool) bool {
	data := pc.data
	at := 0
	for {
		start := bytes.Index(data[at:], pageStart)
		if start < 0 {
			return true
		}
		at += start
		page := &Page{Offset: pc.offset + int64(at), Record: record}
		record++
		end := bytes.Index(data[at:], pageEnd)
		next := bytes.Index(data[at+len(pageStart):], pageStart)
		wrong, detail := pc.wrong, pc.detail
		body := data[at:]
		switch {
		case next >= 0 && (end < 0 || next+len(pageStart) < end):
			body = data[at : at+len(pageStart)+next]
			wrong, detail = Truncated, "the next page begins inside it"
		case end >= 0:
			body = data[at : at+end+len(pageEnd)]
		}
		at += len(body)
		if wrong == "" && len(body) > sp.maxPage && len(body)-olderRevisions(body) > sp.maxPage {
			wrong, detail = TooLong, sp.longer()
			body = body[:min(len(body), 4096)]
		}
		why := parsePage(body, sp.site, page)
		if wrong == "" && why != "" {
			wrong, detail = Malformed, why
		}
		var err *PageError
		if wrong != "" {
			err = &PageError{Cause: wrong, Offset: page.Offset, Record: page.Record, Title: page.Title, Detail: detail}
		}
		if !yield(page, err) {
			return false
		}
	}
}

// ScanOptions say how a dump is scanned.
type ScanOptions struct {
	// MaxPageBytes bounds a page's XML, without all revisions but the last; 0
	// means DefaultMaxPageBytes.
	MaxPageBytes int
}

func (o ScanOptions) splitter(r io.Reader) *splitter {
	if o.MaxPageBytes <= 0 {
		o.MaxPageBytes = DefaultMaxPageBytes
	}
	return &splitter{src: utf8Reader(r), maxPage: o.MaxPageBytes}
}

// Scanner reads the pages of a dump one by one.
type Scanner struct {
	sp     *splitter
	queue  []scanned
	record int64
	err    error
}

type scanned struct {
	page *Page
	err  *PageError
}

// NewScanner returns a Scanner of the dump r, which is plain XML.
func NewScanner(r io.Reader, opts ScanOptions) *Scanner {
	return &Scanner{sp: opts.splitter(r)}
}

// Next returns the next page. A *PageError tells of a page that is skipped, and
// the scanning goes on after it. Other errors are final: io.EOF, ErrCut,
// ErrNotDump, or one of the reader underneath.
func (s *Scanner) Next() (*Page, error) {
	for len(s.queue) == 0 {
		if s.err != nil {
			return nil, s.err
		}
		p, err := s.sp.next()
		if err != nil {
			s.err = err
			continue
		}
		s.queue = s.queue[:0]
		p.pages(s.sp, s.record, func(page *Page, err *PageError) bool {
			s.queue = append(s.queue, scanned{page, err})
			return true
		})
		s.record += int64(len(s.queue))
	}
	next := s.queue[0]
	s.queue = s.queue[1:]
	if next.err != nil {
		return nil, next.err
	}
	return next.page, nil
}

// Site returns what the dump says of its wiki; it is known after the first Next.
func (s *Scanner) Site() *Site { return s.sp.site }
