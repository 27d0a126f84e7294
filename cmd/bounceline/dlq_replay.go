package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/classify"
	"bounceline/pipeline/dlq"
	"bounceline/pipeline/record"
	"bounceline/pipeline/shipped"
	"bounceline/pipeline/source/content"
	"bounceline/pipeline/source/kafka"
	"bounceline/pipeline/spell"
)

// A replayer stores dead letters.
type replayer struct {
	db      *database
	file    dlq.File
	options parsers.Options
	engine  *classify.Engine
	out     io.Writer
}

// removedAtOnce is how many letters are taken out of the file together, which is written anew for it. One that is stored and still
// there is stored no second time.
const removedAtOnce = 1000

func (r *replayer) run(ctx context.Context, letters []dlq.Entry) error {
	stored := 0
	var failed []error
	for some := range slices.Chunk(letters, removedAtOnce) {
		var done []dlq.Entry
		for i := range some {
			if ctx.Err() != nil {
				break
			}
			if err := r.replay(ctx, &some[i]); err != nil {
				failed = append(failed, fmt.Errorf("%s: %w", nameOf(&some[i]), err))
				continue
			}
			done = append(done, some[i])
		}
		if len(done) == 0 {
			continue
		}
		if err := r.file.Remove(done); err != nil {
			return err
		}
		stored += len(done)
	}
	if _, err := fmt.Fprintf(r.out, "%d of %s stored\n", stored, spell.Count(len(letters), "dead letter", "dead letters")); err != nil {
		return err
	}
	return errors.Join(append(failed, context.Cause(ctx))...)
}

// A replay is a dead letter as it is stored.
type replay struct {
	shipped.Origin // Stream, From, To and Source, and of a shipped line the rest
	options        parsers.Options
	index          uint64
	line           []byte
}

// replay stores one line, unless it has been.
func (r *replayer) replay(ctx context.Context, e *dlq.Entry) error {
	x, err := r.identify(e)
	if err != nil {
		return err
	}
	known, err := r.known(ctx, &x)
	if err != nil {
		return err
	}
	b, err := r.batch(e, &x)
	switch {
	case err != nil:
		return err
	case b.Rows == 0 && known:
		return errors.New("it is no delivery event: was it read with another --parser?")
	}
	if elsewhere, err := r.elsewhere(ctx, &x, b); err != nil || elsewhere {
		return err
	}
	if b.Rows > 0 {
		stored, err := r.db.HasRow(ctx, x.Stream, uint64(x.From), b.Columns[record.ColumnIndex["row"]].U64[0])
		if err != nil {
			return err
		}
		if !stored {
			if err := r.db.Write(ctx, b, "replay/"+rand.Text()); err != nil {
				return err
			}
		}
	}
	if known {
		return r.db.Revived(ctx, x.Stream, x.From, e.Unread)
	}
	return r.db.WriteLedger(ctx, b)
}

// elsewhere reports whether the line is one that was shipped, and is stored since its file was read directly.
func (r *replayer) elsewhere(ctx context.Context, x *replay, b *batch.Batch) (bool, error) {
	prefix, ok := content.PrefixOf(x.Stream)
	if !ok || b.Rows == 0 || x.From == 0 || !content.Tagged(prefix, x.Stream) { // first lines are alike in different files
		return false, nil
	}
	reach, err := r.db.Reach(ctx, prefix)
	if err != nil {
		return false, err
	}
	for name := range reach {
		if content.Tagged(prefix, name) {
			continue
		}
		held, err := r.db.QueueIDs(ctx, name, x.From, x.From+1, 1)
		if err != nil {
			return false, err
		}
		if id, ok := held[x.From]; ok && id == b.QueueIDs(x.Stream)[x.From] {
			return true, nil
		}
	}
	return false, nil
}

// identify says which line of which stream the letter is, and how it is read.
func (r *replayer) identify(e *dlq.Entry) (replay, error) {
	x := replay{Origin: shipped.Origin{Stream: e.Stream, From: e.Pos, To: e.Pos + 1, Source: e.Source}, options: r.options, index: e.Index, line: e.Line()}
	switch {
	case e.Next > 0:
		return x, errors.New("it is no line but records that nobody can unpack; bounceline dlq remove takes it out of the file")
	case e.Size > 0:
		return x, errors.New("only its head is kept; bounceline dlq remove takes it out of the file")
	case x.line == nil:
		return x, errors.New("there is no line in it; bounceline dlq remove takes it out of the file")
	case e.Record == nil || len(e.Record.Header) == 0:
		return x, nil
	}
	o, err := shipped.Parse(e.Record.Header)
	if err != nil {
		return x, nil // it is a line all the same: of the topic, at its offset
	}
	cluster, _, _ := strings.Cut(e.Stream, "/")
	if strings.HasPrefix(o.Stream, cluster+"/") || bytes.IndexByte(x.line, '\n') >= 0 || int64(len(x.line)) > o.To-o.From {
		return x, errors.New("its header does not belong to it: import the file that it is from")
	}
	x.Origin, x.index = o, 0
	x.options, err = kafka.OptionsOf(&o)
	return x, err
}

// known reports whether the ledger has the line's place.
func (r *replayer) known(ctx context.Context, x *replay) (bool, error) {
	ranges, err := r.db.Ledger(ctx, x.Stream)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(ranges, func(g batch.Range) bool { return g.Stream == x.Stream && g.From <= x.From && x.From < g.To }), nil
}

// batch makes the rows of one line.
func (r *replayer) batch(e *dlq.Entry, x *replay) (*batch.Batch, error) {
	p, err := parsers.NewStream(x.options)
	if err != nil {
		return nil, err
	}
	p.SetReference(e.Time)
	if e.Time.IsZero() {
		p.SetReference(e.Buried)
	}
	if x.Anchor != "" {
		if err := p.Restore(x.Anchor); err != nil {
			return nil, err
		}
	}
	var res record.Result
	p.Parse(x.line, &res)
	if res.Class == record.Malformed {
		return nil, fmt.Errorf("it cannot be read: %s; was it read with another --parser?", res.Kind)
	}
	b := batch.New()
	g := b.Range(x.Stream, x.From)
	g.To, g.Marker, g.Source, g.Anchor, g.Lines = x.To, x.Marker, x.Source, x.Anchor, 1
	if x.Marker != "" { // it was shipped: it need not follow what else is stored of the stream
		g.Via = "dlq"
	}
	rows := res.Rows.All()
	b.Line(x.line, x.index)
	for i := range rows {
		row := &rows[i]
		row.Class = r.engine.Classify(row)
		row.Source, row.Stream, row.Pos = []byte(x.Source), []byte(x.Stream), uint64(x.From)
		row.Number = record.InRecord(x.index, row.Number)
		if reason := row.Invalid(); reason != "" {
			return nil, errors.New(reason)
		}
		b.Add(row)
		if g.FirstEvent == 0 || row.EventTime < g.FirstEvent {
			g.FirstEvent = row.EventTime
		}
		g.LastEvent = max(g.LastEvent, row.EventTime)
	}
	g.Rows = uint64(len(rows))
	switch res.Class {
	case record.Event:
		g.EventLines = 1
	case record.Context:
		g.Context = 1
	default:
		g.Other = 1
	}
	b.Seal(e.Buried)
	return b, nil
}
