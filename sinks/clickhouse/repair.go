package clickhouse

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Repair mends of the findings what can be mended from what is stored: second copies are removed, rollups get the sums of
// their rows. The rest needs the files with the lines; see Forget.
func (d *DB) Repair(ctx context.Context, findings []Finding) error {
	if slices.ContainsFunc(findings, func(f Finding) bool { return f.Problem == Duplicate }) {
		err := d.removeCopies(ctx)
		if err == nil {
			findings, err = d.rollupFindings(ctx) // they have lost rows
		}
		if err != nil {
			return fmt.Errorf("remove second copies: %w", err)
		}
	}
	for _, f := range findings {
		if f.Problem != Rollup {
			continue
		}
		at := f.Hour.UnixMilli()
		if err := d.Mend(ctx, at, at); err != nil {
			return fmt.Errorf("mend %s: %w", f.Table, err)
		}
	}
	return nil
}

// removeCopies leaves of rows with the same identity the one that was stored first. The others are named by part and place in
// a table of their own before any goes: a part that is merged meanwhile has another name, and keeps what it has until the
// next time.
func (d *DB) removeCopies(ctx context.Context) error {
	victims := "second_copies_" + strings.ToLower(rand.Text())
	if err := d.conn.Exec(ctx, "CREATE TABLE "+victims+" (part String, place UInt64) ENGINE = MergeTree ORDER BY (part, place)"); err != nil {
		return explain(err)
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_ = d.conn.Exec(ctx, "DROP TABLE IF EXISTS "+victims)
	}()
	spilling := clickhouse.Context(ctx, clickhouse.WithSettings(spill))
	for _, sql := range []string{
		"INSERT INTO " + victims + ` SELECT tupleElement(copy, 2), tupleElement(copy, 3) FROM (
			SELECT arraySort(groupArray((ingest_time, _part, _part_offset))) AS copies FROM delivery_events
			GROUP BY stream, pos, row HAVING length(copies) > 1) ARRAY JOIN arraySlice(copies, 2) AS copy`,
		"ALTER TABLE delivery_events DELETE WHERE (_part, _part_offset) IN (SELECT part, place FROM " + victims + ") SETTINGS mutations_sync = 2",
	} {
		if err := d.conn.Exec(spilling, sql); err != nil {
			return explain(err)
		}
	}
	return nil
}

// Forget takes the ranges that touch [from, to) of the stream out of the ledger. What they held is read again with the next
// import of the file: rows that are there stay, those that are missing are added.
func (d *DB) Forget(ctx context.Context, stream string, from, to int64) error {
	err := d.conn.Exec(ctx, "ALTER TABLE ingest_batches DELETE WHERE stream = ? AND from_pos < ? AND to_pos > ? SETTINGS mutations_sync = 2",
		stream, uint64(to), uint64(from))
	return explain(err)
}

// Revived corrects what the ledger says of the range that holds the position, after a dead line there was stored. Unread says that
// the ledger has it not among the events.
func (d *DB) Revived(ctx context.Context, stream string, pos int64, unread bool) error {
	var from, to, have, rows, lines, events, dead, malformed uint64
	err := d.conn.QueryRow(ctx, `SELECT from_pos, to_pos, toUInt64(lines), toUInt64(event_lines), toUInt64(dead_lines), toUInt64(malformed)
		FROM ingest_batches FINAL WHERE stream = ? AND from_pos <= ? AND to_pos > ? AND (dead_lines > 0 OR ?) LIMIT 1`,
		stream, uint64(pos), uint64(pos), unread).Scan(&from, &to, &lines, &events, &dead, &malformed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err == nil {
		err = d.conn.QueryRow(ctx, "SELECT uniqExact(pos), count() FROM delivery_events WHERE stream = ? AND pos >= ? AND pos < ?", stream, from, to).
			Scan(&have, &rows)
	}
	if err != nil {
		return explain(err)
	}
	switch more := have + dead - min(events, have+dead); {
	case unread:
		known := min(malformed, more)
		lines, events, malformed = lines+more-known, events+more, malformed-known
	case events >= have:
		dead = events - have
	}
	return explain(d.conn.Exec(withToken(ctx, "revived/"+rand.Text()), `INSERT INTO ingest_batches SELECT * REPLACE (? AS lines, ? AS event_lines, ? AS dead_lines, ? AS malformed, ? AS rows)
		FROM (SELECT * FROM ingest_batches FINAL WHERE stream = ? AND from_pos = ? AND to_pos = ?)`, lines, events, dead, malformed, rows, stream, from, to))
}
