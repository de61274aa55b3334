package pipelines

import (
	"context"
	"fmt"
	"net"

	"github.com/tributary-ml/tributary/trainer"
)

// ramp is how a run's batches grow.
func (c *TrainSection) ramp() trainer.Ramp {
	return trainer.Ramp{BatchFrom: c.BatchFrom, BatchSteps: c.BatchSteps, LengthFrom: c.LengthFrom, LengthSteps: c.LengthSteps}
}

// openTraining opens the streams of a run. It returns the one of its whole length,
// and the batches that are trained on.
func (c *TrainConfig) openTraining(ctx context.Context, stream BatchConfig) (_ *Batches, _ trainer.Batches, closeAll func(), err error) {
	ramp := c.ramp()
	if err := ramp.Check(c.Batch, c.SeqLen); err != nil {
		return nil, nil, nil, err
	}
	if ramp != (trainer.Ramp{}) && (stream.BatchTokens > 0 || len(stream.Stages)+len(stream.Curricula) > 0) {
		return nil, nil, nil, fmt.Errorf("a ramp does not go with stages, curricula and batches counted in tokens: a stage can have a length of its own")
	}
	var open []*Batches
	all := func() {
		for _, b := range open {
			b.Close()
		}
	}
	defer func() {
		if err != nil {
			all()
		}
	}()
	stream.BatchSize = ramp.Unit(c.Batch)
	var streams []trainer.Ranked
	for _, length := range ramp.Lengths(c.SeqLen) {
		stream.SeqLen = length
		b, err := OpenBatches(ctx, stream)
		if err != nil {
			return nil, nil, nil, err
		}
		open, streams = append(open, b), append(streams, b)
	}
	last := open[len(open)-1]
	if ramp == (trainer.Ramp{}) {
		return last, trainer.Whole(last), all, nil
	}
	return last, trainer.NewRamped(ramp, streams, c.Batch, c.SeqLen), all, nil
}

// serve shows the run's figures at c.Listen until stop is called.
func (c *TrainConfig) serve(ctx context.Context, run *trainer.Config) (stop func(), err error) {
	if c.Listen == "" {
		return func() {}, nil
	}
	monitor := trainer.NewMonitor(c.Run, c.Token)
	run.Observe = monitor.Observe
	ctx, cancel := context.WithCancel(ctx)
	ready, done := make(chan net.Addr, 1), make(chan error, 1)
	go func() { done <- monitor.Serve(ctx, c.Listen, func(a net.Addr) { ready <- a }) }()
	select {
	case err := <-done:
		cancel()
		return nil, err
	case a := <-ready:
		c.Log.Info("figures for Prometheus", "url", fmt.Sprintf("http://%s/metrics", a))
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			c.Log.Warn("the figures were not served to the end", "error", err)
		}
	}, nil
}
