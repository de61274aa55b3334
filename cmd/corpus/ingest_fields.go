package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/ingest/records"
)

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
