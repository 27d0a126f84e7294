package pipeline

import (
	"context"
	"errors"
	"fmt"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/record"
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
		Time: row.EventTime, Reason: reason, RuleSet: row.Class.RuleSet})
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
			Reason: refused.Error(), RuleSet: b.RuleSet(i)})
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

// buryAll makes the batch's dead lines durable.
func (r *Runner) buryAll(ctx context.Context, b *batch.Batch) error {
	if r.Dead == nil {
		d := b.Dead[0]
		return fmt.Errorf("the line at %d of %s cannot be stored: %s", d.Pos, d.Stream, d.Reason)
	}
	_, err := r.retry(ctx, "keep dead letters", func(error) bool { return true }, func() error { return r.Dead.Bury(b.Dead) })
	return err
}
