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
	// readLetters is how many letters of a piece are looked at, fewLetters how many once
	// readAll have been looked at: by then the document's language is known, and only
	// whether the piece is in it is asked.
	readLetters = 256
	fewLetters  = 32
	readAll     = 384
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
	scores []uint32 // of a piece, by class, in 1/WeightUnit
	pieces []piece
	all    []float64 // of the document, by class: of each piece as its letters times a share of its best
	own    []float64 // of its pieces that are in its language, by class, in 1/WeightUnit
	rows   []uint32  // the scores of pieces
}

type piece struct {
	letters int // all of them
	read    int // those that were looked at
	matched int // symbols of the n-grams that they matched
}

// maxPieces bounds what is kept: later pieces only add to the document's scores.
const maxPieces = 4096

// New returns an Identifier, and an error when the embedded model is damaged.
func New() (*Identifier, error) {
	m, err := standard()
	if err != nil {
		return nil, err
	}
	return of(m), nil
}

func of(m *model) *Identifier {
	return &Identifier{m: m, scores: make([]uint32, len(m.codes)), all: make([]float64, len(m.codes)), own: make([]float64, len(m.codes))}
}

// Codes returns the codes that Identify may answer with, in order.
func (d *Identifier) Codes() []string {
	codes := slices.Clone(d.m.codes)
	slices.Sort(codes)
	return slices.Compact(codes)
}

// Identify returns the language of a text. Paragraphs end with a blank
// line, long ones (300 letters) with any line break.
func (d *Identifier) Identify(text string) Result {
	m := d.m
	d.pieces, d.rows = d.pieces[:0], d.rows[:0]
	clear(d.all)
	clear(d.scores)
	const mask = 1<<(MaxGram*SymbolBits) - 1
	var p piece
	limit, all := readLetters, 0 // letters to look at, and that were
	key := uint64(Between)
	for i := 0; i < len(text); {
		r, size := rune(text[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		i += size
		s := m.symbol(r)
		if s == Between {
			if key&(1<<SymbolBits-1) != Between {
				key = (key<<SymbolBits | Between) & mask
				if p.read < limit {
					d.letter(&p, key)
				}
				key = Between
			}
			if r == '\n' && p.letters > 0 && (p.letters >= lineLetters || i < len(text) && text[i] == '\n') || p.letters >= pieceLetters {
				if all += p.read; all >= readAll {
					limit = fewLetters
				}
				d.end(&p)
			}
			continue
		}
		key = (key<<SymbolBits | uint64(s)) & mask
		p.letters++
		if p.read < limit {
			p.read++
			d.letter(&p, key)
		} else if p.letters >= 2*pieceLetters { // a script without spaces
			d.end(&p)
		}
	}
	if p.letters > 0 {
		if key&(1<<SymbolBits-1) != Between && p.read < limit {
			d.letter(&p, (key<<SymbolBits|Between)&mask)
		}
		d.end(&p)
	}
	return d.result()
}

// letter counts the evidence of the longest n-gram that the last symbols are.
func (d *Identifier) letter(p *piece, key uint64) {
	m := d.m
	for n := (bits.Len64(key) + SymbolBits - 1) / SymbolBits; n > 0; n-- {
		k := key & (1<<(n*SymbolBits) - 1)
		if h := k * maybeHash >> (64 - maybeBits); m.maybe[h>>6]>>(h&63)&1 == 0 {
			continue
		}
		at := int(k * 0x9e37_79b9_7f4a_7c15 >> m.shift)
		for m.keys[at] != 0 {
			if m.keys[at] == k {
				s := &m.slots[at]
				p.matched += int(s.size)
				for _, x := range m.pairs[s.from : s.from+uint32(s.n)] {
					d.scores[x.class] += uint32(x.weight)
				}
				return
			}
			at = (at + 1) & (len(m.keys) - 1)
		}
	}
}

// end counts a piece.
func (d *Identifier) end(p *piece) {
	read := float64(p.read) * WeightUnit
	var top uint32
	for c, s := range d.scores {
		if s > 0 {
			s = uint32(max(1, float64(s)+d.m.biases[c]*read))
			d.scores[c] = s
			top = max(top, s)
		}
	}
	if top > 0 {
		scale := float64(p.letters) / float64(top)
		for c, s := range d.scores {
			d.all[c] += float64(s) * scale
		}
	}
	if len(d.pieces) < maxPieces {
		d.pieces = append(d.pieces, *p)
		d.rows = append(d.rows, d.scores...)
	}
	clear(d.scores)
	*p = piece{}
}

func (d *Identifier) result() Result {
	best := -1
	for c, s := range d.all {
		if s > 0 && (best < 0 || s > d.all[best]) {
			best = c
		}
	}
	if best < 0 {
		return Result{}
	}
	groups, group := d.m.groups, d.m.groups[best]
	n := len(d.m.codes)
	clear(d.own)
	var letters, own, seen, matched float64
	for i, p := range d.pieces {
		letters += float64(p.letters)
		row := d.rows[i*n : (i+1)*n]
		var top, mine uint32 // the best class, and the best of the language
		for c, s := range row {
			top = max(top, s)
			if groups[c] == group {
				mine = max(mine, s)
			}
		}
		if top-mine > margin*WeightUnit {
			continue
		}
		own += float64(p.letters)
		seen += float64(p.read)
		matched += float64(p.matched)
		for c, s := range row {
			d.own[c] += float64(s)
		}
	}
	if own == 0 { // each paragraph is in another language, and this one is between them
		return Result{Code: d.m.codes[best]}
	}
	var sum, part float64
	top := slices.Max(d.own)
	for c, s := range d.own {
		q := math.Exp(independence / WeightUnit * (s - top))
		sum += q
		if groups[c] == group {
			part += q
		}
	}
	length := matched / seen / float64(d.m.lengths[best])
	alike := min(1, max(0, (length-foreign)/(native-foreign)))
	share := min(1, own/letters)
	return Result{Code: d.m.codes[best], Score: min(1, part/sum*alike*share), Share: share}
}
