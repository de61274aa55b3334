package masking

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/tokenize"
)

func sqrt(x float64) float64 { return math.Sqrt(x) }

// checkShape fails unless the batch is what every reader of a Batch relies on.
func checkShape(t interface{ Fatalf(string, ...any) }, b *Batch, samples, seqLen int) {
	if b.Sequences() != samples || len(b.Origins) != samples || b.SeqBounds[0] != 0 || int(b.SeqBounds[samples]) != len(b.Tokens) {
		t.Fatalf("%d samples gave %d sequences, %d origins and bounds up to %d of %d tokens", samples, b.Sequences(), len(b.Origins), b.SeqBounds[b.Sequences()], len(b.Tokens))
	}
	if len(b.Segments) != len(b.Tokens) || len(b.Labels) != len(b.Predict) || !slices.IsSorted(b.Predict) || len(slices.Compact(slices.Clone(b.Predict))) != len(b.Predict) {
		t.Fatalf("%d tokens, %d segments, %d predictions, %d labels, or predictions out of order", len(b.Tokens), len(b.Segments), len(b.Predict), len(b.Labels))
	}
	for i := range samples {
		n := b.SeqBounds[i+1] - b.SeqBounds[i]
		if n < 3 || int(n) > seqLen {
			t.Fatalf("sequence %d has %d tokens, at most %d are allowed", i, n, seqLen)
		}
		tokens := original(b, i)
		if tokens[0] != 2 || tokens[n-1] != 3 {
			t.Fatalf("sequence %d is not framed: %v", i, tokens)
		}
		if k := predicted(b, i); k < 1 {
			t.Fatalf("sequence %d predicts nothing", i)
		}
	}
	for i, at := range b.Predict {
		if b.Labels[i] < 5 {
			t.Fatalf("position %d, a special token, is predicted", at)
		}
	}
}

func TestBertBatches(t *testing.T) {
	rapid.Check(t, func(t2 *rapid.T) {
		text := makeSource("s", rapid.Uint64().Draw(t2, "seed"), rapid.IntRange(1, 40).Draw(t2, "documents"),
			rapid.IntRange(1, 20).Draw(t2, "documents per block"), rapid.IntRange(1, 20).Draw(t2, "sentences"), rapid.IntRange(1, 90).Draw(t2, "tokens"))
		s := setting{objective: "bert", batchSize: 40, sources: map[string]source{"s": text}, options: Options{
			SeqLen: rapid.IntRange(8, 200).Draw(t2, "sequence length"), WholeWords: rapid.Bool().Draw(t2, "whole words"),
			Share: rapid.Float64Range(0.01, 0.6).Draw(t2, "share"), MaxPredictions: rapid.IntRange(0, 9).Draw(t2, "at most"),
		}}
		b := batch(t, s.open(t, 0), 0, 0, 1)
		checkShape(t2, b, 40, s.options.SeqLen)
		if len(b.PairLabels) != 40 {
			t2.Fatalf("%d pair labels", len(b.PairLabels))
		}
		documents := text.documents()
		for i := range 40 {
			tokens, segments := original(b, i), b.Segments[b.SeqBounds[i]:b.SeqBounds[i+1]]
			spans := b.Origins[i].Spans
			if len(spans) != 2 {
				t2.Fatalf("sequence %d has spans %v", i, spans)
			}
			first, second := documents[spans[0].Doc][spans[0].Start:spans[0].End], documents[spans[1].Doc][spans[1].Start:spans[1].End]
			want := slices.Concat([]int32{2}, first, []int32{3}, second, []int32{3})
			if !slices.Equal(tokens, want) || len(first) == 0 || len(second) == 0 {
				t2.Fatalf("sequence %d is %v, its spans %v hold %v", i, tokens, spans, want)
			}
			for j, segment := range segments {
				if want := j >= len(first)+2; want != (segment == 1) {
					t2.Fatalf("sequence %d: token %d is in segment %d", i, j, segment)
				}
			}
			follows := spans[0].Doc == spans[1].Doc && spans[0].End == spans[1].Start
			if b.PairLabels[i] == 0 && !follows {
				t2.Fatalf("sequence %d is said to follow: %v", i, spans)
			}
			if b.PairLabels[i] == 1 && len(documents) > 20 && spans[0].Doc == spans[1].Doc {
				t2.Fatalf("sequence %d is said not to follow: %v", i, spans)
			}
			count := max(1, int(math.RoundToEven(s.options.Share*float64(len(tokens)))))
			if s.options.MaxPredictions > 0 {
				count = min(count, s.options.MaxPredictions)
			}
			count = min(count, len(tokens)-3)
			if got := predicted(b, i); !s.options.WholeWords && got != count {
				t2.Fatalf("sequence %d of %d tokens predicts %d, want %d", i, len(tokens), got, count)
			}
		}
	})
}

func TestWholeWordsAreHiddenWholeOrNotAtAll(t *testing.T) {
	s := setting{objective: "bert", batchSize: 200, sources: map[string]source{"s": makeSource("s", 3, 100, 30, 9, 20)}, options: Options{WholeWords: true}}
	b := batch(t, s.open(t, 0), 0, 0, 1)
	hidden := map[int32]bool{}
	for _, at := range b.Predict {
		hidden[at] = true
	}
	v := testVocabulary()
	whole := 0
	for i := range b.Sequences() {
		tokens, from := original(b, i), b.SeqBounds[i]
		for j := 1; j < len(tokens); j++ {
			if v.Continues(tokens[j]) && tokens[j-1] >= 5 {
				if hidden[from+int32(j)] != hidden[from+int32(j)-1] {
					t.Fatalf("sequence %d: the word at %d is hidden in part", i, j)
				}
				whole++
			}
		}
		count := max(1, int(math.RoundToEven(0.15*float64(len(tokens)))))
		if got := predicted(b, i); got > count && count > 2 {
			t.Fatalf("sequence %d predicts %d, at most %d were asked", i, got, count)
		}
	}
	if whole == 0 {
		t.Fatal("no word has two pieces")
	}
}

func TestBertDrawsAsItsRulesSay(t *testing.T) {
	// Documents of one window of exactly six sentences of six tokens, so that the
	// cut, the other document and its first sentence are uniform over known ranges.
	const documents, sentences, words = 20, 6, 6
	text := makeSource("s", 1, documents, documents, 1, 1)
	b := &text[0]
	b.Tokens, b.DocBounds, b.SentenceEnds, b.SentenceBounds = nil, []int32{0}, nil, []int32{0}
	for d := range documents {
		for i := range sentences * words {
			b.Tokens = append(b.Tokens, 5+int32((d*37+i)%995))
		}
		for i := range sentences {
			b.SentenceEnds = append(b.SentenceEnds, int32((i+1)*words))
		}
		b.DocBounds = append(b.DocBounds, int32(len(b.Tokens)))
		b.SentenceBounds = append(b.SentenceBounds, int32(len(b.SentenceEnds)))
	}
	s := setting{objective: "bert", batchSize: 500, sources: map[string]source{"s": text}, options: Options{SeqLen: sentences*words + 3, Short: -1}}
	stream := s.open(t, 0)
	cut, labels, began, other := make([]int, sentences-1), make([]int, 2), make([]int, sentences), make([]int, documents-1)
	shown, place, random := make([]int, 3), make([]int, sentences*words), make([]int, 1000)
	for step := range int64(60) {
		batch := batch(t, stream, step, 0, 1)
		for i := range batch.Sequences() {
			spans, label := batch.Origins[i].Spans, batch.PairLabels[i]
			labels[label]++
			if label == 0 {
				cut[spans[0].End/words-1]++
				continue
			}
			began[spans[1].Start/words]++
			d := slices.Index(b.IDs, spans[1].Doc) - slices.Index(b.IDs, spans[0].Doc)
			other[(d+documents)%documents-1]++
		}
		sequence := 0
		for i, at := range batch.Predict {
			for batch.SeqBounds[sequence+1] <= at {
				sequence++
			}
			if batch.PairLabels[sequence] == 0 {
				spans := batch.Origins[sequence].Spans
				p := at - batch.SeqBounds[sequence] - 1
				if p > spans[0].End {
					p--
				}
				place[p]++
			}
			switch token := batch.Tokens[at]; {
			case token == 4:
				shown[0]++
			case token == batch.Labels[i]:
				shown[1]++
			default:
				shown[2]++
				random[token]++
			}
		}
	}
	chiSquared(t, "80/10/10", shown, []float64{0.8, 0.1 + 0.1/1000, 0.1 - 0.1/1000})
	chiSquared(t, "random tokens", random, even(1000))
	chiSquared(t, "predicted places", place, even(len(place)))
	chiSquared(t, "pair labels", labels, even(2))
	chiSquared(t, "the sentence the first part ends with", cut, even(len(cut)))
	chiSquared(t, "the random document", other, even(len(other)))
	// A second part of a random document begins at a uniform sentence; truncation
	// never moves it here, as sentences are all of one length.
	chiSquared(t, "the sentence the second part begins with", began, even(len(began)))
}

func TestShortSamples(t *testing.T) {
	s := setting{objective: "bert", batchSize: 4000, sources: map[string]source{"s": makeSource("s", 9, 400, 100, 60, 2)}}
	b := batch(t, s.open(t, 0), 0, 0, 1)
	short, long := 0, 0
	for i := range b.Sequences() {
		// Targets are uniform from 2 to 61; sentences have at most two tokens, so only
		// windows at the end of a document are short by themselves.
		if n := b.SeqBounds[i+1] - b.SeqBounds[i] - 3; n < 30 {
			short++
		} else {
			long++
		}
	}
	none := setting{objective: "bert", batchSize: 4000, sources: s.sources, options: Options{Short: -1}}
	b = batch(t, none.open(t, 0), 0, 0, 1)
	shortAnyway := 0
	for i := range b.Sequences() {
		if b.SeqBounds[i+1]-b.SeqBounds[i]-3 < 30 {
			shortAnyway++
		}
	}
	// Of the samples that are long anyway, .1*28/60 become shorter than 30 tokens.
	want := 0.1 * 28 / 60
	got := float64(short-shortAnyway) / float64(4000-shortAnyway)
	if math.Abs(got-want) > 5*sqrt(want/4000) {
		t.Errorf("%.4f of the samples are cut below 30 tokens, want about %.4f", got, want)
	}
}

func TestRobertaBatches(t *testing.T) {
	text := makeSource("s", 5, 200, 50, 8, 30)
	s := setting{objective: "roberta", batchSize: 300, sources: map[string]source{"s": text}}
	stream := s.open(t, 0)
	documents := text.documents()
	var candidates, predictions, several int
	shown, random := make([]int, 3), make([]int, 995)
	for step := range int64(20) {
		b := batch(t, stream, step, 0, 1)
		checkShape(t, b, 300, 64)
		if b.PairLabels != nil || b.Ranks != nil {
			t.Fatal("roberta has pair labels or ranks")
		}
		for i := range b.Sequences() {
			want := []int32{2}
			for j, span := range b.Origins[i].Spans {
				if j > 0 {
					want = append(want, 3)
				}
				want = append(want, documents[span.Doc][span.Start:span.End]...)
			}
			want = append(want, 3)
			if got := original(b, i); !slices.Equal(got, want) {
				t.Fatalf("sequence %d is %v, want %v", i, got, want)
			}
			if len(b.Origins[i].Spans) > 1 {
				several++
			}
			n := len(want) - 1 - len(b.Origins[i].Spans)
			if k := predicted(b, i); k != int(0.15*float64(n)) && k != int(0.15*float64(n))+1 {
				t.Fatalf("%d of %d tokens are predicted", k, n)
			}
			candidates += n
		}
		predictions += len(b.Predict)
		for i, at := range b.Predict {
			switch token := b.Tokens[at]; {
			case token == 4:
				shown[0]++
			case token == b.Labels[i]:
				shown[1]++
			case token < 5:
				t.Fatalf("the random token is special: %d", token)
			default:
				shown[2]++
				random[token-5]++
			}
		}
	}
	if several == 0 {
		t.Error("no sequence holds two documents")
	}
	if share := float64(predictions) / float64(candidates); math.Abs(share-0.15) > 0.002 {
		t.Errorf("%.4f of the tokens are predicted, want 0.15", share)
	}
	chiSquared(t, "80/10/10", shown, []float64{0.8, 0.1 + 0.1/995, 0.1 - 0.1/995})
	chiSquared(t, "random tokens", random, even(995))
}

func TestMasksChangeWithThePassAndNotWithTheMix(t *testing.T) {
	a, c := makeSource("a", 1, 30, 10, 6, 12), makeSource("c", 2, 30, 10, 6, 12)
	alone := setting{objective: "roberta", batchSize: 1, sources: map[string]source{"a": a}}.open(t, 0)
	mixed := setting{objective: "roberta", batchSize: 1, sources: map[string]source{"a": a, "c": c}, weights: map[string]float64{"a": 1, "c": 3}}.open(t, 0)
	next := int64(0)
	for step := int64(0); next < 50; step++ {
		b := batch(t, mixed, step, 0, 1)
		if b.Origins[0].Source != "a" {
			continue
		}
		want := batch(t, alone, next, 0, 1)
		if !slices.Equal(b.Tokens, want.Tokens) || !slices.Equal(b.Predict, want.Predict) {
			t.Fatalf("sample %d of a is not the same with another source beside it", next)
		}
		next++
	}
	windows := alone.Mixer().Tasks()[0].Census.Windows
	masks := map[string]map[string]bool{}
	for step := range 3 * windows {
		b := batch(t, alone, step, 0, 1)
		span := b.Origins[0].Spans[0]
		key := span.Doc + strings.Repeat(".", int(span.Start))
		if masks[key] == nil {
			masks[key] = map[string]bool{}
		}
		masks[key][string(appendBytes(b.Predict))] = true
	}
	same := 0
	for _, m := range masks {
		if len(m) == 1 {
			same++
		}
	}
	if same > len(masks)/4 {
		t.Errorf("%d of %d windows are masked alike in three passes", same, len(masks))
	}
}

func appendBytes(list []int32) (b []byte) {
	for _, v := range list {
		b = append(b, byte(v))
	}
	return b
}

func TestObjectivesRefuseWhatTheyCannotDo(t *testing.T) {
	v := testVocabulary()
	noMask := v
	noMask.specials.Mask = -1
	for _, c := range []struct {
		name string
		v    vocabulary
		o    Options
		want string
	}{
		{"birt", v, Options{SeqLen: 64}, "there is no objective"},
		{"bert", noMask, Options{SeqLen: 64}, "[MASK]"},
		{"bert", vocabulary{}, Options{SeqLen: 64}, "empty"},
		{"bert", vocabulary{size: 5, specials: v.specials}, Options{SeqLen: 64}, "special tokens only"},
		{"bert", v, Options{}, "sequence length"},
		{"bert", v, Options{SeqLen: 64, Share: 1.5}, "share of predicted"},
		{"bert", v, Options{SeqLen: 64, Share: math.NaN()}, "share of predicted"},
		{"roberta", v, Options{SeqLen: 64, Replace: 0.7, Keep: 0.7}, "more than 1"},
		{"bert", v, Options{SeqLen: 64, Short: 2}, "short"},
		{"bert", v, Options{SeqLen: 64, MaxPredictions: -1}, "predictions"},
		{"t5", vocabulary{size: 1000, specials: v.specials, noSentinels: true}, Options{SeqLen: 64}, "sentinels"},
		{"t5", v, Options{SeqLen: 4096}, "sentinels"},
	} {
		if _, err := NewObjective(c.name, c.v, c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %+v: error %v, want one with %q", c.name, c.o, err, c.want)
		}
	}
	roman := v
	roman.specials = tokenize.Specials{Pad: 0, Unk: 1, Cls: -1, Sep: -1, Mask: 4, Bos: 2, Eos: 3}
	if _, err := NewObjective("roberta", roman, Options{SeqLen: 64}); err != nil {
		t.Errorf("a vocabulary with <s> and </s> is refused: %v", err)
	}
	if got := Objectives(); !reflect.DeepEqual(got[:2], []string{"bert", "roberta"}) {
		t.Errorf("Objectives() = %v", got)
	}
}
