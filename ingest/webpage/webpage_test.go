package webpage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

const paragraph = "The harbour was quiet that morning, and the boats lay still on the water, as they had lain all night long. "

var article = `<!doctype html><html lang="en-GB"><head><title>Harbour news - The Paper</title>
<meta property="og:title" content="Quiet in the  harbour"><style>p{color:red}</style><script>var x = "<p>no</p>";</script></head>
<body class="has-sidebar"><nav><ul><li><a href="/">Home</a></li><li><a href="/n">News</a></li></ul></nav>
<div id="cookie-notice">We use cookies to make this page better for you, and you can read about it in our policy. Accept?</div>
<div class="main"><div class="article-body">
<h1>Quiet in the harbour</h1>
<p>` + strings.Repeat(paragraph, 3) + `</p>
<h2>What was seen</h2>
<p>Nine boats &amp; a <b>whale</b>, with <a href="/w">a link about it</a>, were counted by the men on the quay before noon.</p>
<ul><li>Five of them had their sails set for the evening.</li><li>Four did not.</li></ul>
<table><tr><th>Boat</th><th>Crew</th></tr><tr><td>Anna</td><td>4</td></tr></table>
<pre>  wind   5
  waves  2</pre>
<p style="display: none">` + paragraph + `Hidden.</p>
<p>“Well?”</p>
<p>` + strings.Repeat(paragraph, 2) + `</p>
</div>
<h3>Related articles</h3>
<div><p><a href="/2">Another day in the harbour of which nobody knew</a></p><p>A teaser that says in a sentence what the other page says in many, to be sure.</p></div>
<div class="comments"><p>` + strings.Repeat("I was there and I saw it all with my own eyes. ", 5) + `</p></div></div>
<aside><p>` + strings.Repeat("Buy this thing here and now while it lasts. ", 4) + `</p></aside>
<footer><p>Copyright of the paper, all rights reserved, and nothing may be copied from it.</p></footer></body></html>`

func TestExtract(t *testing.T) {
	p, err := Extract([]byte(article), "text/html")
	if err != nil {
		t.Fatal(err)
	}
	want := "Quiet in the harbour\n\n" + strings.TrimSpace(strings.Repeat(paragraph, 3)) + "\n\nWhat was seen\n\n" +
		"Nine boats & a whale, with a link about it, were counted by the men on the quay before noon.\n\n" +
		"- Five of them had their sails set for the evening.\n- Four did not.\n\nBoat | Crew\nAnna | 4\n\n  wind   5\n  waves  2\n\n“Well?”\n\n" +
		strings.TrimSpace(strings.Repeat(paragraph, 2))
	if p.Text != want {
		t.Errorf("text:\n%s\nwant:\n%s", p.Text, want)
	}
	if p.Title != "Quiet in the harbour" || p.Language != "en-GB" || p.Encoding != "utf-8" {
		t.Errorf("title %q, language %q, encoding %q", p.Title, p.Language, p.Encoding)
	}
}

func TestEncodings(t *testing.T) {
	body := strings.Repeat("Der Gr\xfc\xdfe sind viele, und sie kommen aus K\xf6ln, wo man sie gern verschickt. ", 3)
	want := strings.TrimSpace(strings.Repeat("Der Grüße sind viele, und sie kommen aus Köln, wo man sie gern verschickt. ", 3))
	for name, c := range map[string]struct{ page, contentType, encoding string }{
		"of the header":      {"<p>" + body, "text/html; charset=iso-8859-1", "windows-1252"},
		"of the page":        {`<meta charset="latin1"><p>` + body, "text/html", "windows-1252"},
		"of nothing":         {"<p>" + body, "", "windows-1252"},
		"UTF-8 all the same": {"<p>" + want, "text/html; charset=iso-8859-1", "utf-8"},
		"a mark":             {"\xef\xbb\xbf<p>" + want, "", "utf-8"},
	} {
		p, err := Extract([]byte(c.page), c.contentType)
		if err != nil || p.Text != want || p.Encoding != c.encoding {
			t.Errorf("%s: %q in %s (%v)", name, p.Text, p.Encoding, err)
		}
	}
	p, err := Extract([]byte(`<meta charset="utf-8"><p>`+strings.Repeat("Broken \xff bytes stand in this page, which is no reason to drop it. ", 3)), "text/html; charset=utf-8")
	if err != nil || p.Replaced != 3 || !strings.Contains(p.Text, "Broken \ufffd bytes") {
		t.Errorf("%+v (%v)", p, err)
	}
}

func TestPagesWithoutText(t *testing.T) {
	for _, s := range []string{"", "<html>", "<body></body>", "<nav><a href=x>Home</a></nav>", "<frameset><frame src=x></frameset>", "\x00\x01", "<!--"} {
		p, err := Extract([]byte(s), "")
		if err != nil || p.Text != "" {
			t.Errorf("%q gives %+v, %v", s, p, err)
		}
	}
}

func TestNamesThatAreWrongAboutTheirText(t *testing.T) {
	page := `<body><div class="sidebar footer"><p>` + strings.Repeat(paragraph, 4) + `</p></div><div class="promo"><p>` + strings.Repeat(paragraph, 4) + `</p></div></body>`
	if p, err := Extract([]byte(page), ""); err != nil || !strings.Contains(p.Text, "The harbour was quiet") {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestDeepNesting(t *testing.T) {
	page := strings.Repeat("<div>", 200_000) + "x"
	if p, err := Extract([]byte(page), ""); err == nil && p.Text != "" || err != nil && !errors.Is(err, ErrTooDeep) && !strings.Contains(err.Error(), "webpage") {
		t.Errorf("%+v, %v", p, err)
	}
}

func FuzzExtract(f *testing.F) {
	f.Add([]byte(article), "text/html")
	for _, page := range hostile(2000) {
		f.Add([]byte(page), "")
	}
	for _, s := range []string{"<table><tr><td>a<td>b", "<pre>\n\n", "<p><a href=x>", "<svg><title>x", "<h1>a<h1>b", "<li>a<li>b", "<br><br>", "\xff\xfe<\x00p\x00"} {
		f.Add([]byte(s), "text/html; charset=utf-16")
	}
	f.Fuzz(func(t *testing.T, data []byte, contentType string) {
		p, err := Extract(data, contentType)
		if err != nil {
			return
		}
		if !utf8.ValidString(p.Text) || !utf8.ValidString(p.Title) {
			t.Fatalf("%q is not valid UTF-8", p.Text)
		}
	})
}

func BenchmarkExtract(b *testing.B) {
	page := []byte(strings.Replace(article, "<p>“Well?”</p>", strings.Repeat("<p>"+paragraph+paragraph+"</p>\n<div class=x><span>words</span></div>", 100), 1))
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		if _, err := Extract(page, ""); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleExtract() {
	p, err := Extract([]byte(`<title>News</title><nav><a href="/">Home</a></nav>
		<p>The boats came home in the evening, and all of the men were on board of them.</p>`), "text/html; charset=utf-8")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(p.Title)
	fmt.Println(p.Text)
	// Output:
	// News
	// The boats came home in the evening, and all of the men were on board of them.
}
