package chars

import (
	"sync"
	"unicode/utf8"
)

// clusterClass is what a character does to a grapheme cluster.
type clusterClass uint8

const (
	attaching clusterClass = 1 << iota
	breaking
	leading
	pictograph
)

var clusterClasses = sync.OnceValue(func() map[rune]clusterClass {
	m := map[rune]clusterClass{}
	for _, set := range []struct {
		class  clusterClass
		ranges [][2]rune
	}{{attaching, attachingRanges}, {breaking, breakingRanges}, {leading, leadingRanges}, {pictograph, pictographRanges}} {
		for _, r := range set.ranges {
			for c := r[0]; c <= r[1]; c++ {
				m[c] |= set.class
			}
		}
	}
	return m
})

const zeroWidthJoiner = 0x200d

// ClusterEnd returns the end of the extended grapheme cluster (Unicode Standard
// Annex 29) that begins at text[i]. It leaves out the rules for Hangul syllables,
// flags and Indic conjuncts, whose clusters are all of six bytes or more; a
// caller must treat those it cuts by their characters.
func ClusterEnd(text []byte, i int) int {
	if text[i] < utf8.RuneSelf && (i+1 == len(text) || text[i+1] < utf8.RuneSelf) {
		if text[i] == '\r' && i+1 < len(text) && text[i+1] == '\n' {
			return i + 2
		}
		return i + 1
	}
	classes := clusterClasses()
	core, n := utf8.DecodeRune(text[i:])
	end := i + n
	class := classes[core]
	if class&breaking != 0 {
		return end
	}
	for class&leading != 0 && end < len(text) {
		r, n := utf8.DecodeRune(text[end:])
		next := classes[r]
		if next&breaking != 0 {
			return end
		}
		core, class = r, next
		end += n
	}
	last := core
	for end < len(text) {
		r, n := utf8.DecodeRune(text[end:])
		next := classes[r]
		switch {
		case next&attaching != 0:
		case last == zeroWidthJoiner && class&pictograph != 0 && next&pictograph != 0:
		default:
			return end
		}
		last = r
		end += n
	}
	return end
}
