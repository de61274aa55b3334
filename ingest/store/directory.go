package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Directory is a directory that appears when Commit succeeds, with all that was
// put under Path before.
type Directory struct {
	path, temp string
	done       bool
}

// CreateDirectory begins a directory that will appear at path. A Directory that
// is not committed must be aborted; Abort after Commit does nothing, so it can
// be deferred.
func CreateDirectory(path string) (*Directory, error) {
	path = filepath.Clean(path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("creating the parent of %s: %w", path, err)
	}
	temp, err := os.MkdirTemp(filepath.Dir(path), filepath.Base(path)+tempMark+"*")
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", path, err)
	}
	return &Directory{path: path, temp: temp}, nil
}

// Path returns where the contents are to be written. Files written through
// Create and WriteFile are synced by them.
func (d *Directory) Path() string { return d.temp }

// Commit makes the directory appear. One that lies there already is replaced:
// it is renamed aside first, so that a reader finds the old one, the new one or,
// for the moment between the two renames, none.
func (d *Directory) Commit() error {
	if d.done {
		return fmt.Errorf("committing %s: already committed or aborted", d.path)
	}
	defer d.Abort()
	if err := os.Chmod(d.temp, 0o755); err != nil {
		return fmt.Errorf("committing %s: %w", d.path, err)
	}
	if err := syncDir(d.temp); err != nil {
		return err
	}
	old := d.temp + "-replaced"
	switch err := os.Rename(d.path, old); {
	case err == nil:
		defer os.RemoveAll(old)
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("moving the old %s aside: %w", d.path, err)
	}
	if err := os.Rename(d.temp, d.path); err != nil {
		return fmt.Errorf("putting %s in place: %w", d.path, err)
	}
	d.done = true
	return syncDir(filepath.Dir(d.path))
}

// Abort gives the directory up and removes what was written of it.
func (d *Directory) Abort() {
	if d.done {
		return
	}
	d.done = true
	os.RemoveAll(d.temp)
}

// SweepDirectories removes from dir the sub-directories that killed stages left
// partial. A directory that does not exist is swept already.
func SweepDirectories(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.Contains(e.Name(), tempMark) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("sweeping %s: %w", dir, err)
		}
	}
	return nil
}
