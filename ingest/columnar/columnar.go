// Package columnar speaks Arrow: streams of record batches (IPC) to files and
// sockets, and Flight. It is the only package that imports Arrow.
//
// A column of strings is a []string, one of numbers a []int64 or []float32, and one of
// lists a Lists, FloatLists or StringLists.
package columnar

import (
	"errors"
	"fmt"
	"io"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// Kind is the type of a column.
type Kind int

// The kinds of columns, by their Arrow types.
const (
	String     Kind = iota // utf8
	Integer                // int64
	List                   // list<int32>
	Float                  // float
	FloatList              // list<float>
	StringList             // list<utf8>
)

// Field is a column's name and kind.
type Field struct {
	Name string
	Kind Kind
}

// ListsOf is a column of lists, end to end: list i is
// Values[Bounds[i]:Bounds[i+1]]. Bounds[0] is 0.
type ListsOf[T int32 | float32 | string] struct {
	Values []T
	Bounds []int32
}

// Lists is a column of lists of whole numbers. Of the columns of lists that streams
// have, it alone can be read.
type Lists = ListsOf[int32]

// FloatLists is a column of lists of numbers.
type FloatLists = ListsOf[float32]

// StringLists is a column of lists of texts.
type StringLists = ListsOf[string]

// Add appends a list.
func (l *ListsOf[T]) Add(values []T) {
	if len(l.Bounds) == 0 {
		l.Bounds = append(l.Bounds, 0)
	}
	l.Values = append(l.Values, values...)
	l.Bounds = append(l.Bounds, int32(len(l.Values)))
}

// At returns list i.
func (l ListsOf[T]) At(i int) []T { return l.Values[l.Bounds[i]:l.Bounds[i+1]] }

// Reset empties the column.
func (l *ListsOf[T]) Reset() { l.Values, l.Bounds = l.Values[:0], append(l.Bounds[:0], 0) }

// over makes a column of lists over a column of their values.
func over[T int32 | float32 | string](l ListsOf[T], of arrow.DataType, values arrow.ArrayData) (data arrow.ArrayData, n int) {
	n = max(0, len(l.Bounds)-1)
	bounds := memory.NewBufferBytes(arrow.Int32Traits.CastToBytes(l.Bounds))
	return array.NewData(of, n, []*memory.Buffer{nil, bounds}, []arrow.ArrayData{values}, 0, 0), n
}

// flat makes a column of the bytes of n numbers.
func flat(of arrow.DataType, n int, bytes []byte) arrow.ArrayData {
	return array.NewData(of, n, []*memory.Buffer{nil, memory.NewBufferBytes(bytes)}, nil, 0, 0)
}

// words makes a column of strings.
func words(list []string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	defer b.Release()
	b.AppendValues(list, nil)
	return b.NewArray()
}

func schema(fields []Field, metadata map[string]string) *arrow.Schema {
	list := make([]arrow.Field, len(fields))
	for i, f := range fields {
		list[i].Name = f.Name
		switch f.Kind {
		case String:
			list[i].Type = arrow.BinaryTypes.String
		case Integer:
			list[i].Type = arrow.PrimitiveTypes.Int64
		case List:
			list[i].Type = arrow.ListOf(arrow.PrimitiveTypes.Int32)
		case Float:
			list[i].Type = arrow.PrimitiveTypes.Float32
		case FloatList:
			list[i].Type = arrow.ListOf(arrow.PrimitiveTypes.Float32)
		case StringList:
			list[i].Type = arrow.ListOf(arrow.BinaryTypes.String)
		}
	}
	meta := arrow.MetadataFrom(metadata)
	return arrow.NewSchema(list, &meta)
}

// record makes a record batch of columns. It shares the memory of numbers.
func record(s *arrow.Schema, columns []any) (arrow.Record, error) {
	if len(columns) != s.NumFields() {
		return nil, fmt.Errorf("%d columns for %d fields", len(columns), s.NumFields())
	}
	rows := -1
	arrays := make([]arrow.Array, len(columns))
	for i, c := range columns {
		var data arrow.ArrayData
		n := 0
		switch c := c.(type) {
		case []string:
			arrays[i], n = words(c), len(c)
		case []int64:
			data, n = flat(arrow.PrimitiveTypes.Int64, len(c), arrow.Int64Traits.CastToBytes(c)), len(c)
		case []float32:
			data, n = flat(arrow.PrimitiveTypes.Float32, len(c), arrow.Float32Traits.CastToBytes(c)), len(c)
		case Lists:
			data, n = over(c, s.Field(i).Type, flat(arrow.PrimitiveTypes.Int32, len(c.Values), arrow.Int32Traits.CastToBytes(c.Values)))
		case FloatLists:
			data, n = over(c, s.Field(i).Type, flat(arrow.PrimitiveTypes.Float32, len(c.Values), arrow.Float32Traits.CastToBytes(c.Values)))
		case StringLists:
			data, n = over(c, s.Field(i).Type, words(c.Values).Data())
		default:
			return nil, fmt.Errorf("column %s: a %T is no column", s.Field(i).Name, c)
		}
		if data != nil {
			arrays[i] = array.MakeFromData(data)
		}
		if !arrow.TypeEqual(arrays[i].DataType(), s.Field(i).Type) {
			return nil, fmt.Errorf("column %s: %v where %v is wanted", s.Field(i).Name, arrays[i].DataType(), s.Field(i).Type)
		}
		if rows >= 0 && n != rows {
			return nil, fmt.Errorf("column %s has %d rows, those before it %d", s.Field(i).Name, n, rows)
		}
		rows = n
	}
	return array.NewRecord(s, arrays, int64(rows)), nil
}

// Writer writes an Arrow stream.
type Writer struct {
	schema *arrow.Schema
	w      *ipc.Writer
}

// NewWriter begins a stream of the given columns, with metadata in its schema.
func NewWriter(w io.Writer, fields []Field, metadata map[string]string) *Writer {
	s := schema(fields, metadata)
	return &Writer{s, ipc.NewWriter(w, ipc.WithSchema(s))}
}

// Write writes one record batch.
func (w *Writer) Write(columns ...any) error {
	r, err := record(w.schema, columns)
	if err != nil {
		return fmt.Errorf("writing a record batch: %w", err)
	}
	defer r.Release()
	if err := w.w.Write(r); err != nil {
		return fmt.Errorf("writing a record batch: %w", err)
	}
	return nil
}

// Close ends the stream; it does not close what the stream is written to.
func (w *Writer) Close() error { return w.w.Close() }

// Read reads an Arrow stream and calls f with the named columns of each record
// batch, which f may keep. Every fault of the stream, panics of the library
// included, is an error.
func Read(r io.Reader, names []string, f func(columns []any) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading an Arrow stream: %v", p)
		}
	}()
	in, err := (&messages{r: r}).reader()
	if err != nil {
		return fmt.Errorf("reading an Arrow stream: %w", err)
	}
	defer in.Release()
	at := make([]int, len(names))
	for i, name := range names {
		found := in.Schema().FieldIndices(name)
		if len(found) != 1 {
			return fmt.Errorf("reading an Arrow stream: it has %d columns %q", len(found), name)
		}
		at[i] = found[0]
	}
	for in.Next() {
		rec := in.Record()
		columns := make([]any, len(names))
		for i, name := range names {
			if columns[i], err = column(rec.Column(at[i])); err != nil {
				return fmt.Errorf("reading an Arrow stream: column %s: %w", name, err)
			}
		}
		if err := f(columns); err != nil {
			return err
		}
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading an Arrow stream: %w", err)
	}
	return nil
}

func column(a arrow.Array) (any, error) {
	if a.NullN() > 0 {
		return nil, fmt.Errorf("it has %d nulls", a.NullN())
	}
	switch a := a.(type) {
	case *array.String:
		return strings(a.Len(), a.Value), nil
	case *array.LargeString:
		return strings(a.Len(), a.Value), nil
	case *array.List:
		return lists(a.Len(), a.ListValues(), a.ValueOffsets)
	case *array.LargeList:
		return lists(a.Len(), a.ListValues(), a.ValueOffsets)
	}
	return numbers[int64](a, 0, a.Len())
}

func strings(n int, at func(int) string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = string([]byte(at(i))) // the array's memory is not ours
	}
	return out
}

func lists(n int, values arrow.Array, bounds func(int) (int64, int64)) (Lists, error) {
	l := Lists{Bounds: make([]int32, 1, n+1)}
	for i := range n {
		from, to := bounds(i)
		if from < 0 || to < from || to > int64(values.Len()) {
			return l, fmt.Errorf("list %d is [%d, %d) of %d values", i, from, to, values.Len())
		}
		v, err := numbers[int32](values, int(from), int(to))
		if err != nil {
			return l, err
		}
		if len(l.Values)+len(v) > 1<<31-1 {
			return l, errors.New("a record batch has more than 2^31 values in lists")
		}
		l.Values = append(l.Values, v...)
		l.Bounds = append(l.Bounds, int32(len(l.Values)))
	}
	return l, nil
}

// numbers copies integers, whatever their width.
func numbers[T int32 | int64](a arrow.Array, from, to int) ([]T, error) {
	switch a := a.(type) {
	case *array.Int32:
		return convert[T](a.Int32Values()[from:to])
	case *array.Int64:
		return convert[T](a.Int64Values()[from:to])
	case *array.Uint16:
		return convert[T](a.Uint16Values()[from:to])
	case *array.Uint32:
		return convert[T](a.Uint32Values()[from:to])
	case *array.Int16:
		return convert[T](a.Int16Values()[from:to])
	case *array.Uint8:
		return convert[T](a.Uint8Values()[from:to])
	}
	return nil, fmt.Errorf("values of type %v are no integers", a.DataType())
}

func convert[T int32 | int64, F int32 | int64 | uint16 | uint32 | int16 | uint8](values []F) ([]T, error) {
	out := make([]T, len(values))
	for i, v := range values {
		if out[i] = T(v); F(out[i]) != v || (out[i] < 0) != (v < 0) {
			return nil, fmt.Errorf("value %d does not fit", v)
		}
	}
	return out, nil
}
