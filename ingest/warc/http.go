package warc

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

// Response is what a record of a response or a resource holds.
type Response struct {
	// Status is the HTTP status, 0 where the record holds no HTTP header.
	Status int
	Fields []Field // of the HTTP header
	// ContentType is that of the payload, with its parameters.
	ContentType string
	// Payload is the content, with transfer and content encodings undone.
	Payload []byte
}

// ErrPayloadTooLarge says that a payload unpacks to more than the limit.
var ErrPayloadTooLarge = errors.New("warc: payload too large")

// Response reads the record's body as an HTTP response and unpacks its content,
// to no more than limit bytes. Archives disagree with their own headers about
// encodings that were undone when they were written: content that does not begin
// as its encoding does is taken as it is.
func (r *Record) Response(limit int64) (*Response, error) {
	if !bytes.HasPrefix(r.Body, []byte("HTTP/")) {
		return &Response{ContentType: r.Get("Content-Type"), Payload: r.Body}, nil
	}
	resp := &Response{}
	rest := r.Body
	for first := true; ; first = false {
		line := rest
		end := bytes.IndexByte(rest, '\n')
		if end >= 0 {
			line, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		text := strings.TrimRight(string(line[:min(len(line), maxHeader)]), "\r")
		if text == "" {
			break
		}
		if first {
			parts := strings.Fields(text)
			if len(parts) > 1 {
				resp.Status, _ = strconv.Atoi(parts[1])
			}
			continue
		}
		if name, value, ok := strings.Cut(text, ":"); ok {
			resp.Fields = append(resp.Fields, Field{strings.TrimSpace(name), strings.TrimSpace(value)})
		}
	}
	resp.ContentType = resp.Get("Content-Type")
	resp.Payload = rest
	if strings.Contains(strings.ToLower(resp.Get("Transfer-Encoding")), "chunked") {
		if plain, ok := unchunk(rest); ok {
			resp.Payload = plain
		}
	}
	encodings := strings.Split(strings.ToLower(resp.Get("Content-Encoding")), ",")
	for i := len(encodings) - 1; i >= 0; i-- {
		plain, err := unpack(resp.Payload, strings.TrimSpace(encodings[i]), limit)
		if err != nil {
			return nil, err
		}
		resp.Payload = plain
	}
	return resp, nil
}

// Get returns the value of the first field of that name, in any case, or "".
func (r *Response) Get(name string) string {
	for _, f := range r.Fields {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// unchunk undoes the chunked transfer coding (RFC 9112, section 7.1). What a cut
// chunk holds is kept; ok is false when the first chunk has no size.
func unchunk(body []byte) (plain []byte, ok bool) {
	for first := true; ; first = false {
		end := bytes.IndexByte(body, '\n')
		if end < 0 {
			return plain, !first
		}
		size, _, _ := strings.Cut(string(body[:min(end, 64)]), ";")
		n, err := strconv.ParseUint(strings.TrimSpace(size), 16, 31)
		if err != nil {
			return plain, !first
		}
		body = body[end+1:]
		if n == 0 {
			return plain, true
		}
		m := min(int(n), len(body))
		plain = append(plain, body[:m]...)
		body = bytes.TrimPrefix(bytes.TrimPrefix(body[m:], []byte("\r")), []byte("\n"))
	}
}

// unpack undoes one content encoding. What comes before damage is kept.
func unpack(data []byte, encoding string, limit int64) ([]byte, error) {
	var r io.Reader
	src := bufio.NewReader(bytes.NewReader(data))
	switch encoding {
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(src)
		if err != nil {
			return data, nil
		}
		r = z
	case "deflate":
		if z, err := zlib.NewReader(src); err == nil {
			r = z
		} else {
			r = flate.NewReader(bytes.NewReader(data))
		}
	case "br":
		r = brotli.NewReader(src)
	case "zstd":
		z, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(8<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return data, nil
		}
		defer z.Close()
		r = z
	default:
		return data, nil
	}
	var out bytes.Buffer
	n, err := io.Copy(&out, io.LimitReader(r, limit+1))
	if n > limit {
		return nil, fmt.Errorf("%w: more than %d bytes of %s", ErrPayloadTooLarge, limit, encoding)
	}
	if err != nil && n == 0 {
		return data, nil
	}
	return out.Bytes(), nil
}
