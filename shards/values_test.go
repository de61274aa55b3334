package shards

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/tributary-ml/tributary/ingest/store"
)

func TestValuesAreThoseOfTheDocuments(t *testing.T) {
	dir := t.TempDir()
	writeDocuments(t, dir, "books", madeDocuments(300))
	build(t, Config{Data: dir})
	s := open(t, dir, "books")
	columns, err := s.Values()
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{"id": "", "language": "", "file": "", "words": 0, "length": 0, "record": 0} {
		if columns[name] != want {
			t.Errorf("column %s has values like %#v, want %#v", name, columns[name], want)
		}
	}
	if _, ok := columns["tokens"]; ok {
		t.Error("a list is said to have one value a row")
	}
	var b Block
	for i := range s.Blocks() {
		if err := s.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
		v, err := s.ReadValues(context.Background(), i, []string{"length", "id", "file", "record"})
		if err != nil {
			t.Fatal(err)
		}
		for row := range b.IDs {
			if v[0][row] != int(b.DocBounds[row+1]-b.DocBounds[row]) || v[1][row] != b.IDs[row] || v[2][row] != fmt.Sprintf("dump-%d", v[3][row].(int)%3) {
				t.Fatalf("block %d row %d, document %s: %v %v %v %v", i, row, b.IDs[row], v[0][row], v[1][row], v[2][row], v[3][row])
			}
		}
	}
	if _, err := s.ReadValues(context.Background(), s.Blocks(), nil); err == nil {
		t.Error("a block after the last is read")
	}
	if _, err := s.ReadValues(context.Background(), 0, []string{"nothing"}); err == nil {
		t.Error("a column that is not there is read")
	}
	path := filepath.Join(Dir(dir, "books", "words"), s.Manifest().Files[0].Path)
	if err := os.WriteFile(path, []byte("PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	var damaged *store.DamagedError
	if _, err := open(t, dir, "books").Values(); !errors.As(err, &damaged) {
		t.Errorf("a damaged file gives %v", err)
	}
}
