package masking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tributary-ml/tributary/mixer"
)

// Stream gives the batches of a mix under an objective. It builds the next few
// ahead of time, and keeps nothing that a step could depend on.
type Stream struct {
	mixer      *mixer.Mixer
	objectives map[int]Objective // by the sequence length
	ahead      int

	ctx  context.Context // of the batches built ahead
	stop context.CancelFunc
	wait sync.WaitGroup

	mu          sync.Mutex
	rank, ranks int
	pending     map[int64]*pending
	meter       Meter
}

// pending is a batch that is being built ahead.
type pending struct {
	stop  context.CancelFunc
	done  chan struct{} // closed when batch or err is set
	batch *Batch
	err   error
}

// Meter says how well a stream keeps up with who reads it.
type Meter struct {
	// Batches were given, of which Ready were there when they were asked for.
	Batches, Ready int64
	// Waited is how long the reader waited for the others.
	Waited time.Duration
}

// ErrClosed means that a stream was used after Close.
var ErrClosed = errors.New("the stream of batches is closed")

// NewStream returns the stream of an open mix under an objective, which must have
// been made for the same layout and sequence length. When stages of the mix have
// other sequence lengths, others are the same objective made for these. Up to ahead
// batches are built before they are asked for, each on a goroutine of its own. Close
// it after use; that does not close the mixer.
func NewStream(m *mixer.Mixer, o Objective, ahead int, others ...Objective) (*Stream, error) {
	s := &Stream{mixer: m, objectives: map[int]Objective{}, ahead: max(ahead, 0), pending: map[int64]*pending{}}
	lengths := []int{m.Options().SeqLen}
	for _, stage := range m.Options().Stages {
		if stage.SeqLen != 0 {
			lengths = append(lengths, stage.SeqLen)
		}
	}
	for _, o := range append([]Objective{o}, others...) {
		if o.Layout() != m.Options().Layout {
			return nil, fmt.Errorf("objective %s wants windows in the layout %v and the mix was opened with %v", o.Name(), o.Layout(), m.Options().Layout)
		}
		if !slices.Contains(lengths, o.SeqLen()) {
			return nil, fmt.Errorf("objective %s was made for sequences of %d tokens and the mix was opened for %d", o.Name(), o.SeqLen(), lengths)
		}
		s.objectives[o.SeqLen()] = o
	}
	for _, length := range lengths {
		if s.objectives[length] == nil {
			return nil, fmt.Errorf("the mix has sequences of %d tokens, for which there is no objective", length)
		}
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	return s, nil
}

// Batch returns a rank's part of a step. The parts of all ranks, end to end in the
// order of the ranks, are the whole step; a part is empty when there are more
// ranks than samples.
func (s *Stream) Batch(ctx context.Context, step int64, rank, ranks int) (*Batch, error) {
	began := time.Now()
	p, err := s.take(step, rank, ranks)
	if err != nil {
		return nil, err
	}
	if p == nil {
		b, err := s.build(ctx, step, rank, ranks)
		s.count(false, began)
		return b, err
	}
	ready := true
	select {
	case <-p.done:
	default:
		ready = false
		select {
		case <-p.done:
		case <-ctx.Done():
			p.stop()
			return nil, ctx.Err()
		}
	}
	p.stop()
	s.count(ready, began)
	if errors.Is(p.err, context.Canceled) && s.ctx.Err() != nil {
		return nil, ErrClosed
	}
	return p.batch, p.err
}

// take starts what is to be built ahead and takes the step out of it; nil when
// the stream does not build ahead.
func (s *Stream) take(step int64, rank, ranks int) (*pending, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if s.ahead == 0 {
		return nil, nil
	}
	for at, p := range s.pending {
		if rank != s.rank || ranks != s.ranks || at < step || at-step > int64(s.ahead) {
			p.stop()
			delete(s.pending, at)
		}
	}
	s.rank, s.ranks = rank, ranks
	for i := range int64(s.ahead) + 1 {
		at := step + i
		if at < step || s.pending[at] != nil {
			continue
		}
		ctx, stop := context.WithCancel(s.ctx)
		p := &pending{stop: stop, done: make(chan struct{})}
		s.pending[at] = p
		s.wait.Go(func() {
			defer close(p.done)
			p.batch, p.err = s.build(ctx, at, rank, ranks)
		})
	}
	p := s.pending[step]
	delete(s.pending, step)
	return p, nil
}

func (s *Stream) build(ctx context.Context, step int64, rank, ranks int) (*Batch, error) {
	samples, err := s.mixer.Samples(ctx, step, rank, ranks)
	if err != nil {
		return nil, err
	}
	return s.objectives[s.mixer.SeqLen(step)].Build(step, samples), nil
}

func (s *Stream) count(ready bool, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.meter.Batches++
	if ready {
		s.meter.Ready++
	} else {
		s.meter.Waited += time.Since(began)
	}
}

// Meter returns how well the stream has kept up so far.
func (s *Stream) Meter() Meter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meter
}

// Mixer returns the mix the stream reads.
func (s *Stream) Mixer() *mixer.Mixer { return s.mixer }

// Objective returns the objective as it is at step 0.
func (s *Stream) Objective() Objective { return s.objectives[s.mixer.Options().SeqLen] }

// Close stops what is being built ahead.
func (s *Stream) Close() {
	s.stop()
	s.mu.Lock()
	clear(s.pending)
	s.mu.Unlock()
	s.wait.Wait()
}
