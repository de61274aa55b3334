package tokenize

import (
	"context"
	"fmt"
	"iter"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// longestTrained is the length in bytes from which words are left out of the
// training of byte-level pieces: they are no words.
const longestTrained = 1000

// RobertaSpecials are the control tokens of RoBERTa, in the order of their ids: with
// these a byte-level vocabulary serves every objective.
func RobertaSpecials() []string { return []string{"<s>", "<pad>", "</s>", "<unk>", "<mask>"} }

// endOfText is the control token of GPT-2.
const endOfText = "<|endoftext|>"

// TrainBPE trains a byte-level tokenizer like GPT-2's on texts: words by its
// split pattern, all 256 bytes as alphabet, merges of frequent pairs, as the
// trainer of Hugging Face tokenizers learns them. The result depends on the texts
// and the options as that of TrainWordPiece does. Specials stand first in the
// vocabulary; when there are none, "<|endoftext|>" does. With "<s>" and "</s>" among
// them, these stand around a text as RoBERTa's do.
func TrainBPE(ctx context.Context, texts iter.Seq2[string, error], o TrainOptions) (*Tokenizer, error) {
	const doing = "training a byte-level BPE tokenizer"
	if err := o.defaults(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	specials := o.Specials
	if len(specials) == 0 {
		specials = []string{endOfText}
	}
	if least := len(specials) + 256; o.VocabSize < least {
		return nil, fmt.Errorf("%s: a vocabulary of %d has no room for %d control tokens and 256 bytes", doing, o.VocabSize, len(specials))
	}
	table := chars.Classes()
	c := &counter{jobs: o.Jobs, memory: o.MemoryBytes, meter: o.Meter, words: func() func(string, func([]byte)) {
		var buf []byte
		scan := gpt2Scanner{table}
		return func(text string, yield func([]byte)) {
			buf = append(buf[:0], text...)
			for at := 0; at < len(buf); {
				start, end := scan.next(buf, at)
				if end-start <= longestTrained {
					yield(buf[start:end])
				}
				at = end
			}
		}
	}}
	words, err := c.count(ctx, texts)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if len(words) == 0 {
		return nil, fmt.Errorf("%s: %w", doing, ErrNoWords)
	}
	sayDropped(o, c.dropped, len(words))
	var room []rune
	for i, w := range words {
		room = room[:0]
		for k := range len(w.word) {
			room = append(room, byteChars[w.word[k]])
		}
		words[i].word = string(room)
	}
	m := &merger{vocabSize: o.VocabSize, minFrequency: o.MinFrequency, alphabet: byteChars[:], meter: o.Meter}
	if err := m.learn(ctx, words, specials); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	sayShort(o, len(m.symbols))

	b := &bpe{vocab: newVocabulary(len(m.symbols))}
	for id, s := range m.symbols {
		if err := b.vocab.add(s, int32(id)); err != nil {
			return nil, fmt.Errorf("%s: %w", doing, err)
		}
	}
	// A pair that was merged twice has the later rank, as in the reference.
	last := make(map[pairMerge]int, len(m.merges))
	for i, p := range m.merges {
		last[p] = i
	}
	for i, p := range m.merges {
		if last[p] == i {
			b.pairs = append(b.pairs, [2]string{m.symbols[p.left], m.symbols[p.right]})
		}
	}
	level := func() *byteLevel { return &byteLevel{Type: "ByteLevel", TrimOffsets: false, UseRegex: true} }
	t := &Tokenizer{pre: level(), post: level(), decoder: level(), model: b, config: tokenizerConfig{class: "GPT2Tokenizer", maxLength: 1024}}
	for id, s := range specials {
		t.added = append(t.added, AddedToken{ID: int32(id), Content: s, Special: true})
	}
	cls, ok1 := b.vocab.id("<s>")
	sep, ok2 := b.vocab.id("</s>")
	if ok1 && ok2 {
		t.post = &robertaProcessing{"RobertaProcessing", tokenAndID{"</s>", sep}, tokenAndID{"<s>", cls}, true, false}
		t.config = tokenizerConfig{class: "PreTrainedTokenizerFast", maxLength: 512, cls: "<s>", sep: "</s>", bos: "<s>", eos: "</s>"}
	}
	if err := b.prepare(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	if err := t.finish(); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	return t, nil
}
