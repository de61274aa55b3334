package tokenize

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestTrainUnigram(t *testing.T) {
	corpus := prose(300)
	var digest string
	for _, jobs := range []int{1, 2, 5} {
		tok, err := TrainUnigram(context.Background(), texts(corpus...), TrainOptions{VocabSize: 200, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != 200 {
			t.Errorf("the vocabulary has %d pieces, want 200", tok.VocabSize())
		}
		if digest == "" {
			digest = tok.Digest()
		}
		if tok.Digest() != digest {
			t.Errorf("%d jobs trained another tokenizer", jobs)
		}
		text := corpus[0]
		ids := tok.NewEncoder().Encode(nil, text)
		if slices.Contains(ids, tok.Specials().Unk) || len(ids) > len(text)/2 {
			t.Errorf("%d tokens for %d bytes", len(ids), len(text))
		}
		if got, want := tok.Decode(ids, true), strings.Join(strings.Fields(text), " "); got != want {
			t.Errorf("decoded %.60q, want %.60q", got, want)
		}
	}
}

func TestTrainWordLevel(t *testing.T) {
	tok, err := TrainWordLevel(context.Background(), texts("The cat. The dog! the cat", "a cat ran"), TrainOptions{VocabSize: 8, MinFrequency: 1, Lowercase: true})
	if err != nil {
		t.Fatal(err)
	}
	ids := tok.NewEncoder().Encode(nil, "The dog saw the Cat")
	var got []string
	for _, id := range ids {
		got = append(got, tok.Token(id))
	}
	if s := strings.Join(got, " "); s != "the [UNK] [UNK] the cat" {
		t.Errorf("tokens %s", s)
	}
	if tok.path != pathBERT {
		t.Error("words are not taken in one pass")
	}
	if _, err := TrainWordLevel(context.Background(), texts("a"), TrainOptions{VocabSize: 3}); err == nil {
		t.Error("a vocabulary without room for a word was trained")
	}
}

// TestSeedsCountSubstrings compares the sorted suffixes with plain counting.
func TestSeedsCountSubstrings(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		u := &unigramTrainer{o: TrainOptions{Alphabet: 100}}
		if err := u.o.defaults(); err != nil {
			r.Fatal(err)
		}
		var words []wordCount
		for _, w := range rapid.SliceOfNDistinct(rapid.StringMatching(`[abc]{1,20}`), 1, 8, rapid.ID[string]).Draw(r, "words") {
			words = append(words, wordCount{w, rapid.Int64Range(1, 5).Draw(r, "count")})
		}
		u.chooseAlphabet(words)
		if err := u.seed(context.Background(), 1<<20); err != nil {
			r.Fatal(err)
		}
		count, total := map[string]int64{}, 0.0
		for _, w := range words {
			for i := range w.word {
				for j := i + 1; j <= min(len(w.word), i+maxPieceChars); j++ {
					count[w.word[i:j]] += w.count
				}
			}
		}
		for _, p := range u.pieces {
			total += float64(count[p.piece]) * float64(len(p.piece))
		}
		have := map[string]bool{}
		for _, p := range u.pieces {
			if have[p.piece] {
				r.Fatalf("%q stands twice", p.piece)
			}
			have[p.piece] = true
			want := math.Log(float64(count[p.piece])*float64(len(p.piece))) - math.Log(total)
			if math.Abs(p.score-want) > 1e-9 {
				r.Fatalf("%q has the score %v, want %v", p.piece, p.score, want)
			}
		}
		// What is left out always goes on in the same way, or stands once.
		for s, n := range count {
			if len(s) < 2 || n < 2 || have[s] || len(s) == maxPieceChars {
				continue
			}
			longer := false
			for _, c := range "abc" {
				longer = longer || count[s+string(c)] == n
			}
			if !longer {
				r.Fatalf("%q stands %d times and is no piece", s, n)
			}
		}
	})
}

// TestExpectedCounts compares the forward-backward algorithm with adding up all
// ways to cut a word, and both of its forms with each other.
func TestExpectedCounts(t *testing.T) {
	u := &unigramTrainer{}
	for i, p := range []string{"a", "b", "é", "ab", "ba", "aba", "éa", "bé", "abab"} {
		u.pieces = append(u.pieces, scoredPiece{p, -0.5 - 0.4*float64(i)})
	}
	m, err := u.model()
	if err != nil {
		t.Fatal(err)
	}
	weights := make([]float64, len(u.pieces))
	for i, p := range u.pieces {
		weights[i] = math.Exp(p.score + charBonus*float64(utf8.RuneCountInString(p.piece)))
	}
	rapid.Check(t, func(r *rapid.T) {
		w := wordCount{rapid.StringMatching(`[abé]{1,9}`).Draw(r, "word"), rapid.Int64Range(1, 1000).Draw(r, "count")}
		var all float64
		want := make([]float64, len(u.pieces))
		var cut func(at int, used []int, p float64)
		cut = func(at int, used []int, p float64) {
			if at == len(w.word) {
				all += p
				for _, id := range used {
					want[id] += p
				}
				return
			}
			for id, piece := range u.pieces {
				if strings.HasPrefix(w.word[at:], piece.piece) {
					cut(at+len(piece.piece), append(slices.Clone(used), id), p*math.Exp(piece.score))
				}
			}
		}
		cut(0, nil, 1)
		var x expectation
		sums, logs := make([]int64, len(u.pieces)), make([]int64, len(u.pieces))
		a := x.add(sums, m, weights, w)
		b := x.addLogs(logs, m, w)
		if exact := math.Log(all) * float64(w.count); math.Abs(float64(a)/likelihoodUnit-exact) > 0.01 || math.Abs(float64(b)/likelihoodUnit-exact) > 0.01 {
			r.Fatalf("log likelihood %d and %d, want %v", a, b, exact)
		}
		for id := range want {
			exact := want[id] / all * float64(w.count)
			if math.Abs(float64(sums[id])/fixed-exact) > 1e-4 || math.Abs(float64(logs[id])/fixed-exact) > 1e-4 {
				r.Fatalf("%q: %v and %v, want %v", u.pieces[id].piece, float64(sums[id])/fixed, float64(logs[id])/fixed, exact)
			}
		}
	})
}

func TestDigamma(t *testing.T) {
	// Abramowitz and Stegun, table 6.1.
	for x, want := range map[float64]float64{1: -0.5772156649, 1.5: 0.0364899740, 2: 0.4227843351} {
		if got := digamma(x); math.Abs(got-want) > 1e-8 {
			t.Errorf("digamma(%v) is %v, want %v", x, got, want)
		}
	}
}
