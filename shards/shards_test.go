package shards

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// wordEncoder is the smallest tokenizer: a word's id is a hash of it.
type wordEncoder struct{}

func (wordEncoder) Encode(dst []int32, text string) []int32 {
	for word := range strings.FieldsSeq(text) {
		h := fnv.New32a()
		h.Write([]byte(word))
		dst = append(dst, int32(h.Sum32()%30000))
	}
	return dst
}

func words() Tokens {
	return Tokens{Name: "words", Digest: "words/1", NewEncoder: func() Encoder { return wordEncoder{} }}
}

func writeDocuments(t testing.TB, dir, source string, docs []ingest.Document) {
	t.Helper()
	w, err := ingest.NewWriter(dir, source)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range docs {
		if err := w.Add(&docs[i]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func madeDocuments(n int) []ingest.Document {
	docs := make([]ingest.Document, n)
	for i := range docs {
		docs[i] = ingest.Document{
			File: fmt.Sprintf("dump-%d", i%3), Record: int64(i), Offset: int64(i * 100), Language: "en",
			Text: "\n" + strings.Repeat(fmt.Sprintf("Sentence number %d of many. It has w%d words!\n\n", i, i%7), i%11),
		}
	}
	return docs
}

func build(t testing.TB, cfg Config) *Report {
	t.Helper()
	r, err := BuildWith(context.Background(), cfg, words())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func open(t testing.TB, dir, source string) *Set {
	t.Helper()
	s, err := Open(context.Background(), dir, source, "words")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestWhatIsReadIsWhatWasTokenised(t *testing.T) {
	dir := t.TempDir()
	docs := madeDocuments(500)
	writeDocuments(t, dir, "books", docs)
	r := build(t, Config{Data: dir})
	want := map[string]ingest.Document{}
	for d, err := range ingest.Documents(context.Background(), dir, "books") {
		if err != nil {
			t.Fatal(err)
		}
		want[d.ID] = *d
	}
	s := open(t, dir, "books")
	var b Block
	rows, tokens := 0, 0
	previous := []byte(nil)
	for i := range s.Blocks() {
		if err := s.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
		rows += b.Rows()
		tokens += len(b.Tokens)
		for j, id := range b.IDs {
			key := appendKey(nil, id)
			if slices.Compare(previous, key) >= 0 {
				t.Fatalf("row %d of block %d is out of order", j, i)
			}
			previous = key
			d, ok := want[id]
			if !ok {
				t.Fatalf("document %s was not ingested", id)
			}
			got := b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]]
			if !slices.Equal(got, wordEncoder{}.Encode(nil, d.Text)) {
				t.Fatalf("document %s has tokens %v", id, got)
			}
			ends := b.SentenceEnds[b.SentenceBounds[j]:b.SentenceBounds[j+1]]
			if len(ends) != 2*int(d.Record%11) {
				t.Fatalf("document %d has sentences %v", d.Record, ends)
			}
			if !b.Keep[j] {
				t.Fatalf("document %s is not kept", id)
			}
		}
	}
	if rows != 500 || r.Sources[0].Rows != 500 || int64(tokens) != r.Sources[0].Tokens || r.Sources[0].Empty != 46 {
		t.Errorf("%d rows, %d tokens; report %+v", rows, tokens, r.Sources[0])
	}
	if left, err := filepath.Glob(filepath.Join(Dir(dir, "books", "words"), ".*")); err != nil || len(left) != 0 {
		t.Errorf("the build left %v (%v)", left, err)
	}
}

func digestOf(t testing.TB, docs []ingest.Document, cfg Config) string {
	t.Helper()
	cfg.Data = t.TempDir()
	writeDocuments(t, cfg.Data, "books", docs)
	return build(t, cfg).Sources[0].Digest
}

func TestBytesDependOnNeitherJobsNorMemoryNorOrder(t *testing.T) {
	docs := madeDocuments(3000)
	for i := range docs {
		docs[i].ID = ingest.NewID("books", docs[i].File, fmt.Sprint(docs[i].Record))
	}
	want := digestOf(t, docs, Config{Jobs: 1, ShardBytes: 1})
	if got := digestOf(t, docs, Config{Jobs: 7, ShardBytes: 1}); got != want {
		t.Error("seven workers give other bytes than one")
	}
	if got := digestOf(t, docs, Config{Jobs: 2, ShardBytes: 1, MemoryBytes: 1}); got != want {
		t.Error("less memory gives other bytes")
	}
	slices.Reverse(docs)
	if got := digestOf(t, docs, Config{Jobs: 3, ShardBytes: 1}); got != want {
		t.Error("another order of ingestion gives other bytes")
	}
}

func TestASecondBuildDoesNothingAndAKilledOneIsDoneAgain(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(200))
	first := build(t, Config{Data: dir}).Sources[0]
	again := build(t, Config{Data: dir}).Sources[0]
	if first.Skipped || !again.Skipped || again.Digest != first.Digest || again.Rows != 200 {
		t.Errorf("first %+v, again %+v", first, again)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	writeDocuments(t, dir, "books", madeDocuments(201))
	if _, err := BuildWith(ctx, Config{Data: dir}, words()); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled build says %v", err)
	}
	if s := open(t, dir, "books"); s.Manifest().Digest() != first.Digest {
		t.Error("a cancelled build leaves other shards than those of the last one")
	}
	if r := build(t, Config{Data: dir}).Sources[0]; r.Skipped || r.Rows != 201 {
		t.Errorf("after the cancelled build: %+v", r)
	}
}

func TestAFlippedByteIsNamed(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(300))
	build(t, Config{Data: dir})
	path := filepath.Join(Dir(dir, "books", "words"), partName(0))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at += len(good)/200 + 1 {
		bad := slices.Clone(good)
		bad[at] ^= 0x20
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, "books")
		var b Block
		var damaged *store.DamagedError
		if err := s.ReadBlock(context.Background(), 0, &b); !errors.As(err, &damaged) || damaged.Path != path {
			t.Fatalf("byte %d flipped: %v", at, err)
		}
	}
}

// The checksum is the first line; behind it, a file that is damaged all the same
// must not bring the program down.
func TestDamageBehindTheChecksumIsNoPanic(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(100))
	build(t, Config{Data: dir})
	sdir := Dir(dir, "books", "words")
	m, err := ReadManifest(dir, "books", "words")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(sdir, partName(0))
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for at := 0; at < len(good); at += 101 {
		bad := slices.Clone(good)
		bad[at] ^= 0x11
		f, err := store.WriteFile(path, bad)
		if err != nil {
			t.Fatal(err)
		}
		f.Rows = m.Files[0].Rows
		m.Files[0] = f
		for _, e := range []*Extent{&m.Blocks[0].Extent, &m.Tails[0]} {
			e.Sum = sumOf(bad[e.Offset : e.Offset+e.Bytes])
		}
		if err := writeManifest(sdir, m); err != nil {
			t.Fatal(err)
		}
		s := open(t, dir, "books")
		var b Block
		err = s.ReadBlock(context.Background(), 0, &b)
		var damaged *store.DamagedError
		if err != nil && !errors.As(err, &damaged) {
			t.Fatalf("byte %d flipped: %v", at, err)
		}
	}
}

func TestAMissingOrChangedFileIsNamed(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(100))
	build(t, Config{Data: dir})
	path := filepath.Join(Dir(dir, "books", "words"), partName(0))
	s := open(t, dir, "books")
	var b Block
	if err := s.ReadBlock(context.Background(), 0, &b); err != nil {
		t.Fatal(err)
	}
	var replaced *ReplacedError
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	if err := s.ReadBlock(context.Background(), 0, &b); !errors.As(err, &replaced) || replaced.Path != path {
		t.Errorf("a file truncated while open: %v", err)
	}
	var damaged *store.DamagedError
	if err := open(t, dir, "books").ReadBlock(context.Background(), 0, &b); !errors.As(err, &damaged) || damaged.Path != path {
		t.Errorf("a file truncated before it was opened: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	if _, err := Open(context.Background(), dir, "books", "words"); !errors.As(err, &missing) || missing.Path != path {
		t.Errorf("a missing file: %v", err)
	}
}

func TestEdges(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "none", nil)
	writeDocuments(t, dir, "blank", []ingest.Document{{Record: 1, Text: "\n"}, {Record: 2, Text: " \n\n "}, {Record: 3, Text: "\n"}})
	build(t, Config{Data: dir})
	if s := open(t, dir, "none"); s.Blocks() != 0 {
		t.Errorf("no documents make %d blocks", s.Blocks())
	}
	s := open(t, dir, "blank")
	var b Block
	if s.Blocks() != 1 {
		t.Fatalf("%d blocks", s.Blocks())
	}
	if err := s.ReadBlock(context.Background(), 0, &b); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(b.DocBounds, []int32{0, 0, 0, 0}) || !slices.Equal(b.SentenceBounds, []int32{0, 0, 0, 0}) || len(b.Tokens) != 0 {
		t.Errorf("empty documents read as %+v", b)
	}
	if err := s.ReadBlock(context.Background(), 1, &b); err == nil {
		t.Error("a block past the last was read")
	}
	for _, bad := range [][2]string{{"..", "words"}, {"blank", "../x"}, {"blank", ""}} {
		if _, err := Open(context.Background(), dir, bad[0], bad[1]); err == nil {
			t.Errorf("source %q with tokenizer %q opens", bad[0], bad[1])
		}
	}
	if _, err := Open(context.Background(), dir, "blank", "other"); !errors.Is(err, ErrNoShards) {
		t.Errorf("an absent tokenizer gives %v", err)
	}
	if _, err := BuildWith(context.Background(), Config{Data: t.TempDir()}, words()); !errors.Is(err, ingest.ErrNoSource) {
		t.Errorf("an empty data root gives %v", err)
	}
}

func TestBlocksAreCutByTokensAndFilesBySize(t *testing.T) {
	if testing.Short() {
		return
	}
	dir := t.TempDir()
	var docs []ingest.Document
	text := strings.Repeat("one two three four five six seven eight.\n", 5000)
	for i := range 60 {
		docs = append(docs, ingest.Document{Record: int64(i), Text: fmt.Sprint(text, i)})
	}
	writeDocuments(t, dir, "books", docs)
	build(t, Config{Data: dir, ShardBytes: 1})
	s := open(t, dir, "books")
	m := s.Manifest()
	if len(m.Files) != len(m.Blocks) || len(m.Blocks) != 5 {
		t.Errorf("%d files, %d blocks: %v", len(m.Files), len(m.Blocks), m.Blocks)
	}
	for i := range m.Blocks[:len(m.Blocks)-1] {
		if n := s.BlockInfo(i).Tokens; n < DefaultBlockTokens || n > DefaultBlockTokens+50_000 {
			t.Errorf("block %d has %d tokens", i, n)
		}
	}
	var b Block
	for i := range s.Blocks() {
		if err := s.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAMistakenTokenizerIsAnError(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(3))
	s := &scratch{sentences: func(text string, dst []int) []int { return append(dst, 1) }}
	if err := tokenise(wordEncoder{}, "two words", s); err == nil {
		t.Error("sentence ends that leave out text were accepted")
	}
	tok := words()
	tok.Name = "../x"
	if _, err := BuildWith(context.Background(), Config{Data: dir}, tok); err == nil {
		t.Error("a tokenizer's name led out of the data root")
	}
}
