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
		{Direction: "Right", MaxLength: -1, Strategy: LongestFirst}, {Direction: "Right", MaxLength: 9, Strategy: LongestFirst, Stride: -1}, {Direction: "Right", MaxLength: 9, Strategy: LongestFirst, Stride: 8},
		{Direction: "Right", MaxLength: 9, Strategy: LongestFirst, Stride: 5},
	} {
		if _, _, err := lengths(c, "the", &long); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	if _, _, err := lengths(Truncation{Direction: "Right", MaxLength: 4, Strategy: OnlyFirst}, "the", &long); !errors.Is(err, ErrTruncation) {
		t.Errorf("error %v where the first text is too short", err)
	}
}

// TestWindows: what is cut off comes in windows that overlap by the stride, framed
// like the text.
func TestWindows(t *testing.T) {
	tok := openGolden(t, "wordpiece")
	text := "the river the stone the river the stone the"
	all := tok.NewEncoder().Encode(nil, text)
	for _, direction := range []string{"Left", "Right"} {
		var e Encoding
		if err := tok.NewEncoder(Truncate(Truncation{Direction: direction, MaxLength: 6, Strategy: LongestFirst, Stride: 1})).EncodeFramed(&e, text, nil); err != nil {
			t.Fatal(err)
		}
		windows := append([]Encoding{e}, e.Overflow...)
		if direction == "Left" {
			slices.Reverse(windows)
		}
		var whole []int32
		for i, w := range windows {
			if w.IDs[0] != tok.specials.Cls || w.IDs[len(w.IDs)-1] != tok.specials.Sep || len(w.Spans) != len(w.IDs) || len(w.Attention) != len(w.IDs) {
				t.Errorf("%s: window %d is %+v", direction, i, w)
			}
			ids := w.IDs[1 : len(w.IDs)-1]
			if i > 0 {
				if ids[0] != whole[len(whole)-1] {
					t.Errorf("%s: window %d does not overlap with the one before it", direction, i)
				}
				ids = ids[1:]
			}
			whole = append(whole, ids...)
		}
		if !slices.Equal(whole, all) {
			t.Errorf("%s: the windows hold %v of %v", direction, whole, all)
		}
	}
	// A text of many tokens in small windows is refused, not cut for hours.
	var e Encoding
	long := strings.Repeat("the ", maxWindows+9)
	if err := tok.NewEncoder(Truncate(Truncation{Direction: "Right", MaxLength: 3, Strategy: LongestFirst})).EncodeFramed(&e, long, nil); !errors.Is(err, errWindows) {
		t.Errorf("error %v for too many windows", err)
	}
}

func TestPad(t *testing.T) {
	tok := openGolden(t, "wordpiece")
	encode := func() []*Encoding {
		batch := []*Encoding{new(Encoding), new(Encoding)}
		e := tok.NewEncoder()
		for i, s := range []string{"the river", "the river the stone"} {
			if err := e.EncodeFramed(batch[i], s, nil); err != nil {
				t.Fatal(err)
			}
		}
		return batch
	}
	for _, direction := range []string{"Left", "Right"} {
		batch := encode()
		short, long := slices.Clone(batch[0].IDs), slices.Clone(batch[1].IDs)
		p := Padding{Longest: true, Direction: direction, MultipleOf: 4, ID: 7, Type: 1, Token: "[PAD]"}
		if err := p.Pad(batch); err != nil {
			t.Fatal(err)
		}
		for i, ids := range [][]int32{short, long} {
			enc := batch[i]
			n := (len(long) + 3) / 4 * 4
			from := 0
			if direction == "Left" {
				from = n - len(ids)
			}
			if len(enc.IDs) != n || !slices.Equal(enc.IDs[from:from+len(ids)], ids) {
				t.Errorf("%s: %v is padded to %v", direction, ids, enc.IDs)
			}
			for k, attend := range enc.Attention {
				if inside := k >= from && k < from+len(ids); attend != inside || !inside && (enc.IDs[k] != 7 || enc.Types[k] != 1 || !enc.Special[k] || enc.Words[k] != -1) {
					t.Errorf("%s: token %d of %+v", direction, k, enc)
				}
			}
		}
	}
	for _, p := range []Padding{{Direction: "up"}, {Direction: "Left", Fixed: -1}, {Direction: "Left", Fixed: 1 << 40}, {Direction: "Left", MultipleOf: -1}, {Direction: "Left", ID: -1}} {
		if err := p.Pad(encode()); err == nil {
			t.Errorf("%+v is taken", p)
		}
	}
}

// TestFramingInFiles: truncation and padding are read, refused where they make no
// sense, and written as they were.
func TestFramingInFiles(t *testing.T) {
	file := func(truncation, padding string) string {
		return `{"version":"1.0","truncation":` + truncation + `,"padding":` + padding + `,"model":{"type":"WordLevel","unk_token":"a","vocab":{"a":0}}}`
	}
	for _, good := range [][2]string{
		{"null", "null"},
		{`{"direction":"Left","max_length":12,"strategy":"OnlySecond","stride":3}`, `{"strategy":"BatchLongest","direction":"Left","pad_to_multiple_of":8,"pad_id":3,"pad_type_id":1,"pad_token":"a"}`},
		{`{"max_length":12,"strategy":"LongestFirst","stride":0}`, `{"strategy":{"Fixed":128},"direction":"Right","pad_to_multiple_of":null,"pad_id":0,"pad_type_id":0,"pad_token":"[PAD]"}`},
	} {
		tok, err := Parse([]byte(file(good[0], good[1])))
		if err != nil {
			t.Fatal(err)
		}
		form, err := tok.canonical()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(form.json)
		if err != nil {
			t.Fatal(err)
		}
		for _, tok := range []*Tokenizer{tok, again} {
			if (good[0] == "null") != (tok.Truncation() == nil) || (good[1] == "null") != (tok.Padding() == nil) {
				t.Errorf("%v is read as %+v and %+v", good, tok.Truncation(), tok.Padding())
			}
		}
		if tok.Digest() != again.Digest() {
			t.Errorf("%v is not written as it was read", good)
		}
		if p := tok.Padding(); p != nil && strings.Contains(good[1], "Fixed") && (p.Longest || p.Fixed != 128) {
			t.Errorf("%v is read as %+v", good[1], p)
		}
	}
	for _, bad := range [][2]string{
		{`{"direction":"Up","max_length":12,"strategy":"LongestFirst","stride":0}`, "null"},
		{`{"max_length":-1}`, "null"}, {`{"max_length":"x"}`, "null"}, {`[]`, "null"}, {`{"max_length":1,"stride":-1}`, "null"},
		{"null", `{"strategy":"Longest"}`}, {"null", `{"strategy":{"Fixed":99999999999}}`}, {"null", `{"strategy":{}}`}, {"null", `{"strategy":{"Fixed":1},"pad_id":-1}`},
		{"null", `{"strategy":"BatchLongest","direction":"x"}`}, {"null", `{"strategy":"BatchLongest","pad_to_multiple_of":-2}`}, {"null", `7`},
	} {
		if _, err := Parse([]byte(file(bad[0], bad[1]))); err == nil || !strings.Contains(err.Error(), "truncation") && !strings.Contains(err.Error(), "padding") {
			t.Errorf("%v: error %v", bad, err)
		}
	}
	tok := openGolden(t, "wordpiece")
	framed, err := tok.WithFraming(&Truncation{Direction: "Right", MaxLength: 5, Strategy: OnlyFirst}, &Padding{Longest: true, Direction: "Right"})
	if err != nil || framed.Digest() == tok.Digest() || tok.Truncation() != nil || framed.Truncation().MaxLength != 5 || !framed.Padding().Longest {
		t.Errorf("WithFraming gives %+v, %v", framed, err)
	}
	if _, err := tok.WithFraming(&Truncation{}, nil); err == nil {
		t.Error("an empty truncation is taken")
	}
}
