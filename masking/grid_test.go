package masking

import (
	"errors"
	"math"
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
		options := Options{SeqLen: 64, Frequencies: made.frequencies()}
		_, err := NewObjective(p.String(), testVocabulary(), options)
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
		stream := setting{objective: p.String(), batchSize: 400, sources: map[string]source{"s": made}, options: options}.open(t, 0)
		b := batch(t, stream, 0, 0, 1)
		if (b.Noise != nil) != (p.Transform == "noise") || p.Transform == "noise" && len(b.Noise) < len(b.Tokens)/10 {
			t.Errorf("%v: noise at %d of %d positions", p, len(b.Noise), len(b.Tokens))
		}
		switch p.Output {
		case "tf", "tfidf", "cap":
			checkDescriptions(t, p, b, documents, options.Frequencies)
			continue
		case "quick-thoughts":
			for i, partner := range b.Partners {
				o, other := b.Origins[i], b.Origins[i+int(partner)]
				if o.Index != other.Index || partner != int32(1-2*(i%2)) || i%2 == 0 && o.Spans[0].Doc == other.Spans[0].Doc && other.Spans[0].Start != o.Spans[0].End {
					t.Fatalf("%v: sequence %d of %+v has the partner %+v", p, i, o, other)
				}
			}
			if b.Sequences() != 800 {
				t.Errorf("%v: %d sequences", p, b.Sequences())
			}
			continue
		case "future-sentence":
			follow := 0
			for i, o := range b.Origins {
				if b.SequenceValues[i] != 1 || b.PairLabels != nil {
					t.Fatalf("%v: sequence %d is to have %g", p, i, b.SequenceValues[i])
				}
				if o.Spans[0].Doc == o.Spans[1].Doc && o.Spans[0].End == o.Spans[1].Start {
					follow++
				}
			}
			if follow < 395 {
				t.Errorf("%v: %d of 400 pairs follow each other", p, follow)
			}
			continue
		case "adjacent":
			for i, o := range b.Origins {
				beside := o.Spans[0].Doc == o.Spans[1].Doc && (o.Spans[0].End == o.Spans[1].Start || o.Spans[1].End == o.Spans[0].Start)
				if beside != (b.PairLabels[i] == 0) {
					t.Fatalf("%v: label %d of %+v", p, b.PairLabels[i], o.Spans)
				}
			}
		}
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
	// Of the nominal points of one kind of data: 4 outputs of tokens in 4
	// representations and 5 of sentences in one, under 4 transforms; and three more.
	if built != 4*(4*4+5)+3 {
		t.Errorf("%d points are built", built)
	}
}

// frequencies counts the tokens of a source.
func (s source) frequencies() *Frequencies {
	f := &Frequencies{Tokens: make([]int64, 1000), Documents: make([]int64, 1000)}
	for _, tokens := range s.documents() {
		f.Count++
		seen := map[int32]bool{}
		for _, token := range tokens {
			f.Tokens[token]++
			if !seen[token] {
				seen[token] = true
				f.Documents[token]++
			}
		}
	}
	return f
}

// checkDescriptions compares what is asked of every token with its definition.
func checkDescriptions(t *testing.T, p Point, b *Batch, documents map[string][]int32, f *Frequencies) {
	t.Helper()
	shift := map[string]int32{"ltr": 1, "rtl": -1}[p.Representation]
	classes, rarities, err := frequencyClasses(f, 1000)
	if err != nil {
		t.Fatal(err)
	}
	at := 0
	for i := range b.Sequences() {
		most, first := float32(0), at
		for j, token := range text(documents, b.Origins[i].Spans, 3) {
			if token == 3 {
				continue
			}
			if want := b.SeqBounds[i] + 1 + int32(j) - shift; b.Predict[at] != want {
				t.Fatalf("%v: prediction %d is at %d, want %d", p, at, b.Predict[at], want)
			}
			switch p.Output {
			case "tf":
				if b.Labels[at] != classes[token] || b.Classes != 4 {
					t.Fatalf("%v: token %d has class %d of %d", p, token, b.Labels[at], b.Classes)
				}
			case "cap":
				if b.Labels[at] != 1-min(1, token%3) || b.Classes != 2 {
					t.Fatalf("%v: token %d has class %d", p, token, b.Labels[at])
				}
			case "tfidf":
				most = max(most, b.Values[at])
				want, base := float64(classes[token])*rarities[token], float64(classes[b.firstOf(documents, i)])*rarities[b.firstOf(documents, i)]
				if ratio := float64(b.Values[at]) / float64(b.Values[first]); math.Abs(ratio-want/base) > 1e-4 {
					t.Fatalf("%v: token %d has %g", p, token, b.Values[at])
				}
			}
			at++
		}
		if p.Output == "tfidf" && (math.Abs(float64(most)-10) > 1e-5 || b.Labels != nil) {
			t.Fatalf("%v: the highest value of sequence %d is %g", p, i, most)
		}
	}
	if at != len(b.Predict) {
		t.Fatalf("%v: %d predictions of %d tokens", p, len(b.Predict), at)
	}
}

// firstOf is the first token of a sequence's text.
func (b *Batch) firstOf(documents map[string][]int32, sequence int) int32 {
	span := b.Origins[sequence].Spans[0]
	return documents[span.Doc][span.Start]
}

func TestFrequencyClasses(t *testing.T) {
	f := &Frequencies{Tokens: []int64{0, 1, 9, 50, 700, 100_000}, Documents: []int64{0, 1, 2, 3, 4, 5}, Count: 10}
	classes, rarities, err := frequencyClasses(f, 7)
	if err != nil {
		t.Fatal(err)
	}
	// Scaled to 10: 0.0001, 0.0009, 0.005, 0.07, 10, of which the powers of ten,
	// rounded up, are -4, -3, -2, -1 and 1.
	if want := []int32{0, 1, 2, 3, 3, 3, 0}; !slices.Equal(classes, want) {
		t.Errorf("classes %v, want %v", classes, want)
	}
	if want := math.Log(11.0/4 + 1); math.Abs(rarities[3]-want) > 1e-12 {
		t.Errorf("rarity %g, want %g", rarities[3], want)
	}
}

// The original asks for tokens at their own positions.
func TestCompatDoesNotShift(t *testing.T) {
	for _, representation := range []string{"ltr", "rtl"} {
		s := setting{objective: "task:mask:" + representation + ":denoise", batchSize: 50, sources: map[string]source{"s": makeSource("s", 6, 80, 20, 12, 20)}, options: Options{Compat: true}}
		b := batch(t, s.open(t, 0), 0, 0, 1)
		for _, at := range b.Predict {
			if b.Tokens[at] != 4 {
				t.Fatalf("%s: position %d is predicted and shows %d", representation, at, b.Tokens[at])
			}
		}
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
	want := map[string][]int{"none": {0, n, 0}, "noise": {0, n, 0}, "mask": {n, 0, 0}}[p.Transform]
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
		"task:mask:up:denoise": "no representation", "task:mask:ltr:tell": "no output", "task:mask:ltr:next": "not legal", "task:mask:bidirectional:contradiction": "labelled", "task:mask:bidirectional:tf": "frequencies",
	} {
		if _, err := NewObjective(text, testVocabulary(), Options{SeqLen: 64}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", text, err, want)
		}
	}
}
