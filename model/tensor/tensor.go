// Package tensor is a small tape over fused operations: it plans the memory of a
// step, records what the forward pass did, and runs the gradients backwards.
//
// A Tape is used by one goroutine. Its memory grows until it fits the largest
// step seen and is then reused, so that a steady step allocates nothing.
package tensor

import (
	"github.com/tributary-ml/tributary/model/kernel"
)

// Tensor is a matrix without gaps, [Rows, Cols], and its gradient.
type Tensor struct {
	Rows, Cols int
	// Data holds the values, and Grad the gradient of what is differentiated; Grad
	// is nil on a tape that keeps no gradients.
	Data, Grad []float32
	// seen says that Grad holds a gradient already, so that the next is added.
	seen bool
	// slope, unless nil, holds the derivative of the activation that made Data.
	// Grad must be multiplied by it; sloped says that it was.
	slope  []float32
	sloped bool
	// readers counts the operations that read Data. An only reader may multiply
	// by slope itself.
	readers int
}

// Parameter makes a tensor of memory that outlives the tape. Gradients are added
// to grad.
func Parameter(rows, cols int, data, grad []float32) *Tensor {
	return &Tensor{Rows: rows, Cols: cols, Data: data, Grad: grad, seen: true}
}

// Mat returns the values as a kernel's operand.
func (x *Tensor) Mat() kernel.Mat { return kernel.Mat{Data: x.Data, Stride: x.Cols} }

func (x *Tensor) gradMat() kernel.Mat { return kernel.Mat{Data: x.Grad, Stride: x.Cols} }

// add reports whether a gradient must be added to Grad rather than put there,
// and notes that Grad now holds one.
func (x *Tensor) add() bool {
	seen := x.seen
	x.seen = true
	return seen
}

// Tape records operations. The zero Tape is not usable; see NewTape.
type Tape struct {
	pool  *kernel.Pool
	grads bool
	ops   []operation

	floats slab[float32]
	words  slab[uint16]
	ints   slab[int32]
	keys   slab[uint64]
	flags  slab[bool]

	tensors records[Tensor]
	embeds  records[embedding]
	norms   records[norm]
	linears records[linear]
	attns   records[attention]
	gathers records[gather]
}

// operation is a recorded step that can be run backwards.
type operation interface{ backward(t *Tape) }

// NewTape returns an empty tape that runs its operations on pool.
func NewTape(pool *kernel.Pool) *Tape { return &Tape{pool: pool} }

// Reset forgets all operations and tensors and begins a new step. With grads
// false the step can only be run forward.
func (t *Tape) Reset(grads bool) {
	t.grads = grads
	clear(t.ops)
	t.ops = t.ops[:0]
	t.floats.reset()
	t.words.reset()
	t.ints.reset()
	t.keys.reset()
	t.flags.reset()
	t.tensors.reset()
	t.embeds.reset()
	t.norms.reset()
	t.linears.reset()
	t.attns.reset()
	t.gathers.reset()
}

// Backward runs the recorded operations backwards: the losses' gradients are
// carried to every tensor, and added to those of the parameters.
func (t *Tape) Backward() {
	for i := len(t.ops) - 1; i >= 0; i-- {
		t.ops[i].backward(t)
	}
}

// New returns a tensor of undefined values that lives until the next Reset.
func (t *Tape) New(rows, cols int) *Tensor {
	x := t.tensors.next()
	*x = Tensor{Rows: rows, Cols: cols, Data: t.floats.take(rows * cols)}
	if t.grads {
		x.Grad = t.floats.take(rows * cols)
	}
	return x
}

// Ints returns n integers, not cleared, that live until the next Reset.
func (t *Tape) Ints(n int) []int32 { return t.ints.take(n) }

func (t *Tape) record(o operation) {
	if t.grads {
		t.ops = append(t.ops, o)
	}
}

// slab hands out pieces of one block of memory. What does not fit is allocated
// by itself, and the next reset makes the block large enough.
type slab[T any] struct {
	block []T
	used  int
	asked int
}

// aligned is the granularity of pieces, in elements: a cache line of the
// smallest element that kernels load in vectors.
const aligned = 32

func (s *slab[T]) reset() {
	if s.asked > len(s.block) {
		s.block = make([]T, s.asked+s.asked/8)
	}
	s.used, s.asked = 0, 0
}

func (s *slab[T]) take(n int) []T {
	whole := (n + aligned - 1) / aligned * aligned
	s.asked += whole
	if s.used+whole > len(s.block) {
		return make([]T, n)
	}
	p := s.block[s.used : s.used+n : s.used+n]
	s.used += whole
	return p
}

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
