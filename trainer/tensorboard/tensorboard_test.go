package tensorboard

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

func readAll(t *testing.T, path string) []Event {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []Event
	for e, err := range Read(f) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, e)
	}
	return out
}

// The checksum of "123456789" is a published check value; the masking is that of
// the TFRecord format.
func TestChecksum(t *testing.T) {
	c := uint32(0xe3069283)
	if got, want := maskedCRC([]byte("123456789")), (c>>15|c<<17)+0xa282ead8; got != want {
		t.Errorf("masked checksum %#x, want %#x", got, want)
	}
}

// An Event of time 0 that names the file version must come first.
func TestFileVersionRecord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	w, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const want = "09" + "0000000000000000" + "1a0d" + "627261696e2e4576656e743a32"
	if h := hex.EncodeToString(got[12 : len(got)-4]); h != want {
		t.Errorf("first record %s, want %s", h, want)
	}
}

func TestResumedFileIsTheSame(t *testing.T) {
	events := make([]Event, 9)
	for i := range events {
		events[i] = Event{
			Step: int64(i) * 1000, Wall: time.UnixMicro(1_700_000_000_000_000 + int64(i)),
			Scalars: []Scalar{{"train/loss", 1 / float32(i+1)}, {"train/lr", float32(i)}},
		}
	}
	dir := t.TempDir()
	write := func(w *Writer, es []Event) {
		t.Helper()
		for _, e := range es {
			if err := w.Write(e); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole, err := Open(filepath.Join(dir, "whole"), 0)
	if err != nil {
		t.Fatal(err)
	}
	write(whole, events)
	cut, err := Open(filepath.Join(dir, "cut"), 0)
	if err != nil {
		t.Fatal(err)
	}
	write(cut, events[:4])
	at := cut.Size()
	write(cut, events[4:7])
	for _, w := range []*Writer{whole, cut} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if cut, err = Open(filepath.Join(dir, "cut"), at); err != nil {
		t.Fatal(err)
	}
	write(cut, events[4:])
	if err := cut.Close(); err != nil {
		t.Fatal(err)
	}
	if got := readAll(t, filepath.Join(dir, "cut")); !reflect.DeepEqual(got, events) {
		t.Errorf("read back %v", got)
	}
	a, _ := os.ReadFile(filepath.Join(dir, "whole"))
	b, _ := os.ReadFile(filepath.Join(dir, "cut"))
	if !bytes.Equal(a, b) {
		t.Error("the resumed file differs from the whole one")
	}
	// A checkpoint that knows a longer file than there is starts it anew.
	if w, err := Open(filepath.Join(dir, "cut"), 1<<20); err != nil || w.Size() >= at {
		t.Errorf("a file that was lost: size %d (%v)", w.Size(), err)
	}
}

func TestDamageIsSeen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events")
	w, err := Open(path, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(Event{Step: 1, Wall: time.UnixMicro(1), Scalars: []Scalar{{"a", 1}}}); err != nil {
		t.Fatal(err)
	}
	w.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	last := func(b []byte) (err error) {
		for _, err = range Read(bytes.NewReader(b)) {
		}
		return err
	}
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 4
		if last(b) == nil {
			t.Fatalf("a flipped bit in byte %d goes unseen", i)
		}
	}
	if err := last(whole[:len(whole)-3]); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("a cut file: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte{9, 0, 0, 0, 0, 0, 0, 0, 0, 16, 1, 42, 7, 10, 5, 10, 1, 'a', 21, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := decode(b); err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatal(err)
		}
	})
}
