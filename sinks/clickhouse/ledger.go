package clickhouse

import (
	"context"
	"slices"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"bounceline/pipeline/batch"
)

const (
	// endsSQL selects where the streams end.
	endsSQL = `SELECT concat(stream, '\t', via), max(to_pos) FROM ingest_batches WHERE startsWith(stream, ?) GROUP BY stream, via`
	// joinedSQL selects the ledger's ranges, joined group by group, whether those of a group follow one another, and where the
	// first of them ends.
	joinedSQL = `SELECT stream, min(from_pos), max(to_pos), argMax(marker, to_pos), toString(argMax(source, to_pos)), via, argMin(anchor, from_pos), sum(lines),
			sum(event_lines), sum(rows), sum(dead_lines), sum(context), sum(other), sum(malformed),
			arrayAll((x, y) -> x.2 = y.1, arrayPopBack(arraySort(groupArray((from_pos, to_pos))) AS sorted), arrayPopFront(sorted)), min(to_pos)
		FROM ingest_batches FINAL WHERE startsWith(stream, @prefix)
		GROUP BY stream, via, floor(8 * log2(transform(concat(stream, '\t', via), @streams, @ends, to_pos) - to_pos + 1)), floor(4 * log2(to_pos + 1))`
	// rangesSQL selects the ranges of a group as they are.
	rangesSQL = `SELECT stream, from_pos, to_pos, marker, source, via, anchor, lines, event_lines, rows, dead_lines, context, other, malformed, true, to_pos
		FROM ingest_batches FINAL WHERE stream = ? AND via = ? AND to_pos BETWEEN ? AND ?`
)

// Ledger implements content.Ledger. A stream that grows for ever has ever more ranges in the table, so those that follow one another
// are joined: the fewer the nearer they are to the stream's end, where reading goes on, or to its beginning, since a shorter copy is
// known by the markers in it. What is returned grows with the logarithm of the stream's length, and with its gaps.
func (d *DB) Ledger(ctx context.Context, prefix string) ([]batch.Range, error) {
	streams, ends, err := d.ends(ctx, prefix)
	if err != nil || len(streams) == 0 {
		return nil, err
	}
	groups, err := d.ranges(ctx, joinedSQL, clickhouse.Named("prefix", prefix), clickhouse.Named("streams", streams), clickhouse.Named("ends", ends))
	if err != nil {
		return nil, err
	}
	var out []batch.Range
	for _, g := range groups {
		if g.follow {
			out = append(out, g.Range)
			continue
		}
		parts, err := d.ranges(ctx, rangesSQL, g.Stream, g.Via, g.firstEnd, uint64(g.To))
		if err != nil {
			return nil, err
		}
		for _, p := range parts {
			out = append(out, p.Range)
		}
	}
	slices.SortFunc(out, batch.Range.Compare)
	return out, nil
}

// ends returns where each stream whose name begins with prefix ends, by name and via.
func (d *DB) ends(ctx context.Context, prefix string) (streams []string, ends []uint64, err error) {
	rows, err := d.conn.Query(ctx, endsSQL, prefix)
	if err != nil {
		return nil, nil, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var stream string
		var end uint64
		if err := rows.Scan(&stream, &end); err != nil {
			return nil, nil, err
		}
		streams, ends = append(streams, stream), append(ends, end)
	}
	return streams, ends, explain(rows.Err())
}

// A joined range stands for one range of the ledger or several.
type joined struct {
	batch.Range
	follow   bool   // they follow one another
	firstEnd uint64 // where the first of them ends
}

// ranges runs a query with the columns of joinedSQL.
func (d *DB) ranges(ctx context.Context, sql string, args ...any) (out []joined, err error) {
	rows, err := d.conn.Query(ctx, sql, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		r, err := scanned(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, explain(rows.Err())
}

func scanned(rows driver.Rows) (r joined, err error) {
	var from, to uint64
	err = rows.Scan(&r.Stream, &from, &to, &r.Marker, &r.Source, &r.Via, &r.Anchor, &r.Lines, &r.EventLines, &r.Rows, &r.DeadLines, &r.Context,
		&r.Other, &r.Malformed, &r.follow, &r.firstEnd)
	r.From, r.To = int64(from), int64(to)
	return r, err
}
