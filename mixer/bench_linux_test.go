package mixer

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/shards"
)

// benchRoot lays down a data root with one source of about a million tokens.
func benchRoot(b *testing.B) string {
	b.Helper()
	dir := b.TempDir()
	w, err := ingest.NewWriter(dir, "wiki")
	if err != nil {
		b.Fatal(err)
	}
	draw := rand.New(rand.NewPCG(1, 2))
	for i := range 2500 {
		var text strings.Builder
		for range 1 + draw.IntN(40) {
			for range 1 + draw.IntN(38) {
				text.WriteString("wordwordword"[:1+draw.IntN(12)] + " ")
			}
			text.WriteString("end. ")
		}
		if err := w.Add(&ingest.Document{File: "dump", Record: int64(i), Text: text.String()}); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Commit(); err != nil {
		b.Fatal(err)
	}
	tokens := shards.Tokens{Name: "words", Digest: "words/1", NewEncoder: func() shards.Encoder { return lengths{} }}
	if _, err := shards.BuildWith(context.Background(), shards.Config{Data: dir}, tokens); err != nil {
		b.Fatal(err)
	}
	return dir
}

// processorTime is what the process has used, of all cores: wall time says little
// on a machine that others use too.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkOpenAndSeek measures the time from nothing to the samples of a late
// step.
func BenchmarkOpenAndSeek(b *testing.B) {
	dir := benchRoot(b)
	var tokens int64
	b.ResetTimer()
	for range b.N {
		m, err := Open(context.Background(), openOptions(dir, "wiki"))
		if err != nil {
			b.Fatal(err)
		}
		samples(b, m, 1_000_000, 0, 1)
		tokens = m.Tasks()[0].Census.Tokens
		if err := m.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkSamples measures mixing alone: 1,000 sources must cost little more a
// sample than 10.
func BenchmarkSamples(b *testing.B) {
	for _, sources := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(sources), func(b *testing.B) {
			all := map[string]*fake{}
			var mix Mix
			for i := range sources {
				name := fmt.Sprintf("s%d", i)
				all[name] = makeFake(name, madeDocuments(uint64(i), 40000/sources), 400)
				mix = append(mix, Component{Name: name, Weight: float64(1 + i%7)})
			}
			m := testMixer(b, Options{Mix: mix, BatchSize: 256, SeqLen: 128, ShuffleTokens: 1 << 20}, all)
			n := 0
			for k := range int64(20) {
				samples(b, m, k, 0, 1)
			}
			b.ResetTimer()
			began := processorTime(b)
			for k := range b.N {
				n += len(samples(b, m, int64(k), 0, 1))
			}
			b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/float64(n), "cpu-ns/sample")
		})
	}
}
