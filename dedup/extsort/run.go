package extsort

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"os"

	"github.com/tributary-ml/tributary/ingest/store"
)

// A run is a sequence of frames. A frame is a header of eight bytes (length and
// CRC-32C of the payload, little-endian) and a payload of whole records, each
// its key's and value's lengths as uvarints, then both. The last frame has
// length 0 and, in place of the checksum, the number of frames before it modulo
// 2^32, so that a run cut at a frame's edge is seen to be cut.
const (
	frameHeader = 8
	frameBytes  = 1 << 16
	readBytes   = 1 << 14
	writeBytes  = 1 << 16
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

type runWriter struct {
	path    string
	f       *os.File
	out     *bufio.Writer
	frame   []byte
	frames  uint32
	largest int64
	done    bool
}

func createRun(path string) (*runWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("sorting: creating a run: %w", err)
	}
	return &runWriter{path: path, f: f, out: bufio.NewWriterSize(f, writeBytes)}, nil
}

func (w *runWriter) add(r Record) error {
	if len(w.frame) > 0 && len(w.frame)+len(r.Key)+len(r.Value)+2*binary.MaxVarintLen32 > frameBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	w.frame = binary.AppendUvarint(w.frame, uint64(len(r.Key)))
	w.frame = binary.AppendUvarint(w.frame, uint64(len(r.Value)))
	w.frame = append(append(w.frame, r.Key...), r.Value...)
	return nil
}

func (w *runWriter) flush() error {
	if err := w.header(uint32(len(w.frame)), crc32.Checksum(w.frame, castagnoli)); err != nil {
		return err
	}
	if _, err := w.out.Write(w.frame); err != nil {
		return fmt.Errorf("sorting: writing %s: %w", w.path, err)
	}
	w.frames++
	w.largest = max(w.largest, int64(len(w.frame)))
	w.frame = w.frame[:0]
	if cap(w.frame) > 4*frameBytes {
		w.frame = nil
	}
	return nil
}

func (w *runWriter) header(length, sum uint32) error {
	var h [frameHeader]byte
	binary.LittleEndian.PutUint32(h[:4], length)
	binary.LittleEndian.PutUint32(h[4:], sum)
	if _, err := w.out.Write(h[:]); err != nil {
		return fmt.Errorf("sorting: writing %s: %w", w.path, err)
	}
	return nil
}

func (w *runWriter) finish() (run, error) {
	if len(w.frame) > 0 {
		if err := w.flush(); err != nil {
			return run{}, err
		}
	}
	if err := w.header(0, w.frames); err != nil {
		return run{}, err
	}
	if err := w.out.Flush(); err != nil {
		return run{}, fmt.Errorf("sorting: writing %s: %w", w.path, err)
	}
	w.done = true
	if w.f == nil {
		return run{w.path, w.largest}, nil
	}
	if err := w.f.Close(); err != nil {
		return run{}, fmt.Errorf("sorting: closing %s: %w", w.path, err)
	}
	return run{w.path, w.largest}, nil
}

// abort gives up a run that was not finished; its file goes with the sorter's
// directory.
func (w *runWriter) abort() {
	if !w.done {
		w.done = true
		w.f.Close()
		os.Remove(w.path)
	}
}

// WriteRun writes the records in order to w, in place of All, as OpenRun reads
// them, and returns their number. name is what errors call the file.
func (s *Sorter) WriteRun(ctx context.Context, w io.Writer, name string) (records int64, err error) {
	out := &runWriter{path: name, out: bufio.NewWriterSize(w, writeBytes)}
	for rec, err := range s.All(ctx) {
		if err != nil {
			return 0, err
		}
		if err := out.add(rec); err != nil {
			return 0, err
		}
		records++
	}
	_, err = out.finish()
	return records, err
}

// RunReader reads one sorted run.
type RunReader struct{ r *runReader }

// OpenRun opens a file that WriteRun wrote. One that was damaged or cut gives a
// *store.DamagedError, at the latest where its damage is met.
func OpenRun(path string) (*RunReader, error) {
	r, err := openRun(path)
	if err != nil {
		return nil, err
	}
	return &RunReader{r}, nil
}

// Next returns the next record, valid until Next is called again, or io.EOF.
func (r *RunReader) Next() (Record, error) {
	if err := r.r.next(); err != nil {
		return Record{}, err
	}
	return r.r.rec, nil
}

// Close closes the file.
func (r *RunReader) Close() error {
	if err := r.r.f.Close(); err != nil {
		return fmt.Errorf("sorting: closing %s: %w", r.r.path, err)
	}
	return nil
}

type runReader struct {
	path   string
	f      *os.File
	in     *bufio.Reader
	left   int64
	frame  []byte
	rest   []byte
	frames uint32
	rec    Record
}

func openRun(path string) (*runReader, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sorting: opening a run: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("sorting: opening a run: %w", err)
	}
	return &runReader{path: path, f: f, in: bufio.NewReaderSize(f, readBytes), left: info.Size()}, nil
}

func (r *runReader) damaged(format string, args ...any) error {
	return &store.DamagedError{Path: r.path, Detail: "a spilled run of the external sort: " + fmt.Sprintf(format, args...)}
}

// next advances to the next record; io.EOF is its end.
func (r *runReader) next() error {
	if len(r.rest) == 0 {
		if err := r.readFrame(); err != nil {
			return err
		}
	}
	key, n := binary.Uvarint(r.rest)
	if n <= 0 {
		return r.damaged("frame %d holds no record where one must begin", r.frames-1)
	}
	b := r.rest[n:]
	value, n := binary.Uvarint(b)
	if n <= 0 {
		return r.damaged("frame %d holds no record where one must begin", r.frames-1)
	}
	b = b[n:]
	if key > uint64(len(b)) || value > uint64(len(b))-key {
		return r.damaged("a record of frame %d runs over its end", r.frames-1)
	}
	r.rec = Record{b[:key:key], b[key : key+value : key+value]}
	r.rest = b[key+value:]
	return nil
}

func (r *runReader) readFrame() error {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r.in, h[:]); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return r.damaged("it ends before its last frame")
		}
		return fmt.Errorf("sorting: reading %s: %w", r.path, err)
	}
	r.left -= frameHeader
	length, sum := int64(binary.LittleEndian.Uint32(h[:4])), binary.LittleEndian.Uint32(h[4:])
	if length == 0 {
		if sum != r.frames {
			return r.damaged("it holds %d frames, its end says %d", r.frames, sum)
		}
		return io.EOF
	}
	if length > r.left {
		return r.damaged("frame %d claims %d bytes, %d are left", r.frames, length, r.left)
	}
	if int64(cap(r.frame)) < length || cap(r.frame) > 4*frameBytes && length <= frameBytes {
		r.frame = make([]byte, max(length, frameBytes))
	}
	r.frame = r.frame[:length]
	if _, err := io.ReadFull(r.in, r.frame); err != nil {
		return fmt.Errorf("sorting: reading %s: %w", r.path, err)
	}
	r.left -= length
	if got := crc32.Checksum(r.frame, castagnoli); got != sum {
		return r.damaged("the checksum of frame %d is %08x, its header says %08x", r.frames, got, sum)
	}
	r.frames++
	r.rest = r.frame
	return nil
}

// mergeRuns yields the records of sorted runs in order.
func mergeRuns(ctx context.Context, runs []run) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		heap := make([]*runReader, 0, len(runs))
		all := make([]*runReader, 0, len(runs))
		defer func() {
			for _, r := range all {
				r.f.Close()
			}
		}()
		for _, x := range runs {
			r, err := openRun(x.path)
			if err != nil {
				yield(Record{}, err)
				return
			}
			all = append(all, r)
			switch err := r.next(); {
			case err == nil:
				heap = append(heap, r)
			case !errors.Is(err, io.EOF):
				yield(Record{}, err)
				return
			}
		}
		for i := len(heap)/2 - 1; i >= 0; i-- {
			siftDown(heap, i)
		}
		for n := 0; len(heap) > 0; n++ {
			if n%checkEvery == 0 && ctx.Err() != nil {
				yield(Record{}, ctx.Err())
				return
			}
			if !yield(heap[0].rec, nil) {
				return
			}
			switch err := heap[0].next(); {
			case errors.Is(err, io.EOF):
				heap[0] = heap[len(heap)-1]
				heap = heap[:len(heap)-1]
			case err != nil:
				yield(Record{}, err)
				return
			}
			if len(heap) > 0 {
				siftDown(heap, 0)
			}
		}
	}
}

func siftDown(heap []*runReader, i int) {
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(heap); c++ {
			if compare(heap[c].rec, heap[least].rec) < 0 {
				least = c
			}
		}
		if least == i {
			return
		}
		heap[i], heap[least] = heap[least], heap[i]
		i = least
	}
}
