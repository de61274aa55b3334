package shards

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/signals"
)

// countingTokens counts the texts that are tokenised.
func countingTokens(n *atomic.Int64) Tokens {
	tok := words()
	tok.NewEncoder = func() Encoder { return countingEncoder{n} }
	return tok
}

type countingEncoder struct{ n *atomic.Int64 }

func (e countingEncoder) Encode(dst []int32, text string) []int32 {
	e.n.Add(1)
	return wordEncoder{}.Encode(dst, text)
}

// checkSignals compares every signal column of the shards with the documents.
func checkSignals(t *testing.T, dir string) {
	t.Helper()
	ctx := context.Background()
	want := map[string]*ingest.Document{}
	for d, err := range ingest.Documents(ctx, dir, "books") {
		if err != nil {
			t.Fatal(err)
		}
		want[d.ID] = d
	}
	s := open(t, dir, "books")
	names := []string{"id", "language"}
	for _, c := range signals.Columns() {
		names = append(names, c.Name)
	}
	seen := 0
	for i := range s.Blocks() {
		values, err := s.ReadValues(ctx, i, names)
		if err != nil {
			t.Fatal(err)
		}
		for row, id := range values[0] {
			d := want[id.(string)]
			if d == nil || values[1][row] != d.Language {
				t.Fatalf("row of document %v: language %v, document %+v", id, values[1][row], d)
			}
			for j, c := range signals.Columns() {
				if got := values[2+j][row]; got != d.Value(c) {
					t.Fatalf("document %v: %s is %v, want %v", id, c.Name, got, d.Value(c))
				}
			}
			seen++
		}
	}
	if seen != len(want) {
		t.Errorf("%d of %d documents are there", seen, len(want))
	}
}

// TestSignalsAreColumns: a shard holds every signal, and takes new ones for the same
// texts without tokenising.
func TestSignalsAreColumns(t *testing.T) {
	dir := t.TempDir()
	docs := madeDocuments(700)
	var encoded atomic.Int64
	run := func() SourceReport {
		t.Helper()
		encoded.Store(0)
		writeDocuments(t, dir, "books", docs)
		r, err := BuildWith(context.Background(), Config{Data: dir, MemoryBytes: 1}, countingTokens(&encoded))
		if err != nil {
			t.Fatal(err)
		}
		checkSignals(t, dir)
		return r.Sources[0]
	}
	first := run()
	if first.Refreshed || encoded.Load() == 0 {
		t.Fatalf("%+v, %d texts tokenised", first, encoded.Load())
	}
	for i := range docs {
		docs[i].ID = ingest.NewID("books", docs[i].File, string(rune('a'+i))) // for good
	}
	run()
	for i := range docs {
		docs[i].Language = "" // takes stop_words away
	}
	if r := run(); !r.Refreshed || encoded.Load() != 0 || r.Rows != 700 || r.Tokens != first.Tokens {
		t.Errorf("new signals: %+v, %d texts tokenised", r, encoded.Load())
	}
	refreshed := run()
	if err := withdraw(Dir(dir, "books", "words")); err != nil {
		t.Fatal(err)
	}
	if r := run(); r.Refreshed || r.Digest != refreshed.Digest {
		t.Errorf("built from the documents the digest is %s, refreshed it was %s", r.Digest, refreshed.Digest)
	}
	docs[3].Text += "More."
	if r := run(); r.Refreshed || encoded.Load() == 0 {
		t.Errorf("another text: %+v, %d texts tokenised", r, encoded.Load())
	}
	docs = docs[:699]
	if r := run(); r.Refreshed || r.Rows != 699 {
		t.Errorf("fewer texts: %+v", r)
	}
}
