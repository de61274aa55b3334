package tokenize

import (
	"errors"
	"regexp"
	"strings"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// spaceRanges are the characters that \s matches, as a class's inside.
const spaceRanges = `\t-\r \x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}`

// endsInSpaces is how the patterns of most tokenizers end: white space, but for
// the last character when something follows. The look ahead is done by hand.
const endsInSpaces = `|\s+(?!\S)|\s+`

// regexpScanner runs a pattern that has no scanner of its own with the linear
// time engine of the standard library. Patterns that this engine cannot run, with
// look-around or possessive quantifiers elsewhere, are refused.
type regexpScanner struct {
	exp *regexp.Regexp
	// spaces tells that runs of white space are matched as endsInSpaces says.
	spaces gpt2Scanner
	ends   bool
}

func compilePattern(pattern string) (scanner, error) {
	s := &regexpScanner{}
	body, ends := strings.CutSuffix(pattern, endsInSpaces)
	s.ends = ends
	var out strings.Builder
	inside := 0
	for i := 0; i < len(body); i++ {
		c := body[i]
		switch {
		case c == '\\' && i+1 < len(body):
			i++
			switch d := body[i]; {
			case d == 's' && inside > 0:
				out.WriteString(spaceRanges)
			case d == 's':
				out.WriteString("[" + spaceRanges + "]")
			case d == 'S' && inside == 0:
				out.WriteString("[^" + spaceRanges + "]")
			case d == 'S', strings.IndexByte("bBAzZGKwWdDhHR", d) >= 0, '1' <= d && d <= '9':
				return nil, errors.New(`it uses \` + string(d) + ", which is not supported")
			default:
				out.WriteByte(c)
				out.WriteByte(d)
			}
			continue
		case c == '[' && inside > 0:
			return nil, errors.New("it nests character classes, which is not supported")
		case c == '[':
			inside++
			// A bracket that stands first is a member.
			if i+1 < len(body) && body[i+1] == '^' {
				out.WriteByte(c)
				i++
				c = '^'
			}
		case c == ']' && inside > 0:
			inside--
		case (c == '^' || c == '$') && inside == 0:
			return nil, errors.New("it is anchored, which is not supported")
		}
		out.WriteByte(c)
	}
	exp, err := regexp.Compile(out.String())
	if err != nil {
		return nil, err
	}
	if exp.MatchString("") {
		return nil, errors.New("it matches the empty text")
	}
	s.exp = exp
	s.spaces = gpt2Scanner{chars.Classes()}
	return s, nil
}

func (s *regexpScanner) next(text []byte, at int) (int, int) {
	start, end := -1, -1
	if loc := s.exp.FindIndex(text[at:]); loc != nil {
		start, end = at+loc[0], at+loc[1]
	}
	if !s.ends {
		return start, end
	}
	// White space that begins before that match is a match of its own.
	for i := at; i < len(text) && (start < 0 || i < start); {
		c, n := class(s.spaces.table, text, i)
		if c&chars.Space != 0 {
			return i, spaces(s.spaces.table, text, i)
		}
		i += n
	}
	return start, end
}
