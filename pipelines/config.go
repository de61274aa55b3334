package pipelines

import (
	"fmt"
	"io"
	"math"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/tributary-ml/tributary/dedup"
	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/ingest/records"
	"github.com/tributary-ml/tributary/ingest/rules"
	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/model/kernel"
	"github.com/tributary-ml/tributary/tokenize"
	"github.com/tributary-ml/tributary/trainer"
)

// maxConfig bounds an experiment's file.
const maxConfig = 4 << 20

// Config is an experiment. Paths in it are relative to the directory the command
// runs in.
type Config struct {
	// Data is the data root and Runs the directory of runs.
	Data string `yaml:"data"`
	Runs string `yaml:"runs"`
	// Sample asks for the made-up corpus before anything is ingested.
	Sample *SampleConfig `yaml:"sample"`
	// Sources are the named sources, in the order of the file.
	Sources []SourceConfig `yaml:"sources"`
	Dedup   *DedupConfig   `yaml:"dedup"`
	// Tokenizer, Shards and Train are the later stages; without Train nothing is
	// trained.
	Tokenizer TokenizerSection `yaml:"tokenizer"`
	Shards    ShardsSection    `yaml:"shards"`
	Train     *TrainSection    `yaml:"train"`
	// Fill are texts with [MASK] in them, filled with the trained model at the end.
	Fill []string `yaml:"fill"`
}

// SampleConfig says which made-up corpus to write where.
type SampleConfig struct {
	Dir   string  `yaml:"dir"`
	Seed  uint64  `yaml:"seed"`
	Scale float64 `yaml:"scale"`
}

func (c *SampleConfig) setDefaults() { *c = SampleConfig{Dir: "sample", Seed: 1, Scale: 1} }

// SourceConfig is one source.
type SourceConfig struct {
	Name   string        `yaml:",key"`
	Ingest *IngestConfig `yaml:"ingest"`
	// Rules are run over its signals: names of rules that are there, such as gopher,
	// c4 and fineweb, and files of rules (see package rules).
	Rules []string `yaml:"rules"`
}

// IngestConfig says what a source is made of: files, folders and patterns.
type IngestConfig struct {
	Kind string   `yaml:"kind"`
	From []string `yaml:"from"`
	// Where texts lie in records of JSON, Parquet and Arrow, as the flags of corpus
	// ingest have it.
	TextField     []string `yaml:"text_field"`
	IDField       string   `yaml:"id_field"`
	TitleField    string   `yaml:"title_field"`
	AuthorField   string   `yaml:"author_field"`
	URLField      string   `yaml:"url_field"`
	DateField     string   `yaml:"date_field"`
	LanguageField string   `yaml:"language_field"`
	// ReplacePII is as the flag of corpus ingest has it.
	ReplacePII bool `yaml:"replace_pii" json:",omitempty"`
	// Labels says that the files hold labelled examples, as corpus label reads them.
	Labels *LabelsSection `yaml:"labels" json:",omitempty"`
}

// LabelsSection says what the labels of a source are of and which fields hold them.
type LabelsSection struct {
	Task   string `yaml:"task"`
	Text   string `yaml:"text"`
	Second string `yaml:"second"`
	Label  string `yaml:"label"`
}

// fields returns the map of fields.
func (c *IngestConfig) fields() records.Fields {
	return records.Fields{
		Text: c.TextField, ID: c.IDField, Title: c.TitleField, Author: c.AuthorField, URL: c.URLField, Date: c.DateField, Language: c.LanguageField,
	}
}

// DedupConfig names the rules that are run over all sources.
type DedupConfig struct {
	Exact    *struct{}       `yaml:"exact"`
	ExactRaw *struct{}       `yaml:"exact_raw"`
	URL      *struct{}       `yaml:"url"`
	MinHash  *MinHashSection `yaml:"minhash"`
	// Paragraph and Line mark repeated paragraphs and lines, Substring repeated
	// stretches of bytes, as spans.
	Paragraph *UnitsSection     `yaml:"paragraph"`
	Line      *UnitsSection     `yaml:"line"`
	Substring *SubstringSection `yaml:"substring"`
	// Decontaminate marks what overlaps evaluation sets.
	Decontaminate *DecontaminateSection `yaml:"decontaminate"`
	Memory        Size                  `yaml:"memory"`
}

// UnitsSection says from how many words on a paragraph or line counts; 0 means 5.
type UnitsSection struct {
	MinWords int `yaml:"min_words"`
}

// SubstringSection says how long a repeat must be in bytes, 0 meaning 200, and
// whether all places of it are marked, not all but the first.
type SubstringSection struct {
	Bytes int  `yaml:"bytes"`
	All   bool `yaml:"all"`
}

// DecontaminateSection names the files of evaluation sets, the fields of their
// examples that are text (none: all with text), and how many words in a row
// overlap; 0 means 13.
type DecontaminateSection struct {
	Against []string `yaml:"against"`
	Fields  []string `yaml:"fields"`
	NGram   int      `yaml:"ngram"`
}

// MinHashSection is the rule of near-duplicates. Left empty it has the shape and
// threshold of FineWeb.
type MinHashSection struct {
	// Threshold is the least Jaccard similarity that is marked; 0 means FineWeb's.
	Threshold float64 `yaml:"threshold"`
	// NGram is the number of words in a shingle; 0 means 5.
	NGram int `yaml:"ngram"`
	// Verify may say that pairs are compared in full. They always are.
	Verify *bool `yaml:"verify"`
}

// options are the section as the rule takes it.
func (s *MinHashSection) options() (dedup.MinHashOptions, error) {
	preset := "fineweb"
	if s.Threshold != 0 {
		preset = "threshold:" + strconv.FormatFloat(s.Threshold, 'g', -1, 64)
	}
	o, err := dedup.MinHashPreset(preset)
	if s.NGram != 0 {
		o.NGram = s.NGram
	}
	return o, err
}

// TokenizerSection is the tokenizer to train.
type TokenizerSection struct {
	Name         string `yaml:"name"`
	Type         string `yaml:"type"`
	VocabSize    int    `yaml:"vocab_size"`
	MinFrequency int64  `yaml:"min_frequency"`
	Lowercase    bool   `yaml:"lowercase"`
	// Mix weighs the sources, such as "books:0.3,wiki:0.7"; Sample learns from about so
	// much text. Without them every document of every source counts once.
	Mix    string `yaml:"mix"`
	Sample Size   `yaml:"sample"`
	// Sentinels are those of t5 and ul2 (TokenizerConfig.Sentinels).
	Sentinels int `yaml:"sentinels"`
}

// ShardsSection says how shards are cut.
type ShardsSection struct {
	Size   Size `yaml:"size"`
	Memory Size `yaml:"memory"`
}

// TrainSection is the training run.
type TrainSection struct {
	Run string `yaml:"run"`
	// Model is one of model.Presets or the path of a config.json, and Init, unless
	// empty, a model directory whose shape and weights the run begins from.
	Model      string    `yaml:"model"`
	Init       string    `yaml:"init"`
	Mix        []MixTask `yaml:"mix"`
	Steps      int64     `yaml:"steps"`
	Seed       uint64    `yaml:"seed"`
	SeqLen     int       `yaml:"seq_len"`
	Batch      int       `yaml:"batch"`
	MicroBatch int       `yaml:"micro_batch"`
	LR         float64   `yaml:"lr"`
	// Warmup is a number of steps; a hundredth of Steps when it is 0.
	Warmup   int64  `yaml:"warmup"`
	Schedule string `yaml:"schedule"`
	// Cooldown is how many steps the schedule wsd falls over (a fifth of Steps when it
	// is 0) and Final the share of LR that the rate ends at.
	Cooldown int64   `yaml:"cooldown"`
	Final    float64 `yaml:"final_lr"`
	// Optimizer is one of trainer.Optimizers; the family's own when empty. Beta1,
	// Beta2 and Epsilon are its own where they are 0.
	Optimizer string  `yaml:"optimizer"`
	Beta1     float64 `yaml:"beta1"`
	Beta2     float64 `yaml:"beta2"`
	Epsilon   float64 `yaml:"epsilon"`
	Decay     float64 `yaml:"weight_decay"`
	Clip      float64 `yaml:"clip"`
	// Spike skips a step whose gradient is so many times the running mean's; 0: none.
	// MaxSkips and MaxRollbacks are as in trainer.Config.
	Spike        float64 `yaml:"spike"`
	MaxSkips     int     `yaml:"max_skips"`
	MaxRollbacks int     `yaml:"max_rollbacks"`
	// EMA is the decay of the running mean of the weights that is evaluated and
	// exported; 0: none.
	EMA float64 `yaml:"ema"`
	// Budget is the time the run takes, in place of Steps.
	Budget Duration `yaml:"budget"`
	// The batches grow from BatchFrom sequences over BatchSteps steps, the sequences
	// from LengthFrom tokens over LengthSteps; 0: they do not.
	BatchFrom   int   `yaml:"batch_from"`
	BatchSteps  int64 `yaml:"batch_steps"`
	LengthFrom  int   `yaml:"seq_len_from"`
	LengthSteps int64 `yaml:"seq_len_steps"`
	// Heldout is the share of the documents that is never trained on.
	Heldout         float64  `yaml:"heldout"`
	EvalEvery       int64    `yaml:"eval_every"`
	EvalBatches     int64    `yaml:"eval_batches"`
	LogEvery        int64    `yaml:"log_every"`
	CheckpointEvery int64    `yaml:"checkpoint_every"`
	CheckpointTime  Duration `yaml:"checkpoint_interval"`
	KeepCheckpoints int      `yaml:"keep_checkpoints"`
	KeepEvery       int64    `yaml:"keep_every"`
	KeepBest        bool     `yaml:"keep_best"`
	// Precision is "fp32" or "bf16": what the factors of products are rounded to.
	Precision string `yaml:"precision"`
	// Recompute keeps only the activations between layers: less memory, more work, the
	// same weights.
	Recompute bool `yaml:"recompute"`
	// Profile times every operation.
	Profile bool `yaml:"profile"`
	// Dropout is the share of activations that are dropped in training; OwnDropout
	// leaves what the model's configuration says.
	Dropout float64 `yaml:"dropout"`
	// Stream holds what of the stream of batches is seldom set.
	Stream StreamSection `yaml:"stream"`
	// AllowChange names what may differ from the checkpoint the run goes on from.
	AllowChange []string `yaml:"allow_change"`
}

func (c *TrainSection) setDefaults() { *c = DefaultTrainSection() }

// DefaultTrainSection is a run with the values the file leaves out.
func DefaultTrainSection() TrainSection {
	return TrainSection{
		Run: "first", Model: "bert-mini", Steps: 1000, Precision: "fp32", Seed: 1, SeqLen: DefaultSeqLen, Batch: DefaultBatchSize,
		LR: 1e-4, Decay: 0.01, Clip: 1, Heldout: DefaultHeldoutFraction,
		EvalBatches: 20, LogEvery: 20, Dropout: OwnDropout, CheckpointTime: Duration(10 * time.Minute), KeepCheckpoints: 2,
		MaxSkips: 20, MaxRollbacks: 2,
	}
}

// MixTask is one task of a mix: a source, maybe with a predicate, its share of
// the tokens and what is learned from it.
type MixTask struct {
	Task      string  `yaml:"task"`
	Weight    float64 `yaml:"weight"`
	Objective string  `yaml:"objective"`
	// Passes is how often the source may be read through; 0 means without end.
	Passes int64 `yaml:"passes"`
}

func (t *MixTask) setDefaults() { *t = MixTask{Weight: 1, Objective: DefaultObjective} }

// Size is a number of bytes, written like 256MiB.
type Size int64

func (s *Size) decodeScalar(text string) error {
	n, err := ParseSize(text)
	if err == nil {
		*s = Size(n)
	}
	return err
}

// Duration is a time, written like 10m or 1h30m.
type Duration time.Duration

func (d *Duration) decodeScalar(text string) error {
	v, err := time.ParseDuration(text)
	if err != nil || v < 0 {
		return fmt.Errorf("%q is no length of time: want one like 90s, 10m or 1h30m", text)
	}
	*d = Duration(v)
	return nil
}

// Load reads an experiment's file, with the settings ("train.steps=100") put in
// place of what it says. The error is a *ConfigError when something in it is
// wrong.
func Load(path string, settings []string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the experiment: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(data) > maxConfig {
		return nil, fmt.Errorf("reading %s: longer than %s", path, FormatSize(maxConfig))
	}
	return Parse(path, data, settings)
}

// Parse is Load for the contents of a file of the given name.
func Parse(name string, data []byte, settings []string) (*Config, error) {
	d := &decoder{file: name, set: map[*yaml.Node]string{}}
	root := d.parse(data)
	if root == nil {
		return nil, d.err()
	}
	for _, s := range settings {
		d.override(root, s)
	}
	cfg := &Config{
		Data: "data", Runs: "runs",
		Tokenizer: TokenizerSection{Name: DefaultTokenizer, Type: DefaultTokenizerType, VocabSize: DefaultVocabSize, MinFrequency: 2, Lowercase: true},
	}
	d.decode(root, reflect.ValueOf(cfg).Elem(), "")
	if len(d.problems) == 0 {
		d.check(root, cfg)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return cfg, nil
}

// at returns the node at a path of keys and indices, or the nearest one above it.
func at(n *yaml.Node, path ...string) *yaml.Node {
	for _, key := range path {
		if n.Kind == yaml.AliasNode {
			n = n.Alias
		}
		next := (*yaml.Node)(nil)
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == key {
					next = n.Content[i+1]
				}
			}
		case yaml.SequenceNode:
			for i := range n.Content {
				if fmt.Sprint(i) == key {
					next = n.Content[i]
				}
			}
		}
		if next == nil {
			return n
		}
		n = next
	}
	return n
}

// check tells of values that are of the right type and still make no sense.
func (d *decoder) check(root *yaml.Node, cfg *Config) {
	bad := func(path, format string, args ...any) {
		d.problem(at(root, strings.Split(path, ".")...), path, format, args...)
	}
	if len(cfg.Sources) == 0 {
		bad("sources", "name at least one source")
	}
	var sources []string
	for _, s := range cfg.Sources {
		path := "sources." + s.Name
		if err := ingest.CheckSource(s.Name); err != nil {
			bad(path, "%v", err)
		}
		switch {
		case s.Ingest == nil || len(s.Ingest.From) == 0:
			bad(path, "missing 'ingest' with the files it comes from")
		case s.Ingest.Labels != nil:
			oneOf(bad, path+".ingest.labels.task", s.Ingest.Labels.Task, ingest.LabelTasks())
		case s.Ingest.Kind != "":
			oneOf(bad, path+".ingest.kind", s.Ingest.Kind, ingest.Kinds())
		}
		for i, word := range s.Rules {
			if rules.IsFile(word) {
				continue // it is read when it is needed; it may hold the names that follow
			}
			if _, err := rules.Choose(word); err != nil && !slices.ContainsFunc(s.Rules[:i], rules.IsFile) {
				bad(fmt.Sprintf("%s.rules.%d", path, i), "%v", err)
			}
		}
		sources = append(sources, s.Name)
	}
	if s := cfg.Sample; s != nil && !(s.Scale > 0 && s.Scale <= 1000) {
		bad("sample.scale", "want a number above 0 and at most 1000")
	}
	if d := cfg.Dedup; d != nil {
		for name, u := range map[string]*UnitsSection{"paragraph": d.Paragraph, "line": d.Line} {
			if u != nil && u.MinWords < 0 {
				bad("dedup."+name+".min_words", "want a number of words")
			}
		}
		if d.Substring != nil && d.Substring.Bytes != 0 && (d.Substring.Bytes < 8 || d.Substring.Bytes > 1<<16) {
			bad("dedup.substring.bytes", "want between 8 and 65536")
		}
		if d.Decontaminate != nil && len(d.Decontaminate.Against) == 0 {
			bad("dedup.decontaminate", "name the files of the evaluation sets under against")
		}
	}
	if cfg.Dedup != nil && cfg.Dedup.MinHash != nil {
		m := cfg.Dedup.MinHash
		if m.Threshold != 0 && !(m.Threshold > 0 && m.Threshold <= 1) {
			bad("dedup.minhash.threshold", "want a number above 0 and at most 1")
		}
		if m.NGram < 0 || m.NGram > 100 {
			bad("dedup.minhash.ngram", "want between 1 and 100 words")
		}
		if m.Verify != nil && !*m.Verify {
			bad("dedup.minhash.verify", "marks are always verified against the document that stays; leave it out")
		}
	}
	if err := checkName(cfg.Tokenizer.Name); err != nil {
		bad("tokenizer.name", "%v", err)
	}
	oneOf(bad, "tokenizer.type", cfg.Tokenizer.Type, tokenize.Kinds())
	if mix, err := checkMix(cfg.Tokenizer.Mix); err != nil {
		bad("tokenizer.mix", "%v", err)
	} else {
		for _, c := range mix {
			oneOf(bad, "tokenizer.mix", c.Name, sources)
		}
	}
	if cfg.Tokenizer.VocabSize < 100 {
		bad("tokenizer.vocab_size", "want at least 100")
	}
	if cfg.Train != nil {
		checkTrain(bad, cfg.Train, sources)
	} else if len(cfg.Fill) > 0 {
		bad("fill", "there is no 'train', so nothing that could fill masks")
	}
	for i, text := range cfg.Fill {
		if !strings.Contains(text, "[MASK]") {
			bad(fmt.Sprintf("fill.%d", i), "there is no [MASK] in it")
		}
	}
}

func checkTrain(told func(path, format string, args ...any), t *TrainSection, sources []string) {
	right := true
	bad := func(path, format string, args ...any) {
		right = false
		told(path, format, args...)
	}
	if err := checkName(t.Run); err != nil {
		bad("train.run", "%v", err)
	}
	if err := CheckModel(t.Model); err != nil {
		bad("train.model", "%v", err)
	}
	if t.Precision != "" {
		oneOf(bad, "train.precision", t.Precision, kernel.Precisions())
	}
	if t.Schedule != "" {
		oneOf(bad, "train.schedule", t.Schedule, trainer.Schedules())
	}
	if t.Optimizer != "" {
		oneOf(bad, "train.optimizer", t.Optimizer, trainer.Optimizers())
	}
	if err := t.ramp().Check(t.Batch, t.SeqLen); err != nil {
		bad("train", "%v", err)
	}
	if len(t.Mix) == 0 {
		bad("train.mix", "name at least one task")
	}
	for i, m := range t.Mix {
		path := fmt.Sprintf("train.mix.%d", i)
		name, _, _ := strings.Cut(m.Task, "[")
		switch {
		case m.Task == "":
			bad(path, "missing 'task', the source it reads")
		case !slices.Contains(sources, name):
			oneOf(bad, path+".task", name, sources)
		}
		if !(m.Weight > 0) {
			bad(path+".weight", "want a number above 0")
		}
		if !strings.Contains(m.Objective, ":") {
			oneOf(bad, path+".objective", m.Objective, slices.Concat(masking.Objectives(), masking.LabelledObjectives()))
		} else if err := masking.CheckObjective(m.Objective); err != nil {
			bad(path+".objective", "%v", err)
		}
		if m.Passes < 0 {
			bad(path+".passes", "want a number of 0 or more")
		}
		if m.Objective != t.Mix[0].Objective {
			bad(path+".objective", "the tasks of a mix share one objective; the first has %s", t.Mix[0].Objective)
		}
	}
	if right {
		if _, err := t.mix(); err != nil {
			bad("train.mix", "%v", err)
		}
	}
	if err := t.Stream.Apply(new(BatchConfig)); err != nil {
		bad("train.stream", "%v", err)
	}
	for _, least := range []struct {
		key         string
		value, want float64
	}{
		{"max_skips", float64(t.MaxSkips), 1}, {"max_rollbacks", float64(t.MaxRollbacks), 0}, {"keep_every", float64(t.KeepEvery), 0},
		{"cooldown", float64(t.Cooldown), 0}, {"seq_len", float64(t.SeqLen), 8}, {"batch", float64(t.Batch), 1},
		{"micro_batch", float64(t.MicroBatch), 0}, {"warmup", float64(t.Warmup), 0}, {"weight_decay", t.Decay, 0}, {"clip", t.Clip, 0},
		{"eval_every", float64(t.EvalEvery), 0}, {"eval_batches", float64(t.EvalBatches), 1}, {"log_every", float64(t.LogEvery), 1},
		{"checkpoint_every", float64(t.CheckpointEvery), 0}, {"keep_checkpoints", float64(t.KeepCheckpoints), 1},
	} {
		if least.value < least.want {
			bad("train."+least.key, "want at least %g", least.want)
		}
	}
	for i, c := range t.AllowChange {
		oneOf(bad, fmt.Sprintf("train.allow_change.%d", i), c, changes)
	}
	if !(t.Dropout >= 0 && t.Dropout < 1) && t.Dropout != OwnDropout {
		bad("train.dropout", "want a share from 0 up to 1, or %d for the model's own", OwnDropout)
	}
	if !(t.LR > 0) || math.IsInf(t.LR, 0) {
		bad("train.lr", "want a finite number above 0")
	}
	if t.Steps < 1 && t.Budget == 0 {
		bad("train.steps", "want at least 1")
	}
	if !(t.Heldout >= 0 && t.Heldout < 1) {
		bad("train.heldout", "want a share from 0 up to 1")
	}
}

// oneOf tells of a value that is none of the known ones.
func oneOf(bad func(path, format string, args ...any), path, value string, known []string) {
	if slices.Contains(known, value) {
		return
	}
	if near := names.Nearest(value, known); near != "" {
		bad(path, "unknown %q; did you mean %q?", value, near)
		return
	}
	bad(path, "unknown %q; known: %s", value, strings.Join(known, ", "))
}

// mix is the mix as the mixer takes it.
func (c *TrainSection) mix() (mixer.Mix, error) {
	parts := make([]string, len(c.Mix))
	for i, m := range c.Mix {
		parts[i] = fmt.Sprintf("%s:%g", m.Task, m.Weight)
		if m.Passes > 0 {
			parts[i] += fmt.Sprintf("@%d", m.Passes)
		}
	}
	return mixer.ParseMix(strings.Join(parts, ","))
}
