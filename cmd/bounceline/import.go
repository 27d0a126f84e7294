package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
	"bounceline/pipeline/classify"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/stream"
	"bounceline/pipeline/spell"
	"bounceline/sinks/clickhouse"
	"bounceline/sinks/clickhouse/local"
)

// importRetry is how long a batch is tried before an import gives up; run tries for ever.
const importRetry = 2 * time.Minute

// defaultBatchRows is how many rows one insert has at the most.
const defaultBatchRows = 100_000

// settled is how old a file's last change must be for its last line, where it has no newline, to count as a line: younger
// files may still be written.
const settled = time.Minute

func newImportCommand() *cobra.Command {
	var db databaseFlags
	var reading readingFlags
	var rules ruleFlags
	var raw, again bool
	var rows int
	cmd := &cobra.Command{
		Use:   "import FILES...|-",
		Short: "Store finished log files, each line once",
		Long: `Import reads log files, plain or compressed (gzip, zstd, xz, bzip2, found by content), or standard input, and stores
the delivery events in them. A file is known by its content: what is stored already is not stored again, whatever the file
is called, however it is compressed, and whoever stored it. A file that has grown adds its tail. An import that was
interrupted is finished by running it again.

With --again the rows of these files, and no others, are removed and stored anew: for other rules, or another time zone. An
interrupted one is finished in the same way: by running it again.`,
		Example: `  bounceline import /var/log/mail.log*
  zcat mail.log.*.gz | bounceline import -
  bounceline import --again --log-zone Europe/Berlin mail.log.3.gz
  bounceline import --clickhouse clickhouse://writer@db.example.org:9440/?secure=true /var/log/exim4/mainlog*`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("name at least one file, or - for standard input")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if rows < 1 || rows > 1_000_000 {
				return usagef("--batch-rows %d: it is between 1 and 1000000", rows)
			}
			options, err := reading.options()
			if err != nil {
				return err
			}
			if again && slices.Contains(args, "-") {
				return usagef("--again replaces what is stored of a file: name a file, not standard input")
			}
			inputs, err := importOrder(args)
			if err != nil {
				return err
			}
			engine, err := rules.engine()
			if err != nil {
				return err
			}
			d, err := db.open(cmd.Context(), false)
			if err != nil {
				return err
			}
			defer d.Close()
			im := &importer{db: d, options: options, stdin: standardInput(cmd), out: cmd.OutOrStdout(), progress: cmd.ErrOrStderr(),
				engine: engine, pool: pipeline.NewBuffers(6), state: filepath.Join(d.StateDir, "import"), again: again}
			return im.run(cmd.Context(), inputs, raw, rows)
		},
	}
	db.register(cmd)
	reading.register(cmd)
	rules.register(cmd)
	cmd.Flags().BoolVar(&raw, "store-raw", false, "keep the whole line in column raw")
	cmd.Flags().BoolVar(&again, "again", false, "remove what is stored of these files, and store them anew")
	cmd.Flags().IntVar(&rows, "batch-rows", defaultBatchRows, "rows in one insert, up to 1000000")
	return cmd
}

// importOrder checks that each file is there and readable before anything is stored, and puts older files first, so that
// a message that was accepted in one and delivered in the next is joined.
func importOrder(paths []string) ([]string, error) {
	type input struct {
		path string
		time time.Time
	}
	var inputs []input
	var errs []error
	for _, p := range paths {
		if p == "-" {
			inputs = append(inputs, input{p, time.Now()})
			continue
		}
		f, err := content.Open(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		f.Close()
		st, err := os.Stat(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		inputs = append(inputs, input{p, st.ModTime()})
	}
	slices.SortStableFunc(inputs, func(a, b input) int { return a.time.Compare(b.time) })
	out := make([]string, len(inputs))
	for i, in := range inputs {
		out[i] = in.path
	}
	return out, errors.Join(errs...)
}

// An importer stores files one after the other.
type importer struct {
	db       *database
	options  parsers.Options
	stdin    io.Reader
	out      io.Writer
	progress io.Writer
	engine   *classify.Engine
	pool     *pipeline.Buffers
	runner   *pipeline.Runner
	journal  journalSwitch
	state    string
	added    []string             // streams that rows were added to
	again    bool                 // what is stored of the files is removed first
	forget   []clickhouse.Finding // what is wrong with what is stored, to be read again
}

// journalSwitch is the journal of the file at hand.
type journalSwitch struct{ pipeline.Journal }

func (im *importer) run(ctx context.Context, paths []string, raw bool, rows int) error {
	if err := os.MkdirAll(im.state, 0o700); err != nil {
		return fmt.Errorf("state directory: %w", err)
	}
	im.runner = pipeline.NewRunner(pipeline.Config{
		Classifier: im.engine, Context: qctx.New(contextMemory), Sink: im.db, Audit: im.db, Compare: im.db, Isolate: im.db.Isolate, Dead: deadLetters(im.db.StateDir), Journal: &im.journal, Buffers: im.pool,
		Retryable: func(err error) bool { return clickhouse.Retryable(err) && !errors.Is(err, local.ErrFull) }, Log: slog.Default(), RetryFor: importRetry, StoreRaw: raw, MaxRows: rows,
		MaxDelay: time.Hour, IdleDelay: time.Hour, // a finite input seals by size
		Attempt: im.attempt(),
	})
	for i, path := range paths {
		if err := im.file(ctx, path, i < len(paths)-1); err != nil {
			if ctx.Err() != nil {
				fmt.Fprintf(im.progress, "%s: not finished; what is stored stays, and the same import run again stores the rest\n", escapeTerminal([]byte(path)))
			}
			return fmt.Errorf("%s: %w", path, cutShort(err, "stored"))
		}
	}
	return im.tellTwoLogs(ctx)
}

// tellTwoLogs says where what was stored now is in another log, too.
func (im *importer) tellTwoLogs(ctx context.Context) error {
	if im.added == nil {
		return nil
	}
	found, err := im.db.TwoLogs(ctx, im.added...)
	if err != nil {
		return fmt.Errorf("all is stored, but: %w", err)
	}
	for _, f := range found {
		fmt.Fprintf(im.progress, "%s: %s; count one of the two with report --source, or take one out with bounceline forget\n", escapeTerminal([]byte(f.Source)), escapeTerminal([]byte(f.String())))
	}
	return nil
}

// file stores one file. If it is stored already it is read only if others follow, for the context that it gives them.
func (im *importer) file(ctx context.Context, path string, followed bool) error {
	in, err := im.open(path)
	if err != nil {
		return err
	}
	defer in.close()
	if in.head == nil {
		fmt.Fprintf(im.out, "%s: empty\n", escapeTerminal([]byte(path)))
		return nil
	}
	if looksBinary(in.read) {
		return errBinary
	}
	known, store, err := im.claim(ctx, in)
	if err != nil {
		return err
	}
	defer store.Close()
	var twins []batch.Twin
	switch {
	case im.again:
		known, err = im.removed(ctx, in, known)
	case im.forget != nil:
		known, twins, err = im.forgotten(ctx, in, known)
	}
	if err != nil {
		return err
	}
	if err := in.rewind(); err != nil {
		return err
	}
	s := &pipeline.Stream{Name: known.Name, Source: sourceName(path), Path: path, Parser: im.options, Reference: in.modified,
		Stored: content.Spans(known.Ranges), Doubt: known.Doubt, Twins: twins}
	if len(known.Ranges) > 0 && known.Ranges[0].From == 0 {
		s.Anchor = known.Ranges[0].Anchor
	}
	if intent := store.State().Intent; intent != nil && len(intent.Ranges) == 1 {
		r := intent.Ranges[0]
		if !covers(s.Stored, r.From, r.To) {
			s.Intent = pipeline.Span{From: r.From, To: r.To}
			if r.From == 0 {
				s.Anchor = r.Anchor
			}
		}
	}
	already := linesOf(known.Ranges)
	if !followed && in.size >= 0 && covers(s.Stored, 0, in.size) {
		fmt.Fprintf(im.out, "%s: already stored: %s\n", escapeTerminal([]byte(path)), spell.Count(already, "line", "lines"))
		return store.Remove()
	}
	before := im.totals()
	if err := im.send(ctx, in, s, store); err != nil {
		return err
	}
	if im.totals().rows > before.rows {
		im.added = append(im.added, known.Name)
	}
	im.summary(path, before, already)
	return store.Remove()
}

// linesOf is how many lines the ranges, which are sorted, have: those that two streams have are counted once.
func linesOf(ranges []batch.Range) (lines uint64) {
	at := int64(0)
	for _, r := range ranges {
		if r.To > at {
			lines, at = lines+r.Lines, r.To
		}
	}
	return lines
}

// attempt tells the tokens of an import that stores anew from those of the one before, which the server may remember.
func (im *importer) attempt() string {
	if !im.again {
		return ""
	}
	return "/again-" + strings.ToLower(rand.Text())
}

// claim names the content and locks its stream. Where another process writes it, claim says so, waits, and asks again.
func (im *importer) claim(ctx context.Context, in *input) (content.Known, *checkpoint.Store, error) {
	for {
		known, err := content.Resolve(ctx, im.db, in.head, "", "", in.markers, func(name string) (bool, error) { return im.same(ctx, in, name) })
		if err != nil {
			return known, nil, err
		}
		path := filepath.Join(im.state, known.Name)
		store, notes, err := checkpoint.Open(path, false)
		if errors.Is(err, checkpoint.ErrLocked) {
			fmt.Fprintf(im.progress, "%s is being stored by another process; waiting for it\n", escapeTerminal([]byte(in.path)))
			store, notes, err = checkpoint.Open(path, true)
			if err == nil {
				store.Close()
				continue
			}
		}
		if err != nil {
			return known, nil, err
		}
		for _, n := range notes {
			slog.Warn("checkpoint", "note", n)
		}
		return known, store, nil
	}
}

// send runs the pipeline over the file.
func (im *importer) send(ctx context.Context, in *input, s *pipeline.Stream, store *checkpoint.Store) error {
	im.journal.Journal = store
	sending, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	chunks := make(chan pipeline.Chunk)
	read := make(chan error, 1)
	go func() {
		defer close(chunks)
		read <- stream.Send(sending, in.file, s, im.pool, chunks, !in.growing)
	}()
	stop := im.showProgress(in)
	err := im.runner.Run(ctx, chunks)
	stop()
	cancel(err)
	for c := range chunks {
		im.pool.Give(c.Buffer)
	}
	if err != nil {
		return err
	}
	return <-read
}

// same reports whether the input is an earlier, shorter copy of the stream.
func (im *importer) same(ctx context.Context, in *input, name string) (bool, error) {
	if err := in.rewind(); err != nil {
		return false, err
	}
	return im.db.sameRows(ctx, in.file, im.options, in.modified, name)
}

type totals struct{ lines, events, context, other, malformed, rows int64 }

func (im *importer) totals() totals {
	c := im.runner.Counts
	return totals{c.Lines.Load(), c.Events.Load(), c.Context.Load(), c.Other.Load(), c.Malformed.Load(), c.Rows.Load()}
}

func (im *importer) summary(path string, before totals, already uint64) {
	t := im.totals()
	if already > 0 {
		fmt.Fprintf(im.out, "%s: already stored: %s\n", escapeTerminal([]byte(path)), spell.Count(already, "line", "lines"))
		if t.lines == before.lines {
			return
		}
	}
	fmt.Fprintf(im.out, "%s: %s, %s added (%s, %d context, %d other, %d malformed)\n", escapeTerminal([]byte(path)),
		spell.Count(t.lines-before.lines, "line", "lines"), spell.Count(t.rows-before.rows, "row", "rows"), spell.Count(t.events-before.events, "event", "events"),
		t.context-before.context, t.other-before.other, t.malformed-before.malformed)
	if hint := unread(path, t.lines-before.lines, t.events-before.events+t.context-before.context, t.malformed-before.malformed); hint != "" && already == 0 {
		fmt.Fprintln(im.progress, hint)
	}
}

// covers reports whether the spans, which are sorted and do not touch, hold all of [from, to).
func covers(spans []pipeline.Span, from, to int64) bool {
	i, found := slices.BinarySearchFunc(spans, from, func(s pipeline.Span, at int64) int { return cmp.Compare(s.From, at) })
	if !found {
		i--
	}
	return from >= to || i >= 0 && spans[i].To >= to
}

// sourceName is the configured input name of a file that no configuration names.
func sourceName(path string) string {
	if path == "-" {
		return "stdin"
	}
	return filepath.Base(path)
}

var errBinary = errors.New("this is no log: it holds binary data (compressed files are recognised if they are gzip, zstd, xz or bzip2)")

// looksBinary reports whether a file's first bytes are no text: more than one in ten is a control character that logs do
// not hold, or more than one in three is that or no UTF-8. Leading NUL bytes are what a crash leaves in a log, and are passed
// over.
func looksBinary(head []byte) bool {
	head = bytes.TrimLeft(head, "\x00")
	control, foreign := 0, 0
	for rest := head; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			foreign++
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r' && r != 0x1b:
			control++
		}
		rest = rest[n:]
	}
	return control*10 > len(head) || (control+foreign)*3 > len(head)
}
