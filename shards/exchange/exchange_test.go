package exchange

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tributary-ml/tributary/shards"
)

const vocab = 30000

// records makes n documents of very different lengths, one of them empty.
func records(n int) []Record {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]Record, n)
	for i := range out {
		tokens := make([]int32, []int{0, 1, 255, 256, 300, 66000}[min(i, 5)]*(i/6+1)%70001)
		for j := range tokens {
			tokens[j] = int32(r.IntN(vocab))
		}
		out[i] = Record{ID: fmt.Sprintf("doc-%d-é", i), Source: "made", Tokens: tokens}
	}
	return out
}

func all(list []Record) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		for _, r := range list {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// made imports records as shards and returns them in the shards' order.
func made(t testing.TB, list []Record) (*shards.Set, []Record) {
	t.Helper()
	ctx, data := context.Background(), t.TempDir()
	if _, err := shards.Import(ctx, shards.Config{Data: data}, "made", "words", "words/1", vocab, "test", all(list)); err != nil {
		t.Fatal(err)
	}
	set, err := shards.Open(ctx, data, "made", "words")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = set.Close() })
	byID := map[string]Record{}
	for _, r := range list {
		byID[r.ID] = r
	}
	var ordered []Record
	var b shards.Block
	for i := range set.Blocks() {
		if err := set.ReadBlock(ctx, i, &b); err != nil {
			t.Fatal(err)
		}
		for _, id := range b.IDs {
			ordered = append(ordered, byID[id])
		}
	}
	if len(ordered) != len(list) {
		t.Fatalf("%d of %d records are in the shards", len(ordered), len(list))
	}
	return set, slices.DeleteFunc(ordered, func(r Record) bool { return len(r.Tokens) == 0 })
}

func TestEveryFormatGivesBackWhatWasWritten(t *testing.T) {
	set, want := made(t, records(14))
	for _, f := range formats() {
		for _, size := range []int{vocab, 100_000} {
			dir := filepath.Join(t.TempDir(), f.name)
			r, err := Export(context.Background(), set, f.name, dir, Options{VocabSize: size, Tokenizer: "words", FileBytes: 1 << 18})
			if err != nil {
				t.Fatal(f.name, err)
			}
			if r.Documents != int64(len(want)) || r.Empty == 0 {
				t.Errorf("%s: %+v for %d documents", f.name, r, len(want))
			}
			i := 0
			for got, err := range Read(dir, f.name) {
				if err != nil {
					t.Fatal(f.name, err)
				}
				if !slices.Equal(got.Tokens, want[i].Tokens) || f.ids && (got.ID != want[i].ID || got.Source != "made") {
					t.Fatalf("%s: document %d is %q of %d tokens, want %q of %d", f.name, i, got.ID, len(got.Tokens), want[i].ID, len(want[i].Tokens))
				}
				i++
			}
			if i != len(want) {
				t.Errorf("%s: %d of %d documents came back", f.name, i, len(want))
			}
		}
	}
}

// Files that end early or have a wrong byte must be errors or other tokens, never
// panics.
func TestDamagedFilesAreErrors(t *testing.T) {
	set, want := made(t, records(5))
	r := rand.New(rand.NewPCG(3, 4))
	for _, f := range formats() {
		dir := filepath.Join(t.TempDir(), "d")
		if _, err := Export(context.Background(), set, f.name, dir, Options{VocabSize: vocab}); err != nil {
			t.Fatal(err)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			whole, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for range 30 {
				bad := slices.Clone(whole)
				cut := r.IntN(2) == 0
				if cut {
					bad = bad[:r.IntN(len(bad))]
				} else {
					bad[r.IntN(min(len(bad), 400))] ^= 1 << r.IntN(8)
				}
				if err := os.WriteFile(path, bad, 0o644); err != nil {
					t.Fatal(err)
				}
				n, failed := 0, false
				for _, err := range Read(dir, f.name) {
					failed = err != nil
					n++
				}
				if cut && !failed && n != len(want) {
					t.Errorf("%s: %s cut to %d of %d bytes gives %d of %d documents and no error", f.name, e.Name(), len(bad), len(whole), n, len(want))
				}
			}
			if err := os.WriteFile(path, whole, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestImportRefusesTokensOutsideTheVocabulary(t *testing.T) {
	bad := []Record{{ID: "a", Tokens: []int32{vocab}}}
	if _, err := shards.Import(context.Background(), shards.Config{Data: t.TempDir()}, "made", "words", "d", vocab, "test", all(bad)); err == nil {
		t.Error("a token outside the vocabulary was taken")
	}
}
