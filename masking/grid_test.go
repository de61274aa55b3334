package masking

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestTheGridHasThePublishedCounts(t *testing.T) {
	total, legal := 0, 0
	for p := range Points() {
		total++
		if p.Illegal() == "" {
			legal++
		}
		if again, err := ParsePoint(p.String()); err != nil || again != p {
			t.Errorf("%v is read again as %v, %v", p, again, err)
		}
	}
	if total != 640 || legal != 352 {
		t.Errorf("%d points, %d of them legal; want 640 and 352", total, legal)
	}
}

// Every legal point either builds, or says what it would need.
func TestPointsBuildWhatTheySay(t *testing.T) {
	made := makeSource("s", 6, 80, 20, 12, 20)
	documents := made.documents()
	built := 0
	points := []Point{{"task", "bert", "bidirectional", "denoise"}, {"task", "bert", "ltr", "denoise"}, {"task", "bert", "bidirectional", "order"}}
	for p := range Points() {
		if p.Data == "task" {
			points = append(points, p)
		}
	}
	for _, p := range points {
		_, err := NewObjective(p.String(), testVocabulary(), Options{SeqLen: 64})
		switch {
		case p.Illegal() != "":
			if err == nil || !strings.Contains(err.Error(), "not legal") {
				t.Errorf("%v: error %v, want one that says it is not legal", p, err)
			}
			continue
		case errors.Is(err, ErrNotBuilt):
			continue
		case err != nil:
			t.Errorf("%v: %v", p, err)
			continue
		}
		built++
		stream := setting{objective: p.String(), batchSize: 400, sources: map[string]source{"s": made}}.open(t, 0)
		b := batch(t, stream, 0, 0, 1)
		if p.Output != "denoise" {
			if len(b.Predict) != 0 || len(b.PairLabels) != 400 || b.Ranks != nil {
				t.Errorf("%v: %d predictions and %d pair labels", p, len(b.Predict), len(b.PairLabels))
			}
			continue
		}
		if len(b.Predict) == 0 || b.PairLabels != nil || b.TwoStream != (p.Representation == "random") || (b.Ranks == nil) != (p.Representation == "bidirectional") {
			t.Fatalf("%v: %d predictions, pairs %v, two streams %v, ranks %v", p, len(b.Predict), b.PairLabels, b.TwoStream, b.Ranks != nil)
		}
		checkDenoising(t, p, b, documents)
	}
	if built != 3*4+2*3+3 {
		t.Errorf("%d points are built", built)
	}
}

// checkDenoising puts the labels back and looks at what each target was shown as.
func checkDenoising(t *testing.T, p Point, b *Batch, documents map[string][]int32) {
	t.Helper()
	shift := map[string]int32{"ltr": 1, "rtl": -1}[p.Representation]
	target := map[int32]int32{}
	shown := make([]int, 3)
	for i, at := range b.Predict {
		place := at + shift
		target[place] = b.Labels[i]
		if shift != 0 && b.Ranks[place] <= b.Ranks[at] {
			t.Fatalf("%v: position %d sees the target at %d", p, at, place)
		}
		switch b.Tokens[place] {
		case 4:
			shown[0]++
		case b.Labels[i]:
			shown[1]++
		default:
			shown[2]++
		}
	}
	for i := range b.Sequences() {
		want := slices.Concat([]int32{2}, text(documents, b.Origins[i].Spans, 3), []int32{3})
		from := b.SeqBounds[i]
		for j, token := range want {
			got := b.Tokens[from+int32(j)]
			if label, ok := target[from+int32(j)]; ok {
				got = label
			}
			if got != token {
				t.Fatalf("%v: sequence %d has %d at %d, the text has %d", p, i, got, j, token)
			}
		}
	}
	n := len(b.Predict)
	want := map[string][]int{"none": {0, n, 0}, "mask": {n, 0, 0}}[p.Transform]
	switch {
	case p.Transform == "replace":
		if shown[0] > 0 || shown[1] > n/100 {
			t.Errorf("%v: targets are shown as %v", p, shown)
		}
	case p.Transform == "bert":
		chiSquared(t, p.String(), shown, []float64{0.8, 0.1 + 0.1/995, 0.1 - 0.1/995})
	case !slices.Equal(shown, want):
		t.Errorf("%v: targets are shown as %v, want %v", p, shown, want)
	}
}

func TestBadPointsAreClearErrors(t *testing.T) {
	for text, want := range map[string]string{
		"a:b": "has the form", "task:mask:ltr:denoise:more": "has the form", "tusk:mask:ltr:denoise": "no data", "task:hide:ltr:denoise": "no transform",
		"task:mask:up:denoise": "no representation", "task:mask:ltr:tell": "no output", "task:mask:ltr:next": "not legal", "task:noise:ltr:denoise": "in the model",
	} {
		if _, err := NewObjective(text, testVocabulary(), Options{SeqLen: 64}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}
