package dedup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tributary-ml/tributary/dedup/extsort"
	"github.com/tributary-ml/tributary/ingest"
)

// The rules of exact deduplication. Marks of RuleExact have the kind "raw" when
// the texts are equal byte by byte and "normalised" when only their normal forms
// are.
const (
	RuleExact    = "exact"
	RuleExactRaw = "exact-raw"
)

// Exact marks the documents whose text is that of another one in normal form:
// Unicode NFC, every run of white space one space, none at the ends. Case and
// punctuation count. Equality is that of SHA-256 digests. Of every group one
// document stays: the one of the source named first, then of the most words, then
// of the smallest id. The marks depend on the documents and the order of the
// sources only. When they are there already, Exact does nothing.
func Exact(ctx context.Context, cfg Config) (*Report, error) { return exact(ctx, cfg, RuleExact) }

// ExactRaw is Exact for texts that are equal byte by byte.
func ExactRaw(ctx context.Context, cfg Config) (*Report, error) { return exact(ctx, cfg, RuleExactRaw) }

func exact(ctx context.Context, cfg Config, rule string) (report *Report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("rule %s: %w", rule, err)
		}
	}()
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	run, done, err := cfg.beginRule(rule, exactVersion)
	if err != nil || done != nil {
		return done, err
	}
	defer func() { err = errors.Join(err, run.close()) }()
	// A text's record is its digest; the value is the document's rank, then the
	// digest of the raw text and its size.
	newVisit := func(add func(key, value []byte) error) func(int, *ingest.Document) error {
		h := newTextHasher()
		var value []byte
		return func(source int, d *ingest.Document) error {
			raw := h.raw(d.Text)
			key := raw
			if rule == RuleExact {
				key = h.normalised(d.Text)
			}
			value = appendRank(value[:0], source, d)
			value = append(value, raw[:]...)
			value = binary.BigEndian.AppendUint64(value, uint64(len(d.Text)))
			return add(key[:], value)
		}
	}
	var group exactGroup
	err = run.eachSorted(ctx, exactVersion, newVisit, func(rec extsort.Record) error {
		doc, err := parseExact(rec.Value)
		if err != nil {
			return err
		}
		run.report.Sources[doc.source].Documents++
		if group.size == 0 || !bytes.Equal(rec.Key, group.key) {
			group.end(run.report)
			group = exactGroup{key: append(group.key[:0], rec.Key...), kept: doc, size: 1}
			return nil
		}
		group.size++
		m := Mark{
			ID: doc.id, Source: cfg.Sources[doc.source], Rule: rule, Kind: "normalised",
			Kept: group.kept.id, KeptSource: cfg.Sources[group.kept.source], Score: 1, Start: -1, End: -1, KeptStart: -1, KeptEnd: -1,
			Reason: "its text is that of the document kept, but for white space or Unicode composition",
		}
		if doc.raw == group.kept.raw {
			m.Kind, m.Reason = "raw", "its text is that of the document kept"
		}
		return run.add(doc.source, &m, doc.bytes)
	})
	if err != nil {
		return nil, err
	}
	group.end(run.report)
	return run.finish(ctx)
}

// exactGroup is the documents of one text, of which only the first, the one that
// stays, is held.
type exactGroup struct {
	key  []byte
	kept exactDoc
	size int64
}

func (g *exactGroup) end(r *Report) {
	if g.size > 1 {
		r.Groups++
		r.Largest = max(r.Largest, g.size)
	}
}

type exactDoc struct {
	source int
	id     string
	raw    [sha256.Size]byte
	bytes  int64
}

// exactVersion is part of the rule's key: a change of the normal form or of the
// order of documents raises it.
const exactVersion = "exact/1"

var errSpilled = errors.New("a spilled record does not decode")

func parseExact(b []byte) (exactDoc, error) {
	const head, tail = 2 + 8, 1 + sha256.Size + 8
	if len(b) < head+tail {
		return exactDoc{}, errSpilled
	}
	d := exactDoc{source: int(binary.BigEndian.Uint16(b)), id: string(b[head : len(b)-tail])}
	b = b[len(b)-tail+1:]
	copy(d.raw[:], b)
	d.bytes = int64(binary.BigEndian.Uint64(b[sha256.Size:]))
	return d, nil
}

// textHasher digests texts without a second copy of them.
type textHasher struct {
	h   hash.Hash
	buf []byte
}

func newTextHasher() *textHasher { return &textHasher{h: sha256.New(), buf: make([]byte, 0, 1<<14)} }

type digest = [sha256.Size]byte

func (t *textHasher) sum() (d digest) {
	t.h.Write(t.buf)
	t.buf = t.buf[:0]
	t.h.Sum(d[:0])
	return d
}

func (t *textHasher) write(s string) {
	for len(s) > 0 {
		if len(t.buf) == cap(t.buf) {
			t.h.Write(t.buf)
			t.buf = t.buf[:0]
		}
		n := copy(t.buf[len(t.buf):cap(t.buf)], s)
		t.buf = t.buf[:len(t.buf)+n]
		s = s[n:]
	}
}

func (t *textHasher) raw(text string) digest {
	t.h.Reset()
	t.write(text)
	return t.sum()
}

// normalised digests the normal form of a text, which is the runs of fields in NFC
// with one space between them. Stretches that are in that form already go in
// whole.
func (t *textHasher) normalised(text string) digest {
	t.h.Reset()
	if !norm.NFC.IsNormalString(text) {
		text = norm.NFC.String(text)
	}
	text = strings.TrimSpace(text)
	from := 0
	for i := 0; i < len(text); {
		// A space is never the last byte: the text is trimmed.
		if c := text[i]; c > ' ' && c < utf8.RuneSelf || c == ' ' && text[i+1] > ' ' && text[i+1] < utf8.RuneSelf {
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if !unicode.IsSpace(r) {
			i += size
			continue
		}
		t.write(text[from:i])
		t.write(" ")
		for unicode.IsSpace(r) {
			i += size
			r, size = utf8.DecodeRuneInString(text[i:])
		}
		from = i
	}
	t.write(text[from:])
	return t.sum()
}

// fields yields the bounds of the runs of text that are not white space.
func fields(text string) func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		start := -1
		for i := 0; i < len(text); {
			c, size := rune(text[i]), 1
			space := c == ' ' || c >= '\t' && c <= '\r'
			if c >= utf8.RuneSelf {
				c, size = utf8.DecodeRuneInString(text[i:])
				space = unicode.IsSpace(c)
			}
			switch {
			case space && start >= 0:
				if !yield(start, i) {
					return
				}
				start = -1
			case !space && start < 0:
				start = i
			}
			i += size
		}
		if start >= 0 {
			yield(start, len(text))
		}
	}
}

// clearSpill removes a spill directory with all that a killed run left in it.
func clearSpill(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clearing the spill directory: %w", err)
	}
	return nil
}
