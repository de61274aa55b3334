package trainer

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tributary-ml/tributary/mixer/counter"
)

// Feeder takes the tokens of one text bit by bit and tells the scores of the
// next, as *model.Decoder does.
type Feeder interface {
	// Feed appends tokens and returns the scores at the place after them.
	Feed(tokens []int32) ([]float32, error)
	// Truncate forgets all tokens but the first n, of which there are Len; no more
	// than Cap fit.
	Truncate(n int)
	Len() int
	Cap() int
}

// Sampling says how the next token is drawn from a model's scores. The filters
// apply in the order of the fields.
type Sampling struct {
	// Temperature divides the scores; 0 takes the most probable token.
	Temperature float64
	// TopK leaves the k most probable tokens; 0 leaves all.
	TopK int
	// TopP leaves the fewest tokens whose probabilities reach p together (Holtzman et
	// al. 2020, section 3.1); 0 and 1 leave all.
	TopP float64
	// Seed keys the draws.
	Seed uint64
}

func (s Sampling) check() error {
	switch {
	case !(s.Temperature >= 0) || math.IsInf(s.Temperature, 0):
		return fmt.Errorf("generating: the temperature %v is not a finite number from 0", s.Temperature)
	case s.TopK < 0:
		return fmt.Errorf("generating: top-k %d is below 0", s.TopK)
	case !(s.TopP >= 0 && s.TopP <= 1):
		return fmt.Errorf("generating: top-p %v is not in [0, 1]", s.TopP)
	}
	return nil
}

// candidate is a token that may be drawn.
type candidate struct {
	id int32
	p  float64
}

// candidates returns the tokens that are left with their probabilities, the
// most probable first and the lower id first among equals.
func (s Sampling) candidates(scores []float32) []candidate {
	t := s.Temperature
	if t == 0 {
		t = 1
	}
	all := make([]candidate, len(scores))
	for i, x := range scores {
		all[i] = candidate{int32(i), float64(x) / t}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.p, a.p), cmp.Compare(a.id, b.id))
	})
	if s.TopK > 0 {
		all = all[:min(s.TopK, len(all))]
	}
	normalise := func() {
		top, sum := all[0].p, 0.0
		for i := range all {
			all[i].p = math.Exp(all[i].p - top)
			sum += all[i].p
		}
		for i := range all {
			all[i].p /= sum
		}
	}
	normalise()
	if s.TopP > 0 && s.TopP < 1 {
		sum, n := 0.0, 0
		for n < len(all) && sum < s.TopP {
			sum += all[n].p
			n++
		}
		all = all[:n]
		for i := range all {
			all[i].p /= sum
		}
	}
	return all
}

// draw returns the token drawn as number n.
func (s Sampling) draw(scores []float32, key counter.Key, n int) (int32, error) {
	for i, x := range scores {
		if math.IsNaN(float64(x)) || math.IsInf(float64(x), 0) {
			return 0, fmt.Errorf("generating token %d: the score of token %d is %v: %w", n, i, x, ErrNotFinite)
		}
	}
	if s.Temperature == 0 {
		best := 0
		for i, x := range scores {
			if x > scores[best] {
				best = i
			}
		}
		return int32(best), nil
	}
	all := s.candidates(scores)
	u := key.Float64(uint64(n))
	for _, c := range all {
		if u < c.p {
			return c.id, nil
		}
		u -= c.p
	}
	return all[len(all)-1].id, nil
}

// Generate continues the prompt, which has a token at least, by up to n tokens,
// and ends before the first that is end (below 0: none). Each token is given to
// emit, which may be nil, when it is drawn. A text that outgrows the model goes on
// from the second half of what it can see. Equal arguments give equal tokens.
func Generate(ctx context.Context, f Feeder, prompt []int32, n int, end int32, s Sampling, emit func(int32) error) ([]int32, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	if len(prompt) == 0 {
		return nil, fmt.Errorf("generating: the prompt has no token")
	}
	key := counter.NewKey(s.Seed, "trainer/generate")
	text := slices.Clone(prompt)
	f.Truncate(0)
	for i := range n {
		if err := ctx.Err(); err != nil {
			return text[len(prompt):], err
		}
		// What the model has not been fed yet; all it can keep when that is too much.
		fresh := text[len(text)-1:]
		if f.Len() == 0 || f.Len() == f.Cap() {
			fresh = text
			if len(text) > f.Cap()/2 && (f.Len() > 0 || len(text) > f.Cap()) {
				fresh = text[len(text)-max(1, f.Cap()/2):]
			}
			f.Truncate(0)
		}
		scores, err := f.Feed(fresh)
		if err != nil {
			return nil, fmt.Errorf("generating: %w", err)
		}
		token, err := s.draw(scores, key, i)
		if err != nil {
			return nil, err
		}
		if token == end {
			break
		}
		text = append(text, token)
		if emit != nil {
			if err := emit(token); err != nil {
				return nil, err
			}
		}
	}
	return text[len(prompt):], nil
}
