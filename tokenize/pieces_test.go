package tokenize

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// byteModel is a byte-level model with the merges.
func byteModel(pairs [][2]string) (*bpe, error) {
	m := &bpe{vocab: newVocabulary(0), pairs: pairs}
	add := func(piece string) error {
		if _, ok := m.vocab.id(piece); ok {
			return nil
		}
		return m.vocab.add(piece, int32(m.vocab.span()))
	}
	for _, c := range byteChars {
		if err := add(string(c)); err != nil {
			return nil, err
		}
	}
	for _, p := range pairs {
		if err := add(p[0] + p[1]); err != nil {
			return nil, err
		}
	}
	return m, m.prepare()
}

// letterModel is a model of characters with the merges, which writes others as
// bytes or as unknown.
func letterModel(letters []string, pairs [][2]string, bytes, fuse bool) (*bpe, error) {
	unk := "<unk>"
	m := &bpe{vocab: newVocabulary(0), pairs: pairs, unkToken: &unk, byteFallback: bytes, fuseUnk: fuse}
	pieces := append([]string{unk}, letters...)
	for b := range 256 {
		pieces = append(pieces, fmt.Sprintf("<0x%02X>", b))
	}
	for _, p := range pairs {
		pieces = append(pieces, p[0]+p[1])
	}
	for _, p := range pieces {
		if _, ok := m.vocab.id(p); !ok {
			if err := m.vocab.add(p, int32(m.vocab.span())); err != nil {
				return nil, err
			}
		}
	}
	return m, m.prepare()
}

// TestPiecesAreWhatMergingGives: cutting by pieces gives what merging gives, for
// any merges that it takes, of bytes and of characters.
func TestPiecesAreWhatMergingGives(t *testing.T) {
	var taken, left, several int
	rapid.Check(t, func(r *rapid.T) {
		letters := []string{"a", "b", "é", "▁"}
		whole := rapid.Bool().Draw(r, "bytes")
		if whole {
			letters = letters[:2]
		}
		pieces := slices.Clone(letters)
		var pairs [][2]string
		ways := map[string]int{}
		for range rapid.IntRange(0, 24).Draw(r, "merges") {
			left, right := rapid.SampledFrom(pieces).Draw(r, "left"), rapid.SampledFrom(pieces).Draw(r, "right")
			if len(left+right) > 24 {
				continue
			}
			if ways[left+right]++; ways[left+right] == 1 {
				pieces = append(pieces, left+right)
			}
			pairs = append(pairs, [2]string{left, right})
		}
		ordered := rapid.Bool().Draw(r, "in order")
		if !ordered {
			pairs = rapid.Permutation(pairs).Draw(r, "order")
		}
		var m *bpe
		var err error
		if whole {
			m, err = byteModel(pairs)
		} else {
			m, err = letterModel(letters, pairs, rapid.Bool().Draw(r, "fallback"), rapid.Bool().Draw(r, "fuse"))
		}
		if err != nil {
			r.Fatal(err)
		}
		if m.pieces == nil {
			if ordered && len(ways) == len(pairs) {
				r.Fatalf("%v: merges that follow each other are not taken", pairs)
			}
			left++
			return
		}
		taken++
		if len(ways) < len(pairs) {
			several++
		}
		var word []byte
		for range rapid.IntRange(1, 12).Draw(r, "runs") {
			run := rapid.SampledFrom(append(pieces, "x", "日", "\xff")).Draw(r, "run")
			word = append(word, strings.Repeat(run, rapid.IntRange(1, 9).Draw(r, "times"))...)
		}
		var cut, merged bpeWord
		m.pieces.cut(m, &cut, word)
		if whole {
			m.spellBytes(&merged, word)
		} else {
			m.spell(&merged, word)
		}
		m.mergeShort(&merged)
		if !slices.Equal(cut.ids, merged.ids) || !slices.Equal(cut.ends, merged.ends) {
			r.Fatalf("%s with %v: cut %v %v, merged %v %v", word, pairs, cut.ids, cut.ends, merged.ids, merged.ends)
		}
	})
	t.Logf("%d vocabularies were taken, %d of them with several merges for a piece; %d were left to merging", taken, several, left)
	if taken <= left || several == 0 {
		t.Error("too few vocabularies were taken")
	}
}

// TestPiecesNeedMergesInOrder: pieces that come of merges that do not follow each
// other are left to merging, and so is what could merge with unknown characters.
func TestPiecesNeedMergesInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		pairs [][2]string
		takes bool
	}{
		"a side is made later":         {[][2]string{{"ab", "c"}, {"a", "b"}}, true},
		"that of a long piece":         {append([][2]string{{strings.Repeat("a", maxOddPiece), "b"}}, doubles(maxOddPiece)...), false},
		"made twice":                   {[][2]string{{"a", "b"}, {"b", "a"}, {"ab", "a"}, {"a", "ba"}}, true},
		"a later side of no use":       {[][2]string{{"a", "a"}, {"aa", "aa"}, {"aaa", "a"}, {"aa", "a"}}, true},
		"the same merge twice":         {[][2]string{{"a", "b"}, {"b", "c"}, {"a", "b"}}, true},
		"a piece as long as it may be": {doubles(maxTablePiece), true},
		"a longer piece":               {doubles(2 * maxTablePiece), false},
	} {
		m, err := byteModel(test.pairs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if taken := m.pieces != nil; taken != test.takes {
			t.Errorf("%s: taken: %v", name, taken)
		}
	}
	for _, pairs := range [][][2]string{{{"<unk>", "a"}}, {{"a", "<0x0A>"}}, {{"<0x0A>", "<0x0A>"}}} {
		m, err := letterModel([]string{"a"}, pairs, true, true)
		if err != nil {
			t.Fatal(err)
		}
		if m.pieces != nil {
			t.Errorf("%v: taken", pairs)
		}
	}
}

// doubles makes a piece of n letters, a power of two.
func doubles(n int) [][2]string {
	var pairs [][2]string
	for s := "a"; len(s) < n; s += s {
		pairs = append(pairs, [2]string{s, s})
	}
	return pairs
}

// TestLongPieces: a piece as long as a file may have it is read.
func TestLongPieces(t *testing.T) {
	long := strings.Repeat("ab", 1<<19)
	tok, err := Parse([]byte(`{"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["` + long + `",-1],["a",-2],["b",-2]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if ids := tok.NewEncoder().Encode(nil, "ab"); !slices.Equal(ids, []int32{2, 3}) {
		t.Errorf("%v for two letters", ids)
	}
}
