package tokenize

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// Encoder encodes texts with the scratch memory of one goroutine. It must not be
// used by two at once.
type Encoder struct {
	t          *Tokenizer
	allow      bool
	truncation *Truncation // of EncodeFramed

	// What is being encoded. ids receives the tokens; with offsets, enc.Spans and
	// enc.Words too.
	ids      []int32
	enc      *Encoding
	offsets  bool
	nextWord int32
	current  *part
	err      error

	// recording: ends receives where each piece ends, and apart whether each begins
	// where the one before it ends.
	recording, apart bool
	// work counts steps through tries, merge tables and heaps.
	work int64

	bert      bertScanner
	spacedRun spacedRun
	byteRun   byteRun
	word      bpeWord
	cache     wordCache
	lattice   lattice
	pieceIDs  []int32
	ends      []int32
	found     []addedMatch
	buf       []byte
	// each holds the texts of EncodeFramed.
	each [2]Encoding
}

// EncoderOption changes how an Encoder reads texts.
type EncoderOption func(*Encoder)

// AllowSpecial makes the Encoder recognise control tokens, such as "[MASK]", in
// the text. Without it they are text like any other, so that no text can inject
// them.
func AllowSpecial() EncoderOption {
	return func(e *Encoder) { e.allow = true }
}

// NewEncoder returns an Encoder.
func (t *Tokenizer) NewEncoder(options ...EncoderOption) *Encoder {
	e := &Encoder{t: t}
	for _, o := range options {
		o(e)
	}
	e.bert.rules = t.rules
	if m, ok := t.model.(*wordPiece); ok {
		// No word of more bytes has few enough characters to be cut.
		e.bert.limit = 4 * m.maxChars
	} else {
		e.bert.limit = math.MaxInt32
	}
	e.ends = make([]int32, 0, 64)
	return e
}

// Encoding is a text with its tokens.
type Encoding struct {
	IDs []int32
	// Spans holds the part of the text that each token came from. Of control
	// tokens that were put in, it is empty.
	Spans []Span
	// Words holds the number of the word that each token belongs to, from 0, or
	// -1 for control tokens that were put in.
	Words []int32
	// Types holds the segment of each token, Special tells the control tokens that
	// were put in, padding among them, and Attention what is no padding. They are
	// filled by EncodeFramed only, as is Overflow: the windows of what Truncate cut off.
	Types     []int32
	Special   []bool
	Attention []bool
	Overflow  []Encoding
}

// path is the way through the chain that is taken: a scanner made for a common
// combination of steps, or every step by itself.
type path int

const (
	pathGeneral path = iota
	pathBERT
	pathBytes
	pathSpaced
)

// choosePath finds the fastest way that gives the right ids.
func (t *Tokenizer) choosePath() {
	t.path = pathGeneral
	t.first = marksFirst(t.pre)
	n, bertNorm := t.normalizer.(*bertNormalizer)
	_, bertPre := t.pre.(*bertPreTokenizer)
	switch m := t.model.(type) {
	case *wordPiece:
		if bertPre && (bertNorm || t.normalizer == nil) {
			t.rules = newBertRules(n)
			t.path = pathBERT
		}
	case *wordLevel:
		if bertPre && (bertNorm || t.normalizer == nil) && m.unk >= 0 {
			t.rules = newBertRules(n)
			t.path = pathBERT
		}
	case *unigram:
		if t.spaced = newSpaced(t.normalizer, t.pre, m); t.spaced != nil {
			t.path = pathSpaced
		}
	case *bpe:
		if t.spaced = newSpaced(t.normalizer, t.pre, m); t.spaced != nil {
			t.path = pathSpaced
			return
		}
		if !m.whole || t.normalizer != nil {
			return
		}
		switch pre := t.pre.(type) {
		case *byteLevel:
			if pre.UseRegex {
				t.scan, t.prefixSpace, t.path = gpt2Scanner{chars.Classes()}, pre.AddPrefixSpace, pathBytes
			}
		case *preTokenizerChain:
			// Split by a pattern, then only write bytes.
			if len(pre.Steps) != 2 {
				return
			}
			split, ok := pre.Steps[0].(*splitter)
			level, ok2 := pre.Steps[1].(*byteLevel)
			if ok && ok2 && split.Behavior == isolated && !split.Invert && split.Pattern.scan != nil && !level.UseRegex && !level.AddPrefixSpace {
				t.scan, t.path = split.Pattern.scan, pathBytes
			}
		}
	}
}

// marksFirst reports whether a pre-tokenizer puts a mark before the first word of a
// text alone.
func marksFirst(pre preTokenizer) bool {
	switch pre := pre.(type) {
	case *metaspace:
		return pre.Prepend == "first"
	case *preTokenizerChain:
		return slices.ContainsFunc(pre.Steps, marksFirst)
	}
	return false
}

// Encode appends the ids of text to dst and returns it. No control tokens are put
// around them. Invalid UTF-8 is read as U+FFFD, but for byte-level models, which
// keep the bytes. A word that the vocabulary has no way to write, not even as
// unknown, has no ids; EncodeOffsets says so.
func (e *Encoder) Encode(dst []int32, text string) []int32 {
	e.ids, e.offsets = dst, false
	e.run(text)
	dst, e.ids = e.ids, nil
	return dst
}

// ErrNoUnknown says that a text has something that the vocabulary cannot write
// and that the tokenizer has no unknown token for it.
var ErrNoUnknown = errors.New("the vocabulary has no piece and no unknown token for a part of the text")

// EncodeOffsets replaces the contents of enc by the tokens of text, with the part
// of the text and the word that each came from. The error is ErrNoUnknown when a
// part of the text has no token; the others are in enc.
func (e *Encoder) EncodeOffsets(enc *Encoding, text string) error {
	err := e.encodeWhole(enc, text)
	e.t.trim(enc.IDs, enc.Spans, text)
	return err
}

// encodeWhole is EncodeOffsets with spans that hold the white space of their tokens.
func (e *Encoder) encodeWhole(enc *Encoding, text string) error {
	enc.IDs, enc.Spans, enc.Words = enc.IDs[:0], enc.Spans[:0], enc.Words[:0]
	enc.Types, enc.Special, enc.Attention, enc.Overflow = enc.Types[:0], enc.Special[:0], enc.Attention[:0], enc.Overflow[:0]
	e.ids, e.enc, e.offsets, e.err = enc.IDs, enc, true, nil
	e.run(text)
	enc.IDs = e.ids
	err := e.err
	e.ids, e.enc, e.err = nil, nil, nil
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNoUnknown, err)
	}
	return nil
}

// run encodes text between its added tokens.
func (e *Encoder) run(text string) {
	e.nextWord = 0
	t := e.t
	within := usable(t.within, t.plainWithin, e.allow)
	fast := t.path != pathGeneral && (within == nil || t.normalizer == nil)
	e.between(usable(t.outside, t.plainOutside, e.allow), text, 0, func(text string, base int) {
		if !fast {
			e.general(within, text, base)
			return
		}
		e.between(within, text, base, func(text string, base int) {
			switch {
			case len(text) == 0:
			case t.path == pathBERT:
				e.bertWords(text, base)
			case t.path == pathSpaced:
				e.spacedOrGeneral(text, base)
			default:
				e.byteWords(text, base)
			}
		})
	})
}

// between calls f with the parts of text between the added tokens that m finds,
// and takes these as tokens.
func (e *Encoder) between(m *addedMatcher, text string, base int, f func(text string, base int)) {
	if m == nil {
		f(text, base)
		return
	}
	found := m.find(e.found[:0], text, e.allow)
	e.found = nil // f may look for tokens too
	done := 0
	for _, a := range found {
		if done < a.start {
			f(text[done:a.start], base+done)
		}
		e.token(m.tokens[a.token].ID, Span{base + a.start, base + a.end})
		done = a.end
	}
	if done < len(text) {
		f(text[done:], base+done)
	}
	e.found = found
}

// token takes a token that is a word of its own.
func (e *Encoder) token(id int32, s Span) {
	e.ids = append(e.ids, id)
	if e.offsets {
		e.enc.Spans = append(e.enc.Spans, s)
		e.enc.Words = append(e.enc.Words, e.nextWord)
	}
	e.nextWord++
}

// cutter is a model of pathBERT.
type cutter interface {
	cut(dst []int32, ends []int32, word []byte, work *int64) (ids, endsOut []int32)
}

// bertWords is BERT's chain in one pass. Where a character stands that the scanner
// may misplace, what lies between the spaces around it is taken step by step.
func (e *Encoder) bertWords(text string, base int) {
	s := &e.bert
	m := e.t.model.(cutter)
	s.text, s.pos, s.align, s.odd = text, 0, e.offsets, false
	chunk, ids, words := 0, len(e.ids), e.nextWord
	for {
		if at := s.pos; at > 0 && text[at-1] < utf8.RuneSelf && s.rules.ascii[text[at-1]] == bertSpace {
			chunk, ids, words = at, len(e.ids), e.nextWord
		}
		if !s.next() {
			break
		}
		if s.odd {
			end := s.pos
			for end < len(text) && (text[end-1] >= utf8.RuneSelf || s.rules.ascii[text[end-1]] != bertSpace) {
				end++
			}
			e.ids, e.nextWord = e.ids[:ids], words
			if e.offsets {
				e.enc.Spans, e.enc.Words = e.enc.Spans[:ids], e.enc.Words[:ids]
			}
			e.general(nil, text[chunk:end], base+chunk)
			s.pos, s.odd = end, false
			continue
		}
		if !e.offsets {
			e.ids, _ = m.cut(e.ids, nil, s.word, &e.work)
			continue
		}
		e.ids, e.ends = m.cut(e.ids, e.ends[:0], s.word, &e.work)
		start := 0
		for _, end := range e.ends {
			span := s.span(start, int(end))
			e.enc.Spans = append(e.enc.Spans, Span{base + span.Start, base + span.End})
			e.enc.Words = append(e.enc.Words, e.nextWord)
			start = int(end)
		}
		e.nextWord++
	}
	s.text = ""
}

// byteWords is the chain of byte-level models: scanned words, looked up in the
// cache or merged.
func (e *Encoder) byteWords(text string, base int) {
	t := e.t
	shift := 0
	original := text
	if t.prefixSpace && text[0] != ' ' {
		e.buf = append(append(e.buf[:0], ' '), text...)
		shift = 1
	} else {
		e.buf = append(e.buf[:0], text...)
	}
	// The keys of words are read 16 bytes at a time.
	var pad [16]byte
	buf := append(e.buf, pad[:]...)
	e.buf, buf = buf, buf[:len(buf)-len(pad)]
	w := &e.byteRun
	w.text, w.base, w.shift = original, base, shift
	take := func(start, end int) {
		w.at = start
		e.cut(buf[start:end])
		e.nextWord++
	}
	for at := 0; at < len(buf); {
		start, end := t.scan.next(buf, at)
		if start < 0 {
			start, end = len(buf), len(buf)
		}
		if at < start {
			take(at, start)
		}
		if start < end {
			take(start, end)
		}
		at = end
	}
	e.drain()
	w.text = ""
}

// byteRun is a text that is cut into words: at is where the word at hand begins in
// the scanned text, which is shift bytes longer than the original.
type byteRun struct {
	text            string
	base, shift, at int
}

// wordSpan takes the span of a piece: bytes i to j of the word at hand.
func (e *Encoder) wordSpan(i, j int) {
	if e.t.path == pathBytes {
		w := &e.byteRun
		e.byteSpan(w.text, w.base, w.at+i-w.shift, w.at+j-w.shift)
		return
	}
	e.enc.Spans = append(e.enc.Spans, e.spacedRun.w.span(i, j))
	e.enc.Words = append(e.enc.Words, e.nextWord)
}

// byteSpan takes the span of a piece: bytes a to b of text, which a space put
// before it moves to -1. A character that is cut belongs whole to both sides.
func (e *Encoder) byteSpan(text string, base, a, b int) {
	if a < 0 {
		a = 0
	}
	if b <= 0 {
		_, b = utf8.DecodeRuneInString(text)
	}
	if a < len(text) && text[a] >= utf8.RuneSelf {
		a, _ = around(text, a)
	}
	if text[b-1] >= utf8.RuneSelf {
		_, b = around(text, b-1)
	}
	e.enc.Spans = append(e.enc.Spans, Span{base + a, base + b})
	e.enc.Words = append(e.enc.Words, e.nextWord)
}

// around returns the bounds of the character that byte i belongs to.
func around(text string, i int) (start, end int) {
	for start = i; start > 0 && start > i-utf8.UTFMax && !utf8.RuneStart(text[start]); {
		start--
	}
	if _, n := utf8.DecodeRuneInString(text[start:]); start+n > i {
		return start, start + n
	}
	return i, i + 1
}

// rawWord encodes a word given as bytes.
func (m *bpe) rawWord(w *bpeWord, word []byte) (ids, ends []int32) {
	w.ids, w.ends = w.ids[:0], w.ends[:0]
	if m.ignoreMerges {
		if id, ok := m.words[string(word)]; ok {
			w.ids, w.ends = append(w.ids, id), append(w.ends, int32(len(word)))
			return w.ids, w.ends
		}
	}
	if m.pieces != nil {
		m.pieces.cut(m, w, word)
		return w.ids, w.ends
	}
	m.spellBytes(w, word)
	m.merge(w)
	return w.ids, w.ends
}

// spellBytes sets w to the bytes of a word.
func (m *bpe) spellBytes(w *bpeWord, word []byte) {
	w.ids, w.ends = w.ids[:0], w.ends[:0]
	for i, b := range word {
		w.ids, w.ends = append(w.ids, m.raw[b]), append(w.ends, int32(i+1))
	}
}

// general takes every step by itself.
func (e *Encoder) general(within *addedMatcher, text string, base int) {
	t := e.t
	if text == "" {
		return
	}
	p := newPart(text, base, e.offsets || t.first)
	if t.normalizer != nil {
		if err := t.normalizer.normalize(&p); err != nil {
			e.err = err
			return
		}
		if t.first && len(p.text) > 0 {
			// A text whose beginning was dropped no longer begins with its first word.
			p.start = p.from[0]
		}
	}
	parts := make([]part, 0, 16)
	if within == nil {
		parts = append(parts, p)
	} else {
		done := 0
		for _, a := range within.find(nil, string(p.text), e.allow) {
			if done < a.start {
				parts = append(parts, p.slice(done, a.start))
			}
			s := p.slice(a.start, a.end)
			s.id = within.tokens[a.token].ID
			parts = append(parts, s)
			done = a.end
		}
		if done < len(p.text) {
			parts = append(parts, p.slice(done, len(p.text)))
		}
	}
	if t.pre != nil {
		parts = t.pre.split(parts)
	}
	for i := range parts {
		p := &parts[i]
		if len(p.text) == 0 {
			continue
		}
		if p.id >= 0 {
			e.token(p.id, p.span(0, len(p.text)))
			continue
		}
		e.current = p
		if err := t.model.encode(e, p.text); err != nil && e.err == nil {
			e.err = err
		}
		e.nextWord++
	}
	e.current = nil
}

// spacedOrGeneral takes the way of spaced chains if text allows it.
func (e *Encoder) spacedOrGeneral(text string, base int) {
	ids, first, err := len(e.ids), e.nextWord, e.err
	if e.spacedWords(text, base) {
		return
	}
	e.ids, e.nextWord, e.err = e.ids[:ids], first, err
	if e.offsets {
		e.enc.Spans, e.enc.Words = e.enc.Spans[:ids], e.enc.Words[:ids]
	}
	e.general(nil, text, base)
}

// piece takes a piece of the word at hand: bytes i to j of its normalized form.
func (e *Encoder) piece(id int32, i, j int) {
	if e.recording {
		e.apart = e.apart && (len(e.ends) == 0 && i == 0 || len(e.ends) > 0 && int(e.ends[len(e.ends)-1]) == i)
		e.ends = append(e.ends, int32(j))
	}
	e.ids = append(e.ids, id)
	if e.offsets {
		var span Span
		if e.current != nil {
			span = e.current.span(i, j)
		} else {
			span = e.spacedRun.w.span(i, j)
		}
		e.enc.Spans = append(e.enc.Spans, span)
		e.enc.Words = append(e.enc.Words, e.nextWord)
	}
}

// trim takes white space out of the spans of a row of tokens, if the post-processor
// does. The space that may have been put before the first word is not taken out.
func (t *Tokenizer) trim(ids []int32, spans []Span, text string) {
	if t.post == nil {
		return
	}
	trims, prefix := t.post.trims()
	if !trims {
		return
	}
	table := chars.Classes()
	isSpace := func(r rune) bool { return r == 'Ġ' || table.Of(r)&chars.Space != 0 }
	for i, id := range ids {
		span := &spans[i]
		piece := t.vocab.pieces[id]
		if t.isAdded(id) {
			// What was found in the text, white space taken along included.
			piece = text[span.Start:span.End]
		}
		leading, trailing := 0, 0
		for _, r := range piece {
			if !isSpace(r) {
				break
			}
			leading++
		}
		for rest := piece; rest != ""; trailing++ {
			r, n := utf8.DecodeLastRuneInString(rest)
			if !isSpace(r) {
				break
			}
			rest = rest[:len(rest)-n]
		}
		// Spans shrink by characters: a space that was put before a word counts
		// for the word's first.
		if leading > 0 && !(prefix && leading == 1 && (i == 0 || span.Start == 0)) {
			for ; leading > 0 && span.Start < span.End; leading-- {
				_, n := utf8.DecodeRuneInString(text[span.Start:])
				span.Start += n
			}
		}
		if trailing > 0 && (span.End >= utf8.UTFMax*trailing || utf8.RuneCountInString(text[:span.End]) >= trailing) {
			for ; trailing > 0 && span.End > span.Start; trailing-- {
				_, n := utf8.DecodeLastRuneInString(text[:span.End])
				span.End -= n
			}
		}
	}
}

// isAdded reports whether id is an added token.
func (t *Tokenizer) isAdded(id int32) bool {
	return id >= 0 && int(id) < len(t.isAddedID) && t.isAddedID[id]
}
