//go:build interop && linux

package pipelines_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

// blocks is shards in memory.
type blocks []shards.Block

func (b blocks) Blocks() int { return len(b) }

func (b blocks) ReadBlock(_ context.Context, i int, out *shards.Block) error {
	*out = b[i]
	return nil
}

// makeBlocks makes n blocks of documents of 1000 tokens.
func makeBlocks(source, n, documents int) blocks {
	all := make(blocks, n)
	for i := range all {
		b := &all[i]
		b.DocBounds, b.SentenceBounds = []int32{0}, []int32{0}
		for d := range documents {
			b.IDs = append(b.IDs, fmt.Sprint(source, "-", i, "-", d))
			for j := range 1000 {
				b.Tokens = append(b.Tokens, int32(5+j%900))
			}
			for end := int32(25); end <= 1000; end += 25 {
				b.SentenceEnds = append(b.SentenceEnds, end)
			}
			b.DocBounds = append(b.DocBounds, int32(len(b.Tokens)))
			b.SentenceBounds = append(b.SentenceBounds, int32(len(b.SentenceEnds)))
			b.Keep = append(b.Keep, true)
		}
	}
	return all
}

type vocabulary struct{}

func (vocabulary) VocabSize() int { return 1000 }
func (vocabulary) Specials() tokenize.Specials {
	return tokenize.Specials{Pad: 0, Unk: 1, Cls: 2, Sep: 3, Mask: 4, Bos: -1, Eos: -1}
}
func (vocabulary) IsSpecial(id int32) bool { return id < 5 }
func (vocabulary) Continues(int32) bool    { return false }

// TestManySources measures the time per sample of 10 and of 1,000 sources with as
// many tokens in all, and the memory that an open mix takes before it reads.
func TestManySources(t *testing.T) {
	if os.Getenv("TRIBUTARY_SPEED") == "" {
		t.Log("TRIBUTARY_SPEED is not set: nothing is timed")
		return
	}
	runtime.GOMAXPROCS(1)
	defer runtime.GOMAXPROCS(runtime.NumCPU())
	per := map[string]map[int]float64{"gpt": {}, "bert": {}}
	for _, objective := range []string{"gpt", "bert"} {
		for range 3 {
			for _, n := range []int{10, 1000} {
				var mix mixer.Mix
				var sources []mixer.Source
				for i := range n {
					name := fmt.Sprint("s", i)
					mix = append(mix, mixer.Component{Name: name, Weight: float64(1 + i%7)})
					made := makeBlocks(i, 4, 500)
					if n == 1000 {
						made = makeBlocks(i, 1, 20)
					}
					sources = append(sources, mixer.Source{Name: name, Blocks: made})
				}
				o, err := masking.NewObjective(objective, vocabulary{}, masking.Options{SeqLen: seqLen})
				if err != nil {
					t.Fatal(err)
				}
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				m, err := mixer.New(context.Background(), mixer.Options{Mix: mix, SeqLen: seqLen, BatchSize: batchSize, Layout: o.Layout(), Jobs: 1}, sources)
				if err != nil {
					t.Fatal(err)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				s, err := masking.NewStream(m, o, 0)
				if err != nil {
					t.Fatal(err)
				}
				const steps = 300
				for step := range int64(steps) {
					batch(t, s, step).Release()
				}
				began := processorTime(t)
				for step := range int64(steps) {
					batch(t, s, step).Release()
				}
				took := float64((processorTime(t) - began).Nanoseconds()) / (steps * batchSize)
				if best, ok := per[objective][n]; !ok || took < best {
					per[objective][n] = took
				}
				t.Logf("%s, %d sources: %.0f cpu-ns a sample, %d bytes of state a source", objective, n, took, int64(after.HeapAlloc-before.HeapAlloc)/int64(n))
				s.Close()
			}
		}
		t.Logf("%s: 1,000 sources take %.2f times what 10 take", objective, per[objective][1000]/per[objective][10])
	}
}
