package webpage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// numbered repeats a tag with an attribute that is different each time.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// hostile are pages that cost a parser or a scorer with a step of quadratic time
// far more than their length lets expect.
func hostile(n int) map[string]string {
	fill := func(head, unit string) string { return head + strings.Repeat(unit, max(1, (n-len(head))/len(unit))) }
	return map[string]string{
		"html tags":           numbered("<html class=%d>", n/18),
		"body tags":           numbered("<BODY id=%d>", n/15),
		"open styles":         fill(numbered("<b x=%d>", 400), "<div><p>x</div>"),
		"styles in blocks":    fill("", strings.Repeat("<b><div>", 100)+strings.Repeat("</b>", 100)+strings.Repeat("</div>", 900)),
		"open links":          fill("", "<a href=x><p>x"),
		"links in a table":    fill("<table>", "<a>x"),
		"items":               fill(strings.Repeat("<ul><li>", 200), "<li>x"),
		"items in styles":     fill(strings.Repeat("<b>", 400), "<li>x"),
		"text in a table":     fill(strings.Repeat("<div>", 200)+"<table>", "x<p>"),
		"headings":            fill("", "<h2>a</h2>"),
		"headings that lead":  fill(strings.Repeat("<p>This is a longer line of text that reads like a sentence of one.</p>", 9), "<h2>comments</h2>"),
		"short blocks":        fill("", "<p>a</p>"),
		"attributes":          fill("<div ", "a=b "),
		"classes":             fill("<div class='", "a-"),
		"styles":              fill("<p style='", "display: nine;"),
		"less-than signs":     fill("", "<"),
		"scripts":             fill("<script>", "<!--<script>"),
		"scripts of comments": fill("<script>", "<script><!-- -->"),
		"titles":              fill("<title>", "</titl"),
		"comments":            fill("", "<!-->"),
		"entities":            fill("", "&#x"),
		"ends":                fill("<b>", "<p></b>"),
		"foreign":             fill("", "<svg><b><p>"),
		"forms":               fill("", "<form><b></form>"),
		"blanks":              fill("<p>", " "),
		"dates":               fill("", "<time datetime=x>"),
		"data":                fill("", `<script type="application/ld+json">{"a":[[[[</script>`),
	}
}

func TestHostilePagesTakeLinearTime(t *testing.T) {
	const size = 200_000
	best := func(page []byte) time.Duration {
		least := time.Hour
		for range 3 {
			start := time.Now()
			if _, err := Extract(page, ""); err != nil && !errors.Is(err, ErrTooDeep) {
				t.Fatal(err)
			}
			least = min(least, time.Since(start))
		}
		return least
	}
	plain := []byte(strings.Repeat(article, 1+size/len(article)))
	usual := best(plain)
	for name, page := range hostile(size) {
		if took := best([]byte(page)); took > 40*usual {
			t.Errorf("%s: %v, a usual page of its length takes %v", name, took, usual)
		}
	}
}
