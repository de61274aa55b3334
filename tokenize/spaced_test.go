package tokenize

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// spacedChains are chains that spaced takes in one pass, beside a Unigram or BPE
// model of a few pieces.
var spacedChains = []struct{ name, normalizer, pre string }{
	{"T5", `{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFKC"}]}`, `{"type":"Sequence","pretokenizers":[{"type":"WhitespaceSplit"},{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}]}`},
	{"ALBERT", `{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"String":"'''"},"content":"a"},{"type":"Replace","pattern":{"String":"''"},"content":"\""},{"type":"NFKD"},{"type":"StripAccents"},{"type":"Lowercase"}]}`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"always","split":true}`},
	{"trained", `{"type":"Sequence","normalizers":[{"type":"Nmt"},{"type":"NFKC"},{"type":"Strip","strip_left":true,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "}]}`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}`},
	{"right", `{"type":"Sequence","normalizers":[{"type":"NFC"},{"type":"Strip","strip_left":false,"strip_right":true},{"type":"Replace","pattern":{"Regex":" {2,}"},"content":"▁"}]}`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"never","split":true}`},
	{"none", `null`, `{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true}`},
}

func unigramOf(chain int, fallback bool) string {
	pieces := []string{`["<unk>",0]`}
	score := -1.5
	for _, p := range []string{"▁", "a", "b", "e", "s", "\\u0301", "é", "ab", "▁a", "▁ab", "a▁", "\\\"", "\\n", "\\t", "あ", "ー", "▁あ", "한", "fi", "1", "か", "\\u3099", "が"} {
		pieces = append(pieces, fmt.Sprintf(`["%s",%g]`, p, score))
		score -= 0.37
	}
	if fallback {
		for b := range 256 {
			pieces = append(pieces, fmt.Sprintf(`["<0x%02X>",-9.5]`, b))
		}
	}
	c := spacedChains[chain]
	return fmt.Sprintf(`{"version":"1.0","truncation":null,"padding":null,"added_tokens":[],"normalizer":%s,"pre_tokenizer":%s,"post_processor":null,"decoder":null,
"model":{"type":"Unigram","unk_id":0,"byte_fallback":%v,"vocab":[%s]}}`, c.normalizer, c.pre, fallback, strings.Join(pieces, ","))
}

// TestSpacedIsTheChain: one pass gives what every step by itself does.
func TestSpacedIsTheChain(t *testing.T) {
	var all []*Tokenizer
	var fast, slow []*Encoder
	for i := range spacedChains {
		for _, fallback := range []bool{false, true} {
			tok, err := Parse([]byte(unigramOf(i, fallback)))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, tok)
		}
	}
	for _, name := range []string{"unigram", "llama2"} {
		tok, err := Open("testdata/golden/" + name + ".tokenizer.json")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tok)
	}
	for i, tok := range all {
		if tok.path != pathSpaced {
			t.Fatalf("chain %d is not taken in one pass", i)
		}
		general := *tok
		general.path = pathGeneral
		fast, slow = append(fast, tok.NewEncoder()), append(slow, general.NewEncoder())
	}
	text := rapid.Custom(func(t *rapid.T) string {
		letters := rapid.SampledFrom([]string{
			" ", " ", "  ", "a", "ab", "b", "e", "E", "s", "é", "e\u0301", "\u0301", "\u00a0", "\u3000", "\n", "\r\n", "\r", "\t", "\x00", "\u200b", "\u200d", "\ufeff",
			"▁", "'", "''", "'''", "\"", "あ", "か\u3099", "\u3099", "한", "\u1112\u1161\u11ab", "\u1161", "ﬁ", "１", "㌀", "😀", "👩\u200d🚀", "\u0600", "\xff", "x", "1", "\u0345", "\u2028", "ǆ", "İ",
		})
		return strings.Join(rapid.SliceOfN(letters, 0, 14).Draw(t, "letters"), "")
	})
	rapid.Check(t, func(r *rapid.T) {
		s := text.Draw(r, "text")
		for i := range all {
			var a, b Encoding
			errA, errB := fast[i].EncodeOffsets(&a, s), slow[i].EncodeOffsets(&b, s)
			if fmt.Sprint(errA) != fmt.Sprint(errB) || fmt.Sprint(a) != fmt.Sprint(b) {
				r.Fatalf("chain %d, %+q:\none pass %v %v\n by steps %v %v", i, s, a, errA, b, errB)
			}
			for range 2 {
				if ids := fast[i].Encode(nil, s); len(ids)+len(a.IDs) > 0 && !reflect.DeepEqual(ids, a.IDs) {
					r.Fatalf("chain %d, %+q: ids %v without offsets, %v with", i, s, ids, a.IDs)
				}
			}
		}
	})
}

// TestFirstMark: a mark for the first word of a text alone is put where the text
// begins with that word, and not where the normalizer has dropped what stood before
// it. The ids are those of the reference.
func TestFirstMark(t *testing.T) {
	tok, err := Parse([]byte(`{"normalizer":{"type":"Strip","strip_left":true,"strip_right":true},
		"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first","split":true},
		"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-2],["a",-2],["▁a",-1]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{"a": {3}, "\na": {2}, "  a a": {2, 3}, "a\n": {3}} {
		var enc Encoding
		e := tok.NewEncoder()
		if err := e.EncodeOffsets(&enc, text); err != nil {
			t.Fatal(err)
		}
		if ids := e.Encode(nil, text); !slices.Equal(ids, want) || !slices.Equal(enc.IDs, want) {
			t.Errorf("%q: %v, with offsets %v, want %v", text, ids, enc.IDs, want)
		}
	}
}
