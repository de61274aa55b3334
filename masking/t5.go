package masking

import (
	"errors"
	"fmt"
	"math"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// t5 replaces spans of the text by sentinels and asks a decoder for them (span
// corruption; Raffel et al., "T5", 2020, section 3.1.4, with spans of three tokens
// on average). The hidden and the shown tokens are each cut into as many spans, in
// every way with the same chance, and alternate, beginning with shown ones. The
// targets are each sentinel with what it stands for, and the end token.
type t5 struct {
	masker
	sentinels []int32
	length    int // of the text that fills a sequence once its spans are replaced
}

const t5Span = 3

// ErrNoSentinels means that a vocabulary has no <extra_id_0>, <extra_id_1>, ...
var ErrNoSentinels = errors.New("the vocabulary has no sentinels <extra_id_0>, <extra_id_1> and so on")

func newT5(m masker, v Vocabulary) (Objective, error) {
	o := &t5{masker: m}
	named, ok := v.(interface {
		ID(token string) (int32, bool)
	})
	if !ok {
		return nil, ErrNoSentinels
	}
	for {
		id, ok := named.ID(fmt.Sprintf("<extra_id_%d>", len(o.sentinels)))
		if !ok {
			break
		}
		o.sentinels = append(o.sentinels, id)
	}
	for o.length = 2; ; o.length++ {
		noise, spans := o.noise(o.length + 1)
		if o.length+1-noise+spans+1 > m.options.SeqLen {
			break
		}
	}
	if _, spans := o.noise(o.length); len(o.sentinels) < spans {
		return nil, fmt.Errorf("%d sentinels are needed for sequences of %d tokens, the vocabulary has %d: %w", spans, m.options.SeqLen, len(o.sentinels), ErrNoSentinels)
	}
	return o, nil
}

// noise returns how many of n tokens are hidden, and in how many spans.
func (o *t5) noise(n int) (tokens, spans int) {
	tokens = max(1, min(int(math.RoundToEven(float64(n)*o.options.Share)), n-1))
	spans = max(1, int(math.RoundToEven(float64(tokens)/t5Span)))
	return tokens, min(spans, n-tokens)
}

func (o *t5) Layout() mixer.Layout { return mixer.Packed }

// SeqLen is the length of the text: longer than the encoder's sequence, which
// shows a sentinel for every hidden span.
func (o *t5) SeqLen() int { return o.length }

func (o *t5) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.TargetBounds = []int32{0}
	var text, hidden, shown []int32
	for i := range samples {
		s := &samples[i]
		_, key := w.draws(s)
		draw := key.Stream()
		text = appendDocuments(text[:0], s, o.sep)
		if n := len(text); n > 1 {
			noise, spans := o.noise(n)
			hidden = compose(hidden[:0], noise, spans, &draw)
			shown = compose(shown[:0], n-noise, spans, &draw)
			rest := text
			for j := range spans {
				b.Tokens = append(b.Tokens, rest[:shown[j]]...)
				b.Tokens = append(b.Tokens, o.sentinels[j])
				b.Targets = append(b.Targets, o.sentinels[j])
				b.Targets = append(b.Targets, rest[shown[j]:shown[j]+hidden[j]]...)
				rest = rest[shown[j]+hidden[j]:]
			}
		} else {
			b.Tokens = append(b.Tokens, text...)
		}
		b.Tokens = append(b.Tokens, o.sep)
		b.Targets = append(b.Targets, o.sep)
		b.TargetBounds = append(b.TargetBounds, int32(len(b.Targets)))
		w.seal(s, s.Spans)
	}
	b.Segments = make([]uint8, len(b.Tokens))
	return b
}

// compose appends the sizes of parts positive parts of n, every composition with
// the same chance.
func compose(dst []int32, n, parts int, draw *counter.Stream) []int32 {
	size := int32(1)
	for cuts, places := parts-1, n-1; places > 0; places-- {
		if draw.IntN(places) < cuts {
			dst = append(dst, size)
			size = 0
			cuts--
		}
		size++
	}
	return append(dst, size)
}
