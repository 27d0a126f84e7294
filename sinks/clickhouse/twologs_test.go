package clickhouse

import (
	"fmt"
	"testing"
)

// TestTwoLogsOfAStream looks for pairs of one stream's events only, in a part of them, and reckons how many there are.
func TestTwoLogsOfAStream(t *testing.T) {
	d := migrated(t)
	const events = 100_000
	log := func(stream, host string, from int) {
		d.must(t, fmt.Sprintf(`INSERT INTO delivery_events (event_time, source, stream, pos, host, queue_id, recipient, recipient_domain, outcome)
			SELECT toDateTime64('2026-11-01 00:00:00', 3, 'UTC') + intDiv(number, 10), '', '%s', number, '%s', hex(cityHash64(number)), concat('a', toString(number), '@example.org'),
				'example.org', 'delivered' FROM numbers(%d, %d)`, stream, host, from, events))
	}
	log("file-a-0", "mx1", 0)
	log("file-b-0", "mx1", events/2) // of its events the first half is in the other one
	log("file-c-0", "mx2", 0)        // another host uses the same queue IDs
	for _, c := range []struct {
		streams []string
		pairs   int
	}{
		{nil, 1}, {[]string{"file-a-0"}, 1}, {[]string{"file-b-0"}, 1}, {[]string{"file-c-0"}, 0}, {[]string{"file-c-0", "file-b-0"}, 1},
	} {
		found, err := d.TwoLogs(t.Context(), c.streams...)
		if err != nil || len(found) != c.pairs {
			t.Errorf("of %q: %v, %v", c.streams, found, err)
			continue
		}
		for _, f := range found {
			if f.Stream != "file-b-0" || f.Other != "file-a-0" || f.Estimate != (c.streams != nil) || f.Count < events*45/100 || f.Count > events*55/100 {
				t.Errorf("of %q: %+v", c.streams, f)
			}
			if c.streams == nil && f.Count != events/2 {
				t.Errorf("%d pairs of %d", f.Count, events/2)
			}
		}
	}
}
