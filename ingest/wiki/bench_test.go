package wiki

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/bzip2"
)

// article is wikitext of every common kind, escaped as in a dump.
const article = `{{Infobox settlement
| name = Sample {{nowrap|Town}}
| population = {{formatnum:12345}}
}}
'''Sample Town''' ({{IPAc-en|s|ɑː}}; ''also'' [[Old Town|the old town]]) lies {{convert|12|km|mi}} from [[Elsewhere]].&lt;ref&gt;{{cite web|url=https://example.org/a|title=A title}}&lt;/ref&gt; It has a river, a bridge and [[List of mills|two mills]], which were built in 1750 and 1812 by the same family; nothing is left of the first but its wheel.&lt;ref name="x" /&gt;

== History ==
[[File:Town.jpg|thumb|left|A view of the [[river]] in winter]]
The town was founded in 1200 &amp;ndash; or so ''The Chronicle'' tells &amp;ndash; by a duke whose name is not known. In the following centuries it grew slowly, burned down three times and was built again each time on the same plan, with a market in the middle and four streets that lead to four gates.

* the [[North Gate]], of which a tower stands
* the '''East Gate'''
** with its bridge

{| class="wikitable"
! Year !! People
|-
| 1800 || 1,200
|-
| 1900 || 5,400
|}

== References ==
{{reflist}}
[[Category:Towns]]
`

// BenchmarkPages measures XML in, text out, in bytes of XML on one goroutine.
func BenchmarkPages(b *testing.B) {
	var d strings.Builder
	d.WriteString(dumpHead)
	for i := range 2000 {
		d.WriteString(pageXML(fmt.Sprint("Page ", i), 0, i+1, article))
	}
	d.WriteString("</mediawiki>")
	b.SetBytes(int64(d.Len()))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		err := Pages(context.Background(), strings.NewReader(d.String()), Options{Jobs: 1}, func(r *Result) error {
			n += len(r.Text)
			return nil
		})
		if err != nil || n < 2000*500 {
			b.Fatal(n, err)
		}
	}
}

// dataDir is a directory of real dumps, by the variable TRIBUTARY_DATA; without
// it the tests of real data have nothing to do.
func dataDir(t testing.TB) string {
	dir := os.Getenv("TRIBUTARY_DATA")
	if dir == "" {
		t.Log("TRIBUTARY_DATA is not set: no real dumps to read")
	}
	return dir
}

// processorTime is what the process has used; a shared machine does not change it
// as it does the time by the clock.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRealDumps measures decompressed XML in, text out, on one goroutine.
func BenchmarkRealDumps(b *testing.B) {
	dir := dataDir(b)
	if dir == "" {
		return
	}
	for _, name := range []string{"enwiki-latest-pages-articles1-shortened.xml.bz2", "viwiki-20230501-truncated-100k-lines.xml.bz2", "jawiki-20230501-truncated-100k-lines.xml.bz2"} {
		f, err := os.Open(filepath.Join(dir, "mediawiki", "dumps", name))
		if err != nil {
			b.Fatal(err)
		}
		r := bzip2.NewReader(f, bzip2.Options{})
		dump, err := io.ReadAll(r)
		if err = errors.Join(err, r.Close(), f.Close()); err != nil {
			b.Fatal(err)
		}
		b.Run(name[:6], func(b *testing.B) {
			b.SetBytes(int64(len(dump)))
			begin := processorTime(b)
			defer func() {
				b.ReportMetric(float64(len(dump))*float64(b.N)/1e6/(processorTime(b)-begin).Seconds(), "MB/cpu-s")
			}()
			for b.Loop() {
				err := Pages(context.Background(), bytes.NewReader(dump), Options{Jobs: 1}, func(*Result) error { return nil })
				if err != nil && !errors.Is(err, ErrCut) {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestRealDumps reads every bzip2 dump below TRIBUTARY_DATA and looks for what no
// text should hold.
func TestRealDumps(t *testing.T) {
	dir := dataDir(t)
	if dir == "" {
		return
	}
	paths, err := filepath.Glob(filepath.Join(dir, "mediawiki", "*", "*.xml*.bz2"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no dumps: %v", err)
	}
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		r := bzip2.NewReader(f, bzip2.Options{})
		texts, left := 0, 0
		err = Pages(context.Background(), r, Options{}, func(res *Result) error {
			if res.Text == "" {
				return nil
			}
			texts++
			if !utf8.ValidString(res.Text) || strings.ContainsRune(res.Text, markerByte) {
				t.Errorf("%s: %q is no clean text", path, res.Page.Title)
			}
			for _, mark := range []string{"<ref", "{{cite", "[[File:", "|thumb|", "\n\n\n", "&nbsp;", "__TOC__", "<div", "style=\""} {
				if strings.Contains(res.Text, mark) {
					left++
					t.Logf("%s: %q has %q", filepath.Base(path), res.Page.Title, mark)
					break
				}
			}
			return nil
		})
		if left > 2+texts/50 {
			t.Errorf("%s: markup is left in %d of %d texts", path, left, texts)
		}
		t.Logf("%s: %d texts, %v", filepath.Base(path), texts, err)
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

var _ io.ReadCloser = (*bzip2.Reader)(nil)
