package rules

import (
	"fmt"
	"slices"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"

	"github.com/tributary-ml/tributary/ingest/signals"
)

// check is a condition, compiled.
type check struct {
	program *vm.Program
	columns []signals.Column // that it reads
	first   string           // the first of them
	signal  signals.Column   // whose value is recorded
}

// compile makes the check of a condition and fills in its signal.
func (c *Condition) compile() error {
	tree, err := parser.Parse(c.When)
	if err != nil {
		return err
	}
	seen := identifiers{declared: map[string]bool{}}
	ast.Walk(&tree.Node, &seen)
	known := columnNames()
	env := map[string]any{}
	for i, column := range signals.Columns() {
		env[known[i]] = new(signals.Signals).Value(column)
	}
	for _, name := range seen.names {
		i := slices.Index(known, name)
		switch {
		case seen.declared[name]:
		case i < 0:
			return unknown("signal", name, known)
		default:
			c.check.columns = append(c.check.columns, signals.Columns()[i])
		}
	}
	if len(c.check.columns) == 0 {
		return fmt.Errorf("%q asks for no signal", c.When)
	}
	c.check.first = c.check.columns[0].Name
	if c.Signal == "" {
		c.Signal = c.check.first
	}
	i := slices.Index(known, c.Signal)
	if i < 0 {
		return unknown("signal", c.Signal, known)
	}
	c.check.signal = signals.Columns()[i]
	options := []expr.Option{expr.Env(env), expr.AsBool()}
	// What is found must not depend on when or where.
	for _, clock := range []string{"now", "date", "duration", "timezone"} {
		options = append(options, expr.DisableBuiltin(clock))
	}
	c.check.program, err = expr.Compile(c.When, options...)
	return err
}

// identifiers collects the names in an expression.
type identifiers struct {
	names    []string
	declared map[string]bool
}

// Visit implements ast.Visitor.
func (s *identifiers) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		if !slices.Contains(s.names, n.Value) {
			s.names = append(s.names, n.Value)
		}
	case *ast.VariableDeclaratorNode:
		s.declared[n.Name] = true
	}
}

// Finding is why a rule is against a text, or against a part of it.
type Finding struct {
	Reason string
	// Signal is the measure that decided and Value what it was; 0 for a text.
	Signal string
	Value  float64
	// Start and End bound the part in bytes; both are -1 for the whole text.
	Start, End int64
	// Detail is the same in words.
	Detail string
}

// Judge applies a rule to texts. It is used by one goroutine at a time.
type Judge struct {
	rule    *Rule
	columns []signals.Column
	env     map[string]any
	machine vm.VM
	found   []Finding
}

// NewJudge returns a Judge of the rule.
func (r *Rule) NewJudge() *Judge {
	j := &Judge{rule: r, env: map[string]any{}}
	for _, c := range r.Conditions {
		for _, column := range append(slices.Clone(c.check.columns), c.check.signal) {
			if !slices.Contains(j.columns, column) {
				j.columns = append(j.columns, column)
			}
		}
	}
	return j
}

// NeedsText reports whether the rule looks at texts beside their signals.
func (r *Rule) NeedsText() bool { return len(r.Lines) > 0 }

// Judge returns what the rule finds: the reasons against the whole text first, in the
// order of the conditions, then the lines to cut. text may be empty unless the rule
// needs it. The result is good until the next call.
func (j *Judge) Judge(s *signals.Signals, text string) ([]Finding, error) {
	for _, c := range j.columns {
		j.env[c.Name] = s.Value(c)
	}
	j.found = j.found[:0]
	for i := range j.rule.Conditions {
		c := &j.rule.Conditions[i]
		v, err := j.machine.Run(c.check.program, j.env)
		if err != nil {
			return nil, fmt.Errorf("rule %s, reason %s: %w", j.rule.Name, c.Reason, err)
		}
		if v != true {
			continue
		}
		f := Finding{Reason: c.Reason, Signal: c.Signal, Start: -1, End: -1}
		switch x := j.env[c.Signal].(type) {
		case int:
			f.Value = float64(x)
			f.Detail = fmt.Sprintf("%s is %d: %s", c.Signal, x, c.When)
		case float64:
			f.Value = x
			f.Detail = fmt.Sprintf("%s is %.4g: %s", c.Signal, x, c.When)
		default:
			f.Detail = fmt.Sprintf("%s is %q: %s", c.Signal, x, c.When)
		}
		j.found = append(j.found, f)
	}
	if len(j.rule.Lines) > 0 {
		eachLine(text, j.rule.Lines, func(start, end int, kind string, value float64) {
			j.found = append(j.found, Finding{
				Reason: kind, Value: value, Start: int64(start), End: int64(end), Detail: lineKinds[lineKind(kind)].detail,
			})
		})
	}
	return j.found, nil
}
