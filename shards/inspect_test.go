package shards

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
)

// twice is a source in which documents 3 and 7 have the same text.
func twice() []ingest.Document {
	docs := madeDocuments(40)
	for i := range docs {
		docs[i].ID = fmt.Sprintf("%04d", i)
		docs[i].Text += fmt.Sprint("The end of ", i)
	}
	docs[7].Text = docs[3].Text
	return docs
}

func TestMarksReachTheBlocksWithoutTokenisingAgain(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", twice())
	build(t, Config{Data: dir})
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	dropped := func() (ids []string) {
		s := open(t, dir, "books")
		var b Block
		for i := range s.Blocks() {
			if err := s.ReadBlock(context.Background(), i, &b); err != nil {
				t.Fatal(err)
			}
			for j, keep := range b.Keep {
				if !keep {
					ids = append(ids, b.IDs[j])
				}
			}
		}
		return ids
	}
	if got := fmt.Sprint(dropped()); got != "[0007]" {
		t.Errorf("after dedup, without sharding again, %s are dropped", got)
	}
	v, err := Verify(context.Background(), dir, nil)
	if err != nil || !v.OK() || len(v.Stale) != 1 {
		t.Errorf("Verify: %+v (%v)", v, err)
	}

	tok := words()
	tok.NewEncoder = func() Encoder { t.Error("a change of marks made the builder tokenise"); return wordEncoder{} }
	r, err := BuildWith(context.Background(), Config{Data: dir}, tok)
	if err != nil {
		t.Fatal(err)
	}
	if s := r.Sources[0]; s.Skipped || !s.Refreshed || s.Rows != 40 {
		t.Errorf("refreshed: %+v", s)
	}
	if got := fmt.Sprint(dropped()); got != "[0007]" {
		t.Errorf("after refreshing %s are dropped", got)
	}
	fresh := t.TempDir()
	writeDocuments(t, fresh, "books", twice())
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: fresh}); err != nil {
		t.Fatal(err)
	}
	if got := build(t, Config{Data: fresh}).Sources[0].Digest; got != r.Sources[0].Digest {
		t.Error("refreshed shards are not those of a fresh build")
	}
	if v, err := Verify(context.Background(), dir, nil); err != nil || !v.OK() || len(v.Stale) != 0 {
		t.Errorf("Verify after refreshing: %+v (%v)", v, err)
	}
	if left, err := filepath.Glob(filepath.Join(Dir(dir, "books", "words"), ".*")); err != nil || len(left) != 0 {
		t.Errorf("the refresh left %v (%v)", left, err)
	}
}

func TestDamagedShardsAreBuiltAnewWhenMarksChange(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", twice())
	build(t, Config{Data: dir})
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(Dir(dir, "books", "words"), partName(0))
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/3] ^= 1
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if v, err := Verify(context.Background(), dir, nil); err != nil || len(v.Damaged) != 1 || !strings.Contains(v.Damaged[0], path) {
		t.Errorf("Verify: %+v (%v)", v, err)
	}
	if r := build(t, Config{Data: dir}).Sources[0]; r.Refreshed || r.Skipped {
		t.Errorf("damaged shards were refreshed: %+v", r)
	}
	if v, err := Verify(context.Background(), dir, nil); err != nil || !v.OK() {
		t.Errorf("Verify: %+v (%v)", v, err)
	}
}

func TestInspect(t *testing.T) {
	dir := t.TempDir()
	docs := twice()
	docs[0].Text = strings.Repeat("ä", 1000)
	writeDocuments(t, dir, "books", docs)
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	build(t, Config{Data: dir})
	marks, err := filepath.Glob(filepath.Join(dir, "books", "marks", "*.parquet"))
	if err != nil || len(marks) != 1 {
		t.Fatal(marks, err)
	}
	for _, c := range []struct {
		path, kind string
		rows       int64
		column     Column
	}{
		{filepath.Join(ingest.DocumentsDir(dir, "books"), "part-00000.parquet"), "documents", 40, Column{Name: "text", Type: "string"}},
		{marks[0], "marks", 1, Column{Name: "score", Type: "float64"}},
		{filepath.Join(Dir(dir, "books", "words"), partName(0)), "shards", 40, Column{Name: "tokens", Type: "list<int32>"}},
	} {
		in, err := Inspect(c.path, 3)
		if err != nil {
			t.Fatal(err)
		}
		if in.Kind != c.kind || in.Rows != c.rows || len(in.Sample) != int(min(3, c.rows)) || in.RowGroups != 1 {
			t.Errorf("%s: %+v", c.path, in)
		}
		if !slices.ContainsFunc(in.Columns, func(x Column) bool { return x.Name == c.column.Name && x.Type == c.column.Type && x.Compressed > 0 }) {
			t.Errorf("%s: columns %+v", c.path, in.Columns)
		}
		data, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 3000+120*len(in.Columns) {
			t.Errorf("%s: %d bytes to show", c.path, len(data))
		}
	}

	for name, content := range map[string]string{
		"x.bz2": "BZh91AY", "x.xml": " <mediawiki", "x.json": "{}", "x": "", "x.txt": "Ein schöner Text", "x.bin": "\x00\x01\xfe",
		"x.parquet": "PAR1 but nothing more of it, sadly PAR1",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		in, err := Inspect(path, 3)
		var damaged *store.DamagedError
		if name == "x.parquet" {
			if !errors.As(err, &damaged) || damaged.Path != path {
				t.Errorf("%s: %v", name, err)
			}
		} else if !errors.Is(err, ErrNotParquet) || in.Kind == "" {
			t.Errorf("%s: %+v, %v", name, in, err)
		}
	}
	if _, err := Inspect(dir, 1); !errors.Is(err, ErrNotParquet) {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Inspect(filepath.Join(dir, "absent"), 1); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestStats(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", twice())
	writeDocuments(t, dir, "web", twice())
	if _, err := dedup.Exact(context.Background(), dedup.Config{Data: dir}); err != nil {
		t.Fatal(err)
	}
	build(t, Config{Data: dir, Sources: []string{"web"}})
	s, err := ReadStats(dir)
	if err != nil || len(s.Sources) != 2 {
		t.Fatalf("%+v (%v)", s, err)
	}
	books, web := s.Sources[0], s.Sources[1]
	if books.Documents != 40 || len(books.Shards) != 0 || books.Rules[0].Marked != 1 || web.Rules[0].Marked != 40 {
		t.Errorf("books %+v, web %+v", books, web)
	}
	if len(web.Shards) != 1 || web.Shards[0].Rows != 40 || web.Shards[0].Tokenizer != "words" {
		t.Errorf("web's shards %+v", web.Shards)
	}
	if _, err := ReadStats(t.TempDir()); !errors.Is(err, ingest.ErrNoSource) {
		t.Errorf("an empty root: %v", err)
	}
	if _, err := ReadStats(dir, "absent"); !errors.Is(err, ingest.ErrNoSource) {
		t.Errorf("an absent source: %v", err)
	}
}
