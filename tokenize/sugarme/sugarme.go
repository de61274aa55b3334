// Package sugarme runs programs that are written for github.com/sugarme/tokenizer
// on the engine of this module: it implements that package's Model, PostProcessor
// and Decoder, so that its Tokenizer gives the ids, offsets and control tokens of
// the reference.
//
// Importing github.com/sugarme/tokenizer makes a cache directory in the user's home
// (or at $GO_TOKENIZER); nothing else in this module imports it.
package sugarme

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"github.com/sugarme/tokenizer"

	"github.com/tributary-ml/tributary/tokenize"
)

// New returns a Tokenizer that encodes and decodes as t does. Control tokens that
// are spelled out in a text are text, as everywhere in this module; so it must not
// be given AddSpecialTokens, which would find them again. For want of these its Decode
// keeps control tokens; Decoder.DecodeIDs can leave them out.
func New(t *tokenize.Tokenizer) (*tokenizer.Tokenizer, error) {
	model := NewModel(t)
	processor, err := NewPostProcessor(t)
	if err != nil {
		return nil, err
	}
	tk := tokenizer.NewTokenizer(model)
	tk.WithPostProcessor(processor)
	tk.WithDecoder(NewDecoder(t))
	return tk, nil
}

// Model takes a whole text through the chain of a tokenizer: normalizer and
// pre-tokenizer included, so that the Tokenizer around it needs none. It may be used
// by several goroutines.
type Model struct {
	t        *tokenize.Tokenizer
	encoders sync.Pool
}

var _ tokenizer.Model = (*Model)(nil)

// NewModel returns the Model of t.
func NewModel(t *tokenize.Tokenizer) *Model {
	return &Model{t: t, encoders: sync.Pool{New: func() any { return &encoder{encoder: t.NewEncoder()} }}}
}

type encoder struct {
	encoder *tokenize.Encoder
	enc     tokenize.Encoding
}

// Tokenize returns the tokens of sequence, with offsets in bytes.
func (m *Model) Tokenize(sequence string) ([]tokenizer.Token, error) {
	e := m.encoders.Get().(*encoder)
	defer m.encoders.Put(e)
	if err := e.encoder.EncodeOffsets(&e.enc, sequence); err != nil {
		return nil, err
	}
	tokens := make([]tokenizer.Token, len(e.enc.IDs))
	for i, id := range e.enc.IDs {
		s := e.enc.Spans[i]
		tokens[i] = tokenizer.Token{Id: int(id), Value: m.t.Token(id), Offsets: []int{s.Start, s.End}}
	}
	return tokens, nil
}

// Encode gives ids, tokens, offsets in bytes and words of text, without the copies
// that a Tokenizer makes on the way. With addSpecialTokens control tokens stand
// around it.
func (m *Model) Encode(text string, addSpecialTokens bool) (*tokenizer.Encoding, error) {
	return m.encode(text, nil, addSpecialTokens)
}

// EncodePair is Encode for two texts that belong together.
func (m *Model) EncodePair(text, pair string, addSpecialTokens bool) (*tokenizer.Encoding, error) {
	return m.encode(text, &pair, addSpecialTokens)
}

func (m *Model) encode(text string, pair *string, special bool) (*tokenizer.Encoding, error) {
	e := m.encoders.Get().(*encoder)
	defer m.encoders.Put(e)
	if err := e.encoder.EncodeFramed(&e.enc, text, pair); err != nil {
		return nil, err
	}
	out := new(tokenizer.Encoding)
	for i, id := range e.enc.IDs {
		if e.enc.Special[i] && !special {
			continue
		}
		mask := 0
		if e.enc.Special[i] {
			mask = 1
		}
		out.Ids = append(out.Ids, int(id))
		out.TypeIds = append(out.TypeIds, int(e.enc.Types[i]))
		out.Tokens = append(out.Tokens, m.t.Token(id))
		out.Offsets = append(out.Offsets, []int{e.enc.Spans[i].Start, e.enc.Spans[i].End})
		out.SpecialTokenMask = append(out.SpecialTokenMask, mask)
		out.AttentionMask = append(out.AttentionMask, 1)
		out.Words = append(out.Words, int(e.enc.Words[i]))
	}
	return out, nil
}

// TokenToId returns the id of a token. (The name is the interface's.)
func (m *Model) TokenToId(token string) (int, bool) { //nolint:revive,staticcheck // the interface's name
	id, ok := m.t.ID(token)
	return int(id), ok
}

// IdToToken returns the token of an id. (The name is the interface's.)
func (m *Model) IdToToken(id int) (string, bool) { //nolint:revive,staticcheck // the interface's name
	if id < 0 || id >= m.t.VocabSize() || !m.t.Has(int32(id)) {
		return "", false
	}
	return m.t.Token(int32(id)), true
}

// GetVocab returns a copy of the vocabulary, added tokens included.
func (m *Model) GetVocab() map[string]int {
	vocab := make(map[string]int, m.t.VocabSize())
	for id := range int32(m.t.VocabSize()) {
		if m.t.Has(id) {
			vocab[m.t.Token(id)] = int(id)
		}
	}
	return vocab
}

// GetVocabSize returns the number of tokens.
func (m *Model) GetVocabSize() int {
	n := 0
	for id := range int32(m.t.VocabSize()) {
		if m.t.Has(id) {
			n++
		}
	}
	return n
}

// Save writes the tokenizer's files (tokenizer.json among them) into path; with a
// prefix, into a directory of that name below it.
func (m *Model) Save(path string, prefix ...string) error {
	if len(prefix) > 0 && prefix[0] != "" {
		path = filepath.Join(path, prefix[0])
	}
	return m.t.Save(path)
}

// Decoder turns tokens back into text.
type Decoder struct{ t *tokenize.Tokenizer }

var _ tokenizer.Decoder = (*Decoder)(nil)

// NewDecoder returns the Decoder of t.
func NewDecoder(t *tokenize.Tokenizer) *Decoder { return &Decoder{t} }

// Decode returns the text of tokens; those that are not in the vocabulary are left
// out.
func (d *Decoder) Decode(tokens []string) string {
	ids := make([]int32, 0, len(tokens))
	for _, s := range tokens {
		if id, ok := d.t.ID(s); ok {
			ids = append(ids, id)
		}
	}
	return d.t.Decode(ids, false)
}

// DecodeIDs returns the text of ids, without control tokens when skipSpecial is set.
func (d *Decoder) DecodeIDs(ids []int, skipSpecial bool) string {
	known := make([]int32, 0, len(ids))
	for _, id := range ids {
		if id >= 0 && id < d.t.VocabSize() {
			known = append(known, int32(id))
		}
	}
	return d.t.Decode(known, skipSpecial)
}

// DecodeChain returns the text as one element.
func (d *Decoder) DecodeChain(tokens []string) []string { return []string{d.Decode(tokens)} }

// PostProcessor puts the control tokens of a tokenizer around one or two encodings.
type PostProcessor struct {
	t            *tokenize.Tokenizer
	single, pair []slot
}

var _ tokenizer.PostProcessor = (*PostProcessor)(nil)

// slot is a control token, or with a negative id the place of a sequence.
type slot struct{ id, kind, sequence int }

// NewPostProcessor finds out what t puts around texts.
func NewPostProcessor(t *tokenize.Tokenizer) (*PostProcessor, error) {
	p := &PostProcessor{t: t}
	var err error
	if p.single, err = slots(t, nil); err == nil {
		second := probe
		p.pair, err = slots(t, &second)
	}
	return p, err
}

// probe is a text that any vocabulary has a token for.
const probe = "a"

func slots(t *tokenize.Tokenizer, pair *string) ([]slot, error) {
	var enc tokenize.Encoding
	if err := t.NewEncoder().EncodeFramed(&enc, probe, pair); err != nil && !errors.Is(err, tokenize.ErrNoUnknown) {
		return nil, fmt.Errorf("finding the frame of the tokenizer: %w", err)
	}
	var out []slot
	sequence, inside := 0, false
	for i, id := range enc.IDs {
		kind := int(enc.Types[i])
		switch {
		case enc.Special[i]:
			out = append(out, slot{int(id), kind, 0})
			inside = false
		case !inside || i > 0 && enc.Spans[i].Start < enc.Spans[i-1].Start:
			out = append(out, slot{-1, kind, sequence})
			sequence++
			inside = true
		case pair != nil && sequence == 1 && enc.Spans[i].Start == 0 && enc.Words[i] == 0 && enc.Words[i-1] >= 0 && !enc.Special[i-1] && kind != int(enc.Types[i-1]):
			out = append(out, slot{-1, kind, sequence})
			sequence++
		}
	}
	want := 1
	if pair != nil {
		want = 2
	}
	for ; sequence < want; sequence++ {
		// No control token stands between the two.
		out = append(out, slot{-1, sequence, sequence})
	}
	return out, nil
}

// AddedTokens returns how many control tokens stand around one text or two.
func (p *PostProcessor) AddedTokens(isPair bool) int {
	all, n := p.single, 0
	if isPair {
		all = p.pair
	}
	for _, s := range all {
		if s.id >= 0 {
			n++
		}
	}
	return n
}

// Process joins the encodings, with control tokens if asked for.
func (p *PostProcessor) Process(encoding, pairEncoding *tokenizer.Encoding, addSpecialTokens bool) *tokenizer.Encoding {
	all, parts := p.single, []*tokenizer.Encoding{encoding}
	if pairEncoding != nil {
		all, parts = p.pair, append(parts, pairEncoding)
	}
	out := new(tokenizer.Encoding)
	ranges := map[int]tokenizer.Range{}
	for _, s := range all {
		if s.id >= 0 {
			if !addSpecialTokens {
				continue
			}
			out.Ids = append(out.Ids, s.id)
			out.TypeIds = append(out.TypeIds, s.kind)
			out.Tokens = append(out.Tokens, p.t.Token(int32(s.id)))
			out.Offsets = append(out.Offsets, []int{0, 0})
			out.SpecialTokenMask = append(out.SpecialTokenMask, 1)
			out.AttentionMask = append(out.AttentionMask, 1)
			out.Words = append(out.Words, -1)
			continue
		}
		e := parts[s.sequence]
		first := len(out.Ids)
		out.Ids = append(out.Ids, e.Ids...)
		out.Tokens = append(out.Tokens, e.Tokens...)
		out.Offsets = append(out.Offsets, e.Offsets...)
		out.SpecialTokenMask = append(out.SpecialTokenMask, e.SpecialTokenMask...)
		out.AttentionMask = append(out.AttentionMask, e.AttentionMask...)
		out.Words = append(out.Words, e.Words...)
		for range e.Ids {
			out.TypeIds = append(out.TypeIds, s.kind)
		}
		ranges[s.sequence] = tokenizer.NewRange(first, len(out.Ids))
	}
	out.SequenceRanges = ranges
	out.Overflowing = encoding.Overflowing
	return out
}
