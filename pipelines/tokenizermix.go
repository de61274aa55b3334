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

// mixedTexts are the documents that a tokenizer learns from: of each source a
// share, or all of it several times.
type mixedTexts struct {
	data    string
	sources []string
	// times says how often each source's documents count, 1 where it is empty. Of a
	// fraction, that part of the documents counts once more; which, hangs on their
	// ids alone.
	times map[string]float64
	// documents counts those that were read, a repeated one once.
	documents int64
}

// plan reads how large the sources are and finds how often they count, so that
// the bytes of each are as the weights of the mix (the sizes, without a mix)
// and all together about sample bytes; or, when sample is 0, as many as it takes
// for every document to count at least once.
func (m *mixedTexts) plan(ctx context.Context, mix mixer.Mix, sample int64, meter *progress.Meter) error {
	if len(mix) == 0 && sample == 0 {
		return nil
	}
	sizes, total := map[string]float64{}, 0.0
	meter.Begin("measuring sources", "documents", 0, 0)
	for _, source := range m.sources {
		for d, err := range Unmarked(ctx, m.data, source) {
			if err != nil {
				return err
			}
			sizes[source] += float64(len(d.Text))
			meter.Add(1)
		}
		if sizes[source] == 0 {
			return fmt.Errorf("source %s has no text that no mark covers", source)
		}
		total += sizes[source]
	}
	shares, sum := map[string]float64{}, 0.0
	for _, c := range mix {
		shares[c.Name] = c.Weight
		sum += c.Weight
	}
	if len(mix) == 0 {
		shares, sum = sizes, total
	}
	want := float64(sample)
	if sample == 0 {
		for _, source := range m.sources {
			want = max(want, sizes[source]*sum/shares[source])
		}
	}
	m.times = map[string]float64{}
	for _, source := range m.sources {
		times := want * shares[source] / sum / sizes[source]
		if times > maxTimes {
			return fmt.Errorf("the weight of source %s asks for its text %.0f times; at most %d can be", source, times, maxTimes)
		}
		m.times[source] = times
	}
	return nil
}

// texts streams the texts, each as often as it counts.
func (m *mixedTexts) texts(ctx context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for _, source := range m.sources {
			times := 1.0
			if m.times != nil {
				times = m.times[source]
			}
			for d, err := range Unmarked(ctx, m.data, source) {
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

// timesOf rounds times up for the share of the ids that its fraction is.
func timesOf(id string, times float64) int {
	whole := math.Floor(times)
	const seed = 0x746f6b656e697a65 // any other use of the ids has another
	if u := float64(xxh3.HashStringSeed(id, seed)>>11) / (1 << 53); u < times-whole {
		whole++
	}
	return int(whole)
}

// checkMix reads a mix of whole sources.
func checkMix(text string) (mixer.Mix, error) {
	if text == "" {
		return nil, nil
	}
	mix, err := mixer.ParseMix(text)
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, c := range mix {
		switch {
		case c.Where != "":
			return nil, fmt.Errorf("mix component %s: predicates are applied to shards; a tokenizer is trained on the documents that no mark covers", c.Label())
		case seen[c.Name]:
			return nil, fmt.Errorf("source %s stands twice in the mix", c.Name)
		case c.Weight <= 0:
			return nil, fmt.Errorf("source %s has the weight %v", c.Name, c.Weight)
		}
		seen[c.Name] = true
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
