package trainer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/trainer"
)

// counting hides one number of a row that counts up; its step says which.
type counting struct{}

func (counting) Batch(_ context.Context, step int64) (*masking.Batch, error) {
	hidden := int32(step%4) + 1
	b := &masking.Batch{
		Step: step, Tokens: []int32{1, 2, 3, 4, 5, 6}, Segments: make([]uint8, 6), SeqBounds: []int32{0, 6},
		Predict: []int32{hidden}, Labels: []int32{hidden + 1},
	}
	b.Tokens[hidden] = 0
	return b, nil
}

func ExampleRun() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	shape := model.BERT(1, 32, 8)
	shape.HiddenDropoutProb, shape.AttentionProbsDropoutProb = 0, 0
	m, err := model.New(shape, model.Options{Seed: 1, Jobs: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer m.Close()

	cfg := trainer.Default(dir, 300)
	cfg.Optimizer.LR, cfg.Plot = 3e-3, false
	cfg.Log = slog.New(slog.NewTextHandler(io.Discard, nil))
	if cfg.Lineage.Model, err = json.Marshal(shape); err != nil {
		log.Fatal(err)
	}
	result, err := trainer.Run(context.Background(), cfg, m, counting{}, counting{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Done, result.State.Updates, result.State.Heldout.All.TokenAccuracy)

	// The run can be opened again, and goes on where it stopped.
	again, state, err := trainer.OpenRun(dir, model.Options{Jobs: 1}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer again.Close()
	fmt.Println(state.Step)
	// Output:
	// true 300 1
	// 300
}
