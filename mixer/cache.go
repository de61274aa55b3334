package mixer

import (
	"container/list"
	"context"
	"fmt"
	"sync"

	"github.com/tributary-ml/tributary/shards"
)

// cache holds loaded blocks within a budget of bytes, the last used ones. A
// block that several callers want is read once.
type cache struct {
	budget int64

	mu     sync.Mutex
	bytes  int64
	blocks map[blockKey]*list.Element // of *entry
	recent *list.List                 // latest first
}

type blockKey struct {
	source *source
	block  int32
}

type entry struct {
	key   blockKey
	done  chan struct{} // closed when block or err is set
	block *loaded
	err   error
	bytes int64
	ready *loaded // the block once it is there, under the cache's lock
}

func newCache(budget int64) *cache {
	return &cache{budget: budget, blocks: map[blockKey]*list.Element{}, recent: list.New()}
}

// held fills in the blocks that are in memory and reports whether all are.
func (c *cache) held(places []place) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := true
	var last *list.Element
	find := func(key blockKey) *loaded {
		held, ok := c.blocks[key]
		if !ok {
			return nil
		}
		if held != last {
			c.recent.MoveToFront(held)
			last = held
		}
		return held.Value.(*entry).ready
	}
	for i := range places {
		p := &places[i]
		p.own = find(blockKey{p.source, p.block})
		if p.beside >= 0 {
			p.other = find(blockKey{p.source, p.beside})
		}
		all = all && p.own != nil && (p.beside < 0 || p.other != nil)
	}
	return all
}

// get returns a block of a source, reading it when it is not held.
func (c *cache) get(ctx context.Context, s *source, block int32) (*loaded, error) {
	key := blockKey{s, block}
	for {
		c.mu.Lock()
		held, ok := c.blocks[key]
		if !ok {
			break
		}
		c.recent.MoveToFront(held)
		e := held.Value.(*entry)
		c.mu.Unlock()
		select {
		case <-e.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if e.err == nil {
			return e.block, nil
		}
		// Whoever read it may have been cancelled; this caller was not.
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	e := &entry{key: key, done: make(chan struct{})}
	element := c.recent.PushFront(e)
	c.blocks[key] = element
	c.mu.Unlock()

	e.block, e.err = s.read(ctx, block)

	c.mu.Lock()
	if e.err != nil {
		c.remove(element)
	} else {
		e.ready = e.block
		e.bytes = e.block.bytes()
		c.bytes += e.bytes
		for last := c.recent.Back(); c.bytes > c.budget && last != nil; {
			before := last.Prev()
			if last != element && last.Value.(*entry).bytes > 0 {
				c.remove(last)
			}
			last = before
		}
	}
	c.mu.Unlock()
	close(e.done)
	return e.block, e.err
}

// remove forgets an element; the lock is held.
func (c *cache) remove(element *list.Element) {
	e := element.Value.(*entry)
	c.recent.Remove(element)
	delete(c.blocks, e.key)
	c.bytes -= e.bytes
}

// read reads a block and checks that it still has the windows it had when the
// mix was opened.
func (s *source) read(ctx context.Context, block int32) (*loaded, error) {
	var b shards.Block
	i := int(s.list[block])
	if err := s.blocks.ReadBlock(ctx, i, &b); err != nil {
		return nil, fmt.Errorf("reading block %d of %s: %w", i, s.Name, err)
	}
	if size := s.vocab; size > 0 {
		for _, token := range b.Tokens {
			if uint32(token) >= uint32(size) {
				return nil, &VocabularyError{Label: s.Label(), Token: token, Size: size}
			}
		}
	}
	l := s.reader.load(&b)
	if l.count() != int(s.counts[block]) {
		return nil, fmt.Errorf("reading block %d of %s: it has %d windows and had %d when the mix was opened: the shards changed", i, s.Name, l.count(), s.counts[block])
	}
	return l, nil
}
