package signals

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest/language"
)

func identify(text string) language.Result {
	d, err := language.New()
	if err != nil {
		panic(err)
	}
	return d.Identify(text)
}

// compare reports the fields in which two measures differ. The entropy is summed in
// another order, and packing has no second way.
func compare(t interface{ Errorf(string, ...any) }, text string, got, want Signals) {
	if math.Abs(float64(got.UnigramEntropy-want.UnigramEntropy)) > 1e-5 {
		t.Errorf("%q: entropy %v, want %v", text, got.UnigramEntropy, want.UnigramEntropy)
	}
	got.UnigramEntropy, got.Compressibility = want.UnigramEntropy, want.Compressibility
	if r := identify(text); r.Code != got.Lang || float32(r.Score) != got.LangScore || float32(r.Share) != got.LangShare {
		t.Errorf("%q: language %v %v %v, want %+v", text, got.Lang, got.LangScore, got.LangShare, r)
	}
	want.Lang, want.LangScore, want.LangShare = got.Lang, got.LangScore, got.LangShare
	if got == want {
		return
	}
	a, b := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range a.NumField() {
		if a.Field(i).Interface() != b.Field(i).Interface() {
			t.Errorf("%.300q: %s is %v, want %v", text, a.Type().Field(i).Name, a.Field(i), b.Field(i))
		}
	}
}

// fragments make texts in which the rules have something to find.
var fragments = []string{
	"the", "of", "and", "with", "be", " ", " ", " ", "\n", "\n", "\n\n", ".", "...", "…", "!", "?", ",", "'", "’", "\"", "-", "•", "#", "{", "}",
	"[1]", "[edit]", "[citation needed]", "[", "]", "lorem ipsum", "Lorem Ipsum", "JavaScript", "javascript", "terms of use", "Privacy Policy",
	"we use cookies", "Cookie policy", "use of cookies", "ABC", "U.S.", "3.14", "1,000", "12", "don't", "l'eau", "日本語", "です。", "ひらがな", "カタカナ",
	"é", "e\u0301", "ß", "İ", "Ǆ", "٣", "½", "\u00a0", "\u2028", "\u00ad", "\u200d", "😀", "_", "__", "x", "-- ", "one two three four five six seven eight nine ten eleven. ",
	"one two three four five six. ", "a b. ", "។", "𝔸", "𠀋", "\t", "me@mail.org", "+49 30 1234567",
}

func text(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(fragments), 0, 120).Draw(t, "text"), "")
}

// TestMeasure: the one pass gives what the definitions give.
func TestMeasure(t *testing.T) {
	m := NewMeter()
	rapid.Check(t, func(t *rapid.T) {
		s := text(t)
		compare(t, s, m.Measure(s, "en"), reference(s, "en"))
	})
	rapid.Check(t, func(t *rapid.T) {
		s := strings.ToValidUTF8(rapid.String().Draw(t, "text"), "")
		compare(t, s, m.Measure(s, ""), reference(s, ""))
	})
}

// TestMeasureByHand: values that were worked out on paper.
func TestMeasureByHand(t *testing.T) {
	const text = "The cat sat on the mat. The cat sat on the mat.\n- It costs 3.50 #cats...\n\nThe cat sat on the mat. The cat sat on the mat."
	s := NewMeter().Measure(text, "en")
	for _, c := range []struct {
		name      string
		got, want any
	}{
		{"chars", s.Chars, int64(121)},
		{"words", s.Words, int64(29)},
		{"all_tokens", s.AllTokens, int64(35)},   // 4 x 7, and - It costs 3.50 # cats ...
		{"text_tokens", s.TextTokens, int64(28)}, // without 4 stops, -, #, ...
		{"mean_token_length", s.MeanTokenLength, float32((4*17 + 2 + 5 + 4 + 4) / 28.0)},
		{"hash_ratio", s.HashRatio, float32(1 / 35.0)},
		{"ellipsis_ratio", s.EllipsisRatio, float32(1 / 35.0)},
		{"bullet_lines", s.BulletLines, float32(1 / 4.0)}, // the empty line counts
		{"ellipsis_lines", s.EllipsisLines, float32(1 / 4.0)},
		{"alpha_tokens", s.AlphaTokens, float32(27 / 35.0)},
		{"stop_tokens", s.StopTokens, int64(1)},
		{"lines", s.Lines, int64(3)},
		{"paragraphs", s.Paragraphs, int64(2)},
		{"sentences", s.Sentences, int64(5)},
		{"dup_lines", s.DupLines, float32(1 / 3.0)},
		{"dup_line_chars", s.DupLineChars, float32(47 / 121.0)},
		{"top_2gram", s.Top2gram, float32(4 * 7 / 121.0)}, // "The cat"
		{"top_3gram", s.Top3gram, float32(4 * 11 / 121.0)},
		{"dup_5gram", s.Dup5gram, float32((14 + 14 + 13) / 121.0)}, // "The cat sat on the" twice again, then "mat. The cat sat"
		{"dup_10gram", s.Dup10gram, float32(27 / 121.0)},
		{"c4_lines", s.C4Lines, float32(2 / 3.0)},
		{"c4_sentences", s.C4Sentences, int64(4)},
		{"ended_lines", s.EndedLines, float32(1)},
		{"short_lines", s.ShortLines, float32(1 / 3.0)},
		{"dup_text_chars", s.DupTextChars, float32(47 / 118.0)},
		{"line_break_ratio", s.LineBreakRatio, float32(3 / 35.0)},
		{"unique_words", s.UniqueWords, float32(9 / 28.0)}, // the cat sat on mat it costs 350 cats; "-" is none
	} {
		if c.got != c.want {
			t.Errorf("%s is %v, want %v", c.name, c.got, c.want)
		}
	}
	if s.Compressibility <= 0 || s.Compressibility > 1 {
		t.Errorf("compressibility %v", s.Compressibility)
	}
}

// TestMeasureEmpty: nothing divides by nothing.
func TestMeasureEmpty(t *testing.T) {
	m := NewMeter()
	for _, s := range []string{"", " ", "\n", "\n\n \n", ".", "\t"} {
		compare(t, s, m.Measure(s, ""), reference(s, ""))
	}
	if got := m.Measure("", "en"); got != (Signals{}) {
		t.Errorf("the empty text has %+v", got)
	}
}

func TestTokens(t *testing.T) {
	for text, want := range map[string][]string{
		"Don't pay 1,000.50 -- or 3.; ok...": {"Don't", "pay", "1,000.50", "--", "or", "3", ".", ";", "ok", "..."},
		"日本語です。カタカナ x_y":                     {"日", "本", "語", "で", "す", "。", "カタカナ", "x", "_", "y"},
		"e\u0301a \u0301":                    {"e\u0301a", "\u0301"},
		"":                                   nil,
	} {
		if got := Tokens(text); !slices.Equal(got, want) {
			t.Errorf("the tokens of %q are %q, want %q", text, got, want)
		}
	}
}

// TestMemory: a Meter gives up what a large text took.
func TestMemory(t *testing.T) {
	m := NewMeter()
	var b strings.Builder
	for i := range 300_000 {
		b.WriteString(strings.Repeat("x", i%7))
		b.WriteByte(byte('a' + i%23))
		b.WriteByte(' ')
	}
	m.Measure(b.String(), "")
	m.Measure("small", "")
	m.Measure("small", "")
	if n := len(m.plain.slots) + len(m.tokens.slots) + len(m.grams.table.slots) + cap(m.ids); n > 5*largeTable {
		t.Errorf("%d slots are kept", n)
	}
}

func FuzzMeasure(f *testing.F) {
	f.Add("The cat sat.\n\nThe cat sat... [1]\n{ lorem ipsum }", "en")
	f.Add(strings.Join(fragments, " "), "de")
	f.Fuzz(func(t *testing.T, s, language string) {
		if s = strings.ToValidUTF8(s, "\ufffd"); len(s) > 4096 {
			s = s[:0]
		}
		compare(t, s, NewMeter().Measure(s, language), reference(s, language))
	})
}
