package bzip2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

type segmentKind uint8

const (
	gapSegment   segmentKind = iota // what belongs to no block
	blockSegment                    // from a block's magic to the next magic
	endSegment                      // from a stream's end to the next magic: checksum, padding, header
	failSegment                     // the reader underneath failed
)

// segment is a piece of the compressed input between two magics.
type segment struct {
	kind   segmentKind
	bit    int64  // where it begins in the input
	bits   int64  // its length
	data   []byte // from the byte that holds its first bit, then padBytes zeros
	last   bool   // nothing follows it
	crc    uint32
	err    error
	errBit int64

	done chan struct{} // closed when decode has ended
	out  []byte
	long expander // gives the output when it is too long to be held
}

const (
	// padBytes of zeros let a group of symbols be decoded without looking for the
	// end of the data.
	padBytes = 256
	// maxSegmentBytes is above the size of any block: 900,001 symbols of 20 bits
	// and less than 32 KiB of tables and selectors.
	maxSegmentBytes = 2_400_000
	readBytes       = 1 << 18
)

// pairs marks the pairs of bytes that stand inside either magic at any of the
// eight shifts. Five whole bytes of a magic are known at each shift, so that one
// pair of them stands at a multiple of four: looking there is enough.
var pairs = makePairs()

func makePairs() *[1 << 16 / 64]uint64 {
	t := new([1 << 16 / 64]uint64)
	for _, magic := range []uint64{blockMagic, endMagic} {
		for shift := range 8 {
			window := magic << (16 - shift) // its 64 bits from the byte the magic begins in
			first := 1
			if shift == 0 {
				first = 0
			}
			for i := first; i < first+4; i++ {
				p := uint16(window >> (48 - 8*i))
				t[p/64] |= 1 << (p % 64)
			}
		}
	}
	return t
}

// splitter cuts the input at its magics.
type splitter struct {
	src  io.Reader
	buf  []byte
	base int64 // of buf in the input, in bytes
	eof  bool
	err  error

	kind    segmentKind // of the segment under way
	from    int64       // its first bit
	seek    int64       // bits before it hold no further magic
	any     bool        // a magic was found
	stopped bool
}

// newSplitter returns a splitter of an input whose bits before start are not
// looked at; src stands at the byte that holds start.
func newSplitter(src io.Reader, start int64) *splitter {
	return &splitter{src: src, base: start / 8, from: start, seek: start, any: start > 0}
}

// next returns the next segment, or nil at the end of the input.
func (sp *splitter) next() *segment {
	for !sp.stopped {
		at, kind, found := sp.find()
		switch {
		case found:
			s := sp.cut(at, false)
			sp.kind, sp.from, sp.seek = kind, at, at+48
			sp.any = true
			if s != nil {
				return s
			}
		case sp.err != nil:
			sp.stopped = true
			return &segment{kind: failSegment, err: fmt.Errorf("bzip2: reading the compressed input: %w", sp.err)}
		case sp.eof:
			sp.stopped = true
			return sp.cut((sp.base+int64(len(sp.buf)))*8, true)
		case sp.base*8 < sp.from-7 || int64(len(sp.buf))-(sp.from/8-sp.base) < maxSegmentBytes:
			sp.fill()
		default:
			// Too long for a block: give it up, and keep only what a magic may begin in.
			end := (sp.base + int64(len(sp.buf)) - 8) * 8
			s := &segment{kind: gapSegment, bit: sp.from, err: fmt.Errorf("%w: no end of the block in %d bytes", ErrFormat, maxSegmentBytes)}
			silent := sp.kind == gapSegment && sp.any
			sp.kind, sp.from, sp.seek, sp.any = gapSegment, end, end, true
			if !silent {
				return s
			}
		}
	}
	return nil
}

// fill drops what stands before the segment under way and reads more.
func (sp *splitter) fill() {
	if drop := sp.from/8 - sp.base; drop > 0 {
		sp.buf = sp.buf[:copy(sp.buf, sp.buf[drop:])]
		sp.base += drop
	}
	have := len(sp.buf)
	if cap(sp.buf)-have < readBytes {
		grown := make([]byte, have, max(2*cap(sp.buf), have+2*readBytes))
		copy(grown, sp.buf)
		sp.buf = grown
	}
	n, err := io.ReadFull(sp.src, sp.buf[have:have+readBytes])
	sp.buf = sp.buf[:have+n]
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && n < readBytes:
		sp.eof = true
	case err != nil:
		sp.err = err
	}
}

// find looks for the next magic from sp.seek on in what has been read, and
// moves seek past what holds none.
func (sp *splitter) find() (bit int64, kind segmentKind, found bool) {
	first := int(sp.seek/8 - sp.base)
	// A pair at i belongs to a magic that begins in the bytes i-4 to i.
	i := max(first, 0) &^ 3
	for ; i+2 <= len(sp.buf); i += 4 {
		p := binary.BigEndian.Uint16(sp.buf[i:])
		if pairs[p/64]&(1<<(p%64)) == 0 {
			continue
		}
		for j := max(i-4, first, 0); j <= i && j+6 <= len(sp.buf); j++ {
			var w uint64
			if j+8 <= len(sp.buf) {
				w = binary.BigEndian.Uint64(sp.buf[j:])
			} else {
				var tail [8]byte
				copy(tail[:], sp.buf[j:])
				w = binary.BigEndian.Uint64(tail[:])
			}
			for shift := range 8 {
				kind := blockSegment
				switch w << shift >> 16 {
				case blockMagic:
				case endMagic:
					kind = endSegment
				default:
					continue
				}
				at := (sp.base+int64(j))*8 + int64(shift)
				if at >= sp.seek && at+48 <= (sp.base+int64(len(sp.buf)))*8 {
					return at, kind, true
				}
			}
		}
	}
	// The last bytes may hold the beginning of a magic.
	sp.seek = max(sp.seek, (sp.base+int64(len(sp.buf))-16)*8)
	return 0, 0, false
}

// cut makes the segment from sp.from to the bit end; nil when there is nothing
// to tell of it.
func (sp *splitter) cut(end int64, last bool) *segment {
	s := &segment{kind: sp.kind, bit: sp.from, bits: end - sp.from, last: last}
	lo, hi := sp.from/8-sp.base, (end+7)/8-sp.base
	s.data = make([]byte, hi-lo+padBytes)
	copy(s.data, sp.buf[lo:hi])
	switch sp.kind {
	case blockSegment:
		s.done = make(chan struct{})
	case endSegment:
		s.readEnd()
	case gapSegment:
		if sp.any {
			return nil // told of already
		}
		switch {
		case last && beginsHeader(s.data, s.bits/8):
			s.err = ErrTruncated
		case last:
			s.err = ErrFormat
		case s.bits == 32 && isHeader(s.data):
			return nil
		default:
			s.err = fmt.Errorf("%w: no header", ErrFormat)
		}
	}
	return s
}

func isHeader(b []byte) bool {
	return b[0] == 'B' && b[1] == 'Z' && b[2] == 'h' && '1' <= b[3] && b[3] <= '9'
}

// beginsHeader says whether the first n bytes of b, up to the length of a
// header, are those of one.
func beginsHeader(b []byte, n int64) bool {
	return n >= 4 && isHeader(b) || n < 4 && string(b[:n]) == "BZh"[:n]
}

// readEnd reads what follows the magic of a stream's end: the checksum, padding
// to a byte, and the header of the next stream.
func (s *segment) readEnd() {
	at := s.bit%8 + 48
	s.crc = uint32(binary.BigEndian.Uint64(s.data[at/8:]) << (at % 8) >> 32)
	after := (at + 32 + 7) / 8 * 8 // a whole number of bytes
	left := s.bit%8 + s.bits - after
	s.errBit = s.bit - s.bit%8 + after
	switch {
	case s.bit%8+s.bits < at+32:
		s.err, s.errBit = ErrTruncated, s.bit
	case s.last && left == 0:
	case s.last && beginsHeader(s.data[after/8:], left/8):
		s.err = ErrTruncated
	case s.last:
		s.err = fmt.Errorf("%w: %d bytes after the last stream", ErrFormat, left/8)
	case left != 32 || !isHeader(s.data[after/8:]):
		s.err = fmt.Errorf("%w: no header after a stream's end", ErrFormat)
	}
}
