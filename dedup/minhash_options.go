package dedup

import (
	"fmt"
	"strconv"
	"strings"
)

// MinHashOptions says what near-duplicates are and how they are looked for.
type MinHashOptions struct {
	// NGram is the number of words in a shingle.
	NGram int `json:"ngram"`
	// Threshold is the Jaccard similarity of the sets of shingles from which on a
	// document is marked.
	Threshold float64 `json:"threshold"`
	// Containment compares by the share of a document's shingles that the document
	// that stays has, in place of the Jaccard similarity: it finds texts that are
	// parts of others, as far as their signatures nominate them.
	Containment bool `json:"containment,omitempty"`
	// Bands and Rows are the shape of the signature that nominates candidates.
	Bands int `json:"bands"`
	Rows  int `json:"rows"`
	// Seed keys the hash functions.
	Seed uint64 `json:"seed"`
	// Anchors is how many documents of one bucket the others of it are compared
	// with: the first ones in the order of preference.
	Anchors int `json:"anchors"`
	// AlarmSize is the size of a cluster from which on the report warns. A cluster of
	// a tenth of it is warned of when its documents may be AlarmWidth or more apart:
	// twice the greatest Jaccard distance from the one that stays (the distance is a
	// metric).
	AlarmSize  int64   `json:"alarm_size"`
	AlarmWidth float64 `json:"alarm_width"`
}

const (
	defaultPermutations = 128
	defaultAnchors      = 16
	defaultAlarmSize    = 1000
	defaultAlarmWidth   = 0.45
)

// MinHashPreset returns options by name: "fineweb" (14 bands of 8 rows, word
// 5-grams, threshold 0.75; Penedo et al. 2024), "threshold:T" such as
// "threshold:0.8", for which the bands are chosen by ChooseBands, or "reprints", for
// texts that were misread or cut: word 2-grams and a threshold of 0.25. Misread
// words leave few long shingles whole. It nominates many pairs, which takes time.
func MinHashPreset(name string) (MinHashOptions, error) {
	o := MinHashOptions{NGram: 5, Seed: 1, Anchors: defaultAnchors, AlarmSize: defaultAlarmSize, AlarmWidth: defaultAlarmWidth}
	if name == "fineweb" {
		o.Bands, o.Rows, o.Threshold = 14, 8, 0.75
		return o, nil
	}
	if name == "reprints" {
		o.NGram, name = 2, "threshold:0.25"
	}
	value, ok := strings.CutPrefix(name, "threshold:")
	t, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if !ok || err != nil || !(t > 0 && t <= 1) {
		return o, fmt.Errorf("MinHash preset %q: the presets are \"fineweb\", \"reprints\" and \"threshold:T\" with T above 0 and up to 1", name)
	}
	o.Threshold = t
	o.Bands, o.Rows = ChooseBands(t, defaultPermutations)
	return o, nil
}

// MinHashFigures are what a run of MinHash counted.
type MinHashFigures struct {
	MinHashOptions
	// Pairs is the number of pairs nominated, Compared those that were compared,
	// Similar those at or above the threshold. SameWords counts documents that
	// have the words of another one and needed no comparison.
	Pairs     int64 `json:"pairs"`
	Compared  int64 `json:"compared"`
	Similar   int64 `json:"similar"`
	SameWords int64 `json:"same_words"`
	// Wordless counts documents without words, which are similar to none.
	Wordless int64 `json:"wordless"`
	// Crowded counts buckets of more documents than Anchors.
	Crowded int64 `json:"crowded"`
	// BySimilarity counts the compared pairs by similarity in steps of 0.05; what
	// was given up as below the threshold is in BelowThreshold.
	BySimilarity   [21]int64 `json:"by_similarity"`
	BelowThreshold int64     `json:"below_threshold"`
	// ClusterSizes counts clusters by size: [1] of 2, [2] of 3 or 4, [3] of 5 to 8
	// documents and so on.
	ClusterSizes [33]int64 `json:"cluster_sizes"`
}

func (o *MinHashOptions) check() error {
	if o.NGram < 1 || o.NGram > 100 {
		return fmt.Errorf("shingles of %d words: 1 to 100 are possible", o.NGram)
	}
	if !(o.Threshold > 0 && o.Threshold <= 1) {
		return fmt.Errorf("threshold %g: it must be above 0 and at most 1", o.Threshold)
	}
	if o.Bands < 1 || o.Rows < 1 || o.Rows > 512 || o.Bands > 4096/o.Rows {
		return fmt.Errorf("%d bands of %d rows: the signature has 1 to 4096 places, a band 1 to 512", o.Bands, o.Rows)
	}
	if o.Anchors < 1 {
		o.Anchors = defaultAnchors
	}
	if o.AlarmSize < 1 {
		o.AlarmSize = defaultAlarmSize
	}
	if !(o.AlarmWidth > 0) {
		o.AlarmWidth = defaultAlarmWidth
	}
	return nil
}
