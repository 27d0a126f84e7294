package main

import (
	"bytes"
	"context"
	"io"
	"math"
	"slices"
	"time"

	"bounceline/parsers"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/record"
	"bounceline/pipeline/source/stream"
)

// sameRows reports whether the rows stored under the stream's name agree with the content wherever the content reaches: then
// it is an earlier, shorter copy of that stream. Of a stream that the ledger does not know, storing was interrupted: there it
// is enough that all its rows are in the content. Rows that are no longer kept are not missed.
func (d *database) sameRows(ctx context.Context, r io.Reader, options parsers.Options, reference time.Time, name string) (bool, error) {
	p, err := parsers.NewStream(options)
	if err != nil {
		return false, err
	}
	p.SetReference(reference)
	stored, err := d.QueueIDs(ctx, name, 0, math.MaxInt64, math.MaxInt)
	if err != nil {
		return false, err
	}
	ledger, err := d.Ledger(ctx, name)
	if err != nil {
		return false, err
	}
	interrupted := !slices.ContainsFunc(ledger, func(r batch.Range) bool { return r.Stream == name })
	if len(stored) == 0 && slices.ContainsFunc(ledger, func(r batch.Range) bool { return r.Stream == name && r.Rows > 0 }) {
		return true, nil // its rows are no longer kept, and are not to be stored again
	}
	oldest, err := d.OldestMonth(ctx)
	if err != nil {
		return false, err
	}
	var res record.Result
	end, rows, equal := int64(0), 0, true
	err = stream.Each(r, func(line []byte, at, next int64) bool {
		p.Parse(bytes.TrimSuffix(line, []byte("\n")), &res)
		end = next
		if res.Class == record.Event && res.Rows.Len() > 0 {
			id, there := stored[at]
			if !there && (interrupted || batch.Month(res.Rows.All()[0].EventTime) < oldest) {
				return true
			}
			rows++
			equal = there && id == string(res.Rows.All()[0].QueueID)
		}
		return equal
	})
	if err != nil {
		return false, err
	}
	for at := range stored {
		if at < end {
			rows--
		}
	}
	return equal && rows == 0, nil
}
