package tokenize

import (
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// addedMatcher finds added tokens: from the left, the longest at each place.
type addedMatcher struct {
	trie   *trie
	tokens []AddedToken
	first  [256]bool
}

// findAdded builds the matchers.
func (t *Tokenizer) findAdded() error {
	var keys [2][]string
	var values [2][]int32
	anyPlain := [2]bool{}
	t.decodeAs = map[int32]string{}
	seen := [2]map[string]int{{}, {}}
	for i, a := range t.added {
		k, content := 0, a.Content
		if a.Normalized {
			k = 1
			if t.normalizer != nil {
				p := newPart(content, 0, false)
				if err := t.normalizer.normalize(&p); err != nil {
					return err
				}
				content = string(p.text)
				if content != a.Content {
					t.decodeAs[a.ID] = content
				}
			}
		}
		if content == "" {
			continue
		}
		anyPlain[k] = anyPlain[k] || !a.Special
		if at, ok := seen[k][content]; ok {
			values[k][at] = int32(i)
			continue
		}
		seen[k][content] = len(keys[k])
		keys[k], values[k] = append(keys[k], content), append(values[k], int32(i))
	}
	matchers := [2]*addedMatcher{}
	for k := range keys {
		if len(keys[k]) == 0 {
			continue
		}
		m := &addedMatcher{tokens: t.added}
		var err error
		if m.trie, err = newTrie(keys[k], values[k]); err != nil {
			return err
		}
		for _, s := range keys[k] {
			m.first[s[0]] = true
		}
		matchers[k] = m
	}
	t.outside, t.within = matchers[0], matchers[1]
	t.plainOutside, t.plainWithin = anyPlain[0], anyPlain[1]
	return nil
}

// addedMatch is an added token found in a text.
type addedMatch struct {
	start, end int
	token      int32 // index of the token
}

// find appends the added tokens in text. Special ones are passed over unless
// allowed.
func (m *addedMatcher) find(dst []addedMatch, text string, allow bool) []addedMatch {
	table := chars.Classes()
	done := 0
	for i := 0; i < len(text); {
		if !m.first[text[i]] {
			i++
			continue
		}
		best, end := int32(-1), 0
		for node, k := int32(0), i; k < len(text); {
			if node = m.trie.step(node, text[k]); node < 0 {
				break
			}
			k++
			if v := m.trie.value(node); v >= 0 {
				best, end = v, k
			}
		}
		if best < 0 {
			i++
			continue
		}
		start := i
		i = end
		a := &m.tokens[best]
		if a.Special && !allow {
			continue
		}
		if a.SingleWord {
			before, _ := utf8.DecodeLastRuneInString(text[:start])
			after, _ := utf8.DecodeRuneInString(text[end:])
			if start > 0 && table.Of(before)&chars.RegexpWord != 0 || end < len(text) && table.Of(after)&chars.RegexpWord != 0 {
				continue
			}
		}
		if a.LStrip {
			for start > done {
				r, n := utf8.DecodeLastRuneInString(text[:start])
				if table.Of(r)&chars.Space == 0 {
					break
				}
				start -= n
			}
			start = max(start, done)
		}
		if a.RStrip {
			for end < len(text) {
				r, n := utf8.DecodeRuneInString(text[end:])
				if table.Of(r)&chars.Space == 0 {
					break
				}
				end += n
			}
		}
		dst = append(dst, addedMatch{start, end, best})
		done = end
	}
	return dst
}

// matcher returns m if it can find something: with special tokens not allowed,
// it must know others.
func usable(m *addedMatcher, plain, allow bool) *addedMatcher {
	if m != nil && (plain || allow) {
		return m
	}
	return nil
}
