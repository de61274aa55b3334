package kernel

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// Pool runs kernels on a fixed number of workers. Between two runs a worker
// spins for a short while and then parks, so that runs in quick succession cost
// no wake-up and an idle pool costs nothing.
//
// A Pool serves one goroutine at a time, and a kernel must not start another on
// the same pool. No kernel's result depends on the number of workers: work is
// split by output, never across a sum.
type Pool struct {
	jobs int
	set  Set
	ops  *ops

	// state packs the run's number (24 bits), its number of items (20 bits) and
	// the next item nobody has claimed (20 bits). A worker that comes late finds
	// another run's number there, or no item left, and touches nothing else.
	state atomic.Uint64
	done  atomic.Int64
	task  task

	// waiting says that the caller has parked until a worker sends to finished.
	waiting  atomic.Bool
	finished chan struct{}

	workers []*worker
	closed  atomic.Bool
	profile *profile
	exited  sync.WaitGroup

	// One task of each kind, reused by every call, so that a run allocates
	// nothing.
	gemm    gemmTask
	attn    attentionTask
	norm    normTask
	normB   normBackwardTask
	embed   embedTask
	scatter scatterTask
	vocab   vocabTask
	rows    rowsTask
	sums    sumTask
	adam    adamTask
	steps   stepTask
	fn      funcTask
	scratch []*scratch
}

// task is one parallel run: Do is called once for each item, by any worker.
type task interface{ do(worker, item int) }

type worker struct {
	parked atomic.Bool
	wake   chan struct{}
}

const (
	itemBits = 20
	maxItems = 1<<itemBits - 1
	// spins bounds how often an idle worker looks for work before it parks: a few
	// tens of microseconds.
	spins = 1 << 13
)

// NewPool starts a pool of the given number of workers, the calling goroutine
// being one of them, with the fastest kernels this processor has. jobs below 1
// means as many as Go runs in parallel.
func NewPool(jobs int) *Pool { return NewPoolOf(jobs, Best()) }

// NewPoolOf is NewPool with kernels of the given set, or with Reference where
// this processor cannot run the set.
func NewPoolOf(jobs int, set Set) *Pool {
	if jobs < 1 {
		jobs = runtime.GOMAXPROCS(0)
	}
	if !set.Available() {
		set = Reference
	}
	p := &Pool{jobs: jobs, set: set, ops: opsOf(set), finished: make(chan struct{}, 1)}
	for range jobs {
		p.scratch = append(p.scratch, new(scratch))
	}
	for i := 1; i < jobs; i++ {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		p.exited.Add(1)
		go p.serve(w, i)
	}
	return p
}

// Jobs returns the number of workers.
func (p *Pool) Jobs() int { return p.jobs }

// Set returns the set of kernels the pool runs.
func (p *Pool) Set() Set { return p.set }

// Close ends the workers. The pool still works afterwards, on the calling
// goroutine alone.
func (p *Pool) Close() {
	if p.closed.Swap(true) {
		return
	}
	for _, w := range p.workers {
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.exited.Wait()
}

// For calls f(i) once for each i in [0, n), on all workers, and returns when all
// calls have. The calls may run in any order.
func (p *Pool) For(n int, f func(i int)) {
	p.fn.f = f
	p.run(n, &p.fn)
	p.fn.f = nil
}

type funcTask struct{ f func(int) }

func (t *funcTask) do(_, i int) { t.f(i) }

// run does n items of t. Items are claimed one by one, so they should be coarse.
func (p *Pool) run(n int, t task) {
	if n > maxItems {
		for first := 0; first < n; first += maxItems {
			p.runFrom(first, min(maxItems, n-first), t)
		}
		return
	}
	p.runFrom(0, n, t)
}

type offsetTask struct {
	task
	first int
}

func (t *offsetTask) do(w, i int) { t.task.do(w, t.first+i) }

func (p *Pool) runFrom(first, n int, t task) {
	if n <= 0 {
		return
	}
	if first > 0 {
		t = &offsetTask{t, first}
	}
	if n == 1 || p.jobs == 1 || p.closed.Load() {
		for i := range n {
			t.do(0, i)
		}
		return
	}
	p.task = t
	p.done.Store(0)
	run := p.state.Load()>>(2*itemBits) + 1
	p.state.Store(run<<(2*itemBits) | uint64(n)<<itemBits)
	wake := n - 1
	for _, w := range p.workers {
		if wake == 0 {
			break
		}
		wake--
		if w.parked.CompareAndSwap(true, false) {
			w.wake <- struct{}{}
		}
	}
	p.work(0, p.state.Load()>>(2*itemBits))
	p.wait(int64(n))
}

// wait returns when n items of the run are done. Like an idle worker it spins for
// a while and then parks, so that a worker the machine has put aside is not kept
// from its processor by the one that waits for it.
func (p *Pool) wait(n int64) {
	for i := 1; p.done.Load() < n; i++ {
		if i < spins {
			if i&127 == 0 {
				runtime.Gosched()
			}
			continue
		}
		i = 0
		p.waiting.Store(true)
		if p.done.Load() >= n && p.waiting.CompareAndSwap(true, false) {
			return
		}
		// A worker that was late in noting the end of an earlier run may wake this
		// one too soon; it then looks again.
		<-p.finished
	}
}

// work claims and does items of the given run until none is left.
func (p *Pool) work(id int, run uint64) {
	for {
		s := p.state.Load()
		next, n := s&maxItems, s>>itemBits&maxItems
		if s>>(2*itemBits) != run || next >= n {
			return
		}
		if !p.state.CompareAndSwap(s, s+1) {
			continue
		}
		// The run cannot end before this item does, so task is still its task.
		p.task.do(id, int(next))
		if p.done.Add(1) == int64(n) && p.waiting.CompareAndSwap(true, false) {
			p.finished <- struct{}{}
		}
	}
}

func (p *Pool) serve(w *worker, id int) {
	defer p.exited.Done()
	idle := 0
	for !p.closed.Load() {
		s := p.state.Load()
		if s&maxItems < s>>itemBits&maxItems {
			p.work(id, s>>(2*itemBits))
			idle = 0
			continue
		}
		idle++
		if idle < spins {
			if idle&127 == 0 {
				runtime.Gosched()
			}
			continue
		}
		idle = 0
		w.parked.Store(true)
		s = p.state.Load()
		if (s&maxItems < s>>itemBits&maxItems || p.closed.Load()) && w.parked.CompareAndSwap(true, false) {
			continue
		}
		<-w.wake
	}
}

// scratch is memory of one worker, kept between runs.
type scratch struct {
	tile  tile
	f     [10][]float32
	words []uint16
}

// floats returns the worker's buffer i with at least n elements, not cleared.
func (s *scratch) floats(i, n int) []float32 {
	if cap(s.f[i]) < n {
		s.f[i] = Floats(n + n/4)
	}
	return s.f[i][:n]
}
