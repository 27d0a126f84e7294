package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"bounceline/pipeline/classify"
	"bounceline/pipeline/config"
)

func newValidateCommand() *cobra.Command {
	var show bool
	cmd := &cobra.Command{
		Use:   "validate FILE",
		Short: "Check a configuration without running it",
		Long: `Validate reads a configuration as run would and says what is wrong with it: unknown keys with the nearest known one, values
that make no sense, references that lead nowhere, and mistakes in the rules that it names. Logs, databases and topics are not
opened, and nothing is changed.`,
		Example: `  bounceline validate /etc/bounceline.yaml && systemctl reload bounceline
  bounceline validate --print /etc/bounceline.yaml`,
		Args: oneArgument("a configuration file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := config.Load(args[0])
			if err == nil {
				err = config.InFile(args[0], c.Validate())
			}
			if err == nil {
				_, err = classify.New(classify.Options{Program: versionName(), UserRules: c.Rules})
			}
			if err != nil {
				return usagef("%v", err)
			}
			if !show {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: good\n", escapeTerminal([]byte(args[0])))
				return err
			}
			text, err := c.Redacted()
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	cmd.Flags().BoolVar(&show, "print", false, "print the configuration with its defaults, and without passwords")
	return cmd
}
