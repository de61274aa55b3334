package trainer

import (
	"maps"

	"github.com/tributary-ml/tributary/model"
)

// checkpointer writes checkpoints beside the steps: a step waits only while the
// weights and moments are copied, and for a checkpoint before that is not yet
// written.
type checkpointer struct {
	dir  string
	keep Checkpointing
	// params and opt are the live ones; held and moments are copies of them, made
	// with the first checkpoint.
	params  []*model.Param
	opt     *optimizer
	held    []*model.Param
	moments *optimizer
	// pending is closed when the checkpoint that is being written is; nil when there
	// is none.
	pending chan struct{}
	path    string
	err     error
}

// begin copies what a checkpoint of state s holds and begins to write it. It
// returns the error of the one before.
func (c *checkpointer) begin(s *State) error {
	if err := c.wait(); err != nil {
		return err
	}
	c.copy()
	state := *s
	state.SourceTokens = maps.Clone(s.SourceTokens)
	state.Window.Sources = maps.Clone(s.Window.Sources)
	pending := make(chan struct{})
	c.pending = pending
	go func() {
		defer close(pending)
		c.path, c.err = writeCheckpoint(c.dir, &state, c.held, c.moments, c.keep)
	}()
	return nil
}

func (c *checkpointer) copy() {
	if c.held == nil {
		c.moments = newOptimizer(c.opt.Optimizer, c.opt.decay, nil, c.params)
		for _, p := range c.params {
			c.held = append(c.held, &model.Param{Name: p.Name, Shape: p.Shape, Data: make([]float32, len(p.Data))})
		}
	}
	for i, p := range c.params {
		copy(c.held[i].Data, p.Data)
	}
	c.opt.copyTo(c.moments)
}

// wait waits for the checkpoint that is being written. The path of the last one
// that was written is then in c.path.
func (c *checkpointer) wait() error {
	if c.pending == nil {
		return nil
	}
	<-c.pending
	c.pending = nil
	return c.err
}
