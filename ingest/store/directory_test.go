package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestDirectoryAppearsOnlyOnCommit(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "sub", "model")
	for _, content := range []string{"first", "second"} {
		d, err := CreateDirectory(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := WriteFile(filepath.Join(d.Path(), "config.json"), []byte(content)); err != nil {
			t.Fatal(err)
		}
		if old, err := os.ReadFile(filepath.Join(path, "config.json")); string(old) == content || content == "first" && !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("before Commit the directory holds %q (%v)", old, err)
		}
		if err := d.Commit(); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(path, "config.json")); string(got) != content {
			t.Fatalf("after Commit the directory holds %q (%v)", got, err)
		}
		if err := d.Commit(); err == nil {
			t.Error("a second Commit succeeded")
		}
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the directory lie %v (%v)", entries, err)
	}
}

func TestSweepDirectoriesRemovesPartialOnesOnly(t *testing.T) {
	root := t.TempDir()
	keep, err := CreateDirectory(filepath.Join(root, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := keep.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateDirectory(filepath.Join(root, "b")); err != nil {
		t.Fatal(err)
	}
	if err := SweepDirectories(root); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 || entries[0].Name() != "a" {
		t.Errorf("left: %v (%v)", entries, err)
	}
	if err := SweepDirectories(filepath.Join(root, "absent")); err != nil {
		t.Error(err)
	}
}
