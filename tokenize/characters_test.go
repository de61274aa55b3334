package tokenize

import (
	"context"
	"slices"
	"strings"
	"testing"
)

func TestCharacters(t *testing.T) {
	pads := func(n int) []int32 { return slices.Repeat([]int32{CharPad}, n) }
	row := func(ids ...int32) []int32 { return append(ids, pads(MaxWordChars-len(ids))...) }
	var c Characters
	for _, w := range []struct {
		got, want []int32
	}{
		{c.AppendWord(nil, "né"), row(258, 'n', 0xc3, 0xa9, 259)},
		{c.AppendBegin(nil), row(258, 256, 259)},
		{c.AppendEnd(nil), row(258, 257, 259)},
		{c.AppendWord(nil, ""), row(258, 259)},
	} {
		if !slices.Equal(w.got, w.want) {
			t.Errorf("ids %v, want %v", w.got, w.want)
		}
	}
	long := c.AppendWord(nil, strings.Repeat("x", 80))
	if len(long) != MaxWordChars || long[MaxWordChars-1] != CharEndWord || long[MaxWordChars-2] != 'x' {
		t.Errorf("a long word has the ids %v", long)
	}
	if got := (Characters{Shift: true}).AppendWord(nil, "a"); got[0] != 259 || got[1] != 'a'+1 || got[MaxWordChars-1] != CharPad+1 {
		t.Errorf("shifted ids %v", got)
	}
	tok, err := TrainWordLevel(context.Background(), texts("the cat sat"), TrainOptions{VocabSize: 20, MinFrequency: 1, Lowercase: true})
	if err != nil {
		t.Fatal(err)
	}
	ids, words, err := c.AppendText(nil, tok.NewEncoder(), "the zebra")
	if err != nil || words != 2 || !slices.Equal(ids[MaxWordChars:], c.AppendWord(nil, "zebra")) {
		t.Errorf("%d words, ids %v, %v", words, ids, err)
	}
	table := c.Table(tok)
	if len(table) != tok.VocabSize()*MaxWordChars {
		t.Fatalf("a table of %d ids", len(table))
	}
	id, _ := tok.ID("cat")
	if !slices.Equal(table[id*MaxWordChars:][:MaxWordChars], c.AppendWord(nil, "cat")) {
		t.Error("the row of cat is another word's")
	}
}
