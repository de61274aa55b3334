package bzip2

import (
	"bytes"
	stdlib "compress/bzip2"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/iotest"
)

// unpack reads everything and the damage that was met.
func unpack(t testing.TB, packed []byte, jobs int) ([]byte, []*DamageError) {
	t.Helper()
	var damage []*DamageError
	r := NewReader(bytes.NewReader(packed), Options{Jobs: jobs, Damaged: func(e *DamageError) { damage = append(damage, e) }})
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("after %d bytes: %v", len(data), err)
	}
	return data, damage
}

func TestReaderGivesBackWhatTheWriterTook(t *testing.T) {
	for name, data := range corpora() {
		for jobs := 1; jobs <= 3; jobs++ {
			t.Run(fmt.Sprint(name, " ", jobs), func(t *testing.T) {
				r := NewReader(bytes.NewReader(pack(t, 1, data)), Options{Jobs: jobs})
				defer r.Close()
				got, err := io.ReadAll(r)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(got, data) {
					t.Fatalf("%d bytes came back as %d others", len(data), len(got))
				}
			})
		}
	}
}

func TestLongBlocks(t *testing.T) {
	long := corpora()
	text := long["text"]
	for name, data := range map[string][]byte{
		"text": text, "random": append(long["random"], long["random"]...), "zeros": long["zeros"], "periodic": bytes.Repeat([]byte("abcabcabd"), 90_000),
		"one period": bytes.Repeat([]byte("ab"), 400_000), "text twice": append(bytes.Clone(text[:400_000]), text[:400_000]...),
	} {
		got, damage := unpack(t, pack(t, 9, data), 2)
		if damage != nil || !bytes.Equal(got, data) {
			t.Errorf("%s: %d bytes came back as %d; damage %v", name, len(data), len(got), damage)
		}
	}
}

func TestAMagicInsideABlockIsJoinedAgain(t *testing.T) {
	data := corpora()["text"][:50_000]
	sp := newSplitter(bytes.NewReader(pack(t, 1, data)), 0)
	block, end := sp.next(), sp.next()
	// The block as it would be cut at a chance magic: at the bit cut.
	for _, cut := range []int64{60, 1000, 1003, block.bits - 50} {
		one := &segment{kind: blockSegment, bit: block.bit, bits: cut}
		one.data = append(bytes.Clone(block.data[:(block.bit%8+cut+7)/8]), make([]byte, padBytes)...)
		two := &segment{kind: blockSegment, bit: block.bit + cut, bits: block.bits - cut, data: block.data[(block.bit+cut)/8-block.bit/8:]}
		r := NewReader(nil, Options{})
		r.started = true
		r.order = make(chan *segment, 3)
		r.free = make(chan []byte, 1)
		for _, s := range []*segment{one, two, end} {
			if s.kind == blockSegment {
				s.decode(&decoder{}, nil)
				if s.err == nil {
					t.Fatal("half a block was decoded")
				}
				s.done = make(chan struct{})
				close(s.done)
			}
			r.order <- s
		}
		close(r.order)
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("cut at %d: %d bytes, %v", cut, len(got), err)
		}
	}
}

// multistream packs data in streams of size bytes and returns where each begins.
func multistream(t testing.TB, data []byte, size int) (packed []byte, starts []int) {
	for len(data) > 0 {
		n := min(size, len(data))
		starts = append(starts, len(packed))
		packed = append(packed, pack(t, 1, data[:n])...)
		data = data[n:]
	}
	return packed, starts
}

func TestReaderReadsManyStreams(t *testing.T) {
	data := corpora()["text"][:300_000]
	packed, _ := multistream(t, data, 7001)
	packed = append(pack(t, 9, nil), packed...)
	packed = append(packed, pack(t, 9, nil)...)
	got, damage := unpack(t, packed, 3)
	if !bytes.Equal(got, data) || damage != nil {
		t.Fatalf("%d bytes, want %d; damage %v", len(got), len(data), damage)
	}
	r := NewReader(iotest.OneByteReader(bytes.NewReader(packed[:20_000])), Options{Jobs: 2})
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, ErrTruncated) {
		t.Errorf("cut input read byte by byte: %v", err)
	}
}

func TestEveryCutIsToldAndWholeBlocksKept(t *testing.T) {
	data := corpora()["text"][:6000]
	packed, starts := multistream(t, data, 1500)
	for cut := 0; cut < len(packed); cut += 1 + cut%4 {
		got, damage := unpack(t, packed[:cut], 2)
		whole := 0
		for i, s := range starts {
			// A block is whole when all but its stream's 10 last bytes are there.
			end := len(packed)
			if i+1 < len(starts) {
				end = starts[i+1]
			}
			if s < cut && cut >= end {
				whole++
			}
		}
		if len(got) < whole*1500 || !bytes.Equal(got, data[:len(got)]) {
			t.Fatalf("cut at %d: %d bytes, want at least %d", cut, len(got), whole*1500)
		}
		atStart := false
		for _, s := range starts[1:] {
			atStart = atStart || s == cut
		}
		if atStart != (len(damage) == 0) || len(damage) > 1 {
			t.Fatalf("cut at %d: damage %v", cut, damage)
		}
		if len(damage) == 1 && !errors.Is(damage[0], ErrTruncated) {
			t.Fatalf("cut at %d: %v", cut, damage[0])
		}
	}
}

func TestAFlippedBitLosesItsBlockOnly(t *testing.T) {
	data := corpora()["text"][:6000]
	packed, starts := multistream(t, data, 1500)
	for bit := starts[1] * 8; bit < starts[2]*8; bit += 23 {
		bad := bytes.Clone(packed)
		bad[bit/8] ^= 0x80 >> (bit % 8)
		got, damage := unpack(t, bad, 2)
		without := append(bytes.Clone(data[:1500]), data[3000:]...)
		if !bytes.Equal(got, without) && !bytes.Equal(got, data) {
			t.Fatalf("bit %d: %d bytes, neither all nor all but the block", bit, len(got))
		}
		if len(damage) == 0 {
			// Padding, the stream's level, and codes that are not used.
			if !bytes.Equal(got, data) {
				t.Fatalf("bit %d: a block lost in silence", bit)
			}
			continue
		}
		if at := damage[0].Bit; at < int64(starts[1])*8-80 || at > int64(starts[2])*8 {
			t.Errorf("bit %d: damage said to be at bit %d", bit, at)
		}
		if len(got) < len(data) && damage[0].Offset != 1500 {
			t.Errorf("bit %d: damage said to be at output %d", bit, damage[0].Offset)
		}
	}
}

func TestGoingOnAtABlock(t *testing.T) {
	data := corpora()["text"]
	packed := append(pack(t, 1, data[:350_000]), pack(t, 1, data[350_000:])...)
	var points []Point
	r := NewReader(bytes.NewReader(packed), Options{Jobs: 2, Block: func(p Point) { points = append(points, p) }})
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if len(points) != 8 || points[0] != (Point{Bit: 32}) {
		t.Fatalf("points %v", points)
	}
	for _, p := range points {
		r := NewReader(bytes.NewReader(packed[p.Bit/8:]), Options{Jobs: 2, Start: p})
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, data[p.Offset:]) {
			t.Errorf("from %v: %d bytes, %v", p, len(got), err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDamageIsAnErrorWhenNobodyListens(t *testing.T) {
	data := corpora()["text"][:6000]
	packed, starts := multistream(t, data, 1500)
	packed[starts[2]+200] ^= 1
	r := NewReader(bytes.NewReader(packed), Options{Jobs: 2})
	defer r.Close()
	got, err := io.ReadAll(r)
	var damage *DamageError
	if !errors.As(err, &damage) || len(got) != 3000 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func TestWhatIsNotBzip2(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"empty":   {"", ErrTruncated},
		"header":  {"BZh9", ErrTruncated},
		"html":    {"<html>this is not a dump, this is a page about one</html>", ErrFormat},
		"garbage": {string(bytes.Repeat([]byte{0xAA}, 6_000_000)), ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			got, damage := unpack(t, []byte(c.in), 2)
			if len(got) > 0 || len(damage) != 1 || !errors.Is(damage[0], c.want) {
				t.Errorf("%d bytes, %v", len(got), damage)
			}
		})
	}
	whole := pack(t, 1, []byte("text"))
	got, damage := unpack(t, append(whole, "trailing garbage"...), 1)
	if string(got) != "text" || len(damage) != 1 || !errors.Is(damage[0], ErrFormat) {
		t.Errorf("garbage after a stream: %q, %v", got, damage)
	}
}

func TestTheReaderUnderneathFails(t *testing.T) {
	packed := pack(t, 1, corpora()["text"])
	boom := errors.New("cable pulled")
	r := NewReader(io.MultiReader(bytes.NewReader(packed[:100_000]), iotest.ErrReader(boom)), Options{Jobs: 2})
	defer r.Close()
	if _, err := io.Copy(io.Discard, r); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(pack(f, 1, []byte("banana banana banana")))
	f.Add(pack(f, 1, bytes.Repeat([]byte{0}, 100_000)))
	f.Add([]byte("BZh91AY&SY"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		peer := stdlib.NewReader(bytes.NewReader(packed))
		want, wantErr := io.ReadAll(io.LimitReader(peer, 1<<24))
		if wantErr == nil {
			// It gives a block before it has looked at the block's checksum.
			_, wantErr = io.Copy(io.Discard, io.LimitReader(peer, 1<<27))
		}
		r := NewReader(bytes.NewReader(packed), Options{Jobs: 1})
		defer r.Close()
		got, err := io.ReadAll(io.LimitReader(r, 1<<24))
		if wantErr == nil && len(packed) > 0 && (err != nil || !bytes.Equal(got, want)) {
			t.Fatalf("%d bytes, %v; the standard library has %d", len(got), err, len(want))
		}
	})
}
