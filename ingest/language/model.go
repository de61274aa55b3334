package language

import (
	"bytes"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"unicode"

	"github.com/klauspost/compress/zstd"
)

// modelFile is the model, made by the command in gen of open data (docs/results/language.md).
//
//go:embed model.bin
var modelFile []byte

// Magic begins a model, after decompression (zstd). What follows; numbers are unsigned
// varints:
//
//	how many classes; each: length and bytes of its code; 256 x how long the n-grams are
//	    that its own text matches, on average; 256 x what each letter speaks for it
//	    before it is looked at, as a natural logarithm (a signed varint)
//	how many letters; each: its code point less the one before
//	how many n-grams; each, in ascending order of their keys: the key less the one
//	    before, how many classes it speaks for, and two bytes for each: class, weight
//
// A class is a language in one script; several may have one code. A key holds up to
// MaxGram symbols of SymbolBits bits, the last one lowest. Symbol 0 is none, 1 is what
// lies between words, 2 a letter that is not listed, FirstLetter the first letter that
// is. A weight is in units of 1/WeightUnit natural logarithm of likelihood.
const Magic = "TRLANG2\n"

// The bounds of a model.
const (
	MaxGram     = 5
	SymbolBits  = 12
	Between     = 1
	Other       = 2
	FirstLetter = 3
	WeightUnit  = 16
	MaxClasses  = 255
	MaxLetters  = 1<<SymbolBits - FirstLetter
	maxGrams    = 1 << 21
	maxModel    = 32 << 20 // decompressed
)

// The letters that stand for all of their script: which of them a text has tells no
// more than that it has some.
const (
	Ideograph = '一'
	Kana      = 'あ'
	Hangul    = '가'
)

// Fold returns the lower case of a letter or a mark, the letter that stands for its
// script where one does, and 0 for what is neither letter nor mark.
func Fold(r rune) rune {
	switch {
	case r < 0x80:
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		if 'a' <= r && r <= 'z' {
			return r
		}
		return 0
	case unicode.Is(unicode.Han, r):
		return Ideograph
	case r >= 0x3041 && r <= 0x30ff && r != 0x30fb || r >= 0xff66 && r <= 0xff9f:
		return Kana
	case unicode.Is(unicode.Hangul, r):
		return Hangul
	case r == 0x130: // İ: its lower case has a mark of its own
		return 'i'
	case unicode.IsLetter(r):
		return unicode.ToLower(r)
	case unicode.Is(unicode.M, r):
		return r
	}
	return 0
}

// model tells how likely letters are after others in each class. It is not changed once
// read.
type model struct {
	codes   []string
	lengths []float32       // by class: the mean length of the n-grams that its text matches
	biases  []int           // by class, per letter, in 1/256
	groups  []int           // by class: the first class of the same code
	members [][]int         // by group: its classes
	symbols [1 << 16]uint16 // of the code points of the basic plane
	beyond  map[rune]uint16 // of the others
	table   table
}

var standard = sync.OnceValues(func() (*model, error) { return parse(modelFile) })

var errModel = errors.New("it is damaged")

func parse(file []byte) (*model, error) {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxModel))
	if err != nil {
		return nil, fmt.Errorf("reading a language model: %w", err)
	}
	defer d.Close()
	b, err := d.DecodeAll(file, nil)
	if err != nil {
		return nil, fmt.Errorf("reading a language model: %w", err)
	}
	b, ok := bytes.CutPrefix(b, []byte(Magic))
	if !ok {
		return nil, errors.New("reading a language model: it does not begin as one")
	}
	r := reader{b: b}
	m := new(model)
	if err := m.read(&r); err != nil {
		return nil, fmt.Errorf("reading a language model: %w at %d of %d bytes", err, len(b)-len(r.b), len(b))
	}
	return m, nil
}

func (m *model) read(r *reader) error {
	classes := r.count(MaxClasses)
	for range classes {
		m.codes = append(m.codes, string(r.take(r.count(16))))
		m.lengths = append(m.lengths, float32(r.count(256*MaxGram))/256)
		m.biases = append(m.biases, int(r.signed()))
		group := slices.Index(m.codes, m.codes[len(m.codes)-1])
		m.groups = append(m.groups, group)
		m.members = append(m.members, nil)
		m.members[group] = append(m.members[group], len(m.codes)-1)
	}
	letters := map[rune]uint16{}
	last := 0
	for i := range r.count(MaxLetters) {
		last += r.count(unicode.MaxRune)
		if last > unicode.MaxRune {
			return errModel
		}
		letters[rune(last)] = uint16(FirstLetter + i)
	}
	grams := r.count(min(maxGrams, len(r.b)/2))
	m.table = newTable(grams)
	var key uint64
	for range grams {
		step := r.varint()
		n := r.count(classes)
		list := r.take(2 * n)
		key += step
		if r.failed || step == 0 || key < step || key >= 1<<(MaxGram*SymbolBits) {
			return errModel
		}
		for i := 0; i < len(list); i += 2 {
			if int(list[i]) >= classes {
				return errModel
			}
		}
		if !m.table.put(key, list) {
			return errModel
		}
	}
	if r.failed || len(r.b) > 0 || classes == 0 {
		return errModel
	}
	m.alphabet(letters)
	return nil
}

// alphabet tells the symbols of all code points, given those of folded letters.
func (m *model) alphabet(letters map[rune]uint16) {
	symbol := func(r rune) uint16 {
		folded := Fold(r)
		if folded == 0 {
			return Between
		}
		if s := letters[folded]; s != 0 {
			return s
		}
		return Other
	}
	for r := range rune(len(m.symbols)) {
		m.symbols[r] = symbol(r)
	}
	m.beyond = map[rune]uint16{}
	for r, s := range letters {
		if r >= 1<<16 {
			m.beyond[r] = s
			m.beyond[unicode.ToUpper(r)] = s
		}
	}
}

// symbol returns the symbol of a code point.
func (m *model) symbol(r rune) uint16 {
	if r < 1<<16 {
		return m.symbols[r]
	}
	if s := m.beyond[r]; s != 0 {
		return s
	}
	if unicode.Is(unicode.Han, r) {
		return m.symbols[Ideograph]
	}
	if unicode.IsLetter(r) || unicode.Is(unicode.M, r) {
		return Other
	}
	return Between
}

// reader reads numbers; after a fault it gives zeros.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) fail() { r.failed, r.b = true, nil }

func (r *reader) varint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) signed() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 || v < -256 || v > 256 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) count(limit int) int {
	v := r.varint()
	if v > uint64(limit) {
		r.fail()
		return 0
	}
	return int(v)
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
