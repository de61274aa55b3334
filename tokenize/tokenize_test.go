package tokenize

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// miniBert is a tokenizer.json with the given normalizer settings.
func miniBert(t testing.TB, normalizer string, pieces ...string) *Tokenizer {
	t.Helper()
	var vocab strings.Builder
	for i, p := range append([]string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}, pieces...) {
		if i > 0 {
			vocab.WriteByte(',')
		}
		fmt.Fprintf(&vocab, "%q:%d", p, i)
	}
	tok, err := Parse([]byte(`{"version":"1.0","added_tokens":[
		{"id":0,"content":"[PAD]","special":true},{"id":1,"content":"[UNK]","special":true},
		{"id":2,"content":"[CLS]","special":true},{"id":3,"content":"[SEP]","special":true},
		{"id":4,"content":"[MASK]","special":true}],
		"normalizer":` + normalizer + `,"pre_tokenizer":{"type":"BertPreTokenizer"},
		"decoder":{"type":"WordPiece","prefix":"##","cleanup":true},
		"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":{` + vocab.String() + `}}}`))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

const uncased = `{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}`

func tokens(t *Tokenizer, ids []int32) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = t.Token(id)
	}
	return out
}

func TestBertWords(t *testing.T) {
	tok := miniBert(t, uncased, "un", "##aff", "##able", "cafe", "中", "文", ",", ".", "i", "##i", "ᄀ", "##ᅡ", "##ᆨ", "$", "a", "b", "[", "]", "mask")
	for _, c := range []struct {
		text  string
		want  string
		spans []Span
	}{
		{"unaffable", "un ##aff ##able", []Span{{0, 2}, {2, 5}, {5, 9}}},
		{" UNaffable, ", "un ##aff ##able ,", []Span{{1, 3}, {3, 6}, {6, 10}, {10, 11}}},
		{"Café.", "cafe .", []Span{{0, 5}, {5, 6}}},
		{"cafe\u0301", "cafe", []Span{{0, 4}}},
		{"a中文b", "a 中 文 b", []Span{{0, 1}, {1, 4}, {4, 7}, {7, 8}}},
		{"un\u0000aff\u00adable", "un ##aff ##able", []Span{{0, 2}, {3, 6}, {8, 12}}},
		{"İi", "i ##i", []Span{{0, 2}, {2, 3}}},
		{"각", "ᄀ ##ᅡ ##ᆨ", []Span{{0, 3}, {0, 3}, {0, 3}}},
		{"a\u2028b\u00a0a\tb", "a b a b", []Span{{0, 1}, {4, 5}, {7, 8}, {9, 10}}},
		{"qqq a$b", "[UNK] a $ b", []Span{{0, 3}, {4, 5}, {5, 6}, {6, 7}}},
		{"unx", "[UNK]", []Span{{0, 3}}},
		{strings.Repeat("a", 101), "[UNK]", []Span{{0, 101}}},
		{"a\xffb", "a b", nil},
		{"[MASK]", "[ mask ]", []Span{{0, 1}, {1, 5}, {5, 6}}},
		{"", "", []Span{}},
	} {
		e := tok.NewEncoder()
		ids := e.Encode(nil, c.text)
		if c.text == "a\xffb" {
			// The byte is dropped like U+FFFD and the word goes on.
			c.want = "[UNK]"
		}
		if got := strings.Join(tokens(tok, ids), " "); got != c.want {
			t.Errorf("%q gives %q, want %q", c.text, got, c.want)
		}
		var enc Encoding
		if err := e.EncodeOffsets(&enc, c.text); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(append([]int32{}, ids...), append([]int32{}, enc.IDs...)) {
			t.Errorf("%q gives ids %v with offsets and %v without", c.text, enc.IDs, ids)
		}
		if c.spans != nil && !reflect.DeepEqual(append([]Span{}, enc.Spans...), c.spans) {
			t.Errorf("%q gives spans %v, want %v", c.text, enc.Spans, c.spans)
		}
	}
}

func TestCasedKeepsAccents(t *testing.T) {
	tok := miniBert(t, strings.Replace(uncased, `"lowercase":true`, `"lowercase":false`, 1), "Café", "cafe")
	if got := strings.Join(tokens(tok, tok.NewEncoder().Encode(nil, "Café cafe")), " "); got != "Café cafe" {
		t.Errorf("got %q", got)
	}
}

func TestRoles(t *testing.T) {
	tok := miniBert(t, uncased, "a", "##b")
	want := Specials{Unk: 1, Pad: 0, Cls: 2, Sep: 3, Mask: 4, Bos: -1, Eos: -1}
	if got := tok.Specials(); got != want {
		t.Errorf("specials %+v, want %+v", got, want)
	}
	if !tok.Continues(6) || tok.Continues(5) || tok.Continues(-1) || tok.Continues(99) {
		t.Error("only ##b continues a word")
	}
	if !tok.IsSpecial(4) || tok.IsSpecial(5) || tok.IsSpecial(-1) {
		t.Error("only the control tokens are special")
	}
	if got := tok.Decode([]int32{2, 5, 6, 99, -1, 3}, true); got != "ab" {
		t.Errorf("decoded %q", got)
	}
}

func TestSaveAndOpen(t *testing.T) {
	tok := miniBert(t, uncased, "hello", "##wörld", "<&>", "\u2028")
	dir := t.TempDir()
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "tokenizer.json")} {
		again, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if again.Digest() != tok.Digest() || again.VocabSize() != tok.VocabSize() || again.Specials() != tok.Specials() {
			t.Errorf("%s: read back another tokenizer", path)
		}
	}
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), `"mask_token": "[MASK]"`) {
			t.Errorf("%s does not name the mask token: %s", name, data)
		}
	}
}

func TestBadFiles(t *testing.T) {
	model := `"model":{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,"vocab":%s}`
	pre := `"pre_tokenizer":{"type":"BertPreTokenizer"},`
	for name, c := range map[string][2]string{
		"truncated":        {`{"version":"1.0",`, "unexpected end"},
		"not an object":    {`[1,2]`, "cannot unmarshal"},
		"no model":         {`{}`, "no model"},
		"other version":    {`{"version":"2.0"}`, "version"},
		"unknown model":    {`{"model":{"type":"Oracle"}}`, `model of type "Oracle"`},
		"unknown step":     {`{"normalizer":{"type":"Bleach"},` + fmt.Sprintf(model, `{"[UNK]":0}`) + `}`, `normalizer of type "Bleach"`},
		"unknown pre":      {`{"pre_tokenizer":{"type":"Scissors"},` + fmt.Sprintf(model, `{"[UNK]":0}`) + `}`, `pre_tokenizer of type "Scissors"`},
		"no unknown token": {`{` + pre + fmt.Sprintf(model, `{"a":0}`) + `}`, "unknown token"},
		"duplicate id":     {`{` + pre + fmt.Sprintf(model, `{"[UNK]":0,"a":0}`) + `}`, "given twice"},
		"duplicate piece":  {`{` + pre + fmt.Sprintf(model, `{"[UNK]":0,"a":1,"a":2}`) + `}`, "stands twice"},
		"huge id":          {`{` + pre + fmt.Sprintf(model, `{"[UNK]":400000000}`) + `}`, "400000000"},
		"negative id":      {`{` + pre + fmt.Sprintf(model, `{"[UNK]":-1}`) + `}`, "-1"},
		"word for an id":   {`{` + pre + fmt.Sprintf(model, `{"[UNK]":"x"}`) + `}`, "want a number"},
		"null vocabulary":  {`{` + pre + fmt.Sprintf(model, `null`) + `}`, "vocabulary"},
	} {
		_, err := Parse([]byte(c[0]))
		if err == nil || !strings.Contains(err.Error(), c[1]) {
			t.Errorf("%s: error %v, want one with %q", name, err, c[1])
		}
	}
	var unknown *UnknownComponentError
	if _, err := Parse([]byte(`{"model":{"type":"Oracle"}}`)); !errors.As(err, &unknown) || unknown.Type != "Oracle" {
		t.Errorf("error %v, want an UnknownComponentError for Oracle", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
}

func texts(list ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, s := range list {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// prose makes deterministic text with a word distribution like a language's.
func prose(n int) []string {
	syllables := []string{"ta", "ri", "mo", "ken", "sul", "pa", "lo", "vi", "dra", "ne", "ost", "il"}
	state := uint64(1)
	rand := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state >> 33 % uint64(n))
	}
	out := make([]string, n)
	for i := range out {
		var b strings.Builder
		for range 60 {
			for range 1 + rand(3) {
				b.WriteString(syllables[rand(rand(len(syllables))+1)])
			}
			b.WriteByte(" ,. \n"[rand(5)])
		}
		out[i] = b.String()
	}
	return out
}

func TestTrainWordPiece(t *testing.T) {
	corpus := prose(300)
	var digest string
	for _, jobs := range []int{1, 2, 7} {
		tok, err := TrainWordPiece(context.Background(), texts(corpus...), TrainOptions{VocabSize: 200, Lowercase: true, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != 200 {
			t.Errorf("the vocabulary has %d pieces, want 200", tok.VocabSize())
		}
		for i, s := range []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"} {
			if tok.Token(int32(i)) != s || !tok.IsSpecial(int32(i)) {
				t.Errorf("id %d is %q, want the control token %s", i, tok.Token(int32(i)), s)
			}
		}
		if digest == "" {
			digest = tok.Digest()
		}
		if tok.Digest() != digest {
			t.Errorf("%d jobs trained another tokenizer", jobs)
		}
		ids := tok.NewEncoder().Encode(nil, corpus[0])
		for _, id := range ids {
			if id == tok.Specials().Unk {
				t.Errorf("a training text has unknown tokens")
			}
		}
		if len(ids) > len(corpus[0])/2 {
			t.Errorf("%d tokens for %d bytes: nothing was merged", len(ids), len(corpus[0]))
		}
	}
}

// TestMergesByHand checks the merges on counts that can be followed by hand.
func TestMergesByHand(t *testing.T) {
	m := &merger{vocabSize: 100, minFrequency: 2, prefix: "##"}
	words := []wordCount{{"hug", 10}, {"pug", 5}, {"pun", 12}, {"bun", 4}, {"hugs", 5}}
	if err := m.learn(context.Background(), words, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range m.merges {
		got = append(got, m.symbols[p.merged])
	}
	want := "##ug ##un hug pun pug hugs bun"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("merges %q, want %q", s, want)
	}
}

func TestTrainErrors(t *testing.T) {
	ctx := context.Background()
	if _, err := TrainWordPiece(ctx, texts(" ", ""), TrainOptions{}); !errors.Is(err, ErrNoWords) {
		t.Errorf("error %v, want ErrNoWords", err)
	}
	if _, err := TrainWordPiece(ctx, texts("a"), TrainOptions{VocabSize: 3}); err == nil {
		t.Error("a vocabulary without room for a letter was trained")
	}
	broken := errors.New("broken")
	_, err := TrainWordPiece(ctx, func(yield func(string, error) bool) {
		if yield("one", nil) {
			yield("", broken)
		}
	}, TrainOptions{})
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "text 1") {
		t.Errorf("error %v, want the reader's with the text's number", err)
	}
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := TrainWordPiece(stopped, texts("a b"), TrainOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}
	// Less text than the vocabulary asks for is no error.
	tok, err := TrainWordPiece(ctx, texts("aa aa ab"), TrainOptions{})
	if err != nil || tok.VocabSize() >= 30522 {
		t.Errorf("a small text gave %v, %v", tok, err)
	}
}

func TestCounterForgetsOnlyRareWords(t *testing.T) {
	split := func() func(string, func([]byte)) {
		return func(text string, yield func([]byte)) {
			for w := range strings.FieldsSeq(text) {
				yield([]byte(w))
			}
		}
	}
	var list []string
	for i := range 10 {
		var b strings.Builder
		for k := range 4000 {
			fmt.Fprintf(&b, "the w%d ", i*4000+k)
		}
		list = append(list, b.String())
	}
	var first []wordCount
	for _, jobs := range []int{1, 3} {
		c := &counter{jobs: jobs, memory: 1 << 20, round: 1 << 16, words: split}
		words, err := c.count(context.Background(), texts(list...))
		if err != nil {
			t.Fatal(err)
		}
		if words[0] != (wordCount{"the", 10 * 4000}) {
			t.Errorf("the most frequent word is %v", words[0])
		}
		if c.dropped == 0 || c.size > 1<<20 {
			t.Errorf("%d words dropped, table of %d bytes", c.dropped, c.size)
		}
		if first == nil {
			first = words
		}
		if !reflect.DeepEqual(first, words) {
			t.Errorf("%d jobs count otherwise", jobs)
		}
	}
}
