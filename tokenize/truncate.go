package tokenize

import (
	"encoding/json"
	"errors"
	"fmt"
)

// The ways to choose which of two texts loses tokens.
const (
	LongestFirst = "LongestFirst"
	OnlyFirst    = "OnlyFirst"
	OnlySecond   = "OnlySecond"
)

// Truncation says how EncodeFramed cuts texts, by the names and the rules of
// tokenizer.json. There are no windows of what was cut off: Stride must be 0.
type Truncation struct {
	// Direction is the end that loses tokens, "Right" or "Left".
	Direction string `json:"direction"`
	// MaxLength is how many tokens there may be, control tokens included.
	MaxLength int    `json:"max_length"`
	Strategy  string `json:"strategy"`
	Stride    int    `json:"stride"`
}

// ErrTruncation says that the text that should be cut has too few tokens to lose.
var ErrTruncation = errors.New("the text to be truncated is too short")

func (c Truncation) check() error {
	switch {
	case c.Direction != "Right" && c.Direction != "Left":
		return fmt.Errorf("truncation direction %q: want Right or Left", c.Direction)
	case c.Strategy != LongestFirst && c.Strategy != OnlyFirst && c.Strategy != OnlySecond:
		return fmt.Errorf("truncation strategy %q: want %s, %s or %s", c.Strategy, LongestFirst, OnlyFirst, OnlySecond)
	case c.MaxLength < 0:
		return fmt.Errorf("truncation to %d tokens", c.MaxLength)
	case c.Stride != 0:
		return fmt.Errorf("truncation with stride %d: windows of what is cut off are not made", c.Stride)
	}
	return nil
}

// Truncation returns the truncation that the tokenizer's file asks for, nil when it
// asks for none. Encoders heed it only when it is given to Truncate.
func (t *Tokenizer) Truncation() (*Truncation, error) {
	if isNull(t.truncation) {
		return nil, nil
	}
	c := &Truncation{Direction: "Right", Strategy: LongestFirst}
	if err := json.Unmarshal(t.truncation, c); err != nil {
		return nil, fmt.Errorf("truncation: %w", err)
	}
	return c, nil
}

// Truncate makes EncodeFramed cut texts that have too many tokens.
func Truncate(c Truncation) EncoderOption {
	return func(e *Encoder) { e.truncation = &c }
}

// cut shortens one text, or two, so that they fit with the control tokens that the
// frame puts in.
func (c *Truncation) cut(each *[2]Encoding, frame []framed, pair bool) error {
	if err := c.check(); err != nil {
		return err
	}
	room := c.MaxLength
	for _, f := range frame {
		if f.sequence < 0 {
			room--
		}
	}
	if room < 0 {
		return fmt.Errorf("truncation to %d tokens: the control tokens alone are %d", c.MaxLength, c.MaxLength-room)
	}
	first, second := len(each[0].IDs), len(each[1].IDs)
	over := first + second - room
	if over <= 0 {
		return nil
	}
	if room == 0 {
		each[0].shorten(0, false)
		each[1].shorten(0, false)
		return nil
	}
	switch c.Strategy {
	case LongestFirst:
		if !pair {
			first = room
			break
		}
		short, swapped := min(first, second), first > second
		long := max(short, room-short)
		if short+long > room {
			short = room / 2
			long = short + room%2
		}
		if first, second = short, long; swapped {
			first, second = long, short
		}
	case OnlyFirst:
		if first -= over; first <= 0 {
			return fmt.Errorf("%s: %w", c.Strategy, ErrTruncation)
		}
	case OnlySecond:
		if !pair {
			return fmt.Errorf("%s: there is no second text", c.Strategy)
		}
		if second -= over; second <= 0 {
			return fmt.Errorf("%s: %w", c.Strategy, ErrTruncation)
		}
	}
	each[0].shorten(first, c.Direction == "Left")
	each[1].shorten(second, c.Direction == "Left")
	return nil
}

// shorten keeps n tokens, those at the end when left is set.
func (enc *Encoding) shorten(n int, left bool) {
	from, to := 0, n
	if left {
		from, to = len(enc.IDs)-n, len(enc.IDs)
	}
	if n < len(enc.IDs) {
		enc.IDs, enc.Spans, enc.Words = enc.IDs[from:to], enc.Spans[from:to], enc.Words[from:to]
	}
}
