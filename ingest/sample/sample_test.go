package sample

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/store"
)

func write(t *testing.T, opts Options) (string, *Report) {
	t.Helper()
	dir := t.TempDir()
	r, err := Write(context.Background(), dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return dir, r
}

func read(t *testing.T, parts ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func unbzip(t *testing.T, data []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(bzip2.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func digest(t *testing.T, dir string) string {
	t.Helper()
	m, err := store.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Verify(dir); err != nil {
		t.Fatal(err)
	}
	return m.Digest()
}

func TestBytesAreAFunctionOfSeedAndScale(t *testing.T) {
	a, _ := write(t, Options{Seed: 1, Scale: 0.05})
	b, _ := write(t, Options{Seed: 1, Scale: 0.05})
	c, _ := write(t, Options{Seed: 2, Scale: 0.05})
	if digest(t, a) != digest(t, b) {
		t.Error("the same options gave other bytes")
	}
	if digest(t, a) == digest(t, c) {
		t.Error("another seed gave the same bytes")
	}
	before := digest(t, a)
	r, err := Write(context.Background(), a, Options{Seed: 1, Scale: 0.05})
	if err != nil || !r.Cached {
		t.Errorf("a second Write says %+v, %v; want it to find everything done", r, err)
	}
	if _, err := Write(context.Background(), a, Options{Seed: 2, Scale: 0.05}); err != nil {
		t.Fatal(err)
	}
	if got := digest(t, a); got == before || got != digest(t, c) {
		t.Error("Write over another corpus did not give the corpus that was asked for")
	}
}

func TestDefaultScaleIsAFewMegabytes(t *testing.T) {
	_, r := write(t, Options{Seed: 1})
	if r.TextBytes < 5e6 || r.TextBytes > 8e6 {
		t.Errorf("%.1f MB of text, want 5 to 8", float64(r.TextBytes)/1e6)
	}
	if r.Articles < 500 {
		t.Errorf("%d articles, want several hundred", r.Articles)
	}
}

// TestWikiHasTheFormsOfADump counts with a reader that is not ours.
func TestWikiHasTheFormsOfADump(t *testing.T) {
	dir, r := write(t, Options{Seed: 3, Scale: 0.1})
	dump := unbzip(t, read(t, dir, WikiFile))
	// The torn page is cut out, for encoding/xml accepts no damage.
	torn := bytes.Index(dump, []byte("<title>Torn page</title>"))
	if torn < 0 {
		t.Fatal("no torn page")
	}
	begin := bytes.LastIndex(dump[:torn], []byte("<page>"))
	next := bytes.Index(dump[torn:], []byte("<page>"))
	whole := append(append([]byte{}, dump[:begin]...), dump[torn+next:]...)
	if utf8.Valid(whole) {
		t.Error("no page has bytes that are no UTF-8")
	}
	var doc struct {
		Pages []struct {
			Title    string `xml:"title"`
			NS       int    `xml:"ns"`
			Redirect *struct {
				Title string `xml:"title,attr"`
			} `xml:"redirect"`
			Text struct {
				Bytes int    `xml:"bytes,attr"`
				Body  string `xml:",chardata"`
			} `xml:"revision>text"`
		} `xml:"page"`
	}
	if err := xml.Unmarshal(bytes.ToValidUTF8(whole, []byte("?")), &doc); err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	for _, p := range doc.Pages {
		switch {
		case p.Redirect != nil:
			count["redirect"]++
		case p.NS != 0:
			count[fmt.Sprint("ns", p.NS)]++
		default:
			count["article"]++
			if strings.Contains(p.Title, ": ") {
				count["colon"]++
			}
			if len(p.Text.Body) != p.Text.Bytes && p.Title != "Damaged letters" {
				t.Errorf("%s: text of %d bytes says it has %d", p.Title, len(p.Text.Body), p.Text.Bytes)
			}
			for _, form := range []string{"{{Infobox", "{|", "<ref", "[[", "'''", "&ndash;", "<!--"} {
				if strings.Contains(p.Text.Body, form) {
					count[form]++
				}
			}
		}
	}
	if count["article"] != r.Articles {
		t.Errorf("the dump has %d articles, the report says %d", count["article"], r.Articles)
	}
	for _, form := range []string{"redirect", "ns1", "ns8", "ns10", "ns14", "colon", "{{Infobox", "{|", "<ref", "[[", "'''", "&ndash;", "<!--"} {
		if count[form] == 0 {
			t.Errorf("the dump has no %s", form)
		}
	}
}

func TestBooks(t *testing.T) {
	dir, r := write(t, Options{Seed: 3, Scale: 0.1})
	names, err := filepath.Glob(filepath.Join(dir, BooksDir, "*.txt"))
	if err != nil || len(names) != r.Books+1 {
		t.Fatalf("%d files for %d books and an empty file (%v)", len(names), r.Books, err)
	}
	var crlf, notUTF8, mark int
	for _, name := range names {
		data := read(t, name)
		if strings.HasSuffix(name, "zz-empty.txt") {
			continue
		}
		if bytes.Contains(data, []byte("\r\n")) {
			crlf++
		}
		if !utf8.Valid(data) {
			notUTF8++
			if !bytes.Contains(data, []byte("Character set encoding: ISO-8859-1")) {
				t.Errorf("%s is not UTF-8 and does not say so", name)
			}
		}
		if bytes.HasPrefix(data, []byte("\ufeff")) {
			mark++
		}
		for _, line := range strings.Split(string(data), "\n") {
			if len(line) > 120 {
				t.Errorf("%s has a line of %d bytes", name, len(line))
				break
			}
		}
		for _, form := range []string{"*** START OF THIS PROJECT GUTENBERG EBOOK", "*** END OF THIS PROJECT GUTENBERG EBOOK", "CHAPTER II", "THE END"} {
			if !bytes.Contains(data, []byte(form)) {
				t.Errorf("%s has no %q", name, form)
			}
		}
	}
	if crlf == 0 || notUTF8 != 1 || mark != 1 {
		t.Errorf("%d books with CRLF, %d in ISO-8859-1, %d with a byte order mark", crlf, notUTF8, mark)
	}
}

// TestCrawlHasOneMemberARecord walks the gzip members and finds exactly the
// planted faults.
func TestCrawlHasOneMemberARecord(t *testing.T) {
	dir, r := write(t, Options{Seed: 3, Scale: 0.1})
	data := read(t, dir, CrawlFile)
	var members, unreadable, wrongLength, notUTF8 int
	for len(data) > 0 {
		members++
		src := bufio.NewReader(bytes.NewReader(data))
		z, err := gzip.NewReader(src)
		if err != nil {
			t.Fatal(err)
		}
		z.Multistream(false)
		text, err := io.ReadAll(z)
		if err != nil {
			unreadable++
			next := bytes.Index(data[1:], data[:10])
			if next < 0 {
				t.Fatal("no member behind the damaged one")
			}
			data = data[next+1:]
			continue
		}
		rest, err := io.ReadAll(src)
		if err != nil {
			t.Fatal(err)
		}
		data = data[len(data)-len(rest):]
		if members == 1 && !bytes.Contains(text, []byte("WARC-Type: warcinfo")) {
			t.Error("the first record is no warcinfo")
		}
		head, body, _ := bytes.Cut(text, []byte("\r\n\r\n"))
		var length int
		for _, line := range strings.Split(string(head), "\r\n") {
			if value, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				if _, err := fmt.Sscan(value, &length); err != nil {
					t.Error(err)
				}
			}
		}
		if length != len(body)-4 {
			wrongLength++
		}
		if !utf8.Valid(body) {
			notUTF8++
		}
	}
	if members != r.CrawlRecords+1 || unreadable != 1 || wrongLength != 1 || notUTF8 != 1 {
		t.Errorf("%d members for %d records; %d unreadable, %d with a wrong length, %d not UTF-8", members, r.CrawlRecords, unreadable, wrongLength, notUTF8)
	}
}

func TestPlantedListNamesWhatIsThere(t *testing.T) {
	dir, _ := write(t, Options{Seed: 3, Scale: 0.1})
	var p Planted
	if err := json.Unmarshal(read(t, dir, PlantedFile), &p); err != nil {
		t.Fatal(err)
	}
	dump := string(unbzip(t, read(t, dir, WikiFile)))
	check := func(pl Place) {
		t.Helper()
		if _, err := os.Stat(filepath.Join(dir, filepath.FromSlash(pl.File))); err != nil {
			t.Error(err)
		}
		if pl.Title != "" && !strings.Contains(dump, "<title>"+pl.Title+"</title>") {
			t.Errorf("no page %q", pl.Title)
		}
	}
	for _, pair := range append(p.Exact, p.Near...) {
		check(pair.Original)
		check(pair.Copy)
	}
	for _, pair := range p.Near {
		if pair.Changed <= 0 || pair.Changed > 0.1 {
			t.Errorf("%+v: %.3f of the words changed", pair, pair.Changed)
		}
	}
	for _, f := range p.Broken {
		check(f.Place)
	}
	if len(p.Exact) < 15 || len(p.Near) < 10 || len(p.Broken) < 5 || len(p.Overlap) == 0 {
		t.Errorf("planted %d exact, %d near, %d broken, %d overlapping", len(p.Exact), len(p.Near), len(p.Broken), len(p.Overlap))
	}
}

// TestTextHasMoreThanUnigrams compares what the frequencies of words say about
// held-out text with what the word before says: a model has to find much more
// than the former.
func TestTextHasMoreThanUnigrams(t *testing.T) {
	dir, _ := write(t, Options{Seed: 3, Scale: 0.5})
	var words []string
	names, err := filepath.Glob(filepath.Join(dir, BooksDir, "book-*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		words = append(words, strings.Fields(strings.ToLower(string(read(t, name))))...)
	}
	cut := len(words) * 9 / 10
	uni, bi := map[string]float64{}, map[[2]string]float64{}
	for i, word := range words[:cut] {
		uni[word]++
		if i > 0 {
			bi[[2]string{words[i-1], word}]++
		}
	}
	vocabulary := float64(len(uni) + 1)
	var h1, h2 float64
	for i := cut; i < len(words); i++ {
		p1 := (uni[words[i]] + 1) / (float64(cut) + vocabulary)
		before := words[i-1]
		p2 := (bi[[2]string{before, words[i]}] + 20*p1) / (uni[before] + 20)
		h1 -= math.Log(p1)
		h2 -= math.Log(p2)
	}
	n := float64(len(words) - cut)
	t.Logf("%d words, %d different; held out: %.2f nats by frequency, %.2f by the word before", len(words), len(uni), h1/n, h2/n)
	if len(uni) < 800 {
		t.Errorf("only %d different words", len(uni))
	}
	if h1/n-h2/n < 1 {
		t.Errorf("the word before saves only %.2f nats", h1/n-h2/n)
	}
}

func TestWordFormsAreRegular(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{plural("gallery"), "galleries"}, {plural("day"), "days"}, {plural("birch"), "birches"},
		{third("carry"), "carries"}, {past("carry"), "carried"}, {past("bake"), "baked"}, {past("polish"), "polished"},
		{article("old net"), "an"}, {article("net"), "a"}, {roman(14), "XIV"}, {roman(9), "IX"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	// The rules are for regular words: these are the endings they would get wrong.
	for _, topic := range topics() {
		for _, noun := range topic.agents {
			if strings.HasSuffix(noun, "man") || strings.HasSuffix(noun, "fe") {
				t.Errorf("%s: the plural of %q is irregular", topic.name, noun)
			}
		}
		for _, act := range topic.acts {
			if len(act.objects) == 0 {
				t.Errorf("%s: %q has no object", topic.name, act.verb)
			}
		}
	}
}

func TestBadInput(t *testing.T) {
	for _, scale := range []float64{-1, 1e9, math.NaN(), math.Inf(1)} {
		if _, err := Write(context.Background(), t.TempDir(), Options{Scale: scale}); err == nil {
			t.Errorf("scale %g was accepted", scale)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(context.Background(), filepath.Join(file, "below"), Options{}); err == nil {
		t.Error("a directory below a file was accepted")
	}
	other := t.TempDir()
	if err := store.WriteManifest(other, &store.Manifest{Format: "something/1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Write(context.Background(), other, Options{Scale: 0.05}); err == nil {
		t.Error("a directory that holds something else was overwritten")
	}
}

func TestStopsWhenAskedAndLeavesNothingHalfWritten(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Write(ctx, dir, Options{Scale: 0.05}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled Write says %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, store.ManifestName)); err == nil {
		t.Error("a cancelled Write left a manifest")
	}
	if _, err := Write(context.Background(), dir, Options{Scale: 0.05}); err != nil {
		t.Fatal(err)
	}
	whole, _ := write(t, Options{Scale: 0.05})
	if digest(t, dir) != digest(t, whole) {
		t.Error("a corpus begun again has other bytes")
	}
}

func BenchmarkWrite(b *testing.B) {
	for b.Loop() {
		r, err := Write(context.Background(), b.TempDir(), Options{Seed: 1})
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(r.TextBytes)
	}
}
