// Package cli holds what the two commands share: flags every command has, exit
// statuses, interruption, the progress line and the two forms of results.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/tributary-ml/tributary/ingest/names"
)

// The exit statuses of the commands.
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2
	ExitInterrupted = 130
)

// UsageError is a wrong use of a command: it exits with ExitUsage.
type UsageError struct {
	// Command is the path of the command, such as "corpus tokenizer".
	Command string
	Problem string
}

func (e *UsageError) Error() string { return e.Problem }

// Env is what a command runs in: its streams and the flags every command has.
type Env struct {
	Out, Err io.Writer
	// Data is the data root.
	Data string
	// JSON asks for one JSON object on Out in place of text.
	JSON bool
	// Jobs is how many cores to use.
	Jobs int
	// Quiet leaves out progress and notices.
	Quiet bool
	// Terminal says that Err is a terminal of Width columns.
	Terminal bool
	Width    int

	line *line
}

// NewEnv returns the environment of this process.
func NewEnv() *Env {
	e := &Env{Out: os.Stdout, Err: os.Stderr, Width: 80}
	if fd := int(os.Stderr.Fd()); term.IsTerminal(fd) {
		e.Terminal = true
		if width, _, err := term.GetSize(fd); err == nil && width > 20 {
			e.Width = width
		}
	}
	return e
}

// Log returns a logger for warnings, which appear above the progress line.
func (e *Env) Log() *slog.Logger {
	level := slog.LevelInfo
	if e.Quiet {
		level = slog.LevelError
	}
	return slog.New(slog.NewTextHandler(e.line, &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

// Notice tells the user something that is not the result.
func (e *Env) Notice(format string, args ...any) {
	if !e.Quiet {
		fmt.Fprintf(e.line, format+"\n", args...)
	}
}

// Result prints the final figures: v as one JSON object when --json was given,
// else what text writes.
func (e *Env) Result(v any, text func(w io.Writer)) error {
	e.line.clear()
	if e.JSON {
		enc := json.NewEncoder(e.Out)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return fmt.Errorf("writing the result: %w", err)
		}
		return nil
	}
	if text == nil {
		return nil
	}
	w := &stickyWriter{w: e.Out}
	text(w)
	if w.err != nil {
		return fmt.Errorf("writing the result: %w", w.err)
	}
	return nil
}

// stickyWriter remembers the first error, so that printing can check once.
type stickyWriter struct {
	w   io.Writer
	err error
}

func (s *stickyWriter) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// Main runs the command that build makes on the process's arguments and returns
// the exit status.
func Main(build func(*Env) *cobra.Command) int {
	env := NewEnv()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// After the first signal the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	return Run(ctx, env, build, os.Args[1:])
}

// Run runs the command that build makes on args and returns the exit status.
func Run(ctx context.Context, env *Env, build func(*Env) *cobra.Command, args []string) int {
	env.line = &line{env: env}
	root := build(env)
	prepare(env, root)
	root.SetArgs(args)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	cmd, err := root.ExecuteContextC(ctx)
	env.line.clear()
	path := root.Name()
	if cmd != nil {
		path = cmd.CommandPath()
	}
	var usage *UsageError
	switch {
	case err == nil:
		return ExitDone
	case errors.As(err, &usage):
		fmt.Fprintf(env.Err, "%s: %v\nrun '%s --help' for what it takes\n", path, err, path)
		return ExitUsage
	case ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))):
		fmt.Fprintf(env.Err, "%s: interrupted; run the same command again to go on\n", path)
		return ExitInterrupted
	default:
		fmt.Fprintf(env.Err, "%s: %v\n", path, err)
		return ExitFailed
	}
}

// prepare gives the whole tree below root the flags every command has and the
// same way of refusing wrong usage.
func prepare(env *Env, root *cobra.Command) {
	root.SilenceErrors = true
	root.SilenceUsage = true
	root.CompletionOptions.HiddenDefaultCmd = true
	flags := root.PersistentFlags()
	flags.StringVar(&env.Data, "data", "./data", "data root: where documents, marks, tokenizers and shards lie")
	flags.BoolVar(&env.JSON, "json", false, "print one JSON object with the final figures on standard output")
	flags.IntVar(&env.Jobs, "jobs", 0, "cores to use (default: all); results do not depend on it")
	flags.BoolVarP(&env.Quiet, "quiet", "q", false, "no progress and no notices, only errors and the result")
	check := root.PersistentPreRunE
	root.PersistentPreRunE = func(cmd *cobra.Command, args []string) error {
		if env.Jobs < 0 {
			return Usage(cmd, "--jobs %d: want a positive number, or 0 for all cores", env.Jobs)
		}
		if env.Jobs == 0 {
			env.Jobs = runtime.GOMAXPROCS(0)
		}
		if env.Data == "" {
			return Usage(cmd, "--data is empty: want a directory")
		}
		if check != nil {
			return check(cmd, args)
		}
		return nil
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		cmd.SetFlagErrorFunc(flagError)
		if cmd.HasSubCommands() && cmd.Run == nil && cmd.RunE == nil {
			cmd.Args = cobra.ArbitraryArgs
			cmd.RunE = Group
		}
		if args := cmd.Args; args != nil {
			cmd.Args = func(cmd *cobra.Command, given []string) error {
				err := args(cmd, given)
				var usage *UsageError
				if err != nil && !errors.As(err, &usage) {
					return Usage(cmd, "%v", err)
				}
				return err
			}
		}
		for _, c := range cmd.Commands() {
			walk(c)
		}
	}
	walk(root)
}

// Usage makes a usage error of cmd.
func Usage(cmd *cobra.Command, format string, args ...any) error {
	return &UsageError{Command: cmd.CommandPath(), Problem: fmt.Sprintf(format, args...)}
}

// Group is the run function of a command that only holds others: it names the
// nearest one.
func Group(cmd *cobra.Command, args []string) error {
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			known = append(known, c.Name())
		}
	}
	if len(args) == 0 {
		return Usage(cmd, "name one of its commands: %s", strings.Join(known, ", "))
	}
	if near := names.Nearest(args[0], known); near != "" {
		return Usage(cmd, "unknown command %q; did you mean %q?", args[0], near)
	}
	return Usage(cmd, "unknown command %q; the commands are %s", args[0], strings.Join(known, ", "))
}

// flagError turns a flag that cannot be parsed into a usage error that names the
// nearest flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden {
				known = append(known, f.Name)
			}
		})
		if near := names.Nearest(unknown.GetSpecifiedName(), known); near != "" {
			return Usage(cmd, "%v; did you mean --%s?", err, near)
		}
	}
	return Usage(cmd, "%v", err)
}

// Args accepts from least to most arguments (most < 0: any number); what names
// them in the message.
func Args(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return Usage(cmd, "missing %s", what)
		case most == 0 && len(args) > 0:
			return Usage(cmd, "unexpected argument %q: %s takes none", args[0], cmd.CommandPath())
		case most >= 0 && len(args) > most:
			return Usage(cmd, "unexpected argument %q after %s", args[most], what)
		}
		return nil
	}
}
