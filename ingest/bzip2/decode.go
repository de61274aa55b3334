package bzip2

import (
	"encoding/binary"
	"errors"
	"fmt"
)

const (
	// heldBytes is the longest output of a block that is held whole. A block of
	// runs may be 50 times as long; it is expanded while it is read.
	heldBytes = 4 << 20

	fastBits    = 10 // codes up to so long are looked up at once
	longestRead = 20 // the longest code of the format
)

// decode fills in the segment's output and checksum, or err.
func (s *segment) decode(d *decoder, out []byte) {
	slack := uint(0)
	if s.last {
		slack = 47 // of the magic that is cut
	}
	err := d.decode(s.data, uint(s.bit%8)+48, uint(s.bit%8)+uint(s.bits), slack)
	if err != nil {
		if s.last && errors.Is(err, errPastEnd) {
			err = ErrTruncated
		}
		s.err = err
		return
	}
	s.crc = d.crc
	x := expander{src: d.bytes}
	if cap(out) < len(d.bytes)+len(d.bytes)/16 {
		out = make([]byte, 0, maxBlockBytes+maxBlockBytes/16)
	}
	crc := ^uint32(0)
	for !x.finished() && len(out) < heldBytes {
		if cap(out)-len(out) < 512 {
			grown := make([]byte, len(out), 2*cap(out))
			copy(grown, out)
			out = grown
		}
		n := x.expand(out[len(out):cap(out)])
		crc = updateCRC(crc, out[len(out):len(out)+n])
		out = out[:len(out)+n]
	}
	s.out = out
	if !x.finished() {
		// The checksum is taken now, so that nothing wrong is ever delivered.
		s.long = x
		s.long.src = append([]byte(nil), x.src[x.pos:]...)
		s.long.pos = 0
		scratch := make([]byte, 1<<16)
		for !x.finished() {
			crc = updateCRC(crc, scratch[:x.expand(scratch)])
		}
	}
	if ^crc != d.crc {
		s.err = fmt.Errorf("the block's %w", ErrChecksum)
		s.out, s.long = nil, expander{}
	}
}

// decoder holds the working memory of decoding one block.
type decoder struct {
	crc       uint32
	selectors []uint8
	tables    [maxTables]huffman
	chain     []uint32
	bytes     []byte
	lanes     lanes
}

// huffman decodes one code. fast is indexed by the next fastBits bits and gives
// the symbol times 32 plus the length of its code, or 0 for longer codes. Those
// are found by their length: codes of n bits are below limit[n], which is
// aligned to 64 bits, and symbols[code-offset[n]] is the symbol.
type huffman struct {
	fast    [1 << fastBits]uint16
	limit   [longestRead + 2]uint64
	offset  [longestRead + 2]int32
	symbols [maxSymbols]uint16
	longest uint
}

// build makes the tables of the canonical code with the given lengths. A code
// that is not complete is taken as it is; its unused codes decode as an error.
func (h *huffman) build(lengths []uint8) bool {
	var count [longestRead + 2]int
	for _, l := range lengths {
		count[l]++
	}
	clear(h.fast[:])
	code, at := uint64(0), int32(0)
	var next [longestRead + 2]int32
	h.longest = 0
	for l := 1; l <= longestRead; l++ {
		h.offset[l] = int32(code) - at
		next[l] = at
		at += int32(count[l])
		code += uint64(count[l])
		if code > 1<<l {
			return false // more codes than there are
		}
		h.limit[l] = code << (64 - l)
		if code == 1<<l {
			h.limit[l] = ^uint64(0)
		}
		if count[l] > 0 {
			h.longest = uint(l)
		}
		code <<= 1
	}
	for sym, l := range lengths {
		i := next[l]
		next[l]++
		h.symbols[i] = uint16(sym)
		if l <= fastBits {
			c := int(i+h.offset[l]) << (fastBits - l)
			e := uint16(sym)<<5 | uint16(l)
			for k := c; k < c+1<<(fastBits-l); k++ {
				h.fast[k] = e
			}
		}
	}
	return true
}

// long decodes a code that is longer than fastBits from acc, whose first bit is
// its highest; length 0 says that there is no such code.
func (h *huffman) long(acc uint64) (sym uint16, length uint) {
	for l := uint(fastBits + 1); l <= h.longest; l++ {
		if acc < h.limit[l] || h.limit[l] == ^uint64(0) {
			return h.symbols[int32(acc>>(64-l))-h.offset[l]], l
		}
	}
	return 0, 0
}

// bitReader reads bits of data from pos on. It may be read past its end, where
// it gives zeros.
type bitReader struct {
	data []byte
	pos  uint
}

func (b *bitReader) peek() uint64 {
	i := b.pos >> 3
	if i+8 > uint(len(b.data)) {
		return 0
	}
	return binary.BigEndian.Uint64(b.data[i:]) << (b.pos & 7)
}

// take returns the next n bits, n at most 32.
func (b *bitReader) take(n uint) uint32 {
	v := b.peek() >> (64 - n)
	b.pos += n
	return uint32(v)
}

var (
	errPastEnd = broken("the block goes on past its end")
	errTooLong = broken("more bytes than a block holds")
)

func broken(what string) error { return fmt.Errorf("%w: %s", ErrFormat, what) }

// decode reads the block that begins at bit pos of data, after its magic, and
// must end at the bit end, or at most slack bits before. It leaves the block in d.bytes, still with its runs
// coded. The error is errPastEnd when the data ended too early.
func (d *decoder) decode(data []byte, pos, end, slack uint) error {
	b := bitReader{data: data, pos: pos}
	err := d.block(&b, end)
	switch {
	case b.pos > end:
		return errPastEnd
	case err == nil && b.pos+slack < end:
		return broken("the block ends before its end")
	}
	return err
}

func (d *decoder) block(b *bitReader, end uint) error {
	d.crc = b.take(32)
	if b.take(1) != 0 {
		return broken("a randomised block, of a version before 1.0")
	}
	origin := b.take(24)
	var front [256]byte
	used := 0
	for groups, i := b.take(16), 0; i < 16; i++ {
		if groups&(1<<(15-i)) == 0 {
			continue
		}
		for bits, j := b.take(16), 0; j < 16; j++ {
			if bits&(1<<(15-j)) != 0 {
				front[used] = byte(i*16 + j)
				used++
			}
		}
	}
	if used == 0 {
		return broken("a block without bytes")
	}
	tables := int(b.take(3))
	groups := int(b.take(15))
	if b.pos > end {
		return errPastEnd
	}
	if tables < 2 || tables > maxTables || groups == 0 {
		return broken("a wrong number of code tables")
	}
	d.selectors = d.selectors[:0]
	order := [maxTables]uint8{0, 1, 2, 3, 4, 5}
	for range groups {
		k := 0
		for b.take(1) == 1 {
			k++
			if k >= tables {
				return broken("a selector without table")
			}
		}
		t := order[k]
		copy(order[1:k+1], order[:k])
		order[0] = t
		d.selectors = append(d.selectors, t)
	}
	if b.pos > end {
		return errPastEnd
	}
	alphabet := used + 2
	for t := range tables {
		var lengths [maxSymbols]uint8
		length := int(b.take(5))
		for sym := range alphabet {
			for b.take(1) == 1 {
				length += 1 - 2*int(b.take(1))
				if length < 1 || length > longestRead {
					return broken("a code of wrong length")
				}
			}
			if length < 1 || length > longestRead {
				return broken("a code of wrong length")
			}
			lengths[sym] = uint8(length)
		}
		if !d.tables[t].build(lengths[:alphabet]) {
			return broken("more codes than there are")
		}
	}
	if b.pos > end {
		return errPastEnd
	}
	n, counts, err := d.symbols(b, end, &front, alphabet)
	if err != nil {
		return err
	}
	if int(origin) >= n {
		return broken("the block begins past its end")
	}
	d.invert(n, int(origin), counts)
	return nil
}

// symbols decodes the Huffman codes and undoes move to front: d.chain[:n] gets
// the last column of the sorted rotations, counts the number of each byte.
func (d *decoder) symbols(b *bitReader, end uint, front *[256]byte, alphabet int) (n int, counts *[256]uint32, err error) {
	if d.chain == nil {
		d.chain = make([]uint32, levelBytes)
	}
	chain := d.chain
	counts = new([256]uint32)
	run, weight := 0, 1
	eob := uint16(alphabet - 1)
	// The eight bytes in front are held in a word: most symbols move one of them.
	near := binary.LittleEndian.Uint64(front[:8])
	for _, sel := range d.selectors {
		if b.pos > end {
			return 0, nil, errPastEnd
		}
		h := &d.tables[sel]
		var acc uint64
		left := uint(0)
		for range groupSize {
			if left < longestRead {
				acc, left = b.peek(), 57
			}
			e := h.fast[acc>>(64-fastBits)]
			sym, length := e>>5, uint(e&31)
			if length == 0 {
				if sym, length = h.long(acc); length == 0 {
					return 0, nil, broken("a code without symbol")
				}
			}
			b.pos += length
			acc <<= length
			left -= length
			if sym < 2 {
				run += weight << sym
				weight <<= 1
				if run > maxBlockBytes {
					return 0, nil, broken("a run longer than a block")
				}
				continue
			}
			if run > 0 {
				if run > len(chain)-n {
					if chain = d.grow(n + run); chain == nil {
						return 0, nil, errTooLong
					}
				}
				v := uint32(near & 0xff)
				counts[v] += uint32(run)
				piece := chain[n : n+run]
				for i := range piece {
					piece[i] = v
				}
				n += run
				run, weight = 0, 1
			}
			if sym == eob {
				if n > maxBlockBytes {
					return 0, nil, errTooLong
				}
				return n, counts, nil
			}
			if n >= len(chain) {
				if chain = d.grow(n + 1); chain == nil {
					return 0, nil, errTooLong
				}
			}
			var v uint64
			if k := uint(sym - 1); k < 8 {
				v = near >> (8 * k) & 0xff
				moved := uint64(1)<<(8*k+8) - 1 // all ones when k is 7
				near = near&^moved | near<<8&moved | v
			} else {
				v = uint64(front[k])
				copy(front[9:k+1], front[8:k])
				front[8] = byte(near >> 56)
				near = near<<8 | v
			}
			counts[v]++
			chain[n] = uint32(v)
			n++
		}
	}
	return 0, nil, broken("no end of the block")
}

// grow makes room for n entries in d.chain; nil when no block is so long.
func (d *decoder) grow(n int) []uint32 {
	if n > maxBlockBytes {
		return nil
	}
	grown := make([]uint32, chainLength)
	copy(grown, d.chain)
	d.chain = grown
	return grown
}

// expander undoes the first run-length coding, in pieces of any size.
type expander struct {
	src   []byte
	pos   int
	equal int // of the last bytes that came, how many are equal; 4: a count follows
	last  byte
	left  int // repeats of last that are due
}

func (x *expander) finished() bool { return x.pos >= len(x.src) && x.left == 0 }

// expand fills dst as far as it can and returns how much it filled.
func (x *expander) expand(dst []byte) int {
	n := 0
	for n < len(dst) {
		if x.left > 0 {
			k := min(x.left, len(dst)-n)
			piece := dst[n : n+k]
			for i := range piece {
				piece[i] = x.last
			}
			n += k
			x.left -= k
			continue
		}
		if x.pos >= len(x.src) {
			break
		}
		b := x.src[x.pos]
		x.pos++
		if x.equal == 4 {
			x.left, x.equal = int(b), 0
			continue
		}
		if x.equal > 0 && b == x.last {
			x.equal++
		} else {
			x.last, x.equal = b, 1
		}
		dst[n] = b
		n++
	}
	return n
}
