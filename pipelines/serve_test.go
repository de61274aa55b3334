package pipelines

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tributary-ml/tributary/ingest"
	"github.com/tributary-ml/tributary/ingest/columnar"
	"github.com/tributary-ml/tributary/mixer"
)

// servedRoot makes a data root with texts and labelled sets, one for each task, and a
// tokenizer that all objectives can use.
func servedRoot(t *testing.T) string {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	data := filepath.Join(dir, "data")
	cfg, err := Parse("x.yaml", fmt.Appendf(nil, `
data: %s
sample: {dir: %s/raw, scale: 0.05}
sources:
  wiki: {ingest: {kind: wiki, from: [%s/raw/wiki.xml.bz2]}}
  books: {ingest: {kind: books, from: [%s/raw/books]}}
tokenizer: {vocab_size: 300}
`, data, dir, dir, dir), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(ctx, "x.yaml", cfg, Options{Jobs: 2, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	var table, tags strings.Builder
	table.WriteString("text\tsecond\tlabel\n")
	for i := range 60 {
		fmt.Fprintf(&table, "The %s sails at dawn.\tIt is said that %s.\t%d.5\n", []string{"ship", "net", "crew"}[i%3], strings.Repeat("so ", 1+i%7), i%3)
		fmt.Fprintf(&tags, "The O\nship B-%d\nsails O\n\n", i%2)
	}
	for _, task := range ingest.LabelTasks() {
		name, text := "table.tsv", table.String()
		if task == "tag" {
			name, text = "tags.conll", tags.String()
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ingest.MakeLabelled(ctx, ingest.LabelConfig{Data: data, Source: "labelled-" + task, Task: task, Inputs: []string{path}}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := TrainTokenizer(ctx, TokenizerConfig{Data: data, Name: "wp", VocabSize: 700, Cased: true, Sentinels: 100}); err != nil {
		t.Fatal(err)
	}
	if _, err := Shard(ctx, ShardConfig{Data: data, Tokenizer: "wp"}); err != nil {
		t.Fatal(err)
	}
	return data
}

// servedConfig is a small stream of an objective over servedRoot.
func servedConfig(t *testing.T, data, objective string) BatchConfig {
	t.Helper()
	text := "books:0.3,wiki:0.7"
	if slices.Contains(ingest.LabelTasks(), objective) {
		text = "labelled-" + objective
	}
	mix, err := mixer.ParseMix(text)
	if err != nil {
		t.Fatal(err)
	}
	return BatchConfig{Data: data, Tokenizer: "wp", Mix: mix, Objective: objective, Seed: 1, SeqLen: 48, BatchSize: 7}
}

// ask sends a request to a Unix socket and returns the steps' tokens and what is told
// behind the stream.
func ask(t *testing.T, path, request string) (steps []columnar.Lists, fault string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	err = columnar.Read(in, []string{"tokens"}, func(columns []any) error {
		steps = append(steps, columns[0].(columnar.Lists))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	rest, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	return steps, string(rest)
}

func TestServedSteps(t *testing.T) {
	data := servedRoot(t)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for _, objective := range []string{"t5", "ul2"} { // the tokenizer has sentinels
		b, err := OpenBatches(ctx, servedConfig(t, data, objective))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cfg := servedConfig(t, data, "bert")
	cfg.Mix[0].Passes, cfg.Mix[1].Passes, cfg.AtEnd = 1, 1, mixer.Stop // so that there is a last step
	b, err := OpenBatches(ctx, cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	steps, ok := b.Mixer().Steps()
	if !ok || steps < 4 {
		t.Fatalf("%d steps", steps)
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := ListenSocket(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(ctx, path); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server on the socket: %v", err)
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // as after a crash
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = ListenSocket(ctx, path); err != nil {
		t.Fatalf("a socket that nobody listens on: %v", err)
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ListenSocket(ctx, plain); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Errorf("a file in the socket's place: %v", err)
	}
	var log bytes.Buffer
	done := make(chan error, 1)
	go func() { done <- b.ServeStream(ctx, l, slog.New(slog.NewTextHandler(&log, nil))) }()

	check := func(got []columnar.Lists, from int64, rank, ranks int) {
		t.Helper()
		for i, tokens := range got {
			want, err := b.Batch(ctx, from+int64(i), rank, ranks)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(tokens.Values, want.Tokens) || !slices.Equal(tokens.Bounds, want.SeqBounds) {
				t.Fatalf("step %d differs from what is built here", from+int64(i))
			}
		}
	}
	got, fault := ask(t, path, "1 4 0 1\n")
	if check(got, 1, 0, 1); len(got) != 3 || fault != "" {
		t.Errorf("%d steps, %q", len(got), fault)
	}
	got, fault = ask(t, path, "2 4 2 3\n")
	if check(got, 2, 2, 3); len(got) != 2 || fault != "" {
		t.Errorf("%d steps of a rank, %q", len(got), fault)
	}
	if got, fault = ask(t, path, "3 3 0 1\n"); len(got) != 0 || fault != "" {
		t.Errorf("no steps: %d, %q", len(got), fault)
	}
	got, fault = ask(t, path, fmt.Sprintf("%d %d 0 1\n", steps-2, steps+5))
	if check(got, steps-2, 0, 1); len(got) != 2 || !strings.Contains(fault, fmt.Sprint("step ", steps)) {
		t.Errorf("the last steps: %d, %q", len(got), fault)
	}
	for _, request := range []string{"\n", "1 2\n", "1 2 3 4 5\n", "2 1 0 1\n", "-1 1 0 1\n", "0 1 1 1\n", "0 1 -1 1\n", "0 9223372036854775807 0 1\n", "a b c d\n"} {
		if got, fault = ask(t, path, request); len(got) != 0 || !strings.Contains(fault, "is no request") {
			t.Errorf("%q: %d steps, %q", request, len(got), fault)
		}
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("serving ended with %v", err)
	}
	if !strings.Contains(log.String(), "a request for batches failed") {
		t.Errorf("the log says %q", log.String())
	}
}

func TestServingBeyondThisMachineNeedsAToken(t *testing.T) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := new(Batches).ServeFlight(context.Background(), l, ""); err == nil || !strings.Contains(err.Error(), "token") {
		t.Errorf("serving on %s without a token: %v", l.Addr(), err)
	}
}
