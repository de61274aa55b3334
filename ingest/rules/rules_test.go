package rules

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest/signals"
)

func choose(t testing.TB, words ...string) []*Rule {
	t.Helper()
	chosen, err := Choose(words...)
	if err != nil {
		t.Fatal(err)
	}
	return chosen
}

// judged returns "reason" for the whole text and "reason@start:end" for lines.
func judged(t testing.TB, r *Rule, text string) []string {
	t.Helper()
	s := signals.NewMeter().Measure(text, "en")
	found, err := r.NewJudge().Judge(&s, text)
	if err != nil {
		t.Fatal(err)
	}
	out := []string{}
	for _, f := range found {
		if f.Start < 0 {
			out = append(out, f.Reason)
		} else {
			out = append(out, f.Reason+"@"+text[f.Start:f.End])
		}
	}
	return out
}

// plain is n sentences that no rule is against: distinct words, some of them of
// English's commonest.
func plain(n int) string {
	var b strings.Builder
	for i := range n {
		word := func(k int) string {
			return string([]byte{byte('a' + (i+k)%26), byte('a' + (i/26+3*k)%26), "aeiou"[k%5], byte('b' + (i*7+k)%20)})
		}
		b.WriteString("The " + word(1) + " and " + word(2) + " of " + word(3) + " " + word(4) + " " + word(5) + ".\n")
	}
	return b.String()
}

// TestByHand: texts that were made to fail for one reason, with the numbers worked out.
func TestByHand(t *testing.T) {
	ten := strings.Repeat("x", 11) // longer than ten characters
	for _, c := range []struct {
		rule, name, text string
		want             []string
	}{
		{"gopher", "nothing is wrong", plain(20), nil},
		{"c4", "nothing is wrong", plain(20), nil},
		{"fineweb", "nothing is wrong", strings.ReplaceAll(plain(20), ".\n", " and so on it goes.\n"), nil},
		// 7 sentences have 7 x 8 = 56 words, 6 have 48.
		{"gopher-quality", "56 words", plain(7), nil},
		{"gopher-quality", "48 words", plain(6), []string{"short"}},
		{"gopher-quality", "100,001 words", strings.Repeat("the with cat ", 33333) + "dog sat", []string{"long"}},
		// 30 times "a b" are 60 words of one letter, with two stop words of three.
		{"gopher-quality", "short words", strings.Repeat("a b ", 30) + "the of", []string{"short_words"}},
		{"gopher-quality", "words of three letters", strings.Repeat("the and cat ", 20), nil},
		{"gopher-quality", "words of eleven letters", strings.Repeat(ten+" ", 1000) + "the of", []string{"long_words"}},
		// 19 sentences of 8 words and a stop are 171 tokens: 9 times "##" make 180, with 18
		// hashes.
		{"gopher-quality", "a hash for each ten tokens", plain(19) + strings.Repeat("## ", 9), nil},
		{"gopher-quality", "two hashes more", plain(19) + strings.Repeat("## ", 10), []string{"hashes"}},
		{"gopher-quality", "ellipses for a tenth", plain(19) + strings.Repeat("…… ", 9), nil},
		{"gopher-quality", "two ellipses more", plain(19) + strings.Repeat("...... ", 10), []string{"ellipses"}},
		{"gopher-quality", "nine of ten lines are bullets", strings.ReplaceAll(plain(18), "The ", "- The ") + plain(2), nil},
		{"gopher-quality", "more than nine of ten", strings.ReplaceAll(plain(19), "The ", "• The ") + plain(2), []string{"bullets"}},
		// 6 of 20 lines are 0.3; 12 dots make no token of ten.
		{"gopher-quality", "three of ten lines trail off", strings.ReplaceAll(plain(6), ".", "...") + plain(14), nil},
		{"gopher-quality", "more than three of ten", strings.ReplaceAll(plain(7), ".", "...") + plain(14), []string{"trailing_ellipses"}},
		// 60 words and 15 numbers: 0.8; 60 and 16: less.
		{"gopher-quality", "four fifths have letters", strings.Repeat("the with cat ", 20) + strings.Repeat("1234 ", 15), nil},
		{"gopher-quality", "fewer have letters", strings.Repeat("the with cat ", 20) + strings.Repeat("1234 ", 16), []string{"few_letters"}},
		{"gopher-quality", "one stop word", strings.Repeat("the cat ", 30), []string{"few_stop_words"}},
		{"gopher-quality", "stop words are in small letters", strings.Repeat("The With cat ", 20), []string{"few_stop_words"}},
		// Of 10 lines 3 are repeats (0.3), of 31 ten (0.32).
		{"gopher-repetition", "three of ten lines", plain(7) + plain(3), []string{"dup_line_chars", "dup_5gram", "dup_6gram", "dup_7gram", "dup_8gram", "dup_9gram", "dup_10gram"}},
		{"gopher-repetition", "short lines again", plain(20) + strings.Repeat("Yes\n", 11), []string{"dup_lines"}},
		{"gopher-repetition", "short paragraphs again", plain(60) + strings.Repeat("\n\nYes", 3), []string{"dup_paragraphs"}},
		// "so so" is there 23 times with 5 characters, of 252.
		{"gopher-repetition", "one bigram", plain(5) + strings.Repeat("so ", 24), []string{"top_2gram", "top_3gram", "top_4gram", "dup_5gram", "dup_6gram", "dup_7gram", "dup_8gram", "dup_9gram", "dup_10gram"}},
		{"c4", "four sentences", plain(4), []string{"few_sentences"}},
		{"c4", "five sentences", plain(5), nil},
		{"c4", "lines to cut", plain(5) + "No mark at the end\nTwo words.\nJavaScript must be on.\nWe use cookies for you.\nand so on...\nIt is so.[12][citation needed]\n" + strings.Repeat("y", 1001) + " is long.\n\n" + plain(1),
			[]string{"no_terminal_mark@No mark at the end", "few_words@Two words.", "javascript@JavaScript must be on.", "policy@We use cookies for you.", "no_terminal_mark@and so on...", "long_word@" + strings.Repeat("y", 1001) + " is long."}},
		{"c4", "lorem ipsum", plain(5) + "There is Lorem Ipsum here.", []string{"lorem_ipsum"}},
		{"c4", "lorem ipsum in a line that goes", plain(5) + "There is Lorem Ipsum here", []string{"no_terminal_mark@There is Lorem Ipsum here"}},
		{"c4", "a bracket", plain(5) + "It is {so}.", []string{"curly_bracket"}},
		{"mc4", "two long lines", strings.Repeat(strings.Repeat("long ", 40)+"\n", 2), []string{"few_long_lines"}},
		{"mc4", "three long lines", strings.Repeat(strings.Repeat("long ", 40)+"\n", 3), nil},
		// 3 of 25 lines are 0.12. Lines of plain have 36 characters, and 29 without "of" and "and".
		{"fineweb", "three lines in 25 end", strings.ReplaceAll(plain(22), ".\n", " and so on\n") + strings.ReplaceAll(plain(25)[len(plain(22)):], ".\n", " and so on.\n"), nil},
		{"fineweb", "two lines in 24 end", strings.ReplaceAll(plain(22), ".\n", " and so on\n") + strings.ReplaceAll(plain(24)[len(plain(22)):], ".\n", " and so on.\n"), []string{"unended_lines"}},
		{"fineweb", "all lines are short", strings.ReplaceAll(strings.ReplaceAll(plain(20), " of ", " "), "and ", ""), []string{"short_lines"}},
		{"fineweb", "a line again", strings.ReplaceAll(plain(20)+plain(1), ".\n", " and so on it goes.\n"), []string{"dup_chars"}},
		// 8 tokens and 4 breaks.
		{"fineweb", "many breaks", "These are words.\n\nThese, too, are.\n\n", []string{"short_lines", "line_breaks"}},
	} {
		if got := judged(t, choose(t, c.rule)[0], c.text); !slices.Equal(got, c.want) {
			t.Errorf("%s, %s: %q, want %q", c.rule, c.name, got, c.want)
		}
	}
}

// TestFindings: the value and the words of a finding.
func TestFindings(t *testing.T) {
	s := signals.NewMeter().Measure("# # cat", "en")
	j := choose(t, "gopher-quality")[0].NewJudge()
	found, err := j.Judge(&s, "")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Finding{}
	for _, f := range found {
		got[f.Reason] = f
	}
	if f := got["short"]; f != (Finding{"short", "text_tokens", 1, -1, -1, "text_tokens is 1: text_tokens < 50"}) {
		t.Errorf("%+v", f)
	}
	if f := got["hashes"]; f.Signal != "hash_ratio" || f.Value < 0.66 || f.Value > 0.67 || f.Detail != "hash_ratio is 0.6667: hash_ratio > 0.1" {
		t.Errorf("%+v", f)
	}
	if _, ok := got["long"]; ok || len(found) != 4 { // and few letters, few stop words
		t.Errorf("%+v", found)
	}
}

// TestOwnRules: a file makes rules of its own and changes those that are there.
func TestOwnRules(t *testing.T) {
	path := filepath.Join(t.TempDir(), "own.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(`
tidy:
  about: "ours: for a test"
  like: fineweb
  short_lines: short_lines > 0.9
  dup_chars: off
  shouting: {when: words > 3 && upper_chars > 0.3, value: upper_chars}
  lines: [policy, javascript]
gopher-quality:
  short: text_tokens < 10
lax: {like: tidy, shouting: off, lines: []}
`)
	chosen := choose(t, "c4", path, "gopher")
	var names []string
	for _, r := range chosen {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"c4", "tidy", "gopher-quality", "lax", "gopher"}) {
		t.Fatalf("chosen: %q", names)
	}
	tidy := chosen[1]
	var reasons []string
	for _, c := range tidy.Conditions {
		reasons = append(reasons, c.Reason)
	}
	if !slices.Equal(reasons, []string{"unended_lines", "short_lines", "line_breaks", "shouting"}) || !slices.Equal(tidy.Lines, []string{"javascript", "policy"}) {
		t.Errorf("tidy has %q and lines %q", reasons, tidy.Lines)
	}
	if c := tidy.Conditions[3]; c.Signal != "upper_chars" {
		t.Errorf("the value is that of %q", c.Signal)
	}
	text := "THESE ARE LOUD WORDS AND THEY SHOULD END WITH A DOT.\nUse javascript, please, when you read this long line of ours."
	if got := judged(t, tidy, text); !slices.Equal(got, []string{"shouting", "javascript@Use javascript, please, when you read this long line of ours."}) {
		t.Errorf("%q", got)
	}
	if got := judged(t, chosen[3], text); len(got) != 0 {
		t.Errorf("the lax rule finds %q", got)
	}
	if len(chosen[2].Conditions) != 1 || len(choose(t, "gopher-quality")[0].Conditions) != 10 {
		t.Error("a file does not replace the rule that is there, or does so for good")
	}
	// What is written is what was read.
	var b strings.Builder
	for _, r := range chosen {
		if _, err := r.WriteTo(&b); err != nil {
			t.Fatal(err)
		}
	}
	again := new(Set)
	if err := again.Parse("again", []byte(b.String())); err != nil {
		t.Fatalf("%v:\n%s", err, b.String())
	}
	for _, r := range chosen {
		got, err := again.Rule(r.Name)
		if err != nil {
			t.Fatal(err)
		}
		same := got.About == r.About && slices.Equal(got.Lines, r.Lines) && slices.EqualFunc(got.Conditions, r.Conditions, func(a, b Condition) bool {
			return a.Reason == b.Reason && a.When == b.When && a.Signal == b.Signal
		})
		if !same {
			t.Errorf("rule %s is read again as %+v, want %+v", r.Name, got, r)
		}
	}
}

// TestMistakes: what is wrong is told with its place, and what was meant.
func TestMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"a: {b: word > 3}":                       `own:1:8: b: there is no signal "word"; did you mean "words"?`,
		"a: {b: words >}":                        `own:1:8: b: unexpected token`,
		"a: {b: words + 1}":                      `own:1:8: b: expected bool`,
		"a: {b: words > \"x\"}":                  `own:1:8: b: invalid operation`,
		"a: {b: 1 > 0}":                          `asks for no signal`,
		"a: {b: now().Unix() > words}":           `unknown name now`,
		"a: {b: {when: words > 3, value: wrds}}": `there is no signal "wrds"; did you mean "words"?`,
		"a: {b: {where: words > 3}}":             `want 'when' with an expression`,
		"a: {b: [words > 3]}":                    `want names with what they stand for`,
		"a: {like: gofer, b: words > 3}":         `own:1:11: there is no rule "gofer"; did you mean "gopher"?`,
		"a: {like: c4, few_sentence: off}":       `rule a has no condition "few_sentence" to take away`,
		"a: {lines: [javascrpt]}":                `there is no kind of line "javascrpt"; did you mean "javascript"?`,
		"a: {}":                                  `rule a has no condition`,
		"a: {about: nothing}":                    `rule a has no condition`,
		"a: words > 3":                           `own:1:4: want names`,
		"a: {b: words > 3, b: words > 4}":        `"b" stands there twice`,
		"minhash: {b: words > 3}":                `is one of deduplication`,
		"../x: {b: words > 3}":                   `is no name for a rule`,
		"a: {../b: words > 3}":                   `is no name for a reason`,
		"":                                       `it holds no rule`,
		"[a]":                                    `want names`,
		"a: {b: *x}":                             `own`,
		"a: &x {b: words > 3}\nc: *x\n":          `own:2:4: want names`,
		"\t":                                     `own`,
	} {
		s, err := Builtin()
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Parse("own", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
	}
	if _, err := Choose("gophr"); err == nil || !strings.Contains(err.Error(), `did you mean "gopher"`) {
		t.Errorf("a misspelt rule: %v", err)
	}
	if _, err := Choose(filepath.Join(t.TempDir(), "none.yaml")); err == nil || !strings.Contains(err.Error(), "reading rules") {
		t.Errorf("no file: %v", err)
	}
	if err := new(Set).Parse("own", make([]byte, maxFile+1)); err == nil {
		t.Error("a file without end is read")
	}
}

// TestLinesAreThoseOfTheSignals: the lines that C4 cuts are those that its signals count.
func TestLinesAreThoseOfTheSignals(t *testing.T) {
	pieces := []string{
		"the", "a cat", " ", " ", "\n", "\n", "\n\n", ".", "...", "…", "!", "?", "'", "\"", "[1]", "[edit]", "[citation needed]", "[", "]", "lorem ipsum",
		"Lorem Ipsum", "JavaScript", "javascript", "terms of use", "Privacy Policy", "we use cookies", "Cookie policy", "use of cookies", "{", "é", "日本語", "\u00a0",
		strings.Repeat("y", 990), "one two three.", "one two three four.\n",
	}
	kinds := choose(t, "c4")[0].Lines
	m := signals.NewMeter()
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 60).Draw(t, "text"), "")
		s := m.Measure(text, "")
		cut := map[string]int64{}
		all, last := int64(0), -1
		eachLine(text, kinds, func(start, end int, kind string, _ float64) {
			if start <= last || end <= start || strings.Contains(text[start:end], "\n") || start > 0 && text[start-1] != '\n' || end < len(text) && text[end] != '\n' {
				t.Fatalf("%q: %d to %d is no line", text, start, end)
			}
			last = start
			cut[kind]++
			all++
		})
		kept := int64(float64(s.C4Lines)*float64(s.Lines) + 0.5)
		if cut["javascript"] != s.ScriptLines || cut["policy"] != s.PolicyLines || s.Lines-all != kept {
			t.Fatalf("%q: cut %v of %d, signals: %d kept, %d with scripts, %d with policies", text, cut, s.Lines, kept, s.ScriptLines, s.PolicyLines)
		}
	})
}

// FuzzParse: a file of rules is read or refused, and what is read can be run.
func FuzzParse(f *testing.F) {
	f.Add("a: {b: words > 3}")
	f.Add("a: {like: c4, lines: [policy], few_sentences: off, x: {when: chars > 1, value: words}}")
	f.Add("a: {b: 'let x = words; x > 3'}\nc: {like: a}")
	s := signals.NewMeter().Measure(plain(3), "en")
	have, err := Builtin()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set := &Set{rules: slices.Clone(have.rules)}
		if set.Parse("own", []byte(text)) != nil {
			return
		}
		for _, r := range set.rules[min(len(have.rules), len(set.rules)-1):] {
			found, _ := r.NewJudge().Judge(&s, plain(3)) // an expression may fail
			for _, x := range found {
				if x.Reason == "" || x.Detail == "" {
					t.Fatalf("%+v", x)
				}
			}
		}
	})
}

func BenchmarkJudge(b *testing.B) {
	s := signals.NewMeter().Measure(plain(30), "en")
	var judges []*Judge
	for _, r := range choose(b, "gopher", "c4", "fineweb") {
		judges = append(judges, r.NewJudge())
	}
	b.ReportAllocs()
	for b.Loop() {
		for _, j := range judges {
			if _, err := j.Judge(&s, ""); err != nil {
				b.Fatal(err)
			}
		}
	}
}
