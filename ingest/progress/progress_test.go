package progress

import (
	"testing"
	"time"
)

func TestRateLeavesOutWhatWasDoneBefore(t *testing.T) {
	var m Meter
	m.Begin("training", "steps", 100, 40)
	m.Add(20)
	m.Note("loss 3.1")
	s := m.Snapshot()
	now := s.Began.Add(10 * time.Second)
	if s.Done != 60 || s.Note != "loss 3.1" {
		t.Errorf("snapshot %+v", s)
	}
	if got := s.Rate(now); got != 2 {
		t.Errorf("rate %g, want 2 steps a second", got)
	}
	if got := s.Left(now); got != 20*time.Second {
		t.Errorf("left %v, want 20s", got)
	}
}

func TestNilMeterCountsNothing(t *testing.T) {
	var m *Meter
	m.Begin("x", "y", 1, 0)
	m.Add(1)
	m.Note("z")
	if s := m.Snapshot(); s != (Snapshot{}) {
		t.Errorf("nil meter says %+v", s)
	}
}
