package mirror_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/shards/mirror"
	"github.com/tributary-ml/tributary/tokenize"
)

// far is a data root in a bucket, with its copy here.
type far struct {
	dir    string // the copy
	put    func(name string, data []byte)
	remove func(name string)
	client *remote.Client
	// fail has the server answer so many of 100 requests with an error.
	fail     atomic.Int64
	least    atomic.Int64 // of the ranges asked for, in bytes
	requests atomic.Int64
}

const location = "s3://corpus/root/data"

func upload(t *testing.T) *far {
	t.Helper()
	f := &far{dir: t.TempDir()}
	f.least.Store(1 << 60)
	r := rand.New(rand.NewPCG(3, 4))
	all := []string{"the smallest of all texts", "that a tokenizer can be made of"}
	tok, err := tokenize.TrainWordPiece(context.Background(), func(yield func(string, error) bool) {
		for _, text := range all {
			if !yield(text, nil) {
				return
			}
		}
	}, tokenize.TrainOptions{VocabSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.dir, "tokenizers", "wp")
	if err := tok.Save(dir); err != nil {
		t.Fatal(err)
	}
	var files []store.File
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == store.ManifestName {
			continue
		}
		x, err := store.Describe(dir, e.Name())
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, x)
	}
	if err := store.WriteManifest(dir, &store.Manifest{Format: "test", Files: files}); err != nil {
		t.Fatal(err)
	}
	records := func(yield func(shards.Record, error) bool) {
		for range 70 {
			tokens := make([]int32, 35_000)
			for i := range tokens {
				tokens[i] = int32(r.IntN(50))
			}
			if !yield(shards.Record{Tokens: tokens}, nil) {
				return
			}
		}
	}
	if _, err := shards.Import(context.Background(), shards.Config{Data: f.dir, ShardBytes: 1}, "books", "wp", tok.Digest(), 50, "made", records); err != nil {
		t.Fatal(err)
	}
	mem := s3mem.New()
	if err := mem.CreateBucket("corpus"); err != nil {
		t.Fatal(err)
	}
	f.put = func(name string, data []byte) {
		if _, err := mem.PutObject("corpus", "root/data/"+name, map[string]string{"Last-Modified": "Mon, 2 Jan 2006 15:04:05 GMT"}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
			t.Fatal(err)
		}
	}
	f.remove = func(name string) {
		if _, err := mem.DeleteObject("corpus", "root/data/"+name); err != nil {
			t.Fatal(err)
		}
	}
	err = filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		f.put(filepath.ToSlash(rel), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	handler := gofakes3.New(mem).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := f.requests.Add(1)
		if n*37%100 < f.fail.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var from, to int64
		if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-%d", &from, &to); err == nil && strings.Contains(r.URL.Path, "part-") {
			f.least.Store(min(f.least.Load(), to-from+1))
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	env := map[string]string{"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "us-east-1"}
	f.client = remote.New(remote.Options{Pause: time.Microsecond, Getenv: func(k string) string { return env[k] }})
	return f
}

// mirrored opens the far root through a cache.
func (f *far) mirrored(t *testing.T, dir string, budget int64, o shards.OpenOptions) (*mirror.Mirror, *shards.Set, error) {
	t.Helper()
	m, err := mirror.Open(location, mirror.Options{Dir: dir, Budget: budget, Client: f.client})
	if err != nil {
		t.Fatal(err)
	}
	name, err := m.Prepare(context.Background(), "", []string{"books"})
	if err != nil {
		t.Fatal(err)
	}
	if name != "wp" {
		t.Errorf("tokenizer %q", name)
	}
	o.Fetcher = m
	s, err := shards.OpenWith(context.Background(), m.Dir(), "books", "wp", o)
	if err == nil {
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	return m, s, err
}

// contents reads every block, in the given order.
func contents(t *testing.T, s *shards.Set, order []int) []string {
	t.Helper()
	out := make([]string, s.Blocks())
	var b shards.Block
	for _, i := range order {
		if err := s.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
		out[i] = fmt.Sprint(b.IDs, xxh3.Hash(ids(b.Tokens)), b.SentenceEnds)
	}
	return out
}

// ids are tokens as bytes.
func ids(tokens []int32) []byte {
	out := make([]byte, len(tokens))
	for i, token := range tokens {
		out[i] = byte(token)
	}
	return out
}

func blocks(s *shards.Set) []int {
	list := make([]int, s.Blocks())
	for i := range list {
		list[i] = i
	}
	return list
}

func TestFarShardsAreThoseHere(t *testing.T) {
	f := upload(t)
	near, err := shards.Open(context.Background(), f.dir, "books", "wp")
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if near.Blocks() < 4 || len(near.Manifest().Files) != near.Blocks() {
		t.Fatalf("%d blocks in %d files", near.Blocks(), len(near.Manifest().Files))
	}
	want := contents(t, near, blocks(near))
	f.fail.Store(20)
	dir := t.TempDir()
	m, s, err := f.mirrored(t, dir, 0, shards.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(contents(t, s, blocks(s)), want) {
		t.Error("what is far differs")
	}
	smallest := int64(1 << 60)
	total := int64(0)
	for _, x := range s.Manifest().Files {
		smallest = min(smallest, x.Bytes)
		total += x.Bytes
	}
	if least := f.least.Load(); least < min(smallest, 1<<20) {
		t.Errorf("a read of %d bytes was asked for", least)
	}
	if m.Bytes() != total {
		t.Errorf("the cache counts %d bytes, want %d", m.Bytes(), total)
	}
	// The second time nothing is brought but what is small.
	f.fail.Store(0)
	f.least.Store(1 << 60)
	_, again, err := f.mirrored(t, dir, 0, shards.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(contents(t, again, blocks(again)), want) || f.least.Load() != 1<<60 {
		t.Error("what was in the cache differs or was brought again")
	}
	// A truncated or damaged file of the cache is brought again.
	for i, x := range again.Manifest().Files[:2] {
		path := filepath.Join(dir, "books", "shards", "wp", x.Path)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			data = data[:len(data)/2]
		} else {
			data[len(data)/2] ^= 1
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, mended, err := f.mirrored(t, dir, 0, shards.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(contents(t, mended, blocks(mended)), want) {
		t.Error("what was mended differs")
	}
}

// TestBudgetThatIsTooSmallStopsNobody: many readers in any order with room for less
// than one file.
func TestBudgetThatIsTooSmallStopsNobody(t *testing.T) {
	f := upload(t)
	near, err := shards.Open(context.Background(), f.dir, "books", "wp")
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	want := contents(t, near, blocks(near))
	largest := int64(0)
	for _, x := range near.Manifest().Files {
		largest = max(largest, x.Bytes)
	}
	for _, budget := range []int64{1, largest, 2 * largest} {
		dir := t.TempDir()
		m, s, err := f.mirrored(t, dir, budget, shards.OpenOptions{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		const readers = 3
		var wait sync.WaitGroup
		for n := range readers {
			wait.Go(func() {
				r := rand.New(rand.NewPCG(uint64(n), 1))
				var b shards.Block
				for range 8 {
					i := r.IntN(s.Blocks())
					if err := s.ReadBlock(ctx, i, &b); err != nil {
						t.Error(err)
						return
					}
					if fmt.Sprint(b.IDs, xxh3.Hash(ids(b.Tokens)), b.SentenceEnds) != want[i] {
						t.Errorf("block %d differs", i)
					}
				}
			})
		}
		wait.Wait()
		if m.Bytes() > max(budget, 0)+readers*largest {
			t.Errorf("a cache of %d bytes holds %d", budget, m.Bytes())
		}
		on := int64(0)
		paths, _ := filepath.Glob(filepath.Join(dir, "books", "shards", "wp", "part-*"))
		for _, p := range paths {
			info, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			on += info.Size()
		}
		if on != m.Bytes() {
			t.Errorf("a cache of %d bytes counts %d and has %d on disk", budget, m.Bytes(), on)
		}
	}
}

func TestFarShardsThatAreMissingOrOthers(t *testing.T) {
	f := upload(t)
	near, err := shards.Open(context.Background(), f.dir, "books", "wp")
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	first := near.Manifest().Files[0].Path
	name := "books/shards/wp/" + first
	data, err := os.ReadFile(filepath.Join(f.dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var b shards.Block
	_, s, err := f.mirrored(t, t.TempDir(), 0, shards.OpenOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// Replaced under a running job, by one of another size and by one of the same.
	changed := slices.Clone(data)
	changed[len(changed)/3] ^= 1
	for _, other := range [][]byte{data[:len(data)-1], changed} {
		f.put(name, other)
		var damaged *store.DamagedError
		if err := s.ReadBlock(context.Background(), 0, &b); !errors.As(err, &damaged) || !strings.Contains(err.Error(), first) {
			t.Errorf("a replaced shard: %v", err)
		}
	}
	f.remove(name)
	var missing *shards.MissingError
	if err := s.ReadBlock(context.Background(), 0, &b); !errors.As(err, &missing) || !strings.Contains(err.Error(), first) {
		t.Errorf("a missing shard: %v", err)
	}
	_, without, err := f.mirrored(t, t.TempDir(), 0, shards.OpenOptions{AllowMissing: true})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(without.Missing(), []string{first}) || without.Digest() == s.Digest() {
		t.Errorf("missing are %v", without.Missing())
	}
	if err := without.ReadBlock(context.Background(), 0, &b); err != nil || b.Rows() != 0 {
		t.Errorf("a missing block has %d rows, %v", b.Rows(), err)
	}
	if err := without.ReadBlock(context.Background(), 1, &b); err != nil || b.Rows() == 0 {
		t.Errorf("the block after it has %d rows, %v", b.Rows(), err)
	}
	var found []string
	err = mirror.Verify(context.Background(), f.client, location, func(_ string, _ *store.File, err error) {
		if err != nil {
			found = append(found, err.Error())
		}
	})
	if err != nil || len(found) != 1 || !strings.Contains(found[0], first) {
		t.Errorf("verified: %v, %v", found, err)
	}
}

func TestFarRootsThatAreNotThere(t *testing.T) {
	f := upload(t)
	for _, c := range []struct{ location, tokenizer, source, want string }{
		{location, "", "wiki", `source "wiki" has no shards for tokenizer "wp"`},
		{location, "none", "books", `no tokenizer "none"`},
		{location + "/elsewhere", "", "books", "has 0 tokenizers"},
	} {
		m, err := mirror.Open(c.location, mirror.Options{Dir: t.TempDir(), Client: f.client})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Prepare(context.Background(), c.tokenizer, []string{c.source}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := mirror.Open("s3://", mirror.Options{Dir: t.TempDir()}); err == nil {
		t.Error("a location without a bucket is opened")
	}
}
