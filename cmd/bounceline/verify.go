package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/spell"
	"bounceline/sinks/clickhouse"
)

func newVerifyCommand() *cobra.Command {
	var db databaseFlags
	var reading readingFlags
	var rules ruleFlags
	var output string
	var repair bool
	cmd := &cobra.Command{
		Use:   "verify [--repair [FILES...]]",
		Short: "Prove that each line is stored once, and mend what is not",
		Long: `Verify proves by SQL over all that is stored: the ranges in the ledger leave no gap and do not overlap, no row is there
twice, ledger and rows agree, and the rollups are the sums of the rows. It may run beside pipelines. Months of rows that were
dropped because nobody keeps them that long are no loss: what is older than the oldest rows is not compared. That is said; to
programs by a finding of its own, not_kept, which like a loss is no problem. Nor is two_logs: events that two logs have, as where
syslog writes mail into a file of its own and into the common one. Each line is stored once, but such events count again. Count
one of the logs with report --source, or take the other one out with forget.

With --repair second copies are removed and rollups mended. Rows that are missing, and ranges that the ledger has twice or
not at all, need the log files with the lines: name them, compressed or not, and what is missing of them is stored, classified
by --rules.

The exit code is 0 if all is well, at the end, and 1 if not.`,
		Example: `  bounceline verify
  bounceline verify --output ndjson
  bounceline verify --repair
  bounceline verify --repair --rules my-rules.yaml /var/log/mail.log*`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && !repair {
				return usagef("files are named with --repair only")
			}
			if len(rules.paths) > 0 && !repair {
				return usagef("--rules says how rows are classified that --repair stores")
			}
			if slices.Contains(args, "-") {
				return usagef("standard input cannot be compared with what is stored: name a file")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			options, err := reading.options()
			if err != nil {
				return err
			}
			inputs, err := importOrder(args)
			if err != nil {
				return err
			}
			d, err := db.open(cmd.Context(), !repair)
			if err != nil {
				return err
			}
			defer d.Close()
			v := verifier{db: d, out: cmd.OutOrStdout(), output: output}
			if !repair {
				return v.run(cmd.Context())
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			im := &importer{db: d, options: options, out: cmd.ErrOrStderr(), progress: cmd.ErrOrStderr(), engine: engine,
				pool: pipeline.NewBuffers(6), state: filepath.Join(d.StateDir, "import")}
			return v.repair(cmd.Context(), im, inputs)
		},
	}
	db.register(cmd)
	reading.register(cmd)
	registerOutput(cmd, &output)
	rules.register(cmd)
	cmd.Flags().BoolVar(&repair, "repair", false, "mend what is wrong, as far as it can be")
	return cmd
}

// A verifier says what is wrong with what is stored.
type verifier struct {
	db     *database
	out    io.Writer
	output string
}

// errNotWell is the end of a verify that found something.
type errNotWell struct {
	problems int
	hint     string
}

func (e errNotWell) Error() string {
	return fmt.Sprintf("%s found: %s", spell.Count(e.problems, "problem", "problems"), e.hint)
}

// run verifies and prints.
func (v *verifier) run(ctx context.Context) error {
	found, extent, err := v.db.Verify(ctx)
	if err != nil {
		return err
	}
	if err := v.print(found, extent); err != nil {
		return err
	}
	if n := faults(found); n > 0 {
		return errNotWell{n, "bounceline verify --repair mends them; name the log files where rows or ranges are missing"}
	}
	return nil
}

// repair mends, reads the files for what is missing, and verifies again.
func (v *verifier) repair(ctx context.Context, im *importer, files []string) error {
	found, _, err := v.db.Verify(ctx)
	if err != nil {
		return err
	}
	wrong := faults(found)
	if err := v.db.Repair(ctx, found); err != nil {
		return err
	}
	if len(files) > 0 {
		im.forget = slices.DeleteFunc(found, func(f clickhouse.Finding) bool { return f.Problem == clickhouse.TwoLogs })
		if err := im.run(ctx, files, false, defaultBatchRows); err != nil {
			return err
		}
	}
	left, extent, err := v.db.Verify(ctx)
	if err != nil {
		return err
	}
	fixed := wrong - faults(left)
	if v.output == "table" && fixed > 0 {
		if _, err := fmt.Fprintf(v.out, "%d of %s mended\n", fixed, spell.Count(wrong, "problem", "problems")); err != nil {
			return err
		}
	}
	if err := v.print(left, extent); err != nil {
		return err
	}
	if n := faults(left); n > 0 {
		return errNotWell{n, "name the log files with these lines, or store files anew with bounceline import --again"}
	}
	return nil
}

// faults counts what is wrong: what was lost before it could be read, is no longer kept, or stands in two logs, is not.
func faults(found []clickhouse.Finding) (n int) {
	for _, f := range found {
		if f.Problem != clickhouse.Loss && f.Problem != clickhouse.NotKept && f.Problem != clickhouse.TwoLogs {
			n++
		}
	}
	return n
}

func (v *verifier) print(found []clickhouse.Finding, extent clickhouse.Extent) error {
	notKept, ok := extent.NotKept()
	switch {
	case ok && v.output == "table":
		if _, err := fmt.Fprintln(v.out, notKept); err != nil {
			return err
		}
	case ok:
		found = append([]clickhouse.Finding{notKept}, found...)
	}
	if v.output == "table" && len(found) == 0 && extent.Rows == 0 && extent.Ranges == 0 {
		_, err := fmt.Fprintln(v.out, nothingStored(v.db.where()))
		return err
	}
	if v.output == "table" && faults(found) == 0 {
		_, err := fmt.Fprintf(v.out, "all is well: %s, %s of %s; no gap, no overlap, no duplicate; ledger, rows and rollups agree\n",
			spell.Count(extent.Rows, "row", "rows"), spell.Count(extent.Ranges, "range", "ranges"), spell.Count(extent.Streams, "stream", "streams"))
		if err != nil || len(found) == 0 {
			return err
		}
		if _, err := fmt.Fprintln(v.out, "What is known besides:"); err != nil {
			return err
		}
	}
	columns := []string{"problem", "where", "what"}
	if v.output != "table" {
		columns = []string{"problem", "stream", "from", "to", "table", "hour", "count", "what"}
	}
	w := newRowWriter(v.out, v.output, columns)
	for _, f := range found {
		values := []any{string(f.Problem), f.Where(), f.String()}
		if v.output != "table" {
			hour := ""
			if f.Table != "" {
				hour = f.Hour.Format(time.RFC3339)
			}
			values = []any{string(f.Problem), f.Stream, f.From, f.To, f.Table, hour, f.Count, f.String()}
		}
		if err := w.Write(values); err != nil {
			return errors.Join(err, w.Close())
		}
	}
	return w.Close()
}

// forgotten takes out of the ledger what is known to be wrong with the content, so that it is read again, and returns what is
// left of what is known about it. Of a content that is stored under several names one is mended at a time: the others are twins,
// whose lines are not to be stored again.
func (im *importer) forgotten(ctx context.Context, in *input, known content.Known) (content.Known, []batch.Twin, error) {
	wrong := slices.IndexFunc(im.forget, func(f clickhouse.Finding) bool { return slices.Contains(known.Parts, f.Stream) })
	if wrong < 0 {
		return known, nil, nil
	}
	again := content.Known{Name: im.forget[wrong].Stream}
	for _, f := range im.forget {
		if f.Stream == again.Name && (f.Problem == clickhouse.Missing || f.Problem == clickhouse.Excess || f.Problem == clickhouse.Overlap) {
			if err := im.db.Forget(ctx, f.Stream, f.From, f.To); err != nil {
				return known, nil, err
			}
		}
	}
	ranges, err := im.db.Ledger(ctx, again.Name)
	if err != nil {
		return known, nil, err
	}
	for _, r := range ranges {
		if r.Stream == again.Name {
			again.Ranges = append(again.Ranges, r)
		}
	}
	var twins []batch.Twin
	for _, name := range known.Parts {
		if name != again.Name {
			twins = append(twins, batch.Twin{Stream: name, End: math.MaxInt64, Same: true})
		}
	}
	again.Doubt, err = in.length()
	return again, twins, err
}

// within returns an error if more is stored than a content of that size has.
func within(ranges []batch.Range, size int64) error {
	for _, r := range ranges {
		if r.To > size {
			return fmt.Errorf("this is an earlier, shorter copy of what is stored (%d of %d bytes): name the longest one", size, r.To)
		}
	}
	return nil
}

// removed takes the file's content out of the database, under all of its names, to be stored anew.
func (im *importer) removed(ctx context.Context, in *input, known content.Known) (content.Known, error) {
	size, err := in.length()
	if err != nil {
		return known, err
	}
	if err := within(known.Ranges, size); err != nil {
		return known, err
	}
	for _, name := range known.Parts {
		if err := im.db.Remove(ctx, name, max(size, known.Doubt)); err != nil {
			return known, fmt.Errorf("remove what is stored: %w", err)
		}
	}
	return content.Known{Name: known.Name, Doubt: size}, nil
}
