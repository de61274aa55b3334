package extsort

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tributary-ml/tributary/ingest/store"
	"pgregory.net/rapid"
)

func collect(t testing.TB, s *Sorter) []Record {
	t.Helper()
	var out []Record
	for r, err := range s.All(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, Record{bytes.Clone(r.Key), bytes.Clone(r.Value)})
	}
	return out
}

func same(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(x, y Record) bool { return compare(x, y) == 0 })
}

func TestOrderIsThatOfARealSort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "extsort")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		memory := rapid.Int64Range(0, 200_000).Draw(t, "memory")
		n := rapid.IntRange(0, 400).Draw(t, "records")
		longest := rapid.SampledFrom([]int{0, 5, 60, 3000}).Draw(t, "longest")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		s, err := New(filepath.Join(dir, "spill"), memory)
		if err != nil {
			t.Fatal(err)
		}
		var want []Record
		for range n {
			r := Record{make([]byte, rng.IntN(12)), make([]byte, rng.IntN(longest+1))}
			for i := range r.Key {
				r.Key[i] = byte(rng.IntN(3))
			}
			for i := range r.Value {
				r.Value[i] = byte(rng.IntN(256))
			}
			want = append(want, r)
			if err := s.Add(r.Key, r.Value); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, compare)
		var got []Record
		for r, err := range s.All(context.Background()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, Record{bytes.Clone(r.Key), bytes.Clone(r.Value)})
		}
		if !same(got, want) {
			t.Fatalf("%d records come back as %d, or in another order", len(want), len(got))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Fatalf("Close left %v", left)
		}
	})
}

func TestManyGoroutinesAndManyMergePasses(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "spill"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const workers, each = 8, 5000
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				key := binary.BigEndian.AppendUint32(nil, uint32(i*workers+w)*2654435761)
				if err := s.Add(key, fmt.Append(nil, i*workers+w)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	got := collect(t, s)
	if len(got) != workers*each || !slices.IsSortedFunc(got, compare) {
		t.Errorf("%d records, sorted: %v", len(got), slices.IsSortedFunc(got, compare))
	}
	if s.Spilled() < 3 {
		t.Errorf("only %d runs: the test exercises no merge", s.Spilled())
	}
}

func TestADamagedRunIsNamed(t *testing.T) {
	for _, harm := range []struct {
		name string
		do   func(b []byte) []byte
	}{
		{"a flipped bit", func(b []byte) []byte { b[len(b)/2] ^= 4; return b }},
		{"a flipped bit in a length", func(b []byte) []byte { b[2] ^= 0x40; return b }},
		{"cut in a frame", func(b []byte) []byte { return b[:len(b)/2] }},
		{"cut at the last frame", func(b []byte) []byte { return b[:len(b)-frameHeader] }},
		{"emptied", func(b []byte) []byte { return nil }},
	} {
		t.Run(harm.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "spill")
			s, err := New(dir, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for i := range 3000 {
				if err := s.Add(fmt.Append(nil, i), make([]byte, 30)); err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, runPrefix+"000001")
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, harm.do(b), 0o644); err != nil {
				t.Fatal(err)
			}
			var damaged *store.DamagedError
			for _, err = range s.All(context.Background()) {
				if err != nil {
					break
				}
			}
			if !errors.As(err, &damaged) || damaged.Path != path {
				t.Errorf("the sort says %v", err)
			}
		})
	}
}

func TestLargeRecords(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "spill"), 1<<16)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 5 {
		if err := s.Add([]byte{byte(5 - i)}, bytes.Repeat([]byte{byte(i)}, 3<<20)); err != nil {
			t.Fatal(err)
		}
	}
	got := collect(t, s)
	if len(got) != 5 {
		t.Fatalf("%d records", len(got))
	}
	for i, r := range got {
		if r.Key[0] != byte(i+1) || len(r.Value) != 3<<20 || r.Value[0] != byte(4-i) {
			t.Errorf("record %d: key %v, %d bytes of %d", i, r.Key, len(r.Value), r.Value[0])
		}
	}
}

func TestAnUnwritableDirectoryIsAnError(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := New(file, 0); err == nil {
		t.Error("a file was taken for a directory")
	}
	s, err := New(filepath.Join(file+"2", "spill"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file+"2", nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for range 3000 {
		if err = s.Add([]byte("key"), make([]byte, 100)); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "spilled runs") {
		t.Errorf("a spill into no directory gives %v", err)
	}
	for _, err := range s.All(context.Background()) {
		if err == nil {
			t.Error("a failed sort yields records")
		}
	}
}

func TestACancelledMergeEnds(t *testing.T) {
	s, err := New(filepath.Join(t.TempDir(), "spill"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for i := range 20000 {
		if err := s.Add(fmt.Append(nil, i), nil); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	n := 0
	for _, err := range s.All(ctx) {
		if err == nil {
			n++
		} else if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if n > checkEvery {
		t.Errorf("%d records after the cancellation", n)
	}
}

func Example() {
	s, err := New("spill", 64<<20)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	for _, word := range []string{"pear", "apple", "fig"} {
		if err := s.Add([]byte(word), fmt.Append(nil, len(word))); err != nil {
			fmt.Println(err)
			return
		}
	}
	for r, err := range s.All(context.Background()) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s %s\n", r.Key, r.Value)
	}
	// Output:
	// apple 5
	// fig 3
	// pear 4
}

func BenchmarkSort(b *testing.B) {
	const n = 200_000
	for _, memory := range []int64{1 << 20, 64 << 20} {
		b.Run(fmt.Sprintf("memory=%dMiB", memory>>20), func(b *testing.B) {
			dir := b.TempDir()
			b.SetBytes(n * 16)
			for b.Loop() {
				s, err := New(filepath.Join(dir, "spill"), memory)
				if err != nil {
					b.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(1, 2))
				var key, value [8]byte
				for range n {
					binary.BigEndian.PutUint64(key[:], rng.Uint64())
					if err := s.Add(key[:], value[:]); err != nil {
						b.Fatal(err)
					}
				}
				for _, err := range s.All(context.Background()) {
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
