package shards

import (
	"errors"
	"fmt"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
)

// Stats is what a data root holds, as its manifests say.
type Stats struct {
	Sources []SourceStats `json:"sources"`
}

// SourceStats is what there is of one source.
type SourceStats struct {
	Source    string `json:"source"`
	Documents int64  `json:"documents"`
	Words     int64  `json:"words"`
	Chars     int64  `json:"chars"`
	// TextBytes is the size of the texts in UTF-8, FileBytes that of the files.
	TextBytes int64 `json:"text_bytes"`
	FileBytes int64 `json:"file_bytes"`
	// Rules lists the rules that were run over the source.
	Rules []dedup.RuleStats `json:"rules,omitempty"`
	// Shards lists the tokenizers the source was sharded with.
	Shards []ShardStats `json:"shards,omitempty"`
}

// ShardStats is what there is of one source for one tokenizer.
type ShardStats struct {
	Tokenizer string `json:"tokenizer"`
	Rows      int64  `json:"rows"`
	Tokens    int64  `json:"tokens"`
	Blocks    int    `json:"blocks"`
	Files     int    `json:"files"`
	FileBytes int64  `json:"file_bytes"`
}

// ReadStats sums up the named sources, or all of the data root when none is
// named. It reads manifests only.
func ReadStats(dataDir string, sources ...string) (*Stats, error) {
	if len(sources) == 0 {
		var err error
		if sources, err = ingest.Sources(dataDir); err != nil {
			return nil, err
		}
		if len(sources) == 0 {
			return nil, fmt.Errorf("%s: %w", dataDir, ingest.ErrNoSource)
		}
	}
	at := map[string]int{}
	s := &Stats{}
	for _, source := range sources {
		m, err := ingest.DocumentsManifest(dataDir, source)
		if err != nil {
			return nil, err
		}
		x := SourceStats{
			Source: source, Documents: m.Totals["documents"], Words: m.Totals["words"],
			Chars: m.Totals["chars"], TextBytes: m.Totals["bytes"],
		}
		for _, f := range m.Files {
			x.FileBytes += f.Bytes
		}
		if x.Rules, err = dedup.Rules(dataDir, source); err != nil {
			return nil, err
		}
		at[source] = len(s.Sources)
		s.Sources = append(s.Sources, x)
	}
	err := eachShards(dataDir, func(source, tokenizer string) error {
		i, ok := at[source]
		if !ok {
			return nil
		}
		m, err := ReadManifest(dataDir, source, tokenizer)
		if errors.Is(err, ErrNoShards) {
			return nil
		}
		if err != nil {
			return err
		}
		x := ShardStats{Tokenizer: tokenizer, Rows: m.Rows, Tokens: m.Tokens, Blocks: len(m.Blocks), Files: len(m.Files)}
		for _, f := range m.Files {
			x.FileBytes += f.Bytes
		}
		s.Sources[i].Shards = append(s.Sources[i].Shards, x)
		return nil
	})
	return s, err
}
