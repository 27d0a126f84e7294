package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/fault"
	"bounceline/pipeline/fulldisk"
)

// How often rows that a sink has acknowledged are sent again because they are not there: as new ones, and under tokens that it knew
// from before, each of which stands for a time that they were stored and removed again.
const (
	maxRounds = 5
	maxKnown  = 100
)

// write makes one batch durable, however often it must be tried.
func (r *Runner) write(ctx context.Context, b *batch.Batch) error {
	if _, err := r.retry(ctx, "record the intent", r.full, func() error {
		return fault.Around(fault.BeforeIntent, fault.AfterIntent, func() error { return r.Journal.Intend(b) })
	}); err != nil {
		return err
	}
	if b.Rows > 0 {
		if err := r.store(ctx, b); err != nil {
			return err
		}
	}
	if len(b.Dead) > 0 {
		if err := r.buryAll(ctx, b); err != nil {
			return err
		}
	}
	if _, err := r.retry(ctx, "write ledger", r.Retryable, func() error {
		return fault.Around(fault.BeforeLedger, fault.AfterLedger, func() error { return r.Sink.WriteLedger(ctx, b) })
	}); err != nil {
		return err
	}
	if _, err := r.retry(ctx, "commit", r.full, func() error {
		return fault.Around(fault.BeforeCommit, fault.AfterCommit, func() error { return r.Journal.Commit(b) })
	}); err != nil {
		return err
	}
	r.Counts.Batches.Add(1)
	return nil
}

// store brings the batch's rows into the sink, each once. A batch in doubt, and one whose insert had to be repeated, is
// compared with what is there: what is missing goes in under a token of its own, since the batch's token may be known to
// the server although its rows are gone. What is derived from the rows is mended at the end.
func (r *Runner) store(ctx context.Context, b *batch.Batch) error {
	first, last := eventTimes(b)
	doubt := b.Doubt && r.Audit != nil
	if err := r.leaveOut(ctx, b); err != nil || b.Rows == 0 && !doubt {
		return err
	}
	taken, known := 0, false // rounds in which the rows were new to the sink; whether the last one was no such
	for round := 0; ; round++ {
		if doubt {
			if err := r.keepMissing(ctx, b); err != nil {
				return err
			}
			if b.Rows == 0 {
				break
			}
		}
		if taken > maxRounds || round-taken > maxKnown {
			return fmt.Errorf("insert: %d rows of batch %s are not there although the server acknowledged them %d times", b.Rows, b.ID, round)
		}
		token := b.ID + r.Attempt
		if round > 0 {
			token = fmt.Sprintf("%s/r%d", token, round)
			r.Counts.Healed.Add(int64(b.Rows))
			level := slog.LevelWarn
			if known { // most likely they were taken out on purpose
				level = slog.LevelInfo
			}
			r.Log.Log(ctx, level, "rows that the sink had acknowledged are not there; they are sent again", "batch", b.ID, "rows", b.Rows, "round", round)
		}
		unknown := false
		known = false
		doubtful, err := r.retry(ctx, "insert", r.Retryable, func() error {
			if unknown && r.Audit != nil { // it may be there, and its token be forgotten by now
				if err := r.keepMissing(ctx, b); err != nil || b.Rows == 0 {
					return err
				}
			}
			if err := r.rest(ctx); err != nil {
				return err
			}
			err := fault.Around(fault.BeforeInsert, fault.AfterInsert, func() error { return r.slowDown(r.Sink.Write(ctx, b, token)) })
			if errors.Is(err, ErrKnown) { // rows that were deleted since would be lost
				known, err = true, nil
			}
			unknown = unknown || err != nil && !errors.Is(err, ErrNotStored)
			return err
		})
		if errors.Is(err, ErrPoison) {
			if err := r.removePoison(ctx, b, err); err != nil {
				return err
			}
			if b.Rows == 0 && !doubt {
				return nil
			}
			round-- // the rest goes in under the batch's own token
			continue
		}
		if err != nil {
			return err
		}
		if b.Rows == 0 {
			break
		}
		if !known {
			taken++
		}
		doubt = doubt || (doubtful || known) && r.Audit != nil
		if !doubt {
			return nil
		}
	}
	_, err := r.retry(ctx, "compare the rollups", r.Retryable, func() error { return r.Audit.Mend(ctx, first, last) })
	return err
}

// The pause before inserts into a crowded sink.
const (
	leastPace = time.Second
	mostPace  = 30 * time.Second
)

// slowDown notes what an insert's outcome says about the pace, and returns it.
func (r *Runner) slowDown(err error) error {
	switch {
	case errors.Is(err, ErrCrowded):
		r.pace = min(max(2*r.pace, leastPace), mostPace)
	case err == nil && r.pace > 0:
		if r.pace /= 2; r.pace < leastPace {
			r.pace = 0
		}
	}
	return err
}

// rest waits as the pace demands. Lines go on filling the next batch meanwhile.
func (r *Runner) rest(ctx context.Context) error {
	if r.pace == 0 {
		return nil
	}
	select {
	case <-time.After(r.pace):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// keepMissing leaves in the batch the rows of those lines that have none in the sink.
func (r *Runner) keepMissing(ctx context.Context, b *batch.Batch) error {
	for i := range b.Ranges {
		rg := &b.Ranges[i]
		if rg.Rows == 0 {
			continue
		}
		var present map[batch.Place]struct{}
		_, err := r.retry(ctx, "ask what is stored", r.Retryable, func() (err error) {
			present, err = r.Audit.Present(ctx, rg.Stream, rg.From, rg.To)
			return err
		})
		if err != nil {
			return err
		}
		if len(present) == 0 {
			continue
		}
		b.Keep(func(i int) bool {
			stream, at := b.Place(i)
			if string(stream) != rg.Stream {
				return true
			}
			_, there := present[at]
			return !there
		})
	}
	return nil
}

// full reports whether the error is a full disk that is worth waiting for: who gives up some time does so at once.
func (r *Runner) full(err error) bool { return r.RetryFor == 0 && fulldisk.Is(err) }

// eventTimes are the earliest and the latest time of the batch's rows.
func eventTimes(b *batch.Batch) (first, last int64) {
	for i := range b.Ranges {
		if rg := &b.Ranges[i]; rg.Rows > 0 {
			if first == 0 || rg.FirstEvent < first {
				first = rg.FirstEvent
			}
			last = max(last, rg.LastEvent)
		}
	}
	return first, last
}

// firstWait is the longest pause before a call is repeated for the first time.
const firstWait = 200 * time.Millisecond

// retry calls f until it succeeds, fails with an error that is not passing, or time is over, and reports whether a call that failed may have stored
// something all the same. Waits are jittered over their whole length and grow to 30 s, as long as the sink was not started again.
func (r *Runner) retry(ctx context.Context, what string, passing func(error) bool, f func() error) (doubtful bool, err error) {
	begun := time.Now()
	for wait := firstWait; ; wait = min(2*wait, 30*time.Second) {
		err := f()
		switch {
		case err == nil:
			r.Counts.Refuse(nil, time.Now())
			return doubtful, nil
		case !passing(err):
			return doubtful, fmt.Errorf("%s: %w", what, err)
		case r.RetryFor > 0 && time.Since(begun) > r.RetryFor:
			return doubtful, fmt.Errorf("%s: given up after %s: %w", what, time.Since(begun).Round(time.Second), err)
		}
		doubtful = doubtful || !errors.Is(err, ErrNotStored)
		if errors.Is(err, ErrRestarted) {
			wait = firstWait
		}
		pause := time.Duration(rand.Int64N(int64(wait)))
		r.Counts.Retries.Add(1)
		r.Counts.Refuse(err, time.Now())
		r.Log.Warn("the sink refused a batch; it is tried again", "step", what, "again_in", pause.Round(time.Millisecond), "error", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return doubtful, fmt.Errorf("%s: %w (last error: %w)", what, context.Cause(ctx), err)
		}
	}
}
