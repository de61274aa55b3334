package warc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

func TestResponse(t *testing.T) {
	text := strings.Repeat("<p>The content of a page.</p>\n", 50)
	chunked := func(s string) string {
		var b strings.Builder
		for len(s) > 0 {
			n := min(len(s), 37)
			fmt.Fprintf(&b, "%x;ext=1\r\n%s\r\n", n, s[:n])
			s = s[n:]
		}
		return b.String() + "0\r\n\r\n"
	}
	var br, zl, fl bytes.Buffer
	bw := brotli.NewWriter(&br)
	zw := zlib.NewWriter(&zl)
	fw, err := flate.NewWriter(&fl, 6)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []interface {
		Write([]byte) (int, error)
		Close() error
	}{bw, zw, fw} {
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	packed := string(gz(t, text))
	for name, c := range map[string]struct{ header, body string }{
		"plain":              {"", text},
		"chunked":            {"Transfer-Encoding: chunked\r\n", chunked(text)},
		"chunked, undone":    {"Transfer-Encoding: chunked\r\n", text},
		"gzip":               {"Content-Encoding: gzip\r\n", packed},
		"gzip, undone":       {"content-encoding: GZIP\r\n", text},
		"chunked gzip":       {"Content-Encoding: x-gzip\r\nTransfer-Encoding: Chunked\r\n", chunked(packed)},
		"br":                 {"Content-Encoding: br\r\n", br.String()},
		"deflate with zlib":  {"Content-Encoding: deflate\r\n", zl.String()},
		"deflate without":    {"Content-Encoding: deflate\r\n", fl.String()},
		"zstd":               {"Content-Encoding: zstd\r\n", string(zst(t, text))},
		"gzip in gzip":       {"Content-Encoding: gzip, gzip\r\n", string(gz(t, packed))},
		"of an unknown kind": {"Content-Encoding: pack200\r\n", text},
	} {
		rec := &Record{Body: []byte("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n" + c.header + "\r\n" + c.body)}
		resp, err := rec.Response(1 << 20)
		if err != nil || string(resp.Payload) != text || resp.Status != 200 || resp.ContentType != "text/html" {
			t.Errorf("%s: %d bytes, %v", name, len(resp.Payload), err)
		}
		if strings.Contains(c.header, "Encoding: gzip") || strings.Contains(c.header, "br\r") {
			if _, err := rec.Response(100); !errors.Is(err, ErrPayloadTooLarge) && !strings.Contains(name, "undone") {
				t.Errorf("%s: a bomb gives %v", name, err)
			}
		}
	}
	resource := &Record{Fields: []Field{{"Content-Type", "text/html"}}, Body: []byte(text)}
	if resp, err := resource.Response(10); err != nil || resp.Status != 0 || resp.ContentType != "text/html" || string(resp.Payload) != text {
		t.Errorf("a resource gives %v", err)
	}
	cut := &Record{Body: []byte("HTTP/1.1 404 Not Found\r\nContent-Encoding: gzip\r\n\r\n" + packed[:len(packed)-9])}
	if resp, err := cut.Response(1 << 20); err != nil || resp.Status != 404 || len(resp.Payload) == 0 {
		t.Errorf("a cut response gives %+v, %v", resp, err)
	}
}

func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"))
	f.Add(append([]byte("HTTP/1.0 200\nContent-Encoding: gzip\n\n"), gz(f, "abc")...))
	f.Add([]byte("HTTP/1.0 200\nContent-Encoding: br, deflate, zstd\n\nabc"))
	f.Fuzz(func(t *testing.T, body []byte) {
		resp, err := (&Record{Body: body}).Response(1 << 16)
		if err == nil && len(resp.Payload) > max(1<<16, len(body)) {
			t.Fatalf("%d bytes", len(resp.Payload))
		}
	})
}
