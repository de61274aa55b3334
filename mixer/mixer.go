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

	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/shards"
)

// AtEnd is what comes when a component has been read as often as it may be.
type AtEnd int

const (
	// Redistribute gives its share to the others.
	Redistribute AtEnd = iota
	// Stop ends the stream.
	Stop
)

// Options says what to read. The fields from Mix to ShuffleTokens decide the
// stream; the others do not change a byte of it.
type Options struct {
	// Data is the data root, Tokenizer the name of the tokenizer the shards were
	// made with.
	Data, Tokenizer string

	Mix Mix
	// Weighting says what weights mean, AtEnd what comes after the last pass over
	// a component.
	Weighting Weighting
	AtEnd     AtEnd
	// Stages are the mixes that take over later, by ascending steps.
	Stages []Stage
	Seed   uint64
	// SeqLen is the longest sequence in tokens, special tokens included.
	SeqLen int
	// BatchSize is the number of samples of a step, over all ranks. BatchTokens
	// stands in its place: steps have as many samples as hold so many tokens, special
	// tokens included, on average over the steps.
	BatchSize   int
	BatchTokens int64
	Layout      Layout
	// Cut says the marked spans of which rules are left out of texts; a predicate that
	// calls cut() says it for its component.
	Cut CutRules
	// Split is what part of the documents is read; HeldoutFraction of them, chosen
	// by a hash of their id, are held out.
	Split           Split
	HeldoutFraction float64
	// ShuffleTokens is the size of a group: windows are shuffled among those of
	// about so many tokens. 0 means DefaultShuffleTokens.
	ShuffleTokens int64

	// VocabSize is the number of tokens that whoever reads the stream knows; a block
	// with another token is a *VocabularyError. 0 means that any will do.
	VocabSize int

	// Shards says how the files of shards are found. Files that may be missing and are
	// change the stream, as other data would.
	Shards shards.OpenOptions

	// MemoryBytes bounds the blocks held in memory. 0 means DefaultMemoryBytes.
	MemoryBytes int64
	// Jobs bounds the goroutines that read; 0 means one for each core.
	Jobs int
}

// The defaults of Options.
const (
	DefaultShuffleTokens = 2 << 20
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
	byKey   map[sourceKey]*source
	stages  []stage
	paces   []pace
	end     uint64 // of the stream, in samples; 1<<63 for none
	last    string // the component that came to its end last
	cache   *cache
	close   func() error
}

// sourceKey names a component in windows of a length.
type sourceKey struct {
	label  string
	seqLen int
}

// source returns a component in windows of a length.
func (m *Mixer) source(label string, seqLen int) *source { return m.byKey[sourceKey{label, seqLen}] }

// New opens a mix over the given sources, of which it needs those that the mix
// names.
func New(ctx context.Context, options Options, sources []Source) (*Mixer, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	options.ShuffleTokens = cmp.Or(options.ShuffleTokens, DefaultShuffleTokens)
	options.MemoryBytes = cmp.Or(options.MemoryBytes, DefaultMemoryBytes)
	options.Jobs = cmp.Or(options.Jobs, runtime.GOMAXPROCS(0))
	m := &Mixer{options: options, cache: newCache(options.MemoryBytes), byKey: map[sourceKey]*source{}}
	if err := m.add(ctx, sources); err != nil {
		return nil, err
	}
	return m, m.lay()
}

// add makes the sources of all components, in windows of all lengths.
func (m *Mixer) add(ctx context.Context, sources []Source) error {
	options := m.options
	var least int64
	cache := newWindowCache(options.Data)
	for task, c := range options.components() {
		i := slices.IndexFunc(sources, func(s Source) bool { return s.Name == c.Name })
		if i < 0 {
			names := make([]string, len(sources))
			for i, s := range sources {
				names[i] = s.Name
			}
			return unknownSource(c.Name, names)
		}
		blocks := sources[i].Blocks
		if cutter, ok := blocks.(Cutter); ok {
			var err error
			if blocks, err = cutter.Cut(options.Cut); err != nil {
				return err
			}
		} else if options.Cut.some {
			return &MixError{Offset: -1, Reason: "the shards of " + c.Name + " have no cuts to choose from"}
		}
		if c.Where != "" {
			filterer, ok := blocks.(Filterer)
			if !ok {
				return &MixError{Offset: -1, Reason: "the shards of " + c.Name + " take no predicate"}
			}
			var err error
			if blocks, err = filterer.Filter(ctx, c.Where); err != nil {
				return err
			}
		}
		for i2, seqLen := range options.lengths() {
			s := &source{
				Component: c, task: task, blocks: blocks, digest: sources[i].Digest, cut: options.Cut.String(),
				reader: reader{options.Layout, seqLen, options.Split, options.HeldoutFraction},
				key:    counter.NewKey(options.Seed, "mixer/order/"+c.Label()),
				vocab:  options.VocabSize,
			}
			if err := s.scan(ctx, options.Jobs, cache); err != nil {
				return err
			}
			group := s.group(options.ShuffleTokens)
			if i2 == 0 {
				m.sources = append(m.sources, s)
				least += group
			}
			m.byKey[sourceKey{c.Label(), seqLen}] = s
		}
	}
	if least > options.MemoryBytes {
		return fmt.Errorf("one group of blocks of each source takes %d MiB and MemoryBytes is %d MiB: allow more memory or lower ShuffleTokens", least>>20, options.MemoryBytes>>20)
	}
	return nil
}

// WithStages returns the mix with other stages, which may name components that the
// mix has already, and no others. It shares the shards and what is in memory:
// nothing is read, so that weights that are learned as a run goes on can be set at
// any step. Closing either closes both.
func (m *Mixer) WithStages(stages []Stage) (*Mixer, error) {
	changed := *m
	changed.options.Stages = stages
	if err := changed.options.check(); err != nil {
		return nil, err
	}
	for _, c := range changed.options.components() {
		for _, seqLen := range changed.options.lengths() {
			if m.source(c.Label(), seqLen) == nil {
				return nil, &MixError{Offset: -1, Reason: fmt.Sprintf("%s in sequences of %d tokens is not open; open the mix anew", c.Label(), seqLen)}
			}
		}
	}
	return &changed, changed.lay()
}

func (o Options) check() error {
	if err := o.Mix.Check(); err != nil {
		return err
	}
	switch {
	case o.SeqLen < minSeqLen || o.SeqLen > maxSeqLen:
		return fmt.Errorf("sequence length %d is not between %d and %d tokens", o.SeqLen, minSeqLen, maxSeqLen)
	case o.BatchTokens != 0 && o.BatchSize != 0:
		return errors.New("BatchSize and BatchTokens exclude each other")
	case o.BatchTokens != 0 && (o.BatchTokens < int64(o.SeqLen) || o.BatchTokens > 1<<40):
		return fmt.Errorf("batches of %d tokens: want at least one sequence of %d and at most %d", o.BatchTokens, o.SeqLen, int64(1)<<40)
	case o.BatchTokens == 0 && (o.BatchSize < 1 || o.BatchSize > 1<<24):
		return fmt.Errorf("batch size %d is not between 1 and %d samples", o.BatchSize, 1<<24)
	case o.AtEnd < Redistribute || o.AtEnd > Stop:
		return fmt.Errorf("AtEnd(%d) is no policy", o.AtEnd)
	case o.Layout < Pairs || o.Layout > Whole:
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
	if err := o.Weighting.check(); err != nil {
		return err
	}
	return checkStages(o.Stages)
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

// Missing returns the names of the files that are not there and whose documents are
// left out, by source.
func (m *Mixer) Missing() map[string][]string {
	missing := map[string][]string{}
	for _, s := range m.sources {
		if set, ok := s.blocks.(interface{ Missing() []string }); ok && len(set.Missing()) > 0 {
			missing[s.Name] = set.Missing()
		}
	}
	return missing
}

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
	return store.Key("tributary/mixer/3", o.Mix, o.Cut.String(), o.Weighting, o.AtEnd, o.Stages, digests, o.Seed, o.SeqLen, o.BatchSize, o.BatchTokens, o.Layout, o.Split, o.HeldoutFraction, o.ShuffleTokens)
}

// Samples returns the samples of a rank's part of a step: with batches of B
// samples, step k is the samples [k*B, (k+1)*B) of the mixed stream, and rank r of
// R has the r-th of R nearly equal runs of them. The parts of all ranks, in order,
// are the whole step. After the last whole step the error is an *EndError.
func (m *Mixer) Samples(ctx context.Context, step int64, rank, ranks int) ([]Sample, error) {
	from, to, err := m.part(step, rank, ranks)
	if err != nil {
		return nil, err
	}
	places := make([]place, to-from)
	for i := range places {
		source, n := m.at(from + uint64(i))
		places[i] = source.find(n)
		places[i].index = int64(from) + int64(i)
	}
	if err := m.load(ctx, places); err != nil {
		return nil, fmt.Errorf("step %d: %w", step, err)
	}
	return gather(places), nil
}

// part returns the samples of a rank in a step.
func (m *Mixer) part(step int64, rank, ranks int) (from, to uint64, err error) {
	switch {
	case step < 0 || step >= maxStep:
		return 0, 0, fmt.Errorf("step %d is not between 0 and %d", step, int64(maxStep)-1)
	case ranks < 1 || ranks > 1<<20 || rank < 0 || rank >= ranks:
		return 0, 0, fmt.Errorf("rank %d of %d ranks", rank, ranks)
	}
	first, next := m.first(step), m.first(step+1)
	if next > m.end {
		steps, _ := m.Steps()
		return 0, 0, &EndError{Step: step, Steps: steps, Label: m.last}
	}
	size := next - first
	return first + size*uint64(rank)/uint64(ranks), first + size*uint64(rank+1)/uint64(ranks), nil
}

// load brings the blocks of places into memory.
func (m *Mixer) load(ctx context.Context, places []place) error {
	if m.cache.held(places) {
		return nil
	}
	var wants []blockKey
	blocks := map[blockKey]*loaded{}
	want := func(key blockKey) {
		if _, ok := blocks[key]; !ok {
			blocks[key] = nil
			wants = append(wants, key)
		}
	}
	for _, p := range places {
		if p.own == nil {
			want(blockKey{p.source, p.block})
		}
		if p.beside >= 0 && p.other == nil {
			want(blockKey{p.source, p.beside})
		}
	}
	read := make([]*loaded, len(wants))
	err := each(ctx, m.options.Jobs, len(wants), func(ctx context.Context) func(int) error {
		return func(i int) error {
			var err error
			read[i], err = m.cache.get(ctx, wants[i].source, wants[i].block)
			return err
		}
	})
	if err != nil {
		return err
	}
	for i, key := range wants {
		blocks[key] = read[i]
	}
	for i := range places {
		p := &places[i]
		if p.own == nil {
			p.own = blocks[blockKey{p.source, p.block}]
		}
		if p.beside >= 0 && p.other == nil {
			p.other = blocks[blockKey{p.source, p.beside}]
		}
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
