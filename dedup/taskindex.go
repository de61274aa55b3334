package dedup

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/tributary-ml/tributary/ingest/store"
)

// taskIndex holds the n-grams of all items.
type taskIndex struct {
	opt   DecontaminateOptions
	items []taskItem
	// tables hold the items by the length of the n-grams that are looked for: NGram,
	// and the lengths of the short items. near holds them by NearGrams.
	tables          []*gramTable
	near            *gramTable
	digest          string
	short, wordless int
	tasks           map[string]int
}

type taskItem struct {
	task, id, text string
	// grams is the number of its distinct n-grams of length words, nearGrams of
	// NearGram.
	length, grams, nearGrams int
	documents                int64
	best, near               float64
}

type taskGram struct {
	hash uint64
	item uint32
}

const (
	taskGramBytes = 16
	filterBits    = 20
	excerptRunes  = 80
)

// gramTable finds the items that have an n-gram.
type gramTable struct {
	n      int
	grams  []taskGram
	filter []uint64 // a bit for the upper bits of each n-gram
}

func newGramTable(n int) *gramTable {
	return &gramTable{n: n, filter: make([]uint64, 1<<filterBits/64)}
}

func (t *gramTable) add(set []uint64, item uint32) {
	for _, h := range set {
		t.grams = append(t.grams, taskGram{h, item})
		t.filter[h>>(64-filterBits)/64] |= 1 << (h >> (64 - filterBits) % 64)
	}
}

func (t *gramTable) sort() {
	slices.SortFunc(t.grams, func(a, b taskGram) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.item, b.item))
	})
}

// of returns the entries of an n-gram.
func (t *gramTable) of(h uint64) []taskGram {
	if t.filter[h>>(64-filterBits)/64]>>(h>>(64-filterBits)%64)&1 == 0 {
		return nil
	}
	i := sort.Search(len(t.grams), func(i int) bool { return t.grams[i].hash >= h })
	j := i
	for j < len(t.grams) && t.grams[j].hash == h {
		j++
	}
	return t.grams[i:j]
}

func newTaskIndex(items iter.Seq2[TaskItem, error], opt DecontaminateOptions, memory int64) (*taskIndex, error) {
	x := &taskIndex{opt: opt, near: newGramTable(opt.NearGram), tasks: map[string]int{}}
	tables := map[int]*gramTable{}
	s := newShingler(1)
	chunk := make([]uint64, 0, 1<<10)
	var set []uint64
	var digests []string
	total := int64(0)
	for it, err := range items {
		if err != nil {
			return nil, err
		}
		digests = append(digests, store.Key(it.Task, it.ID, it.Text))
		x.tasks[it.Task]++
		s.hashWords(it.Text)
		words := len(s.words)
		if words == 0 {
			x.wordless++
			continue
		}
		length := opt.NGram
		if words < opt.Short && words < opt.NGram {
			x.short++
		} else if words < opt.NGram {
			length = words
		}
		if tables[length] == nil {
			tables[length] = newGramTable(length)
		}
		number := uint32(len(x.items))
		item := taskItem{task: it.Task, id: it.ID, text: beginning(it.Text), length: length}
		s.setLength(length)
		set = s.set(chunk, set[:0])
		item.grams = len(set)
		tables[length].add(set, number)
		total += int64(len(set))
		if opt.Near <= 1 && words >= opt.Short {
			s.setLength(opt.NearGram)
			set = s.set(chunk, set[:0])
			item.nearGrams = len(set)
			x.near.add(set, number)
			total += int64(len(set))
		}
		if total*taskGramBytes > memory {
			return nil, fmt.Errorf("the task items have more n-grams than %d bytes hold: give more memory, or fewer items at once", memory)
		}
		x.items = append(x.items, item)
	}
	if len(digests) == 0 {
		return nil, errors.New("there are no task items")
	}
	sort.Strings(digests)
	x.digest = store.Key(digests)
	for _, t := range tables {
		t.sort()
		x.tables = append(x.tables, t)
	}
	x.near.sort()
	slices.SortFunc(x.tables, func(a, b *gramTable) int { return cmp.Compare(a.n, b.n) })
	return x, nil
}

// beginning is how a text begins, on one line.
func beginning(text string) string {
	text = strings.Join(strings.Fields(text[:min(len(text), 8*excerptRunes)]), " ")
	runes := []rune(strings.ToValidUTF8(text, ""))
	if len(runes) > excerptRunes {
		return string(runes[:excerptRunes]) + " ..."
	}
	return string(runes)
}

func (x *taskIndex) figures() DecontaminateFigures {
	f := DecontaminateFigures{DecontaminateOptions: x.opt, Items: len(x.items) + x.wordless, TooShort: x.short, Wordless: x.wordless, Found: []ItemReport{}}
	tasks := map[string]*TaskReport{}
	for name, n := range x.tasks {
		tasks[name] = &TaskReport{Task: name, Items: n}
	}
	for _, it := range x.items {
		if it.documents == 0 {
			continue
		}
		f.Found = append(f.Found, ItemReport{it.task, it.id, it.text, it.documents, it.best, it.near})
		t := tasks[it.task]
		t.Found++
		if it.best >= x.opt.Whole {
			t.Whole++
		}
		if it.near > 0 {
			t.Near++
		}
	}
	for _, t := range tasks {
		f.Tasks = append(f.Tasks, *t)
	}
	slices.SortFunc(f.Tasks, func(a, b TaskReport) int { return cmp.Compare(a.Task, b.Task) })
	slices.SortFunc(f.Found, func(a, b ItemReport) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Text, b.Text))
	})
	return f
}

// taskMatcher is the scratch memory of one goroutine.
type taskMatcher struct {
	index *taskIndex
	s     *shingler
	chunk []uint64
	hits  []taskHit
	set   []uint64
	found map[uint32]*taskOverlap
}

func newTaskMatcher(index *taskIndex) *taskMatcher {
	return &taskMatcher{index: index, s: newShingler(1), chunk: make([]uint64, 0, 1<<10), found: map[uint32]*taskOverlap{}}
}

type taskHit struct {
	item uint32
	at   int // the number of the first word
	hash uint64
}

func compareHits(a, b taskHit) int {
	return cmp.Or(cmp.Compare(a.item, b.item), cmp.Compare(a.at, b.at))
}

// match returns the overlaps of a text with items, in the order of the items.
func (m *taskMatcher) match(text string) []taskOverlap {
	clear(m.found)
	m.s.hashWords(text)
	words := len(m.s.words)
	var bounds [][2]int
	for _, t := range m.index.tables {
		if words < t.n && t.n != m.index.opt.NGram {
			continue
		}
		if m.look(t); len(m.hits) == 0 {
			continue
		}
		if bounds == nil {
			bounds = m.s.wordBounds(text)
		}
		n := min(t.n, len(bounds))
		for hits := range byItem(m.hits) {
			o := overlapOf(hits, bounds, n, m.index.items[hits[0].item].grams)
			m.found[o.item] = &o
		}
	}
	if m.index.opt.Near <= 1 {
		m.matchNear(text, bounds)
	}
	out := make([]taskOverlap, 0, len(m.found))
	for _, o := range m.found {
		out = append(out, *o)
	}
	slices.SortFunc(out, func(a, b taskOverlap) int { return cmp.Compare(a.item, b.item) })
	return out
}

// look fills m.hits with the entries of a table that the words have, in order.
func (m *taskMatcher) look(t *gramTable) {
	m.hits = m.hits[:0]
	m.s.setLength(t.n)
	at := 0
	m.s.each(m.chunk, func(c []uint64) {
		for i, h := range c {
			for _, g := range t.of(h) {
				m.hits = append(m.hits, taskHit{g.item, at + i, h})
			}
		}
		at += len(c)
	})
	slices.SortFunc(m.hits, compareHits)
}

// byItem yields the runs of hits of one item.
func byItem(hits []taskHit) iter.Seq[[]taskHit] {
	return func(yield func([]taskHit) bool) {
		for len(hits) > 0 {
			end := 1
			for end < len(hits) && hits[end].item == hits[0].item {
				end++
			}
			if !yield(hits[:end:end]) {
				return
			}
			hits = hits[end:]
		}
	}
}

// matchNear compares the text, and its paragraphs, with the items that they share
// enough n-grams with.
func (m *taskMatcher) matchNear(text string, bounds [][2]int) {
	m.look(m.index.near)
	if len(m.hits) == 0 {
		return
	}
	if bounds == nil {
		bounds = m.s.wordBounds(text)
	}
	words := slices.Clone(m.s.words)
	hits := slices.Clone(m.hits)
	m.compareUnit(words, hits, 0, len(words), nearUnit{-1, -1, 0})
	type unit struct{ start, end, from, to int }
	var units []unit
	w := 0
	for start, end := range parts(text, "\n\n") {
		for w < len(bounds) && bounds[w][0] < start {
			w++
		}
		from := w
		for w < len(bounds) && bounds[w][1] <= end {
			w++
		}
		units = append(units, unit{start, end, from, w})
	}
	if len(units) < 2 {
		return // the paragraph is the document
	}
	slices.SortStableFunc(hits, func(a, b taskHit) int { return cmp.Compare(a.at, b.at) })
	for _, u := range units {
		i := sort.Search(len(hits), func(i int) bool { return hits[i].at >= u.from })
		j := sort.Search(len(hits), func(i int) bool { return hits[i].at+m.index.opt.NearGram > u.to })
		if i < j {
			inside := slices.Clone(hits[i:j])
			slices.SortFunc(inside, compareHits)
			m.compareUnit(words, inside, u.from, u.to, nearUnit{u.start, u.end, 0})
		}
	}
}

// compareUnit compares the words from..to with the items of the hits.
func (m *taskMatcher) compareUnit(words []uint64, hits []taskHit, from, to int, u nearUnit) {
	m.set = m.set[:0]
	for of := range byItem(hits) {
		it := &m.index.items[of[0].item]
		t := m.index.opt.Near
		if float64(len(of)) < t*float64(it.nearGrams)-1e-9 {
			continue
		}
		if len(m.set) == 0 {
			m.s.words = append(m.s.words[:0], words[from:to]...)
			m.set = m.s.set(m.chunk, m.set)
		}
		distinct := make([]uint64, len(of))
		for i, h := range of {
			distinct[i] = h.hash
		}
		slices.Sort(distinct)
		u.score = jaccard(len(slices.Compact(distinct)), len(m.set), it.nearGrams)
		if u.score < t || math.IsNaN(u.score) {
			continue
		}
		o := m.found[of[0].item]
		if o == nil {
			o = &taskOverlap{item: of[0].item}
			m.found[of[0].item] = o
		}
		o.near = append(o.near, u)
	}
}

func overlapOf(hits []taskHit, bounds [][2]int, n, grams int) taskOverlap {
	o := taskOverlap{item: hits[0].item}
	distinct := make([]uint64, len(hits))
	last := -1 // the last word of the last span
	for i, h := range hits {
		distinct[i] = h.hash
		from, to := bounds[h.at][0], bounds[h.at+n-1][1]
		if h.at <= last+1 && len(o.spans) > 0 {
			o.spans[len(o.spans)-1][1] = to
		} else {
			o.spans = append(o.spans, [2]int{from, to})
		}
		last = h.at + n - 1
	}
	slices.Sort(distinct)
	o.score = float64(len(slices.Compact(distinct))) / float64(grams)
	return o
}
