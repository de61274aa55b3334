package ingest

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/progress"
)

// fileDigest returns the XXH3-128 of a file's content in hex.
func fileDigest(ctx context.Context, path string, meter *progress.Meter) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := xxh3.New()
	buf := make([]byte, 1<<20)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		n, err := f.Read(buf)
		if _, werr := h.Write(buf[:n]); werr != nil {
			return "", werr
		}
		meter.Add(int64(n))
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	sum := h.Sum128()
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], sum.Hi)
	binary.BigEndian.PutUint64(b[8:], sum.Lo)
	return hex.EncodeToString(b[:]), nil
}
