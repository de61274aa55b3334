package masking

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tributary-ml/tributary/ingest/names"
	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/tokenize"
)

// Objective turns samples into a batch. What it draws for a sample depends on
// the seed and on which window of which pass over its source the sample is, and
// on nothing else. Its methods may be called from several goroutines.
type Objective interface {
	Name() string
	// Layout is the layout of the samples the objective is made for.
	Layout() mixer.Layout
	// SeqLen is the sequence length it was made for.
	SeqLen() int
	// Build makes the batch of a step from its samples, one sequence a sample.
	Build(step int64, samples []mixer.Sample) *Batch
}

// Vocabulary is what an objective has to know of a tokenizer.
type Vocabulary interface {
	VocabSize() int
	Specials() tokenize.Specials
	IsSpecial(id int32) bool
	Continues(id int32) bool
}

// Options are the knobs of objectives. The zero value of a field asks for the
// published rule of the objective.
type Options struct {
	// Seed is the seed of all draws.
	Seed uint64
	// SeqLen is the longest sequence in tokens, special tokens included; the
	// samples must have been made for it.
	SeqLen int
	// Share is the share of the tokens that are predicted, or hidden in spans.
	Share float64
	// Replace and Keep are the shares of the predicted tokens that are shown as a
	// random token, and as they are; the others are shown as the mask token. A
	// negative value means none.
	Replace, Keep float64
	// MaxPredictions bounds the predicted tokens of a sequence; 0 means no bound.
	MaxPredictions int
	// WholeWords predicts all pieces of a word or none, for bert and roberta.
	WholeWords bool
	// Bernoulli predicts each token with the chance of Share instead of an exact
	// number of them, as many collators do; one is predicted at least. For bert and
	// roberta.
	Bernoulli bool
	// Packing is how documents become windows, for objectives that have a choice:
	// gpt, rtl, elmo and prefix pack tokens, roberta, deberta and rtd sentences.
	Packing Packing
	// Isolate makes each document of a window a sequence of its own, for objectives
	// that pack tokens: documents do not see each other and positions begin anew.
	Isolate bool
	// NoFallback cuts windows of one sentence for the order of sentences, where
	// albert as published takes a second part from another document.
	NoFallback bool
	// Reuse is the size of the first half of an xlnet sequence in tokens; 0 means
	// half of SeqLen, and a negative value that there are no halves.
	Reuse int
	// Denoisers are those of ul2; nil means the published ones.
	Denoisers []Denoiser
	// Labels is what is known of documents, for tag, classify, pair and regress.
	Labels Labels
	// Frequencies counts the tokens of the data, for the points of the grid that ask
	// for them (see NeedsFrequencies).
	Frequencies *Frequencies
	// Compat leaves what is asked for at its own position in representations from
	// left to right and from right to left, as the original grid does, where the
	// answer may be in sight.
	Compat bool
	// Short is, for objectives with segments, the share of samples that are cut to
	// a random length. A negative value means none.
	Short float64
}

// known is an objective that has a name: the roles of tokens it cannot do
// without, what it takes for the knobs that are left alone, and how it is made.
type known struct {
	name      string
	needs     string // of "cls sep mask"
	published Options
	packings  []Packing // the choice there is, the default first
	make      func(masker, Vocabulary) (Objective, error)
}

// plain is the make of an objective that needs no more than a masker.
func plain(f func(masker) Objective) func(masker, Vocabulary) (Objective, error) {
	return func(m masker, _ Vocabulary) (Objective, error) { return f(m), nil }
}

// objectives lists the objectives by name.
func objectives() []known {
	bertLike := Options{Share: 0.15, Replace: 0.1, Keep: 0.1, Short: 0.1}
	slots := Options{Share: 0.15, Keep: 0.15, Short: 0.05}
	single := Options{Share: 0.15}
	return []known{
		{"bert", "cls sep mask", bertLike, nil, plain(func(m masker) Objective { return &bert{m} })},
		{"roberta", "cls sep mask", bertLike, packsSentences, plain(func(m masker) Objective { return &roberta{m} })},
		{"albert", "cls sep mask", bertLike, nil, plain(func(m masker) Objective { return &albert{m} })},
		{"spanbert", "cls sep mask", bertLike, nil, plain(func(m masker) Objective { return &spanbert{m} })},
		{"electra", "cls sep mask", slots, nil, plain(func(m masker) Objective { return &electra{m} })},
		{"xlnet", "cls sep", bertLike, nil, newXLNet},
		{"deberta", "cls sep mask", bertLike, packsSentences, plain(func(m masker) Objective { return &deberta{m} })},
		{"rtd", "cls sep mask", single, packsSentences, plain(func(m masker) Objective { return &rtd{m} })},
		{"gpt", "sep", bertLike, packsTokens, plain(func(m masker) Objective { return &causal{m, true, false} })},
		{"rtl", "sep", bertLike, packsTokens, plain(func(m masker) Objective { return &causal{m, false, true} })},
		{"elmo", "sep", bertLike, packsTokens, plain(func(m masker) Objective { return &causal{m, true, true} })},
		{"prefix", "sep", bertLike, packsTokens, plain(func(m masker) Objective { return &prefix{m} })},
		{"t5", "sep", bertLike, nil, newT5},
		{"ul2", "sep", bertLike, nil, newUL2},
	}
}

// labelled lists the objectives that need Options.Labels.
func labelled() []known {
	return []known{
		{"tag", "cls sep", Options{Share: 0.15}, nil, newLabelled},
		{"classify", "cls sep", Options{Share: 0.15}, nil, newLabelled},
		{"pair", "cls sep", Options{Share: 0.15}, nil, newLabelled},
		{"regress", "cls sep", Options{Share: 0.15}, nil, newLabelled},
	}
}

// Objectives returns the names that NewObjective knows of objectives that need
// nothing but text.
func Objectives() []string {
	var list []string
	for _, o := range objectives() {
		list = append(list, o.name)
	}
	return list
}

// LabelledObjectives returns the names that NewObjective knows of objectives that
// need labels (Options.Labels).
func LabelledObjectives() []string {
	var list []string
	for _, o := range labelled() {
		list = append(list, o.name)
	}
	return list
}

// CheckObjective says what is wrong with a name of an objective; nil when
// NewObjective takes it.
func CheckObjective(name string) error {
	if strings.Contains(name, ":") {
		p, err := ParsePoint(name)
		if err != nil {
			return err
		}
		return p.check()
	}
	all := slices.Concat(Objectives(), LabelledObjectives())
	if slices.Contains(all, name) {
		return nil
	}
	hint := ""
	if near := names.Nearest(name, all); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return fmt.Errorf("there is no objective %q%s; there are points data:transform:representation:output, and %s", name, hint, strings.Join(all, ", "))
}

// NewObjective returns an objective by its name, or by a point of the grid that
// need not have one (see Point), such as task:mask:ltr:denoise.
//
// These need no more of a model than BERT's two heads: bert is masked-language
// modelling with next-sentence prediction (Devlin et al., "BERT", 2019), roberta
// the same without pairs over full sentences (Liu et al., "RoBERTa", 2019), albert
// with runs of words and the order of sentences (Lan et al., "ALBERT", 2020), gpt,
// rtl and prefix are language models from left to right, from right to left, and
// after a prefix that is seen whole; elmo is gpt and rtl on the same text. electra
// lays slots for a generator (Clark et al., 2020) and spanbert adds the boundaries
// of spans (Joshi et al., 2020). xlnet needs a second attention stream (Yang et
// al., 2019) and t5 a decoder (Raffel et al., 2020). Where one differs from its
// original, the comment on its type says how.
func NewObjective(name string, v Vocabulary, o Options) (Objective, error) {
	if err := CheckObjective(name); err != nil {
		return nil, err
	}
	made, err := newObjective(name, v, o)
	if err != nil {
		return nil, fmt.Errorf("objective %s: %w", name, err)
	}
	return made, nil
}

func newObjective(name string, v Vocabulary, o Options) (Objective, error) {
	if strings.Contains(name, ":") {
		return newGridObjective(name, v, o)
	}
	all := slices.Concat(objectives(), labelled())
	k := all[slices.IndexFunc(all, func(k known) bool { return k.name == name })]
	m, err := newMasker(k, v, o)
	if err != nil {
		return nil, err
	}
	return k.make(m, v)
}

// masker hides tokens and says what they were.
type masker struct {
	options         Options
	name            string
	vocab           int32
	cls, sep, mask  int32
	special         []bool  // by id
	continues       []bool  // by id
	ordinary        []int32 // ids that are not special
	masked, showing float64 // thresholds: below masked the mask, below showing the token itself
	released        *released
}

func newMasker(k known, v Vocabulary, o Options) (masker, error) {
	fill := func(field *float64, published float64) {
		if *field == 0 {
			*field = published
		}
		*field = max(*field, 0)
	}
	fill(&o.Share, k.published.Share)
	fill(&o.Replace, k.published.Replace)
	fill(&o.Keep, k.published.Keep)
	fill(&o.Short, k.published.Short)
	switch {
	case o.SeqLen < 8 || o.SeqLen > 1<<20:
		return masker{}, fmt.Errorf("sequence length %d is not between 8 and %d tokens", o.SeqLen, 1<<20)
	case !(o.Share > 0 && o.Share < 1):
		return masker{}, fmt.Errorf("the share of predicted tokens is %g; it must be above 0 and below 1", o.Share)
	case !(o.Replace+o.Keep <= 1):
		return masker{}, fmt.Errorf("the shares of replaced (%g) and kept (%g) tokens add up to more than 1", o.Replace, o.Keep)
	case !(o.Short <= 1):
		return masker{}, fmt.Errorf("the share of short samples is %g; it must be at most 1", o.Short)
	case o.MaxPredictions < 0:
		return masker{}, fmt.Errorf("at most %d predictions", o.MaxPredictions)
	case v.VocabSize() < 1:
		return masker{}, errors.New("the vocabulary is empty")
	}
	if err := k.checkPacking(&o.Packing); err != nil {
		return masker{}, err
	}
	if o.Isolate && !slices.Contains(k.packings, PackContiguous) {
		return masker{}, errors.New("its documents cannot be isolated")
	}
	s := v.Specials()
	m := masker{options: o, name: k.name, released: new(released), vocab: int32(v.VocabSize()), cls: s.Cls, sep: s.Sep, mask: s.Mask}
	if m.cls < 0 {
		m.cls = s.Bos
	}
	if m.sep < 0 {
		m.sep = s.Eos
	}
	var lacks []string
	for _, need := range []struct {
		id         int32
		role, name string
	}{{m.cls, "cls", "[CLS] or <s>"}, {m.sep, "sep", "[SEP] or </s>"}, {m.mask, "mask", "[MASK] or <mask>"}} {
		if need.id < 0 && strings.Contains(k.needs, need.role) {
			lacks = append(lacks, need.name)
		}
	}
	if lacks != nil {
		return masker{}, fmt.Errorf("the vocabulary has no %s token", strings.Join(lacks, ", no "))
	}
	m.special, m.continues = make([]bool, m.vocab), make([]bool, m.vocab)
	for id := range m.vocab {
		m.special[id] = v.IsSpecial(id) || slices.Contains([]int32{m.cls, m.sep, m.mask, s.Pad}, id)
		m.continues[id] = v.Continues(id)
		if !m.special[id] {
			m.ordinary = append(m.ordinary, id)
		}
	}
	if len(m.ordinary) == 0 {
		return masker{}, errors.New("the vocabulary has special tokens only")
	}
	m.showing = 1 - o.Replace
	m.masked = m.showing - o.Keep
	return m, nil
}

func (m *masker) Name() string { return m.name }

func (m *masker) SeqLen() int { return m.options.SeqLen }
