package masking

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
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

// The digest of a range must be one value, however many goroutines read, however
// many batches are built ahead, however the steps are cut into ranks and however
// often the run stops and changes all of these.
func TestOneDigestForAnyWorkersRanksAndStops(t *testing.T) {
	const steps = 16
	sources := bookish()
	for _, objective := range Objectives() {
		t.Run(objective, func(t *testing.T) {
			s := setting{objective: objective, batchSize: 14, jobs: 1, sources: sources, weights: map[string]float64{"books": 0.3, "wiki": 0.7}, options: Options{Seed: 8}}
			var want Digest
			stream := s.open(t, 0)
			for step := range int64(steps) {
				want.Add(batch(t, stream, step, 0, 1).Digest())
			}
			check := func(t *rapid.T, s setting) {
				var got Digest
				for step := int64(0); step < steps; {
					// From here to the next stop one process runs with what it was given.
					s.jobs = rapid.SampledFrom([]int{1, 2, 3, 8}).Draw(t, "jobs")
					ranks := rapid.SampledFrom([]int{1, 2, 4, 7}).Draw(t, "ranks")
					stop := rapid.Int64Range(step+1, steps).Draw(t, "stop")
					ahead := rapid.IntRange(0, 5).Draw(t, "ahead")
					for rank := range ranks {
						stream := s.openOr(t.Fatalf, ahead)
						for at := step; at < stop; at++ {
							b, err := stream.Batch(context.Background(), at, rank, ranks)
							if err != nil {
								t.Fatal(err)
							}
							got.Add(b.Digest())
						}
						stream.Close()
					}
					step = stop
				}
				if got != want {
					t.Fatalf("digest %v, want %v", got, want)
				}
			}
			if objective == "bert" {
				rapid.Check(t, func(t *rapid.T) { check(t, s) })
				return
			}
			// The objectives share all that workers, ranks and stops could touch, so
			// that a few histories do for the others.
			for seed := range 4 {
				rapid.Custom(func(t *rapid.T) bool { check(t, s); return true }).Example(seed)
			}
		})
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
