package cli

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/ingest/progress"
)

func tree(env *Env) *cobra.Command {
	root := &cobra.Command{Use: "prog"}
	group := &cobra.Command{Use: "tokenizer"}
	var n int
	leaf := &cobra.Command{Use: "train FILE", Args: Args(1, 1, "the file"), RunE: func(cmd *cobra.Command, args []string) error {
		switch args[0] {
		case "fail":
			return errors.New("it broke")
		case "wait":
			<-cmd.Context().Done()
			return cmd.Context().Err()
		}
		return env.Result(map[string]int{"jobs": env.Jobs}, nil)
	}}
	leaf.Flags().IntVar(&n, "vocab-size", 0, "")
	group.AddCommand(leaf)
	root.AddCommand(group, &cobra.Command{Use: "ingest", RunE: func(*cobra.Command, []string) error { return nil }})
	return root
}

func run(ctx context.Context, args ...string) (code int, out, err string) {
	var o, e bytes.Buffer
	code = Run(ctx, &Env{Out: &o, Err: &e, Width: 80}, tree, args)
	return code, o.String(), e.String()
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, ExitUsage, "name one of its commands"},
		{[]string{"tokenizer"}, ExitUsage, "train"},
		{[]string{"injest"}, ExitUsage, `did you mean "ingest"?`},
		{[]string{"tokenizer", "trian"}, ExitUsage, `did you mean "train"?`},
		{[]string{"zzzzzzz"}, ExitUsage, "the commands are"},
		{[]string{"tokenizer", "train"}, ExitUsage, "missing the file"},
		{[]string{"tokenizer", "train", "a", "b"}, ExitUsage, `unexpected argument "b"`},
		{[]string{"tokenizer", "train", "a", "--vocabsize", "3"}, ExitUsage, "did you mean --vocab-size?"},
		{[]string{"tokenizer", "train", "a", "--vocab-size", "many"}, ExitUsage, "many"},
		{[]string{"tokenizer", "train", "a", "--jobs", "-3"}, ExitUsage, "--jobs"},
		{[]string{"tokenizer", "train", "a", "--data", ""}, ExitUsage, "--data"},
		{[]string{"tokenizer", "train", "fail"}, ExitFailed, "it broke"},
		{[]string{"tokenizer", "train", "a"}, ExitDone, ""},
		{[]string{"--help"}, ExitDone, ""},
	} {
		code, _, stderr := run(context.Background(), c.args...)
		if code != c.code || !strings.Contains(stderr, c.says) {
			t.Errorf("%q: exit %d, %q; want %d and %q", c.args, code, stderr, c.code, c.says)
		}
	}
}

func TestInterruptionSaysHowToGoOn(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(10*time.Millisecond, cancel)
	code, _, stderr := run(ctx, "tokenizer", "train", "wait")
	if code != ExitInterrupted || !strings.Contains(stderr, "run the same command again to go on") {
		t.Errorf("exit %d, %q", code, stderr)
	}
}

func TestJSONIsOneObject(t *testing.T) {
	code, out, _ := run(context.Background(), "tokenizer", "train", "a", "--json", "--jobs", "3")
	if code != ExitDone || out != "{\"jobs\":3}\n" {
		t.Errorf("exit %d, %q", code, out)
	}
}

func TestProgressLine(t *testing.T) {
	began := time.Unix(0, 0)
	for _, c := range []struct {
		s    progress.Snapshot
		want string
	}{
		{progress.Snapshot{What: "ingesting", Unit: "bytes", Done: 1 << 20, Total: 4 << 20, Began: began}, "ingesting: 1.0 MiB of 4.0 MiB (25 %), 102.4 KiB/s, 30 s left"},
		{progress.Snapshot{What: "training", Unit: "steps", Done: 15, Total: 20, Base: 10, Note: "loss 3.1", Began: began}, "training: 15 of 20 steps (75 %), 0.5/s, 10 s left, loss 3.1"},
		{progress.Snapshot{What: "reading", Unit: "documents", Done: 123456, Began: began}, "reading: 123.5 k documents, 12.3 k/s"},
	} {
		if got := Format(c.s, began.Add(10*time.Second)); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestLineIsCutToTheTerminal(t *testing.T) {
	var e bytes.Buffer
	env := &Env{Err: &e, Terminal: true, Width: 10}
	env.line = &line{env: env}
	env.line.draw("äöü 0123456789")
	if got := e.String(); got != "\r\x1b[Käöü 01234" {
		t.Errorf("drew %q", got)
	}
	e.Reset()
	env.Log().Warn("careful")
	if got := e.String(); got != "\r\x1b[Klevel=WARN msg=careful\n" {
		t.Errorf("a warning above the line is %q", got)
	}
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table := Table{Head: []string{"name", "n"}}
	table.Write(&b)
	table.Row("a", 1234567)
	table.Row("long", -12)
	table.Write(&b)
	if want := "name          n\na     1,234,567\nlong        -12\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

func TestForms(t *testing.T) {
	for n, want := range map[int64]string{5: "5 B", 1536: "1.5 KiB", 3 << 30: "3.0 GiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{5 * time.Second: "5 s", 65 * time.Second: "1 min 05 s", 2*time.Hour + 3*time.Minute: "2 h 03 min"} {
		if got := Duration(d); got != want {
			t.Errorf("Duration(%v) = %q, want %q", d, got, want)
		}
	}
}
