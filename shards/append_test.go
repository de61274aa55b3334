package shards

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
)

// varied makes documents from..to-1, each of which is the same in every call.
func varied(from, to int) []ingest.Document {
	var docs []ingest.Document
	for i := from; i < to; i++ {
		rng := rand.New(rand.NewPCG(uint64(i), 7))
		text := "\n" + strings.Repeat(fmt.Sprintf("The document %d says w%d.\n", i, rng.IntN(1000)), rng.IntN(40))
		docs = append(docs, ingest.Document{
			ID: ingest.NewID("books", "dump", fmt.Sprint(i)), File: fmt.Sprintf("dump-%d", i%3), Record: int64(i), Language: "en", Text: text,
		})
	}
	return docs
}

// contents returns the tokens of all documents by id, and sees to it that each
// generation is in order.
func contents(t testing.TB, dir string, o OpenOptions) map[string]string {
	t.Helper()
	s, err := OpenWith(context.Background(), dir, "books", "words", o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := map[string]string{}
	var b Block
	block := 0
	for _, g := range s.Manifest().Generations {
		var previous []byte
		rows := int64(0)
		for range g.Blocks {
			if err := s.ReadBlock(context.Background(), block, &b); err != nil {
				t.Fatal(err)
			}
			for i, id := range b.IDs {
				key := appendKey(nil, id)
				if bytes.Compare(previous, key) >= 0 {
					t.Fatalf("row %d of block %d is out of order", i, block)
				}
				previous = key
				out[id] = fmt.Sprint(b.Tokens[b.DocBounds[i]:b.DocBounds[i+1]], b.SentenceEnds[b.SentenceBounds[i]:b.SentenceBounds[i+1]], b.Keep[i])
				rows++
			}
			block++
		}
		if rows != g.Rows {
			t.Fatalf("a generation of %d rows has %d", g.Rows, rows)
		}
	}
	return out
}

func filesOf(t testing.TB, dir string) map[string]string {
	t.Helper()
	m, err := ReadManifest(dir, "books", "words")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, f := range m.Files {
		data, err := os.ReadFile(filepath.Join(Dir(dir, "books", "words"), f.Path))
		if err != nil {
			t.Fatal(err)
		}
		out[f.Path] = string(data)
	}
	return out
}

// New documents alone are tokenised, the files that are there stay, and resharding
// gives the bytes that a build of all documents at once gives.
func TestAppend(t *testing.T) {
	dir, fresh := t.TempDir(), t.TempDir()
	docs := varied(0, 900)
	writeDocuments(t, fresh, "books", docs)
	want := build(t, Config{Data: fresh, ShardBytes: 1, BlockTokens: 2000}).Sources[0]
	var encoded atomic.Int64
	run := func(cfg Config) SourceReport {
		t.Helper()
		encoded.Store(0)
		cfg.Data = dir
		r, err := BuildWith(context.Background(), cfg, countingTokens(&encoded))
		if err != nil {
			t.Fatal(err)
		}
		return r.Sources[0]
	}
	writeDocuments(t, dir, "books", docs[:400])
	if r := run(Config{ShardBytes: 1, BlockTokens: 2000}); r.Generations != 1 || r.Appended != 0 || r.Files < 5 {
		t.Fatalf("the first build: %+v", r)
	}
	before := filesOf(t, dir)
	lineage, err := Lineage(dir, "books", "words")
	if err != nil {
		t.Fatal(err)
	}
	first := contents(t, dir, OpenOptions{})
	for generation, n := range []int{405, 900} {
		grown := slices.Clone(docs[:n])
		rand.Shuffle(n, func(i, j int) { grown[i], grown[j] = grown[j], grown[i] }) // what came last need not stand last
		writeDocuments(t, dir, "books", grown)
		have := []int{400, 405}[generation]
		r := run(Config{Jobs: generation*5 + 1})
		sentences := int64(0)
		for _, d := range docs[have:n] {
			sentences += int64(len(ingest.SentenceEnds(d.Text, nil)))
		}
		if r.Appended != int64(n-have) || r.Generations != generation+2 || r.Rows != int64(n) || r.Refreshed || r.Resharded || encoded.Load() != sentences {
			t.Fatalf("appending %d documents of %d sentences: %+v, %d sentences were tokenised", n-have, sentences, r, encoded.Load())
		}
		now := filesOf(t, dir)
		for name, bytes := range before {
			if now[name] != bytes {
				t.Fatalf("%s changed", name)
			}
		}
		if before = now; !run(Config{}).Skipped {
			t.Fatal("a second build does something")
		}
	}
	all := contents(t, dir, OpenOptions{})
	if !maps.Equal(all, contents(t, fresh, OpenOptions{})) {
		t.Error("appended documents read otherwise than those that were there from the start")
	}
	if !maps.Equal(contents(t, dir, OpenOptions{Lineages: map[string]string{"books": lineage}}), first) {
		t.Error("shards of the first build read otherwise after documents came")
	}
	if r := run(Config{Reshard: true, Jobs: 3, MemoryBytes: 1}); r.Digest != want.Digest || r.Generations != 1 || !r.Resharded || encoded.Load() != 0 {
		t.Errorf("resharded: %+v, %d sentences were tokenised; built at once: %+v", r, encoded.Load(), want)
	}
	if v, err := Verify(context.Background(), dir, nil); err != nil || !v.OK() {
		t.Errorf("%+v (%v)", v, err)
	}
	if !run(Config{Reshard: true}).Skipped {
		t.Error("what is one generation is laid anew")
	}
	var changed *ChangedError
	if _, err := OpenWith(context.Background(), dir, "books", "words", OpenOptions{Lineages: map[string]string{"books": lineage}}); !errors.As(err, &changed) {
		t.Errorf("shards that were laid anew open for a run that began with others: %v", err)
	}
	for _, shape := range []Shape{{1 << 20, 2000, Packed}, {1, 5000, Packed}, {1 << 20, 1 << 19, Zstd}, {1 << 20, 3000, Plain}} {
		cfg := Config{Data: t.TempDir(), ShardBytes: shape.ShardBytes, BlockTokens: shape.BlockTokens, Compression: shape.Compression}
		writeDocuments(t, cfg.Data, "books", docs)
		want := build(t, cfg).Sources[0]
		if r := run(cfg); r.Digest != want.Digest || r.Files != want.Files || encoded.Load() != 0 {
			t.Errorf("in the shape %+v: %+v, built so: %+v", shape, r, want)
		}
		if !maps.Equal(contents(t, dir, OpenOptions{}), all) {
			t.Errorf("in the shape %+v the shards read otherwise", shape)
		}
	}
}

// Whatever comes in whatever order, the documents are those of the source, and
// resharding ends the history.
func TestHistories(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 1))
		dir := t.TempDir()
		ctx := context.Background()
		n := rng.IntN(60)
		var steps []string
		language := "en"
		docs := func() []ingest.Document {
			list := varied(0, n)
			for i := range list {
				list[i].Language = language
				list[i].Text = varied(i-i%3, i-i%3+1)[0].Text // some are copies
			}
			return list
		}
		write := func(dir string) {
			w, err := ingest.NewWriter(dir, "books")
			if err != nil {
				t.Fatal(err)
			}
			defer w.Abort()
			for _, d := range docs() {
				if err := w.Add(&d); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := w.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		cfg := Config{Data: dir, ShardBytes: 1, BlockTokens: 1 << 10, MemoryBytes: 1, Jobs: 2}
		shard := func(cfg Config) SourceReport {
			r, err := BuildWith(ctx, cfg, words())
			if err != nil {
				t.Fatal(err)
			}
			return r.Sources[0]
		}
		write(dir)
		for range 5 {
			step := []string{"documents", "documents", "signals", "marks", "reshard", "gone"}[rng.IntN(6)]
			switch steps = append(steps, step); step {
			case "documents":
				n += 1 + rng.IntN(60)
				write(dir)
			case "signals":
				language = []string{"en", "de", ""}[rng.IntN(3)]
				write(dir)
			case "marks":
				if _, err := dedup.Exact(ctx, dedup.Config{Data: dir}); err != nil {
					t.Fatal(err)
				}
			case "gone":
				if n > 0 {
					n--
				}
				write(dir)
			case "reshard":
				c := cfg
				c.Reshard = true
				shard(c)
			}
			if r := shard(cfg); r.Rows != int64(n) {
				t.Fatalf("after %v %d documents make %d rows", steps, n, r.Rows)
			}
		}
		fresh := t.TempDir()
		write(fresh)
		rules, err := dedup.Rules(dir, "books")
		if err != nil {
			t.Fatal(err)
		}
		if len(rules) > 0 {
			// The marks may be of fewer documents: both get those of all.
			for _, d := range []string{dir, fresh} {
				if _, err := dedup.Exact(ctx, dedup.Config{Data: d}); err != nil {
					t.Fatal(err)
				}
			}
		}
		cfg.Reshard = true
		history := shard(cfg)
		cfg.Data = fresh
		if at := shard(cfg); at.Digest != history.Digest || at.Tokens != history.Tokens || at.Empty != history.Empty {
			t.Fatalf("%v ends with %+v, built at once: %+v", steps, history, at)
		}
	}
}

// A build that is killed at any moment leaves the shards of before or those of after,
// and run again it ends with the same bytes.
func TestKilledBuildsLeaveWholeShards(t *testing.T) {
	if dir := os.Getenv("TRIBUTARY_TEST_KILLED"); dir != "" {
		if _, err := BuildWith(context.Background(), Config{Data: dir, Reshard: os.Getenv("TRIBUTARY_TEST_RESHARD") != ""}, words()); err != nil {
			t.Fatal(err)
		}
		return
	}
	cfg := Config{ShardBytes: 1, BlockTokens: 4000}
	kills, whole := 0, 0
	dir, clean := t.TempDir(), t.TempDir()
	for step, n := range []int{200, 400, 400} {
		docs := varied(0, n)
		writeDocuments(t, clean, "books", docs)
		writeDocuments(t, dir, "books", docs)
		cfg.Data, cfg.Reshard = clean, step == 2
		want := build(t, cfg).Sources[0].Digest
		if step == 0 {
			cfg.Data = dir
			build(t, cfg)
			continue
		}
		m, err := ReadManifest(dir, "books", "words")
		if err != nil {
			t.Fatal(err)
		}
		before := m.Digest()
		for try := 0; ; try++ {
			cmd := exec.Command(os.Args[0], "-test.run", "TestKilledBuildsLeaveWholeShards")
			cmd.Env = append(os.Environ(), "TRIBUTARY_TEST_KILLED="+dir)
			if cfg.Reshard {
				cmd.Env = append(cmd.Env, "TRIBUTARY_TEST_RESHARD=1")
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(time.Duration(float64(20*time.Millisecond)*math.Pow(1.3, float64(try))), func() { _ = cmd.Process.Kill() })
			err := cmd.Wait()
			timer.Stop()
			contents(t, dir, OpenOptions{})
			m, e := ReadManifest(dir, "books", "words")
			if e != nil || m.Digest() != before && m.Digest() != want {
				t.Fatalf("a killed build leaves the digest %s (%v)", m.Digest(), e)
			}
			if err == nil {
				whole++
				if m.Digest() != want {
					t.Fatalf("after %d kills the digest is %s, want %s", try, m.Digest(), want)
				}
				break
			}
			kills++
		}
		if left, err := os.ReadDir(Dir(dir, "books", "words")); err != nil || len(left) != len(filesOf(t, dir))+1 {
			t.Errorf("the directory holds %v (%v)", left, err)
		}
	}
	t.Logf("%d builds were killed, %d ended", kills, whole)
}
