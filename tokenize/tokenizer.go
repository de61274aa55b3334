// Package tokenize turns text into token ids and back, with the vocabularies and
// the file formats that published models use, and trains new vocabularies.
//
// A Tokenizer is a chain: added tokens are cut out, the rest is normalized, split
// into words, and each word is cut into pieces by the model (WordPiece). It is
// safe for concurrent use; an Encoder made from it holds the scratch memory of one
// goroutine.
package tokenize

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// Tokenizer is a loaded or trained tokenizer. It does not change.
type Tokenizer struct {
	normalizer normalizer
	pre        preTokenizer
	model      model
	post       postProcessor
	decoder    decoder
	added      []AddedToken

	vocab    *vocabulary // the model's pieces and the added tokens
	first    bool        // a mark is put before the first word of a text alone
	rules    *bertRules  // not nil when the BERT scanner does the first two steps
	special  []bool      // by id
	inside   []bool      // by id: the piece continues a word
	specials Specials

	// outside finds the added tokens of the raw text, within those of the
	// normalized text; nil when there are none. Plain ones know only the tokens
	// that are not special.
	outside, within           *addedMatcher
	plainOutside, plainWithin bool

	path        path
	scan        scanner // of pathBytes
	prefixSpace bool    // of pathBytes
	isAddedID   []bool  // by id
	// spaced is the way of pathSpaced.
	spaced *spaced
	// decodeAs holds the added tokens that are decoded in their normalized form.
	decodeAs map[int32]string

	// settings of tokenizer_config.json that are kept when it is read.
	config tokenizerConfig
	// truncation and padding are what the file asks for, nil for none.
	truncation *Truncation
	padding    *Padding

	canonical func() (canonicalForm, error)
}

type canonicalForm struct {
	json   []byte
	digest string
}

// AddedToken is a token that is found in the text before anything else.
type AddedToken struct {
	ID      int32  `json:"id"`
	Content string `json:"content"`
	// SingleWord: only match where no word character is next to it.
	SingleWord bool `json:"single_word"`
	// LStrip, RStrip: take the white space on that side along.
	LStrip bool `json:"lstrip"`
	RStrip bool `json:"rstrip"`
	// Normalized: match in the normalized text.
	Normalized bool `json:"normalized"`
	// Special: a control token, which Encode takes for plain text unless allowed.
	Special bool `json:"special"`
}

// Specials holds the ids of the tokens with a role, -1 for those that the
// tokenizer does not have.
type Specials struct {
	Unk, Pad, Cls, Sep, Mask, Bos, Eos int32
}

// Span is a part of a text: the bytes from Start up to End.
type Span struct{ Start, End int }

// normalizer, preTokenizer, model, postProcessor and decoder are the steps, as
// tokenizer.json names them. Each marshals to its entry there.
type (
	normalizer   interface{ normalize(*part) error }
	preTokenizer interface{ split([]part) []part }
	model        interface {
		vocabulary() *vocabulary
		// form is the model's entry in tokenizer.json.
		form() any
		// forbid builds what encode needs, so that it never gives the control
		// tokens, listed by id, for text; only its unknown token.
		forbid(control []bool) error
		// encode gives e the pieces of a word.
		encode(e *Encoder, word []byte) error
	}
	postProcessor interface {
		// trims reports whether spans leave out the white space of their
		// tokens, and whether a prefix space is part of the first.
		trims() (trim, prefix bool)
		// frame returns what stands around one sequence or two.
		frame(pair bool) []framed
	}
	decoder interface {
		decode(tokens []string) []string
	}
)

// finish derives what the fields read from a file or set by a trainer imply.
func (t *Tokenizer) finish() error {
	base := t.model.vocabulary()
	v := newVocabulary(base.size() + len(t.added))
	for id, piece := range base.pieces {
		if base.has(int32(id)) {
			if err := v.add(piece, int32(id)); err != nil {
				return err
			}
		}
	}
	seen := map[string]bool{}
	for i, a := range t.added {
		if a.Content == "" {
			return fmt.Errorf("added token %d is empty", a.ID)
		}
		if seen[a.Content] {
			return fmt.Errorf("added token %q stands twice", a.Content)
		}
		seen[a.Content] = true
		if id, ok := v.id(a.Content); ok {
			// The model's own id counts, as in the reference.
			t.added[i].ID = id
			continue
		}
		if err := v.add(a.Content, a.ID); err != nil {
			return fmt.Errorf("added token: %w", err)
		}
	}
	t.vocab = v
	t.special = make([]bool, v.span())
	t.inside = make([]bool, v.span())
	t.isAddedID = make([]bool, v.span())
	for _, a := range t.added {
		t.isAddedID[a.ID] = true
		if a.Special {
			t.special[a.ID] = true
		}
	}
	t.findInside()
	if err := t.model.forbid(t.special); err != nil {
		return err
	}
	t.findSpecials()

	if err := t.findAdded(); err != nil {
		return err
	}
	t.choosePath()
	t.setCanonical()
	return nil
}

// setCanonical has the file made when it is asked for.
func (t *Tokenizer) setCanonical() {
	t.canonical = sync.OnceValues(func() (canonicalForm, error) {
		data, err := t.encodeJSON()
		if err != nil {
			return canonicalForm{}, err
		}
		sum := sha256.Sum256(data)
		return canonicalForm{data, hex.EncodeToString(sum[:])}, nil
	})
}

// findInside marks the pieces that continue a word: those with the prefix of
// WordPiece, or, where pieces that begin a word carry the space before it, those
// that do not.
func (t *Tokenizer) findInside() {
	prefix, begins := "", ""
	switch m := t.model.(type) {
	case *wordPiece:
		prefix = m.prefix
	case *bpe:
		switch {
		case m.prefix != nil && *m.prefix != "":
			prefix = *m.prefix
		case m.byteFallback:
			begins = "▁"
		case m.whole:
			begins = "Ġ"
		}
	case *unigram:
		begins = "▁"
	}
	for id, piece := range t.vocab.pieces {
		switch {
		case t.isAddedID[id] || piece == "":
		case prefix != "":
			t.inside[id] = strings.HasPrefix(piece, prefix) && len(piece) > len(prefix)
		case begins != "":
			r, _ := utf8.DecodeRuneInString(piece)
			t.inside[id] = !strings.HasPrefix(piece, begins) && chars.Classes().Of(r)&(chars.Letter|chars.Number|chars.Mark) != 0
		}
	}
}

// findSpecials finds the tokens with a role: by what tokenizer_config.json says,
// else by their usual names.
func (t *Tokenizer) findSpecials() {
	find := func(named string, usual ...string) int32 {
		if named != "" {
			if id, ok := t.vocab.id(named); ok {
				return id
			}
		}
		for _, name := range usual {
			if id, ok := t.vocab.id(name); ok && (t.special[id] || name[0] == '[' || name[0] == '<') {
				return id
			}
		}
		return -1
	}
	c := &t.config
	t.specials = Specials{
		Unk:  find(c.unk, "[UNK]", "<unk>"),
		Pad:  find(c.pad, "[PAD]", "<pad>"),
		Cls:  find(c.cls, "[CLS]", "<cls>"),
		Sep:  find(c.sep, "[SEP]", "<sep>"),
		Mask: find(c.mask, "[MASK]", "<mask>"),
		Bos:  find(c.bos, "<s>", "[BOS]", "<|begin_of_text|>", "<|endoftext|>"),
		Eos:  find(c.eos, "</s>", "[EOS]", "<|end_of_text|>", "<|endoftext|>"),
	}
	switch m := t.model.(type) {
	case *wordPiece:
		t.specials.Unk = m.unk
	case *wordLevel:
		t.specials.Unk = m.unk
	case *bpe:
		if m.unk >= 0 {
			t.specials.Unk = m.unk
		}
	case *unigram:
		t.specials.Unk = m.unk
	}
}

// Specials returns the ids of the tokens with a role.
func (t *Tokenizer) Specials() Specials { return t.specials }

// VocabSize returns the number of ids a model needs: one more than the largest.
func (t *Tokenizer) VocabSize() int { return t.vocab.span() }

// ID returns the id of a token, given as it stands in the vocabulary.
func (t *Tokenizer) ID(token string) (int32, bool) { return t.vocab.id(token) }

// Token returns the token of an id as it stands in the vocabulary, or "" when
// there is none.
func (t *Tokenizer) Token(id int32) string { return t.vocab.piece(id) }

// Has reports whether id stands for a token.
func (t *Tokenizer) Has(id int32) bool { return t.vocab.has(id) }

// IsSpecial reports whether id is a control token.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.special) && t.special[id]
}

// Continues reports whether id is a piece that continues a word.
func (t *Tokenizer) Continues(id int32) bool {
	return id >= 0 && int(id) < len(t.inside) && t.inside[id]
}

// Added returns the added tokens, by id.
func (t *Tokenizer) Added() []AddedToken { return append([]AddedToken(nil), t.added...) }

// Digest identifies the tokenizer: the SHA-256, in hex, of the tokenizer.json
// that Save writes.
func (t *Tokenizer) Digest() string {
	form, _ := t.canonical() // nothing in a tokenizer lacks a JSON form
	return form.digest
}

// Decode returns the text of ids. Ids that are not in the vocabulary are left
// out, and so are control tokens when skipSpecial is set.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	tokens := make([]string, 0, len(ids))
	for _, id := range ids {
		if !t.vocab.has(id) || skipSpecial && t.special[id] {
			continue
		}
		if as, ok := t.decodeAs[id]; ok {
			tokens = append(tokens, as)
			continue
		}
		tokens = append(tokens, t.vocab.pieces[id])
	}
	if t.decoder == nil {
		return strings.Join(tokens, " ")
	}
	return strings.Join(t.decoder.decode(tokens), "")
}
