package books

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/tributary-ml/tributary/ingest/webpage"
)

// IsHTML reports whether a file is a page in HTML or XHTML.
func IsHTML(data []byte) bool {
	head := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(data[:min(len(data), 1024)], []byte("\xef\xbb\xbf")), " \t\r\n"))
	return bytes.HasPrefix(head, []byte("<!doctype html")) || bytes.HasPrefix(head, []byte("<html")) ||
		bytes.HasPrefix(head, []byte("<")) && bytes.Contains(head, []byte("<html"))
}

// ParseHTML reads a book in HTML: everything on its page, without what Project
// Gutenberg adds to it.
func ParseHTML(data []byte) (Book, error) {
	page, err := webpage.Whole(data, "")
	if err != nil {
		return Book{}, fmt.Errorf("book in HTML: %w", err)
	}
	b := Book{Encoding: page.Encoding, Replaced: page.Replaced}
	text, dropped := dropControls(page.Text)
	b.Dropped = dropped
	lines := b.strip(strings.Split(text, "\n"))
	b.Text = squeeze(lines)
	b.structure(nil)
	setOnce(&b.Title, strings.TrimSuffix(page.Title, " | Project Gutenberg"))
	setOnce(&b.Language, page.Language)
	return b, nil
}

// squeeze joins lines, with no more than one blank line between any two.
func squeeze(lines []string) string {
	var out strings.Builder
	blank := false
	for _, l := range lines {
		if l = strings.TrimRight(l, " \t"); l == "" {
			blank = true
			continue
		}
		if out.Len() > 0 {
			out.WriteByte('\n')
			if blank {
				out.WriteByte('\n')
			}
		}
		blank = false
		out.WriteString(l)
	}
	return strings.TrimSpace(out.String())
}

// Metadata is what a catalogue says of a book.
type Metadata struct{ Title, Author, Language string }

// ParseRDF reads an entry of the catalogue of Project Gutenberg, in RDF/XML.
func ParseRDF(data []byte) (*Metadata, error) {
	var rdf struct {
		Ebook []struct {
			Titles   []string `xml:"title"`
			Creators []struct {
				Names []string `xml:"agent>name"`
			} `xml:"creator"`
			Languages []struct {
				Value string `xml:"Description>value"`
				Text  string `xml:",chardata"`
			} `xml:"language"`
		} `xml:"ebook"`
	}
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = false // entities stay as they are, so that none multiplies
	if err := d.Decode(&rdf); err != nil {
		return nil, fmt.Errorf("catalogue entry: %w", err)
	}
	if len(rdf.Ebook) == 0 {
		return nil, fmt.Errorf("catalogue entry: it tells of no book")
	}
	e := &rdf.Ebook[0]
	m := &Metadata{Title: first(e.Titles)}
	var authors []string
	for _, c := range e.Creators {
		authors = append(authors, nonEmpty(c.Names)...)
	}
	m.Author = strings.Join(authors, "; ")
	for _, l := range e.Languages {
		if v := collapse(l.Value + " " + strings.TrimSpace(l.Text)); v != "" && m.Language == "" {
			m.Language = v
		}
	}
	return m, nil
}
