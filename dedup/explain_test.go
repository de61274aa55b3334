package dedup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	body := strings.Repeat("The council met on Monday and voted on the new bridge over the river. ", 4)
	writeDocuments(t, dir, "books", ingest.Document{ID: "b", Title: "Old", Text: body + "It rained all day."})
	writeDocuments(t, dir, "web",
		ingest.Document{ID: "w", Title: "New\x1b[31m", Text: body + "It snowed all day.\n\nA paragraph of its own."},
		ingest.Document{ID: "x", Text: "Lonely."}, ingest.Document{ID: "y", Text: "A paragraph of its own."})
	cfg := Config{Data: dir}
	if _, err := MinHash(context.Background(), cfg, options(t, "threshold:0.5")); err != nil {
		t.Fatal(err)
	}
	if _, err := Paragraph(context.Background(), cfg, 3); err != nil {
		t.Fatal(err)
	}
	got, err := Explain(context.Background(), dir, "b")
	if err != nil || len(got) != 0 {
		t.Errorf("a document that stays: %+v (%v)", got, err)
	}
	if got, err = Explain(context.Background(), dir, "w"); err != nil || len(got) != 1 {
		t.Fatalf("%+v (%v)", got, err)
	}
	var b strings.Builder
	for _, color := range []bool{false, true} {
		b.Reset()
		if err := got[0].Write(&b, color, 0); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{"rule minhash, near, score 0.", `kept: b "Old" of books`, "[-snowed-]", "{+rained+}"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%q is not in\n%s", want, b.String())
			}
		}
		if strings.Contains(b.String(), "\x1b[32m") != color {
			t.Errorf("color %v:\n%s", color, b.String())
		}
	}
	if got, err = Explain(context.Background(), dir, "y"); err != nil || len(got) != 1 || got[0].Text != "A paragraph of its own." || got[0].Mark.Kept != "w" {
		t.Errorf("a span: %+v (%v)", got, err)
	}
	if _, err := Explain(context.Background(), dir, "absent"); !errors.Is(err, ErrNoDocument) {
		t.Errorf("an absent id: %v", err)
	}
}

func TestDiffLeadsFromOneTextToTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b ", "c\n", " ", "é ", "\u00a0"}), 0, 30).Draw(t, name), "")
		}
		a, b := draw("marked"), draw("kept")
		var x, y strings.Builder
		for i, p := range Diff(a, b) {
			if p.In != "kept" {
				x.WriteString(p.Text)
			}
			if p.In != "marked" {
				y.WriteString(p.Text)
			}
			if p.Text == "" {
				t.Fatalf("part %d is empty", i)
			}
		}
		if x.String() != a || y.String() != b {
			t.Fatalf("the parts make %q and %q of %q and %q", x.String(), y.String(), a, b)
		}
	})
	long := strings.Repeat("word ", 5000)
	if d := Diff(long+"x", "y "+long); len(d) > 4 {
		t.Errorf("a large comparison has %d parts", len(d))
	}
}

// Two long texts that differ in many places are compared in many places.
func TestDiffOfLongTexts(t *testing.T) {
	var a, b []string
	for i := range 20_000 {
		w := fmt.Sprintf("w%d ", i*7919%100_003)
		switch {
		case i%1000 == 500:
			a, b = append(a, w), append(b, "changed ")
		case i%1000 == 700:
			b = append(b, "more ")
			a, b = append(a, w), append(b, w)
		default:
			a, b = append(a, w), append(b, w)
		}
	}
	x, y := strings.Join(a, ""), strings.Join(b, "")
	marked, kept := 0, 0
	var left, right strings.Builder
	for _, p := range Diff(x, y) {
		switch p.In {
		case "marked":
			marked += len(strings.Fields(p.Text))
		case "kept":
			kept += len(strings.Fields(p.Text))
		}
		if p.In != "kept" {
			left.WriteString(p.Text)
		}
		if p.In != "marked" {
			right.WriteString(p.Text)
		}
	}
	if marked != 20 || kept != 40 {
		t.Errorf("%d words are marked only, %d kept only, want 20 and 40", marked, kept)
	}
	if left.String() != x || right.String() != y {
		t.Error("the parts do not make the texts")
	}
}

// The columns are as wide as they should be, whatever is in them, and hold all words.
func TestSideBySide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) string {
			return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a ", "word ", "line\n", "e\u0301 ", "\u6771\u4eac", "\u0e01\u0e34", "\x1b[2J", strings.Repeat("long", 30) + " "}), 0, 40).Draw(t, name), "")
		}
		e := Explanation{Mark: Mark{Start: -1, KeptStart: -1, Kept: "k"}, Text: draw("marked")}
		e.Diff = Diff(e.Text, draw("kept"))
		columnsWanted := rapid.IntRange(0, 150).Draw(t, "columns")
		for _, color := range []bool{false, true} {
			var b strings.Builder
			if err := e.Write(&b, color, columnsWanted); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(b.String(), "\x1b[2J") {
				t.Fatal("a control sequence of the text gets to the terminal")
			}
			if color {
				continue
			}
			want := max(columnsWanted, 40)
			if columnsWanted == 0 {
				want = 120
			}
			for _, row := range strings.Split(b.String(), "\n")[3:] {
				if n := columns(row); n > want {
					t.Fatalf("a row of %d columns, want at most %d: %q", n, want, row)
				}
			}
		}
	})
}
