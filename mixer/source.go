package mixer

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/shards"
)

// Blocks is the token shards of one source. Its methods are called from several
// goroutines.
type Blocks interface {
	// Blocks returns how many blocks there are.
	Blocks() int
	// ReadBlock reads block i into b, whose memory it may reuse.
	ReadBlock(ctx context.Context, i int, b *shards.Block) error
}

// source is one component of an open mix.
type source struct {
	Component
	task   int
	blocks Blocks
	digest string
	reader reader
	key    counter.Key // of its order
	census Census

	// list holds the blocks that have windows, counts their windows.
	list   []int32
	counts []int32
	// span is how many blocks a group has.
	span int

	mu     sync.Mutex
	epochs []*epoch // the last few that were used
}

// epoch is the order of one pass over a source: its blocks permuted, a few at a
// time in a group, and the windows of a group permuted.
type epoch struct {
	number uint64
	key    counter.Key
	order  permutation
	// starts[g] is the number of windows before group g. Length groups+1.
	starts []uint64

	mu sync.Mutex
	// members holds the blocks of the group that was asked for last.
	group   int
	members []int
}

// scan counts the windows of every block. Memory is a few bytes a block.
func (s *source) scan(ctx context.Context, jobs int) error {
	n := s.blocks.Blocks()
	results := make([]Census, n)
	err := each(ctx, jobs, n, func(ctx context.Context) func(int) error {
		var b shards.Block
		var p plan
		return func(i int) error {
			if err := s.blocks.ReadBlock(ctx, i, &b); err != nil {
				return fmt.Errorf("reading block %d of %s: %w", i, s.Name, err)
			}
			results[i] = s.reader.plan(&b, &p, nil)
			return nil
		}
	})
	if err != nil {
		return err
	}
	for i, c := range results {
		s.census.add(c)
		if c.Windows > 0 {
			s.list = append(s.list, int32(i))
			s.counts = append(s.counts, int32(c.Windows))
		}
	}
	if len(s.list) == 0 {
		return &EmptyError{Label: s.Label(), Split: s.reader.split, Census: s.census}
	}
	return nil
}

// EmptyError means that a component of the mix has nothing to read.
type EmptyError struct {
	Label  string
	Split  Split
	Census Census
}

func (e *EmptyError) Error() string {
	c := e.Census
	if c.Documents == 0 {
		return fmt.Sprintf("%s is empty: its shards hold no document", e.Label)
	}
	return fmt.Sprintf("%s is empty: of its %d documents %d are left out by marks or the predicate, %d have no token, and %d are not in the %s split",
		e.Label, c.Documents, c.Marked, c.Blank, c.OtherSplit, e.Split)
}

// epoch returns the order of a pass.
func (s *source) epoch(number uint64) *epoch {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.epochs, func(e *epoch) bool { return e.number == number }); i >= 0 {
		return s.epochs[i]
	}
	key := s.key.Sub(number)
	e := &epoch{number: number, key: key, order: newPermutation(key, uint64(len(s.list))), starts: []uint64{0}}
	sum := uint64(0)
	for i := range s.list {
		sum += uint64(s.counts[e.order.at(uint64(i))])
		if (i+1)%s.span == 0 || i+1 == len(s.list) {
			e.starts = append(e.starts, sum)
		}
	}
	s.epochs = append(s.epochs, e)
	if len(s.epochs) > 3 {
		s.epochs = s.epochs[1:]
	}
	return e
}

// members returns the blocks of a group, as indices of list, in the order in
// which the epoch has them.
func (s *source) members(e *epoch, group int) []int {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.members == nil || e.group != group {
		e.group, e.members = group, nil
		for i := group * s.span; i < min((group+1)*s.span, len(s.list)); i++ {
			e.members = append(e.members, int(e.order.at(uint64(i))))
		}
	}
	return e.members
}

// place is where a window is.
type place struct {
	index    int64
	position uint64 // in the epoch
	source   *source
	epoch    *epoch
	group    int
	window   uint64 // in the group
}

// find returns the place of the source's n-th window, counted over all epochs.
func (s *source) find(n uint64) place {
	e := s.epoch(n / uint64(s.census.Windows))
	at := n % uint64(s.census.Windows)
	g := sort.Search(len(e.starts)-1, func(g int) bool { return e.starts[g+1] > at })
	order := newPermutation(e.key.Sub(uint64(g)), e.starts[g+1]-e.starts[g])
	return place{position: at, source: s, epoch: e, group: g, window: order.at(at - e.starts[g])}
}

// group is a few blocks in memory.
type group struct {
	source  *source
	epoch   *epoch
	number  int
	blocks  []*loaded
	windows []int // windows before each block; length blocks+1
	docs    []int // documents before each block; length blocks+1
}

// join makes a group of loaded blocks.
func (g *group) join() {
	g.windows, g.docs = make([]int, 1, len(g.blocks)+1), make([]int, 1, len(g.blocks)+1)
	for i, b := range g.blocks {
		g.windows = append(g.windows, g.windows[i]+b.count())
		g.docs = append(g.docs, g.docs[i]+len(b.ids))
	}
}

// each calls work(i) for every i below n from up to jobs goroutines, each with a
// function of its own from worker. It stops at the first error and returns that
// of the lowest i that failed.
func each(ctx context.Context, jobs, n int, worker func(context.Context) func(int) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var (
		mu     sync.Mutex
		next   int
		first  error
		failed = n
		wait   sync.WaitGroup
	)
	for range min(max(jobs, 1), n) {
		wait.Go(func() {
			work := worker(ctx)
			for {
				mu.Lock()
				i := next
				next++
				done := i >= failed
				mu.Unlock()
				if done {
					return
				}
				err := ctx.Err()
				if err == nil {
					err = work(i)
				}
				if err != nil {
					mu.Lock()
					if i < failed {
						failed, first = i, err
					}
					mu.Unlock()
				}
			}
		})
	}
	wait.Wait()
	return first
}
