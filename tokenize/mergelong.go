package tokenize

import "slices"

// mergeQueues holds the pairs of a long word by their rank: a list of places for
// each rank, and a heap of the ranks that have any. Most merges give pairs of later
// ranks in the order of their places, so that a list is read through once: a word
// of n symbols takes about n steps, whatever it is.
type mergeQueues struct {
	// first and last are the ends of each rank's list, 0 for none; a list's entries
	// are counted from 1.
	first, last []int32
	entries     []mergeEntry
	ranks       []int32
	batch       []int32
}

type mergeEntry struct{ place, next int32 }

// put adds a place to the list of a rank.
func (q *mergeQueues) put(rank, place int32) {
	q.entries = append(q.entries, mergeEntry{place, 0})
	n := int32(len(q.entries))
	if q.first[rank] == 0 {
		q.first[rank] = n
		q.pushRank(rank)
	} else {
		q.entries[q.last[rank]-1].next = n
	}
	q.last[rank] = n
}

// take moves the list of the first rank into batch, in the order of places.
func (q *mergeQueues) take() int32 {
	rank := q.popRank()
	q.batch = q.batch[:0]
	sorted, before := true, int32(-1)
	for n := q.first[rank]; n != 0; {
		entry := q.entries[n-1]
		sorted = sorted && before < entry.place
		before = entry.place
		q.batch = append(q.batch, entry.place)
		n = entry.next
	}
	q.first[rank] = 0
	if !sorted {
		slices.Sort(q.batch)
	}
	return rank
}

func (q *mergeQueues) pushRank(rank int32) {
	q.ranks = append(q.ranks, rank)
	i := len(q.ranks) - 1
	for i > 0 {
		p := (i - 1) / 4
		if q.ranks[p] <= rank {
			break
		}
		q.ranks[i] = q.ranks[p]
		i = p
	}
	q.ranks[i] = rank
}

func (q *mergeQueues) popRank() int32 {
	top, end := q.ranks[0], len(q.ranks)-1
	v := q.ranks[end]
	q.ranks = q.ranks[:end]
	if end == 0 {
		return top
	}
	h, i := q.ranks, 0
	for {
		c := 4*i + 1
		if c >= len(h) {
			break
		}
		best := c
		for k := c + 1; k < min(c+4, len(h)); k++ {
			if h[k] < h[best] {
				best = k
			}
		}
		if h[best] >= v {
			break
		}
		h[i] = h[best]
		i = best
	}
	h[i] = v
	return top
}

// mergeLong takes rank after rank.
func (m *bpe) mergeLong(w *bpeWord) {
	q := &w.queues
	if len(q.first) != len(m.pairs) {
		q.first, q.last = make([]int32, len(m.pairs)), make([]int32, len(m.pairs))
	}
	q.entries, q.ranks = q.entries[:0], q.ranks[:0]
	n := int32(len(w.ids))
	w.prev, w.next = w.prev[:0], w.next[:0]
	for i := range n {
		w.prev, w.next = append(w.prev, i-1), append(w.next, i+1)
		if i+1 < n {
			if r := m.merges.get(w.ids[i], w.ids[i+1]); r.rank != none {
				q.put(r.rank, i)
			}
		}
	}
	for len(q.ranks) > 0 {
		rank := q.take()
		for k, i := range q.batch {
			w.work++
			if w.ids[i] < 0 || w.next[i] >= n {
				continue
			}
			j := w.next[i]
			to := m.merges.get(w.ids[i], w.ids[j])
			// Another merge may have taken a side of the pair.
			if to.rank != rank {
				continue
			}
			w.ids[i], w.ids[j] = to.id, -1
			w.ends[i] = w.ends[j]
			after := w.next[j]
			w.next[i] = after
			earlier := false
			if after < n {
				w.prev[after] = i
				if r := m.merges.get(to.id, w.ids[after]); r.rank != none {
					q.put(r.rank, i)
					earlier = r.rank <= rank
				}
			}
			if before := w.prev[i]; before >= 0 {
				if r := m.merges.get(w.ids[before], to.id); r.rank != none {
					q.put(r.rank, before)
					earlier = earlier || r.rank <= rank
				}
			}
			if earlier {
				// A vocabulary whose merges do not follow each other: the new pair
				// may have to go before what is left.
				for _, i := range q.batch[k+1:] {
					q.put(rank, i)
				}
				break
			}
		}
	}
	out := 0
	for i := int32(0); i < n; i = w.next[i] {
		w.ids[out], w.ends[out] = w.ids[i], w.ends[i]
		out++
	}
	w.ids, w.ends = w.ids[:out], w.ends[:out]
	if cap(q.entries) > 1<<20 {
		// One huge word must not hold its memory for good.
		*q = mergeQueues{}
		w.prev, w.next = nil, nil
	}
}
