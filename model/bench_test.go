//go:build unix

package model

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/model/kernel"
)

// BenchmarkStep runs whole training steps of BERT with dropout and the
// published vocabulary, on sequences of 128 tokens of which 15 % are predicted:
// zeroing, forward, backward, the norm and AdamW.
func BenchmarkStep(b *testing.B) {
	for _, x := range []struct {
		name      string
		sequences int
	}{{"bert-tiny", 32}, {"bert-mini", 32}, {"bert-base", 8}} {
		for _, jobs := range []int{1, 2} {
			if jobs > runtime.NumCPU() {
				continue
			}
			b.Run(fmt.Sprintf("%s/jobs=%d", x.name, jobs), func(b *testing.B) {
				c, err := Preset(x.name, 30522)
				if err != nil {
					b.Fatal(err)
				}
				m := newModel(b, c, jobs)
				lengths := make([]int, x.sequences)
				for i := range lengths {
					lengths[i] = 128
				}
				batch := randomBatch(c, 1, lengths...)
				batch.Predict, batch.Labels = batch.Predict[:0], batch.Labels[:0]
				for i := 3; i < len(batch.Tokens); i += 7 {
					batch.Predict = append(batch.Predict, int32(i))
					batch.Labels = append(batch.Labels, int32(i*37%c.VocabSize))
				}
				var first, second [][]float32
				for _, p := range m.Params() {
					first, second = append(first, make([]float32, len(p.Data))), append(second, make([]float32, len(p.Data)))
				}
				key := counter.NewKey(1, "benchmark")
				step := func(n int) {
					m.ZeroGrad()
					s := Scales{Token: 1 / float32(len(batch.Labels)), Pair: 1 / float32(x.sequences)}
					if _, err := m.Gradients(batch, s, key.Sub(uint64(n))); err != nil {
						b.Fatal(err)
					}
					var square float64
					for _, p := range m.Params() {
						square += kernel.SumSquares(m.Pool(), p.Grad)
					}
					o := kernel.AdamWStep{LR: 1e-4, Beta1: 0.9, Beta2: 0.999, Eps: 1e-6, Decay: 0.01, GradScale: min(1, 1/square)}
					for i, p := range m.Params() {
						kernel.AdamW(m.Pool(), p.Data, p.Grad, first[i], second[i], o)
					}
				}
				step(0)
				step(1)
				b.ReportAllocs()
				n := 0
				start := usedCPU(b)
				for b.Loop() {
					n++
					step(n)
				}
				b.ReportMetric(float64(len(batch.Tokens)*b.N)/b.Elapsed().Seconds(), "tokens/s")
				b.ReportMetric(float64(len(batch.Tokens)*b.N)/(usedCPU(b)-start).Seconds(), "tokens/cpu-s")
			})
		}
	}
}

// usedCPU returns the processor time used, which other work on the machine
// disturbs less than the clock.
func usedCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
