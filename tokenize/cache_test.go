package tokenize

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestKeysAreWords: keys are equal only for equal words, and give the words back.
func TestKeysAreWords(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		word := rapid.SliceOfN(rapid.Byte(), 1, shortBytes).Draw(r, "word")
		tail := rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(r, "tail")
		k := keyOf(slices.Clip(slices.Clone(word)))
		if other := keyOf(append(slices.Clone(word), tail...)[:len(word)]); k != other {
			r.Errorf("%x: the key hangs on what stands behind the word", word)
		}
		if back := k.appendTo(nil); !slices.Equal(back, word) {
			r.Errorf("%x came back as %x", word, back)
		}
	})
}

// TestCacheChangesNothing: an Encoder that has seen so many words that the cache
// grew and was overwritten gives what a fresh one gives, with ids of 16 bits and
// with larger ones.
func TestCacheChangesNothing(t *testing.T) {
	for _, name := range []string{"gpt2", "llama2", "unigram"} {
		tok := openGolden(t, name)
		for _, wide := range []bool{false, true} {
			old := tok.NewEncoder()
			var text []byte
			for i := range 120_000 {
				text = fmt.Appendf(text[:0], "w%d %x ", i%90_001, i*2654435761%(1<<32))
				ids := old.Encode(nil, string(text))
				if i == 0 {
					old.cache.narrow = old.cache.narrow && !wide
					clear(old.cache.short)
				}
				if i%64 != 0 {
					continue
				}
				fresh := tok.NewEncoder()
				var enc Encoding
				if err := old.EncodeOffsets(&enc, string(text)); err != nil {
					t.Fatal(err)
				}
				if want := fresh.Encode(nil, string(text)); !slices.Equal(ids, want) || !slices.Equal(enc.IDs, want) {
					t.Fatalf("%s: %s: %v and %v from the cache, %v without", name, text, ids, enc.IDs, want)
				}
			}
			if n := len(old.cache.short); name == "gpt2" && n != 1<<shortBits {
				t.Errorf("%s: the cache has %d sets after so many words", name, n)
			}
		}
	}
}
