package shards

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/parquet-go/parquet-go"

	"github.com/tributary-ml/tributary/ingest/signals"
)

// Values returns the columns that hold one value a row, by name, each with a value
// of the type that ReadValues gives: int, float64, bool or string.
func (s *Set) Values() (map[string]any, error) {
	columns := map[string]any{}
	if s.Blocks() == 0 {
		return columns, nil
	}
	first := 0
	if len(s.missing) == len(s.manifest.Files) {
		return columns, nil
	}
	for slices.Contains(s.missing, first) {
		first++
	}
	f, err := s.acquire(context.Background(), first)
	if err != nil {
		return nil, err
	}
	defer s.release(f)
	for _, field := range f.pq.Schema().Fields() {
		if !field.Leaf() || !field.Required() {
			continue
		}
		switch field.Type().Kind() {
		case parquet.Int32, parquet.Int64:
			columns[field.Name()] = 0
		case parquet.Float, parquet.Double:
			columns[field.Name()] = 0.0
		case parquet.Boolean:
			columns[field.Name()] = false
		case parquet.ByteArray:
			columns[field.Name()] = ""
		}
	}
	return columns, nil
}

// ReadValues reads columns of block i, each of which Values must have named. The
// result has one slice for each name, of one value a row.
func (s *Set) ReadValues(ctx context.Context, i int, names []string) ([][]any, error) {
	values := make([][]any, len(names))
	_, err := s.withBlock(ctx, i, func(v *view) (err error) {
		for j, name := range names {
			leaf, ok := v.file.pq.Schema().Lookup(name)
			if !ok {
				return fmt.Errorf("it has no column %q", name)
			}
			if values[j], err = readValues(v.chunk[leaf.ColumnIndex], int(v.info.Rows)); err != nil {
				return fmt.Errorf("column %s: %w", name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// readValues reads a column of one value a row.
func readValues(chunk parquet.ColumnChunk, rows int) (values []any, err error) {
	values = make([]any, 0, rows)
	pages := chunk.Pages()
	defer func() { err = errors.Join(err, pages.Close()) }()
	buf := make([]parquet.Value, 256)
	for {
		p, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		for r := p.Values(); err == nil; {
			var n int
			n, err = r.ReadValues(buf)
			for _, v := range buf[:n] {
				values = append(values, valueOf(v))
			}
		}
		parquet.Release(p)
		if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	if len(values) != rows {
		return nil, fmt.Errorf("%d values in %d rows", len(values), rows)
	}
	return values, nil
}

func valueOf(v parquet.Value) any {
	switch v.Kind() {
	case parquet.Int32:
		return int(v.Int32())
	case parquet.Int64:
		return int(v.Int64())
	case parquet.Float:
		return signals.Float(v.Float())
	case parquet.Double:
		return v.Double()
	case parquet.Boolean:
		return v.Boolean()
	}
	return string(v.ByteArray())
}
