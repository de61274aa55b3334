package mixer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Mix says which sources a run reads and in what shares. Weights are shares of
// the tokens; only their ratios count.
type Mix []Component

// Component is one source of a mix.
type Component struct {
	// Name is the source's name under the data root.
	Name string
	// Where is a predicate over the documents' columns; empty takes what the
	// default rules left.
	Where string
	// Weight is the component's share of the tokens, relative to the others' (see
	// Weighting for other meanings).
	Weight float64
	// Passes is how often the component may be read through; 0 means without end.
	// Options.AtEnd says what comes then.
	Passes int64
	// Band names a group of components that share one weight, which all of them
	// must give: each has a part of it in proportion to its tokens times Times (see
	// Bands). Empty for a component on its own.
	Band  string
	Times float64
}

// Label is the component without its weight: "wiki" or "wiki[words > 100]". It
// is unique in a mix, and the order of the component's samples is keyed by it.
func (c Component) Label() string {
	if c.Where == "" {
		return c.Name
	}
	return c.Name + "[" + c.Where + "]"
}

// MixError says what is wrong with a mix and where in its text.
type MixError struct {
	Mix    string
	Offset int // in bytes; -1 when the mix was not read from a text
	Reason string
}

func (e *MixError) Error() string {
	if e.Offset < 0 {
		return "mix: " + e.Reason
	}
	return fmt.Sprintf("mix %q, at byte %d: %s", e.Mix, e.Offset, e.Reason)
}

// ParseMix reads a mix as it is written on a command line:
//
//	books:0.3,wiki:0.7
//	wiki[words > 100]:2,books
//	wiki:0.7,books:0.3@4
//
// A source without a weight has weight 1; @4 has it read four times at most.
// Weights are normalised, so that 3 and 7 ask for the same as 0.3 and 0.7. A
// predicate stands in brackets and may hold commas, colons, brackets and quoted
// strings of its own.
func ParseMix(text string) (Mix, error) {
	var m Mix
	fail := func(at int, format string, args ...any) (Mix, error) {
		return nil, &MixError{Mix: text, Offset: at, Reason: fmt.Sprintf(format, args...)}
	}
	if strings.TrimSpace(text) == "" {
		return fail(0, "it names no source; write for example books:0.3,wiki:0.7")
	}
	for at := 0; ; {
		var c Component
		end := at
		for end < len(text) && strings.IndexByte("[:,@", text[end]) < 0 {
			end++
		}
		c.Name = strings.TrimSpace(text[at:end])
		if c.Name == "" {
			return fail(at, "a source has no name")
		}
		if i := strings.IndexFunc(c.Name, notInName); i >= 0 {
			return fail(at, "%q is no name of a source: names hold letters, digits, '.', '_' and '-'", c.Name)
		}
		if end < len(text) && text[end] == '[' {
			shut := closingBracket(text, end)
			if shut < 0 {
				return fail(end, "the predicate of %s is not closed by ']'", c.Name)
			}
			if c.Where = strings.TrimSpace(text[end+1 : shut]); c.Where == "" {
				return fail(end, "the predicate of %s is empty", c.Name)
			}
			end = skipSpace(text, shut+1)
		}
		c.Weight = 1
		if end < len(text) && text[end] == ':' {
			from := end + 1
			if end = strings.IndexAny(text[from:], ",@"); end < 0 {
				end = len(text)
			} else {
				end += from
			}
			w, err := strconv.ParseFloat(strings.TrimSpace(text[from:end]), 64)
			if err != nil && !errors.Is(err, strconv.ErrRange) {
				return fail(from, "the weight of %s is %q, which is no number", c.Name, strings.TrimSpace(text[from:end]))
			}
			c.Weight = w
		}
		if end < len(text) && text[end] == '@' {
			from := end + 1
			if end = strings.IndexByte(text[from:], ','); end < 0 {
				end = len(text)
			} else {
				end += from
			}
			n, err := strconv.ParseInt(strings.TrimSpace(text[from:end]), 10, 64)
			if err != nil || n < 1 {
				return fail(from, "the passes of %s are %q; want a whole number above 0", c.Name, strings.TrimSpace(text[from:end]))
			}
			c.Passes = n
		}
		if reason := c.fault(); reason != "" {
			return fail(at, "%s", reason)
		}
		if slices.ContainsFunc(m, func(o Component) bool { return o.Label() == c.Label() }) {
			return fail(at, "%s is named twice", c.Label())
		}
		m = append(m, c)
		if end == len(text) {
			return m, nil
		}
		if text[end] != ',' {
			return fail(end, "%q follows %s, where a ':' with a weight or a ',' was expected", text[end], c.Label())
		}
		at = end + 1
	}
}

// String writes the mix as ParseMix reads it.
func (m Mix) String() string {
	var b strings.Builder
	for i, c := range m {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(c.Label())
		b.WriteByte(':')
		b.WriteString(strconv.FormatFloat(c.Weight, 'g', -1, 64))
		if c.Passes > 0 {
			b.WriteByte('@')
			b.WriteString(strconv.FormatInt(c.Passes, 10))
		}
	}
	return b.String()
}

// Check says what is wrong with the mix, whoever made it; nil when nothing is.
func (m Mix) Check() error {
	if len(m) == 0 {
		return &MixError{Offset: -1, Reason: "it names no source"}
	}
	seen := make(map[string]bool, len(m))
	bands := map[string]float64{}
	for _, c := range m {
		reason := c.fault()
		if w, ok := bands[c.Band]; reason == "" && c.Band != "" && ok && w != c.Weight {
			reason = fmt.Sprintf("the components of band %s have the weights %g and %g", c.Band, w, c.Weight)
		}
		bands[c.Band] = c.Weight
		if c.Name == "" || strings.IndexFunc(c.Name, notInName) >= 0 {
			reason = fmt.Sprintf("%q is no name of a source", c.Name)
		}
		if reason == "" && seen[c.Label()] {
			reason = c.Label() + " is named twice"
		}
		if reason != "" {
			return &MixError{Offset: -1, Reason: reason}
		}
		seen[c.Label()] = true
	}
	return nil
}

func (c Component) fault() string {
	switch w := c.Weight; {
	case math.IsNaN(w) || math.IsInf(w, 0):
		return fmt.Sprintf("the weight of %s is %g; it must be finite", c.Label(), w)
	case w < 0:
		return fmt.Sprintf("the weight of %s is %g; it must be positive", c.Label(), w)
	case w > 0 && !(w >= minWeight && w <= maxWeight):
		return fmt.Sprintf("the weight of %s is %g; it must be between %g and %g", c.Label(), w, minWeight, maxWeight)
	case w == 0:
		return fmt.Sprintf("the weight of %s is 0; leave the source out instead", c.Label())
	}
	switch {
	case c.Passes < 0 || c.Passes > maxPasses:
		return fmt.Sprintf("%s is to be read %d times; want 0 to %d", c.Label(), c.Passes, maxPasses)
	case c.Band != "" && !(c.Times > 0 && c.Times <= maxTimes):
		return fmt.Sprintf("%s counts %g times; want a number above 0 and up to %g", c.Label(), c.Times, float64(maxTimes))
	}
	return ""
}

// The bounds of weights, Passes and Times.
const (
	minWeight = 1e-30
	maxWeight = 1e30
	maxPasses = 1 << 20
	maxTimes  = 1 << 20
)

func notInName(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' || r == '.')
}

func skipSpace(s string, at int) int {
	for at < len(s) && (s[at] == ' ' || s[at] == '\t') {
		at++
	}
	return at
}

// closingBracket returns the place of the bracket that closes the one at open,
// or -1. Brackets in quoted strings do not count.
func closingBracket(s string, open int) int {
	depth := 0
	for i := open; i < len(s); i++ {
		switch c := s[i]; c {
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i
			}
		case '"', '\'', '`':
			for i++; i < len(s) && s[i] != c; i++ {
				if s[i] == '\\' && c != '`' {
					i++
				}
			}
		}
	}
	return -1
}
