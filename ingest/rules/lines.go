package rules

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/signals"
)

// C4's limits for a line.
const (
	longWord = 1000 // code points
	fewWords = 3
)

// A kind of line is what C4 drops a line for, in the order in which it looks. The last
// two drop a document there; as kinds of line they cut only the line.
var lineKinds = [...]struct{ name, detail string }{
	{"long_word", "the line has a word of more than 1000 characters"},
	{"no_terminal_mark", "the line does not end in a terminal mark, or ends in an ellipsis"},
	{"few_words", "the line has fewer than 3 words"},
	{"javascript", "the line has the word javascript"},
	{"policy", "the line has a phrase of policies and terms of use"},
	{"lorem_ipsum", "the line has the words lorem ipsum"},
	{"curly_bracket", "the line has a curly bracket"},
}

// LineKinds returns the kinds of line that a rule can cut, in the order in which they
// are looked for. The value that is recorded with a line is the length of its longest
// word for long_word, the number of its words for few_words, else 1.
func LineKinds() []string {
	out := make([]string, len(lineKinds))
	for i, k := range lineKinds {
		out[i] = k.name
	}
	return out
}

func lineKind(name string) int {
	return slices.IndexFunc(lineKinds[:], func(k struct{ name, detail string }) bool { return k.name == name })
}

var policies = [...]string{"terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies"}

// eachLine calls cut for the lines of a text that are of one of the kinds, with the
// first such kind. Lines end at "\n", which is not cut; blank lines are left.
func eachLine(text string, kinds []string, cut func(start, end int, kind string, value float64)) {
	var asked [len(lineKinds)]bool
	for _, k := range kinds {
		if i := lineKind(k); i >= 0 {
			asked[i] = true
		}
	}
	for at := 0; at < len(text); {
		end := len(text)
		if i := strings.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i
		}
		line := text[at:end]
		if trimmed := strings.TrimFunc(line, unicode.IsSpace); trimmed != "" {
			for i, k := range lineKinds {
				if !asked[i] {
					continue
				}
				if value, is := lineIs(k.name, line, trimmed); is {
					cut(at, end, k.name, value)
					break
				}
			}
		}
		at = end + 1
	}
}

// lineIs reports whether a line, of which trimmed is what stands between white space,
// is of a kind.
func lineIs(kind, line, trimmed string) (value float64, is bool) {
	switch kind {
	case "long_word":
		if len(line) <= longWord {
			return 0, false
		}
		longest := 0
		for w := range strings.FieldsSeq(line) {
			longest = max(longest, utf8.RuneCountInString(w))
		}
		return float64(longest), longest > longWord
	case "no_terminal_mark":
		rest := signals.WithoutCitations(trimmed)
		return 1, rest == "" || strings.IndexByte(`.?!"'`, rest[len(rest)-1]) < 0 || strings.HasSuffix(rest, "...")
	case "few_words":
		n := 0
		for range strings.FieldsSeq(line) {
			if n++; n == fewWords {
				return 0, false
			}
		}
		return float64(n), true
	case "javascript":
		return 1, containsFold(line, "javascript")
	case "policy":
		return 1, slices.ContainsFunc(policies[:], func(p string) bool { return containsFold(line, p) })
	case "lorem_ipsum":
		return 1, containsFold(line, "lorem ipsum")
	case "curly_bracket":
		return 1, strings.IndexByte(line, '{') >= 0
	}
	return 0, false
}

// containsFold reports whether a text holds a phrase, which is in small letters,
// whatever the case of its ASCII letters.
func containsFold(text, phrase string) bool {
	first, upper := phrase[0], phrase[0]&^0x20
	for i := 0; i+len(phrase) <= len(text); i++ {
		if text[i] == first || text[i] == upper {
			j := 1
			for j < len(phrase) && (text[i+j] == phrase[j] || 'A' <= text[i+j] && text[i+j] <= 'Z' && text[i+j]|0x20 == phrase[j]) {
				j++
			}
			if j == len(phrase) {
				return true
			}
		}
	}
	return false
}
