package shards

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// A document of 100 MB is one row of one block: larger than the queue of texts,
// than the memory of the sort and than any page.
func TestADocumentOf100MB(t *testing.T) {
	dir := t.TempDir()
	sentence := strings.Repeat("Donaudampfschifffahrtsgesellschaft", 20) + " has one long document that somebody forgot to split.\n"
	text := strings.Repeat(sentence, 100<<20/len(sentence))
	writeDocuments(t, dir, "books", []ingest.Document{{Record: 1, Text: "A short one."}, {Record: 2, Text: text}, {Record: 3, Text: "Another."}})
	r := build(t, Config{Data: dir, MemoryBytes: 1 << 20}).Sources[0]
	if r.Rows != 3 {
		t.Fatalf("report %+v", r)
	}
	s := open(t, dir, "books")
	one := wordEncoder{}.Encode(nil, sentence)
	long := 0
	for i := range s.Blocks() {
		var b Block
		if err := s.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
		for j := range b.IDs {
			tokens := b.Tokens[b.DocBounds[j]:b.DocBounds[j+1]]
			if len(tokens) < 1000 {
				continue
			}
			long++
			ends := b.SentenceEnds[b.SentenceBounds[j]:b.SentenceBounds[j+1]]
			if len(tokens) != len(text)/len(sentence)*len(one) || len(ends) != len(text)/len(sentence) {
				t.Errorf("%d tokens in %d sentences", len(tokens), len(ends))
			}
			for ; len(tokens) > 0; tokens = tokens[len(one):] {
				if !slices.Equal(tokens[:len(one)], one) {
					t.Fatalf("a sentence reads %v", tokens[:len(one)])
				}
			}
		}
	}
	if long != 1 {
		t.Errorf("%d long documents", long)
	}
}
