// Package tensorboard writes and reads TensorBoard event files of scalars: the
// TFRecord framing (lengths and data guarded by masked CRC-32C) around Event
// protocol buffers.
package tensorboard

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math"
	"os"
	"path/filepath"
	"time"
)

// maxRecord bounds a record the reader takes into memory.
const maxRecord = 16 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Scalar is one value under one name, such as "train/loss".
type Scalar struct {
	Tag   string
	Value float32
}

// Event is what one record says: the scalars of a step.
type Event struct {
	Step    int64
	Wall    time.Time
	Scalars []Scalar
}

// Writer appends events to one file. It is not safe for concurrent use.
type Writer struct {
	f    *os.File
	size int64
	buf  []byte
}

// Open opens the event file at path and cuts it to size bytes, a value Size gave
// before, so that a resumed run writes on where its checkpoint stood. A size of
// 0 begins the file anew.
func Open(path string, size int64) (_ *Writer, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("creating the directory of %s: %w", path, err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the event file: %w", err)
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
	if info.Size() < size {
		// The file was lost or replaced; what is gone cannot be written again.
		size = 0
	}
	if err := f.Truncate(size); err != nil {
		return nil, fmt.Errorf("cutting %s to %d bytes: %w", path, size, err)
	}
	if _, err := f.Seek(size, io.SeekStart); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	w := &Writer{f: f, size: size}
	if size == 0 {
		event := appendDouble(nil, 1, 0)
		if err := w.record(appendBytes(event, 3, []byte("brain.Event:2"))); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// Write appends one event.
func (w *Writer) Write(e Event) error {
	var summary, value []byte
	for _, s := range e.Scalars {
		value = appendBytes(value[:0], 1, []byte(s.Tag))
		value = append(value, 2<<3|5)
		value = binary.LittleEndian.AppendUint32(value, math.Float32bits(s.Value))
		summary = appendBytes(summary, 1, value)
	}
	event := appendDouble(nil, 1, float64(e.Wall.UnixMicro())/1e6)
	event = append(event, 2<<3|0)
	event = binary.AppendUvarint(event, uint64(e.Step))
	return w.record(appendBytes(event, 5, summary))
}

// Size returns the file's length, for Open.
func (w *Writer) Size() int64 { return w.size }

// Close closes the file.
func (w *Writer) Close() error { return w.f.Close() }

// record appends data in one write, so that a killed process leaves at most one
// record cut, at the end.
func (w *Writer) record(data []byte) error {
	b := binary.LittleEndian.AppendUint64(w.buf[:0], uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(data))
	w.buf = b
	n, err := w.f.Write(b)
	w.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	return nil
}

// maskedCRC is the checksum of the TFRecord format: rotated and shifted so that
// a checksum of data that holds checksums is no trivial one.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}

func appendDouble(b []byte, field int, x float64) []byte {
	b = append(b, byte(field<<3|1))
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
}

func appendBytes(b []byte, field int, data []byte) []byte {
	b = append(b, byte(field<<3|2))
	b = binary.AppendUvarint(b, uint64(len(data)))
	return append(b, data...)
}

// ErrDamaged is wrapped by Read's errors about the file's contents.
var ErrDamaged = errors.New("damaged event file")

// Read yields the events that hold scalars. It stops behind the first error; a
// record cut by the end of the file is io.ErrUnexpectedEOF.
func Read(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			data, err := readRecord(r)
			if errors.Is(err, io.EOF) {
				return
			}
			var e Event
			if err == nil {
				e, err = decode(data)
			}
			if err != nil {
				yield(Event{}, err)
				return
			}
			if len(e.Scalars) > 0 && !yield(e, nil) {
				return
			}
		}
	}
}

func readRecord(r io.Reader) ([]byte, error) {
	var head [12]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.LittleEndian.Uint64(head[:8])
	if binary.LittleEndian.Uint32(head[8:]) != maskedCRC(head[:8]) || n > maxRecord {
		return nil, fmt.Errorf("%w: a record's length does not match its checksum", ErrDamaged)
	}
	data := make([]byte, n+4)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	data, sum := data[:n], data[n:]
	if binary.LittleEndian.Uint32(sum) != maskedCRC(data) {
		return nil, fmt.Errorf("%w: a record does not match its checksum", ErrDamaged)
	}
	return data, nil
}

// fields walks the fields of a protocol buffer message. Fixed-width values come
// as their bytes, a varint as eight little-endian bytes.
func fields(b []byte, visit func(field uint64, data []byte) error) error {
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			return fmt.Errorf("%w: a message ends in its field's key", ErrDamaged)
		}
		b = b[n:]
		var data []byte
		switch width := map[uint64]int{1: 8, 5: 4}[key&7]; {
		case width > 0 && len(b) >= width:
			data, b = b[:width], b[width:]
		case key&7 == 0:
			x, n := binary.Uvarint(b)
			if n <= 0 {
				return fmt.Errorf("%w: a message ends in a number", ErrDamaged)
			}
			data, b = binary.LittleEndian.AppendUint64(nil, x), b[n:]
		case key&7 == 2:
			x, n := binary.Uvarint(b)
			if n <= 0 || x > uint64(len(b)-n) {
				return fmt.Errorf("%w: a field is longer than its message", ErrDamaged)
			}
			data, b = b[n:n+int(x)], b[n+int(x):]
		default:
			return fmt.Errorf("%w: a field of %d bytes left has wire type %d", ErrDamaged, len(b), key&7)
		}
		if err := visit(key>>3, data); err != nil {
			return err
		}
	}
	return nil
}

func decode(data []byte) (Event, error) {
	var e Event
	err := fields(data, func(field uint64, d []byte) error {
		switch {
		case field == 1 && len(d) == 8:
			seconds := math.Float64frombits(binary.LittleEndian.Uint64(d))
			e.Wall = time.UnixMicro(int64(math.Round(seconds * 1e6)))
		case field == 2 && len(d) == 8:
			e.Step = int64(binary.LittleEndian.Uint64(d))
		case field == 5:
			return fields(d, func(field uint64, d []byte) error {
				if field != 1 {
					return nil
				}
				var s Scalar
				err := fields(d, func(field uint64, d []byte) error {
					switch {
					case field == 1:
						s.Tag = string(d)
					case field == 2 && len(d) == 4:
						s.Value = math.Float32frombits(binary.LittleEndian.Uint32(d))
					}
					return nil
				})
				e.Scalars = append(e.Scalars, s)
				return err
			})
		}
		return nil
	})
	return e, err
}
