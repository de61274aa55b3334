//go:build unix

package kernel

import (
	"fmt"
	"syscall"
	"testing"
	"time"
)

// cpuTime measures the processor time of a benchmark, which other work on the
// machine disturbs less than the clock.
type cpuTime struct {
	b     *testing.B
	start time.Duration
}

func startCPU(b *testing.B) cpuTime { return cpuTime{b, usedCPU(b)} }

func usedCPU(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report says how many floating-point operations a second of a processor does,
// one round taking flop of them.
func (c cpuTime) report(flop float64) {
	used := usedCPU(c.b) - c.start
	c.b.ReportMetric(flop*float64(c.b.N)/used.Seconds()/1e9, "GFLOP/cpu-s")
}

// BenchmarkPeak runs a micro-kernel on operands in the first-level cache: what a
// core can do at most.
func BenchmarkPeak(b *testing.B) {
	for _, set := range sets() {
		b.Run(set.String(), func(b *testing.B) {
			o := opsOf(set)
			const k = 128
			t := &tile{
				a: make([]float32, o.mr*k), ars: k, acs: 1, b: make([]float32, k*o.nr), ldb: o.nr,
				c: make([]float32, o.mr*o.nr), ldc: o.nr, rows: o.mr, cols: o.nr, k: k, add: true,
			}
			used := startCPU(b)
			for b.Loop() {
				o.block(t)
			}
			used.report(2 * float64(k*o.mr*o.nr))
		})
	}
}

func BenchmarkGemm(b *testing.B) {
	for _, set := range sets() {
		for _, s := range []struct {
			form    Form
			m, n, k int
		}{{NT, 4096, 1024, 256}, {NN, 4096, 256, 1024}, {TN, 1024, 256, 4096}, {NT, 1024, 3072, 768}, {NT, 30522, 192, 256}} {
			b.Run(fmt.Sprintf("%v/%v/%dx%dx%d", set, [...]string{"NN", "NT", "TN"}[s.form], s.m, s.n, s.k), func(b *testing.B) {
				p := pool(b, 1, set)
				ca, cb := s.k, s.n
				if s.form == NT {
					cb = s.k
				}
				if s.form == TN {
					ca = s.m
				}
				x, y, z := make([]float32, s.m*s.k), make([]float32, s.k*s.n), make([]float32, s.m*s.n)
				used := startCPU(b)
				for b.Loop() {
					Gemm(p, GemmArgs{Form: s.form, M: s.m, N: s.n, K: s.k, A: Mat{x, ca}, B: [3]Mat{{y, cb}}, C: Mat{z, s.n}})
				}
				used.report(2 * float64(s.m) * float64(s.n) * float64(s.k))
			})
		}
	}
}
