package mixer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr/vm"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
)

// DocumentFilter returns whether a component's predicate holds for a document of
// its source, as Filter does for shards. The columns are those of the documents:
// texts have no tokens yet. An empty predicate keeps what no mark covers whole. The
// function must not be used by two goroutines at once.
func (c Component) DocumentFilter(ctx context.Context, dataDir string) (func(*ingest.Document) (bool, error), error) {
	columns := documentColumns()
	values := map[string]any{}
	for name, column := range columns {
		values[name] = column.of(reflect.ValueOf(ingest.Document{}))
	}
	rules, err := markRules(filepath.Join(dataDir, c.Name, "marks"))
	if err != nil {
		return nil, err
	}
	where := c.Where
	if where == "" {
		where = "true"
	}
	p, err := newPredicate(where, values, rules)
	if err == nil && p.cuts {
		err = errors.New("cut is about the tokens of shards: documents are read whole")
	}
	if err != nil {
		return nil, fmt.Errorf("the predicate of %s: %w", c.Label(), err)
	}
	p.marks = map[string]uint64{}
	for mark, err := range dedup.Marks(ctx, dataDir, c.Name) {
		if err != nil {
			return nil, fmt.Errorf("reading the marks of %s: %w", c.Name, err)
		}
		if rule := slices.Index(rules, mark.Rule); mark.Whole() && rule >= 0 {
			p.marks[mark.ID] |= 1 << rule
		}
	}
	id := ""
	env := map[string]any{"marked": func(rules ...string) bool { return p.has(id, rules) }}
	var machine vm.VM
	return func(d *ingest.Document) (bool, error) {
		id = d.ID
		row := reflect.ValueOf(*d)
		for _, name := range p.columns {
			env[name] = columns[name].of(row)
		}
		kept := p.marks[id] == 0
		env["kept"] = kept
		holds, err := machine.Run(p.program, env)
		if err != nil {
			return false, fmt.Errorf("the predicate of %s, for document %s: %w", c.Label(), id, err)
		}
		keep, ok := holds.(bool)
		if !ok {
			return false, fmt.Errorf("the predicate of %s, for document %s: it is %v, neither true nor false", c.Label(), id, holds)
		}
		return keep && (kept || p.asksKept || p.asksRules), nil
	}, nil
}

// documentColumn is the place of a column in a document.
type documentColumn []int

// of returns the column's value, of a type that predicates know.
func (c documentColumn) of(row reflect.Value) any {
	v := row.FieldByIndex(c)
	switch {
	case v.CanInt():
		return int(v.Int())
	case v.CanFloat():
		return v.Float()
	case v.Kind() == reflect.Bool:
		return v.Bool()
	}
	return v.String()
}

// documentColumns returns the columns of documents that hold one value each, under
// the names that they have on disk. The text itself is none, as in shards.
func documentColumns() map[string]documentColumn {
	columns := map[string]documentColumn{}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[ingest.Document]()) {
		name, _, _ := strings.Cut(f.Tag.Get("parquet"), ",")
		switch f.Type.Kind() {
		case reflect.Int32, reflect.Int64, reflect.Float32, reflect.Float64, reflect.Bool, reflect.String:
			if name != "" && name != "text" {
				columns[name] = f.Index
			}
		default:
		}
	}
	return columns
}
