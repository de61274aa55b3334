// Package mixer gives the samples of a mix of sources in an order that is a pure
// function of the data, the mix and a seed. Nothing is kept between steps: the
// samples of step k are found from k alone, whatever the number of workers and
// ranks, so that resuming is a seek.
//
// Documents become windows (Layout). Within a source, pass e over the data
// visits the windows in the order of a keyed permutation of blocks and, within a
// group of blocks, of windows. Between sources, the choice for sample i holds
// every prefix of the stream to the asked shares within one sample.
package mixer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/mixer/names"
)

// Options says what to read. The fields from Mix to ShuffleTokens decide the
// stream; the others do not change a byte of it.
type Options struct {
	// Data is the data root, Tokenizer the name of the tokenizer the shards were
	// made with.
	Data, Tokenizer string

	Mix Mix
	// Stages are the mixes that take over later, by ascending steps.
	Stages []Stage
	Seed   uint64
	// SeqLen is the longest sequence in tokens, special tokens included.
	SeqLen int
	// BatchSize is the number of samples of a step, over all ranks.
	BatchSize int
	Layout    Layout
	// Split is what part of the documents is read; HeldoutFraction of them, chosen
	// by a hash of their id, are held out.
	Split           Split
	HeldoutFraction float64
	// ShuffleTokens is the size of a group: windows are shuffled among those of
	// about so many tokens. 0 means DefaultShuffleTokens.
	ShuffleTokens int64

	// MemoryBytes bounds the blocks held in memory. 0 means DefaultMemoryBytes.
	MemoryBytes int64
	// Jobs bounds the goroutines that read; 0 means one for each core.
	Jobs int
}

// The defaults of Options.
const (
	DefaultShuffleTokens = 8 << 20
	DefaultMemoryBytes   = 1 << 30
)

// Source is a source by name with its shards. Digest is the hash of everything
// the shards give.
type Source struct {
	Name   string
	Blocks Blocks
	Digest string
}

// Mixer is an open mix. Its methods may be called from several goroutines.
type Mixer struct {
	options Options
	sources []*source // one for each component: a task is an index of it
	stages  []stage
	cache   *cache
	close   func() error
}

// New opens a mix over the given sources, of which it needs those that the mix
// names.
func New(ctx context.Context, options Options, sources []Source) (*Mixer, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	options.ShuffleTokens = cmp.Or(options.ShuffleTokens, DefaultShuffleTokens)
	options.MemoryBytes = cmp.Or(options.MemoryBytes, DefaultMemoryBytes)
	options.Jobs = cmp.Or(options.Jobs, runtime.GOMAXPROCS(0))
	m := &Mixer{options: options, cache: newCache(options.MemoryBytes)}
	for task, c := range options.components() {
		i := slices.IndexFunc(sources, func(s Source) bool { return s.Name == c.Name })
		if i < 0 {
			names := make([]string, len(sources))
			for i, s := range sources {
				names[i] = s.Name
			}
			return nil, unknownSource(c.Name, names)
		}
		blocks := sources[i].Blocks
		if c.Where != "" {
			filterer, ok := blocks.(Filterer)
			if !ok {
				return nil, &MixError{Offset: -1, Reason: "the shards of " + c.Name + " take no predicate"}
			}
			var err error
			if blocks, err = filterer.Filter(ctx, c.Where); err != nil {
				return nil, err
			}
		}
		m.sources = append(m.sources, &source{
			Component: c, task: task, blocks: blocks, digest: sources[i].Digest,
			reader: reader{options.Layout, options.SeqLen, options.Split, options.HeldoutFraction},
			key:    counter.NewKey(options.Seed, "mixer/order/"+c.Label()),
		})
	}
	var least int64
	for _, s := range m.sources {
		if err := s.scan(ctx, options.Jobs); err != nil {
			return nil, err
		}
		least += s.group(options.ShuffleTokens)
	}
	if least > options.MemoryBytes {
		return nil, fmt.Errorf("one group of blocks of each source takes %d MiB and MemoryBytes is %d MiB: allow more memory or lower ShuffleTokens", least>>20, options.MemoryBytes>>20)
	}
	return m, m.lay()
}

func (o Options) check() error {
	if err := o.Mix.Check(); err != nil {
		return err
	}
	switch {
	case o.SeqLen < minSeqLen || o.SeqLen > 1<<20:
		return fmt.Errorf("sequence length %d is not between %d and %d tokens", o.SeqLen, minSeqLen, 1<<20)
	case o.BatchSize < 1 || o.BatchSize > 1<<24:
		return fmt.Errorf("batch size %d is not between 1 and %d samples", o.BatchSize, 1<<24)
	case o.Layout < Pairs || o.Layout > Packed:
		return fmt.Errorf("%v is no layout", o.Layout)
	case o.Split < Train || o.Split > All:
		return fmt.Errorf("%v is no split", o.Split)
	case !(o.HeldoutFraction >= 0 && o.HeldoutFraction < 1):
		return fmt.Errorf("held-out fraction %g is not at least 0 and below 1", o.HeldoutFraction)
	case o.Split == Heldout && o.HeldoutFraction == 0:
		return errors.New("the held-out split is empty: the held-out fraction is 0")
	case o.ShuffleTokens < 0 || o.MemoryBytes < 0 || o.Jobs < 0:
		return errors.New("ShuffleTokens, MemoryBytes and Jobs must not be negative")
	}
	return checkStages(o.Stages, o.BatchSize)
}

// unknownSource is the error for a name that no source has.
func unknownSource(name string, known []string) error {
	reason := fmt.Sprintf("there is no source %q", name)
	if near := names.Nearest(name, known); near != "" {
		reason += fmt.Sprintf("; did you mean %q?", near)
	} else if len(known) > 0 {
		slices.Sort(known)
		reason += fmt.Sprintf("; there are %q", known[:min(len(known), 20)])
	}
	return &MixError{Offset: -1, Reason: reason}
}

// Options returns what the mix was opened with, defaults filled in.
func (m *Mixer) Options() Options { return m.options }

// Close closes the shards. The samples that were given stay valid.
func (m *Mixer) Close() error {
	if m.close == nil {
		return nil
	}
	return m.close()
}

// Digest is a hash of all that decides the stream: the data, the mix and the
// options. Two mixers with one digest give the same samples at every step.
func (m *Mixer) Digest() string {
	o := m.options
	var digests []string
	for _, s := range m.sources {
		digests = append(digests, s.digest)
	}
	return store.Key("tributary/mixer/1", o.Mix, o.Stages, digests, o.Seed, o.SeqLen, o.BatchSize, o.Layout, o.Split, o.HeldoutFraction, o.ShuffleTokens)
}

// Samples returns the samples of a rank's part of a step: with batches of B
// samples, step k is the samples [k*B, (k+1)*B) of the mixed stream, and rank r of
// R has the r-th of R nearly equal runs of them. The parts of all ranks, in order,
// are the whole step.
func (m *Mixer) Samples(ctx context.Context, step int64, rank, ranks int) ([]Sample, error) {
	from, to, err := m.part(step, rank, ranks)
	if err != nil {
		return nil, err
	}
	places := make([]place, 0, to-from)
	var groups []*group
	inGroup := make([]int, 0, to-from)
	latest := make([]int, len(m.sources)) // the task's last group in groups, plus one
	for i := from; i < to; i++ {
		task, n := m.at(uint64(i))
		p := m.sources[task].find(n)
		p.index = i
		g := latest[task] - 1
		if g < 0 || groups[g].epoch.number != p.epoch.number || groups[g].number != p.group {
			g = len(groups)
			groups = append(groups, &group{source: p.source, epoch: p.epoch, number: p.group})
			latest[task] = g + 1
		}
		places = append(places, p)
		inGroup = append(inGroup, g)
	}
	if err := m.load(ctx, groups); err != nil {
		return nil, fmt.Errorf("step %d: %w", step, err)
	}
	return gather(places, inGroup, groups), nil
}

// part returns the samples of a rank in a step.
func (m *Mixer) part(step int64, rank, ranks int) (from, to int64, err error) {
	size := int64(m.options.BatchSize)
	switch {
	case step < 0 || step > (1<<62)/size:
		return 0, 0, fmt.Errorf("step %d is not between 0 and %d", step, (1<<62)/size)
	case ranks < 1 || ranks > 1<<20 || rank < 0 || rank >= ranks:
		return 0, 0, fmt.Errorf("rank %d of %d ranks", rank, ranks)
	}
	return step*size + size*int64(rank)/int64(ranks), step*size + size*int64(rank+1)/int64(ranks), nil
}

// load brings the blocks of groups into memory.
func (m *Mixer) load(ctx context.Context, groups []*group) error {
	type want struct{ group, block, member int }
	var wants []want
	for i, g := range groups {
		members := g.source.members(g.epoch, g.number)
		g.blocks = make([]*loaded, len(members))
		for j, member := range members {
			wants = append(wants, want{i, j, member})
		}
	}
	err := each(ctx, m.options.Jobs, len(wants), func(ctx context.Context) func(int) error {
		return func(i int) error {
			w := wants[i]
			g := groups[w.group]
			var err error
			g.blocks[w.block], err = m.cache.get(ctx, g.source, int32(w.member))
			return err
		}
	})
	if err != nil {
		return err
	}
	for _, g := range groups {
		g.join()
	}
	return nil
}

// group decides how many blocks make a group and returns about how many bytes
// one takes. It counts what has to be read, so that a small held-out split does
// not make groups that take the whole source to read.
func (s *source) group(shuffleTokens int64) int64 {
	blocks := int64(len(s.list))
	s.span = int(min(max((shuffleTokens*blocks+s.census.Read-1)/s.census.Read, 1), blocks))
	return int64(s.span) * s.census.Tokens / blocks * 9 / 2
}
