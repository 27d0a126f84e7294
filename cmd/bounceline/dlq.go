package main

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bounceline/pipeline/dlq"
	"bounceline/pipeline/spell"
)

// deadLetters is the dead-letter file of a state directory.
func deadLetters(stateDir string) dlq.File {
	return dlq.File{Path: filepath.Join(stateDir, "dead-letters.ndjson")}
}

func newDLQCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Lines that could not be stored or read: list, show, replay and remove them",
		Long: `A line whose rows the database cannot hold, or refuses for good, is kept in the state directory's dead-letter file with the
reason; all other lines are stored. So is what stands in a Kafka topic and cannot be read: lines that no parser understands,
records without a line, batches that cannot be unpacked; and what ship's brokers refuse. When the cause is gone, replay stores
what is a line.`,
		Example: `  bounceline dlq list
  bounceline dlq show file-0c5c…-0:18922
  bounceline dlq replay --all
  bounceline dlq remove bWFpbA/maillog/3/0:1207`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQListCommand(), newDLQShowCommand(), newDLQReplayCommand(), newDLQRemoveCommand())
	return cmd
}

// letterFlags say which dead-letter file is meant.
type letterFlags struct {
	databaseFlags
	path string
}

// register adds the flags; the database's where letters are to be stored.
func (f *letterFlags) register(cmd *cobra.Command, stores bool) {
	if stores {
		f.databaseFlags.register(cmd)
	} else {
		f.registerState(cmd)
	}
	cmd.Flags().StringVar(&f.path, "file", "", "dead-letter file, instead of the state directory's")
}

func (f *letterFlags) file() dlq.File {
	if f.path != "" {
		return dlq.File{Path: f.path}
	}
	return deadLetters(f.directory())
}

func newDLQListCommand() *cobra.Command {
	var letters letterFlags
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the dead letters",
		Example: `  bounceline dlq list
  bounceline dlq list --output csv`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			all, err := letters.file().List()
			if err != nil {
				return err
			}
			if len(all) == 0 && output == "table" {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "there are no dead letters")
				return err
			}
			w := newRowWriter(cmd.OutOrStdout(), output, []string{"line", "source", "time", "buried", "reason", "record", "ruleset"})
			for i := range all {
				e := &all[i]
				if err := w.Write([]any{nameOf(e), e.Source, e.Time, e.Buried, e.Reason, recordOf(e), e.RuleSet}); err != nil {
					return errors.Join(err, w.Close())
				}
			}
			return w.Close()
		},
	}
	letters.register(cmd, false)
	registerOutput(cmd, &output)
	return cmd
}

func newDLQShowCommand() *cobra.Command {
	var letters letterFlags
	cmd := &cobra.Command{
		Use:     "show LINE...",
		Short:   "Show dead letters whole, as list names them",
		Example: `  bounceline dlq show file-0c5c…-0:18922`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name at least one line, as bounceline dlq list does")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := choose(letters.file(), args)
			if err != nil {
				return err
			}
			for i := range chosen {
				if err := showLetter(cmd.OutOrStdout(), &chosen[i]); err != nil {
					return err
				}
			}
			return nil
		},
	}
	letters.register(cmd, false)
	return cmd
}

// showLetter prints a dead letter for people.
func showLetter(w io.Writer, e *dlq.Entry) error {
	line := escapeTerminal(e.Line())
	switch {
	case e.Size > 0:
		line += fmt.Sprintf("\n           (the first %d bytes of %d)", len(e.Line()), e.Size)
	case e.Line() == nil:
		line = "(there is none)"
	}
	fields := [][2]string{{"source", e.Source}, {"time", formatValue(e.Time)}, {"buried", formatValue(e.Buried)}, {"rules", e.RuleSet}, {"reason", e.Reason},
		{"record", recordOf(e)}}
	if e.Record != nil {
		fields = append(fields, [2]string{"key", e.Record.KeyText + string(e.Record.Key)})
	}
	var out strings.Builder
	fmt.Fprintln(&out, escapeTerminal([]byte(nameOf(e))))
	for _, f := range fields {
		if f[1] != "" {
			fmt.Fprintf(&out, "  %-8s %s\n", f[0], escapeTerminal([]byte(f[1])))
		}
	}
	fmt.Fprintf(&out, "  %-8s %s\n", "line", line)
	_, err := io.WriteString(w, out.String())
	return err
}

// recordOf names the record of a topic that a dead letter is from, empty if it is from elsewhere.
func recordOf(e *dlq.Entry) string {
	switch r := e.Record; {
	case r == nil:
		return ""
	case r.Offset < 0:
		return fmt.Sprintf("for %s/%d, not taken", r.Topic, r.Partition)
	case e.Next > 0:
		return fmt.Sprintf("%s/%d@%d-%d", r.Topic, r.Partition, r.Offset, e.Next-1)
	default:
		return fmt.Sprintf("%s/%d@%d", r.Topic, r.Partition, r.Offset)
	}
}

// namedOrAll checks that a command names lines, or says all.
func namedOrAll(all *bool) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if *all == (len(args) > 0) {
			return usagef("name lines, as bounceline dlq list does, or give --all")
		}
		return nil
	}
}

func newDLQReplayCommand() *cobra.Command {
	var letters letterFlags
	var reading readingFlags
	var rules ruleFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "replay LINE...|--all",
		Short: "Store dead letters whose cause is gone",
		Long: `Replay parses, classifies and stores lines of the dead-letter file, each under its own identity, and takes those that are
stored out of the file. What other lines said of the message (sender, size) is no longer known. A line that is refused
again stays. A shipped line is read as its mail host said, others as --parser and --log-zone say.

Lines that a shipper's brokers refused lie on the mail host. Replay stores them where --clickhouse says; or carry the file to
where the database is and name it with --file.`,
		Example: `  bounceline dlq replay --all
  bounceline dlq replay file-0c5c…-0:18922
  bounceline dlq replay --all --file mx1-dead-letters.ndjson --clickhouse clickhouse://writer@db.example.org:9000/bounceline`,
		Args: namedOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := reading.options()
			if err != nil {
				return err
			}
			file := letters.file()
			chosen, err := choose(file, args)
			if err != nil {
				return err
			}
			for i := range chosen {
				if r := chosen[i].Record; r != nil && r.Offset < 0 && letters.dsn == "" && letters.path == "" {
					return usagef("%s was to go to topic %s: name the database where that is stored with --clickhouse, or carry %s there and name it with --file",
						nameOf(&chosen[i]), r.Topic, file.Path)
				}
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			d, err := letters.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer d.Close()
			r := &replayer{db: d, file: file, options: options, engine: engine, out: cmd.OutOrStdout()}
			return r.run(cmd.Context(), chosen)
		},
	}
	letters.register(cmd, true)
	reading.register(cmd)
	rules.register(cmd)
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	return cmd
}

func newDLQRemoveCommand() *cobra.Command {
	var letters letterFlags
	var all bool
	cmd := &cobra.Command{
		Use:     "remove LINE...|--all",
		Short:   "Take dead letters out of the file for good",
		Example: `  bounceline dlq remove bWFpbA/maillog/3/0:1207`,
		Args:    namedOrAll(&all),
		RunE: func(cmd *cobra.Command, args []string) error {
			chosen, err := choose(letters.file(), args)
			if err != nil {
				return err
			}
			if err := letters.file().Remove(chosen); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s removed\n", spell.Count(len(chosen), "dead letter", "dead letters"))
			return err
		},
	}
	letters.register(cmd, false)
	cmd.Flags().BoolVar(&all, "all", false, "all of them")
	return cmd
}

// nameOf names a dead letter on the command line: its stream and position, and for a later line of a record its index.
func nameOf(e *dlq.Entry) string {
	if e.Index > 0 {
		return fmt.Sprintf("%s:%d:%d", e.Stream, e.Pos, e.Index)
	}
	return e.Stream + ":" + strconv.FormatInt(e.Pos, 10)
}

// choose returns the named dead letters, or without names all.
func choose(f dlq.File, names []string) ([]dlq.Entry, error) {
	all, err := f.List()
	if err != nil || len(names) == 0 {
		return all, err
	}
	byName := map[string]dlq.Entry{}
	for i := range all {
		byName[nameOf(&all[i])] = all[i]
	}
	var out []dlq.Entry
	for _, n := range names {
		e, ok := byName[n]
		if !ok {
			return nil, fmt.Errorf("there is no dead letter %s: see bounceline dlq list", n)
		}
		out = append(out, e)
	}
	return out, nil
}
