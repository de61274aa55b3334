package trainer

import (
	"errors"
	"fmt"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/model/kernel"
)

// Plan is what a run is foreseen to take, in bytes, before there is memory for it.
type Plan struct {
	Parameters int64 `json:"parameters"`
	// Precision is that of the products. Rounding them to bf16 takes no less memory
	// and no less time than fp32.
	Precision kernel.Precision `json:"precision"`
	// Weights and Gradients are four bytes a parameter each. Optimizer is what the
	// optimiser remembers, Snapshot the copy of weights and optimiser that checkpoints
	// are written from.
	Weights   int64 `json:"weights"`
	Gradients int64 `json:"gradients"`
	Optimizer int64 `json:"optimizer"`
	Snapshot  int64 `json:"snapshot"`
	// Activations is what a micro-batch of Tokens tokens, of which Predicted are
	// predicted, keeps for its backward pass.
	Activations int64 `json:"activations"`
	Tokens      int   `json:"tokens"`
	Predicted   int   `json:"predicted"`
	Total       int64 `json:"total"`
	// Available is what the machine has left; 0 where it does not tell.
	Available int64 `json:"available"`
	// Checkpoint is the size of one on disk.
	Checkpoint int64 `json:"checkpoint"`
	// FLOP is the arithmetic of a whole step, and Seconds about how long it takes, at
	// planEfficiency of what Roofline says the machine can do.
	FLOP     float64  `json:"flop"`
	Seconds  float64  `json:"seconds"`
	Roofline Roofline `json:"roofline"`
}

// planEfficiency is the part of the peak that a step is taken to reach.
const planEfficiency = 0.6

// MakePlan foresees a run of a model of a valid configuration. first is a batch of
// the run, of which micro sequences (0: all) of up to length tokens go through the
// model at once.
func MakePlan(c model.Config, o Optimizer, ema float64, first *masking.Batch, micro, length int, recompute bool, precision kernel.Precision, pool *kernel.Pool) *Plan {
	p := &Plan{Precision: precision, Available: int64(AvailableBytes()), FLOP: c.FLOP(first), Roofline: MeasureRoofline(pool, precision, 200*time.Millisecond)}
	for _, x := range model.Shapes(c) {
		n := int64(x.Size())
		p.Parameters += n
		p.Optimizer += 4 * remembered(o.Kind, ema, x)
	}
	p.Weights, p.Gradients = 4*p.Parameters, 4*p.Parameters
	p.Snapshot = p.Weights + p.Optimizer
	p.Checkpoint = p.Snapshot
	sequences := first.Sequences()
	if micro > 0 {
		sequences = min(sequences, micro)
	}
	p.Tokens = sequences * length
	p.Predicted = (p.Tokens*len(first.Predict) + len(first.Tokens) - 1) / max(1, len(first.Tokens))
	p.Activations = c.ActivationBytes(p.Tokens, p.Predicted, sequences, recompute)
	p.Total = p.Weights + p.Gradients + p.Optimizer + p.Snapshot + p.Activations
	if p.Roofline.FLOPS > 0 {
		p.Seconds = p.FLOP / (planEfficiency * p.Roofline.FLOPS)
	}
	return p
}

// remembered returns how many numbers the optimiser of a kind keeps of a parameter.
func remembered(kind string, ema float64, p *model.Param) int64 {
	n := int64(p.Size())
	var k int64
	switch kind {
	case SGD, Adagrad:
		k = n
	case Adafactor:
		if k = n; len(p.Shape) == 2 {
			k = int64(p.Shape[0] + p.Shape[1])
		}
	case Muon:
		if k = 2 * n; hidden(p) {
			k = n
		}
	default:
		k = 2 * n
	}
	if ema > 0 {
		k += n
	}
	return k
}

// ErrMemory says that a run would not fit the machine's memory.
var ErrMemory = errors.New("the run would not fit into memory")

// Fits returns an error that wraps ErrMemory when the run takes more than the
// machine has left.
func (p *Plan) Fits() error {
	if p.Available == 0 || p.Total <= p.Available {
		return nil
	}
	return fmt.Errorf("%w: it needs about %s and %s are left: %s of weights and gradients, %s of the optimiser, %s for checkpoints, %s of activations; "+
		"a smaller micro-batch (--micro-batch) and --recompute need fewer activations, adafactor a smaller optimiser",
		ErrMemory, gib(p.Total), gib(p.Available), gib(p.Weights+p.Gradients), gib(p.Optimizer), gib(p.Snapshot), gib(p.Activations))
}

// Lines are the plan in words.
func (p *Plan) Lines() []string {
	left := "unknown"
	if p.Available > 0 {
		left = gib(p.Available)
	}
	return []string{
		fmt.Sprintf("%-14s %12d", "parameters", p.Parameters),
		fmt.Sprintf("%-14s %12s", "precision", p.Precision),
		fmt.Sprintf("%-14s %12s", "weights", gib(p.Weights)),
		fmt.Sprintf("%-14s %12s", "gradients", gib(p.Gradients)),
		fmt.Sprintf("%-14s %12s", "optimiser", gib(p.Optimizer)),
		fmt.Sprintf("%-14s %12s  the copy that checkpoints are written from", "snapshot", gib(p.Snapshot)),
		fmt.Sprintf("%-14s %12s  of %d tokens at once, %d predicted", "activations", gib(p.Activations), p.Tokens, p.Predicted),
		fmt.Sprintf("%-14s %12s  of %s left", "memory", gib(p.Total), left),
		fmt.Sprintf("%-14s %12s  on disk, each", "checkpoint", gib(p.Checkpoint)),
		fmt.Sprintf("%-14s %10.3g s  %.3g FLOP at %.0f %% of the measured %.3g GFLOP/s", "step", p.Seconds, p.FLOP, 100*planEfficiency, p.Roofline.FLOPS/1e9),
	}
}

func gib(n int64) string {
	if n < 1<<30 {
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
}
