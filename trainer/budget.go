package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"
)

// BudgetFile is the name of a budget's record in a run's directory: one JSON
// object {"step", "fraction"} a line, from step 0 on. Copied into the directory of
// a new run, it makes that run repeat the old one.
const BudgetFile = "budget.jsonl"

// spent is a line of the record: the part of the budget that was spent when the
// step began.
type spent struct {
	Step     int64   `json:"step"`
	Fraction float64 `json:"fraction"`
}

// budget tells how much of a run's time is spent, and remembers what it told.
type budget struct {
	total time.Duration
	file  *os.File
	told  []float64 // by step
	// The clock counts from began, when the run had spent base.
	began time.Time
	base  float64
	now   func() time.Time
}

// openBudget opens the record in dir of a run whose next step is the given one,
// which had spent the fraction when its checkpoint was written. A last line that a
// killed process left unfinished is cut.
func openBudget(dir string, total time.Duration, step int64, fraction float64, now func() time.Time) (_ *budget, err error) {
	path := filepath.Join(dir, BudgetFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the record of the time budget: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	b := &budget{total: total, file: f, now: now}
	dec := json.NewDecoder(f)
	var whole int64
	for {
		var l spent
		err := dec.Decode(&l)
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s, line %d: %w", path, len(b.told)+1, err)
		}
		last := 0.0
		if n := len(b.told); n > 0 {
			last = b.told[n-1]
		}
		if l.Step != int64(len(b.told)) || !(l.Fraction >= last) || math.IsInf(l.Fraction, 0) {
			return nil, fmt.Errorf("reading %s, line %d: step %d at %v after %v", path, len(b.told)+1, l.Step, l.Fraction, last)
		}
		b.told = append(b.told, l.Fraction)
		whole = dec.InputOffset()
	}
	if whole > 0 {
		whole++ // the line's end, which is not there when the process was killed before it
	}
	// Steps whose lines were lost with the machine were made all the same.
	lost := int64(len(b.told)) < step
	if err := f.Truncate(whole); err != nil {
		return nil, fmt.Errorf("cutting %s to whole lines: %w", path, err)
	}
	if whole > 0 {
		if _, err := f.WriteAt([]byte{'\n'}, whole-1); err != nil {
			return nil, fmt.Errorf("writing %s: %w", path, err)
		}
	}
	if _, err := f.Seek(whole, io.SeekStart); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	for lost && int64(len(b.told)) < step {
		if err := b.tell(fraction); err != nil {
			return nil, err
		}
	}
	b.base = fraction
	if n := len(b.told); n > 0 {
		b.base = b.told[n-1]
	}
	return b, nil
}

// tell appends a step's fraction to the record.
func (b *budget) tell(fraction float64) error {
	data, err := json.Marshal(spent{int64(len(b.told)), fraction})
	if err == nil {
		_, err = b.file.Write(append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("writing the record of the time budget: %w", err)
	}
	b.told = append(b.told, fraction)
	return nil
}

// at returns the part of the budget that was spent when a step began: what the
// record says, or else the clock, which then begins to count or goes on.
func (b *budget) at(step int64) (float64, error) {
	if step < int64(len(b.told)) {
		return b.told[step], nil
	}
	if b.began.IsZero() {
		b.began = b.now()
	}
	fraction := b.base + b.now().Sub(b.began).Seconds()/b.total.Seconds()
	return fraction, b.tell(fraction)
}

// sync makes the record last.
func (b *budget) sync() error { return b.file.Sync() }

func (b *budget) close() error { return b.file.Close() }
