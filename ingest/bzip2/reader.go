package bzip2

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
)

var (
	// ErrTruncated says that the input ends inside a stream.
	ErrTruncated = errors.New("input ends before its stream does")
	// ErrChecksum says that decoded bytes are not those that were packed.
	ErrChecksum = errors.New("checksum does not match")
	// ErrFormat says that the input breaks the rules of bzip2.
	ErrFormat = errors.New("not bzip2")
)

// DamageError tells of a part of the input that could not be decoded.
type DamageError struct {
	// Bit is where the part begins in the compressed input, in bits from its
	// start.
	Bit int64
	// Offset is how many decompressed bytes were delivered before it: the place in
	// the output where bytes are missing.
	Offset int64
	// Err is or wraps ErrTruncated, ErrChecksum or ErrFormat.
	Err error
}

func (e *DamageError) Error() string {
	return fmt.Sprintf("bzip2: at byte %d (bit %d) of the compressed input: %v", e.Bit/8, e.Bit%8, e.Err)
}

// Unwrap returns the cause.
func (e *DamageError) Unwrap() error { return e.Err }

// Options say how a Reader works.
type Options struct {
	// Jobs is how many goroutines decode blocks; 0 means GOMAXPROCS. Memory is
	// about 12 MB for each.
	Jobs int
	// Damaged is called for each damaged part, in order, from within Read; the
	// reading then goes on with the next block that is whole. When it is nil,
	// damage is an error of Read, after all bytes before it.
	Damaged func(*DamageError)
	// Block is called, from within Read, before the first byte of each block is
	// given, with the Point at which a later Reader can go on.
	Block func(Point)
	// Start is where to go on: the reader underneath stands at its byte Bit/8.
	// The checksum of the stream it is in the midst of is not looked at, those of
	// its blocks are.
	Start Point
}

// Point is where a block begins.
type Point struct {
	Bit    int64 // in the compressed input
	Offset int64 // in the decompressed output
}

// Reader decompresses bzip2 streams that stand one after the other.
type Reader struct {
	src     io.Reader
	opts    Options
	started bool
	stop    chan struct{}
	closing sync.Once
	order   chan *segment
	work    chan *segment
	free    chan []byte

	cur     *segment
	rest    []byte   // of cur's output
	long    expander // of cur when its output is not held whole
	peeked  *segment
	scratch decoder

	offset  int64
	crc     uint32
	inside  bool // a stream
	tainted bool // a block of this stream is lost, and so its checksum
	err     error
}

// NewReader returns a Reader of src, which is read ahead of what is asked for.
// The Reader must be closed.
func NewReader(src io.Reader, opts Options) *Reader {
	if opts.Jobs <= 0 {
		opts.Jobs = runtime.GOMAXPROCS(0)
	}
	return &Reader{src: src, opts: opts, stop: make(chan struct{}), offset: opts.Start.Offset, inside: opts.Start.Bit > 0, tainted: opts.Start.Bit > 0}
}

// Close stops the decoding. It does not close the reader underneath, and does
// not wait for a Read of it that is under way.
func (r *Reader) Close() error {
	r.closing.Do(func() { close(r.stop) })
	if r.err == nil {
		r.err = errors.New("bzip2: read after Close")
	}
	return nil
}

func (r *Reader) start() {
	r.started = true
	ahead := 2*r.opts.Jobs + 1
	r.order = make(chan *segment, ahead)
	r.work = make(chan *segment, ahead)
	r.free = make(chan []byte, ahead)
	for range r.opts.Jobs {
		go func() {
			var d decoder
			for s := range r.work {
				s.decode(&d, r.buffer())
				close(s.done)
			}
		}()
	}
	go func() {
		defer close(r.order)
		defer close(r.work)
		sp := newSplitter(r.src, r.opts.Start.Bit)
		for {
			s := sp.next()
			if s == nil {
				return
			}
			select {
			case r.order <- s:
			case <-r.stop:
				return
			}
			if s.kind == blockSegment {
				select {
				case r.work <- s:
				case <-r.stop:
					return
				}
			}
		}
	}()
}

func (r *Reader) buffer() []byte {
	select {
	case b := <-r.free:
		return b[:0]
	default:
		return nil
	}
}

func (r *Reader) release(b []byte) {
	if cap(b) == 0 {
		return
	}
	select {
	case r.free <- b:
	default:
	}
}

// Read gives decompressed bytes. Its errors other than io.EOF are a
// *DamageError or come from the reader underneath.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(r.rest) > 0 {
			n := copy(p, r.rest)
			r.rest = r.rest[n:]
			r.offset += int64(n)
			return n, nil
		}
		if !r.long.finished() {
			n := r.long.expand(p)
			r.offset += int64(n)
			if n > 0 {
				return n, nil
			}
		}
		if r.err != nil {
			return 0, r.err
		}
		r.advance()
	}
}

// take returns the next segment, decoded, or nil at the end.
func (r *Reader) take() *segment {
	s := r.peeked
	r.peeked = nil
	if s == nil {
		s = <-r.order
	}
	if s != nil && s.kind == blockSegment {
		<-s.done
	}
	return s
}

// advance goes to the next segment, or sets err.
func (r *Reader) advance() {
	if !r.started {
		r.start()
	}
	if r.cur != nil {
		r.release(r.cur.out)
		r.cur = nil
		r.long = expander{}
	}
	s := r.take()
	if s == nil {
		r.err = io.EOF
		return
	}
	switch s.kind {
	case failSegment:
		r.err = s.err
	case gapSegment:
		r.damaged(s.bit, s.err)
	case endSegment:
		if whole := s.err == nil || s.errBit > s.bit; whole && !r.tainted && s.crc != r.crc {
			r.damaged(s.bit, fmt.Errorf("the stream's %w", ErrChecksum))
		}
		r.crc, r.inside, r.tainted = 0, false, false
		if s.err != nil {
			r.damaged(s.errBit, s.err)
		}
	case blockSegment:
		if s.err != nil {
			s = r.rejoin(s)
		}
		if s.err != nil {
			r.inside, r.tainted = true, true
			r.damaged(s.bit, s.err)
		} else {
			r.inside = true
			r.crc = combineCRC(r.crc, s.crc)
			r.cur, r.rest, r.long = s, s.out, s.long
			if r.opts.Block != nil {
				r.opts.Block(Point{Bit: s.bit, Offset: r.offset})
			}
		}
		if s.last && !errors.Is(s.err, ErrTruncated) {
			// Whole, though nothing after it says that the stream has ended.
			r.peeked = &segment{kind: gapSegment, bit: s.bit + s.bits, err: ErrTruncated}
		}
	}
}

// rejoin decodes a failed block anew together with the segment after it: the
// magic that parts them may be chance (once in some hundred terabytes) and part
// of the block.
func (r *Reader) rejoin(s *segment) *segment {
	next := r.take()
	r.peeked = next
	if next == nil || next.kind != blockSegment && next.kind != endSegment || next.bit != s.bit+s.bits || next.err == nil && next.kind == blockSegment {
		return s
	}
	whole := &segment{kind: blockSegment, bit: s.bit, bits: s.bits + next.bits, last: next.last}
	whole.data = append(whole.data, s.data[:next.bit/8-s.bit/8]...)
	whole.data = append(whole.data, next.data...)
	whole.decode(&r.scratch, nil)
	if whole.err != nil {
		return s
	}
	r.peeked = nil
	return whole
}

func (r *Reader) damaged(bit int64, err error) {
	e := &DamageError{Bit: bit, Offset: r.offset, Err: err}
	if r.opts.Damaged == nil {
		r.err = e
		return
	}
	r.opts.Damaged(e)
}
