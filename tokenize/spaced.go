package tokenize

import (
	"bytes"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// mark is the character that spaces are written as.
const mark = "▁"

// spaced is the way through the chain of vocabularies that write spaces as "▁":
// normalization, white space and the search for words in one pass over the text.
// A word of characters that the normalizer leaves alone is taken as it stands; any
// other goes through the normalizer by itself. That gives the same as normalizing
// the whole text, since the steps that are taken here never look past a space.
type spaced struct {
	// local are the steps that change a character, or a few in a row that hold no
	// space; collapse makes one space of several; the strips drop those at the ends.
	local normalizerChain
	// forms is the one local step, if that is a map of characters.
	forms                 *precompiled
	collapse              bool
	stripLeft, stripRight bool
	// cuts: words end at white space, which is dropped.
	cuts bool
	// prepend says where a mark is put before a text that has none: "always",
	// "first" (only at the beginning) or "never". With force the text may have one.
	prepend string
	force   bool
	// runs: a word begins before a mark only where that follows something else, and
	// the whole text counts as one word.
	runs bool

	// ascii tells what an ASCII character is here, and byteTo what it becomes.
	ascii  [utf8.RuneSelf]runeKind
	byteTo [utf8.RuneSelf]byte
	// changes is false when ASCII text is not changed but for its spaces.
	changes bool
	// pages tell the same of the other characters, 256 each, found when needed.
	pages [maxRune >> 8]atomic.Pointer[[256]runeKind]
}

const maxRune = 0x110000

// runeKind is what a character is to a spaced chain.
type runeKind uint8

const (
	runeOdd   runeKind = iota // the normalizer has to look at it
	runePlain                 // it stays or becomes another ASCII character, whatever stands beside it
	runeSpace                 // it becomes a space
	runeGone                  // the normalizer may drop it
)

// newSpaced returns the way through a chain, or nil when it is none of this kind.
func newSpaced(n normalizer, pre preTokenizer, m model) *spaced {
	s := &spaced{prepend: "never"}
	var steps []normalizer
	switch n := n.(type) {
	case nil:
	case *normalizerChain:
		steps = n.Steps
	default:
		steps = []normalizer{n}
	}
	switch m := m.(type) {
	case *unigram:
		var meta *metaspace
		switch pre := pre.(type) {
		case *metaspace:
			meta = pre
		case *preTokenizerChain:
			if len(pre.Steps) != 2 {
				return nil
			}
			if _, ok := pre.Steps[0].(*whitespaceSplit); !ok {
				return nil
			}
			meta, _ = pre.Steps[1].(*metaspace)
			s.cuts = true
		}
		if meta == nil || !meta.Split || meta.Replacement != mark || s.cuts && meta.Prepend == "first" {
			return nil
		}
		s.prepend = meta.Prepend
	case *bpe:
		// Spaces become marks in the last step, or in a Metaspace that does not split.
		if !m.cut {
			return nil
		}
		s.runs = true
		if meta, ok := pre.(*metaspace); ok && !meta.Split && meta.Replacement == mark {
			s.prepend = meta.Prepend
			break
		}
		if pre != nil || len(steps) == 0 {
			return nil
		}
		r, ok := steps[len(steps)-1].(*replacer)
		if !ok || r.Pattern.text != " " || r.Content != mark {
			return nil
		}
		steps = steps[:len(steps)-1]
		if len(steps) == 0 {
			break
		}
		if p, ok := steps[len(steps)-1].(*prepender); ok {
			if p.Prepend != mark {
				return nil
			}
			s.prepend, s.force = "always", true
			steps = steps[:len(steps)-1]
		}
	default:
		return nil
	}
	if !s.takeSteps(steps) {
		return nil
	}
	if len(s.local.Steps) == 1 {
		s.forms, _ = s.local.Steps[0].(*precompiled)
	}
	s.findASCII()
	return s
}

// takeSteps sorts the steps of a normalizer into those of a word and those of
// white space, which must come last.
func (s *spaced) takeSteps(steps []normalizer) bool {
	white, marked := false, false
	for _, step := range steps {
		switch step := step.(type) {
		case *precompiled, *unicodeForm, *lowercaser, *accentStripper, *nmt:
		case *replacer:
			if step.Pattern.regexp == " {2,}" && (step.Content == " " || step.Content == mark && !s.cuts) {
				s.collapse, white = true, true
				marked = marked || step.Content == mark
				continue
			}
			if step.Pattern.regexp != "" || step.Pattern.text == "" || strings.ContainsFunc(step.Pattern.text, isSpaceOrMark) {
				return false
			}
		case *stripper:
			s.stripLeft, s.stripRight = s.stripLeft || step.Left, s.stripRight || step.Right
			white = true
			if marked {
				return false // it would not take the marks for white space
			}
			continue
		default:
			return false
		}
		if white {
			return false
		}
		s.local.Steps = append(s.local.Steps, step)
	}
	return s.collapse || !s.stripLeft && !s.stripRight
}

func isSpaceOrMark(r rune) bool { return r == '▁' || chars.Classes().Of(r)&chars.Space != 0 }

// kindOf finds what r is, and what it becomes when it is a plain ASCII character.
func (s *spaced) kindOf(r rune) (runeKind, byte) {
	table := chars.Classes()
	class := table.Of(r)
	if s.drops(r) {
		return runeGone, 0
	}
	// What joins its neighbours, or may be composed with them, is odd.
	if r == '\r' || r == '▁' || r == utf8.RuneError || class&(chars.Mark|chars.Combining|chars.Nonspacing) != 0 ||
		0x1100 <= r && r < 0x1200 || r >= utf8.RuneSelf && (class&chars.Space != 0 || chars.Joins(r)) {
		return runeOdd, 0
	}
	now := r
	for _, step := range s.local.Steps {
		if rep, ok := step.(*replacer); ok {
			if first, _ := utf8.DecodeRuneInString(rep.Pattern.text); first == now {
				return runeOdd, 0
			}
			continue
		}
		p := newPart(string(now), 0, false)
		if err := step.normalize(&p); err != nil {
			return runeOdd, 0
		}
		next, n := utf8.DecodeRune(p.text)
		if n != len(p.text) || n == 0 {
			return runeOdd, 0
		}
		now = next
	}
	switch {
	case now == ' ' && r < utf8.RuneSelf:
		return runeSpace, ' '
	case table.Of(now)&chars.Space != 0:
		if s.cuts && r < utf8.RuneSelf {
			return runeSpace, ' '
		}
		if s.cuts || s.stripLeft || s.stripRight {
			return runeOdd, 0
		}
	}
	switch {
	case r < utf8.RuneSelf && now < utf8.RuneSelf:
		return runePlain, byte(now)
	case r == now:
		return runePlain, 0
	}
	return runeOdd, 0
}

// drops reports whether the normalizer leaves nothing of r.
func (s *spaced) drops(r rune) bool {
	p := newPart(string(r), 0, false)
	return s.local.normalize(&p) == nil && len(p.text) == 0
}

func (s *spaced) findASCII() {
	for c := range s.ascii {
		s.ascii[c], s.byteTo[c] = s.kindOf(rune(c))
		s.changes = s.changes || s.ascii[c] == runePlain && s.byteTo[c] != byte(c)
	}
}

// kind returns what the character r beyond ASCII is.
func (s *spaced) kind(r rune) runeKind {
	page := s.pages[r>>8].Load()
	if page == nil {
		page = new([256]runeKind)
		for i := range page {
			page[i], _ = s.kindOf(r&^255 | rune(i))
		}
		s.pages[r>>8].Store(page)
	}
	return page[r&255]
}

// spacedRun is a text on its way.
type spacedRun struct {
	e    *Encoder
	s    *spaced
	base int
	w    word
	// begins: nothing of the text was taken yet; empty: nor of this word.
	begins bool
	// pending: spaces wait, the last of which is at pendingAt.
	pending   bool
	pendingAt Span
	// seen: something was taken; tail: the last of it is white space that is no
	// space and that the end of the text would have dropped.
	seen, tail bool
	// bail: the chain must be taken step by step after all.
	bail bool
	// yield takes the words instead of the model, when it is set.
	yield func(word []byte)
	// room is the memory of the last odd word.
	room part
}

// spacedWords encodes text, which begins at base, or reports false.
func (e *Encoder) spacedWords(text string, base int) bool {
	r := &e.spacedRun
	s := e.t.spaced
	r.e, r.s, r.base, r.begins, r.pending, r.bail, r.seen, r.tail = e, s, base, true, false, false, false, false
	r.w.reset()
	e.current = nil
	if s.prepend == "first" && base == 0 && text != "" && !s.stays(text) {
		// Whether the first word begins the text hangs on what the normalizer drops.
		return false
	}
	for i := 0; i < len(text); {
		// A space before a character beyond ASCII may be changed along with it.
		if b := text[i]; b < utf8.RuneSelf && s.ascii[b] == runeSpace && (i+1 == len(text) || text[i+1] < utf8.RuneSelf) {
			r.space(Span{base + i, base + i + 1})
			i++
			continue
		}
		j := s.plainEnd(text, i)
		if j > i && (j == len(text) || text[j] < utf8.RuneSelf && s.ascii[text[j]] == runeSpace) {
			r.plain(text, i, j)
			i = j
			continue
		}
		if i == 0 && e.offsets && s.gone(text) {
			// The origins of all that follows hang on this.
			return false
		}
		j = s.oddEnd(text, i)
		r.oddWord(text[i:j], base+i, i > 0)
		if r.bail {
			e.cache.count = 0
			return false
		}
		i = j
	}
	if r.tail {
		e.cache.count = 0
		return false
	}
	if r.pending && !s.stripRight {
		r.takePending()
	}
	r.flush()
	e.drain()
	if s.runs && r.seen {
		e.nextWord++
	}
	return true
}

// stays reports whether text begins with a character that the normalizer leaves.
func (s *spaced) stays(text string) bool {
	if text[0] < utf8.RuneSelf {
		return s.ascii[text[0]] == runePlain
	}
	r, _ := utf8.DecodeRuneInString(text)
	return s.kind(r) == runePlain
}

// gone reports whether text begins with a character that is dropped.
func (s *spaced) gone(text string) bool {
	if text[0] < utf8.RuneSelf {
		return s.ascii[text[0]] == runeGone
	}
	r, _ := utf8.DecodeRuneInString(text)
	return s.kind(r) == runeGone
}

// plainEnd returns the end of the plain characters at i.
func (s *spaced) plainEnd(text string, i int) int {
	for i < len(text) {
		b := text[i]
		if b < utf8.RuneSelf {
			if s.ascii[b] != runePlain {
				return i
			}
			i++
			continue
		}
		c, n := utf8.DecodeRuneInString(text[i:])
		if s.kind(c) != runePlain {
			return i
		}
		i += n
	}
	return i
}

// oddEnd returns the end of the word at i: the next space that no character joins.
func (s *spaced) oddEnd(text string, i int) int {
	last := -1
	for j := i; j < len(text); j++ {
		b := text[j]
		if b >= utf8.RuneSelf {
			last = j
			continue
		}
		if j > i && s.ascii[b] == runeSpace && (j+1 == len(text) || text[j+1] < utf8.RuneSelf) {
			if last != j-1 {
				return j
			}
			if c, _ := utf8.DecodeLastRuneInString(text[i:j]); !chars.Joins(c) {
				return j
			}
		}
	}
	return len(text)
}

// space takes one space.
func (r *spacedRun) space(at Span) {
	s := r.s
	switch {
	case s.cuts:
		r.flush()
		r.begins = true
	case s.collapse:
		if s.stripLeft && !r.seen {
			return
		}
		r.pending, r.pendingAt = true, at
	default:
		r.mark(at)
	}
}

// mark takes one mark, from a space or as it stands in the text.
func (r *spacedRun) mark(at Span) {
	e, w := r.e, &r.w
	if r.s.runs {
		if r.begins && r.s.force {
			r.begins = false
			r.putMark(at)
		}
		if len(w.text) >= len(mark) && string(w.text[len(w.text)-len(mark):]) != mark {
			r.flush()
		}
	} else {
		r.flush()
	}
	r.begins, r.seen, r.tail = false, true, false
	if len(w.text) == 0 {
		r.putMark(at)
		return
	}
	w.put([]byte(mark), at, e.offsets)
}

// putMark begins a word with a mark.
func (r *spacedRun) putMark(at Span) {
	r.w.text, r.w.head, r.w.headAt = append(r.w.text, mark...), len(mark), at
}

func (r *spacedRun) takePending() {
	if r.pending {
		r.pending = false
		r.mark(r.pendingAt)
	}
}

// begin makes room for a character other than a mark, which comes from at.
func (r *spacedRun) begin(at Span) {
	r.takePending()
	if r.begins {
		s := r.s
		if s.prepend == "always" || s.prepend == "first" && r.base == 0 {
			r.putMark(at)
		}
		r.begins = false
	}
	r.seen = true
}

// plain takes bytes i to j of text, which the normalizer leaves alone.
func (r *spacedRun) plain(text string, i, j int) {
	s, w := r.s, &r.w
	r.tail = false
	if r.pending || r.begins || !r.seen {
		n := 1
		if text[i] >= utf8.RuneSelf {
			_, n = utf8.DecodeRuneInString(text[i:])
		}
		r.begin(Span{r.base + i, r.base + i + n})
	}
	if !w.odd && len(w.text) == w.head {
		w.body = r.base + i
		before := len(w.text)
		w.text = append(w.text, text[i:j]...)
		if s.changes {
			for k, b := range w.text[before:] {
				if b < utf8.RuneSelf {
					w.text[before+k] = s.byteTo[b]
				}
			}
		}
		return
	}
	for i < j {
		b, n := text[i], 1
		one := [utf8.UTFMax]byte{b}
		if b >= utf8.RuneSelf {
			_, n = utf8.DecodeRuneInString(text[i:j])
			copy(one[:], text[i:i+n])
		} else {
			one[0] = s.byteTo[b]
		}
		w.put(one[:n], Span{r.base + i, r.base + i + n}, r.e.offsets)
		i += n
	}
}

// oddWord takes a word that the normalizer has to look at, or several.
func (r *spacedRun) oddWord(text string, base int, inside bool) {
	s := r.s
	var p part
	if s.forms != nil && !r.e.offsets {
		r.room.text, r.room.spare = s.forms.appendFormsOf(r.room.text[:0], r.room.spare, text)
		p.text = r.room.text
	} else {
		p = makePart(text, base, r.e.offsets, r.room)
		p.inside = inside
		r.room = part{text: p.text, from: p.from, to: p.to}
		if err := s.local.normalize(&p); err != nil {
			r.bail = true
			return
		}
		if !r.e.offsets {
			r.room = part{text: p.text, spare: p.spare}
		}
	}
	table := chars.Classes()
	for i := 0; i < len(p.text); {
		c, n := rune(p.text[i]), 1
		if c >= utf8.RuneSelf {
			c, n = utf8.DecodeRune(p.text[i:])
		}
		at := Span{}
		if r.e.offsets {
			at = p.span(i, i+n)
		}
		if !r.e.offsets && c != ' ' && c != '▁' && !s.cuts && !s.stripLeft && !s.stripRight {
			// No white space is to be dropped: all up to a space or a mark is taken.
			n = 1
			for i+n < len(p.text) && p.text[i+n] != ' ' && !bytes.HasPrefix(p.text[i+n:], []byte(mark)) {
				n++
			}
			r.begin(at)
			r.w.text = append(r.w.text, p.text[i:i+n]...)
			r.tail = false
			i += n
			continue
		}
		white := c != ' ' && table.Of(c)&chars.Space != 0
		switch {
		case c == ' ', white && s.cuts:
			r.space(at)
		case white && s.stripLeft && !r.seen:
		case c == '▁':
			r.takePending()
			r.mark(at)
		default:
			r.begin(at)
			r.w.put(p.text[i:i+n], at, r.e.offsets)
			r.tail = white && s.stripRight
		}
		i += n
	}
}

// flush encodes the word at hand, from the cache if it is there.
func (r *spacedRun) flush() {
	e, w := r.e, &r.w
	if len(w.text) == 0 {
		return
	}
	if r.yield != nil {
		r.yield(w.text)
		r.next()
		return
	}
	e.cut(w.text)
	r.next()
}

// next begins another word.
func (r *spacedRun) next() {
	if !r.s.runs {
		r.e.nextWord++
	}
	r.w.reset()
}
