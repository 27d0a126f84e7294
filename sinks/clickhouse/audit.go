package clickhouse

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline/batch"
)

// rollups are the tables that views fill from delivery_events. All columns of their sorting keys but the first, hour, are
// columns of delivery_events by the same names, and events is the number of rows.
var rollups = []string{"rollup_domain_hourly", "rollup_sender_hourly"}

// poll is how often running inserts are looked at while they are waited for.
const poll = 20 * time.Millisecond

// Present implements pipeline.Auditor.
func (d *DB) Present(ctx context.Context, stream string, from, to int64) (map[batch.Place]struct{}, error) {
	if err := d.settle(ctx); err != nil {
		return nil, err
	}
	rows, err := d.conn.Query(ctx, "SELECT DISTINCT pos, toYYYYMM(event_time) FROM delivery_events WHERE stream = ? AND pos >= ? AND pos < ?",
		stream, uint64(from), uint64(to))
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	out := map[batch.Place]struct{}{}
	for rows.Next() {
		var pos uint64
		var month uint32
		if err := rows.Scan(&pos, &month); err != nil {
			return nil, err
		}
		out[batch.Place{Pos: int64(pos), Month: month}] = struct{}{}
	}
	return out, explain(rows.Err())
}

// HasRow reports whether the row of that number and position is stored.
func (d *DB) HasRow(ctx context.Context, stream string, pos, row uint64) (bool, error) {
	if err := d.settle(ctx); err != nil {
		return false, err
	}
	var n uint64
	err := d.conn.QueryRow(ctx, "SELECT count() FROM delivery_events WHERE stream = ? AND pos = ? AND row = ?", stream, pos, row).Scan(&n)
	return n > 0, explain(err)
}

// Reach returns, for each stream whose name begins with prefix and that has rows, the position after its last row, whether
// the ledger knows of it or not.
func (d *DB) Reach(ctx context.Context, prefix string) (map[string]int64, error) {
	rows, err := d.conn.Query(ctx, "SELECT toString(stream), max(pos) + 1 FROM delivery_events WHERE startsWith(stream, ?) GROUP BY stream", prefix)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	out := map[string]int64{}
	for rows.Next() {
		var stream string
		var end uint64
		if err := rows.Scan(&stream, &end); err != nil {
			return nil, err
		}
		out[stream] = int64(end)
	}
	return out, explain(rows.Err())
}

// running returns the IDs of the inserts into delivery_events that the server is executing, ours and others'.
func (d *DB) running(ctx context.Context) (map[string]bool, error) {
	rows, err := d.conn.Query(ctx, "SELECT query_id FROM system.processes WHERE query_kind = 'Insert' AND position(query, 'delivery_events') > 0")
	if err != nil {
		if Code(err) == CodeAccessDenied { // we may not look: what we can wait for is nothing
			return nil, nil
		}
		return nil, explain(err)
	}
	defer rows.Close()
	out := map[string]bool{}
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		out[id] = true
	}
	return out, explain(rows.Err())
}

// settle waits until the inserts that are running now have ended: one may be what a process that is dead had sent.
func (d *DB) settle(ctx context.Context) error {
	before, err := d.running(ctx)
	for err == nil && len(before) > 0 {
		select {
		case <-time.After(poll):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		var now map[string]bool
		now, err = d.running(ctx)
		for id := range before {
			if !now[id] {
				delete(before, id)
			}
		}
	}
	return err
}

// errBusy says that no moment was found at which rows and rollups could be compared. It may pass.
var errBusy = errors.New("rows come too fast to compare the rollups with them: it is tried again")

// Mend implements pipeline.Auditor: it adds to each rollup what it lacks of the rows in these hours, and takes from it what
// it has too much.
//
// What is added is the difference of two sums at a moment when no insert was on its way from rows to rollups. Sums may be
// added to at any time, so that inserts which go on afterwards do no harm, as they would to a rollup that is replaced.
func (d *DB) Mend(ctx context.Context, first, last int64) error {
	if err := d.sweep(ctx); err != nil {
		return err
	}
	for _, table := range rollups {
		for try := 0; ; try++ {
			n, err := d.mend(ctx, table, first, last, try)
			if err != nil {
				return fmt.Errorf("%s: %w", table, err)
			}
			if n == 0 {
				break
			}
			if try == maxMends {
				return fmt.Errorf("%s: %d groups still differ from the rows after they were mended %d times", table, n, try)
			}
		}
	}
	return nil
}

// shadowInfix is in the names of the tables that hold a difference until it is added.
const shadowInfix = "_difference_"

// maxMends is how often a rollup is mended before that is called a failure.
const maxMends = 3

// sweep drops what menders that were killed left behind.
func (d *DB) sweep(ctx context.Context) error {
	rows, err := d.conn.Query(ctx, `SELECT name FROM system.tables WHERE database = currentDatabase() AND name LIKE ?
		AND metadata_modification_time < now() - INTERVAL 1 DAY`, "rollup%"+strings.ReplaceAll(shadowInfix, "_", `\_`)+"%")
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if err := d.conn.Exec(ctx, "DROP TABLE IF EXISTS "+name); err != nil {
			return explain(err)
		}
	}
	return explain(rows.Err())
}

// mend mends one rollup and returns how many of its groups were wrong. Try is in the token: what the server acknowledged and did
// not store, since it was killed at an earlier one, has another the next time.
func (d *DB) mend(ctx context.Context, table string, first, last int64, try int) (groups uint64, err error) {
	compare, err := d.differenceSQL(ctx, table)
	if err != nil {
		return 0, err
	}
	var moment string
	shadow := table + shadowInfix + strings.ToLower(rand.Text())
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		err = errors.Join(err, d.conn.Exec(ctx, "DROP TABLE IF EXISTS "+shadow))
	}()
	for moments := 0; ; moments++ {
		if err := errors.Join(d.conn.Exec(ctx, "DROP TABLE IF EXISTS "+shadow), d.conn.Exec(ctx, fmt.Sprintf("CREATE TABLE %s AS %s", shadow, table))); err != nil {
			return 0, explain(err)
		}
		moment, err = d.still(ctx, func() error {
			return d.conn.Exec(ctx, fmt.Sprintf("INSERT INTO %s %s", shadow, compare), clickhouse.Named("first", first), clickhouse.Named("last", last))
		})
		if err == nil {
			break
		}
		if !errors.Is(err, errBusy) || moments == maxStill {
			return 0, explain(err)
		}
	}
	if err := d.conn.QueryRow(ctx, "SELECT count() FROM "+shadow).Scan(&groups); err != nil || groups == 0 {
		return 0, explain(err)
	}
	token := fmt.Sprintf("mend/%s/%s/%d", table, moment, try) // two that mend at the same moment mend once
	err = d.conn.Exec(withToken(ctx, token), fmt.Sprintf("INSERT INTO %s SELECT * FROM %s ORDER BY ALL", table, shadow))
	return groups, explain(err)
}

// maxStill is how many moments are tried.
const maxStill = 200

// still runs f and returns the name of the moment at which it ran; it is errBusy if an insert went on beside it.
func (d *DB) still(ctx context.Context, f func() error) (string, error) {
	if err := d.settle(ctx); err != nil {
		return "", err
	}
	before, err := d.stand(ctx)
	if err != nil {
		return "", err
	}
	if busy, err := d.running(ctx); err != nil || len(busy) > 0 {
		return "", errors.Join(err, errBusy)
	}
	if err := f(); err != nil {
		return "", err
	}
	after, err := d.stand(ctx)
	if err == nil && after != before {
		err = errBusy
	}
	return before, err
}

// stand names the state of rows and rollups: it changes with each insert and with nothing that leaves their contents alone.
func (d *DB) stand(ctx context.Context) (string, error) {
	rows, err := d.conn.Query(ctx, `SELECT concat(table, ' ', partition_id, ' ', toString(max(max_block_number))) AS part FROM system.parts
		WHERE database = currentDatabase() AND active AND (table = 'delivery_events' OR has(?, table)) GROUP BY table, partition_id ORDER BY part`, rollups)
	if err != nil {
		return "", explain(err)
	}
	defer rows.Close()
	h := sha256.New()
	for rows.Next() {
		var part string
		if err := rows.Scan(&part); err != nil {
			return "", err
		}
		fmt.Fprintln(h, part)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), explain(rows.Err())
}

// differenceSQL selects, for the hours of [@first, @last], the groups in which the rollup differs from the rows, and by how
// many: numbers below zero wrap around, and sums of them wrap back.
func (d *DB) differenceSQL(ctx context.Context, table string) (string, error) {
	var key string
	if err := d.conn.QueryRow(ctx, "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = ?", table).Scan(&key); err != nil {
		return "", explain(err)
	}
	dimensions, ok := strings.CutPrefix(key, "hour, ")
	if !ok {
		return "", permanent{fmt.Errorf("the table is sorted by %q, not by hour first: it was not made by migrate", key)}
	}
	const hours = "BETWEEN toStartOfHour(fromUnixTimestamp64Milli(toInt64(@first), 'UTC')) AND "
	return fmt.Sprintf(`SELECT hour, %[1]s, toUInt64(sum(n)) AS events FROM (
		SELECT toStartOfHour(toDateTime(event_time, 'UTC')) AS hour, %[1]s, toInt64(count()) AS n FROM delivery_events
		WHERE event_time %[3]s toStartOfHour(fromUnixTimestamp64Milli(toInt64(@last), 'UTC')) + INTERVAL 3599999 MILLISECOND GROUP BY hour, %[1]s
		UNION ALL
		SELECT hour, %[1]s, -toInt64(sum(events)) AS n FROM %[2]s
		WHERE hour %[3]s toStartOfHour(fromUnixTimestamp64Milli(toInt64(@last), 'UTC')) GROUP BY hour, %[1]s)
		GROUP BY hour, %[1]s HAVING sum(n) != 0`, dimensions, table, hours), nil
}
