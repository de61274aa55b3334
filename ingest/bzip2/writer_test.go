package bzip2

import (
	"bytes"
	stdlib "compress/bzip2"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

// corpora are inputs that reach each path of the format.
func corpora() map[string][]byte {
	rng := rand.New(rand.NewPCG(1, 2))
	random := make([]byte, 250_000)
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	words := make([][]byte, 2000)
	for i := range words {
		w := make([]byte, 2+rng.IntN(8))
		for j := range w {
			w[j] = byte('a' + rng.IntN(1+rng.IntN(26)))
		}
		words[i] = w
	}
	var text bytes.Buffer
	for text.Len() < 700_000 {
		text.Write(words[int(rng.ExpFloat64()*200)%len(words)])
		text.WriteByte(" \n"[rng.IntN(20)/19])
	}
	var runs bytes.Buffer
	for runs.Len() < 300_000 {
		runs.Write(bytes.Repeat([]byte{byte(rng.IntN(3))}, rng.IntN(600)))
	}
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return map[string][]byte{
		"empty":      {},
		"one":        []byte("x"),
		"two":        []byte("ab"),
		"banana":     []byte("banana"),
		"all bytes":  all,
		"random":     random,
		"text":       text.Bytes(),
		"runs":       runs.Bytes(),
		"zeros":      make([]byte, 1_000_000),
		"periodic":   bytes.Repeat([]byte("abcabcabd"), 30_000),
		"two period": bytes.Repeat([]byte("ab"), 200_000),
		"run of 255": bytes.Repeat([]byte{7}, 255),
		"run of 259": bytes.Repeat([]byte{7}, 259),
		"run of 4":   []byte("aaaa"),
	}
}

// pack compresses data as one stream.
func pack(t testing.TB, level int, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := NewWriter(&out, level)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestWriterIsReadByTheStandardLibrary(t *testing.T) {
	for name, data := range corpora() {
		for _, level := range []int{1, 9} {
			t.Run(fmt.Sprint(name, " ", level), func(t *testing.T) {
				packed := pack(t, level, data)
				got, err := io.ReadAll(stdlib.NewReader(bytes.NewReader(packed)))
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, data) {
					t.Fatalf("%d bytes came back as %d others", len(data), len(got))
				}
				t.Logf("%d bytes in %d", len(data), len(packed))
			})
		}
	}
}

func TestWriterDoesNotDependOnTheSizesOfWrites(t *testing.T) {
	data := corpora()["text"][:150_000]
	want := pack(t, 1, data)
	var out bytes.Buffer
	w := NewWriter(&out, 1)
	for rest := data; len(rest) > 0; {
		n := min(len(rest), 777)
		if _, err := w.Write(rest[:n]); err != nil {
			t.Fatal(err)
		}
		rest = rest[n:]
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Error("bytes depend on how they were written")
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := w.Write([]byte("x")); err == nil {
		t.Error("a closed writer took more")
	}
}

type fullDisk struct{}

var errFull = errors.New("no space left")

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }

func TestWriterTellsOfAFullDisk(t *testing.T) {
	w := NewWriter(fullDisk{}, 1)
	_, err := w.Write(corpora()["random"])
	if !errors.Is(err, errFull) {
		t.Errorf("Write said %v", err)
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close said %v", err)
	}
}
