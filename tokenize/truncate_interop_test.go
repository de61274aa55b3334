//go:build interop

package tokenize_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tributary-ml/tributary/tokenize"
)

// frameCase is a batch for truncate.py.
type frameCase struct {
	Texts      [][2]*string         `json:"texts"`
	Truncation *tokenize.Truncation `json:"truncation"`
	Padding    *tokenize.Padding    `json:"padding"`
}

// framedText is what comes of a text, or of a window of what was cut off.
type framedText struct {
	IDs       []int32 `json:"ids"`
	Offsets   []int   `json:"offsets"`
	Words     []int32 `json:"words"`
	Types     []int32 `json:"types"`
	Special   []int   `json:"special"`
	Attention []int   `json:"attention"`
}

func numbers(b []bool) []int {
	out := make([]int, len(b))
	for i, is := range b {
		if is {
			out[i] = 1
		}
	}
	return out
}

// flat lists an encoding and its windows. The texts are ASCII: offsets in bytes are
// those in characters.
func flat(e *tokenize.Encoding) []framedText {
	f := framedText{append([]int32{}, e.IDs...), []int{}, append([]int32{}, e.Words...), append([]int32{}, e.Types...), numbers(e.Special), numbers(e.Attention)}
	for _, s := range e.Spans {
		f.Offsets = append(f.Offsets, s.Start, s.End)
	}
	out := []framedText{f}
	for i := range e.Overflow {
		out = append(out, flat(&e.Overflow[i])...)
	}
	return out
}

// frameCases are pairs of texts cut to every length in every way that leaves room
// for the control tokens (without that room the reference cuts nothing, we give an
// error), and batches that are padded.
func frameCases() []frameCase {
	texts := []string{"", "the river", "unhappily the rivers walked over stones, singing", "a b c d e f g h"}
	strategies := []string{tokenize.LongestFirst, tokenize.OnlyFirst, tokenize.OnlySecond}
	var cases []frameCase
	for _, strategy := range strategies {
		for _, end := range []string{"Left", "Right"} {
			for n := 4; n < 24; n++ {
				for i := range texts {
					for j := -1; j < len(texts); j++ {
						pair := [2]*string{&texts[i], nil}
						if j >= 0 {
							pair[1] = &texts[j]
						}
						stride := (n + i + 2*(j+1)) % 5
						cases = append(cases, frameCase{[][2]*string{pair}, &tokenize.Truncation{Direction: end, MaxLength: n, Strategy: strategy, Stride: stride}, nil})
					}
				}
			}
		}
	}
	batch := [][2]*string{{&texts[1], nil}, {&texts[2], &texts[3]}, {&texts[0], nil}, {&texts[3], &texts[0]}}
	for _, end := range []string{"Left", "Right"} {
		for _, multiple := range []int{0, 1, 7, 8} {
			for _, p := range []tokenize.Padding{{Longest: true}, {Fixed: 0}, {Fixed: 5}, {Fixed: 30, ID: 3, Type: 1, Token: "<p>"}} {
				p.Direction, p.MultipleOf = end, multiple
				for n := 1; n <= len(batch); n++ {
					for _, cut := range []*tokenize.Truncation{nil, {Direction: end, MaxLength: 9, Strategy: tokenize.LongestFirst, Stride: 1}} {
						cases = append(cases, frameCase{batch[:n], cut, &p})
					}
				}
			}
		}
	}
	return cases
}

// TestFraming: texts cut, what was cut off in windows, and batches padded, as the
// reference does; and the file that it saves with these settings is read and
// written alike.
func TestFraming(t *testing.T) {
	cases := frameCases()
	dir := t.TempDir()
	file := filepath.Join(dir, "cases.jsonl")
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, c := range cases {
		if err := enc.Encode(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(file, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	vocabularies, err := filepath.Glob("testdata/golden/*.tokenizer.json")
	if err != nil || len(vocabularies) == 0 {
		t.Fatalf("%d golden tokenizers, %v", len(vocabularies), err)
	}
	for _, path := range vocabularies {
		tok, err := tokenize.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		saved := filepath.Join(dir, "saved.json")
		out, err := script(t, "truncate.py", path, file, saved).Output()
		if err != nil {
			t.Fatalf("truncate.py: %v", err)
		}
		compareFrames(t, path, tok, cases, json.NewDecoder(bytes.NewReader(out)))
		last := cases[len(cases)-1]
		theirs, err := tokenize.Open(saved)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(theirs.Truncation(), last.Truncation) || !reflect.DeepEqual(theirs.Padding(), last.Padding) {
			t.Errorf("%s: the reference saves %+v and %+v as %+v and %+v", path, last.Truncation, last.Padding, theirs.Truncation(), theirs.Padding())
		}
		ours, err := tok.WithFraming(last.Truncation, last.Padding)
		if err != nil {
			t.Fatal(err)
		}
		if err := ours.Save(dir); err != nil {
			t.Fatal(err)
		}
		if a, b := settings(t, filepath.Join(dir, "tokenizer.json")), settings(t, saved); a != b {
			t.Errorf("%s: we write %s, the reference %s", path, a, b)
		}
	}
}

// settings reads the two entries of a file, without the spaces between them.
func settings(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var form struct{ Truncation, Padding json.RawMessage }
	if err := json.Unmarshal(data, &form); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, raw := range []json.RawMessage{form.Truncation, form.Padding} {
		if err := json.Compact(&out, raw); err != nil {
			t.Fatal(err)
		}
	}
	return out.String()
}

func compareFrames(t *testing.T, path string, tok *tokenize.Tokenizer, cases []frameCase, answers *json.Decoder) {
	t.Helper()
	compared, windows, padded := 0, 0, 0
	for _, c := range cases {
		var want struct {
			Texts [][]framedText
			Error string
		}
		if err := answers.Decode(&want); err != nil {
			t.Fatal(err)
		}
		var options []tokenize.EncoderOption
		if c.Truncation != nil {
			options = append(options, tokenize.Truncate(*c.Truncation))
		}
		e := tok.NewEncoder(options...)
		batch := make([]*tokenize.Encoding, len(c.Texts))
		var err error
		for i, pair := range c.Texts {
			batch[i] = new(tokenize.Encoding)
			if err = e.EncodeFramed(batch[i], *pair[0], pair[1]); err != nil {
				break
			}
		}
		line, _ := json.Marshal(c)
		if err != nil || want.Error != "" {
			if (err != nil) != (want.Error != "") {
				t.Errorf("%s, %s: error %v, want %q", filepath.Base(path), line, err, want.Error)
			}
			continue
		}
		if c.Padding != nil {
			if err := c.Padding.Pad(batch); err != nil {
				t.Fatal(err)
			}
			padded++
		}
		for i, enc := range batch {
			got := flat(enc)
			compared, windows = compared+1, windows+len(got)-1
			if !reflect.DeepEqual(got, want.Texts[i]) {
				t.Errorf("%s, %s, text %d:\n got %+v\nwant %+v", filepath.Base(path), line, i, got, want.Texts[i])
				return
			}
		}
	}
	t.Logf("%s: %d texts and %d windows of %d cases compared, %d of them padded", filepath.Base(path), compared, windows, len(cases), padded)
	if windows == 0 || padded == 0 {
		t.Errorf("%s: too little was compared", path)
	}
}
