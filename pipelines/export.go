package pipelines

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/trainer"
)

// ExportReport is what Export wrote.
type ExportReport struct {
	Dir    string `json:"dir"`
	Step   int64  `json:"step"`
	Digest string `json:"digest"`
}

// Export writes the model of a run's latest whole checkpoint to dir, in the layout
// that Hugging Face transformers opens. The tokenizer is looked up under the data
// root and must be the one the run was trained with.
func Export(ctx context.Context, dataDir, run, dir string, shardBytes int64, jobs int, log *slog.Logger) (*ExportReport, error) {
	m, state, err := trainer.OpenRun(run, model.Options{Jobs: jobs}, func(err error) {
		log.Warn("a damaged checkpoint was passed over", "error", err)
	})
	if err != nil {
		return nil, fmt.Errorf("exporting %s: %w", run, err)
	}
	defer m.Close()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	t, err := OpenTokenizer(dataDir, state.Lineage.Tokenizer)
	if err != nil {
		return nil, fmt.Errorf("exporting %s: %w", run, err)
	}
	if t.Digest() != state.Lineage.TokenizerDigest {
		return nil, fmt.Errorf("exporting %s: tokenizer %s under %s is not the one it was trained with", run, state.Lineage.Tokenizer, dataDir)
	}
	if err := trainer.Export(dir, trainer.Exported{Name: filepath.Base(run), Model: m, Tokenizer: t, State: state, ShardBytes: shardBytes}); err != nil {
		return nil, fmt.Errorf("exporting %s: %w", run, err)
	}
	digest, err := manifestDigest(dir)
	return &ExportReport{Dir: dir, Step: state.Step, Digest: digest}, err
}
