package main

import (
	"bytes"
	"context"
	"errors"
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
	stored := storedRows{ask: func(from int64) (map[int64]string, error) {
		return d.QueueIDs(ctx, name, from, math.MaxInt64, storedAtOnce)
	}, full: storedAtOnce}
	if stored.turn(); stored.err != nil {
		return false, stored.err
	}
	ledger, err := d.Ledger(ctx, name)
	if err != nil {
		return false, err
	}
	interrupted := !slices.ContainsFunc(ledger, func(r batch.Range) bool { return r.Stream == name })
	if len(stored.page) == 0 && slices.ContainsFunc(ledger, func(r batch.Range) bool { return r.Stream == name && r.Rows > 0 }) {
		return true, nil // its rows are no longer kept, and are not to be stored again
	}
	oldest, err := d.OldestMonth(ctx)
	if err != nil {
		return false, err
	}
	var res record.Result
	end, equal := int64(0), true
	err = stream.Each(r, func(line []byte, at, next int64) bool {
		p.Parse(bytes.TrimSuffix(line, []byte("\n")), &res)
		end = next
		if res.Class == record.Event && res.Rows.Len() > 0 {
			id, there := stored.take(at)
			if !there && (interrupted || batch.Month(res.Rows.All()[0].EventTime) < oldest) {
				return stored.err == nil
			}
			equal = there && id == string(res.Rows.All()[0].QueueID)
		}
		return equal && stored.err == nil
	})
	if err := errors.Join(err, stored.err); err != nil {
		return false, err
	}
	equal = equal && stored.taken(end)
	return equal, stored.err
}

// storedAtOnce is how many stored rows are held at a time.
const storedAtOnce = 100_000

// storedRows are the queue IDs of a stream's rows by their positions, a page at a time.
type storedRows struct {
	ask  func(from int64) (map[int64]string, error) // the first rows from the position on, full of them at the most
	full int

	page map[int64]string
	end  int64 // the next page begins there
	met  int   // rows of the page that were taken
	left bool  // a row was not taken when its page was turned
	err  error // of ask
}

// turn turns to the next page.
func (s *storedRows) turn() {
	s.left = s.left || s.met < len(s.page)
	if s.page, s.err = s.ask(s.end); s.err != nil {
		return
	}
	s.met = 0
	if len(s.page) < s.full {
		s.end = math.MaxInt64
		return
	}
	for at := range s.page {
		s.end = max(s.end, at+1)
	}
}

// take returns the row at the position, if there is one. Positions come in their order, each once.
func (s *storedRows) take(at int64) (id string, there bool) {
	for at >= s.end && s.err == nil {
		s.turn()
	}
	if id, there = s.page[at]; there {
		s.met++
	}
	return id, there
}

// taken reports whether all rows before the position, which none that was taken is behind, were taken.
func (s *storedRows) taken(end int64) bool {
	for end > s.end && s.err == nil && !s.left {
		s.turn()
	}
	before := 0
	for at := range s.page {
		if at < end {
			before++
		}
	}
	return !s.left && before == s.met
}
