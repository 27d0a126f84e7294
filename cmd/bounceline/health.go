package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func newHealthCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "health HOST:PORT",
		Short: "Ask a run or a shipper whether all is well",
		Long: `Health asks the run or ship that listens at the address (--listen) whether it is ready, and ends with 0 if it is. If it is not,
the reason is printed and the exit code is 1. It is meant for the health checks of containers without a shell.`,
		Example: `  bounceline health 127.0.0.1:9311`,
		Args:    oneArgument("the HOST:PORT that run or ship listens at"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if _, _, err := net.SplitHostPort(args[0]); err != nil {
				return usagef("%q is no HOST:PORT such as 127.0.0.1:9311", args[0])
			}
			client := &http.Client{Timeout: 4 * time.Second}
			r, err := client.Get("http://" + args[0] + "/readyz")
			if err != nil {
				return fmt.Errorf("nobody answers at %s, where a run or ship with --listen %[1]s would: %w", args[0], errors.Unwrap(err))
			}
			defer r.Body.Close()
			text, err := io.ReadAll(io.LimitReader(r.Body, 4<<10))
			if err != nil {
				return err
			}
			if r.StatusCode != http.StatusOK {
				return errors.New("not ready: " + strings.TrimSpace(string(text)))
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), escapeTerminal([]byte(strings.TrimSpace(string(text)))))
			return err
		},
	}
}
