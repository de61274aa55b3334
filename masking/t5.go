package masking

import (
	"errors"
	"fmt"
	"math"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// denoise replaces spans of the text by sentinels and asks a decoder for them
// (span corruption; Raffel et al., "T5", 2020, section 3.1.4). The hidden and the
// shown tokens are each cut into as many spans, in every way with the same chance,
// and alternate, beginning with shown ones. The targets are each sentinel with what
// it stands for, and the end token. With several denoisers each sample is given to
// one of them (Tay et al., "UL2", 2023, section 3.1).
type denoise struct {
	masker
	denoisers []Denoiser
	modes     []int32 // by denoiser: the token that names it, or -1
	sentinels []int32
	length    int // of the text that fills a sequence once its spans are replaced
}

// Denoiser is a way of hiding spans.
type Denoiser struct {
	// Share of the tokens is hidden, in spans of Span tokens on average. A Span of 0
	// hides the end of the text: a prefix language model.
	Share, Span float64
	// Mode names the token that tells the model which kind of denoiser it is, where
	// the vocabulary has it: [R], [S] or [X].
	Mode string
	// Weight is the share of the samples, relative to the other denoisers'.
	Weight float64
}

// UL2Denoisers are those of the published mixture: two regular ones, a sequential
// one, and four extreme ones.
func UL2Denoisers() []Denoiser {
	return []Denoiser{
		{0.15, 3, "[R]", 1}, {0.15, 8, "[R]", 1}, {0.25, 0, "[S]", 1},
		{0.5, 3, "[X]", 1}, {0.5, 8, "[X]", 1}, {0.15, 64, "[X]", 1}, {0.5, 64, "[X]", 1},
	}
}

const t5Span = 3

// ErrNoSentinels means that a vocabulary has no <extra_id_0>, <extra_id_1>, ...
var ErrNoSentinels = errors.New("the vocabulary lacks sentinels <extra_id_0>, <extra_id_1> and so on (a tokenizer is trained with them by 'corpus tokenizer train --sentinels 100')")

func newT5(m masker, v Vocabulary) (Objective, error) {
	return newDenoise(m, v, []Denoiser{{Share: m.options.Share, Span: t5Span, Weight: 1}})
}

func newUL2(m masker, v Vocabulary) (Objective, error) {
	denoisers := m.options.Denoisers
	if denoisers == nil {
		denoisers = UL2Denoisers()
	}
	return newDenoise(m, v, denoisers)
}

func newDenoise(m masker, v Vocabulary, denoisers []Denoiser) (Objective, error) {
	o := &denoise{masker: m, denoisers: denoisers}
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
	if len(denoisers) == 0 {
		return nil, errors.New("there is no denoiser")
	}
	for _, d := range denoisers {
		if !(d.Share > 0 && d.Share < 1) || !(d.Span == 0 || d.Span >= 1 && d.Span <= 1<<16) || !(d.Weight > 0 && d.Weight < 1e9) {
			return nil, fmt.Errorf("a denoiser of share %g, span %g and weight %g: want a share above 0 and below 1, a span of 0 or at least 1 and a weight above 0", d.Share, d.Span, d.Weight)
		}
		mode, ok := int32(-1), false
		if d.Mode != "" {
			if mode, ok = named.ID(d.Mode); !ok {
				mode = -1
			}
		}
		o.modes = append(o.modes, mode)
	}
	fits := func(n int) bool {
		for i, d := range o.denoisers {
			noise, spans := d.noise(n)
			frame := 1
			if o.modes[i] >= 0 {
				frame++
			}
			if n-noise+spans+frame > m.options.SeqLen || d.Span > 0 && noise+spans+1 > m.options.SeqLen {
				return false
			}
		}
		return true
	}
	for o.length = 2; fits(o.length + 1); {
		o.length++
	}
	for _, d := range o.denoisers {
		if _, spans := d.noise(o.length); len(o.sentinels) < spans {
			return nil, fmt.Errorf("%d sentinels are needed for sequences of %d tokens, the vocabulary has %d: %w", spans, m.options.SeqLen, len(o.sentinels), ErrNoSentinels)
		}
	}
	return o, nil
}

// noise returns how many of n tokens are hidden, and in how many spans.
func (d Denoiser) noise(n int) (tokens, spans int) {
	tokens = max(1, min(int(math.RoundToEven(float64(n)*d.Share)), n-1))
	if d.Span == 0 {
		return tokens, 1
	}
	spans = max(1, int(math.RoundToEven(float64(tokens)/d.Span)))
	return tokens, min(spans, n-tokens)
}

func (o *denoise) Layout() mixer.Layout { return mixer.Packed }

// SeqLen is the length of the text: longer than the encoder's sequence, which
// shows a sentinel for every hidden span.
func (o *denoise) SeqLen() int { return o.length }

func (o *denoise) Build(step int64, samples []mixer.Sample) *Batch {
	w := o.begin(step, samples)
	b := w.batch
	b.TargetBounds = []int32{0}
	kinds := newLengths(len(o.denoisers), func(n int) float64 { return o.denoisers[n-1].Weight })
	var text, hidden, shown []int32
	for i := range samples {
		s := &samples[i]
		pairs, key := w.draws(s)
		draw := key.Stream()
		kind := 0
		if len(o.denoisers) > 1 {
			choice := pairs.Stream()
			kind = kinds.draw(&choice) - 1
		}
		d := o.denoisers[kind]
		if mode := o.modes[kind]; mode >= 0 {
			b.Tokens = append(b.Tokens, mode)
		}
		text = appendDocuments(text[:0], s, o.sep)
		if n := len(text); n > 1 {
			noise, spans := d.noise(n)
			if d.Span == 0 {
				// Uniform about the asked share, as far as the rest fits the encoder.
				least := max(1, n+3-o.options.SeqLen)
				most := max(least, min(n-1, 2*noise-1))
				noise = least + draw.IntN(most-least+1)
			}
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
	w.oneSegment()
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
