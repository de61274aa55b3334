package pipelines

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/tributary-ml/tributary/ingest/progress"
	"github.com/tributary-ml/tributary/shards"
)

// ShardConfig says which sources to shard with which tokenizer.
type ShardConfig struct {
	// Data is the data root.
	Data string
	// Sources are the sources; all when empty.
	Sources []string
	// Tokenizer is a name under the data root, a tokenizer.json or a directory that
	// holds one. When it is empty the only tokenizer of the data root is taken, and
	// where there is none the default one is trained.
	Tokenizer string
	// ShardBytes, BlockTokens, Compression, Reshard and MemoryBytes are those of
	// shards.Config.
	ShardBytes, BlockTokens, MemoryBytes int64
	Compression                          string
	Reshard                              bool
	Jobs                                 int
	Meter                                *progress.Meter
	Log                                  *slog.Logger
	// Notice is told which tokenizer was chosen or trained; it may be nil.
	Notice func(format string, args ...any)
}

// Shard builds the shards of the sources and, when there is no tokenizer,
// trains one.
func Shard(ctx context.Context, cfg ShardConfig) (*shards.Report, error) {
	if cfg.Notice == nil {
		cfg.Notice = func(string, ...any) {}
	}
	name, err := chooseTokenizer(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return shards.Build(ctx, shards.Config{
		Data: cfg.Data, Sources: cfg.Sources, Tokenizer: name,
		ShardBytes: cfg.ShardBytes, BlockTokens: cfg.BlockTokens, Compression: cfg.Compression, Reshard: cfg.Reshard, MemoryBytes: cfg.MemoryBytes,
		Jobs: cfg.Jobs, Meter: cfg.Meter, Log: cfg.Log,
	})
}

func chooseTokenizer(ctx context.Context, cfg ShardConfig) (string, error) {
	name := cfg.Tokenizer
	if name == "" {
		have, err := Tokenizers(cfg.Data)
		if err != nil {
			return "", err
		}
		switch len(have) {
		case 0:
			cfg.Notice("no tokenizer under %s: training %s (%s, %d pieces) on the sources", cfg.Data, DefaultTokenizer, DefaultTokenizerType, DefaultVocabSize)
			r, err := TrainTokenizer(ctx, TokenizerConfig{Data: cfg.Data, Sources: cfg.Sources, Jobs: cfg.Jobs, Meter: cfg.Meter, Log: cfg.Log})
			if err != nil {
				return "", err
			}
			name = r.Name
		case 1:
			name = have[0]
			cfg.Notice("using tokenizer %s", name)
		default:
			return "", fmt.Errorf("%s has several tokenizers: choose one of %s with --tokenizer", cfg.Data, strings.Join(have, ", "))
		}
	}
	if checkName(name) == nil {
		if _, err := os.Stat(TokenizerDir(cfg.Data, name)); err == nil {
			return name, nil
		}
	}
	// A tokenizer from elsewhere takes the name of its directory.
	path, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	adopted := filepath.Base(path)
	if adopted == "tokenizer.json" {
		adopted = filepath.Base(filepath.Dir(path))
	}
	if _, err := OpenTokenizer(cfg.Data, name); err != nil {
		return "", err
	}
	_, err = AdoptTokenizer(cfg.Data, name, adopted)
	return adopted, err
}
