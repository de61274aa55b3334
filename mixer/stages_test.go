package mixer

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the stages do to weights and other sources, each component's samples
// must come one after the other, none twice and none skipped, and every prefix of
// a stage must hold its shares.
func TestStagesGoOnWhereTheyWere(t *testing.T) {
	sources := threeSources()
	rapid.Check(t, func(t *rapid.T) {
		drawMix := func(label string) Mix {
			var mix Mix
			for _, name := range []string{"books", "wiki", "web"} {
				if rapid.Bool().Draw(t, label+" has "+name) {
					mix = append(mix, Component{Name: name, Weight: rapid.Float64Range(0.01, 1).Draw(t, label+" weight of "+name)})
				}
			}
			if mix == nil {
				mix = Mix{{Name: "wiki", Weight: 1}}
			}
			return mix
		}
		o := Options{Mix: drawMix("first"), Seed: 4, BatchSize: 8}
		step := int64(0)
		for i := range rapid.IntRange(0, 4).Draw(t, "stages") {
			step += rapid.Int64Range(1, 150).Draw(t, "length")
			o.Stages = append(o.Stages, Stage{From: step, Mix: drawMix(fmt.Sprint("stage ", i))})
		}
		m, err := newMixer(o, sources)
		if err != nil {
			t.Fatal(err)
		}
		next := make([]uint64, len(m.sources))
		counts := make([]float64, len(m.sources))
		began := uint64(0)
		for i := range uint64(step+50) * 8 {
			if s := m.stage(i); s.from == i {
				clear(counts)
				began = i
			}
			source, n := m.at(i)
			task := source.task
			if n != next[task] {
				t.Fatalf("sample %d is number %d of %s, want number %d", i, n, m.sources[task].Label(), next[task])
			}
			next[task]++
			counts[task]++
			if i%8 == 7 {
				for task, info := range m.TasksAt(int64(i / 8)) {
					if off := counts[task] - info.SampleShare*float64(i+1-began); math.Abs(off) > 1 {
						t.Fatalf("%s is %g samples off after %d of the stage", info.Label(), off, i+1-began)
					}
				}
			}
		}
	})
}

// The samples of a source are the same with and without stages around it.
func TestStagesDoNotChangeSamples(t *testing.T) {
	plain := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, Seed: 4}, threeSources())
	staged := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, Seed: 4, Stages: []Stage{
		{From: 3, Mix: Mix{{Name: "wiki", Weight: 1}, {Name: "books", Weight: 2}}}, {From: 9, Mix: Mix{{Name: "web", Weight: 1}, {Name: "wiki", Weight: 0.1}}}}}, threeSources())
	next := int64(0)
	for step := range int64(60) {
		for _, s := range samples(t, staged, step, 0, 1) {
			if s.Source != "wiki" {
				continue
			}
			want := samples(t, plain, next/16, int(next%16), 16)[0]
			if fmt.Sprint(s.Spans, s.Epoch, s.Position, s.Tokens) != fmt.Sprint(want.Spans, want.Epoch, want.Position, want.Tokens) {
				t.Fatalf("step %d: the wiki's sample %d is another", step, next)
			}
			next++
		}
	}
	if next == 0 || next == 60*16 {
		t.Fatalf("%d samples of the wiki", next)
	}
}

func TestUsesReachThroughStages(t *testing.T) {
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, Seed: 4, Stages: []Stage{
		{From: 30, Mix: Mix{{Name: "web", Weight: 1}}}, {From: 50, Mix: Mix{{Name: "web", Weight: 1}, {Name: "wiki", Weight: 3}}}}}, threeSources())
	var want []Use
	for step := range int64(200) {
		for _, s := range samples(t, m, step, 0, 1) {
			if s.Source == "wiki" && s.Spans[0].Doc == "wiki-7" {
				want = append(want, Use{step, s.Index - m.First(step), s.Index, s.Task, s.Epoch, s.Position, s.Spans[0]})
			}
		}
	}
	got, err := m.Uses(context.Background(), "wiki", []string{"wiki-7"}, 0, 200)
	if err != nil || len(got) == 0 || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("uses %v, want %v (error %v)", got, want, err)
	}
}

func TestBadStagesAreClearErrors(t *testing.T) {
	good := Mix{{Name: "wiki", Weight: 1}}
	for want, stages := range map[string][]Stage{
		"from step 0":  {{From: 0, Mix: good}},
		"must ascend":  {{From: 5, Mix: good}, {From: 5, Mix: good}},
		"no source":    {{From: 5}},
		"must be fini": {{From: 5, Mix: Mix{{Name: "wiki", Weight: math.NaN()}}}},
		"did you mean": {{From: 5, Mix: Mix{{Name: "wikki", Weight: 1}}}},
	} {
		if _, err := newMixer(Options{Mix: good, Stages: stages}, threeSources()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want one with %q", stages, err, want)
		}
	}
}
