// Package safetensors reads and writes tensors in the safetensors container of
// Hugging Face: the length of a JSON header, the header, and one buffer that
// holds every tensor's elements end to end, little-endian, row-major.
//
// The reader believes nothing it is told: the header's length is bounded, every
// size is checked against its shape and type without overflow, and the tensors
// must tile the buffer with no hole, no overlap and nothing behind the last.
package safetensors

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"slices"
	"strings"
)

// maxHeader is the longest header the format allows.
const maxHeader = 100_000_000

// metadataKey is the header key that holds strings instead of a tensor.
const metadataKey = "__metadata__"

// ErrFormat is wrapped by every error that says a file is no valid safetensors
// file, as opposed to one that could not be read.
var ErrFormat = errors.New("not a valid safetensors file")

// DType is the type of a tensor's elements, by its name in the format.
type DType string

// The element types of the format.
const (
	F64    DType = "F64"
	F32    DType = "F32"
	F16    DType = "F16"
	BF16   DType = "BF16"
	F8E4M3 DType = "F8_E4M3"
	F8E5M2 DType = "F8_E5M2"
	I64    DType = "I64"
	I32    DType = "I32"
	I16    DType = "I16"
	I8     DType = "I8"
	U64    DType = "U64"
	U32    DType = "U32"
	U16    DType = "U16"
	U8     DType = "U8"
	Bool   DType = "BOOL"
)

// Size returns the bytes of one element, 0 for a type this package does not
// know.
func (d DType) Size() int64 {
	switch d {
	case F64, I64, U64:
		return 8
	case F32, I32, U32:
		return 4
	case F16, BF16, I16, U16:
		return 2
	case F8E4M3, F8E5M2, I8, U8, Bool:
		return 1
	}
	return 0
}

// Tensor describes one tensor of a file.
type Tensor struct {
	Name  string
	DType DType
	// Shape holds the sizes of the dimensions, outermost first; empty for a
	// scalar.
	Shape []int64
}

// Elements returns the product of the shape, or -1 when the shape has a negative
// size or the bytes of its elements would overflow an int64.
func (t Tensor) Elements() int64 {
	n, size := uint64(1), uint64(max(1, t.DType.Size()))
	empty := false
	for _, d := range t.Shape {
		if d < 0 {
			return -1
		}
		if d == 0 {
			empty = true
			continue
		}
		hi, lo := bits.Mul64(n, uint64(d))
		if hi != 0 || lo > math.MaxInt64/size {
			return -1
		}
		n = lo
	}
	if empty {
		return 0
	}
	return int64(n)
}

// Bytes returns the size of the tensor's elements, or -1 as Elements does.
func (t Tensor) Bytes() int64 {
	n := t.Elements()
	if n < 0 {
		return -1
	}
	return n * t.DType.Size()
}

// placed is a tensor and where its elements begin in the buffer.
type placed struct {
	Tensor
	begin, end int64
}

// entry is a tensor's JSON form. The fields stand in the order the Python and
// Rust writers use.
type entry struct {
	DType   DType   `json:"dtype"`
	Shape   []int64 `json:"shape"`
	Offsets []int64 `json:"data_offsets"`
}

// encodeHeader lays the tensors end to end in the given order and returns the
// header, padded with spaces so that the buffer begins at a multiple of 8 bytes.
func encodeHeader(metadata map[string]string, tensors []Tensor) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	comma := ""
	put := func(name string, v any) error {
		key, err := json.Marshal(name)
		if err != nil {
			return fmt.Errorf("encoding the name %q: %w", name, err)
		}
		value, err := json.Marshal(v)
		if err != nil {
			return fmt.Errorf("encoding the header of %q: %w", name, err)
		}
		b.WriteString(comma)
		b.Write(key)
		b.WriteByte(':')
		b.Write(value)
		comma = ","
		return nil
	}
	if len(metadata) > 0 {
		if err := put(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	seen := make(map[string]bool, len(tensors))
	var end int64
	for _, t := range tensors {
		n := t.Bytes()
		switch {
		case t.Name == metadataKey || seen[t.Name]:
			return nil, fmt.Errorf("the tensor name %q is taken", t.Name)
		case t.DType.Size() == 0:
			return nil, fmt.Errorf("tensor %q: unknown element type %q", t.Name, t.DType)
		case n < 0 || end > math.MaxInt64-n:
			return nil, fmt.Errorf("tensor %q: shape %v has no size", t.Name, t.Shape)
		}
		seen[t.Name] = true
		shape := t.Shape
		if shape == nil {
			shape = []int64{}
		}
		if err := put(t.Name, entry{t.DType, shape, []int64{end, end + n}}); err != nil {
			return nil, err
		}
		end += n
	}
	b.WriteByte('}')
	b.WriteString(strings.Repeat(" ", -b.Len()&7))
	if b.Len() > maxHeader {
		return nil, fmt.Errorf("the header of %d tensors has %d bytes, more than the %d the format allows", len(tensors), b.Len(), maxHeader)
	}
	return b.Bytes(), nil
}

// parseHeader reads a header that describes a buffer of size bytes. The tensors
// come back in the order in which they lie in the buffer.
func parseHeader(header []byte, size int64) (map[string]string, []placed, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, fmt.Errorf("%w: the header is no JSON object", ErrFormat)
	}
	dec := json.NewDecoder(bytes.NewReader(header))
	if _, err := dec.Token(); err != nil {
		return nil, nil, fmt.Errorf("%w: the header: %w", ErrFormat, err)
	}
	var metadata map[string]string
	var tensors []placed
	seen := map[string]bool{}
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, nil, fmt.Errorf("%w: the header: %w", ErrFormat, err)
		}
		name, ok := tok.(string)
		if !ok {
			return nil, nil, fmt.Errorf("%w: the header has the key %v", ErrFormat, tok)
		}
		if seen[name] {
			return nil, nil, fmt.Errorf("%w: the header names %q twice", ErrFormat, name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := dec.Decode(&metadata); err != nil {
				return nil, nil, fmt.Errorf("%w: %s: %w", ErrFormat, metadataKey, err)
			}
			continue
		}
		t, err := parseEntry(dec, name, size)
		if err != nil {
			return nil, nil, err
		}
		tensors = append(tensors, t)
	}
	if _, err := dec.Token(); err != nil {
		return nil, nil, fmt.Errorf("%w: the header: %w", ErrFormat, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("%w: something follows the header's JSON object", ErrFormat)
	}
	if err := checkTiling(tensors, size); err != nil {
		return nil, nil, err
	}
	return metadata, tensors, nil
}

func parseEntry(dec *json.Decoder, name string, size int64) (placed, error) {
	// A pointer tells a key that is absent from one that is empty.
	var raw struct {
		DType   *DType   `json:"dtype"`
		Shape   *[]int64 `json:"shape"`
		Offsets *[]int64 `json:"data_offsets"`
	}
	if err := dec.Decode(&raw); err != nil {
		return placed{}, fmt.Errorf("%w: tensor %q: %w", ErrFormat, name, err)
	}
	if raw.DType == nil || raw.Shape == nil || raw.Offsets == nil || len(*raw.Offsets) != 2 {
		return placed{}, fmt.Errorf("%w: tensor %q lacks its dtype, shape or two data_offsets", ErrFormat, name)
	}
	t := placed{Tensor{name, *raw.DType, *raw.Shape}, (*raw.Offsets)[0], (*raw.Offsets)[1]}
	if t.DType.Size() == 0 {
		return placed{}, fmt.Errorf("%w: tensor %q has the unknown dtype %q", ErrFormat, name, t.DType)
	}
	n := t.Bytes()
	if n < 0 {
		return placed{}, fmt.Errorf("%w: tensor %q has the impossible shape %v", ErrFormat, name, t.Shape)
	}
	if t.begin < 0 || t.end < t.begin || t.end > size {
		return placed{}, fmt.Errorf("%w: tensor %q lies at [%d, %d) of a buffer of %d bytes", ErrFormat, name, t.begin, t.end, size)
	}
	if t.end-t.begin != n {
		return placed{}, fmt.Errorf("%w: tensor %q of %s %v needs %d bytes, its offsets give %d", ErrFormat, name, t.DType, t.Shape, n, t.end-t.begin)
	}
	return t, nil
}

// checkTiling sorts the tensors as they lie and checks that they cover the
// buffer exactly.
func checkTiling(tensors []placed, size int64) error {
	slices.SortStableFunc(tensors, func(a, b placed) int {
		if a.begin != b.begin {
			return cmp.Compare(a.begin, b.begin)
		}
		return cmp.Compare(a.end, b.end)
	})
	var end int64
	for _, t := range tensors {
		if t.begin != end {
			what := "a hole before"
			if t.begin < end {
				what = "an overlap at"
			}
			return fmt.Errorf("%w: there is %s tensor %q, which begins at %d and not at %d", ErrFormat, what, t.Name, t.begin, end)
		}
		end = t.end
	}
	if end != size {
		return fmt.Errorf("%w: the tensors end at %d, the buffer at %d", ErrFormat, end, size)
	}
	return nil
}
