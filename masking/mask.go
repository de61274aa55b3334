package masking

import (
	"math"
	"math/bits"
	"sync"

	"github.com/tributary-ml/tributary/mixer"
	"github.com/tributary-ml/tributary/mixer/counter"
)

// work is one call of Build: the batch and memory for its sequences in turn.
type work struct {
	*masker
	batch *Batch
	old   *Batch // whose memory may be used
	keys  []keys // by task

	// Of the sequence that is being built: where it begins in the batch's tokens,
	// the places in it that may be predicted, and those that are chosen.
	from   int32
	places []int32
	chosen []uint64
	// Its words, each the places [starts[i], stops[i]), and an order of them.
	starts, stops, order []int32
	one                  []uint8
	rest                 []int32 // for halves
	cuts                 []int
}

// keys are what a task's draws are keyed by.
type keys struct {
	known       bool
	pairs, mask counter.Key
}

func (m *masker) begin(step int64, samples []mixer.Sample) *work {
	n := len(samples)
	tokens := 0
	for i := range samples {
		tokens += len(samples[i].Tokens) + 3
	}
	r := m.released.get()
	b := &Batch{
		Step:      step,
		Tokens:    room(r.Tokens, tokens),
		SeqBounds: append(room(r.SeqBounds, n+1), 0),
		Predict:   room(r.Predict, tokens/5),
		Labels:    room(r.Labels, tokens/5),
		Origins:   room(r.Origins, n),
		released:  m.released,
	}
	return &work{masker: m, batch: b, old: r}
}

// room returns memory for a list of n, in place of an old one when that is large
// enough.
func room[T any](old []T, n int) []T {
	if cap(old) >= n {
		return old[:0]
	}
	return make([]T, 0, n)
}

// oneSegment gives the batch segments of 0 for all tokens.
func (w *work) oneSegment() {
	b := w.batch
	n := len(b.Tokens)
	b.Segments = room(w.old.Segments, n)[:n]
	clear(b.Segments)
}

// released holds the memory of batches that are no longer used.
type released struct {
	mu      sync.Mutex
	batches []*Batch
}

// maxReleased bounds how many are held.
const maxReleased = 16

func (r *released) get() *Batch {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.batches); n > 0 {
		b := r.batches[n-1]
		r.batches = r.batches[:n-1]
		return b
	}
	return new(Batch)
}

// Release gives the memory of the batch back to the objective that built it, for a
// later batch. It is optional; the batch and all that its fields hold must not be
// used after it.
func (b *Batch) Release() {
	r := b.released
	if r == nil {
		return
	}
	b.released = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.batches) < maxReleased {
		r.batches = append(r.batches, b)
	}
}

// draws returns the keys of a sample.
func (w *work) draws(s *mixer.Sample) (pairs, mask counter.Key) {
	for len(w.keys) <= s.Task {
		w.keys = append(w.keys, keys{})
	}
	k := &w.keys[s.Task]
	if !k.known {
		*k = keys{
			known: true,
			pairs: counter.NewKey(w.options.Seed, "masking/pairs/"+s.Label()),
			mask:  counter.NewKey(w.options.Seed, "masking/mask/"+s.Label()),
		}
	}
	return s.Key(k.pairs), s.Key(k.mask)
}

// seal ends the sequence that was appended to the batch's tokens.
func (w *work) seal(s *mixer.Sample, spans []Span) {
	b := w.batch
	b.SeqBounds = append(b.SeqBounds, int32(len(b.Tokens)))
	b.Origins = append(b.Origins, Origin{Index: s.Index, Task: s.Task, Source: s.Source, Epoch: s.Epoch, Position: s.Position, Spans: s.Whole(spans)})
}

// candidates turns to the last, still open sequence and finds the places in it
// that may be predicted: all but the tokens that frame it.
func (w *work) candidates() {
	b := w.batch
	w.from = b.SeqBounds[len(b.SeqBounds)-1]
	tokens := b.Tokens[w.from:]
	places, n := room(w.places, len(tokens))[:len(tokens)], 0
	for i, id := range tokens {
		places[n] = int32(i)
		if id != w.cls && id != w.sep {
			n++
		}
	}
	w.places = places[:n]
	words := (len(tokens) + 63) / 64
	w.chosen = room(w.chosen, words)[:words]
	clear(w.chosen)
}

func (w *work) choose(place int32)        { w.chosen[place>>6] |= 1 << (place & 63) }
func (w *work) isChosen(place int32) bool { return w.chosen[place>>6]>>(place&63)&1 == 1 }

// chooseAny chooses count of the candidates without replacement.
func (w *work) chooseAny(count int, draw *counter.Stream) {
	p := w.places
	for i := range min(count, len(p)) {
		j := i + draw.IntN(len(p)-i)
		p[i], p[j] = p[j], p[i]
		w.choose(p[i])
	}
}

// chooseEach chooses each candidate with the chance of the share, and one at
// least.
func (w *work) chooseEach(draw *counter.Stream) {
	for _, place := range w.places {
		if draw.Chance() < w.options.Share {
			w.choose(place)
		}
	}
	w.atLeastOne(draw)
}

// findWords finds the words among the candidates. The special tokens between two
// texts part words.
func (w *work) findWords() {
	tokens := w.batch.Tokens[w.from:]
	w.starts, w.stops, w.order = w.starts[:0], w.stops[:0], w.order[:0]
	for _, at := range w.places {
		if n := len(w.stops); n > 0 && w.stops[n-1] == at && w.continues[tokens[at]] {
			w.stops[n-1]++
			continue
		}
		w.order = append(w.order, int32(len(w.starts)))
		w.starts = append(w.starts, at)
		w.stops = append(w.stops, at+1)
	}
}

// chooseGrams chooses runs of whole words, count tokens at most: words in random
// order each begin a run whose length in words gram draws. A run ends early at the
// end of its text or at a word that is chosen already, and is shortened, or passed
// over, when it would make too many tokens. One word is chosen at least.
func (w *work) chooseGrams(count int, draw *counter.Stream, gram func() int) {
	w.findWords()
	left := int32(count)
	for i := 0; i < len(w.order) && left > 0; i++ {
		j := i + draw.IntN(len(w.order)-i)
		w.order[i], w.order[j] = w.order[j], w.order[i]
		first := int(w.order[i])
		if w.isChosen(w.starts[first]) {
			continue
		}
		last := w.run(first, gram())
		for last >= first && w.stops[last]-w.starts[first] > left {
			last--
		}
		if last >= first {
			w.chooseRun(first, last)
			left -= w.stops[last] - w.starts[first]
		}
	}
	if left == int32(count) && len(w.order) > 0 {
		w.chooseRun(int(w.order[0]), int(w.order[0]))
	}
}

// run returns the last word of the run of up to n words that begins with first
// and holds no chosen one.
func (w *work) run(first, n int) int {
	last := first
	for last+1 < len(w.starts) && last+1 < first+n && w.starts[last+1] == w.stops[last] && !w.isChosen(w.starts[last+1]) {
		last++
	}
	return last
}

func (w *work) chooseRun(first, last int) {
	for at := w.starts[first]; at < w.stops[last]; at++ {
		w.choose(at)
	}
}

// eachChosen calls f with the chosen places of the sequence in order.
func (w *work) eachChosen(f func(place int32)) {
	for i, set := range w.chosen {
		for ; set != 0; set &= set - 1 {
			f(int32(i*64 + bits.TrailingZeros64(set)))
		}
	}
}

// hide records what the chosen tokens are and shows each as the mask token, as a
// token that random draws, or as it is.
func (w *work) hide(draw *counter.Stream, random func() int32) {
	b := w.batch
	w.eachChosen(func(place int32) {
		at := w.from + place
		b.Predict = append(b.Predict, at)
		b.Labels = append(b.Labels, b.Tokens[at])
		switch u := draw.Chance(); {
		case u < w.masked:
			b.Tokens[at] = w.mask
		case u >= w.showing:
			b.Tokens[at] = random()
		}
	})
}

// anyToken draws from the whole vocabulary, special tokens included.
func (m *masker) anyToken(draw *counter.Stream) func() int32 {
	return func() int32 { return int32(draw.IntN(int(m.vocab))) }
}

// ordinaryToken draws from the tokens that are not special.
func (m *masker) ordinaryToken(draw *counter.Stream) func() int32 {
	return func() int32 { return m.ordinary[draw.IntN(len(m.ordinary))] }
}

// bound applies MaxPredictions and sees to it that at least one is left.
func (w *work) bound(count int) int {
	if w.options.MaxPredictions > 0 {
		count = min(count, w.options.MaxPredictions)
	}
	return max(count, 1)
}

// exactly is BERT's count of predictions: the share, rounded half to even.
func (w *work) exactly(tokens int) int {
	return w.bound(int(math.RoundToEven(w.options.Share * float64(tokens))))
}

// single is the length of the runs of whole-word masking.
func single() int { return 1 }

// lengths draws run lengths 1, 2, ... with given chances.
type lengths []float64 // cumulative

func newLengths(n int, weight func(length int) float64) lengths {
	l := make(lengths, n)
	sum := 0.0
	for i := range l {
		sum += weight(i + 1)
		l[i] = sum
	}
	for i := range l {
		l[i] /= sum
	}
	return l
}

func (l lengths) draw(draw *counter.Stream) int {
	u := draw.Chance()
	for i, c := range l {
		if u < c {
			return i + 1
		}
	}
	return len(l)
}
