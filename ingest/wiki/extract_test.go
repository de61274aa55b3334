package wiki

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// plainText is what an Extractor without options makes of wikitext.
func plainText(wikitext string) string {
	text, _ := NewExtractor(&Site{Language: "en"}, ExtractOptions{}).Extract("Title", wikitext)
	return text
}

func TestExtract(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"one\ntwo\n\nthree", "one two\n\nthree"},
		{"'''bold''' and ''italic'' and '''''both'''''", "bold and italic and both"},
		{"L'''amour'' of it", "L'amour of it"},
		{"rock 'n' roll", "rock 'n' roll"},
		{"[[Cat]]s and [[dog|hounds]] and [[:Category:X|x]] and [[:Category:Y]]", "Cats and hounds and x and Category:Y"},
		{"[[File:a.jpg|thumb|A [[cat]] on a [[mat|rug]]]]Text", "Text"},
		{"a[[Datei:x.jpg|b [https://x.org c]]] [[Slika:y.PNG|d]][[Katigorie:z]]", "a Katigorie:z"},
		{"* <blockquote>quoted</blockquote>", "- quoted"},
		{"[[Category:Cats]]\nText\n[[fr:Chat]]", "Text"},
		{"[[Re:Zero]] and [[2:22]]", "Re:Zero and 2:22"},
		{"[https://example.org an ''example''] and [https://example.org] and https://example.org", "an example and and https://example.org"},
		{"array[0] and [sic]", "array[0] and [sic]"},
		{"a<ref>note {{cite|x}}</ref> b<ref name=\"x\" /> c", "a b c"},
		{"a<!-- hidden -->b", "ab"},
		{"a\n<!-- line -->\nb", "a b"},
		{"x<nowiki>''[[y]]''</nowiki>z", "x''[[y]]''z"},
		{"E <math>mc^2 + {a}</math>.", "E $mc^2 + {a}$."},
		{"<pre>\n  two\n    four\n</pre>", "  two\n    four"},
		{"use <code>f(x)</code>", "use f(x)"},
		{"<syntaxhighlight lang=go>\nif x {\n\treturn\n}\n</syntaxhighlight>", "if x {\n\treturn\n}"},
		{"10<sup>6</sup> m<sup>2</sup>, H<sub>2</sub>O, 1<sup>st</sup>", "10^6 m^2, H2O, 1st"},
		{"a&nbsp;b &lt;c&gt; &eacute; &#233; &bogus; R&D", "a b <c> é é &bogus; R&D"},
		{"a<br/>b", "a\nb"},
		{"== Empty ==\n== Full ==\ntext\n=== Sub ===\n", "Full\n\ntext"},
		{"* a\n* b\n** c\n\ntext", "- a\n- b\n- c\n\ntext"},
		{"# a\n# b\n#* x\n# c", "1. a\n2. b\n- x\n3. c"},
		{"; term : meaning\n: more", "term: meaning\nmore"},
		{"a\n{| class=x\n! h\n|-\n| cell || cell\n{|\n| nested\n|}\n|}\nb", "a\n\nb"},
		{"a\n{| never closed\n| x\n== H ==\nb", "a\n\nH\n\nb"},
		{"a <table><tr><td>x</td></tr></table> b", "a b"},
		{"__NOTOC__text __БЕЗОГЛ__ __init__", "text __init__"},
		{"Foo ({{audio|x}}; born 1900) and ( ) end", "Foo (born 1900) and end"},
		{"{{infobox\n| a = {{b|c}}\n| d = [[e|f]]\n}}Text {{unclosed", "Text {{unclosed"},
		{"{{a|[[b}} c", "c"},
		{"日本\n語", "日本語"},
		{"text\n== References ==\n* x\n=== Notes ===\ny\n== Next ==\nz", "text\n\nNext\n\nz"},
		{"<poem>one\ntwo</poem>", "one\ntwo"},
		{"<gallery>\nA.jpg|caption\n</gallery>", ""},
		{"a < b and c > d, <unknown> tag", "a < b and c > d, <unknown> tag"},
		{"----\ntext", "text"},
		{"\x01000000 x", "000000 x"},
	} {
		if got := plainText(c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestExtractOptions(t *testing.T) {
	in := "a<ref>n [[b]]</ref>\n{|\n! h !! i\n|-\n| style=x | c || d\n|}\n[[Datei:x.jpg|mini|cap]]\n== Weblinks ==\n* l"
	site := &Site{Language: "de", Namespaces: []Namespace{{6, "Datei"}}}
	text, stats := NewExtractor(site, ExtractOptions{}).Extract("T", in)
	if text != "a" || stats.Tables != 1 || stats.Files != 1 || stats.Footnotes != 1 || stats.Sections != 1 {
		t.Errorf("%q %+v", text, stats)
	}
	text, _ = NewExtractor(site, ExtractOptions{Tables: true, Captions: true, Footnotes: true, Boilerplate: true}).Extract("T", in)
	if want := "a [n b]\n\nh | i\nc | d\n\ncap\n\nWeblinks\n\n- l"; text != want {
		t.Errorf("got %q\nwant %q", text, want)
	}
	zh := NewExtractor(&Site{Language: "zh"}, ExtractOptions{})
	if text, _ := zh.Extract("T", "a-{zh-hans:简;zh-hant:繁}-b-{A|原}-c -{{x}}-"); text != "a简b原c --" {
		t.Errorf("%q", text)
	}
	hant := NewExtractor(&Site{Language: "zh"}, ExtractOptions{Variant: "zh-hant"})
	if text, _ := hant.Extract("T", "a-{zh-hans:简;zh-hant:繁}-b"); text != "a繁b" {
		t.Errorf("%q", text)
	}
}

func TestTables(t *testing.T) {
	ex := NewExtractor(&Site{Language: "en"}, ExtractOptions{Tables: true})
	for _, c := range []struct{ in, want string }{
		{"{|\n|+ Cap\n! a !! b\n|-\n| colspan=\"2\" {{dropped}}\n| style='x' | [[c|d]]\ne\n|-\n|}", "Cap\na | b\n| d e"},
		{"{|\n| x || y\n| z\n|}after", "x | y | z\n\nafter"},
		{"{|\n|-\n| a\n{|\n| b\n|}\n|-\n| c\n|}", "a\nb\nc"},
		{"a <table><tr><td>b</td><td>c</td></tr></table>", "a\n\nb | c"},
	} {
		if got, _ := ex.Extract("T", c.in); got != c.want {
			t.Errorf("%q\n got %q\nwant %q", c.in, got, c.want)
		}
	}
}

func TestDisambiguationPages(t *testing.T) {
	for _, c := range []struct {
		in   string
		want bool
	}{
		{"'''A''' may be:\n* [[B]]\n{{Disambiguation|geo}}", true},
		{"{{Begriffsklärung}}", true},
		{"{{ hndis |x}}", true},
		{"{{other uses}} text", false},
	} {
		if _, stats := NewExtractor(nil, ExtractOptions{}).Extract("A", c.in); stats.Disambiguation != c.want {
			t.Errorf("%q: %v", c.in, stats.Disambiguation)
		}
	}
}

func TestHostileTextTakesLinearTime(t *testing.T) {
	for _, unit := range []string{"{{", "{{{", "[[", "[http://", "{|\n", "<ref>", "<!--", "<b", "-{", "{{a|", "[[a|", "''", "'''''x", "{{a|[[", "}}", "]]", "&", "__A", "<table>", "=\n", "* \n", "<math>", "{{{{{a}}", "|}\n{|\n", "[[a]", "\x01"} {
		ex := NewExtractor(nil, ExtractOptions{Tables: true, Captions: true, Footnotes: true})
		// What is quadratic takes a minute for so much, what is linear some
		// milliseconds: there is room for a busy machine.
		text := strings.Repeat(unit, 640_000/len(unit))
		start := time.Now()
		ex.Extract("T", text)
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%q: 640 kB in %v", unit, took)
		}
	}
}

func FuzzExtract(f *testing.F) {
	for _, s := range []string{"{{a|b}}", "[[a|b]]", "{|\n|a\n|}", "<ref>x</ref>", "-{zh:a}-", "''a'''b", "== h ==\n* x", "{{{a|{{b}}}}}", "\x01000000", "&amp;&#x41;", "<nowiki>x</nowiki>"} {
		f.Add(s)
	}
	all := NewExtractor(nil, ExtractOptions{Tables: true, Captions: true, Footnotes: true, Boilerplate: true})
	none := NewExtractor(&Site{Language: "en"}, ExtractOptions{})
	f.Fuzz(func(t *testing.T, in string) {
		for _, ex := range []*Extractor{all, none} {
			text, _ := ex.Extract("Title", in)
			if len(text) > 8*len(in)+4096 {
				t.Errorf("%d bytes became %d", len(in), len(text))
			}
			if strings.ContainsRune(text, markerByte) {
				t.Errorf("a marker is left: %q", text)
			}
			if again, _ := ex.Extract("Title", in); again != text {
				t.Error("two runs differ")
			}
		}
	})
}

func FuzzScanner(f *testing.F) {
	f.Add(dumpHead + pageXML("A", 0, 1, "a") + "</mediawiki>")
	f.Add("<page><title>x</title><revision><text>&#65;")
	f.Add("<page><page></page>")
	f.Fuzz(func(t *testing.T, in string) {
		s := NewScanner(strings.NewReader(in), ScanOptions{MaxPageBytes: 1 << 16})
		last := int64(-1)
		for range len(in) + 2 {
			p, err := s.Next()
			if p != nil {
				if p.Offset <= last || !strings.HasPrefix(in[p.Offset:], "<page>") {
					t.Fatalf("page at %d after one at %d", p.Offset, last)
				}
				last = p.Offset
			}
			if page := (*PageError)(nil); err != nil && !errors.As(err, &page) {
				return
			}
		}
		t.Fatal("the scanner does not end")
	})
}

func TestRedirectsOfOldDumps(t *testing.T) {
	for text, want := range map[string]bool{
		"#REDIRECT [[A]]": true, "\n#redirect: [[A]] {{R}}": true, "#Weiterleitung[[A]]": true, "#ПЕРЕНАПРАВЛЕНИЕ [[А]]": true, "#転送 [[あ]]": true,
		"# [[A]]\n# [[B]]": false, "#List [[A]]": false, "REDIRECT [[A]]": false, "#REDIRECT": false, "": false,
	} {
		if redirects(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}
