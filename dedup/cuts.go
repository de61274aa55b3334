package dedup

import (
	"context"
	"iter"
	"path/filepath"
	"slices"

	"github.com/tributary-ml/tributary/dedup/extsort"
)

// Span is a part of a text, in bytes, without End.
type Span struct{ Start, End int64 }

// Cut is what the marks of some rules leave out of one document.
type Cut struct {
	ID string
	// Whole says that the document is left out; Spans are then empty. Otherwise they
	// are what is cut, ascending, and neither overlap nor touch.
	Whole bool
	Spans []Span
}

// Cuts streams what the marks of the wanted rules leave out of the documents of a
// source, in the order of their ids; documents without such marks are not
// mentioned. The marks of all rules are sorted together in about memory bytes, and
// spilled under dir beyond.
func Cuts(ctx context.Context, dataDir, source string, wanted func(rule string) bool, dir string, memory int64) iter.Seq2[Cut, error] {
	return func(yield func(Cut, error) bool) {
		sorted, err := extsort.New(filepath.Join(dir, "cuts"), memory)
		if err != nil {
			yield(Cut{}, err)
			return
		}
		defer sorted.Close()
		for m, err := range Marks(ctx, dataDir, source) {
			if err == nil && wanted(m.Rule) {
				err = sorted.Add(append([]byte(m.ID), 0), appendMark(nil, &Mark{Start: m.Start, End: m.End}, 0))
			}
			if err != nil {
				yield(Cut{}, err)
				return
			}
		}
		var cut Cut
		some := false
		for rec, err := range sorted.All(ctx) {
			var m Mark
			if err == nil {
				m, _, err = parseMark(rec.Value)
			}
			if err != nil {
				yield(Cut{}, err)
				return
			}
			if id := string(rec.Key[:len(rec.Key)-1]); !some || id != cut.ID {
				if some && !yield(cut.joined(), nil) {
					return
				}
				cut, some = Cut{ID: id}, true
			}
			if m.Whole() {
				cut.Whole, cut.Spans = true, nil
			} else if !cut.Whole {
				cut.Spans = append(cut.Spans, Span{m.Start, m.End})
			}
		}
		if some {
			yield(cut.joined(), nil)
		}
	}
}

// joined joins the spans that overlap or touch.
func (c Cut) joined() Cut {
	slices.SortFunc(c.Spans, func(a, b Span) int { return int(a.Start - b.Start) })
	out := c.Spans[:0]
	for _, s := range c.Spans {
		if n := len(out); n > 0 && s.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, s.End)
		} else {
			out = append(out, s)
		}
	}
	c.Spans = out
	return c
}
