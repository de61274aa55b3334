package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/apache/arrow/go/v15/arrow/ipc"
	"github.com/apache/arrow/go/v15/arrow/memory"
)

// What a message of a stream may take. The library trusts the lengths that a
// message states, so they are checked before it sees them.
const (
	maxMetadata = 64 << 20
	maxBody     = 1<<31 - 1
	maxFields   = 1 << 16 // columns, children of columns and their metadata
	maxEmpty    = 1 << 20 // rows of columns that hold no bytes
	// A compressed body may unfold to this many bytes, and to this many times its size.
	maxUnfolded, maxRatio = 64 << 20, 1024
)

// messages reads the messages of an Arrow stream and checks every length in them
// against the bytes that are there (the Arrow columnar format, "Encapsulated
// message format").
type messages struct {
	r     io.Reader
	limit int64 // of a body; 0 means maxBody
	last  *ipc.Message
	alloc bounded
}

// bounded allocates no more than the present message may take. The library takes
// places in a message for lengths where it has fewer buffers than its schema needs.
type bounded struct{ left int64 }

func (b *bounded) Allocate(n int) []byte {
	b.take(n)
	return memory.DefaultAllocator.Allocate(n)
}

func (b *bounded) Reallocate(n int, old []byte) []byte {
	b.take(n)
	return memory.DefaultAllocator.Reallocate(n, old)
}

func (b *bounded) Free(old []byte) { memory.DefaultAllocator.Free(old) }

// take panics when there is no room: allocators have no other way, and the library
// makes an error of it.
func (b *bounded) take(n int) {
	if b.left -= int64(n); n < 0 || b.left < 0 {
		panic(fmt.Sprintf("a message asks for %d bytes more than it may take", -b.left))
	}
}

// reader returns a reader of the messages.
func (m *messages) reader() (*ipc.Reader, error) {
	return ipc.NewReaderFromMessageReader(m, ipc.WithAllocator(&m.alloc))
}

func (m *messages) Retain() {}

func (m *messages) Release() {
	if m.last != nil {
		m.last.Release()
		m.last = nil
	}
}

// Message returns the next message, valid until the next call, or io.EOF.
func (m *messages) Message() (*ipc.Message, error) {
	size, err := m.word()
	if err == nil && size == 0xffffffff {
		size, err = m.word()
	}
	if err != nil {
		return nil, err
	}
	if size == 0 {
		return nil, io.EOF
	}
	meta, err := m.bytes(int64(size), maxMetadata)
	if err != nil {
		return nil, fmt.Errorf("a message's metadata: %w", err)
	}
	c := checker{meta: meta}
	root := c.table(0)
	length := int64(c.word(root, 3, 8))
	if c.err != nil {
		return nil, fmt.Errorf("a message's metadata: %w", c.err)
	}
	limit := int64(maxBody)
	if m.limit > 0 {
		limit = m.limit
	}
	body, err := m.bytes(length, limit)
	if err != nil {
		return nil, fmt.Errorf("a message's body: %w", err)
	}
	if c.message(root, body); c.err != nil {
		return nil, fmt.Errorf("a message's metadata: %w", c.err)
	}
	m.alloc.left = 4*c.total + 1<<20 // a dictionary is copied when it grows
	m.Release()
	m.last = ipc.NewMessage(memory.NewBufferBytes(meta), memory.NewBufferBytes(body))
	return m.last, nil
}

func (m *messages) word() (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(m.r, b[:]); err != nil {
		return 0, err
	}
	return binary.LittleEndian.Uint32(b[:]), nil
}

// bytes reads n bytes; it takes no more memory than about twice what is there.
func (m *messages) bytes(n, limit int64) ([]byte, error) {
	if n < 0 || n > limit {
		return nil, fmt.Errorf("%d bytes, where at most %d are read", n, limit)
	}
	var b []byte
	for int64(len(b)) < n {
		from := len(b)
		more := int(min(n-int64(from), max(1<<20, int64(from))))
		b = slices.Grow(b, more)[:from+more]
		if _, err := io.ReadFull(m.r, b[from:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
	return b, nil
}

// checker walks the FlatBuffers tables of a message. After a fault, which stays
// in err, every question is answered with nothing.
type checker struct {
	meta   []byte
	fields int
	total  int64 // bytes that the body unfolds to
	err    error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// at returns the little-endian number of the given width at a place.
func (c *checker) at(place, width int) uint64 {
	if c.err != nil || place < 0 || place > len(c.meta)-width {
		c.fail("a place outside its %d bytes", len(c.meta))
		return 0
	}
	var b [8]byte
	copy(b[:], c.meta[place:place+width])
	return binary.LittleEndian.Uint64(b[:])
}

// table follows the offset at a place.
func (c *checker) table(place int) int { return place + int(c.at(place, 4)) }

// slot returns where a table's field lies, or 0 where it has none.
func (c *checker) slot(table, field int) int {
	vtable := table - int(int32(c.at(table, 4)))
	entry := 4 + 2*field
	if entry >= int(c.at(vtable, 2)) { // as the library has it, odd sizes included
		return 0
	}
	if offset := int(c.at(vtable+entry, 2)); offset != 0 {
		return table + offset
	}
	return 0
}

// word returns a number of a table, 0 where it has none.
func (c *checker) word(table, field, width int) uint64 {
	if at := c.slot(table, field); at != 0 {
		return c.at(at, width)
	}
	return 0
}

// child returns a table that a table holds, or 0.
func (c *checker) child(table, field int) int {
	if at := c.slot(table, field); at != 0 {
		return c.table(at)
	}
	return 0
}

// vector returns where the elements of a vector begin and how many there are.
func (c *checker) vector(table, field, width int) (place, n int) {
	at := c.child(table, field)
	if at == 0 {
		return 0, 0
	}
	if n = int(c.at(at, 4)); n > (len(c.meta)-at-4)/width {
		c.fail("a list of %d elements in %d bytes", n, len(c.meta))
		return 0, 0
	}
	return at + 4, n
}

// The headers of messages.
const (
	headerSchema     = 1
	headerDictionary = 2
	headerRecord     = 3
)

func (c *checker) message(root int, body []byte) {
	c.pairs(root, 4)
	header := c.child(root, 2)
	if header == 0 {
		c.fail("it has no header")
		return
	}
	switch c.word(root, 1, 1) {
	case headerSchema:
		c.pairs(header, 2)
		c.vector(header, 3, 8)
		c.columns(header, 1, 0)
	case headerDictionary:
		c.record(c.child(header, 1), body)
	case headerRecord:
		c.record(header, body)
	}
}

// pairs checks a table's list of keys and values.
func (c *checker) pairs(table, field int) {
	_, n := c.vector(table, field, 4)
	c.count(n)
}

func (c *checker) count(n int) {
	if c.fields += n; c.fields > maxFields {
		c.fail("more than %d columns", maxFields)
	}
}

// columns checks a list of fields. Fields may share their children, so what is
// counted is the tree that the library makes of them.
func (c *checker) columns(table, field, depth int) {
	at, n := c.vector(table, field, 4)
	c.count(n)
	if depth > 64 {
		c.fail("columns inside columns, 64 deep")
	}
	for i := 0; i < n && c.err == nil; i++ {
		f := c.table(at + 4*i)
		c.pairs(f, 6)
		const union = 14
		if kind := c.child(f, 3); kind != 0 && c.word(f, 2, 1) == union {
			c.vector(kind, 1, 4)
		}
		c.columns(f, 5, depth+1)
	}
}

// record checks a record batch against its body.
func (c *checker) record(table int, body []byte) {
	if table == 0 {
		c.fail("it has no record batch")
		return
	}
	total := int64(len(body))
	compressed := c.child(table, 3) != 0
	at, n := c.vector(table, 2, 16)
	for i := 0; i < n && c.err == nil; i++ {
		offset, length := int64(c.at(at+16*i, 8)), int64(c.at(at+16*i+8, 8))
		if offset < 0 || length < 0 || offset > int64(len(body))-length {
			c.fail("buffer %d is [%d, +%d) of %d bytes", i, offset, length, len(body))
			return
		}
		if !compressed || length == 0 {
			continue
		}
		if length < 8 {
			c.fail("compressed buffer %d has %d bytes", i, length)
			return
		}
		unfolded := int64(binary.LittleEndian.Uint64(body[offset:])) // -1: it is not compressed
		if unfolded < -1 || unfolded > maxUnfolded+maxRatio*length {
			c.fail("buffer %d has %d bytes and says it unfolds to %d", i, length, unfolded)
			return
		}
		total += max(0, unfolded)
	}
	if total > maxBody+maxUnfolded {
		c.fail("its body unfolds to %d bytes", total)
	}
	c.total = total
	rows := 8*total + maxEmpty
	if length := int64(c.word(table, 0, 8)); length < 0 || length > rows {
		c.fail("%d rows in %d bytes", length, total)
	}
	at, n = c.vector(table, 1, 16)
	for i := 0; i < n && c.err == nil; i++ {
		length, nulls := int64(c.at(at+16*i, 8)), int64(c.at(at+16*i+8, 8))
		if length < 0 || length > rows || nulls < -1 || nulls > length {
			c.fail("column %d has %d rows, %d of them null, in %d bytes", i, length, nulls, total)
		}
	}
}
