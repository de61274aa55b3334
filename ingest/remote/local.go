package remote

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// localStore is the machine's own files; names are paths.
type localStore struct{}

func localInfo(path string, info fs.FileInfo) Info {
	return Info{
		Location: path, Size: info.Size(), Modified: info.ModTime(),
		Version: fmt.Sprintf("%d-%d", info.ModTime().UnixNano(), info.Size()),
	}
}

func (localStore) stat(_ context.Context, name string) (Info, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Info{}, err
	}
	if info.IsDir() {
		return Info{}, fmt.Errorf("it is a directory: %w", fs.ErrInvalid)
	}
	return localInfo(name, info), nil
}

func (localStore) list(ctx context.Context, prefix string, f func(Info) error) error {
	root := prefix
	if !strings.HasSuffix(root, "/") {
		root = filepath.Dir(prefix)
	}
	return filepath.WalkDir(filepath.Clean(root), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.IsDir() {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if strings.HasPrefix(prefix, "./") && !strings.HasPrefix(path, "/") {
			path = "./" + path
		}
		if !strings.HasPrefix(path, prefix) {
			return nil
		}
		return f(localInfo(path, info))
	})
}

func (localStore) get(_ context.Context, name string, info Info, from, to int64) (io.ReadCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	now, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	if localInfo(name, now).Version != info.Version {
		f.Close()
		return nil, ErrChanged
	}
	return struct {
		io.Reader
		io.Closer
	}{io.NewSectionReader(f, from, to-from), f}, nil
}

// globLocal lists the local files that match a pattern, in order.
func globLocal(pattern string) ([]Info, error) {
	local, _ := Path(pattern)
	root := strings.TrimSuffix(pattern, local)
	paths, err := filepath.Glob(local)
	if err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	slices.Sort(paths)
	var infos []Info
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, fmt.Errorf("looking at %s: %w", p, err)
		}
		if info.IsDir() {
			continue
		}
		i := localInfo(p, info)
		i.Location = root + p
		infos = append(infos, i)
	}
	if len(infos) == 0 {
		return nil, fmt.Errorf("nothing matches %s: %w", pattern, fs.ErrNotExist)
	}
	return infos, nil
}
