// Package ingest turns raw dumps into documents: MediaWiki dumps, books, crawl
// archives. Its output is a stream of Documents, laid down as Parquet with the
// place each came from.
package ingest

import (
	"encoding/binary"
	"encoding/hex"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/ingest/signals"
)

// Document is one text with where it came from.
type Document struct {
	// ID is a pure function of the provenance (see NewID), so that ingesting the
	// same dump twice gives the same ids.
	ID string `parquet:"id"`
	// Source is the collection the document belongs to, such as "wiki".
	Source string `parquet:"source,dict"`
	Title  string `parquet:"title"`
	Author string `parquet:"author"`
	URL    string `parquet:"url"`
	// Language is what the dump says of it.
	Language string `parquet:"language,dict"`

	// File is the dump the document was read from, as a path relative to the
	// input that was named on the command line (its last element when that input
	// is a file).
	File string `parquet:"file,dict"`
	// Offset is where the record begins in File, in bytes of the decompressed
	// content; for an archive of one gzip member per record (WARC, WET) it is the
	// member's offset in the compressed file, as CDX indexes give it.
	Offset int64 `parquet:"offset"`
	// Record is the record's number in File, from 0, counting skipped ones.
	Record int64 `parquet:"record"`
	// Revision is the revision id of a wiki page, the record id of a WARC record,
	// or empty.
	Revision string `parquet:"revision"`

	// Date is when the page was published, as far as it says so, or else revised or
	// fetched, in RFC 3339 where the dump says so, or empty.
	Date string `parquet:"date"`

	// Disambiguation says that a page of a wiki only tells things of like names apart.
	Disambiguation bool `parquet:"disambiguation"`

	// Text is valid UTF-8 in Unicode as the dump had it (not normalised), with
	// "\n\n" between paragraphs and "\n" between lines of one.
	Text string `parquet:"text"`

	// Chapters are the byte offsets in Text at which the chapters of a book begin,
	// ParagraphEnds and SentenceEnds those at which paragraphs, parted by blank lines,
	// and sentences (see SentenceEnds) end; the last of each is the length of Text.
	Chapters      []int32 `parquet:"chapters,list"`
	ParagraphEnds []int32 `parquet:"paragraph_ends,list"`
	SentenceEnds  []int32 `parquet:"sentence_ends,list"`

	// Signals are measures of the text, each a column by its own name.
	signals.Signals
}

// NewID returns the id of a document: 32 hex digits that depend only on the
// source, the file's name and the record's key in it (page and revision id of a
// wiki, record id or offset of an archive, the path of a book).
func NewID(source, file, record string) string {
	b := make([]byte, 0, len(source)+len(file)+len(record)+2)
	b = append(append(b, source...), 0)
	b = append(append(b, file...), 0)
	h := xxh3.Hash128(append(b, record...))
	var id [16]byte
	binary.BigEndian.PutUint64(id[:8], h.Hi)
	binary.BigEndian.PutUint64(id[8:], h.Lo)
	return hex.EncodeToString(id[:])
}
