package dedup

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/ingest"
)

func TestURL(t *testing.T) {
	for raw, want := range map[string]string{
		"":                              "",
		" https://www.Example.org/a/b/": "example.org/a/b",
		"http://example.org:80/a/b#top": "example.org/a/b",
		"https://example.org:8080/":     "example.org:8080",
		"https://user:pw@example.org./?b=2&utm_source=x&a=1&fbclid=9": "example.org?a=1&b=2",
		"urn:uuid:1234":              "urn:uuid:1234",
		"https://example.org/%zz":    "https://example.org/%zz",
		"https://example.org/a?A=1":  "example.org/a?A=1",
		"https://[::1]:443/x":        "::1/x",
		"https://example.org/Case/ä": "example.org/Case/%C3%A4",
	} {
		if got := NormaliseURL(raw); got != want {
			t.Errorf("%q: %q, want %q", raw, got, want)
		}
	}
	dir := t.TempDir()
	writeDocuments(t, dir, "web",
		ingest.Document{ID: "a", URL: "http://example.org/x", Text: "Short."},
		ingest.Document{ID: "b", URL: "https://www.example.org/x/?utm_campaign=1", Text: "A longer text."},
		ingest.Document{ID: "c", Text: "None."}, ingest.Document{ID: "d", Text: "None."})
	r, err := URL(context.Background(), Config{Data: dir})
	if err != nil {
		t.Fatal(err)
	}
	if got := short(marksOf(t, dir, "web")); got != "a<web/b(url)" || r.Marked() != 1 || r.Sources[0].Documents != 4 {
		t.Errorf("marks %s, report %+v", got, r)
	}
}

func TestParagraphsAndLines(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books",
		doc("b1", "Chapter one.\n\nThe licence of this text\nis long.\n\nThe end."))
	writeDocuments(t, dir, "web",
		doc("w1", "Some news here.\n\n The licence  of this text\nis long. \n\nThe end."),
		doc("w2", "Other news there.\nThe licence of this text\n\nOther news there."))
	cfg := Config{Data: dir}
	r, err := Paragraph(context.Background(), cfg, 3)
	if err != nil {
		t.Fatal(err)
	}
	if r.Marked() != 1 || r.Sources[0].Marked != 0 || r.Groups != 1 {
		t.Errorf("report %+v", r)
	}
	if _, err := Line(context.Background(), cfg, 3); err != nil {
		t.Fatal(err)
	}
	text := map[string]string{}
	for d, err := range ingest.Documents(context.Background(), dir, "web") {
		if err != nil {
			t.Fatal(err)
		}
		text[d.ID] = d.Text
	}
	var got []string
	for _, m := range marksOf(t, dir, "web") {
		got = append(got, fmt.Sprintf("%s %s<%s %q", m.Rule, m.ID, m.Kept, text[m.ID][m.Start:m.End]))
	}
	want := []string{
		`line w1<b1 "The licence  of this text"`,
		`line w2<b1 "The licence of this text"`,
		`line w2<w2 "Other news there."`,
		`paragraph w1<b1 "The licence  of this text\nis long."`,
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("marks\n%s, want\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	again, err := Line(context.Background(), cfg, 3)
	if err != nil || !again.Skipped {
		t.Errorf("a second run: %+v (%v)", again, err)
	}
	if other, err := Line(context.Background(), cfg, 4); err != nil || other.Skipped {
		t.Errorf("a run of another length: %+v (%v)", other, err)
	}
}

func TestUnitMarksDependOnTheDocumentsAlone(t *testing.T) {
	var docs []ingest.Document
	for i := range 600 {
		var b strings.Builder
		for k := range 8 {
			fmt.Fprintf(&b, "Paragraph number %d is here.\n\n", (i*k*k+i)%97)
		}
		docs = append(docs, doc(fmt.Sprintf("%04d", i*389%600), b.String()))
	}
	rule := func(ctx context.Context, cfg Config) (*Report, error) { return Paragraph(ctx, cfg, 2) }
	want := marksDigest(t, docs, Config{Jobs: 1}, rule)
	if marksDigest(t, docs, Config{Jobs: 5, MemoryBytes: 1}, rule) != want {
		t.Error("workers or memory change the marks")
	}
}

func TestPartsCoverTheText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom([]string{"a", "b c", "\n", "\n\n", " ", "é"})).Draw(t, "pieces"), "")
		separator := rapid.SampledFrom([]string{"\n", "\n\n"}).Draw(t, "separator")
		last := 0
		var kept strings.Builder
		for from, to := range parts(text, separator) {
			if from < last || to <= from || to > len(text) {
				t.Fatalf("part %d:%d after %d of %q", from, to, last, text)
			}
			if part := text[from:to]; strings.TrimSpace(part) != part || strings.Contains(part, separator) {
				t.Fatalf("part %q of %q", part, text)
			}
			kept.WriteString(text[from:to])
			last = to
		}
		strip := strings.NewReplacer(" ", "", "\n", "")
		if strip.Replace(kept.String()) != strip.Replace(text) {
			t.Fatalf("the parts of %q hold %q", text, kept.String())
		}
	})
}
