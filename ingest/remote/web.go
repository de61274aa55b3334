package remote

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
)

// StatusError is an answer of a server that is no success.
type StatusError struct {
	Status int
	// Code is the service's own name of the error, or empty.
	Code string
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("the server answered %d %s", e.Status, http.StatusText(e.Status))
	if e.Code != "" {
		s += " (" + e.Code + ")"
	}
	return s
}

// Is makes answers comparable with the errors of package fs.
func (e *StatusError) Is(target error) bool {
	switch target {
	case fs.ErrNotExist:
		return e.Status == http.StatusNotFound || e.Status == http.StatusGone
	case fs.ErrPermission:
		return e.Status == http.StatusForbidden || e.Status == http.StatusUnauthorized
	case ErrChanged:
		return e.Status == http.StatusPreconditionFailed
	}
	return false
}

// passes reports whether an error may be gone at the next attempt.
func passes(err error) bool {
	var status *StatusError
	if errors.As(err, &status) {
		return status.Status >= 500 && status.Status != http.StatusNotImplemented ||
			status.Status == http.StatusTooManyRequests || status.Status == http.StatusRequestTimeout
	}
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return false
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return false
	}
	var network net.Error
	var transport *transportError
	return errors.As(err, &transport) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || errors.Is(err, errStalled) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed)
}

func newTransport(opts Options) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: opts.Stall,
		MaxIdleConnsPerHost:   opts.Connections,
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
		DisableCompression:    true, // ranges are of the bytes as they lie
	}
}

// webStore reads web servers; names are whole addresses.
type webStore struct{ http *http.Client }

func (w webStore) do(ctx context.Context, method, address string, header map[string]string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept-Encoding", "identity")
	for k, v := range header {
		req.Header.Set(k, v)
	}
	return w.http.Do(req)
}

func webInfo(address string, r *http.Response, size int64) Info {
	i := Info{Location: address, Size: size}
	if t, err := http.ParseTime(r.Header.Get("Last-Modified")); err == nil {
		i.Modified = t
	}
	// A weak tag does not promise equal bytes.
	if tag := r.Header.Get("ETag"); !strings.HasPrefix(tag, "W/") {
		i.Version = tag
	}
	return i
}

func (w webStore) stat(ctx context.Context, address string) (Info, error) {
	r, err := w.do(ctx, http.MethodHead, address, nil)
	if err != nil {
		return Info{}, err
	}
	r.Body.Close()
	if r.StatusCode == http.StatusOK && r.ContentLength >= 0 {
		return webInfo(address, r, r.ContentLength), nil
	}
	// Some servers answer no HEAD, or without a length.
	r, err = w.do(ctx, http.MethodGet, address, map[string]string{"Range": "bytes=0-0"})
	if err != nil {
		return Info{}, err
	}
	defer r.Body.Close()
	switch r.StatusCode {
	case http.StatusPartialContent:
		_, _, size, err := contentRange(r)
		return webInfo(address, r, size), err
	case http.StatusRequestedRangeNotSatisfiable:
		if r.Header.Get("Content-Range") == "bytes */0" {
			return webInfo(address, r, 0), nil
		}
	case http.StatusOK:
		if r.ContentLength >= 0 {
			return webInfo(address, r, r.ContentLength), nil
		}
		return Info{}, errors.New("the server does not say how long the file is")
	}
	return Info{}, &StatusError{Status: r.StatusCode}
}

func (webStore) list(context.Context, string, func(Info) error) error { return ErrNoList }

func (w webStore) get(ctx context.Context, address string, info Info, from, to int64) (io.ReadCloser, error) {
	header := map[string]string{"Range": fmt.Sprintf("bytes=%d-%d", from, to-1)}
	if info.Version != "" {
		header["If-Match"] = info.Version
	}
	r, err := w.do(ctx, http.MethodGet, address, header)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (io.ReadCloser, error) {
		r.Body.Close()
		return nil, err
	}
	now := webInfo(address, r, info.Size)
	if info.Version != "" && now.Version != info.Version && r.StatusCode/100 == 2 || !now.Modified.Equal(info.Modified) && r.StatusCode/100 == 2 {
		return fail(ErrChanged)
	}
	switch r.StatusCode {
	case http.StatusPartialContent:
		start, end, size, err := contentRange(r)
		switch {
		case err != nil:
			return fail(err)
		case size != info.Size:
			return fail(ErrChanged)
		case start != from || end != to:
			return fail(fmt.Errorf("the server answered bytes %d to %d where %d to %d were asked for", start, end, from, to))
		}
		return r.Body, nil
	case http.StatusOK:
		if r.ContentLength >= 0 && r.ContentLength != info.Size {
			return fail(ErrChanged)
		}
		if from == 0 {
			return r.Body, nil
		}
		return fail(errors.New("the server answers no ranges, so the file can be read from its start only"))
	}
	return fail(&StatusError{Status: r.StatusCode})
}

// contentRange reads the answer's "bytes a-b/n" as the range [a, b+1) of n.
func contentRange(r *http.Response) (start, end, size int64, err error) {
	h := r.Header.Get("Content-Range")
	span, total, ok := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	a, b, ok2 := strings.Cut(span, "-")
	start, err1 := strconv.ParseInt(a, 10, 64)
	end, err2 := strconv.ParseInt(b, 10, 64)
	size, err3 := strconv.ParseInt(total, 10, 64)
	if !ok || !ok2 || errors.Join(err1, err2, err3) != nil || start < 0 || end < start || size <= end {
		return 0, 0, 0, fmt.Errorf("the server answered the range %q, which cannot be", h)
	}
	return start, end + 1, size, nil
}

// objectError turns what the client of object stores reports into a StatusError
// where it is an answer.
func objectError(err error) error {
	var answer minio.ErrorResponse
	if errors.As(err, &answer) && answer.StatusCode != 0 {
		return &StatusError{Status: answer.StatusCode, Code: answer.Code}
	}
	return err
}
