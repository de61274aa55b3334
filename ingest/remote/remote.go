// Package remote reads files wherever they lie: plain paths, file://, https://,
// s3:// and gs://. What is far away is read by ranges of at least 1 MiB, a
// bounded number at a time, and asked for again, with jitter, when a read fails
// for a reason that may pass.
//
// Credentials come from where the tools of each service look for them. No error
// and no log line shows them, nor the query or the password of an address.
package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
)

// MinRead is the least that is asked of a far server at a time: smaller reads
// are answered from a window of this size.
const MinRead = 1 << 20

// ErrChanged says that a file was replaced while it was being read.
var ErrChanged = errors.New("the file was replaced while it was being read")

// ErrNoList says that files cannot be listed: web servers have no way to.
var ErrNoList = errors.New("a web server cannot list its files; name each of them")

// Options are the bounds of a Client. The zero value asks for the defaults.
type Options struct {
	// Connections bounds the requests under way. 0 means 16.
	Connections int
	// Attempts is how often a request is tried that gets no further. 0 means 5.
	Attempts int
	// Pause is the mean wait before the second attempt; it doubles from one to the
	// next. 0 means 200 ms.
	Pause time.Duration
	// Stall is how long a server may send nothing. 0 means 30 s.
	Stall time.Duration
	// Transport carries the requests; nil means one of its own.
	Transport http.RoundTripper
	// Getenv looks up the environment; nil means os.Getenv.
	Getenv func(string) string
	Log    *slog.Logger
}

// Client opens files. Its methods may be called from several goroutines.
type Client struct {
	opts  Options
	http  *http.Client
	slots *semaphore.Weighted

	mu     sync.Mutex
	stores map[string]backend
}

// Info describes a file.
type Info struct {
	// Location names the file, in the form in which Client takes it.
	Location string
	Size     int64
	// Modified is zero where it is not known.
	Modified time.Time
	// Version changes when the content does, as far as the place can say: an entity
	// tag, or the time and size of a local file. It may be empty.
	Version string
}

// backend is one place that holds files. Its methods make one attempt.
type backend interface {
	stat(ctx context.Context, name string) (Info, error)
	// list calls f with every file whose name begins with prefix.
	list(ctx context.Context, prefix string, f func(Info) error) error
	// get reads the bytes [from, to) of a file that stat described.
	get(ctx context.Context, name string, info Info, from, to int64) (io.ReadCloser, error)
}

// New returns a client.
func New(opts Options) *Client {
	if opts.Connections <= 0 {
		opts.Connections = 16
	}
	if opts.Attempts <= 0 {
		opts.Attempts = 5
	}
	if opts.Pause <= 0 {
		opts.Pause = 200 * time.Millisecond
	}
	if opts.Stall <= 0 {
		opts.Stall = 30 * time.Second
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	if opts.Transport == nil {
		opts.Transport = newTransport(opts)
	}
	return &Client{
		opts: opts, http: &http.Client{Transport: opts.Transport},
		slots: semaphore.NewWeighted(int64(opts.Connections)), stores: map[string]backend{},
	}
}

// scheme returns the scheme of a location and what follows it; a plain path has
// none.
func scheme(location string) (name, rest string) {
	name, rest, ok := strings.Cut(location, "://")
	if !ok || name == "" || strings.ContainsAny(name, `/\.`) {
		return "", location
	}
	return strings.ToLower(name), rest
}

// IsRemote reports whether a location is read over the network.
func IsRemote(location string) bool {
	switch s, _ := scheme(location); s {
	case "", "file":
		return false
	}
	return true
}

// Check says what is wrong with the form of a location.
func Check(location string) error {
	_, _, err := split(location)
	return err
}

// Path returns the local path of a plain path or a file:// location.
func Path(location string) (string, bool) {
	switch s, rest := scheme(location); s {
	case "":
		return location, true
	case "file":
		return strings.TrimPrefix(rest, "localhost"), true
	}
	return "", false
}

// Join appends elements to a location of a directory.
func Join(location string, elem ...string) string {
	if s, _ := scheme(location); s == "" {
		return path.Join(append([]string{location}, elem...)...)
	}
	base, query, hasQuery := strings.Cut(location, "?")
	base = strings.TrimRight(base, "/") + "/" + path.Join(elem...)
	if hasQuery {
		base += "?" + query
	}
	return base
}

// Redact returns a location fit for messages: without password and query, which
// may be secrets.
func Redact(location string) string {
	s, _ := scheme(location)
	switch s {
	case "", "file", "s3", "gs":
		return location
	}
	u, err := url.Parse(location)
	if err != nil {
		return s + "://(an address that does not parse)"
	}
	if u.User != nil {
		u.User = url.User("redacted")
	}
	if u.RawQuery != "" {
		u.RawQuery = "redacted"
	}
	u.Fragment = ""
	return u.String()
}

// split names the store of a location and the file in it.
func split(location string) (store, name string, err error) {
	s, rest := scheme(location)
	switch s {
	case "", "file":
		p, _ := Path(location)
		if p == "" {
			return "", "", fmt.Errorf("location %q names no file", location)
		}
		return "file", p, nil
	case "http", "https":
		u, err := url.Parse(location)
		if err != nil || u.Host == "" {
			return "", "", fmt.Errorf("location %q is no address", Redact(location))
		}
		return "http", location, nil
	case "s3", "gs":
		bucket, key, _ := strings.Cut(rest, "/")
		if bucket == "" || strings.ContainsAny(bucket, "?#@: ") {
			return "", "", fmt.Errorf("location %q names no bucket: want %s://bucket/name", location, s)
		}
		return s + "://" + bucket, key, nil
	}
	return "", "", fmt.Errorf("location %q: %q is none of file, http, https, s3 and gs", Redact(location), s)
}

// store returns the backend of a location and the file's name in it.
func (c *Client) store(location string) (backend, string, error) {
	store, name, err := split(location)
	if err != nil {
		return nil, "", err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	b, ok := c.stores[store]
	if !ok {
		switch store {
		case "file":
			b = localStore{}
		case "http":
			b = webStore{c.http}
		default:
			if b, err = newObjectStore(store, c.opts); err != nil {
				return nil, "", fmt.Errorf("opening %s: %w", store, err)
			}
		}
		c.stores[store] = b
	}
	return b, name, nil
}

// Stat describes a file. The error wraps fs.ErrNotExist when there is none.
func (c *Client) Stat(ctx context.Context, location string) (Info, error) {
	b, name, err := c.store(location)
	if err != nil {
		return Info{}, err
	}
	var info Info
	err = c.try(ctx, func(ctx context.Context) (bool, error) {
		var err error
		info, err = b.stat(ctx, name)
		return false, err
	})
	if err != nil {
		return Info{}, fmt.Errorf("looking at %s: %w", Redact(location), err)
	}
	info.Location = location
	return info, nil
}

// List returns the files below a directory (a prefix of names that ends with a
// slash), in order of their names. At most limit files are listed, more are an
// error; 0 means a million.
func (c *Client) List(ctx context.Context, location string, limit int) ([]Info, error) {
	return c.list(ctx, location, strings.TrimRight(location, "/")+"/", limit, nil)
}

// Glob returns the files whose location matches a pattern as path.Match has it:
// '*' and '?' stay within an element. A location without pattern signs matches
// the file of that name, which must be there. No match is an error that wraps
// fs.ErrNotExist.
func (c *Client) Glob(ctx context.Context, pattern string) ([]Info, error) {
	sch, rest := scheme(pattern)
	first := strings.IndexAny(rest, "*?[")
	if first < 0 || sch == "http" || sch == "https" {
		info, err := c.Stat(ctx, pattern)
		if err != nil {
			return nil, err
		}
		return []Info{info}, nil
	}
	if sch == "" || sch == "file" {
		return globLocal(pattern)
	}
	if _, err := path.Match(rest, ""); err != nil {
		return nil, fmt.Errorf("pattern %q: %w", pattern, err)
	}
	if first <= strings.IndexByte(rest+"/", '/') {
		return nil, fmt.Errorf("pattern %q: the bucket cannot be a pattern", pattern)
	}
	infos, err := c.list(ctx, pattern, sch+"://"+rest[:first], 0, func(i Info) bool {
		_, r := scheme(i.Location)
		ok, _ := path.Match(rest, r)
		return ok
	})
	if err == nil && len(infos) == 0 {
		err = fmt.Errorf("nothing matches %s: %w", pattern, fs.ErrNotExist)
	}
	return infos, err
}

func (c *Client) list(ctx context.Context, asked, prefix string, limit int, keep func(Info) bool) ([]Info, error) {
	if limit <= 0 {
		limit = 1_000_000
	}
	b, name, err := c.store(prefix)
	if err != nil {
		return nil, err
	}
	root := strings.TrimSuffix(prefix, name)
	var infos []Info
	err = c.try(ctx, func(ctx context.Context) (bool, error) {
		infos = infos[:0]
		return false, b.list(ctx, name, func(i Info) error {
			i.Location = root + i.Location
			if keep != nil && !keep(i) {
				return nil
			}
			if len(infos) == limit {
				return fmt.Errorf("there are more than %d files", limit)
			}
			infos = append(infos, i)
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", Redact(asked), err)
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Location, b.Location) })
	return infos, nil
}

// try makes attempts until one succeeds, fails for good, or Attempts in a row
// got no further. An attempt reports whether it got anywhere.
func (c *Client) try(ctx context.Context, attempt func(context.Context) (progress bool, err error)) error {
	for n := 1; ; n++ {
		if err := c.slots.Acquire(ctx, 1); err != nil {
			return err
		}
		progress, err := attempt(ctx)
		c.slots.Release(1)
		if err == nil {
			return nil
		}
		if cause := ctx.Err(); cause != nil {
			return cause
		}
		err = withoutAddress(err)
		if !passes(err) {
			return err
		}
		if progress {
			n = 1
		}
		if n >= c.opts.Attempts {
			return fmt.Errorf("gave up after %d attempts: %w", n, err)
		}
		pause := time.Duration(float64(c.opts.Pause) * float64(int64(1)<<min(n-1, 8)) * (0.5 + rand.Float64()))
		pause = min(pause, 30*time.Second)
		c.opts.Log.Debug("reading again", "attempt", n+1, "after", pause, "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// transportError is what kept a request from being answered, without its
// address, which may hold secrets.
type transportError struct {
	op  string
	err error
}

func (e *transportError) Error() string { return e.op + ": " + e.err.Error() }
func (e *transportError) Unwrap() error { return e.err }

// withoutAddress takes the address out of what net/http reports.
func withoutAddress(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return &transportError{strings.ToUpper(u.Op), u.Err}
	}
	return err
}
