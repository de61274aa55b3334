package warc

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestRealArchives reads every archive of a directory of real data.
func TestRealArchives(t *testing.T) {
	root := os.Getenv("TRIBUTARY_DATA")
	if root == "" {
		t.Log("TRIBUTARY_DATA names no directory of real archives")
		return
	}
	paths, err := filepath.Glob(filepath.Join(root, "web", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if !strings.Contains(path, ".warc") && !strings.Contains(path, ".wet") {
			continue
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Stat()
		if err != nil {
			t.Fatal(err)
		}
		r, err := NewReader(f, info.Size(), Options{})
		if err != nil {
			t.Logf("%s: %v", filepath.Base(path), err)
			continue
		}
		records := 0
		types := map[string]int{}
		for {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			var d *DamageError
			if errors.As(err, &d) {
				t.Logf("%s: %v", filepath.Base(path), d)
				continue
			}
			if err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			records++
			types[rec.Type]++
		}
		t.Logf("%s: %d records %v", filepath.Base(path), records, types)
		f.Close()
	}
}
