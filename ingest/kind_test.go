package ingest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

func TestANamedLinkIsEntered(t *testing.T) {
	raw := lay(t, map[string][]byte{"a.txt": []byte("A book.\n"), "deep/b.txt": []byte("Another book.\n")})
	link := filepath.Join(t.TempDir(), "linked")
	if err := os.Symlink(raw, link); err != nil {
		t.Fatal(err)
	}
	// A link below what was named leads back up: following it would never end.
	if err := os.Symlink(raw, filepath.Join(raw, "deep", "up")); err != nil {
		t.Fatal(err)
	}
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{link}, Source: "books"})
	if report.Totals.Documents != 2 {
		t.Errorf("%d documents, want the two books: %+v", report.Totals.Documents, report.Totals)
	}
}

func TestTheIndexOfADumpIsNoBook(t *testing.T) {
	raw := lay(t, map[string][]byte{
		"xwiki-pages-articles-multistream.xml.bz2":       bunzipped(t, dump(page(1, 0, "One", "Text of one."))),
		"xwiki-pages-articles-multistream-index.txt.bz2": bunzipped(t, []byte("0:1:One\n")),
	})
	report := run(t, ingest.Config{Data: t.TempDir(), Inputs: []string{raw}})
	if report.Source != "wiki" || report.Totals.Documents != 1 {
		t.Errorf("source %q with %d documents, want wiki with 1", report.Source, report.Totals.Documents)
	}
}
