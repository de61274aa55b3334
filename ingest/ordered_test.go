package ingest

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

func TestOrderedKeepsOrderAndBudget(t *testing.T) {
	for _, jobs := range []int{1, 2, 7} {
		var under, most atomic.Int64
		next := 0
		err := ordered(context.Background(), jobs, 10,
			func(_ context.Context, give func(int, int64) error) error {
				for i := range 500 {
					cost := int64(i%4 + 1)
					if i == 250 {
						cost = 1000 // more than the budget: goes alone
					}
					if err := give(i, cost); err != nil {
						return err
					}
				}
				return nil
			},
			func(i int) int {
				if n := under.Add(1); n > most.Load() {
					most.Store(n)
				}
				if i%13 == 0 {
					time.Sleep(time.Millisecond)
				}
				under.Add(-1)
				return i
			},
			func(i int) error {
				if i != next {
					t.Fatalf("%d jobs: got %d, want %d", jobs, i, next)
				}
				next++
				return nil
			})
		if err != nil || next != 500 {
			t.Errorf("%d jobs: %d results, %v", jobs, next, err)
		}
		if most.Load() > int64(jobs) {
			t.Errorf("%d jobs ran %d at once", jobs, most.Load())
		}
	}
}

func TestOrderedEndsOnEveryError(t *testing.T) {
	before := runtime.NumGoroutine()
	boom := errors.New("boom")
	endless := func(_ context.Context, give func(int, int64) error) error {
		for i := 0; ; i++ {
			if err := give(i, 1); err != nil {
				return err
			}
		}
	}
	same := func(i int) int { return i }
	err := ordered(context.Background(), 3, 5, endless, same, func(i int) error {
		if i == 100 {
			return boom
		}
		return nil
	})
	if !errors.Is(err, boom) {
		t.Errorf("an error of consume gives %v", err)
	}
	n := 0
	err = ordered(context.Background(), 3, 5, func(_ context.Context, give func(int, int64) error) error {
		for i := range 10 {
			if err := give(i, 1); err != nil {
				return err
			}
		}
		return boom
	}, same, func(int) error { n++; return nil })
	if !errors.Is(err, boom) || n != 10 {
		t.Errorf("an error of produce gives %v after %d results", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = ordered(ctx, 3, 5, endless, same, func(i int) error {
		if i == 50 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelling gives %v", err)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Errorf("%d goroutines before, %d after", before, runtime.NumGoroutine())
}
