package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest/remote"
)

// StandardInput is the name of an input that was spooled from standard input.
const StandardInput = "-"

// Spool copies what standard input gives to a file under the data root, which
// Config.Stdin names, so that it can be checked, read in pieces and, when the run is
// stopped, given again. It is removed by remove.
func Spool(ctx context.Context, dataDir string, in io.Reader) (spooled string, remove func(), err error) {
	if err := os.MkdirAll(dataDir, 0o755); err != nil {
		return "", nil, fmt.Errorf("spooling standard input: %w", err)
	}
	f, err := os.CreateTemp(dataDir, ".stdin-*")
	if err != nil {
		return "", nil, fmt.Errorf("spooling standard input: %w", err)
	}
	remove = func() { _ = os.Remove(f.Name()) } // at worst it lies about
	n, err := io.Copy(f, &metered{ctx: ctx, r: in})
	err = errors.Join(err, f.Close())
	if err == nil && n == 0 {
		err = errors.New("it is empty")
	}
	if err != nil {
		remove()
		return "", nil, fmt.Errorf("spooling standard input: %w", err)
	}
	return f.Name(), remove, nil
}

// places opens inputs wherever they lie.
type places struct {
	client *remote.Client
	stdin  string
}

func (cfg *Config) places() *places {
	p := &places{client: cfg.Remote, stdin: cfg.Stdin}
	if p.client == nil {
		p.client = remote.New(remote.Options{Log: cfg.Log})
	}
	return p
}

// inputError is what keeps a far file from being read. It says nothing of the content.
type inputError struct{ err error }

func (e *inputError) Error() string { return e.err.Error() }
func (e *inputError) Unwrap() error { return e.err }

// isInput tells an error of the place that a file lies in from one of what it holds.
func isInput(err error) bool {
	var local *os.PathError
	var far *inputError
	return errors.As(err, &local) || errors.As(err, &far)
}

// isFar tells an error that may pass, such as of the network, after which the run can
// be gone on with, and no record may be given up.
func isFar(err error) bool {
	var far *inputError
	return errors.As(err, &far)
}

// opened is an input that is open. Of a file that grows only what was there when it
// was looked at is seen.
type opened struct {
	io.ReaderAt
	size  int64
	from  func(offset int64) io.Reader
	close func()
}

// open opens an input.
func (p *places) open(ctx context.Context, in *input) (*opened, error) {
	if in.pieces != nil {
		all := *in
		all.pieces, all.size, all.whole = nil, in.whole, 0
		o, err := p.open(ctx, &all)
		if err != nil {
			return nil, err
		}
		s := &spliced{o.ReaderAt, in.pieces}
		o.ReaderAt, o.size = s, in.size
		o.from = func(offset int64) io.Reader { return io.NewSectionReader(s, offset, in.size-offset) }
		return o, nil
	}
	if in.far == nil {
		f, err := os.Open(in.path)
		if err != nil {
			return nil, err
		}
		size := in.length()
		return &opened{
			ReaderAt: io.NewSectionReader(f, 0, size), size: size,
			from:  func(offset int64) io.Reader { return io.NewSectionReader(f, offset, size-offset) },
			close: func() { _ = f.Close() }, // it was only read
		}, nil
	}
	f, err := p.client.OpenInfo(ctx, *in.far)
	if err != nil {
		return nil, &inputError{err}
	}
	o := &opened{ReaderAt: &farReader{at: f}, size: in.length()}
	var readers []io.Closer
	o.from = func(offset int64) io.Reader {
		r := f.Reader(offset)
		readers = append(readers, r)
		return &farReader{r: r}
	}
	o.close = func() {
		for _, r := range readers {
			_ = r.Close() // it was only read
		}
		_ = f.Close()
	}
	return o, nil
}

// farReader marks the errors of a far file.
type farReader struct {
	at io.ReaderAt
	r  io.Reader
}

func mark(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		return err
	}
	return &inputError{err}
}

func (f *farReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := f.at.ReadAt(p, off)
	return n, mark(err)
}

func (f *farReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	return n, mark(err)
}

// isPattern reports whether a name has signs of a pattern.
func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// below returns a name relative to the directory that a pattern, or a listing, begins
// at.
func below(pattern, name string) string {
	if i := strings.IndexAny(pattern, "*?["); i >= 0 {
		pattern = pattern[:i]
	}
	pattern = pattern[:strings.LastIndexAny(pattern, "/"+string(filepath.Separator))+1]
	if rel, ok := strings.CutPrefix(name, pattern); ok && rel != "" {
		return filepath.ToSlash(rel)
	}
	return path.Base(filepath.ToSlash(name))
}

// list finds the files that a name stands for: a file, a directory and what is below
// it, a pattern, or a place far away.
func (p *places) list(ctx context.Context, name, kind string, guessed bool) ([]*input, error) {
	switch {
	case name == StandardInput:
		if p.stdin == "" {
			return nil, errors.New("input -: standard input was not given")
		}
		info, err := os.Stat(p.stdin)
		if err != nil {
			return nil, fmt.Errorf("input -: %w", err)
		}
		return p.one(ctx, &input{path: p.stdin, name: "stdin", shown: "standard input", size: info.Size(), kind: kind})
	case remote.IsRemote(name):
		return p.far(ctx, name, kind, guessed)
	}
	if local, ok := remote.Path(name); ok {
		name = local
	}
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) && isPattern(name) {
		return p.matches(ctx, name, kind, guessed)
	}
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	if info.IsDir() {
		found, err := p.walk(ctx, name, kind, guessed)
		return found, orNone(err, "directory "+name, found)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("input %s: neither a file nor a directory; pipe it into standard input and name it -", name)
	}
	return p.one(ctx, &input{path: name, name: filepath.Base(name), size: info.Size(), kind: kind})
}

// one tells the kind of an input that was named.
func (p *places) one(ctx context.Context, in *input) ([]*input, error) {
	if in.kind == "" {
		var err error
		if in.kind, _, err = p.sniff(ctx, in); err != nil {
			return nil, fmt.Errorf("input: %w", err)
		}
		if in.kind == "" {
			return nil, fmt.Errorf("input %s: cannot tell what it is; name its kind, one of %s", in.where(), strings.Join(Kinds(), ", "))
		}
	}
	return []*input{in}, nil
}

// matches lists the files that match a pattern, and what is below directories that do.
func (p *places) matches(ctx context.Context, pattern, kind string, guessed bool) ([]*input, error) {
	names, err := filepath.Glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("input %s: %w", pattern, err)
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("input %s: nothing matches: %w", pattern, fs.ErrNotExist)
	}
	var all []*input
	for _, name := range names {
		found, err := p.list(ctx, name, kind, guessed)
		if err != nil {
			return nil, err
		}
		for _, in := range found {
			if rel := below(pattern, name); in.path == name {
				in.name = rel
			} else {
				in.name = rel + "/" + in.name
			}
		}
		all = append(all, found...)
	}
	return all, nil
}

// far lists files that are far away.
func (p *places) far(ctx context.Context, name, kind string, guessed bool) ([]*input, error) {
	if err := remote.Check(name); err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	var infos []remote.Info
	var err error
	single := false
	switch {
	case strings.HasSuffix(name, "/"):
		infos, err = p.client.List(ctx, name, 0)
	case isPattern(name) && !strings.HasPrefix(name, "http"): // web addresses have queries
		infos, err = p.client.Glob(ctx, name)
	default:
		var info remote.Info
		if info, err = p.client.Stat(ctx, name); err == nil {
			infos, single = []remote.Info{info}, true
		} else if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(name, "http") {
			missing := err
			name += "/"
			if infos, err = p.client.List(ctx, name, 0); err == nil && len(infos) == 0 {
				err = missing
			}
		}
	}
	if err != nil {
		return nil, fmt.Errorf("input: %w", err)
	}
	var all []*input
	for _, info := range infos {
		plain, _, _ := strings.Cut(info.Location, "?")
		in := &input{path: remote.Redact(info.Location), name: below(name, plain), size: info.Size, kind: kind, far: &info}
		if single {
			in.name = path.Base(plain)
			return p.one(ctx, in)
		}
		p.consider(ctx, in, path.Base(in.name), kind, guessed)
		all = append(all, in)
	}
	if kind == "" {
		ignoreNotes(all)
	}
	return all, orNone(nil, remote.Redact(name), all)
}

// orNone is the error that nothing can be ingested of what was found.
func orNone(err error, what string, found []*input) error {
	if err != nil || slices.ContainsFunc(found, func(in *input) bool { return in.ignored == "" }) {
		return err
	}
	detail := "is empty"
	if len(found) > 0 {
		detail = fmt.Sprintf("holds %d files and none that can be ingested, such as %s (%s)", len(found), found[0].name, found[0].ignored)
	}
	return fmt.Errorf("%w: %s %s", ErrNoInput, what, detail)
}
