package trainer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
)

// Heldout is an evaluation on held-out documents.
type Heldout struct {
	// Step is how many steps the model had been trained for.
	Step int64 `json:"step"`
	// All are the figures of all held-out batches, and Sources those of each source,
	// by name.
	All     Figures         `json:"all"`
	Sources []SourceFigures `json:"sources"`
}

// SourceFigures are the figures of one source.
type SourceFigures struct {
	Source string `json:"source"`
	Figures
}

// Baseline is what a model that knows only how often each token occurs would
// reach on the held-out batches. Losses are in nats.
type Baseline struct {
	// UnigramEntropy is the entropy of the training tokens' distribution, estimated
	// with add-one smoothing from TrainTokens tokens.
	UnigramEntropy float64 `json:"unigram_entropy"`
	// UnigramLoss is the mean cross-entropy of the held-out labels under it.
	UnigramLoss float64 `json:"unigram_loss"`
	// LabelEntropy is the entropy of the held-out labels' own distribution: no
	// unigram model whatever has a lower loss on them.
	LabelEntropy float64 `json:"label_entropy"`
	// UnigramAccuracy is the share of the held-out labels that are the commonest
	// training token.
	UnigramAccuracy float64 `json:"unigram_accuracy"`
	TrainTokens     int64   `json:"train_tokens"`
	HeldoutLabels   int64   `json:"heldout_labels"`
}

// heldoutSet holds the held-out batches, sorted by source.
type heldoutSet struct {
	sources []string
	batches map[string][]*masking.Batch
	labels  []int32
}

// readHeldout reads the held-out batches of steps 0 to n-1, whose sequences it
// sorts by source and cuts to micro sequences a batch.
func readHeldout(ctx context.Context, from Batches, n int64, micro int) (*heldoutSet, error) {
	h := &heldoutSet{batches: map[string][]*masking.Batch{}}
	for step := range n {
		b, err := from.Batch(ctx, step)
		if err != nil {
			return nil, fmt.Errorf("reading held-out batch %d: %w", step, err)
		}
		h.labels = append(h.labels, b.Labels...)
		var names []string
		for i := range b.Sequences() {
			if s := source(b, i); !slices.Contains(names, s) {
				names = append(names, s)
			}
		}
		for _, name := range names {
			part := gather(b, func(seq int) bool { return source(b, seq) == name })
			h.batches[name] = append(h.batches[name], split(part, micro)...)
			if !slices.Contains(h.sources, name) {
				h.sources = append(h.sources, name)
			}
		}
	}
	slices.Sort(h.sources)
	return h, nil
}

// evaluate measures the model, which has been trained for step steps.
func (h *heldoutSet) evaluate(m Model, step int64, pairWeight float64) (*Heldout, error) {
	out := &Heldout{Step: step}
	var all model.Loss
	for _, name := range h.sources {
		var sum model.Loss
		for _, b := range h.batches[name] {
			if len(b.Predict) == 0 && len(b.PairLabels) == 0 {
				continue
			}
			l, err := m.Evaluate(b)
			if err != nil {
				return nil, fmt.Errorf("evaluating source %q after step %d: %w", name, step, err)
			}
			addLoss(&sum, l)
		}
		addLoss(&all, sum)
		out.Sources = append(out.Sources, SourceFigures{name, figures(sum, pairWeight)})
	}
	out.All = figures(all, pairWeight)
	return out, nil
}

// baselineBatches is how many training batches the unigram distribution is
// estimated from, at most.
const baselineBatches = 256

// baseline measures what the training tokens' frequencies alone tell about the
// held-out labels. The frequencies are those of the first batches' tokens before
// masking, without the specials.
func baseline(ctx context.Context, train Batches, steps int64, held *heldoutSet, vocab int, specials []int32) (*Baseline, error) {
	counts := make([]int64, vocab)
	count := func(t int32) {
		if t >= 0 && int(t) < vocab {
			counts[t]++
		}
	}
	for step := range min(steps, baselineBatches) {
		b, err := train.Batch(ctx, step)
		if err != nil {
			return nil, fmt.Errorf("counting the tokens of batch %d: %w", step, err)
		}
		next := 0
		for i, t := range b.Tokens {
			if next < len(b.Predict) && int(b.Predict[next]) == i {
				t = b.Labels[next]
				next++
			}
			count(t)
		}
	}
	classes := vocab
	for _, t := range specials {
		if t >= 0 && int(t) < vocab {
			counts[t] = -1
			classes--
		}
	}
	return unigram(counts, classes, held.labels), nil
}

// unigram computes the baseline from the counts of the training tokens, of which
// those below 0 are never predicted.
func unigram(counts []int64, classes int, labels []int32) *Baseline {
	b := &Baseline{HeldoutLabels: int64(len(labels))}
	commonest := -1
	for t, n := range counts {
		if n >= 0 {
			b.TrainTokens += n
			if commonest < 0 || n > counts[commonest] {
				commonest = t
			}
		}
	}
	total := float64(b.TrainTokens + int64(classes))
	nll := func(n int64) float64 { return math.Log(total / float64(max(0, n)+1)) }
	for _, n := range counts {
		if n >= 0 {
			b.UnigramEntropy += float64(n+1) / total * nll(n)
		}
	}
	if len(labels) == 0 {
		return b
	}
	held := make([]int64, len(counts))
	for _, t := range labels {
		var n int64
		if t >= 0 && int(t) < len(counts) {
			held[t]++
			n = counts[t]
		}
		b.UnigramLoss += nll(n)
		if int(t) == commonest {
			b.UnigramAccuracy++
		}
	}
	labelled := float64(len(labels))
	b.UnigramLoss /= labelled
	b.UnigramAccuracy /= labelled
	for _, n := range held {
		if n > 0 {
			p := float64(n) / labelled
			b.LabelEntropy -= p * math.Log(p)
		}
	}
	return b
}
