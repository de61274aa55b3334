package masking

import (
	"context"
	"testing"
)

// BenchmarkBatches measures mixing and masking together, on one goroutine:
// tokens/s is what one core delivers to a trainer.
func BenchmarkBatches(b *testing.B) {
	sources := map[string]source{
		"books": makeSource("books", 1, 40, 4, 400, 40),
		"wiki":  makeSource("wiki", 2, 1000, 100, 40, 40),
	}
	for _, objective := range Objectives() {
		b.Run(objective, func(b *testing.B) {
			s := setting{objective: objective, batchSize: 256, sources: sources, options: Options{SeqLen: 128}, jobs: 1}
			stream := s.open(b, 0)
			batch(b, stream, 0, 0, 1)
			tokens := 0
			b.ResetTimer()
			for i := range b.N {
				p, err := stream.Batch(context.Background(), int64(i), 0, 1)
				if err != nil {
					b.Fatal(err)
				}
				tokens += len(p.Tokens)
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds(), "tokens/s")
		})
	}
}

func BenchmarkDigest(b *testing.B) {
	s := setting{objective: "bert", batchSize: 256, sources: map[string]source{"wiki": makeSource("wiki", 2, 1000, 100, 40, 40)}, options: Options{SeqLen: 128}}
	p := batch(b, s.open(b, 0), 0, 0, 1)
	for range b.N {
		p.Digest()
	}
	b.ReportMetric(float64(len(p.Tokens)*b.N)/b.Elapsed().Seconds(), "tokens/s")
}
