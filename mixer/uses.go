package mixer

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/tributary-ml/tributary/shards"
)

// Use is a sample that holds tokens of a document.
type Use struct {
	// Step is the step the sample belongs to, Sample its number there and Index its
	// number in the stream.
	Step, Sample, Index int64
	Task                int
	// Epoch and Position are as in Sample.
	Epoch, Position int64
	// Span is the part of the document.
	Span Span
}

// Uses returns the samples of the steps [from, to) whose windows hold tokens of
// one of the given documents of a source, in order. It reads the source's shards
// once and computes the rest: nothing is replayed. What an objective takes beside
// its samples, such as the second part of a random sentence pair, is not a use of
// this kind; a batch's Origins name it.
func (m *Mixer) Uses(ctx context.Context, source string, documents []string, from, to int64) ([]Use, error) {
	if _, _, err := m.part(from, 0, 1); err != nil {
		return nil, err
	}
	if to < from {
		return nil, fmt.Errorf("the steps from %d up to %d", from, to)
	}
	if steps, ends := m.Steps(); ends {
		to = min(to, steps)
	}
	if _, _, err := m.part(max(to-1, 0), 0, 1); err != nil {
		return nil, err
	}
	wanted := make(map[string]bool, len(documents))
	for _, id := range documents {
		wanted[id] = true
	}
	var uses []Use
	known := false
	end := m.first(to)
	for _, s := range m.laid() {
		if s.Name != source {
			continue
		}
		known = true
		windows, err := s.windowsOf(ctx, m.options.Jobs, wanted)
		if err != nil {
			return nil, err
		}
		for _, w := range windows {
			for _, u := range m.usesOf(s, w, end) {
				if u.Step >= from {
					uses = append(uses, u)
				}
			}
		}
	}
	if !known {
		return nil, fmt.Errorf("the mix has no source %q", source)
	}
	slices.SortStableFunc(uses, func(a, b Use) int { return cmp.Compare(a.Index, b.Index) })
	return uses, nil
}

// laid lists the sources that have a part in the stream.
func (m *Mixer) laid() []*source {
	var list []*source
	seen := map[*source]bool{}
	for _, st := range m.stages {
		for _, s := range st.sources {
			if !seen[s] {
				seen[s] = true
				list = append(list, s)
			}
		}
	}
	return list
}

// usesOf returns the samples before end that are a window of a source.
func (m *Mixer) usesOf(s *source, w windowOf, end uint64) []Use {
	var uses []Use
	pass := uint64(s.census.Windows)
	for i := range m.stages {
		st := &m.stages[i]
		turn := slices.Index(st.sources, s)
		if turn < 0 || st.from >= end {
			continue
		}
		for epoch := st.before[turn] / pass; ; epoch++ {
			position := s.position(epoch, w.block, w.window)
			n := epoch*pass + position
			if n < st.before[turn] {
				continue
			}
			local, ok := st.turns.find(turn, n-st.before[turn], min(st.to, end)-st.from)
			if !ok {
				break
			}
			index := st.from + local
			step := m.step(index)
			uses = append(uses, Use{
				Step: step, Sample: int64(index - m.first(step)), Index: int64(index), Task: s.task,
				Epoch: int64(epoch), Position: int64(position), Span: w.span,
			})
		}
	}
	return uses
}

// windowOf is a window that holds a part of a document.
type windowOf struct {
	block, window int // an index of source.list, and one in the block
	span          Span
}

// windowsOf finds the windows that hold tokens of documents.
func (s *source) windowsOf(ctx context.Context, jobs int, wanted map[string]bool) ([]windowOf, error) {
	found := make([][]windowOf, len(s.list))
	err := each(ctx, jobs, len(s.list), func(ctx context.Context) func(int) error {
		var b shards.Block
		return func(i int) error {
			if err := s.blocks.ReadBlock(ctx, int(s.list[i]), &b); err != nil {
				return fmt.Errorf("reading block %d of %s: %w", s.list[i], s.Name, err)
			}
			if !slices.ContainsFunc(b.IDs, func(id string) bool { return wanted[id] }) {
				return nil
			}
			l := s.reader.load(&b)
			for w := range l.count() {
				d, from := -1, int32(0)
				for p := l.windows[w]; p < l.windows[w+1]; p++ {
					piece := l.piece(p)
					if d < 0 || piece >= l.bounds[d+1] || piece < l.bounds[d] {
						d = l.document(piece)
					} else if l.layout != BestFit {
						// The document goes on.
						if last := len(found[i]) - 1; wanted[l.ids[d]] {
							found[i][last].span.End = l.ends[piece] - from
						}
						continue
					}
					if from = l.start(l.bounds[d]); wanted[l.ids[d]] {
						found[i] = append(found[i], windowOf{i, w, Span{Doc: l.ids[d], Start: l.start(piece) - from, End: l.ends[piece] - from}})
					}
				}
			}
			if l.cuts != nil {
				var whole []windowOf
				for _, w := range found[i] {
					for _, span := range l.cuts.whole([]Span{w.span}) {
						whole = append(whole, windowOf{w.block, w.window, span})
					}
				}
				found[i] = whole
			}
			return nil
		}
	})
	return slices.Concat(found...), err
}

// position returns where in a pass a window of a block comes: what find does,
// backwards.
func (s *source) position(number uint64, block, window int) uint64 {
	e := s.epoch(number)
	place := int(e.order.where(uint64(block)))
	group := place / s.span
	before := uint64(0)
	for i := group * s.span; i < place; i++ {
		before += uint64(s.counts[e.order.at(uint64(i))])
	}
	order := newPermutation(e.key.Sub(uint64(group)), e.starts[group+1]-e.starts[group])
	return e.starts[group] + order.where(before+uint64(window))
}

// find returns the sample at which a task has its turn n, if that is before end.
func (t *turns) find(task int, n, end uint64) (uint64, bool) {
	if len(t.shares) == 1 {
		return n, n < end
	}
	share := t.shares[task]
	if (n+1)>>1 >= share { // no sample below 2^64
		return 0, false
	}
	for i := release(n, share); i < min(deadline(n, share), end); i++ {
		if k, before := t.at(i); k == task && before == n {
			return i, true
		}
	}
	return 0, false
}
