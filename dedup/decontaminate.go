package dedup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/tributary-ml/tributary/ingest"
)

// RuleDecontaminate is the name of Decontaminate's rule. A mark of the kind
// "overlap" covers the words that a document shares with a task item, one of the
// kind "item" the whole document that has most of an item, one of the kind "near"
// a document or a paragraph of it that is like an item.
const RuleDecontaminate = "decontaminate"

// TaskItem is one example of an evaluation set.
type TaskItem struct {
	// Task names the set, ID the example in it.
	Task, ID string
	Text     string
}

// DecontaminateOptions says what counts as an overlap. What is 0 has its default.
type DecontaminateOptions struct {
	// NGram is the number of words in a row that a document must share with an item:
	// 13 by default (Brown et al. 2020, appendix C); 12, 8 and others are in use.
	NGram int `json:"ngram"`
	// Whole is the share of an item's distinct n-grams from which on the document
	// is marked as a whole; 0.8 by default. Above 1 nothing is.
	Whole float64 `json:"whole"`
	// Short is the number of words from which on an item of fewer than NGram words
	// is looked for, whole, in every document; 8 by default.
	Short int `json:"short"`
	// Near is the Jaccard similarity of the sets of word NearGrams from which on a
	// document, or a paragraph of it, is marked as a near-duplicate of an item; 0.8
	// by default. Above 1 nothing is.
	Near     float64 `json:"near"`
	NearGram int     `json:"near_gram"`
}

func (o *DecontaminateOptions) setDefaults() error {
	for _, n := range []struct {
		value *int
		usual int
	}{{&o.NGram, 13}, {&o.Short, 8}, {&o.NearGram, 5}} {
		if *n.value == 0 {
			*n.value = n.usual
		}
		if *n.value < 1 || *n.value > 100 {
			return fmt.Errorf("%d words in a row: 1 to 100 are possible", *n.value)
		}
	}
	for _, x := range []*float64{&o.Whole, &o.Near} {
		if *x == 0 {
			*x = 0.8
		}
		if !(*x > 0) {
			return fmt.Errorf("a share of %g: it must be above 0", *x)
		}
	}
	return nil
}

// DecontaminateFigures are what a run of Decontaminate counted.
type DecontaminateFigures struct {
	DecontaminateOptions
	Items int `json:"items"`
	// TooShort counts items of fewer than Short words, which are found only in
	// documents that have no other words. Wordless counts those without words.
	TooShort int `json:"too_short"`
	Wordless int `json:"wordless"`
	// Tasks says of each set what was found of it, in the order of their names.
	Tasks []TaskReport `json:"tasks"`
	// Found holds the items of which something was found, in order.
	Found []ItemReport `json:"found"`
}

// TaskReport is what was found of one evaluation set.
type TaskReport struct {
	Task  string `json:"task"`
	Items int    `json:"items"`
	// Found counts the items that share something with a document, Whole those of
	// which a document has at least the share DecontaminateOptions.Whole of the
	// n-grams, and Near those with a near-duplicate.
	Found int `json:"found"`
	Whole int `json:"whole"`
	Near  int `json:"near"`
}

// ItemReport is what was found of one task item.
type ItemReport struct {
	Task string `json:"task"`
	ID   string `json:"id"`
	// Text is how it begins.
	Text string `json:"text"`
	// Documents counts the documents that share an n-gram with it or are like it.
	// Best is the greatest share of its n-grams that one document has, Near the
	// greatest similarity at or above the threshold.
	Documents int64   `json:"documents"`
	Best      float64 `json:"best"`
	Near      float64 `json:"near"`
}

// Decontaminate marks the parts of documents that share n-grams of words with
// task items, and the documents and paragraphs that are near-duplicates of one.
// The evidence of a mark is the item, as Kept, and its task, as KeptSource; the
// score is the share of the item's n-grams that the document has, of a
// near-duplicate the Jaccard similarity. The items are held in memory, 16 bytes a
// word or so; more than half of Config.MemoryBytes of them is an error.
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
	if err := opt.setDefaults(); err != nil {
		return nil, err
	}
	index, err := newTaskIndex(items, opt, max(cfg.MemoryBytes/2, 1<<24))
	if err != nil {
		return nil, err
	}
	run, done, err := cfg.beginRule(RuleDecontaminate, struct {
		DecontaminateOptions
		Version string `json:"version"`
		Items   string `json:"items"`
	}{opt, "decontaminate/2", index.digest})
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	var mu sync.Mutex
	documents := make([]int64, len(cfg.Sources))
	err = cfg.eachDocument(ctx, func() func(int, *ingest.Document) error {
		m := newTaskMatcher(index)
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
	score float64  // the share of the item's n-grams
	spans [][2]int // bytes of the document's text
	near  []nearUnit
}

// nearUnit is a paragraph, or with bounds of -1 a document, that is like an item.
type nearUnit struct {
	start, end int
	score      float64
}

func addOverlap(run *ruleRun, source int, d *ingest.Document, index *taskIndex, f taskOverlap) error {
	it := &index.items[f.item]
	it.documents++
	it.best = max(it.best, f.score)
	m := Mark{
		ID: d.ID, Source: run.cfg.Sources[source], Rule: RuleDecontaminate, Kept: it.id, KeptSource: it.task, Score: f.score,
		KeptStart: -1, KeptEnd: -1,
		Reason: fmt.Sprintf("it has %.0f %% of the word %d-grams of item %s of task %s: %s", 100*f.score, it.length, it.id, it.task, it.text),
	}
	for _, s := range f.spans {
		m.Kind, m.Start, m.End = "overlap", int64(s[0]), int64(s[1])
		if err := run.add(source, &m, m.End-m.Start); err != nil {
			return err
		}
	}
	if f.score >= index.opt.Whole {
		m.Kind, m.Start, m.End = "item", -1, -1
		if err := run.add(source, &m, 0); err != nil { // its bytes are counted by its spans
			return err
		}
	}
	for _, n := range f.near {
		it.near = max(it.near, n.score)
		m.Kind, m.Start, m.End, m.Score = "near", int64(n.start), int64(n.end), n.score
		m.Reason = fmt.Sprintf("Jaccard similarity %.3f of the sets of word %d-grams with item %s of task %s: %s", n.score, index.opt.NearGram, it.id, it.task, it.text)
		if err := run.add(source, &m, 0); err != nil {
			return err
		}
	}
	return nil
}
