// Package store writes files that appear whole or not at all, and the manifests
// that vouch for them. Every stage of the house writes through it.
//
// A file is written beside its final place, synced, hashed while it is written
// and renamed. A directory of such files is believed only as far as its
// manifest.json, which is written last: a stage that is killed leaves files no
// manifest names, and the next run overwrites them.
package store

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// tempMark stands in the name of every file that is not yet whole.
const tempMark = ".partial-"

// File describes a file that was written whole.
type File struct {
	// Path is relative to the directory of the manifest, with forward slashes.
	Path   string `json:"path"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	// Rows counts the file's records; what a record is, the manifest's format says.
	Rows int64 `json:"rows,omitempty"`
}

// Writer writes one file that appears when Commit succeeds. A Writer that is
// not committed must be aborted; Abort after Commit does nothing, so it can be
// deferred.
type Writer struct {
	path string
	f    *os.File
	buf  *bufio.Writer
	sum  hash.Hash
	n    int64
	done bool
}

// Create begins a file at path, making its directory when needed.
func Create(path string) (*Writer, error) {
	dir, base := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the directory of %s: %w", path, err)
	}
	f, err := os.CreateTemp(dir, base+tempMark+"*")
	if err != nil {
		return nil, fmt.Errorf("creating %s: %w", path, err)
	}
	w := &Writer{path: path, f: f, sum: sha256.New()}
	w.buf = bufio.NewWriterSize(io.MultiWriter(f, w.sum), 1<<18)
	return w, nil
}

// Write adds p to the file.
func (w *Writer) Write(p []byte) (int, error) {
	n, err := w.buf.Write(p)
	w.n += int64(n)
	if err != nil {
		err = fmt.Errorf("writing %s: %w", w.path, err)
	}
	return n, err
}

// Commit makes the file appear: it is synced, renamed into place, and the
// rename itself is synced. The File it returns carries the path's last element.
func (w *Writer) Commit() (File, error) {
	if w.done {
		return File{}, fmt.Errorf("committing %s: already committed or aborted", w.path)
	}
	defer w.Abort()
	if err := w.buf.Flush(); err != nil {
		return File{}, fmt.Errorf("writing %s: %w", w.path, err)
	}
	if err := w.f.Chmod(0o644); err != nil {
		return File{}, fmt.Errorf("committing %s: %w", w.path, err)
	}
	if err := w.f.Sync(); err != nil {
		return File{}, fmt.Errorf("syncing %s: %w", w.path, err)
	}
	if err := w.f.Close(); err != nil {
		return File{}, fmt.Errorf("closing %s: %w", w.path, err)
	}
	if err := os.Rename(w.f.Name(), w.path); err != nil {
		return File{}, fmt.Errorf("putting %s in place: %w", w.path, err)
	}
	w.done = true
	if err := syncDir(filepath.Dir(w.path)); err != nil {
		return File{}, err
	}
	return File{Path: filepath.Base(w.path), Bytes: w.n, SHA256: hex.EncodeToString(w.sum.Sum(nil))}, nil
}

// Abort gives the file up and removes what was written of it.
func (w *Writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	w.f.Close()
	os.Remove(w.f.Name())
}

// WriteFile writes data to path, whole or not at all.
func WriteFile(path string, data []byte) (File, error) {
	w, err := Create(path)
	if err != nil {
		return File{}, err
	}
	defer w.Abort()
	if _, err := w.Write(data); err != nil {
		return File{}, err
	}
	return w.Commit()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	defer d.Close()
	// Some file systems cannot sync a directory; the rename is then as durable
	// as they make it.
	if err := d.Sync(); err != nil && !errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, os.ErrInvalid) {
		return fmt.Errorf("syncing directory %s: %w", dir, err)
	}
	return nil
}

// Sweep removes from dir what killed stages left behind: partial files, and,
// when keep is not nil, files for which it reports false. It does not descend
// into sub-directories. A directory that does not exist is swept already.
func Sweep(dir string, keep func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweeping %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if !strings.Contains(e.Name(), tempMark) && (keep == nil || keep(e.Name())) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("sweeping %s: %w", dir, err)
		}
	}
	return nil
}
