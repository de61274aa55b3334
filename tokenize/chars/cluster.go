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

// clusterTable holds the classes of every character, nil pages for none.
type clusterTable [maxPages]*[256]clusterClass

func (t *clusterTable) of(r rune) clusterClass {
	if page := t[uint32(r)>>8]; page != nil {
		return page[uint8(r)]
	}
	return 0
}

var clusterClasses = sync.OnceValue(func() *clusterTable {
	t := new(clusterTable)
	for _, set := range []struct {
		class  clusterClass
		ranges [][2]rune
	}{{attaching, attachingRanges}, {breaking, breakingRanges}, {leading, leadingRanges}, {pictograph, pictographRanges}} {
		for _, r := range set.ranges {
			for c := r[0]; c <= r[1]; c++ {
				if t[c>>8] == nil {
					t[c>>8] = new([256]clusterClass)
				}
				t[c>>8][uint8(c)] |= set.class
			}
		}
	}
	return t
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
	class := classes.of(core)
	if class&breaking != 0 {
		return end
	}
	for class&leading != 0 && end < len(text) {
		r, n := utf8.DecodeRune(text[end:])
		next := classes.of(r)
		if next&breaking != 0 {
			return end
		}
		core, class = r, next
		end += n
	}
	last := core
	for end < len(text) {
		r, n := utf8.DecodeRune(text[end:])
		next := classes.of(r)
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

// Joins reports whether r may make one grapheme cluster with a character before
// or after it.
func Joins(r rune) bool { return clusterClasses().of(r)&^breaking != 0 || r == zeroWidthJoiner }
