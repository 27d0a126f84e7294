package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"bounceline/pipeline/spell"
)

// A usageError is a mistake on the command line or in the configuration: exit code 2.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// usagef makes the error of a command line or configuration that makes no sense.
func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// noArguments is the Args of commands that take none.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("%s takes no arguments, but got %q", cmd.Name(), args[0])
	}
	return nil
}

// oneArgument is the Args of commands that take exactly one; what names it.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != 1 {
			return usagef("%s takes one argument: %s", cmd.Name(), what)
		}
		return nil
	}
}

// noCommand is the Args of commands that have commands of their own: an argument is a mistyped name of one.
func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			names = append(names, c.Name())
		}
	}
	where := "there is"
	if cmd.HasParent() {
		where = cmd.Name() + " has"
	}
	return usagef("%s no command %q%s; see %s --help", where, args[0], didYouMean(args[0], names), cmd.CommandPath())
}

// commandPath is the Args of help: the name of a command, and of one below it. The command library says of another that it is unknown and
// succeeds.
func commandPath(cmd *cobra.Command, args []string) error {
	at := cmd.Root()
	for _, name := range args {
		i := slices.IndexFunc(at.Commands(), func(c *cobra.Command) bool { return c.Name() == name && !c.Hidden })
		if i < 0 {
			return noCommand(at, []string{name})
		}
		at = at.Commands()[i]
	}
	return nil
}

// newRootCommand is the whole command line: the one list of commands.
func newRootCommand(stdin io.Reader, stdout, stderr io.Writer) *cobra.Command {
	var level, format string
	root := &cobra.Command{
		Use:     "bounceline",
		Version: versionLine(),
		Short:   "Bounce rates and their reasons from mail server logs",
		Long: `Bounceline reads the delivery logs of mail servers (Postfix, Exim, sendmail, OpenSMTPD, PowerMTA, KumoMTA), classifies each
failure, and keeps one row for each recipient and attempt in ClickHouse: in the engine that comes with it, or in a server.`,
		Example: `  bounceline import /var/log/mail.log*     store finished logs
  bounceline report                        bounce rates, worst domains, reasons
  bounceline run /var/log/mail.log         follow a log for ever`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return setLogger(cmd.ErrOrStderr(), level, format)
		},
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.PersistentFlags().StringVar(&level, "log-level", environment("BOUNCELINE_LOG_LEVEL", "info"), "debug, info, warn or error (BOUNCELINE_LOG_LEVEL)")
	root.PersistentFlags().StringVar(&format, "log-format", environment("BOUNCELINE_LOG_FORMAT", "text"), "text or json, on standard error (BOUNCELINE_LOG_FORMAT)")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		newRunCommand(),
		newShipCommand(),
		newImportCommand(),
		newParseCommand(),
		newCheckpointCommand(),
		newClassifyCommand(),
		newCodesCommand(),
		newRulesCommand(),
		newDLQCommand(),
		newEngineCommand(),
		newForgetCommand(),
		newEngineChildCommand(),
		newMigrateCommand(),
		newQueryCommand(),
		newReportCommand(),
		newSuppressCommand(),
		newValidateCommand(),
		newVerifyCommand(),
		newHealthCommand(),
		newVersionCommand(),
	)
	root.InitDefaultHelpCmd()
	help, _, _ := root.Find([]string{"help"})
	help.Args = commandPath
	root.InitDefaultCompletionCmd()
	checkArguments(root)
	return root
}

// checkArguments makes every complaint about arguments a usage error, those of the command library too.
func checkArguments(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		checkArguments(c)
	}
}

// flagError adds the nearest flag's name to a complaint about an unknown one.
func flagError(cmd *cobra.Command, err error) error {
	var value *pflag.InvalidValueError
	if errors.As(err, &value) && strings.HasPrefix(value.GetFlag().Value.Type(), "uint") {
		return usagef("--%s %s: it is a whole number from 0 on; see %s --help", value.GetFlag().Name, value.GetValue(), cmd.CommandPath())
	}
	name, ok := strings.CutPrefix(err.Error(), "unknown flag: --")
	if !ok {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return usagef("%s has no flag --%s%s; see %s --help", cmd.CommandPath(), name, didYouMean("--"+name, names), cmd.CommandPath())
}

// didYouMean suggests the name that is nearest to a mistyped word, or nothing where none is near.
func didYouMean(word string, names []string) string {
	best := spell.Nearest(word, names)
	if best == "" || word == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

func environment(name, otherwise string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return otherwise
}

// setLogger makes the program's log lines go to w.
func setLogger(w io.Writer, level, format string) error {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return usagef("--log-level %s: it is debug, info, warn or error", level)
	}
	o := &slog.HandlerOptions{Level: l}
	switch format {
	case "text":
		slog.SetDefault(slog.New(slog.NewTextHandler(w, o)))
	case "json":
		slog.SetDefault(slog.New(slog.NewJSONHandler(w, o)))
	default:
		return usagef("--log-format %s: it is text or json", format)
	}
	return nil
}
