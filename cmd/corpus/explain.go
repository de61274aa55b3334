package main

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/dedup"
)

// maxShown is how many marks of one rule are printed for people.
const maxShown = 20

func explainCommand(env *cli.Env) *cobra.Command {
	return &cobra.Command{
		Use:   "explain ID",
		Short: "say why a document was marked, beside the document that stays",
		Long: `Explain prints every mark of a document with what it rests on: the document that
stays, the score, and the two texts side by side. What one of them has and the
other has not stands in [-...-] on the left and in {+...+} on the right, red and
green on a terminal. Long stretches are shortened, and of the spans that one rule
marked the first 20 are shown.`,
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
				shown := map[string]int{}
				for i := range marks {
					if shown[marks[i].Mark.Rule]++; broken == nil && shown[marks[i].Mark.Rule] <= maxShown {
						broken = marks[i].Write(w, color, width)
					}
				}
				for _, rule := range slices.Sorted(maps.Keys(shown)) {
					if n := shown[rule] - maxShown; n > 0 {
						fmt.Fprintf(w, "%d more marks of rule %s: --json prints all\n", n, rule)
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
