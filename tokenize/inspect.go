package tokenize

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tributary-ml/tributary/tokenize/chars"
)

// Piece is a token of a text, for people.
type Piece struct {
	ID    int32  `json:"id"`
	Token string `json:"token"`
	// Start and End bound the bytes of the text that the token came from.
	Start int `json:"start"`
	End   int `json:"end"`
	// Word is the number of the word, from 0.
	Word    int32 `json:"word"`
	Unknown bool  `json:"unknown"`
}

// Pieces appends the tokens of text to dst.
func (e *Encoder) Pieces(dst []Piece, text string) ([]Piece, error) {
	var enc Encoding
	err := e.EncodeOffsets(&enc, text)
	for i, id := range enc.IDs {
		dst = append(dst, Piece{
			ID: id, Token: e.t.Token(id), Start: enc.Spans[i].Start, End: enc.Spans[i].End,
			Word: enc.Words[i], Unknown: id == e.t.specials.Unk,
		})
	}
	return dst, err
}

// Coverage counts how a tokenizer writes texts. The zero value is ready; counts of
// several texts add up.
type Coverage struct {
	Bytes int64 `json:"bytes"`
	Chars int64 `json:"chars"`
	// Words counts runs of characters that are no white space.
	Words   int64 `json:"words"`
	Tokens  int64 `json:"tokens"`
	Unknown int64 `json:"unknown"`
	// UnknownBytes is how much of the text the unknown tokens stand for.
	UnknownBytes int64 `json:"unknown_bytes"`
}

// Fertility is the number of tokens a word, 0 for no words.
func (c *Coverage) Fertility() float64 { return ratio(c.Tokens, c.Words) }

// UnknownRate is the share of tokens that are unknown.
func (c *Coverage) UnknownRate() float64 { return ratio(c.Unknown, c.Tokens) }

// BytesPerToken is the compression.
func (c *Coverage) BytesPerToken() float64 { return ratio(c.Bytes, c.Tokens) }

func ratio(a, b int64) float64 {
	if b == 0 {
		return 0
	}
	return float64(a) / float64(b)
}

// Cover adds a text to the counts.
func (e *Encoder) Cover(c *Coverage, text string) error {
	var enc Encoding
	err := e.EncodeOffsets(&enc, text)
	e.t.Count(c, text, &enc)
	return err
}

// Count adds a text that was encoded with offsets to the counts.
func (t *Tokenizer) Count(c *Coverage, text string, enc *Encoding) {
	c.Bytes += int64(len(text))
	c.Chars += int64(utf8.RuneCountInString(text))
	table, inside := chars.Classes(), false
	for _, r := range text {
		space := table.Of(r)&chars.Space != 0
		if !space && !inside {
			c.Words++
		}
		inside = !space
	}
	c.Tokens += int64(len(enc.IDs))
	for i, id := range enc.IDs {
		if id == t.specials.Unk {
			c.Unknown++
			c.UnknownBytes += int64(enc.Spans[i].End - enc.Spans[i].Start)
		}
	}
}

// Step is a step of a tokenizer's chain, for people: its part of tokenizer.json and
// its type there, with the types of a Sequence in parentheses.
type Step struct {
	Kind string `json:"kind"`
	Name string `json:"name"`
}

// Steps lists the steps in the order of their work; those that the tokenizer does
// not have are left out.
func (t *Tokenizer) Steps() []Step {
	var steps []Step
	add := func(kind, name string) {
		if name != "" {
			steps = append(steps, Step{kind, name})
		}
	}
	add("normalizer", stepName(t.normalizer, "normalizers"))
	add("pre_tokenizer", stepName(t.pre, "pretokenizers"))
	switch m := t.model.(type) {
	case *bpe:
		name := fmt.Sprintf("BPE (%d merges)", len(m.pairs))
		if m.byteFallback {
			name = fmt.Sprintf("BPE (%d merges, bytes for unknown characters)", len(m.pairs))
		}
		add("model", name)
	case *unigram:
		add("model", "Unigram")
	case *wordPiece:
		add("model", "WordPiece")
	case *wordLevel:
		add("model", "WordLevel")
	}
	add("post_processor", stepName(t.post, "processors"))
	add("decoder", stepName(t.decoder, "decoders"))
	if c := t.truncation; c != nil {
		add("truncation", fmt.Sprintf("%s to %d tokens, at the %s, stride %d", c.Strategy, c.MaxLength, strings.ToLower(c.Direction), c.Stride))
	}
	if p := t.padding; p != nil {
		length := "the longest of the batch"
		if !p.Longest {
			length = fmt.Sprintf("%d tokens", p.Fixed)
		}
		add("padding", fmt.Sprintf("%s to %s, at the %s", p.Token, length, strings.ToLower(p.Direction)))
	}
	return steps
}

// stepName is the type of a step, "" for none.
func stepName(step any, list string) string {
	data, err := json.Marshal(step)
	if err != nil {
		return ""
	}
	return nameIn(data, list)
}

func nameIn(data json.RawMessage, list string) string {
	var form map[string]json.RawMessage
	var name string
	if json.Unmarshal(data, &form) != nil || form == nil || json.Unmarshal(form["type"], &name) != nil {
		return ""
	}
	var inner []json.RawMessage
	if json.Unmarshal(form[list], &inner) == nil {
		names := make([]string, len(inner))
		for i, one := range inner {
			names[i] = nameIn(one, list)
		}
		name += " (" + strings.Join(names, ", ") + ")"
	}
	return name
}
