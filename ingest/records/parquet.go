package records

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// Bounds of what a Parquet file may make its reader hold. The library trusts the
// lengths that a page states, so they are checked before it sees them.
const (
	maxFooter     = 256 << 20
	maxPage       = 256 << 20
	maxPageValues = 16 << 20
	// A page may unfold to this many bytes and this many times its size.
	maxUnfolded, maxRatio = 16 << 20, 2048
	maxPageHeader         = 1 << 20
)

// ErrDamaged says that a table cannot be read on.
var ErrDamaged = errors.New("the table is damaged")

// Parquet reads the rows of a Parquet file, of which it holds a page of each column
// that is needed.
type Parquet struct {
	r       io.ReaderAt
	file    *parquet.File
	found   [parts][]int
	columns []*cells // in the order of leaves that are read
	names   []string

	group int   // the row group that is being read
	left  int64 // rows of it
	row   int64
}

// OpenParquet opens a file and finds its columns. Panics of the library are errors.
func OpenParquet(r io.ReaderAt, size int64, f Fields) (p *Parquet, err error) {
	defer func() {
		if e := recover(); e != nil {
			p, err = nil, fmt.Errorf("%w: %v", ErrDamaged, e)
		}
	}()
	var tail [8]byte
	if size < 12 {
		return nil, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	if _, err := r.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if n := int64(binary.LittleEndian.Uint32(tail[:])); string(tail[4:]) == "PAR1" && n > min(size-12, maxFooter) {
		return nil, fmt.Errorf("%w: its footer says it has %d bytes, the file has %d", ErrDamaged, n, size)
	}
	file, err := parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true), parquet.ReadBufferSize(1<<18))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	p = &Parquet{r: r, file: file, group: -1}
	leaves := map[string]*parquet.Column{}
	p.leaves(file.Root(), nil, leaves)
	found, err := f.columns(p.names)
	if err != nil {
		return nil, err
	}
	p.found = found
	for i, list := range p.found {
		for j, c := range list {
			leaf := leaves[p.names[c]]
			p.found[i][j] = len(p.columns)
			p.columns = append(p.columns, &cells{leaf: leaf, index: leaf.Index(), show: shows(leaf)})
		}
	}
	return p, nil
}

// leaves lists the columns that hold text, numbers or dates, by their paths without
// what only makes lists of them.
func (p *Parquet) leaves(c *parquet.Column, path []string, leaves map[string]*parquet.Column) {
	if c.Leaf() {
		name := strings.Join(path, ".")
		if _, twice := leaves[name]; !twice && name != "" && shows(c) != nil {
			leaves[name] = c
			p.names = append(p.names, name)
		}
		return
	}
	for _, child := range c.Columns() {
		at := path
		if !isList(c) && !(c.Repeated() && (child.Name() == "element" || child.Name() == "item")) {
			at = append(path[:len(path):len(path)], child.Name())
		}
		p.leaves(child, at, leaves)
	}
}

// isList tells a group that only makes a list of what it holds.
func isList(c *parquet.Column) bool {
	_, list := logical(c).(*format.ListType)
	return list
}

// logical returns the logical type of a column, nil where it has none.
func logical(c *parquet.Column) format.LogicalTypeValue {
	if c.Type() == nil || c.Type().LogicalType() == nil {
		return nil
	}
	return c.Type().LogicalType().Value
}

// Rows returns how many rows the file says it has.
func (p *Parquet) Rows() int64 { return p.file.NumRows() }

// Columns names the columns that texts and names can be read from.
func (p *Parquet) Columns() []string { return p.names }

// Skip passes rows without reading them where whole row groups can be passed.
func (p *Parquet) Skip(n int64) error {
	for n > 0 {
		if p.left == 0 {
			if p.group+1 >= len(p.file.RowGroups()) {
				return io.EOF
			}
			if rows := p.file.RowGroups()[p.group+1].NumRows(); rows <= n {
				p.group++
				p.row, n = p.row+rows, n-rows
				continue
			}
		}
		if _, err := p.Next(); err != nil && !errors.Is(err, ErrNoText) {
			return err
		}
		n--
	}
	return nil
}

// Next returns the next row; io.EOF at the end. Of ErrNoText the next row is
// independent; any other error stays.
func (p *Parquet) Next() (r Row, err error) {
	defer func() {
		if e := recover(); e != nil {
			r, err = Row{}, fmt.Errorf("%w: row %d: %v", ErrDamaged, p.row, e)
		}
	}()
	for p.left == 0 {
		groups := p.file.RowGroups()
		if p.group+1 >= len(groups) {
			return Row{}, io.EOF
		}
		p.group++
		p.left = groups[p.group].NumRows()
		chunks := groups[p.group].ColumnChunks()
		meta := &p.file.Metadata().RowGroups[p.group]
		for _, c := range p.columns {
			c.close()
			if codec := meta.Columns[c.index].MetaData.Codec; codec == format.Lz4Raw {
				// The library tries ever larger buffers where such a page is damaged.
				p.left, p.group = 0, len(groups)
				return Row{}, fmt.Errorf("%w: column %s is packed with LZ4, which is not read; write the file with zstd", ErrDamaged, c.leaf.Name())
			}
			chunk, ok := chunks[c.index].(*parquet.FileColumnChunk)
			if !ok {
				return Row{}, fmt.Errorf("%w: row group %d has no column %s", ErrDamaged, p.group, c.leaf.Name())
			}
			c.open(p.r, p.file.Size(), chunk, &meta.Columns[c.index].MetaData)
		}
	}
	p.left--
	p.row++
	for _, c := range p.columns {
		if err := c.next(); err != nil {
			p.left, p.group = 0, len(p.file.RowGroups())
			return Row{}, fmt.Errorf("%w: row %d, column %s: %w", ErrDamaged, p.row-1, c.leaf.Name(), err)
		}
	}
	return row(&p.found, func(i int) (string, bool) { return p.columns[i].text, p.columns[i].ok })
}

// Close lets go of the pages.
func (p *Parquet) Close() {
	defer func() { _ = recover() }()
	for _, c := range p.columns {
		c.close()
	}
}

// cells reads the cells of one column.
type cells struct {
	leaf  *parquet.Column
	index int
	show  func(parquet.Value) string

	// The pages of a chunk, and the place of the next one's header.
	pages  parquet.Pages
	check  *pageChecker
	values parquet.ValueReader
	page   parquet.Page
	buf    [128]parquet.Value
	have   []parquet.Value

	text string
	ok   bool
}

func (c *cells) open(r io.ReaderAt, size int64, chunk *parquet.FileColumnChunk, meta *format.ColumnMetaData) {
	c.check = newPageChecker(r, size, meta)
	c.pages = chunk.PagesFrom(r)
}

func (c *cells) close() {
	c.have = nil
	if c.page != nil {
		parquet.Release(c.page)
		c.page = nil
	}
	if c.pages != nil {
		_ = c.pages.Close() // it was only read
		c.pages = nil
	}
}

// fill reads some values.
func (c *cells) fill() error {
	for {
		if c.page == nil {
			if err := c.check.next(); err != nil {
				return err
			}
			page, err := c.pages.ReadPage()
			if err != nil {
				return err
			}
			c.page, c.values = page, page.Values()
		}
		n, err := c.values.ReadValues(c.buf[:])
		c.have = c.buf[:n]
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 {
			return nil
		}
		parquet.Release(c.page)
		c.page = nil
	}
}

// next reads the cell of the next row: its value, or the values of its list with blank
// lines between them.
func (c *cells) next() error {
	c.text, c.ok = "", false
	var list []string
	for n := 0; ; n++ {
		if len(c.have) == 0 {
			err := c.fill()
			if errors.Is(err, io.EOF) && n > 0 {
				break
			}
			if err != nil {
				if errors.Is(err, io.EOF) {
					err = errors.New("it has fewer rows than the file says")
				}
				return err
			}
		}
		v := c.have[0]
		if n > 0 && v.RepetitionLevel() == 0 {
			break
		}
		c.have = c.have[1:]
		if !v.IsNull() {
			list = append(list, c.show(v))
		}
		if c.leaf.MaxRepetitionLevel() == 0 {
			break
		}
	}
	if len(list) > 0 {
		c.text, c.ok = strings.Join(list, "\n\n"), true
	}
	return nil
}

// shows returns how values of a column are written as text, or nil for what holds
// neither text nor numbers nor dates.
func shows(c *parquet.Column) func(parquet.Value) string {
	plain := func(v parquet.Value) string { return v.String() }
	kind := logical(c)
	switch c.Type().Kind() {
	case parquet.ByteArray:
		switch kind.(type) {
		case *format.DecimalType, *format.BsonType, *format.VariantType, *format.GeometryType, *format.GeographyType:
			return nil
		}
		return func(v parquet.Value) string { return string(v.ByteArray()) }
	case parquet.Int64:
		if t, ok := kind.(*format.TimestampType); ok {
			switch t.Unit.Value.(type) {
			case *format.MilliSeconds:
				return func(v parquet.Value) string { return instant(time.UnixMilli(v.Int64())) }
			case *format.MicroSeconds:
				return func(v parquet.Value) string { return instant(time.UnixMicro(v.Int64())) }
			}
			return func(v parquet.Value) string { return instant(time.Unix(0, v.Int64())) }
		}
		switch t := c.Type().ConvertedType(); {
		case t == nil:
		case *t == deprecated.TimestampMillis:
			return func(v parquet.Value) string { return instant(time.UnixMilli(v.Int64())) }
		case *t == deprecated.TimestampMicros:
			return func(v parquet.Value) string { return instant(time.UnixMicro(v.Int64())) }
		}
		return plain
	case parquet.Int32:
		if _, date := kind.(*format.DateType); date {
			return func(v parquet.Value) string {
				return time.Unix(int64(v.Int32())*86400, 0).UTC().Format("2006-01-02")
			}
		}
		return plain
	case parquet.Boolean, parquet.Float, parquet.Double:
		return plain
	}
	return nil
}

// instant writes a time as documents have it.
func instant(t time.Time) string {
	t = t.UTC()
	if y := t.Year(); y < 0 || y > 9999 {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// pageChecker reads the headers of a chunk's pages ahead of the library.
type pageChecker struct {
	r       io.ReaderAt
	at, end int64
	values  int64
	err     error
}

func newPageChecker(r io.ReaderAt, size int64, meta *format.ColumnMetaData) *pageChecker {
	p := &pageChecker{r: r, at: meta.DataPageOffset, values: meta.NumValues}
	if meta.DictionaryPageOffset != 0 {
		p.at = meta.DictionaryPageOffset
	}
	if p.at < 0 || meta.TotalCompressedSize < 0 || p.at > size-meta.TotalCompressedSize {
		p.err = fmt.Errorf("its pages are said to lie at [%d, +%d) of %d bytes", p.at, meta.TotalCompressedSize, size)
	}
	p.end = p.at + meta.TotalCompressedSize
	return p
}

// next checks up to the next page of data.
func (p *pageChecker) next() error {
	for p.err == nil && p.at < p.end {
		h, length, err := p.header()
		if err != nil {
			p.err = fmt.Errorf("page header at byte %d: %w", p.at, err)
			return p.err
		}
		body := p.at + length
		size, unfolded := int64(h.CompressedPageSize), int64(h.UncompressedPageSize)
		n := int64(h.DataPageHeader.V.NumValues) + int64(h.DataPageHeaderV2.V.NumValues)
		dictionary := int64(h.DictionaryPageHeader.V.NumValues)
		switch {
		case size < 0 || size > p.end-body:
			p.err = fmt.Errorf("page at byte %d has %d bytes of %d that are left", p.at, size, p.end-body)
		case unfolded < 0 || unfolded > maxPage || unfolded > maxUnfolded+maxRatio*size:
			p.err = fmt.Errorf("page at byte %d has %d bytes and says it unfolds to %d", p.at, size, unfolded)
		case n < 0 || n > maxPageValues || n > p.values || dictionary < 0 || dictionary > maxPageValues || dictionary > 8*unfolded+1:
			p.err = fmt.Errorf("page at byte %d says it has %d values of %d that are left", p.at, max(n, dictionary), p.values)
		}
		if p.err != nil {
			return p.err
		}
		p.values -= n
		p.at = body + size
		if h.Type == format.DataPage || h.Type == format.DataPageV2 {
			return nil
		}
	}
	return p.err // at the end the library tells that it is the end
}

// header reads the header of the page at the present place, and its length.
func (p *pageChecker) header() (h format.PageHeader, length int64, err error) {
	// Headers are short, unless they quote values.
	for n := int64(1 << 10); ; n <<= 5 {
		b := make([]byte, min(n, p.end-p.at))
		if _, err := p.r.ReadAt(b, p.at); err != nil && !errors.Is(err, io.EOF) {
			return h, 0, err
		}
		h = format.PageHeader{}
		compact := thrift.CompactProtocol{}
		r := compact.NewReaderFromBytes(b)
		if err = thrift.NewDecoder(r).Decode(&h); err == nil || n >= maxPageHeader || int64(len(b)) < n {
			return h, int64(r.BytesRead()), err
		}
	}
}
