package trainer

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
)

// TestCandidatesAreThoseTheFiltersLeave compares with a plain statement of the
// filters, for any scores.
func TestCandidatesAreThoseTheFiltersLeave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float32Range(-20, 20), 1, 30).Draw(t, "scores")
		s := Sampling{
			Temperature: rapid.Float64Range(0.1, 3).Draw(t, "temperature"),
			TopK:        rapid.IntRange(0, 35).Draw(t, "k"),
			TopP:        rapid.SampledFrom([]float64{0, 0.3, 0.9, 1}).Draw(t, "p"),
		}
		got := s.candidates(scores)
		left := 0.0
		for i, c := range got {
			left += c.p
			if b := got[max(0, i-1)]; i > 0 && (scores[c.id] > scores[b.id] || scores[c.id] == scores[b.id] && c.id < b.id) {
				t.Fatalf("out of order: %v", got)
			}
			// The ratio of two probabilities is that of the scores' exponentials.
			want := math.Exp(float64(scores[c.id]-scores[got[0].id]) / s.Temperature)
			if math.Abs(c.p/got[0].p-want) > 1e-6*want+1e-12 {
				t.Fatalf("token %d has %v of the first, want %v", c.id, c.p/got[0].p, want)
			}
		}
		if math.Abs(left-1) > 1e-9 {
			t.Fatalf("the probabilities sum to %v", left)
		}
		if s.TopK > 0 && len(got) > s.TopK {
			t.Fatalf("%d tokens are left of %d", len(got), s.TopK)
		}
		if s.TopK == 0 && (s.TopP == 0 || s.TopP == 1) && len(got) != len(scores) {
			t.Fatalf("%d of %d tokens are left", len(got), len(scores))
		}
		if s.TopP == 0.3 || s.TopP == 0.9 {
			// Without the last of them the probability, of what top-k leaves, is not reached.
			whole := Sampling{Temperature: s.Temperature, TopK: s.TopK}.candidates(scores)
			sum := 0.0
			for _, c := range whole[:len(got)-1] {
				sum += c.p
			}
			if sum >= s.TopP || sum+whole[len(got)-1].p < s.TopP-1e-9 {
				t.Fatalf("top-p %v left %d of %d", s.TopP, len(got), len(whole))
			}
		}
	})
}

func TestDrawsFollowTheProbabilities(t *testing.T) {
	scores := []float32{0, float32(math.Log(2)), float32(math.Log(5))}
	s := Sampling{Temperature: 1}
	key := counter.NewKey(3, "test")
	var counts [3]int
	const n = 20000
	for i := range n {
		id, err := s.draw(scores, key, i)
		if err != nil {
			t.Fatal(err)
		}
		counts[id]++
	}
	for i, p := range []float64{1. / 8, 2. / 8, 5. / 8} {
		if got := float64(counts[i]) / n; math.Abs(got-p) > 0.015 {
			t.Errorf("token %d was drawn in %.3f of the cases, want %.3f", i, got, p)
		}
	}
	if _, err := s.draw([]float32{0, float32(math.NaN())}, key, 0); !errors.Is(err, ErrNotFinite) {
		t.Errorf("a score that is no number: %v", err)
	}
}

func gptModel(t testing.TB, vocab int) *model.Model {
	t.Helper()
	c := model.GPT2(2, 32, vocab)
	c.NumAttentionHeads, c.MaxPositionEmbeddings, c.InitializerRange = 2, 16, 0.5
	m, err := model.New(c, model.Options{Seed: 4, Jobs: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

func TestGenerateGoesBeyondTheModelsLength(t *testing.T) {
	m := gptModel(t, 40)
	d, err := m.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	s := Sampling{Temperature: 1, TopK: 20, TopP: 0.95, Seed: 1}
	prompt := []int32{3, 4, 5}
	var told []int32
	got, err := Generate(t.Context(), d, prompt, 50, -1, s, func(id int32) error { told = append(told, id); return nil })
	if err != nil || len(got) != 50 || !slices.Equal(got, told) {
		t.Fatalf("%d tokens, told %d: %v", len(got), len(told), err)
	}
	again, err := Generate(t.Context(), d, prompt, 50, -1, s, nil)
	if err != nil || !slices.Equal(got, again) {
		t.Errorf("a second time other tokens: %v", err)
	}
	s.Seed = 2
	if other, err := Generate(t.Context(), d, prompt, 50, -1, s, nil); err != nil || slices.Equal(got, other) {
		t.Errorf("another seed gives the same tokens: %v", err)
	}
	// A prompt longer than the model can see, and one as long.
	for _, n := range []int{16, 17, 40} {
		long := make([]int32, n)
		if out, err := Generate(t.Context(), d, long, 5, -1, Sampling{}, nil); err != nil || len(out) != 5 {
			t.Errorf("a prompt of %d tokens: %d tokens, %v", n, len(out), err)
		}
	}
	// The end token ends it.
	end := got[7]
	at := slices.Index(got, end)
	s.Seed = 1
	if out, err := Generate(t.Context(), d, prompt, 50, end, s, nil); err != nil || !slices.Equal(out, got[:at]) {
		t.Errorf("up to the end token: %v, want %v (%v)", out, got[:at], err)
	}
	for _, bad := range []Sampling{{Temperature: -1}, {Temperature: math.NaN()}, {TopK: -1}, {TopP: 1.5}, {TopP: math.NaN()}} {
		if _, err := Generate(t.Context(), d, prompt, 1, -1, bad, nil); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
	if _, err := Generate(t.Context(), d, nil, 1, -1, Sampling{}, nil); err == nil {
		t.Error("an empty prompt was taken")
	}
}
