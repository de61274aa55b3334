package trainer

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/tokenize"
)

// Scorer gives the scores of every token at the positions to predict, as
// *model.Model does.
type Scorer interface {
	Logits(b *masking.Batch) (token, pair []float32, err error)
}

// Guess is one token for a masked place.
type Guess struct {
	ID    int32
	Token string
	// Probability is the token's among all of the vocabulary.
	Probability float64
}

// ErrNoMask says that a text has no masked place.
var ErrNoMask = errors.New("the text has no mask token")

// FillMask returns the k most probable tokens for each mask token in text, such
// as "[MASK]", most probable first and the lower id first among equals. Special
// tokens are not guessed.
func FillMask(m Scorer, t *tokenize.Tokenizer, text string, k int) ([][]Guess, error) {
	sp := t.Specials()
	if sp.Mask < 0 || sp.Cls < 0 || sp.Sep < 0 {
		return nil, fmt.Errorf("filling masks: the tokenizer lacks a mask, beginning or end token")
	}
	b := &masking.Batch{Tokens: []int32{sp.Cls}}
	enc := t.NewEncoder()
	// The mask token is cut out here: encoders take text at its word.
	for i, part := range strings.Split(text, t.Token(sp.Mask)) {
		if i > 0 {
			b.Predict = append(b.Predict, int32(len(b.Tokens)))
			b.Tokens = append(b.Tokens, sp.Mask)
		}
		b.Tokens = enc.Encode(b.Tokens, part)
	}
	if len(b.Predict) == 0 {
		return nil, fmt.Errorf("filling masks in %q: %w (%s)", text, ErrNoMask, t.Token(sp.Mask))
	}
	b.Tokens = append(b.Tokens, sp.Sep)
	b.Segments = make([]uint8, len(b.Tokens))
	b.SeqBounds = []int32{0, int32(len(b.Tokens))}
	scores, _, err := m.Logits(b)
	if err != nil {
		return nil, fmt.Errorf("filling masks in %q: %w", text, err)
	}
	v := len(scores) / len(b.Predict)
	out := make([][]Guess, len(b.Predict))
	for i := range out {
		out[i] = best(scores[i*v:(i+1)*v], t, k)
	}
	return out, nil
}

// best returns the k tokens of the highest scores.
func best(scores []float32, t *tokenize.Tokenizer, k int) []Guess {
	top := slices.Max(scores)
	var sum float64
	ids := make([]int32, 0, len(scores))
	for i, x := range scores {
		sum += math.Exp(float64(x - top))
		if i < t.VocabSize() && !t.IsSpecial(int32(i)) {
			ids = append(ids, int32(i))
		}
	}
	slices.SortStableFunc(ids, func(a, b int32) int {
		switch {
		case scores[a] > scores[b]:
			return -1
		case scores[a] < scores[b]:
			return 1
		}
		return 0
	})
	out := make([]Guess, 0, max(0, min(k, len(ids))))
	for _, id := range ids[:cap(out)] {
		out = append(out, Guess{id, t.Token(id), math.Exp(float64(scores[id]-top)) / sum})
	}
	return out
}
