package clickhouse

import (
	"slices"
	"testing"
	"time"
)

// TestRemove: what is removed leaves nothing, neither does it take other streams' rows.
func TestRemove(t *testing.T) {
	d := migrated(t)
	d.refill(t)
	d.must(t, "INSERT INTO delivery_events (event_time, stream, pos) VALUES ('2026-11-30 23:10:00', 'kafka-y', 7)")
	if err := d.Remove(t.Context(), "file-x-0", 3000); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]uint64{
		"SELECT count() FROM delivery_events":          51,
		"SELECT sum(events) FROM rollup_domain_hourly": 51,
		"SELECT sum(events) FROM rollup_sender_hourly": 51,
		"SELECT sum(rows) FROM ingest_batches FINAL":   50,
	} {
		if got := scalar[uint64](t, d, sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
}

// TestFinishRemovals: a removal that was noted, and no more, is finished; what was stored of the stream since stays.
func TestFinishRemovals(t *testing.T) {
	d := migrated(t)
	d.refill(t)
	const noted = `INSERT INTO ingest_removals SELECT 'file-x-0', 3000, (SELECT max(ingest_time) FROM delivery_events), min(event_time), max(event_time) FROM delivery_events`
	d.must(t, noted)
	later := piece(1000, 200)
	later.Seal(time.Now())
	if err := d.Write(t.Context(), later, "again"); err != nil {
		t.Fatal(err)
	}
	if err := d.WriteLedger(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	for _, want := range [][]string{{"file-x-0"}, nil} {
		streams, err := d.FinishRemovals(t.Context())
		if err != nil || !slices.Equal(streams, want) {
			t.Errorf("%q, %v, not %q", streams, err, want)
		}
		for sql, want := range map[string]uint64{
			"SELECT count() FROM delivery_events":          250,
			"SELECT sum(events) FROM rollup_domain_hourly": 250,
			"SELECT sum(events) FROM rollup_sender_hourly": 250,
			"SELECT sum(rows) FROM ingest_batches FINAL":   250,
			"SELECT count() FROM ingest_removals":          0,
		} {
			if got := scalar[uint64](t, d, sql); got != want {
				t.Errorf("%s: %d, want %d", sql, got, want)
			}
		}
	}
}
