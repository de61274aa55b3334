package mixer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
)

// Filterer is implemented by Blocks that can leave out the documents for which a
// predicate does not hold.
type Filterer interface {
	Filter(ctx context.Context, where string) (Blocks, error)
}

// shardBlocks is a source's shards under a data root.
type shardBlocks struct {
	*shards.Set
	data, name string
	cut        CutRules
}

// ReadBlock reads a block without the spans that are cut.
func (b shardBlocks) ReadBlock(ctx context.Context, i int, to *shards.Block) error {
	return b.ReadBlockCut(ctx, i, to, b.cut.wanted)
}

// Cut implements Cutter. Rules that were never run on the source mark nothing; that
// some rule of the mix has the name is checked by Open.
func (b shardBlocks) Cut(rules CutRules) (Blocks, error) {
	b.cut = rules
	return b, nil
}

// Filter returns the documents for which an expression over the shards' columns
// holds. Beside the columns it may use
//
//	marked("rule", ...)   a mark of one of the rules covers the document
//	marked()              a mark of any rule does
//	kept                  no mark of a default rule does
//	cut("rule", ...)      always true: of the texts, the spans that these rules marked
//	                      are cut and no others; cut() cuts none
//
// An expression that uses neither keeps, of the documents for which it holds,
// those that are kept without one.
func (b shardBlocks) Filter(ctx context.Context, where string) (Blocks, error) {
	columns, err := b.Values()
	if err != nil {
		return nil, err
	}
	rules, err := markRules(filepath.Join(b.data, b.name, "marks"))
	if err != nil {
		return nil, err
	}
	p, err := newPredicate(where, columns, rules)
	if err != nil {
		return nil, fmt.Errorf("the predicate of %s[%s]: %w", b.name, where, err)
	}
	if p.asksRules {
		p.marks = map[string]uint64{}
		for mark, err := range dedup.Marks(ctx, b.data, b.name) {
			if err != nil {
				return nil, fmt.Errorf("reading the marks of %s: %w", b.name, err)
			}
			if rule := slices.Index(rules, mark.Rule); mark.Whole() && rule >= 0 {
				p.marks[mark.ID] |= 1 << rule
			}
		}
	}
	if p.cuts {
		b.cut = p.cut
	}
	return &filtered{b, p}, nil
}

// markRules returns the names of the rules that were run on a source: its mark
// files are named <rule>-<hash>.parquet.
func markRules(dir string) ([]string, error) {
	m, err := store.ReadManifest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var rules []string
	for _, f := range m.Files {
		if i := strings.LastIndexByte(f.Path, '-'); i > 0 {
			rules = append(rules, f.Path[:i])
		}
	}
	slices.Sort(rules)
	if rules = slices.Compact(rules); len(rules) > 64 {
		return nil, fmt.Errorf("%s holds marks of %d rules, of which predicates take 64", dir, len(rules))
	}
	return rules, nil
}

// predicate is a compiled expression.
type predicate struct {
	program   *vm.Program
	columns   []string // that it reads
	rules     []string
	asksKept  bool
	asksRules bool
	marks     map[string]uint64 // by document, the rules as bits
	cuts      bool              // it says what is cut
	cut       CutRules
}

// newPredicate compiles an expression over columns, each given with a value of its
// type, and the marks of rules.
func newPredicate(where string, columns map[string]any, rules []string) (*predicate, error) {
	tree, err := parser.Parse(where)
	if err != nil {
		return nil, err
	}
	p := &predicate{rules: rules}
	names := append(slices.Sorted(maps.Keys(columns)), "kept", "marked", "cut")
	seen := &seen{declared: map[string]bool{}}
	ast.Walk(&tree.Node, seen)
	for _, name := range seen.names {
		_, column := columns[name]
		switch {
		case seen.declared[name]:
		case name == "marked":
			p.asksRules = true
		case name == "kept":
			p.asksKept = true
		case name == "cut":
			p.cuts, p.cut = true, CutRules{some: true, rules: seen.cuts}
		case !column:
			return nil, unknown("column", name, names)
		case !slices.Contains(p.columns, name):
			p.columns = append(p.columns, name)
		}
	}
	if seen.computed {
		return nil, errors.New("cut takes names of rules in quotation marks")
	}
	for _, rule := range slices.Concat(seen.rules, seen.cuts) {
		if !slices.Contains(rules, rule) {
			return nil, unknown("rule", rule, rules)
		}
	}
	env := maps.Clone(columns)
	env["kept"], env["marked"] = false, func(...string) bool { return false }
	env["cut"] = func(...string) bool { return true }
	options := []expr.Option{expr.Env(env), expr.AsBool()}
	// The stream must not depend on when or where it is read.
	for _, clock := range []string{"now", "date", "duration", "timezone"} {
		options = append(options, expr.DisableBuiltin(clock))
	}
	p.program, err = expr.Compile(where, options...)
	return p, err
}

// unknown is the error for a name that is not there.
func unknown(kind, name string, known []string) error {
	if near := names.Nearest(name, known); near != "" {
		return fmt.Errorf("there is no %s %q; did you mean %q?", kind, name, near)
	}
	return fmt.Errorf("there is no %s %q; there are %q", kind, name, known)
}

// seen collects what an expression names: columns, and the rules that marked and cut
// are called with.
type seen struct {
	names, rules, cuts []string
	declared           map[string]bool
	computed           bool // cut has an argument that is no name
}

// Visit implements ast.Visitor.
func (s *seen) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		s.names = append(s.names, n.Value)
	case *ast.VariableDeclaratorNode:
		s.declared[n.Name] = true
	case *ast.CallNode:
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && callee.Value == "marked" {
			for _, a := range n.Arguments {
				if rule, ok := a.(*ast.StringNode); ok {
					s.rules = append(s.rules, rule.Value)
				}
			}
		}
		if callee, ok := n.Callee.(*ast.IdentifierNode); ok && callee.Value == "cut" {
			for _, a := range n.Arguments {
				rule, ok := a.(*ast.StringNode)
				if !ok {
					s.computed = true
					continue
				}
				s.cuts = append(s.cuts, rule.Value)
			}
		}
	}
}

// has reports whether one of the rules, or any when there is none, marked a
// document.
func (p *predicate) has(id string, rules []string) bool {
	if len(rules) == 0 {
		return p.marks[id] != 0
	}
	for _, rule := range rules {
		if i := slices.Index(p.rules, rule); i >= 0 && p.marks[id]>>i&1 == 1 {
			return true
		}
	}
	return false
}

// filtered is shards of which a predicate keeps some documents.
type filtered struct {
	shardBlocks
	predicate *predicate
}

// ReadBlock reads a block with what the predicate keeps.
func (f *filtered) ReadBlock(ctx context.Context, i int, b *shards.Block) error {
	if err := f.shardBlocks.ReadBlock(ctx, i, b); err != nil {
		return err
	}
	p := f.predicate
	values, err := f.ReadValues(ctx, i, p.columns)
	if err != nil {
		return err
	}
	row := 0
	env := map[string]any{
		"marked": func(rules ...string) bool { return p.has(b.IDs[row], rules) },
		"cut":    func(...string) bool { return true },
	}
	var machine vm.VM
	for ; row < len(b.IDs); row++ {
		for j, name := range p.columns {
			env[name] = values[j][row]
		}
		env["kept"] = b.Keep[row]
		holds, err := machine.Run(p.program, env)
		if err != nil {
			return fmt.Errorf("the predicate, for document %s: %w", b.IDs[row], err)
		}
		keep, ok := holds.(bool)
		if !ok {
			return fmt.Errorf("the predicate, for document %s: it is %v, neither true nor false", b.IDs[row], holds)
		}
		b.Keep[row] = keep && (b.Keep[row] || p.asksKept || p.asksRules)
	}
	return nil
}
