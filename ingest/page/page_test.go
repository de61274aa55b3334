package page_test

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/tributary-ml/tributary/ingest/page"
)

func render(t *testing.T, p *page.Page) string {
	t.Helper()
	var b bytes.Buffer
	n, err := p.WriteTo(&b)
	if err != nil || n != int64(b.Len()) {
		t.Fatalf("%d bytes of %d, %v", n, b.Len(), err)
	}
	return b.String()
}

// elements counts the elements of a page by name.
func elements(t *testing.T, s string) map[string]int {
	t.Helper()
	root, err := html.Parse(strings.NewReader(s))
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	var walk func(*html.Node)
	walk = func(n *html.Node) {
		if n.Type == html.ElementNode {
			count[n.Data]++
		}
		for c := n.FirstChild; c != nil; c = c.NextSibling {
			walk(c)
		}
	}
	walk(root)
	return count
}

func TestTextNeverBecomesMarkup(t *testing.T) {
	evil := `<script>alert(1)</script>"'><img src=x onerror=y>`
	p := page.New(evil)
	p.Heading(evil)
	p.Para(evil)
	p.Pre(evil)
	p.Table(evil, []string{evil}, [][]string{{evil}})
	p.Bars(evil, evil, evil, []string{evil}, []float64{3})
	p.Lines(evil, evil, evil, page.Series{Name: evil, X: []float64{0, 1}, Y: []float64{0, 1}})
	p.Matrix(evil, []string{evil}, [][]float64{{1}})
	got := elements(t, render(t, p))
	if got["script"] != 0 || got["img"] != 0 {
		t.Errorf("text became elements: %v", got)
	}
	if got["svg"] != 1 || got["table"] != 3 || got["pre"] != 1 {
		t.Errorf("elements are missing: %v", got)
	}
}

func TestValuesThatAreNoNumbers(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	p := page.New("edge")
	p.Bars("bars", "x", "y", []string{"a", "b", "c", "d"}, []float64{nan, inf, -1, 5})
	p.Lines("lines", "x", "y", page.Series{Name: "s", X: []float64{nan, 1}, Y: []float64{1, inf}})
	p.Matrix("matrix", []string{"a", "b"}, [][]float64{{nan, inf}, {0, -2}})
	p.Bars("empty", "x", "y", nil, nil)
	s := render(t, p)
	if !strings.Contains(s, "nothing to draw") {
		t.Error("a plot of nothing does not say so")
	}
	if n := strings.Count(s, `class="bar"`); n != 2 {
		t.Errorf("%d bars of 2 (infinity and 5)", n)
	}
}

func ExampleNumber() {
	fmt.Println(strings.ReplaceAll(page.Number(1234567), "\u202f", " "), page.Number(0.123456), page.Number(-12))
	// Output: 1 234 567 0.1235 -12
}
