package trainer

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tributary-ml/tributary/masking"
	"github.com/tributary-ml/tributary/model"
)

func notFinite(l model.Loss, norm float64) string {
	for _, x := range []struct {
		what  string
		value float64
	}{{"the token loss", l.TokenSum}, {"the pair loss", l.PairSum}, {"the gradient's norm", norm}} {
		if math.IsNaN(x.value) || math.IsInf(x.value, 0) {
			return fmt.Sprintf("%s is %v", x.what, x.value)
		}
	}
	return ""
}

// The running mean of the gradient's norm weighs the last normMemory updates or
// so, and no spike is seen before there were as many.
const normMemory = 100

// spike returns why a step's gradient is taken for a spike, "" when it is not,
// and otherwise counts it into the running mean.
func (r *run) spike(norm float64) string {
	s, limit := r.state, r.cfg.Optimizer.Spike
	if limit > 0 && s.Updates >= normMemory && norm > limit*s.NormMean {
		return fmt.Sprintf("the gradient's norm %.3g is %.3g times its running mean", norm, norm/s.NormMean)
	}
	s.NormMean += (norm - s.NormMean) / float64(min(s.Updates+1, normMemory))
	return ""
}

// maxNamed is how many documents of a skipped batch are named.
const maxNamed = 64

// skip leaves the weights as they are and tells which batch it was, of which
// documents. After too many in a row the run goes back.
func (r *run) skip(b *masking.Batch, reason string) error {
	s := r.state
	s.Skipped++
	s.SkippedInRow++
	var docs []string
	for _, o := range b.Origins {
		for _, span := range o.Spans {
			if doc := o.Source + "/" + span.Doc; len(docs) < maxNamed && !slices.Contains(docs, doc) {
				docs = append(docs, doc)
			}
		}
	}
	batch := s.Step + s.Shift
	r.log.Warn("skipping a step", "step", s.Step, "batch", batch, "reason", reason, "documents", docs[:min(4, len(docs))])
	err := r.journal.write(&Line{Kind: "skip", Step: s.Step, Batch: &batch, Reason: reason, Documents: docs}, time.Now())
	if err != nil {
		return err
	}
	if s.SkippedInRow >= r.cfg.MaxSkips {
		return r.rollback(reason)
	}
	s.Step++
	return nil
}

// rollback goes back to the last checkpoint from before the steps that were skipped,
// and on with the batches after them.
func (r *run) rollback(reason string) error {
	s, c := r.state, r.cfg
	gaveUp := &NotFiniteError{s.Step, s.SkippedInRow, reason}
	if s.Rollbacks >= c.MaxRollbacks {
		return gaveUp
	}
	if err := r.saver.wait(); err != nil {
		return err
	}
	bad := s.Step - int64(s.SkippedInRow) + 1
	path, err := goodCheckpoint(c.Dir, bad, c.Checkpoint.Every)
	if err != nil {
		return err
	}
	if path == "" {
		return gaveUp
	}
	old, err := loadCheckpoint(path, r.params, r.opt)
	if err != nil {
		return fmt.Errorf("going back from step %d: %w", s.Step, err)
	}
	from := s.Step
	// What was seen stays seen; only the weights forget it.
	old.Shift = s.Shift + s.Step + 1 - old.Step
	old.Rollbacks, old.Skipped = s.Rollbacks+1, s.Skipped
	old.Sequences, old.Tokens, old.Targets, old.SourceTokens = s.Sequences, s.Tokens, s.Targets, s.SourceTokens
	old.Lineage, old.Recipe, old.Fraction = s.Lineage, s.Recipe, s.Fraction
	*s = *old
	r.checkpointed = -1
	r.log.Warn("going back to a checkpoint and past the batches that were skipped", "step", from, "checkpoint", path, "next_batch", s.Step+s.Shift, "reason", reason)
	return r.journal.write(&Line{Kind: "rollback", Step: from, To: &old.Step, Reason: reason}, time.Now())
}
