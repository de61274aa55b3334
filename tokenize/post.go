package tokenize

import (
	"encoding/json"
	"fmt"
)

// framed is a control token, or a sequence: number 0 or 1.
type framed struct {
	id       int32
	sequence int // -1 for a control token
	kind     int32
	// rest is the kind of a sequence in the windows of what was cut off.
	rest int32
}

// templateProcessing puts control tokens around one sequence or two.
type templateProcessing struct {
	Type          string                     `json:"type"`
	Single        []templatePart             `json:"single"`
	Pair          []templatePart             `json:"pair"`
	SpecialTokens map[string]templateSpecial `json:"special_tokens"`
}

// templatePart is a control token or one of the sequences A and B.
type templatePart struct {
	SpecialToken *templateItem `json:"SpecialToken,omitempty"`
	Sequence     *templateItem `json:"Sequence,omitempty"`
}

type templateItem struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

type templateSpecial struct {
	ID     string   `json:"id"`
	IDs    []int32  `json:"ids"`
	Tokens []string `json:"tokens"`
}

// bertTemplate is the template "[CLS] A [SEP]", "[CLS] A [SEP] B [SEP]".
func bertTemplate(cls, sep string, clsID, sepID int32) *templateProcessing {
	special := func(id string, kind int32) templatePart {
		return templatePart{SpecialToken: &templateItem{id, kind}}
	}
	sequence := func(id string, kind int32) templatePart {
		return templatePart{Sequence: &templateItem{id, kind}}
	}
	return &templateProcessing{
		Type:   "TemplateProcessing",
		Single: []templatePart{special(cls, 0), sequence("A", 0), special(sep, 0)},
		Pair:   []templatePart{special(cls, 0), sequence("A", 0), special(sep, 0), sequence("B", 1), special(sep, 1)},
		SpecialTokens: map[string]templateSpecial{
			cls: {cls, []int32{clsID}, []string{cls}},
			sep: {sep, []int32{sepID}, []string{sep}},
		},
	}
}

func (*templateProcessing) trims() (bool, bool) { return false, false }

func (t *templateProcessing) frame(pair bool) []framed {
	parts := t.Single
	if pair {
		parts = t.Pair
	}
	var out []framed
	for _, p := range parts {
		switch {
		case p.Sequence != nil:
			n := 0
			if p.Sequence.ID != "A" {
				n = 1
			}
			// The reference gives the template's kinds to the first window alone.
			out = append(out, framed{-1, n, p.Sequence.TypeID, int32(n)})
		case p.SpecialToken != nil:
			for _, id := range t.SpecialTokens[p.SpecialToken.ID].IDs {
				out = append(out, framed{id, -1, p.SpecialToken.TypeID, 0})
			}
		}
	}
	return out
}

// check refuses templates that name what they don't define.
func (t *templateProcessing) check() error {
	for _, list := range [][]templatePart{t.Single, t.Pair} {
		if len(list) > maxSteps {
			return fmt.Errorf("the template has %d parts, and may have %d", len(list), maxSteps)
		}
		sequences := 0
		for _, p := range list {
			switch {
			case p.SpecialToken != nil:
				if _, ok := t.SpecialTokens[p.SpecialToken.ID]; !ok {
					return fmt.Errorf("the template names the token %q without defining it", p.SpecialToken.ID)
				}
			case p.Sequence == nil:
				return fmt.Errorf("a part of the template is neither a token nor a sequence")
			case p.Sequence.ID != "A" && p.Sequence.ID != "B":
				return fmt.Errorf("the template names the sequence %q, want A or B", p.Sequence.ID)
			default:
				if sequences++; sequences > 4 {
					return fmt.Errorf("the template has the texts more than 4 times")
				}
			}
		}
	}
	for _, p := range t.Single {
		if p.Sequence != nil && p.Sequence.ID == "B" {
			return fmt.Errorf("the template of one sequence names the second")
		}
	}
	return nil
}

// tokenAndID is written as an array.
type tokenAndID struct {
	token string
	id    int32
}

// UnmarshalJSON reads ["[SEP]", 102].
func (t *tokenAndID) UnmarshalJSON(data []byte) error {
	var both []json.RawMessage
	if err := json.Unmarshal(data, &both); err != nil {
		return err
	}
	if len(both) != 2 {
		return fmt.Errorf("a token and its id have %d elements", len(both))
	}
	if err := json.Unmarshal(both[0], &t.token); err != nil {
		return err
	}
	return json.Unmarshal(both[1], &t.id)
}

// MarshalJSON writes what UnmarshalJSON reads.
func (t tokenAndID) MarshalJSON() ([]byte, error) { return marshalCompact([]any{t.token, t.id}) }

// bertProcessing is "[CLS] A [SEP]", "[CLS] A [SEP] B [SEP]".
type bertProcessing struct {
	Type string     `json:"type"`
	Sep  tokenAndID `json:"sep"`
	Cls  tokenAndID `json:"cls"`
}

func (*bertProcessing) trims() (bool, bool) { return false, false }

func (b *bertProcessing) frame(pair bool) []framed {
	out := []framed{{b.Cls.id, -1, 0, 0}, {-1, 0, 0, 0}, {b.Sep.id, -1, 0, 0}}
	if pair {
		out = append(out, framed{-1, 1, 1, 1}, framed{b.Sep.id, -1, 1, 0})
	}
	return out
}

// robertaProcessing is "<s> A </s>", "<s> A </s></s> B </s>", all of type 0.
type robertaProcessing struct {
	Type           string     `json:"type"`
	Sep            tokenAndID `json:"sep"`
	Cls            tokenAndID `json:"cls"`
	TrimOffsets    bool       `json:"trim_offsets"`
	AddPrefixSpace bool       `json:"add_prefix_space"`
}

func (r *robertaProcessing) trims() (bool, bool) { return r.TrimOffsets, r.AddPrefixSpace }

func (r *robertaProcessing) frame(pair bool) []framed {
	out := []framed{{r.Cls.id, -1, 0, 0}, {-1, 0, 0, 0}, {r.Sep.id, -1, 0, 0}}
	if pair {
		out = append(out, framed{r.Sep.id, -1, 0, 0}, framed{-1, 1, 0, 0}, framed{r.Sep.id, -1, 0, 0})
	}
	return out
}

func (b *byteLevel) trims() (bool, bool) { return b.TrimOffsets, b.AddPrefixSpace }

// bare is the frame without control tokens.
func bare(pair bool) []framed {
	out := []framed{{-1, 0, 0, 0}}
	if pair {
		out = append(out, framed{-1, 1, 1, 1})
	}
	return out
}

func (b *byteLevel) frame(pair bool) []framed { return bare(pair) }

// postProcessorChain is the post-processor Sequence.
type postProcessorChain struct {
	Type  string          `json:"type"`
	Steps []postProcessor `json:"processors"`
}

func (c *postProcessorChain) trims() (trim, prefix bool) {
	for _, step := range c.Steps {
		if t, p := step.trims(); t {
			return t, p
		}
	}
	return false, false
}

func (c *postProcessorChain) frame(pair bool) []framed {
	out := bare(pair)
	for _, step := range c.Steps {
		if _, level := step.(*byteLevel); !level {
			out = step.frame(pair)
		}
	}
	return out
}

func readPostProcessor(raw json.RawMessage, depth int) (postProcessor, error) {
	const kind = "post_processor"
	name, err := componentType(kind, raw)
	if err != nil || isNull(raw) {
		return nil, err
	}
	switch name {
	case "TemplateProcessing":
		t, err := component(kind, raw, new(templateProcessing))
		if err == nil {
			if err = t.check(); err != nil {
				err = fmt.Errorf("%s: %w", kind, err)
			}
		}
		return t, err
	case "BertProcessing":
		return component(kind, raw, new(bertProcessing))
	case "RobertaProcessing":
		return component(kind, raw, &robertaProcessing{TrimOffsets: true, AddPrefixSpace: true})
	case "ByteLevel":
		return component(kind, raw, &byteLevel{AddPrefixSpace: true, TrimOffsets: true, UseRegex: true})
	case "Sequence":
		steps, err := readChain(kind, raw, "processors", depth, readPostProcessor)
		if err != nil {
			return nil, err
		}
		framing := 0
		for _, s := range steps {
			if _, level := s.(*byteLevel); !level {
				framing++
			}
		}
		if framing > 1 {
			return nil, fmt.Errorf("%s: a Sequence with %d steps that put in control tokens is not supported", kind, framing)
		}
		return &postProcessorChain{name, steps}, nil
	}
	return nil, &UnknownComponentError{kind, name}
}
