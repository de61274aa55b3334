package ingest_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func zipped(t testing.TB, names []string, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	z := zip.NewWriter(&buf)
	for _, name := range names {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func tarred(t testing.TB, headers []*tar.Header, files map[string][]byte) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		h.Size, h.Mode = int64(len(files[h.Name])), 0o644
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(files[h.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestBooksInArchives(t *testing.T) {
	prose := func(s string) []byte { return []byte(strings.Repeat("A line of the book that is called "+s+".\n", 20)) }
	html := []byte(`<!DOCTYPE html><html lang="de"><head><title>Ein Buch</title></head><body><h1>Erstes Kapitel</h1><p>Es war einmal.</p><p>Und Ende.</p></body></html>`)
	inner := zipped(t, []string{"deep.txt"}, map[string][]byte{"deep.txt": prose("deep")})
	bomb := bytes.Repeat([]byte("x"), 3<<20)
	outer := zipped(t, []string{"1.txt", "../../etc/passwd.txt", "/abs.txt", "b/2.html", "pic.jpg", "more.zip", "bomb.txt"}, map[string][]byte{
		"1.txt": prose("one"), "../../etc/passwd.txt": prose("escape"), "/abs.txt": prose("absolute"), "b/2.html": html, "pic.jpg": []byte("\xff\xd8"),
		"more.zip": inner, "bomb.txt": bomb,
	})
	packed := gzipped(t, tarred(t, []*tar.Header{{Name: "t/3.txt"}, {Name: "t/link.txt", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, {Name: "t/4.txt.gz"}},
		map[string][]byte{"t/3.txt": prose("three"), "t/4.txt.gz": gzipped(t, prose("four"))}))
	raw := lay(t, map[string][]byte{"x/books.zip": outer, "x/more.tar.gz": packed})

	digests := map[string]bool{}
	for _, jobs := range []int{1, 3} {
		data := t.TempDir()
		report := run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "x")}, Jobs: jobs, MaxRecordBytes: 1 << 20})
		docs := texts(t, data, "books")
		var names []string
		for _, d := range docs {
			names = append(names, fmt.Sprintf("%s:%d:%s", d.File, d.Record, d.Title))
		}
		slices.Sort(names)
		want := []string{"books.zip:0:1", "books.zip:1:passwd", "books.zip:2:abs", "books.zip:3:Ein Buch", "books.zip:5:deep", "more.tar.gz:0:3", "more.tar.gz:1:4"}
		if !slices.Equal(names, want) {
			t.Errorf("%d jobs: %q, want %q", jobs, names, want)
		}
		if counted(report.Totals.Skips, "file too large") != 1 || counted(report.Totals.Skips, "file of another kind") != 1 {
			t.Errorf("%+v", report.Totals.Skips)
		}
		for _, d := range docs {
			if d.Title == "Ein Buch" && (d.Text != "Erstes Kapitel\n\nEs war einmal.\n\nUnd Ende." || d.Language != "de") {
				t.Errorf("the book in HTML is %q in %q", d.Text, d.Language)
			}
		}
		digests[digestTree(t, data)] = true
		// Nothing was made beside the data root.
		err := filepath.WalkDir(raw, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && filepath.Base(filepath.Dir(path)) != "x" {
				t.Errorf("a file %s was made", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(digests) != 1 {
		t.Error("what is written depends on the number of jobs")
	}
}

func TestDamagedArchives(t *testing.T) {
	files := map[string][]byte{"1.txt": bytes.Repeat([]byte("Some words of a book. "), 100), "2.txt": []byte("And more of them.")}
	z := zipped(t, []string{"1.txt", "2.txt"}, files)
	flipped := bytes.Clone(z)
	flipped[40] ^= 0xff // in the first file's content
	tr := tarred(t, []*tar.Header{{Name: "1.txt"}, {Name: "2.txt"}}, files)
	for name, c := range map[string]struct {
		data []byte
		docs int64
	}{
		"cut.zip": {z[:len(z)/2], 0}, "flipped.zip": {flipped, 1}, "cut.tar": {tr[:3300], 1}, "whole.zip": {z, 2},
	} {
		report, err := ingest.Run(t.Context(), ingest.Config{Data: t.TempDir(), Kind: "books", Inputs: []string{filepath.Join(lay(t, map[string][]byte{name: c.data}), name)}})
		if report == nil {
			if c.docs > 0 {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if report.Totals.Documents != c.docs || c.docs < 2 && report.Totals.Skipped == 0 && len(report.Totals.Damage) == 0 {
			t.Errorf("%s: %+v (%v)", name, report.Totals, err)
		}
	}
}

func TestCatalogueBesideABook(t *testing.T) {
	rdf := `<?xml version="1.0"?><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:dcterms="http://purl.org/dc/terms/" xmlns:pgterms="http://www.gutenberg.org/2009/pgterms/">
<pgterms:ebook rdf:about="ebooks/77"><dcterms:title>The Right
Title</dcterms:title><dcterms:creator><pgterms:agent><pgterms:name>Doe, Jane</pgterms:name></pgterms:agent></dcterms:creator>
<dcterms:language><rdf:Description><rdf:value>fi</rdf:value></rdf:Description></dcterms:language></pgterms:ebook></rdf:RDF>`
	raw := lay(t, map[string][]byte{"shelf/77-0.txt": []byte("Words of the book.\n"), "shelf/pg77.rdf": []byte(rdf), "shelf/78.txt": []byte("Others.\n")})
	data := t.TempDir()
	run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "shelf")}})
	docs := texts(t, data, "books")
	if len(docs) != 2 {
		t.Fatalf("%d documents", len(docs))
	}
	for _, d := range docs {
		if d.File == "77-0.txt" && (d.Title != "The Right Title" || d.Author != "Doe, Jane" || d.Language != "fi") {
			t.Errorf("%+v", d)
		}
		if d.File == "78.txt" && d.Title != "78" {
			t.Errorf("%+v", d)
		}
	}
}

func TestPagesOfTheSearchIndexAndOfTheEnterpriseService(t *testing.T) {
	index := `{"index":{"_type":"page","_id":"9"}}` + "\n" +
		`{"title":"Nine","namespace":0,"wiki":"enwiki","language":"en","version":5,"timestamp":"2020-01-01T00:00:00Z","source_text":"'''Nine''' is {{convert|9|km}} away.","text":"x"}` + "\n"
	html := `{"name":"Ten","identifier":10,"url":"https://en.wikipedia.org/wiki/Ten","namespace":{"identifier":0},"in_language":{"identifier":"en"},"is_part_of":{"identifier":"enwiki"},"article_body":{"html":"<html><body><section><p>Ten is a number that follows nine, and it is the base of how we count.</p></section></body></html>"}}` + "\n"
	raw := lay(t, map[string][]byte{
		"w/index.json.gz": gzipped(t, []byte(index)),
		"w/pages.tar.gz":  gzipped(t, tarred(t, []*tar.Header{{Name: "p_0.ndjson"}}, map[string][]byte{"p_0.ndjson": []byte(html)})),
	})
	data := t.TempDir()
	run(t, ingest.Config{Data: data, Inputs: []string{filepath.Join(raw, "w")}})
	docs := texts(t, data, "wiki")
	if len(docs) != 2 || docs[0].Title != "Nine" || docs[0].Text != "Nine is 9 kilometres (5.6 mi) away." || !strings.HasPrefix(docs[1].Text, "Ten is a number") {
		t.Errorf("%+v", docs)
	}
}
