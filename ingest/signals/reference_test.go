package signals

import (
	"math"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/pii"
)

// reference measures a text with strings and maps, signal by signal, as the
// definitions read. Lines end at "\n".
func reference(text, language string) Signals {
	s := Signals{Bytes: int64(len(text))}
	chars := utf8.RuneCountInString(text)
	tokens := Tokens(text)
	words := strings.Fields(text)
	lines := strings.Split(text, "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	s.Chars, s.Words, s.AllTokens = int64(chars), int64(len(words)), int64(len(tokens))

	// Gopher's quality.
	hasLetter := func(w string) bool { return strings.IndexFunc(w, unicode.IsLetter) >= 0 }
	isText := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.Is(unicode.M, r) || unicode.Is(unicode.Cf, r)
	}
	var length, alpha int
	have := map[string]bool{}
	for _, w := range tokens {
		have[w] = true
		if strings.IndexFunc(w, func(r rune) bool { return isText(r) || !isPlain(r) }) >= 0 {
			s.TextTokens++
			length += utf8.RuneCountInString(w)
		}
		if hasLetter(w) {
			alpha++
		}
	}
	ratio := func(a, b int) float32 {
		if b == 0 {
			return 0
		}
		return float32(float64(a) / float64(b))
	}
	s.MeanTokenLength = ratio(length, int(s.TextTokens))
	s.HashRatio = ratio(strings.Count(text, "#"), len(tokens))
	ellipses := strings.Count(text, "...") + strings.Count(text, "…")
	s.EllipsisRatio = ratio(ellipses, len(tokens))
	s.AlphaTokens = ratio(alpha, len(tokens))
	for _, w := range gopherStopWords {
		if have[w] {
			s.StopTokens++
		}
	}
	bullets, trailing := 0, 0
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if strings.HasPrefix(l, "•") || strings.HasPrefix(l, "-") {
			bullets++
		}
		if strings.HasSuffix(l, "...") || strings.HasSuffix(l, "…") {
			trailing++
		}
	}
	s.BulletLines, s.EllipsisLines = ratio(bullets, len(lines)), ratio(trailing, len(lines))

	// Gopher's repetition.
	duplicates := func(all []string) (n, chars int) {
		seen := map[string]bool{}
		for _, x := range all {
			if seen[x] {
				n++
				chars += utf8.RuneCountInString(x)
			}
			seen[x] = true
		}
		return n, chars
	}
	some := func(all []string) (out []string) {
		for _, x := range all {
			if x != "" {
				out = append(out, x)
			}
		}
		return out
	}
	paragraphs := some(regexp.MustCompile(`\n{2,}`).Split(strings.TrimFunc(text, unicode.IsSpace), -1))
	n, c := duplicates(paragraphs)
	s.Paragraphs = int64(len(paragraphs))
	s.DupParagraphs, s.DupParagraphChars = ratio(n, len(paragraphs)), ratio(c, chars)
	cut := regexp.MustCompile(`\n+`).Split(text, -1)
	if text == "" {
		cut = nil
	}
	n, c = duplicates(cut)
	s.DupLines, s.DupLineChars = ratio(n, len(cut)), ratio(c, chars)
	top := func(n int) float32 {
		if len(tokens) < n {
			return 0
		}
		counts := map[string]int{}
		var order []string
		for i := 0; i+n <= len(tokens); i++ {
			g := strings.Join(tokens[i:i+n], " ")
			if counts[g] == 0 {
				order = append(order, g)
			}
			counts[g]++
		}
		best := order[0]
		for _, g := range order {
			if counts[g] > counts[best] {
				best = g
			}
		}
		return ratio(counts[best]*utf8.RuneCountInString(best), chars)
	}
	s.Top2gram, s.Top3gram, s.Top4gram = top(2), top(3), top(4)
	dup := func(n int) float32 {
		seen := map[string]bool{}
		repeated := 0
		for i := 0; i+n <= len(tokens); {
			g := strings.Join(tokens[i:i+n], " ")
			if !seen[g] {
				seen[g] = true
				i++
				continue
			}
			repeated += utf8.RuneCountInString(strings.Join(tokens[i:i+n], ""))
			i += n
		}
		return ratio(repeated, chars)
	}
	s.Dup5gram, s.Dup6gram, s.Dup7gram, s.Dup8gram, s.Dup9gram, s.Dup10gram = dup(5), dup(6), dup(7), dup(8), dup(9), dup(10)

	// C4, FineWeb, and the lines of RedPajama.
	var full []string
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			full = append(full, l)
		}
	}
	s.Lines = int64(len(full))
	kept, ended, short := 0, 0, 0
	var digits, uppers float64
	for _, l := range lines {
		if utf8.RuneCountInString(l) >= 200 {
			s.LongLines++
		}
	}
	for _, l := range full {
		sentences := referenceSentences(l)
		s.Sentences += int64(sentences)
		runes := []rune(l)
		if classify(runes[len(runes)-1])&terminal != 0 {
			ended++
		}
		if len(runes) <= 30 {
			short++
		}
		d, u := 0, 0
		for _, r := range runes {
			if unicode.IsNumber(r) {
				d++
			}
			if unicode.IsUpper(r) {
				u++
			}
		}
		digits += float64(d) / float64(len(runes))
		uppers += float64(u) / float64(len(runes))
		if referenceC4(&s, l) {
			kept++
			s.C4Sentences += int64(max(sentences, 1))
		}
	}
	s.C4Lines, s.EndedLines, s.ShortLines = ratio(kept, len(full)), ratio(ended, len(full)), ratio(short, len(full))
	_, c = duplicates(full)
	breaks := strings.Count(text, "\n")
	s.DupTextChars = ratio(c, chars-breaks)
	s.LineBreakRatio = ratio(breaks, len(tokens))
	if len(full) > 0 {
		s.LineDigits, s.LineUpper = float32(digits/float64(len(full))), float32(uppers/float64(len(full)))
	}
	s.LineWords = ratio(len(words), len(full))

	// RedPajama.
	counts := map[string]int{}
	plainChars, caps, noAlpha := 0, 0, 0
	for _, w := range words {
		plain := strings.Map(func(r rune) rune {
			if isText(r) {
				return unicode.ToLower(r)
			}
			return -1
		}, w)
		if plain != "" {
			counts[plain]++
			s.PlainWords++
			plainChars += utf8.RuneCountInString(plain)
		}
		if strings.IndexFunc(w, unicode.IsUpper) >= 0 && strings.IndexFunc(w, func(r rune) bool { return unicode.Is(unicode.Ll, r) }) < 0 {
			caps++
		}
		if !hasLetter(w) {
			noAlpha++
		}
	}
	s.MeanPlainWordLength = ratio(plainChars, int(s.PlainWords))
	s.UniqueWords = ratio(len(counts), int(s.PlainWords))
	entropy := 0.0
	for _, n := range counts {
		p := float64(n) / float64(s.PlainWords)
		entropy -= p * math.Log(p)
	}
	s.UnigramEntropy = float32(entropy)
	function := 0
	for _, w := range strings.Fields(functionWords[language]) {
		function += counts[w]
	}
	s.StopWords = ratio(function, int(s.PlainWords))
	s.CapsWords, s.NoAlphaWords = ratio(caps, len(words)), ratio(noAlpha, len(words))
	s.SymbolRatio = ratio(strings.Count(text, "#")+ellipses, len(words))
	s.CurlyChars = ratio(strings.Count(text, "{")+strings.Count(text, "}"), chars)
	s.LoremRatio = ratio(len(regexp.MustCompile(`(?i)lorem ipsum`).FindAllString(text, -1)), chars)
	count := func(is func(rune) bool) (n int) {
		for _, r := range text {
			if is(r) {
				n++
			}
		}
		return n
	}
	s.UpperChars, s.DigitChars, s.SpaceChars = ratio(count(unicode.IsUpper), chars), ratio(count(unicode.IsNumber), chars), ratio(count(unicode.IsSpace), chars)
	s.PunctChars = ratio(count(func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r) && !unicode.IsSpace(r)
	}), chars)
	for _, span := range pii.Find(nil, text) {
		*[...]*int64{&s.Emails, &s.IPs, &s.Phones, &s.Cards, &s.Keys}[span.Kind]++
	}
	return s
}

var (
	citations = regexp.MustCompile(`(?:\[\d*]|\[edit]|\[citation needed])+$`)
	policies  = regexp.MustCompile(`(?i)terms of use|privacy policy|cookie policy|uses cookies|use of cookies|use cookies`)
)

// referenceC4 reports whether C4 keeps a line.
func referenceC4(s *Signals, line string) bool {
	line = strings.TrimSpace(line)
	words := strings.Fields(line)
	for _, w := range words {
		if utf8.RuneCountInString(w) > 1000 {
			return false
		}
	}
	line = citations.ReplaceAllString(line, "")
	if line == "" || !strings.ContainsAny(line[len(line)-1:], `.?!"'`) || strings.HasSuffix(line, "...") || len(words) < 3 {
		return false
	}
	folded := asciiLower(line)
	if strings.Contains(folded, "lorem ipsum") {
		s.C4Lorem++
	}
	if strings.Contains(folded, "javascript") {
		s.ScriptLines++
		return false
	}
	if strings.Contains(line, "{") {
		s.C4Curly++
	}
	if policies.MatchString(folded) {
		s.PolicyLines++
		return false
	}
	return true
}

func asciiLower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r | 0x20
		}
		return r
	}, s)
}

// referenceSentences counts the sentences of a line: texts up to a terminal mark
// that white space follows, or any text after a mark of Chinese or Japanese.
func referenceSentences(line string) int {
	n := 0
	open, marked, wide := false, false, false
	runes := []rune(line)
	for i, r := range runes {
		c := classify(r)
		joined := i > 0 && i+1 < len(runes) && joins(r, classify(runes[i-1])) && classify(runes[i-1])&classify(runes[i+1])&(letter|number) != 0
		switch {
		case c&space != 0:
			if open && marked {
				n++
				open = false
			}
			marked = marked && !open && false
		case c&wordy != 0:
			if open && marked && wide {
				n++
			}
			open, marked = true, false
		case c&terminal != 0 && !joined:
			marked, wide = true, r >= 0x3000
		}
	}
	if open {
		n++
	}
	return n
}
