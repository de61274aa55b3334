// Package language tells which language a text is written in: its document and each of
// its paragraphs.
//
// Every letter gives evidence by the longest n-gram of up to five symbols that ends with
// it and that the model holds: for each language, the logarithm of how likely the letter
// is there after the letters before it (a Markov chain of words, naive Bayes over
// languages). What is between words counts as a symbol, so that short words and endings
// speak. The answer is a pure function of the text.
//
// Codes are those of Wikipedia and of fastText's lid.176: ISO 639-1 where the language
// has one, ISO 639-3 where not; "no" is Bokmål, "nn" Nynorsk, and "zh" Chinese of any
// kind.
package language

import (
	"math"
	"math/bits"
	"slices"
	"unicode/utf8"
)

// Result is the language of a text.
type Result struct {
	// Code is the language's, "" for a text without letters.
	Code string
	// Score, in [0, 1], is how sure the answer is: the probability of the language among
	// all, times Share, less where what is in it looks like no text of the language.
	Score float64
	// Share, in [0, 1], is the share of letters in paragraphs that are in the language.
	Share float64
}

const (
	// pieceLetters bounds a piece: longer paragraphs are cut.
	pieceLetters = 1024
	// lineLetters is from how many letters a line break ends a paragraph, which a blank
	// line always does: texts come with their lines broken, too.
	lineLetters = 300
	// readLetters is how many letters of a piece are looked at, at most: reading ends when
	// one language is lead, in natural logarithms, before all others. Once the document's
	// language is known, with a lead of sure over all its pieces, only whether a piece is in
	// it is asked, every few letters: it is when no other fits much better.
	readLetters = 256
	lead        = 30
	sure        = 24
	few         = 12
	// Of a document of more pieces than eachPiece, only every second one is looked at
	// after those, every fourth after twice as many, and so on; the others count as the
	// one before them does.
	eachPiece = 64
	// independence is the part of a letter's evidence that its neighbours have not given:
	// the chain knows four letters, not the word before.
	independence = 0.35
	// margin is how much better, in natural logarithms, another language must fit a
	// paragraph for it not to count as one in the document's language.
	margin = 4
	// A piece whose letters match n-grams of less than foreign of the length that text of
	// the language does is no text of it; one with native or more is.
	foreign, native = 0.5, 0.7
)

// Identifier tells languages in memory that it keeps. It is used by one goroutine at a
// time.
type Identifier struct {
	m      *model
	keys   [batch]uint64 // of letters that are still to be looked up
	waits  int           // how many
	step   int           // how many are looked up together
	known  int           // the group of the language that the document is surely in, or -1
	scores scores        // of a piece, in 1/WeightUnit
	pieces []piece
	all    []float64 // of the document, by class: of each piece as its letters times a share of its best
	sum    []float64 // of its pieces, by class, in 1/WeightUnit
	rows   []uint32  // the scores of pieces
}

// scores are by class: the length saves a check.
type scores [256]uint32

type piece struct {
	letters int    // all of them, and those of pieces after it that were not looked at
	limit   int    // how many are looked at
	read    int    // those that were
	matched int    // symbols of the n-grams that they matched
	top     uint32 // the best class's score
}

// New returns an Identifier, and an error when the embedded model is damaged.
func New() (*Identifier, error) {
	m, err := standard()
	if err != nil {
		return nil, err
	}
	return of(m), nil
}

func of(m *model) *Identifier {
	return &Identifier{m: m, all: make([]float64, len(m.codes)), sum: make([]float64, len(m.codes))}
}

// Codes returns the codes that Identify may answer with, in order.
func (d *Identifier) Codes() []string {
	codes := slices.Clone(d.m.codes)
	slices.Sort(codes)
	return slices.Compact(codes)
}

// looksAt reports whether the n-th piece is looked at.
func looksAt(n int) bool {
	every := bits.Len(uint(n / eachPiece))
	return n&(1<<every-1) == 0
}

// Identify returns the language of a text. Paragraphs end with a blank
// line, long ones (300 letters) with any line break.
func (d *Identifier) Identify(text string) Result {
	m := d.m
	d.pieces, d.rows, d.waits = d.pieces[:0], d.rows[:0], 0
	d.step, d.known = batch, -1
	clear(d.all)
	clear(d.sum)
	d.scores = scores{}
	const mask = 1<<(MaxGram*SymbolBits) - 1
	pieces := 0
	p := piece{limit: readLetters}
	key := uint64(Between)
	end := func() {
		d.end(&p)
		p = piece{}
		if pieces++; looksAt(pieces) {
			p.limit = readLetters
		}
	}
	for i := 0; i < len(text); {
		if p.read >= p.limit { // what is not looked at only counts
			for ; i < len(text) && text[i] < utf8.RuneSelf; i++ {
				if m.symbols[text[i]] != Between {
					p.letters++
				} else if text[i] == '\n' || p.letters >= pieceLetters {
					break
				}
			}
			if i == len(text) {
				break
			}
		}
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		s := m.symbol(r)
		if s != Between {
			p.letters++
			if p.read < p.limit {
				key = (key<<SymbolBits | uint64(s)) & mask
				p.read++
				d.look(&p, key)
			} else {
				key = uint64(s)                  // a letter: what lies before it is not looked at
				if p.letters >= 2*pieceLetters { // a script without spaces
					end()
				}
			}
			continue
		}
		if key&(1<<SymbolBits-1) != Between {
			if p.read < p.limit {
				d.look(&p, (key<<SymbolBits|Between)&mask)
			}
			key = Between
		}
		if r == '\n' && p.letters > 0 && (p.letters >= lineLetters || i < len(text) && text[i] == '\n') || p.letters >= pieceLetters {
			end()
		}
	}
	if p.letters > 0 {
		if key&(1<<SymbolBits-1) != Between && p.read < p.limit {
			d.look(&p, (key<<SymbolBits|Between)&mask)
		}
		d.end(&p)
	}
	return d.result()
}

// look counts the evidence of a letter, given the last symbols.
func (d *Identifier) look(p *piece, key uint64) {
	d.keys[d.waits] = key
	if d.waits++; d.waits < d.step {
		return
	}
	p.matched += d.m.table.add(&d.scores, d.keys[:d.waits])
	d.waits = 0
	if d.clear() {
		p.limit = p.read
	}
}

// clear reports whether it is clear what language a piece is in.
func (d *Identifier) clear() bool {
	row := d.scores[:len(d.m.codes)]
	if d.known >= 0 {
		top, mine := slices.Max(row), uint32(0)
		for _, c := range d.m.members[d.known] {
			mine = max(mine, row[c])
		}
		return top <= mine+margin*WeightUnit/2 || top > mine+lead*WeightUnit
	}
	_, first, second := best(row, d.m.groups)
	return first > second+lead*WeightUnit
}

// best returns the group of the best score, it, and the best of another group.
func best[T uint32 | float64](row []T, groups []int) (group int, first, second T) {
	at := 0
	for c, s := range row {
		if s > row[at] {
			at = c
		}
	}
	group, first = groups[at], row[at]
	for c, s := range row {
		if s > second && groups[c] != group {
			second = s
		}
	}
	return group, first, second
}

// end counts a piece.
func (d *Identifier) end(p *piece) {
	if p.read == 0 && len(d.pieces) > 0 {
		d.pieces[len(d.pieces)-1].letters += p.letters
		return
	}
	p.matched += d.m.table.add(&d.scores, d.keys[:d.waits])
	d.waits = 0
	n := len(d.m.codes)
	row := d.scores[:n]
	for c, b := range d.m.biases {
		if b != 0 && row[c] > 0 {
			row[c] = uint32(max(1, int(row[c])+b*p.read*WeightUnit/256))
		}
	}
	p.top = slices.Max(row)
	if p.top > 0 {
		scale := float64(p.letters) / float64(p.top)
		for c, s := range row {
			d.all[c] += float64(s) * scale
			d.sum[c] += float64(s)
		}
	}
	d.step, d.known = batch, -1
	if group, first, second := best(d.sum, d.m.groups); first > second+sure*WeightUnit {
		d.step, d.known = few, group
	}
	d.pieces = append(d.pieces, *p)
	d.rows = append(d.rows, row...)
	d.scores = scores{}
}

func (d *Identifier) result() Result {
	at := 0
	for c, s := range d.all {
		if s > d.all[at] {
			at = c
		}
	}
	if d.all[at] == 0 {
		return Result{}
	}
	groups, group := d.m.groups, d.m.groups[at]
	n := len(d.m.codes)
	var letters, own, seen, matched float64
	for i, p := range d.pieces {
		letters += float64(p.letters)
		row := d.rows[i*n : (i+1)*n]
		var mine uint32 // the best class of the language
		for _, c := range d.m.members[group] {
			mine = max(mine, row[c])
		}
		if p.top-mine > margin*WeightUnit {
			for c, s := range row {
				d.sum[c] -= float64(s)
			}
			continue
		}
		own += float64(p.letters)
		seen += float64(p.read)
		matched += float64(p.matched)
	}
	if own == 0 { // each paragraph is in another language, and this one is between them
		return Result{Code: d.m.codes[at]}
	}
	var sum, part float64
	top := slices.Max(d.sum)
	for c, s := range d.sum {
		q := independence / WeightUnit * (s - top)
		if q < -40 {
			continue
		}
		q = math.Exp(q)
		sum += q
		if groups[c] == group {
			part += q
		}
	}
	length := matched / seen / float64(d.m.lengths[at])
	alike := min(1, max(0, (length-foreign)/(native-foreign)))
	share := min(1, own/letters)
	return Result{Code: d.m.codes[at], Score: min(1, part/sum*alike*share), Share: share}
}
