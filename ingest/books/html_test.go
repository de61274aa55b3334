package books_test

import (
	"testing"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/books"
)

func TestGutenbergHTML(t *testing.T) {
	b, err := books.ParseHTML([]byte(`<html lang="en"><head><title>The Project Gutenberg eBook of A Tale</title></head><body><pre>Title: A Tale

Author: Jane Doe

*** START OF THE PROJECT GUTENBERG EBOOK A TALE ***</pre><h1>A TALE</h1><p>Once upon
a time.</p><p>*** END OF THE PROJECT GUTENBERG EBOOK A TALE ***</p><p>Licence.</p></body></html>`))
	if err != nil || b.Text != "A TALE\n\nOnce upon a time." || b.Title != "A Tale" || b.Author != "Jane Doe" || b.Language != "en" {
		t.Errorf("%+v, %v", b, err)
	}
}

func FuzzParseHTML(f *testing.F) {
	f.Add([]byte("<html><title>x</title><p>a<p>b"))
	f.Add([]byte(`<rdf:RDF><pgterms:ebook><dcterms:title>x</dcterms:title></pgterms:ebook></rdf:RDF>`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if b, err := books.ParseHTML(data); err == nil && (!utf8.ValidString(b.Text) || !utf8.ValidString(b.Title)) {
			t.Fatalf("%q is not valid UTF-8", b.Text)
		}
		_, _ = books.ParseRDF(data)
	})
}
