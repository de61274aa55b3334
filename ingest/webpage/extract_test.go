package webpage

import (
	"strings"
	"testing"
)

func extract(t *testing.T, page string) *Page {
	t.Helper()
	p, err := Extract([]byte(page), "text/html; charset=utf-8")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTextBesideBlocks(t *testing.T) {
	// Lines with breaks between them, straight in an element that has a picture too.
	page := `<div id=x>` + paragraph + paragraph + `<div><img src=y></div>` + paragraph + paragraph + `<br><br>` + paragraph + `</div><div><p>` + paragraph + `</p></div>`
	if got := strings.Count(extract(t, page).Text, "The harbour was quiet"); got != 6 {
		t.Errorf("%d of 6 sentences", got)
	}
}

func TestArticleInParts(t *testing.T) {
	part := `<section><p>` + strings.Repeat(paragraph, 4) + `</p><p>` + paragraph + `</p></section>`
	ads := strings.Repeat(`<div class="promo"><p>Buy this fine thing today, for it will be gone tomorrow, they say.</p></div>`, 40)
	page := `<body><article><h1>Quiet</h1><p class="lead">` + paragraph + `</p><div>` + part + ads + part + ads + part + `</div></article></body>`
	p := extract(t, page)
	if got := strings.Count(p.Text, "The harbour was quiet"); got != 16 || strings.Contains(p.Text, "Buy this") {
		t.Errorf("%d of 16 sentences:\n%s", got, p.Text)
	}
}

func TestPageOfShortLines(t *testing.T) {
	page := `<body><ul><li><a href=a>Home</a></li></ul><article><h1>Shopping</h1><h2>Market</h2><ul><li>Eggs</li><li>Milk</li></ul><h2>Baker</h2><p>Bread</p></article>
		<footer>Copyright.</footer></body>`
	if p := extract(t, page); !strings.Contains(p.Text, "- Eggs\n- Milk") || !strings.Contains(p.Text, "Bread") || strings.Contains(p.Text, "Copyright") {
		t.Errorf("%q", p.Text)
	}
}

func TestBannerWithoutEnd(t *testing.T) {
	page := `<body><header role="banner"><div>Logo</div><article><p>` + strings.Repeat(paragraph, 5) + `</p></article></body>`
	if p := extract(t, page); strings.Count(p.Text, "The harbour") != 5 {
		t.Errorf("%q", p.Text)
	}
}

func TestChineseIsDenser(t *testing.T) {
	line := "港口那天早晨很安静，船只静静地停在水面上，整夜都是如此"
	page := `<body><div><p>` + strings.Repeat(line, 2) + `。</p><p>` + line + `。</p></div><div class=comments><p>` + line + `。</p></div></body>`
	if p := extract(t, page); strings.Count(p.Text, line) != 3 {
		t.Errorf("%q", p.Text)
	}
}

func TestInvisibleBreaksGo(t *testing.T) {
	p := extract(t, "<p>"+strings.ReplaceAll(strings.Repeat(paragraph, 2), "har", "har\u00ad\u200b")+"</p>")
	if p.Text != strings.TrimSpace(strings.Repeat(paragraph, 2)) {
		t.Errorf("%q", p.Text)
	}
}

func TestTagsThatDoNotMatch(t *testing.T) {
	long := strings.Repeat(paragraph, 2)
	for name, c := range map[string]struct{ page, want string }{
		"paragraphs without ends":  {"<p>" + long + "<p>" + long, "P\n\nP"},
		"items without ends":       {"<p>" + long + "<ul><li>one<li>two</ul><p>" + long, "P\n\n- one\n- two\n\nP"},
		"a link over a block":      {"<p>" + long + "</p><a href=x><div>go</a></div><p>" + long + "</p>", "P\n\nP"},
		"cells without ends":       {"<p>" + long + "<table><tr><td>a<td>b<tr><td>c<td>d</table><p>" + long, "P\n\na | b\nc | d\n\nP"},
		"a script that writes one": {"<p>" + long + "</p><script><!-- document.write('<script src=x></script>'); --></script><p>" + long + "</p>", "P\n\nP"},
		"an end of nothing":        {"</div></p></table><p>" + long + "</b></li></section></p>", "P"},
		"less-than signs":          {"<p>" + long + "1 < 2 <3 </p>", "P 1 < 2 <3"},
		"an unclosed picture":      {"<svg><path d=x><p>" + long + "</p>", "P"},
	} {
		got := strings.ReplaceAll(extract(t, c.page).Text, strings.TrimSpace(long), "P")
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestDates(t *testing.T) {
	for head, want := range map[string]string{
		`<meta property="article:published_time" content="2021-03-04T05:06:07+01:00">`:                                       "2021-03-04T05:06:07+01:00",
		`<meta name="DC.date" content="2019-02-03">`:                                                                         "2019-02-03",
		`<meta name="date" content="2018-01-01"><script type="application/ld+json">{"datePublished": "2020-05-06"}</script>`: "2020-05-06",
		`<body><article><time datetime="2015-06-07 08:09">then</time><time datetime="2016-01-01">now</time></article>`:       "2015-06-07",
		`<span itemprop="datePublished">January 2, 2006</span>`:                                                              "2006-01-02",
		`<meta name="date" content="the third of May">`:                                                                      "",
		`<meta name="date" content="0001-01-01">`:                                                                            "",
	} {
		if got := extract(t, head).Date; got != want {
			t.Errorf("%s: %q, want %q", head, got, want)
		}
	}
	if got := extract(t, `<link rel="canonical" href=" https://a.example/b ">`).Canonical; got != "https://a.example/b" {
		t.Errorf("canonical %q", got)
	}
}
