package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/delta"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// readBlock reads the documents of a block into b, with their tokens if these are
// wanted.
func (v *view) readBlock(b *Block, tokens bool) (err error) {
	if b.IDs, b.text, err = readStrings(v.chunk[v.file.cols.id], b.IDs[:0], b.text[:0]); err != nil {
		return fmt.Errorf("column id: %w", err)
	}
	rows := int(v.info.Rows)
	b.DocBounds = append(slices.Grow(b.DocBounds[:0], rows+1), 0)
	if b.DocBounds, err = v.readInts(v.file.cols.length, b.DocBounds, rows); err != nil {
		return fmt.Errorf("column length: %w", err)
	}
	total := int64(0)
	for i := range rows {
		n := b.DocBounds[i+1]
		if total += int64(n); n < 0 || total > math.MaxInt32 {
			return fmt.Errorf("document %d has %d tokens", i, n)
		}
		b.DocBounds[i+1] = int32(total)
	}
	if total != v.info.Tokens {
		return fmt.Errorf("its documents have %d tokens, its manifest says %d", total, v.info.Tokens)
	}
	b.Tokens = b.Tokens[:0]
	if tokens {
		b.Tokens = slices.Grow(b.Tokens, int(total))
		if b.Tokens, err = v.readInts(v.file.cols.tokens, b.Tokens, int(total)); err != nil {
			return fmt.Errorf("column tokens: %w", err)
		}
	}
	// Each document but an empty one has a sentence that ends where it does.
	ends := v.values(v.file.cols.ends)
	if ends > int(total)+rows {
		return fmt.Errorf("%d sentences in %d tokens", ends, total)
	}
	b.SentenceEnds = slices.Grow(b.SentenceEnds[:0], ends)
	if b.SentenceEnds, err = v.readInts(v.file.cols.ends, b.SentenceEnds, -1); err != nil {
		return fmt.Errorf("column sentence_ends: %w", err)
	}
	return b.bound(rows)
}

// bound finds the bounds of the sentences of each document and sees to it that the
// block is what the rest of the house takes it for.
func (b *Block) bound(rows int) error {
	if len(b.IDs) != rows {
		return fmt.Errorf("a block of %d rows has %d ids", rows, len(b.IDs))
	}
	b.SentenceBounds = append(slices.Grow(b.SentenceBounds[:0], rows+1), 0)
	at := 0
	for i := range rows {
		length := b.DocBounds[i+1] - b.DocBounds[i]
		for last := int32(0); last < length; at++ {
			if at == len(b.SentenceEnds) {
				return fmt.Errorf("the last sentence of document %s ends at token %d of %d", b.IDs[i], last, length)
			}
			end := b.SentenceEnds[at]
			if end <= last {
				return fmt.Errorf("the sentence ends of document %s do not ascend", b.IDs[i])
			}
			if end > length {
				return fmt.Errorf("a sentence of document %s ends at token %d of %d", b.IDs[i], end, length)
			}
			last = end
		}
		b.SentenceBounds = append(b.SentenceBounds, int32(at))
	}
	if at != len(b.SentenceEnds) {
		return fmt.Errorf("%d sentences in documents that have %d", len(b.SentenceEnds), at)
	}
	return nil
}

// column returns what the file says of a column of the block.
func (v *view) column(i int) *format.ColumnMetaData {
	return &v.file.pq.Metadata().RowGroups[v.index].Columns[i].MetaData
}

// values is the number of values of a column, absent ones of empty lists included.
func (v *view) values(i int) int { return int(min(v.column(i).NumValues, math.MaxInt32)) }

// readInts appends the values of a column of 32-bit integers to dst: want of them, or
// as many as there are when want is negative. It passes over the levels of a list,
// which follow from other columns.
func (v *view) readInts(i int, dst []int32, want int) ([]int32, error) {
	meta := v.column(i)
	begin := meta.DataPageOffset - v.info.Offset
	if d := meta.DictionaryPageOffset; d != 0 {
		return dst, errors.New("it is dictionary-encoded, which this column of shards never is")
	}
	if begin < 0 || meta.TotalCompressedSize < 0 || begin > int64(len(v.raw))-meta.TotalCompressedSize {
		return dst, fmt.Errorf("it lies at bytes %d to %d of a block of %d", begin, begin+meta.TotalCompressedSize, len(v.raw))
	}
	// The decoder of packed pages may look at what follows them, but not use it.
	rest := v.raw[begin : begin+meta.TotalCompressedSize]
	from := len(dst)
	var protocol thrift.CompactProtocol
	for values := int64(0); values < meta.NumValues; {
		r := protocol.NewReaderFromBytes(rest)
		var h format.PageHeader
		if err := thrift.NewDecoder(r).Decode(&h); err != nil {
			return dst, fmt.Errorf("the header of a page: %w", err)
		}
		rest = rest[r.BytesRead():]
		if !h.DataPageHeaderV2.Valid || h.CompressedPageSize < 0 || int(h.CompressedPageSize) > len(rest) {
			return dst, fmt.Errorf("a page of kind %v has %d of %d bytes", h.Type, h.CompressedPageSize, len(rest))
		}
		p := h.DataPageHeaderV2.V
		page := rest[:h.CompressedPageSize]
		rest = rest[h.CompressedPageSize:]
		levels := int64(p.RepetitionLevelsByteLength) + int64(p.DefinitionLevelsByteLength)
		n := int(p.NumValues) - int(p.NumNulls)
		if levels < 0 || levels > int64(len(page)) || p.NumValues < 1 || p.NumNulls < 0 || n < 0 || want >= 0 && len(dst)-from+n > want {
			return dst, fmt.Errorf("a page has %d values, %d of them null, and %d bytes of levels in %d", p.NumValues, p.NumNulls, levels, len(page))
		}
		values += int64(p.NumValues)
		page = page[levels:]
		if meta.Codec == format.Zstd && (!p.IsCompressed.Valid || p.IsCompressed.V) && n > 0 {
			var err error
			if page, err = new(zstd.Codec).Decode(make([]byte, 0, max(int(h.UncompressedPageSize), 0)), page); err != nil {
				return dst, fmt.Errorf("a page: %w", err)
			}
		} else if meta.Codec != format.Zstd && meta.Codec != format.Uncompressed {
			return dst, fmt.Errorf("it is compressed with %v", meta.Codec)
		}
		var err error
		if dst, err = decodeInts(dst, page, n, p.Encoding); err != nil {
			return dst, fmt.Errorf("a page: %w", err)
		}
	}
	if want >= 0 && len(dst)-from != want {
		return dst, fmt.Errorf("it has %d values instead of %d", len(dst)-from, want)
	}
	return dst, nil
}

// decodeInts appends the n values of a page to dst.
func decodeInts(dst []int32, page []byte, n int, encoding format.Encoding) ([]int32, error) {
	if n == 0 {
		return dst, nil
	}
	switch encoding {
	case format.Plain:
		if len(page) != 4*n {
			return dst, fmt.Errorf("%d bytes hold no %d values", len(page), n)
		}
		at := len(dst)
		dst = slices.Grow(dst, n)[:at+n]
		for i := range dst[at:] {
			dst[at+i] = int32(binary.LittleEndian.Uint32(page[4*i:]))
		}
		return dst, nil
	case format.DeltaBinaryPacked:
		// The header's number of values is what the decoder makes room for.
		head := page
		var total uint64
		for range 3 {
			x, size := binary.Uvarint(head)
			if size <= 0 {
				return dst, errors.New("its packed values have no header")
			}
			total, head = x, head[size:]
		}
		if total != uint64(n) {
			return dst, fmt.Errorf("its packed values are %d instead of %d", total, n)
		}
		at := len(dst)
		dst = slices.Grow(dst, n)
		out, err := new(delta.BinaryPackedEncoding).DecodeInt32(dst[at:at:cap(dst)], page)
		if err != nil {
			return dst, err
		}
		if len(out) != n {
			return dst, fmt.Errorf("its packed values are %d instead of %d", len(out), n)
		}
		if dst = dst[:at+n]; &out[0] != &dst[at] {
			copy(dst[at:], out)
		}
		return dst, nil
	}
	return dst, fmt.Errorf("its encoding is %v", encoding)
}

// eachPage calls f with the pages of a column chunk.
func eachPage(chunk parquet.ColumnChunk, f func(parquet.Page) error) (err error) {
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	for {
		p, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if p.Dictionary() != nil {
			return errors.New("a page is dictionary-encoded, which shards never are")
		}
		err = f(p)
		parquet.Release(p)
		if err != nil {
			return err
		}
	}
}

// readStrings appends a column's strings to dst. They share one allocation.
func readStrings(chunk parquet.ColumnChunk, dst []string, text []byte) ([]string, []byte, error) {
	var ends []int
	err := eachPage(chunk, func(p parquet.Page) error {
		data := p.Data()
		b, offsets := data.ByteArray()
		for i := 1; i < len(offsets); i++ {
			text = append(text, b[offsets[i-1]:offsets[i]]...)
			ends = append(ends, len(text))
		}
		return nil
	})
	all := string(text)
	from := 0
	for _, to := range ends {
		dst = append(dst, all[from:to])
		from = to
	}
	return dst, text, err
}

// readIDs reads the ids of a block alone.
func (v *view) readIDs(b *Block) (err error) {
	if b.IDs, b.text, err = readStrings(v.chunk[v.file.cols.id], b.IDs[:0], b.text[:0]); err == nil && len(b.IDs) != int(v.info.Rows) {
		err = fmt.Errorf("a block of %d rows has %d ids", v.info.Rows, len(b.IDs))
	}
	return err
}
