package main

import (
	"bytes"
	"fmt"
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

// TestReadIDs: ids are read as encode prints them, with --json and without.
func TestReadIDs(t *testing.T) {
	for input, want := range map[string]string{
		"1 2\n\n3\n":                        "[[1 2] [] [3]]",
		"[1, 2]\n[3]":                       "[[1 2] [3]]",
		` {"ids":[4,5],"tokens":["a","b"]}`: "[[4 5]]",
		"":                                  "[]",
	} {
		rows, err := readIDs("x", []byte(input))
		if err != nil || fmt.Sprint(rows) != want {
			t.Errorf("%q: %v, %v, want %s", input, rows, err, want)
		}
	}
	for _, bad := range []string{"1 x", `{"tokens":[]}`, `{"ids":["a"]}`, `{"ids":[1]`, "99999999999999"} {
		if _, err := readIDs("ids.txt", []byte(bad)); err == nil || !strings.Contains(err.Error(), "ids.txt") {
			t.Errorf("%q: error %v", bad, err)
		}
	}
}

// TestWritePieces: bars stay on the line that a piece ends, colours end with it.
func TestWritePieces(t *testing.T) {
	tok, err := tokenize.Open(filepath.Join("..", "..", "tokenize", "testdata", "golden", "gpt2.tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	const text = "the river\n\nthe"
	pieces, err := tok.NewEncoder().Pieces(nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var plain, colored bytes.Buffer
	writePieces(&plain, text, pieces, tok, false)
	if got := strings.ReplaceAll(plain.String(), "|", ""); got != text+"\n" || strings.Count(plain.String(), "|") != len(pieces) || !strings.HasPrefix(plain.String(), "the| river||\n|\n") {
		t.Errorf("%q", plain.String())
	}
	writePieces(&colored, text, pieces, tok, true)
	for line := range strings.Lines(colored.String()) {
		if strings.Contains(line, "\x1b[") && !strings.HasSuffix(strings.TrimSuffix(line, "\n"), "\x1b[0m") {
			t.Errorf("a colour runs on after %q", line)
		}
	}
}
