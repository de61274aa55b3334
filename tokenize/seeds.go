package tokenize

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// seedBytes is what one character of the words costs while the substrings are
// sorted.
const seedBytes = 4 + 24 + 8

// suffix is a place in the text of all words, with its first characters packed so
// that comparing two mostly takes one step.
type suffix struct {
	key   uint64
	place int32
	word  int32
}

const packedChars = 4

// substring is a candidate: length characters at place.
type substring struct {
	place int32
	chars int32
	count int64
}

func (s substring) value() int64 { return s.count * int64(s.chars) }

// seed sets the pieces to the alphabet and the size most valuable substrings of
// words: those that stand most often, a character counting once each time. All
// suffixes of words are sorted, so that the places of a substring lie together; a
// substring that always goes on in the same way is left out for its longer form.
func (u *unigramTrainer) seed(ctx context.Context, size int) error {
	letters := make([]rune, 0, len(u.alphabet))
	for c := range u.alphabet {
		letters = append(letters, c)
	}
	slices.Sort(letters)
	code := make(map[rune]uint16, len(letters))
	for i, c := range letters {
		code[c] = uint16(i + 1)
	}
	// Each word ends with a zero. The rarest words are left out when there is no
	// memory for all.
	limit := max(u.o.MemoryBytes/seedBytes, 1<<16)
	var text []uint16
	var suffixes []suffix
	for w, word := range u.words {
		if int64(len(text)+len(word.word)) > min(limit, math.MaxInt32-1) {
			u.o.Log.Warn("substrings are taken from the most frequent words only", "words", w, "of", len(u.words), "memory_bytes", u.o.MemoryBytes)
			break
		}
		first := len(text)
		for _, c := range word.word {
			text = append(text, code[c])
		}
		for i := first; i < len(text); i++ {
			key := uint64(0)
			for k := range packedChars {
				key <<= 16
				if i+k < len(text) {
					key |= uint64(text[i+k])
				}
			}
			suffixes = append(suffixes, suffix{key, int32(i), int32(w)})
		}
		text = append(text, 0)
		u.o.Meter.Add(1)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	slices.SortFunc(suffixes, func(a, b suffix) int {
		if a.key != b.key {
			return cmp.Compare(a.key, b.key)
		}
		if a.key&0xffff != 0 {
			for k := int32(packedChars); k < maxPieceChars; k++ {
				x, y := text[a.place+k], text[b.place+k]
				if x != y {
					return int(x) - int(y)
				}
				if x == 0 {
					break
				}
			}
		}
		return int(a.place - b.place)
	})
	if err := ctx.Err(); err != nil {
		return err
	}
	found := u.repeated(text, suffixes, size)
	u.pieces = u.pieces[:0]
	total := 0.0
	for _, c := range letters {
		u.pieces = append(u.pieces, scoredPiece{string(c), float64(u.alphabet[c])})
		total += float64(u.alphabet[c])
	}
	for _, s := range found {
		piece := make([]rune, s.chars)
		for i := range piece {
			piece[i] = letters[text[int(s.place)+i]-1]
		}
		u.pieces = append(u.pieces, scoredPiece{string(piece), float64(s.value())})
		total += float64(s.value())
	}
	for i := range u.pieces {
		u.pieces[i].score = math.Log(u.pieces[i].score) - math.Log(total)
	}
	return nil
}

// repeated returns the most valuable substrings of two characters and more that
// occur twice.
func (u *unigramTrainer) repeated(text []uint16, suffixes []suffix, size int) []substring {
	var found []substring
	better := func(a, b substring) int {
		if a.value() != b.value() {
			return cmp.Compare(b.value(), a.value())
		}
		if a.chars != b.chars {
			return int(b.chars - a.chars)
		}
		return int(a.place - b.place)
	}
	add := func(s substring) {
		if s.chars < 2 || s.count < 2 {
			return
		}
		if found = append(found, s); len(found) > 4*size+1024 {
			slices.SortFunc(found, better)
			found = found[:size]
		}
	}
	// shared is how many characters two neighbours have in common.
	shared := func(a, b int32) int32 {
		n := int32(0)
		for n < maxPieceChars && text[a+n] != 0 && text[a+n] == text[b+n] {
			n++
		}
		return n
	}
	// open holds the substrings that the suffix at hand begins with, each longer
	// than the one before, with the count of what came before it.
	type opened struct {
		chars  int32
		before int64
	}
	var open []opened
	passed, common := int64(0), int32(0)
	for i := 0; i <= len(suffixes); i++ {
		next := int32(0)
		if i > 0 && i < len(suffixes) {
			next = shared(suffixes[i-1].place, suffixes[i].place)
		}
		if i > 0 {
			s := suffixes[i-1]
			count := u.words[s.word].count
			// A whole end of a word that no other suffix shares.
			length := int32(0)
			for length < maxPieceChars && text[s.place+length] != 0 {
				length++
			}
			if length > common && length > next && (length < maxPieceChars || text[s.place+length] == 0) {
				add(substring{s.place, length, count})
			}
			before := passed
			if len(open) > 0 && next > open[len(open)-1].chars || len(open) == 0 && next > 0 {
				open = append(open, opened{next, before})
			}
			passed += count
			for len(open) > 0 && open[len(open)-1].chars > next {
				top := open[len(open)-1]
				open = open[:len(open)-1]
				add(substring{s.place, top.chars, passed - top.before})
				if next > 0 && (len(open) == 0 || open[len(open)-1].chars < next) {
					open = append(open, opened{next, top.before})
				}
			}
		}
		common = next
	}
	slices.SortFunc(found, better)
	return found[:min(size, len(found))]
}
