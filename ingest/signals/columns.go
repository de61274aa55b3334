package signals

import (
	"encoding/binary"
	"math"
	"reflect"
	"strings"
	"sync"
)

// Column is a signal as predicates and files see it.
type Column struct {
	// Name is the name of the column.
	Name string
	// Kind is reflect.Int64, reflect.Float32 or reflect.String: that of the field.
	Kind reflect.Kind

	field int
}

// Columns returns the columns of Signals, in the order of its fields. It must not be
// changed. The fields of Signals are all there is to say: what writes, reads, spills
// and judges signals goes by this list.
func Columns() []Column { return columns() }

var columns = sync.OnceValue(func() []Column {
	t := reflect.TypeFor[Signals]()
	all := make([]Column, t.NumField())
	for i := range all {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("parquet"), ",")
		all[i] = Column{name, t.Field(i).Type.Kind(), i}
	}
	return all
})

// Value returns a signal as an expression sees it: an int, a float64 (see Float) or a
// string.
func (s *Signals) Value(c Column) any {
	v := reflect.ValueOf(s).Elem().Field(c.field)
	switch c.Kind {
	case reflect.Int64:
		return int(v.Int())
	case reflect.Float32:
		return Float(float32(v.Float()))
	}
	return v.String()
}

// Float returns the number that a share which was kept as a float32 is compared as:
// the decimal of up to seven places that it is nearest to, when it is no other
// float32's. A share of 1/10 is then no more than 0.1, which the float32 is.
func Float(x float32) float64 {
	exact := float64(x)
	if near := math.Round(exact*1e7) / 1e7; float32(near) == x {
		return near
	}
	return exact
}

// Append appends a compact form of the signals, which Decode reads.
func (s *Signals) Append(dst []byte) []byte {
	fields := reflect.ValueOf(s).Elem()
	for _, c := range columns() {
		v := fields.Field(c.field)
		switch c.Kind {
		case reflect.Int64:
			dst = binary.AppendVarint(dst, v.Int())
		case reflect.Float32:
			dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v.Float())))
		default:
			text := v.String()
			dst = binary.AppendUvarint(dst, uint64(len(text)))
			dst = append(dst, text...)
		}
	}
	return dst
}

// Decode reads what Append appended and returns what follows it; ok is false when src
// is something else.
func (s *Signals) Decode(src []byte) (rest []byte, ok bool) {
	fields := reflect.ValueOf(s).Elem()
	for _, c := range columns() {
		v := fields.Field(c.field)
		switch c.Kind {
		case reflect.Int64:
			x, n := binary.Varint(src)
			if n <= 0 {
				return nil, false
			}
			v.SetInt(x)
			src = src[n:]
		case reflect.Float32:
			if len(src) < 4 {
				return nil, false
			}
			v.SetFloat(float64(math.Float32frombits(binary.LittleEndian.Uint32(src))))
			src = src[4:]
		default:
			size, n := binary.Uvarint(src)
			if n <= 0 || size > uint64(len(src)-n) {
				return nil, false
			}
			v.SetString(string(src[n : n+int(size)]))
			src = src[n+int(size):]
		}
	}
	return src, true
}
