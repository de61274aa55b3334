package dedup

import (
	"math/bits"
	"slices"
	"unicode"
	"unicode/utf8"

	"github.com/zeebo/xxh3"
)

// Words, for the comparison of texts, are runs of letters, digits and combining
// marks, in lower case. Scripts that are written without spaces between words
// give one word a character, or, where whole texts are compared, words of some two
// characters that their content cuts: see segment.
//
// A shingle is the hash of n words in a row; a text of fewer words has one
// shingle of all of them, a text without words has none.

// wordClass says what an ASCII byte is to the scanner: 0 for a byte that ends a
// word, else the byte in lower case.
var wordClass = func() (t [utf8.RuneSelf]byte) {
	for c := range t {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			t[c] = byte(c)
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 'a' - 'A'
		}
	}
	return t
}()

// shingler turns texts into hashes of words and of shingles. It is the scratch
// memory of one goroutine.
type shingler struct {
	n     int
	power uint64 // shingleBase^n
	// segment cuts what is written without spaces into words.
	segment bool
	words   []uint64
	buf     []byte
}

// shingleBase is the base of the rolling hash: an odd number of random bits.
const shingleBase = 0x9e3779b97f4a7c15

func newShingler(n int) *shingler {
	s := new(shingler)
	s.setLength(n)
	return s
}

// setLength makes the shingles that follow ones of n words.
func (s *shingler) setLength(n int) {
	s.n, s.power = n, 1
	for range n {
		s.power *= shingleBase
	}
}

// hashWords fills s.words with the hashes of the text's words.
func (s *shingler) hashWords(text string) {
	s.words = s.words[:0]
	for i := 0; i < len(text); {
		if len(text)-i >= wordBlock+8 {
			if words, ok := wordMask(text[i : i+wordBlock]); ok {
				if next := s.hashBlock(text, i, words); next > i {
					i = next
					continue
				}
			}
		}
		i, _, _ = s.hashNext(text, i)
	}
}

// wordBlock is how many bytes of ASCII are scanned at once.
const wordBlock = 64

// wordMask returns which bytes of a block are letters or digits. It is not ok
// when some byte is not ASCII.
func wordMask(block string) (mask uint64, ok bool) {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	var beyond uint64
	for k := range wordBlock / 8 {
		w := load64(block, 8*k)
		beyond |= w
		low := w&^high | 0x20*ones
		digit := w &^ high
		letter := (low + (0x80-'a')*ones) &^ (low + (0x7f-'z')*ones)
		number := (digit + (0x80-'0')*ones) &^ (digit + (0x7f-'9')*ones)
		// The high bits of the bytes, gathered into one byte.
		mask |= ((letter | number) & high >> 7 * 0x0102040810204080 >> 56) << (8 * k)
	}
	return mask, beyond&high == 0
}

// load64 reads eight bytes, least significant first.
func load64(s string, i int) uint64 {
	s = s[i : i+8]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// hashBlock hashes the words of a block that begins at i and returns where to go
// on: after the block, or at the word that the block's end cuts.
func (s *shingler) hashBlock(text string, i int, mask uint64) int {
	next := i + wordBlock
	if mask>>63 == 1 {
		cut := bits.LeadingZeros64(^mask)
		next -= cut
		if cut < wordBlock {
			mask &= 1<<(wordBlock-cut) - 1
		} else {
			return i
		}
	}
	for mask != 0 {
		start := bits.TrailingZeros64(mask)
		n := bits.TrailingZeros64(^(mask >> start))
		mask &^= (1<<n - 1) << start
		at := i + start
		switch {
		case n <= 8:
			// Eight bytes can be read: the text goes on after the block.
			s.words = append(s.words, hashShort(load64(text, at)|lowerBits, 0, n))
		case n <= 16:
			s.words = append(s.words, hashShort(load64(text, at)|lowerBits, load64(text, at+n-8)|lowerBits, n))
		default:
			s.buf = s.buf[:0]
			for _, c := range []byte(text[at : at+n]) {
				s.buf = append(s.buf, c|0x20)
			}
			s.words = append(s.words, hashWord(s.buf))
		}
	}
	return next
}

// lowerBits makes letters lower-case and leaves digits as they are.
const lowerBits = 0x2020202020202020

// hashShort hashes a word of up to 16 bytes, given as its first and its last
// eight; what lies beyond a word of fewer than eight is ignored.
func hashShort(first, last uint64, n int) uint64 {
	if n < 8 {
		first &= 1<<(8*n) - 1
	}
	if n <= 8 {
		last = 0
	}
	hi, lo := bits.Mul64(first^0xa0761d6478bd642f, last^0xe7037ed1a0b428db^uint64(n)<<56)
	return mix64(hi ^ lo)
}

func hashWord(word []byte) uint64 {
	n := len(word)
	if n > 16 {
		return xxh3.Hash(word)
	}
	var b [16]byte
	copy(b[:], word)
	first := load64(string(b[:8]), 0)
	if n <= 8 {
		return hashShort(first, 0, n)
	}
	return hashShort(first, load64(string(word[n-8:]), 0), n)
}

// hashNext hashes the next word at or after i, character by character. It returns
// where to go on and the bounds of the word, which are equal when there is none.
func (s *shingler) hashNext(text string, i int) (next, start, end int) {
	word := s.buf[:0]
	start, end = i, i
	before := rune(0) // the last character, when it is of a word to segment
	for i < len(text) {
		r, size := rune(text[i]), 1
		alone, inside := false, false
		if r < utf8.RuneSelf {
			r = rune(wordClass[r])
			inside = r != 0
		} else {
			r, size = utf8.DecodeRuneInString(text[i:])
			alone = spaceless(r)
			inside = alone || unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.Is(unicode.M, r)
			r = unicode.ToLower(r)
		}
		if before != 0 && unicode.Is(unicode.M, r) {
			alone = false // it belongs to the character before
		} else if s.segment && alone {
			if len(word) > 0 && (before == 0 || cutBetween(before, r)) {
				break
			}
			before, alone = r, false
		} else if before != 0 {
			break
		}
		if len(word) > 0 && (alone || !inside) {
			break
		}
		if inside {
			if len(word) == 0 {
				start = i
			}
			word = utf8.AppendRune(word, r)
			end = i + size
		}
		i += size
		if alone {
			break
		}
	}
	if len(word) > 0 {
		s.words = append(s.words, hashWord(word))
	} else {
		start, end = i, i
	}
	s.buf = word
	return i, start, end
}

// cutBetween reports whether segment cuts between two characters: between half of
// all pairs, chosen by their hash, so that words have two characters on average,
// as in Chinese they do. No dictionary knows all languages; what near-duplicates
// need is that a text is cut in the same way wherever it stands.
func cutBetween(a, b rune) bool { return mix64(uint64(a)<<32|uint64(b))&1 == 0 }

// wordBounds returns the start and the end of each word that hashWords finds.
func (s *shingler) wordBounds(text string) [][2]int {
	s.words = s.words[:0]
	var bounds [][2]int
	for i := 0; i < len(text); {
		next, start, end := s.hashNext(text, i)
		if start < end {
			bounds = append(bounds, [2]int{start, end})
		}
		i = next
	}
	return bounds
}

// spaceless reports whether a character's script is written without spaces
// between words.
func spaceless(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai,
		unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// digest is a hash of the whole sequence of words. Texts of equal digests have
// the same shingles, whatever n is.
func (s *shingler) digest() [16]byte {
	a, b := uint64(0x243f6a8885a308d3), uint64(0x13198a2e03707344)
	for _, w := range s.words {
		a = bits.RotateLeft64(a, 23)*0xbf58476d1ce4e5b9 ^ w
		b = (b ^ bits.RotateLeft64(w, 31)) * 0x94d049bb133111eb
		b ^= b >> 29
	}
	a, b = mix64(a^uint64(len(s.words))), mix64(b)
	var out [16]byte
	for i := range 8 {
		out[i], out[8+i] = byte(a>>(8*i)), byte(b>>(8*i))
	}
	return out
}

// each calls f with the shingles of the words, in chunks that are valid during
// the call.
func (s *shingler) each(chunk []uint64, f func([]uint64)) {
	words := s.words
	if len(words) == 0 {
		return
	}
	n := min(s.n, len(words))
	h := uint64(0)
	for _, w := range words[:n] {
		h = h*shingleBase + w
	}
	chunk = append(chunk[:0], mix64(h))
	for i := n; i < len(words); i++ {
		if len(chunk) == cap(chunk) {
			f(chunk)
			chunk = chunk[:0]
		}
		h = h*shingleBase + words[i] - words[i-n]*s.power
		chunk = append(chunk, mix64(h))
	}
	f(chunk)
}

// set returns the distinct shingles, ascending, appended to dst.
func (s *shingler) set(chunk, dst []uint64) []uint64 {
	from := len(dst)
	s.each(chunk, func(c []uint64) { dst = append(dst, c...) })
	slices.Sort(dst[from:])
	return dst[:from+len(slices.Compact(dst[from:]))]
}

// mix64 is the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
func mix64(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// overlap counts the common elements of two ascending sets. It gives up with
// less than need when it sees that need cannot be reached.
func overlap(a, b []uint64, need int) int {
	if len(a) > len(b) {
		a, b = b, a
	}
	common := 0
	for i, j := 0, 0; i < len(a) && j < len(b); {
		x, y := a[i], b[j]
		if x == y {
			common++
			i++
			j++
			continue
		}
		if x < y {
			i++
			if common+len(a)-i < need {
				return common
			}
		} else {
			j++
		}
	}
	return common
}

// Jaccard returns the Jaccard similarity of the sets of word n-grams of two
// texts: the share of their distinct n-grams that both have. It is what Minhash
// verifies. Texts without words are similar to nothing, not even each other.
func Jaccard(a, b string, n int) float64 {
	s := newShingler(max(n, 1))
	s.segment = true
	chunk := make([]uint64, 0, 1<<10)
	s.hashWords(a)
	x := s.set(chunk, nil)
	s.hashWords(b)
	y := s.set(chunk, nil)
	return jaccard(overlap(x, y, 0), len(x), len(y))
}

func jaccard(common, a, b int) float64 {
	if a+b == 0 {
		return 0
	}
	return float64(common) / float64(a+b-common)
}
