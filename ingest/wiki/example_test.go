package wiki_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/tributary-ml/tributary/ingest/wiki"
)

const dump = `<mediawiki version="0.11" xml:lang="en">
  <siteinfo>
    <dbname>enwiki</dbname>
    <base>https://en.wikipedia.org/wiki/Main_Page</base>
    <namespaces><namespace key="6" case="first-letter">File</namespace></namespaces>
  </siteinfo>
  <page>
    <title>Kettle</title><ns>0</ns><id>12</id>
    <revision><id>345</id><model>wikitext</model><text>A '''kettle''' holds {{convert|1.5|l}} of [[Drinking water|water]].&lt;ref&gt;A note.&lt;/ref&gt;</text></revision>
  </page>
  <page>
    <title>Kettles</title><ns>0</ns><id>13</id><redirect title="Kettle" />
    <revision><id>346</id><text>#REDIRECT [[Kettle]]</text></revision>
  </page>
</mediawiki>`

func ExamplePages() {
	err := wiki.Pages(context.Background(), strings.NewReader(dump), wiki.Options{}, func(r *wiki.Result) error {
		if r.Cause != "" {
			fmt.Printf("%s: skipped, %s\n", r.Page.Title, r.Cause)
			return nil
		}
		fmt.Printf("%s: %s\n", r.Site.URL(r.Page.Title), r.Text)
		return nil
	})
	fmt.Println(err)
	// Output:
	// https://en.wikipedia.org/wiki/Kettle: A kettle holds 1.5 litres (0.33 imp gal) of water.
	// Kettles: skipped, redirect
	// <nil>
}

func ExampleNewScanner() {
	s := wiki.NewScanner(strings.NewReader(dump), wiki.ScanOptions{})
	for {
		p, err := s.Next()
		if err != nil {
			fmt.Println(err)
			break
		}
		fmt.Printf("%d %q %d bytes at %d\n", p.ID, p.Title, len(p.Text), p.Offset)
	}
	// Output:
	// 12 "Kettle" 85 bytes at 240
	// 13 "Kettles" 20 bytes at 477
	// EOF
}

func ExampleParseRules() {
	rules, err := wiki.ParseRules(strings.NewReader("templates:\n  fishbase: \"FishBase, {{{1}}}{{#if:{{{year|}}}|&#32;({{{year}}})}}\"\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	ex := wiki.NewExtractor(nil, wiki.ExtractOptions{Rules: rules})
	text, _ := ex.Extract("Cod", "See {{FishBase|Gadus|year=2020}}.")
	fmt.Println(text)
	// Output: See FishBase, Gadus (2020).
}
