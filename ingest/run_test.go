package ingest_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/bzip2"
	"github.com/tributary-ml/tributary/ingest/progress"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// page is a page of a dump in the export schema.
func page(id, ns int, title, text string) string {
	return fmt.Sprintf(`  <page>
    <title>%s</title>
    <ns>%d</ns>
    <id>%d</id>
    <revision>
      <id>%d</id>
      <timestamp>2024-01-02T03:04:05Z</timestamp>
      <model>wikitext</model>
      <format>text/x-wiki</format>
      <text xml:space="preserve">%s</text>
    </revision>
  </page>
`, title, ns, id, 1000+id, text)
}

func dump(pages ...string) []byte {
	return []byte(`<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">
  <siteinfo><sitename>Wiki</sitename><dbname>testwiki</dbname><base>https://wiki.example/wiki/Main_Page</base></siteinfo>
` + strings.Join(pages, "") + "</mediawiki>\n")
}

func bunzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := bzip2.NewWriter(&b, 1)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// wet is a record of extracted text.
func wet(i int, text string) []byte {
	return fmt.Appendf(nil, "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://site.example/%d\r\nWARC-Record-ID: <urn:uuid:%d>\r\n"+
		"WARC-Identified-Content-Language: deu,eng\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, i, len(text), text)
}

// lay writes files into a new directory and returns it.
func lay(t testing.TB, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func run(t testing.TB, cfg ingest.Config) *ingest.Report {
	t.Helper()
	cfg.Log = quiet
	report, err := ingest.Run(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func texts(t testing.TB, data, source string) (out []*ingest.Document) {
	t.Helper()
	for d, err := range ingest.Documents(context.Background(), data, source) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, d)
	}
	return out
}

// digestTree hashes names and contents of all files under dir.
func digestTree(t testing.TB, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ingest.TimingName {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %d\n", rel, len(data))
		h.Write(data)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func counted(counts []ingest.Count, name string) int64 {
	for _, c := range counts {
		if c.Name == name {
			return c.Count
		}
	}
	return 0
}

func TestAllKindsFromTheirNamesAndContents(t *testing.T) {
	raw := lay(t, map[string][]byte{
		"wiki.xml.bz2": bunzipped(t, dump(page(1, 0, "One", "'''One''' is a [[number|numeral]]."), page(2, 1, "Talk:One", "talk"), page(3, 0, "C: a language", "A &amp; B."))),
		"books/a.txt":  []byte("The Project Gutenberg EBook of A\r\n\r\nTitle: A Tale\r\nAuthor: X. Y.\r\nLanguage: German\r\n\r\n*** START OF THIS PROJECT GUTENBERG EBOOK A ***\r\n\r\nEs war\r\neinmal.\r\n\r\n*** END OF THIS PROJECT GUTENBERG EBOOK A ***\r\nlicence\r\n"),
		"books/b.txt":  []byte("Caf\xe9 au lait.\n"),
		"crawl.gz":     append(gzipped(t, wet(0, "Erste Seite.")), gzipped(t, wet(1, "Zweite\xff Seite."))...),
	})
	data := t.TempDir()
	split, err := ingest.Split(context.Background(), ingest.Config{Data: data, Inputs: []string{raw}, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, cfg := range split {
		report := run(t, cfg)
		got = append(got, fmt.Sprintf("%s %d/%d", report.Source, report.Totals.Documents, report.Totals.Records))
	}
	if want := "[wiki 2/3 books 2/2 web 2/2]"; fmt.Sprint(got) != want {
		t.Errorf("ingested %v, want %s", got, want)
	}
	wiki := texts(t, data, "wiki")
	if d := wiki[0]; d.Text != "One is a numeral." || d.Title != "One" || d.URL != "https://wiki.example/wiki/One" || d.Language != "en" ||
		d.Revision != "1001" || d.File != "wiki.xml.bz2" || d.Record != 0 || d.ID != ingest.NewID("wiki", "wiki.xml.bz2", "1/1001") {
		t.Errorf("wiki document %+v", d)
	}
	if d := wiki[1]; d.Title != "C: a language" || d.Text != "A & B." || d.Record != 2 {
		t.Errorf("wiki document %+v", d)
	}
	shelf := texts(t, data, "books")
	if d := shelf[0]; d.Title != "A Tale" || d.Author != "X. Y." || d.Language != "de" || d.Text != "Es war einmal." || d.File != "a.txt" {
		t.Errorf("book %+v", d)
	}
	if d := shelf[1]; d.Title != "b" || d.Text != "Café au lait." {
		t.Errorf("book %+v", d)
	}
	web := texts(t, data, "web")
	if d := web[0]; d.URL != "https://site.example/0" || d.Language != "de" || d.Text != "Erste Seite." || d.Offset != 0 || d.Revision != "urn:uuid:0" {
		t.Errorf("page %+v", d)
	}
	if d := web[1]; d.Text != "Zweite\ufffd Seite." || d.Offset != int64(len(gzipped(t, wet(0, "Erste Seite.")))) {
		t.Errorf("page %+v", d)
	}
	if _, err := ingest.Run(context.Background(), ingest.Config{Data: data, Inputs: []string{raw}, Log: quiet}); err == nil || !strings.Contains(err.Error(), "several kinds") {
		t.Errorf("inputs of several kinds give %v", err)
	}
}

func TestNotesBesideADumpAreNoBooks(t *testing.T) {
	raw := lay(t, map[string][]byte{"d.xml": dump(page(1, 0, "One", "Text.")), "README.txt": []byte("This is a dump."), "index.txt": []byte("1:1:One")})
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{raw}})
	if report.Kind != "wiki" || report.Totals.Documents != 1 || counted(report.Totals.Skips, "file of another kind") != 2 {
		t.Errorf("%s: %+v", report.Kind, report.Totals)
	}
}

func TestBytesDoNotDependOnJobs(t *testing.T) {
	var pages []string
	shelf := map[string][]byte{}
	var crawl []byte
	for i := range 300 {
		text := strings.Repeat(fmt.Sprintf("Sentence %d of the page. ", i), 1+i%37*3)
		pages = append(pages, page(i, 0, fmt.Sprintf("Page %d", i), text))
		shelf[fmt.Sprintf("b%03d.txt", i)] = []byte(text)
		crawl = append(crawl, gzipped(t, wet(i, text))...)
	}
	for kind, raw := range map[string]string{
		"wiki": filepath.Join(lay(t, map[string][]byte{"d.xml.bz2": bunzipped(t, dump(pages...))}), "d.xml.bz2"),
		"text": lay(t, shelf), "books": lay(t, shelf),
		"web": filepath.Join(lay(t, map[string][]byte{"c.warc.wet.gz": crawl}), "c.warc.wet.gz"),
	} {
		first := ""
		for _, jobs := range []int{1, 2, 5} {
			data := t.TempDir()
			var meter progress.Meter
			if report := run(t, ingest.Config{Data: data, Inputs: []string{raw}, Kind: kind, Jobs: jobs, Meter: &meter}); report.Totals.Documents != 300 {
				t.Fatalf("%s: %d documents", kind, report.Totals.Documents)
			}
			if s := meter.Snapshot(); s.Done != s.Total || s.Total == 0 {
				t.Errorf("%s: the meter says %d of %d", kind, s.Done, s.Total)
			}
			digest := digestTree(t, data)
			if first == "" {
				first = digest
			}
			if digest != first {
				t.Errorf("%s: %d jobs give other bytes", kind, jobs)
			}
		}
	}
}

func TestIngestingAgain(t *testing.T) {
	raw := lay(t, map[string][]byte{"one.txt": []byte("First text.")})
	data := t.TempDir()
	cfg := ingest.Config{Data: data, Inputs: []string{raw}, Kind: "text", Source: "notes"}
	run(t, cfg)
	before := digestTree(t, data)
	if report := run(t, cfg); !report.UpToDate || report.Totals.Documents != 1 || digestTree(t, data) != before {
		t.Errorf("ingesting the same again gives %+v", report)
	}

	if err := os.WriteFile(filepath.Join(raw, "two.txt"), []byte("Second text."), 0o644); err != nil {
		t.Fatal(err)
	}
	if report := run(t, cfg); report.UpToDate || report.Totals.Documents != 2 {
		t.Errorf("a new input gives %+v", report.Totals)
	}
	docs := texts(t, data, "notes")
	if len(docs) != 2 || docs[0].Text != "First text." || docs[1].Text != "Second text." {
		t.Errorf("after appending: %v", docs)
	}
	if report := run(t, cfg); !report.UpToDate {
		t.Error("what was appended is appended again")
	}
	if report, err := ingest.ReadReport(data, "notes"); err != nil || report.Totals.Documents != 2 || len(report.Inputs) != 2 {
		t.Errorf("the report says %+v (%v)", report, err)
	}

	if err := os.WriteFile(filepath.Join(raw, "one.txt"), []byte("First text, changed."), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg.Log = quiet
	if _, err := ingest.Run(context.Background(), cfg); !errors.Is(err, ingest.ErrChanged) || !strings.Contains(err.Error(), "one.txt") {
		t.Errorf("a changed input gives %v", err)
	}
	cfg.Replace = true
	if report := run(t, cfg); report.Totals.Documents != 2 || texts(t, data, "notes")[0].Text != "First text, changed." {
		t.Error("replacing keeps what was there")
	}
	cfg.Replace = false
	cfg.MaxRecordBytes = 1000
	if _, err := ingest.Run(context.Background(), cfg); !errors.Is(err, ingest.ErrChanged) {
		t.Errorf("a changed option gives %v", err)
	}
}

func TestALostPartIsMadeAgain(t *testing.T) {
	raw := lay(t, map[string][]byte{"one.txt": []byte("First text.")})
	data := t.TempDir()
	cfg := ingest.Config{Data: data, Inputs: []string{raw}, Kind: "text"}
	run(t, cfg)
	before := digestTree(t, data)
	if err := os.Remove(filepath.Join(ingest.DocumentsDir(data, "text"), "part-00000.parquet")); err != nil {
		t.Fatal(err)
	}
	if run(t, cfg); digestTree(t, data) != before {
		t.Error("the part came back different")
	}
}
