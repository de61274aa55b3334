package sample

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/ingest/bzip2"
)

// pagesPerStream is how many pages share one bzip2 stream, as in Wikimedia's
// multistream dumps.
const pagesPerStream = 100

const siteinfo = `<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.mediawiki.org/xml/export-0.11/ http://www.mediawiki.org/xml/export-0.11.xsd" version="0.11" xml:lang="en">
  <siteinfo>
    <sitename>Samplepedia</sitename>
    <dbname>samplewiki</dbname>
    <base>https://sample.example/wiki/Main_Page</base>
    <generator>tributary corpus sample</generator>
    <case>first-letter</case>
    <namespaces>
      <namespace key="-1" case="first-letter">Special</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Talk</namespace>
      <namespace key="8" case="first-letter">MediaWiki</namespace>
      <namespace key="10" case="first-letter">Template</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
`

// page is one page of the dump.
type page struct {
	title, redirect, model, text string
	ns                           int
	broken                       bool // cut before its end
}

// wiki writes the dump: a stream with the siteinfo, streams of pages, a closing
// stream.
func (w *writing) wiki() error {
	out, err := w.create(WikiFile)
	if err != nil {
		return err
	}
	defer out.Abort()
	stream := func(data []byte) error {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		z := bzip2.NewWriter(out, 9)
		if _, err := z.Write(data); err != nil {
			return err
		}
		return z.Close()
	}
	if err := stream([]byte(siteinfo)); err != nil {
		return err
	}
	pages := w.wikiPages()
	w.report.Pages = len(pages)
	var b bytes.Buffer
	inStream := 0
	for i, p := range pages {
		appendPage(&b, p, i)
		inStream++
		// A page that is cut ends its stream: the reader finds its way again at
		// the next one.
		if inStream == pagesPerStream || p.broken || i == len(pages)-1 {
			if err := stream(b.Bytes()); err != nil {
				return err
			}
			b.Reset()
			inStream = 0
		}
	}
	if err := stream([]byte("</mediawiki>\n")); err != nil {
		return err
	}
	return w.commit(out, WikiFile)
}

// appendPage writes the XML of a page. Ids have gaps, as they have where pages
// were deleted.
func appendPage(b *bytes.Buffer, p page, i int) {
	id := 3*i + 7
	model, mime := p.model, "text/x-wiki"
	if model == "" {
		model = "wikitext"
	} else {
		mime = "application/" + model
	}
	sum := sha1.Sum([]byte(p.text))
	digest := new(big.Int).SetBytes(sum[:]).Text(36)
	digest = strings.Repeat("0", max(0, 31-len(digest))) + digest
	stamp := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(i) * 97 * time.Minute).Format(time.RFC3339)

	fmt.Fprintf(b, "  <page>\n    <title>%s</title>\n    <ns>%d</ns>\n    <id>%d</id>\n", escape(p.title), p.ns, id)
	if p.redirect != "" {
		fmt.Fprintf(b, "    <redirect title=\"%s\" />\n", escape(p.redirect))
	}
	fmt.Fprintf(b, "    <revision>\n      <id>%d</id>\n      <parentid>%d</parentid>\n      <timestamp>%s</timestamp>\n", 100000+5*i, 99000+4*i, stamp)
	fmt.Fprintf(b, "      <contributor>\n        <username>Sampler</username>\n        <id>1</id>\n      </contributor>\n      <comment>made up &amp; revised</comment>\n      <origin>%d</origin>\n", 100000+5*i)
	fmt.Fprintf(b, "      <model>%s</model>\n      <format>%s</format>\n", model, mime)
	fmt.Fprintf(b, "      <text bytes=\"%d\" sha1=\"%s\" xml:space=\"preserve\">", len(p.text), digest)
	if p.broken {
		b.WriteString(escape(p.text[:len(p.text)/2]))
		return
	}
	// Bytes that are no UTF-8 must reach the dump as they are, so only what XML
	// needs is escaped.
	b.WriteString(escape(p.text))
	fmt.Fprintf(b, "</text>\n      <sha1>%s</sha1>\n    </revision>\n  </page>\n", digest)
}

var xmlEscaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

func escape(s string) string { return xmlEscaper.Replace(s) }

// wikiPages makes all pages in dump order.
func (w *writing) wikiPages() []page {
	n := w.count(800, 24)
	pages := make([]page, 0, 2*n)
	titles := map[string]bool{}
	for _, t := range w.topics {
		pages = append(pages, page{title: "Category:" + capital(t.name), ns: 14,
			text: "Pages about the " + t.name + ".\n\n[[Category:Topics]]"})
	}
	pages = append(pages,
		page{title: "Template:Infobox", ns: 10, text: "<includeonly>{| class=\"infobox\"\n! {{{name|}}}\n|}</includeonly><noinclude>Boxes. [[Category:Topics]]</noinclude>"},
		page{title: "Template:Cite", ns: 10, text: "''{{{title}}}'', {{{year|n.d.}}}."},
		page{title: "MediaWiki:Common.css", ns: 8, model: "css", text: ".infobox { float: right; }"})
	for i := range n {
		r := w.rng("wiki", i)
		t := &w.topics[r.IntN(len(w.topics))]
		p := w.article(r, t, titles)
		pages = append(pages, p)
		w.report.Articles++
		if i%5 == 2 {
			pages = append(pages, page{title: p.title + " (disambiguation)", redirect: p.title,
				text: "#REDIRECT [[" + p.title + "]] {{R from title}}"})
		}
		if i%7 == 3 {
			pages = append(pages, page{title: "Talk:" + p.title, ns: 1,
				text: "== " + pick(r, []string{"Sources", "Move?", "Spelling"}) + " ==\nShould this say more about the [[" + pick(r, t.things).noun + "]]? ~~~~\n: Yes. ~~~~"})
		}
	}
	pages = w.plantWiki(pages, titles)
	return pages
}

// article makes one article about a town, a person or a thing.
func (w *writing) article(r *rand.Rand, t *topic, titles map[string]bool) page {
	a := newAuthor(r, t, r.IntN(3) == 0)
	var b strings.Builder
	var title string
	kind := r.IntN(10)
	for {
		switch {
		case kind < 4:
			title = townName(r)
		case kind < 7:
			title = a.cast[0].name
		default:
			title = capital(pick(r, t.things).noun) + " (" + townName(r) + ")"
		}
		if kind == 0 {
			title += ": the " + capital(pick(r, t.places).noun) + " Years"
		}
		if !titles[title] {
			break
		}
		a.cast[0] = a.newPerson()
	}
	titles[title] = true
	bare, _, _ := strings.Cut(title, " (")
	town := townName(r)
	trade := t.agents[a.cast[0].agent]

	fmt.Fprintf(&b, "{{Infobox\n| name = %s\n| topic = {{nowrap|%s}}\n| founded = %s\n}}\n", bare, t.name, a.year())
	switch {
	case kind < 4:
		fmt.Fprintf(&b, "'''%s''' is a town near [[%s]], known for its [[%s|%s]].", bare, town, t.things[0].noun, plural(t.things[0].noun))
		fmt.Fprintf(&b, "<ref name=\"census\">{{Cite|title=Census of %s|year=%s}}</ref> ", town, a.year())
	case kind < 7:
		fmt.Fprintf(&b, "'''%s''' (born %s in [[%s]]) was %s [[%s]]. ", bare, a.year(), town, article(trade), trade)
		fmt.Fprintf(&b, "%s worked %s the %s.", capital(a.cast[0].pronoun()), t.places[0].preposition, t.places[0].noun)
		fmt.Fprintf(&b, "<ref>{{Cite|title=The %ss of %s}}</ref> ", trade, town)
	default:
		fmt.Fprintf(&b, "The '''%s''' of [[%s]] is one of the&nbsp;things that every %s knows. ", strings.ToLower(bare[:1])+bare[1:], town, trade)
	}
	w.wikiText(&b, a, a.paragraph(3+r.IntN(3)))
	b.WriteString("\n\n")
	for s := range 2 + r.IntN(3) {
		fmt.Fprintf(&b, "== %s ==\n", pick(r, []string{"History", "Work", "Life", "Customs", "Places", "Tools"}))
		for range 1 + r.IntN(3) {
			w.wikiText(&b, a, a.paragraph(4+r.IntN(4)))
			b.WriteString("\n\n")
		}
		switch s {
		case 0:
			if r.IntN(2) == 0 {
				w.wikiTable(&b, a)
			}
		case 1:
			fmt.Fprintf(&b, "=== Kinds ===\n")
			for range 3 {
				th := pick(r, t.things)
				fmt.Fprintf(&b, "* the [[%s]] &ndash; %s and %s\n", th.noun, th.qualities[0], th.qualities[len(th.qualities)-1])
			}
			fmt.Fprintf(&b, "<!-- more kinds? -->\n[[File:%s.jpg|thumb|%s %s the %s]]\n\n", capital(t.things[1].noun),
				capital(article(t.things[1].noun))+" "+t.things[1].noun, t.places[1].preposition, t.places[1].noun)
		}
	}
	fmt.Fprintf(&b, "== See also ==\n* [[%s]]\n* [[:Category:%s]]\n\n== References ==\n{{reflist}}\n\n", town, capital(t.name))
	fmt.Fprintf(&b, "{{DEFAULTSORT:%s}}\n[[Category:%s]]\n[[Category:Made-up things]]\n", bare, capital(t.name))
	return page{title: title, text: b.String()}
}

// wikiText writes sentences with links, emphasis, references and entities put
// into them.
func (w *writing) wikiText(b *strings.Builder, a *author, sentences []string) {
	for i, s := range sentences {
		if i > 0 {
			b.WriteByte(' ')
		}
		w.report.TextBytes += int64(len(s)) + 1
		words := strings.Split(s, " ")
		for k, word := range words {
			if k > 0 {
				b.WriteByte(' ')
			}
			noun := strings.TrimRight(word, ".,")
			tail := word[len(noun):]
			if th, ending, ok := a.isThing(noun); ok && a.chance(12) {
				if a.chance(70) {
					fmt.Fprintf(b, "[[%s]]%s%s", th, ending, tail)
				} else {
					fmt.Fprintf(b, "[[%s (%s)|%s]]%s", capital(th), a.t.name, noun, tail)
				}
				continue
			}
			switch {
			case a.chance(1):
				fmt.Fprintf(b, "''%s''%s", noun, tail)
			default:
				b.WriteString(word)
			}
		}
		switch a.r.IntN(30) {
		case 0:
			fmt.Fprintf(b, "<ref>{{Cite|title=On the %s|year=%s}}</ref>", pick(a.r, a.t.things).noun, a.year())
		case 1:
			b.WriteString("<ref name=\"census\" />")
		case 2:
			fmt.Fprintf(b, " &mdash; in %s, it is said.", townName(a.r))
		}
	}
}

// isThing reports whether a word is one of the topic's things, or such a thing
// with an ending that can follow a link.
func (a *author) isThing(word string) (noun, ending string, ok bool) {
	for _, th := range a.t.things {
		if ending, ok := strings.CutPrefix(word, th.noun); ok && (ending == "" || ending == "s") {
			return th.noun, ending, true
		}
	}
	return "", "", false
}

func (w *writing) wikiTable(b *strings.Builder, a *author) {
	b.WriteString("{| class=\"wikitable\"\n|+ Counts\n! Thing !! Number\n")
	for range 3 {
		fmt.Fprintf(b, "|-\n| %s || %d\n", pick(a.r, a.t.things).noun, a.r.IntN(1000))
	}
	b.WriteString("|}\n\n")
}

// plantWiki adds what a reader should find: copies, near copies, one-paragraph
// articles that the crawl repeats, a page cut in the middle and pages with bytes
// that are no UTF-8.
func (w *writing) plantWiki(pages []page, titles map[string]bool) []page {
	var articles []page
	for _, p := range pages {
		if p.ns == 0 && p.redirect == "" {
			articles = append(articles, p)
		}
	}
	place := func(title string) Place { return Place{File: WikiFile, Title: title} }
	for i := range 4 {
		p := articles[3*i]
		original := p.title
		p.title += " (copy)"
		pages = append(pages, p)
		w.planted.Exact = append(w.planted.Exact, Pair{Original: place(original), Copy: place(p.title)})
	}
	for i := range 4 {
		p := articles[3*i+1]
		original := p.title
		p.title += " (revised)"
		var changed float64
		p.text, changed = alter(w.rng("wiki/near", i), p.text)
		pages = append(pages, p)
		w.planted.Near = append(w.planted.Near, Pair{place(original), place(p.title), changed})
	}
	for i := range mirrored {
		title, text := w.stub(i)
		pages = append(pages, page{title: title, text: text})
	}
	w.report.Articles += 8 + mirrored

	broken := articles[2]
	broken.title, broken.broken = "Torn page", true
	damaged := page{title: "Damaged letters", text: "The letters of this page \xff\xfe were \xc3( damaged. " + strings.Join(newAuthor(w.rng("wiki/bad", 0), &w.topics[0], false).paragraph(6), " ")}
	w.report.Articles++
	w.planted.Broken = append(w.planted.Broken,
		Fault{place(broken.title), "the page's XML ends in the middle of its text"},
		Fault{place(damaged.title), "bytes that are no UTF-8"})
	// The torn page stands in the middle of the dump, with whole pages behind it.
	at := len(pages) / 2
	out := append([]page{}, pages[:at]...)
	out = append(out, broken, damaged)
	return append(out, pages[at:]...)
}

// mirrored is how many one-paragraph articles the crawl holds again.
const mirrored = 6

// stub is a one-paragraph article without any markup, so that its text is the
// same wherever it is found.
func (w *writing) stub(i int) (title, text string) {
	r := w.rng("stub", i)
	a := newAuthor(r, &w.topics[r.IntN(len(w.topics))], false)
	title = fmt.Sprintf("Stub %d (%s)", i+1, townName(r))
	return title, strings.Join(a.paragraph(6+r.IntN(4)), " ")
}

// alter changes a few words in a text: about one in thirty. It returns the share
// of words that differ.
func alter(r *rand.Rand, text string) (string, float64) {
	words := strings.Split(text, " ")
	changed := 0
	for i, word := range words {
		if len(word) > 3 && strings.IndexFunc(word, func(c rune) bool { return c < 'a' || c > 'z' }) < 0 && r.IntN(20) == 0 {
			words[i] = pick(r, []string{"quiet", "certain", "former", "local", "usual", "similar"})
			changed++
		}
	}
	return strings.Join(words, " "), float64(changed) / float64(len(words))
}
