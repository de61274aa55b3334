package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// errStalled says that a server sent nothing for longer than Options.Stall.
var errStalled = errors.New("the server sends nothing any more")

// File is an open file. ReadAt may be called from several goroutines.
type File struct {
	client *Client
	store  backend
	name   string
	info   Info
	ctx    context.Context

	mu     sync.Mutex
	window []byte // the bytes from start on that were read last
	start  int64
}

// Open opens a file for reading at any place. The context bounds all its reads.
func (c *Client) Open(ctx context.Context, location string) (*File, error) {
	info, err := c.Stat(ctx, location)
	if err != nil {
		return nil, err
	}
	return c.OpenInfo(ctx, info)
}

// OpenInfo opens a file that Stat, List or Glob described: it saves a request.
func (c *Client) OpenInfo(ctx context.Context, info Info) (*File, error) {
	b, name, err := c.store(info.Location)
	if err != nil {
		return nil, err
	}
	return &File{client: c, store: b, name: name, info: info, ctx: ctx}, nil
}

// Info describes the file as it was when it was opened.
func (f *File) Info() Info { return f.info }

// Size returns the length of the file in bytes.
func (f *File) Size() int64 { return f.info.Size }

// Close lets go of the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.window = nil
	return nil
}

// ReadAt implements io.ReaderAt. A read below MinRead bytes is answered from a
// window of MinRead bytes that is kept for the next. The error wraps ErrChanged
// when the file is no longer the one that was opened.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("reading %s: negative offset %d", Redact(f.info.Location), off)
	}
	if off >= f.info.Size {
		return 0, io.EOF
	}
	want := p
	if int64(len(want)) > f.info.Size-off {
		want = want[:f.info.Size-off]
	}
	n, err := f.readAt(want, off)
	if err != nil {
		return n, fmt.Errorf("reading %s at byte %d: %w", Redact(f.info.Location), off, err)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *File) readAt(p []byte, off int64) (int, error) {
	if _, local := f.store.(localStore); local || len(p) >= MinRead {
		return f.fill(p, off)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(p) {
		at := off + int64(n)
		if f.window == nil || at < f.start || at >= f.start+int64(len(f.window)) {
			size := min(MinRead, f.info.Size-at)
			w := f.window
			if int64(cap(w)) < size {
				w = make([]byte, size)
			}
			w = w[:size]
			f.window = nil
			if _, err := f.fill(w, at); err != nil {
				return n, err
			}
			f.window, f.start = w, at
		}
		n += copy(p[n:], f.window[at-f.start:])
	}
	return n, nil
}

// fill reads all of p from off on, which lies in the file.
func (f *File) fill(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := 0
	err := f.client.try(f.ctx, func(ctx context.Context) (bool, error) {
		before := n
		r, err := f.client.get(ctx, f.store, f.name, f.info, off+int64(n), off+int64(len(p)))
		if err != nil {
			return false, err
		}
		k, err := io.ReadFull(r, p[n:])
		n += k
		_ = r.Close() // it was only read
		return n > before, err
	})
	return n, err
}

// get makes one attempt to read a range. Its reader gives up when the server
// stalls.
func (c *Client) get(ctx context.Context, b backend, name string, info Info, from, to int64) (io.ReadCloser, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(c.opts.Stall, func() { cancel(errStalled) })
	r, err := b.get(ctx, name, info, from, to)
	if err != nil {
		timer.Stop()
		defer cancel(nil)
		return nil, stalled(ctx, err)
	}
	return &watched{ctx: ctx, r: r, timer: timer, cancel: cancel, stall: c.opts.Stall}, nil
}

// stalled puts errStalled in place of what a cancelled request reports.
func stalled(ctx context.Context, err error) error {
	if errors.Is(context.Cause(ctx), errStalled) {
		return errStalled
	}
	return err
}

type watched struct {
	ctx    context.Context
	r      io.ReadCloser
	timer  *time.Timer
	cancel context.CancelCauseFunc
	stall  time.Duration
}

func (w *watched) Read(p []byte) (int, error) {
	// The time between reads is the caller's, not the server's.
	w.timer.Reset(w.stall)
	n, err := w.r.Read(p)
	w.timer.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = stalled(w.ctx, err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.timer.Stop()
	w.cancel(nil)
	return w.r.Close()
}

// chunk is how much a Reader asks for at a time: enough that the round trip does
// not count, little enough that a slow consumer holds no connection for long.
const chunk = 64 << 20

// Reader reads a file from an offset to its end, whatever connections break
// meanwhile. Close it after use.
func (f *File) Reader(off int64) io.ReadCloser { return &reader{f: f, at: off} }

// reader reads a file in order. One request is under way at a time; it holds a
// slot of the client only while bytes are being waited for.
type reader struct {
	f    *File
	at   int64
	body io.ReadCloser
	end  int64 // of body
}

func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if r.at >= r.f.info.Size {
		return 0, io.EOF
	}
	n := 0
	err := r.f.client.try(r.f.ctx, func(ctx context.Context) (bool, error) {
		if r.body == nil {
			r.end = min(r.at+chunk, r.f.info.Size)
			// The body outlives this call, so it is bound to the file's context.
			body, err := r.f.client.get(r.f.ctx, r.f.store, r.f.name, r.f.info, r.at, r.end)
			if err != nil {
				return false, err
			}
			r.body = body
		}
		var err error
		n, err = r.body.Read(p[:min(int64(len(p)), r.end-r.at)])
		r.at += int64(n)
		if r.at == r.end {
			err = nil // whatever the reader said beside the last byte
		}
		if err != nil || r.at == r.end {
			_ = r.body.Close() // it was only read
			r.body = nil
			if n > 0 {
				return true, nil
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return false, err
		}
		return n > 0, nil
	})
	if err != nil {
		return n, fmt.Errorf("reading %s at byte %d: %w", Redact(r.f.info.Location), r.at, err)
	}
	return n, nil
}

func (r *reader) Close() error {
	if r.body == nil {
		return nil
	}
	err := r.body.Close()
	r.body = nil
	return err
}

// ReadAll reads a whole file of at most limit bytes.
func (c *Client) ReadAll(ctx context.Context, location string, limit int64) ([]byte, error) {
	f, err := c.Open(ctx, location)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Size() > limit {
		return nil, fmt.Errorf("reading %s: it has %d bytes, more than the %d that it may have", Redact(location), f.Size(), limit)
	}
	p := make([]byte, f.Size())
	if _, err := f.fill(p, 0); err != nil {
		return nil, fmt.Errorf("reading %s: %w", Redact(location), err)
	}
	return p, nil
}
