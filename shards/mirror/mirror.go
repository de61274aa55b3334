// Package mirror reads a data root that lies on a far server (s3://, gs://,
// https://) through a directory of this machine. Manifests, tokenizers, marks and
// labels are brought at once; shards when they are read, into a cache with a budget of
// bytes.
//
// Nothing ever waits for room: what is not being read makes way, and what is being
// read may exceed the budget by as much as the readers read at a time. There is
// therefore nothing to deadlock on.
package mirror

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/store"
)

const (
	// DefaultBudget is the size of the cache of shards, in bytes.
	DefaultBudget = 64 << 30
	// maxSmall bounds a manifest.
	maxSmall = 256 << 20
)

// Mirror is a far data root with its directory here. Its methods may be called from
// several goroutines.
type Mirror struct {
	client   *remote.Client
	location string
	dir      string
	budget   int64
	log      *slog.Logger

	mu    sync.Mutex
	files map[string]*file // by path
	bytes int64            // of all that are here
	clock int64
}

// file is a shard that is here or on its way.
type file struct {
	path    string
	bytes   int64
	used    int64
	loading chan struct{} // not nil while it is being brought; closed then
	pins    map[*pin]bool
}

// pin keeps a file here; idle asks its holder to let go of it when it is not reading.
type pin struct{ idle func() }

// Options are the bounds of a Mirror.
type Options struct {
	// Dir is the directory here; one below the user's cache directory when empty.
	// Processes may share it.
	Dir string
	// Budget bounds the shards kept here, in bytes; 0 means DefaultBudget.
	Budget int64
	// Client reads; nil means one with the usual bounds.
	Client *remote.Client
	Log    *slog.Logger
}

// Open opens the data root at a location.
func Open(location string, o Options) (*Mirror, error) {
	if err := remote.Check(location); err != nil {
		return nil, err
	}
	m := &Mirror{client: o.Client, location: strings.TrimRight(location, "/"), dir: o.Dir, budget: o.Budget, log: o.Log, files: map[string]*file{}}
	if m.log == nil {
		m.log = slog.New(slog.DiscardHandler)
	}
	if m.client == nil {
		m.client = remote.New(remote.Options{Log: m.log})
	}
	if m.budget <= 0 {
		m.budget = DefaultBudget
	}
	if m.dir == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("looking for a place to keep %s: %w", remote.Redact(location), err)
		}
		m.dir = filepath.Join(cache, "tributary", store.Key(m.location)[:16])
	}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return nil, fmt.Errorf("making the cache of %s: %w", remote.Redact(location), err)
	}
	return m, m.adopt()
}

// Dir returns the directory here, which is a data root.
func (m *Mirror) Dir() string { return m.dir }

// adopt counts the shards that earlier runs left, the oldest as used first.
func (m *Mirror) adopt() error {
	paths, err := filepath.Glob(filepath.Join(escape(m.dir), "*", "shards", "*", "part-*"))
	if err != nil {
		return fmt.Errorf("looking into the cache %s: %w", m.dir, err)
	}
	type found struct {
		path string
		info fs.FileInfo
	}
	var list []found
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			list = append(list, found{p, info})
		}
	}
	slices.SortFunc(list, func(a, b found) int { return a.info.ModTime().Compare(b.info.ModTime()) })
	for _, f := range list {
		m.clock++
		m.files[f.path] = &file{path: f.path, bytes: f.info.Size(), used: m.clock, pins: map[*pin]bool{}}
		m.bytes += f.info.Size()
	}
	return nil
}

func escape(p string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(p)
}

// Prepare brings what the sources need beside their shards' files: manifests, marks,
// labels, and the tokenizer, of which the name is returned. With an empty name it is
// the only one there is.
func (m *Mirror) Prepare(ctx context.Context, tokenizer string, sources []string) (string, error) {
	if tokenizer == "" {
		infos, err := m.client.List(ctx, remote.Join(m.location, "tokenizers"), 10_000)
		if errors.Is(err, remote.ErrNoList) {
			return "", fmt.Errorf("%s: name the tokenizer: %w", remote.Redact(m.location), err)
		}
		if err != nil {
			return "", err
		}
		var names []string
		for _, i := range infos {
			if path.Base(i.Location) == "tokenizer.json" {
				names = append(names, path.Base(path.Dir(i.Location)))
			}
		}
		if len(names) != 1 {
			return "", fmt.Errorf("%s has %d tokenizers: choose one of %v", remote.Redact(m.location), len(names), names)
		}
		tokenizer = names[0]
	}
	if there, err := m.directory(ctx, path.Join("tokenizers", tokenizer)); err != nil || !there {
		return "", cmpErr(err, fmt.Errorf("%s has no tokenizer %q", remote.Redact(m.location), tokenizer))
	}
	for _, source := range sources {
		if there, err := m.small(ctx, path.Join(source, "shards", tokenizer, store.ManifestName)); err != nil || !there {
			return "", cmpErr(err, fmt.Errorf("source %q has no shards for tokenizer %q at %s", source, tokenizer, remote.Redact(m.location)))
		}
		if _, err := m.directory(ctx, path.Join(source, "marks")); err != nil {
			return "", err
		}
		labels, err := m.directory(ctx, path.Join(source, "labels"))
		if err != nil {
			return "", err
		}
		if labels {
			if _, err := m.directory(ctx, path.Join(source, "documents")); err != nil {
				return "", err
			}
		}
	}
	return tokenizer, nil
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// small brings a file of moderate size, whatever is here. there is false, and the one
// here is removed, when there is none.
func (m *Mirror) small(ctx context.Context, rel string) (there bool, err error) {
	here := filepath.Join(m.dir, filepath.FromSlash(rel))
	data, err := m.client.ReadAll(ctx, remote.Join(m.location, rel), maxSmall)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Remove(here); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, fmt.Errorf("removing what is gone at its origin: %w", err)
		}
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(here), 0o755); err != nil {
		return false, fmt.Errorf("bringing %s: %w", rel, err)
	}
	_, err = store.WriteFile(here, data)
	return true, err
}

// directory brings a directory with a manifest: the files that are not here as the
// manifest has them, each compared with its checksum.
func (m *Mirror) directory(ctx context.Context, rel string) (there bool, err error) {
	if there, err = m.small(ctx, path.Join(rel, store.ManifestName)); err != nil || !there {
		return there, err
	}
	dir := filepath.Join(m.dir, filepath.FromSlash(rel))
	manifest, err := store.ReadManifest(dir)
	if err != nil {
		return true, err
	}
	for _, f := range manifest.Files {
		if store.VerifyFile(dir, f) == nil {
			continue
		}
		if err := m.bring(ctx, dir, f); err != nil {
			return true, err
		}
	}
	return true, nil
}

// bring reads a file from its origin and puts it in place when it is the one that is
// wanted.
func (m *Mirror) bring(ctx context.Context, dir string, want store.File) error {
	rel, err := filepath.Rel(m.dir, dir)
	if err != nil || strings.HasPrefix(rel, "..") {
		return fmt.Errorf("%s is not below %s", dir, m.dir)
	}
	location := remote.Join(m.location, filepath.ToSlash(rel), want.Path)
	in, err := m.client.Open(ctx, location)
	if err != nil {
		return err
	}
	defer in.Close()
	damaged := func(detail string) error {
		return &store.DamagedError{Path: remote.Redact(location), Detail: detail + ": it was damaged, or replaced after its manifest was read"}
	}
	if in.Size() != want.Bytes {
		return damaged(fmt.Sprintf("it has %d bytes and its manifest says %d", in.Size(), want.Bytes))
	}
	out, err := store.Create(filepath.Join(dir, filepath.FromSlash(want.Path)))
	if err != nil {
		return err
	}
	defer out.Abort()
	sum := sha256.New()
	r := in.Reader(0)
	if _, err := io.CopyBuffer(io.MultiWriter(out, sum), r, make([]byte, 1<<20)); err != nil {
		return errors.Join(err, r.Close())
	}
	if err := r.Close(); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return damaged("its checksum is not that of its manifest")
	}
	_, err = out.Commit()
	return err
}

// Fetch implements shards.Fetcher.
func (m *Mirror) Fetch(ctx context.Context, dir string, want store.File, again bool, idle func()) (release func(), err error) {
	p := filepath.Join(dir, filepath.FromSlash(want.Path))
	mine := &pin{idle}
	for {
		m.mu.Lock()
		f := m.files[p]
		if f == nil {
			f = &file{path: p, pins: map[*pin]bool{}}
			m.files[p] = f
			again = true
		}
		if f.loading != nil {
			wait := f.loading
			m.mu.Unlock()
			select {
			case <-wait:
				again = false
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		}
		m.clock++
		f.used = m.clock
		f.pins[mine] = true
		release = func() {
			m.mu.Lock()
			delete(f.pins, mine)
			m.mu.Unlock()
		}
		if !again && m.here(p, want) {
			m.mu.Unlock()
			return release, nil
		}
		f.loading = make(chan struct{})
		m.bytes += want.Bytes - f.bytes
		f.bytes = want.Bytes
		m.mu.Unlock()

		m.makeRoom()
		err := m.bring(ctx, dir, want)

		m.mu.Lock()
		close(f.loading)
		f.loading = nil
		if err != nil {
			delete(f.pins, mine)
			if info, e := os.Stat(p); e == nil {
				m.bytes += info.Size() - f.bytes
				f.bytes = info.Size()
			} else {
				m.bytes -= f.bytes
				delete(m.files, p)
			}
		}
		m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		return release, nil
	}
}

// Exists implements shards.Fetcher.
func (m *Mirror) Exists(ctx context.Context, dir string, want store.File) (bool, error) {
	rel, err := filepath.Rel(m.dir, dir)
	if err != nil {
		return false, err
	}
	_, err = m.client.Stat(ctx, remote.Join(m.location, filepath.ToSlash(rel), want.Path))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// here reports whether a file of the wanted size is in place.
func (m *Mirror) here(p string, want store.File) bool {
	info, err := os.Stat(p)
	return err == nil && info.Size() == want.Bytes
}

// makeRoom removes files until the budget holds: those used longest ago first, and of
// those that are open only such as nobody reads at the moment.
func (m *Mirror) makeRoom() {
	asked := map[*pin]bool{}
	for {
		m.mu.Lock()
		for m.bytes > m.budget {
			oldest := m.oldest(func(f *file) bool { return len(f.pins) == 0 })
			if oldest == nil {
				break
			}
			_ = os.Remove(oldest.path) // at worst it lies about and is counted anew later
			m.bytes -= oldest.bytes
			delete(m.files, oldest.path)
		}
		var idle *pin
		if m.bytes > m.budget {
			m.oldest(func(f *file) bool {
				for p := range f.pins {
					if !asked[p] {
						return true
					}
				}
				return false
			}).each(func(p *pin) {
				if !asked[p] {
					idle = p
				}
			})
		}
		m.mu.Unlock()
		if idle == nil {
			return // what is still too much is being read
		}
		asked[idle] = true
		idle.idle()
	}
}

// oldest returns the file used longest ago of those that are here and fit; nil for
// none. The lock is held.
func (m *Mirror) oldest(fits func(*file) bool) *file {
	var oldest *file
	for _, f := range m.files {
		if f.loading == nil && (oldest == nil || f.used < oldest.used) && fits(f) {
			oldest = f
		}
	}
	return oldest
}

func (f *file) each(do func(*pin)) {
	if f == nil {
		return
	}
	for p := range f.pins {
		do(p)
	}
}

// Bytes returns the size of the shards that are here.
func (m *Mirror) Bytes() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bytes
}

// Verify compares every file that a manifest of the data root names with its checksum,
// streaming: nothing is kept here. f is called with each, and with what is wrong.
func Verify(ctx context.Context, client *remote.Client, location string, f func(dir string, file *store.File, err error)) error {
	infos, err := client.List(ctx, location, 0)
	if err != nil {
		return err
	}
	for _, i := range infos {
		if path.Base(i.Location) != store.ManifestName {
			continue
		}
		dir := strings.TrimSuffix(i.Location, "/"+store.ManifestName)
		m, err := readManifest(ctx, client, i.Location)
		if err != nil {
			f(dir, nil, err)
			continue
		}
		f(dir, nil, nil)
		for _, want := range m.Files {
			if err := ctx.Err(); err != nil {
				return err
			}
			err := verifyFile(ctx, client, remote.Join(dir, want.Path), want)
			if err != nil && ctx.Err() != nil {
				return err
			}
			f(dir, &want, err)
		}
	}
	return nil
}

// readManifest reads a manifest by way of a directory of its own, as store reads it.
func readManifest(ctx context.Context, client *remote.Client, location string) (*store.Manifest, error) {
	data, err := client.ReadAll(ctx, location, maxSmall)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "tributary-verify-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp)
	if err := os.WriteFile(filepath.Join(temp, store.ManifestName), data, 0o600); err != nil {
		return nil, err
	}
	m, err := store.ReadManifest(temp)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", remote.Redact(location), err)
	}
	return m, nil
}

func verifyFile(ctx context.Context, client *remote.Client, location string, want store.File) error {
	in, err := client.Open(ctx, location)
	if errors.Is(err, fs.ErrNotExist) {
		return &store.DamagedError{Path: remote.Redact(location), Detail: "the file is missing"}
	}
	if err != nil {
		return err
	}
	defer in.Close()
	if in.Size() != want.Bytes {
		return &store.DamagedError{Path: remote.Redact(location), Detail: fmt.Sprintf("it has %d bytes and its manifest says %d", in.Size(), want.Bytes)}
	}
	sum := sha256.New()
	r := in.Reader(0)
	_, err = io.CopyBuffer(sum, r, make([]byte, 1<<20))
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != want.SHA256 {
		return &store.DamagedError{Path: remote.Redact(location), Detail: "its checksum is not that of its manifest"}
	}
	return nil
}
