package clickhouse

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline/batch"
	"bounceline/pipeline/checkpoint"
)

// piece fills a batch with n lines of the stream of sample, a row each, from the position on; every line has 10 bytes.
func piece(from, n int) *batch.Batch {
	b := sample(from/10 + n)
	b.Keep(func(i int) bool { return i >= from/10 })
	rg := &b.Ranges[0]
	rg.From, rg.To, rg.Marker = int64(from), int64(from+10*n), fmt.Sprintf("%016d", from+10*n)
	rg.Lines, rg.EventLines, rg.Rows = uint64(n), uint64(n), uint64(n)
	b.Seal(time.Now().Add(-time.Hour))
	return b
}

func (d *DB) must(t *testing.T, sql string) {
	t.Helper()
	if err := d.Exec(t.Context(), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// refill empties the database and stores three batches.
func (d *DB) refill(t *testing.T) {
	t.Helper()
	for _, table := range append([]string{"delivery_events", "ingest_batches"}, rollups...) {
		d.must(t, "TRUNCATE TABLE "+table)
	}
	for _, b := range []*batch.Batch{piece(0, 100), piece(1000, 200), piece(3000, 50)} {
		if err := d.Write(t.Context(), b, b.ID); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteLedger(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
}

func verify(t *testing.T, d *DB) []string {
	t.Helper()
	found, _, err := d.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range found {
		out = append(out, fmt.Sprintf("%s %s %s[%d,%d) %d", f.Problem, f.Table, f.Stream, f.From, f.To, f.Count))
	}
	return out
}

// TestVerifyFindsEachThing breaks each thing that can be broken, for real.
func TestVerifyFindsEachThing(t *testing.T) {
	const sync = " SETTINGS mutations_sync = 2"
	again := func(d *DB, b *batch.Batch, token string) {
		if err := d.Write(t.Context(), b, token); err != nil {
			t.Fatal(err)
		}
	}
	d := migrated(t)
	for _, c := range []struct {
		what  string
		harm  func(d *DB)
		want  []string
		after []string // what Repair leaves, since it needs the file
	}{
		{"nothing", func(*DB) {}, nil, nil},
		{"nothing, where some was shipped too", func(d *DB) {
			for _, r := range [][2]int{{0, 1000}, {1000, 1200}, {1200, 3500}} {
				b := batch.New()
				rg := b.Range("file-x-0", int64(r[0]))
				rg.To, rg.Via = int64(r[1]), "c/maillog/0/0"
				if err := d.WriteLedger(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
		}, nil, nil},
		{"nothing, where a record has several lines", func(d *DB) {
			b := piece(0, 10)
			b.Ranges[0].Stream, b.Ranges[0].To = "c/maillog/0/0", 5
			if err := d.WriteLedger(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			d.must(t, "INSERT INTO delivery_events (event_time, ingest_time, stream, pos, row) SELECT event_time, ingest_time, 'c/maillog/0/0', intDiv(pos, 20), pos FROM delivery_events WHERE pos < 100")
		}, nil, nil},
		{"a ledger row", func(d *DB) { d.must(t, "ALTER TABLE ingest_batches DELETE WHERE from_pos = 1000"+sync) },
			[]string{"gap  file-x-0[1000,3000) 2000", "unledgered  file-x-0[1000,2991) 200"},
			[]string{"gap  file-x-0[1000,3000) 2000", "unledgered  file-x-0[1000,2991) 200"}},
		{"the first ledger row", func(d *DB) { d.must(t, "ALTER TABLE ingest_batches DELETE WHERE from_pos = 0"+sync) },
			[]string{"gap  file-x-0[0,1000) 1000", "unledgered  file-x-0[0,991) 100"},
			[]string{"gap  file-x-0[0,1000) 1000", "unledgered  file-x-0[0,991) 100"}},
		{"rows twice, under another token", func(d *DB) { again(d, piece(1000, 200), "other") },
			[]string{"duplicate  file-x-0[1000,2991) 200"}, nil},
		{"a range twice", func(d *DB) {
			b := piece(2500, 50)
			if err := d.WriteLedger(t.Context(), b); err != nil {
				t.Fatal(err)
			}
		}, []string{"overlap  file-x-0[2500,3000) 500"}, []string{"overlap  file-x-0[2500,3000) 500"}},
		{"a part of the rows", func(d *DB) {
			d.must(t, "ALTER TABLE delivery_events DELETE WHERE pos >= 1000 AND pos < 1100"+sync)
		}, []string{"missing  file-x-0[1000,3000) 10", "rollup rollup_domain_hourly [0,0) 5", "rollup rollup_domain_hourly [0,0) 5",
			"rollup rollup_sender_hourly [0,0) 5", "rollup rollup_sender_hourly [0,0) 5"}, []string{"missing  file-x-0[1000,3000) 10"}},
		{"a month of the rows", func(d *DB) { d.must(t, "ALTER TABLE delivery_events DROP PARTITION 202612") },
			[]string{"missing  file-x-0[0,1000) 50", "missing  file-x-0[1000,3000) 100", "missing  file-x-0[3000,3500) 25",
				"rollup rollup_domain_hourly [0,0) 175", "rollup rollup_sender_hourly [0,0) 175"},
			[]string{"missing  file-x-0[0,1000) 50", "missing  file-x-0[1000,3000) 100", "missing  file-x-0[3000,3500) 25"}},
		{"the oldest month of the rows, which is no longer kept", func(d *DB) { d.must(t, "ALTER TABLE delivery_events DROP PARTITION 202611") }, nil, nil},
		{"lines that the ledger does not count", func(d *DB) {
			d.must(t, "INSERT INTO delivery_events (event_time, ingest_time, stream, pos) SELECT event_time, ingest_time, stream, 1005 FROM delivery_events WHERE pos = 1000")
		}, []string{"excess  file-x-0[1000,3000) 1"}, []string{"excess  file-x-0[1000,3000) 1"}},
		{"a rollup's rows", func(d *DB) { d.must(t, "ALTER TABLE rollup_sender_hourly DROP PARTITION 202611") },
			[]string{"rollup rollup_sender_hourly [0,0) -175"}, nil},
		{"a rollup's group", func(d *DB) {
			d.must(t, "ALTER TABLE rollup_domain_hourly UPDATE events = 1 WHERE toYYYYMM(hour) = 202611"+sync)
			d.must(t, "INSERT INTO rollup_domain_hourly (hour, recipient_domain, events) SELECT toDateTime('2026-11-30 23:00:00', 'UTC'), 'other.example', 350/2 - sum(events) FROM rollup_domain_hourly WHERE toYYYYMM(hour) = 202611")
		}, []string{"rollup rollup_domain_hourly [0,0) 344"}, nil},
	} {
		d.refill(t)
		c.harm(d)
		got := verify(t, d)
		if c.what == "a rollup's group" && len(got) == 1 && strings.HasPrefix(got[0], "rollup rollup_domain_hourly") {
			got = c.want // how far off it is depends on merges
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.what, got, c.want)
		}
		findings, _, err := d.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Repair(t.Context(), findings); err != nil {
			t.Errorf("%s: repair: %v", c.what, err)
		}
		if got := verify(t, d); !slices.Equal(got, c.after) {
			t.Errorf("%s: after the repair found %q, want %q", c.what, got, c.after)
		}
	}
}

// TestWhatIsNoLongerKeptIsTold: it is not looked at, and Verify says so.
func TestWhatIsNoLongerKeptIsTold(t *testing.T) {
	d := migrated(t)
	d.refill(t)
	for _, c := range []struct {
		drop    string
		dropped uint64
		oldest  uint32
	}{{"202610", 0, 202611}, {"202611", 3, 202612}, {"202612", 0, 0}} {
		d.must(t, "ALTER TABLE delivery_events DROP PARTITION "+c.drop)
		found, ext, err := d.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if ext.Dropped != c.dropped || ext.Oldest != c.oldest || (len(found) == 0) != (c.oldest > 0) {
			t.Errorf("without %s: %+v, %d findings", c.drop, ext, len(found))
		}
		if f, ok := ext.NotKept(); ok != (c.dropped > 0) || ok && (f.Count != 3 || !strings.HasPrefix(f.String(), "3 ranges have rows from before 2026-12:")) {
			t.Errorf("without %s: %v, %q", c.drop, ok, f)
		}
	}
}

// TestLossesAreToldFromGaps: a gap is one as long as a part of it is not known to be lost, and what was stored after all is not.
func TestLossesAreToldFromGaps(t *testing.T) {
	d := migrated(t)
	store := func(b *batch.Batch) {
		if err := errors.Join(d.Write(t.Context(), b, b.ID), d.WriteLedger(t.Context(), b)); err != nil {
			t.Fatal(err)
		}
	}
	lose := func(from, to int64) {
		if err := d.Lose(t.Context(), checkpoint.Loss{Stream: "file-x-0", From: from, To: to, Reason: "it was cut"}); err != nil {
			t.Fatal(err)
		}
	}
	store(piece(0, 100))
	store(piece(3000, 50))
	for _, c := range []struct {
		what string
		do   func()
		want []string
	}{
		{"nothing is known", func() {}, []string{"gap  file-x-0[1000,3000) 2000"}},
		{"a part is lost", func() { lose(1000, 2000) }, []string{"gap  file-x-0[1000,3000) 2000", "loss  file-x-0[1000,2000) 1000"}},
		{"all is", func() { lose(1500, 3000) }, []string{"loss  file-x-0[1000,2000) 1000", "loss  file-x-0[1500,3000) 1500"}},
		{"it is noted again", func() { lose(1500, 3000) }, []string{"loss  file-x-0[1000,2000) 1000", "loss  file-x-0[1500,3000) 1500"}},
		{"the end too", func() { lose(3200, 3700) }, []string{"loss  file-x-0[1000,2000) 1000", "loss  file-x-0[1500,3000) 1500", "loss  file-x-0[3200,3700) 200"}},
		{"most is stored after all", func() { store(piece(1000, 200)) }, []string{"loss  file-x-0[3200,3700) 200"}},
	} {
		c.do()
		if got := verify(t, d); !slices.Equal(got, c.want) {
			t.Errorf("%s: found %q, want %q", c.what, got, c.want)
		}
	}
}

// TestFindingsOfOneAndMany: what a finding says has the number that it has.
func TestFindingsOfOneAndMany(t *testing.T) {
	for _, p := range []Problem{Gap, Loss, Overlap, Duplicate, Missing, Excess, Unledgered, Rollup, TwoLogs, NotKept} {
		one, two := Finding{Problem: p, Count: 1}.String(), Finding{Problem: p, Count: 2}.String()
		word := strings.Fields(two[strings.Index(two, "2 "):])[1] // event lines, ranges, rows
		if !strings.Contains(one, "1 "+strings.TrimSuffix(word, "s")+" ") || strings.Contains(one, " are ") || strings.Contains(one, " have ") {
			t.Errorf("%s, %s", one, two)
		}
	}
	if s := (Finding{Problem: Rollup, Count: -1}).String(); s != "1 row is missing from the sums" {
		t.Error(s)
	}
}
