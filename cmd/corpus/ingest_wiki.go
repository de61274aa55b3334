package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/ingest/wiki"
)

// wikiFlags adds the flags that say what is kept of wikitext. The function it
// returns reads the file of template rules, once the flags are parsed.
func wikiFlags(cmd *cobra.Command, opts *wiki.ExtractOptions) (load func() error) {
	var rules string
	f := cmd.Flags()
	f.BoolVar(&opts.Tables, "tables", false, "wiki: keep tables, a row to a line")
	f.BoolVar(&opts.Captions, "captions", false, "wiki: keep the captions of pictures and galleries")
	f.BoolVar(&opts.Footnotes, "footnotes", false, "wiki: keep footnotes, in brackets where they stand")
	f.BoolVar(&opts.Boilerplate, "boilerplate", false, "wiki: keep the sections of sources and links (References, External links...)")
	f.StringVar(&opts.Variant, "variant", "", "wiki: the script to choose where pages have several, such as zh-hans")
	f.StringVar(&rules, "template-rules", "", "wiki: a YAML file of what templates give, beside the built-in rules")
	return func() error {
		if rules == "" {
			return nil
		}
		file, err := os.Open(rules)
		if err != nil {
			return fmt.Errorf("template rules: %w", err)
		}
		defer file.Close()
		if opts.Rules, err = wiki.ParseRules(file); err != nil {
			return fmt.Errorf("template rules %s: %w", rules, err)
		}
		return nil
	}
}
