package safetensors

import (
	"encoding/binary"
	"fmt"

	"github.com/tributary-ml/tributary/ingest/store"
)

// chunk is how many elements are converted at a time.
const chunk = 1 << 14

// Writer streams tensors into one file, which appears whole when Commit
// succeeds. The elements come in the order the tensors were announced in.
type Writer struct {
	out     *store.Writer
	tensors []Tensor
	next    int
	buf     []byte
}

// Create begins a file at path that will hold the tensors, end to end in the
// given order. Metadata is what Python's loaders ask for: {"format": "pt"} for
// weights. A Writer that is not committed must be aborted; Abort after Commit
// does nothing.
func Create(path string, metadata map[string]string, tensors []Tensor) (*Writer, error) {
	header, err := encodeHeader(metadata, tensors)
	if err != nil {
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	out, err := store.Create(path)
	if err != nil {
		return nil, err
	}
	var length [8]byte
	binary.LittleEndian.PutUint64(length[:], uint64(len(header)))
	for _, part := range [][]byte{length[:], header} {
		if _, err := out.Write(part); err != nil {
			out.Abort()
			return nil, err
		}
	}
	return &Writer{out: out, tensors: tensors, buf: make([]byte, chunk*8)}, nil
}

// expect takes the next announced tensor, which must be the named one.
func (w *Writer) expect(name string) (Tensor, error) {
	if w.next == len(w.tensors) {
		return Tensor{}, fmt.Errorf("tensor %q was not announced", name)
	}
	t := w.tensors[w.next]
	if t.Name != name {
		return Tensor{}, fmt.Errorf("tensor %q comes before %q, which was announced first", name, t.Name)
	}
	w.next++
	return t, nil
}

// Floats writes the next tensor from x, converted to the announced type (F32,
// F16, BF16 or F64; rounded to nearest, ties to even).
func (w *Writer) Floats(name string, x []float32) error {
	t, err := w.expect(name)
	if err != nil {
		return err
	}
	if int64(len(x)) != t.Elements() {
		return fmt.Errorf("tensor %q of shape %v was given %d elements", name, t.Shape, len(x))
	}
	size := int(t.DType.Size())
	for len(x) > 0 {
		n := min(len(x), chunk)
		b := w.buf[:n*size]
		if err := encodeFloats(b, x[:n], t.DType); err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if _, err := w.out.Write(b); err != nil {
			return err
		}
		x = x[n:]
	}
	return nil
}

// Bytes writes the next tensor from its little-endian elements, of any type.
func (w *Writer) Bytes(name string, elements []byte) error {
	t, err := w.expect(name)
	if err != nil {
		return err
	}
	if int64(len(elements)) != t.Bytes() {
		return fmt.Errorf("tensor %q of %s %v was given %d bytes", name, t.DType, t.Shape, len(elements))
	}
	_, err = w.out.Write(elements)
	return err
}

// Commit makes the file appear. It is an error when an announced tensor was not
// written.
func (w *Writer) Commit() (store.File, error) {
	if w.next != len(w.tensors) {
		w.out.Abort()
		return store.File{}, fmt.Errorf("tensor %q was announced and not written", w.tensors[w.next].Name)
	}
	return w.out.Commit()
}

// Abort gives the file up.
func (w *Writer) Abort() { w.out.Abort() }
