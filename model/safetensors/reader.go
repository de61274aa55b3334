package safetensors

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"slices"
)

// File is an open safetensors file. Its methods may be called from several
// goroutines.
type File struct {
	path     string
	f        *os.File
	start    int64 // where the buffer begins in the file
	metadata map[string]string
	tensors  []placed
	index    map[string]int
}

// Open opens a file and checks its header; no tensor is read. The error wraps
// ErrFormat when the file is no valid safetensors file.
func Open(path string) (_ *File, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening tensors: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("opening %s: %w: it is no regular file", path, ErrFormat)
	}
	header, err := readHeader(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s := &File{path: path, f: f, start: 8 + int64(len(header))}
	s.metadata, s.tensors, err = parseHeader(header, info.Size()-s.start)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	s.index = make(map[string]int, len(s.tensors))
	for i, t := range s.tensors {
		s.index[t.Name] = i
	}
	return s, nil
}

// readHeader reads the header of a file of size bytes. It takes no more memory
// than the file is long, whatever the file says.
func readHeader(r io.ReaderAt, size int64) ([]byte, error) {
	var length [8]byte
	if size < int64(len(length)) {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrFormat, size)
	}
	if _, err := r.ReadAt(length[:], 0); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(length[:])
	if n > maxHeader || n > uint64(size-8) {
		return nil, fmt.Errorf("%w: its header would have %d bytes (the file has %d, the format allows %d)", ErrFormat, n, size, maxHeader)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil && err != io.EOF {
		return nil, err
	}
	return header, nil
}

// Path returns the path the file was opened at.
func (f *File) Path() string { return f.path }

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Metadata returns the strings beside the tensors; nil when there are none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensors describes the tensors, in the order in which they lie in the file.
func (f *File) Tensors() []Tensor {
	out := make([]Tensor, len(f.tensors))
	for i, t := range f.tensors {
		out[i] = t.Tensor
		out[i].Shape = slices.Clone(t.Shape)
	}
	return out
}

// Tensor describes the named tensor.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	t := f.tensors[i].Tensor
	t.Shape = slices.Clone(t.Shape)
	return t, true
}

// Elements returns a reader over the named tensor's little-endian elements.
func (f *File) Elements(name string) (*io.SectionReader, error) {
	i, ok := f.index[name]
	if !ok {
		return nil, fmt.Errorf("%s has no tensor %q", f.path, name)
	}
	t := f.tensors[i]
	return io.NewSectionReader(f.f, f.start+t.begin, t.end-t.begin), nil
}

// Floats reads the named tensor, of type F32, F16, BF16 or F64, into dst, whose
// length must be the tensor's count of elements.
func (f *File) Floats(name string, dst []float32) error {
	r, err := f.Elements(name)
	if err != nil {
		return err
	}
	t := f.tensors[f.index[name]]
	if int64(len(dst)) != t.Elements() {
		return fmt.Errorf("%s: tensor %q of shape %v does not fit %d elements", f.path, name, t.Shape, len(dst))
	}
	size := int(t.DType.Size())
	buf := make([]byte, min(len(dst), chunk)*size)
	for len(dst) > 0 {
		n := min(len(dst), chunk)
		if _, err := io.ReadFull(r, buf[:n*size]); err != nil {
			return fmt.Errorf("reading tensor %q of %s: %w", name, f.path, err)
		}
		if err := decodeFloats(dst[:n], buf[:n*size], t.DType); err != nil {
			return fmt.Errorf("%s: tensor %q: %w", f.path, name, err)
		}
		dst = dst[n:]
	}
	return nil
}
