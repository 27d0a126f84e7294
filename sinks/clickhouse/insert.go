package clickhouse

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"time"

	"github.com/ClickHouse/ch-go"
	"github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/spell"
)

// insertDeadline is how long one insert may take. An insert that has not been answered by then is in doubt.
const insertDeadline = 5 * time.Minute

// insertSettings are set on every insert, since their defaults moved between releases.
func insertSettings(token string) map[string]any {
	return map[string]any{
		"async_insert": 0, "insert_deduplicate": 1, "insert_deduplication_token": token,
		"deduplicate_blocks_in_dependent_materialized_views": 1, "throw_on_max_partitions_per_insert_block": 0,
		"distributed_foreground_insert": 1,
	}
}

// withToken returns a context for an insert under the token.
func withToken(ctx context.Context, token string) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings(insertSettings(token))))
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
		return fmt.Errorf("insert %s: %w", spell.Count(to-from, "row", "rows"), explain(err))
	}
	if known {
		return fmt.Errorf("insert %s: %w", spell.Count(to-from, "row", "rows"), pipeline.ErrKnown)
	}
	return nil
}

// dial opens the insert connection at the first address that answers.
func (d *DB) dial(ctx context.Context) error {
	var dialer ch.Dialer // nil is the network's
	if d.options.DialContext != nil {
		dialer = dialFunc(d.options.DialContext)
	}
	var last error
	for _, addr := range d.options.Addr {
		c, err := ch.Dial(ctx, ch.Options{Address: addr, Dialer: dialer, Database: d.options.Auth.Database, User: d.options.Auth.Username,
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

// dialFunc is a function of clickhouse-go's options as a ch.Dialer.
type dialFunc func(ctx context.Context, addr string) (net.Conn, error)

func (f dialFunc) DialContext(ctx context.Context, _, addr string) (net.Conn, error) {
	return f(ctx, addr)
}

// WriteLedger records that all of the batch's ranges are stored. Call it after Write. Each call has a token of its own: a
// server that was killed, or from which a range was removed, would acknowledge a repeat that it knows and not store it. Rows
// that are there twice replace each other.
func (d *DB) WriteLedger(ctx context.Context, b *batch.Batch) error {
	ctx, cancel := context.WithTimeout(ctx, insertDeadline)
	defer cancel()
	stmt, err := d.conn.PrepareBatch(withToken(ctx, b.ID+"/ledger/"+rand.Text()), `INSERT INTO ingest_batches (stream, from_pos,
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
