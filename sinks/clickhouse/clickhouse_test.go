package clickhouse

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bounceline/pipeline"
	"bounceline/pipeline/batch"
	"bounceline/pipeline/record"
	"bounceline/sinks/clickhouse/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func open(t testing.TB, dsn string) *DB {
	t.Helper()
	d, err := Open(t.Context(), Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func migrated(t testing.TB) *DB {
	t.Helper()
	d := open(t, localtest.Engine(t).DSN())
	if err := d.Migrate(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// sample fills a batch with n rows of one stream over two months.
func sample(n int) *batch.Batch {
	b := batch.New()
	rg := b.Range("file-x-0", 0)
	var rows record.Rows
	for i := range n {
		rows.Reset()
		r := rows.Add()
		at := time.Date(2026, 11, 30, 23, 59, 59, 5e6, time.UTC).Add(time.Duration(i%2) * time.Minute)
		r.EventTime = at.UnixMilli()
		r.Stream, r.Pos, r.Source = []byte("file-x-0"), uint64(i*10), []byte("mail.log")
		r.MTA, r.EventType, r.Outcome = "postfix", record.Attempt, record.Bounced
		r.Recipient, r.QueueID = []byte("Ann@Example.ORG"), []byte("4F2A91C0B7")
		r.RelayIP = record.Addr{10: 0xff, 11: 0xff, 12: 192, 15: 25}
		r.SMTPCode, r.Errno, r.Delay = 550, -44, 2.5
		r.ResponseText = []byte("said: 550 5.1.1 caf\xe9")
		r.Class.Category = "user_unknown"
		b.Add(r)
		rg.Lines, rg.EventLines, rg.Rows = rg.Lines+1, rg.EventLines+1, rg.Rows+1
		rg.LastEvent = r.EventTime
		if rg.FirstEvent == 0 {
			rg.FirstEvent = r.EventTime
		}
	}
	rg.To, rg.Marker = int64(n*10), "0011223344556677"
	b.Seal(time.Now())
	return b
}

func scalar[T any](t *testing.T, d *DB, sql string) T {
	t.Helper()
	var v T
	if err := d.conn.QueryRow(t.Context(), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

func TestWriteRoundTrip(t *testing.T) {
	d := migrated(t)
	if err := d.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := sample(1000)
	for n := range 3 { // the token makes repeats harmless, in raw and in rollups
		if err := d.Write(t.Context(), b, b.ID); n == 0 && err != nil || n > 0 && !errors.Is(err, pipeline.ErrKnown) {
			t.Fatal(err)
		}
		if err := d.WriteLedger(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	for sql, want := range map[string]uint64{
		"SELECT count() FROM delivery_events":             1000,
		"SELECT uniqExact(event_id) FROM delivery_events": 1000,
		"SELECT sum(events) FROM rollup_domain_hourly":    1000,
		"SELECT sum(events) FROM rollup_sender_hourly":    1000,
		"SELECT count() FROM ingest_batches FINAL":        1,
	} {
		if got := scalar[uint64](t, d, sql); got != want {
			t.Errorf("%s: %d, want %d", sql, got, want)
		}
	}
	for sql, want := range map[string]string{
		"SELECT toString(event_time) FROM delivery_events WHERE pos = 0":                                                             "2026-11-30 23:59:59.005",
		"SELECT recipient FROM delivery_events WHERE pos = 0":                                                                        "Ann@Example.ORG",
		"SELECT toString(recipient_domain) FROM delivery_events WHERE pos = 0":                                                       "example.org",
		"SELECT toString(outcome) FROM delivery_events WHERE pos = 0":                                                                "bounced",
		"SELECT toString(relay_ip) FROM delivery_events WHERE pos = 0":                                                               "::ffff:192.0.0.25",
		"SELECT response_text FROM delivery_events WHERE pos = 0":                                                                    "said: 550 5.1.1 caf\ufffd",
		"SELECT concat(toString(delay), ' ', toString(isNull(delay_conn)), ' ', toString(errno)) FROM delivery_events WHERE pos = 0": "2.5 1 -44",
	} {
		if got := scalar[string](t, d, sql); got != want {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
	ranges, err := d.Ledger(t.Context(), "file-x-")
	if err != nil || len(ranges) != 1 || ranges[0].To != 10000 || ranges[0].Marker != "0011223344556677" {
		t.Errorf("ledger: %+v, %v", ranges, err)
	}
	ids, err := d.QueueIDs(t.Context(), "file-x-0", 0, 50, 100)
	if err != nil || len(ids) != 5 || ids[10] != "4F2A91C0B7" {
		t.Errorf("queue ids: %v, %v", ids, err)
	}
}

// TestLedgerIsWrittenAgain: what the server acknowledged and has no more, be it that it was killed, is stored by a repeat.
func TestLedgerIsWrittenAgain(t *testing.T) {
	d := migrated(t)
	b := sample(10)
	for n := range 3 {
		if err := d.WriteLedger(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		if got := scalar[uint64](t, d, "SELECT count() FROM ingest_batches FINAL"); got != 1 {
			t.Fatalf("time %d: %d ranges", n, got)
		}
		d.must(t, "ALTER TABLE ingest_batches DELETE WHERE 1 SETTINGS mutations_sync = 2")
	}
}

func TestMigrateTwiceAndNewer(t *testing.T) {
	d := migrated(t)
	if err := d.Migrate(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if err := d.conn.Exec(t.Context(), "INSERT INTO schema_migrations (number, name, checksum) VALUES (9999, 'future', '')"); err != nil {
		t.Fatal(err)
	}
	err := d.Migrate(t.Context(), false, nil)
	if err == nil || !strings.Contains(err.Error(), "newer bounceline") || Retryable(err) {
		t.Errorf("a newer schema: %v", err)
	}
}

func TestMigrateDryRun(t *testing.T) {
	d := open(t, localtest.Engine(t).DSN())
	var out strings.Builder
	if err := d.Migrate(t.Context(), true, &out); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "CREATE TABLE IF NOT EXISTS delivery_events") {
		t.Errorf("printed %q", out.String())
	}
	if n := scalar[uint64](t, d, "SELECT count() FROM system.databases WHERE name = 'bounceline'"); n != 0 {
		t.Error("a dry run made the database")
	}
}

func TestCheckFindsWhatIsWrong(t *testing.T) {
	d := migrated(t)
	for _, c := range []struct{ change, want string }{
		{"ALTER TABLE rollup_sender_hourly RESET SETTING non_replicated_deduplication_window", "rollup_sender_hourly has no deduplication window"},
		{"ALTER TABLE delivery_events MODIFY TTL toDateTime(event_time) + INTERVAL 1 YEAR", "ALTER TABLE delivery_events REMOVE TTL"},
		{"ALTER TABLE delivery_events DROP COLUMN router", "lacks router"},
	} {
		if err := d.conn.Exec(t.Context(), c.change); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) || Retryable(err) {
			t.Errorf("%s: %v", c.change, err)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	l := localtest.Engine(t)
	for name, c := range map[string]struct {
		dsn       string
		want      string
		retryable bool
	}{
		"wrong password": {strings.Replace(l.DSN(), "bounceline:", "bounceline:x", 1), "check the DSN or the password file", false},
		"nobody there":   {"clickhouse://u:topsecret@127.0.0.1:1/bounceline", "127.0.0.1:1", true},
		"two passwords":  {"clickhouse://u:topsecret@127.0.0.1:1,127.0.0.1:2/?password=topsecret&dial_timeout=topmost", "dial_timeout=topmost", false},
		"no host":        {"clickhouse://u:topsecret", "clickhouse://user@host:9000", false},
		"no DSN":         {"://u:topsecret", "clickhouse://user@host:9000", false},
		"http":           {"http://u:topsecret@127.0.0.1:8123", "native port", false},
	} {
		_, err := Open(context.Background(), Config{DSN: c.dsn})
		if err == nil || !strings.Contains(err.Error(), c.want) || Retryable(err) != c.retryable || strings.Contains(err.Error(), "topsecret") {
			t.Errorf("%s: %v (retryable %v)", name, err, Retryable(err))
		}
	}
}

func TestRedact(t *testing.T) {
	for dsn, want := range map[string]string{
		"clickhouse://db.example.org:9000/bounceline":              "clickhouse://db.example.org:9000/bounceline",
		"clickhouse://[2001:db8::1]:9440?secure=true":              "clickhouse://[2001:db8::1]:9440?secure=true",
		"clickhouse://h1:9000,h2:9000/bounceline?dial_timeout=1s":  "clickhouse://h1:9000,h2:9000/bounceline?dial_timeout=1s",
		"clickhouse://writer@h1:9000/bounceline":                   "clickhouse://writer@h1:9000/bounceline",
		"clickhouse://writer:s3cret@h1:9000,h2:9000/bounceline":    "clickhouse://writer:redacted@h1:9000,h2:9000/bounceline",
		"clickhouse://writer:s3@c%zz/r?et@h1:9000/bounceline":      "clickhouse://writer:redacted@h1:9000/bounceline",
		"clickhouse://h1:9000?username=w&password=s3cret&secure=1": "clickhouse://h1:9000?username=w&password=redacted&secure=1",
		"clickhouse://h1:9000?pass%77ord=s3&cret":                  "clickhouse://h1:9000?pass%77ord=redacted&redacted",
		"clickhouse://writer:s3cret":                               "redacted",
		"clickhouse://":                                            "redacted",
		"://writer:s3cret@h1":                                      "redacted",
		"s3cret":                                                   "redacted",
		"":                                                         "redacted",
	} {
		if got := Redact(dsn); got != want {
			t.Errorf("%s: %s, want %s", dsn, got, want)
		}
	}
}
