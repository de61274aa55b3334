package ingest

import (
	"context"
	"sync"
)

// ordered does work on items with jobs goroutines and hands the results to
// consume, on the calling goroutine, in the order in which produce gave the
// items. The items under way cost no more than budget together, except that one
// is always under way. It returns the first error of consume, of produce, or of
// the context, after all goroutines have ended.
func ordered[T, R any](ctx context.Context, jobs int, budget int64,
	produce func(ctx context.Context, give func(item T, cost int64) error) error,
	work func(T) R,
	consume func(R) error,
) error {
	type slot struct {
		item   T
		cost   int64
		result chan R
	}
	jobs = max(jobs, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// A slot enters both channels; queue holds the order.
	queue := make(chan *slot, 4*jobs)
	tasks := make(chan *slot, 4*jobs)
	credit := newCredit(budget)
	stop := context.AfterFunc(ctx, credit.wake)
	defer stop()

	var wg sync.WaitGroup
	var produceErr error
	wg.Go(func() {
		defer close(queue)
		defer close(tasks)
		produceErr = produce(ctx, func(item T, cost int64) error {
			if err := credit.take(ctx, cost); err != nil {
				return err
			}
			s := &slot{item: item, cost: cost, result: make(chan R, 1)}
			select {
			case queue <- s:
			case <-ctx.Done():
				return ctx.Err()
			}
			tasks <- s // never blocks for long: workers drain it until it is closed
			return nil
		})
	})
	for range jobs {
		wg.Go(func() {
			for s := range tasks {
				item := s.item
				var none T
				s.item = none // so that it can be freed while the result waits
				if ctx.Err() == nil {
					s.result <- work(item)
				}
			}
		})
	}
	err := func() error {
		for s := range queue {
			select {
			case r := <-s.result:
				if err := consume(r); err != nil {
					return err
				}
				credit.give(s.cost)
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	}()
	cancel()
	wg.Wait()
	if err != nil {
		return err
	}
	return produceErr
}

// credit bounds a sum of costs.
type credit struct {
	mu     sync.Mutex
	cond   *sync.Cond
	budget int64
	used   int64
}

func newCredit(budget int64) *credit {
	c := &credit{budget: budget}
	c.cond = sync.NewCond(&c.mu)
	return c
}

func (c *credit) take(ctx context.Context, n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.used > 0 && c.used+n > c.budget {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.cond.Wait()
	}
	c.used += n
	return ctx.Err()
}

func (c *credit) give(n int64) {
	c.mu.Lock()
	c.used -= n
	c.mu.Unlock()
	c.cond.Broadcast()
}

// wake lets takers look at the context again.
func (c *credit) wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cond.Broadcast()
}
