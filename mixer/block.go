package mixer

import (
	"fmt"
	"sort"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/shards"
)

// Split is a part of a source.
type Split int

const (
	// Train is what is not held out.
	Train Split = iota
	// Heldout is what a run never trains on.
	Heldout
	// All is both.
	All
)

func (s Split) String() string {
	switch s {
	case Train:
		return "train"
	case Heldout:
		return "heldout"
	case All:
		return "all"
	}
	return fmt.Sprintf("Split(%d)", int(s))
}

// heldoutSeed keys the hash that holds documents out. It does not depend on a
// run's seed, so that no run trains on what another holds out.
const heldoutSeed = 0x68656c646f7574

// HeldOut reports whether a document is held out when the given fraction is. The
// documents held out for a fraction are held out for every larger one.
func HeldOut(id string, fraction float64) bool {
	return float64(xxh3.HashStringSeed(id, heldoutSeed)>>11)*0x1p-53 < fraction
}

// Census counts the documents of a component and why some are left out.
type Census struct {
	// Documents is how many the source has. Of these Marked were left out for a
	// mark or by the predicate, Blank have no token, and OtherSplit belong to the
	// split that is not read.
	Documents, Marked, Blank, OtherSplit int64
	// Windows and Tokens are what the remaining documents give in one epoch.
	// Overlong is how many of their sentences had to be cut; in layouts that cut
	// anywhere, of their documents.
	Windows, Tokens, Overlong int64
	// Cut is how many tokens of these documents marked spans took.
	Cut int64
	// Read is how many tokens lie in the blocks that hold these windows.
	Read int64
}

func (c *Census) add(o Census) {
	c.Documents += o.Documents
	c.Marked += o.Marked
	c.Blank += o.Blank
	c.OtherSplit += o.OtherSplit
	c.Windows += o.Windows
	c.Tokens += o.Tokens
	c.Overlong += o.Overlong
	c.Cut += o.Cut
	c.Read += o.Read
}

// reader is what decides the windows of a block.
type reader struct {
	layout  Layout
	seqLen  int
	split   Split
	heldout float64
}

// plan lays the documents of a block that belong to the reader's split, calls
// take for each of them when it is not nil, and counts.
func (r reader) plan(b *shards.Block, p *plan, take func(doc int)) Census {
	p.reset(r.layout, r.seqLen)
	c := Census{Documents: int64(len(b.IDs))}
	for d, id := range b.IDs {
		switch {
		case !b.Keep[d]:
			c.Marked++
		case b.DocBounds[d] == b.DocBounds[d+1]:
			c.Blank++
		case r.split != All && HeldOut(id, r.heldout) != (r.split == Heldout):
			c.OtherSplit++
		default:
			p.add(b.SentenceEnds[b.SentenceBounds[d]:b.SentenceBounds[d+1]])
			for _, g := range b.Gaps[d] {
				c.Cut += int64(g.Tokens)
			}
			if take != nil {
				take(d)
			}
		}
	}
	p.finish()
	c.Windows, c.Tokens, c.Overlong = int64(p.count()), int64(p.tokens), p.overlong
	if c.Windows > 0 {
		c.Read = int64(b.DocBounds[len(b.IDs)])
	}
	return c
}

// loaded is a block in memory: only the documents that are read, end to end.
type loaded struct {
	plan
	ids    []string
	tokens []int32
	cuts   cuts
}

// load makes a loaded block, which shares no memory with b.
func (r reader) load(b *shards.Block) *loaded {
	l := &loaded{}
	var docs []int32
	r.plan(b, &l.plan, func(d int) { docs = append(docs, int32(d)) })
	l.ids = make([]string, len(docs))
	l.tokens = make([]int32, 0, l.plan.tokens)
	for i, d := range docs {
		l.ids[i] = b.IDs[d]
		if gaps := b.Gaps[int(d)]; gaps != nil {
			if l.cuts == nil {
				l.cuts = cuts{}
			}
			l.cuts[l.ids[i]] = gaps
		}
		n := l.ends[l.bounds[i+1]-1] - l.start(l.bounds[i])
		l.tokens = append(l.tokens, b.Tokens[b.DocBounds[d]:b.DocBounds[d]+n]...)
	}
	return l
}

// bytes is the memory that the block takes, nearly.
func (l *loaded) bytes() int64 {
	return int64(4*(len(l.tokens)+len(l.ends)+len(l.bounds)+len(l.windows)+len(l.order)) + 48*len(l.ids) + 96*len(l.cuts))
}

// document returns the document that holds a piece.
func (l *loaded) document(piece int32) int {
	return sort.Search(len(l.ids), func(d int) bool { return l.bounds[d+1] > piece })
}
