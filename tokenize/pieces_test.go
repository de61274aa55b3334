package tokenize

import (
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

// TestPiecesAreWhatMergingGives: cutting by pieces gives what merging gives, for
// any merges that it takes.
func TestPiecesAreWhatMergingGives(t *testing.T) {
	taken := 0
	rapid.Check(t, func(r *rapid.T) {
		pieces := []string{"a", "b", "c"}
		var pairs [][2]string
		for range rapid.IntRange(0, 20).Draw(r, "merges") {
			left, right := rapid.SampledFrom(pieces).Draw(r, "left"), rapid.SampledFrom(pieces).Draw(r, "right")
			if slices.Contains(pieces, left+right) || len(left+right) > 12 {
				continue
			}
			pieces, pairs = append(pieces, left+right), append(pairs, [2]string{left, right})
		}
		m, err := byteModel(pairs)
		if err != nil {
			r.Fatal(err)
		}
		if m.pieces == nil {
			r.Fatalf("%v: merges that follow each other are not taken", pairs)
		}
		taken++
		word := []byte(rapid.StringMatching(`[abcd]{1,300}`).Draw(r, "word"))
		var cut, merged bpeWord
		m.pieces.cut(m, &cut, word)
		m.spellBytes(&merged, word)
		m.merge(&merged)
		if !slices.Equal(cut.ids, merged.ids) || !slices.Equal(cut.ends, merged.ends) {
			r.Fatalf("%s with %v: cut %v, merged %v", word, pairs, cut.ids, merged.ids)
		}
	})
	if taken == 0 {
		t.Error("no merges were taken")
	}
}

// TestPiecesNeedMergesInOrder: merges that do not follow each other, or that make
// one piece twice, are left to merging.
func TestPiecesNeedMergesInOrder(t *testing.T) {
	for name, pairs := range map[string][][2]string{
		"a side is made later": {{"ab", "c"}, {"a", "b"}},
		"made twice":           {{"a", "b"}, {"b", "a"}, {"ab", "a"}, {"a", "ba"}},
		"the same merge twice": {{"a", "b"}, {"b", "c"}, {"a", "b"}},
	} {
		m, err := byteModel(pairs)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.pieces != nil {
			t.Errorf("%s: taken", name)
		}
	}
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
