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
stays, the score, and what one of the two texts has and the other has not, as
[-marked only-] and {+kept only+}.`,
		Example: `  corpus explain 0f3c7e0c8d0b4a52a1f0d4f1a9b37c11`,
		Args:    cli.Args(1, 1, "the id of a document"),
		RunE: func(cmd *cobra.Command, args []string) error {
			marks, err := dedup.Explain(cmd.Context(), env.Data, args[0])
			if err != nil {
				return err
			}
			var broken error
			err = env.Result(map[string]any{"id": args[0], "marks": marks}, func(w io.Writer) {
				if len(marks) == 0 {
					fmt.Fprintf(w, "%s is not marked\n", args[0])
				}
				for i := range marks {
					if broken == nil {
						broken = marks[i].Write(w, term.IsTerminal(int(os.Stdout.Fd())))
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
