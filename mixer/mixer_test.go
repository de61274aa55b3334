package mixer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/tributary-ml/tributary/mixer/counter"
	"github.com/tributary-ml/tributary/shards"
)

// fake is shards made up in memory: documents whose tokens are numbered so that
// every token of a source is different.
type fake struct {
	blocks []shards.Block
	reads  atomic.Int64
	fail   error
}

func (f *fake) Blocks() int { return len(f.blocks) }

func (f *fake) ReadBlock(_ context.Context, i int, b *shards.Block) error {
	f.reads.Add(1)
	if f.fail != nil {
		return f.fail
	}
	from := &f.blocks[i]
	b.IDs = append(b.IDs[:0], from.IDs...)
	b.Tokens = append(b.Tokens[:0], from.Tokens...)
	b.DocBounds = append(b.DocBounds[:0], from.DocBounds...)
	b.SentenceEnds = append(b.SentenceEnds[:0], from.SentenceEnds...)
	b.SentenceBounds = append(b.SentenceBounds[:0], from.SentenceBounds...)
	b.Keep = append(b.Keep[:0], from.Keep...)
	return nil
}

// makeFake makes a source of documents with the given sentence lengths, docs to a
// block.
func makeFake(name string, docs [][]int, perBlock int) *fake {
	f := &fake{}
	next := int32(0)
	for d, sentences := range docs {
		if d%perBlock == 0 {
			f.blocks = append(f.blocks, shards.Block{DocBounds: []int32{0}, SentenceBounds: []int32{0}})
		}
		b := &f.blocks[len(f.blocks)-1]
		b.IDs = append(b.IDs, fmt.Sprintf("%s-%d", name, d))
		length := int32(0)
		for _, n := range sentences {
			for range n {
				b.Tokens = append(b.Tokens, next)
				next++
			}
			if length += int32(n); n > 0 {
				b.SentenceEnds = append(b.SentenceEnds, length)
			}
		}
		b.DocBounds = append(b.DocBounds, int32(len(b.Tokens)))
		b.SentenceBounds = append(b.SentenceBounds, int32(len(b.SentenceEnds)))
		b.Keep = append(b.Keep, true)
	}
	return f
}

// madeDocuments draws the sentence lengths of n documents.
func madeDocuments(seed uint64, n int) [][]int {
	draw := counter.NewKey(seed, "test documents").Stream()
	docs := make([][]int, n)
	for d := range docs {
		docs[d] = make([]int, draw.IntN(12))
		for s := range docs[d] {
			docs[d][s] = 1 + draw.IntN(30)
			if draw.IntN(40) == 0 {
				docs[d][s] = 100 + draw.IntN(100)
			}
		}
	}
	return docs
}

func testMixer(t testing.TB, options Options, sources map[string]*fake) *Mixer {
	t.Helper()
	m, err := newMixer(options, sources)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newMixer(options Options, sources map[string]*fake) (*Mixer, error) {
	if options.SeqLen == 0 {
		options.SeqLen = 64
	}
	if options.Layout == 0 {
		options.Layout = Pairs
	}
	switch options.BatchSize {
	case 0:
		options.BatchSize = 16
	case -1:
		options.BatchSize = 0
	}
	if options.ShuffleTokens == 0 {
		options.ShuffleTokens = 2000
	}
	var list []Source
	for name, f := range sources {
		list = append(list, Source{Name: name, Blocks: f})
	}
	return New(context.Background(), options, list)
}

func samples(t testing.TB, m *Mixer, step int64, rank, ranks int) []Sample {
	t.Helper()
	s, err := m.Samples(context.Background(), step, rank, ranks)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Every pass must give every token once (in the layouts nothing is dropped),
// with spans that say where each came from.
func TestAPassVisitsEveryTokenOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom([]Layout{Pairs, Full, Packed, Documents, BestFit, Sentences, Halves}).Draw(t, "layout")
		docs := madeDocuments(rapid.Uint64().Draw(t, "seed"), rapid.IntRange(1, 60).Draw(t, "documents"))
		docs = append(docs, []int{5, 5})
		f := makeFake("s", docs, rapid.IntRange(1, 9).Draw(t, "documents per block"))
		m, err := newMixer(Options{
			Mix: Mix{{Name: "s", Weight: 1}}, Layout: layout, BatchSize: 1,
			SeqLen:        rapid.IntRange(minSeqLen, 80).Draw(t, "sequence length"),
			ShuffleTokens: rapid.Int64Range(1, 3000).Draw(t, "shuffle tokens"),
		}, map[string]*fake{"s": f})
		if err != nil {
			t.Fatal(err)
		}
		where := map[string][2]int{}
		total := 0
		for i := range f.blocks {
			for d, id := range f.blocks[i].IDs {
				where[id] = [2]int{i, d}
			}
			total += len(f.blocks[i].Tokens)
		}
		windows := m.Tasks()[0].Census.Windows
		for epoch := range int64(2) {
			seen := map[int32]bool{}
			for p := range windows {
				all, err := m.Samples(context.Background(), epoch*windows+p, 0, 1)
				if err != nil {
					t.Fatal(err)
				}
				s := all[0]
				if s.Epoch != epoch || s.Position != p {
					t.Fatalf("sample %d is number %d of pass %d", s.Index, s.Position, s.Epoch)
				}
				room := layout.room(m.options.SeqLen)
				if layout != Pairs {
					room -= len(s.Spans) - 1
				}
				if (layout == Pairs || layout == Documents || layout == Sentences) && len(s.Spans) != 1 {
					t.Fatalf("a window of pairs spans %d documents", len(s.Spans))
				}
				if len(s.Tokens) == 0 || len(s.Tokens) > room {
					t.Fatalf("a window of %d tokens in %d spans, room is %d", len(s.Tokens), len(s.Spans), room)
				}
				if !slices.IsSorted(s.Ends) || s.Ends[len(s.Ends)-1] != int32(len(s.Tokens)) {
					t.Fatalf("sentence ends %v of %d tokens", s.Ends, len(s.Tokens))
				}
				at := 0
				for _, span := range s.Spans {
					b := &f.blocks[where[span.Doc][0]]
					doc := b.Tokens[b.DocBounds[where[span.Doc][1]]:]
					if !slices.Equal(doc[span.Start:span.End], s.Tokens[at:at+int(span.End-span.Start)]) {
						t.Fatalf("span %+v does not hold the window's tokens", span)
					}
					at += int(span.End - span.Start)
				}
				if at != len(s.Tokens) {
					t.Fatalf("spans cover %d of %d tokens", at, len(s.Tokens))
				}
				for _, token := range s.Tokens {
					if seen[token] {
						t.Fatalf("pass %d has token %d twice", epoch, token)
					}
					seen[token] = true
				}
			}
			if len(seen) != total {
				t.Fatalf("pass %d has %d of %d tokens", epoch, len(seen), total)
			}
		}
	})
}

func describe(samples []Sample) string {
	var b strings.Builder
	for _, s := range samples {
		fmt.Fprintln(&b, s.Index, s.Source, s.Epoch, s.Position, s.Spans, s.Tokens, s.Ends)
	}
	return b.String()
}

func threeSources() map[string]*fake {
	return map[string]*fake{
		"books": makeFake("books", madeDocuments(1, 40), 3),
		"wiki":  makeFake("wiki", madeDocuments(2, 300), 20),
		"web":   makeFake("web", madeDocuments(3, 100), 100),
	}
}

func TestAStepIsAPureFunctionOfItsNumber(t *testing.T) {
	mix := Mix{{Name: "books", Weight: 0.3}, {Name: "wiki", Weight: 0.6}, {Name: "web", Weight: 0.1}}
	const steps = 40
	whole := make([]string, steps)
	one := testMixer(t, Options{Mix: mix, Seed: 5, Jobs: 1}, threeSources())
	for k := range whole {
		whole[k] = describe(samples(t, one, int64(k), 0, 1))
	}
	rapid.Check(t, func(t *rapid.T) {
		written := slices.Clone(mix)
		if rapid.Bool().Draw(t, "reversed") {
			slices.Reverse(written)
		}
		m, err := newMixer(Options{
			Mix: written, Seed: 5, Jobs: rapid.SampledFrom([]int{1, 2, 3, 8}).Draw(t, "jobs"),
			MemoryBytes: rapid.SampledFrom([]int64{0, 100_000}).Draw(t, "memory"),
		}, threeSources())
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			k := rapid.Int64Range(0, steps-1).Draw(t, "step")
			ranks := rapid.SampledFrom([]int{1, 2, 4, 7, 40}).Draw(t, "ranks")
			var parts string
			for r := range ranks {
				s, err := m.Samples(context.Background(), k, r, ranks)
				if err != nil {
					t.Fatal(err)
				}
				parts += describe(s)
			}
			if parts != whole[k] {
				t.Fatalf("step %d of %d ranks differs from the step of one", k, ranks)
			}
		}
	})
}

func TestSeedsAndPassesDiffer(t *testing.T) {
	first := func(seed uint64, pass int64) string {
		m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, Seed: seed, BatchSize: 8}, threeSources())
		windows := m.Tasks()[0].Census.Windows
		var text string
		for _, s := range samples(t, m, (pass*windows+7)/8, 0, 1) {
			text += fmt.Sprint(s.Spans)
		}
		return text
	}
	seen := map[string]bool{first(1, 0): true, first(2, 0): true, first(1, 1): true, first(1, 2): true}
	if len(seen) != 4 {
		t.Errorf("of two seeds and three passes only %d begin differently", len(seen))
	}
}

func TestWeightsAreSharesOfTokens(t *testing.T) {
	mix := Mix{{Name: "books", Weight: 1}, {Name: "wiki", Weight: 2}, {Name: "web", Weight: 1}}
	m := testMixer(t, Options{Mix: mix, BatchSize: 500}, threeSources())
	tokens := map[string]float64{}
	sum := 0.0
	for k := range int64(40) {
		for _, s := range samples(t, m, k, 0, 1) {
			tokens[s.Source] += float64(len(s.Tokens))
			sum += float64(len(s.Tokens))
		}
	}
	for _, c := range mix {
		if got, want := tokens[c.Name]/sum, c.Weight/4; math.Abs(got-want) > 0.01 {
			t.Errorf("%s has %.4f of the tokens, want %.4f", c.Name, got, want)
		}
	}
	for _, task := range m.Tasks() {
		if math.Abs(task.TokenShare-task.Weight/4) > 1e-9 {
			t.Errorf("%s is said to have %g of the tokens", task.Name, task.TokenShare)
		}
	}
}

func TestTheHeldOutSplitIsApart(t *testing.T) {
	documents := func(split Split, seed uint64) map[string]bool {
		m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, Seed: seed, Split: split, HeldoutFraction: 0.2, BatchSize: 1}, threeSources())
		ids := map[string]bool{}
		for k := range m.Tasks()[0].Census.Windows {
			for _, span := range samples(t, m, k, 0, 1)[0].Spans {
				ids[span.Doc] = true
			}
		}
		return ids
	}
	train, heldout, all := documents(Train, 1), documents(Heldout, 1), documents(All, 1)
	for id := range heldout {
		if train[id] {
			t.Errorf("document %s is both trained on and held out", id)
		}
	}
	if len(train)+len(heldout) != len(all) {
		t.Errorf("%d documents to train on and %d held out of %d", len(train), len(heldout), len(all))
	}
	if share := float64(len(heldout)) / float64(len(all)); share < 0.1 || share > 0.3 {
		t.Errorf("%.2f of the documents are held out, want about 0.2", share)
	}
	other := documents(Heldout, 99)
	for id := range heldout {
		if !other[id] {
			t.Fatalf("document %s is held out for one seed and not for another", id)
		}
	}
}

func TestMarkedDocumentsAreLeftOut(t *testing.T) {
	sources := threeSources()
	for i := range sources["wiki"].blocks {
		for d := range sources["wiki"].blocks[i].Keep {
			sources["wiki"].blocks[i].Keep[d] = d%2 == 0
		}
	}
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, BatchSize: 1}, sources)
	for k := range m.Tasks()[0].Census.Windows {
		s := samples(t, m, k, 0, 1)[0]
		var d int
		if _, err := fmt.Sscanf(s.Spans[0].Doc, "wiki-%d", &d); err != nil || d%20%2 != 0 {
			t.Fatalf("document %s was marked and is read", s.Spans[0].Doc)
		}
		for range 3 {
			o := s.Other(int(k) % s.Others())
			if o.ID == s.Spans[0].Doc || len(o.Tokens) == 0 {
				t.Fatalf("sample of %s: %s is no other document", s.Spans[0].Doc, o.ID)
			}
		}
	}
	if c := m.Tasks()[0].Census; c.Marked != 150 || c.Documents != 300 {
		t.Errorf("census %+v, want 150 of 300 marked", c)
	}
}

func TestOtherReachesEveryDocumentButTheOwn(t *testing.T) {
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, BatchSize: 1}, threeSources())
	for k := range int64(50) {
		s := samples(t, m, k, 0, 1)[0]
		seen := map[string]bool{s.Own().ID: true}
		if s.Own().ID != s.Spans[0].Doc {
			t.Fatalf("sample of %s says its document is %s", s.Spans[0].Doc, s.Own().ID)
		}
		for i := range s.Others() {
			d := s.Other(i)
			if seen[d.ID] {
				t.Fatalf("%s comes twice", d.ID)
			}
			seen[d.ID] = true
			last := int32(0)
			for j := range d.Sentences() {
				start, end := d.Sentence(j)
				if start != last || end <= start {
					t.Fatalf("sentence %d of %s is [%d, %d) after %d", j, d.ID, start, end, last)
				}
				last = end
			}
			if last != int32(len(d.Tokens)) {
				t.Fatalf("the sentences of %s end at %d of %d", d.ID, last, len(d.Tokens))
			}
		}
	}
}

func TestBadMixesAreClearErrors(t *testing.T) {
	sources := threeSources()
	sources["blank"] = makeFake("blank", [][]int{{}, {}}, 1)
	sources["none"] = makeFake("none", nil, 1)
	sources["broken"] = makeFake("broken", [][]int{{3}}, 1)
	sources["broken"].fail = errors.New("the disk is on fire")
	good := Mix{{Name: "wiki", Weight: 1}}
	for _, c := range []struct {
		options Options
		want    string
	}{
		{Options{Mix: Mix{{Name: "wikki", Weight: 1}}}, `did you mean "wiki"?`},
		{Options{Mix: Mix{{Name: "wiki", Weight: math.Inf(1)}}}, "must be finite"},
		{Options{}, "no source"},
		{Options{Mix: Mix{{Name: "blank", Weight: 1}}}, "of its 2 documents 0 are left out by marks or the predicate, 2 have no token"},
		{Options{Mix: Mix{{Name: "none", Weight: 1}}}, "no document"},
		{Options{Mix: Mix{{Name: "broken", Weight: 1}}}, "on fire"},
		{Options{Mix: good, SeqLen: 3}, "sequence length"},
		{Options{Mix: good, BatchSize: -2}, "batch size"},
		{Options{Mix: good, Split: Heldout}, "held-out fraction is 0"},
		{Options{Mix: good, HeldoutFraction: 1}, "held-out fraction"},
		{Options{Mix: good, HeldoutFraction: math.NaN()}, "held-out fraction"},
		{Options{Mix: good, MemoryBytes: 10}, "MemoryBytes"},
		{Options{Mix: Mix{{Name: "wiki", Weight: 1}, {Name: "web", Weight: 1e-12}}}, "too small"},
	} {
		if _, err := newMixer(c.options, sources); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.options, err, c.want)
		}
	}
	var empty *EmptyError
	if _, err := newMixer(Options{Mix: Mix{{Name: "blank", Weight: 1}}}, sources); !errors.As(err, &empty) {
		t.Errorf("a blank source gives %v, want an EmptyError", err)
	}
	m := testMixer(t, Options{Mix: good}, sources)
	for _, bad := range [][3]int{{-1, 0, 1}, {0, 1, 1}, {0, -1, 2}, {0, 0, 0}} {
		if _, err := m.Samples(context.Background(), int64(bad[0]), bad[1], bad[2]); err == nil {
			t.Errorf("step %d, rank %d of %d was taken", bad[0], bad[1], bad[2])
		}
	}
}

func TestShardsThatChangeUnderARunAreAnError(t *testing.T) {
	sources := threeSources()
	m := testMixer(t, Options{Mix: Mix{{Name: "web", Weight: 1}}}, sources)
	b := &sources["web"].blocks[0]
	for d := range b.Keep {
		b.Keep[d] = d < 3
	}
	if _, err := m.Samples(context.Background(), 0, 0, 1); err == nil || !strings.Contains(err.Error(), "changed") {
		t.Errorf("error %v, want one that says the shards changed", err)
	}
}

func TestAReadThatFailedIsTriedAgain(t *testing.T) {
	sources := threeSources()
	m := testMixer(t, Options{Mix: Mix{{Name: "web", Weight: 1}}}, sources)
	sources["web"].fail = errors.New("no route")
	if _, err := m.Samples(context.Background(), 0, 0, 1); err == nil {
		t.Fatal("a failed read gave samples")
	}
	sources["web"].fail = nil
	samples(t, m, 0, 0, 1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := testMixer(t, Options{Mix: Mix{{Name: "web", Weight: 1}}}, sources).Samples(ctx, 0, 0, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
}

func TestBlocksAreReadOnceAGroup(t *testing.T) {
	sources := threeSources()
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}}, sources)
	sources["wiki"].reads.Store(0)
	for k := range m.Tasks()[0].Census.Windows / 16 {
		samples(t, m, k, 0, 1)
	}
	if reads := sources["wiki"].reads.Load(); reads > int64(len(sources["wiki"].blocks)) {
		t.Errorf("%d reads of %d blocks in one pass", reads, len(sources["wiki"].blocks))
	}
}
