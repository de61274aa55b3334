package names

import "testing"

func TestNearest(t *testing.T) {
	names := []string{"ingest", "inspect", "dedup", "vocab-size", "books", "wiki", "web"}
	for written, want := range map[string]string{"ingets": "ingest", "dedupe": "dedup", "vocab_size": "vocab-size", "xyz": "", "": "",
		"wikki": "wiki", "Book": "books", "wbe": "web", "commoncrawl": ""} {
		if got := Nearest(written, names); got != want {
			t.Errorf("nearest to %q: %q, want %q", written, got, want)
		}
	}
}
