package wiki

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"
)

const dumpHead = `<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <dbname>dewiki</dbname>
    <base>https://de.wikipedia.org/wiki/Wikipedia:Hauptseite</base>
    <generator>MediaWiki 1.45.0</generator>
    <namespaces>
      <namespace key="-2" case="first-letter">Medium</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Diskussion</namespace>
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
`

// pageXML is a page as MediaWiki exports it; text is escaped already.
func pageXML(title string, ns int, id int, text string) string {
	return fmt.Sprintf(`  <page>
    <title>%s</title>
    <ns>%d</ns>
    <id>%d</id>
    <revision>
      <id>%d</id>
      <parentid>7</parentid>
      <timestamp>2026-01-02T03:04:05Z</timestamp>
      <contributor>
        <username>A &lt;page&gt;</username>
        <id>99</id>
      </contributor>
      <origin>%d</origin>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text bytes="5" sha1="x" xml:space="preserve">%s</text>
      <sha1>x</sha1>
    </revision>
  </page>
`, title, ns, id, id+1000, id+1000, text)
}

// scanAll gives the pages and the errors that were met.
func scanAll(t testing.TB, r io.Reader, opts ScanOptions) (pages []*Page, skipped []*PageError, site *Site, end error) {
	t.Helper()
	s := NewScanner(r, opts)
	for {
		p, err := s.Next()
		var skip *PageError
		switch {
		case err == nil:
			pages = append(pages, p)
		case errors.As(err, &skip):
			skipped = append(skipped, skip)
		default:
			return pages, skipped, s.Site(), err
		}
	}
}

func TestScanner(t *testing.T) {
	first := pageXML("A &amp; B", 0, 1, "x &lt;b&gt; &#x263A;&#9786; &amp;amp;")
	dump := dumpHead + first +
		"  <page>\n    <title>Weiter</title>\n    <ns>0</ns>\n    <id>2</id>\n    <redirect title=\"A &amp; B\" />\n    <revision><id>3</id><text /></revision></page>" +
		pageXML("Diskussion:C", 1, 4, "") + "</mediawiki>\n"
	pages, skipped, site, err := scanAll(t, iotest.OneByteReader(strings.NewReader(dump)), ScanOptions{})
	if !errors.Is(err, io.EOF) || len(skipped) > 0 || len(pages) != 3 {
		t.Fatalf("%d pages, %v, %v", len(pages), skipped, err)
	}
	want := Page{Title: "A & B", ID: 1, Revision: 1001, Model: "wikitext", Format: "text/x-wiki", Timestamp: "2026-01-02T03:04:05Z",
		Text: "x <b> ☺☺ &amp;", Revisions: 1, Offset: int64(len(dumpHead) + 2)}
	if *pages[0] != want {
		t.Errorf("got  %+v\nwant %+v", *pages[0], want)
	}
	if p := pages[1]; p.Redirect != "A & B" || p.Revision != 3 || p.Record != 1 || !strings.HasPrefix(dump[p.Offset:], "<page>") {
		t.Errorf("redirect %+v", *p)
	}
	if p := pages[2]; p.Namespace != 1 || p.Record != 2 || p.Text != "" {
		t.Errorf("talk %+v", *p)
	}
	if site.Language != "de" || site.DBName != "dewiki" || site.Schema != "0.11" || len(site.Namespaces) != 5 || site.Namespaces[3].Name != "Datei" {
		t.Errorf("site %+v", site)
	}
	if got := site.URL("A & B/Ä?"); got != "https://de.wikipedia.org/wiki/A_&_B/%C3%84%3F" {
		t.Errorf("URL %s", got)
	}
}

func TestUTF16(t *testing.T) {
	dump := dumpHead + pageXML("Ä🙂", 0, 1, "grün 🙂 \ufffd") + "</mediawiki>"
	units := utf16.Encode([]rune("\ufeff" + dump))
	units = append(units, 0xD800) // half of a pair, and half a unit, at the end
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		var in []byte
		for _, u := range units {
			in = order.AppendUint16(in, u)
		}
		in = append(in, 7)
		for _, in := range [][]byte{in, in[2:]} { // with and without the mark
			pages, skipped, site, err := scanAll(t, iotest.HalfReader(bytes.NewReader(in)), ScanOptions{})
			if !errors.Is(err, io.EOF) || len(skipped) > 0 || len(pages) != 1 || pages[0].Title != "Ä🙂" || pages[0].Text != "grün 🙂 \ufffd" || site.DBName != "dewiki" {
				t.Errorf("%v: %d pages, %v, %v", order, len(pages), skipped, err)
			}
		}
	}
}

func TestTheLastRevisionCounts(t *testing.T) {
	dump := `<page><title>T</title><id>1</id><revision><id>10</id><model>css</model><text>old</text></revision>` +
		`<revision><id>11</id><text>new</text><content><role>x</role><text>slot</text></content></revision></page>`
	pages, _, _, _ := scanAll(t, strings.NewReader(dump), ScanOptions{})
	if len(pages) != 1 || pages[0].Text != "new" || pages[0].Revision != 11 || pages[0].Revisions != 2 || pages[0].Model != "" {
		t.Errorf("%+v", pages[0])
	}
}

func TestLongHistoriesAreShortened(t *testing.T) {
	var b strings.Builder
	b.WriteString(dumpHead + "<page><title>T</title><ns>0</ns><id>1</id>")
	for i := range 3000 {
		fmt.Fprintf(&b, "<revision><id>%d</id><text>%s</text></revision>", i+10, strings.Repeat("x", 1000))
	}
	b.WriteString("</page>")
	b.WriteString(pageXML("U", 0, 2, "u") + "</mediawiki>")
	pages, skipped, _, err := scanAll(t, strings.NewReader(b.String()), ScanOptions{MaxPageBytes: 1 << 20})
	if !errors.Is(err, io.EOF) || len(skipped) > 0 || len(pages) != 2 {
		t.Fatalf("%d pages, %v, %v", len(pages), skipped, err)
	}
	if pages[0].Revision != 3009 || pages[1].Title != "U" {
		t.Errorf("%d, %s", pages[0].Revision, pages[1].Title)
	}
	for _, p := range pages {
		if !strings.HasPrefix(b.String()[p.Offset:], "<page>") {
			t.Errorf("%s is not at %d", p.Title, p.Offset)
		}
	}
}

func TestAHugePageTakesLittleMemory(t *testing.T) {
	word := strings.Repeat("endless text ", 5000)
	in := io.MultiReader(strings.NewReader(dumpHead+"<page><title>Huge</title><ns>0</ns><revision><text>"),
		io.LimitReader(&endless{word: word}, 256<<20),
		strings.NewReader("</text></revision></page>"+pageXML("After", 0, 2, "kept")+"</mediawiki>"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	pages, skipped, _, err := scanAll(t, in, ScanOptions{MaxPageBytes: 1 << 20})
	runtime.ReadMemStats(&after)
	if !errors.Is(err, io.EOF) || len(pages) != 1 || len(skipped) != 1 || skipped[0].Title != "Huge" || skipped[0].Cause != TooLong {
		t.Fatalf("%d pages, %v, %v", len(pages), skipped, err)
	}
	if got := after.TotalAlloc - before.TotalAlloc; got > 32<<20 {
		t.Errorf("%d MB were allocated for a page of 256 MB", got>>20)
	}
}

type endless struct {
	word string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.word[e.at:])
	e.at = (e.at + n) % len(e.word)
	return n, nil
}

func TestDamagedPagesAreSkippedAndTheRestKept(t *testing.T) {
	cut := pageXML("Cut", 0, 2, "text")
	cut = cut[:len(cut)/2]
	dump := dumpHead + pageXML("A", 0, 1, "a") + cut + pageXML("B", 0, 3, "b") +
		"<page><ns>0</ns></page>" + // no title
		"<page><title>Open</title><revision><text>never closed</revision></page>" +
		pageXML("Huge", 0, 4, strings.Repeat("word ", 300_000)) +
		pageXML("C", 0, 5, "bad \xff\xfe byte\x01s \xc3") + cut
	for _, size := range []int{1, 7, 1 << 20} {
		if size == 1 && testing.Short() {
			continue
		}
		pages, skipped, _, err := scanAll(t, &chunkReader{strings.NewReader(dump), size}, ScanOptions{MaxPageBytes: 1 << 20})
		if !errors.Is(err, ErrCut) {
			t.Errorf("end: %v", err)
		}
		var titles, causes []string
		for _, p := range pages {
			titles = append(titles, p.Title)
		}
		for _, s := range skipped {
			causes = append(causes, fmt.Sprint(s.Record, " ", s.Title, ": ", s.Cause))
			if !strings.HasPrefix(dump[s.Offset:], "<page>") {
				t.Errorf("%v: no page is there", s)
			}
		}
		if got := strings.Join(titles, ","); got != "A,B,C" {
			t.Errorf("pages %s", got)
		}
		if got, want := strings.Join(causes, "; "), "1 Cut: truncated page; 3 : malformed page; 4 Open: malformed page; 5 Huge: page too long; 7 Cut: truncated page"; got != want {
			t.Errorf("skipped %s", got)
		}
		if p := pages[len(pages)-1]; p.Text != "bad \uFFFD bytes \uFFFD" || p.Repaired != 2 {
			t.Errorf("repaired %q, %d", p.Text, p.Repaired)
		}
	}
}

type chunkReader struct {
	r    io.Reader
	size int
}

func (c *chunkReader) Read(p []byte) (int, error) { return c.r.Read(p[:min(len(p), c.size)]) }

func TestWhatIsNoDump(t *testing.T) {
	for _, in := range []string{"", "hello", "<html><body>page</body></html>", strings.Repeat("x", 3<<20)} {
		if _, _, _, err := scanAll(t, strings.NewReader(in), ScanOptions{}); !errors.Is(err, ErrNotDump) {
			t.Errorf("%.20q: %v", in, err)
		}
	}
	boom := errors.New("unplugged")
	_, _, _, err := scanAll(t, io.MultiReader(strings.NewReader(dumpHead+pageXML("A", 0, 1, "a")), iotest.ErrReader(boom)), ScanOptions{})
	if !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func TestNoEntityGrows(t *testing.T) {
	dump := `<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><mediawiki><page><title>T</title><revision><text>&b;&amp;b;&#0;&#xD800;&#99999999;</text></revision></page></mediawiki>`
	pages, _, _, _ := scanAll(t, strings.NewReader(dump), ScanOptions{})
	if len(pages) != 1 || pages[0].Text != "&b;&b;\uFFFD\uFFFD\uFFFD" {
		t.Errorf("%q", pages[0].Text)
	}
}

// bigDump has pages of each kind, enough for several pieces.
func bigDump(n int) string {
	var b strings.Builder
	b.WriteString(dumpHead)
	for i := range n {
		switch i % 7 {
		case 3:
			fmt.Fprintf(&b, "<page><title>R%d</title><ns>0</ns><redirect title=\"P\"/></page>", i)
		case 5:
			b.WriteString(pageXML(fmt.Sprint("Diskussion:T", i), 1, i, "talk"))
		case 6:
			b.WriteString("<page><title>broken")
		default:
			b.WriteString(pageXML(fmt.Sprint("P", i), 0, i, strings.Repeat(fmt.Sprintf("Some ''text'' with a [[link|label]] and {{template|%d}}.\n\n", i), 20)))
		}
	}
	b.WriteString("</mediawiki>")
	return b.String()
}

func TestPagesDoNotDependOnJobs(t *testing.T) {
	dump := bigDump(2000)
	var first string
	for _, jobs := range []int{1, 2, 5} {
		var b strings.Builder
		counts := map[Cause]int{}
		err := Pages(context.Background(), strings.NewReader(dump), Options{Jobs: jobs}, func(r *Result) error {
			fmt.Fprintln(&b, r.Page.Record, r.Page.Offset, r.Page.Title, r.Cause, len(r.Text), r.Site.DBName)
			counts[r.Cause]++
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = b.String()
			t.Log(counts)
		}
		if b.String() != first {
			t.Errorf("%d jobs give other results", jobs)
		}
		if counts[Redirect] != 286 || counts[OtherNamespace] != 285 || counts[Truncated] != 285 {
			t.Errorf("counts %v", counts)
		}
	}
}

func TestPagesGoesOnInside(t *testing.T) {
	dump := bigDump(700)
	type seen struct {
		record, offset int64
		title, text    string
		cause          Cause
	}
	var all []seen
	var site *Site
	collect := func(to *[]seen) func(*Result) error {
		return func(r *Result) error {
			*to = append(*to, seen{r.Page.Record, r.Page.Offset, r.Page.Title, r.Text, r.Cause})
			site = r.Site
			return nil
		}
	}
	if err := Pages(context.Background(), strings.NewReader(dump), Options{Jobs: 2}, collect(&all)); err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{1, 100, 500, len(all) - 1} {
		for _, before := range []int64{0, 1, 777} {
			var rest []seen
			from := all[k].offset - min(before, all[k].offset)
			err := Pages(context.Background(), strings.NewReader(dump[from:]), Options{Jobs: 2, Start: Start{Site: site, Offset: from, Page: all[k].offset, Record: all[k].record}}, collect(&rest))
			if err != nil || !slices.Equal(rest, all[k:]) {
				t.Errorf("from page %d: %d pages of %d, %v", k, len(rest), len(all)-k, err)
			}
		}
	}
	err := Pages(context.Background(), strings.NewReader("short"), Options{Start: Start{Site: site, Page: 100}}, collect(&all))
	if !errors.Is(err, io.EOF) {
		t.Errorf("past the end: %v", err)
	}
}

func TestPagesStops(t *testing.T) {
	enough := errors.New("enough")
	n := 0
	err := Pages(context.Background(), strings.NewReader(bigDump(5000)), Options{Jobs: 2}, func(*Result) error {
		if n++; n == 10 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || n != 10 {
		t.Errorf("%v after %d", err, n)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = Pages(ctx, strings.NewReader(bigDump(5000)), Options{Jobs: 2}, func(*Result) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}
