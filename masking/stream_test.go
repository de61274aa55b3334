package masking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer"
)

func bookish() map[string]source {
	return map[string]source{
		"books": makeSource("books", 1, 30, 4, 60, 20),
		"wiki":  makeSource("wiki", 2, 200, 25, 15, 25),
	}
}

// everyObjective returns the settings of all named objectives, those with labels
// included, and of one point of the grid for each transform, representation and output
// that batches are built for, over small sources whose weights change at step 6.
func everyObjective(t *testing.T) (named, grid []setting) {
	sources := map[string]source{
		"books": makeSource("books", 1, 10, 3, 20, 20),
		"wiki":  makeSource("wiki", 2, 60, 12, 10, 20),
	}
	known := labels{}
	frequencies := &Frequencies{Tokens: make([]int64, 1000), Documents: make([]int64, 1000), Count: 70}
	for _, source := range sources {
		for doc, tokens := range source.documents() {
			l := Label{Class: int32(len(tokens) % 3), Value: float64(len(tokens)), Split: int32(1 + len(tokens)/3)}
			for i, token := range tokens {
				l.Tags = append(l.Tags, int32(i%4)-1)
				frequencies.Tokens[token]++
				frequencies.Documents[token] = 1 + int64(token)%60
			}
			known[doc] = l
		}
	}
	base := setting{batchSize: 14, jobs: 1, sources: sources, weights: map[string]float64{"books": 0.3, "wiki": 0.7}, options: Options{Seed: 8, Labels: known, Frequencies: frequencies},
		stages: []mixer.Stage{{From: 6, Mix: mixer.Mix{{Name: "wiki", Weight: 1}, {Name: "books", Weight: 2}}}}}
	for _, base.objective = range slices.Concat(Objectives(), LabelledObjectives()) {
		named = append(named, base)
	}
	for p := range Points() {
		if p.Data == "task" && p.check() == nil {
			base.objective = p.String()
			grid = append(grid, base)
		}
	}
	if len(grid) != 4*(4*4)+4*5 {
		t.Fatalf("%d points", len(grid))
	}
	return named, grid
}

// The digest of a range must be one value, however many goroutines read, however
// many batches are built ahead, however the steps are cut into ranks and however
// often the run stops and changes all of these.
func TestOneDigestForAnyWorkersRanksAndStops(t *testing.T) {
	const steps = 10
	reference := func(s setting) (want Digest) {
		stream := s.open(t, 0)
		for step := range int64(steps) {
			want.Add(batch(t, stream, step, 0, 1).Digest())
		}
		return want
	}
	check := func(t *rapid.T, s setting, want Digest) {
		var got Digest
		for step := int64(0); step < steps; {
			// From here to the next stop one process runs with what it was given.
			s.jobs = rapid.SampledFrom([]int{1, 2, 3, 8}).Draw(t, "jobs")
			ranks := rapid.SampledFrom([]int{1, 2, 4, 7}).Draw(t, "ranks")
			stop := rapid.Int64Range(step+1, steps).Draw(t, "stop")
			ahead := rapid.IntRange(0, 5).Draw(t, "ahead")
			// The ranks are processes of their own, or take turns at one stream.
			apart := s.objective == "bert" || rapid.IntRange(0, 3).Draw(t, "apart") == 0
			streams := []*Stream{s.openOr(t.Fatalf, ahead)}
			for apart && len(streams) < ranks {
				streams = append(streams, s.openOr(t.Fatalf, ahead))
			}
			for rank := range ranks {
				stream := streams[rank%len(streams)]
				for at := step; at < stop; at++ {
					b, err := stream.Batch(context.Background(), at, rank, ranks)
					if err != nil {
						t.Fatal(err)
					}
					got.Add(b.Digest())
				}
			}
			for _, stream := range streams {
				stream.Close()
			}
			step = stop
		}
		if got != want {
			t.Fatalf("digest %v, want %v", got, want)
		}
	}
	named, grid := everyObjective(t)
	for _, s := range named {
		t.Run(s.objective, func(t *testing.T) { // a hundred histories each
			want := reference(s)
			rapid.Check(t, func(t *rapid.T) { check(t, s, want) })
		})
	}
	// The points of the grid share all that workers, ranks and stops could touch.
	for _, s := range grid {
		want := reference(s)
		for seed := range 2 {
			rapid.Custom(func(t *rapid.T) bool { check(t, s, want); return true }).Example(seed)
		}
	}
}

// The parts of the ranks, end to end, are the step: not only by digest.
func TestRanksPartsAreTheStep(t *testing.T) {
	s := setting{objective: "bert", batchSize: 14, sources: bookish()}
	stream := s.open(t, 0)
	whole := batch(t, stream, 3, 0, 1)
	for _, ranks := range []int{1, 2, 4, 7, 14, 20} {
		at, sequences := 0, 0
		for rank := range ranks {
			part := batch(t, stream, 3, rank, ranks)
			for i := range part.Sequences() {
				if !reflect.DeepEqual(original(part, i), original(whole, sequences+i)) || part.PairLabels[i] != whole.PairLabels[sequences+i] ||
					!reflect.DeepEqual(part.Origins[i], whole.Origins[sequences+i]) {
					t.Fatalf("%d ranks: sequence %d differs", ranks, sequences+i)
				}
			}
			sequences += part.Sequences()
			at += len(part.Tokens)
		}
		if sequences != whole.Sequences() || at != len(whole.Tokens) {
			t.Fatalf("%d ranks have %d of %d sequences", ranks, sequences, whole.Sequences())
		}
	}
}

func TestADigestSeesEverything(t *testing.T) {
	fresh := func() *Batch {
		return &Batch{Step: 3, Tokens: []int32{2, 7, 3, 2, 8, 9, 3}, Segments: make([]uint8, 7), SeqBounds: []int32{0, 3, 7}, Ranks: make([]int32, 7),
			Predict: []int32{1, 4}, Labels: []int32{7, 5}, PairLabels: []int32{0, 1}, Origins: []Origin{{Index: 10}, {Index: 11}}}
	}
	want := fresh().Digest()
	if fresh().Digest() != want {
		t.Fatal("one batch has two digests")
	}
	for i, change := range []func(*Batch){
		func(b *Batch) { b.Step++ }, func(b *Batch) { b.Tokens[5]++ }, func(b *Batch) { b.Segments[1]++ }, func(b *Batch) { b.SeqBounds[1]++ },
		func(b *Batch) { b.Ranks[2]++ }, func(b *Batch) { b.Ranks = nil }, func(b *Batch) { b.Predict[1]++ }, func(b *Batch) { b.Predict[0] = 2 }, func(b *Batch) { b.Labels[1]++ },
		func(b *Batch) { b.PairLabels[0]++ }, func(b *Batch) { b.PairLabels = nil }, func(b *Batch) { b.Origins[1].Index++ },
		func(b *Batch) { b.Predict, b.Labels = b.Predict[:1], b.Labels[:1] },
	} {
		b := fresh()
		change(b)
		if b.Digest() == want {
			t.Errorf("change %d leaves the digest as it was", i)
		}
	}
	if len(want.String()) != 64 || (Digest{1}).String() != strings.Repeat("0", 63)+"1" {
		t.Errorf("a digest is written %s, and one %s", want, Digest{1})
	}
}

func TestAStreamFollowsItsReader(t *testing.T) {
	s := setting{objective: "bert", batchSize: 8, sources: bookish()}
	plain, ahead := s.open(t, 0), s.open(t, 3)
	draw := rand.New(rand.NewPCG(1, 2))
	step := int64(0)
	for range 200 {
		switch draw.IntN(10) {
		case 0:
			step = draw.Int64N(1_000_000)
		case 1: // the same again
		default:
			step++
		}
		ranks := 1 + draw.IntN(2)*draw.IntN(2)
		rank := draw.IntN(ranks)
		if batch(t, ahead, step, rank, ranks).Digest() != batch(t, plain, step, rank, ranks).Digest() {
			t.Fatalf("step %d, rank %d of %d differs when built ahead", step, rank, ranks)
		}
	}
	if m := ahead.Meter(); m.Batches != 200 || m.Ready > 200 {
		t.Errorf("meter %+v after 200 batches", m)
	}
}

func TestAStreamBuildsAhead(t *testing.T) {
	stream := setting{objective: "bert", batchSize: 8, sources: bookish()}.open(t, 2)
	batch(t, stream, 0, 0, 1)
	deadline := time.Now().Add(10 * time.Second)
	for {
		stream.mu.Lock()
		n := len(stream.pending)
		ready := 0
		for _, p := range stream.pending {
			select {
			case <-p.done:
				ready++
			default:
			}
		}
		stream.mu.Unlock()
		if n != 2 {
			t.Fatalf("%d batches are built ahead, want 2", n)
		}
		if ready == 2 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the batches ahead are never ready")
		}
		time.Sleep(time.Millisecond)
	}
	batch(t, stream, 1, 0, 1)
	if m := stream.Meter(); m.Ready < 1 {
		t.Errorf("meter %+v, want a batch that was ready", m)
	}
}

func TestStreamErrors(t *testing.T) {
	stream := setting{objective: "bert", batchSize: 8, sources: bookish()}.open(t, 2)
	if _, err := stream.Batch(context.Background(), -1, 0, 1); err == nil {
		t.Error("step -1 was taken")
	}
	if _, err := stream.Batch(context.Background(), 0, 2, 2); err == nil {
		t.Error("rank 2 of 2 was taken")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	other := setting{objective: "bert", batchSize: 8, sources: bookish()}.open(t, 0)
	if _, err := other.Batch(ctx, 0, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	stream.Close()
	if _, err := stream.Batch(context.Background(), 0, 0, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed stream gives %v", err)
	}
	o, err := NewObjective("roberta", testVocabulary(), Options{SeqLen: 64})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewStream(stream.Mixer(), o, 0); err == nil || !strings.Contains(err.Error(), "layout") {
		t.Errorf("roberta over pairs gives %v", err)
	}
	if o, err = NewObjective("bert", testVocabulary(), Options{SeqLen: 32}); err != nil {
		t.Fatal(err)
	}
	if _, err := NewStream(stream.Mixer(), o, 0); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("another sequence length gives %v", err)
	}
}

func ExampleStream_Batch() {
	o, err := NewObjective("bert", testVocabulary(), Options{Seed: 1, SeqLen: 32})
	if err != nil {
		fmt.Println(err)
		return
	}
	mix, err := mixer.ParseMix("books:0.3,wiki:0.7")
	if err != nil {
		fmt.Println(err)
		return
	}
	sources := bookish()
	m, err := mixer.New(context.Background(), mixer.Options{Mix: mix, Seed: 1, SeqLen: 32, BatchSize: 8, Layout: o.Layout()},
		[]mixer.Source{{Name: "books", Blocks: sources["books"]}, {Name: "wiki", Blocks: sources["wiki"]}})
	if err != nil {
		fmt.Println(err)
		return
	}
	s, err := NewStream(m, o, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()

	// Step 1,000,000 needs no step before it, and two ranks' parts make it up.
	whole, _ := s.Batch(context.Background(), 1_000_000, 0, 1)
	first, _ := s.Batch(context.Background(), 1_000_000, 0, 2)
	second, _ := s.Batch(context.Background(), 1_000_000, 1, 2)
	sum := first.Digest()
	sum.Add(second.Digest())
	fmt.Println(whole.Sequences(), first.Sequences(), second.Sequences(), sum == whole.Digest())
	// Output: 8 4 4 true
}
