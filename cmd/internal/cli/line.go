package cli

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/progress"
)

// The progress line is drawn anew at drawEvery on a terminal; elsewhere a line
// is added at plainEvery, so that a log shows that work goes on.
const (
	drawEvery  = 150 * time.Millisecond
	plainEvery = 30 * time.Second
)

// line is standard error with a progress line at its end. Writing to it puts text
// above the progress line.
type line struct {
	env   *Env
	mu    sync.Mutex
	shown bool
}

func (l *line) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wipe()
	return l.env.Err.Write(p)
}

func (l *line) wipe() {
	if l.shown {
		fmt.Fprint(l.env.Err, "\r\x1b[K")
		l.shown = false
	}
}

func (l *line) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wipe()
}

func (l *line) draw(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.env.Terminal {
		fmt.Fprintln(l.env.Err, text)
		return
	}
	for utf8.RuneCountInString(text) >= l.env.Width {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	fmt.Fprint(l.env.Err, "\r\x1b[K"+text)
	l.shown = true
}

// Meter returns a meter whose state is shown until stop is called. With --quiet
// it counts and nothing is shown.
func (e *Env) Meter(ctx context.Context) (m *progress.Meter, stop func()) {
	m = new(progress.Meter)
	if e.Quiet {
		return m, func() {}
	}
	every := plainEvery
	if e.Terminal {
		every = drawEvery
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				if s := m.Snapshot(); s.What != "" {
					e.line.draw(Format(s, now))
				}
			}
		}
	}()
	return m, func() {
		cancel()
		<-done
		e.line.clear()
	}
}

// Format is a meter's state as one line: what, done of total, rate, time left.
func Format(s progress.Snapshot, now time.Time) string {
	var b strings.Builder
	b.WriteString(s.What)
	b.WriteString(": ")
	amount, perSecond := count(s.Done), count(int64(s.Rate(now)))
	total := count(s.Total)
	unit := " " + s.Unit
	if s.Unit == "bytes" {
		amount, perSecond, total, unit = Bytes(s.Done), Bytes(int64(s.Rate(now))), Bytes(s.Total), ""
	}
	if rate := s.Rate(now); s.Unit != "bytes" && rate < 10 {
		perSecond = fmt.Sprintf("%.2g", rate)
	}
	if s.Total > 0 {
		fmt.Fprintf(&b, "%s of %s%s (%.0f %%)", amount, total, unit, 100*float64(s.Done)/float64(s.Total))
	} else {
		b.WriteString(amount + unit)
	}
	fmt.Fprintf(&b, ", %s/s", perSecond)
	if left := s.Left(now); left > 0 {
		b.WriteString(", " + Duration(left) + " left")
	}
	if s.Note != "" {
		b.WriteString(", " + s.Note)
	}
	return b.String()
}

func count(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprint(n)
	case n < 10_000_000:
		return fmt.Sprintf("%.1f k", float64(n)/1e3)
	default:
		return fmt.Sprintf("%.1f M", float64(n)/1e6)
	}
}

// Bytes is a size for people, in powers of 1024.
func Bytes(n int64) string {
	const units = "KMGTP"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, i := float64(n)/1024, 0
	for v >= 1024 && i < len(units)-1 {
		v /= 1024
		i++
	}
	return fmt.Sprintf("%.1f %ciB", v, units[i])
}

// Duration is a time for people, to the second.
func Duration(d time.Duration) string {
	s := int64(d.Round(time.Second).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	default:
		return fmt.Sprintf("%d h %02d min", s/3600, s%3600/60)
	}
}
