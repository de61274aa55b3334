package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/tokenize"
)

// maxEncodeInput bounds the file that 'tokenizer encode' and 'decode' take into
// memory.
const maxEncodeInput = 256 << 20

// openInput opens a file, or standard input for "-".
func openInput(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
}

// readInput reads a file, or standard input for "-".
func readInput(cmd *cobra.Command, path string) ([]byte, error) {
	r, err := openInput(cmd, path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxEncodeInput+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if len(text) > maxEncodeInput {
		return nil, fmt.Errorf("reading %s: longer than %s", path, cli.Bytes(maxEncodeInput))
	}
	return text, nil
}

// encodeLines writes one line of ids a line of what r gives, which path names. Memory
// is that of the longest line.
func encodeLines(r io.Reader, path string, w io.Writer, e *tokenize.Encoder) error {
	in, out := bufio.NewReaderSize(r, 1<<16), bufio.NewWriterSize(w, 1<<16)
	var line, row []byte
	var ids []int32
	for number := 1; ; {
		part, err := in.ReadSlice('\n')
		if line = append(line, part...); len(line) > maxEncodeInput {
			return fmt.Errorf("reading %s: line %d is longer than %s", path, number, cli.Bytes(maxEncodeInput))
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading %s: %w", path, err)
		}
		if len(line) > 0 {
			row = row[:0]
			ids = e.Encode(ids[:0], string(line))
			for i, id := range ids {
				if i > 0 {
					row = append(row, ' ')
				}
				row = strconv.AppendInt(row, int64(id), 10)
			}
			if _, err := out.Write(append(row, '\n')); err != nil {
				return fmt.Errorf("writing the ids: %w", err)
			}
			line = line[:0]
			number++
		}
		if err != nil {
			break
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the ids: %w", err)
	}
	return nil
}

func encodeCommand(env *cli.Env) *cobra.Command {
	var name, color string
	var pieces, allow bool
	cmd := &cobra.Command{
		Use:   "encode FILE",
		Short: "print the token ids of a text (FILE - is standard input)",
		Example: `  corpus tokenizer encode notes.txt --tokenizer wp4k --json     # {"ids":[...],"tokens":[...],...}
  echo "mend the nets" | corpus tokenizer encode -               # one line of ids a line of text
  corpus tokenizer encode notes.txt --pieces                     # the text, each piece in a colour of its own`,
		Long: `Prints one line of ids a line of text, or on a terminal the text with its pieces
in turn in two colours, unknown ones in red; with NO_COLOR set, or no terminal, --pieces
puts bars between them. Control tokens such as [MASK] that are
spelled out in the text are text, so that no text can inject them, unless
--allow-special is given. Lines of ids stream: the memory is that of the longest line.`,
		Args: cli.Args(1, 1, "the file to encode"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openNamed(cmd, env, name)
			if err != nil {
				return err
			}
			var options []tokenize.EncoderOption
			if allow {
				options = append(options, tokenize.AllowSpecial())
			}
			encoder := t.NewEncoder(options...)
			terminal := env.Out == os.Stdout && term.IsTerminal(int(os.Stdout.Fd()))
			colored := color == "always" || color == "auto" && terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
			if color != "auto" && color != "always" && color != "never" {
				return cli.Usage(cmd, "--color %s: want auto, always or never", color)
			}
			if !env.JSON && !pieces && (!terminal || cmd.Flags().Changed("pieces")) {
				in, err := openInput(cmd, args[0])
				if err != nil {
					return err
				}
				defer in.Close()
				return encodeLines(in, args[0], env.Out, encoder)
			}
			text, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			if env.JSON {
				var enc tokenize.Encoding
				if err := encoder.EncodeOffsets(&enc, string(text)); err != nil {
					return err
				}
				tokens := make([]string, len(enc.IDs))
				offsets := make([][2]int, len(enc.IDs))
				for i, id := range enc.IDs {
					tokens[i] = t.Token(id)
					offsets[i] = [2]int{enc.Spans[i].Start, enc.Spans[i].End}
				}
				ids := append([]int32{}, enc.IDs...)
				return env.Result(map[string]any{"ids": ids, "tokens": tokens, "offsets": offsets}, nil)
			}
			found, err := encoder.Pieces(nil, string(text))
			if err != nil {
				return err
			}
			return env.Result(nil, func(w io.Writer) {
				out := bufio.NewWriter(w)
				writePieces(out, string(text), found, t, colored)
				_ = out.Flush() // the writer underneath keeps the error
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	f.BoolVar(&pieces, "pieces", false, "print the text cut into its pieces (default on a terminal)")
	f.StringVar(&color, "color", "auto", "colour the pieces: auto (on a terminal, without NO_COLOR), always or never")
	f.BoolVar(&allow, "allow-special", false, "recognise control tokens in the text")
	return cmd
}

// writePieces writes a text with its pieces told apart: by colours, or by bars.
// Control tokens are bold, unknown pieces red.
func writePieces(w io.Writer, text string, pieces []tokenize.Piece, t *tokenize.Tokenizer, color bool) {
	last := 0
	for i, p := range pieces {
		start, end := max(p.Start, last), max(p.End, last)
		if start > last {
			fmt.Fprint(w, text[last:start])
		}
		last = end
		if start == end {
			continue // the bytes of one character
		}
		switch style := [...]string{"\x1b[30;46m", "\x1b[30;43m"}[i%2]; {
		case !color:
			// The bar stays on the line that the piece ends.
			shown := strings.TrimRight(text[start:end], "\r\n")
			fmt.Fprint(w, shown, "|", text[start+len(shown):end])
			continue
		case p.Unknown:
			fmt.Fprint(w, "\x1b[37;41m")
		case t.IsSpecial(p.ID):
			fmt.Fprint(w, "\x1b[1;37;44m")
		default:
			fmt.Fprint(w, style)
		}
		// A background that runs over the end of a line would fill the screen.
		fmt.Fprint(w, strings.ReplaceAll(text[start:end], "\n", "\x1b[0m\n"), "\x1b[0m")
	}
	fmt.Fprint(w, text[last:])
	if !strings.HasSuffix(text, "\n") {
		fmt.Fprintln(w)
	}
}

func decodeCommand(env *cli.Env) *cobra.Command {
	var name string
	var keep bool
	cmd := &cobra.Command{
		Use:   "decode FILE",
		Short: "print the text of token ids (FILE - is standard input)",
		Example: `  echo "mend the nets" | corpus tokenizer encode - | corpus tokenizer decode -
  corpus tokenizer encode notes.txt --json | corpus tokenizer decode -`,
		Long: `Takes lines of ids, with spaces or commas between them, or what 'encode --json' prints.
A text that does not end its line is given an end.`,
		Args: cli.Args(1, 1, "the file of ids"),
		RunE: func(cmd *cobra.Command, args []string) error {
			t, err := openNamed(cmd, env, name)
			if err != nil {
				return err
			}
			input, err := readInput(cmd, args[0])
			if err != nil {
				return err
			}
			rows, err := readIDs(args[0], input)
			if err != nil {
				return err
			}
			texts := make([]string, len(rows))
			for n, ids := range rows {
				for _, id := range ids {
					if !t.Has(id) {
						return fmt.Errorf("%s:%d: id %d is not in the vocabulary of %d ids", args[0], n+1, id, t.VocabSize())
					}
				}
				texts[n] = t.Decode(ids, !keep)
			}
			return env.Result(map[string]any{"texts": texts}, func(w io.Writer) {
				for _, text := range texts {
					fmt.Fprintln(w, strings.TrimSuffix(text, "\n"))
				}
			})
		},
	}
	cmd.Flags().StringVar(&name, "tokenizer", "", "tokenizer (default: the only one of the data root)")
	cmd.Flags().BoolVar(&keep, "keep-special", false, "keep control tokens such as [CLS]")
	return cmd
}

// readIDs reads a list of ids a line, or one from an object with ids.
func readIDs(path string, input []byte) ([][]int32, error) {
	if text := bytes.TrimSpace(input); len(text) > 0 && text[0] == '{' {
		var object struct {
			IDs *[]int32 `json:"ids"`
		}
		if err := json.Unmarshal(text, &object); err != nil {
			return nil, fmt.Errorf("reading %s as the output of 'encode --json': %w", path, err)
		}
		if object.IDs == nil {
			return nil, fmt.Errorf("%s is an object without ids", path)
		}
		return [][]int32{*object.IDs}, nil
	}
	var rows [][]int32
	for line := range strings.Lines(string(input)) {
		var ids []int32
		for _, word := range strings.FieldsFunc(line, func(c rune) bool { return strings.ContainsRune(" \t\r\n,[]", c) }) {
			id, err := strconv.ParseInt(word, 10, 32)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %q is no token id", path, len(rows)+1, word)
			}
			ids = append(ids, int32(id))
		}
		rows = append(rows, ids)
	}
	return rows, nil
}
