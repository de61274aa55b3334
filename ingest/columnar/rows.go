package columnar

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	gostrings "strings"
	"time"

	"github.com/apache/arrow/go/v15/arrow"
	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/ipc"
)

// fileMagic begins an Arrow file: a stream with an index behind it.
var fileMagic = []byte("ARROW1\x00\x00")

// IsArrow reports whether head begins an Arrow file, or an Arrow stream.
func IsArrow(head []byte) bool {
	if bytes.HasPrefix(head, fileMagic) {
		return true
	}
	if len(head) < 16 || !bytes.HasPrefix(head, []byte{0xff, 0xff, 0xff, 0xff}) {
		return false
	}
	size := uint32(head[4]) | uint32(head[5])<<8 | uint32(head[6])<<16 | uint32(head[7])<<24
	return size >= 8 && size <= maxMetadata && size%8 == 0
}

// Rows reads the rows of an Arrow stream or file of any schema as text. It holds one
// record batch.
type Rows struct {
	in    *ipc.Reader
	names []string
	paths [][]int

	record arrow.Record
	at     int
	err    error
}

// OpenRows begins to read r, whose record batches may have up to maxBatch bytes.
func OpenRows(r io.Reader, maxBatch int64) (rows *Rows, err error) {
	defer func() {
		if p := recover(); p != nil {
			rows, err = nil, fmt.Errorf("reading an Arrow stream: %v", p)
		}
	}()
	buf := bufio.NewReaderSize(r, 256<<10)
	if head, _ := buf.Peek(len(fileMagic)); bytes.Equal(head, fileMagic) {
		if _, err := buf.Discard(len(fileMagic)); err != nil {
			return nil, fmt.Errorf("reading an Arrow file: %w", err)
		}
	}
	in, err := (&messages{r: buf, limit: maxBatch}).reader()
	if err != nil {
		return nil, fmt.Errorf("reading an Arrow stream: %w", err)
	}
	rows = &Rows{in: in}
	for i, f := range in.Schema().Fields() {
		rows.list(f, f.Name, []int{i})
	}
	return rows, nil
}

// list lists the columns that hold text, numbers or dates.
func (r *Rows) list(f arrow.Field, name string, path []int) {
	if s, ok := f.Type.(*arrow.StructType); ok {
		for i, child := range s.Fields() {
			r.list(child, name+"."+child.Name, append(path[:len(path):len(path)], i))
		}
		return
	}
	if isText(f.Type) {
		r.names, r.paths = append(r.names, name), append(r.paths, path)
	}
}

func isText(t arrow.DataType) bool {
	switch t := t.(type) {
	case *arrow.DictionaryType:
		return isText(t.ValueType)
	case *arrow.ListType:
		return isText(t.Elem())
	case *arrow.LargeListType:
		return isText(t.Elem())
	case *arrow.FixedSizeListType:
		return isText(t.Elem())
	}
	switch t.ID() {
	case arrow.STRING, arrow.LARGE_STRING, arrow.BINARY, arrow.LARGE_BINARY, arrow.BOOL, arrow.TIMESTAMP, arrow.DATE32, arrow.DATE64,
		arrow.INT8, arrow.INT16, arrow.INT32, arrow.INT64, arrow.UINT8, arrow.UINT16, arrow.UINT32, arrow.UINT64, arrow.FLOAT32, arrow.FLOAT64:
		return true
	}
	return false
}

// Columns names the columns that Text reads, with dots between structs and what they
// hold.
func (r *Rows) Columns() []string { return r.names }

// Next goes to the next row; false at the end, or where Err says.
func (r *Rows) Next() (more bool) {
	defer func() {
		if p := recover(); p != nil {
			r.err, more = fmt.Errorf("reading an Arrow stream: %v", p), false
		}
	}()
	if r.err != nil {
		return false
	}
	if r.record != nil {
		if r.at++; int64(r.at) < r.record.NumRows() {
			return true
		}
	}
	for {
		r.record, r.at = nil, 0
		if !r.in.Next() {
			if err := r.in.Err(); err != nil && !errors.Is(err, io.EOF) {
				r.err = fmt.Errorf("reading an Arrow stream: %w", err)
			}
			return false
		}
		if r.record = r.in.Record(); r.record.NumRows() > 0 {
			return true
		}
	}
}

// Err says why Next came to an end, nil when the stream did.
func (r *Rows) Err() error { return r.err }

// Close lets go of the record batch.
func (r *Rows) Close() {
	defer func() { _ = recover() }()
	r.in.Release()
}

// Text returns a cell of the present row; ok is false for null. The elements of a list
// have blank lines between them.
func (r *Rows) Text(column int) (text string, ok bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading an Arrow stream: column %s: %v", r.names[column], p)
		}
	}()
	path := r.paths[column]
	a := r.record.Column(path[0])
	for _, i := range path[1:] {
		if a.IsNull(r.at) {
			return "", false, nil
		}
		a = a.(*array.Struct).Field(i)
	}
	text, ok = cell(a, r.at)
	return text, ok, nil
}

// cell writes a value as text. What it returns shares no memory with the array.
func cell(a arrow.Array, i int) (string, bool) {
	if a.IsNull(i) {
		return "", false
	}
	switch a := a.(type) {
	case *array.String:
		return gostrings.Clone(a.Value(i)), true
	case *array.LargeString:
		return gostrings.Clone(a.Value(i)), true
	case *array.Binary:
		return string(a.Value(i)), true
	case *array.LargeBinary:
		return string(a.Value(i)), true
	case *array.Dictionary:
		return cell(a.Dictionary(), a.GetValueIndex(i))
	case *array.Timestamp:
		unit := a.DataType().(*arrow.TimestampType).Unit
		t := a.Value(i).ToTime(unit).UTC()
		if y := t.Year(); y < 0 || y > 9999 {
			return "", false
		}
		return t.Format(time.RFC3339Nano), true
	case *array.Date32:
		return a.Value(i).ToTime().UTC().Format(time.DateOnly), true
	case *array.Date64:
		return a.Value(i).ToTime().UTC().Format(time.DateOnly), true
	case array.ListLike:
		from, to := a.ValueOffsets(i)
		values := a.ListValues()
		if from < 0 || to < from || to > int64(values.Len()) {
			panic(fmt.Sprintf("a list is [%d, %d) of %d values", from, to, values.Len()))
		}
		var list []string
		for k := from; k < to; k++ {
			if s, ok := cell(values, int(k)); ok {
				list = append(list, s)
			}
		}
		return gostrings.Join(list, "\n\n"), len(list) > 0
	case *array.Float32:
		return strconv.FormatFloat(float64(a.Value(i)), 'g', -1, 32), true
	case *array.Float64:
		return strconv.FormatFloat(a.Value(i), 'g', -1, 64), true
	}
	return a.ValueStr(i), true
}
