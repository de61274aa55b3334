package dedup

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/ingest/store"
)

// A rule that is stopped at any moment, again and again, ends with the marks of
// one that was not.
func TestInterruptedRulesEndWithTheSameMarks(t *testing.T) {
	docs := planted(40, []float64{0.85, 1}, 3)
	rules := everyRule(t)
	rules["minhash with an index"] = func(ctx context.Context, cfg Config) (*Report, error) {
		cfg.Index = true
		return MinHash(ctx, cfg, options(t, "threshold:0.8"))
	}
	for name, rule := range rules {
		want := marksDigest(t, docs, Config{}, rule)
		rng := rand.New(rand.NewPCG(1, 2))
		stopped := 0
		for range 3 {
			got := marksDigest(t, docs, Config{}, func(_ context.Context, cfg Config) (*Report, error) {
				for try := 0; ; try++ {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rng.IntN(12)+8*try)*time.Millisecond)
					cfg.MemoryBytes = 1
					r, err := rule(ctx, cfg)
					cancel()
					if err == nil || !errors.Is(err, context.DeadlineExceeded) {
						return r, err
					}
					stopped++
				}
			})
			if got != want {
				t.Fatalf("%s: after being stopped the marks are others", name)
			}
		}
		t.Logf("%s was stopped %d times", name, stopped)
	}
}

// What a killed run leaves in its spill directory is in nobody's way.
func TestLeftoversOfAKilledRunAreCleared(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "web", planted(50, []float64{0.9, 1}, 4)...)
	cfg := Config{Data: dir, Sources: []string{"web"}}
	for _, rule := range []string{RuleExact, RuleMinHash} {
		spill := cfg.spillDir(rule)
		for _, sub := range []string{"texts", "marks", "ranked", "digests"} {
			if err := os.MkdirAll(spill+"/"+sub, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(spill+"/"+sub+"/run-000001", []byte("half a run"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(spill+"/documents", []byte("half a table"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Exact(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	if _, err := MinHash(context.Background(), cfg, options(t, "fineweb")); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(marksDir(dir, "web"))
	if err != nil || len(entries) != 3 {
		t.Errorf("left: %v (%v)", entries, err)
	}
}

func TestATableTellsDamage(t *testing.T) {
	path := t.TempDir() + "/table"
	tab, err := newTable(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := tab.append(fmt.Append(nil, "record ", i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := tab.get(0, nil); err == nil {
		t.Error("a record was read before the table was sealed")
	}
	if err := tab.seal(); err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if b, err := tab.get(i, nil); err != nil || string(b) != fmt.Sprint("record ", i) {
			t.Fatalf("record %d: %q (%v)", i, b, err)
		}
	}
	var damaged *store.DamagedError
	if _, err := tab.data.WriteAt([]byte{'x'}, 200); err != nil {
		t.Fatal(err)
	}
	broken := 0
	for i := range 100 {
		if _, err := tab.get(i, nil); errors.As(err, &damaged) {
			broken++
		}
	}
	if broken != 1 {
		t.Errorf("one flipped byte broke %d records", broken)
	}
	if _, err := tab.at.WriteAt([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}, 80); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{9, 10, -1, 100} {
		if _, err := tab.get(i, nil); err == nil {
			t.Errorf("record %d was read", i)
		}
	}
	if err := tab.close(); err != nil {
		t.Error(err)
	}
}
