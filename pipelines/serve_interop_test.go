//go:build interop

package pipelines

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/masking"
)

// python runs a program of interop/streaming with the pinned Python.
func python(t *testing.T, env []string, args ...string) string {
	t.Helper()
	at, err := exec.Command("../interop/streaming/python.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(strings.TrimSpace(string(at)), args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", args, err, out)
	}
	return string(out)
}

// TestServedColumns has pyarrow read the batches of every objective, over Flight and
// from a Unix socket, through the client of examples/pytorch, and compares all of their
// columns with what this side builds.
func TestServedColumns(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	data := servedRoot(t)
	const steps = 3
	type served struct {
		Objective, Socket, Flight string
		First                     int64
		Rank, Ranks               int
		Batches                   []*masking.Batch
	}
	var list []served
	var ends []chan error
	dir := t.TempDir()
	grid := []string{
		"out-of-domain:none:bidirectional:tfidf", "task:mask:ltr:denoise", "in-domain:noise:rtl:tf", "task:replace:random:cap",
		"task:mask:bidirectional:quick-thoughts", "task:noise:bidirectional:future-sentence", "task:bert:bidirectional:adjacent",
		"task:mask:random:tfidf", "neural-lm:none:bidirectional:order", "task:mask:bidirectional:next",
	}
	for i, objective := range slices.Concat(masking.Objectives(), masking.LabelledObjectives(), grid) {
		b, err := OpenBatches(ctx, servedConfig(t, data, objective))
		if err != nil {
			t.Fatal(err)
		}
		s := served{Objective: objective, Socket: filepath.Join(dir, fmt.Sprint(i)), First: int64(1000 * i), Rank: i % 3, Ranks: 3}
		for step := range int64(steps) {
			batch, err := b.Batch(ctx, s.First+step, s.Rank, s.Ranks)
			if err != nil {
				t.Fatal(err)
			}
			s.Batches = append(s.Batches, batch)
		}
		unix, err := ListenSocket(ctx, s.Socket)
		if err != nil {
			t.Fatal(err)
		}
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s.Flight = "grpc://" + tcp.Addr().String()
		done := make(chan error, 2)
		go func() { done <- b.ServeStream(ctx, unix, slog.New(slog.DiscardHandler)) }()
		go func() { done <- b.ServeFlight(ctx, tcp, "sesame") }()
		t.Cleanup(func() { b.Close() })
		list, ends = append(list, s), append(ends, done, done)
	}
	raw, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "served.json")
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Log(python(t, nil, "../interop/streaming/served.py", path, "sesame"))
	stop()
	for i, done := range ends {
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: serving ended with %v", list[i/2].Objective, err)
		}
	}
}

// TestServedTraining has PyTorch train on served batches, stopped and resumed.
func TestServedTraining(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	data := servedRoot(t)
	for _, objective := range []string{"bert", "gpt", "classify"} {
		b, err := OpenBatches(ctx, servedConfig(t, data, objective))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		dir := t.TempDir()
		socket := filepath.Join(dir, "s")
		l, err := ListenSocket(ctx, socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _ = b.ServeStream(ctx, l, slog.Default()) }()
		train := func(checkpoint string, steps int) []float64 {
			var losses []float64
			for line := range strings.Lines(python(t, nil, "../examples/pytorch/train.py", socket, fmt.Sprint(steps), filepath.Join(dir, checkpoint))) {
				var step int
				var loss float64
				if _, err := fmt.Sscan(line, &step, &loss); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				losses = append(losses, loss)
			}
			return losses
		}
		whole := train("whole", 60)
		if objective == "bert" {
			if parts := slices.Concat(train("parts", 25), train("parts", 60)); !slices.Equal(whole, parts) {
				t.Errorf("stopped at step 25 and resumed, training has other losses: %v and %v", whole, parts)
			}
		}
		mean := func(list []float64) float64 {
			sum := 0.0
			for _, v := range list {
				sum += v
			}
			return sum / float64(len(list))
		}
		if first, last := mean(whole[:10]), mean(whole[50:]); last > 0.9*first {
			t.Errorf("%s: the loss goes from %.3f to %.3f", objective, first, last)
		} else {
			t.Logf("%s: the loss goes from %.3f to %.3f", objective, first, last)
		}
	}
}
