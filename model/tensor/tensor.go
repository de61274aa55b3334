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
	// Data holds the values, and Grad the gradient of what is differentiated, which
	// has memory from the first operation that gives it a gradient to the one that
	// made the tensor, going backwards.
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
	// parameter says that the tensor outlives the tape.
	parameter bool
}

// Parameter makes a tensor of memory that outlives the tape. Gradients are added
// to grad.
func Parameter(rows, cols int, data, grad []float32) *Tensor {
	return &Tensor{Rows: rows, Cols: cols, Data: data, Grad: grad, seen: true, parameter: true}
}

// Mat returns the values as a kernel's operand.
func (x *Tensor) Mat() kernel.Mat { return kernel.Mat{Data: x.Data, Stride: x.Cols} }

func (x *Tensor) gradMat() kernel.Mat { return kernel.Mat{Data: x.Grad, Stride: x.Cols} }

// add reports whether a gradient must be added to x.Grad rather than put there,
// and notes that it now holds one.
func (t *Tape) add(x *Tensor) bool {
	seen := x.seen
	if x.Grad == nil {
		x.Grad = t.gradient(len(x.Data))
	}
	x.seen = true
	return seen
}

// gradient returns memory for n elements of a gradient, not cleared: what was
// given back last, if it is as long, so that it is in cache.
func (t *Tape) gradient(n int) []float32 {
	for i := len(t.spare) - 1; i >= 0; i-- {
		if g := t.spare[i]; len(g) == n {
			t.spare = append(t.spare[:i], t.spare[i+1:]...)
			return g
		}
	}
	return t.gradients.take(n)
}

// spent gives the memory of x's gradient back: the operation that made x has read
// it.
func (t *Tape) spent(x *Tensor) {
	if !x.parameter && x.Grad != nil {
		t.spare = append(t.spare, x.Grad)
		x.Grad = nil
	}
}

// Tape records operations. The zero Tape is not usable; see NewTape.
type Tape struct {
	// Precision is that of the products of all operations; it may change between two
	// steps.
	Precision kernel.Precision

	pool  *kernel.Pool
	grads bool
	ops   []operation

	floats slab[float32]
	// grads holds the gradients of tensors, and spare those that are read no more.
	gradients slab[float32]
	spare     [][]float32
	words     slab[uint16]
	ints      slab[int32]
	keys      slab[uint64]
	flags     slab[bool]

	tensors  records[Tensor]
	embeds   records[embedding]
	norms    records[norm]
	linears  records[linear]
	attns    records[attention]
	gathers  records[gather]
	again    records[recomputation]
	products records[product]
}

// operation is a recorded step that can be run backwards. It gives the memory of
// the gradients it was the last to read back.
type operation interface{ backward(t *Tape) }

// NewTape returns an empty tape that runs its operations on pool.
func NewTape(pool *kernel.Pool) *Tape { return &Tape{pool: pool} }

// Reset forgets all operations and tensors and begins a new step. With grads
// false the step can only be run forward.
func (t *Tape) Reset(grads bool) {
	t.grads = grads
	clear(t.ops)
	t.ops = t.ops[:0]
	clear(t.spare)
	t.spare = t.spare[:0]
	t.floats.reset()
	t.gradients.reset()
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
	t.again.reset()
	t.products.reset()
}

// Bytes returns how much memory the largest step has asked for.
func (t *Tape) Bytes() int64 {
	return 4*int64(t.floats.most+t.gradients.most+t.ints.most) + 2*int64(t.words.most) + 8*int64(t.keys.most) + int64(t.flags.most)
}

// Close gives the tape's memory back. Its tensors must not be read afterwards.
func (t *Tape) Close() {
	t.Reset(false)
	t.floats.free()
	t.gradients.free()
	t.words.free()
	t.ints.free()
	t.keys.free()
	t.flags.free()
}

// Backward runs the recorded operations backwards: the losses' gradients are
// carried to every tensor, and added to those of the parameters.
func (t *Tape) Backward() {
	t.backwardTo(0)
}

// backwardTo runs the operations recorded since there were n backwards, and forgets
// them.
func (t *Tape) backwardTo(n int) {
	for i := len(t.ops) - 1; i >= n; i-- {
		o := t.ops[i]
		t.ops[i] = nil
		t.ops = t.ops[:i]
		o.backward(t)
	}
}

// New returns a tensor of undefined values that lives until the next Reset.
func (t *Tape) New(rows, cols int) *Tensor {
	x := t.tensors.next()
	*x = Tensor{Rows: rows, Cols: cols, Data: t.floats.take(rows * cols)}
	return x
}

// Ints returns n integers, not cleared, that live until the next Reset.
func (t *Tape) Ints(n int) []int32 { return t.ints.take(n) }

func (t *Tape) record(o operation) {
	if t.grads {
		t.ops = append(t.ops, o)
	}
}
