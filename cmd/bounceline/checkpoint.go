package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
)

// runCheckpoint is the name of the checkpoint of run in its state directory.
const runCheckpoint = "run.checkpoint"

func newCheckpointCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Positions from which files are read on: list, show, set and repair them",
		Long: `A checkpoint says which contents run follows, how far each is stored, and which batch may be in flight. It saves work and
decides nothing: what is stored is what the ledger in the database says. Where the database knows less than the checkpoint,
run stops that file; after checkpoint repair it goes on from what the ledger has.`,
		Example: `  bounceline checkpoint list
  bounceline checkpoint show run.checkpoint
  bounceline checkpoint repair`,
		Args: noCommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheckpointListCommand(), newCheckpointShowCommand(), newCheckpointSetCommand(), newCheckpointRepairCommand())
	return cmd
}

// checkpoints returns the names of the checkpoints of a state directory, below it.
func checkpoints(stateDir string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"*.checkpoint", "import/file-*"} {
		paths, err := filepath.Glob(filepath.Join(escapePattern(stateDir), pattern))
		if err != nil {
			return nil, err
		}
		for _, p := range paths {
			switch filepath.Ext(p) {
			case ".lock", ".previous", ".new", ".damaged":
				continue
			}
			name, err := filepath.Rel(stateDir, p)
			if err != nil {
				return nil, err
			}
			out = append(out, name)
		}
	}
	return out, nil
}

func escapePattern(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

func newCheckpointListCommand() *cobra.Command {
	var db databaseFlags
	var output string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the streams in all checkpoints",
		Example: `  bounceline checkpoint list --output csv`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			names, err := checkpoints(db.directory())
			if err != nil {
				return err
			}
			if len(names) == 0 && output == "table" {
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "there are no checkpoints in %s\n", db.directory())
				return err
			}
			return listCheckpoints(cmd.OutOrStdout(), output, db.directory(), names)
		},
	}
	db.registerState(cmd)
	registerOutput(cmd, &output)
	return cmd
}

func listCheckpoints(out io.Writer, output, dir string, names []string) error {
	w := newRowWriter(out, output, []string{"checkpoint", "stream", "path", "stored_to", "in_flight_to", "seen"})
	var damaged []error
	for _, name := range names {
		st, err := checkpoint.Read(filepath.Join(dir, name))
		if err != nil {
			damaged = append(damaged, err)
			continue
		}
		flying := map[string]int64{}
		if st.Intent != nil {
			for _, r := range st.Intent.Ranges {
				flying[r.Stream] = r.To
			}
		}
		for _, s := range st.Streams {
			if err := w.Write([]any{name, s.Name, s.Path, s.Next, max(flying[s.Name], s.Next), s.Seen.UTC()}); err != nil {
				return errors.Join(err, w.Close())
			}
			delete(flying, s.Name)
		}
		if st.Intent == nil {
			continue
		}
		for _, r := range st.Intent.Ranges {
			if _, left := flying[r.Stream]; !left {
				continue
			}
			if err := w.Write([]any{name, r.Stream, "", r.From, r.To, st.Intent.Sealed.UTC()}); err != nil {
				return errors.Join(err, w.Close())
			}
		}
	}
	return errors.Join(append(damaged, w.Close())...)
}

func newCheckpointShowCommand() *cobra.Command {
	var db databaseFlags
	cmd := &cobra.Command{
		Use:     "show [CHECKPOINT]",
		Short:   "Show a checkpoint whole, as JSON; without a name that of run",
		Example: `  bounceline checkpoint show run.checkpoint`,
		Args:    atMostOne("one checkpoint at a time, as bounceline checkpoint list names it"),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := runCheckpoint
			if len(args) > 0 {
				name = args[0]
			}
			if !filepath.IsLocal(name) {
				return usagef("%s is no checkpoint of %s: see bounceline checkpoint list", name, db.directory())
			}
			st, err := checkpoint.Read(filepath.Join(db.directory(), name))
			if errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no %s in %s: see bounceline checkpoint list", name, db.directory())
			}
			if err != nil {
				return err
			}
			data, err := json.MarshalIndent(st, "", "  ")
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(append(escapeJSON(data), '\n'))
			return err
		},
	}
	db.registerState(cmd)
	return cmd
}

// atMostOne is the Args of commands that take one argument or none.
func atMostOne(otherwise string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return usagef("%s", otherwise)
		}
		return nil
	}
}

func newCheckpointSetCommand() *cobra.Command {
	var db databaseFlags
	cmd := &cobra.Command{
		Use:   "set STREAM POSITION",
		Short: "Say up to which position a stream counts as stored",
		Long: `Set changes what the checkpoint of run holds to be stored of a stream, which must be where a line begins. It changes nothing
that is stored: where the ledger knows more, lines are not stored twice; where it knows less, run stops the file.
Bounceline run must not be running.`,
		Example: `  bounceline checkpoint set file-0c5c…-0 18922`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usagef("name a stream and a position")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := strconv.ParseInt(args[1], 10, 64)
			if err != nil || at < 0 {
				return usagef("position %q: it is a number of bytes", args[1])
			}
			return changeRunCheckpoint(cmd, db.directory(), func(st *checkpoint.State) (string, error) {
				for i := range st.Streams {
					if s := &st.Streams[i]; s.Name == args[0] {
						said := fmt.Sprintf("%s: stored to %d, was %d\n", s.Name, at, s.Next)
						s.Next, s.Marker = at, ""
						return said, nil
					}
				}
				return "", fmt.Errorf("the checkpoint has no stream %s: see bounceline checkpoint list", args[0])
			})
		},
	}
	db.registerState(cmd)
	return cmd
}

func newCheckpointRepairCommand() *cobra.Command {
	var db databaseFlags
	cmd := &cobra.Command{
		Use:   "repair",
		Short: "Make the checkpoint of run say what the ledger says",
		Long: `Repair sets the position of each stream to the end of what the ledger in the database has of it without a gap, and forgets
the batch that may be in flight: what is stored of it is found when its lines are read again. Use it when the database was
restored from a backup. Bounceline run must not be running.`,
		Example: `  bounceline checkpoint repair`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := os.Stat(filepath.Join(db.directory(), runCheckpoint)); errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("there is no checkpoint of run in %s: nothing is to be repaired", db.directory())
			}
			d, err := db.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer d.Close()
			return changeRunCheckpoint(cmd, d.StateDir, func(st *checkpoint.State) (string, error) {
				return repairCheckpoint(cmd.Context(), d, st)
			})
		},
	}
	db.register(cmd)
	return cmd
}

// changeRunCheckpoint changes the checkpoint of run, unless run uses it, and prints what was said of the change.
func changeRunCheckpoint(cmd *cobra.Command, dir string, change func(*checkpoint.State) (string, error)) error {
	store, notes, err := checkpoint.Open(filepath.Join(dir, runCheckpoint), false)
	if errors.Is(err, checkpoint.ErrLocked) {
		return fmt.Errorf("bounceline run uses the checkpoint in %s: stop it first", dir)
	}
	if err != nil {
		return err
	}
	defer store.Close()
	for _, n := range notes {
		fmt.Fprintln(cmd.ErrOrStderr(), n)
	}
	st := store.State()
	said, err := change(&st)
	if err != nil {
		return err
	}
	if err := store.Update(func(s *checkpoint.State) { *s = st }); err != nil {
		return err
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), said)
	return err
}

// repairCheckpoint takes the positions from the ledger.
func repairCheckpoint(ctx context.Context, l content.Ledger, st *checkpoint.State) (string, error) {
	var said strings.Builder
	for i := range st.Streams {
		s := &st.Streams[i]
		ranges, err := l.Ledger(ctx, s.Name)
		if err != nil {
			return "", err
		}
		at, marker := storedOf(ranges, s.Name)
		fmt.Fprintf(&said, "%s: stored to %d, was %d\n", s.Name, at, s.Next)
		s.Next, s.Marker = at, marker
	}
	if st.Intent != nil {
		fmt.Fprintf(&said, "the batch in flight is forgotten: %s\n", st.Intent.ID)
		st.Intent = nil
	}
	if said.Len() == 0 {
		return "the checkpoint is empty: nothing is to be repaired\n", nil
	}
	return said.String(), nil
}

// storedOf returns the end of what is stored of the stream from its beginning on without a gap, and the marker there.
func storedOf(ranges []batch.Range, stream string) (at int64, marker string) {
	for _, r := range ranges { // sorted by position
		if r.Stream == stream && r.From <= at && r.To > at {
			at, marker = r.To, r.Marker
		}
	}
	return at, marker
}
