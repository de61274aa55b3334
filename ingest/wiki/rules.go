package wiki

import (
	"encoding/json"
	"fmt"
	"io"
	"sort"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Rules say what templates give, beside the rules the package has.
type Rules struct {
	rules map[string]rule
}

// MarshalJSON gives the rules as an object of names and bodies: what two sets of
// rules do is the same when it is.
func (r *Rules) MarshalJSON() ([]byte, error) {
	bodies := make(map[string]string, len(r.rules))
	for name, rule := range r.rules {
		bodies[name] = rule.body
	}
	return json.Marshal(bodies)
}

// UnmarshalJSON reads what MarshalJSON gives.
func (r *Rules) UnmarshalJSON(data []byte) error {
	var bodies map[string]string
	if err := json.Unmarshal(data, &bodies); err != nil {
		return fmt.Errorf("wiki: reading template rules: %w", err)
	}
	r.rules = make(map[string]rule, len(bodies))
	for name, body := range bodies {
		r.rules[name] = rule{body: body}
	}
	return nil
}

// maxRulesBytes bounds a file of rules.
const maxRulesBytes = 1 << 20

// ParseRules reads template rules from YAML:
//
//	templates:
//	  fishbase: "FishBase {{{1}}}"         # a body, in wikitext
//	  "lang, langue": "{{{2}}}"            # several names
//	  infobox person: ""                   # drop it
//
// A body may use arguments, {{{name|default}}}, parser functions and other
// templates that have rules. Names are compared without regard to case.
func ParseRules(r io.Reader) (*Rules, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxRulesBytes+1))
	if err != nil {
		return nil, fmt.Errorf("wiki: reading template rules: %w", err)
	}
	if len(data) > maxRulesBytes {
		return nil, fmt.Errorf("wiki: template rules are longer than %d bytes", maxRulesBytes)
	}
	var file struct {
		Templates map[string]string `yaml:"templates"`
	}
	d, err := yaml.NewLoader(strings.NewReader(string(data)), yaml.WithKnownFields())
	if err != nil {
		return nil, fmt.Errorf("wiki: reading template rules: %w", err)
	}
	if err := d.Load(&file); err != nil {
		return nil, fmt.Errorf("wiki: reading template rules: %w", err)
	}
	lists := make([]string, 0, len(file.Templates))
	for names := range file.Templates {
		lists = append(lists, names)
	}
	sort.Strings(lists)
	rules := &Rules{rules: map[string]rule{}}
	for _, names := range lists {
		for name := range strings.SplitSeq(names, ",") {
			key := string(appendLower(nil, strings.TrimSpace(name)))
			if key == "" {
				return nil, fmt.Errorf("wiki: template rules: %q names no template", names)
			}
			if _, twice := rules.rules[key]; twice {
				return nil, fmt.Errorf("wiki: template rules: two rules for %q", key)
			}
			rules.rules[key] = rule{body: file.Templates[names]}
		}
	}
	return rules, nil
}
