package store

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ManifestName is the name of the manifest in each directory that has one.
const ManifestName = "manifest.json"

// maxManifest bounds what ReadManifest takes into memory.
const maxManifest = 256 << 20

// Manifest vouches for the files of one directory.
type Manifest struct {
	// Format names the layout of the files and its version, such as
	// "tributary/documents/1".
	Format string `json:"format"`
	// Key is the hash of everything that determines the files: configuration,
	// code version and the digests of the inputs (see Key). A stage whose key is
	// already on disk has nothing to do.
	Key string `json:"key"`
	// Config is the configuration that made the files, for people.
	Config json.RawMessage `json:"config,omitempty"`
	// Inputs maps the name of each input to its digest.
	Inputs map[string]string `json:"inputs,omitempty"`
	// Totals holds the stage's figures: records, skips by cause, tokens.
	Totals map[string]int64 `json:"totals,omitempty"`
	Files  []File           `json:"files"`
}

// Digest is the hash of the files' contents: equal digests mean equal bytes
// under equal names.
func (m *Manifest) Digest() string {
	parts := make([]any, 0, 2*len(m.Files)+1)
	parts = append(parts, m.Format)
	for _, f := range m.Files {
		parts = append(parts, f.Path, f.SHA256)
	}
	return Key(parts...)
}

// Key hashes the JSON forms of parts into a hex string. Maps are hashed in key
// order, as encoding/json writes them.
func Key(parts ...any) string {
	h := sha256.New()
	enc := json.NewEncoder(h)
	for _, p := range parts {
		if err := enc.Encode(p); err != nil {
			panic(fmt.Sprintf("store: a key part of type %T has no JSON form: %v", p, err))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// WriteManifest writes dir's manifest, whole or not at all.
func WriteManifest(dir string, m *Manifest) error {
	data, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the manifest of %s: %w", dir, err)
	}
	_, err = WriteFile(filepath.Join(dir, ManifestName), append(data, '\n'))
	return err
}

// ReadManifest reads dir's manifest. The error is fs.ErrNotExist when there is
// none, which is how a stage that never finished looks.
func ReadManifest(dir string) (*Manifest, error) {
	path := filepath.Join(dir, ManifestName)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the manifest: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(data) > maxManifest {
		return nil, fmt.Errorf("reading %s: larger than %d bytes, which no manifest is", path, maxManifest)
	}
	m := new(Manifest)
	if err := json.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	for _, f := range m.Files {
		if !filepath.IsLocal(filepath.FromSlash(f.Path)) || strings.Contains(f.Path, `\`) {
			return nil, fmt.Errorf("reading %s: file %q lies outside the manifest's directory", path, f.Path)
		}
	}
	return m, nil
}

// Done reports whether dir holds the finished output of a stage with this key.
// It trusts the manifest and the sizes of the files; Verify reads them.
func Done(dir, key string) (*Manifest, bool) {
	m, err := ReadManifest(dir)
	if err != nil || m.Key != key {
		return nil, false
	}
	for _, f := range m.Files {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(f.Path)))
		if err != nil || info.Size() != f.Bytes {
			return nil, false
		}
	}
	return m, true
}

// DamagedError says that a file is not the one its manifest vouches for.
type DamagedError struct {
	Path   string
	Detail string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("%s is damaged: %s; run the stage that makes it again", e.Path, e.Detail)
}

// VerifyFile reads the file that f describes in dir and compares it. The error
// is a *DamagedError when it is missing, of another size or of other bytes.
func VerifyFile(dir string, f File) error {
	path := filepath.Join(dir, filepath.FromSlash(f.Path))
	r, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &DamagedError{path, "the file is missing"}
	}
	if err != nil {
		return fmt.Errorf("verifying: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return fmt.Errorf("verifying %s: %w", path, err)
	}
	if n != f.Bytes {
		return &DamagedError{path, fmt.Sprintf("it has %d bytes, its manifest says %d", n, f.Bytes)}
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.SHA256 {
		return &DamagedError{path, fmt.Sprintf("its SHA-256 is %s, its manifest says %s", got, f.SHA256)}
	}
	return nil
}

// Describe reads the file at a path relative to dir and returns the File that
// vouches for it.
func Describe(dir, path string) (File, error) {
	r, err := os.Open(filepath.Join(dir, filepath.FromSlash(path)))
	if err != nil {
		return File{}, fmt.Errorf("describing: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return File{}, fmt.Errorf("describing %s: %w", path, err)
	}
	return File{Path: path, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))}, nil
}

// Verify compares every file of the manifest with what lies in dir and returns
// all differences, joined.
func (m *Manifest) Verify(dir string) error {
	var errs []error
	for _, f := range m.Files {
		if err := VerifyFile(dir, f); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
