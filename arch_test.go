package tributary_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tributary-ml/tributary/"

// rooms lists the rooms in the order in which data flows. A package imports only
// rooms that stand before its own.
var rooms = []string{
	"ingest", "dedup", "tokenize", "shards", "mixer", "masking", "model", "trainer", "pipelines", "cmd",
}

func rank(room string) int {
	for i, r := range rooms {
		if r == room {
			return i
		}
	}
	return -1
}

// TestImportsRunOneWay walks every Go file and fails when an import runs against
// the way of the data.
func TestImportsRunOneWay(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && path != "." || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		room, _, inRoom := strings.Cut(filepath.ToSlash(path), "/")
		if !inRoom {
			return nil
		}
		if room == "examples" || room == "internal" {
			t.Errorf("%s: Go code lives in the rooms %v", path, rooms)
			return nil
		}
		own := rank(room)
		if own < 0 {
			t.Errorf("%s: %q is no room of the house; the rooms are %v", path, room, rooms)
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imp := range file.Imports {
			target, err := strconv.Unquote(imp.Path.Value)
			if err != nil {
				return err
			}
			inside, ok := strings.CutPrefix(target, module)
			if !ok {
				continue
			}
			other, _, _ := strings.Cut(inside, "/")
			checked++
			if rank(other) < 0 || rank(other) > own {
				t.Errorf("%s imports %s: %s stands after %s", path, inside, other, room)
			}
			for _, part := range strings.Split(inside, "/") {
				if part == "util" || part == "utils" || part == "common" || part == "helpers" {
					t.Errorf("%s imports %s: a package is named for what it holds", path, inside)
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Fatal("found no import between rooms: the walk is broken")
	}
}
