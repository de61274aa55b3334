package dedup

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// A new dump against all that was seen gives the marks, and the figures, of all at
// once: whether the first runs left an index, marks, or both, and for three dumps
// that came one after the other.
func TestANewDumpAgainstAllThatWasSeen(t *testing.T) {
	docs := planted(240, []float64{0.6, 0.8, 0.9, 1}, 11)
	// Near-duplicates of near-duplicates, and twins, across the dumps.
	for i := 0; i < 60; i++ {
		d := docs[4*i]
		docs = append(docs, ingest.Document{ID: "again-" + d.ID, Text: d.Text + " and a word"}, ingest.Document{ID: "same-" + d.ID, Text: d.Text})
	}
	dumps := [3][]ingest.Document{}
	for i, d := range docs {
		dumps[(i*7+i/5)%3] = append(dumps[(i*7+i/5)%3], d)
	}
	names := []string{"first", "second", "third"}
	o := options(t, "threshold:0.7")
	write := func(dir string) {
		for i, n := range names {
			writeDocuments(t, dir, n, dumps[i]...)
		}
	}
	run := func(dir string, sources int, index bool) *Report {
		r, err := MinHash(context.Background(), Config{Data: dir, Sources: names[:sources], Index: index}, o)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	manifests := func(dir string) string {
		var all string
		for _, n := range names {
			m, err := readMarksManifest(marksDir(dir, n))
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Verify(marksDir(dir, n)); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(marksDir(dir, n), store.ManifestName))
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	atOnce := t.TempDir()
	write(atOnce)
	if r := run(atOnce, 3, false); r.Reused != 0 || r.Marked() < 100 {
		t.Fatalf("all at once: %+v", r)
	}
	want := manifests(atOnce)
	for _, index := range []bool{true, false} {
		dir := t.TempDir()
		write(dir)
		for n := 1; n <= 3; n++ {
			r := run(dir, n, index)
			before := int64(0)
			for i := 0; i < n-1 && index; i++ {
				before += int64(len(dumps[i]))
			}
			if r.Reused != before {
				t.Errorf("index %v, %d dumps: %d documents reused, want %d", index, n, r.Reused, before)
			}
		}
		if manifests(dir) != want {
			t.Errorf("index %v: one dump after the other gives other marks than all at once", index)
		}
	}
	// An index without the marks, a damaged one, one of other documents.
	dir := t.TempDir()
	write(dir)
	run(dir, 2, true)
	for _, n := range names {
		if err := os.RemoveAll(marksDir(dir, n)); err != nil {
			t.Fatal(err)
		}
	}
	signatures, err := filepath.Glob(filepath.Join(dir, "first", "index", "*", indexFile))
	if err != nil || len(signatures) != 1 {
		t.Fatalf("indexes %v (%v)", signatures, err)
	}
	b, err := os.ReadFile(signatures[0])
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if err := os.WriteFile(signatures[0], b, 0o600); err != nil {
		t.Fatal(err)
	}
	if r := run(dir, 3, false); r.Reused != int64(len(dumps[1])) || manifests(dir) != want {
		t.Errorf("with a damaged index %d documents are reused, want %d", r.Reused, len(dumps[1]))
	}
	writeDocuments(t, dir, "second", dumps[1][1:]...)
	if r := run(dir, 3, false); r.Reused != 0 {
		t.Errorf("%d documents are reused of indexes that are damaged or of other documents", r.Reused)
	}
}

// The same for every rule: what comes one dump after the other, with an index and
// without, ends with the marks and figures of all at once; and rules with an index
// read only what is new.
func TestANewDumpForEveryRule(t *testing.T) {
	names := []string{"first", "second", "third"}
	docs := planted(60, []float64{0.8, 0.9, 1}, 31)
	paragraph := "A paragraph of some words that stands in many documents.\nAnd a line of it too."
	for i := range docs {
		docs[i].URL = fmt.Sprintf("https://example.org/%d?utm_source=x", i%50)
		if i%4 == 0 {
			docs[i].Text += "\n\n" + paragraph + fmt.Sprint("\n\nline ", i%9, " of three")
		}
	}
	write := func(dir string) {
		for k, n := range names {
			var part []ingest.Document
			for i := range docs {
				if (i+i/4)%3 == k {
					part = append(part, docs[i])
				}
			}
			writeDocuments(t, dir, n, part...)
		}
	}
	manifests := func(dir string) (all string) {
		for _, n := range names {
			b, err := os.ReadFile(filepath.Join(marksDir(dir, n), store.ManifestName))
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	withIndex := []string{RuleExact, RuleExactRaw, RuleURL, RuleParagraph, RuleLine, RuleMinHash}
	for name, rule := range everyRule(t) {
		run := func(dir string, sources int, index bool, memory int64) *Report {
			r, err := rule(context.Background(), Config{Data: dir, Sources: names[:sources], Index: index, MemoryBytes: memory})
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return r
		}
		atOnce := t.TempDir()
		write(atOnce)
		if r := run(atOnce, 3, false, 0); r.Marked() == 0 && name != RuleDecontaminate {
			t.Errorf("%s marks nothing", name)
		}
		want := manifests(atOnce)
		for _, index := range []bool{true, false} {
			dir := t.TempDir()
			write(dir)
			for n := 1; n <= 3; n++ {
				r := run(dir, n, index, 1)
				if before := int64(40 * (n - 1)); index && slices.Contains(withIndex, name) && r.Reused != before {
					t.Errorf("%s, %d dumps: %d documents are reused, want %d", name, n, r.Reused, before)
				}
			}
			if manifests(dir) != want {
				t.Errorf("%s, index %v: one dump after the other gives other marks than all at once", name, index)
			}
			if !index || !slices.Contains(withIndex, name) || name == RuleMinHash {
				continue
			}
			// A damaged index is made again; without the flag it is left alone.
			files, err := filepath.Glob(filepath.Join(dir, "second", "index", "*", unitIndexFile))
			if err != nil || len(files) != 1 {
				t.Fatalf("%s: indexes %v (%v)", name, files, err)
			}
			b, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			b[len(b)/2] ^= 1
			if err := os.WriteFile(files[0], b, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, n := range names {
				if err := os.RemoveAll(marksDir(dir, n)); err != nil {
					t.Fatal(err)
				}
			}
			if r := run(dir, 3, false, 0); r.Reused != 80 || manifests(dir) != want {
				t.Errorf("%s: with a damaged index %d documents are reused, want 80, or the marks are others", name, r.Reused)
			}
		}
	}
}
