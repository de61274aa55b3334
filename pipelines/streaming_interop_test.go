//go:build interop && linux

package pipelines_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/pipelines"
	"github.com/tributary-ml/tributary/shards"
	"github.com/tributary-ml/tributary/tokenize"
)

const (
	seqLen    = 512
	batchSize = 64
)

// processorTime is what this process has used on all cores.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// run runs a program and returns what it wrote.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// makeRoot makes a data root with shards of books, real ones when TRIBUTARY_DATA
// is set, and returns it with the name of its tokenizer.
func makeRoot(t *testing.T) (root, tokenizer string) {
	t.Helper()
	dir := t.TempDir()
	root = filepath.Join(dir, "data")
	corpus := filepath.Join(dir, "corpus")
	run(t, "go", "build", "-o", corpus, "../cmd/corpus")
	if data := os.Getenv("TRIBUTARY_DATA"); data != "" {
		run(t, corpus, "ingest", filepath.Join(data, "books", "gutenberg"), "--source", "books", "--data", root, "--quiet")
		raw, err := os.ReadFile(filepath.Join(data, "tokenizers", "bert-base-uncased", "tokenizer.json"))
		if err != nil {
			t.Fatal(err)
		}
		at := filepath.Join(root, "tokenizers", "wp")
		if err := os.MkdirAll(at, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(at, "tokenizer.json"), raw, 0o666); err != nil {
			t.Fatal(err)
		}
	} else {
		run(t, corpus, "sample", filepath.Join(dir, "sample"), "--scale", "2", "--quiet")
		run(t, corpus, "ingest", filepath.Join(dir, "sample", "wiki.xml.bz2"), "--source", "books", "--data", root, "--quiet")
		run(t, corpus, "tokenizer", "train", "--type", "wordpiece", "--vocab-size", "8000", "--name", "wp", "--data", root, "--quiet")
	}
	run(t, corpus, "shard", "--tokenizer", "wp", "--data", root, "--quiet")
	return root, "wp"
}

// export writes the tokens of the shards for the other loaders.
func export(t *testing.T, root, tokenizer, dir string, v *tokenize.Tokenizer) {
	t.Helper()
	set, err := shards.Open(context.Background(), root, "books", tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	var tokens, bounds []byte
	end := uint64(0)
	bounds = binary.LittleEndian.AppendUint64(bounds, 0)
	var b shards.Block
	for i := range set.Blocks() {
		if err := set.ReadBlock(context.Background(), i, &b); err != nil {
			t.Fatal(err)
		}
		for d := range b.IDs {
			for _, token := range b.Tokens[b.DocBounds[d]:b.DocBounds[d+1]] {
				tokens = binary.LittleEndian.AppendUint32(tokens, uint32(token))
				end++
			}
			bounds = binary.LittleEndian.AppendUint64(bounds, end)
		}
	}
	args, err := json.Marshal(map[string]any{
		"seq_len": seqLen, "batch": batchSize, "sep": v.Specials().Sep, "vocab": v.VocabSize(),
		"tokenizer": filepath.Join(root, "tokenizers", tokenizer, "tokenizer.json"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tokens.bin": tokens, "bounds.bin": bounds, "args.json": args} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// ours opens a stream as a program would that is told to use one core and little
// memory, so that every pass reads the shards anew.
type ours struct {
	root, tokenizer string
	vocabulary      *tokenize.Tokenizer
}

func (o ours) open(t *testing.T, objective string, memory int64, stages ...mixer.Stage) (*masking.Stream, *mixer.Mixer) {
	t.Helper()
	made, err := masking.NewObjective(objective, o.vocabulary, masking.Options{Seed: 1, SeqLen: seqLen})
	if err != nil {
		t.Fatal(err)
	}
	m, err := mixer.Open(context.Background(), mixer.Options{
		Data: o.root, Tokenizer: o.tokenizer, Mix: mixer.Mix{{Name: "books", Weight: 1}}, Stages: stages, Seed: 1, SeqLen: made.SeqLen(), BatchSize: batchSize,
		Layout: made.Layout(), VocabSize: o.vocabulary.VocabSize(), MemoryBytes: memory, Jobs: runtime.GOMAXPROCS(0),
	})
	if err != nil {
		t.Fatal(err)
	}
	s, err := masking.NewStream(m, made, 0)
	if err != nil {
		t.Fatal(err)
	}
	return s, m
}

func batch(t *testing.T, s *masking.Stream, step int64) *masking.Batch {
	t.Helper()
	b, err := s.Batch(context.Background(), step, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// little is memory for one group of blocks, so that every pass reads the shards
// anew, and much for all of them: collators are given text in memory.
const little, much = 24 << 20, 1 << 30

// rate returns tokens a processor second over two passes.
func (o ours) rate(t *testing.T, objective string, memory int64) float64 {
	t.Helper()
	s, m := o.open(t, objective, memory)
	defer s.Close()
	defer m.Close()
	steps := max(2*m.Tasks()[0].Census.Windows/batchSize, 2)
	if batch(t, s, 0).Release(); memory == much {
		for step := range steps {
			batch(t, s, step).Release()
		}
	}
	tokens, began := 0, processorTime(t)
	for step := int64(1); step <= steps; step++ {
		b := batch(t, s, step)
		tokens += len(b.Tokens)
		b.Release()
	}
	return float64(tokens) / (processorTime(t) - began).Seconds()
}

// first returns the milliseconds from nothing to the batch of a step: the best of
// five.
func (o ours) first(t *testing.T, step int64, stages ...mixer.Stage) float64 {
	t.Helper()
	best := time.Hour
	for range 5 {
		began := time.Now()
		s, m := o.open(t, "gpt", much, stages...)
		batch(t, s, step)
		best = min(best, time.Since(began))
		s.Close()
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return float64(best.Microseconds()) / 1000
}

type loader struct {
	TokensPerSecond float64 `json:"tokens_per_second"`
	First           float64 `json:"first_ms"`
	Resume          float64 `json:"resume_ms"`
}

// TestStreamingSpeed measures this project's stream and the others in one run.
func TestStreamingSpeed(t *testing.T) {
	if os.Getenv("TRIBUTARY_SPEED") == "" {
		t.Log("TRIBUTARY_SPEED is not set: nothing is timed")
		return
	}
	python := run(t, "../interop/streaming/python.sh")
	root, tokenizer := makeRoot(t)
	v, err := pipelines.OpenTokenizer(root, tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	o := ours{root, tokenizer, v}
	dir := t.TempDir()
	export(t, root, tokenizer, dir, v)

	jobs := runtime.GOMAXPROCS(1)
	objectives := []string{"gpt", "bert", "roberta", "spanbert", "xlnet"}
	rates := map[string][]float64{}
	for range 3 {
		for _, objective := range objectives {
			rates[objective] = append(rates[objective], o.rate(t, objective, little))
			rates[objective+" in memory"] = append(rates[objective+" in memory"], o.rate(t, objective, much))
		}
	}
	median := func(objective string) float64 {
		slices.Sort(rates[objective])
		return rates[objective][1]
	}
	runtime.GOMAXPROCS(jobs)
	debug.FreeOSMemory()
	start, resume := o.first(t, 0), o.first(t, 1_000_000)
	changed := o.first(t, 1_000_000, mixer.Stage{From: 999_999, Mix: mixer.Mix{{Name: "books", Weight: 3}}})

	var peers struct {
		Streaming loader             `json:"mosaicml-streaming"`
		Datasets  loader             `json:"datasets"`
		Megatron  loader             `json:"megatron-core"`
		Collators map[string]float64 `json:"collators"`
	}
	if err := json.Unmarshal([]byte(run(t, python, "../interop/streaming/peers.py", dir)), &peers); err != nil {
		t.Fatal(err)
	}
	best := max(peers.Streaming.TokensPerSecond, peers.Datasets.TokensPerSecond, peers.Megatron.TokensPerSecond)
	var table strings.Builder
	million := func(x float64) string { return fmt.Sprintf("%.2f M", x/1e6) }
	fmt.Fprintf(&table, "packed next-token batches from memory, tokens/cpu-s: ours %s\n", million(median("gpt in memory")))
	fmt.Fprintf(&table, "packed next-token batches, tokens/cpu-s: ours %s, mosaicml-streaming %s, datasets %s, megatron-core %s: %.1f x the best\n",
		million(median("gpt")), million(peers.Streaming.TokensPerSecond), million(peers.Datasets.TokensPerSecond), million(peers.Megatron.TokensPerSecond), median("gpt")/best)
	for _, c := range []struct{ objective, collator string }{{"bert", "mlm"}, {"roberta", "mlm"}, {"spanbert", "whole word"}, {"xlnet", "permutation"}} {
		memory := median(c.objective + " in memory")
		fmt.Fprintf(&table, "%s, tokens/cpu-s: ours %s from shards, %s from memory, collator %s %s from memory: %.1f x\n", c.objective,
			million(median(c.objective)), million(memory), c.collator, million(peers.Collators[c.collator]), memory/peers.Collators[c.collator])
	}
	fmt.Fprintf(&table, "first batch, ms: ours %.1f, mosaicml-streaming %.1f, datasets %.1f, megatron-core %.1f\n", start, peers.Streaming.First, peers.Datasets.First, peers.Megatron.First)
	fmt.Fprintf(&table, "resume, ms: ours (at step 1,000,000) %.1f, mosaicml-streaming %.1f, datasets %.1f, megatron-core %.1f (in mid-epoch)\n", resume, peers.Streaming.Resume, peers.Datasets.Resume, peers.Megatron.Resume)
	fmt.Fprintf(&table, "after a change of weights, ms: ours %.1f\n", changed)
	t.Log("\n" + table.String())
	if median("gpt") < best {
		t.Errorf("packed batches are slower than those of the best loader")
	}
}
