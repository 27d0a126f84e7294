package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"bounceline/sinks/clickhouse/local"
)

func newEngineCommand() *cobra.Command {
	var db databaseFlags
	var dsn bool
	cmd := &cobra.Command{
		Use:   "engine",
		Short: "Run the local engine in the foreground",
		Long: `Engine keeps the local ClickHouse engine of the state directory running until it is told to stop, and says how any
ClickHouse client connects to it. Other commands start and share the same engine by themselves.`,
		Example: `  bounceline engine
  bounceline engine --dsn          print, on one line, how to reach the running engine, and exit`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := db.open(cmd.Context(), true)
			if err != nil {
				return err
			}
			defer d.Close()
			if dsn {
				fmt.Fprintln(cmd.OutOrStdout(), d.lease.DSN())
				return nil
			}
			fmt.Fprintf(cmd.OutOrStdout(), "The engine of %s is running. Connect for reading with:\n\n  %s\n\nor for everything, from bounceline on this machine, with:\n\n  %s\n\nCtrl-C gives it back; it ends with its last user.\n",
				d.StateDir, d.lease.ReaderDSN(), d.lease.DSN())
			<-cmd.Context().Done()
			return nil
		},
	}
	db.registerState(cmd)
	cmd.Flags().BoolVar(&dsn, "dsn", false, "print how to reach the engine, and exit")
	return cmd
}

func newEngineChildCommand() *cobra.Command {
	return &cobra.Command{
		Use:    local.ChildCommand + " STATE-DIR LIBRARY",
		Short:  "The local engine's own process; started by the others",
		Hidden: true,
		Args:   cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			os.Exit(local.RunChild(args[0], args[1]))
			return nil
		},
	}
}
