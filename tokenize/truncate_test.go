package tokenize

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTruncate(t *testing.T) {
	tok := openGolden(t, "wordpiece")
	lengths := func(c Truncation, a string, b *string) (first, second int, err error) {
		var e Encoding
		if err := tok.NewEncoder(Truncate(c)).EncodeFramed(&e, a, b); err != nil {
			return 0, 0, err
		}
		for i, special := range e.Special {
			switch {
			case special:
			case e.Types[i] == 0:
				first++
			default:
				second++
			}
		}
		return first, second, nil
	}
	count := func(s string) int { return len(tok.NewEncoder().Encode(nil, s)) }
	long, short := strings.Repeat("river ", 20), "the"
	for _, c := range []struct {
		strategy      string
		a             string
		b             *string
		max           int
		first, second int
	}{
		{LongestFirst, long, nil, 10, 8, 0},
		{LongestFirst, long, &short, 10, 7 - count(short), count(short)},
		{LongestFirst, long, &long, 10, 3, 4},
		{OnlyFirst, long, &short, 10, 7 - count(short), count(short)},
		{OnlySecond, short, &long, 10, count(short), 7 - count(short)},
		{LongestFirst, long, &long, 3, 0, 0},
	} {
		for _, end := range []string{"Left", "Right"} {
			first, second, err := lengths(Truncation{Direction: end, MaxLength: c.max, Strategy: c.strategy}, c.a, c.b)
			if err != nil || first != c.first || second != c.second {
				t.Errorf("%+v from the %s leaves %d and %d tokens, error %v", c, end, first, second, err)
			}
		}
	}
	var e Encoding
	if err := tok.NewEncoder(Truncate(Truncation{Direction: "Left", MaxLength: 5, Strategy: LongestFirst})).EncodeFramed(&e, "the stone the river", nil); err != nil {
		t.Fatal(err)
	}
	all := tok.NewEncoder().Encode(nil, "the stone the river")
	if got := e.IDs[1 : len(e.IDs)-1]; !slices.Equal(got, all[len(all)-3:]) {
		t.Errorf("cut on the left, %v leaves %v", all, got)
	}
	for _, c := range []Truncation{
		{Direction: "Right", MaxLength: 4, Strategy: OnlyFirst}, {Direction: "Right", MaxLength: 2, Strategy: LongestFirst},
		{Direction: "up", MaxLength: 9, Strategy: LongestFirst}, {Direction: "Right", MaxLength: 9, Strategy: "most"},
		{Direction: "Right", MaxLength: -1, Strategy: LongestFirst}, {Direction: "Right", MaxLength: 9, Strategy: LongestFirst, Stride: 2},
	} {
		if _, _, err := lengths(c, "the", &long); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if _, _, err := lengths(Truncation{Direction: "Right", MaxLength: 4, Strategy: OnlyFirst}, "the", &long); !errors.Is(err, ErrTruncation) {
		t.Errorf("error %v where the first text is too short", err)
	}
}
