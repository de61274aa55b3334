package mixer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A source that may be read k times gives k times its windows and then no more:
// its share goes to the others, or the stream ends.
func TestPassesEnd(t *testing.T) {
	sources := threeSources()
	for _, atEnd := range []AtEnd{Redistribute, Stop} {
		mix := Mix{{Name: "books", Weight: 1, Passes: 2}, {Name: "wiki", Weight: 1}, {Name: "web", Weight: 1, Passes: 1}}
		m := testMixer(t, Options{Mix: mix, Seed: 3, BatchSize: 8, AtEnd: atEnd}, sources)
		limit := map[string]int64{"books": 2, "web": 1}
		had := map[string]int64{}
		steps, ends := m.Steps()
		if ends != (atEnd == Stop) {
			t.Fatalf("policy %d: the stream ends: %v", atEnd, ends)
		}
		if !ends {
			steps = 600
		}
		for k := range steps {
			for _, s := range samples(t, m, k, 0, 1) {
				if n := s.Epoch*m.source(s.Label(), 64).census.Windows + s.Position; s.Epoch >= 0 && had[s.Source] == 0 && n != 0 {
					t.Fatalf("%s begins with number %d", s.Source, n)
				}
				had[s.Source]++
				if l := limit[s.Source]; l > 0 && s.Epoch >= l {
					t.Fatalf("step %d: pass %d of %s", k, s.Epoch, s.Source)
				}
			}
		}
		full := 0
		for name, l := range limit {
			if had[name] == l*m.source(name, 64).census.Windows {
				full++
			}
		}
		if atEnd == Redistribute {
			if full != 2 {
				t.Errorf("after %d steps the sources had %v", steps, had)
			}
			if last := samples(t, m, 599, 0, 1); slices.ContainsFunc(last, func(s Sample) bool { return s.Source != "wiki" }) {
				t.Errorf("the last step is of %s", describe(last))
			}
			continue
		}
		_, err := m.Samples(context.Background(), steps, 0, 1)
		var end *EndError
		if !errors.Is(err, ErrEnd) || !errors.As(err, &end) || end.Steps != steps || limit[end.Label] == 0 {
			t.Errorf("step %d of %d gives %v", steps, steps, err)
		}
	}
	// All sources end: so does the stream, after every window.
	m := testMixer(t, Options{Mix: Mix{{Name: "books", Weight: 1, Passes: 1}, {Name: "web", Weight: 5, Passes: 3}}, BatchSize: 1}, sources)
	want := m.source("books", 64).census.Windows + 3*m.source("web", 64).census.Windows
	if steps, ok := m.Steps(); !ok || steps != want {
		t.Errorf("%d steps, %v, want %d", steps, ok, want)
	}
	seen := map[string]bool{}
	for k := range want {
		s := samples(t, m, k, 0, 1)[0]
		seen[fmt.Sprint(s.Source, s.Epoch, s.Position)] = true
	}
	if int64(len(seen)) != want {
		t.Errorf("%d of %d windows in the whole stream", len(seen), want)
	}
}

func TestWeightings(t *testing.T) {
	sources := threeSources()
	mix := Mix{{Name: "books", Weight: 1}, {Name: "wiki", Weight: 1}, {Name: "web", Weight: 1}}
	open := func(text string) []Task {
		w, err := ParseWeighting(text)
		if err != nil {
			t.Fatal(err)
		}
		return testMixer(t, Options{Mix: mix, Weighting: w}, sources).Tasks()
	}
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s: %.8f, want %.8f", what, got, want)
		}
	}
	for _, task := range open("by=samples") {
		near("even samples of "+task.Name, task.SampleShare, 1.0/3)
	}
	sized := func(text string, size func(Census) float64, share func(Task) float64) {
		tasks := open(text)
		sum := 0.0
		for _, task := range tasks {
			sum += size(task.Census)
		}
		for _, task := range tasks {
			near(text+" "+task.Name, share(task), size(task.Census)/sum)
		}
	}
	tokens, shares := func(c Census) float64 { return float64(c.Tokens) }, func(t Task) float64 { return t.TokenShare }
	sized("proportional", tokens, shares)
	sized("temperature=2", func(c Census) float64 { return math.Sqrt(tokens(c)) }, shares)
	sized("cap=3000", func(c Census) float64 { return min(3000, tokens(c)) }, shares)
	sized("temperature=3,cap=60,by=samples", func(c Census) float64 { return math.Cbrt(min(60, float64(c.Windows))) }, func(t Task) float64 { return t.SampleShare })
	for text, want := range map[string]string{
		"": "is none of", "sideways": "is none of", "temperature=hot": "no number", "temperature=0.5": "not between", "temperature=NaN": "not between",
		"cap=-1": "negative", "by=words": "is none of",
	} {
		if _, err := ParseWeighting(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

// Whatever the weights, a mix is refused with a reason or gives each source its share.
func TestAnyWeightsAreSharesOrAClearError(t *testing.T) {
	sources := threeSources()
	rapid.Check(t, func(t *rapid.T) {
		weight := rapid.OneOf(
			rapid.SampledFrom([]float64{0, -1, math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat64, 5e-324, math.Copysign(0, -1)}),
			rapid.Float64Range(1e-6, 1e6), rapid.Float64())
		mix := Mix{{Name: "books", Weight: weight.Draw(t, "books")}, {Name: "wiki", Weight: weight.Draw(t, "wiki")}, {Name: "web", Weight: weight.Draw(t, "web")}}
		bad := slices.ContainsFunc(mix, func(c Component) bool { return !(c.Weight >= 1e-30 && c.Weight <= 1e30) })
		m, err := newMixer(Options{Mix: mix}, sources)
		sum, least := 0.0, math.Inf(1)
		for _, c := range mix {
			sum += c.Weight
			least = min(least, c.Weight)
		}
		var mixErr *MixError
		switch {
		case bad:
			if !errors.As(err, &mixErr) || !strings.Contains(err.Error(), "the weight of ") {
				t.Fatalf("%v: error %v", mix, err)
			}
		case err != nil:
			// No share may be below one in 2^22 samples.
			if least/sum > 1e-6 {
				t.Fatalf("%v: error %v", mix, err)
			}
			if !strings.Contains(err.Error(), "is too small: it would get") {
				t.Fatalf("%v: error %v", mix, err)
			}
		default:
			for _, task := range m.Tasks() {
				if want := task.Weight / sum; math.Abs(task.TokenShare-want) > 1e-6 {
					t.Fatalf("%v: %s has %g of the tokens, want %g", mix, task.Name, task.TokenShare, want)
				}
			}
		}
	})
}

// Weights that change over many steps go from the old shares to the new ones, and
// no sample of any source is repeated or skipped on the way.
func TestWeightsRamp(t *testing.T) {
	for _, curve := range []string{"", " cosine"} {
		stage, err := ParseStage("100..500" + curve + "=wiki:1,web:3")
		if err != nil {
			t.Fatal(err)
		}
		m := testMixer(t, Options{Mix: Mix{{Name: "books", Weight: 3}, {Name: "wiki", Weight: 1}}, Seed: 4, BatchSize: 16, Stages: []Stage{stage}}, threeSources())
		next := map[string]uint64{}
		tokens := func(from, to int64) map[string]float64 {
			share := map[string]float64{}
			for _, task := range m.TasksAt((from + to) / 2) {
				share[task.Name] = task.TokenShare
			}
			return share
		}
		for i := range uint64(600 * 16) {
			s, n := m.at(i)
			if n != next[s.Name] {
				t.Fatalf("sample %d is number %d of %s, want %d", i, n, s.Name, next[s.Name])
			}
			next[s.Name]++
		}
		for _, c := range []struct {
			step int64
			t    float64
		}{{50, 0}, {200, 0.25}, {300, 0.5}, {450, 0.875}, {550, 1}} {
			x := c.t
			if curve != "" {
				x = 0.5 - 0.5*math.Cos(math.Pi*x)
			}
			got := tokens(c.step, c.step)
			for name, ends := range map[string][2]float64{"books": {0.75, 0}, "wiki": {0.25, 0.25}, "web": {0, 0.75}} {
				if want := ends[0]*(1-x) + ends[1]*x; math.Abs(got[name]-want) > 0.02 {
					t.Errorf("step %d%s: %s has %.3f of the tokens, want %.3f", c.step, curve, name, got[name], want)
				}
			}
		}
	}
}

func TestStagesAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]Stage{
		"10=wiki":                      {From: 10, Mix: Mix{{Name: "wiki", Weight: 1}}},
		"10..20=wiki:2,web:3@4":        {From: 10, Over: 10, Mix: Mix{{Name: "wiki", Weight: 2}, {Name: "web", Weight: 3, Passes: 4}}},
		"10..20 cosine=wiki[words==3]": {From: 10, Over: 10, Curve: Cosine, Mix: Mix{{Name: "wiki", Where: "words==3", Weight: 1}}},
	} {
		if got, err := ParseStage(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %+v, %v, want %+v", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"wiki": "want STEP=MIX", "x=wiki": "no step", "10..5=wiki": "no step after 10", "10 cosine=wiki": "needs the steps", "1..2 square=wiki": "no curve", "3=": "names no source",
	} {
		if _, err := ParseStage(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

// A batch's tokens come to the budget on average, and steps stay a partition of the
// stream, through stages too.
func TestBatchesByTokens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		budget := rapid.Int64Range(64, 5000).Draw(t, "budget")
		m, err := newMixer(Options{
			Mix: Mix{{Name: "books", Weight: 1}, {Name: "wiki", Weight: 1}}, BatchSize: -1, BatchTokens: budget,
			Stages: []Stage{{From: 7, Mix: Mix{{Name: "web", Weight: 1}}}},
		}, threeSources())
		if err != nil {
			t.Fatal(err)
		}
		next, tokens := int64(0), 0
		steps := 10 + 200_000/budget
		for k := range steps {
			for rank := range 3 {
				s, err := m.Samples(context.Background(), k, rank, 3)
				if err != nil {
					t.Fatal(err)
				}
				for _, sample := range s {
					if sample.Index != next || m.step(uint64(next)) != k {
						t.Fatalf("step %d has sample %d, want %d of step %d", k, sample.Index, next, m.step(uint64(next)))
					}
					next++
					tokens += len(sample.Tokens) + 3
				}
			}
		}
		if mean := float64(tokens) / float64(steps*budget); mean < 0.9 || mean > 1.1 {
			t.Fatalf("%d steps have %.3f of their budget of %d tokens", steps, mean, budget)
		}
	})
}

// filterable is a fake whose documents have a signal, their number.
type filterable struct{ *fake }

func (f filterable) Filter(_ context.Context, where string) (Blocks, error) {
	least, most := 0, 1<<30
	for part := range strings.SplitSeq(where, " && ") {
		var n int
		if _, err := fmt.Sscanf(part, "number > %d", &n); err == nil {
			least = n + 1
		} else if _, err := fmt.Sscanf(part, "number <= %d", &n); err == nil {
			most = n
		}
	}
	kept := &fake{}
	for _, b := range f.blocks {
		b.Keep = slices.Clone(b.Keep)
		for d, id := range b.IDs {
			var n int
			if _, err := fmt.Sscanf(id[strings.IndexByte(id, '-')+1:], "%d", &n); err != nil {
				return nil, err
			}
			b.Keep[d] = n >= least && n <= most
		}
		kept.blocks = append(kept.blocks, b)
	}
	return kept, nil
}

// A curriculum brings parts of a source in at their steps, and upweighting gives
// them more than their tokens; the source as a whole keeps its weight.
func TestCurricula(t *testing.T) {
	open := func(text string) *Mixer {
		c, err := ParseCurriculum(text)
		if err != nil {
			t.Fatal(err)
		}
		o := Options{Mix: Mix{{Name: "wiki", Weight: 3}, {Name: "books", Weight: 1}}, SeqLen: 64, Layout: Pairs, BatchSize: 16, ShuffleTokens: 2000}
		if err := o.Unfold([]Curriculum{c}); err != nil {
			t.Fatal(err)
		}
		sources := threeSources()
		m, err := New(context.Background(), o, []Source{{Name: "wiki", Blocks: filterable{sources["wiki"]}}, {Name: "books", Blocks: sources["books"]}})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	m := open("wiki number 0:99 50:199 100:inf")
	highest := func(step int64) (n int) {
		for _, s := range samples(t, m, step, 0, 1) {
			var d int
			if _, err := fmt.Sscanf(s.Spans[0].Doc, "wiki-%d", &d); err == nil {
				n = max(n, d)
			}
		}
		return n
	}
	for step, most := range map[int64]int{0: 99, 49: 99, 50: 199, 99: 199, 100: 299, 130: 299} {
		if n := highest(step); n > most || n <= most-100 {
			t.Errorf("step %d has documents up to number %d, want up to %d", step, n, most)
		}
	}
	for _, step := range []int64{0, 60, 120} {
		share := map[string]float64{}
		for _, task := range m.TasksAt(step) {
			share[task.Name] += task.TokenShare
		}
		if math.Abs(share["wiki"]-0.75) > 1e-6 {
			t.Errorf("step %d: the source has %v", step, share)
		}
	}
	plain, more := open("wiki number 99*1 inf*1").Tasks(), open("wiki number 99*1 inf*3").Tasks()
	ratio := func(tasks []Task) float64 { return tasks[1].TokenShare / tasks[0].TokenShare }
	if got := ratio(more) / ratio(plain); math.Abs(got-3) > 1e-5 {
		t.Errorf("the upper part counts %.4f times, want 3", got)
	}
	for text, want := range map[string]string{
		"wiki number": "two bounds", "wiki number 1 2": "must be inf", "wiki number 5:1 0:inf": "rise from 0", "wiki number 0:2 5:1 9:inf": "do not rise",
		"wiki number x inf": "no number", "wiki number x:1 inf": "no step", "wiki number 1*x inf": "no number", "wi(ki nu(mber 1 inf": "no signal",
	} {
		if _, err := ParseCurriculum(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
	o := Options{Mix: Mix{{Name: "wiki", Weight: 1}}}
	if err := o.Unfold([]Curriculum{{Source: "web", Signal: "number", Bounds: []float64{1}}}); err == nil {
		t.Error("a curriculum of no source was taken")
	}
}

// Weights can be set anew at any step without reading anything.
func TestWithStages(t *testing.T) {
	sources := threeSources()
	m := testMixer(t, Options{Mix: Mix{{Name: "books", Weight: 1}, {Name: "wiki", Weight: 1}}, Seed: 2}, sources)
	reads := sources["wiki"].reads.Load()
	changed, err := m.WithStages([]Stage{{From: 10, Mix: Mix{{Name: "wiki", Weight: 9}, {Name: "books", Weight: 1}}}})
	if err != nil || sources["wiki"].reads.Load() != reads {
		t.Fatalf("error %v after %d reads", err, sources["wiki"].reads.Load()-reads)
	}
	for k := range int64(10) {
		if describe(samples(t, m, k, 0, 1)) != describe(samples(t, changed, k, 0, 1)) {
			t.Fatalf("step %d changed", k)
		}
	}
	if describe(samples(t, m, 12, 0, 1)) == describe(samples(t, changed, 12, 0, 1)) || m.Digest() == changed.Digest() {
		t.Error("the stages change nothing")
	}
	if _, err := m.WithStages([]Stage{{From: 10, Mix: Mix{{Name: "web", Weight: 9}}}}); err == nil || !strings.Contains(err.Error(), "not open") {
		t.Errorf("a new source gives %v", err)
	}
}

// The counts on disk give the same mix, and a damaged file is read around.
func TestWindowCache(t *testing.T) {
	dir := t.TempDir()
	open := func() (*Mixer, int64) {
		sources := threeSources()
		m, err := New(context.Background(), Options{
			Data: dir, Mix: Mix{{Name: "wiki", Weight: 1}, {Name: "books", Weight: 1}}, SeqLen: 64, Layout: Pairs, BatchSize: 16, ShuffleTokens: 2000,
		}, []Source{{Name: "wiki", Blocks: sources["wiki"], Digest: "a"}, {Name: "books", Blocks: sources["books"], Digest: "b"}})
		if err != nil {
			t.Fatal(err)
		}
		return m, sources["wiki"].reads.Load()
	}
	first, reads := open()
	if reads == 0 {
		t.Fatal("nothing was read")
	}
	second, reads := open()
	if reads != 0 {
		t.Errorf("%d blocks were read again", reads)
	}
	for _, step := range []int64{0, 7, 1000} {
		if describe(samples(t, first, step, 0, 1)) != describe(samples(t, second, step, 0, 1)) {
			t.Errorf("step %d differs", step)
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, ".cache", "windows", "*"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, name := range files {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, damaged := range [][]byte{raw[:len(raw)/2], raw[:len(raw)-1], nil, append(slices.Clone(raw), 1), slices.Concat(raw[:len(raw)-9], []byte{raw[len(raw)-9] ^ 1}, raw[len(raw)-8:])} {
			if err := os.WriteFile(name, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			again, _ := open()
			if describe(samples(t, first, 3, 0, 1)) != describe(samples(t, again, 3, 0, 1)) {
				t.Fatalf("a damaged file of %d bytes changes the mix", len(damaged))
			}
		}
	}
}

func TestTokensOutsideTheVocabularyAreAnError(t *testing.T) {
	m := testMixer(t, Options{Mix: Mix{{Name: "wiki", Weight: 1}}, VocabSize: 100}, threeSources())
	_, err := m.Samples(context.Background(), 0, 0, 1)
	var bad *VocabularyError
	if !errors.As(err, &bad) || bad.Size != 100 {
		t.Errorf("error %v, want a VocabularyError", err)
	}
	if _, err := m.Frequencies(context.Background(), 100); !errors.As(err, &bad) {
		t.Errorf("counting gives %v", err)
	}
}

func TestFrequenciesCountTokensAndDocuments(t *testing.T) {
	f := makeFake("s", [][]int{{2, 3}, {4}}, 1)
	for i := range f.blocks {
		for j := range f.blocks[i].Tokens {
			f.blocks[i].Tokens[j] = int32(j % 3)
		}
	}
	m := testMixer(t, Options{Mix: Mix{{Name: "s", Weight: 1}}}, map[string]*fake{"s": f})
	got, err := m.Frequencies(context.Background(), 4)
	want := &Frequencies{Tokens: []int64{4, 3, 2, 0}, Documents: []int64{2, 2, 2, 0}, Count: 2}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}
