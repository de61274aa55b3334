package mixer

import (
	"context"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// Uses must find exactly the samples that a walk through all steps finds.
func TestUsesAreWhatAWalkFinds(t *testing.T) {
	mix := Mix{{Name: "books", Weight: 0.5}, {Name: "wiki", Weight: 0.3}, {Name: "web", Weight: 0.2}}
	for _, layout := range []Layout{Pairs, Full, Packed} {
		m := testMixer(t, Options{Mix: mix, Seed: 5, Layout: layout}, threeSources())
		const steps = 120
		walked := map[string][]Use{}
		for step := range int64(steps) {
			for _, s := range samples(t, m, step, 0, 1) {
				for _, span := range s.Spans {
					key := s.Source + " " + span.Doc
					walked[key] = append(walked[key], Use{step, s.Index - m.First(step), s.Index, s.Task, s.Epoch, s.Position, span})
				}
			}
		}
		rapid.Check(t, func(t *rapid.T) {
			source := rapid.SampledFrom([]string{"books", "wiki", "web"}).Draw(t, "source")
			doc := fmt.Sprintf("%s-%d", source, rapid.IntRange(0, 39).Draw(t, "document"))
			from := rapid.Int64Range(0, steps).Draw(t, "from")
			to := rapid.Int64Range(from, steps).Draw(t, "to")
			got, err := m.Uses(context.Background(), source, []string{doc}, from, to)
			if err != nil {
				t.Fatal(err)
			}
			var want []Use
			for _, u := range walked[source+" "+doc] {
				if u.Step >= from && u.Step < to {
					want = append(want, u)
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("%v: %s in steps %d to %d is used in\n%v, want\n%v", layout, doc, from, to, got, want)
			}
		})
	}
}

func TestUsesOfNothing(t *testing.T) {
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}}, threeSources())
	if uses, err := m.Uses(context.Background(), "wiki", []string{"nobody"}, 0, 10); err != nil || len(uses) != 0 {
		t.Errorf("a document that is not there has uses %v, error %v", uses, err)
	}
	if _, err := m.Uses(context.Background(), "books", nil, 0, 10); err == nil {
		t.Error("a source that is not in the mix has uses")
	}
	if _, err := m.Uses(context.Background(), "wiki", nil, -1, 10); err == nil {
		t.Error("step -1 was taken")
	}
}
