package ingest_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func TestTruncatedDumpKeepsItsWholePages(t *testing.T) {
	var pages []string
	for i := range 400 {
		pages = append(pages, page(i, 0, fmt.Sprintf("P%d", i), strings.Repeat(fmt.Sprintf("Words of page %d, %d. ", i, i*i), 40)))
	}
	packed := bunzipped(t, dump(pages...))
	for _, cut := range []int{len(packed) / 2, len(packed) - 3} {
		raw := lay(t, map[string][]byte{"d.xml.bz2": packed[:cut]})
		data := t.TempDir()
		report := run(t, ingest.Config{Data: data, Inputs: []string{raw}})
		if report.Totals.Documents == 0 || len(report.Totals.Damage) == 0 {
			t.Errorf("cut at %d: %+v", cut, report.Totals)
		}
		if cut == len(packed)/2 && (report.Totals.Documents > 300 || report.Totals.Documents < 50) {
			t.Errorf("of half a dump came %d documents", report.Totals.Documents)
		}
	}
	flipped := bytes.Clone(packed)
	flipped[len(flipped)/2] ^= 4
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{lay(t, map[string][]byte{"d.xml.bz2": flipped})}})
	if n := counted(report.Totals.Damage, "damaged compression"); n == 0 || report.Totals.Documents < 100 {
		t.Errorf("a flipped bit gives %+v", report.Totals)
	}
	gz := gzipped(t, dump(pages...))
	report = run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{lay(t, map[string][]byte{"d.xml.gz": gz[:len(gz)/2]})}})
	if n := counted(report.Totals.Damage, "truncated file"); n != 1 || report.Totals.Documents < 50 {
		t.Errorf("a truncated gzip dump gives %+v", report.Totals)
	}
}

func TestDumpCutInTheMiddleOfAPage(t *testing.T) {
	whole := dump(page(1, 0, "One", "Text one."), page(2, 0, "Two", "Text two, which is longer."), page(3, 0, "Three", "Text three."))
	cut := bytes.Index(whole, []byte("which is"))
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{lay(t, map[string][]byte{"d.xml": whole[:cut]})}})
	if report.Totals.Documents != 1 || counted(report.Totals.Skips, "truncated page") != 1 {
		t.Errorf("%+v", report.Totals)
	}
	s := report.Totals.Skips[0]
	if s.Example.Record != 1 || s.Example.Offset != int64(bytes.Index(whole, []byte("<page>\n    <title>Two"))) || s.Example.File != "d.xml" {
		t.Errorf("the place of the skip is %+v", s.Example)
	}
	torn := append(bytes.Clone(whole[:cut]), whole[bytes.LastIndex(whole, []byte("  <page>")):]...)
	report = run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{lay(t, map[string][]byte{"d.xml": torn})}})
	if report.Totals.Documents != 2 || report.Totals.Skipped != 1 {
		t.Errorf("a page cut before another: %+v", report.Totals)
	}
}

func TestInvalidBytesBecomeReplacementCharacters(t *testing.T) {
	raw := lay(t, map[string][]byte{
		"w/d.xml":  dump(page(1, 0, "A\xff", "B\xfe\x00 text.")),
		"b/x.txt":  []byte("ünï\xff NUL\x00 and \x01 controls ünïünïünïünïünïünï\r\n"),
		"c/c.warc": wet(0, "bad \xc3( and\x00 NUL"),
	})
	for _, c := range []struct{ dir, kind, want string }{
		{"w", "wiki", "B\ufffd text."}, {"b", "books", "ünï\ufffd NUL and controls ünïünïünïünïünïünï"}, {"c", "web", "bad \ufffd( and NUL"},
	} {
		data := t.TempDir()
		report := run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, c.dir)}})
		docs := texts(t, data, c.kind)
		if len(docs) != 1 || docs[0].Text != c.want {
			t.Errorf("%s: %q", c.dir, docs[0].Text)
		}
		if counted(report.Totals.Repairs, "invalid bytes replaced by U+FFFD") == 0 {
			t.Errorf("%s: the report tells of no repair: %+v", c.dir, report.Totals)
		}
	}
}

func TestInputsThatAreNone(t *testing.T) {
	binary := bytes.Repeat([]byte{0, 1, 2, 3, 0xff}, 1000)
	raw := lay(t, map[string][]byte{"bin/x.dat": binary, ".git/config": []byte("x"), "bin/.hidden": []byte("x"), "a/x.txt": []byte("x"), "b/x.txt": []byte("y"), "void/x.txt": []byte(" \n")})
	empty := t.TempDir()
	for _, c := range []struct {
		inputs []string
		kind   string
		want   string
	}{
		{nil, "", "no file or directory"},
		{[]string{empty}, "", "is empty"},
		{[]string{empty}, "books", "is empty"},
		{[]string{filepath.Join(raw, "bin")}, "", "none that can be ingested"},
		{[]string{filepath.Join(raw, "bin", "x.dat")}, "", "cannot tell what it is"},
		{[]string{filepath.Join(raw, "nowhere")}, "", "no such file"},
		{[]string{filepath.Join(raw, "a"), filepath.Join(raw, "b")}, "text", `both be called "x.txt"`},
		{[]string{filepath.Join(raw, "a")}, "audio", "the kinds are"},
		{[]string{filepath.Join(raw, "void")}, "text", "gave no document"},
		{[]string{filepath.Join(raw, "a")}, "web", "gave no document"},
		{[]string{filepath.Join(raw, "a")}, "wiki", "gave no document"},
		{[]string{os.DevNull}, "text", "neither a file nor a directory"},
	} {
		_, err := ingest.Run(context.Background(), ingest.Config{Data: t.TempDir(), Inputs: c.inputs, Kind: c.kind, Log: quiet})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v as %q: %v, want %q", c.inputs, c.kind, err, c.want)
		}
	}
	_, err := ingest.Run(context.Background(), ingest.Config{Data: t.TempDir(), Inputs: []string{empty}, Log: quiet})
	if !errors.Is(err, ingest.ErrNoInput) {
		t.Errorf("an empty directory gives %v", err)
	}
	data := t.TempDir()
	_, err = ingest.Run(context.Background(), ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "void")}, Kind: "text", Log: quiet})
	if !errors.Is(err, ingest.ErrNoDocuments) {
		t.Errorf("a blank text gives %v", err)
	}
	if names, err := ingest.Sources(data); err != nil || len(names) != 0 {
		t.Errorf("it leaves the sources %v (%v)", names, err)
	}
	if report, err := ingest.ReadReport(data, "text"); err != nil || report.Totals.Skipped != 1 {
		t.Errorf("its report is %+v (%v)", report, err)
	}
}

func TestFilesThatCannotBeReadAreCounted(t *testing.T) {
	raw := lay(t, map[string][]byte{
		"good.txt": []byte("Good."), "cut.txt.gz": gzipped(t, []byte("Words that will be cut off before the end of the text, as they are too many."))[:60],
		"long.txt": bytes.Repeat([]byte("long "), 1000), "image.png": append([]byte("\x89PNG\r\n\x1a\n"), bytes.Repeat([]byte{0, 7}, 200)...),
	})
	if err := os.Symlink(filepath.Join(raw, "nowhere"), filepath.Join(raw, "dangling.txt")); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(raw, "locked.txt")
	if err := os.WriteFile(locked, []byte("locked"), 0); err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	report := run(t, ingest.Config{Data: data, Inputs: []string{raw}, MaxRecordBytes: 3000})
	if report.Kind != "books" || report.Totals.Documents != 1 && os.Getuid() != 0 {
		t.Errorf("%s: %d documents", report.Kind, report.Totals.Documents)
	}
	if n := report.Totals.Records - report.Totals.Skipped; n != report.Totals.Documents {
		t.Errorf("%d records, %d skipped, %d documents", report.Totals.Records, report.Totals.Skipped, report.Totals.Documents)
	}
	for cause, n := range map[string]int64{"truncated file": 1, "file too large": 1, "file of another kind": 1} {
		if got := counted(report.Totals.Skips, cause); got != n {
			t.Errorf("%d skips of cause %q, want %d: %+v", got, cause, n, report.Totals.Skips)
		}
	}
	// The superuser reads what nobody may.
	if got := counted(report.Totals.Skips, "unreadable"); got < 1 || got > 2 {
		t.Errorf("%d unreadable files", got)
	}
}

func TestArchivesInPieces(t *testing.T) {
	var packed []byte
	var offsets []int
	for i := range 20 {
		offsets = append(offsets, len(packed))
		packed = append(packed, gzipped(t, wet(i, fmt.Sprintf("Page %d. %s", i, strings.Repeat("words ", i*7))))...)
	}
	flip := bytes.Clone(packed)
	flip[offsets[5]+60] ^= 0xff
	lost := append(bytes.Clone(packed[:offsets[7]+30]), packed[offsets[8]:]...)
	noise := append(append(bytes.Clone(packed[:offsets[3]]), []byte("HTTP 500 noise \x1f\x8b\x08 noise")...), packed[offsets[3]:]...)
	for name, c := range map[string]struct {
		data []byte
		docs int64
	}{
		"flipped": {flip, 19}, "cut out": {lost, 19}, "noise": {noise, 20}, "truncated": {packed[:offsets[19]+20], 19},
	} {
		data := t.TempDir()
		report := run(t, ingest.Config{Data: data, Inputs: []string{lay(t, map[string][]byte{"c.warc.wet.gz": c.data})}})
		if report.Totals.Documents != c.docs || report.Totals.Skipped < 1 {
			t.Errorf("%s: %d documents, %+v", name, report.Totals.Documents, report.Totals.Skips)
		}
		for _, s := range report.Totals.Skips {
			if s.Example == nil || s.Example.File != "c.warc.wet.gz" {
				t.Errorf("%s: no example of %q", name, s.Name)
			}
		}
	}
}

func TestArchivedPages(t *testing.T) {
	text := strings.Repeat("The boats came home in the evening, and all of the men were on board of them. ", 3)
	html := `<html lang="en-GB"><title>Harbour</title><nav><a href="/">Home</a></nav><p>` + text + `</p></html>`
	record := func(i int, kind, body string) []byte {
		return fmt.Appendf(nil, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Target-URI: https://site.example/%d\r\nWARC-Date: 2024-05-06T07:08:09Z\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", kind, i, len(body), body)
	}
	packed := gzipped(t, []byte(html))
	var crawl []byte
	for i, r := range []struct{ kind, body string }{
		{"warcinfo", "software: x\r\n"}, {"request", "GET / HTTP/1.1\r\n\r\n"},
		{"response", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html},
		{"response", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + string(packed)},
		{"response", "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n\r\n" + html},
		{"response", "HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\nx"},
		{"response", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + string(gzipped(t, make([]byte, 9<<20)))},
		{"response", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<a href=/>Home</a>"},
	} {
		crawl = append(crawl, gzipped(t, record(i, r.kind, r.body))...)
	}
	data := t.TempDir()
	report := run(t, ingest.Config{Data: data, MaxRecordBytes: 8 << 20, Inputs: []string{lay(t, map[string][]byte{"c.warc.gz": crawl})}})
	docs := texts(t, data, "web")
	if len(docs) != 2 || docs[0].Text != strings.TrimSpace(text) || docs[1].Text != docs[0].Text || docs[0].Title != "Harbour" || docs[0].Language != "en" ||
		docs[1].URL != "https://site.example/3" || docs[1].Record != 3 || docs[0].Date != "2024-05-06T07:08:09Z" {
		t.Errorf("%d documents, %+v", len(docs), docs)
	}
	for cause, n := range map[string]int64{
		"record of type warcinfo": 1, "record of type request": 1, "HTTP status other than 200": 1, "content of another type than HTML": 1,
		"page too large": 1, "page without main text": 1,
	} {
		if counted(report.Totals.Skips, cause) != n {
			t.Errorf("cause %q: %+v", cause, report.Totals.Skips)
		}
	}
}

func TestCancelledRunCanBeRunAgain(t *testing.T) {
	raw := lay(t, map[string][]byte{"a.txt": []byte("A."), "b.txt": []byte("B.")})
	data := t.TempDir()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	cfg := ingest.Config{Data: data, Inputs: []string{raw}, Kind: "text", Log: quiet}
	if _, err := ingest.Run(ctx, cfg); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run gives %v", err)
	}
	if report := run(t, cfg); report.Totals.Documents != 2 {
		t.Errorf("run again: %+v", report.Totals)
	}
}
