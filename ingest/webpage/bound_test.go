package webpage

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// numbered repeats a tag with an attribute that is different each time.
func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

func TestCostlyPages(t *testing.T) {
	for name, page := range map[string]string{
		"html tags":   numbered("<html a%d=x>", 20_000),
		"body tags":   numbered("<BODY a%d=x>", 20_000),
		"open links":  strings.Repeat("<p>"+numbered("<b x=%d>", 500)+"</p>", 1) + strings.Repeat("<p>x</p>", 20_000),
		"open styles": numbered("<i x=%d></p>", 20_000),
	} {
		if _, err := Extract([]byte(page), ""); !errors.Is(err, ErrCostly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if costly([]byte(strings.Repeat("<p><b>x</b> <i>y</i> <a href=x>z</a></p><!-- < <1 </ -->", 1000))) {
		t.Error("a page that closes what it opens is called costly")
	}
}
