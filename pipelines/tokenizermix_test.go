package pipelines

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
)

// TestTokenizerMixPredicates: the predicates of a tokenizer's mix choose the
// documents that the same expression over their columns and marks gives, and the
// components have their shares of the bytes.
func TestTokenizerMixPredicates(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	cfg, err := Parse("x.yaml", fmt.Appendf(nil, `
data: %s/data
sample: {dir: %s/raw, scale: 0.1}
sources:
  web: {ingest: {kind: web, from: [%s/raw/crawl.warc.wet.gz]}}
dedup: {exact: {}}
`, dir, dir, dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, "x.yaml", cfg, Options{Jobs: 2, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	marked := map[string]bool{}
	for m, err := range dedup.Marks(ctx, data, "web") {
		if err != nil {
			t.Fatal(err)
		}
		marked[m.ID] = marked[m.ID] || m.Whole()
	}
	var all []*ingest.Document
	words := int64(0)
	for d, err := range ingest.Documents(ctx, data, "web") {
		if err != nil {
			t.Fatal(err)
		}
		copied := *d
		all = append(all, &copied)
		words += d.Words
	}
	mean := words / int64(len(all))
	if len(marked) == 0 {
		t.Fatal("no document is marked")
	}
	choose := func(f func(*ingest.Document) bool) map[string]int {
		out := map[string]int{}
		for _, d := range all {
			if f(d) {
				out[d.Text]++
			}
		}
		return out
	}
	for where, want := range map[string]map[string]int{
		fmt.Sprintf("[words > %d]", mean):             choose(func(d *ingest.Document) bool { return d.Words > mean && !marked[d.ID] }),
		`[marked("exact")]`:                           choose(func(d *ingest.Document) bool { return marked[d.ID] }),
		`[language != "" && mean_token_length < 5.5]`: choose(func(d *ingest.Document) bool { return d.Language != "" && d.MeanTokenLength < 5.5 && !marked[d.ID] }),
		fmt.Sprintf("[kept || words <= %d]", mean):    choose(func(d *ingest.Document) bool { return !marked[d.ID] || d.Words <= mean }),
		`[url contains "http" || record % 2 == 0]`: choose(func(d *ingest.Document) bool {
			return (strings.Contains(d.URL, "http") || d.Record%2 == 0) && !marked[d.ID]
		}),
		"": choose(func(d *ingest.Document) bool { return !marked[d.ID] }),
	} {
		mix, err := checkMix("web" + where)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]int{}
		for text, err := range newMixedTexts(data, nil, mix).texts(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			got[text]++
		}
		if len(want) == 0 || !maps.Equal(got, want) {
			t.Errorf("%s: %d texts, want %d", where, len(got), len(want))
		}
	}

	// Two parts of one source, in shares of their own.
	mix, err := checkMix(fmt.Sprintf("web[words > %d]:0.25, web[words <= %d]:0.75", mean, mean))
	if err != nil {
		t.Fatal(err)
	}
	texts := newMixedTexts(data, nil, mix)
	if err := texts.plan(ctx, true, 4_000_000, nil); err != nil {
		t.Fatal(err)
	}
	long, sum := 0, 0
	for text, err := range texts.texts(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if sum += len(text); int64(len(strings.Fields(text))) > mean {
			long += len(text)
		}
	}
	if share := float64(long) / float64(sum); math.Abs(share-0.25) > 0.02 || sum < 3_800_000 || sum > 4_200_000 {
		t.Errorf("the long ones have %.3f of %d bytes, want a quarter of 4 MB", share, sum)
	}

	for mix, want := range map[string]string{
		"web[wrods > 3]":               `did you mean "words"`,
		`web[marked("exactt")]`:        `did you mean "exact"`,
		`web[cut("exact")]`:            "cut is about the tokens",
		`web[length > 3]`:              "length",
		`web[words > ]`:                "unexpected",
		`web[words > 100000000]`:       "has no text",
		`web[words > 1]:0.5,web:0.5:1`: "no number",
	} {
		_, err := TrainTokenizer(ctx, TokenizerConfig{Data: data, Name: "t", VocabSize: 300, Mix: mix, Log: slog.New(slog.DiscardHandler)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %s", mix, err, want)
		}
	}
	r, err := TrainTokenizer(ctx, TokenizerConfig{Data: data, Name: "t", VocabSize: 300, Mix: fmt.Sprintf("web[words > %d]", mean), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if r.Documents == 0 || r.Documents >= int64(len(all)) || len(r.Times) != 1 {
		t.Errorf("trained on %d of %d documents, times %v", r.Documents, len(all), r.Times)
	}
}
