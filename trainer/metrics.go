package trainer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/tributary-ml/tributary/model"
	"github.com/tributary-ml/tributary/trainer/tensorboard"
)

const (
	// MetricsFile is the name of the metrics in a run's directory: one JSON object
	// (a Line) a line.
	MetricsFile = "metrics.jsonl"
	eventsFile  = "tensorboard/events.out.tfevents.0000000000.tributary"
)

// Figures are the means of some batches.
type Figures struct {
	// Loss is TokenLoss plus the weighted PairLoss, all in nats.
	Loss          float64 `json:"loss"`
	TokenLoss     float64 `json:"token_loss"`
	TokenAccuracy float64 `json:"token_accuracy"`
	PairLoss      float64 `json:"pair_loss,omitempty"`
	PairAccuracy  float64 `json:"pair_accuracy,omitempty"`
	// Targets and Pairs are how many predictions the means are of.
	Targets int `json:"targets"`
	Pairs   int `json:"pairs,omitempty"`
}

// Sums are the sums of the losses of some batches.
type Sums struct{ model.Loss }

// Add adds the sums of more batches.
func (s *Sums) Add(o Sums) { addLoss(&s.Loss, o.Loss) }

// Figures returns the means; PairLoss counts with the given weight.
func (s Sums) Figures(pairWeight float64) Figures { return figures(s.Loss, pairWeight) }

func figures(l model.Loss, pairWeight float64) Figures {
	f := Figures{Targets: l.Tokens, Pairs: l.Pairs}
	if l.Tokens > 0 {
		f.TokenLoss = l.TokenSum / float64(l.Tokens)
		f.TokenAccuracy = float64(l.TokenHits) / float64(l.Tokens)
	}
	if l.Pairs > 0 {
		f.PairLoss = l.PairSum / float64(l.Pairs)
		f.PairAccuracy = float64(l.PairHits) / float64(l.Pairs)
	}
	f.Loss = f.TokenLoss + pairWeight*f.PairLoss
	return f
}

func addLoss(a *model.Loss, b model.Loss) {
	a.TokenSum += b.TokenSum
	a.Tokens += b.Tokens
	a.TokenHits += b.TokenHits
	a.PairSum += b.PairSum
	a.Pairs += b.Pairs
	a.PairHits += b.PairHits
}

// Line is one line of the metrics. Everything but Timing is the same whether or
// not the run was stopped in between.
type Line struct {
	// Kind is "train" (the means of the last steps), "heldout" (an evaluation), both of
	// one task's source when Source is set and of all otherwise, "skip" (a step whose
	// loss or gradient was not finite, or a spike), "rollback" (the run went back to
	// the step To) or "baseline".
	Kind string `json:"kind"`
	// Step is how many steps were done.
	Step   int64  `json:"step"`
	Source string `json:"source,omitempty"`
	*Figures
	*Baseline
	*Progress
	// Reason tells why a step was skipped, Batch is the number of its batch and
	// Documents the documents in it.
	Reason    string   `json:"reason,omitempty"`
	Batch     *int64   `json:"batch,omitempty"`
	Documents []string `json:"documents,omitempty"`
	To        *int64   `json:"to,omitempty"`
	Timing    *Timing  `json:"timing,omitempty"`
}

// Progress is what a "train" line says beside its Figures.
type Progress struct {
	LR float64 `json:"lr"`
	// GradNorm is the mean and GradNormMax the largest global norm of the gradient
	// before clipping.
	GradNorm    float64 `json:"grad_norm"`
	GradNormMax float64 `json:"grad_norm_max"`
	// WeightNorm is the global norm of the weights after the last step.
	WeightNorm float64 `json:"weight_norm"`
	// The totals since the beginning.
	SequencesSeen int64            `json:"sequences_seen"`
	TokensSeen    int64            `json:"tokens_seen"`
	Skipped       int64            `json:"skipped"`
	SourceTokens  map[string]int64 `json:"source_tokens,omitempty"`
}

// Timing is what depends on the machine.
type Timing struct {
	// TokensPerSecond are the input tokens of the batches over the wall time.
	TokensPerSecond float64 `json:"tokens_per_second"`
	// WaitShare is the part of the time spent waiting for batches.
	WaitShare float64 `json:"wait_share"`
	// Seconds is the time this process has trained for.
	Seconds float64 `json:"seconds"`
	// MemoryBytes is what the Go runtime has taken from the system, ResidentBytes
	// what of the process is in memory, where the system tells.
	MemoryBytes   uint64 `json:"memory_bytes"`
	ResidentBytes uint64 `json:"resident_bytes,omitempty"`
	// MFU is the model's arithmetic (see model.Model.FLOP) over what the machine could
	// have done in the time.
	MFU float64 `json:"mfu,omitempty"`
}

// window gathers steps until the next line of the metrics.
type window struct {
	Steps int64      `json:"steps"`
	Loss  model.Loss `json:"loss"`
	// Sources are the token losses of each source.
	Sources map[string]model.Loss `json:"sources,omitempty"`
	NormSum float64               `json:"norm_sum"`
	NormMax float64               `json:"norm_max"`
}

// journal writes the metrics' two files.
type journal struct {
	lines   *os.File
	size    int64
	events  *tensorboard.Writer
	observe func(*Line)
}

// openJournal opens the metrics of the run in dir, cut to where the state left
// them.
func openJournal(dir string, s *State) (_ *journal, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("creating the run's directory: %w", err)
	}
	path := filepath.Join(dir, MetricsFile)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening the metrics: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	j := &journal{lines: f, size: s.MetricsBytes}
	if info.Size() < j.size {
		j.size = 0 // the file was lost; what is gone cannot be written again
	}
	if err := f.Truncate(j.size); err != nil {
		return nil, fmt.Errorf("cutting %s to the checkpoint: %w", path, err)
	}
	if _, err := f.Seek(j.size, io.SeekStart); err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	if j.events, err = tensorboard.Open(filepath.Join(dir, filepath.FromSlash(eventsFile)), s.EventsBytes); err != nil {
		return nil, err
	}
	return j, nil
}

// write adds a line to both files.
func (j *journal) write(l *Line, now time.Time) error {
	data, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("encoding the metrics of step %d: %w", l.Step, err)
	}
	n, err := j.lines.Write(append(data, '\n'))
	j.size += int64(n)
	if err != nil {
		return fmt.Errorf("writing the metrics of step %d: %w", l.Step, err)
	}
	if j.observe != nil {
		j.observe(l)
	}
	return j.events.Write(tensorboard.Event{Step: l.Step, Wall: now, Scalars: l.scalars()})
}

// scalars returns the line's numbers under the names TensorBoard shows.
func (l *Line) scalars() []tensorboard.Scalar {
	prefix := l.Kind + "/"
	if l.Source != "" {
		prefix += l.Source + "/"
	}
	var out []tensorboard.Scalar
	add := func(name string, v float64) {
		out = append(out, tensorboard.Scalar{Tag: prefix + name, Value: float32(v)})
	}
	if f := l.Figures; f != nil {
		add("loss", f.Loss)
		add("token_loss", f.TokenLoss)
		add("token_accuracy", f.TokenAccuracy)
		if f.Pairs > 0 {
			add("pair_loss", f.PairLoss)
			add("pair_accuracy", f.PairAccuracy)
		}
	}
	if b := l.Baseline; b != nil {
		add("unigram_entropy", b.UnigramEntropy)
		add("unigram_loss", b.UnigramLoss)
		add("unigram_accuracy", b.UnigramAccuracy)
	}
	if p := l.Progress; p != nil {
		add("lr", p.LR)
		add("grad_norm", p.GradNorm)
		add("grad_norm_max", p.GradNormMax)
		add("weight_norm", p.WeightNorm)
		add("tokens_seen", float64(p.TokensSeen))
		add("skipped", float64(p.Skipped))
	}
	if t := l.Timing; t != nil {
		add("tokens_per_second", t.TokensPerSecond)
		add("wait_share", t.WaitShare)
		add("memory_bytes", float64(t.MemoryBytes))
		if t.ResidentBytes > 0 {
			add("resident_bytes", float64(t.ResidentBytes))
		}
		if t.MFU > 0 {
			add("mfu", t.MFU)
		}
	}
	return out
}

func (j *journal) close() error {
	err := j.lines.Close()
	if err2 := j.events.Close(); err == nil {
		err = err2
	}
	if err != nil {
		return fmt.Errorf("closing the metrics: %w", err)
	}
	return nil
}

// ReadMetrics reads the metrics of the run in dir. A last line cut by a killed
// process is left out.
func ReadMetrics(dir string) ([]Line, error) {
	path := filepath.Join(dir, MetricsFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the metrics: %w", err)
	}
	defer f.Close()
	var out []Line
	dec := json.NewDecoder(f)
	for {
		var l Line
		switch err := dec.Decode(&l); {
		case err == nil:
			out = append(out, l)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return out, nil
		default:
			return nil, fmt.Errorf("reading %s, line %d: %w", path, len(out)+1, err)
		}
	}
}
