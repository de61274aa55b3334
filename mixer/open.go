package mixer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/shards"
)

// Open opens a mix over the shards under a data root. Close it after use. The
// error is a *MixError for a source that is not there, and an *EmptyError for one
// that has nothing to read.
func Open(ctx context.Context, options Options) (*Mixer, error) {
	if err := options.check(); err != nil {
		return nil, err
	}
	var sources []Source
	var sets []*shards.Set
	shut := func(err error) error {
		for _, s := range sets {
			err = errors.Join(err, s.Close())
		}
		return err
	}
	for _, c := range options.components() {
		if slices.ContainsFunc(sources, func(s Source) bool { return s.Name == c.Name }) {
			continue
		}
		set, err := shards.OpenWith(ctx, options.Data, c.Name, options.Tokenizer, options.Shards)
		if errors.Is(err, shards.ErrNoShards) {
			err = missing(options, c.Name, err)
		}
		if err != nil {
			return nil, shut(err)
		}
		sets = append(sets, set)
		sources = append(sources, Source{Name: c.Name, Blocks: shardBlocks{Set: set, data: options.Data, name: c.Name}, Digest: set.Digest()})
	}
	if err := checkCut(options, sources); err != nil {
		return nil, shut(err)
	}
	m, err := New(ctx, options, sources)
	if err != nil {
		return nil, shut(err)
	}
	m.close = func() error { return shut(nil) }
	return m, nil
}

// missing says whether a source without shards is a wrong name or one that has
// yet to be sharded.
func missing(options Options, name string, noShards error) error {
	if _, err := os.Stat(filepath.Join(options.Data, name)); err == nil {
		return noShards
	}
	entries, err := os.ReadDir(options.Data)
	if err != nil {
		return fmt.Errorf("looking for the sources: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(shards.Dir(options.Data, e.Name(), options.Tokenizer), store.ManifestName)); err == nil {
			names = append(names, e.Name())
		}
	}
	return unknownSource(name, names)
}

// checkCut sees to it that the rules whose spans are cut were run on some source.
func checkCut(options Options, sources []Source) error {
	var known []string
	for _, s := range sources {
		rules, err := markRules(filepath.Join(options.Data, s.Name, "marks"))
		if err != nil {
			return err
		}
		known = append(known, rules...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, rule := range options.Cut.rules {
		if !slices.Contains(known, rule) {
			return fmt.Errorf("cut: %w", unknown("rule", rule, known))
		}
	}
	return nil
}
