// Package stream holds the flags that say which batches are read: all commands that
// read batches share them, so that the same flags mean the same batches.
package stream

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/pipelines"
)

// Flags are the flags that say which batches are read.
type Flags struct {
	Mix string
	// Batches holds what the flags set, of which Config makes the whole.
	Batches pipelines.BatchConfig
	Section pipelines.StreamSection
	cache   cli.Size
}

// Add adds the flags to a command.
func (s *Flags) Add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.Mix, "mix", "", "sources and their shares of the tokens, such as books:0.3,wiki:0.7")
	f.StringVar(&s.Batches.Objective, "objective", pipelines.DefaultObjective, "what is predicted: "+strings.Join(masking.Objectives(), ", ")+", or a point of the grid such as task:mask:ltr:denoise")
	f.StringVar(&s.Batches.Tokenizer, "tokenizer", "", "name of the shards' tokenizer (default: the only one of the data root)")
	f.Uint64Var(&s.Batches.Seed, "seed", 1, "seed of the order, the masks and the weights")
	f.IntVar(&s.Batches.SeqLen, "seq-len", pipelines.DefaultSeqLen, "longest sequence in tokens, special tokens included")
	f.IntVar(&s.Batches.BatchSize, "batch", pipelines.DefaultBatchSize, "sequences of a step")
	f.StringVar(&s.Section.Weights, "weights", "", "what weights mean: fixed, proportional, temperature=T, cap=N, by=tokens, by=samples (several with commas)")
	f.StringVar(&s.Section.AtEnd, "at-end", "", "when a source was read as often as it may be (books:0.3@4): redistribute its share or stop (default redistribute)")
	f.StringArrayVar(&s.Section.Stages, "stage", nil, "a mix that takes over later, such as 1000=books:1,wiki:3 or '1000..2000 cosine=books:1,wiki:3' (may be repeated)")
	f.StringArrayVar(&s.Section.Lengths, "grow", nil, "a sequence length that takes over at a step, such as 900=512 (may be repeated)")
	f.StringArrayVar(&s.Section.Curricula, "curriculum", nil, "parts of a source by a signal, with the steps at which they join or how often they count, such as 'wiki words 0:100 1000:inf' or 'wiki words 100 inf*3' (may be repeated)")
	f.Int64Var(&s.Section.Tokens, "batch-tokens", 0, "tokens of a step, in place of --batch")
	f.StringVar(&s.Section.Packing, "packing", "", fmt.Sprintf("how documents become sequences, for objectives that have a choice: %v", masking.Packings()))
	f.BoolVar(&s.Section.Isolate, "isolate", false, "documents of a packed sequence do not see each other and their positions begin anew")
	f.BoolVar(&s.Section.WholeWords, "whole-words", false, "hide all pieces of a word or none")
	f.BoolVar(&s.Section.NoFallback, "no-sop-fallback", false, "albert: no random second part for texts of one sentence")
	f.BoolVar(&s.Section.Bernoulli, "bernoulli", false, "hide each token with a chance, not an exact number of them")
	f.BoolVar(&s.Section.Compat, "compat", false, "grid: targets at their own positions, as in the original")
	f.StringVar(&s.Section.Cut, "cut", "", "the marked spans that are cut from texts: all, none, or names of rules with commas (default all)")
	f.BoolVar(&s.Section.AllowMissing, "allow-missing", false, "leave out the documents of shards that are missing, in place of stopping")
	f.StringVar(&s.Section.Cache, "cache", "", "directory that keeps shards of a far data root (default: below the user's cache directory)")
	f.Var(&s.cache, "cache-size", "how much of a far data root is kept (default 64GiB)")
	f.Float64Var(&s.Batches.HeldoutFraction, "heldout", pipelines.DefaultHeldoutFraction, "share of the documents that is never trained on")
}

// Config checks the flags and returns the configuration.
func (s *Flags) Config(cmd *cobra.Command, env *cli.Env) (pipelines.BatchConfig, error) {
	cfg := s.Batches
	if s.Mix == "" {
		return cfg, cli.Usage(cmd, "--mix is missing: name sources and weights, such as --mix books:0.3,wiki:0.7")
	}
	mix, err := mixer.ParseMix(s.Mix)
	if err != nil {
		return cfg, cli.Usage(cmd, "--mix: %v", err)
	}
	if err := masking.CheckObjective(cfg.Objective); err != nil {
		return cfg, cli.Usage(cmd, "--objective: %v", err)
	}
	switch {
	case cfg.SeqLen < 8:
		return cfg, cli.Usage(cmd, "--seq-len %d: want at least 8", cfg.SeqLen)
	case cfg.BatchSize < 1:
		return cfg, cli.Usage(cmd, "--batch %d: want at least 1", cfg.BatchSize)
	case !(cfg.HeldoutFraction >= 0 && cfg.HeldoutFraction < 1):
		return cfg, cli.Usage(cmd, "--heldout %g: want a share from 0 up to 1", cfg.HeldoutFraction)
	}
	cfg.Mix, cfg.Data, cfg.Jobs = mix, env.Data, env.Jobs
	s.Section.CacheSize, cfg.Log = pipelines.Size(s.cache), env.Log()
	if err := s.Section.Apply(&cfg); err != nil {
		return cfg, cli.Usage(cmd, "%v", err)
	}
	return cfg, nil
}
