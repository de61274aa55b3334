package wiki

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

const cirrus = `{"index":{"_type":"_doc","_id":"12"}}
{"title":"A","namespace":0,"wiki":"dewiki","language":"de","timestamp":"2026-01-02T03:04:05Z","version":77,"content_model":"wikitext","text":"flat","source_text":"''Eins'' [[Datei:x.jpg]] [[Zwei|zwei]]"}
{"index":{"_id":13}}
{"title":"Diskussion:A","namespace":1,"wiki":"dewiki","language":"de","version":78,"text":"talk"}
{broken
{"index":{"_id":"14"}}
{"title":"B","namespace":0,"wiki":"dewiki","language":"de","version":79,"text":"Nur Text"}`

const enterprise = `{"name":"Cat","identifier":5,"date_modified":"2026-02-03T00:00:00Z","version":{"identifier":99},"url":"https://en.wikipedia.org/wiki/Cat","namespace":{"identifier":0},"in_language":{"identifier":"en"},"is_part_of":{"identifier":"enwiki"},"article_body":{"html":"<p>x</p>","wikitext":"A '''cat''' of {{convert|4|kg|lb}}."}}
{"identifier":6,"article_body":{}}
`

// tell gives what matters of the results.
func tell(t *testing.T, in io.Reader, opts Options) (told []string, err error) {
	t.Helper()
	err = Pages(context.Background(), in, opts, func(r *Result) error {
		told = append(told, fmt.Sprintf("%d %d/%d %s %q %s %s", r.Page.Record, r.Page.ID, r.Page.Revision, r.Page.Title, r.Text, r.Cause, r.Site.URL(r.Page.Title)))
		return nil
	})
	return told, err
}

// tarOf packs parts into an archive of numbered files.
func tarOf(t *testing.T, parts ...string) string {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for i, part := range parts {
		if err := w.WriteHeader(&tar.Header{Name: fmt.Sprintf("enwiki_namespace_0_%d.ndjson", i), Mode: 0o600, Size: int64(len(part))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, part); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return archive.String()
}

func TestJSONDumps(t *testing.T) {
	wantCirrus := []string{
		`0 12/77 A "Eins zwei"  https://de.wikipedia.org/wiki/A`,
		`1 13/78 Diskussion:A "" namespace https://de.wikipedia.org/wiki/Diskussion:A`,
		`2 0/0  "" malformed page `,
		`3 14/79 B "Nur Text"  https://de.wikipedia.org/wiki/B`,
	}
	wantEnterprise := []string{
		`0 5/99 Cat "A cat of 4 kilograms (8.8 lb)."  https://en.wikipedia.org/wiki/Cat`,
		`1 0/0  "" malformed page `,
	}
	archive := tarOf(t, strings.SplitAfter(enterprise, "\n")[:2]...)
	for name, c := range map[string]struct {
		in   string
		want []string
	}{"cirrus": {cirrus, wantCirrus}, "enterprise": {enterprise, wantEnterprise}, "archive": {archive, wantEnterprise}} {
		for jobs := 1; jobs < 3; jobs++ {
			got, err := tell(t, iotest.HalfReader(strings.NewReader(c.in)), Options{Jobs: jobs})
			if err != nil || strings.Join(got, "\n") != strings.Join(c.want, "\n") {
				t.Errorf("%s: %v\n%s", name, err, strings.Join(got, "\n"))
			}
		}
	}
	if got, err := tell(t, strings.NewReader(tarOf(t, "!! test\nno dump\n")), Options{}); !errors.Is(err, ErrNotDump) || len(got) > 0 {
		t.Errorf("an archive of something else: %v, %v", got, err)
	}
	// An archive that is cut gives what is whole of it, then says so.
	got, err := tell(t, strings.NewReader(archive[:600]), Options{})
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut archive: %v, %v", got, err)
	}
}

func TestLongLinesAreSkipped(t *testing.T) {
	var b strings.Builder
	for i := range 40 {
		size := 10
		if i == 20 {
			size = 3 << 20
		}
		fmt.Fprintf(&b, `{"name":"P%d","identifier":%d,"article_body":{"wikitext":"%s"}}`+"\n", i, i, strings.Repeat("x", size))
	}
	got, err := tell(t, strings.NewReader(b.String()), Options{MaxPageBytes: 1 << 20})
	if err != nil || len(got) != 40 || !strings.Contains(got[20], "malformed page") || !strings.Contains(got[21], "P21") {
		t.Errorf("%d results, %v; %.100v", len(got), err, got[20:22])
	}
	if _, err := tell(t, io.MultiReader(strings.NewReader(`{"name":"x"`), iotest.ErrReader(io.ErrClosedPipe)), Options{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("failing reader: %v", err)
	}
}

func FuzzPages(f *testing.F) {
	f.Add(cirrus)
	f.Add(enterprise)
	f.Add(dumpHead + pageXML("A", 0, 1, "a") + "</mediawiki>")
	f.Add("\xff\xfe<\x00p\x00")
	f.Fuzz(func(t *testing.T, in string) {
		record := int64(0)
		// That it ends, and in order, is what is asked; most input is no dump.
		_ = Pages(context.Background(), strings.NewReader(in), Options{Jobs: 2, MaxPageBytes: 1 << 16}, func(r *Result) error {
			if r.Page.Record != record || (r.Text == "") != (r.Cause != "") || r.Site == nil {
				t.Errorf("record %d: %+v", record, r)
			}
			record++
			return nil
		})
	})
}
