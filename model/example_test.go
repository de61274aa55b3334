package model_test

import (
	"fmt"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// A few steps of AdamW on one batch of two sequences, laid end to end.
func Example() {
	m, err := model.New(model.BERT(1, 64, 20), model.Options{Seed: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()
	batch := &masking.Batch{
		Tokens:     []int32{2, 7, 4, 9, 3, 2, 4, 12, 3},
		Segments:   []uint8{0, 0, 0, 1, 1, 0, 0, 1, 1},
		SeqBounds:  []int32{0, 5, 9},
		Predict:    []int32{2, 6},
		Labels:     []int32{8, 11},
		PairLabels: []int32{0, 1},
	}
	first, second := make([][]float32, len(m.Params())), make([][]float32, len(m.Params()))
	for i, p := range m.Params() {
		first[i], second[i] = make([]float32, len(p.Data)), make([]float32, len(p.Data))
	}
	for step := range 100 {
		m.ZeroGrad()
		_, err := m.Gradients(batch, model.Scales{Token: 1. / 2, Pair: 1. / 2}, counter.NewKey(1, "dropout").Sub(uint64(step)))
		if err != nil {
			fmt.Println(err)
			return
		}
		for i, p := range m.Params() {
			kernel.AdamW(m.Pool(), p.Data, p.Grad, first[i], second[i], kernel.AdamWStep{
				LR: 1e-3, Beta1: 0.9, Beta2: 0.999, Eps: 1e-6, GradScale: 1,
			})
		}
	}
	loss, err := m.Evaluate(batch)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("tokens learnt:", loss.TokenHits, "of", loss.Tokens)
	fmt.Println("pairs learnt:", loss.PairHits, "of", loss.Pairs)
	// Output:
	// tokens learnt: 2 of 2
	// pairs learnt: 2 of 2
}
