package tokenize

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/ingest/progress"
)

// TrainOptions says what to train. The zero value trains BERT's vocabulary of
// 30,522 pieces.
type TrainOptions struct {
	// VocabSize is the number of pieces to reach, control tokens included;
	// 30,522 when 0. Training ends with fewer when the texts do not give more.
	VocabSize int
	// MinFrequency is how often a pair must stand in the texts to be merged; 2
	// when 0.
	MinFrequency int64
	// Lowercase lowers case and strips accents (WordPiece).
	Lowercase bool
	// Alphabet bounds the number of different characters; 1,000 when 0. Words
	// with other characters become the unknown token (WordPiece).
	Alphabet int
	// Specials are the control tokens, in the order of their ids; those of the kind
	// when empty (DefaultSpecials). Those of WordPiece must hold BERT's.
	Specials []string
	// MemoryBytes bounds the table of words; 512 MiB when 0.
	MemoryBytes int64
	// Jobs is the number of workers, all cores when 0. It does not change the
	// result.
	Jobs  int
	Meter *progress.Meter
	Log   *slog.Logger
}

func (o *TrainOptions) defaults() error {
	if o.VocabSize == 0 {
		o.VocabSize = 30522
	}
	if o.MinFrequency == 0 {
		o.MinFrequency = 2
	}
	if o.Alphabet == 0 {
		o.Alphabet = 1000
	}
	if o.MemoryBytes == 0 {
		o.MemoryBytes = 512 << 20
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.VocabSize < 0 || o.VocabSize > maxVocabulary:
		return fmt.Errorf("a vocabulary of %d pieces cannot be trained, want 1 to %d", o.VocabSize, maxVocabulary)
	case o.MinFrequency < 0 || o.Alphabet < 0 || o.MemoryBytes < 0:
		return errors.New("minimum frequency, alphabet and memory cannot be negative")
	}
	return nil
}

// The kinds of tokenizers that Train trains.
const (
	KindWordPiece = "wordpiece"
	KindBPE       = "bpe"
	KindUnigram   = "unigram"
	KindWordLevel = "wordlevel"
)

// Kinds lists the kinds of tokenizers that Train trains.
func Kinds() []string { return []string{KindWordPiece, KindBPE, KindUnigram, KindWordLevel} }

// Train trains a tokenizer of a kind on texts: WordPiece as TrainWordPiece does,
// and so on.
func Train(ctx context.Context, kind string, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	switch kind {
	case KindWordPiece:
		return TrainWordPiece(ctx, texts, o)
	case KindBPE:
		return TrainBPE(ctx, texts, o)
	case KindUnigram:
		return TrainUnigram(ctx, texts, o)
	case KindWordLevel:
		return TrainWordLevel(ctx, texts, o)
	}
	return nil, fmt.Errorf("training a tokenizer of the kind %q: only %s are known", kind, strings.Join(Kinds(), ", "))
}

// ErrNoWords says that the texts to train on hold no word.
var ErrNoWords = errors.New("the texts hold no word to train on")

// bertSpecials are the control tokens of BERT, in the order of their ids.
var bertSpecials = []string{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}

// DefaultSpecials are the control tokens that a tokenizer of a kind is trained with
// when there are no others, in the order of their ids.
func DefaultSpecials(kind string) []string {
	switch kind {
	case KindBPE:
		return []string{endOfText}
	case KindUnigram:
		return slices.Clone(unigramSpecials)
	}
	return slices.Clone(bertSpecials)
}

// TrainWordPiece trains a BERT tokenizer on texts: pieces are learned as merges
// of frequent pairs, those inside words with the prefix "##", as the trainer of
// Hugging Face tokenizers does. The result depends on the texts and the options
// alone, not on the order of the texts or the number of workers, as long as the
// words fit into MemoryBytes (the order matters to what is dropped then).
func TrainWordPiece(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
	}
	specials := o.Specials
	if len(specials) == 0 {
		specials = bertSpecials
	}
	for _, s := range bertSpecials {
		if !slices.Contains(specials, s) {
			return nil, fmt.Errorf("training a WordPiece tokenizer: the control tokens %q lack %s", specials, s)
		}
	}
	if least := len(specials) + 1; o.VocabSize < least {
		return nil, fmt.Errorf("training a WordPiece tokenizer: a vocabulary of %d has no room beside the %d control tokens", o.VocabSize, least-1)
	}
	const maxChars = 100
	normalizer := &bertNormalizer{Type: "BertNormalizer", CleanText: true, HandleChineseChars: true, Lowercase: o.Lowercase}
	words, err := countBertWords(ctx, texts, o, normalizer, maxChars)
	if err != nil {
		return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
	}
	m := &merger{vocabSize: o.VocabSize, minFrequency: o.MinFrequency, prefix: "##", limit: o.Alphabet, meter: o.Meter}
	if err := m.learn(ctx, words, specials); err != nil {
		return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
	}
	sayShort(o, len(m.symbols))

	v := newVocabulary(len(m.symbols))
	for id, s := range m.symbols {
		if err := v.add(s, int32(id)); err != nil {
			return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
		}
	}
	t := &Tokenizer{
		normalizer: normalizer,
		pre:        &bertPreTokenizer{Type: "BertPreTokenizer"},
		post:       bertTemplate("[CLS]", "[SEP]", int32(slices.Index(specials, "[CLS]")), int32(slices.Index(specials, "[SEP]"))),
		decoder:    &wordPieceDecoder{Type: "WordPiece", Prefix: "##", Cleanup: true},
		config:     tokenizerConfig{maxLength: 512},
	}
	for id, s := range specials {
		t.added = append(t.added, AddedToken{ID: int32(id), Content: s, Special: true})
	}
	if t.model, err = newWordPiece(v, "[UNK]", "##", maxChars); err != nil {
		return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
	}
	if err := t.finish(); err != nil {
		return nil, fmt.Errorf("training a WordPiece tokenizer: %w", err)
	}
	return t, nil
}

// countBertWords counts the words of BERT's normalizer and pre-tokenizer that have
// at most maxChars characters.
func countBertWords(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions, n *bertNormalizer, maxChars int) ([]wordCount, error) {
	rules := newBertRules(n)
	c := &counter{jobs: o.Jobs, memory: o.MemoryBytes, meter: o.Meter, words: func() func(string, func([]byte)) {
		s := &bertScanner{rules: rules, limit: 4 * maxChars}
		return func(text string, yield func([]byte)) {
			s.text, s.pos = text, 0
			for s.next() {
				// A longer word is never looked up in the vocabulary.
				if len(s.word) <= maxChars || utf8.RuneCount(s.word) <= maxChars {
					yield(s.word)
				}
			}
			s.text = ""
		}
	}}
	words, err := c.count(ctx, texts)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, ErrNoWords
	}
	sayDropped(o, c.dropped, len(words))
	return words, nil
}

// TrainWordLevel trains a tokenizer whose pieces are the most frequent words, as
// BERT's normalizer and pre-tokenizer find them; other words become "[UNK]". The
// control tokens are BERT's unless Specials names others, of which "[UNK]" must be one.
func TrainWordLevel(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	const doing = "training a word-level tokenizer"
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	specials := o.Specials
	if len(specials) == 0 {
		specials = bertSpecials
	}
	unk := slices.Index(specials, "[UNK]")
	if unk < 0 || o.VocabSize <= len(specials) {
		return nil, fmt.Errorf("%s: a vocabulary of %d with the control tokens %q has no room for a word or no [UNK]", doing, o.VocabSize, specials)
	}
	n := &bertNormalizer{Type: "BertNormalizer", CleanText: true, HandleChineseChars: true, Lowercase: o.Lowercase}
	words, err := countBertWords(ctx, texts, o, n, 1000)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	m := &wordLevel{unkToken: "[UNK]", unk: int32(unk), vocab: newVocabulary(o.VocabSize)}
	t := &Tokenizer{normalizer: n, pre: &bertPreTokenizer{Type: "BertPreTokenizer"}, model: m,
		config: tokenizerConfig{class: "PreTrainedTokenizerFast", maxLength: 512}}
	for id, s := range specials {
		if err := m.vocab.add(s, int32(id)); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
		t.added = append(t.added, AddedToken{ID: int32(id), Content: s, Special: true})
	}
	for _, w := range words {
		if m.vocab.size() == o.VocabSize || w.count < o.MinFrequency {
			break
		}
		if _, ok := m.vocab.id(w.word); ok {
			continue
		}
		if err := m.vocab.add(w.word, int32(m.vocab.span())); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
	}
	sayShort(o, m.vocab.size())
	cls, ok1 := m.vocab.id("[CLS]")
	sep, ok2 := m.vocab.id("[SEP]")
	if ok1 && ok2 {
		t.post = bertTemplate("[CLS]", "[SEP]", cls, sep)
	}
	if err := t.finish(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return t, nil
}

// sayDropped tells when words were dropped for lack of memory.
func sayDropped(o TrainOptions, dropped int64, kept int) {
	if dropped > 0 {
		o.Log.Warn("the table of words outgrew its memory; rare words were dropped", "dropped", dropped, "kept", kept, "memory_bytes", o.MemoryBytes)
	}
}

// sayShort tells when a vocabulary has another size than was asked for.
func sayShort(o TrainOptions, have int) {
	switch {
	case have < o.VocabSize:
		o.Log.Info("the texts give fewer pieces than were asked for", "pieces", have, "asked", o.VocabSize)
	case have > o.VocabSize:
		o.Log.Info("the alphabet alone is larger than the vocabulary that was asked for", "pieces", have, "asked", o.VocabSize)
	}
}
