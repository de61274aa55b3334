package pipelines

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tributary-ml/tributary/ingest/names"
)

// Problem is one thing that is wrong in an experiment's file.
type Problem struct {
	// Where is "file:line:column", or the --set that the value came from.
	Where string
	// Path is the key, such as "train.mix.0.weight".
	Path    string
	Message string

	line, column int
}

// ConfigError says everything that is wrong in an experiment's file.
type ConfigError struct{ Problems []Problem }

func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Where + ": " + p.Message
		if p.Path != "" {
			lines[i] = p.Where + ": " + p.Path + ": " + p.Message
		}
	}
	return strings.Join(lines, "\n")
}

// decoder fills Go values from YAML nodes, strictly: a key that the target does
// not have, a value of another type and a missing value are problems. It goes on
// after a problem, so that all are told at once.
type decoder struct {
	file     string
	set      map[*yaml.Node]string // nodes that came from --set
	problems []Problem
}

// scalar is a type that reads itself from a plain value.
type scalar interface{ decodeScalar(text string) error }

// defaulter is a section with values of its own where the file has none.
type defaulter interface{ setDefaults() }

func (d *decoder) problem(n *yaml.Node, path, format string, args ...any) {
	p := Problem{Where: fmt.Sprintf("%s:%d:%d", d.file, n.Line, n.Column), Path: path, Message: fmt.Sprintf(format, args...), line: n.Line, column: n.Column}
	if set, ok := d.set[n]; ok {
		p.Where = "--set " + set
	}
	d.problems = append(d.problems, p)
}

// err returns the problems, in the order of the file.
func (d *decoder) err() error {
	if len(d.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(d.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})
	return &ConfigError{d.problems}
}

// parse reads the one document of data.
func (d *decoder) parse(data []byte) *yaml.Node {
	if len(bytes.TrimSpace(data)) == 0 {
		d.problems = append(d.problems, Problem{Where: d.file, Message: "the file is empty"})
		return nil
	}
	var doc yaml.Node
	err := yaml.Load(data, &doc)
	if err == nil && doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
		return doc.Content[0]
	}
	var syntax *yaml.LoadError
	var several *yaml.LoadErrors
	switch {
	case errors.As(err, &syntax):
		d.problems = append(d.problems, Problem{Where: fmt.Sprintf("%s:%d:%d", d.file, max(1, syntax.Mark.Line), max(1, syntax.Mark.Column)), Message: strings.TrimPrefix(syntax.Message, "yaml: ")})
	case errors.As(err, &several) && len(several.Errors) > 0:
		for _, e := range several.Errors {
			d.problems = append(d.problems, Problem{Where: fmt.Sprintf("%s:%d:%d", d.file, max(1, e.Mark.Line), max(1, e.Mark.Column)), Message: strings.TrimPrefix(e.Message, "yaml: "), line: e.Mark.Line})
		}
	case err != nil:
		d.problems = append(d.problems, Problem{Where: d.file, Message: strings.TrimPrefix(err.Error(), "yaml: ")})
	default:
		d.problems = append(d.problems, Problem{Where: d.file, Message: "there is no document in the file"})
	}
	return nil
}

func (d *decoder) decode(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if v.CanAddr() {
		if s, ok := v.Addr().Interface().(scalar); ok {
			if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
				d.problem(n, path, "want a single value, found %s", kindOf(n))
			} else if err := s.decodeScalar(n.Value); err != nil {
				d.problem(n, path, "%v", err)
			}
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		target := reflect.New(v.Type().Elem())
		if s, ok := target.Interface().(defaulter); ok {
			s.setDefaults()
		}
		v.Set(target)
		// A section that is only named has its defaults.
		if n.ShortTag() == "!!null" && target.Elem().Kind() == reflect.Struct {
			return
		}
		d.decode(n, target.Elem(), path)
	case reflect.Struct:
		d.decodeStruct(n, v, path)
	case reflect.Slice:
		d.decodeSlice(n, v, path)
	default:
		d.decodePlain(n, v, path)
	}
}

// fields maps the keys of a struct type to field numbers. The number of the field
// that holds the section's own name, or -1, is key.
func fields(t reflect.Type) (byName map[string]int, order []string, key int) {
	byName, key = map[string]int{}, -1
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		switch {
		case option == "key":
			key = i
		case name != "" && name != "-":
			byName[name] = i
			order = append(order, name)
		}
	}
	return byName, order, key
}

func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "want keys and values, found %s", kindOf(n))
		return
	}
	byName, order, _ := fields(v.Type())
	d.checkRepeats(n, path)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field, ok := byName[key.Value]
		if !ok {
			if near := names.Nearest(key.Value, order); near != "" {
				d.problem(key, path, "unknown key %q; did you mean %q?", key.Value, near)
			} else {
				d.problem(key, path, "unknown key %q; known here: %s", key.Value, strings.Join(order, ", "))
			}
			continue
		}
		d.decode(value, v.Field(field), join(path, key.Value))
	}
}

// decodeSlice reads a sequence, or, where the elements have a key field, a
// mapping whose keys name the elements.
func (d *decoder) decodeSlice(n *yaml.Node, v reflect.Value, path string) {
	element := v.Type().Elem()
	if element.Kind() == reflect.Struct {
		if _, _, key := fields(element); key >= 0 {
			d.decodeNamed(n, v, path, key)
			return
		}
	}
	// One value stands for a list of one.
	if n.Kind == yaml.ScalarNode && element.Kind() == reflect.String && n.ShortTag() != "!!null" {
		out := reflect.MakeSlice(v.Type(), 1, 1)
		d.decode(n, out.Index(0), path)
		v.Set(out)
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.problem(n, path, "want a list, found %s", kindOf(n))
		return
	}
	out := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, item := range n.Content {
		if s, ok := out.Index(i).Addr().Interface().(defaulter); ok {
			s.setDefaults()
		}
		d.decode(item, out.Index(i), join(path, strconv.Itoa(i)))
	}
	v.Set(out)
}

func (d *decoder) decodeNamed(n *yaml.Node, v reflect.Value, path string, key int) {
	if n.Kind != yaml.MappingNode {
		d.problem(n, path, "want names, each with keys and values, found %s", kindOf(n))
		return
	}
	d.checkRepeats(n, path)
	out := reflect.MakeSlice(v.Type(), 0, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		item := reflect.New(v.Type().Elem()).Elem()
		if s, ok := item.Addr().Interface().(defaulter); ok {
			s.setDefaults()
		}
		item.Field(key).SetString(n.Content[i].Value)
		d.decode(n.Content[i+1], item, join(path, n.Content[i].Value))
		out = reflect.Append(out, item)
	}
	v.Set(out)
}

// checkRepeats tells of keys that stand in a mapping more than once.
func (d *decoder) checkRepeats(n *yaml.Node, path string) {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if line, ok := lines[key.Value]; ok {
			d.problem(key, path, "key %q stands here already, on line %d", key.Value, line)
			continue
		}
		lines[key.Value] = key.Line
	}
}

func (d *decoder) decodePlain(n *yaml.Node, v reflect.Value, path string) {
	want := map[reflect.Kind]string{
		reflect.String: "text", reflect.Bool: "true or false", reflect.Float64: "a number",
		reflect.Int: "a whole number", reflect.Int64: "a whole number", reflect.Uint64: "a whole number of 0 or more",
	}[v.Kind()]
	if n.Kind != yaml.ScalarNode {
		d.problem(n, path, "want %s, found %s", want, kindOf(n))
		return
	}
	tag := n.ShortTag()
	text := strings.ReplaceAll(n.Value, "_", "")
	ok := false
	switch v.Kind() {
	case reflect.String:
		if ok = tag == "!!str"; ok {
			v.SetString(n.Value)
		}
	case reflect.Bool:
		if ok = tag == "!!bool"; ok {
			v.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case reflect.Float64:
		if tag == "!!int" || tag == "!!float" {
			f, err := strconv.ParseFloat(text, 64)
			if ok = err == nil && f-f == 0; ok {
				v.SetFloat(f)
			}
		}
	case reflect.Int, reflect.Int64:
		i, err := strconv.ParseInt(text, 0, 64)
		if ok = tag == "!!int" && err == nil; ok {
			v.SetInt(i)
		}
	case reflect.Uint64:
		i, err := strconv.ParseUint(text, 0, 64)
		if ok = tag == "!!int" && err == nil; ok {
			v.SetUint(i)
		}
	default:
		panic("pipelines: no way to decode a " + v.Type().String())
	}
	if !ok {
		d.problem(n, path, "want %s, found %s", want, kindOf(n))
	}
}

// kindOf says what a node is, for people.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	}
	switch n.ShortTag() {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return "the truth value " + n.Value
	}
	return fmt.Sprintf("the text %q", n.Value)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// override puts the value of a "--set key=value" into the tree. Keys that are
// missing on the way are added; whether they are known is decode's to say.
func (d *decoder) override(root *yaml.Node, setting string) {
	path, text, ok := strings.Cut(setting, "=")
	if !ok || path == "" {
		d.problems = append(d.problems, Problem{Where: "--set " + setting, Message: "want key=value, such as train.steps=100"})
		return
	}
	inner := decoder{file: "--set " + setting}
	value := inner.parse([]byte(text))
	if value == nil {
		if text != "" {
			d.problems = append(d.problems, inner.problems...)
			return
		}
		value = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str"}
	}
	d.fromSetting(value, setting)
	at := root
	keys := strings.Split(path, ".")
	for i, key := range keys {
		if at.Kind == yaml.AliasNode {
			at = at.Alias
		}
		last := i == len(keys)-1
		slot := -1
		switch at.Kind {
		case yaml.MappingNode:
			for k := 0; k+1 < len(at.Content); k += 2 {
				if at.Content[k].Value == key {
					slot = k + 1
				}
			}
			if slot < 0 {
				name := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: key}
				section := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
				d.fromSetting(name, setting)
				d.fromSetting(section, setting)
				at.Content = append(at.Content, name, section)
				slot = len(at.Content) - 1
			}
			// A section that was only named becomes one that holds the key.
			if n := at.Content[slot]; !last && n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
				at.Content[slot] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
			}
		case yaml.SequenceNode:
			index, err := strconv.Atoi(key)
			if err != nil || index < 0 || index >= len(at.Content) {
				d.problems = append(d.problems, Problem{Where: "--set " + setting, Message: fmt.Sprintf("%q is no element of a list of %d", key, len(at.Content))})
				return
			}
			slot = index
		default:
			d.problems = append(d.problems, Problem{Where: "--set " + setting, Message: fmt.Sprintf("%q lies below %s", key, kindOf(at))})
			return
		}
		if last {
			at.Content[slot] = value
			return
		}
		at = at.Content[slot]
	}
}

// fromSetting notes that a tree of nodes came from a --set.
func (d *decoder) fromSetting(n *yaml.Node, setting string) {
	d.set[n] = setting
	for _, c := range n.Content {
		d.fromSetting(c, setting)
	}
}
