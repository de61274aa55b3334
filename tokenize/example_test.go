package tokenize_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/tokenize"
)

func ExampleOpen() {
	t, err := tokenize.Open("testdata/golden/wordpiece.tokenizer.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	e := t.NewEncoder()
	pieces, err := e.Pieces(nil, "She walks unhappily.")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range pieces {
		fmt.Printf("%s[%d:%d] ", p.Token, p.Start, p.End)
	}
	// Output: she[0:3] walks[4:9] unhapp[10:16] ##ily[16:19] .[19:20]
}

func ExampleTrainWordPiece() {
	texts := func(yield func(string, error) bool) {
		for _, s := range []string{"low lower lowest", "new newer newest", "low new"} {
			if !yield(s, nil) {
				return
			}
		}
	}
	t, err := tokenize.TrainWordPiece(context.Background(), texts, tokenize.TrainOptions{VocabSize: 24, Lowercase: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	ids := t.NewEncoder().Encode(nil, "Lower, newest")
	for _, id := range ids {
		fmt.Print(t.Token(id), " ")
	}
	fmt.Println(t.VocabSize())
	// Output: low ##e ##r [UNK] ne ##we ##st 24
}

func TestCoverage(t *testing.T) {
	tok, err := tokenize.Open("testdata/golden/wordpiece.tokenizer.json")
	if err != nil {
		t.Fatal(err)
	}
	var c tokenize.Coverage
	e := tok.NewEncoder()
	for _, s := range []string{"the river", "the ꙮꙮ "} {
		if err := e.Cover(&c, s); err != nil {
			t.Fatal(err)
		}
	}
	want := tokenize.Coverage{Bytes: 20, Chars: 16, Words: 4, Tokens: 4, Unknown: 1, UnknownBytes: 6}
	if c != want {
		t.Errorf("%+v, want %+v", c, want)
	}
	if c.Fertility() != 1 || c.UnknownRate() != 0.25 || c.BytesPerToken() != 5 {
		t.Errorf("fertility %v, unknown %v, bytes a token %v", c.Fertility(), c.UnknownRate(), c.BytesPerToken())
	}
}

func BenchmarkEncode(b *testing.B) {
	text := strings.Repeat("She walked quietly over the bright stone under the market lantern, singing. ", 200)
	for _, name := range []string{"wordpiece", "gpt2", "llama3", "llama2", "unigram"} {
		tok, err := tokenize.Open("testdata/golden/" + name + ".tokenizer.json")
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/ids", func(b *testing.B) {
			e := tok.NewEncoder()
			var ids []int32
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				ids = e.Encode(ids[:0], text)
			}
		})
		b.Run(name+"/offsets", func(b *testing.B) {
			e := tok.NewEncoder()
			var enc tokenize.Encoding
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if err := e.EncodeOffsets(&enc, text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
