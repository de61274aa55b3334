package ingest_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// write lays down n documents of a source whose texts text makes.
func write(t testing.TB, dir, source string, n int, text func(i int) string) *store.Manifest {
	t.Helper()
	w, err := ingest.NewWriter(dir, source)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range n {
		if err := w.Add(&ingest.Document{File: "made", Record: int64(i), Title: fmt.Sprintf("Title %d", i), Text: text(i)}); err != nil {
			t.Fatal(err)
		}
	}
	m, err := w.Commit()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestDocumentsComeBackAsWritten(t *testing.T) {
	dir := t.TempDir()
	text := func(i int) string { return strings.Repeat(fmt.Sprintf("Line %d, ä €.\n", i), 1+i%50*20) }
	m := write(t, dir, "books", 9000, text)
	if m.Totals["documents"] != 9000 {
		t.Errorf("totals %v", m.Totals)
	}
	var kept []*ingest.Document
	for d, err := range ingest.Documents(context.Background(), dir, "books") {
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, d)
	}
	if len(kept) != 9000 {
		t.Fatalf("%d documents came back", len(kept))
	}
	for i, d := range kept {
		if d.Text != text(i) || d.Record != int64(i) || d.Title != fmt.Sprintf("Title %d", i) || d.Source != "books" || d.ID == "" {
			t.Fatalf("document %d came back as %+v", i, d)
		}
		if lines := int64(1 + i%50*20); d.Lines != lines || d.Words != 4*lines || d.Chars != int64(len([]rune(text(i)))) {
			t.Fatalf("document %d: %d lines, %d words, %d characters", i, d.Lines, d.Words, d.Chars)
		}
	}
	if again := write(t, t.TempDir(), "books", 9000, text); again.Digest() != m.Digest() {
		t.Error("the same documents gave other bytes")
	}
}

func TestSources(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"web", "books"} {
		write(t, dir, name, 1, func(int) string { return "x" })
	}
	if err := os.MkdirAll(filepath.Join(dir, "empty", "documents"), 0o755); err != nil {
		t.Fatal(err)
	}
	names, err := ingest.Sources(dir)
	if err != nil || fmt.Sprint(names) != "[books web]" {
		t.Errorf("sources %v (%v)", names, err)
	}
	for _, err := range ingest.Documents(context.Background(), dir, "empty") {
		if !errors.Is(err, ingest.ErrNoSource) {
			t.Errorf("an absent source gives %v", err)
		}
	}
	for _, bad := range []string{"", "..", "a/b", `a\b`, "tokenizers", ".x", strings.Repeat("a", 64)} {
		if ingest.CheckSource(bad) == nil {
			t.Errorf("a source may be called %q", bad)
		}
		for _, err := range ingest.Documents(context.Background(), dir, bad) {
			if err == nil {
				t.Errorf("source %q has documents", bad)
			}
		}
	}
}

func TestDamagedPartsAreNamed(t *testing.T) {
	dir := t.TempDir()
	// Texts that do not pack, so that they are most of the file.
	m := write(t, dir, "books", 300, func(i int) string {
		var b strings.Builder
		for j := range 12 {
			fmt.Fprintf(&b, "%x ", sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(j)}))
		}
		return b.String()
	})
	path := filepath.Join(ingest.DocumentsDir(dir, "books"), m.Files[0].Path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unnoticed := 0
	for at := 0; at < len(good); at += 487 {
		bad := append([]byte(nil), good...)
		bad[at] ^= 0x10
		if err := os.WriteFile(path, bad, 0o644); err != nil {
			t.Fatal(err)
		}
		n := 0
		var failed error
		for d, err := range ingest.Documents(context.Background(), dir, "books") {
			if err != nil {
				failed = err
				break
			}
			if d.ID == "" {
				break
			}
			n++
		}
		var damaged *store.DamagedError
		switch {
		case failed == nil:
			// Statistics and padding are covered by the manifest's digest alone.
			unnoticed++
		case !errors.As(failed, &damaged) || damaged.Path != path:
			t.Fatalf("bit flipped at %d: %v", at, failed)
		}
	}
	if unnoticed > len(good)/487/4 {
		t.Errorf("%d of %d flipped bits went unnoticed", unnoticed, len(good)/487)
	}
	if err := os.WriteFile(path, good[:len(good)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	for _, err := range ingest.Documents(context.Background(), dir, "books") {
		var damaged *store.DamagedError
		if !errors.As(err, &damaged) {
			t.Errorf("a truncated part gives %v", err)
		}
	}
}

func TestWriterRefusesWhatIsNoDocument(t *testing.T) {
	w, err := ingest.NewWriter(t.TempDir(), "books")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for _, d := range []ingest.Document{{}, {Text: "a\xff"}, {Text: "a", Source: "other"}, {Text: "a", Title: "\xff"}} {
		if w.Add(&d) == nil {
			t.Errorf("%+v was accepted", d)
		}
	}
}

func TestAbortedSourceIsAbsent(t *testing.T) {
	dir := t.TempDir()
	w, err := ingest.NewWriter(dir, "books")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(&ingest.Document{Text: "x"}); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	if names, err := ingest.Sources(dir); err != nil || len(names) != 0 {
		t.Errorf("sources %v (%v)", names, err)
	}
	if err := w.Add(&ingest.Document{Text: "x"}); err == nil {
		t.Error("an aborted writer takes documents")
	}
	if _, err := w.Commit(); err == nil {
		t.Error("an aborted writer commits")
	}
}

func TestDocumentsStopWithTheContext(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "books", 100, func(int) string { return "x" })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var last error
	n := 0
	for _, err := range ingest.Documents(ctx, dir, "books") {
		last = err
		if n++; n == 3 {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("after cancelling the sequence ended with %v", last)
	}
}

func ExampleWriter() {
	dir, err := os.MkdirTemp("", "data")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	w, err := ingest.NewWriter(dir, "notes")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer w.Abort()
	for i, text := range []string{"A first note.", "A second one."} {
		if err := w.Add(&ingest.Document{File: "notes.txt", Record: int64(i), Text: text}); err != nil {
			fmt.Println(err)
			return
		}
	}
	if _, err := w.Commit(); err != nil {
		fmt.Println(err)
		return
	}
	for d, err := range ingest.Documents(context.Background(), dir, "notes") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(d.Record, d.Words, d.Text)
	}
	// Output:
	// 0 3 A first note.
	// 1 3 A second one.
}

func BenchmarkDocuments(b *testing.B) {
	dir := b.TempDir()
	m := write(b, dir, "books", 20000, func(i int) string { return strings.Repeat(fmt.Sprint("some words of text ", i*7919%1000, " "), 90) })
	b.SetBytes(m.Totals["bytes"])
	for b.Loop() {
		for _, err := range ingest.Documents(context.Background(), dir, "books") {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
