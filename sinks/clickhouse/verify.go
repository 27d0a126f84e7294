package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"bounceline/pipeline/spell"
)

// A Finding is one thing that is wrong with what is stored.
type Finding struct {
	Problem  Problem
	Stream   string    // and the part [From, To) of it, where the problem is one of a stream
	From, To int64     //
	Source   string    // of the stream, where Other has the same events
	Other    string    // the stream that has them, too
	Reason   string    // of a loss; of events in two logs, what the other one is called
	Table    string    // and the hour, where it is one of a rollup
	Hour     time.Time //
	Count    int64     // how many rows, lines or positions; of a rollup, rows too many or, below zero, too few
	Estimate bool      // the count is reckoned from a part of the rows
}

// Problem is a kind of finding.
type Problem string

// What verify looks for.
const (
	Gap        Problem = "gap"        // the ledger knows what is before and behind, not what is between
	Loss       Problem = "loss"       // what was lost before it could be read, and counted: no fault of what is stored
	Overlap    Problem = "overlap"    // the ledger has a part twice
	Duplicate  Problem = "duplicate"  // rows with the same identity
	Missing    Problem = "missing"    // event lines that the ledger counts and that have no row
	Excess     Problem = "excess"     // lines that have rows and that the ledger does not count
	Unledgered Problem = "unledgered" // rows of which the ledger says nothing
	Rollup     Problem = "rollup"     // an hour of a rollup that is not the sum of its rows
	TwoLogs    Problem = "two_logs"   // events that another log has as well: no fault of what is stored, but they count again
	NotKept    Problem = "not_kept"   // ranges with rows from before the oldest: no fault, but nothing is proved of them
)

// String says in words what is wrong.
func (f Finding) String() string {
	count := func(one, many string) string { return spell.Count(f.Count, one, many) }
	switch f.Problem {
	case Gap:
		return count("position between two stored ranges is", "positions between two stored ranges are") + " not in the ledger"
	case Loss:
		return count("position was lost before it", "positions were lost before they") + " could be read: " + f.Reason
	case Overlap:
		return count("position is", "positions are") + " in the ledger twice: two writers at once, or a damaged checkpoint"
	case Duplicate:
		return count("row is a second copy", "rows are second copies")
	case Missing:
		return count("event line that the ledger counts has", "event lines that the ledger counts have") + " no row"
	case Excess:
		return count("line has rows", "lines have rows") + " that the ledger does not count"
	case Unledgered:
		return count("row is", "rows are") + " of no range in the ledger"
	case Rollup:
		if f.Count < 0 {
			return spell.Count(-f.Count, "row is", "rows are") + " missing from the sums"
		}
		return "the sums hold " + count("row", "rows") + " too many, or rows in the wrong group"
	case TwoLogs:
		about := ""
		if f.Estimate {
			about = "about "
		}
		return about + count("event is", "events are") + " in " + f.Reason + ", too: counted twice"
	case NotKept:
		return count("range has", "ranges have") + " rows from before " + f.Hour.Format("2006-01") + ": no longer kept, not compared"
	}
	return string(f.Problem)
}

// Extent is how much Verify looked at.
type Extent struct {
	Rows, Ranges, Streams uint64
	Dropped               uint64 // ranges with rows of months that are no longer kept: these are not looked at
	Oldest                uint32 // month of the oldest rows, as 202611; 0 if there are none
}

// NotKept says what was not looked at, if anything was not: rows from before the hour.
func (e Extent) NotKept() (Finding, bool) {
	first := time.Date(int(e.Oldest/100), time.Month(e.Oldest%100), 1, 0, 0, 0, 0, time.UTC)
	return Finding{Problem: NotKept, Table: "delivery_events", Hour: first, Count: int64(e.Dropped)}, e.Dropped > 0
}

// maxFindings is how many findings of one kind are reported.
const maxFindings = 1000

// Verify proves, by SQL over all that is stored, that the ranges in the ledger neither leave gaps nor overlap, that no row is
// there twice, that ledger and rows agree, and that the rollups are the sums of the rows. It may run beside pipelines: what
// it finds it looks at again, and rows younger than an insert's deadline need no ledger row yet.
func (d *DB) Verify(ctx context.Context) ([]Finding, Extent, error) {
	var ext Extent
	err := d.conn.QueryRow(ctx, `SELECT (SELECT count() FROM delivery_events), count(), uniqExact(stream) FROM ingest_batches FINAL`).
		Scan(&ext.Rows, &ext.Ranges, &ext.Streams)
	if err != nil {
		return nil, ext, explain(err)
	}
	if err := d.dropped(ctx, &ext); err != nil {
		return nil, ext, explain(err)
	}
	var all []Finding
	for _, check := range []func(context.Context) ([]Finding, error){d.ledgerFindings, d.duplicates, d.rowFindings, d.unledgered, d.rollupFindings} {
		found, err := confirmed(ctx, check, d.settle)
		if err != nil {
			return nil, ext, explain(err)
		}
		all = append(all, found...)
	}
	twice, err := d.TwoLogs(ctx)
	return append(withoutConsequences(all), twice...), ext, err
}

// confirmations is how often a finding must be seen.
const confirmations = 3

// confirmed returns what the check finds each time: what was on its way the first time is there the second.
func confirmed(ctx context.Context, check func(context.Context) ([]Finding, error), settle func(context.Context) error) ([]Finding, error) {
	found, err := check(ctx)
	for n := 1; err == nil && len(found) > 0 && n < confirmations; n++ {
		if err = settle(ctx); err != nil {
			break
		}
		var again []Finding
		again, err = check(ctx)
		found = slices.DeleteFunc(found, func(f Finding) bool { return !slices.Contains(again, f) })
	}
	return found, err
}

// withoutConsequences drops what follows from another finding: where ranges overlap, lines cannot be counted by range.
func withoutConsequences(all []Finding) []Finding {
	var overlaps []Finding
	for _, f := range all {
		if f.Problem == Overlap {
			overlaps = append(overlaps, f)
		}
	}
	return slices.DeleteFunc(all, func(f Finding) bool {
		return (f.Problem == Missing || f.Problem == Excess) && slices.ContainsFunc(overlaps, func(o Finding) bool {
			return o.Stream == f.Stream && o.From < f.To && f.From < o.To
		})
	})
}

// spill lets the large groupings go to disk beyond so many bytes.
var spill = clickhouse.Settings{"max_bytes_before_external_group_by": 256 << 20, "join_use_nulls": 0, "max_execution_time": 0}

// collect runs a query whose columns are s, a, b and n: stream, from, to and count.
func (d *DB) collect(ctx context.Context, problem Problem, sql string) ([]Finding, error) {
	rows, err := d.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(spill)), fmt.Sprintf(
		"SELECT s, toUInt64(a), toUInt64(b), toUInt64(n) FROM (%s) ORDER BY 1, 2, 3 LIMIT %d", sql, maxFindings))
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", problem, err)
	}
	defer rows.Close()
	var out []Finding
	for rows.Next() {
		var f Finding
		var from, to, count uint64
		if err := rows.Scan(&f.Stream, &from, &to, &count); err != nil {
			return nil, err
		}
		f.Problem, f.From, f.To, f.Count = problem, int64(from), int64(to), int64(count)
		out = append(out, f)
	}
	return out, rows.Err()
}

// ledgerFindings looks at the ledger and the losses alone. Streams that were shipped are passed over: of them a range says what came
// through a partition, not what was read.
func (d *DB) ledgerFindings(ctx context.Context) ([]Finding, error) {
	const ordered = `(SELECT stream, from_pos, to_pos, row_number() OVER w AS nth,
			max(to_pos) OVER (PARTITION BY stream ORDER BY from_pos, to_pos ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS reached
		FROM ingest_batches FINAL
		WHERE stream NOT IN (SELECT stream FROM ingest_batches WHERE via != '')
		WINDOW w AS (PARTITION BY stream ORDER BY from_pos, to_pos))`
	losses, err := d.losses(ctx)
	if err != nil {
		return nil, err
	}
	gaps, err := d.collect(ctx, Gap, `SELECT stream AS s, if(nth = 1, 0, reached) AS a, from_pos AS b, b - a AS n FROM `+ordered+`
		WHERE nth > 1 AND from_pos > reached OR nth = 1 AND from_pos > 0 AND startsWith(stream, 'file-')`)
	if err != nil {
		return nil, err
	}
	overlaps, err := d.collect(ctx, Overlap, `SELECT stream AS s, from_pos AS a, least(reached, to_pos) AS b, b - a AS n FROM `+ordered+`
		WHERE nth > 1 AND from_pos < reached`)
	return slices.Concat(unexplained(gaps, losses), losses, overlaps), err
}

func (d *DB) duplicates(ctx context.Context) ([]Finding, error) {
	return d.collect(ctx, Duplicate, `SELECT s, min(pos) AS a, max(pos) + 1 AS b, sum(copies - 1) AS n FROM (
		SELECT toString(stream) AS s, pos, row, count() AS copies FROM delivery_events GROUP BY s, pos, row HAVING copies > 1) GROUP BY s`)
}

// ledger is the ledger's ranges, each with the number of lines that have rows in it. Ranges that lie over one another, as where a
// file was shipped and imported, are one: which of them counts a line does not follow from where it is.
const ledger = `(SELECT stream, min(from_pos) AS from_pos, max(to_pos) AS to_pos, sum(want) AS want, max(dropped) AS dropped FROM (
		SELECT *, sum(begins) OVER (PARTITION BY stream ORDER BY from_pos, to_pos, via ROWS UNBOUNDED PRECEDING) AS nth FROM (
			SELECT stream, from_pos, to_pos, via, toInt64(if(rows = 0, 0, event_lines - dead_lines)) AS want, ` + beforeOldest + ` AS dropped,
				from_pos >= max(to_pos) OVER (PARTITION BY stream ORDER BY from_pos, to_pos, via ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS begins
			FROM ingest_batches FINAL))
	GROUP BY stream, nth)`

// inLedger joins each row with the range that begins at its position or nearest before it.
const inLedger = `(SELECT toString(stream) AS s, pos, ingest_time FROM delivery_events) AS e
	ASOF LEFT JOIN (SELECT stream, from_pos, to_pos FROM ` + ledger + `) AS l ON e.s = l.stream AND e.pos >= l.from_pos`

// rowFindings compares the lines that have rows with the number that the ledger counts, range by range. A record of a topic
// may hold several lines at one position.
func (d *DB) rowFindings(ctx context.Context) ([]Finding, error) {
	const compared = `(SELECT stream, from_pos, to_pos, want, toInt64(have) AS have,
			if(position(stream, '/') > 0, toInt64(written), toInt64(have)) AS most
		FROM (SELECT stream, from_pos, to_pos, want FROM ` + ledger + ` WHERE NOT dropped) AS wanted
		LEFT JOIN (SELECT l.stream AS stream, l.from_pos AS from_pos, l.to_pos AS to_pos, uniqExact(e.pos) AS have, count() AS written
			FROM ` + inLedger + ` WHERE e.pos < l.to_pos GROUP BY 1, 2, 3) AS found
		USING (stream, from_pos, to_pos))`
	missing, err := d.collect(ctx, Missing, `SELECT stream AS s, from_pos AS a, to_pos AS b, want - most AS n FROM `+compared+` WHERE most < want`)
	if err != nil {
		return nil, err
	}
	excess, err := d.collect(ctx, Excess, `SELECT stream AS s, from_pos AS a, to_pos AS b, have - want AS n FROM `+compared+` WHERE have > want`)
	return append(missing, excess...), err
}

// Rows are kept as long as their owner likes: whole months of them are dropped, oldest first, and ledger and rollups stay. What
// is older than the oldest rows is not lost.
const (
	oldest = `(SELECT min(toUInt32(partition_id)) FROM system.parts
		WHERE database = currentDatabase() AND active AND rows > 0 AND table = 'delivery_events')`
	beforeOldest = `(rows > 0 AND first_event_month > 0 AND first_event_month < ` + oldest + `)`
)

// dropped counts what is not looked at.
func (d *DB) dropped(ctx context.Context, ext *Extent) error {
	return d.conn.QueryRow(ctx, `SELECT countIf(`+beforeOldest+`), `+oldest+` FROM ingest_batches FINAL`).Scan(&ext.Dropped, &ext.Oldest)
}

// OldestMonth is the month of the oldest rows, as 202611, and 0 where there are none.
func (d *DB) OldestMonth(ctx context.Context) (month uint32, err error) {
	err = d.conn.QueryRow(ctx, "SELECT "+oldest).Scan(&month)
	return month, explain(err)
}

// unledgered looks for rows outside the ledger, but for those that may still get their ledger row.
func (d *DB) unledgered(ctx context.Context) ([]Finding, error) {
	return d.collect(ctx, Unledgered, fmt.Sprintf(`SELECT e.s AS s, min(e.pos) AS a, max(e.pos) + 1 AS b, count() AS n FROM %s
		WHERE e.pos >= l.to_pos AND e.ingest_time < now64(3) - INTERVAL %d SECOND GROUP BY e.s`, inLedger, int(insertDeadline.Seconds())))
}

// rollupFindings compares each hour of each rollup with its rows, month by month.
func (d *DB) rollupFindings(ctx context.Context) ([]Finding, error) {
	var out []Finding
	for _, table := range rollups {
		compare, err := d.differenceSQL(ctx, table)
		if err != nil {
			return nil, err
		}
		months, err := d.months(ctx, table)
		if err != nil {
			return nil, err
		}
		for _, first := range months {
			found, err := d.rollupMonth(ctx, table, compare, first)
			if err != nil {
				return nil, fmt.Errorf("compare %s with the rows: %w", table, err)
			}
			out = append(out, found...)
		}
	}
	return out, nil
}

// months returns the first moment of each month that has rows, or sums in the table and is not before the oldest rows.
func (d *DB) months(ctx context.Context, table string) ([]time.Time, error) {
	rows, err := d.conn.Query(ctx, `SELECT DISTINCT toUInt32(partition_id) AS month FROM system.parts
		WHERE database = currentDatabase() AND active AND rows > 0 AND table IN ('delivery_events', ?) AND month >= `+oldest+` ORDER BY month`, table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []time.Time
	for rows.Next() {
		var m uint32
		if err := rows.Scan(&m); err != nil {
			return nil, err
		}
		out = append(out, time.Date(int(m/100), time.Month(m%100), 1, 0, 0, 0, 0, time.UTC))
	}
	return out, rows.Err()
}

func (d *DB) rollupMonth(ctx context.Context, table, compare string, first time.Time) ([]Finding, error) {
	last := first.AddDate(0, 1, 0).Add(-time.Millisecond)
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(spill))
	// Of two groups one may have too many rows and the other too few: then the hour's sum is right, and its groups are not.
	sql := fmt.Sprintf("SELECT hour, if(sum(toInt64(events)) = 0, toInt64(sum(abs(toInt64(events)))), -sum(toInt64(events))) FROM (%s) GROUP BY hour ORDER BY hour LIMIT %d", compare, maxFindings)
	rows, err := d.conn.Query(ctx, sql, clickhouse.Named("first", first.UnixMilli()), clickhouse.Named("last", last.UnixMilli()))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []Finding
	for rows.Next() {
		f := Finding{Problem: Rollup, Table: table}
		if err := rows.Scan(&f.Hour, &f.Count); err != nil {
			return nil, err
		}
		f.Hour = f.Hour.UTC()
		out = append(out, f)
	}
	return out, rows.Err()
}

// Where says which part of a stream, or which hour of a rollup, the finding is about.
func (f Finding) Where() string {
	if f.Problem == TwoLogs {
		return strings.TrimSpace(f.Source + " " + f.Stream)
	}
	if f.Table != "" {
		return fmt.Sprintf("%s, hour %s UTC", f.Table, f.Hour.Format("2006-01-02 15:00"))
	}
	return fmt.Sprintf("%s, [%d, %d)", strings.TrimSpace(f.Stream), f.From, f.To)
}
