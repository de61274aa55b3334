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
// tokenizer.json.
type Truncation struct {
	// Direction is the end that loses tokens, "Right" or "Left".
	Direction string `json:"direction"`
	// MaxLength is how many tokens there may be, control tokens included.
	MaxLength int    `json:"max_length"`
	Strategy  string `json:"strategy"`
	// Stride is how many tokens each window of what was cut off shares with the one
	// before it.
	Stride int `json:"stride"`
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
	case c.Stride < 0:
		return fmt.Errorf("truncation with stride %d", c.Stride)
	}
	return nil
}

// readTruncation reads the entry of tokenizer.json, nil for none.
func readTruncation(raw json.RawMessage) (*Truncation, error) {
	if isNull(raw) {
		return nil, nil
	}
	c := &Truncation{Direction: "Right", Strategy: LongestFirst}
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("truncation: %w", err)
	}
	return c, c.check()
}

// Truncation returns the truncation that the tokenizer's file asks for, nil when it
// asks for none. Encoders heed it only when it is given to Truncate.
func (t *Tokenizer) Truncation() *Truncation {
	if t.truncation == nil {
		return nil
	}
	c := *t.truncation
	return &c
}

// Truncate makes EncodeFramed cut texts that have too many tokens.
func Truncate(c Truncation) EncoderOption {
	return func(e *Encoder) { e.truncation = &c }
}

// window is a part of a text's tokens.
type window struct{ from, to int }

// windows cuts one text, or two, so that they fit with the control tokens that the
// frame puts in. The first window of each is what is kept. A stride of more tokens
// than one text may have, which has single control tokens, is an error whether or not
// anything is cut, as in the reference.
func (c *Truncation) windows(each []Encoding, frame []framed, single int) (out [2][]window, err error) {
	if err := c.check(); err != nil {
		return out, err
	}
	room := c.MaxLength - controls(frame)
	if room < 0 {
		return out, fmt.Errorf("truncation to %d tokens: the control tokens alone are %d", c.MaxLength, c.MaxLength-room)
	}
	if c.Stride > max(0, c.MaxLength-single) {
		return out, fmt.Errorf("truncation to %d tokens with stride %d: %d of them are control tokens", c.MaxLength, c.Stride, single)
	}
	pair := len(each) == 2
	first, second := len(each[0].IDs), 0
	if pair {
		second = len(each[1].IDs)
	}
	keep := [2]int{first, second}
	over := first + second - room
	switch {
	case over <= 0:
	case room == 0:
		keep = [2]int{}
	case c.Strategy == LongestFirst && !pair:
		keep[0] = room
	case c.Strategy == LongestFirst:
		short := min(first, second)
		long := max(short, room-short)
		if short+long > room {
			short = room / 2
			long = short + room%2
		}
		if keep = [2]int{short, long}; first > second {
			keep = [2]int{long, short}
		}
	case c.Strategy == OnlyFirst:
		if keep[0] -= over; keep[0] <= 0 {
			return out, fmt.Errorf("%s: %w", c.Strategy, ErrTruncation)
		}
	case !pair:
		return out, fmt.Errorf("%s: there is no second text", c.Strategy)
	default:
		if keep[1] -= over; keep[1] <= 0 {
			return out, fmt.Errorf("%s: %w", c.Strategy, ErrTruncation)
		}
	}
	for i := range each {
		if out[i], err = c.slide(len(each[i].IDs), keep[i]); err != nil {
			return out, err
		}
	}
	return out, nil
}

// slide lays windows of size tokens over n, from the end that is kept.
func (c *Truncation) slide(n, size int) ([]window, error) {
	step := size - c.Stride
	switch {
	case size >= n:
		return []window{{0, n}}, nil
	case size == 0:
		return []window{{0, 0}, {0, n}}, nil
	case step <= 0:
		return nil, fmt.Errorf("truncation with stride %d: the windows have %d tokens of the text, want more than the stride", c.Stride, size)
	case (n-size)/step > maxWindows:
		return nil, fmt.Errorf("truncation of %d tokens with stride %d: %w", n, c.Stride, errWindows)
	}
	var out []window
	for at := 0; ; at += step {
		w := window{at, min(at+size, n)}
		if c.Direction == "Left" {
			w = window{max(0, n-at-size), n - at}
		}
		out = append(out, w)
		if at+size >= n {
			return out, nil
		}
	}
}
