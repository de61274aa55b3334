// Package shards turns documents into token shards: Parquet files whose rows are
// tokenised documents in the order of a keyed hash of their ids, cut into blocks
// (row groups) that a mixer reads one at a time.
package shards

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"sync"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/signals"
)

// orderSeed keys the hash that orders the rows. It is part of the format: another
// seed is another order.
const orderSeed = 0x7472_6962_7574_6172

// row is one row of a shard.
type row struct {
	facts

	// Tokens are stored as Shape.Compression says (see schemaOf).
	Tokens []int32 `parquet:"tokens,list"`
	// SentenceEnds holds the token offsets at which sentences end, ascending; the
	// last is the number of tokens. Sentences without a token are left out.
	SentenceEnds []int32 `parquet:"sentence_ends,list" parquet-element:",delta,uncompressed"`
	// Length is the number of tokens.
	Length int32 `parquet:"length,delta"`

	// Marks names the rules that had marked the whole document when the shard was
	// written, in order of name, and Cuts holds the tokens of the spans that rules had
	// marked, in order of rule and place.
	Marks []string `parquet:"marks,list"`
	Cuts  []Cut    `parquet:"cuts,list"`
}

// facts is what a row says of its document: all but the tokens and the marks.
type facts struct {
	ID       string `parquet:"id"`
	Source   string `parquet:"source,dict"`
	Language string `parquet:"language,dict"`
	// File, Offset and Record are where the document came from, as
	// ingest.Document has them.
	File   string `parquet:"file,dict"`
	Offset int64  `parquet:"offset"`
	Record int64  `parquet:"record"`
	// Signals are those of the document, each a column by its own name.
	signals.Signals
}

// factsOf returns what a document's row says of it.
func factsOf(d *ingest.Document) facts {
	return facts{d.ID, d.Source, d.Language, d.File, d.Offset, d.Record, d.Signals}
}

// appendFacts appends the spill form of facts, but for the id, which is in the key.
func appendFacts(dst []byte, f *facts) []byte {
	for _, s := range []string{f.Source, f.Language, f.File} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	dst = binary.AppendVarint(dst, f.Offset)
	dst = binary.AppendVarint(dst, f.Record)
	return f.Append(dst)
}

// facts reads what appendFacts appended.
func (d *decoder) facts(key []byte) facts {
	if len(key) < 8 {
		d.bad = true
		return facts{}
	}
	f := facts{ID: string(key[8:]), Source: d.string(), Language: d.string(), File: d.string(), Offset: d.varint(), Record: d.varint()}
	if d.bad {
		return f
	}
	rest, ok := f.Decode(d.b)
	d.b, d.bad = rest, !ok
	return f
}

// appendKey appends what the rows are ordered by: the keyed hash of the id, and
// the id for the case that two hashes are equal.
func appendKey(dst []byte, id string) []byte {
	dst = binary.BigEndian.AppendUint64(dst, xxh3.HashStringSeed(id, orderSeed))
	return append(dst, id...)
}

// appendRow appends the spill form of a document's row: everything but the id,
// which is in the key, and the marks, which are joined when the row is laid down.
func appendRow(dst []byte, d *ingest.Document, tokens, ends []int32) []byte {
	f := factsOf(d)
	dst = appendFacts(dst, &f)
	dst = binary.AppendUvarint(dst, uint64(len(tokens)))
	dst = binary.AppendUvarint(dst, uint64(len(ends)))
	for _, t := range tokens {
		dst = binary.AppendVarint(dst, int64(t))
	}
	last := int32(0)
	for _, e := range ends {
		dst = binary.AppendUvarint(dst, uint64(e-last))
		last = e
	}
	return dst
}

// arenaInts is the size of the arena that common rows share.
const arenaInts = 1 << 20

var errRow = errors.New("a spilled row does not decode")

// decoder reads the spill form; bad stays set after the first thing that does
// not decode.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad = true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.bad = true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

// decodeRow reads a spilled row. The token and sentence slices are taken from
// arena, which it returns grown.
func decodeRow(key, value []byte, arena []int32) (row, []int32, error) {
	d := decoder{b: value}
	r := row{facts: d.facts(key)}
	if d.bad {
		return row{}, arena, errRow
	}
	tokens, ends := d.uvarint(), d.uvarint()
	// A varint takes a byte at least, so that a bad count cannot ask for memory.
	if d.bad || tokens > uint64(len(d.b)) || ends > uint64(len(d.b))-tokens {
		return row{}, arena, errRow
	}
	if need := int(tokens + ends); cap(arena)-len(arena) < need {
		arena = make([]int32, 0, max(need, arenaInts)) // rows decoded before keep the old one
	}
	from := len(arena)
	for range tokens {
		arena = append(arena, int32(d.varint()))
	}
	mid := len(arena)
	last := int32(0)
	for range ends {
		last += int32(d.uvarint())
		arena = append(arena, last)
	}
	if d.bad || len(d.b) != 0 {
		return row{}, arena, errRow
	}
	r.Tokens, r.SentenceEnds = arena[from:mid:mid], arena[mid:len(arena):len(arena)]
	r.Length = int32(tokens)
	return r, arena, nil
}

// Encoder turns text into token ids, appending to dst, without special tokens.
// It is used by one goroutine at a time.
type Encoder interface {
	Encode(dst []int32, text string) []int32
}

// tokenise encodes a document sentence by sentence. The slices are those of
// scratch, grown.
func tokenise(enc Encoder, text string, s *scratch) error {
	s.tokens, s.ends = s.tokens[:0], s.ends[:0]
	s.bytes = s.sentences(text, s.bytes[:0])
	from := 0
	for _, to := range s.bytes {
		if to < from || to > len(text) {
			return fmt.Errorf("the sentence ends of the text do not ascend: %d after %d in %d bytes", to, from, len(text))
		}
		before := len(s.tokens)
		s.tokens = enc.Encode(s.tokens, text[from:to])
		from = to
		if len(s.tokens) > before {
			if len(s.tokens) > math.MaxInt32 {
				return fmt.Errorf("the document has more than %d tokens", math.MaxInt32)
			}
			s.ends = append(s.ends, int32(len(s.tokens)))
		}
	}
	if from != len(text) {
		return fmt.Errorf("the last sentence ends at byte %d of %d", from, len(text))
	}
	return nil
}

// scratch is the working memory of one goroutine that tokenises.
type scratch struct {
	sentences    func(text string, dst []int) []int
	bytes        []int
	tokens, ends []int32
	key, value   []byte
}

// sum is a digest of documents' ids with something of each, whatever their order.
type sum struct {
	mu     sync.Mutex
	hi, lo uint64
}

// sumOfOne is what one document adds to a sum.
func sumOfOne(id string, what []byte) xxh3.Uint128 {
	h := xxh3.New()
	// Writes to a hash do not fail.
	_, _ = h.WriteString(id)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(what)
	return h.Sum128()
}

func (s *sum) add(id string, what []byte) { s.addSum(sumOfOne(id, what)) }

func (s *sum) addSum(one xxh3.Uint128) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, one.Lo, 0)
	s.hi, _ = bits.Add64(s.hi, one.Hi, carry)
}

func (s *sum) String() string { return fmt.Sprintf("%016x%016x", s.hi, s.lo) }

// parseSum reads what String gives.
func parseSum(text string) (s xxh3.Uint128, ok bool) {
	if len(text) != 32 {
		return s, false
	}
	var err, err2 error
	s.Hi, err = strconv.ParseUint(text[:16], 16, 64)
	s.Lo, err2 = strconv.ParseUint(text[16:], 16, 64)
	return s, err == nil && err2 == nil
}
