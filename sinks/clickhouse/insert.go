package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// insertDeadline is how long one insert may take. An insert that has not been answered by then is in doubt.
const insertDeadline = 5 * time.Minute

// insertSettings are set on every insert, since their defaults moved between releases. ClickHouse before 26.2 does not
// know the last one and takes insert_deduplicate for it; see settings.
func insertSettings(token string) map[string]any {
	return map[string]any{
		"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": token,
		"deduplicate_blocks_in_dependent_materialized_views": 1, "throw_on_max_partitions_per_insert_block": 0,
		"distributed_foreground_insert": 1,
	}
}

// Write stores the batch's rows as one native block under the token; writing the same batch under the same token again is
// harmless as long as the server remembers the token. A batch without rows is nothing to write. It blocks until the server
// has answered, the deadline is over or ctx is done.
func (d *DB) Write(ctx context.Context, b *batch.Batch, token string) error {
	if b.Rows == 0 {
		return nil
	}
	return d.insert(ctx, "delivery_events", b, 0, b.Rows, token)
}

// insert stores the rows [from, to) of the batch in a table that is made like delivery_events.
func (d *DB) insert(ctx context.Context, table string, b *batch.Batch, from, to int, token string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, insertDeadline)
	defer cancel()
	if d.client == nil || d.client.IsClosed() {
		if err := d.dial(ctx); err != nil {
			return marked{err, pipeline.ErrNotStored}
		}
	}
	var settings []ch.Setting
	for k, v := range insertSettings(token) {
		settings = append(settings, ch.Setting{Key: k, Value: fmt.Sprint(v), Important: false})
	}
	input := d.block.fill(b, from, to)
	known := false
	err := d.client.Do(ctx, ch.Query{Body: input.Into(table), Input: input, Settings: settings,
		OnProfileEvents: func(_ context.Context, events []ch.ProfileEvent) error {
			for _, e := range events {
				known = known || e.Name == "DuplicatedInsertedBlocks" && e.Value > 0 // src/Common/ProfileEvents.cpp
			}
			return nil
		}})
	if err != nil {
		d.hangUp() // whatever state the connection is in
		return fmt.Errorf("insert %d rows: %w", to-from, explain(err))
	}
	if known {
		return fmt.Errorf("insert %d rows: %w", to-from, pipeline.ErrKnown)
	}
	return nil
}

// dial opens the insert connection at the first address that answers.
func (d *DB) dial(ctx context.Context) error {
	var last error
	for _, addr := range d.options.Addr {
		c, err := ch.Dial(ctx, ch.Options{Address: addr, Database: d.options.Auth.Database, User: d.options.Auth.Username,
			Password: d.options.Auth.Password, Compression: ch.CompressionLZ4, TLS: d.options.TLS, DialTimeout: d.options.DialTimeout,
			ClientName: "bounceline"})
		if err == nil {
			d.client = c
			return nil
		}
		last = fmt.Errorf("ClickHouse at %s: %w", addr, explain(err))
	}
	return last
}

// WriteLedger records that all of the batch's ranges are stored. Call it after Write. It has no token: its rows replace each
// other, and a range that was forgotten must be written again although its token is known.
func (d *DB) WriteLedger(ctx context.Context, b *batch.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, insertDeadline)
	defer cancel()
	settings := clickhouse.Settings{}
	for k, v := range insertSettings("") {
		settings[k] = v
	}
	settings["insert_deduplicate"] = 0
	stmt, err := d.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), `INSERT INTO ingest_batches (stream, from_pos,
		to_pos, marker, batch_id, source, via, anchor, lines, event_lines, rows, dead_lines, context, other, malformed,
		first_event_month, last_event_month, written)`)
	if err != nil {
		return fmt.Errorf("ledger: %w", explain(err))
	}
	defer stmt.Close()
	for i := range b.Ranges {
		r := &b.Ranges[i]
		if err := stmt.Append(r.Stream, uint64(r.From), uint64(r.To), r.Marker, b.ID, r.Source, r.Via, r.Anchor, r.Lines, r.EventLines,
			r.Rows, r.DeadLines, r.Context, r.Other, r.Malformed, month(r.FirstEvent), month(r.LastEvent), b.Sealed); err != nil {
			return fmt.Errorf("ledger: %w", err)
		}
	}
	if err := stmt.Send(); err != nil {
		return fmt.Errorf("ledger: %w", explain(err))
	}
	return nil
}

// month is the number of the partition that the time is in; 0 for no time.
func month(ms int64) uint32 {
	if ms == 0 {
		return 0
	}
	return batch.Month(ms)
}

var _ proto.ColInput = (*column)(nil)
