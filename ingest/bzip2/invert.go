package bzip2

import "slices"

const (
	// chainLength is a power of two above the longest block, so that an index of
	// as many bits needs no check.
	chainLength = 1 << 20
	chainMask   = chainLength - 1

	// startMark marks the entries of the chain at which a thread begins.
	startMark = 1 << 31

	threads    = 64 // into which the chain is cut
	lanesCount = 6  // threads that are followed at the same time
	pieceBytes = 256
	fewBytes   = 1 << 15 // blocks below this stay in the cache and are followed at once
)

// invert undoes the Burrows-Wheeler transform of d.chain[:n] into d.bytes. The
// text is a walk through the whole chain, each step of which waits for memory.
// The chain is therefore entered at many places, and several walks go on at the
// same time, each until it comes to where another began; at the end they are laid
// one after the other.
func (d *decoder) invert(n, origin int, counts *[256]uint32) {
	chain := d.chain[:n]
	var at [256]uint32
	sum := uint32(0)
	for b, c := range counts {
		at[b] = sum
		sum += c
	}
	for i, v := range chain {
		b := byte(v)
		chain[at[b]] |= uint32(i) << 8
		at[b]++
	}
	if cap(d.bytes) < n {
		d.bytes = make([]byte, min(len(d.chain), maxBlockBytes))
	}
	d.bytes = d.bytes[:n]
	first := chain[origin] >> 8
	if n < fewBytes || len(d.chain) != chainLength {
		pos := first
		for i := range d.bytes {
			e := chain[pos]
			d.bytes[i] = byte(e)
			pos = e >> 8
		}
		return
	}
	d.lanes.run((*[chainLength]uint32)(d.chain), n, first, d.bytes)
}

// lanes is the working memory of following many threads of a chain.
type lanes struct {
	starts  []uint32 // of the threads, ascending
	first   []int32  // piece of each thread
	ends    []uint32 // where each thread ends, which is where another starts
	arena   []byte   // pieces of pieceBytes
	lengths []int32  // of the pieces
	next    []int32  // piece of the same thread; -1: none
	used    int32

	thread [lanesCount]int    // that each lane follows
	pos    [lanesCount]uint32 // that it comes to next
	piece  [lanesCount]int32  // that it writes
}

func (l *lanes) run(chain *[chainLength]uint32, n int, origin uint32, out []byte) {
	l.starts = append(l.starts[:0], origin)
	for k := 1; k < threads; k++ {
		l.starts = append(l.starts, uint32(k*(n/threads)))
	}
	slices.Sort(l.starts)
	l.starts = slices.Compact(l.starts)
	count := len(l.starts)
	for _, p := range l.starts {
		chain[p] |= startMark
	}
	pieces := n/pieceBytes + (count+lanesCount)*(lanesCount+2)
	if len(l.lengths) < pieces {
		l.lengths = make([]int32, pieces)
		l.next = make([]int32, pieces)
		l.arena = make([]byte, pieces*pieceBytes)
	}
	l.first = slices.Grow(l.first[:0], count)[:count]
	l.ends = slices.Grow(l.ends[:0], count)[:count]
	l.used = 0

	begun := 0
	active := 0
	for ; active < lanesCount; active++ {
		l.begin(active, begun, chain)
		begun++
	}
	for active == lanesCount {
		ended := l.follow(chain)
		if ended < 0 {
			continue
		}
		l.ends[l.thread[ended]] = l.pos[ended]
		if begun < count {
			l.begin(ended, begun, chain)
			begun++
		} else {
			active--
			l.thread[ended], l.pos[ended], l.piece[ended] = l.thread[active], l.pos[active], l.piece[active]
		}
	}
	for k := range active {
		l.alone(k, chain)
	}
	// The threads in the order of the text. When the block repeats itself the walk
	// comes back to its origin before the block is full, and goes round again.
	from := origin
	for w := 0; w < len(out); {
		k, _ := slices.BinarySearch(l.starts, from)
		for piece := l.first[k]; piece >= 0; piece = l.next[piece] {
			w += copy(out[w:], l.arena[int(piece)*pieceBytes:][:l.lengths[piece]])
		}
		from = l.ends[k]
	}
}

// begin sets a lane to the start of a thread and takes its first step, past the
// mark of the thread itself.
func (l *lanes) begin(lane, thread int, chain *[chainLength]uint32) {
	e := chain[l.starts[thread]]
	piece := l.take()
	l.arena[int(piece)*pieceBytes] = byte(e)
	l.lengths[piece] = 1
	l.first[thread] = piece
	l.thread[lane], l.pos[lane], l.piece[lane] = thread, e>>8&chainMask, piece
}

func (l *lanes) take() int32 {
	piece := l.used
	l.used++
	l.lengths[piece], l.next[piece] = 0, -1
	return piece
}

// extend gives a lane a new piece after the one it has.
func (l *lanes) extend(lane int) *[pieceBytes]byte {
	piece := l.take()
	l.next[l.piece[lane]] = piece
	l.piece[lane] = piece
	return (*[pieceBytes]byte)(l.arena[int(piece)*pieceBytes:])
}

// follow takes up to pieceBytes steps with all lanes. It returns the lane whose
// thread has ended, or -1.
func (l *lanes) follow(chain *[chainLength]uint32) int {
	b0, b1, b2, b3, b4, b5 := l.extend(0), l.extend(1), l.extend(2), l.extend(3), l.extend(4), l.extend(5)
	p0, p1, p2, p3, p4, p5 := l.pos[0], l.pos[1], l.pos[2], l.pos[3], l.pos[4], l.pos[5]
	step, ended := 0, -1
	for ; step < pieceBytes; step++ {
		e0, e1, e2, e3, e4, e5 := chain[p0&chainMask], chain[p1&chainMask], chain[p2&chainMask], chain[p3&chainMask], chain[p4&chainMask], chain[p5&chainMask]
		if (e0|e1|e2|e3|e4|e5)&startMark != 0 {
			for k, e := range [lanesCount]uint32{e0, e1, e2, e3, e4, e5} {
				if e&startMark != 0 {
					ended = k
					break
				}
			}
			break
		}
		b0[step], b1[step], b2[step], b3[step], b4[step], b5[step] = byte(e0), byte(e1), byte(e2), byte(e3), byte(e4), byte(e5)
		p0, p1, p2, p3, p4, p5 = e0>>8, e1>>8, e2>>8, e3>>8, e4>>8, e5>>8
	}
	l.pos = [lanesCount]uint32{p0, p1, p2, p3, p4, p5}
	for k := range lanesCount {
		l.lengths[l.piece[k]] = int32(step)
	}
	return ended
}

// alone follows one lane to the end of its thread.
func (l *lanes) alone(lane int, chain *[chainLength]uint32) {
	pos := l.pos[lane]
	for {
		b := l.extend(lane)
		for step := range b {
			e := chain[pos&chainMask]
			if e&startMark != 0 {
				l.lengths[l.piece[lane]] = int32(step)
				l.ends[l.thread[lane]] = pos
				return
			}
			b[step] = byte(e)
			pos = e >> 8
		}
		l.lengths[l.piece[lane]] = pieceBytes
	}
}
