package pipelines

import (
	"context"
	"path/filepath"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/trainer"
)

// plan foresees what the run takes, before there is a model.
func (c *TrainConfig) plan(ctx context.Context, batches *Batches, train trainer.Batches) (*trainer.Plan, error) {
	var shape model.Config
	var err error
	if c.Init != "" {
		shape, err = trainer.ReadConfig(filepath.Join(c.Init, "config.json"))
	} else {
		shape, err = c.shape(batches.Tokenizer)
	}
	if err != nil {
		return nil, err
	}
	steps := c.BatchSteps + c.LengthSteps // after the ramps
	first, err := train.Batch(ctx, steps)
	if err != nil {
		return nil, err
	}
	pool := kernel.NewPool(c.Jobs)
	defer pool.Close()
	precision, err := kernel.ParsePrecision(c.Precision)
	if err != nil {
		return nil, err
	}
	return trainer.MakePlan(shape, c.optimizer(shape), c.EMA, first, c.MicroBatch, c.longest, c.Recompute, precision, pool), nil
}
