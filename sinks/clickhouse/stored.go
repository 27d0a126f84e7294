package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A Stored is what is stored of a stream.
type Stored struct {
	Stream      string
	Source      string // what the inputs are called that it was read from
	Lines, Rows uint64
	First, Last time.Time // of the rows' events; zero where there are none
}

// Stored returns what is stored of the streams. One of which nothing is stored is left out.
func (d *DB) Stored(ctx context.Context, streams []string) ([]Stored, error) {
	if len(streams) == 0 {
		return nil, nil
	}
	return d.storedOf(ctx, "stream IN @which", streams)
}

// StoredFrom returns what is stored of all streams of which some was read from an input of that name.
func (d *DB) StoredFrom(ctx context.Context, source string) ([]Stored, error) {
	return d.storedOf(ctx, `stream IN (SELECT stream FROM ingest_batches WHERE source = @which
		UNION ALL SELECT toString(stream) FROM delivery_events WHERE source = @which)`, source)
}

func (d *DB) storedOf(ctx context.Context, condition string, which any) ([]Stored, error) {
	rows, err := d.conn.Query(ctx, fmt.Sprintf(`
SELECT name, arrayStringConcat(arraySort(arrayFilter(x -> x != '', groupUniqArrayArray(sources))), ', '), sum(l), sum(r), max(first), max(last) FROM (
	SELECT stream AS name, groupUniqArray(toString(source)) AS sources, sum(lines) AS l, 0 AS r, toDateTime64(0, 3, 'UTC') AS first, toDateTime64(0, 3, 'UTC') AS last
	FROM ingest_batches FINAL WHERE %[1]s GROUP BY name
	UNION ALL
	SELECT toString(stream) AS name, groupUniqArray(toString(source)), 0, count(), min(event_time), max(event_time)
	FROM delivery_events WHERE %[1]s GROUP BY name)
GROUP BY name ORDER BY name`, condition), clickhouse.Named("which", which))
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var out []Stored
	for rows.Next() {
		var s Stored
		if err := rows.Scan(&s.Stream, &s.Source, &s.Lines, &s.Rows, &s.First, &s.Last); err != nil {
			return nil, err
		}
		if s.Rows == 0 {
			s.First, s.Last = time.Time{}, time.Time{}
		}
		out = append(out, s)
	}
	return out, explain(rows.Err())
}

// Sources returns what the inputs are called that something is stored from.
func (d *DB) Sources(ctx context.Context) (names []string, err error) {
	err = d.conn.QueryRow(ctx, "SELECT arraySort(groupUniqArray(toString(source))) FROM ingest_batches WHERE source != ''").Scan(&names)
	return names, explain(err)
}
