package ingest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/tributary-ml/tributary/ingest/bzip2"
)

// maxBlockJobs bounds the goroutines that unpack bzip2, each of which holds about
// 12 MB.
const maxBlockJobs = 8

// unpacked is the content of an input, from base on.
type unpacked struct {
	io.Reader
	base  int64 // in the content, in bytes
	close func()

	mu     sync.Mutex
	points []blockPoint // the places of blocks that were not passed by yet
	passed blockPoint
	found  []damage
}

// blockPoint is where a block of bzip2 begins, and how much damage was found before.
type blockPoint struct {
	point  bzip2.Point
	damage int
}

// unpack opens the content of an input at a place from which reading up to from.Offset
// costs the least: there, where nothing is packed; at its block, where bzip2 is; else
// at the beginning.
func (r *run) unpack(ctx context.Context, in *input, from *seek) (*unpacked, error) {
	f, err := r.places.open(ctx, in)
	if err != nil {
		return nil, err
	}
	u := &unpacked{close: f.close}
	opts := bzip2.Options{
		Jobs: min(r.cfg.Jobs, maxBlockJobs),
		Damaged: func(d *bzip2.DamageError) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.found = append(u.found, damage{d.Error(), d.Offset})
		},
		Block: func(p bzip2.Point) {
			u.mu.Lock()
			defer u.mu.Unlock()
			u.points = append(u.points, blockPoint{p, len(u.found)})
		},
	}
	var head [4]byte
	n, err := f.ReadAt(head[:], 0)
	if err != nil && !errors.Is(err, io.EOF) {
		f.close()
		return nil, err
	}
	begin := int64(0) // in the file
	bzipped := string(head[:min(n, 3)]) == "BZh"
	if from != nil {
		switch packing := packed(head[:n]); {
		case bzipped:
			opts.Start, u.base, u.found = from.Block, from.Block.Offset, from.Damage
			u.passed = blockPoint{from.Block, len(from.Damage)}
			begin = from.Block.Bit / 8
		case !packing:
			begin, u.base = from.Offset, from.Offset
		}
	}
	r.cfg.Meter.Add(begin)
	if r.cfg.began != nil {
		r.cfg.began(in.name, begin)
	}
	raw := &metered{ctx, f.from(begin), r.cfg.Meter}
	var content io.ReadCloser
	switch {
	case bzipped:
		content = bzip2.NewReader(bufio.NewReaderSize(raw, 256<<10), opts)
	case u.base > 0:
		content = io.NopCloser(raw)
	default:
		if content, err = decompressWith(raw, opts); err != nil {
			f.close()
			return nil, err
		}
	}
	u.Reader = content
	u.close = func() {
		_ = content.Close() // it was only read
		f.close()
	}
	return u, nil
}

// causeOf tells why an input could not be opened.
func causeOf(err error) string {
	if isInput(err) {
		return causeUnreadable
	}
	return causeDamaged
}

// before returns the last block that begins at or before an offset of the content, and
// what was found damaged before that. Offsets must not go down from call to call.
func (u *unpacked) before(offset int64) (bzip2.Point, []damage) {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for n < len(u.points) && u.points[n].point.Offset <= offset {
		u.passed = u.points[n]
		n++
	}
	if n > 0 {
		u.points = append(u.points[:0], u.points[n:]...)
	}
	return u.passed.point, u.found[:u.passed.damage:u.passed.damage]
}

// damages returns all that was found damaged.
func (u *unpacked) damages() []damage {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.found
}

// packed tells compressed content by its head.
func packed(head []byte) bool {
	for _, magic := range [...]string{"\x1f\x8b", "BZh", "\x28\xb5\x2f\xfd"} {
		if len(head) >= len(magic) && string(head[:len(magic)]) == magic {
			return true
		}
	}
	return false
}
