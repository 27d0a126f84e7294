package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"bounceline/parsers"
	"bounceline/pipeline"
	"bounceline/pipeline/classify"
	qctx "bounceline/pipeline/context"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/stream"
	"bounceline/pipeline/spell"
)

// contextMemory bounds what is remembered of messages in the queue.
const contextMemory = 64 << 20

type parseOptions struct {
	reading   readingFlags
	rules     ruleFlags
	output    string
	all       bool
	malformed bool
}

func newParseCommand() *cobra.Command {
	var o parseOptions
	cmd := &cobra.Command{
		Use:   "parse [FILES...|-]",
		Short: "Show what log lines say, storing nothing",
		Long: `Parse reads log files, plain or compressed, or standard input, and prints the delivery events in them.
Nothing is stored and no database is needed.`,
		Example: `  bounceline parse /var/log/mail.log
  bounceline parse --output ndjson /var/log/mail.log.2.gz | jq -r .recipient
  journalctl -fu postfix -o short-iso | bounceline parse -
  bounceline parse --malformed /var/log/exim4/mainlog     lines that were not understood, and why
  bounceline parse --all --output ndjson mail.log         one object for every line`,
		RunE: func(cmd *cobra.Command, args []string) error { return o.run(cmd, args) },
	}
	o.reading.register(cmd)
	o.rules.register(cmd)
	f := cmd.Flags()
	f.StringVarP(&o.output, "output", "o", "table", "table, ndjson, or for measuring: none (read each line and print nothing), lines (only split the lines)")
	f.BoolVar(&o.all, "all", false, "one object for every input line, in order, with its verdict (implies ndjson)")
	f.BoolVar(&o.malformed, "malformed", false, "print the lines that were not understood, each with its reason")
	return cmd
}

func (o *parseOptions) run(cmd *cobra.Command, args []string) error {
	if o.all && !cmd.Flags().Changed("output") {
		o.output = "ndjson"
	}
	if !slices.Contains([]string{"table", "ndjson", "none", "lines"}, o.output) {
		return usagef("--output %s: it is table, ndjson, none or lines", o.output)
	}
	if o.all && o.output != "ndjson" {
		return usagef("--all needs --output ndjson")
	}
	options, err := o.reading.options()
	if err != nil {
		return err
	}
	if len(args) == 0 {
		args = []string{"-"}
	}
	var engine *classify.Engine
	if o.output != "none" && o.output != "lines" {
		if engine, err = o.rules.engine(); err != nil {
			return err
		}
	}
	out := bufio.NewWriterSize(cmd.OutOrStdout(), 256<<10)
	p := &printer{o: o, out: out, engine: engine, context: qctx.New(contextMemory),
		silent: o.output == "none", splitOnly: o.output == "lines"}
	if o.output == "table" && !o.malformed {
		p.table = newTable(screenOf(cmd.OutOrStdout(), out), eventForm, "time (UTC)", "queue id", "recipient", "relay", "outcome", "type", "category", "code", "reply")
	}
	for _, path := range args {
		p.live = isLive(path, cmd.InOrStdin())
		if err := p.file(cmd.Context(), path, options, standardInput(cmd)); err != nil {
			return errors.Join(p.end(), err)
		}
	}
	if err := p.end(); err != nil {
		return err
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s: %s, %d context, %d other, %d malformed; %s\n", spell.Count(p.lines, "line", "lines"),
		spell.Count(p.classes[record.Event], "event", "events"), p.classes[record.Context], p.classes[record.Other], p.classes[record.Malformed],
		spell.Count(p.rows, "row", "rows"))
	told := p.classes[record.Event] + p.classes[record.Context]
	if hint := unread(strings.Join(args, " "), int64(p.lines), int64(told), int64(p.classes[record.Malformed])); hint != "" && !o.malformed && !p.splitOnly {
		fmt.Fprintln(cmd.ErrOrStderr(), hint)
	}
	return nil
}

// printer prints what lines gave.
type printer struct {
	o       *parseOptions
	out     *bufio.Writer
	table   *tableWriter
	engine  *classify.Engine
	context *qctx.Table
	result  record.Result
	buf     []byte

	silent, splitOnly bool // what --output says

	live  bool      // more may come at any time
	since time.Time // when the first row came that the table holds back

	lines, rows int
	classes     [5]int
}

// end prints what is left.
func (p *printer) end() error {
	if p.table != nil {
		if err := p.table.Close(); err != nil {
			return err
		}
	}
	return p.out.Flush()
}

// file prints one file. It reads while it prints.
func (p *printer) file(ctx context.Context, path string, options parsers.Options, stdin io.Reader) error {
	f, reference, err := openInput(path, stdin)
	if err != nil {
		return err
	}
	defer f.Close()
	parser, err := parsers.NewStream(options)
	if err != nil {
		return err
	}
	parser.SetReference(reference)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pool := pipeline.NewBuffers(4)
	chunks := make(chan pipeline.Chunk)
	failed := make(chan error, 1)
	s := &pipeline.Stream{Source: path, Path: path}
	go func() {
		failed <- stream.Send(ctx, f, s, pool, chunks, true)
		close(chunks)
	}()
	for {
		c, ok, err := p.next(chunks)
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		at := c.Offset
		for data := c.Data; len(data) > 0; {
			line := data
			if i := bytes.IndexByte(data, '\n'); i >= 0 {
				line, data = data[:i], data[i+1:]
			} else {
				data = nil
			}
			if err := p.line(parser, s, line[:min(len(line), pipeline.MaxLine)], at); err != nil {
				return err
			}
			at += int64(len(line)) + 1
		}
		pool.Give(c.Buffer)
	}
	if err := <-failed; err != nil {
		return fmt.Errorf("%s: %w", path, cutShort(err, "shown"))
	}
	return nil
}

// How long rows of a table are held back, whose columns are as wide as all of it needs: until nothing more comes for a while, or for
// as long as people wait.
const (
	lull     = 200 * time.Millisecond
	patience = time.Second
)

// next returns the next chunk. Where none is there yet it lets out what there is, for whoever waits behind a pipe; the rows of a table
// soon after.
func (p *printer) next(chunks <-chan pipeline.Chunk) (pipeline.Chunk, bool, error) {
	var held time.Duration
	holds := p.live && p.table != nil && len(p.table.rows) > 0
	if holds {
		held = time.Since(p.since)
	}
	if held < patience {
		select {
		case c, ok := <-chunks:
			return c, ok, nil
		default:
		}
	}
	if err := p.out.Flush(); err != nil {
		return pipeline.Chunk{}, false, err
	}
	if holds {
		timer := time.NewTimer(min(lull, patience-held))
		defer timer.Stop()
		select {
		case c, ok := <-chunks:
			return c, ok, nil
		case <-timer.C:
		}
		if err := errors.Join(p.table.Flush(), p.out.Flush()); err != nil {
			return pipeline.Chunk{}, false, err
		}
	}
	c, ok := <-chunks
	return c, ok, nil
}

// isLive reports whether the file, or standard input, is one that somebody may be writing to while it is read.
func isLive(path string, stdin io.Reader) bool {
	if path != "-" {
		st, err := os.Stat(path)
		return err == nil && !st.Mode().IsRegular()
	}
	f, ok := stdin.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && !st.Mode().IsRegular()
}

func (p *printer) line(parser *parsers.Stream, s *pipeline.Stream, line []byte, at int64) error {
	res := &p.result
	p.lines++
	if p.splitOnly {
		return nil
	}
	parser.Parse(line, res)
	p.classes[res.Class]++
	if p.silent {
		p.rows += res.Rows.Len()
		if !p.o.malformed || res.Class != record.Malformed {
			return nil
		}
	}
	if res.Class == record.Malformed && p.o.malformed {
		_, err := fmt.Fprintf(p.out, "%s: line %d: %s: %s\n", escapeTerminal([]byte(s.Path)), p.lines, res.Kind, escapeTerminal(line))
		return err
	}
	p.context.Enrich(res)
	rows := res.Rows.All()
	for i := range rows {
		rows[i].Source, rows[i].Pos = []byte(s.Source), uint64(at)
		rows[i].Class = p.engine.Classify(&rows[i])
	}
	p.context.Remember(res)
	p.rows += len(rows)
	switch {
	case p.o.malformed:
		return nil
	case p.o.all:
		return p.object(res)
	case p.table != nil:
		if p.live && len(rows) > 0 && len(p.table.rows) == 0 {
			p.since = time.Now()
		}
		for i := range rows {
			if err := p.table.Write(eventCells(&rows[i])); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range rows {
		p.buf = append(appendRow(append(p.buf[:0], '{'), &rows[i]), "}\n"...)
		if _, err := p.out.Write(p.buf); err != nil {
			return err
		}
	}
	return nil
}

// object writes the object that --all gives for a line.
func (p *printer) object(res *record.Result) error {
	b := append(p.buf[:0], `{"line":`...)
	b = strconv.AppendInt(b, int64(p.lines), 10)
	b = append(append(append(b, `,"verdict":"`...), res.Class.String()...), `","kind":`...)
	b = appendString(b, []byte(res.Kind))
	rows := res.Rows.All()
	if len(rows) > 0 {
		b = appendRow(append(b, ','), &rows[0])
	}
	if len(rows) > 1 {
		b = append(b, `,"rows":[`...)
		for i := range rows {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendRow(append(b, '{'), &rows[i]), '}')
		}
		b = append(b, ']')
	}
	p.buf = append(b, "}\n"...)
	_, err := p.out.Write(p.buf)
	return err
}

// eventForm is the form of the table of events.
var eventForm = tableForm{optional: []string{"type", "relay", "code", "queue id", "time (UTC)"}, widest: map[string]int{"reply": 80, "recipient": 48, "relay": 40}}

func eventCells(r *record.Row) []any {
	code := ""
	if r.SMTPCode > 0 {
		code = strconv.Itoa(int(r.SMTPCode)) + " "
	}
	relay := r.RelayHost
	if len(relay) == 0 {
		relay = r.Relay
	}
	return []any{time.UnixMilli(r.EventTime).UTC().Format("2006-01-02 15:04:05"), r.QueueID, r.Recipient, relay, r.Outcome.String(),
		r.Class.BounceType, r.Class.Category, code + string(r.EnhancedCode), r.ResponseText}
}

// openInput opens a file or, for "-", standard input, and says what the time is that years are inferred from.
func openInput(path string, stdin io.Reader) (*content.File, time.Time, error) {
	if path == "-" {
		f, err := content.Decode(stdin)
		return f, time.Now(), err
	}
	f, err := content.Open(path)
	if err != nil {
		return nil, time.Time{}, err
	}
	st, err := os.Stat(path)
	if err != nil {
		f.Close()
		return nil, time.Time{}, err
	}
	return f, st.ModTime(), nil
}
