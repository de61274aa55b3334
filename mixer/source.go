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
	task   int // the component's index
	blocks Blocks
	digest string
	cut    string // what is cut from its texts, as CutRules has it
	reader reader
	key    counter.Key // of its order
	vocab  int         // tokens must lie below it, if it is not 0
	census Census

	// list holds the blocks that have windows, counts their windows and docs their
	// documents.
	list         []int32
	counts, docs []int32
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

	mu     sync.Mutex
	recent []*group // the last few that were asked for, latest first
}

// group is a few blocks of a pass.
type group struct {
	number int
	// members are the blocks, as indices of the source's list, in the pass's order,
	// and windows their windows before each; length members+1.
	members []int32
	windows []uint64
	order   permutation // of the windows
}

// scan counts the windows of every block, or takes them from the cache. Memory is
// a few bytes a block.
func (s *source) scan(ctx context.Context, jobs int, cache windowCache) error {
	n := s.blocks.Blocks()
	counts, ok := cache.read(s, n)
	if !ok {
		counts = make([]blockCount, n)
		err := each(ctx, jobs, n, func(ctx context.Context) func(int) error {
			var b shards.Block
			var p plan
			return func(i int) error {
				if err := s.blocks.ReadBlock(ctx, i, &b); err != nil {
					return fmt.Errorf("reading block %d of %s: %w", i, s.Name, err)
				}
				docs := int32(0)
				counts[i].Census = s.reader.plan(&b, &p, func(int) { docs++ })
				counts[i].docs = docs
				return nil
			}
		})
		if err != nil {
			return err
		}
		cache.write(s, counts)
	}
	for i, c := range counts {
		s.census.add(c.Census)
		if c.Windows > 0 {
			s.list = append(s.list, int32(i))
			s.counts = append(s.counts, int32(c.Windows))
			s.docs = append(s.docs, c.docs)
		}
	}
	if len(s.list) == 0 {
		return &EmptyError{Label: s.Label(), Split: s.reader.split, Census: s.census}
	}
	return nil
}

// blockCount is what a scan finds in one block.
type blockCount struct {
	Census
	docs int32 // that have windows
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

// group returns a group of a pass.
func (s *source) groupOf(e *epoch, number int) *group {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, g := range e.recent {
		if g.number == number {
			return g
		}
	}
	g := &group{number: number, windows: []uint64{0}}
	sum := uint64(0)
	for i := number * s.span; i < min((number+1)*s.span, len(s.list)); i++ {
		block := int32(e.order.at(uint64(i)))
		sum += uint64(s.counts[block])
		g.members = append(g.members, block)
		g.windows = append(g.windows, sum)
	}
	g.order = newPermutation(e.key.Sub(uint64(number)), sum)
	if len(e.recent) == 3 {
		e.recent = e.recent[:2]
	}
	e.recent = slices.Insert(e.recent, 0, g)
	return g
}

// place is where a window is.
type place struct {
	index    int64
	source   *source
	epoch    uint64
	position uint64 // in the epoch
	block    int32  // of the source's list
	window   int32  // in the block
	beside   int32  // the block to draw other documents from; -1 for the same

	own, other *loaded // once the blocks are in memory
}

// find returns the place of the source's n-th window, counted over all epochs.
func (s *source) find(n uint64) place {
	e := s.epoch(n / uint64(s.census.Windows))
	at := n % uint64(s.census.Windows)
	number := sort.Search(len(e.starts)-1, func(g int) bool { return e.starts[g+1] > at })
	g := s.groupOf(e, number)
	window := g.order.at(at - e.starts[number])
	m := sort.Search(len(g.members)-1, func(m int) bool { return g.windows[m+1] > window })
	p := place{source: s, epoch: e.number, position: at, block: g.members[m], window: int32(window - g.windows[m]), beside: -1}
	if s.docs[p.block] == 1 && (s.reader.layout == Pairs || s.reader.layout == Halves) && len(g.members) > 1 {
		p.beside = g.members[(m+1)%len(g.members)]
	}
	return p
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
