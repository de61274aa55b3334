// Command pretrain trains Transformers on the shards that the command corpus
// makes.
package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
)

func main() { os.Exit(cli.Main(command)) }

// command makes the command tree.
func command(env *cli.Env) *cobra.Command {
	root := trainCommand(env)
	root.AddCommand(batchesCommand(env), evalCommand(env), fillCommand(env), generateCommand(env), exportCommand(env), importCommand(env), cli.RunCommand(env, "pretrain"))
	return root
}
