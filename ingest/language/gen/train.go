package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/tributary-ml/tributary/ingest/language"
)

const (
	// spread is how much less likely than in the likeliest class, as a natural logarithm,
	// a letter may be for its n-gram to tell classes apart.
	spread = 5.0
	// most is how many classes an n-gram speaks for.
	most = 16
	// faintest is the least weight that is kept.
	faintest = 4
	// negligible is the difference of weights that is not worth an n-gram of its own.
	negligible = 3 * language.WeightUnit / 8
	// uniform is how likely a letter is that a class is not known to have.
	uniform = 1e-6
	// maxWords is how many words of a class the model is made of, the most frequent.
	maxWords = 20_000
)

// kept is how many n-grams of each length are kept of a class, the most frequent.
var kept = [language.MaxGram]int{4000, 800, 2200, 2600, 2200}

// biases are what a letter speaks for a class before it is looked at, in 1/256 natural
// logarithm: for a language known from few texts against its neighbours.
var biases = map[string]int64{
	"gl-Latn": 11, "oc-Latn": 12, "fo-Latn": 6, "jv-Latn": 2, "pnb-Arab": 8,
	"ast-Latn": -10, "gv-Latn": -6, "wa-Latn": -8, "co-Latn": -6, "vec-Latn": -6, "lij-Latn": -6, "fur-Latn": -6,
	"pam-Latn": -6, "min-Latn": -9, "ms-Latn": -6, "bs-Latn": -6, "sr-Latn": -6,
}

type pair struct{ class, weight uint8 }

// trained are the parts of a model.
type trained struct {
	classes []*class
	lengths []float64
	letters []rune
	grams   map[uint64][]pair
}

// chain counts n-grams of symbols in the words of a class: those that end in a letter
// or, after one, in what lies between words.
type chain struct {
	counts  map[uint64]float64 // by the key of the whole n-gram
	context map[uint64]context // by contextOf it
}

// context is what is known of the symbols after others.
type context struct{ total, kinds float64 }

// contextOf tells the context that the last symbol of an n-gram is in. Those of a
// letter alone and of none are told apart by the size.
func contextOf(key uint64, size int) uint64 { return key>>language.SymbolBits | uint64(size)<<60 }

func sizeOf(key uint64) int { return (bits.Len64(key) + language.SymbolBits - 1) / language.SymbolBits }

// alphabet are the letters that a class has use of.
func alphabet(classes []*class) []rune {
	some := map[rune]bool{}
	for _, c := range classes {
		counts := map[rune]float64{}
		var sum float64
		for _, word := range slices.Sorted(maps.Keys(c.words)) {
			for _, r := range word {
				counts[r] += c.words[word]
				sum += c.words[word]
			}
		}
		for r, n := range counts {
			if n/sum > 2e-6 {
				some[r] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(some))
}

// frequentWords returns the words of a class that the model is made of, in order.
func frequentWords(c *class) []string {
	words := slices.Sorted(maps.Keys(c.words))
	if len(words) > maxWords {
		slices.SortStableFunc(words, func(a, b string) int { return cmp.Compare(c.words[b], c.words[a]) })
		words = words[:maxWords]
	}
	return words
}

func newChain(c *class, symbols map[rune]uint64) *chain {
	ch := &chain{counts: map[uint64]float64{}, context: map[uint64]context{}}
	for _, word := range frequentWords(c) {
		n := c.words[word]
		key := uint64(language.Between)
		see := func(s uint64) {
			key = (key<<language.SymbolBits | s) & (1<<(language.MaxGram*language.SymbolBits) - 1)
			for size := range sizeOf(key) {
				ch.counts[last(key, size+1)] += n
			}
		}
		for _, r := range word {
			s := symbols[r]
			if s == 0 {
				s = language.Other
			}
			see(s)
		}
		see(language.Between)
	}
	for _, key := range slices.Sorted(maps.Keys(ch.counts)) {
		in := contextOf(key, sizeOf(key))
		x := ch.context[in]
		x.total += ch.counts[key]
		x.kinds++
		ch.context[in] = x
	}
	return ch
}

// last returns the last symbols of an n-gram.
func last(key uint64, size int) uint64 { return key & (1<<(size*language.SymbolBits) - 1) }

func train(classes []*class) *trained {
	t := &trained{classes: classes, letters: alphabet(classes), grams: map[uint64][]pair{}}
	symbols := map[rune]uint64{}
	for i, r := range t.letters {
		symbols[r] = uint64(language.FirstLetter + i)
	}
	chains := make([]*chain, len(classes))
	chosen := map[uint64]bool{}
	for i, c := range classes {
		chains[i] = newChain(c, symbols)
		bySize := make([][]uint64, language.MaxGram)
		for key := range chains[i].counts {
			bySize[sizeOf(key)-1] = append(bySize[sizeOf(key)-1], key)
		}
		for n, keys := range bySize {
			counts := chains[i].counts
			slices.SortFunc(keys, func(a, b uint64) int {
				return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
			})
			limit := kept[n]
			if !c.rich && n > 1 {
				limit /= 2
			}
			for _, key := range keys[:min(len(keys), limit)] {
				for size := range sizeOf(key) {
					chosen[last(key, size+1)] = true
				}
			}
		}
	}
	// How likely the last symbol is after the others: Witten and Bell's interpolation of
	// all shorter n-grams. Shorter keys are less, so theirs are known.
	likely := map[uint64][]float32{}
	order := make([]int, len(classes))
	said := map[uint64][]pair{} // of every n-gram by itself or a shorter one
	for _, key := range slices.Sorted(maps.Keys(chosen)) {
		size := sizeOf(key)
		row := make([]float32, len(classes))
		shorter := likely[last(key, size-1)]
		for i, ch := range chains {
			p := float32(uniform)
			if shorter != nil {
				p = shorter[i]
			}
			if size == 1 || p > uniform { // else the class does not have the letter
				if x, ok := ch.context[contextOf(key, size)]; ok {
					p = max(uniform, float32((ch.counts[key]+x.kinds*float64(p))/(x.total+x.kinds)))
				}
			}
			row[i], order[i] = p, i
		}
		likely[key] = row
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(row[b], row[a]), cmp.Compare(a, b)) })
		top := math.Log(float64(row[order[0]]))
		floor := top - spread
		if len(order) > most {
			floor = max(floor, math.Log(float64(row[order[most]])))
		}
		var pairs []pair
		for _, i := range order {
			w := math.Round((math.Log(float64(row[i])) - floor) * language.WeightUnit)
			if w < faintest {
				break
			}
			pairs = append(pairs, pair{uint8(i), uint8(min(255, w))})
		}
		slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.class, b.class) })
		if size > 1 && alike(pairs, said[last(key, size-1)]) {
			said[key] = said[last(key, size-1)]
			continue
		}
		t.grams[key], said[key] = pairs, pairs
	}
	// How long the n-grams are that a class's own text matches.
	for i, ch := range chains {
		var sum, letters float64
		for _, word := range words(ch) {
			n := sizeOf(word.key)
			for ; n > 1; n-- {
				if _, ok := t.grams[word.key&(1<<(n*language.SymbolBits)-1)]; ok {
					break
				}
			}
			sum += word.n * float64(n)
			if word.key&(1<<language.SymbolBits-1) != language.Between {
				letters += word.n
			}
		}
		length := min(language.MaxGram, sum/letters)
		if classes[i].script == "" { // its letters stand for a script
			length = 1
		}
		t.lengths = append(t.lengths, length)
	}
	return t
}

// alike reports whether two n-grams tell classes apart alike.
func alike(a, b []pair) bool {
	var weights [language.MaxClasses + 1]int
	for _, p := range a {
		weights[p.class] = int(p.weight)
	}
	for _, p := range b {
		weights[p.class] -= int(p.weight)
	}
	for _, w := range weights {
		if w > negligible || w < -negligible {
			return false
		}
	}
	return true
}

type counted struct {
	key uint64
	n   float64
}

// words returns the longest n-grams at every letter of a class's words: those of
// language.MaxGram symbols, and those that begin a word.
func words(ch *chain) []counted {
	var all []counted
	for _, key := range slices.Sorted(maps.Keys(ch.counts)) {
		size := sizeOf(key)
		if size == language.MaxGram || size > 1 && key>>((size-1)*language.SymbolBits) == language.Between {
			all = append(all, counted{key, ch.counts[key]})
		}
	}
	return all
}

// model returns the bytes of a model.
func (t *trained) model() ([]byte, error) {
	if len(t.classes) > language.MaxClasses || len(t.letters) > language.MaxLetters {
		return nil, fmt.Errorf("a model of %d classes and %d letters: it holds %d and %d", len(t.classes), len(t.letters), language.MaxClasses, language.MaxLetters)
	}
	b := []byte(language.Magic)
	b = binary.AppendUvarint(b, uint64(len(t.classes)))
	for i, c := range t.classes {
		b = binary.AppendUvarint(b, uint64(len(c.code)))
		b = append(b, c.code...)
		b = binary.AppendUvarint(b, uint64(math.Round(256*t.lengths[i])))
		b = binary.AppendVarint(b, biases[c.code+"-"+c.script])
	}
	b = binary.AppendUvarint(b, uint64(len(t.letters)))
	previous := rune(0)
	for _, r := range t.letters {
		b = binary.AppendUvarint(b, uint64(r-previous))
		previous = r
	}
	b = binary.AppendUvarint(b, uint64(len(t.grams)))
	before := uint64(0)
	pairs := 0
	for _, key := range slices.Sorted(maps.Keys(t.grams)) {
		b = binary.AppendUvarint(b, key-before)
		before = key
		b = binary.AppendUvarint(b, uint64(len(t.grams[key])))
		pairs += len(t.grams[key])
		for _, p := range t.grams[key] {
			b = append(b, p.class, p.weight)
		}
	}
	fmt.Printf("%d pairs, %d bytes before compression\n", pairs, len(b))
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20))
	if err != nil {
		return nil, fmt.Errorf("compressing the model: %w", err)
	}
	return e.EncodeAll(b, nil), nil
}
