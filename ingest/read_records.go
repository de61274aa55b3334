package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tributary-ml/tributary/ingest/records"
	"github.com/tributary-ml/tributary/ingest/wiki"
)

// Causes of skips of records with fields.
const (
	causeSyntax  = "broken record"
	causeNoField = "no text field"
	causeNotText = "text field is no string"
)

// readRecords reads records with fields: JSON, Parquet, Arrow.
func readRecords(ctx context.Context, r *run, first int) error {
	for i := first; i < len(r.inputs); i++ {
		read := r.readTable
		if r.cfg.Kind == KindJSONL {
			read = r.readLines
		}
		if err := read(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// recordJob is one record on its way to be made a document.
type recordJob struct {
	data    []byte // of JSON
	row     records.Row
	err     error
	tooLong bool
	number  int64
	offset  int64
	seek    *seek
	damage  bool // no record, but that there are no more
}

func (j *recordJob) cost() int64 { return int64(len(j.data) + len(j.row.Text)) }

// each makes documents of an input's records in their order.
func (r *run) each(ctx context.Context, i int, decoder *records.Decoder, produce func(ctx context.Context, give func(recordJob) error) error) error {
	return ordered(ctx, r.cfg.Jobs, underway,
		func(ctx context.Context, give func(recordJob, int64) error) error {
			return produce(ctx, func(j recordJob) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return give(j, j.cost())
			})
		},
		func(j recordJob) (it item) {
			from := time.Now()
			defer func() {
				if p := recover(); p != nil {
					it = item{cause: causePanic, detail: fmt.Sprint(p)}
				}
				it.took = time.Since(from)
				it.record, it.offset, it.seek = j.number, j.offset, j.seek
			}()
			if j.data != nil && j.err == nil && !j.tooLong {
				j.row, j.err = decoder.Decode(j.data)
			}
			return r.recordItem(&j)
		},
		func(it item) error { return r.take(i, it) },
	)
}

// recordItem makes a document of a record.
func (r *run) recordItem(j *recordJob) item {
	switch {
	case j.tooLong:
		return item{cause: causeTooLarge, detail: fmt.Sprintf("it has more than %d bytes", r.cfg.MaxRecordBytes)}
	case j.damage:
		return item{cause: causeDamaged, detail: j.err.Error(), damage: true}
	case errors.Is(j.err, records.ErrNoText):
		return item{cause: causeNoField, detail: j.err.Error()}
	case errors.Is(j.err, records.ErrNotText):
		return item{cause: causeNotText, detail: j.err.Error()}
	case j.err != nil:
		return item{cause: causeSyntax, detail: j.err.Error()}
	}
	if int64(len(j.row.Text)) > r.cfg.MaxRecordBytes {
		return item{cause: causeTooLarge, detail: fmt.Sprintf("its text has %d bytes, more than %d", len(j.row.Text), r.cfg.MaxRecordBytes)}
	}
	text, dropped := cleanText(j.row.Text)
	it := item{
		key:     fmt.Sprintf("%d/%s", j.number, j.row.ID),
		source:  source{bytes: int64(len(j.row.Text)), digits: wiki.Digits(j.row.Text)},
		repairs: []Count{{Name: repairControls, Count: int64(dropped)}, {Name: repairUTF8, Count: int64(j.row.Repaired)}},
	}
	address := j.row.URL
	if address != "" {
		address = normalURL(address)
	}
	return it.document(&Document{
		Title: j.row.Title, Author: j.row.Author, URL: address, Date: j.row.Date, Revision: j.row.ID,
		Language: shortLanguage(j.row.Language), Text: text,
	})
}

// readLines reads records of JSON.
func (r *run) readLines(ctx context.Context, i int) error {
	in := r.inputs[i]
	from := r.seekOf(i)
	u, err := r.unpack(ctx, in, from)
	if isFar(err) {
		return fmt.Errorf("reading %s: %w", in.where(), err)
	}
	if err != nil {
		return r.take(i, item{cause: causeOf(err), detail: err.Error()})
	}
	defer u.close()
	kept := &salvage{r: u, n: u.base}
	limit := int(min(2*r.cfg.MaxRecordBytes, 1<<30)) // escapes make a text longer
	lines := records.NewLines(kept, limit)
	number := int64(0)
	if from != nil {
		if _, err := io.CopyN(io.Discard, kept, from.Offset-u.base); err != nil {
			return fmt.Errorf("reading %s: going on at byte %d: %w", in.where(), from.Offset, err)
		}
		lines = records.ResumeLines(kept, limit, from.Offset)
		number = from.Record
	}
	decoder := records.NewDecoder(r.cfg.Fields)
	last := number
	err = r.each(ctx, i, decoder, func(ctx context.Context, give func(recordJob) error) error {
		for ; ; number++ {
			line, err := lines.Next()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("reading %s: %w", in.where(), err) // only what isInput: see salvage
			}
			last = number
			j := recordJob{data: line.Data, tooLong: line.TooLong, number: number, offset: line.Offset}
			if line.TooLong {
				j.data = nil
			}
			if lines.ByLine() {
				j.seek = &seek{Record: number, Offset: line.Offset}
				j.seek.Block, j.seek.Damage = u.before(line.Offset)
			}
			if err := give(j); err != nil {
				return err
			}
		}
	})
	if err != nil {
		return err
	}
	return r.ends(i, u, kept, last, nil)
}

// table is a file of rows.
type table interface {
	Skip(n int64) error
	Next() (records.Row, error)
	Close()
}

// readTable reads the rows of a Parquet or Arrow file.
func (r *run) readTable(ctx context.Context, i int) error {
	in := r.inputs[i]
	f, err := r.places.open(ctx, in)
	if isFar(err) {
		return fmt.Errorf("reading %s: %w", in.where(), err)
	}
	if err != nil {
		return r.take(i, item{cause: causeUnreadable, detail: err.Error()})
	}
	defer f.close()
	var t table
	var rows int64 // that the file says it has
	if r.cfg.Kind == KindParquet {
		var at io.ReaderAt = f
		if in.far != nil {
			at = newWindows(f, f.size)
		}
		var p *records.Parquet
		if p, err = records.OpenParquet(at, f.size, r.cfg.Fields); err == nil {
			t, rows = p, p.Rows()
		}
		if in.share > 0 {
			rows = int64(in.share * float64(rows))
		}
	} else {
		var content io.ReadCloser
		if content, err = decompress(&metered{ctx, f.from(0), r.cfg.Meter}, 1, nil); err == nil {
			defer content.Close()
			t, err = records.OpenArrow(content, r.cfg.Fields)
		}
	}
	if err != nil {
		switch {
		case isFar(err), ctx.Err() != nil, !errors.Is(err, records.ErrDamaged) && t == nil && !isInput(err):
			// That there is no such column is no fault of the file.
			return fmt.Errorf("reading %s: %w", in.where(), errors.Join(ctx.Err(), err))
		}
		return r.take(i, item{cause: causeOf(err), detail: err.Error()})
	}
	defer t.Close()
	number := int64(0)
	if from := r.seekOf(i); from != nil {
		if err := t.Skip(from.Record); err != nil {
			return fmt.Errorf("reading %s: going on at row %d: %w", in.where(), from.Record, err)
		}
		number = from.Record
	}
	done := int64(0) // bytes that were told to the meter
	return r.each(ctx, i, nil, func(ctx context.Context, give func(recordJob) error) error {
		for ; ; number++ {
			j := recordJob{number: number, offset: number}
			if j.row, j.err = t.Next(); in.share > 0 && number >= rows {
				j.err = io.EOF
			}
			switch {
			case errors.Is(j.err, io.EOF):
				r.cfg.Meter.Add(in.size - done)
				return nil
			case isFar(j.err):
				return fmt.Errorf("reading %s: %w", in.where(), j.err)
			case errors.Is(j.err, records.ErrDamaged):
				j.damage = true
			default:
				j.seek = &seek{Record: number, Offset: number}
			}
			if rows > 0 {
				to := int64(float64(in.size) * float64(number) / float64(rows))
				r.cfg.Meter.Add(to - done)
				done = to
			} else {
				done = in.size
			}
			if err := give(j); err != nil || j.damage {
				return err
			}
		}
	})
}
