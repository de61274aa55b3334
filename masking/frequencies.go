package masking

import (
	"errors"
	"math"
	"strings"
	"unicode"

	"github.com/tributary-ml/tributary/mixer"
)

// Frequencies counts tokens and the documents that hold them.
type Frequencies = mixer.Frequencies

// ErrNoFrequencies means that an objective was made without the counts it needs.
var ErrNoFrequencies = errors.New("the objective needs the frequencies of the tokens")

// NeedsFrequencies reports whether an objective needs Options.Frequencies.
func NeedsFrequencies(name string) bool {
	p, err := ParsePoint(name)
	return err == nil && (p.Output == "tf" || p.Output == "tfidf")
}

// tfClasses is the number of classes that tf tells apart: tokens that never come
// up, those of the lowest power of ten of all that do, of the next one, and others.
const tfClasses = 4

// frequencyClasses returns the class of each token id, and its rarity
// ln((1+documents)/(1+documents with it) + 1).
//
// Counts are scaled to 10 for the most frequent token, and their powers of ten,
// rounded up, numbered from the lowest, as the code of AANG (Dery et al., 2022)
// does with shifted counts.
func frequencyClasses(f *Frequencies, vocab int) (classes []int32, rarities []float64, err error) {
	if f == nil {
		return nil, nil, ErrNoFrequencies
	}
	classes, rarities = make([]int32, vocab), make([]float64, vocab)
	most, least := int64(0), int64(math.MaxInt64)
	for _, n := range f.Tokens {
		if n > 0 {
			most, least = max(most, n), min(least, n)
		}
	}
	decade := func(n int64) int { // of 10*n/most, rounded up
		d := 1
		for ; n <= most/10; n *= 10 {
			d--
		}
		return d
	}
	for id := range classes {
		if id < len(f.Tokens) && f.Tokens[id] > 0 {
			classes[id] = int32(min(tfClasses-1, decade(f.Tokens[id])-decade(least)+1))
		}
		with := int64(0)
		if id < len(f.Documents) {
			with = f.Documents[id]
		}
		rarities[id] = math.Log(float64(1+f.Count)/float64(1+with) + 1)
	}
	return classes, rarities, nil
}

// capitals returns 1 for the tokens with a capital letter.
func capitals(v Vocabulary) ([]int32, error) {
	named, ok := v.(interface{ Token(id int32) string })
	if !ok {
		return nil, errors.New("the vocabulary does not say what its tokens are")
	}
	classes := make([]int32, v.VocabSize())
	some := false
	for id := range classes {
		if !v.IsSpecial(int32(id)) && strings.IndexFunc(named.Token(int32(id)), unicode.IsUpper) >= 0 {
			classes[id], some = 1, true
		}
	}
	if !some {
		return nil, errors.New("no token of the vocabulary has a capital letter: its tokenizer lower-cases the text, and shards do not keep what it was")
	}
	return classes, nil
}
