package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline/fault"
)

// A removal takes out of the database what was stored of a stream before a position, up to a time.
type removal struct {
	stream      string
	to          uint64
	stored      time.Time // what was sealed later is another one's
	first, last time.Time // of its events; zero where it has no rows
}

// Remove takes all of the stream before the position out of the ledger, the rows and the rollups: as if it had never been
// stored. It is noted first: if it is cut off, FinishRemovals ends it. No pipeline may write the stream meanwhile.
func (d *DB) Remove(ctx context.Context, stream string, to int64) error {
	r := removal{stream: stream, to: uint64(to)}
	var rows, ranges uint64
	var newest, written time.Time
	err := d.conn.QueryRow(ctx, "SELECT count(), min(event_time), max(event_time), max(ingest_time) FROM delivery_events WHERE stream = ? AND pos < ?", r.stream, r.to).
		Scan(&rows, &r.first, &r.last, &newest)
	if err == nil {
		err = d.conn.QueryRow(ctx, "SELECT count(), max(written) FROM ingest_batches WHERE stream = ? AND from_pos < ?", r.stream, r.to).Scan(&ranges, &written)
	}
	if err != nil || rows+ranges == 0 {
		return explain(err)
	}
	if r.stored = newest; written.After(newest) {
		r.stored = written
	}
	err = d.conn.Exec(ctx, `INSERT INTO ingest_removals SELECT @stream, @to, fromUnixTimestamp64Milli(toInt64(@stored)),
		fromUnixTimestamp64Milli(toInt64(@first)), fromUnixTimestamp64Milli(toInt64(@last))`, r.named()...)
	if err != nil {
		return fmt.Errorf("note what is removed: %w", explain(err))
	}
	if err := fault.At(fault.RemovalNoted); err != nil {
		return err
	}
	return d.remove(ctx, r)
}

// FinishRemovals ends removals that were cut off, and returns their streams. It may run beside the one that does it: what is
// removed is gone only once, and what was stored since stays.
func (d *DB) FinishRemovals(ctx context.Context) (streams []string, err error) {
	rows, err := d.conn.Query(ctx, "SELECT stream, to_pos, stored, first_event, last_event FROM ingest_removals ORDER BY stored")
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var all []removal
	for rows.Next() {
		var r removal
		if err := rows.Scan(&r.stream, &r.to, &r.stored, &r.first, &r.last); err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	if err := rows.Err(); err != nil {
		return nil, explain(err)
	}
	for _, r := range all {
		if err := d.remove(ctx, r); err != nil {
			return streams, fmt.Errorf("finish the removal of %s: %w", r.stream, err)
		}
		streams = append(streams, r.stream)
	}
	return streams, nil
}

// remove does what is noted. Each step may be repeated.
func (d *DB) remove(ctx context.Context, r removal) error {
	const since = " <= fromUnixTimestamp64Milli(toInt64(@stored)) SETTINGS mutations_sync = 2"
	for _, step := range []struct {
		point string
		do    func() error
	}{
		{fault.LedgerRemoved, func() error {
			return d.conn.Exec(ctx, "ALTER TABLE ingest_batches DELETE WHERE stream = @stream AND from_pos < @to AND written"+since, r.named()...)
		}},
		{fault.RowsRemoved, func() error {
			return d.conn.Exec(ctx, "ALTER TABLE delivery_events DELETE WHERE stream = @stream AND pos < @to AND ingest_time"+since, r.named()...)
		}},
		{fault.RollupsMended, func() error {
			if r.last.UnixMilli() == 0 {
				return nil
			}
			return d.Mend(ctx, r.first.UnixMilli(), r.last.UnixMilli())
		}},
	} {
		if err := step.do(); err != nil {
			return explain(err)
		}
		if err := fault.At(step.point); err != nil {
			return err
		}
	}
	return explain(d.conn.Exec(ctx, "ALTER TABLE ingest_removals DELETE WHERE stream = @stream AND to_pos = @to AND stored"+since, r.named()...))
}

// named are the removal's values as parameters.
func (r *removal) named() []any {
	return []any{clickhouse.Named("stream", r.stream), clickhouse.Named("to", r.to), clickhouse.Named("stored", r.stored.UnixMilli()),
		clickhouse.Named("first", r.first.UnixMilli()), clickhouse.Named("last", r.last.UnixMilli())}
}
