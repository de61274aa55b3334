//go:build linux

package kernel

import (
	"fmt"
	"math"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// bestRound runs f until the benchmark ends and reports how many floating-point
// operations a second of a processor does in the quickest round, one taking flop
// of them. It is the processor's time and not the clock's, and the least and not
// the mean, so that other work on the machine disturbs it little.
func bestRound(b *testing.B, flop float64, f func()) {
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		start := usedCPU(b)
		f()
		best = min(best, usedCPU(b)-start)
	}
	b.ReportMetric(flop/best.Seconds()/1e9, "GFLOP/cpu-s")
}

func usedCPU(b *testing.B) time.Duration {
	var u unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Nano())
}

// BenchmarkPeak runs a micro-kernel on operands in the first-level cache: what a
// core can do at most, with bf16 if the set multiplies that.
func BenchmarkPeak(b *testing.B) {
	for _, set := range sets() {
		b.Run(set.String(), func(b *testing.B) {
			o := opsOf(set)
			run, flop := peakTile(o, BF16)
			const rounds = 20000
			bestRound(b, rounds*flop, func() {
				for range rounds {
					run()
				}
			})
		})
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, set := range sets() {
		for _, s := range []struct {
			form    Form
			m, n, k int
		}{
			{NT, 4096, 1024, 256}, {NN, 4096, 256, 1024}, {TN, 1024, 256, 4096}, {NT, 4096, 256, 1024},
			{NT, 1024, 3072, 768}, {NN, 1024, 768, 3072}, {TN, 3072, 768, 1024}, {NT, 1024, 768, 768},
			{NT, 30522, 192, 256},
		} {
			b.Run(fmt.Sprintf("%v/%v/%dx%dx%d", set, [...]string{"NN", "NT", "TN"}[s.form], s.m, s.n, s.k), func(b *testing.B) {
				p := pool(b, 1, set)
				ca, cb := s.k, s.n
				if s.form == NT {
					cb = s.k
				}
				if s.form == TN {
					ca = s.m
				}
				x, y, z := Floats(s.m*s.k), Floats(s.k*s.n), Floats(s.m*s.n)
				bestRound(b, 2*float64(s.m)*float64(s.n)*float64(s.k), func() {
					Gemm(p, GemmArgs{Form: s.form, M: s.m, N: s.n, K: s.k, A: Mat{x, ca}, B: [3]Mat{{y, cb}}, C: Mat{z, s.n}})
				})
			})
		}
	}
}
