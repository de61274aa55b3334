package tokenize

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestLongWordsMergeLikeShortOnes: the queues by rank give what looking for the
// best pair each time does, for any merges in any order.
func TestLongWordsMergeLikeShortOnes(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &bpe{vocab: newVocabulary(0)}
		pieces := []string{"a", "b", "c"}
		for id, p := range pieces {
			if err := m.vocab.add(p, int32(id)); err != nil {
				r.Fatal(err)
			}
		}
		for range rapid.IntRange(0, 12).Draw(r, "merges") {
			left, right := rapid.SampledFrom(pieces).Draw(r, "left"), rapid.SampledFrom(pieces).Draw(r, "right")
			if _, ok := m.vocab.id(left + right); !ok {
				if err := m.vocab.add(left+right, int32(len(pieces))); err != nil {
					r.Fatal(err)
				}
				pieces = append(pieces, left+right)
			}
			m.pairs = append(m.pairs, [2]string{left, right})
		}
		m.pairs = rapid.Permutation(m.pairs).Draw(r, "order")
		if err := m.prepare(); err != nil {
			r.Fatal(err)
		}
		word := []byte(rapid.StringMatching(`[abc]{0,70}`).Draw(r, "word"))
		var short, long bpeWord
		m.spell(&short, word)
		m.spell(&long, word)
		m.mergeShort(&short)
		m.mergeLong(&long)
		if !slices.Equal(short.ids, long.ids) || !slices.Equal(short.ends, long.ends) {
			r.Fatalf("%s with %v: short %v, long %v", word, m.pairs, short.ids, long.ids)
		}
	})
}

// TestWorkIsLinear counts the steps through tries, merge tables and queues: twice
// the text takes about twice as many, whatever the text.
func TestWorkIsLinear(t *testing.T) {
	for _, family := range []string{"wordpiece", "gpt2", "llama2", "unigram", "llama3", "suffix"} {
		tok, err := Open("testdata/golden/" + family + ".tokenizer.json")
		if err != nil {
			t.Fatal(err)
		}
		work := func(text string) int64 {
			e := tok.NewEncoder()
			e.Encode(nil, text)
			return e.work + e.word.work + e.lattice.work
		}
		inputs := adversaries(1 << 15)
		inputs["pairs"] = strings.Repeat("the", 1<<13)
		inputs["marks"] = strings.Repeat("a\u0301", 1<<13)
		inputs["ones"] = strings.Repeat("▁", 1<<13)
		for name, text := range inputs {
			once, twice := work(text), work(text+text)
			if twice > once*5/2+1000 {
				t.Errorf("%s, %s: %d steps for a text, %d for twice as much", family, name, once, twice)
			}
			if limit := int64(40 * len(text)); once > limit {
				t.Errorf("%s, %s: %d steps for %d bytes", family, name, once, len(text))
			}
		}
	}
}

func Example_adversary() {
	tok, err := Open("testdata/golden/gpt2.tokenizer.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	// A word of a million letters takes as long a letter as any other text.
	ids := tok.NewEncoder().Encode(nil, strings.Repeat("a", 1<<20))
	fmt.Println(tok.Decode(ids, false) == strings.Repeat("a", 1<<20))
	// Output: true
}
