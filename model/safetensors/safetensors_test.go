package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file returns the bytes of a file with the given header and buffer.
func file(header string, buffer []byte) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), buffer...)
}

func open(t *testing.T, data []byte) (*File, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err == nil {
		t.Cleanup(func() { f.Close() })
	}
	return f, err
}

func TestRoundTripIsBitIdentical(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	values := make([]float32, 3*chunk+5)
	for i := range values {
		values[i] = math.Float32frombits(rng.Uint32())
	}
	path := filepath.Join(t.TempDir(), "a.safetensors")
	tensors := []Tensor{
		{"long", F32, []int64{int64(len(values))}},
		{"scalar", F32, nil},
		{"empty", F32, []int64{4, 0}},
		{"ids", I64, []int64{1, 2}},
	}
	w, err := Create(path, map[string]string{"format": "pt"}, tensors)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([]byte, 16)
	ids[0], ids[8] = 7, 9
	for _, err := range []error{
		w.Floats("long", values), w.Floats("scalar", []float32{-0.5}), w.Floats("empty", nil), w.Bytes("ids", ids),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if f.Metadata()["format"] != "pt" {
		t.Errorf("metadata %v", f.Metadata())
	}
	if got := f.Tensors(); fmt.Sprint(got) != fmt.Sprint(tensors) {
		t.Errorf("tensors %v, want %v", got, tensors)
	}
	back := make([]float32, len(values))
	if err := f.Floats("long", back); err != nil {
		t.Fatal(err)
	}
	for i := range back {
		if math.Float32bits(back[i]) != math.Float32bits(values[i]) {
			t.Fatalf("element %d: %x became %x", i, math.Float32bits(values[i]), math.Float32bits(back[i]))
		}
	}
	r, err := f.Elements("ids")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, ids) {
		t.Errorf("ids %v (%v)", got, err)
	}
	if err := f.Floats("ids", make([]float32, 2)); err == nil {
		t.Error("integers were read as floats")
	}
	if err := f.Floats("long", make([]float32, 2)); err == nil {
		t.Error("a tensor was read into too few elements")
	}
	if err := f.Floats("absent", nil); err == nil {
		t.Error("an absent tensor was read")
	}
}

func TestBufferIsAligned(t *testing.T) {
	for n := range 20 {
		h, err := encodeHeader(nil, []Tensor{{strings.Repeat("x", n+1), F32, []int64{1}}})
		if err != nil || len(h)%8 != 0 {
			t.Fatalf("a name of %d letters gives a header of %d bytes (%v)", n+1, len(h), err)
		}
	}
}

func TestWriterKeepsToWhatWasAnnounced(t *testing.T) {
	dir := t.TempDir()
	tensors := []Tensor{{"a", F32, []int64{2}}, {"b", F32, []int64{1}}}
	for name, write := range map[string]func(w *Writer) error{
		"another order": func(w *Writer) error { return w.Floats("b", []float32{1}) },
		"another size":  func(w *Writer) error { return w.Floats("a", []float32{1}) },
		"other bytes":   func(w *Writer) error { return w.Bytes("a", []byte{1}) },
		"too few": func(w *Writer) error {
			if err := w.Floats("a", []float32{1, 2}); err != nil {
				return fmt.Errorf("setting up: %w", err)
			}
			_, err := w.Commit()
			return err
		},
		"too many": func(w *Writer) error {
			return errors.Join(w.Floats("a", []float32{1, 2}), w.Floats("b", []float32{1}), w.Floats("c", nil))
		},
	} {
		w, err := Create(filepath.Join(dir, "x.safetensors"), nil, tensors)
		if err != nil {
			t.Fatal(err)
		}
		if err := write(w); err == nil {
			t.Errorf("%s: no error", name)
		}
		w.Abort()
	}
	for name, ts := range map[string][]Tensor{
		"a name twice":     {{"a", F32, nil}, {"a", F32, nil}},
		"the metadata key": {{metadataKey, F32, nil}},
		"an unknown type":  {{"a", "F33", nil}},
		"a negative size":  {{"a", F32, []int64{-1}}},
		"an overflow":      {{"a", F32, []int64{math.MaxInt64}}},
	} {
		if _, err := Create(filepath.Join(dir, "y.safetensors"), nil, ts); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestBadFilesAreRefused(t *testing.T) {
	four := make([]byte, 4)
	one := `"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}`
	for name, data := range map[string][]byte{
		"nothing":                 nil,
		"half a length":           {1, 0, 0},
		"a header behind the end": binary.LittleEndian.AppendUint64(nil, 1),
		"a huge header":           binary.LittleEndian.AppendUint64(nil, math.MaxUint64),
		"no object":               file(`[1]`, nil),
		"a space first":           file(` {}`, nil),
		"a cut header":            file(`{"a":`, nil),
		"two objects":             file(`{}{}`, nil),
		"a name twice":            file(`{`+one+`,`+one+`}`, four),
		"no dtype":                file(`{"a":{"shape":[1],"data_offsets":[0,4]}}`, four),
		"an unknown dtype":        file(`{"a":{"dtype":"F31","shape":[1],"data_offsets":[0,4]}}`, four),
		"three offsets":           file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4,4]}}`, four),
		"a negative size":         file(`{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`, four),
		"a size that overflows":   file(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,4294967296],"data_offsets":[0,0]}}`, nil),
		"bytes that overflow":     file(`{"a":{"dtype":"F32","shape":[4611686018427387905],"data_offsets":[0,4]}}`, four),
		"a fraction":              file(`{"a":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`, four),
		"offsets of another size": file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, four),
		"offsets turned round":    file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`, four),
		"offsets behind the end":  file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, four),
		"a hole":                  file(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, make([]byte, 8)),
		"bytes behind the last":   file(`{`+one+`}`, make([]byte, 8)),
		"an overlap":              file(`{`+one+`,"b":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}}`, make([]byte, 8)),
		"metadata of numbers":     file(`{"__metadata__":{"a":1}}`, nil),
	} {
		if _, err := open(t, data); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "absent")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an absent file: %v", err)
	}
}

func TestHeaderPaddingAndOrderOfOthers(t *testing.T) {
	// The Rust writer sorts by type and name, so the JSON order need not be the
	// order in the buffer.
	f, err := open(t, file(`{"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   `, make([]byte, 8)))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Tensors(); got[0].Name != "a" || got[1].Name != "b" {
		t.Errorf("order %v", got)
	}
}

func TestHalfIsExactBothWays(t *testing.T) {
	for u := range uint32(1 << 16) {
		h := uint16(u)
		x := fromHalf(h)
		if x != x {
			if got := fromHalf(toHalf(x)); got == got {
				t.Fatalf("NaN %#x became %g", h, got)
			}
			continue
		}
		if got := toHalf(x); got != h {
			t.Fatalf("%#x is %g and came back as %#x", h, x, got)
		}
		if b := toBrain(math.Float32frombits(u << 16)); math.Float32frombits(u<<16) == math.Float32frombits(u<<16) && b != h {
			t.Fatalf("bfloat16 %#x came back as %#x", h, b)
		}
	}
	for _, c := range []struct {
		x float32
		h uint16
	}{
		{65504, 0x7bff}, {65519.99, 0x7bff}, {65520, 0x7c00}, {1e30, 0x7c00}, {-1e30, 0xfc00},
		{0x1p-24, 1}, {0x1p-25, 0}, {0x1.8p-25, 1}, {0x1.8p-24, 2}, {0x1.ff8p-15, 0x3ff}, {0x1.ffcp-15, 0x400},
		{1 + 0x1p-11, 0x3c00}, {1 + 0x1.8p-10, 0x3c02}, {float32(math.Inf(1)), 0x7c00},
	} {
		if got := toHalf(c.x); got != c.h {
			t.Errorf("%g became %#x, want %#x", c.x, got, c.h)
		}
	}
	for _, c := range []struct {
		x float32
		b uint16
	}{{1 + 0x1p-8, 0x3f80}, {1 + 0x1.8p-7, 0x3f82}, {math.MaxFloat32, 0x7f80}} {
		if got := toBrain(c.x); got != c.b {
			t.Errorf("%g became bfloat16 %#x, want %#x", c.x, got, c.b)
		}
	}
	if got := toBrain(math.Float32frombits(0x7fffffff)); fromBrain(got) == fromBrain(got) {
		t.Errorf("a NaN became bfloat16 %#x", got)
	}
}

func fromBrain(b uint16) float32 { return math.Float32frombits(uint32(b) << 16) }

func TestNarrowTypesRoundTrip(t *testing.T) {
	for _, d := range []DType{BF16, F16, F64} {
		path := filepath.Join(t.TempDir(), "n.safetensors")
		w, err := Create(path, nil, []Tensor{{"x", d, []int64{3}}})
		if err != nil {
			t.Fatal(err)
		}
		want := []float32{1.5, -0.25, 1024}
		if err := w.Floats("x", want); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Commit(); err != nil {
			t.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 3)
		if err := f.Floats("x", got); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v (%v)", d, got, err)
		}
		f.Close()
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`), int64(4))
	f.Add([]byte(`{"__metadata__":{"format":"pt"},"a":{"dtype":"BOOL","shape":[],"data_offsets":[0,1]}} `), int64(1))
	f.Add([]byte(`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"I64","shape":[2],"data_offsets":[0,16]}}`), int64(16))
	f.Fuzz(func(t *testing.T, header []byte, size int64) {
		size &= math.MaxInt64
		metadata, tensors, err := parseHeader(header, size)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("error %v does not wrap ErrFormat", err)
			}
			return
		}
		var end int64
		plain := make([]Tensor, len(tensors))
		for i, p := range tensors {
			if p.begin != end || p.end-p.begin != p.Bytes() {
				t.Fatalf("tensor %+v accepted at %d", p, end)
			}
			end = p.end
			plain[i] = p.Tensor
		}
		if end != size {
			t.Fatalf("tensors of %d bytes accepted in a buffer of %d", end, size)
		}
		again, err := encodeHeader(metadata, plain)
		if err != nil {
			t.Fatalf("an accepted header cannot be written: %v", err)
		}
		if _, back, err := parseHeader(again, size); err != nil || fmt.Sprint(back) != fmt.Sprint(tensors) {
			t.Fatalf("%v came back as %v (%v)", tensors, back, err)
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	x := make([]float32, 4<<20)
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		w, err := Create(filepath.Join(b.TempDir(), "x.safetensors"), nil, []Tensor{{"x", F32, []int64{int64(len(x))}}})
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Floats("x", x); err != nil {
			b.Fatal(err)
		}
		if _, err := w.Commit(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	x := make([]float32, 4<<20)
	path := filepath.Join(b.TempDir(), "x.safetensors")
	w, err := Create(path, nil, []Tensor{{"x", F32, []int64{int64(len(x))}}})
	if err != nil {
		b.Fatal(err)
	}
	if err := w.Floats("x", x); err != nil {
		b.Fatal(err)
	}
	if _, err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(4 * len(x)))
	for b.Loop() {
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Floats("x", x); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
