package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// quick is a client that waits for nothing.
func quick(o Options) *Client {
	o.Pause = time.Microsecond
	if o.Getenv == nil {
		o.Getenv = func(k string) string { return map[string]string{"AWS_EC2_METADATA_DISABLED": "true"}[k] }
	}
	return New(o)
}

func content(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(p)
	return p
}

const secret = "wJalrXUtnFEMI-the-secret"

// bucket serves a bucket "corpus" over the S3 interface.
func bucket(t *testing.T, files map[string][]byte) (getenv func(string) string, server *httptest.Server, put func(string, []byte)) {
	mem := s3mem.New()
	if err := mem.CreateBucket("corpus"); err != nil {
		t.Fatal(err)
	}
	put = func(name string, data []byte) {
		if _, err := mem.PutObject("corpus", name, map[string]string{"Last-Modified": "Mon, 2 Jan 2006 15:04:05 GMT"}, bytes.NewReader(data), int64(len(data)), nil); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range files {
		put(name, data)
	}
	server = httptest.NewServer(gofakes3.New(mem).Server())
	t.Cleanup(server.Close)
	env := map[string]string{
		"AWS_ENDPOINT_URL": server.URL, "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": "us-east-1",
		"GS_ENDPOINT_URL": server.URL, "GS_ACCESS_KEY_ID": "id", "GS_SECRET_ACCESS_KEY": secret,
	}
	return func(k string) string { return env[k] }, server, put
}

// The same files, wherever they lie, read the same.
func TestReadsEverywhereAlike(t *testing.T) {
	big := content(3*MinRead + 17)
	files := map[string][]byte{"dir/a.txt": []byte("alpha"), "dir/b.txt": []byte("beta"), "dir/sub/c.txt": []byte("gamma"), "dir/big.bin": big, "dir/empty": {}}
	root := t.TempDir()
	for name, data := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	getenv, _, _ := bucket(t, files)
	web := httptest.NewTLSServer(http.FileServer(http.Dir(root)))
	defer web.Close()
	ctx := context.Background()
	for _, where := range []string{root, "file://" + root, "s3://corpus", "gs://corpus", web.URL} {
		o := Options{Getenv: getenv}
		if strings.HasPrefix(where, "https") {
			o.Transport = web.Client().Transport
		}
		c := quick(o)
		for name, want := range files {
			at := Join(where, name)
			info, err := c.Stat(ctx, at)
			if err != nil || info.Size != int64(len(want)) || info.Location != at {
				t.Fatalf("Stat(%s) = %+v, %v", at, info, err)
			}
			f, err := c.OpenInfo(ctx, info)
			if err != nil {
				t.Fatal(err)
			}
			r := f.Reader(0)
			got, err := io.ReadAll(r)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: read %d bytes, error %v", at, len(got), err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(f.Reader(min(3, f.Size()))); err != nil || !bytes.Equal(got, want[min(3, len(want)):]) {
				t.Errorf("%s from byte 3: read %d bytes, error %v", at, len(got), err)
			}
			for range 20 {
				from := rand.IntN(len(want) + 1)
				p := make([]byte, rand.IntN(len(want)-from+1))
				if n, err := f.ReadAt(p, int64(from)); n != len(p) || len(p) > 0 && err != nil || !bytes.Equal(p, want[from:from+n]) {
					t.Fatalf("%s: ReadAt(%d bytes, %d) = %d, %v", at, len(p), from, n, err)
				}
			}
			if n, err := f.ReadAt(make([]byte, 9), f.Size()-min(4, f.Size())); n != int(min(4, f.Size())) || !errors.Is(err, io.EOF) {
				t.Errorf("%s: ReadAt over the end = %d, %v", at, n, err)
			}
		}
		if _, err := c.Stat(ctx, Join(where, "dir/none")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a missing file gives %v", where, err)
		}
		if strings.HasPrefix(where, "https") {
			if _, err := c.List(ctx, Join(where, "dir"), 0); !errors.Is(err, ErrNoList) {
				t.Errorf("listing a web server gives %v", err)
			}
			continue
		}
		if got, want := names(c.List(ctx, Join(where, "dir"), 0)), "[a.txt b.txt big.bin empty c.txt]"; got != want {
			t.Errorf("%s: List gives %s", where, got)
		}
		if got, want := names(c.Glob(ctx, Join(where, "dir")+"/*.txt")), "[a.txt b.txt]"; got != want {
			t.Errorf("%s: Glob gives %s", where, got)
		}
		if _, err := c.Glob(ctx, Join(where, "dir")+"/*.zip"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a pattern without a match gives %v", where, err)
		}
		if _, err := c.List(ctx, Join(where, "dir"), 2); err == nil {
			t.Errorf("%s: a list longer than its limit was given", where)
		}
	}
}

func names(infos []Info, err error) string {
	if err != nil {
		return err.Error()
	}
	var out []string
	for _, i := range infos {
		out = append(out, i.Location[strings.LastIndexByte(i.Location, '/')+1:])
	}
	return fmt.Sprint(out)
}

// breaking is a transport that cuts bodies short, answers 503 and refuses to
// connect, now and then; it remembers what was asked.
type breaking struct {
	next http.RoundTripper
	mu   sync.Mutex
	n    int
	asks []string
}

func (b *breaking) RoundTrip(r *http.Request) (*http.Response, error) {
	b.mu.Lock()
	b.n++
	n := b.n
	if h := r.Header.Get("Range"); h != "" {
		b.asks = append(b.asks, h)
	}
	b.mu.Unlock()
	switch n % 4 {
	case 1:
		return nil, io.ErrUnexpectedEOF
	case 2:
		return &http.Response{StatusCode: 503, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
	}
	a, err := b.next.RoundTrip(r)
	if err == nil && a.StatusCode < 300 && r.Method == http.MethodGet {
		a.Body = &cut{a.Body, 300_000}
	}
	return a, err
}

type cut struct {
	io.ReadCloser
	left int
}

func (c *cut) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReadCloser.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}

func TestReadsOverBrokenConnections(t *testing.T) {
	big := content(5 * MinRead / 2)
	getenv, server, _ := bucket(t, map[string][]byte{"big": big})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Unix(1e9, 0), bytes.NewReader(big))
	}))
	defer web.Close()
	_ = server
	for _, at := range []string{"s3://corpus/big", web.URL + "/big"} {
		b := &breaking{next: http.DefaultTransport}
		c := quick(Options{Getenv: getenv, Transport: b})
		f, err := c.Open(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f.Reader(0)); err != nil || !bytes.Equal(got, big) {
			t.Errorf("%s: in order: %d bytes, %v", at, len(got), err)
		}
		p := make([]byte, len(big))
		if _, err := f.ReadAt(p, 0); err != nil || !bytes.Equal(p, big) {
			t.Errorf("%s: ReadAt: %v", at, err)
		}
	}
}

// Small reads must not become small requests.
func TestAsksForAMebibyteAtLeast(t *testing.T) {
	big := content(4 * MinRead)
	getenv, _, _ := bucket(t, map[string][]byte{"big": big})
	b := &breaking{next: http.DefaultTransport, n: 2}
	c := quick(Options{Getenv: getenv, Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if h := r.Header.Get("Range"); h != "" {
			b.asks = append(b.asks, h)
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	f, err := c.Open(context.Background(), "s3://corpus/big")
	if err != nil {
		t.Fatal(err)
	}
	p := make([]byte, 100)
	for at := 0; at+100 <= len(big); at += 100 {
		if _, err := f.ReadAt(p, int64(at)); err != nil || !bytes.Equal(p, big[at:at+100]) {
			t.Fatal(at, err)
		}
	}
	if len(b.asks) > 5 {
		t.Errorf("%d MiB in reads of 100 bytes took %d requests: %v", len(big)>>20, len(b.asks), b.asks[:5])
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestSaysWhenAFileIsReplaced(t *testing.T) {
	getenv, _, put := bucket(t, map[string][]byte{"a": content(2 * MinRead)})
	path := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(path, content(100), 0o644); err != nil {
		t.Fatal(err)
	}
	var replaced atomic.Bool
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, when := 100, int64(1e9)
		if replaced.Load() {
			n, when = 200, 2e9
		}
		http.ServeContent(w, r, "", time.Unix(when, 0), bytes.NewReader(content(n)))
	}))
	defer web.Close()
	c := quick(Options{Getenv: getenv})
	var files []*File
	for _, at := range []string{"s3://corpus/a", path, web.URL} {
		f, err := c.Open(context.Background(), at)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	put("a", content(2*MinRead + 1)[1:])
	if err := os.WriteFile(path, content(200), 0o644); err != nil {
		t.Fatal(err)
	}
	replaced.Store(true)
	for _, f := range files {
		if _, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: reading a replaced file gives %v", f.Info().Location, err)
		}
	}
}

func TestGivesUpOnAServerThatStalls(t *testing.T) {
	hold := make(chan struct{})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		if r.Method == http.MethodHead {
			return
		}
		_, _ = w.Write(make([]byte, 10))
		w.(http.Flusher).Flush()
		<-hold
	}))
	defer web.Close()
	defer close(hold)
	c := quick(Options{Stall: 50 * time.Millisecond, Attempts: 2})
	f, err := c.Open(context.Background(), web.URL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(f.Reader(0)); !errors.Is(err, errStalled) && !strings.Contains(fmt.Sprint(err), "no ranges") {
		t.Errorf("a stalled server gives %v", err)
	}
}

func TestStopsWithItsContext(t *testing.T) {
	getenv, server, _ := bucket(t, map[string][]byte{"a": content(100)})
	server.Close()
	ctx, stop := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer stop()
	c := New(Options{Getenv: getenv, Attempts: 1000})
	if _, err := c.Stat(ctx, "s3://corpus/a"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a client whose context is done gives %v", err)
	}
}

// What is secret must be in no error.
func TestKeepsSecrets(t *testing.T) {
	web := httptest.NewServer(http.NotFoundHandler())
	at := strings.Replace(web.URL, "http://", "http://user:hunter2@", 1) + "/f?sig=" + secret
	getenv, server, _ := bucket(t, nil)
	c := quick(Options{Getenv: getenv, Attempts: 1})
	var errs []error
	ask := func(at string) {
		_, err := c.Stat(context.Background(), at)
		_, err2 := c.List(context.Background(), at, 0)
		_, err3 := c.Glob(context.Background(), at+"*")
		errs = append(errs, err, err2, err3)
	}
	ask(at)
	ask("s3://corpus/none")
	ask("s3://none/none")
	web.Close()
	server.Close()
	ask(at)
	ask("s3://corpus/none")
	ask("ftp://user:hunter2@host/x?sig=" + secret)
	for _, err := range errs {
		if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("an error shows a secret: %v", err)
		}
	}
}

func TestRefusesOddLocations(t *testing.T) {
	c := quick(Options{})
	for _, at := range []string{"", "file://", "s3://", "s3:///key", "s3://b:c/key", "http://", "ftp://host/x", "gs://a b/c"} {
		if err := Check(at); err == nil {
			t.Errorf("%q was taken", at)
		}
		if _, err := c.Stat(context.Background(), at); err == nil {
			t.Errorf("%q has a file", at)
		}
	}
	if _, err := c.Glob(context.Background(), "s3://b*/x"); err == nil {
		t.Error("a pattern of buckets was taken")
	}
	for at, want := range map[string]string{"a": "a/x/y", "s3://corpus/c/": "s3://corpus/c/x/y", "https://h/c?q=1": "https://h/c/x/y?q=1", "file:///c": "file:///c/x/y"} {
		if got := Join(at, "x", "y"); got != want {
			t.Errorf("Join(%q) = %q, want %q", at, got, want)
		}
	}
}

func FuzzLocations(f *testing.F) {
	for _, s := range []string{"a/b", "s3://corpus/k", "gs://b/*.x", "https://u:p@h/x?q#f", "file:///x", "://", "a://b", "s3://[", "https://%zz"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if err := Check(s); err == nil {
			if err := Check(Join(s, "x")); err != nil {
				t.Errorf("%q is a location, with x joined it is not: %v", s, err)
			}
		}
		_ = Redact(s)
		_, _ = Path(s)
	})
}
