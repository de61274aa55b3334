package shards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards/mirror"
)

// VerifyReport is what Verify found.
type VerifyReport struct {
	// Directories, Files and Bytes are what was compared with a manifest.
	Directories int   `json:"directories"`
	Files       int   `json:"files"`
	Bytes       int64 `json:"bytes"`
	// Damaged names every file that is not the one its manifest vouches for, and
	// every manifest that does not read.
	Damaged []string `json:"damaged,omitempty"`
	// Stale names shards that were made from other documents or marks than those
	// that are there now. Marks are read anew when shards are opened, so that
	// shards with stale marks are fit for training.
	Stale []string `json:"stale,omitempty"`
}

// OK reports whether nothing is damaged.
func (r *VerifyReport) OK() bool { return len(r.Damaged) == 0 }

// Verify compares every file that a manifest under the data root names with its
// checksum. What it finds is in the report; the error is for what kept it from
// looking.
func Verify(ctx context.Context, dataDir string, meter *progress.Meter) (*VerifyReport, error) {
	if remote.IsRemote(dataDir) {
		return verifyFar(ctx, dataDir, meter)
	}
	dirs, err := manifestDirs(dataDir)
	if err != nil {
		return nil, err
	}
	r := &VerifyReport{}
	var total int64
	manifests := make([]*store.Manifest, len(dirs))
	for i, dir := range dirs {
		m, err := store.ReadManifest(dir)
		if err != nil {
			r.Damaged = append(r.Damaged, err.Error())
			continue
		}
		manifests[i] = m
		for _, f := range m.Files {
			total += f.Bytes
		}
	}
	meter.Begin("verifying", "bytes", total, 0)
	for i, dir := range dirs {
		if manifests[i] == nil {
			continue
		}
		r.Directories++
		for _, f := range manifests[i].Files {
			if err := ctx.Err(); err != nil {
				return r, err
			}
			r.Files++
			r.Bytes += f.Bytes
			if err := store.VerifyFile(dir, f); err != nil {
				r.Damaged = append(r.Damaged, err.Error())
			}
			meter.Add(f.Bytes)
		}
	}
	return r, r.checkStale(dataDir)
}

func manifestDirs(dataDir string) ([]string, error) {
	var dirs []string
	err := filepath.WalkDir(dataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if !d.IsDir() && d.Name() == store.ManifestName {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking for manifests: %w", err)
	}
	sort.Strings(dirs)
	return dirs, nil
}

func (r *VerifyReport) checkStale(dataDir string) error {
	return eachShards(dataDir, func(source, tokenizer string) error {
		m, err := ReadManifest(dataDir, source, tokenizer)
		if err != nil {
			return nil // it is among the damaged
		}
		name := fmt.Sprintf("%s for tokenizer %s", source, tokenizer)
		docs, err := ingest.DocumentsManifest(dataDir, source)
		switch {
		case m.Inputs[importInput] != "":
			// There never were documents.
		case errors.Is(err, ingest.ErrNoSource):
			r.Stale = append(r.Stale, name+": its documents are no longer there")
			return nil
		case err != nil:
			return nil
		case docs.Digest() != m.Inputs["documents"]:
			r.Stale = append(r.Stale, name+": made from other documents than those that are there")
		}
		if key, err := dedup.MarksKey(dataDir, source); err == nil && key != m.MarksKey {
			r.Stale = append(r.Stale, name+": its column of marks is older than the marks")
		}
		return nil
	})
}

// eachShards calls f with every source and tokenizer that have shards.
func eachShards(dataDir string, f func(source, tokenizer string) error) error {
	paths, err := filepath.Glob(filepath.Join(globEscape(dataDir), "*", "shards", "*", store.ManifestName))
	if err != nil {
		return fmt.Errorf("looking for shards: %w", err)
	}
	slices.Sort(paths)
	for _, p := range paths {
		tokenizer := filepath.Dir(p)
		source := filepath.Dir(filepath.Dir(tokenizer))
		if err := f(filepath.Base(source), filepath.Base(tokenizer)); err != nil {
			return err
		}
	}
	return nil
}

// globEscape keeps a pattern's signs in a path from being read as such.
func globEscape(path string) string {
	var out []byte
	for i := range len(path) {
		switch path[i] {
		case '*', '?', '[', '\\':
			out = append(out, '\\')
		}
		out = append(out, path[i])
	}
	return string(out)
}

// verifyFar is Verify for a data root that lies far away. It keeps nothing here.
func verifyFar(ctx context.Context, location string, meter *progress.Meter) (*VerifyReport, error) {
	r := &VerifyReport{}
	meter.Begin("verifying", "bytes", 0, 0)
	err := mirror.Verify(ctx, remote.New(remote.Options{}), location, func(_ string, file *store.File, err error) {
		if file != nil {
			r.Files++
			r.Bytes += file.Bytes
			meter.Add(file.Bytes)
		} else if err == nil {
			r.Directories++
		}
		if err != nil {
			r.Damaged = append(r.Damaged, err.Error())
		}
	})
	return r, err
}
