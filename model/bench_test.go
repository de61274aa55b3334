//go:build linux

package model

import (
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
)

// BenchmarkStep runs whole training steps with the published vocabularies: BERT on
// sequences of 128 tokens of which one in seven is predicted, with the pair head,
// and GPT-2 on sequences of 256 of which every token is: zeroing, forward, backward,
// the norm and AdamW.
func BenchmarkStep(b *testing.B) {
	for _, x := range []struct {
		name                     string
		vocab, sequences, length int
	}{{"bert-tiny", 30522, 32, 128}, {"bert-mini", 30522, 32, 128}, {"bert-base", 30522, 8, 128}, {"gpt2", 50257, 4, 256}} {
		for _, drop := range []float64{0, 0.1} {
			for _, jobs := range []int{1, 2} {
				if jobs > runtime.NumCPU() {
					continue
				}
				b.Run(fmt.Sprintf("%s/dropout=%v/jobs=%d", x.name, drop, jobs), func(b *testing.B) {
					c, err := Preset(x.name, x.vocab)
					if err != nil {
						b.Fatal(err)
					}
					c.HiddenDropoutProb, c.AttentionProbsDropoutProb = drop, drop
					lengths := make([]int, x.sequences)
					for i := range lengths {
						lengths[i] = x.length
					}
					benchmarkSteps(b, newModel(b, c, jobs), randomBatch(c, 1, lengths...))
				})
			}
		}
	}
}

func benchmarkSteps(b *testing.B, m *Model, batch *masking.Batch) {
	batch.Predict, batch.Labels = batch.Predict[:0], batch.Labels[:0]
	first, every := 3, 7
	if m.config.ModelType == "gpt2" {
		first, every = 0, 1
		batch.Ranks = nil
		for i := range batch.Sequences() {
			for j := range batch.SeqBounds[i+1] - batch.SeqBounds[i] {
				batch.Ranks = append(batch.Ranks, j)
			}
		}
	}
	for i := first; i < len(batch.Tokens); i += every {
		batch.Predict = append(batch.Predict, int32(i))
		batch.Labels = append(batch.Labels, int32(i*37%m.config.VocabSize))
	}
	var moments, squares [][]float32
	for _, p := range m.Params() {
		moments, squares = append(moments, kernel.Floats(len(p.Data))), append(squares, kernel.Floats(len(p.Data)))
	}
	key := counter.NewKey(1, "benchmark")
	step := func(n int) {
		m.ZeroGrad()
		s := Scales{Token: 1 / float32(len(batch.Labels)), Pair: 1 / float32(batch.Sequences())}
		if _, err := m.Gradients(batch, s, key.Sub(uint64(n))); err != nil {
			b.Fatal(err)
		}
		var square float64
		for _, p := range m.Params() {
			square += kernel.SumSquares(m.Pool(), p.Grad)
		}
		o := kernel.AdamWStep{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-6, Decay: 0.01, GradScale: min(1, 1/square)}
		for i, p := range m.Params() {
			kernel.AdamW(m.Pool(), p.Data, p.Grad, moments[i], squares[i], o)
		}
	}
	step(0)
	step(1)
	b.ReportAllocs()
	best := time.Duration(math.MaxInt64)
	n := 0
	for b.Loop() {
		n++
		start := usedCPU(b)
		step(n)
		best = min(best, usedCPU(b)-start)
	}
	b.ReportMetric(float64(len(batch.Tokens)*b.N)/b.Elapsed().Seconds(), "tokens/s")
	// The quickest step, in processor time: what other work on the machine disturbs
	// least.
	b.ReportMetric(float64(len(batch.Tokens))/best.Seconds(), "tokens/cpu-s")
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(u.Maxrss)/1024, "peak-MiB")
}

// usedCPU returns the processor time used.
func usedCPU(b *testing.B) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}
