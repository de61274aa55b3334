package warc

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func raw(i int, body string) string {
	return fmt.Sprintf("WARC/1.0\r\nWARC-Type: Conversion\r\nWARC-Target-URI: <https://site.example/%d>\r\nWARC-Record-ID: <urn:uuid:%d>\r\nX-Long: a\r\n b\r\nContent-Length: %d\r\n\r\n%s\r\n\r\n", i, i, len(body), body)
}

func gz(t testing.TB, s string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, s); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zst(t testing.TB, s string, opts ...zstd.EOption) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll([]byte(s), nil)
}

// all reads an archive: its records, and what was damaged as "cause@offset#record".
func all(t testing.TB, data []byte, opts Options) (recs []*Record, damage []string) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(data), int64(len(data)), opts)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for n := 0; ; n++ {
		rec, err := r.Next()
		var d *DamageError
		switch {
		case errors.Is(err, io.EOF):
			return recs, damage
		case errors.As(err, &d):
			damage = append(damage, fmt.Sprintf("%s@%d#%d", d.Cause, d.Offset, d.Record))
		case err != nil:
			t.Fatal(err)
		default:
			recs = append(recs, rec)
		}
		if n > 10000 {
			t.Fatal("the archive does not end")
		}
	}
}

func body(i int) string {
	return fmt.Sprintf("Body %d. %s", i, strings.Repeat("words\r\n\r\n", i*i*40))
}

func TestEveryCompressionGivesTheSameRecords(t *testing.T) {
	var plain, member, frame []byte
	offsets := map[string][]int64{}
	for i := range 12 {
		s := raw(i, body(i))
		offsets["plain"] = append(offsets["plain"], int64(len(plain)))
		offsets["gzip"] = append(offsets["gzip"], int64(len(member)))
		offsets["zstd"] = append(offsets["zstd"], int64(len(frame)))
		offsets["whole gzip"] = append(offsets["whole gzip"], 0)
		plain = append(plain, s...)
		member = append(member, gz(t, s)...)
		frame = append(frame, zst(t, s)...)
	}
	whole := gz(t, string(plain))
	for name, data := range map[string][]byte{"plain": plain, "gzip": member, "zstd": frame, "whole gzip": whole} {
		recs, damage := all(t, data, Options{})
		if len(recs) != 12 || len(damage) != 0 {
			t.Fatalf("%s: %d records, %v", name, len(recs), damage)
		}
		for i, r := range recs {
			if string(r.Body) != body(i) || r.Type != "conversion" || r.URI != fmt.Sprintf("https://site.example/%d", i) || r.ID != fmt.Sprintf("urn:uuid:%d", i) ||
				r.Get("x-long") != "a b" || r.Version != "1.0" || r.Number != int64(i) || r.Offset != offsets[name][i] {
				t.Fatalf("%s: record %d is %s at %d %v", name, i, r.URI, r.Offset, r.Fields)
			}
		}
		if name == "whole gzip" {
			continue
		}
		part, _ := all(t, data, Options{Offset: recs[7].Offset, Number: 7})
		if len(part) != 5 || part[0].Number != 7 || string(part[0].Body) != body(7) || part[4].Offset != recs[11].Offset {
			t.Errorf("%s from record 7: %d records", name, len(part))
		}
	}
	skippable := append([]byte{0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0}, "abc"...)
	if recs, damage := all(t, append(frame, skippable...), Options{}); len(recs) != 12 || len(damage) != 0 {
		t.Errorf("with a skippable frame: %d records, %v", len(recs), damage)
	}
}

func TestZstdDictionary(t *testing.T) {
	var samples [][]byte
	for i := range 200 {
		samples = append(samples, []byte(raw(i, fmt.Sprintf("Some words of page %d that come again and again.", i))))
	}
	dict, err := zstd.BuildDict(zstd.BuildDictOptions{ID: 7, Contents: samples, History: bytes.Join(samples[:20], nil)})
	if err != nil {
		t.Fatal(err)
	}
	for name, stored := range map[string][]byte{"plain": dict, "compressed": zst(t, string(dict))} {
		data := binary.LittleEndian.AppendUint32(nil, zstdDictMagic)
		data = binary.LittleEndian.AppendUint32(data, uint32(len(stored)))
		data = append(data, stored...)
		for i := range 5 {
			data = append(data, zst(t, raw(i, body(i)), zstd.WithEncoderDict(dict))...)
		}
		recs, damage := all(t, data, Options{})
		if len(recs) != 5 || len(damage) != 0 || string(recs[4].Body) != body(4) {
			t.Errorf("%s dictionary: %d records, %v", name, len(recs), damage)
		}
	}
	huge := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, zstdDictMagic), 0xffffffff)
	if _, err := NewReader(bytes.NewReader(huge), int64(len(huge)), Options{}); err == nil {
		t.Error("a dictionary of 4 GB in 8 bytes is believed")
	}
}

func TestDamage(t *testing.T) {
	one, two, three := raw(0, "first body"), raw(1, "second body"), raw(2, "third body")
	at := func(parts ...string) int { return len(strings.Join(parts, "")) }
	longer := strings.Replace(two, "Content-Length: 11", "Content-Length: 300", 1)
	shorter := strings.Replace(two, "Content-Length: 11", "Content-Length: 3", 1)
	nolength := strings.Replace(two, "Content-Length: 11", "Content-Length: eleven", 1)
	headless := two[:strings.Index(two, "WARC-Record-ID")]
	for name, c := range map[string]struct {
		data string
		want string
	}{
		"whole":                 {one + two + three, "0 1 2"},
		"length too long":       {one + longer + three, fmt.Sprintf("0 wrong content length@%d#1 2", at(one))},
		"length too short":      {one + shorter + three, fmt.Sprintf("0 wrong content length@%d#1 garbage between records@%d#2 2", at(one), at(one, shorter)-len("ond body\r\n\r\n"))},
		"length no number":      {one + nolength + three, fmt.Sprintf("0 bad record header@%d#1 garbage between records@%d#2 2", at(one), at(one, nolength)-len("second body\r\n\r\n"))},
		"header cut":            {one + headless + three, fmt.Sprintf("0 bad record header@%d#1 2", at(one))},
		"garbage between":       {one + "<html>what?\n" + three, fmt.Sprintf("0 garbage between records@%d#1 2", at(one))},
		"cut in the body":       {one + two[:len(two)-8], fmt.Sprintf("0 truncated record@%d#1", at(one))},
		"cut in the header":     {one + two[:40], fmt.Sprintf("0 truncated record@%d#1", at(one))},
		"no line ends after":    {strings.TrimSuffix(one, "\r\n\r\n") + two, "0 1"},
		"line feeds alone":      {strings.ReplaceAll(one+two, "\r\n", "\n"), "0 1"},
		"more line ends":        {"\r\n" + one + "\r\n\r\n\r\n" + two + "\n\n\n", "0 1"},
		"nothing but a version": {one + strings.Repeat("WARC/1.0\r\n", 3), fmt.Sprintf("0 bad record header@%d#1 bad record header@%d#2 truncated record@%d#3", at(one), at(one)+10, at(one)+20)},
	} {
		if name == "more line ends" {
			c.data = c.data[2:]
		}
		recs, damage := all(t, []byte(c.data), Options{})
		got := map[int64]string{}
		n := int64(0)
		for _, r := range recs {
			got[r.Number] = strings.TrimPrefix(r.ID, "urn:uuid:")
			n = max(n, r.Number)
		}
		for _, d := range damage {
			var number int64
			if _, err := fmt.Sscan(d[strings.LastIndex(d, "#")+1:], &number); err != nil {
				t.Fatal(err)
			}
			got[number] = d
			n = max(n, number)
		}
		var list []string
		for i := range n + 1 {
			list = append(list, got[i])
		}
		if s := strings.Join(list, " "); s != c.want {
			t.Errorf("%s: %s, want %s", name, s, c.want)
		}
	}
}

func TestDamagedMembers(t *testing.T) {
	type packer func(testing.TB, string) []byte
	for name, pack := range map[string]packer{"gzip": gz, "zstd": func(t testing.TB, s string) []byte { return zst(t, s, zstd.WithEncoderCRC(true)) }} {
		var data []byte
		var offsets []int
		for i := range 8 {
			offsets = append(offsets, len(data))
			data = append(data, pack(t, raw(i, body(i)))...)
		}
		flipped := bytes.Clone(data)
		flipped[offsets[4]+50] ^= 0x55
		torn := append(bytes.Clone(data[:offsets[4]+60]), data[offsets[5]:]...)
		noisy := append(append(bytes.Clone(data[:offsets[4]]), "no member \x1f\x8b\x08 \x28\xb5\x2f\xfd at all"...), data[offsets[4]:]...)
		for damage, c := range map[string]struct {
			data []byte
			lost int
		}{"flipped": {flipped, 1}, "torn": {torn, 1}, "noisy": {noisy, 0}, "truncated": {data[:offsets[7]+40], 1}, "head": {data[:offsets[7]+2], 1}} {
			recs, found := all(t, c.data, Options{})
			if len(recs) != 8-c.lost || len(found) == 0 {
				t.Errorf("%s %s: %d records, %v", name, damage, len(recs), found)
			}
			for _, r := range recs {
				var i int
				if _, err := fmt.Sscanf(r.ID, "urn:uuid:%d", &i); err != nil || string(r.Body) != body(i) {
					t.Errorf("%s %s: record %s has another body", name, damage, r.ID)
				}
			}
		}
	}
}

func TestLargeRecordsArePassedOver(t *testing.T) {
	data := []byte(raw(0, "a") + raw(1, strings.Repeat("b", 5000)) + raw(2, "c"))
	recs, damage := all(t, data, Options{MaxBody: 4000})
	if len(recs) != 2 || len(damage) != 1 || !strings.HasPrefix(damage[0], string(TooLarge)) {
		t.Errorf("%d records, %v", len(recs), damage)
	}
	endless := "WARC/1.0\r\nContent-Length: 9223372036854775807\r\n\r\nabc"
	if recs, damage := all(t, []byte(endless), Options{}); len(recs) != 0 || len(damage) != 1 {
		t.Errorf("an endless record: %d records, %v", len(recs), damage)
	}
	header := "WARC/1.0\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 1100) + "Content-Length: 1\r\n\r\nz\r\n\r\n" + raw(1, "c")
	if recs, damage := all(t, []byte(header), Options{}); len(recs) != 1 || damage[0] != "bad record header@0#0" {
		t.Errorf("an endless header: %d records, %v", len(recs), damage)
	}
}

func TestNoArchive(t *testing.T) {
	for _, s := range []string{"", "<html>", "WAR", "PK\x03\x04"} {
		if _, err := NewReader(strings.NewReader(s), int64(len(s)), Options{}); !errors.Is(err, ErrNotArchive) {
			t.Errorf("%q gives %v", s, err)
		}
	}
	if _, err := NewReader(strings.NewReader("WARC/1.0"), 8, Options{Offset: 9}); err == nil {
		t.Error("an offset behind the end is taken")
	}
}

// failing fails from an offset on.
type failing struct {
	io.ReaderAt
	from int64
}

var errDisk = errors.New("disk on fire")

func (f failing) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > f.from {
		return 0, errDisk
	}
	return f.ReaderAt.ReadAt(p, at)
}

func TestErrorsOfTheInputAreFinal(t *testing.T) {
	big := make([]byte, 600_000)
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range big {
		big[i] = "abcdefghijklmnopqrstuvwxyz \n"[rng.IntN(28)]
	}
	for name, data := range map[string][]byte{
		"plain": []byte(raw(0, string(big)) + raw(1, "x")), "gzip": append(gz(t, raw(0, string(big))), gz(t, raw(1, "x"))...), "zstd": append(zst(t, raw(0, string(big))), zst(t, raw(1, "x"))...),
	} {
		r, err := NewReader(failing{bytes.NewReader(data), 200_000}, int64(len(data)), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err = r.Next(); !errors.Is(err, errDisk) {
				t.Errorf("%s: a failing input gives %v", name, err)
			}
		}
	}
}

// TestNothingButWrongLengthsIsReadInLinearTime would take minutes if every
// record's body were looked at again in full.
func TestNothingButWrongLengthsIsReadInLinearTime(t *testing.T) {
	data := bytes.Repeat([]byte("WARC/1.0\r\nContent-Length: 60000000\r\n\r\n\r\n"), 20_000)
	r, err := NewReader(bytes.NewReader(data), int64(len(data)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for {
		_, err := r.Next()
		if errors.Is(err, io.EOF) {
			return
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(raw(0, "a") + raw(1, "b")))
	f.Add(append(gz(f, raw(0, "a")), gz(f, raw(1, "b"))...))
	f.Add(append(zst(f, raw(0, "a")), zst(f, raw(1, "b"))...))
	f.Add([]byte("WARC/1.0\r\nContent-Length: 5\r\n\r\nWARC/1.0\r\n"))
	f.Add([]byte("\x1f\x8b\x08\x00"))
	f.Add([]byte("\x28\xb5\x2f\xfd\x00"))
	f.Add(append([]byte("\x5d\x2a\x4d\x18\x04\x00\x00\x00abcd"), zst(f, raw(0, "a"))...))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := NewReader(bytes.NewReader(data), int64(len(data)), Options{MaxBody: 1 << 16})
		if err != nil {
			return
		}
		defer r.Close()
		last := int64(-1)
		for n := 0; ; n++ {
			rec, err := r.Next()
			if errors.Is(err, io.EOF) {
				return
			}
			var d *DamageError
			number := last
			switch {
			case errors.As(err, &d):
				number = d.Record
			case err != nil:
				t.Fatal(err)
			default:
				number = rec.Number
				if rec.Offset < 0 || rec.Offset >= int64(len(data)) || len(rec.Body) > 1<<16 {
					t.Fatalf("record at %d of %d with %d bytes", rec.Offset, len(data), len(rec.Body))
				}
			}
			if number != last+1 {
				t.Fatalf("number %d after %d", number, last)
			}
			last = number
			if n > 100_000 {
				t.Fatal("the archive does not end")
			}
		}
	})
}

func BenchmarkReader(b *testing.B) {
	var plain, member, frame []byte
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range 200 {
		var s strings.Builder
		for range 2000 {
			fmt.Fprintf(&s, "w%d ", rng.IntN(3000))
		}
		rec := raw(i, s.String())
		plain = append(plain, rec...)
		member = append(member, gz(b, rec)...)
		frame = append(frame, zst(b, rec)...)
	}
	for _, c := range []struct {
		name string
		data []byte
	}{{"plain", plain}, {"gzip", member}, {"zstd", frame}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(plain)))
			for b.Loop() {
				if recs, _ := all(b, c.data, Options{}); len(recs) != 200 {
					b.Fatal(len(recs))
				}
			}
		})
	}
}

func Example() {
	archive := "WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://site.example/\r\nContent-Length: 5\r\n\r\nHello\r\n\r\n" +
		"WARC/1.0\r\nWARC-Type: conversion\r\nContent-Length: 500\r\n\r\nToo short\r\n\r\n"
	r, err := NewReader(strings.NewReader(archive), int64(len(archive)), Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer r.Close()
	for {
		rec, err := r.Next()
		var damage *DamageError
		switch {
		case errors.Is(err, io.EOF):
			return
		case errors.As(err, &damage):
			fmt.Println("skipped:", damage.Cause)
		case err != nil:
			fmt.Println(err)
			return
		default:
			fmt.Printf("%s: %s\n", rec.URI, rec.Body)
		}
	}
	// Output:
	// https://site.example/: Hello
	// skipped: truncated record
}
