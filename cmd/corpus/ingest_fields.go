package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/records"
)

// bookFlags adds the flags that say what is kept of books, and of dumps, as wholes.
func bookFlags(cmd *cobra.Command, cfg *ingest.Config) {
	f := cmd.Flags()
	f.BoolVar(&cfg.Books.FrontMatter, "front-matter", false, "books: keep covers, title pages, imprints, tables of contents and indexes of EPUBs")
	f.BoolVar(&cfg.Books.Notes, "notes", false, "books: keep footnotes and endnotes of EPUBs")
	f.BoolVar(&cfg.SkipDisambiguation, "skip-disambiguation", false, "wiki: skip disambiguation pages; otherwise the column disambiguation marks them")
}

// fieldFlags adds the flags that say where texts lie in records.
func fieldFlags(cmd *cobra.Command, fields *records.Fields) {
	f := cmd.Flags()
	f.StringSliceVar(&fields.Text, "text-field", nil, "jsonl, parquet, arrow: the field or fields that hold the text, with dots for nested ones "+
		"(default: the first there is of "+strings.Join(records.Guesses()[:4], ", ")+"...)")
	for _, field := range []struct {
		to         *string
		name, what string
	}{
		{&fields.ID, "id", "name"}, {&fields.Title, "title", "title"}, {&fields.Author, "author", "author"}, {&fields.URL, "url", "address"},
		{&fields.Date, "date", "date"}, {&fields.Language, "language", "language"},
	} {
		f.StringVar(field.to, field.name+"-field", "", "jsonl, parquet, arrow: the field that holds a record's "+field.what+" (default: guessed)")
	}
}
