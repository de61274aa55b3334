package tokenize

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// goldenCase is what the reference does with one text. Its offsets count
// characters.
type goldenCase struct {
	Text    string
	Plain   goldenEncoding
	Allowed *goldenEncoding
	Decoded string
	Pair    struct {
		IDs     []int32
		Types   []int32
		Special []int
	}
}

type goldenEncoding struct {
	IDs     []int32
	Offsets []int
	Words   []int32
}

// TestGolden compares every family with the reference, over the files that
// interop/tokenizers/golden.py makes.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.tokenizer.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("found %d golden tokenizers, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".tokenizer.json")
		t.Run(name, func(t *testing.T) {
			tok, err := Open(file)
			if err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(strings.Replace(file, ".tokenizer.json", ".cases.json", 1))
			if err != nil {
				t.Fatal(err)
			}
			var cases []goldenCase
			if err := json.Unmarshal(data, &cases); err != nil {
				t.Fatal(err)
			}
			// What we write must read back as the same tokenizer.
			form, err := tok.canonical()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse(form.json)
			if err != nil {
				t.Fatalf("reading back: %v", err)
			}
			if again.Digest() != tok.Digest() {
				t.Error("written and read back, the digest changes")
			}
			plain, allowed, second := tok.NewEncoder(), tok.NewEncoder(AllowSpecial()), again.NewEncoder()
			for _, c := range cases {
				checkGolden(t, plain, c.Text, c.Plain)
				checkGolden(t, second, c.Text, c.Plain)
				if c.Allowed == nil {
					c.Allowed = &c.Plain
				}
				checkGolden(t, allowed, c.Text, *c.Allowed)
				if got := tok.Decode(c.Plain.IDs, true); got != c.Decoded {
					t.Errorf("%q decodes to %q, want %q", c.Text, got, c.Decoded)
				}
				var enc Encoding
				river := "the river"
				if err := plain.EncodeFramed(&enc, c.Text, &river); err != nil {
					t.Fatal(err)
				}
				special := make([]int, len(enc.Special))
				for i, s := range enc.Special {
					if s {
						special[i] = 1
					}
				}
				if !slices.Equal(enc.IDs, c.Pair.IDs) || !slices.Equal(enc.Types, c.Pair.Types) || !slices.Equal(special, c.Pair.Special) {
					t.Errorf("pair of %q: %v %v %v, want %v", c.Text, enc.IDs, enc.Types, special, c.Pair)
				}
			}
		})
	}
}

func checkGolden(t *testing.T, e *Encoder, text string, want goldenEncoding) {
	t.Helper()
	var enc Encoding
	if err := e.EncodeOffsets(&enc, text); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	if ids := e.Encode(nil, text); !slices.Equal(ids, want.IDs) || !slices.Equal(enc.IDs, want.IDs) {
		t.Errorf("%q gives %v, with offsets %v, want %v", text, ids, enc.IDs, want.IDs)
		return
	}
	offsets := make([]int, 0, len(want.Offsets))
	for _, s := range enc.Spans {
		offsets = append(offsets, utf8.RuneCountInString(text[:s.Start]), utf8.RuneCountInString(text[:s.End]))
	}
	if !slices.Equal(offsets, want.Offsets) {
		t.Errorf("%q has the offsets %v, want %v", text, offsets, want.Offsets)
	}
	if !slices.Equal(enc.Words, want.Words) {
		t.Errorf("%q has the words %v, want %v", text, enc.Words, want.Words)
	}
}

// openGolden opens one of the golden tokenizers.
func openGolden(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Open("testdata/golden/" + name + ".tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// TestByteLevelKeepsBytes: any bytes come back, UTF-8 or not.
func TestByteLevelKeepsBytes(t *testing.T) {
	tok := openGolden(t, "gpt2")
	e := tok.NewEncoder()
	for _, s := range []string{"the \xff\xfe river", "\xe4\xb8", "\x80abc\xf0\x9f"} {
		ids := e.Encode(nil, s)
		var raw []byte
		for _, id := range ids {
			piece, ok := rawBytes(tok.Token(id))
			if !ok {
				t.Fatalf("%q is no byte-level piece", tok.Token(id))
			}
			raw = append(raw, piece...)
		}
		if string(raw) != s {
			t.Errorf("%q came back as %q", s, raw)
		}
		var enc Encoding
		if err := e.EncodeOffsets(&enc, s); err != nil || !slices.Equal(enc.IDs, ids) {
			t.Errorf("%q: with offsets %v (%v), without %v", s, enc.IDs, err, ids)
		}
	}
}

// TestNoInjection: control tokens in a text are text, unless allowed.
func TestNoInjection(t *testing.T) {
	for _, name := range []string{"wordpiece", "roberta", "llama2", "unigram"} {
		tok := openGolden(t, name)
		for _, a := range tok.Added() {
			if !a.Special {
				continue
			}
			if ids := tok.NewEncoder().Encode(nil, "the "+a.Content+" river"); slices.Contains(ids, a.ID) && a.ID != tok.Specials().Unk {
				t.Errorf("%s: %q in the text became the control token", name, a.Content)
			}
			if ids := tok.NewEncoder(AllowSpecial()).Encode(nil, "the "+a.Content+" river"); !slices.Contains(ids, a.ID) {
				t.Errorf("%s: %q was allowed and not found", name, a.Content)
			}
		}
	}
}

func TestNoUnknownToken(t *testing.T) {
	tok, err := Parse([]byte(`{"model":{"type":"Unigram","vocab":[["a",-1]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var enc Encoding
	if err := tok.NewEncoder().EncodeOffsets(&enc, "aba"); !errors.Is(err, ErrNoUnknown) || !reflect.DeepEqual(enc.IDs, []int32{0, 0}) {
		t.Errorf("got %v, %v", enc.IDs, err)
	}
}
