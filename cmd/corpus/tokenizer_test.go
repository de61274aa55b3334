package main

import (
	"bytes"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/tokenize"
)

// heapReader gives a text again and again, and looks at the live heap on the way.
type heapReader struct {
	text string
	left int
	at   int
	next int
	peak uint64
}

func (r *heapReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	if r.left < r.next {
		r.next -= 8 << 20
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		r.peak = max(r.peak, m.HeapAlloc)
	}
	n := copy(p, r.text[r.at:])
	r.at = (r.at + n) % len(r.text)
	r.left -= n
	return n, nil
}

// TestEncodeStreams: the heap that is live while lines are encoded does not grow with
// the input.
func TestEncodeStreams(t *testing.T) {
	tok, err := tokenize.Open(filepath.Join("..", "..", "tokenize", "testdata", "golden", "gpt2.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("the sailor mends the net, and the net holds the sea.\n", 1000)
	peak := func(size int) uint64 {
		r := &heapReader{text: text, left: size, next: size}
		if err := encodeLines(r, "a stream", io.Discard, tok.NewEncoder()); err != nil {
			t.Fatal(err)
		}
		return r.peak
	}
	small, large := peak(8<<20), peak(48<<20)
	if large > small+1<<20 {
		t.Errorf("%d bytes are live while 48 MiB are encoded, %d while 8 MiB are", large, small)
	}
}

// TestEncodeLines: lines are read the same however long they are, and a text without
// a line's end has its last one.
func TestEncodeLines(t *testing.T) {
	tok, err := tokenize.Open(filepath.Join("..", "..", "tokenize", "testdata", "golden", "gpt2.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("net ", 40_000)
	var out bytes.Buffer
	if err := encodeLines(strings.NewReader("a\n\n"+long+"\nthe end"), "x", &out, tok.NewEncoder()); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines of ids", len(lines))
	}
	if got, want := len(strings.Fields(lines[2])), len(tok.NewEncoder().Encode(nil, long+"\n")); got != want {
		t.Errorf("%d ids of the long line, want %d", got, want)
	}
}
