package clickhouse

import (
	"context"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// sampledRows is among about how many rows TwoLogs looks for pairs.
const sampledRows = 4_000_000

// TwoLogs looks for events that stand in two logs, as where syslog writes mail into a file of its own and into the common one:
// they are stored of each and count again. An event is one where queue ID, recipient, outcome and second are the same, and the host
// where both name one. Of many rows it looks at a part, by queue ID, so that it sees both rows of a pair or neither.
func (d *DB) TwoLogs(ctx context.Context) ([]Finding, error) {
	rows, err := d.Number(ctx, "SELECT count() FROM delivery_events")
	if err != nil {
		return nil, err
	}
	part := max(1, rows/sampledRows)
	pairs, err := d.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(spill)), fmt.Sprintf(`
WITH logs AS (SELECT toString(stream) AS name, toString(any(source)) AS source FROM ingest_batches GROUP BY name)
SELECT pairs.later AS later, l.source, pairs.first, if(f.source = l.source OR f.source = '', pairs.first, f.source), pairs.events
FROM (
	SELECT log.1 AS later, arrayFirst(x -> x.1 < log.1 AND (x.2 = log.2 OR x.2 = '' OR log.2 = ''), logs).1 AS first, count() * %d AS events
	FROM (
		SELECT arraySort(groupUniqArray((toString(stream), toString(host)))) AS logs
		FROM delivery_events
		WHERE queue_id != '' AND cityHash64(queue_id) %% %d = 0
		GROUP BY toUnixTimestamp(event_time), queue_id, recipient, outcome
		HAVING length(logs) > 1)
	ARRAY JOIN logs AS log
	WHERE first != ''
	GROUP BY later, first) AS pairs
LEFT JOIN logs AS l ON l.name = pairs.later
LEFT JOIN logs AS f ON f.name = pairs.first
ORDER BY pairs.events DESC, pairs.later, pairs.first LIMIT %d`, part, part, maxFindings))
	if err != nil {
		return nil, fmt.Errorf("look for %s: %w", TwoLogs, explain(err))
	}
	defer pairs.Close()
	var out []Finding
	for pairs.Next() {
		f := Finding{Problem: TwoLogs}
		var events uint64
		if err := pairs.Scan(&f.Stream, &f.Source, &f.Other, &f.Reason, &events); err != nil {
			return nil, err
		}
		f.Count = int64(events)
		out = append(out, f)
	}
	return out, explain(pairs.Err())
}
