package ingest

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// SentenceEnds appends the byte offsets at which the sentences of text end to
// dst: ascending, the last one len(text), none for an empty text. Sentence i is
// the span between end i-1 and end i; white space between two sentences leads the
// second. A blank line always ends a sentence, and so does a line break before a
// list item. The rules are made for languages written with spaces and with
// capitals, and for the full stops of Chinese, Japanese and Hindi.
func SentenceEnds(text string, dst []int) []int {
	first := len(dst)
	start := 0 // where the present sentence's content may begin
	end := func(at int) {
		if strings.TrimSpace(text[start:at]) != "" {
			dst = append(dst, at)
			start = at
		}
	}
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case !interesting[c]:
			i++
		case c == '\n':
			next := skipBlank(text, i+1)
			if next < len(text) && text[next] == '\n' || startsItem(text[next:]) {
				at := i
				for at > start && isSpaceByte(text[at-1]) {
					at--
				}
				end(at)
			}
			i++
		default:
			r, size := rune(c), 1
			if c >= utf8.RuneSelf {
				r, size = utf8.DecodeRuneInString(text[i:])
			}
			kind := terminator(r)
			if kind == notTerminator {
				i += size
				continue
			}
			at := skipClosers(text, i+size)
			if endsSentence(text, start, i, at, kind) {
				end(at)
			}
			i = at
		}
	}
	if len(text) == 0 {
		return dst
	}
	if len(dst) > first && strings.TrimSpace(text[start:]) == "" {
		dst[len(dst)-1] = len(text)
		return dst
	}
	return append(dst, len(text))
}

// interesting holds the first bytes of what can end a sentence.
var interesting = [256]bool{
	'\n': true, '.': true, '!': true, '?': true,
	0xD8: true, // Arabic question mark
	0xE0: true, // danda
	0xE2: true, // ellipsis
	0xE3: true, // ideographic full stop
	0xEF: true, // full-width ! and ?
}

const (
	notTerminator = iota
	fullStop      // may end an abbreviation as well
	exclamation   // ends a sentence before anything but a small letter
	ideographic   // ends a sentence without white space after it
)

func terminator(r rune) int {
	switch r {
	case '.':
		return fullStop
	case '!', '?', '…', '؟':
		return exclamation
	case '。', '！', '？', '।', '॥':
		return ideographic
	}
	return notTerminator
}

// skipClosers returns where the run of terminators, quotation marks and
// brackets that begins at i ends.
func skipClosers(text string, i int) int {
	for i < len(text) {
		r, size := utf8.DecodeRuneInString(text[i:])
		if terminator(r) == notTerminator && !strings.ContainsRune(`"'”’)]}»」』）】`, r) {
			return i
		}
		i += size
	}
	return i
}

func isSpaceByte(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// skipBlank returns the first position from i that is no blank of the same line.
func skipBlank(text string, i int) int {
	for i < len(text) && text[i] != '\n' && isSpaceByte(text[i]) {
		i++
	}
	return i
}

// startsItem reports whether a line that begins with s is a list item.
func startsItem(s string) bool {
	for _, bullet := range [...]string{"- ", "* ", "• ", "– "} {
		if strings.HasPrefix(s, bullet) {
			return true
		}
	}
	digits := 0
	for digits < len(s) && digits < 4 && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	return digits > 0 && digits+1 < len(s) && (s[digits] == '.' || s[digits] == ')') && s[digits+1] == ' '
}

// endsSentence decides about the terminator at stop, whose closing marks end at
// at, in a sentence that begins at start.
func endsSentence(text string, start, stop, at, kind int) bool {
	if kind == ideographic || at == len(text) {
		return true
	}
	next, size := utf8.DecodeRuneInString(text[at:])
	if !unicode.IsSpace(next) {
		return false
	}
	rest := strings.TrimLeftFunc(text[at+size:], unicode.IsSpace)
	next, _ = utf8.DecodeRuneInString(rest)
	if unicode.IsLower(next) {
		return false
	}
	if kind == exclamation || at != stop+1 {
		return true
	}
	return !abbreviates(text[start:stop], rest)
}

// abbreviates reports whether the full stop after before marks an abbreviation,
// an initial or the number of a list item, given what follows it.
func abbreviates(before, rest string) bool {
	cut := strings.LastIndexFunc(before, func(r rune) bool {
		return unicode.IsSpace(r) || strings.ContainsRune("([{\"'“‘«—–", r)
	})
	word := before
	if cut >= 0 {
		_, size := utf8.DecodeRuneInString(before[cut:])
		word = before[cut+size:]
	}
	switch {
	case word == "":
		return false
	case strings.TrimSpace(before) == word && len(word) <= 3 && strings.Trim(word, "0123456789") == "":
		return true // "12." at the head of a sentence numbers it
	}
	if utf8.RuneCountInString(word) == 1 || strings.Contains(word, ".") && !strings.Contains(word, "..") && len(word) <= 8 {
		// An initial or initialism: "J. Smith", "the U.S. Army".
		r, _ := utf8.DecodeRuneInString(word)
		return unicode.IsLetter(r) && !startsWithOpener(rest)
	}
	switch abbreviations[strings.ToLower(word)] {
	case always:
		return true
	case beforeDigit:
		return rest != "" && (rest[0] >= '0' && rest[0] <= '9')
	case unlessOpener:
		return !startsWithOpener(rest)
	}
	return false
}

const (
	always       = iota + 1 // stands before a name
	beforeDigit             // stands before a number, and is a word of its own
	unlessOpener            // may well be the last word of a sentence
)

var abbreviations = map[string]int{
	"mr": always, "mrs": always, "ms": always, "dr": always, "prof": always, "messrs": always, "mme": always, "mlle": always,
	"st": always, "mt": always, "ft": always, "rev": always, "hon": always, "gen": always, "col": always, "maj": always,
	"capt": always, "lt": always, "sgt": always, "cpl": always, "cmdr": always, "adm": always, "gov": always, "sen": always,
	"rep": always, "pres": always, "supt": always, "vs": always, "cf": always, "viz": always, "ca": always, "approx": always,
	"hr": always, "fr": always, "sra": always, "srta": always, "bzw": always, "vgl": always, "z.b": always,
	"no": beforeDigit, "nos": beforeDigit, "nr": beforeDigit, "art": beforeDigit, "fig": beforeDigit, "figs": beforeDigit,
	"vol": beforeDigit, "vols": beforeDigit, "chap": beforeDigit, "ch": beforeDigit, "sec": beforeDigit, "pp": beforeDigit,
	"pl": beforeDigit, "eq": beforeDigit, "ed": beforeDigit, "jan": beforeDigit, "feb": beforeDigit, "mar": beforeDigit,
	"apr": beforeDigit, "jun": beforeDigit, "jul": beforeDigit, "aug": beforeDigit, "sep": beforeDigit, "sept": beforeDigit,
	"oct": beforeDigit, "nov": beforeDigit, "dec": beforeDigit, "c": beforeDigit, "b": beforeDigit, "d": beforeDigit,
	"jr": unlessOpener, "sr": unlessOpener, "esq": unlessOpener, "inc": unlessOpener, "ltd": unlessOpener, "co": unlessOpener,
	"corp": unlessOpener, "bros": unlessOpener, "etc": unlessOpener, "al": unlessOpener, "dept": unlessOpener,
	"univ": unlessOpener, "ave": unlessOpener, "blvd": unlessOpener, "usw": unlessOpener,
}

// startsWithOpener reports whether text begins with a word that, with a capital,
// hardly stands anywhere but at the head of a sentence.
func startsWithOpener(text string) bool {
	text = strings.TrimLeft(text, "\"'“‘«([")
	stop := strings.IndexFunc(text, func(r rune) bool { return !unicode.IsLetter(r) })
	if stop < 0 {
		stop = len(text)
	}
	return openers[text[:stop]]
}

var openers = map[string]bool{
	"A": true, "After": true, "All": true, "Also": true, "Although": true, "An": true, "And": true, "As": true, "At": true,
	"Because": true, "Before": true, "But": true, "By": true, "During": true, "Each": true, "Every": true, "For": true,
	"From": true, "He": true, "Her": true, "His": true, "How": true, "However": true, "I": true, "If": true, "In": true,
	"It": true, "Its": true, "Later": true, "Many": true, "Most": true, "My": true, "No": true, "Not": true, "Now": true,
	"On": true, "One": true, "Or": true, "Our": true, "She": true, "Since": true, "So": true, "Some": true, "Still": true,
	"Such": true, "That": true, "The": true, "Their": true, "Then": true, "There": true, "These": true, "They": true,
	"This": true, "Those": true, "Though": true, "Thus": true, "To": true, "Under": true, "Until": true, "We": true,
	"What": true, "When": true, "Where": true, "Which": true, "While": true, "Who": true, "Why": true, "With": true,
	"Yet": true, "You": true, "Your": true,
}
