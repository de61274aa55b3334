package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/tokenize"
)

// tokenizerFormat is part of the key of a trained tokenizer.
const tokenizerFormat = "tributary/tokenizer/1"

// The default tokenizer: what is trained when none was asked for.
const (
	DefaultTokenizer     = "wp30k"
	DefaultTokenizerType = "wordpiece"
	DefaultVocabSize     = 30000
)

// TokenizerConfig says which tokenizer to train on which sources.
type TokenizerConfig struct {
	// Data is the data root.
	Data string `json:"-"`
	// Name is the tokenizer's name under the data root; DefaultTokenizer when
	// empty.
	Name string `json:"name"`
	// Type is one of tokenize.Kinds; DefaultTokenizerType when empty.
	Type string `json:"type"`
	// VocabSize is the number of pieces, control tokens included;
	// DefaultVocabSize when 0.
	VocabSize int `json:"vocab_size"`
	// MinFrequency is how often a pair of pieces must occur to be merged; 2 when 0.
	MinFrequency int64 `json:"min_frequency"`
	// Cased keeps upper case and accents. Byte-level BPE always does.
	Cased bool `json:"cased"`
	// Sources are what it learns from; all when empty.
	Sources []string `json:"sources"`
	// Mix gives the sources weights instead, such as "books:0.3,wiki[words > 100]:0.7":
	// shares of the bytes. Predicates are over the columns of documents. Every document
	// of it counts at least once unless SampleBytes is set.
	Mix string `json:"mix,omitempty"`
	// SampleBytes learns from about so much text, documents chosen by their ids.
	SampleBytes int64 `json:"sample_bytes,omitempty"`
	// Specials are the control tokens; those of the type when empty.
	Specials []string `json:"specials,omitempty"`
	// Sentinels adds so many control tokens <extra_id_0>, <extra_id_1> and so on behind
	// the others, which t5 and ul2 put in the place of hidden spans.
	Sentinels int `json:"sentinels,omitempty"`
	// MemoryBytes bounds the table of words; 512 MiB when 0.
	MemoryBytes int64           `json:"memory_bytes,omitempty"`
	Jobs        int             `json:"-"`
	Meter       *progress.Meter `json:"-"`
	Log         *slog.Logger    `json:"-"`
}

// TokenizerReport is what TrainTokenizer did.
type TokenizerReport struct {
	Name      string `json:"name"`
	Path      string `json:"path"`
	VocabSize int    `json:"vocab_size"`
	Digest    string `json:"digest"`
	// Skipped means that the tokenizer was there already.
	Skipped bool `json:"skipped"`
	// Documents is the number of documents it learned from; documents that marks
	// cover whole are left out.
	Documents int64 `json:"documents"`
	// Times says how often the documents of each component of the mix counted, with a
	// mix or a sample.
	Times map[string]float64 `json:"times,omitempty"`
}

// TokenizerDir returns the directory of a tokenizer under the data root.
func TokenizerDir(dataDir, name string) string { return filepath.Join(dataDir, "tokenizers", name) }

// Tokenizers returns the names of the tokenizers under the data root, in order.
func Tokenizers(dataDir string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(dataDir, "tokenizers"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing the tokenizers: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(TokenizerDir(dataDir, e.Name()), "tokenizer.json")); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// OpenTokenizer opens the tokenizer that name means: a name under the data root,
// a tokenizer.json, or a directory that holds one.
func OpenTokenizer(dataDir, name string) (*tokenize.Tokenizer, error) {
	path := name
	if checkName(name) == nil {
		if _, err := os.Stat(filepath.Join(TokenizerDir(dataDir, name), "tokenizer.json")); err == nil {
			path = TokenizerDir(dataDir, name)
		}
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		have, listErr := Tokenizers(dataDir)
		if listErr != nil {
			return nil, listErr
		}
		if len(have) == 0 {
			return nil, fmt.Errorf("no tokenizer %q: %s has none; train one with 'corpus tokenizer train'", name, dataDir)
		}
		return nil, fmt.Errorf("no tokenizer %q: %s has %s", name, dataDir, strings.Join(have, ", "))
	}
	t, err := tokenize.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening tokenizer %s: %w", name, err)
	}
	return t, nil
}

// checkName refuses names that are no single path element.
func checkName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\:`) || !filepath.IsLocal(name) {
		return fmt.Errorf("%q cannot be a name: want letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// TrainTokenizer trains a tokenizer on the documents of the sources that no mark of
// deduplication covers whole (see Unmarked) and saves it under the data root. When the same one is there
// already it does nothing.
func TrainTokenizer(ctx context.Context, cfg TokenizerConfig) (*TokenizerReport, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("training a tokenizer: %w", err)
	}
	fail := func(err error) (*TokenizerReport, error) {
		return nil, fmt.Errorf("training tokenizer %s: %w", cfg.Name, err)
	}
	inputs := map[string]string{}
	for _, source := range cfg.Sources {
		m, err := ingest.DocumentsManifest(cfg.Data, source)
		if err != nil {
			return fail(fmt.Errorf("source %s: %w", source, err))
		}
		marks, err := dedup.RulesKey(cfg.Data, source, unjudged)
		if err != nil {
			return fail(err)
		}
		inputs[source] = store.Key(m.Digest(), marks)
	}
	key := store.Key(tokenizerFormat, cfg, inputs)
	dir := TokenizerDir(cfg.Data, cfg.Name)
	if m, ok := store.Done(dir, key); ok {
		t, err := tokenize.Open(dir)
		if err != nil {
			return fail(err)
		}
		return &TokenizerReport{Name: cfg.Name, Path: dir, VocabSize: t.VocabSize(), Digest: t.Digest(), Skipped: true, Documents: m.Totals["documents"]}, nil
	}
	mix, err := checkMix(cfg.Mix)
	if err != nil {
		return fail(err)
	}
	texts := newMixedTexts(cfg.Data, cfg.Sources, mix)
	if err := texts.plan(ctx, len(mix) > 0, cfg.SampleBytes, cfg.Meter); err != nil {
		return fail(err)
	}
	specials := cfg.Specials
	if len(specials) == 0 && cfg.Type == tokenize.KindBPE {
		specials = tokenize.RobertaSpecials()
	}
	if cfg.Sentinels > 0 && len(specials) == 0 {
		specials = tokenize.DefaultSpecials(cfg.Type)
	}
	for i := range cfg.Sentinels {
		specials = append(slices.Clip(specials), fmt.Sprintf("<extra_id_%d>", i))
	}
	t, err := tokenize.Train(ctx, cfg.Type, texts.texts(ctx), tokenize.TrainOptions{
		VocabSize:    cfg.VocabSize,
		MinFrequency: cfg.MinFrequency,
		Lowercase:    !cfg.Cased,
		Specials:     specials,
		MemoryBytes:  cfg.MemoryBytes,
		Jobs:         cfg.Jobs,
		Meter:        cfg.Meter,
		Log:          cfg.Log,
	})
	if err != nil {
		return fail(err)
	}
	config, err := json.Marshal(cfg)
	if err != nil {
		return fail(err)
	}
	m := &store.Manifest{Format: tokenizerFormat, Key: key, Config: config, Inputs: inputs,
		Totals: map[string]int64{"documents": texts.documents, "vocab_size": int64(t.VocabSize())}}
	if err := saveTokenizer(t, dir, m); err != nil {
		return fail(err)
	}
	return &TokenizerReport{Name: cfg.Name, Path: dir, VocabSize: t.VocabSize(), Digest: t.Digest(), Documents: texts.documents, Times: texts.times}, nil
}

// saveTokenizer makes the tokenizer's directory appear, with its manifest.
func saveTokenizer(t *tokenize.Tokenizer, dir string, m *store.Manifest) error {
	if err := store.SweepDirectories(filepath.Dir(dir)); err != nil {
		return err
	}
	out, err := store.CreateDirectory(dir)
	if err != nil {
		return err
	}
	defer out.Abort()
	if err := t.Save(out.Path()); err != nil {
		return err
	}
	for _, name := range []string{"special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"} {
		f, err := store.Describe(out.Path(), name)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, f)
	}
	if err := store.WriteManifest(out.Path(), m); err != nil {
		return err
	}
	return out.Commit()
}

// AdoptTokenizer copies the tokenizer at path (a tokenizer.json or a directory
// that holds one) to a name under the data root, so that shards can refer to it.
// A different tokenizer that has the name already is an error.
func AdoptTokenizer(dataDir, path, name string) (*tokenize.Tokenizer, error) {
	if err := checkName(name); err != nil {
		return nil, fmt.Errorf("adopting tokenizer %s: %w", path, err)
	}
	t, err := tokenize.Open(path)
	if err != nil {
		return nil, fmt.Errorf("adopting tokenizer %s: %w", path, err)
	}
	dir := TokenizerDir(dataDir, name)
	if _, err := os.Stat(dir); err == nil {
		have, err := tokenize.Open(dir)
		if err != nil {
			return nil, fmt.Errorf("adopting tokenizer %s: %w", path, err)
		}
		if have.Digest() != t.Digest() {
			return nil, fmt.Errorf("adopting tokenizer %s: %s holds another tokenizer of the name %s", path, dataDir, name)
		}
		return have, nil
	}
	m := &store.Manifest{Format: tokenizerFormat, Key: store.Key(tokenizerFormat, "adopted", t.Digest()),
		Totals: map[string]int64{"vocab_size": int64(t.VocabSize())}}
	if err := saveTokenizer(t, dir, m); err != nil {
		return nil, fmt.Errorf("adopting tokenizer %s: %w", path, err)
	}
	return t, nil
}

func (cfg TokenizerConfig) withDefaults() (TokenizerConfig, error) {
	if cfg.Name == "" {
		cfg.Name = DefaultTokenizer
	}
	if err := checkName(cfg.Name); err != nil {
		return cfg, err
	}
	if cfg.Type == "" {
		cfg.Type = DefaultTokenizerType
	}
	if !slices.Contains(tokenize.Kinds(), cfg.Type) {
		return cfg, fmt.Errorf("tokenizer type %q is not one of %s", cfg.Type, strings.Join(tokenize.Kinds(), ", "))
	}
	if cfg.SampleBytes < 0 || cfg.MemoryBytes < 0 {
		return cfg, errors.New("sample and memory cannot be negative")
	}
	if cfg.Sentinels < 0 || cfg.Sentinels > 1<<16 {
		return cfg, fmt.Errorf("%d sentinels: want 0 to %d", cfg.Sentinels, 1<<16)
	}
	if cfg.VocabSize == 0 {
		cfg.VocabSize = DefaultVocabSize
	}
	if cfg.MinFrequency == 0 {
		cfg.MinFrequency = 2
	}
	mix, err := checkMix(cfg.Mix)
	if err != nil {
		return cfg, err
	}
	if len(mix) > 0 && len(cfg.Sources) > 0 {
		return cfg, errMixAndSources
	}
	for _, c := range mix {
		if !slices.Contains(cfg.Sources, c.Name) {
			cfg.Sources = append(cfg.Sources, c.Name)
		}
	}
	if len(cfg.Sources) == 0 {
		all, err := ingest.Sources(cfg.Data)
		if err != nil {
			return cfg, err
		}
		if len(all) == 0 {
			return cfg, fmt.Errorf("%s has no sources: ingest something first", cfg.Data)
		}
		cfg.Sources = all
	}
	return cfg, nil
}
