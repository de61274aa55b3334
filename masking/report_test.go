package masking

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestReportCountsWhatIsThere(t *testing.T) {
	stream := setting{objective: "bert", options: Options{SeqLen: 10}, sources: bookish()}.open(t, 0)
	r := NewReport(stream, testVocabulary())
	r.Add(&Batch{
		Tokens: []int32{2, 4, 4, 3, 9, 3, 2, 8, 3}, SeqBounds: []int32{0, 6, 9},
		Predict: []int32{1, 2, 4, 7}, Labels: []int32{7, 8, 9, 5}, PairLabels: []int32{0, 1},
		Origins: []Origin{{Index: 5, Task: 1, Source: "wiki", Epoch: 2, Spans: make([]Span, 2)}, {Index: 6, Task: 0, Source: "books"}},
	})
	got, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"sequences":2,"tokens":9,"room":20,"waste":11,"samples":2,"documents":2,"predicted":4,"masked":2,"same":1,"other":1,"runs":[2,1,` + strings.Repeat("0,", 29) + `0],"pairs":[1,1],` +
		`"sources":[{"task":0,"source":"books","sequences":1,"tokens":3,"repeats":0,"last_epoch":0},{"task":1,"source":"wiki","sequences":1,"tokens":6,"repeats":1,"last_epoch":2}]}`
	if string(got) != want {
		t.Errorf("the report is\n%s, want\n%s", got, want)
	}
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if want := `2 sequences of 2 windows with 2 parts of documents, 9 tokens, 45.0 % of the room filled, 55.0 % wasted
4 predicted (44.44 %): 50.00 % masked, 25.00 % as they are, 25.00 % another token
2 sequences with a class: class 0 50.00 % class 1 50.00 %
runs of predicted tokens by length: 1:66.67% 2:33.33%
books (task 0): 1 sequences, 3 tokens (33.33 %), 0 repeats, up to pass 0
wiki (task 1): 1 sequences, 6 tokens (66.67 %), 1 repeats, up to pass 2
`; text.String() != want {
		t.Errorf("the report reads\n%s, want\n%s", text.String(), want)
	}
}

// The report of a stream must show the shares that were asked.
func TestReportShowsTheAskedShares(t *testing.T) {
	s := setting{objective: "bert", batchSize: 500, sources: bookish(), weights: map[string]float64{"books": 0.3, "wiki": 0.7}, options: Options{SeqLen: 128}}
	stream := s.open(t, 2)
	r := NewReport(stream, testVocabulary())
	for step := range int64(40) {
		r.Add(batch(t, stream, step, 0, 1))
	}
	for what, c := range map[string][2]float64{
		"predicted": {float64(r.Predicted) / float64(r.Tokens), 0.15},
		"masked":    {float64(r.Masked) / float64(r.Predicted), 0.8},
		"same":      {float64(r.Same) / float64(r.Predicted), 0.1},
		"other":     {float64(r.Other) / float64(r.Predicted), 0.1},
	} {
		if math.Abs(c[0]-c[1]) > 0.005 {
			t.Errorf("%s: %.4f, want %.4f", what, c[0], c[1])
		}
	}
	shares := map[string]float64{}
	for _, source := range r.Sources {
		shares[source.Source] = float64(source.Tokens) / float64(r.Tokens)
		if source.Repeats == 0 {
			t.Errorf("%s has no repeats in 20,000 samples", source.Source)
		}
	}
	if math.Abs(shares["books"]-0.3) > 0.02 {
		t.Errorf("tokens are shared as %v, want 0.3 for books", shares)
	}
}
