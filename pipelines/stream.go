package pipelines

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
)

// StreamSection holds what of a stream of batches is seldom set. The zero value
// is the plain stream: weights as shares of the tokens, sources read over and over,
// windows as the objective makes them.
type StreamSection struct {
	// Weights is a weighting as mixer.ParseWeighting reads it.
	Weights string `yaml:"weights"`
	// AtEnd says what comes when a source has been read as often as it may be:
	// redistribute or stop.
	AtEnd string `yaml:"at_end"`
	// Stages are mixes that take over later, as mixer.ParseStage reads them, Lengths
	// sequence lengths that do, as STEP=LENGTH.
	Stages  []string `yaml:"stages"`
	Lengths []string `yaml:"lengths"`
	// Curricula split sources by a signal, as mixer.ParseCurriculum reads them.
	Curricula []string `yaml:"curricula"`
	// Tokens is the size of a batch in tokens, in place of its number of sequences.
	Tokens int64 `yaml:"batch_tokens"`
	// Cut says which marked spans are cut from texts, as mixer.ParseCut reads it.
	Cut string `yaml:"cut"`
	// AllowMissing has the documents of missing shards left out; Cache and CacheSize
	// are where and how much of a far data root is kept here.
	AllowMissing bool   `yaml:"allow_missing"`
	Cache        string `yaml:"cache"`
	CacheSize    Size   `yaml:"cache_size"`
	// Packing and the others are options of the objective (masking.Options).
	Packing    string `yaml:"packing"`
	Isolate    bool   `yaml:"isolate"`
	WholeWords bool   `yaml:"whole_words"`
	NoFallback bool   `yaml:"no_sop_fallback"`
	Bernoulli  bool   `yaml:"bernoulli"`
	Compat     bool   `yaml:"compat"`
}

// String writes what is set, as keys and values.
func (s StreamSection) String() string {
	var parts []string
	for _, p := range []struct{ key, value string }{
		{"weights", s.Weights}, {"at_end", s.AtEnd}, {"stages", strings.Join(s.Stages, "; ")}, {"lengths", strings.Join(s.Lengths, "; ")},
		{"curricula", strings.Join(s.Curricula, "; ")}, {"packing", s.Packing}, {"cut", s.Cut},
	} {
		if p.value != "" {
			parts = append(parts, p.key+" "+p.value)
		}
	}
	if s.Tokens != 0 {
		parts = append(parts, fmt.Sprint("batch_tokens ", s.Tokens))
	}
	for _, p := range []struct {
		key string
		set bool
	}{{"isolate", s.Isolate}, {"whole_words", s.WholeWords}, {"no_sop_fallback", s.NoFallback}, {"bernoulli", s.Bernoulli}, {"compat", s.Compat}} {
		if p.set {
			parts = append(parts, p.key)
		}
	}
	return strings.Join(parts, ", ")
}

// Apply sets what the section says in a configuration.
func (s StreamSection) Apply(cfg *BatchConfig) error {
	var err error
	if s.Weights != "" {
		if cfg.Weighting, err = mixer.ParseWeighting(s.Weights); err != nil {
			return err
		}
	}
	switch s.AtEnd {
	case "", "redistribute":
	case "stop":
		cfg.AtEnd = mixer.Stop
	default:
		return fmt.Errorf("at the end of a source: %q is neither redistribute nor stop", s.AtEnd)
	}
	if cfg.Cut, err = mixer.ParseCut(s.Cut); err != nil {
		return err
	}
	for _, text := range s.Stages {
		stage, err := mixer.ParseStage(text)
		if err != nil {
			return err
		}
		cfg.Stages = append(cfg.Stages, stage)
	}
	for _, text := range s.Lengths {
		step, length, _ := strings.Cut(text, "=")
		from, err := strconv.ParseInt(step, 10, 64)
		if err != nil {
			return fmt.Errorf("sequence length %q: want STEP=LENGTH", text)
		}
		n, err := strconv.Atoi(length)
		if err != nil || n < 8 {
			return fmt.Errorf("sequence length %q: want STEP=LENGTH, with a length of 8 at least", text)
		}
		at := slices.IndexFunc(cfg.Stages, func(s mixer.Stage) bool { return s.From == from })
		if at < 0 {
			cfg.Stages = append(cfg.Stages, mixer.Stage{From: from})
			at = len(cfg.Stages) - 1
		}
		cfg.Stages[at].SeqLen = n
	}
	slices.SortStableFunc(cfg.Stages, func(a, b mixer.Stage) int { return int(min(max(a.From-b.From, -1), 1)) })
	for _, text := range s.Curricula {
		c, err := mixer.ParseCurriculum(text)
		if err != nil {
			return err
		}
		cfg.Curricula = append(cfg.Curricula, c)
	}
	if s.Tokens != 0 {
		cfg.BatchTokens, cfg.BatchSize = s.Tokens, 0
	}
	if p := masking.Packing(s.Packing); p != "" && !slices.Contains(masking.Packings(), p) {
		return fmt.Errorf("there is no packing %q; there are %v", s.Packing, masking.Packings())
	}
	cfg.AllowMissing, cfg.Cache, cfg.CacheBytes = s.AllowMissing, s.Cache, int64(s.CacheSize)
	cfg.Options.Packing, cfg.Options.Isolate = masking.Packing(s.Packing), s.Isolate
	cfg.Options.WholeWords, cfg.Options.NoFallback = s.WholeWords, s.NoFallback
	cfg.Options.Bernoulli, cfg.Options.Compat = s.Bernoulli, s.Compat
	return nil
}

// longest is the longest sequence of a stream.
func (c BatchConfig) longest() int {
	longest := c.SeqLen
	for _, s := range c.Stages {
		longest = max(longest, s.SeqLen)
	}
	return longest
}
