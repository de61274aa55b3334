package dedup

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

func TestCutsJoinTheSpansOfTheWantedRules(t *testing.T) {
	dir := t.TempDir()
	var words []string
	for i := range 30 {
		words = append(words, fmt.Sprint("word", 100+i))
	}
	notice := strings.Join(words, " ") // 239 bytes
	writeDocuments(t, dir, "web",
		doc("a", "A first line of it.\n\n"+notice+"\n\nAnd a longer end than the other one has."),
		doc("b", "Another first line.\n\n"+notice+"\n\nThe end."),
		doc("c", "Another first line.\n\n"+notice+"\n\nThe end."), doc("d", "Alone."))
	cfg := Config{Data: dir}
	if _, err := Paragraph(context.Background(), cfg, 4); err != nil {
		t.Fatal(err)
	}
	if _, err := Substring(context.Background(), cfg, SubstringOptions{Length: 100}); err != nil {
		t.Fatal(err)
	}
	if _, err := Exact(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	read := func(rules ...string) string {
		var out []string
		wanted := func(rule string) bool {
			for _, r := range rules {
				if r == rule {
					return true
				}
			}
			return false
		}
		for c, err := range Cuts(context.Background(), dir, "web", wanted, t.TempDir(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fmt.Sprintf("%s %v %v", c.ID, c.Whole, c.Spans))
		}
		return strings.Join(out, "; ")
	}
	for _, c := range []struct {
		rules []string
		want  string
	}{
		{nil, ""},
		{[]string{"exact"}, "c true []"},
		{[]string{"paragraph"}, "b false [{21 260}]; c false [{21 260}]"},
		{[]string{"paragraph", "substring"}, "b false [{18 262}]; c false [{0 270}]"},
		{[]string{"exact", "paragraph", "substring"}, "b false [{18 262}]; c true []"},
	} {
		if got := read(c.rules...); got != c.want {
			t.Errorf("%v: %s, want %s", c.rules, got, c.want)
		}
	}
}
