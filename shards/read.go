package shards

import (
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// readBlock reads row group g of the file into b.
func (f *shardFile) readBlock(path string, g int, info BlockInfo, b *Block) error {
	return guard(path, func() error {
		groups := f.pq.RowGroups()
		if g >= len(groups) || groups[g].NumRows() != info.Rows {
			return fmt.Errorf("its row group %d is not the block that its manifest lists", g)
		}
		chunks := groups[g].ColumnChunks()
		var err error
		if b.IDs, b.text, err = readStrings(chunks[f.cols.id], b.IDs[:0], b.text[:0]); err != nil {
			return fmt.Errorf("column id: %w", err)
		}
		if b.Tokens, b.DocBounds, err = readLists(chunks[f.cols.tokens], b.Tokens[:0], b.DocBounds[:0]); err != nil {
			return fmt.Errorf("column tokens: %w", err)
		}
		if b.SentenceEnds, b.SentenceBounds, err = readLists(chunks[f.cols.ends], b.SentenceEnds[:0], b.SentenceBounds[:0]); err != nil {
			return fmt.Errorf("column sentence_ends: %w", err)
		}
		return b.check(info)
	})
}

// check sees to it that a block is what the rest of the house takes it for.
func (b *Block) check(info BlockInfo) error {
	rows := int(info.Rows)
	if len(b.IDs) != rows || len(b.DocBounds) != rows+1 || len(b.SentenceBounds) != rows+1 || int64(len(b.Tokens)) != info.Tokens {
		return fmt.Errorf("a block of %d rows and %d tokens has %d ids, %d documents and %d tokens",
			rows, info.Tokens, len(b.IDs), len(b.DocBounds)-1, len(b.Tokens))
	}
	for i := range rows {
		length := b.DocBounds[i+1] - b.DocBounds[i]
		last := int32(0)
		for _, e := range b.SentenceEnds[b.SentenceBounds[i]:b.SentenceBounds[i+1]] {
			if e <= last {
				return fmt.Errorf("the sentence ends of document %s do not ascend", b.IDs[i])
			}
			last = e
		}
		if last != length {
			return fmt.Errorf("the last sentence of document %s ends at token %d of %d", b.IDs[i], last, length)
		}
	}
	return nil
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

// readLists appends the values of a list column to values, and to bounds where
// each row's begin, and the end.
func readLists(chunk parquet.ColumnChunk, values, bounds []int32) ([]int32, []int32, error) {
	err := eachPage(chunk, func(p parquet.Page) error {
		rep, def := p.RepetitionLevels(), p.DefinitionLevels()
		if len(rep) != len(def) {
			return fmt.Errorf("a page has %d repetition and %d definition levels", len(rep), len(def))
		}
		at := int32(len(values))
		for i, r := range rep {
			if r == 0 {
				bounds = append(bounds, at)
			}
			at += int32(def[i])
		}
		data := p.Data()
		values = append(values, data.Int32()...)
		if int(at) != len(values) {
			return fmt.Errorf("a page's levels count %d values up to its end, there are %d", at, len(values))
		}
		return nil
	})
	return values, append(bounds, int32(len(values))), err
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
