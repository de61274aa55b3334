package shards

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/zeebo/xxh3"
	"golang.org/x/sync/errgroup"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/tokenize"
)

// Cut is a run of a document's tokens that a rule marked: those whose bytes lie
// wholly or partly in a marked span. Start and End count in the tokens of the whole
// document, End exclusive.
type Cut struct {
	Rule  string `parquet:"rule,dict"`
	Start int32  `parquet:"start"`
	End   int32  `parquet:"end"`
}

// Gap is a place in a document from which tokens were cut: before token At of what
// is left, Tokens are missing. At may be the end.
type Gap struct{ At, Tokens int32 }

// spansInMemory is how many spans are turned into cuts at a time, with one reading of
// the documents.
const spansInMemory = 1 << 20

// OffsetEncoder is implemented by an Encoder that also tells which bytes its tokens
// come from, as cuts need.
type OffsetEncoder interface {
	EncodeOffsets(enc *tokenize.Encoding, text string) error
}

// byteSpan is a span that a rule marked.
type byteSpan struct {
	rule       string
	start, end int64
}

// sortCuts puts the cuts of the wanted rules in the order of the rows. Only documents
// with spans are tokenised. Memory is bounded by spansInMemory.
func sortCuts(ctx context.Context, dataDir, source string, tok Tokens, jobs int, wanted func(rule string) bool, cuts *extsort.Sorter) error {
	spans := map[string][]byteSpan{}
	n := 0
	for m, err := range dedup.Marks(ctx, dataDir, source) {
		if err != nil {
			return err
		}
		if m.Whole() || !wanted(m.Rule) {
			continue
		}
		spans[m.ID] = append(spans[m.ID], byteSpan{m.Rule, m.Start, m.End})
		if n++; n == spansInMemory {
			if err := cutDocuments(ctx, dataDir, source, tok, jobs, spans, cuts); err != nil {
				return err
			}
			clear(spans)
			n = 0
		}
	}
	if n == 0 {
		return nil
	}
	return cutDocuments(ctx, dataDir, source, tok, jobs, spans, cuts)
}

// cutDocuments finds the tokens of spans.
func cutDocuments(ctx context.Context, dataDir, source string, tok Tokens, jobs int, spans map[string][]byteSpan, cuts *extsort.Sorter) error {
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan *ingest.Document)
	g.Go(func() error {
		defer close(queue)
		for d, err := range ingest.Documents(ctx, dataDir, source) {
			if err != nil {
				return err
			}
			if spans[d.ID] == nil {
				continue
			}
			select {
			case queue <- d:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range max(jobs, 1) {
		g.Go(func() error {
			enc, ok := tok.NewEncoder().(OffsetEncoder)
			if !ok {
				return fmt.Errorf("tokenizer %s does not tell where its tokens come from, and spans of %s are marked", tok.Name, source)
			}
			var c cutter
			for d := range queue {
				if err := c.find(enc, d.Text, spans[d.ID]); err != nil {
					return fmt.Errorf("cutting the marked spans of document %s (%s, record %d): %w", d.ID, d.File, d.Record, err)
				}
				if len(c.cuts) == 0 {
					continue
				}
				if err := cuts.Add(appendKey(nil, d.ID), appendCuts(nil, c.cuts)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// cutter is the working memory of one goroutine that finds the tokens of spans.
type cutter struct {
	sentences []int
	enc       tokenize.Encoding
	cuts      []Cut
}

// find replaces c.cuts by the tokens of spans of a text, which is encoded as
// tokenise does it.
func (c *cutter) find(enc OffsetEncoder, text string, spans []byteSpan) error {
	c.cuts = c.cuts[:0]
	for _, s := range spans {
		if s.start < 0 || s.end < s.start || s.end > int64(len(text)) {
			return fmt.Errorf("rule %s marks the bytes %d to %d of %d: its marks were made of other documents; run it again", s.rule, s.start, s.end, len(text))
		}
	}
	slices.SortFunc(spans, func(a, b byteSpan) int { return cmp.Compare(a.start, b.start) })
	c.sentences = ingest.SentenceEnds(text, c.sentences[:0])
	from, base := 0, int32(0)
	for _, to := range c.sentences {
		if !slices.ContainsFunc(spans, func(s byteSpan) bool { return s.start < int64(to) && s.end > int64(from) }) {
			// Its tokens still count.
			if e, ok := enc.(Encoder); ok {
				c.enc.IDs = e.Encode(c.enc.IDs[:0], text[from:to])
				from, base = to, base+int32(len(c.enc.IDs))
				continue
			}
		}
		if err := enc.EncodeOffsets(&c.enc, text[from:to]); err != nil && !errors.Is(err, tokenize.ErrNoUnknown) {
			return err
		}
		for i, t := range c.enc.Spans {
			start, end := int64(from+t.Start), int64(from+t.End)
			for _, s := range spans {
				if s.start >= max(end, start+1) {
					break
				}
				if start < s.end && end > s.start {
					c.cuts = append(c.cuts, Cut{s.rule, base + int32(i), base + int32(i) + 1})
				}
			}
		}
		from, base = to, base+int32(len(c.enc.IDs))
	}
	c.cuts = joinCuts(c.cuts)
	return nil
}

// joinCuts joins the cuts of one rule that overlap or touch, and sorts them by rule
// and place.
func joinCuts(cuts []Cut) []Cut {
	slices.SortFunc(cuts, func(a, b Cut) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	out := cuts[:0]
	for _, c := range cuts {
		if n := len(out); n > 0 && out[n-1].Rule == c.Rule && c.Start <= out[n-1].End {
			out[n-1].End = max(out[n-1].End, c.End)
		} else {
			out = append(out, c)
		}
	}
	return out
}

// appendCuts appends the spill form of a document's cuts.
func appendCuts(dst []byte, cuts []Cut) []byte {
	for _, c := range cuts {
		dst = binary.AppendUvarint(dst, uint64(len(c.Rule)))
		dst = append(dst, c.Rule...)
		dst = binary.AppendUvarint(dst, uint64(c.Start))
		dst = binary.AppendUvarint(dst, uint64(c.End-c.Start))
	}
	return dst
}

// decodeCuts appends the cuts that appendCuts wrote.
func decodeCuts(dst []Cut, value []byte) ([]Cut, error) {
	d := decoder{b: value}
	for len(d.b) > 0 && !d.bad {
		rule, start, length := d.string(), d.uvarint(), d.uvarint()
		if start > 1<<31-1 || length > 1<<31-1-start {
			d.bad = true
		}
		dst = append(dst, Cut{rule, int32(start), int32(start + length)})
	}
	if d.bad {
		return dst, errRow
	}
	return dst, nil
}

// cutsOf returns the cuts of the row of this key, whose records j holds.
func (j *markJoin) cutsOf(key []byte) ([]Cut, error) {
	var cuts []Cut
	for j.more {
		c := slices.Compare(j.rec.Key, key)
		if c > 0 {
			break
		}
		if c == 0 {
			var err error
			if cuts, err = decodeCuts(cuts, j.rec.Value); err != nil {
				return nil, err
			}
		}
		j.advance()
	}
	return joinCuts(cuts), j.err
}

// cutRow is the column of cuts.
type cutRow struct {
	Cuts []Cut `parquet:"cuts,list"`
}

// readCuts reads the cuts of a row group.
func readCuts(g parquet.RowGroup, rows int) (out []cutRow, err error) {
	r := parquet.NewGenericRowGroupReader[cutRow](g)
	defer func() { err = errors.Join(err, r.Close()) }()
	out = make([]cutRow, rows)
	for n := 0; n < rows; {
		k, err := r.Read(out[n:])
		n += k
		if k == 0 || err != nil && !errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("its column of cuts ends after %d of %d rows: %w", n, rows, err)
		}
	}
	return out, nil
}

// cut takes the tokens out of a block that the wanted rules marked. A place where
// tokens were cut ends a sentence: what stood on its two sides did not stand together.
func (b *Block) cut(of func(row int) []Cut, wanted func(rule string) bool) error {
	clear(b.Gaps)
	var ends, sentences []int32 // the new ones, made at the first cut
	var runs []Cut
	at := int32(0) // where the next token goes
	for d := range b.Rows() {
		from, to := b.DocBounds[d], b.DocBounds[d+1]
		runs = runs[:0]
		for _, c := range of(d) {
			if c.Start < 0 || c.End < c.Start || c.End > to-from {
				return fmt.Errorf("document %s of %d tokens has a cut from %d to %d", b.IDs[d], to-from, c.Start, c.End)
			}
			if c.End > c.Start && wanted(c.Rule) {
				runs = append(runs, Cut{Start: c.Start, End: c.End})
			}
		}
		runs = joinCuts(runs)
		if len(runs) > 0 && sentences == nil {
			// Up to here nothing has moved.
			if b.Gaps == nil {
				b.Gaps = map[int][]Gap{}
			}
			ends = append(make([]int32, 0, len(b.SentenceEnds)+16), b.SentenceEnds[:b.SentenceBounds[d]]...)
			sentences = append(make([]int32, 0, len(b.SentenceBounds)), b.SentenceBounds[:d+1]...)
			at = from
		}
		if sentences == nil {
			continue
		}
		b.DocBounds[d] = at
		old := b.SentenceEnds[b.SentenceBounds[d]:b.SentenceBounds[d+1]]
		length, last, cut := int32(0), int32(0), int32(0) // left so far; up to where; cut so far
		end := func(e int32) {
			if e > 0 && (len(ends) == int(sentences[d]) || ends[len(ends)-1] < e) {
				ends = append(ends, e)
			}
		}
		for _, r := range append(runs, Cut{Start: to - from, End: to - from}) {
			for len(old) > 0 && old[0] <= r.Start {
				end(old[0] - cut)
				old = old[1:]
			}
			n := r.Start - last
			if len(b.Tokens) > 0 { // an outline has none
				copy(b.Tokens[at:], b.Tokens[from+last:from+r.Start])
			}
			at, length = at+n, length+n
			if r.End > r.Start {
				end(length)
				for len(old) > 0 && old[0] <= r.End {
					old = old[1:]
				}
				b.Gaps[d] = append(b.Gaps[d], Gap{At: length, Tokens: r.End - r.Start})
				cut += r.End - r.Start
			}
			last = r.End
		}
		sentences = append(sentences, int32(len(ends)))
	}
	if sentences != nil {
		b.DocBounds[b.Rows()] = at
		b.Tokens = b.Tokens[:min(int(at), len(b.Tokens))]
		b.SentenceEnds, b.SentenceBounds = ends, sentences
	}
	return nil
}

// cutCache keeps the cuts of marks that are newer than the shards.
const cutMagic = "tributary/cuts/1\n"

// findCuts finds the cuts of the rules whose marks the shards do not show yet, which
// fresh gives with the digests of these, from the documents, and keeps them under the
// data root.
func (s *Set) findCuts(ctx context.Context, dataDir string, fresh map[string]string) error {
	m := s.manifest
	path := filepath.Join(dataDir, ".cache", "cuts", store.Key(cutMagic, m.Inputs["documents"], m.TokenizerDigest, fresh))
	if s.readCutCache(path) {
		return nil
	}
	docs, err := ingest.DocumentsManifest(dataDir, m.Source)
	if err != nil || docs.Digest() != m.Inputs["documents"] {
		return fmt.Errorf("the marks of %s are newer than its shards and name spans of texts that the shards were not made of: run 'corpus shard %s' where its documents are (%w)", m.Source, m.Source, cmp.Or(err, errOtherTexts))
	}
	t, err := tokenize.Open(filepath.Join(dataDir, "tokenizers", m.Tokenizer))
	if err != nil {
		return err
	}
	if t.Digest() != m.TokenizerDigest {
		return fmt.Errorf("tokenizer %s is no longer the one that the shards of %s were made with: run 'corpus shard %s'", m.Tokenizer, m.Source, m.Source)
	}
	scratch, err := os.MkdirTemp("", "tributary-cuts-")
	if err != nil {
		return fmt.Errorf("looking for a place to sort cuts in: %w", err)
	}
	defer os.RemoveAll(scratch)
	sorter, err := extsort.New(scratch, DefaultMemoryBytes/4)
	if err != nil {
		return err
	}
	defer sorter.Close()
	tok := Tokens{Name: m.Tokenizer, Digest: t.Digest(), NewEncoder: func() Encoder { return t.NewEncoder() }}
	if err := sortCuts(ctx, dataDir, m.Source, tok, runtime.GOMAXPROCS(0), func(rule string) bool { return fresh[rule] != "" }, sorter); err != nil {
		return err
	}
	s.cuts = map[[16]byte][]Cut{}
	raw := []byte(cutMagic)
	for rec, err := range sorter.All(ctx) {
		if err != nil {
			return err
		}
		id := hashID(string(rec.Key[8:]))
		if s.cuts[id], err = decodeCuts(s.cuts[id], rec.Value); err != nil {
			return err
		}
		raw = append(raw, id[:]...)
		raw = binary.AppendUvarint(raw, uint64(len(rec.Value)))
		raw = append(raw, rec.Value...)
	}
	raw = binary.LittleEndian.AppendUint64(raw, xxh3.Hash(raw))
	if os.MkdirAll(filepath.Dir(path), 0o777) == nil {
		_, _ = store.WriteFile(path, raw) // a cache is not needed
	}
	return nil
}

// readCutCache reads what findCuts kept. A file that is not there or not whole is
// none.
func (s *Set) readCutCache(path string) bool {
	raw, err := os.ReadFile(path)
	if err != nil || len(raw) < len(cutMagic)+8 || string(raw[:len(cutMagic)]) != cutMagic {
		return false
	}
	body := raw[:len(raw)-8]
	if xxh3.Hash(body) != binary.LittleEndian.Uint64(raw[len(body):]) {
		return false
	}
	cuts := map[[16]byte][]Cut{}
	d := decoder{b: body[len(cutMagic):]}
	for len(d.b) >= 16 && !d.bad {
		id := [16]byte(d.b)
		d.b = d.b[16:]
		if cuts[id], err = decodeCuts(cuts[id], []byte(d.string())); err != nil {
			return false
		}
	}
	if d.bad || len(d.b) > 0 {
		return false
	}
	s.cuts = cuts
	return true
}
