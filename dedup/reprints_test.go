package dedup

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
)

// reprints makes articles that were printed again and again, as newspapers did:
// each reprint is read by a machine that mistakes a share of the letters, and often
// cut short or begun late. The others are printed once.
func reprints(groups, single int, noise float64, seed uint64) (docs []ingest.Document, labels map[string]string) {
	rng := rand.New(rand.NewPCG(seed, 77))
	vocabulary := make([]string, 8000)
	for i := range vocabulary {
		var b strings.Builder
		for range 2 + rng.IntN(8) {
			b.WriteByte("etaoinshrdlucmfwypvbgkjqxz"[min(rng.IntN(26), rng.IntN(26))])
		}
		vocabulary[i] = b.String()
	}
	article := func() []string {
		words := make([]string, 120+rng.IntN(300))
		for i := range words {
			// Some words are much more frequent than others.
			words[i] = vocabulary[int(float64(len(vocabulary))*rng.Float64()*rng.Float64()*rng.Float64())]
		}
		return words
	}
	labels = map[string]string{}
	add := func(label int, words []string) {
		id := fmt.Sprintf("n%05d", len(docs))
		labels[id] = fmt.Sprint(label)
		docs = append(docs, ingest.Document{ID: id, Text: strings.Join(words, " ")})
	}
	misread := func(words []string) []string {
		out := make([]string, len(words))
		for i, w := range words {
			b := []byte(w)
			for k := range b {
				if rng.Float64() < noise {
					b[k] = byte('a' + rng.IntN(26))
				}
			}
			out[i] = string(b)
		}
		return out
	}
	for g := range groups {
		words := article()
		for range 2 + rng.IntN(6) {
			from, to := 0, len(words)
			if rng.IntN(3) == 0 {
				to -= rng.IntN(len(words) / 3)
			}
			if rng.IntN(6) == 0 {
				from = rng.IntN(len(words) / 6)
			}
			add(g, misread(words[from:to]))
		}
	}
	for s := range single {
		add(groups+s, misread(article()))
	}
	return docs, labels
}

// Reprints that were misread have few long shingles in common: pairs of words and
// a low threshold find them.
func TestReprints(t *testing.T) {
	for _, c := range []struct {
		preset string
		ngram  int
		noise  float64
		want   float64
	}{
		{"threshold:0.5", 5, 0, 0.8},
		{"threshold:0.5", 5, 0.01, 0},
		{"reprints", 2, 0, 0.9},
		{"reprints", 2, 0.01, 0.9},
		{"reprints", 2, 0.03, 0.8},
		{"threshold:0.15", 2, 0.05, 0.8},
	} {
		docs, labels := reprints(60, 300, c.noise, 5)
		dir := t.TempDir()
		writeDocuments(t, dir, "news", docs...)
		o := options(t, c.preset)
		o.NGram = c.ngram
		if _, err := MinHash(context.Background(), Config{Data: dir}, o); err != nil {
			t.Fatal(err)
		}
		cluster := map[string]string{}
		for id := range labels {
			cluster[id] = id
		}
		wrong := 0
		for _, m := range marksOf(t, dir, "news") {
			cluster[m.ID] = m.Kept
			if labels[m.ID] != labels[m.Kept] {
				wrong++
			}
		}
		got := adjustedRand(labels, cluster)
		t.Logf("%s, word %d-grams (%d bands of %d), %.0f%% of letters misread: adjusted Rand index %.3f, %d wrong marks", c.preset, c.ngram, o.Bands, o.Rows, 100*c.noise, got, wrong)
		if got < c.want || wrong > 0 {
			t.Errorf("adjusted Rand index %.3f, want at least %g; %d wrong marks", got, c.want, wrong)
		}
	}
}
