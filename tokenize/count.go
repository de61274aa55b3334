package tokenize

import (
	"context"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/tributary-ml/tributary/ingest/progress"
)

// wordCount is a word and how often it stands in the texts.
type wordCount struct {
	word  string
	count int64
}

// roundBytes is the usual size of a round. It does not depend on the number of workers, so that what is dropped
// does not either.
const roundBytes = 8 << 20

// wordBytes is what an entry of the table costs beside the word's bytes.
const wordBytes = 64

// counter counts words in bounded memory. When the table outgrows its bound
// after a round, the rarest words are dropped from it (lossy counting, Manku and
// Motwani, VLDB 2002): a word's count is then short by at most what was dropped
// for it, and no frequent word is lost.
type counter struct {
	jobs   int
	memory int64
	// round is how much text is counted between two looks at the table's size.
	round int
	meter *progress.Meter
	// words calls yield with the words of text.
	words func() func(text string, yield func(word []byte))

	counts  map[string]*int64
	size    int64
	dropped int64
}

// count reads all texts and returns the words by descending count and then by
// their bytes.
func (c *counter) count(ctx context.Context, texts iter.Seq2[string, error]) ([]wordCount, error) {
	if c.jobs <= 0 {
		c.jobs = runtime.GOMAXPROCS(0)
	}
	if c.round == 0 {
		c.round = roundBytes
	}
	c.counts = map[string]*int64{}
	c.meter.Begin("counting words", "bytes", 0, 0)
	workers := make([]func(string, func([]byte)), c.jobs)
	for i := range workers {
		workers[i] = c.words()
	}
	// One round is counted while the next is read.
	var round []string
	size, read := 0, 0
	var busy sync.WaitGroup
	start := func() {
		busy.Wait()
		batch := round
		round, size = nil, 0
		busy.Go(func() { c.countRound(batch, workers) })
	}
	for text, err := range texts {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			busy.Wait()
			return nil, fmt.Errorf("counting words in text %d: %w", read, err)
		}
		read++
		round, size = append(round, text), size+len(text)
		if size >= c.round {
			start()
		}
	}
	start()
	busy.Wait()
	words := make([]wordCount, 0, len(c.counts))
	for w, n := range c.counts {
		words = append(words, wordCount{w, *n})
	}
	c.counts = nil
	slices.SortFunc(words, func(a, b wordCount) int {
		switch {
		case a.count != b.count && a.count > b.count, a.count == b.count && a.word < b.word:
			return -1
		}
		return 1
	})
	return words, nil
}

// countRound adds the words of texts to the table.
func (c *counter) countRound(texts []string, workers []func(string, func([]byte))) {
	locals := make([]map[string]*int64, len(workers))
	var next atomic.Int64
	var wg sync.WaitGroup
	for i, words := range workers {
		wg.Go(func() {
			local := map[string]*int64{}
			locals[i] = local
			add := func(word []byte) {
				if n := local[string(word)]; n != nil {
					*n++
					return
				}
				n := int64(1)
				local[string(word)] = &n
			}
			for {
				k := next.Add(1) - 1
				if k >= int64(len(texts)) {
					return
				}
				words(texts[k], add)
				c.meter.Add(int64(len(texts[k])))
			}
		})
	}
	wg.Wait()
	for _, local := range locals {
		for w, n := range local {
			if have := c.counts[w]; have != nil {
				*have += *n
				continue
			}
			c.counts[w] = n
			c.size += int64(len(w)) + wordBytes
		}
	}
	for floor := int64(1); c.size > c.memory; floor++ {
		for w, n := range c.counts {
			if *n <= floor {
				delete(c.counts, w)
				c.size -= int64(len(w)) + wordBytes
				c.dropped++
			}
		}
	}
}
