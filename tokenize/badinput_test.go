package tokenize

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// families are the golden tokenizers, one of each kind.
var families = []string{"wordpiece", "wordpiece-cased", "gpt2", "roberta", "llama3", "bloom", "llama2", "llama2-gaps", "unigram", "deberta", "suffix", "words-nfc"}

// TestInvalidText: bytes that are no UTF-8 are read as U+FFFD, or kept by byte-level
// models, and spans stay within the text.
func TestInvalidText(t *testing.T) {
	texts := []string{"\xff", "a\xc3", "the \xe2\x96 river", "\xed\xa0\x80", "\xf5\x80\x80\x80x", strings.Repeat("\x80", 300), "\xe2\x96\x81\xe2\x96"}
	texts = append(texts, adversaries(4000)["random"])
	for _, name := range families {
		tok := openGolden(t, name)
		for _, text := range texts {
			var enc Encoding
			if err := tok.NewEncoder().EncodeOffsets(&enc, text); err != nil {
				t.Errorf("%s, %.20q: %v", name, text, err)
			}
			for i, s := range enc.Spans {
				if s.Start < 0 || s.Start > s.End || s.End > len(text) {
					t.Errorf("%s, %.20q: token %d has span %v", name, text, i, s)
				}
			}
			if ids := tok.NewEncoder().Encode(nil, text); !slices.Equal(ids, enc.IDs) {
				t.Errorf("%s, %.20q: %v without offsets, %v with", name, text, ids, enc.IDs)
			}
			back := tok.Decode(enc.IDs, false)
			if !utf8.ValidString(back) {
				t.Errorf("%s, %.20q: decoded to the invalid %q", name, text, back)
			}
			if m, ok := tok.model.(*bpe); ok && m.whole && name == "gpt2" {
				var raw []byte
				for _, id := range enc.IDs {
					piece, _ := rawBytes(tok.Token(id))
					raw = append(raw, piece...)
				}
				if string(raw) != text {
					t.Errorf("%s, %.20q: the pieces hold %.20q", name, text, raw)
				}
			}
		}
	}
	// In a file, too, such bytes are U+FFFD: two pieces may become one.
	file := `{"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"` + "\xff" + `":1,"` + "\xfe" + `":2}}}`
	if _, err := Parse([]byte(file)); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("error %v for two pieces that are no UTF-8", err)
	}
}

// TestGaps: ids that no piece has are no tokens, and stay so when saved.
func TestGaps(t *testing.T) {
	for _, model := range []string{
		`{"type":"WordLevel","unk_token":"u","vocab":{"u":2,"a":7}}`,
		`{"type":"WordPiece","unk_token":"u","vocab":{"u":2,"a":7}}`,
		`{"type":"BPE","unk_token":"u","vocab":{"u":2,"a":7},"merges":[]}`,
	} {
		tok, err := Parse([]byte(`{"pre_tokenizer":{"type":"WhitespaceSplit"},"model":` + model + `}`))
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := tok.Save(dir); err != nil {
			t.Fatal(err)
		}
		again, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range []*Tokenizer{tok, again} {
			if tok.VocabSize() != 8 || tok.Has(3) || tok.Token(3) != "" || !tok.Has(7) {
				t.Errorf("%s: %d ids, %q", model, tok.VocabSize(), tok.Token(3))
			}
			if ids := tok.NewEncoder().Encode(nil, "a b"); !slices.Equal(ids, []int32{7, 2}) {
				t.Errorf("%s: ids %v", model, ids)
			}
			if text := tok.Decode([]int32{7, 3, 0, 6}, false); text != "a" {
				t.Errorf("%s: decoded %q", model, text)
			}
		}
	}
}

// TestDecodeOutOfRange: ids that are none have no text, and are no reason to panic.
func TestDecodeOutOfRange(t *testing.T) {
	for _, name := range families {
		tok := openGolden(t, name)
		n := int32(tok.VocabSize())
		for _, ids := range [][]int32{nil, {-1}, {n}, {math.MaxInt32, math.MinInt32}} {
			if text := tok.Decode(ids, true); text != "" {
				t.Errorf("%s: %v decode to %q", name, ids, text)
			}
		}
		ids := tok.NewEncoder().Encode(nil, "the river")
		if got, want := tok.Decode(append([]int32{-5, n}, append(ids, n+1)...), true), tok.Decode(ids, true); got != want {
			t.Errorf("%s: %q with ids that are none, %q without", name, got, want)
		}
		if tok.Has(-1) || tok.Has(n) || tok.Token(n) != "" || tok.IsSpecial(n) || tok.Continues(-1) {
			t.Errorf("%s: an id out of range is a token", name)
		}
	}
}

// TestControlTokensInText: a text that spells out control tokens gets none of their
// ids unless they are allowed.
func TestControlTokensInText(t *testing.T) {
	for _, name := range families {
		tok := openGolden(t, name)
		for _, a := range tok.Added() {
			if !a.Special || a.ID == tok.Specials().Unk {
				continue
			}
			for _, text := range []string{a.Content, "the " + a.Content + " river", a.Content + a.Content, "x" + a.Content + "\n"} {
				if ids := tok.NewEncoder().Encode(nil, text); slices.ContainsFunc(ids, tok.IsSpecial) && slices.Contains(ids, a.ID) {
					t.Errorf("%s: %q gives %v", name, text, ids)
				}
				if ids := tok.NewEncoder(AllowSpecial()).Encode(nil, text); !a.SingleWord && !slices.Contains(ids, a.ID) {
					t.Errorf("%s: %q gives %v, though allowed", name, text, ids)
				}
			}
		}
	}
}

// TestHugeFile: a file of a gigabyte is refused before it is read.
func TestHugeFile(t *testing.T) {
	for _, name := range []string{"tokenizer.json", "spiece.model", "vocab.txt", "x.tiktoken", "tokenizer_config.json"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(1 << 30); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		open := path
		if name == fileConfig {
			write(t, dir, "vocab.txt", "[UNK]\na\n")
			open = dir
		}
		if _, err := Open(open); err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "1073741824 bytes") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// TestTruncatedFiles: no beginning of a file is taken for the whole.
func TestTruncatedFiles(t *testing.T) {
	for _, name := range []string{"gpt2", "unigram", "wordpiece"} {
		data, err := os.ReadFile("testdata/golden/" + name + ".tokenizer.json")
		if err != nil {
			t.Fatal(err)
		}
		data = []byte(strings.TrimSpace(string(data)))
		for n := 0; n < len(data); n += 61 {
			if _, err := Parse(data[:n]); err == nil || !strings.Contains(err.Error(), "tokenizer.json") {
				t.Fatalf("%s: %d of %d bytes: error %v", name, n, len(data), err)
			}
		}
	}
}

// hostileFiles are contents of tokenizer.json with what the error must say.
func hostileFiles() map[string][2]string {
	model := func(m string) string { return `{"model":` + m + `}` }
	level := `"model":{"type":"WordLevel","unk_token":"u","vocab":{"u":0}}`
	nested := func(kind, field string, n int) string {
		inner := `{"type":"Lowercase"}`
		if kind == "pre_tokenizer" {
			inner = `{"type":"Whitespace"}`
		}
		for range n {
			inner = `{"type":"Sequence","` + field + `":[` + inner + `]}`
		}
		return `{"` + kind + `":` + inner + `,` + level + `}`
	}
	replace := `{"type":"Replace","pattern":{"String":"a"},"content":"aa"}`
	long := strings.Repeat("a", maxPiece+1)
	return map[string][2]string{
		"unknown left":         {model(`{"type":"BPE","vocab":{"a":0,"ab":1},"merges":[["b","a"]]}`), "lacks a side"},
		"unknown right":        {model(`{"type":"BPE","vocab":{"a":0,"ab":1},"merges":["a b"]}`), "lacks a side"},
		"unknown result":       {model(`{"type":"BPE","vocab":{"a":0,"b":1},"merges":[["a","b"]]}`), "lacks the result"},
		"merge of three":       {model(`{"type":"BPE","vocab":{"a":0},"merges":[["a","a","a"]]}`), "3 sides"},
		"merge line of three":  {model(`{"type":"BPE","vocab":{"a":0},"merges":["a a a"]}`), "want two pieces"},
		"merge of numbers":     {model(`{"type":"BPE","vocab":{"a":0},"merges":[[1,2]]}`), "merges, number 0"},
		"merges are no array":  {model(`{"type":"BPE","vocab":{"a":0},"merges":{"a":"b"}}`), "want an array"},
		"nested normalizers":   {nested("normalizer", "normalizers", maxNesting+1), "nested more than"},
		"nested splitters":     {nested("pre_tokenizer", "pretokenizers", maxNesting+1), "nested more than"},
		"nested arrays":        {strings.Repeat("[", 1<<20), "depth"},
		"nested objects":       {`{"model":` + strings.Repeat(`{"a":`, 20_000), "depth"},
		"sequence of nothing":  {`{"normalizer":{"type":"Sequence"},` + level + `}`, "has no normalizers"},
		"step that is null":    {`{"normalizer":{"type":"Sequence","normalizers":[null]},` + level + `}`, "is null"},
		"too many steps":       {`{"normalizer":{"type":"Sequence","normalizers":[` + strings.Repeat(`{"type":"NFC"},`, maxSteps) + `{"type":"NFC"}]},` + level + `}`, "more than 256 steps"},
		"texts that explode":   {`{"normalizer":{"type":"Sequence","normalizers":[` + strings.Repeat(replace+",", 40) + replace + `]},` + level + `}`, "normalizer: it can make a text"},
		"decoder that does":    {`{"decoder":{"type":"Sequence","decoders":[` + strings.Repeat(replace+",", 40) + replace + `]},` + level + `}`, "decoder: it can make a text"},
		"a long replacement":   {`{"normalizer":{"type":"Replace","pattern":{"Regex":"a"},"content":"` + long + `"},` + level + `}`, "normalizer: it can make a text"},
		"template of many":     {`{"post_processor":{"type":"TemplateProcessing","single":[` + strings.Repeat(`{"Sequence":{"id":"A","type_id":0}},`, maxSteps) + `{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}},` + level + `}`, "parts"},
		"template of texts":    {`{"post_processor":{"type":"TemplateProcessing","single":[` + strings.Repeat(`{"Sequence":{"id":"A","type_id":0}},`, 4) + `{"Sequence":{"id":"A","type_id":0}}],"pair":[],"special_tokens":{}},` + level + `}`, "more than 4 times"},
		"long piece of words":  {model(`{"type":"WordLevel","unk_token":"u","vocab":{"u":0,"` + long + `":1}}`), "has 1048577 bytes"},
		"long piece of BPE":    {model(`{"type":"BPE","vocab":{"` + long + `":1},"merges":[]}`), "has 1048577 bytes"},
		"long piece of scores": {model(`{"type":"Unigram","unk_id":0,"vocab":[["u",0],["` + long + `",-1]]}`), "has 1048577 bytes"},
		"long added token":     {`{"added_tokens":[{"id":5,"content":"` + long + `"}],` + level + `}`, "has 1048577 bytes"},
		"id beyond all":        {model(fmt.Sprintf(`{"type":"WordLevel","unk_token":"u","vocab":{"u":%d}}`, maxVocabulary)), "4194304"},
		"added id beyond all":  {fmt.Sprintf(`{"added_tokens":[{"id":%d,"content":"x"}],`, maxVocabulary) + level + `}`, "4194304"},
		"added id below all":   {`{"added_tokens":[{"id":-3,"content":"x"}],` + level + `}`, "-3"},
		"added id twice":       {`{"added_tokens":[{"id":5,"content":"x"},{"id":5,"content":"y"}],` + level + `}`, "given twice"},
		"added token twice":    {`{"added_tokens":[{"id":5,"content":"x"},{"id":6,"content":"x"}],` + level + `}`, "stands twice"},
		"score that is none":   {model(`{"type":"Unigram","unk_id":0,"vocab":[["u",0],["a",1e999]]}`), "pieces, number 1"},
		"unknown out of range": {model(`{"type":"Unigram","unk_id":9,"vocab":[["u",0]]}`), "unknown token"},
	}
}

func TestHostileFiles(t *testing.T) {
	for name, c := range hostileFiles() {
		_, err := Parse([]byte(c[0]))
		if err == nil || !strings.Contains(err.Error(), c[1]) || !strings.Contains(err.Error(), "tokenizer.json") {
			t.Errorf("%s: error %v, want one with %q", name, err, c[1])
		} else if len(err.Error()) > 300 {
			t.Errorf("%s: an error of %d bytes", name, len(err.Error()))
		}
	}
}

// TestManyPieces: lists are bounded while they are read, and pieces by what all of
// them have together.
func TestManyPieces(t *testing.T) {
	if _, err := decodeList[int]([]byte(`[1,2,3]`), 2, "pieces"); err == nil || !strings.Contains(err.Error(), "more than 2 pieces") {
		t.Errorf("error %v for a long list", err)
	}
	v := newVocabulary(0)
	var err error
	for id := int32(0); err == nil && id < 1000; id++ {
		err = v.add(fmt.Sprintf("%d%s", id, strings.Repeat("x", maxPiece-10)), id)
	}
	if err == nil || !strings.Contains(err.Error(), "together") {
		t.Errorf("error %v for a gigabyte of pieces", err)
	}
	scores := []spmPiece{{"<unk>", 0, spmUnknown}, {strings.Repeat("a", maxScored+1), -1, spmNormal}}
	if _, err := parseSentencePiece(spmFile(2, scores), tokenizerConfig{}); err == nil || !strings.Contains(err.Error(), "257 bytes") {
		t.Errorf("error %v for a long piece of a BPE model", err)
	}
}

// TestMergesThatBuildOne: merges by the hundred thousand, and a chain of them that
// makes one piece of a megabyte, are read and merged in step with their size.
func TestMergesThatBuildOne(t *testing.T) {
	var vocab, merges strings.Builder
	vocab.WriteString(`"a":0`)
	id := 1
	for n := 2; n <= maxPiece; n *= 2 {
		half := strings.Repeat("a", n/2)
		fmt.Fprintf(&vocab, `,"%s":%d`, half+half, id)
		fmt.Fprintf(&merges, `["%s","%s"],`, half, half)
		id++
	}
	tok, err := Parse([]byte(`{"model":{"type":"BPE","vocab":{` + vocab.String() + `},"merges":[` + strings.TrimSuffix(merges.String(), ",") + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	e := tok.NewEncoder()
	if ids := e.Encode(nil, strings.Repeat("a", maxPiece+3)); !slices.Equal(ids, []int32{20, 1, 0}) {
		t.Errorf("%v for a megabyte of one letter", ids)
	}
	if e.word.work > 40*maxPiece {
		t.Errorf("%d steps for %d letters", e.word.work, maxPiece)
	}

	// Each piece one letter longer than the last, and the same merge again and again.
	vocab.Reset()
	merges.Reset()
	vocab.WriteString(`"a":0`)
	for n := 2; n <= 2000; n++ {
		fmt.Fprintf(&vocab, `,"%s":%d`, strings.Repeat("a", n), n-1)
		fmt.Fprintf(&merges, `["%s","a"],`, strings.Repeat("a", n-1))
	}
	merges.WriteString(strings.Repeat(`["a","a"],`, 200_000))
	tok, err = Parse([]byte(`{"model":{"type":"BPE","vocab":{` + vocab.String() + `},"merges":[` + strings.TrimSuffix(merges.String(), ",") + `]}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 7, 1999, 2000, 5001} {
		text := strings.Repeat("a", n)
		if got := strings.Join(tokens(tok, tok.NewEncoder().Encode(nil, text)), ""); got != text {
			t.Errorf("%d letters come back as %d", n, len(got))
		}
	}

	// Merges that need each other, and one that adds nothing.
	tok, err = Parse([]byte(`{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2,"ba":3,"aba":4,"":5},"merges":[["ab","a"],["a","ba"],["b","a"],["a","b"],["","a"],["a",""],["",""]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(tokens(tok, tok.NewEncoder().Encode(nil, "ababab")), " "); got != "aba ba b" {
		t.Errorf("merges in a circle give %q", got)
	}
}
