// Package progress carries how far a stage has come from the stage to whoever
// shows it. A stage counts; it does not print.
package progress

import (
	"sync"
	"sync/atomic"
	"time"
)

// Meter counts the work of one stage. All methods may be called on a nil Meter,
// which counts nothing, and from several goroutines.
type Meter struct {
	done  atomic.Int64
	mu    sync.Mutex
	state Snapshot
}

// Snapshot is a Meter's state at one moment.
type Snapshot struct {
	// What is being done ("ingesting wiki.xml.bz2") and in what unit it is
	// counted ("bytes", "documents", "steps").
	What, Unit string
	// Done of Total units are done; Total is 0 when it is not known. Base is how
	// many of Done were found done already when the work began: rates leave them
	// out.
	Done, Total, Base int64
	// Note is a short word on the state, such as the loss.
	Note string
	// Began is when the work began.
	Began time.Time
}

// Begin starts a piece of work: total units, 0 when not known, of which base are
// done already.
func (m *Meter) Begin(what, unit string, total, base int64) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state = Snapshot{What: what, Unit: unit, Total: total, Base: base, Began: time.Now()}
	m.done.Store(base)
}

// Add counts n units as done.
func (m *Meter) Add(n int64) {
	if m != nil {
		m.done.Add(n)
	}
}

// Note replaces the short word on the state.
func (m *Meter) Note(note string) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state.Note = note
}

// Snapshot returns the state.
func (m *Meter) Snapshot() Snapshot {
	if m == nil {
		return Snapshot{}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.state
	s.Done = m.done.Load()
	return s
}

// Rate returns the units done per second since Began, at the time now.
func (s Snapshot) Rate(now time.Time) float64 {
	if d := now.Sub(s.Began).Seconds(); d > 0 {
		return float64(s.Done-s.Base) / d
	}
	return 0
}

// Left returns the time left at the present rate, or 0 when it cannot be known.
func (s Snapshot) Left(now time.Time) time.Duration {
	rate := s.Rate(now)
	if s.Total <= s.Done || rate <= 0 {
		return 0
	}
	return time.Duration(float64(s.Total-s.Done) / rate * float64(time.Second))
}
