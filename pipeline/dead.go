package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/fulldisk"
	"bounceline/pipeline/record"
	"bounceline/pipeline/shipped"
)

// Isolate finds the rows of a batch that the sink cannot store, in a place where storing them has no consequences. No rows
// means that all of them can be stored there, so that the fault is not theirs.
type Isolate func(ctx context.Context, b *batch.Batch) (rows []int, err error)

// invalid says why the rows of a line cannot be stored.
func invalid(rows []record.Row) string {
	for i := range rows {
		if reason := rows[i].Invalid(); reason != "" {
			return reason
		}
	}
	return ""
}

// bury puts a line of the current batch among its dead.
func (r *Runner) bury(st *streamState, rg *batch.Range, row *record.Row, line []byte, at int64, index uint64, reason string) {
	rg.DeadLines++
	r.Counts.Dead.Add(1)
	r.current.Bury(batch.Dead{Stream: string(st.name), Source: string(st.source), Pos: at, Index: index, Line: line,
		Time: row.EventTime, Reason: reason, RuleSet: row.Class.RuleSet, Record: r.from.record()})
}

// A place is the record of a topic that is being processed. The zero value is none.
type place struct {
	stream  *Stream
	offset  int64
	key     []byte
	shipped *Shipped // where its line comes from, if it was shipped
}

// placeOf is where the n-th line of a batch is from.
func placeOf(b *batch.Batch, n int) *place {
	from, key := b.FromOf(n)
	p := &place{offset: from.Offset, key: key}
	p.stream, _ = from.Stream.(*Stream)
	p.shipped, _ = from.Shipped.(*Shipped)
	return p
}

// record describes the record for a dead letter. It shares memory with the chunk.
func (p *place) record() *batch.Record {
	if p.stream == nil || p.stream.Topic == "" {
		return nil
	}
	out := &batch.Record{Topic: p.stream.Topic, Partition: p.stream.Partition, Offset: p.offset, Key: p.key}
	if s := p.shipped; s != nil {
		o := shipped.Origin{Stream: s.Stream.Name, From: s.Offset, To: s.Next, Marker: s.Marker, Source: s.Stream.Source,
			Host: s.Stream.Parser.Host, Dialect: s.Stream.Parser.Dialect, Anchor: s.Anchor}
		if s.Stream.Parser.Zone != nil {
			o.Zone = s.Stream.Parser.Zone.String()
		}
		out.Header = shipped.Append(nil, &o)
	}
	return out
}

// keep puts the line that was just parsed among the dead of the current batch, if nobody could read it and its topic will
// forget it.
func (r *Runner) keep(st *streamState, line []byte, at int64, index uint64) {
	if r.from.stream == nil || r.from.stream.Topic == "" {
		return
	}
	reason := ""
	switch class := r.result.Class; {
	case class == record.Malformed:
		reason = "malformed: " + r.result.Kind
	case class != record.Event && len(line) > MaxLine:
		reason = fmt.Sprintf("it has %d bytes, of which %d were read and say nothing", len(line), MaxLine)
	default:
		return
	}
	r.buryUnread(&batch.Dead{Stream: string(st.name), Source: string(st.source), Pos: at, Index: index, Reason: reason, Record: r.from.record()}, line)
}

// buryUnread puts what could not be read among the current batch's dead.
func (r *Runner) buryUnread(d *batch.Dead, text []byte) {
	r.Counts.Unread.Add(1)
	if r.Dead == nil {
		return
	}
	d.Line, d.Unread = text, true
	if d.Record != nil && len(d.Record.Key) == 0 {
		d.Record.Key = r.from.key
	}
	r.current.Bury(*d)
}

// removePoison takes the lines of rows that the sink cannot store out of the batch. Nothing of the batch is stored.
func (r *Runner) removePoison(ctx context.Context, b *batch.Batch, refused error) error {
	if r.Isolate == nil || r.Dead == nil {
		return refused
	}
	for i := range b.Ranges { // by an earlier attempt, perhaps: then its rows were good
		if r.Audit == nil {
			break
		}
		present, err := r.Audit.Present(ctx, b.Ranges[i].Stream, b.Ranges[i].From, b.Ranges[i].To)
		if err != nil || len(present) > 0 {
			return errors.Join(refused, err)
		}
	}
	var bad []int
	_, err := r.retry(ctx, "look for the rows that are refused", r.Retryable, func() (err error) {
		bad, err = r.Isolate(ctx, b)
		return err
	})
	if err != nil {
		return errors.Join(refused, err)
	}
	if len(bad) == 0 {
		return fmt.Errorf("a copy of the table takes all rows, so they are right and something else is not: %w", refused)
	}
	r.Log.Error("the sink refuses rows; their lines go to the dead-letter file, see bounceline dlq list", "rows", len(bad), "batch", b.ID, "error", refused)
	dead := map[int]bool{}
	for _, i := range bad {
		n := b.LineOf(i)
		if dead[n] {
			continue
		}
		dead[n] = true
		stream, at := b.Place(i)
		rg := b.Range(string(stream), at.Pos)
		rg.DeadLines++
		r.Counts.Dead.Add(1)
		line, index := b.Text(n)
		b.Bury(batch.Dead{Stream: rg.Stream, Source: rg.Source, Pos: at.Pos, Index: index, Line: line, Time: b.Time(i),
			Reason: refused.Error(), RuleSet: b.RuleSet(i), Record: placeOf(b, n).record()})
	}
	b.Keep(func(i int) bool {
		if !dead[b.LineOf(i)] {
			return true
		}
		stream, at := b.Place(i)
		b.Range(string(stream), at.Pos).Rows--
		return false
	})
	return nil
}

// buryAll makes the batch's dead lines durable. What could not be read never holds up the rest: where it cannot be kept, that is
// counted.
func (r *Runner) buryAll(ctx context.Context, b *batch.Batch) error {
	unread := !slices.ContainsFunc(b.Dead, func(d batch.Dead) bool { return !d.Unread })
	if r.Dead == nil {
		d := b.Dead[0]
		return fmt.Errorf("the line at %d of %s cannot be stored: %s", d.Pos, d.Stream, d.Reason)
	}
	left := 0
	_, err := r.retry(ctx, "keep dead letters", func(err error) bool { return !unread && (r.full(err) || !fulldisk.Is(err)) }, func() (err error) {
		left, err = r.Dead.Bury(b.Dead)
		return err
	})
	if err != nil && unread {
		left, err = len(b.Dead), nil
	}
	if left > 0 {
		r.Counts.Dropped.Add(int64(left))
		r.Log.Error("records that could not be read are not kept: there is no room for them, or the dead-letter file cannot be written; reading goes on",
			"records", left, "first", b.Dead[0].Reason)
	}
	return err
}
