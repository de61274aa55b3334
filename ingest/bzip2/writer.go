package bzip2

import (
	"errors"
	"fmt"
	"io"
)

// Writer compresses one bzip2 stream. Several Writers after each other on one
// file make a multistream file.
type Writer struct {
	w      io.Writer
	err    error
	closed bool
	level  int

	block    []byte // after the first run-length coding
	limit    int    // len(block) at which the block is full
	run      int    // length of the run that is not yet in block
	last     byte
	blockCRC uint32
	crc      uint32
	inUse    [256]bool

	bits  bitWriter
	begun bool
	enc   encoder
}

// NewWriter returns a Writer that compresses to w in blocks of level times 100
// kB, level from 1 to 9; a level outside is taken as the nearest. The stream is
// whole when Close has returned nil.
func NewWriter(w io.Writer, level int) *Writer {
	level = min(max(level, 1), 9)
	return &Writer{w: w, level: level, limit: level*levelBytes - 19, blockCRC: ^uint32(0)}
}

// Write compresses p.
func (w *Writer) Write(p []byte) (int, error) {
	if w.closed {
		return 0, errors.New("bzip2: write after Close")
	}
	for i, b := range p {
		if w.err != nil {
			return i, w.err
		}
		w.add(b)
	}
	return len(p), w.err
}

// add puts one byte through the first run-length coding: four equal bytes are
// followed by the count of those that come after them.
func (w *Writer) add(b byte) {
	if w.run > 0 && b == w.last && w.run < 255 {
		w.run++
		return
	}
	w.endRun()
	if len(w.block) >= w.limit {
		w.endBlock()
	}
	w.last, w.run = b, 1
}

func (w *Writer) endRun() {
	if w.run == 0 {
		return
	}
	w.inUse[w.last] = true
	for i := range w.run {
		w.blockCRC = updateCRC(w.blockCRC, []byte{w.last})
		if i < 4 {
			w.block = append(w.block, w.last)
		}
	}
	if w.run >= 4 {
		w.block = append(w.block, byte(w.run-4))
		w.inUse[w.run-4] = true
	}
	w.run = 0
}

func (w *Writer) begin() {
	if !w.begun {
		w.begun = true
		w.bits.out = append(w.bits.out, 'B', 'Z', 'h', '0'+byte(w.level))
	}
}

func (w *Writer) endBlock() {
	if len(w.block) == 0 {
		return
	}
	w.begin()
	crc := ^w.blockCRC
	w.crc = combineCRC(w.crc, crc)
	w.enc.encode(&w.bits, w.block, &w.inUse, crc)
	w.block = w.block[:0]
	w.blockCRC = ^uint32(0)
	w.inUse = [256]bool{}
	w.flush()
}

func (w *Writer) flush() {
	if w.err != nil {
		return
	}
	if _, err := w.w.Write(w.bits.out); err != nil {
		w.err = fmt.Errorf("bzip2: writing a block: %w", err)
	}
	w.bits.out = w.bits.out[:0]
}

// Close writes what is buffered and ends the stream. It does not close the
// writer underneath. Closing again does nothing.
func (w *Writer) Close() error {
	if w.closed {
		return w.err
	}
	w.closed = true
	if w.err != nil {
		return w.err
	}
	w.endRun()
	w.endBlock()
	w.begin()
	w.bits.put(endMagic>>24, 24)
	w.bits.put(endMagic&0xffffff, 24)
	w.bits.put(w.crc>>16, 16)
	w.bits.put(w.crc&0xffff, 16)
	w.bits.align()
	w.flush()
	return w.err
}

// bitWriter packs bits, most significant first.
type bitWriter struct {
	out  []byte
	acc  uint64
	held uint
}

// put writes the low n bits of v, n at most 32.
func (b *bitWriter) put(v uint32, n uint) {
	b.acc = b.acc<<n | uint64(v)
	b.held += n
	for b.held >= 8 {
		b.held -= 8
		b.out = append(b.out, byte(b.acc>>b.held))
	}
}

func (b *bitWriter) align() {
	if b.held > 0 {
		b.put(0, 8-b.held)
	}
}
