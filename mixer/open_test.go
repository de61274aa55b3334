package mixer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
)

// lengths is the smallest tokenizer: a word's id is its length.
type lengths struct{}

func (lengths) Encode(dst []int32, text string) []int32 {
	for word := range strings.FieldsSeq(text) {
		dst = append(dst, int32(len(word)))
	}
	return dst
}

// buildRoot lays down a data root with two sharded sources and one that is not.
func buildRoot(t testing.TB, order int) string {
	t.Helper()
	dir := t.TempDir()
	for _, source := range []string{"books", "wiki", "raw"} {
		w, err := ingest.NewWriter(dir, source)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 300 {
			record := i
			if order < 0 {
				record = 299 - i
			}
			d := ingest.Document{File: "dump", Record: int64(record), Text: strings.Repeat(fmt.Sprintf("Sentence %d of %s is here. ", record, source), 1+record%9)}
			if err := w.Add(&d); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
	}
	tokens := shards.Tokens{Name: "words", Digest: "words/1", NewEncoder: func() shards.Encoder { return lengths{} }}
	for _, source := range []string{"books", "wiki"} {
		if _, err := shards.BuildWith(context.Background(), shards.Config{Data: dir, Sources: []string{source}}, tokens); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openOptions(dir, mix string) Options {
	m, err := ParseMix(mix)
	if err != nil {
		panic(err)
	}
	return Options{Data: dir, Tokenizer: "words", Mix: m, Seed: 3, SeqLen: 32, BatchSize: 8, Layout: Pairs, HeldoutFraction: 0.1}
}

func TestOpenReadsTheShards(t *testing.T) {
	var want, digest string
	for _, order := range []int{1, -1} {
		m, err := Open(context.Background(), openOptions(buildRoot(t, order), "books:0.3,wiki:0.7"))
		if err != nil {
			t.Fatal(err)
		}
		got := describe(samples(t, m, 1000, 0, 1))
		if want == "" {
			want, digest = got, m.Digest()
		}
		if got != want || m.Digest() != digest {
			t.Error("the order of ingest changes the samples or the digest")
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDigestsOfMixersDiffer(t *testing.T) {
	dir := buildRoot(t, 1)
	seen := map[string]string{}
	for name, change := range map[string]func(*Options){
		"as it is": func(*Options) {}, "seed": func(o *Options) { o.Seed++ }, "mix": func(o *Options) { o.Mix[0].Weight++ },
		"length": func(o *Options) { o.SeqLen++ }, "batch": func(o *Options) { o.BatchSize++ }, "layout": func(o *Options) { o.Layout = Full },
		"split": func(o *Options) { o.Split = All }, "held out": func(o *Options) { o.HeldoutFraction /= 2 }, "shuffle": func(o *Options) { o.ShuffleTokens = 1 << 20 },
	} {
		o := openOptions(dir, "books,wiki")
		change(&o)
		m, err := Open(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[m.Digest()]; ok {
			t.Errorf("%q and %q have one digest", name, other)
		}
		seen[m.Digest()] = name
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	dir := buildRoot(t, 1)
	var mixError *MixError
	if _, err := Open(context.Background(), openOptions(dir, "book:1")); !errors.As(err, &mixError) || !strings.Contains(err.Error(), `did you mean "books"`) {
		t.Errorf("a misspelt source gives %v", err)
	}
	if _, err := Open(context.Background(), openOptions(dir, "raw:1")); !errors.Is(err, shards.ErrNoShards) {
		t.Errorf("a source that is not sharded gives %v", err)
	}
	if _, err := Open(context.Background(), openOptions(filepath.Join(dir, "nowhere"), "books")); err == nil {
		t.Error("a data root that is not there is opened")
	}
	path := filepath.Join(shards.Dir(dir, "books", "words"), "part-00000.parquet")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	var damaged *store.DamagedError
	if _, err := Open(context.Background(), openOptions(dir, "wiki,books")); !errors.As(err, &damaged) || !strings.Contains(err.Error(), "part-00000.parquet") {
		t.Errorf("a damaged shard gives %v", err)
	}
}
