package pipelines

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/mixer"
)

// maxTimes bounds how often a document may count when a small source has a large
// weight.
const maxTimes = 10_000

// mixedTexts are the documents that a tokenizer learns from: of each component of a
// mix a share, or all of it several times.
type mixedTexts struct {
	data       string
	components mixer.Mix
	// times says how often the documents of each component count, 1 where it is
	// empty. Of a fraction, that part of the documents counts once more; which, hangs
	// on their ids alone.
	times map[string]float64
	// documents counts those that were read, a repeated one once.
	documents int64
}

// newMixedTexts returns the texts of a mix, or of whole sources without one.
func newMixedTexts(data string, sources []string, mix mixer.Mix) *mixedTexts {
	m := &mixedTexts{data: data, components: mix}
	if len(mix) == 0 {
		for _, source := range sources {
			m.components = append(m.components, mixer.Component{Name: source})
		}
	}
	return m
}

// plan reads how large the components are and finds how often they count, so that
// the bytes of each are as the weights of the mix (the sizes, when weighted is
// false) and all together about sample bytes; or, when sample is 0, as many as it
// takes for every document to count at least once. What may be read through so often
// at most, as the mix says, counts no oftener.
func (m *mixedTexts) plan(ctx context.Context, weighted bool, sample int64, meter *progress.Meter) error {
	if !weighted && sample == 0 {
		return nil
	}
	sizes, total := make([]float64, len(m.components)), 0.0
	meter.Begin("measuring sources", "documents", 0, 0)
	for i, c := range m.components {
		for d, err := range m.documentsOf(ctx, c) {
			if err != nil {
				return err
			}
			sizes[i] += float64(len(d.Text))
			meter.Add(1)
		}
		if sizes[i] == 0 {
			return fmt.Errorf("%s has no text: no document that its predicate keeps, or that no mark covers", c.Label())
		}
		total += sizes[i]
	}
	shares, sum := slices.Clone(sizes), total
	if weighted {
		sum = 0
		for i, c := range m.components {
			shares[i] = c.Weight
			sum += c.Weight
		}
	}
	want := float64(sample)
	if sample == 0 {
		for i := range m.components {
			want = max(want, sizes[i]*sum/shares[i])
		}
	}
	m.times = map[string]float64{}
	for i, c := range m.components {
		times := want * shares[i] / sum / sizes[i]
		if c.Passes > 0 {
			times = min(times, float64(c.Passes))
		}
		if times > maxTimes {
			return fmt.Errorf("the weight of %s asks for its text %.0f times; at most %d can be", c.Label(), times, maxTimes)
		}
		m.times[c.Label()] = times
	}
	return nil
}

// texts streams the texts, each as often as it counts.
func (m *mixedTexts) texts(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, c := range m.components {
			times := 1.0
			if m.times != nil {
				times = m.times[c.Label()]
			}
			for d, err := range m.documentsOf(ctx, c) {
				if err != nil {
					yield("", err)
					return
				}
				n := timesOf(d.ID, times)
				if n > 0 {
					m.documents++
				}
				for range n {
					if !yield(d.Text, nil) {
						return
					}
				}
			}
		}
	}
}

// documentsOf streams the documents of a component: those for which its predicate
// holds, or that no mark covers whole.
func (m *mixedTexts) documentsOf(ctx context.Context, c mixer.Component) iter.Seq2[*ingest.Document, error] {
	if c.Where == "" {
		return Unmarked(ctx, m.data, c.Name)
	}
	return func(yield func(*ingest.Document, error) bool) {
		keeps, err := c.DocumentFilter(ctx, m.data)
		if err != nil {
			yield(nil, err)
			return
		}
		for d, err := range ingest.Documents(ctx, m.data, c.Name) {
			keep := false
			if err == nil {
				keep, err = keeps(d)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if keep && !yield(d, nil) {
				return
			}
		}
	}
}

// timesOf rounds times up for the share of the ids that its fraction is.
func timesOf(id string, times float64) int {
	whole := math.Floor(times)
	const seed = 0x746f6b656e697a65 // any other use of the ids has another
	if u := float64(xxh3.HashStringSeed(id, seed)>>11) / (1 << 53); u < times-whole {
		whole++
	}
	return int(whole)
}

// checkMix reads a mix for a tokenizer.
func checkMix(text string) (mixer.Mix, error) {
	if text == "" {
		return nil, nil
	}
	mix, err := mixer.ParseMix(text)
	if err != nil {
		return nil, err
	}
	for _, c := range mix {
		if c.Weight <= 0 {
			return nil, fmt.Errorf("%s has the weight %v", c.Label(), c.Weight)
		}
	}
	return mix, nil
}

var errMixAndSources = errors.New("a mix names its sources: name them there or as arguments, not both")

// Unmarked streams the documents of a source that no mark of deduplication or
// decontamination covers whole. What rules over signals are against is among them, so
// that a tokenizer does not change with every threshold that is tried.
func Unmarked(ctx context.Context, dataDir, source string) iter.Seq2[*ingest.Document, error] {
	return func(yield func(*ingest.Document, error) bool) {
		stats, err := dedup.Rules(dataDir, source)
		if err != nil {
			yield(nil, err)
			return
		}
		marked := map[xxh3.Uint128]struct{}{}
		for mark, err := range dedup.Marks(ctx, dataDir, source) {
			if err != nil {
				yield(nil, err)
				return
			}
			if mark.Whole() && !slices.ContainsFunc(stats, func(r dedup.RuleStats) bool { return r.Judged && r.Rule == mark.Rule }) {
				marked[xxh3.HashString128(mark.ID)] = struct{}{}
			}
		}
		for d, err := range ingest.Documents(ctx, dataDir, source) {
			if err != nil {
				yield(nil, err)
				return
			}
			if _, ok := marked[xxh3.HashString128(d.ID)]; ok {
				continue
			}
			if !yield(d, nil) {
				return
			}
		}
	}
}
