package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"github.com/spf13/cobra"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/dlq"
	"bounceline/pipeline/record"
)

// deadLetters is the dead-letter file of a state directory.
func deadLetters(stateDir string) dlq.File {
	return dlq.File{Path: filepath.Join(stateDir, "dead-letters.ndjson")}
}

func newDLQCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dlq",
		Short: "Lines whose rows could not be stored: list, show and replay them",
		Long: `A line whose rows the database cannot hold, or refuses for good, is kept in the state directory's dead-letter file with the
reason; all other lines are stored. When the cause is gone, replay stores it.`,
		Example: `  bounceline dlq list
  bounceline dlq show file-0c5c…-0:18922
  bounceline dlq replay --all`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newDLQListCommand(), newDLQShowCommand(), newDLQReplayCommand())
	return cmd
}

func newDLQListCommand() *cobra.Command {
	var db databaseFlags
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
			all, err := deadLetters(db.directory()).List()
			if err != nil {
				return err
			}
			if len(all) == 0 && output == "table" {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "there are no dead letters")
				return err
			}
			w := newRowWriter(cmd.OutOrStdout(), output, []string{"line", "source", "time", "buried", "reason", "ruleset"})
			for i := range all {
				e := &all[i]
				if err := w.Write([]any{nameOf(e), e.Source, e.Time, e.Buried, e.Reason, e.RuleSet}); err != nil {
					return errors.Join(err, w.Close())
				}
			}
			return w.Close()
		},
	}
	db.register(cmd)
	registerOutput(cmd, &output)
	return cmd
}

func newDLQShowCommand() *cobra.Command {
	var db databaseFlags
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
			chosen, err := choose(deadLetters(db.directory()), args)
			if err != nil {
				return err
			}
			for i := range chosen {
				e := &chosen[i]
				if _, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n  source   %s\n  time     %s\n  buried   %s\n  rules    %s\n  reason   %s\n  line     %s\n", nameOf(e),
					escapeTerminal([]byte(e.Source)), e.Time, e.Buried, e.RuleSet, escapeTerminal([]byte(e.Reason)), escapeTerminal(e.Line())); err != nil {
					return err
				}
			}
			return nil
		},
	}
	db.register(cmd)
	return cmd
}

func newDLQReplayCommand() *cobra.Command {
	var db databaseFlags
	var reading readingFlags
	var all bool
	cmd := &cobra.Command{
		Use:   "replay LINE...|--all",
		Short: "Store dead letters whose cause is gone",
		Long: `Replay parses, classifies and stores lines of the dead-letter file, each under its own identity, and takes those that are
stored out of the file. What other lines said of the message (sender, size) is no longer known. A line that is refused
again stays.`,
		Example: `  bounceline dlq replay --all
  bounceline dlq replay file-0c5c…-0:18922`,
		Args: func(_ *cobra.Command, args []string) error {
			if all == (len(args) > 0) {
				return usagef("name lines, as bounceline dlq list does, or give --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := reading.options()
			if err != nil {
				return err
			}
			chosen, err := choose(deadLetters(db.directory()), args)
			if err != nil {
				return err
			}
			engine, err := classify.New(classify.Options{})
			if err != nil {
				return err
			}
			d, err := db.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer d.Close()
			r := &replayer{db: d, file: deadLetters(d.StateDir), options: options, engine: engine, out: cmd.OutOrStdout()}
			return r.run(cmd.Context(), chosen)
		},
	}
	db.register(cmd)
	reading.register(cmd)
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

// A replayer stores dead letters.
type replayer struct {
	db      *database
	file    dlq.File
	options parsers.Options
	engine  *classify.Engine
	out     io.Writer
}

func (r *replayer) run(ctx context.Context, letters []dlq.Entry) error {
	stored := 0
	var failed []error
	for i := range letters {
		if err := r.replay(ctx, &letters[i]); err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", nameOf(&letters[i]), err))
			continue
		}
		if err := r.file.Remove(letters[i : i+1]); err != nil {
			return err
		}
		stored++
	}
	if _, err := fmt.Fprintf(r.out, "%d of %d dead letters are stored\n", stored, len(letters)); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// replay stores one line, unless it has been.
func (r *replayer) replay(ctx context.Context, e *dlq.Entry) error {
	b, err := r.batch(e)
	if err != nil {
		return err
	}
	stored, err := r.db.HasRow(ctx, e.Stream, uint64(e.Pos), b.Columns[record.ColumnIndex["row"]].U64[0])
	if err != nil {
		return err
	}
	if !stored {
		if err := r.db.Write(ctx, b, "replay/"+rand.Text()); err != nil {
			return err
		}
	}
	return r.db.Revived(ctx, e.Stream, e.Pos)
}

// batch makes the rows of one line.
func (r *replayer) batch(e *dlq.Entry) (*batch.Batch, error) {
	p, err := parsers.NewStream(r.options)
	if err != nil {
		return nil, err
	}
	p.SetReference(e.Time)
	var res record.Result
	p.Parse(e.Line(), &res)
	if res.Rows.Len() == 0 {
		return nil, errors.New("it is no delivery event: was it read with another --parser?")
	}
	b := batch.New()
	b.Range(e.Stream, e.Pos).To = e.Pos + 1
	rows := res.Rows.All()
	b.Line(e.Line(), e.Index)
	for i := range rows {
		row := &rows[i]
		row.Class = r.engine.Classify(row)
		row.Source, row.Stream, row.Pos = []byte(e.Source), []byte(e.Stream), uint64(e.Pos)
		row.Number = record.InRecord(e.Index, row.Number)
		if reason := row.Invalid(); reason != "" {
			return nil, errors.New(reason)
		}
		b.Add(row)
	}
	b.Seal(e.Buried)
	return b, nil
}
