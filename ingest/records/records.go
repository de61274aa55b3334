// Package records reads texts out of records with named fields: lines of JSON, and
// rows of Parquet and Arrow tables, such as data sets are published as. A field is
// named by its path, with dots between the names of objects, structs and, in JSON,
// the numbers of array elements: "text", "meta.url", "messages.0.content".
package records

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Fields name the fields that the parts of a document are in. A part that is not
// named is looked for under the names that data sets give it, the first of which a
// record has counts (see Guesses).
type Fields struct {
	// Text names the fields whose strings, with blank lines between them, make the
	// text.
	Text     []string `json:"text,omitempty"`
	ID       string   `json:"id,omitempty"`
	Title    string   `json:"title,omitempty"`
	Author   string   `json:"author,omitempty"`
	URL      string   `json:"url,omitempty"`
	Date     string   `json:"date,omitempty"`
	Language string   `json:"language,omitempty"`
}

// Row is one record.
type Row struct {
	Text, ID, Title, Author, URL, Date, Language string
	// Repaired counts what was no Unicode and became U+FFFD.
	Repaired int
}

// The causes for which a record gives no text.
var (
	// ErrNoText says that a record has no text: the field is missing or null.
	ErrNoText = errors.New("the record has no text field")
	// ErrNotText says that what the text field holds is neither a string nor a list of
	// strings.
	ErrNotText = errors.New("the text field is no string")
)

// part is one part of a document.
type part int

const (
	textPart part = iota
	idPart
	titlePart
	authorPart
	urlPart
	datePart
	languagePart
	parts
)

// guesses are the usual names of each part, the likelier first.
var guesses = [parts][]string{
	textPart: {
		"text", "content", "raw_content", "body", "document", "article", "story", "passage", "maintext", "main_text", "page_content", "contents",
		"abstract", "paragraphs", "sentence", "Text", "Content", "TEXT",
	},
	idPart:       {"id", "_id", "doc_id", "docid", "document_id", "uid", "guid", "uuid", "idx", "ID", "Id"},
	titlePart:    {"title", "headline", "metadata.title", "meta.title", "Title"},
	authorPart:   {"author", "authors", "byline", "metadata.author", "meta.author"},
	urlPart:      {"url", "uri", "source_url", "link", "warc_url", "metadata.url", "meta.url", "URL"},
	datePart:     {"date", "timestamp", "created", "published", "date_published", "publication_date", "created_at", "date_download", "metadata.date", "meta.date"},
	languagePart: {"language", "lang", "metadata.language", "meta.language", "meta.lang"},
}

// Guesses returns the names under which a text is looked for.
func Guesses() []string { return slices.Clone(guesses[textPart]) }

// wanted is a field that is looked for.
type wanted struct {
	part part
	rank int // among the names of its part, the first counts
}

// wants returns the fields that are looked for, by their paths.
func (f Fields) wants() map[string][]wanted {
	out := map[string][]wanted{}
	add := func(p part, names ...string) {
		for i, name := range names {
			if w := (wanted{p, i}); !slices.Contains(out[name], w) {
				out[name] = append(out[name], w)
			}
		}
	}
	for p, named := range f.named() {
		if len(named) == 0 {
			named = guesses[p]
		}
		add(part(p), named...)
	}
	return out
}

// named returns the names that were given for each part.
func (f Fields) named() [parts][]string {
	one := func(s string) []string {
		if s == "" {
			return nil
		}
		return []string{s}
	}
	return [parts][]string{f.Text, one(f.ID), one(f.Title), one(f.Author), one(f.URL), one(f.Date), one(f.Language)}
}

// set puts a value into the part of a row.
func (r *Row) set(p part, value string) {
	*[parts]*string{&r.Text, &r.ID, &r.Title, &r.Author, &r.URL, &r.Date, &r.Language}[p] = value
}

// columns finds the columns of a table that the parts are in: several for a text that
// was asked for so, at most one for any other part.
func (f Fields) columns(have []string) (found [parts][]int, err error) {
	var fields [parts][]string = f.named()
	for p := range parts {
		all := len(fields[p]) > 0
		names := fields[p]
		if !all {
			names = guesses[p]
		}
		for _, name := range names {
			i := slices.Index(have, name)
			switch {
			case i >= 0:
				found[p] = append(found[p], i)
			case all:
				return found, fmt.Errorf("the table has no column %q of text, numbers or dates; it has %s", name, listed(have))
			}
			if !all && i >= 0 {
				break
			}
		}
	}
	if len(found[textPart]) == 0 {
		return found, fmt.Errorf("the table has no column with a name such as %s; name the one that holds the text, of %s", strings.Join(guesses[textPart][:4], ", "), listed(have))
	}
	return found, nil
}

// listed lists names for a message.
func listed(names []string) string {
	const most = 40
	if len(names) > most {
		return strings.Join(names[:most], ", ") + fmt.Sprintf(" and %d more", len(names)-most)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// row makes a row of a table's cells. cell returns the text of a cell; ok is false for
// one that is null.
func row(found *[parts][]int, cell func(column int) (text string, ok bool)) (Row, error) {
	var r Row
	var texts []string
	for p, columns := range found {
		for _, c := range columns {
			s, ok := cell(c)
			if !ok {
				continue
			}
			if valid, n := validString(s); n > 0 {
				s, r.Repaired = valid, r.Repaired+n
			}
			if part(p) == textPart {
				texts = append(texts, s)
			} else {
				r.set(part(p), s)
			}
		}
	}
	if len(texts) == 0 {
		return r, ErrNoText
	}
	r.Text = strings.Join(texts, "\n\n")
	return r, nil
}
