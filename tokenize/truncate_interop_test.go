//go:build interop

package tokenize_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize"
)

// TestTruncation: pairs of texts, cut to every length in every way that leaves room
// for the control tokens; without that room the reference cuts nothing, we give an
// error.
//
// Offsets of pairs are compared where the types tell the two texts apart. RoBERTa's
// are left out where text is cut on the left: there the reference takes the first
// token that is left for the first of the text.
func TestTruncation(t *testing.T) {
	type truncated struct {
		IDs     []int32 `json:"ids"`
		Offsets []int   `json:"offsets"`
		Words   []int32 `json:"words"`
		Types   []int32 `json:"types"`
		Error   string  `json:"error"`
	}
	type testCase struct {
		A         string  `json:"a"`
		B         *string `json:"b"`
		MaxLength int     `json:"max_length"`
		Strategy  string  `json:"strategy"`
		Direction string  `json:"direction"`
	}
	names := map[string]string{"longest_first": tokenize.LongestFirst, "only_first": tokenize.OnlyFirst, "only_second": tokenize.OnlySecond}
	ends := map[string]string{"left": "Left", "right": "Right"}
	texts := []string{"", "the river", "unhappily the rivers walked over stones, singing", "a b c d e f g h"}
	var cases []testCase
	for strategy := range names {
		for end := range ends {
			for n := 4; n < 24; n++ {
				for _, a := range texts {
					cases = append(cases, testCase{a, nil, n, strategy, end})
					for _, b := range texts {
						cases = append(cases, testCase{a, &b, n, strategy, end})
					}
				}
			}
		}
	}
	file := filepath.Join(t.TempDir(), "cases.jsonl")
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
		out, err := script(t, "truncate.py", path, file).Output()
		if err != nil {
			t.Fatalf("truncate.py: %v", err)
		}
		answers := json.NewDecoder(bytes.NewReader(out))
		compared := 0
		for _, c := range cases {
			var want, got truncated
			if err := answers.Decode(&want); err != nil {
				t.Fatal(err)
			}
			var e tokenize.Encoding
			err := tok.NewEncoder(tokenize.Truncate(tokenize.Truncation{Direction: ends[c.Direction], MaxLength: c.MaxLength, Strategy: names[c.Strategy]})).EncodeFramed(&e, c.A, c.B)
			if err != nil || want.Error != "" {
				if (err != nil) != (want.Error != "") {
					t.Errorf("%s, %+v: error %v, want %q", filepath.Base(path), c, err, want.Error)
				}
				continue
			}
			text, sequence := c.A, 0
			got.IDs, got.Words, got.Types = append([]int32{}, e.IDs...), append([]int32{}, e.Words...), append([]int32{}, e.Types...)
			got.Offsets = []int{}
			last := -1
			for i, s := range e.Spans {
				// The second text begins after the control tokens that follow the first, or where
				// offsets begin anew.
				if !e.Special[i] && c.B != nil && sequence == 0 && (e.Types[i] == 1 || s.Start < last) {
					text, sequence = *c.B, 1
				}
				if e.Special[i] {
					got.Offsets = append(got.Offsets, 0, 0)
					continue
				}
				last = s.Start
				got.Offsets = append(got.Offsets, utf8.RuneCountInString(text[:min(s.Start, len(text))]), utf8.RuneCountInString(text[:min(s.End, len(text))]))
			}
			compared++
			if c.B != nil && !slices.Contains(e.Types, 1) || c.Direction == "left" && strings.HasPrefix(filepath.Base(path), "roberta") {
				got.Offsets = want.Offsets
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %+v:\n got %+v\nwant %+v", filepath.Base(path), c, got, want)
				break
			}
		}
		t.Logf("%s: %d of %d cases compared", filepath.Base(path), compared, len(cases))
	}
}
