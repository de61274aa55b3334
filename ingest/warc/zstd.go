package warc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// zstdSegments gives the frames of a zstd archive. A dictionary in a skippable
// frame at its head, plain or compressed, serves all frames, as in
// iipc.github.io/warc-specifications "zstd compression for WARC files".
type zstdSegments struct {
	r    io.ReaderAt
	size int64
	at   int64
	dec  *zstd.Decoder
}

const (
	zstdMagic       = 0xFD2FB528
	zstdDictMagic   = 0x184D2A5D
	maxDict         = 16 << 20
	maxZstdWindow   = 128 << 20
	maxZstdDecoders = 1
)

func newZstdSegments(r io.ReaderAt, size, at int64) (*zstdSegments, error) {
	z := &zstdSegments{r: r, size: size, at: at}
	opts := []zstd.DOption{
		zstd.WithDecoderConcurrency(maxZstdDecoders), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderLowmem(true),
	}
	var head [8]byte
	if _, err := r.ReadAt(head[:], 0); err == nil && binary.LittleEndian.Uint32(head[:]) == zstdDictMagic {
		n := int64(binary.LittleEndian.Uint32(head[4:]))
		if n > maxDict || n > size-8 {
			return nil, fmt.Errorf("warc: the archive's dictionary has %d bytes", n)
		}
		dict := make([]byte, n)
		if _, err := r.ReadAt(dict, 8); err != nil {
			return nil, fmt.Errorf("warc: reading the archive's dictionary: %w", err)
		}
		if len(dict) >= 4 && binary.LittleEndian.Uint32(dict) == zstdMagic {
			plain, err := zstd.NewReader(bytes.NewReader(dict), opts...)
			if err != nil {
				return nil, fmt.Errorf("warc: unpacking the archive's dictionary: %w", err)
			}
			defer plain.Close()
			if dict, err = io.ReadAll(io.LimitReader(plain, maxDict)); err != nil {
				return nil, fmt.Errorf("warc: unpacking the archive's dictionary: %w", err)
			}
		}
		opts = append(opts, zstd.WithDecoderDicts(dict))
		z.at = max(z.at, 8+n)
	}
	dec, err := zstd.NewReader(nil, opts...)
	if err != nil {
		return nil, fmt.Errorf("warc: %w", err)
	}
	z.dec = dec
	return z, nil
}

// Close releases the decoder.
func (z *zstdSegments) Close() error {
	z.dec.Close()
	return nil
}

func (z *zstdSegments) next() (*segment, error) {
	for {
		if z.at >= z.size {
			return nil, io.EOF
		}
		start := z.at
		n, skippable, err := z.frame(start)
		if err != nil {
			var in *inputError
			if errors.As(err, &in) {
				return nil, in.err
			}
			z.seek(start + 1)
			cause := BadCompressed
			if errors.Is(err, io.ErrUnexpectedEOF) {
				cause = Truncated
			}
			return nil, &DamageError{Cause: cause, Offset: start, Detail: "in a frame: " + err.Error()}
		}
		z.at = start + n
		if skippable {
			continue
		}
		if err := z.dec.Reset(&input{r: io.NewSectionReader(z.r, start, n)}); err != nil {
			z.seek(start + 1)
			return nil, &DamageError{Cause: BadCompressed, Offset: start, Detail: "in the head of a frame: " + err.Error()}
		}
		return newSegment(start, false, z.dec), nil
	}
}

func (z *zstdSegments) resync(s *segment) { z.seek(s.offset + 1) }

// frame walks the blocks of the frame at start and returns its size (RFC 8878,
// section 3.1).
func (z *zstdSegments) frame(start int64) (size int64, skippable bool, err error) {
	head := make([]byte, 18)
	n, err := z.read(head, start)
	if err != nil {
		return 0, false, err
	}
	head = head[:n]
	if len(head) < 6 {
		return 0, false, io.ErrUnexpectedEOF
	}
	magic := binary.LittleEndian.Uint32(head)
	if magic&^0xF == 0x184D2A50 {
		if len(head) < 8 {
			return 0, false, io.ErrUnexpectedEOF
		}
		size = 8 + int64(binary.LittleEndian.Uint32(head[4:]))
		if size > z.size-start {
			return 0, false, io.ErrUnexpectedEOF
		}
		return size, true, nil
	}
	if magic != zstdMagic {
		return 0, false, fmt.Errorf("it begins %q", head[:4])
	}
	desc := head[4]
	single := desc&0x20 != 0
	at := start + 5 + []int64{0, 1, 2, 4}[desc&3] + []int64{0, 2, 4, 8}[desc>>6]
	if single && desc>>6 == 0 {
		at++
	}
	if !single {
		at++
	}
	for {
		var b [3]byte
		if n, err := z.read(b[:], at); err != nil {
			return 0, false, err
		} else if n < 3 {
			return 0, false, io.ErrUnexpectedEOF
		}
		block := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		at += 3
		switch block >> 1 & 3 {
		case 1:
			at++
		case 3:
			return 0, false, errors.New("a block of a reserved kind")
		default:
			at += block >> 3
		}
		if block&1 != 0 {
			break
		}
	}
	if desc&4 != 0 {
		at += 4
	}
	if at > z.size {
		return 0, false, io.ErrUnexpectedEOF
	}
	return at - start, false, nil
}

func (z *zstdSegments) read(p []byte, at int64) (int, error) {
	n, err := z.r.ReadAt(p, at)
	if err != nil && !errors.Is(err, io.EOF) {
		return n, &inputError{err}
	}
	return n, nil
}

// seek goes to the first place from at on where a whole frame stands, or to the
// end.
func (z *zstdSegments) seek(at int64) {
	const chunk = 1 << 18
	magic := []byte{0x28, 0xb5, 0x2f, 0xfd}
	buf := make([]byte, chunk)
	for at+int64(len(magic)) <= z.size {
		n, _ := z.r.ReadAt(buf[:min(chunk, z.size-at)], at)
		i := bytes.Index(buf[:n], magic)
		if i < 0 {
			if n < len(magic) {
				break
			}
			at += int64(n - len(magic) + 1)
			continue
		}
		at += int64(i)
		if _, _, err := z.frame(at); err == nil {
			z.at = at
			return
		}
		at++
	}
	z.at = z.size
}
