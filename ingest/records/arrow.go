package records

import (
	"errors"
	"fmt"
	"io"

	"github.com/tributary-ml/tributary/ingest/columnar"
)

// maxBatch is the longest record batch of an Arrow stream that is read. It is held
// twice.
const maxBatch = 160 << 20

// Arrow reads the rows of an Arrow stream or file, of which it holds a record batch.
type Arrow struct {
	rows  *columnar.Rows
	found [parts][]int
	row   int64
}

// OpenArrow begins to read a stream and finds its columns.
func OpenArrow(r io.Reader, f Fields) (*Arrow, error) {
	rows, err := columnar.OpenRows(r, maxBatch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	a := &Arrow{rows: rows}
	if a.found, err = f.columns(rows.Columns()); err != nil {
		rows.Close()
		return nil, err
	}
	return a, nil
}

// Skip passes n rows.
func (a *Arrow) Skip(n int64) error {
	for ; n > 0; n-- {
		if !a.rows.Next() {
			if err := a.rows.Err(); err != nil {
				return fmt.Errorf("%w: row %d: %w", ErrDamaged, a.row, err)
			}
			return io.EOF
		}
		a.row++
	}
	return nil
}

// Next returns the next row; io.EOF at the end. Of ErrNoText the next row is
// independent; any other error stays.
func (a *Arrow) Next() (Row, error) {
	if err := a.Skip(1); err != nil {
		return Row{}, err
	}
	var failed error
	r, err := row(&a.found, func(c int) (string, bool) {
		s, ok, err := a.rows.Text(c)
		failed = errors.Join(failed, err)
		return s, ok
	})
	if failed != nil {
		return Row{}, fmt.Errorf("%w: row %d: %w", ErrDamaged, a.row-1, failed)
	}
	return r, err
}

// Close lets go of the record batch.
func (a *Arrow) Close() { a.rows.Close() }
