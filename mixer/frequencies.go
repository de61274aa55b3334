package mixer

import (
	"context"
	"fmt"

	"github.com/tributary-ml/tributary/shards"
)

// Frequencies counts tokens.
type Frequencies struct {
	// Tokens counts each token by its id, Documents the documents that hold it.
	Tokens, Documents []int64
	// Count is the number of documents.
	Count int64
}

// Frequencies counts the tokens of the documents that the mix reads, for a
// vocabulary of the given size. It reads all shards once.
func (m *Mixer) Frequencies(ctx context.Context, vocab int) (*Frequencies, error) {
	f := &Frequencies{Tokens: make([]int64, vocab), Documents: make([]int64, vocab)}
	seen := make([]int64, vocab) // the last document that held the token, from 1
	var b shards.Block
	for _, s := range m.sources {
		for _, i := range s.list {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			if err := s.blocks.ReadBlock(ctx, int(i), &b); err != nil {
				return nil, fmt.Errorf("counting tokens in block %d of %s: %w", i, s.Name, err)
			}
			var p plan
			var bad error
			s.reader.plan(&b, &p, func(d int) {
				f.Count++
				for _, token := range b.Tokens[b.DocBounds[d]:b.DocBounds[d+1]] {
					if token < 0 || int(token) >= vocab {
						bad = &VocabularyError{Label: s.Label(), Token: token, Size: vocab}
						continue
					}
					f.Tokens[token]++
					if seen[token] != f.Count {
						seen[token] = f.Count
						f.Documents[token]++
					}
				}
			})
			if bad != nil {
				return nil, bad
			}
		}
	}
	return f, nil
}

// VocabularyError means that shards hold a token that the vocabulary has not.
type VocabularyError struct {
	Label string
	Token int32
	Size  int
}

func (e *VocabularyError) Error() string {
	return fmt.Sprintf("the shards of %s hold token %d and the vocabulary has %d: they were made with another tokenizer", e.Label, e.Token, e.Size)
}
