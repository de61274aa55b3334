package tensor

import (
	"unsafe"

	"github.com/tributary-ml/tributary/model/kernel"
)

// slab hands out pieces of memory that live until the next reset, or release. In
// the first step of a shape it grows by blocks; the next reset makes one block of
// them, so that a steady step takes its pieces from one and allocates nothing.
// Large blocks lie outside the garbage collector's heap.
type slab[T any] struct {
	blocks []block[T]
	// at is the block that pieces are taken from and used what is taken of it.
	at, used int
	// asked is what the step has asked for and most what any did at once.
	asked, most int
}

type block[T any] struct {
	data []T
	// mapped is the memory of data when it is outside the heap.
	mapped []byte
}

// aligned is the granularity of pieces, in elements: a cache line of the
// smallest element that kernels load in vectors.
const aligned = 32

// growth is the least number of bytes a slab grows by once it has as many.
const growth = 32 << 20

func newBlock[T any](n int) block[T] {
	var zero T
	if m := kernel.Map(n * int(unsafe.Sizeof(zero))); m != nil {
		return block[T]{unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(m))), n), m}
	}
	return block[T]{data: make([]T, n)}
}

// reset takes all pieces back.
func (s *slab[T]) reset() {
	if len(s.blocks) > 1 {
		s.free()
		s.blocks = append(s.blocks, newBlock[T](s.most))
	}
	s.at, s.used, s.asked = 0, 0, 0
}

// free gives the memory back.
func (s *slab[T]) free() {
	for i := range s.blocks {
		kernel.Unmap(s.blocks[i].mapped)
	}
	clear(s.blocks)
	s.blocks = s.blocks[:0]
	s.at, s.used = 0, 0
}

func (s *slab[T]) take(n int) []T {
	whole := (n + aligned - 1) / aligned * aligned
	s.asked += whole
	s.most = max(s.most, s.asked)
	for ; s.at < len(s.blocks); s.at++ {
		if d := s.blocks[s.at].data; s.used+whole <= len(d) {
			p := d[s.used : s.used+n : s.used+n]
			s.used += whole
			return p
		}
		s.used = 0
	}
	var zero T
	size := growth / int(unsafe.Sizeof(zero))
	if s.most < size {
		size = s.most
	}
	s.blocks = append(s.blocks, newBlock[T](max(whole, size)))
	s.used = whole
	return s.blocks[s.at].data[:n:n]
}

// mark is a place in a slab's order of pieces.
type mark struct{ at, used, asked int }

func (s *slab[T]) mark() mark { return mark{s.at, s.used, s.asked} }

// release takes back the pieces handed out since m.
func (s *slab[T]) release(m mark) { s.at, s.used, s.asked = m.at, m.used, m.asked }

// records hands out values of one type at stable addresses.
type records[T any] struct {
	chunks [][]T
	used   int
}

const recordChunk = 64

func (r *records[T]) reset() {
	for i := range r.chunks {
		clear(r.chunks[i])
	}
	r.used = 0
}

func (r *records[T]) next() *T {
	chunk, i := r.used/recordChunk, r.used%recordChunk
	if chunk == len(r.chunks) {
		r.chunks = append(r.chunks, make([]T, recordChunk))
	}
	r.used++
	return &r.chunks[chunk][i]
}
