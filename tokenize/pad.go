package tokenize

import (
	"encoding/json"
	"fmt"
	"math"
)

// maxPadding bounds the tokens that a batch is padded to.
const maxPadding = 1 << 24

// Padding says how texts of a batch are brought to one length, by the rules of
// tokenizer.json.
type Padding struct {
	// Fixed is the length, when Longest is false; shorter texts are padded.
	Fixed int
	// Longest: the length is that of the longest text of the batch.
	Longest bool
	// Direction is the end at which padding is put, "Right" or "Left".
	Direction string
	// MultipleOf rounds the length up, 0 for no rounding.
	MultipleOf int
	// ID and Type are those of the padding, and Token is its name, which tokenizer.json
	// holds beside the id.
	ID    int32
	Type  int32
	Token string
}

// paddingForm is the layout in tokenizer.json.
type paddingForm struct {
	Strategy   paddingStrategy `json:"strategy"`
	Direction  string          `json:"direction"`
	MultipleOf *int            `json:"pad_to_multiple_of"`
	ID         int32           `json:"pad_id"`
	Type       int32           `json:"pad_type_id"`
	Token      string          `json:"pad_token"`
}

// paddingStrategy is "BatchLongest", or an object with the length.
type paddingStrategy struct {
	longest bool
	fixed   int
}

const batchLongest = "BatchLongest"

// UnmarshalJSON reads either form.
func (s *paddingStrategy) UnmarshalJSON(data []byte) error {
	var name string
	if json.Unmarshal(data, &name) == nil {
		if name != batchLongest {
			return fmt.Errorf("strategy %q: want %s or a length as Fixed", name, batchLongest)
		}
		s.longest = true
		return nil
	}
	var form struct {
		Fixed *int `json:"Fixed"`
	}
	if err := json.Unmarshal(data, &form); err != nil {
		return err
	}
	if form.Fixed == nil {
		return fmt.Errorf("strategy %.100s: want %s or a length as Fixed", data, batchLongest)
	}
	s.longest, s.fixed = false, *form.Fixed
	return nil
}

// MarshalJSON writes what UnmarshalJSON reads.
func (s paddingStrategy) MarshalJSON() ([]byte, error) {
	if s.longest {
		return json.Marshal(batchLongest)
	}
	return json.Marshal(map[string]int{"Fixed": s.fixed})
}

// readPadding reads the entry of tokenizer.json, nil for none.
func readPadding(raw json.RawMessage) (*Padding, error) {
	if isNull(raw) {
		return nil, nil
	}
	form := paddingForm{Strategy: paddingStrategy{longest: true}, Direction: "Right", Token: "[PAD]"}
	if err := json.Unmarshal(raw, &form); err != nil {
		return nil, fmt.Errorf("padding: %w", err)
	}
	p := &Padding{Fixed: form.Strategy.fixed, Longest: form.Strategy.longest, Direction: form.Direction, ID: form.ID, Type: form.Type, Token: form.Token}
	if form.MultipleOf != nil {
		p.MultipleOf = *form.MultipleOf
	}
	return p, p.check()
}

// MarshalJSON writes the entry of tokenizer.json.
func (p Padding) MarshalJSON() ([]byte, error) {
	form := paddingForm{Strategy: paddingStrategy{p.Longest, p.Fixed}, Direction: p.Direction, ID: p.ID, Type: p.Type, Token: p.Token}
	if p.MultipleOf > 0 {
		form.MultipleOf = &p.MultipleOf
	}
	return marshalCompact(form)
}

func (p Padding) check() error {
	switch {
	case p.Direction != "Right" && p.Direction != "Left":
		return fmt.Errorf("padding direction %q: want Right or Left", p.Direction)
	case p.Fixed < 0 || p.Fixed > maxPadding:
		return fmt.Errorf("padding to %d tokens: want 0 to %d", p.Fixed, maxPadding)
	case p.MultipleOf < 0 || p.MultipleOf > maxPadding:
		return fmt.Errorf("padding to a multiple of %d tokens: want 0 to %d", p.MultipleOf, maxPadding)
	case p.ID < 0:
		return fmt.Errorf("padding with id %d", p.ID)
	}
	return nil
}

// Padding returns the padding that the tokenizer's file asks for, nil when it asks
// for none. It is applied by Pad alone.
func (t *Tokenizer) Padding() *Padding {
	if t.padding == nil {
		return nil
	}
	p := *t.padding
	return &p
}

// Pad brings the texts of a batch, which EncodeFramed has encoded, and the windows
// of what was cut off them to one length. Longer ones stay as they are.
func (p Padding) Pad(batch []*Encoding) error {
	if err := p.check(); err != nil {
		return err
	}
	length := p.Fixed
	if p.Longest {
		length = 0
		for _, enc := range batch {
			length = max(length, len(enc.IDs))
		}
	}
	if p.MultipleOf > 0 && length%p.MultipleOf > 0 {
		if length > math.MaxInt-p.MultipleOf {
			return fmt.Errorf("padding %d tokens to a multiple of %d", length, p.MultipleOf)
		}
		length += p.MultipleOf - length%p.MultipleOf
	}
	for _, enc := range batch {
		p.pad(enc, length)
	}
	return nil
}

func (p Padding) pad(enc *Encoding, length int) {
	for i := range enc.Overflow {
		p.pad(&enc.Overflow[i], length)
	}
	n := len(enc.IDs)
	if n >= length {
		return
	}
	for len(enc.IDs) < length {
		enc.put(p.ID, p.Type, false)
	}
	if p.Direction == "Left" {
		rotate(enc.IDs, n)
		rotate(enc.Spans, n)
		rotate(enc.Words, n)
		rotate(enc.Types, n)
		rotate(enc.Special, n)
		rotate(enc.Attention, n)
	}
}

// rotate moves the first n elements to the end.
func rotate[T any](s []T, n int) {
	tail := append([]T(nil), s[n:]...)
	copy(s[len(s)-n:], s[:n])
	copy(s, tail)
}

// WithFraming returns a tokenizer that differs in the truncation and the padding
// that its file asks for; nil asks for none.
func (t *Tokenizer) WithFraming(truncation *Truncation, padding *Padding) (*Tokenizer, error) {
	other := *t
	other.truncation, other.padding = nil, nil
	if truncation != nil {
		if err := truncation.check(); err != nil {
			return nil, err
		}
		c := *truncation
		other.truncation = &c
	}
	if padding != nil {
		if err := padding.check(); err != nil {
			return nil, err
		}
		p := *padding
		other.padding = &p
	}
	other.setCanonical()
	return &other, nil
}
