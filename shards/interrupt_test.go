package shards

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest/progress"
)

// A build that is stopped at any moment, again and again, ends with the bytes of
// one that was not, and is never opened half-built.
func TestInterruptedBuildsEndWithTheSameBytes(t *testing.T) {
	docs := twice()
	for i := range docs {
		docs[i].Text += fmt.Sprint(rand.New(rand.NewPCG(uint64(i/2), 1)).Perm(3000))
	}
	clean := t.TempDir()
	writeDocuments(t, clean, "books", docs)
	before := build(t, Config{Data: clean, ShardBytes: 1}).Sources[0].Digest
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: clean}); err != nil {
		t.Fatal(err)
	}
	after := build(t, Config{Data: clean, ShardBytes: 1}).Sources[0].Digest

	rng := rand.New(rand.NewPCG(1, 2))
	stopped := 0
	for round := range 10 {
		dir := t.TempDir()
		writeDocuments(t, dir, "books", docs)
		for step, want := range []string{before, after} {
			if step == 1 {
				if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir}); err != nil {
					t.Fatal(err)
				}
			}
			for try := 0; ; try++ {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(25)+10*try)*time.Millisecond)
				r, err := BuildWith(ctx, Config{Data: dir, ShardBytes: 1, MemoryBytes: 1 << 16, Meter: new(progress.Meter)}, words())
				cancel()
				if err == nil {
					if got := r.Sources[0].Digest; got != want {
						t.Fatalf("round %d, step %d: after %d stops the digest is %s, want %s", round, step, try, got, want)
					}
					break
				}
				stopped++
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				s, err := Open(context.Background(), dir, "books", "words")
				if err != nil {
					if !errors.Is(err, ErrNoShards) {
						t.Fatalf("half-built shards: %v", err)
					}
					continue
				}
				var b Block
				for i := range s.Blocks() {
					if err := s.ReadBlock(context.Background(), i, &b); err != nil {
						t.Fatalf("half-refreshed shards: %v", err)
					}
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
		if v, err := Verify(context.Background(), dir, nil); err != nil || !v.OK() {
			t.Fatalf("round %d: %+v (%v)", round, v, err)
		}
	}
	t.Logf("%d builds were stopped", stopped)
}
