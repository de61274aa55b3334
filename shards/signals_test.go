package shards

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/rules"
	"github.com/tributary-ml/tributary/ingest/signals"
	"github.com/tributary-ml/tributary/tokenize"
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

// EncodeOffsets implements OffsetEncoder.
func (e countingEncoder) EncodeOffsets(enc *tokenize.Encoding, text string) error {
	e.n.Add(1)
	enc.IDs, enc.Spans = wordEncoder{}.Encode(enc.IDs[:0], text), enc.Spans[:0]
	at := 0
	for word := range strings.FieldsSeq(text) {
		start := at + strings.Index(text[at:], word)
		at = start + len(word)
		enc.Spans = append(enc.Spans, tokenize.Span{Start: start, End: at})
	}
	return nil
}

// TestCutsOutliveOtherMarks: as long as the marks of a rule that cuts lines are the
// same, changing another rule finds no token anew, be it for a mix or for a refresh.
func TestCutsOutliveOtherMarks(t *testing.T) {
	dir := t.TempDir()
	ctx := context.Background()
	var docs []ingest.Document
	for i := range 300 {
		text := "This line has some words.\nTwo words.\nAnd this one has words as well."
		if i%3 == 0 {
			text = fmt.Sprintf("The whole of document %d stays as it is.", i)
		}
		docs = append(docs, ingest.Document{File: "f", Record: int64(i), Text: text})
	}
	writeDocuments(t, dir, "books", docs)
	judge := func(text string) {
		t.Helper()
		set, err := rules.Builtin()
		if err != nil {
			t.Fatal(err)
		}
		if err := set.Parse("own", []byte(text)); err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(text, ":")
		rule, err := set.Rule(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dedup.Judge(ctx, dedup.Config{Data: dir}, rule); err != nil {
			t.Fatal(err)
		}
	}
	var encoded atomic.Int64
	build := func() SourceReport {
		t.Helper()
		encoded.Store(0)
		r, err := BuildWith(ctx, Config{Data: dir}, countingTokens(&encoded))
		if err != nil {
			t.Fatal(err)
		}
		return r.Sources[0]
	}
	// check reads all blocks. There is no tokenizer under the data root, so that opening
	// the shards would fail if it had to find tokens.
	check := func(cut bool) {
		t.Helper()
		s := open(t, dir, "books")
		var b Block
		gaps := 0
		for i := range s.Blocks() {
			if err := s.ReadBlock(ctx, i, &b); err != nil {
				t.Fatal(err)
			}
			for row, of := range b.Gaps {
				if want := []Gap{{At: 5, Tokens: 2}}; !slices.Equal(of, want) {
					t.Fatalf("row %d has gaps %v, want %v", row, of, want)
				}
				gaps++
			}
		}
		if want := map[bool]int{true: 200}[cut]; gaps != want {
			t.Fatalf("%d documents are cut, want %d", gaps, want)
		}
	}
	build()
	check(false)
	judge("cutter: {lines: [few_words]}")
	if r := build(); !r.Refreshed || encoded.Load() == 0 {
		t.Fatalf("%+v, %d texts tokenised", r, encoded.Load())
	}
	check(true)
	judge("few: {few: words < 3}")
	check(true)
	if r := build(); !r.Refreshed || encoded.Load() != 0 {
		t.Fatalf("another rule: %+v, %d texts tokenised", r, encoded.Load())
	}
	check(true)
	judge("few: {few: words < 4}")
	check(true)
	if _, err := dedup.Withdraw(dir, "books", func(r dedup.RuleStats) bool { return r.Rule == "cutter" }); err != nil {
		t.Fatal(err)
	}
	check(false)
	if build(); encoded.Load() != 0 {
		t.Fatalf("withdrawn: %d texts tokenised", encoded.Load())
	}
	check(false)
}
