package clickhouse

import (
	"errors"
	"testing"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
)

// TestPresentAndReach: what is asked is what was written.
func TestPresentAndReach(t *testing.T) {
	d := migrated(t)
	b := sample(100)
	if err := d.Write(t.Context(), b, b.ID); err != nil {
		t.Fatal(err)
	}
	there, err := d.Present(t.Context(), "file-x-0", 100, 500)
	if _, first := there[batch.Place{Pos: 100, Month: 202611}]; err != nil || len(there) != 40 || !first {
		t.Errorf("%d positions, %v", len(there), err)
	}
	reach, err := d.Reach(t.Context(), "file-x")
	if err != nil || len(reach) != 1 || reach["file-x-0"] != 991 {
		t.Errorf("%v, %v", reach, err)
	}
}

// TestMend takes rows from the rollups, adds rows to them, and adds rows to raw behind their backs.
func TestMend(t *testing.T) {
	d := migrated(t)
	b := sample(1000)
	if err := d.Write(t.Context(), b, b.ID); err != nil {
		t.Fatal(err)
	}
	first, last := b.Ranges[0].LastEvent-120_000, b.Ranges[0].LastEvent
	for _, damage := range []string{
		"ALTER TABLE rollup_domain_hourly DELETE WHERE toYYYYMM(hour) = 202611 SETTINGS mutations_sync = 2",
		"ALTER TABLE rollup_sender_hourly DELETE WHERE 1 SETTINGS mutations_sync = 2",
		"INSERT INTO rollup_domain_hourly SELECT * FROM rollup_domain_hourly",
		"INSERT INTO rollup_sender_hourly (hour, sender_domain, events) VALUES ('2026-11-30 23:00:00', 'nobody.example', 7)",
	} {
		if err := d.conn.Exec(t.Context(), damage); err != nil {
			t.Fatal(err)
		}
		wrong := scalar[uint64](t, d, "SELECT sum(events) FROM rollup_domain_hourly") != 1000 || scalar[uint64](t, d, "SELECT sum(events) FROM rollup_sender_hourly") != 1000
		if !wrong {
			t.Fatalf("%s did no harm", damage)
		}
		before, err := d.stand(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Mend(t.Context(), first, last); err != nil {
			t.Fatalf("%s: %v", damage, err)
		}
		if after, err := d.stand(t.Context()); err != nil || after == before { // its next token would be one that the server knows
			t.Errorf("%s: mending did not change how rows and rollups stand: %v", damage, err)
		}
		for _, sql := range []string{
			"SELECT sum(events) FROM rollup_domain_hourly",
			"SELECT sum(events) FROM rollup_sender_hourly",
			"SELECT sum(events) FROM rollup_sender_hourly WHERE sender_domain != 'nobody.example'",
			"SELECT toUInt64(sum(n)) FROM (SELECT sum(events) AS n FROM rollup_domain_hourly GROUP BY hour, recipient_domain HAVING n < 100000)",
		} {
			if n := scalar[uint64](t, d, sql); n != 1000 {
				t.Errorf("after %s: %s gives %d", damage, sql, n)
			}
		}
	}
	if n := scalar[uint64](t, d, "SELECT count() FROM system.tables WHERE name LIKE '%difference%'"); n != 0 {
		t.Errorf("%d tables were left behind", n)
	}
	// The same batch sent again is still known to the views.
	if err := d.Write(t.Context(), b, b.ID); !errors.Is(err, pipeline.ErrKnown) {
		t.Fatal(err)
	}
	if n := scalar[uint64](t, d, "SELECT sum(events) FROM rollup_domain_hourly"); n != 1000 {
		t.Errorf("a repeat after mending made it %d", n)
	}
}
