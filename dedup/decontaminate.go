package dedup

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sort"
	"sync"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// RuleDecontaminate is the name of Decontaminate's rule. A mark of the kind
// "overlap" covers the words that a document shares with a task item, one of the
// kind "item" the whole document.
const RuleDecontaminate = "decontaminate"

// TaskItem is one example of an evaluation set.
type TaskItem struct {
	// Task names the set, ID the example in it.
	Task, ID string
	Text     string
}

// DecontaminateOptions says what counts as an overlap.
type DecontaminateOptions struct {
	// NGram is the number of words in a row that a document must share with an item:
	// 13 by default (Brown et al. 2020, appendix C).
	NGram int `json:"ngram"`
	// Whole is the share of an item's distinct n-grams from which on the document
	// is marked as a whole; 0.8 by default. Above 1 nothing is.
	Whole float64 `json:"whole"`
}

// DecontaminateFigures are what a run of Decontaminate counted.
type DecontaminateFigures struct {
	DecontaminateOptions
	Tasks int `json:"tasks"`
	Items int `json:"items"`
	// Short counts items of fewer than NGram words, which are found only in
	// documents that have no other words. Wordless counts those without words.
	Short    int `json:"short"`
	Wordless int `json:"wordless"`
	// Found holds the items of which some n-gram was found, in order.
	Found []ItemReport `json:"found"`
}

// ItemReport is what was found of one task item.
type ItemReport struct {
	Task string `json:"task"`
	ID   string `json:"id"`
	// Documents counts the documents that share an n-gram with it. Best is the
	// greatest share of its n-grams that one document has.
	Documents int64   `json:"documents"`
	Best      float64 `json:"best"`
}

// maxTaskGrams bounds the memory that the items may take: 16 bytes each.
const maxTaskGrams = 1 << 26

// Decontaminate marks the parts of documents that share n-grams of words with
// task items. The evidence of a mark is the item, as Kept, and its task, as
// KeptSource; the score is the share of the item's n-grams that the document has.
// The items are held in memory.
func Decontaminate(ctx context.Context, cfg Config, items iter.Seq2[TaskItem, error], opt DecontaminateOptions) (*Report, error) {
	report, err := decontaminate(ctx, cfg, items, opt)
	if err != nil {
		return nil, fmt.Errorf("rule %s: %w", RuleDecontaminate, err)
	}
	return report, nil
}

func decontaminate(ctx context.Context, cfg Config, items iter.Seq2[TaskItem, error], opt DecontaminateOptions) (_ *Report, err error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	if opt.NGram == 0 {
		opt.NGram = 13
	}
	if opt.Whole == 0 {
		opt.Whole = 0.8
	}
	if opt.NGram < 1 || opt.NGram > 100 || !(opt.Whole > 0) {
		return nil, fmt.Errorf("%d-grams and a share of %g: an n-gram has 1 to 100 words and a share is above 0", opt.NGram, opt.Whole)
	}
	index, err := newTaskIndex(items, opt)
	if err != nil {
		return nil, err
	}
	run, done, err := cfg.beginRule(RuleDecontaminate, struct {
		DecontaminateOptions
		Version string `json:"version"`
		Items   string `json:"items"`
	}{opt, "decontaminate/1", index.digest})
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	var mu sync.Mutex
	documents := make([]int64, len(cfg.Sources))
	err = cfg.eachDocument(ctx, func() func(int, *ingest.Document) error {
		m := &taskMatcher{index: index, s: newShingler(opt.NGram), chunk: make([]uint64, 0, 1<<10)}
		return func(source int, d *ingest.Document) error {
			found := m.match(d.Text)
			mu.Lock()
			defer mu.Unlock()
			documents[source]++
			for _, f := range found {
				if err := addOverlap(run, source, d, index, f); err != nil {
					return err
				}
			}
			return nil
		}
	})
	if err != nil {
		return nil, err
	}
	for i := range run.report.Sources {
		run.report.Sources[i].Documents = documents[i]
	}
	if run.report.Figures, err = json.Marshal(index.figures()); err != nil {
		return nil, fmt.Errorf("encoding the figures: %w", err)
	}
	return run.finish(ctx)
}

// overlap of a document with one item.
type taskOverlap struct {
	item  uint32
	score float64
	spans [][2]int // bytes of the document's text
}

func addOverlap(run *ruleRun, source int, d *ingest.Document, index *taskIndex, f taskOverlap) error {
	it := &index.items[f.item]
	it.documents++
	it.best = max(it.best, f.score)
	m := Mark{
		ID: d.ID, Source: run.cfg.Sources[source], Rule: RuleDecontaminate, Kept: it.id, KeptSource: it.task, Score: f.score,
		Reason: fmt.Sprintf("it has %.0f %% of the word %d-grams of item %s of task %s", 100*f.score, index.opt.NGram, it.id, it.task),
	}
	for _, s := range f.spans {
		m.Kind, m.Start, m.End = "overlap", int64(s[0]), int64(s[1])
		if err := run.add(source, &m, m.End-m.Start); err != nil {
			return err
		}
	}
	if f.score >= index.opt.Whole {
		m.Kind, m.Start, m.End = "item", -1, -1
		return run.add(source, &m, 0) // its bytes are counted by its spans
	}
	return nil
}

// taskIndex holds the n-grams of all items.
type taskIndex struct {
	opt             DecontaminateOptions
	items           []taskItem
	grams           []taskGram
	filter          []uint64 // a bit for the upper bits of each n-gram
	digest          string
	short, wordless int
}

type taskItem struct {
	task, id  string
	grams     int
	documents int64
	best      float64
}

type taskGram struct {
	hash uint64
	item uint32
}

const filterBits = 24

func newTaskIndex(items iter.Seq2[TaskItem, error], opt DecontaminateOptions) (*taskIndex, error) {
	x := &taskIndex{opt: opt, filter: make([]uint64, 1<<filterBits/64)}
	s := newShingler(opt.NGram)
	chunk := make([]uint64, 0, 1<<10)
	var set []uint64
	var digests []string
	for it, err := range items {
		if err != nil {
			return nil, fmt.Errorf("reading the task items: %w", err)
		}
		digests = append(digests, store.Key(it.Task, it.ID, it.Text))
		s.hashWords(it.Text)
		if len(s.words) == 0 {
			x.wordless++
			continue
		}
		if len(s.words) < opt.NGram {
			x.short++
		}
		set = s.set(chunk, set[:0])
		if len(x.grams)+len(set) > maxTaskGrams {
			return nil, fmt.Errorf("the task items have more than %d n-grams", maxTaskGrams)
		}
		for _, h := range set {
			x.grams = append(x.grams, taskGram{h, uint32(len(x.items))})
			x.filter[h>>(64-filterBits)/64] |= 1 << (h >> (64 - filterBits) % 64)
		}
		x.items = append(x.items, taskItem{task: it.Task, id: it.ID, grams: len(set)})
	}
	if len(digests) == 0 {
		return nil, errors.New("there are no task items")
	}
	sort.Strings(digests)
	x.digest = store.Key(digests)
	slices.SortFunc(x.grams, func(a, b taskGram) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.item, b.item))
	})
	return x, nil
}

func (x *taskIndex) figures() DecontaminateFigures {
	f := DecontaminateFigures{DecontaminateOptions: x.opt, Items: len(x.items) + x.wordless, Short: x.short, Wordless: x.wordless, Found: []ItemReport{}}
	tasks := map[string]bool{}
	for _, it := range x.items {
		tasks[it.task] = true
		if it.documents > 0 {
			f.Found = append(f.Found, ItemReport{it.task, it.id, it.documents, it.best})
		}
	}
	f.Tasks = len(tasks)
	slices.SortFunc(f.Found, func(a, b ItemReport) int {
		return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.ID, b.ID))
	})
	return f
}

// of returns the entries of an n-gram.
func (x *taskIndex) of(h uint64) []taskGram {
	if x.filter[h>>(64-filterBits)/64]>>(h>>(64-filterBits)%64)&1 == 0 {
		return nil
	}
	i := sort.Search(len(x.grams), func(i int) bool { return x.grams[i].hash >= h })
	j := i
	for j < len(x.grams) && x.grams[j].hash == h {
		j++
	}
	return x.grams[i:j]
}

// taskMatcher is the scratch memory of one goroutine.
type taskMatcher struct {
	index *taskIndex
	s     *shingler
	chunk []uint64
}

type taskHit struct {
	item uint32
	at   int // the number of the first word
	hash uint64
}

// match returns the overlaps of a text with items, in the order of the items.
func (m *taskMatcher) match(text string) []taskOverlap {
	m.s.hashWords(text)
	var hits []taskHit
	at := 0
	m.s.each(m.chunk, func(c []uint64) {
		for i, h := range c {
			for _, g := range m.index.of(h) {
				hits = append(hits, taskHit{g.item, at + i, h})
			}
		}
		at += len(c)
	})
	if len(hits) == 0 {
		return nil
	}
	bounds := m.s.wordBounds(text)
	n := min(m.s.n, len(bounds))
	slices.SortFunc(hits, func(a, b taskHit) int { return cmp.Or(cmp.Compare(a.item, b.item), cmp.Compare(a.at, b.at)) })
	var out []taskOverlap
	for len(hits) > 0 {
		end := 1
		for end < len(hits) && hits[end].item == hits[0].item {
			end++
		}
		out = append(out, overlapOf(hits[:end], bounds, n, m.index.items[hits[0].item].grams))
		hits = hits[end:]
	}
	return out
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
