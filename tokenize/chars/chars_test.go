package chars

import (
	"testing"
	"unicode"
)

func TestClasses(t *testing.T) {
	table := Classes()
	for _, c := range []struct {
		r    rune
		want Class
	}{
		{'a', Letter | LowerCase | Word | RegexpWord}, {'Z', Letter | Upper | Word | RegexpWord}, {'7', Number | Numeric | Word | RegexpWord},
		{' ', Space}, {'$', Punctuation | Symbol}, {'.', Punctuation | Punct},
		{0, Control}, {0x301, Nonspacing | Combining | Mark | Word | RegexpWord}, {0x903, Combining | Mark | Word | RegexpWord}, {0x4e00, Letter | Ideograph | Word | RegexpWord},
		{0x2b820, Letter | Word | RegexpWord}, {0x2028, Space}, {0xfffd, Control | Symbol},
		{0xe000, Control}, {0x10ffff, 0}, {0x110000, 0}, {-1, 0},
	} {
		if got := table.Of(c.r); got != c.want {
			t.Errorf("U+%04X has the properties %b, want %b", c.r, got, c.want)
		}
	}
}

// TestLettersAgreeWithGo compares the table with Go's where both know the
// character: a wrong range would show as thousands of differences.
func TestLettersAgreeWithGo(t *testing.T) {
	table, differ := Classes(), 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if (table.Of(r)&Letter != 0) != unicode.IsLetter(r) {
			differ++
		}
	}
	if differ > 10000 {
		t.Errorf("%d characters are letters for one and not for the other", differ)
	}
}

func TestLower(t *testing.T) {
	for _, c := range []struct {
		r, low rune
		rest   string
	}{{'A', 'a', ""}, {'z', 'z', ""}, {'É', 'é', ""}, {'Σ', 'σ', ""}, {0x130, 'i', "\u0307"}, {'Ÿ', 'ÿ', ""}, {0x10400, 0x10428, ""}, {'中', '中', ""}} {
		if low, rest := Lower(c.r); low != c.low || rest != c.rest {
			t.Errorf("the lower case of %q is %q%q, want %q%q", c.r, low, rest, c.low, c.rest)
		}
	}
}

func TestDecomposed(t *testing.T) {
	for _, c := range []struct {
		r          rune
		compatible bool
		want       string
	}{{'é', false, "e\u0301"}, {'ﬁ', false, "ﬁ"}, {'ﬁ', true, "fi"}, {'각', false, "\u1100\u1161\u11a8"}, {0x11938, false, "\U00011938"}} {
		if got := string(AppendDecomposed(nil, c.r, c.compatible)); got != c.want {
			t.Errorf("%q decomposes into %q, want %q", c.r, got, c.want)
		}
	}
	if CombiningClass(0x301) != 230 || CombiningClass('a') != 0 || CombiningClass(0x1e136) != 0 {
		t.Error("wrong combining classes")
	}
}
