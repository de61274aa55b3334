package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tributary-ml/tributary/ingest/store"
	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/tokenize"
)

const (
	exportFormat   = "tributary/model/1"
	configFile     = "config.json"
	generationFile = "generation_config.json"
	cardFile       = "README.md"
)

// Exported is what Export writes: a model, its tokenizer, and what the model
// card tells of the run.
type Exported struct {
	// Name is the model's name on its card, such as the run's.
	Name      string
	Model     *model.Model
	Tokenizer *tokenize.Tokenizer
	// State is where the run stood; nil for a model that was not trained here.
	State *State
	// ShardBytes bounds the tensors of one file, but for a tensor that is larger by
	// itself; with more the model lies in several files and an index. 0 means
	// DefaultShardBytes.
	ShardBytes int64
}

// DefaultShardBytes is where transformers cuts, too.
const DefaultShardBytes = 5e9

// Export writes a model directory as Hugging Face transformers lays it out, and
// a manifest of it. The directory appears whole, in place of one that was there
// before. The bytes depend on the arguments alone.
func Export(dir string, e Exported) error {
	c := e.Model.Config()
	if n := e.Tokenizer.VocabSize(); n > c.VocabSize {
		return fmt.Errorf("exporting %s: the tokenizer has %d tokens, the model embeds %d", dir, n, c.VocabSize)
	}
	d, err := store.CreateDirectory(dir)
	if err != nil {
		return fmt.Errorf("exporting a model: %w", err)
	}
	defer d.Abort()
	config, err := exportedConfig(c, e.Tokenizer)
	if err != nil {
		return fmt.Errorf("exporting %s: %w", dir, err)
	}
	m := &store.Manifest{Format: exportFormat, Config: config}
	add := func(f store.File, err error) error {
		if err != nil {
			return fmt.Errorf("exporting %s: %w", dir, err)
		}
		m.Files = append(m.Files, f)
		return nil
	}
	if err := add(store.WriteFile(filepath.Join(d.Path(), configFile), config)); err != nil {
		return err
	}
	files, err := writeShards(d.Path(), e.Model.Params(), e.ShardBytes)
	if err != nil {
		return fmt.Errorf("exporting %s: %w", dir, err)
	}
	m.Files = append(m.Files, files...)
	if c.Causal() {
		if err := add(store.WriteFile(filepath.Join(d.Path(), generationFile), generationConfig(e.Tokenizer))); err != nil {
			return err
		}
	}
	if err := e.Tokenizer.Save(d.Path()); err != nil {
		return fmt.Errorf("exporting %s: %w", dir, err)
	}
	if err := add(store.WriteFile(filepath.Join(d.Path(), cardFile), card(&e))); err != nil {
		return err
	}
	m.Key = store.Key(exportFormat, config, e.Tokenizer.Digest(), m.Files)
	if err := store.WriteManifest(d.Path(), m); err != nil {
		return err
	}
	return d.Commit()
}

// exportedConfig returns the config.json: the model's own keys, and those that
// transformers writes beside them.
func exportedConfig(c model.Config, t *tokenize.Tokenizer) ([]byte, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encoding the model's configuration: %w", err)
	}
	keys := map[string]any{}
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, fmt.Errorf("encoding the model's configuration: %w", err)
	}
	keys["architectures"] = []string{c.Architecture()}
	if c.Causal() {
		// transformers' own values for these are ids of the published vocabulary.
		keys["bos_token_id"], keys["eos_token_id"] = endToken(t), endToken(t)
	} else {
		keys["classifier_dropout"] = nil
	}
	keys["tie_word_embeddings"] = true
	keys["torch_dtype"] = "float32"
	keys["use_cache"] = true
	data, err = json.MarshalIndent(keys, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the model's configuration: %w", err)
	}
	return append(data, '\n'), nil
}

// endToken returns the token that stands between texts; nil when there is none.
func endToken(t *tokenize.Tokenizer) any {
	if t == nil {
		return nil
	}
	if id := EndToken(t); id >= 0 {
		return id
	}
	return nil
}

// EndToken returns the id of the token that a causal model reads between texts (as
// masking lays them), below 0 when the tokenizer has none.
func EndToken(t *tokenize.Tokenizer) int32 {
	sp := t.Specials()
	for _, id := range []int32{sp.Sep, sp.Eos} {
		if id >= 0 {
			return id
		}
	}
	return -1
}

func generationConfig(t *tokenize.Tokenizer) []byte {
	data, err := json.MarshalIndent(map[string]any{"bos_token_id": endToken(t), "eos_token_id": endToken(t)}, "", "  ")
	if err != nil {
		panic(err) // two integers
	}
	return append(data, '\n')
}

// writeShards writes the parameters into one file, or into several with an index
// of them.
func writeShards(dir string, params []*model.Param, bound int64) ([]store.File, error) {
	if bound < 1 {
		bound = DefaultShardBytes
	}
	var shards [][]*model.Param
	var size, total int64
	for i, p := range params {
		n := 4 * int64(p.Size())
		if i == 0 || size+n > bound {
			shards, size = append(shards, nil), 0
		}
		size += n
		total += n
		shards[len(shards)-1] = append(shards[len(shards)-1], p)
	}
	if len(shards) == 1 {
		f, err := writeWeights(filepath.Join(dir, weightsFile), params)
		return []store.File{f}, err
	}
	var files []store.File
	where := map[string]string{}
	for i, shard := range shards {
		name := fmt.Sprintf("model-%05d-of-%05d.safetensors", i+1, len(shards))
		f, err := writeWeights(filepath.Join(dir, name), shard)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		for _, p := range shard {
			where[p.Name] = name
		}
	}
	index, err := json.MarshalIndent(map[string]any{"metadata": map[string]any{"total_size": total}, "weight_map": where}, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encoding the index of the weights: %w", err)
	}
	f, err := store.WriteFile(filepath.Join(dir, indexFile), append(index, '\n'))
	return append(files, f), err
}

// ErrNoCheckpoint says that a run has no checkpoint that is whole.
var ErrNoCheckpoint = errors.New("no checkpoint")

// OpenRun loads the model of the latest checkpoint of the run in dir, as built
// from the configuration in its lineage, and its state. Damaged checkpoints are
// reported to damaged, which may be nil, and passed over.
func OpenRun(dir string, o model.Options, damaged func(error)) (*model.Model, *State, error) {
	root := checkpointDir(dir)
	names, err := checkpoints(root)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		path := filepath.Join(root, name)
		s, err := verifiedState(path)
		if err != nil {
			if damaged != nil {
				damaged(err)
			}
			continue
		}
		var c model.Config
		if err := json.Unmarshal(s.Lineage.Model, &c); err != nil {
			return nil, nil, fmt.Errorf("the model's configuration in %s: %w", path, err)
		}
		m, err := model.New(c, o)
		if err != nil {
			return nil, nil, fmt.Errorf("opening %s: %w", path, err)
		}
		if err := readWeights(filepath.Join(path, weightsFile), m.Params()); err != nil {
			m.Close()
			return nil, nil, fmt.Errorf("opening %s: %w", path, err)
		}
		return m, s, nil
	}
	return nil, nil, fmt.Errorf("opening the run in %s: %w (%w)", dir, ErrNoCheckpoint, os.ErrNotExist)
}

// LatestLineage returns the lineage of the latest checkpoint that is whole of the run
// in dir; an empty one when there is none.
func LatestLineage(dir string) (Lineage, error) {
	root := checkpointDir(dir)
	names, err := checkpoints(root)
	if err != nil {
		return Lineage{}, err
	}
	for _, name := range names {
		if s, err := verifiedState(filepath.Join(root, name)); err == nil {
			return s.Lineage, nil
		}
	}
	return Lineage{}, nil
}
