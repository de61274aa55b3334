package mixer

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/store"
)

// windowCache keeps what scans found on disk, so that a mix opens without reading
// its shards. It is a directory, or empty for none.
type windowCache string

// newWindowCache is the cache under a local data root.
func newWindowCache(data string) windowCache {
	if data == "" || strings.Contains(data, "://") {
		return ""
	}
	return windowCache(filepath.Join(data, ".cache", "windows"))
}

const windowMagic = "tributary/windows/2\n"

// path is the file of a source: its name is the hash of all that the counts
// depend on.
func (c windowCache) path(s *source) string {
	r := s.reader
	return filepath.Join(string(c), store.Key(windowMagic, s.digest, s.Where, s.cut, r.layout, r.seqLen, r.split, r.heldout))
}

// read returns the counts of a source's n blocks. A file that is not there or not
// whole is none: the shards are read again.
func (c windowCache) read(s *source, n int) ([]blockCount, bool) {
	if c == "" || s.digest == "" {
		return nil, false
	}
	raw, err := os.ReadFile(c.path(s))
	if err != nil || len(raw) < len(windowMagic)+8 || string(raw[:len(windowMagic)]) != windowMagic {
		return nil, false
	}
	body := raw[:len(raw)-8]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(raw[len(body):]) {
		return nil, false
	}
	body = body[len(windowMagic):]
	bad := false
	next := func() int64 {
		v, size := binary.Uvarint(body)
		if size <= 0 || v > 1<<62 {
			bad = true
			return 0
		}
		body = body[size:]
		return int64(v)
	}
	if next() != int64(n) || bad || n > len(body) {
		return nil, false
	}
	counts := make([]blockCount, n)
	for i := range counts {
		b := &counts[i]
		for _, field := range b.fields() {
			*field = next()
		}
		b.docs = int32(next())
	}
	return counts, !bad && len(body) == 0
}

// write keeps the counts. What fails is left: the cache is not needed.
func (c windowCache) write(s *source, counts []blockCount) {
	if c == "" || s.digest == "" || os.MkdirAll(string(c), 0o777) != nil {
		return
	}
	raw := binary.AppendUvarint([]byte(windowMagic), uint64(len(counts)))
	for i := range counts {
		for _, field := range counts[i].fields() {
			raw = binary.AppendUvarint(raw, uint64(*field))
		}
		raw = binary.AppendUvarint(raw, uint64(counts[i].docs))
	}
	raw = binary.LittleEndian.AppendUint64(raw, xxh3.Hash(raw))
	_, _ = store.WriteFile(c.path(s), raw) // as above
}

func (c *Census) fields() []*int64 {
	return []*int64{&c.Documents, &c.Marked, &c.Blank, &c.OtherSplit, &c.Windows, &c.Tokens, &c.Overlong, &c.Cut, &c.Read}
}
