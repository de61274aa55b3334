package shards

import (
	"context"
	"iter"
	"slices"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/dedup/extsort"
)

// sortMarks puts the names of the rules that marked whole documents in the order
// of the rows.
func sortMarks(ctx context.Context, dataDir, source string, marks *extsort.Sorter) error {
	var key []byte
	for m, err := range dedup.Marks(ctx, dataDir, source) {
		if err != nil {
			return err
		}
		if !m.Whole() {
			continue
		}
		key = appendKey(key[:0], m.ID)
		if err := marks.Add(key, []byte(m.Rule)); err != nil {
			return err
		}
	}
	return nil
}

// markJoin hands out the marks of rows that are asked for in order.
type markJoin struct {
	next func() (extsort.Record, error, bool)
	stop func()
	rec  extsort.Record
	more bool
	err  error
}

func newMarkJoin(marks iter.Seq2[extsort.Record, error]) *markJoin {
	next, stop := iter.Pull2(marks)
	j := &markJoin{next: next, stop: stop}
	j.advance()
	return j
}

func (j *markJoin) advance() {
	var err error
	j.rec, err, j.more = j.next()
	if j.more && err != nil {
		j.err, j.more = err, false
	}
}

// of returns the distinct rules that marked the row of this key. Marks of
// documents that are no longer there are passed over.
func (j *markJoin) of(key []byte) ([]string, error) {
	var rules []string
	for j.more {
		c := slices.Compare(j.rec.Key, key)
		if c > 0 {
			break
		}
		if rule := string(j.rec.Value); c == 0 && (len(rules) == 0 || rules[len(rules)-1] != rule) {
			rules = append(rules, rule)
		}
		j.advance()
	}
	return rules, j.err
}
