package clickhouse

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// TwoLogs looks at about so many rows for pairs: of all that is stored, or of the streams that it is asked about.
const (
	sampledRows = 4_000_000
	sampledOf   = 20_000
)

// TwoLogs looks for events that stand in two logs, as where syslog writes mail into a file of its own and into the common one:
// they are stored of each and count again. An event is one where queue ID, recipient, outcome and second are the same, and the host
// where both name one. Of many rows it looks at a part, by queue ID, so that it sees both rows of a pair or neither; the counts are
// estimates then. Where streams are given it tells only of events that one of these has, and looks at so few of theirs that it takes a
// moment, however much is stored.
func (d *DB) TwoLogs(ctx context.Context, streams ...string) ([]Finding, error) {
	of, asked := "1", "1"
	if len(streams) > 0 {
		of, asked = "stream IN @streams", "(later IN @streams OR first IN @streams)"
	}
	var rows uint64
	var first, last time.Time
	err := d.conn.QueryRow(ctx, "SELECT count(), min(event_time), max(event_time) FROM delivery_events WHERE "+of, clickhouse.Named("streams", streams)).
		Scan(&rows, &first, &last)
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", TwoLogs, explain(err))
	}
	part, sample := max(1, rows/sampledRows), "queue_id != '' AND cityHash64(queue_id) % @part = 0"
	if len(streams) > 0 {
		part = max(1, rows/sampledOf)
		sample = `event_time BETWEEN fromUnixTimestamp64Milli(toInt64(@begin)) AND fromUnixTimestamp64Milli(toInt64(@end))
			AND queue_id IN (SELECT queue_id FROM delivery_events WHERE ` + of + " AND " + sample + ")"
	}
	pairs, err := d.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(spill)), `
WITH logs AS (SELECT toString(stream) AS name, toString(any(source)) AS source FROM ingest_batches GROUP BY name)
SELECT pairs.later AS later, l.source, pairs.first, if(f.source = l.source OR f.source = '', pairs.first, f.source), pairs.events * toUInt64(@part)
FROM (
	SELECT log.1 AS later, arrayFirst(x -> x.1 < log.1 AND (x.2 = log.2 OR x.2 = '' OR log.2 = ''), logs).1 AS first, count() AS events
	FROM (
		SELECT arraySort(groupUniqArray((toString(stream), toString(host)))) AS logs
		FROM delivery_events
		WHERE `+sample+`
		GROUP BY toUnixTimestamp(event_time), queue_id, recipient, outcome
		HAVING length(logs) > 1)
	ARRAY JOIN logs AS log
	WHERE first != '' AND `+asked+`
	GROUP BY later, first) AS pairs
LEFT JOIN logs AS l ON l.name = pairs.later
LEFT JOIN logs AS f ON f.name = pairs.first
ORDER BY pairs.events DESC, pairs.later, pairs.first LIMIT @most`,
		clickhouse.Named("streams", streams), clickhouse.Named("part", part), clickhouse.Named("begin", first.UnixMilli()),
		clickhouse.Named("end", last.UnixMilli()), clickhouse.Named("most", maxFindings))
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", TwoLogs, explain(err))
	}
	defer pairs.Close()
	var out []Finding
	for pairs.Next() {
		f := Finding{Problem: TwoLogs, Estimate: part > 1}
		var events uint64
		if err := pairs.Scan(&f.Stream, &f.Source, &f.Other, &f.Reason, &events); err != nil {
			return nil, err
		}
		f.Count = int64(events)
		out = append(out, f)
	}
	return out, explain(pairs.Err())
}
