// Package rules judges texts by their signals. A rule is a named set of conditions, each
// with the reason it stands for; a text that meets one of them fails the rule. What
// becomes of it is not decided here: findings are written as marks, and a mix chooses
// which marks count.
package rules

import (
	_ "embed"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/signals"
)

// Rule is a named set of conditions.
type Rule struct {
	// Name is what marks and predicates call it.
	Name string `json:"name"`
	// About says where it comes from.
	About string `json:"about,omitempty"`
	// Lines are the kinds of line that it cuts (see LineKinds), in their order.
	Lines []string `json:"lines,omitempty"`
	// Conditions are those under which it is against the whole text, in the order in
	// which they are told.
	Conditions []Condition `json:"conditions"`
}

// Condition is one reason to be against a text.
type Condition struct {
	// Reason is a word for it, When an expression over the columns of signals that is
	// true of the texts that fail.
	Reason string `json:"reason"`
	When   string `json:"when"`
	// Signal is the column whose value is recorded: the first that When names, unless
	// another one was given.
	Signal string `json:"signal"`

	check check
}

// Set is rules by name.
type Set struct {
	rules []*Rule
}

// maxFile bounds a file of rules, maxConditions those of one rule.
const (
	maxFile       = 1 << 20
	maxConditions = 1000
)

//go:embed builtin.yaml
var builtin []byte

// Builtin returns the rules that are there: gopher with its halves gopher-quality and
// gopher-repetition, c4, mc4 and fineweb.
func Builtin() (*Set, error) {
	s := new(Set)
	return s, s.Parse("the rules that are there", builtin)
}

// Names returns the names of the rules in order.
func (s *Set) Names() []string {
	out := make([]string, len(s.rules))
	for i, r := range s.rules {
		out[i] = r.Name
	}
	slices.Sort(out)
	return out
}

// Rule returns the rule of a name. The error says what was meant, perhaps.
func (s *Set) Rule(name string) (*Rule, error) {
	for _, r := range s.rules {
		if r.Name == name {
			return r, nil
		}
	}
	return nil, unknown("rule", name, s.Names())
}

// Choose returns the rules that words name, each once: names of rules, and paths of
// files of rules (ending in .yaml or .yml), which stand for all rules in them and may
// give a rule that is there another meaning.
func Choose(words ...string) ([]*Rule, error) {
	s, err := Builtin()
	if err != nil {
		return nil, err
	}
	var chosen []string
	for _, word := range words {
		if !IsFile(word) {
			chosen = append(chosen, word)
			continue
		}
		before := s.rules
		s.rules = nil
		own := Set{rules: slices.Clone(before)}
		if err := own.ReadFile(word); err != nil {
			return nil, err
		}
		for _, r := range own.rules {
			if !slices.Contains(before, r) {
				chosen = append(chosen, r.Name)
			}
		}
		s.rules = own.rules
	}
	var out []*Rule
	for _, name := range chosen {
		r, err := s.Rule(name)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	return out, nil
}

// IsFile reports whether a word that chooses rules is the path of a file.
func IsFile(word string) bool {
	return strings.HasSuffix(word, ".yaml") || strings.HasSuffix(word, ".yml")
}

// ReadFile adds the rules of a file.
func (s *Set) ReadFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading rules: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return fmt.Errorf("reading rules: %w", err)
	}
	return s.Parse(path, data)
}

// Parse adds the rules of a YAML document, called file in errors, and replaces those of
// the same names:
//
//	wordy:                        # the rule's name
//	  about: what it is for
//	  like: fineweb               # begins with the conditions of other rules
//	  short: words < 100          # a reason and its condition
//	  shouting: {when: upper_chars > 0.3 && words > 20, value: upper_chars}
//	  dup_chars: off              # takes a condition of fineweb's away
//	  lines: [javascript, policy] # lines to cut
func (s *Set) Parse(file string, data []byte) error {
	if len(data) > maxFile {
		return fmt.Errorf("reading %s: longer than %d bytes", file, maxFile)
	}
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return fmt.Errorf("reading %s: %w", file, err)
	}
	if len(root.Content) == 0 {
		return fmt.Errorf("reading %s: it holds no rule", file)
	}
	return eachPair(file, root.Content[0], func(key, value *yaml.Node) error {
		r, err := s.parseRule(file, key, value)
		if err != nil {
			return err
		}
		s.rules = slices.DeleteFunc(slices.Clone(s.rules), func(old *Rule) bool { return old.Name == r.Name })
		s.rules = append(s.rules, r)
		return nil
	})
}

// eachPair calls f with the keys and values of a mapping. No key may stand twice.
func eachPair(file string, n *yaml.Node, f func(key, value *yaml.Node) error) error {
	if n.Kind != yaml.MappingNode {
		return wrong(file, n, "want names with what they stand for, as in 'name: ...'")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		for j := 0; j < i; j += 2 {
			if n.Content[j].Value == key.Value {
				return wrong(file, key, "%q stands there twice", key.Value)
			}
		}
		if err := f(key, n.Content[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func wrong(file string, n *yaml.Node, format string, args ...any) error {
	return fmt.Errorf("%s:%d:%d: %s", file, n.Line, n.Column, fmt.Sprintf(format, args...))
}

var (
	ruleName   = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)
	reasonName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,62}$`)
)

// taken are the names of the rules that deduplication writes marks of.
var taken = []string{"exact", "exact-raw", "url", "minhash", "paragraph", "line", "paragraph-bloom", "substring", "decontaminate"}

func (s *Set) parseRule(file string, key, value *yaml.Node) (*Rule, error) {
	r := &Rule{Name: key.Value}
	if !ruleName.MatchString(r.Name) {
		return nil, wrong(file, key, "%q is no name for a rule: want small letters, digits, '-' and '_', a letter first", r.Name)
	}
	if slices.Contains(taken, r.Name) {
		return nil, wrong(file, key, "the rule %q is one of deduplication; take another name", r.Name)
	}
	err := eachPair(file, value, func(key, value *yaml.Node) error {
		switch key.Value {
		case "about":
			r.About = value.Value
			return nil
		case "like":
			return s.like(file, r, value)
		case "lines":
			return r.parseLines(file, value)
		}
		return r.parseCondition(file, key, value)
	})
	if err == nil && len(r.Conditions) == 0 && len(r.Lines) == 0 {
		err = wrong(file, key, "rule %s has no condition", r.Name)
	}
	return r, err
}

// words reads one word or a list of words.
func words(file string, n *yaml.Node) ([]*yaml.Node, error) {
	list := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		list = n.Content
	}
	for _, w := range list {
		if w.Kind != yaml.ScalarNode {
			return nil, wrong(file, w, "want a name or a list of names")
		}
	}
	return list, nil
}

func (s *Set) like(file string, r *Rule, n *yaml.Node) error {
	list, err := words(file, n)
	if err != nil {
		return err
	}
	for _, w := range list {
		other, err := s.Rule(w.Value)
		if err != nil {
			return wrong(file, w, "%v", err)
		}
		r.Lines = inOrder(append(slices.Clone(r.Lines), other.Lines...))
		for _, c := range other.Conditions {
			if err := r.put(c); err != nil {
				return wrong(file, w, "%v", err)
			}
		}
	}
	return nil
}

// put adds a condition, in place of one for the same reason.
func (r *Rule) put(c Condition) error {
	if i := slices.IndexFunc(r.Conditions, func(old Condition) bool { return old.Reason == c.Reason }); i >= 0 {
		r.Conditions[i] = c
		return nil
	}
	if len(r.Conditions) == maxConditions {
		return fmt.Errorf("rule %s has more than %d conditions", r.Name, maxConditions)
	}
	r.Conditions = append(r.Conditions, c)
	return nil
}

func (r *Rule) parseLines(file string, n *yaml.Node) error {
	list, err := words(file, n)
	if err != nil {
		return err
	}
	var asked []string
	for _, w := range list {
		if w.Value == "" {
			continue // none
		}
		if !slices.Contains(LineKinds(), w.Value) {
			return wrong(file, w, "%v", unknown("kind of line", w.Value, LineKinds()))
		}
		asked = append(asked, w.Value)
	}
	r.Lines = inOrder(asked)
	return nil
}

// inOrder returns kinds of line in the order in which they are looked for, each once.
func inOrder(kinds []string) []string {
	var out []string
	for _, kind := range LineKinds() {
		if slices.Contains(kinds, kind) {
			out = append(out, kind)
		}
	}
	return out
}

func (r *Rule) parseCondition(file string, key, value *yaml.Node) error {
	c := Condition{Reason: key.Value}
	if !reasonName.MatchString(c.Reason) {
		return wrong(file, key, "%q is no name for a reason: want small letters, digits and '_', a letter first", c.Reason)
	}
	switch {
	case value.Kind == yaml.ScalarNode && value.Value == "off":
		before := len(r.Conditions)
		r.Conditions = slices.DeleteFunc(slices.Clone(r.Conditions), func(old Condition) bool { return old.Reason == c.Reason })
		if len(r.Conditions) == before {
			return wrong(file, key, "rule %s has no condition %q to take away", r.Name, c.Reason)
		}
		return nil
	case value.Kind == yaml.ScalarNode:
		c.When = value.Value
	default:
		err := eachPair(file, value, func(key, value *yaml.Node) error {
			switch {
			case value.Kind != yaml.ScalarNode:
			case key.Value == "when":
				c.When = value.Value
				return nil
			case key.Value == "value":
				c.Signal = value.Value
				return nil
			}
			return wrong(file, key, "want 'when' with an expression and 'value' with a signal")
		})
		if err != nil {
			return err
		}
	}
	if err := c.compile(); err != nil {
		return wrong(file, value, "%s: %v", c.Reason, err)
	}
	if err := r.put(c); err != nil {
		return wrong(file, key, "%v", err)
	}
	return nil
}

func unknown(kind, name string, known []string) error {
	if near := names.Nearest(name, known); near != "" {
		return fmt.Errorf("there is no %s %q; did you mean %q?", kind, name, near)
	}
	return fmt.Errorf("there is no %s %q; there are %s", kind, name, strings.Join(known, ", "))
}

func columnNames() []string {
	var out []string
	for _, c := range signals.Columns() {
		out = append(out, c.Name)
	}
	return out
}

// WriteTo writes the rule as YAML that Parse reads.
func (r *Rule) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:\n", r.Name)
	if r.About != "" {
		fmt.Fprintf(&b, "  about: %s\n", scalar(r.About))
	}
	if len(r.Lines) > 0 {
		fmt.Fprintf(&b, "  lines: [%s]\n", strings.Join(r.Lines, ", "))
	}
	for _, c := range r.Conditions {
		if c.Signal == c.check.first {
			fmt.Fprintf(&b, "  %s: %s\n", c.Reason, scalar(c.When))
		} else {
			fmt.Fprintf(&b, "  %s: {when: %s, value: %s}\n", c.Reason, scalar(c.When), c.Signal)
		}
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

var plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_ .<>=+*/()-]*$`)

// scalar writes a text as YAML, plain where it is.
func scalar(text string) string {
	if plainScalar.MatchString(text) && text != "off" && strings.TrimSpace(text) == text {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
