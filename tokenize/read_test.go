package tokenize

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func write(t testing.TB, dir, name, data string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestReadVocabText: a vocab.txt gives the ids of the tokenizer.json with the same
// pieces.
func TestReadVocabText(t *testing.T) {
	full := openGolden(t, "wordpiece")
	dir := t.TempDir()
	var lines strings.Builder
	for id := range int32(full.model.vocabulary().span()) {
		lines.WriteString(full.Token(id) + "\n")
	}
	write(t, dir, "vocab.txt", lines.String())
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const text = "The river, unhappily re-read!"
	if got, want := tok.NewEncoder().Encode(nil, text), full.NewEncoder().Encode(nil, text); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if tok.Specials().Mask != full.Specials().Mask {
		t.Error("the mask token was not found")
	}
	write(t, dir, "tokenizer_config.json", `{"do_lower_case":false}`)
	if tok, err = Open(dir); err != nil || tok.normalizer.(*bertNormalizer).Lowercase {
		t.Errorf("the configuration's do_lower_case was not heeded (%v)", err)
	}
}

func TestReadVocabMerges(t *testing.T) {
	full := openGolden(t, "gpt2")
	m := full.model.(*bpe)
	dir := t.TempDir()
	vocab, err := m.vocab.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var merges strings.Builder
	merges.WriteString("#version: 0.2\n")
	for _, p := range m.pairs {
		merges.WriteString(p[0] + " " + p[1] + "\n")
	}
	write(t, dir, "vocab.json", string(vocab))
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without merges.txt: %v", err)
	}
	write(t, dir, "merges.txt", merges.String())
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	const text = "She sang quietly; 世界 1984\n\n  don't"
	if got, want := tok.NewEncoder().Encode(nil, text), full.NewEncoder().Encode(nil, text); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestReadTiktoken: pieces by rank merge as the same pieces with their merges do.
func TestReadTiktoken(t *testing.T) {
	var lines strings.Builder
	rank := 0
	add := func(piece string) {
		fmt.Fprintf(&lines, "%s %d\n", base64.StdEncoding.EncodeToString([]byte(piece)), rank)
		rank++
	}
	for b := range 256 {
		add(string([]byte{byte(b)}))
	}
	for _, p := range []string{"th", "the", " the", "in", "ing", " s", " sing"} {
		add(p)
	}
	dir := t.TempDir()
	tok, err := Open(write(t, dir, "r50k_tiny.tiktoken", lines.String()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, id := range tok.NewEncoder().Encode(nil, "the singing the") {
		got = append(got, tok.Token(id))
	}
	if want := "the Ġsing ing Ġthe"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
	for name, bad := range map[string]string{"half a line": "YQ==\n", "no Base64": "*** 0\n", "no rank": "YQ== x\n", "rank twice": "YQ== 0\nYg== 0\n"} {
		if _, err := Open(write(t, dir, "bad.tiktoken", bad)); err == nil {
			t.Errorf("%s was read", name)
		}
	}
}

// spmFile makes a SentencePiece model.
func spmFile(kind uint64, pieces []spmPiece) []byte {
	field := func(dst []byte, tag uint64, data []byte) []byte {
		dst = binary.AppendUvarint(dst, tag<<3|2)
		return append(binary.AppendUvarint(dst, uint64(len(data))), data...)
	}
	var out []byte
	for _, p := range pieces {
		piece := field(nil, 1, []byte(p.text))
		piece = binary.AppendUvarint(piece, 2<<3|5)
		piece = binary.LittleEndian.AppendUint32(piece, math.Float32bits(float32(p.score)))
		piece = binary.AppendUvarint(binary.AppendUvarint(piece, 3<<3), p.kind)
		out = field(out, 1, piece)
	}
	trainer := binary.AppendUvarint(binary.AppendUvarint(nil, 3<<3), kind)
	return field(out, 2, trainer)
}

func TestReadSentencePiece(t *testing.T) {
	pieces := []spmPiece{
		{"<unk>", 0, spmUnknown}, {"<s>", 0, spmControl}, {"</s>", 0, spmControl},
		{"▁the", -1, spmNormal}, {"▁", -2, spmNormal}, {"th", -3, spmNormal}, {"e", -4, spmNormal}, {"t", -5, spmNormal},
		{"h", -6, spmNormal}, {"he", -7, spmNormal}, {"▁t", -8, spmNormal},
	}
	for kind, want := range map[uint64]string{1: "▁the ▁ he <unk>", 2: "▁ th e ▁ he <unk>"} {
		data := spmFile(kind, pieces)
		tok, err := Open(write(t, t.TempDir(), "spiece.model", string(data)))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, id := range tok.NewEncoder().Encode(nil, "the  hez") {
			got = append(got, tok.Token(id))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("model type %d: %q, want %q", kind, got, want)
		}
		if s := tok.Specials(); s.Bos != 1 || s.Eos != 2 || s.Unk != 0 {
			t.Errorf("specials %+v", s)
		}
		for n := range len(data) {
			if tok, err := parseSentencePiece(data[:n], tokenizerConfig{}); err == nil && tok.VocabSize() == len(pieces) && n < len(data)-4 {
				t.Errorf("%d of %d bytes read as the whole", n, len(data))
			}
		}
	}
	if _, err := parseSentencePiece(spmFile(3, pieces), tokenizerConfig{}); err == nil {
		t.Error("a word model was read")
	}
}

func TestTrainBPE(t *testing.T) {
	var digest string
	for _, jobs := range []int{1, 3} {
		tok, err := TrainBPE(context.Background(), texts(prose(200)...), TrainOptions{VocabSize: 400, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != 400 || tok.Token(0) != endOfText {
			t.Errorf("%d pieces, first %q", tok.VocabSize(), tok.Token(0))
		}
		if digest == "" {
			digest = tok.Digest()
		}
		if tok.Digest() != digest {
			t.Errorf("%d jobs trained another tokenizer", jobs)
		}
		text := "Any text, \x00 世界, comes back 😀."
		if got := tok.Decode(tok.NewEncoder().Encode(nil, text), false); got != text {
			t.Errorf("%q came back as %q", text, got)
		}
	}
}

// FuzzParse: no file makes Parse panic, and what it reads can encode.
func FuzzParse(f *testing.F) {
	f.Add([]byte(`{"normalizer":{"type":"NFKC"},"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"always"},"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["▁",-2],["a",-3]],"byte_fallback":false}}`))
	for _, name := range []string{"wordpiece", "words-cut", "words-nfkd"} {
		data, err := os.ReadFile("testdata/golden/" + name + ".tokenizer.json")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := Parse(data)
		if err != nil {
			return
		}
		var enc Encoding
		ids := tok.NewEncoder().Encode(nil, "The river é 世界 <unk> 12")
		if err := tok.NewEncoder().EncodeOffsets(&enc, "The river é 世界 <unk> 12"); err == nil && !slices.Equal(ids, enc.IDs) {
			t.Errorf("ids %v without offsets, %v with", ids, enc.IDs)
		}
		tok.Decode(ids, true)
	})
}

// FuzzSentencePiece: no model file makes the reader panic.
func FuzzSentencePiece(f *testing.F) {
	f.Add(spmFile(1, []spmPiece{{"<unk>", 0, spmUnknown}, {"a", -1, spmNormal}}))
	f.Add(spmFile(2, []spmPiece{{"<unk>", 0, spmUnknown}, {"a", -1, spmNormal}, {"<0x00>", 0, spmByte}}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if tok, err := parseSentencePiece(data, tokenizerConfig{}); err == nil {
			tok.NewEncoder().Encode(nil, "a b")
		}
	})
}

// FuzzEncode: on any text, every family gives spans in the text, in order, and
// the same ids with and without offsets.
func FuzzEncode(f *testing.F) {
	var toks []*Tokenizer
	for _, name := range []string{"wordpiece", "wordpiece-cased", "gpt2", "roberta", "llama3", "bloom", "llama2", "unigram", "suffix", "words-nfkc"} {
		toks = append(toks, openGolden(f, name))
	}
	for _, s := range []string{"The river", "é 世界\n\n 12", "\xff\xfe", "a\u0301\u302e", "<s>", strings.Repeat("a", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, tok := range toks {
			for _, e := range []*Encoder{tok.NewEncoder(), tok.NewEncoder(AllowSpecial())} {
				var enc Encoding
				if err := e.EncodeOffsets(&enc, text); err != nil {
					t.Fatal(err)
				}
				if ids := e.Encode(nil, text); !slices.Equal(ids, enc.IDs) {
					t.Errorf("%q: ids %v without offsets, %v with", text, ids, enc.IDs)
				}
				word := int32(0)
				for i, s := range enc.Spans {
					if s.Start < 0 || s.Start > s.End || s.End > len(text) {
						t.Errorf("%q: token %d has span %v", text, i, s)
					}
					if enc.Words[i] < word {
						t.Errorf("%q: words go back at token %d", text, i)
					}
					word = enc.Words[i]
				}
				tok.Decode(enc.IDs, true)
			}
		}
	})
}

// TestLongWords: the time for a word without spaces grows in step with it.
func TestLongWords(t *testing.T) {
	for _, name := range []string{"wordpiece", "gpt2", "llama2", "unigram"} {
		e := openGolden(t, name).NewEncoder()
		for _, s := range []string{"a", "th", "😀", "\x00\xff"} {
			if ids := e.Encode(nil, strings.Repeat(s, 200_000)); len(ids) == 0 && s != "\x00\xff" {
				t.Errorf("%s: no tokens for many %q", name, s)
			}
		}
	}
}

// FuzzVocabulary: no vocab.txt, vocab.json with merges.txt or rank file makes its
// reader panic, and what they read can encode.
func FuzzVocabulary(f *testing.F) {
	f.Add("[UNK]\na\n##b\n", "", uint8(0))
	f.Add("[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nthe\r\n", "", uint8(0))
	f.Add(`{"a":0,"b":1,"ab":2,"<s>":3,"</s>":4}`, "#version: 0.2\na b\n", uint8(1))
	f.Add("YQ== 0\nYg== 1\nYWI= 2\n", "", uint8(2))
	f.Fuzz(func(t *testing.T, data, merges string, kind uint8) {
		var tok *Tokenizer
		var err error
		switch kind % 3 {
		case 0:
			tok, err = parseVocabText([]byte(data), tokenizerConfig{})
		case 1:
			tok, err = parseVocabMerges([]byte(data), []byte(merges), tokenizerConfig{})
		case 2:
			tok, err = parseTiktoken("x.tiktoken", []byte(data), tokenizerConfig{})
		}
		if err != nil {
			return
		}
		var enc Encoding
		const text = "ab é 世 <s>"
		ids := tok.NewEncoder().Encode(nil, text)
		if err := tok.NewEncoder().EncodeOffsets(&enc, text); err == nil && !slices.Equal(ids, enc.IDs) {
			t.Errorf("ids %v without offsets, %v with", ids, enc.IDs)
		}
		tok.Decode(ids, true)
	})
}

// FuzzConfig: no tokenizer_config.json makes its reader panic.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"tokenizer_class":"BertTokenizer","model_max_length":512,"unk_token":{"content":"[UNK]"},"do_lower_case":true}`))
	f.Add([]byte(`{"model_max_length":1e30,"pad_token":null,"cls_token":""}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := readConfig(data)
		if err == nil && c.maxLength < 0 {
			t.Errorf("a length of %d", c.maxLength)
		}
	})
}

// goldenMap is the character map of the golden Unigram vocabulary.
func goldenMap(t *testing.T) *precompiled {
	t.Helper()
	tok := openGolden(t, "unigram")
	steps := []normalizer{tok.normalizer}
	if chain, ok := tok.normalizer.(*normalizerChain); ok {
		steps = chain.Steps
	}
	for _, step := range steps {
		if n, ok := step.(*precompiled); ok {
			return n
		}
	}
	t.Fatal("the vocabulary has no character map")
	return nil
}

// sameForms compares the ways through a character map: with origins, without, and
// from a text that may be invalid.
func sameForms(t interface{ Fatalf(string, ...any) }, n *precompiled, text string) {
	with, without := newPart(text, 0, true), newPart(text, 0, false)
	if err := n.normalize(&with); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if err := n.normalize(&without); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	direct, _ := n.appendFormsOf(nil, nil, text)
	if string(with.text) != string(without.text) || string(with.text) != string(direct) {
		t.Fatalf("%q becomes %q with origins, %q without, %q at once", text, with.text, without.text, direct)
	}
}

// TestCharacterMapWays: they all give the same, on texts where clusters, invalid
// bytes and ASCII meet.
func TestCharacterMapWays(t *testing.T) {
	n := goldenMap(t)
	pieces := []string{"a", "A", " ", "\r", "\n", "\t", "\x00", "\x1f", "\xff", "\xc3", "\xe2\x80", "é", "e\u0301", "\u0301", "ﬁ", "\u0600", "\u200d", "\u200b", "\ufffd", "\ufeff", "Å", "½", "👩", "🚀", "한", "\u1112\u1161", "か\u3099", "①", "㌔"}
	rapid.Check(t, func(r *rapid.T) {
		sameForms(r, n, strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 12).Draw(r, "pieces"), ""))
	})
}

// FuzzCharacterMap: no precompiled map makes its reader or normalizer panic.
func FuzzCharacterMap(f *testing.F) {
	f.Add([]byte{4, 0, 0, 0, 0, 4, 0, 0, 'a', 0}, "a\xffb\r\n\u0600c")
	f.Add([]byte{8, 0, 0, 0, 0, 4, 0, 0, 'a', 1, 0, 0, 'b', 0}, "ab")
	f.Fuzz(func(t *testing.T, blob []byte, text string) {
		n := new(precompiled)
		if n.load(blob) == nil {
			sameForms(t, n, text)
		}
	})
}

// TestFramesOfClass: a .model gets the control tokens that the class in its
// tokenizer_config.json stands for.
func TestFramesOfClass(t *testing.T) {
	pieces := []spmPiece{
		{"<unk>", 0, spmUnknown}, {"<s>", 0, spmControl}, {"</s>", 0, spmControl}, {"[CLS]", 0, spmControl}, {"[SEP]", 0, spmControl},
		{"<sep>", 0, spmControl}, {"<cls>", 0, spmControl}, {"▁a", -1, spmNormal}, {"▁b", -1, spmNormal},
	}
	b := "b"
	for config, want := range map[string][2]string{
		`{}`:                                    {"▁a:0", "▁a:0 ▁b:1"},
		`{"tokenizer_class":"AlbertTokenizer"}`: {"[CLS]:0 ▁a:0 [SEP]:0", "[CLS]:0 ▁a:0 [SEP]:0 ▁b:1 [SEP]:1"},
		`{"tokenizer_class":"DebertaV2TokenizerFast"}`:              {"[CLS]:0 ▁a:0 [SEP]:0", "[CLS]:0 ▁a:0 [SEP]:0 ▁b:1 [SEP]:1"},
		`{"tokenizer_class":"XLNetTokenizer"}`:                      {"▁a:0 <sep>:0 <cls>:2", "▁a:0 <sep>:0 ▁b:1 <sep>:1 <cls>:2"},
		`{"tokenizer_class":"T5Tokenizer"}`:                         {"▁a:0 </s>:0", "▁a:0 </s>:0 ▁b:0 </s>:0"},
		`{"tokenizer_class":"LlamaTokenizer","add_bos_token":true}`: {"<s>:0 ▁a:0", "<s>:0 ▁a:0 <s>:1 ▁b:1"},
		`{"tokenizer_class":"LlamaTokenizer"}`:                      {"▁a:0", "▁a:0 ▁b:1"},
	} {
		dir := t.TempDir()
		write(t, dir, "spm.model", string(spmFile(1, pieces)))
		write(t, dir, "tokenizer_config.json", config)
		tok, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, pair := range []*string{nil, &b} {
			var enc Encoding
			if err := tok.NewEncoder().EncodeFramed(&enc, "a", pair); err != nil {
				t.Fatal(err)
			}
			var got []string
			for k, id := range enc.IDs {
				got = append(got, fmt.Sprintf("%s:%d", tok.Token(id), enc.Types[k]))
			}
			if strings.Join(got, " ") != want[i] {
				t.Errorf("%s: %q, want %q", config, got, want[i])
			}
		}
	}
	// Without its tokens a frame is left out.
	dir := t.TempDir()
	write(t, dir, "spiece.model", string(spmFile(1, pieces[:1])))
	write(t, dir, "tokenizer_config.json", `{"tokenizer_class":"AlbertTokenizer"}`)
	if tok, err := Open(dir); err != nil || tok.post != nil {
		t.Errorf("a frame of tokens that are not there, %v", err)
	}
}

// TestSteps says what a tokenizer is made of.
func TestSteps(t *testing.T) {
	for name, want := range map[string]string{
		"wordpiece": "normalizer BertNormalizer, pre_tokenizer BertPreTokenizer, model WordPiece, post_processor TemplateProcessing, decoder WordPiece",
		"llama3":    "pre_tokenizer Sequence (Split, ByteLevel), model BPE (162 merges), decoder ByteLevel",
	} {
		var got []string
		for _, s := range openGolden(t, name).Steps() {
			got = append(got, s.Kind+" "+s.Name)
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	framed, err := openGolden(t, "wordpiece").WithFraming(&Truncation{Direction: "Left", MaxLength: 9, Strategy: LongestFirst}, &Padding{Fixed: 8, Direction: "Right", Token: "[PAD]"})
	if err != nil {
		t.Fatal(err)
	}
	steps := framed.Steps()
	if n := len(steps); n < 2 || steps[n-2].Name != "LongestFirst to 9 tokens, at the left, stride 0" || steps[n-1].Name != "[PAD] to 8 tokens, at the right" {
		t.Errorf("%+v", steps)
	}
}
