package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/spell"
	"bounceline/sinks/clickhouse"
)

func newForgetCommand() *cobra.Command {
	var db databaseFlags
	var sources, streams []string
	var yes, dry bool
	cmd := &cobra.Command{
		Use:   "forget FILES...|--source NAME|--stream NAME",
		Short: "Take out again what is stored of log files",
		Long: `Forget removes the rows of log files, their part of the hourly sums, and what the ledger says of them, as if they had never been
stored: for a file that was imported by mistake, or one of two that hold the same mail. Afterwards it can be imported again.

A file is known by its content: name it, or a copy of it. Where it is gone, --source takes all files that were read as an input of
that name (report --source), and --stream one, as verify names it.

It shows what goes and asks first. If it is interrupted, the next command that writes finishes it, and the same one takes the rest.
A file that run or ship still follows would come back: stop them, and take it out of what they follow.`,
		Example: `  bounceline forget --dry-run /var/log/syslog.1
  bounceline forget /var/log/syslog*
  bounceline forget --source syslog --yes`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args)+len(sources)+len(streams) == 0 {
				return usagef("name files, or what they were read as with --source, or streams with --stream")
			}
			if slices.Contains(args, "-") {
				return usagef("standard input is not read: name a file, --source stdin for all that was, or --stream")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := importOrder(args)
			if err != nil {
				return err
			}
			d, err := db.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer d.Close()
			f := &forgetter{db: d, out: newScreen(cmd.OutOrStdout())}
			defer f.unlock()
			if err := f.find(cmd.Context(), files, sources, streams); err != nil {
				return err
			}
			if err := f.show(); err != nil || len(f.found) == 0 {
				return err
			}
			if dry {
				_, err := fmt.Fprintln(cmd.OutOrStdout(), "nothing was removed: this was a dry run")
				return err
			}
			if err := f.lock(); err != nil {
				return err
			}
			if !yes && !confirmed(standardInput(cmd), cmd.ErrOrStderr()) {
				return errors.New("nothing was removed; --yes removes without asking")
			}
			return f.run(cmd.Context())
		},
	}
	db.register(cmd)
	cmd.Flags().StringArrayVar(&sources, "source", nil, "all files that were read as an input of this name")
	cmd.Flags().StringArrayVar(&streams, "stream", nil, "a stream, by its name")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show what would be removed, and remove nothing")
	return cmd
}

// confirmed asks, and reports whether the answer is yes.
func confirmed(in io.Reader, ask io.Writer) bool {
	fmt.Fprint(ask, "Remove this? [y/N] ")
	answer, _ := bufio.NewReader(in).ReadString('\n')
	return slices.Contains([]string{"y", "yes"}, strings.ToLower(strings.TrimSpace(answer)))
}

// A forgetter takes streams out of the database, and out of the checkpoints of its state directory.
type forgetter struct {
	db     *database
	out    *screen
	found  []clickhouse.Stored
	locked []*checkpoint.Store // those of imports, which keep other writers out
	follow *checkpoint.Store   // that of run, if there is one
}

// find looks up what is to go.
func (f *forgetter) find(ctx context.Context, files, sources, streams []string) error {
	var names []string
	for _, path := range files {
		parts, err := f.streamsOf(ctx, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if len(parts) == 0 {
			fmt.Fprintf(f.out, "%s: nothing of it is stored\n", escapeTerminal([]byte(path)))
		}
		names = append(names, parts...)
	}
	whole := slices.Clone(names) // all names of their contents
	for _, s := range sources {
		found, err := f.db.StoredFrom(ctx, s)
		if err != nil {
			return err
		}
		if len(found) == 0 {
			all, err := f.db.Sources(ctx)
			if err != nil {
				return err
			}
			return fmt.Errorf("nothing is stored from an input called %s%s", s, didYouMean(s, all))
		}
		for _, x := range found {
			names = append(names, x.Stream)
		}
	}
	names = append(names, streams...)
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if !content.IsName(name) {
			return fmt.Errorf("%s is no file's: what came through a pipe, the journal or a topic cannot be read again, and stays", name)
		}
		if !slices.Contains(whole, name) {
			if err := f.alone(ctx, name); err != nil {
				return err
			}
		}
	}
	var err error
	if f.found, err = f.db.Stored(ctx, names); err != nil {
		return err
	}
	for _, s := range streams {
		if !slices.ContainsFunc(f.found, func(x clickhouse.Stored) bool { return x.Stream == s }) {
			fmt.Fprintf(f.out, "%s: nothing of it is stored\n", escapeTerminal([]byte(s)))
		}
	}
	return f.out.Flush()
}

// streamsOf returns all names that the file's content is stored under.
func (f *forgetter) streamsOf(ctx context.Context, path string) ([]string, error) {
	im := &importer{db: f.db, options: parsers.Options{Dialect: "auto", AssumedZone: time.Local}, state: f.locks()}
	in, err := im.open(path)
	if err != nil {
		return nil, err
	}
	defer in.close()
	if in.head == nil {
		return nil, nil
	}
	known, err := content.Resolve(ctx, f.db, in.head, "", "", in.markers, func(name string) (bool, error) { return im.same(ctx, in, name) })
	if err != nil {
		return nil, err
	}
	size, err := in.length()
	if err != nil {
		return nil, err
	}
	return known.Parts, within(known.Ranges, size)
}

// alone returns an error if the stream was shipped, or one that begins alike was: only its content tells whether they are one.
func (f *forgetter) alone(ctx context.Context, name string) error {
	prefix, _ := content.PrefixOf(name)
	ranges, err := f.db.Ledger(ctx, prefix)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(ranges, func(r batch.Range) bool { return r.Via != "" || content.Tagged(prefix, r.Stream) }) {
		return fmt.Errorf("%s was shipped too, or a file that begins alike: name the file with the lines", name)
	}
	return nil
}

// locks is the directory of what keeps two from writing one stream.
func (f *forgetter) locks() string { return filepath.Join(f.db.StateDir, "import") }

// show prints what goes.
func (f *forgetter) show() error {
	if len(f.found) == 0 {
		return nil
	}
	t := newTable(f.out, tableForm{}, "source", "stream", "lines", "rows", "from (UTC)", "to (UTC)")
	at := func(x time.Time) any {
		if x.IsZero() {
			return nil
		}
		return x.UTC().Format(time.DateTime)
	}
	for _, s := range f.found {
		_ = t.Write([]any{s.Source, s.Stream, s.Lines, s.Rows, at(s.First), at(s.Last)}) // errors of the screen are told when it is flushed
	}
	_ = t.Close()
	return f.out.Flush()
}

// lock keeps others of this state directory from the streams.
func (f *forgetter) lock() error {
	if err := os.MkdirAll(f.locks(), 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	for _, s := range f.found {
		store, _, err := checkpoint.Open(filepath.Join(f.locks(), s.Stream), false)
		if errors.Is(err, checkpoint.ErrLocked) {
			return fmt.Errorf("%s is being stored by another process: stop it first", s.Source)
		}
		if err != nil {
			return err
		}
		f.locked = append(f.locked, store)
	}
	path := filepath.Join(f.db.StateDir, runCheckpoint)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	store, _, err := checkpoint.Open(path, false)
	if err == nil {
		f.follow = store
		return nil
	}
	if !errors.Is(err, checkpoint.ErrLocked) {
		return err
	}
	st, err := checkpoint.Read(path)
	if err == nil && f.follows(&st) {
		err = errors.New("bounceline run follows it: stop it first, and take the file out of what it follows")
	}
	return err
}

// follows reports whether the checkpoint is about one of the streams.
func (f *forgetter) follows(st *checkpoint.State) bool {
	return slices.ContainsFunc(st.Streams, func(s checkpoint.Stream) bool { return f.takes(s.Name) }) || f.flies(st)
}

// flies reports whether the batch that may be in flight has lines of one of the streams.
func (f *forgetter) flies(st *checkpoint.State) bool {
	return st.Intent != nil && slices.ContainsFunc(st.Intent.Ranges, func(r batch.Range) bool { return f.takes(r.Stream) })
}

func (f *forgetter) takes(stream string) bool {
	return slices.ContainsFunc(f.found, func(s clickhouse.Stored) bool { return s.Stream == stream })
}

// run removes. The checkpoint goes first: without it a file is looked up in the database, but one that the database lacks and the
// checkpoint has stops run.
func (f *forgetter) run(ctx context.Context) error {
	if f.follow != nil {
		st := f.follow.State()
		if f.follows(&st) {
			if err := f.follow.Update(f.drop); err != nil {
				return err
			}
		}
	}
	lines, rows := uint64(0), uint64(0)
	for _, s := range f.found {
		if err := f.db.DropLosses(ctx, s.Stream); err != nil {
			return err
		}
		if err := f.db.Remove(ctx, s.Stream, math.MaxInt64); err != nil {
			return fmt.Errorf("%s: %w; run it again to remove the rest", s.Source, err)
		}
		mine := f.locked[0]
		f.locked = f.locked[1:] // its lock's file may soon be another one's
		if err := mine.Remove(); err != nil {
			return err
		}
		lines, rows = lines+s.Lines, rows+s.Rows
	}
	_, err := fmt.Fprintf(f.out, "removed: %s of %s\n", spell.Count(rows, "row", "rows"), spell.Count(lines, "line", "lines"))
	return errors.Join(err, f.out.Flush())
}

// drop takes the streams out of run's checkpoint. What else was in flight with their lines is found in the database.
func (f *forgetter) drop(st *checkpoint.State) {
	if f.flies(st) {
		st.Intent = nil
	}
	st.Streams = slices.DeleteFunc(st.Streams, func(s checkpoint.Stream) bool { return f.takes(s.Name) })
	st.Losses = slices.DeleteFunc(slices.Clone(st.Losses), func(l checkpoint.Loss) bool { return f.takes(l.Stream) })
}

// unlock lets others have what is still there.
func (f *forgetter) unlock() {
	for _, s := range f.locked {
		_ = s.Release()
	}
	if f.follow != nil {
		_ = f.follow.Close()
	}
}
