package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/dedup"
)

func explainCommand(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain ID",
		Short: "say why a document was marked, beside the document that stays",
		Long: `Explain prints every mark of a document with what it rests on: the document that
stays, the score, and the two texts side by side. What one of them has and the
other has not stands in [-...-] on the left and in {+...+} on the right, red and
green on a terminal. Long stretches are shortened.`,
		Example: `  corpus explain 0f3c7e0c8d0b4a52a1f0d4f1a9b37c11`,
		Args:    cli.Args(1, 1, "the id of a document"),
		RunE: func(cmd *cobra.Command, args []string) error {
			marks, err := dedup.Explain(cmd.Context(), env.Data, args[0])
			if err != nil {
				return err
			}
			var broken error
			color := term.IsTerminal(int(os.Stdout.Fd()))
			width := 0
			if color {
				if width, _, err = term.GetSize(int(os.Stdout.Fd())); err != nil {
					width = 0
				}
			}
			err = env.Result(map[string]any{"id": args[0], "marks": marks}, func(w io.Writer) {
				if len(marks) == 0 {
					fmt.Fprintf(w, "%s is not marked\n", args[0])
				}
				for i := range marks {
					if broken == nil {
						broken = marks[i].Write(w, color, width)
					}
				}
			})
			if err != nil {
				return err
			}
			return broken
		},
	}
}
