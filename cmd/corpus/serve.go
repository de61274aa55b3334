package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tributary-ml/tributary/cmd/internal/cli"
	"github.com/tributary-ml/tributary/cmd/internal/stream"
	"github.com/tributary-ml/tributary/pipelines"
)

func serveCommand(env *cli.Env) *cobra.Command {
	var flags stream.Flags
	var listen, socket, tokenFile string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "give batches to other trainers, over Arrow Flight or a Unix socket",
		Long: `Serve builds the batches of a mix for programs that train elsewhere: as Arrow
streams on a Unix socket, for the same machine, or over Arrow Flight. A request is
"FROM TO RANK RANKS"; each step is one record batch. Any step can be asked for at
any time, so that resuming is asking for the next one. Flight on an address that
is not loopback needs a token, read from a file; it is not encrypted.`,
		Example: `  corpus serve --mix books:0.3,wiki:0.7 --socket /tmp/batches.sock
  corpus serve --mix books:0.3,wiki:0.7 --listen 0.0.0.0:8815 --token-file token`,
		Args: cli.Args(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (listen == "") == (socket == "") {
				return cli.Usage(cmd, "name one of --socket and --listen")
			}
			token := ""
			if tokenFile != "" {
				data, err := os.ReadFile(tokenFile)
				if err != nil {
					return fmt.Errorf("reading the token: %w", err)
				}
				if token = strings.TrimSpace(string(data)); token == "" {
					return errors.New("reading the token: the file is empty")
				}
			}
			b, err := openStream(cmd, env, &flags)
			if err != nil {
				return err
			}
			defer b.Close()
			var l net.Listener
			if socket != "" {
				l, err = pipelines.ListenSocket(cmd.Context(), socket)
			} else {
				l, err = net.Listen("tcp", listen)
			}
			if err != nil {
				return err
			}
			defer l.Close()
			env.Notice("serving batches on %s", l.Addr())
			if socket != "" {
				return b.ServeStream(cmd.Context(), l, env.Log())
			}
			return b.ServeFlight(cmd.Context(), l, token)
		},
	}
	flags.Add(cmd)
	cmd.Flags().StringVar(&listen, "listen", "", "address for Arrow Flight, such as 127.0.0.1:8815")
	cmd.Flags().StringVar(&socket, "socket", "", "path of a Unix socket for Arrow streams")
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file that holds the token requests must bear")
	return cmd
}
