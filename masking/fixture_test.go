package masking

import (
	"context"
	"fmt"
	"testing"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

// vocabulary is made up: ids 0 to 4 are special, and every fourth id continues a
// word.
type vocabulary struct {
	size     int
	specials tokenize.Specials

	noSentinels bool
}

func (v vocabulary) VocabSize() int              { return v.size }
func (v vocabulary) Specials() tokenize.Specials { return v.specials }
func (v vocabulary) IsSpecial(id int32) bool     { return id >= 0 && id < 5 }
func (v vocabulary) Continues(id int32) bool     { return id >= 5 && id%4 == 0 }

// ID knows the sentinels, which are the last hundred ids, counting down.
func (v vocabulary) ID(token string) (int32, bool) {
	var n int32
	if _, err := fmt.Sscanf(token, "<extra_id_%d>", &n); err != nil || n < 0 || n >= 100 || v.noSentinels {
		return 0, false
	}
	return int32(v.size) - 1 - n, true
}

func testVocabulary() vocabulary {
	return vocabulary{size: 1000, specials: tokenize.Specials{Pad: 0, Unk: 1, Cls: 2, Sep: 3, Mask: 4, Bos: -1, Eos: -1}}
}

// Token has a capital letter in every third token.
func (v vocabulary) Token(id int32) string {
	if id%3 == 0 {
		return fmt.Sprintf("T%d", id)
	}
	return fmt.Sprintf("t%d", id)
}

// source is shards made up in memory.
type source []shards.Block

func (s source) Blocks() int { return len(s) }

func (s source) ReadBlock(_ context.Context, i int, b *shards.Block) error {
	*b = s[i]
	return nil
}

// makeSource draws documents of up to maxSentences sentences of up to maxTokens
// tokens, with ids of the test vocabulary.
func makeSource(name string, seed uint64, documents, perBlock, maxSentences, maxTokens int) source {
	var s source
	draw := counter.NewKey(seed, "test source").Stream()
	for d := range documents {
		if d%perBlock == 0 {
			s = append(s, shards.Block{DocBounds: []int32{0}, SentenceBounds: []int32{0}})
		}
		b := &s[len(s)-1]
		length := int32(0)
		for range 1 + draw.IntN(maxSentences) {
			n := 1 + draw.IntN(maxTokens)
			for range n {
				b.Tokens = append(b.Tokens, 5+int32(draw.IntN(995)))
			}
			length += int32(n)
			b.SentenceEnds = append(b.SentenceEnds, length)
		}
		b.IDs = append(b.IDs, fmt.Sprintf("%s-%d", name, d))
		b.DocBounds = append(b.DocBounds, int32(len(b.Tokens)))
		b.SentenceBounds = append(b.SentenceBounds, int32(len(b.SentenceEnds)))
		b.Keep = append(b.Keep, true)
	}
	return s
}

// documents returns the tokens of every document by id.
func (s source) documents() map[string][]int32 {
	m := map[string][]int32{}
	for _, b := range s {
		for d, id := range b.IDs {
			m[id] = b.Tokens[b.DocBounds[d]:b.DocBounds[d+1]]
		}
	}
	return m
}

// setting is a mix under an objective.
type setting struct {
	objective string
	options   Options
	vocab     vocabulary
	batchSize int
	jobs      int
	stages    []mixer.Stage
	weights   map[string]float64 // of the sources; even when nil
	sources   map[string]source
}

func (s setting) open(t testing.TB, ahead int) *Stream {
	t.Helper()
	stream := s.openOr(t.Fatalf, ahead)
	t.Cleanup(stream.Close)
	return stream
}

// openOr opens the stream or calls fatal, which must not return.
func (s setting) openOr(fatal func(string, ...any), ahead int) *Stream {
	if s.vocab.size == 0 {
		s.vocab = testVocabulary()
	}
	if s.options.SeqLen == 0 {
		s.options.SeqLen = 64
	}
	o, err := NewObjective(s.objective, s.vocab, s.options)
	if err != nil {
		fatal("%v", err)
	}
	options := mixer.Options{
		Seed: s.options.Seed, SeqLen: o.SeqLen(), BatchSize: max(s.batchSize, 1), Layout: o.Layout(), Stages: s.stages,
		ShuffleTokens: 20_000, Jobs: s.jobs,
	}
	var list []mixer.Source
	for name, source := range s.sources {
		weight, ok := s.weights[name]
		if !ok {
			weight = 1
		}
		options.Mix = append(options.Mix, mixer.Component{Name: name, Weight: weight})
		list = append(list, mixer.Source{Name: name, Blocks: source})
	}
	m, err := mixer.New(context.Background(), options, list)
	if err != nil {
		fatal("%v", err)
	}
	stream, err := NewStream(m, o, ahead)
	if err != nil {
		fatal("%v", err)
	}
	return stream
}

func batch(t testing.TB, s *Stream, step int64, rank, ranks int) *Batch {
	t.Helper()
	b, err := s.Batch(context.Background(), step, rank, ranks)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// original returns the tokens of a sequence as they were before masking.
func original(b *Batch, sequence int) []int32 {
	from, to := b.SeqBounds[sequence], b.SeqBounds[sequence+1]
	tokens := append([]int32(nil), b.Tokens[from:to]...)
	for i, at := range b.Predict {
		if at >= from && at < to {
			tokens[at-from] = b.Labels[i]
		}
	}
	return tokens
}

// predicted counts the predictions of a sequence.
func predicted(b *Batch, sequence int) int {
	n := 0
	for _, at := range b.Predict {
		if at >= b.SeqBounds[sequence] && at < b.SeqBounds[sequence+1] {
			n++
		}
	}
	return n
}

// chiSquared fails when counts are too far from the expected shares.
func chiSquared(t testing.TB, what string, counts []int, shares []float64) {
	t.Helper()
	n := 0
	for _, c := range counts {
		n += c
	}
	var chi2 float64
	for i, c := range counts {
		want := shares[i] * float64(n)
		chi2 += (float64(c) - want) * (float64(c) - want) / want
	}
	// Wilson and Hilferty's approximation of the 99.99th percentile.
	df := float64(len(counts) - 1)
	c := 1 - 2/(9*df) + 3.719*sqrt(2/(9*df))
	if limit := df * c * c * c; chi2 > limit {
		t.Errorf("%s: chi-squared %.1f over %d cells of %d draws, the limit is %.1f (counts %v)", what, chi2, len(counts), n, limit, counts[:min(len(counts), 12)])
	}
}

func even(n int) []float64 {
	shares := make([]float64, n)
	for i := range shares {
		shares[i] = 1 / float64(n)
	}
	return shares
}
