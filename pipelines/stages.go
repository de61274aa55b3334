package pipelines

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/remote"
	"github.com/tributary-ml/tributary/ingest/sample"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
)

// build lists the stages of an experiment; inputs stand before what needs them.
func build(cfg *Config, opts Options) []stage {
	var stages []stage
	if cfg.Sample != nil {
		stages = append(stages, sampleStage(cfg, opts))
	}
	var ingests []string
	for _, source := range cfg.Sources {
		s := ingestStage(cfg, opts, source)
		ingests = append(ingests, s.name)
		stages = append(stages, s)
	}
	// Rules judge what is laid down and mixed. Tokenizers do not depend on them: else
	// every threshold that is tried would tokenise everything anew.
	var judged []string
	for _, source := range cfg.Sources {
		if len(source.Rules) > 0 || readRecord(cfg.Data, rulesStageName(source.Name)) != nil {
			s := rulesStage(cfg, opts, source)
			judged = append(judged, s.name)
			stages = append(stages, s)
		}
	}
	corpus := ingests
	if cfg.Dedup != nil {
		s := dedupStage(cfg, opts, ingests)
		stages = append(stages, s)
		corpus = append(corpus[:len(corpus):len(corpus)], s.name)
	}
	stages = append(stages, tokenizerStage(cfg, opts, corpus))
	stages = append(stages, shardStage(cfg, opts, slices.Concat(corpus, judged, []string{"tokenizer"})))
	if cfg.Train != nil {
		stages = append(stages, trainStage(cfg, opts))
	}
	if len(cfg.Fill) > 0 {
		stages = append(stages, fillStage(cfg, opts))
	}
	return stages
}

// sourceNames are the experiment's sources in the order of the file.
func (cfg *Config) sourceNames() []string {
	out := make([]string, len(cfg.Sources))
	for i, s := range cfg.Sources {
		out[i] = s.Name
	}
	return out
}

// manifestDigest is the digest of what a directory's manifest vouches for, when
// the files are there.
func manifestDigest(dir string) (string, error) {
	m, err := store.ReadManifest(dir)
	if err != nil {
		return "", err
	}
	if _, ok := store.Done(dir, m.Key); !ok {
		return "", fmt.Errorf("%s: files are missing or cut: %w", dir, fs.ErrNotExist)
	}
	return m.Digest(), nil
}

// eachSource gathers one digest a source.
func (cfg *Config) eachSource(digest func(source string) (string, error)) (map[string]string, error) {
	out := map[string]string{}
	for _, source := range cfg.sourceNames() {
		d, err := digest(source)
		if err != nil {
			return nil, fmt.Errorf("source %s: %w", source, err)
		}
		out[source] = d
	}
	return out, nil
}

func sampleStage(cfg *Config, opts Options) stage {
	c := *cfg.Sample
	return stage{
		name:   "sample",
		config: c,
		outputs: func() (map[string]string, error) {
			d, err := manifestDigest(c.Dir)
			return map[string]string{"sample": d}, err
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			r, err := sample.Write(ctx, c.Dir, sample.Options{Seed: c.Seed, Scale: c.Scale, Meter: opts.Meter})
			if err != nil {
				return nil, nil, err
			}
			return r, []string{fmt.Sprintf("%d articles, %d books, %d crawled pages", r.Articles, r.Books, r.Records)}, nil
		},
	}
}

// expand returns the files and folders that patterns name, and for each file
// below them its size and time of change. Reading every byte of a dump to see
// whether it changed would cost as much as ingesting it.
func expand(ctx context.Context, patterns []string) (inputs []string, state map[string]string, err error) {
	state = map[string]string{}
	client := remote.New(remote.Options{})
	for _, pattern := range patterns {
		if remote.IsRemote(pattern) {
			infos, err := far(ctx, client, pattern)
			if err != nil {
				return nil, nil, err
			}
			inputs = append(inputs, pattern)
			for _, info := range infos {
				state[remote.Redact(info.Location)] = fmt.Sprintf("%d bytes, version %s of %s", info.Size, info.Version, info.Modified.UTC().Format(time.RFC3339Nano))
			}
			continue
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, nil, fmt.Errorf("%q is no pattern of file names: %w", pattern, err)
		}
		if len(matches) == 0 {
			return nil, nil, fmt.Errorf("no file %s: %w", pattern, fs.ErrNotExist)
		}
		inputs = append(inputs, matches...)
		for _, m := range matches {
			err := filepath.WalkDir(m, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				info, err := os.Stat(path)
				if err != nil {
					return err
				}
				state[path] = strconv.FormatInt(info.Size(), 10) + " bytes of " + info.ModTime().UTC().Format("2006-01-02T15:04:05.000000000Z")
				return nil
			})
			if err != nil {
				return nil, nil, fmt.Errorf("looking at %s: %w", m, err)
			}
		}
	}
	return inputs, state, nil
}

// far lists the files that a place far away stands for.
func far(ctx context.Context, client *remote.Client, pattern string) ([]remote.Info, error) {
	if strings.HasSuffix(pattern, "/") {
		return client.List(ctx, pattern, 0)
	}
	infos, err := client.Glob(ctx, pattern)
	if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(pattern, "http") {
		return client.List(ctx, pattern+"/", 0)
	}
	return infos, err
}

func ingestStage(cfg *Config, opts Options, source SourceConfig) stage {
	s := stage{
		name: "ingest " + source.Name,
		config: struct {
			Name   string
			Ingest *IngestConfig
		}{source.Name, source.Ingest},
		outside: func(ctx context.Context) (map[string]string, error) {
			_, state, err := expand(ctx, source.Ingest.From)
			return state, err
		},
		outputs: func() (map[string]string, error) {
			d, err := manifestDigest(ingest.DocumentsDir(cfg.Data, source.Name))
			return map[string]string{source.Name: d}, err
		},
	}
	if cfg.Sample != nil {
		s.inputs = []string{"sample"}
	}
	s.run = func(ctx context.Context, before *record) (any, []string, error) {
		inputs, state, err := expand(ctx, source.Ingest.From)
		if err != nil {
			return nil, nil, err
		}
		if l := source.Ingest.Labels; l != nil {
			r, err := ingest.MakeLabelled(ctx, ingest.LabelConfig{
				Data: cfg.Data, Source: source.Name, Task: l.Task, Inputs: inputs, Text: l.Text, Second: l.Second, Label: l.Label, Log: opts.Log,
			})
			if err != nil {
				return nil, nil, err
			}
			summary := []string{fmt.Sprintf("%d labelled examples of %d classes", r.Examples, len(r.Classes))}
			for _, c := range r.Skips {
				summary = append(summary, fmt.Sprintf("skipped %d: %s", c.Count, c.Name))
			}
			return r, summary, nil
		}
		// Ingesting only ever adds to a source. When a file that it was made of is
		// gone or another one now, the source has to be made anew.
		replace := false
		if before != nil {
			for path, was := range before.Outside {
				replace = replace || state[path] != was
			}
		}
		parts, err := ingest.Split(ctx, ingest.Config{
			Data: cfg.Data, Source: source.Name, Kind: source.Ingest.Kind, Inputs: inputs, Fields: source.Ingest.fields(),
			Jobs: opts.Jobs, ReplacePII: source.Ingest.ReplacePII, Replace: replace, Meter: opts.Meter, Log: opts.Log,
		})
		if err != nil {
			return nil, nil, err
		}
		if len(parts) != 1 {
			return nil, nil, fmt.Errorf("its files are of %d kinds: make a source of each", len(parts))
		}
		r, err := ingest.Run(ctx, parts[0])
		if err != nil {
			return nil, nil, err
		}
		t := r.Totals
		summary := []string{fmt.Sprintf("%d documents of %d records, %d words", t.Documents, t.Records, t.Words)}
		for _, c := range t.Skips {
			summary = append(summary, fmt.Sprintf("skipped %d: %s", c.Count, c.Name))
		}
		return t, summary, nil
	}
	return s
}

// dedupRule is a rule of an experiment.
type dedupRule func(context.Context, dedup.Config) (*dedup.Report, error)

// rules are the rules that are asked for, in the order in which they run.
func (c *DedupConfig) rules() ([]dedupRule, error) {
	var out []dedupRule
	for _, rule := range []struct {
		asked *struct{}
		run   dedupRule
	}{{c.Exact, dedup.Exact}, {c.ExactRaw, dedup.ExactRaw}, {c.URL, dedup.URL}} {
		if rule.asked != nil {
			out = append(out, rule.run)
		}
	}
	if c.MinHash != nil {
		o, err := c.MinHash.options()
		if err != nil {
			return nil, err
		}
		out = append(out, func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
			return dedup.MinHash(ctx, cfg, o)
		})
	}
	for _, units := range []struct {
		section *UnitsSection
		run     func(context.Context, dedup.Config, int) (*dedup.Report, error)
	}{{c.Paragraph, dedup.Paragraph}, {c.Line, dedup.Line}} {
		if s := units.section; s != nil {
			words := s.MinWords
			if words == 0 {
				words = 5
			}
			out = append(out, func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
				return units.run(ctx, cfg, words)
			})
		}
	}
	if s := c.Substring; s != nil {
		out = append(out, func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
			return dedup.Substring(ctx, cfg, dedup.SubstringOptions{Length: s.Bytes, All: s.All})
		})
	}
	if s := c.Decontaminate; s != nil {
		out = append(out, func(ctx context.Context, cfg dedup.Config) (*dedup.Report, error) {
			return dedup.Decontaminate(ctx, cfg, dedup.TaskItems(ctx, s.Against, s.Fields), dedup.DecontaminateOptions{NGram: s.NGram})
		})
	}
	return out, nil
}

func dedupStage(cfg *Config, opts Options, inputs []string) stage {
	// How much memory it takes changes no mark.
	keyed := *cfg.Dedup
	keyed.Memory = 0
	// What the evaluation sets hold does.
	var tasks []string
	if d := cfg.Dedup.Decontaminate; d != nil {
		for _, path := range d.Against {
			f, err := store.Describe(filepath.Dir(path), filepath.Base(path))
			if err != nil {
				continue // the stage says so when it runs
			}
			tasks = append(tasks, f.SHA256)
		}
	}
	return stage{
		name:   "dedup",
		inputs: inputs,
		config: []any{cfg.sourceNames(), keyed, tasks},
		outputs: func() (map[string]string, error) {
			return cfg.eachSource(func(source string) (string, error) { return dedup.RulesKey(cfg.Data, source, unjudged) })
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			c := dedup.Config{Data: cfg.Data, Sources: cfg.sourceNames(), MemoryBytes: int64(cfg.Dedup.Memory), Jobs: opts.Jobs, Meter: opts.Meter, Log: opts.Log}
			rules, err := cfg.Dedup.rules()
			if err != nil {
				return nil, nil, err
			}
			var reports []*dedup.Report
			var summary []string
			for _, rule := range rules {
				r, err := rule(ctx, c)
				if err != nil {
					return nil, nil, err
				}
				reports = append(reports, r)
				summary = append(summary, fmt.Sprintf("%s: %d documents marked in %d groups", r.Rule, r.Marked(), r.Groups))
				summary = append(summary, r.Warnings...)
			}
			return reports, summary, nil
		},
	}
}

func tokenizerStage(cfg *Config, opts Options, inputs []string) stage {
	t := cfg.Tokenizer
	return stage{
		name:   "tokenizer",
		inputs: inputs,
		config: []any{t, cfg.sourceNames()},
		outputs: func() (map[string]string, error) {
			d, err := manifestDigest(TokenizerDir(cfg.Data, t.Name))
			return map[string]string{t.Name: d}, err
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			sources := cfg.sourceNames()
			if t.Mix != "" {
				sources = nil // the mix names them
			}
			r, err := TrainTokenizer(ctx, TokenizerConfig{
				Data: cfg.Data, Name: t.Name, Type: t.Type, VocabSize: t.VocabSize, MinFrequency: t.MinFrequency, Sentinels: t.Sentinels, Cased: !t.Lowercase,
				Sources: sources, Mix: t.Mix, SampleBytes: int64(t.Sample), Jobs: opts.Jobs, Meter: opts.Meter, Log: opts.Log,
			})
			if err != nil {
				return nil, nil, err
			}
			return r, []string{fmt.Sprintf("%s: %d pieces from %d documents", r.Name, r.VocabSize, r.Documents)}, nil
		},
	}
}

func shardStage(cfg *Config, opts Options, inputs []string) stage {
	name := cfg.Tokenizer.Name
	return stage{
		name:   "shards",
		inputs: inputs,
		config: []any{cfg.Shards.Size, name, cfg.sourceNames()},
		outputs: func() (map[string]string, error) {
			return cfg.eachSource(func(source string) (string, error) { return manifestDigest(shards.Dir(cfg.Data, source, name)) })
		},
		run: func(ctx context.Context, _ *record) (any, []string, error) {
			r, err := Shard(ctx, ShardConfig{
				Data: cfg.Data, Sources: cfg.sourceNames(), Tokenizer: name,
				ShardBytes: int64(cfg.Shards.Size), MemoryBytes: int64(cfg.Shards.Memory), Jobs: opts.Jobs, Meter: opts.Meter, Log: opts.Log,
			})
			if err != nil {
				return nil, nil, err
			}
			if len(r.Sources) == 0 {
				return nil, nil, errors.New("no source was sharded")
			}
			var summary []string
			for _, s := range r.Sources {
				summary = append(summary, fmt.Sprintf("%s: %d documents, %d tokens", s.Source, s.Rows, s.Tokens))
			}
			return r, summary, nil
		},
	}
}
